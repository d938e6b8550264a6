"""How fast we are beside stock Flax, Keras and PyTorch on the same machine, and beside what the machine can do.

`suite` runs it all; every candidate runs in a process of its own (`child`), and `interleaved` takes their measurements
in turn.
"""
