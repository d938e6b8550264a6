"""Calibration by simulation: how often the tests reject and the intervals cover, where the truth is known.

Studies are simulated by the thousand, with noise such as seeds make and without any difference between the arms, and go
through the very functions that make the report.
"""

from fmnist_jax.calibration.record import calibrate

__all__ = ["calibrate"]
