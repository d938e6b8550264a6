"""A procedural clothing set: a stand-in for where the real data set cannot be had.

Ten classes of 28x28 grey garments, drawn from random shape, cloth and pose parameters, with the labels of
Fashion-MNIST. It is not Fashion-MNIST and no figure measured on it is one: whatever reports a result on it says
SYNTHETIC. It is made to exercise the whole pipeline and to be hard in the way the real set is: the ranges from which
T-shirt, pullover, coat and shirt are drawn overlap (see `top_ranges.py`), so that a good classifier errs there. No
label is wrong: each is the class from whose ranges the garment was drawn.
"""

from __future__ import annotations

from fmnist_jax.data.synthetic.render import generate

__all__ = ["generate"]
