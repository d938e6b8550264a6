from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmnist_jax.errors import ConfigError
from fmnist_jax.optim import schedules

# Scales are computed for so many steps whatever the run, so that each schedule is compiled once.
STEPS = np.arange(400)


def _scales(name: str, *, total: int, warmup: int = 0, final_scale: float = 0.0) -> np.ndarray:
    """The scales of steps 0 to `total`, which is the first one after the run."""
    scale = schedules.make(
        name, warmup=f"{warmup} steps", final_scale=final_scale, total_steps=total, steps_per_epoch=1
    )
    found = scale(jnp.asarray(STEPS))
    assert found.dtype == jnp.float32
    return np.asarray(found)[: total + 1]


@st.composite
def _runs(draw):
    total = draw(st.integers(1, 399))
    return {"total": total, "warmup": draw(st.integers(0, total)), "final_scale": draw(st.floats(0, 1, width=32))}


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(schedules.names()), run=_runs())
def test_rises_to_the_peak_then_falls_to_the_final_scale(name, run):
    total, warmup = run["total"], run["warmup"]
    scales = _scales(name, **run)
    if name == "one-cycle" and warmup == 0:
        warmup = round(0.3 * total)
    assert (scales >= 0).all()
    assert (scales <= 1 + 1e-6).all()
    np.testing.assert_allclose(scales[:warmup], np.arange(1, warmup + 1) / max(warmup, 1), rtol=1e-6)
    assert (np.diff(scales[warmup:]) <= 1e-6).all()
    if warmup < total:
        assert scales[warmup] == pytest.approx(1.0)
        assert scales[total] == pytest.approx(1.0 if name == "constant" else run["final_scale"], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [1.0, 0.8, 0.6, 0.4, 0.2]),
        ("cosine", [1.0, 0.2 + 0.8 * (2 + 2**0.5) / 4, 0.6, 0.2 + 0.8 * (2 - 2**0.5) / 4, 0.2]),
    ],
)
def test_shapes(name, expected):
    np.testing.assert_allclose(_scales(name, total=4, final_scale=0.2), expected, rtol=1e-6)


def test_one_cycle_warms_up_over_three_tenths_by_default():
    assert _scales("one-cycle", total=10).argmax() == 2  # the last of three steps of warm-up
    np.testing.assert_allclose(_scales("one-cycle", total=10, warmup=5)[:5], [0.2, 0.4, 0.6, 0.8, 1.0], rtol=1e-6)


def test_steps_may_be_traced():
    scale = schedules.make("cosine", warmup="10%", final_scale=0.1, total_steps=20, steps_per_epoch=5)
    alone = [float(scale(jnp.int32(step))) for step in (0, 7, 20)]
    together = jax.jit(jax.vmap(scale))(jnp.asarray([0, 7, 20]))
    np.testing.assert_allclose(together, alone, rtol=1e-6)


@pytest.mark.parametrize(
    ("duration", "steps"),
    [
        ("0 steps", 0),
        ("1 step", 1),
        ("500 steps", 500),
        ("500steps", 500),
        (" 2 epochs ", 200),
        ("1 epoch", 100),
        ("0.5 epochs", 50),
        ("10%", 100),
        ("2.5 %", 25),
        ("100%", 1000),
    ],
)
def test_durations(duration, steps):
    assert schedules.steps_of(duration, 1000, 100) == steps


@pytest.mark.parametrize(
    "duration", ["", "500", "steps", "-1 steps", "1e3 steps", "2 weeks", "ten %", "5 steps 3%", "%5"]
)
def test_a_malformed_duration_is_refused(duration):
    with pytest.raises(ConfigError, match=r"must be like '500 steps', '2 epochs' or '10%', not "):
        schedules.steps_of(duration, 1000, 100)


@pytest.mark.parametrize("duration", ["1001 steps", "11 epochs", "101%"])
def test_longer_than_the_run_is_refused(duration):
    with pytest.raises(ConfigError, match=r"is \d+ steps, longer than the run of 1000"):
        schedules.steps_of(duration, 1000, 100)


def test_errors_name_the_key():
    run = {"final_scale": 0.0, "total_steps": 10, "steps_per_epoch": 5}
    with pytest.raises(ConfigError, match=r"config\.schedule\.warmup: a duration must be like"):
        schedules.make("cosine", warmup="long", **run)
    with pytest.raises(ConfigError, match=r"config\.schedule\.name must be one of .*did you mean 'cosine'\?"):
        schedules.make("cosin", warmup="0 steps", **run)
