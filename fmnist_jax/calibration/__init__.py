"""Monte Carlo calibration: how often the tests reject and the intervals cover in simulated studies of known truth.

It calls the functions of `fmnist_jax.compare.statistics` that the study report calls.
"""
