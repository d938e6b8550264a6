from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from fmnist_jax.models import overview

SHAPES = {
    "conv": {
        "kernel": jax.ShapeDtypeStruct((3, 3, 1, 32), jnp.float32),
        "bias": jax.ShapeDtypeStruct((32,), "float32"),
    },
    "scale": jax.ShapeDtypeStruct((), jnp.float32),
    "wide": np.zeros((1000, 20)),
}


def test_count():
    assert overview.count(SHAPES) == 9 * 32 + 32 + 1 + 20_000
    assert overview.count({}) == 0


def test_table_has_a_line_for_each_array_and_the_total():
    lines = [line.split() for line in overview.table(SHAPES).splitlines()]
    assert lines == [
        ["conv/bias", "32", "32"],
        ["conv/kernel", "3x3x1x32", "288"],
        ["scale", "1"],
        ["wide", "1000x20", "20,000"],
        ["total", "20,321"],
    ]
    assert len({len(line) for line in overview.table(SHAPES).splitlines()}) == 1
