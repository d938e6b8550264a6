"""How fast we are beside stock Flax, Keras and PyTorch on the same machine, and beside what the machine can do.

Every contender runs in a process of its own (`child`), steered by lines on its standard input (`protocol`), so that
the measurements of all of them can take turns (`measure`) without sharing a process.
"""
