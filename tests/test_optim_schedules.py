from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmnist_jax.config.schema import default_config
from fmnist_jax.errors import ConfigError
from fmnist_jax.optim import schedules

# Scales are computed for so many steps whatever the run, so that each schedule is compiled once.
STEPS = np.arange(400)
BUILT_IN = schedules.names()


def _make(name: str, *, total_steps: int, steps_per_epoch: int = 1, **settings) -> optax.Schedule:
    defaults = {key: value for key, value in default_config().schedule.items() if key not in ("name", "weight_decay")}
    return schedules.make(name, **{**defaults, **settings}, total_steps=total_steps, steps_per_epoch=steps_per_epoch)


def _scales(name: str, *, total: int, warmup: int = 0, **settings) -> np.ndarray:
    """The scales of steps 0 to `total`, which is the first one after the run."""
    found = jax.vmap(_make(name, warmup=f"{warmup} steps", total_steps=total, **settings))(jnp.asarray(STEPS))
    assert found.dtype == jnp.float32
    return np.asarray(found)[: total + 1]


@st.composite
def _runs(draw):
    total = draw(st.integers(1, 399))
    return {"total": total, "warmup": draw(st.integers(0, total)), "final_scale": draw(st.floats(0, 1, width=32))}


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(BUILT_IN), run=_runs())
def test_rises_to_the_peak_then_falls_to_the_final_scale(name, run):
    total, warmup = run["total"], run["warmup"]
    scales = _scales(
        name, **run, cooldown=f"{(total - warmup + 1) // 2} steps", milestones=(f"{min(warmup + 1, total)} steps",)
    )
    if name == "one-cycle" and warmup == 0:
        warmup = round(0.3 * total)
    assert (scales >= 0).all()
    assert (scales <= 1 + 1e-6).all()
    np.testing.assert_allclose(scales[:warmup], np.arange(1, warmup + 1) / max(warmup, 1), rtol=1e-6)
    assert (np.diff(scales[warmup:]) <= 1e-6).all()
    if warmup < total:
        assert scales[warmup] == pytest.approx(1.0)
        end = {
            "constant": 1.0,
            "step": 0.1,
            "inverse-sqrt": (max(warmup, 1) / (max(warmup, 1) + total - warmup)) ** 0.5,
        }
        expected = run["final_scale"] + (1 - run["final_scale"]) * end.get(name, 0.0)
        assert scales[total] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [1.0, 0.8, 0.6, 0.4, 0.2]),
        ("cosine", [1.0, 0.2 + 0.8 * (2 + 2**0.5) / 4, 0.6, 0.2 + 0.8 * (2 - 2**0.5) / 4, 0.2]),
        ("wsd", [1.0, 1.0, 1.0, 0.2 + 0.8 * (1 - 0.5**0.5), 0.2]),
        ("step", [1.0, 1.0, 1.0, 0.2 + 0.8 * 0.5, 0.2 + 0.8 * 0.5]),
        ("inverse-sqrt", 0.2 + 0.8 / np.sqrt([1, 2, 3, 4, 5])),
    ],
)
def test_shapes(name, expected):
    own = {"cooldown": "50%", "milestones": ("3 steps",), "gamma": 0.5}
    np.testing.assert_allclose(_scales(name, total=4, final_scale=0.2, **own), expected, rtol=1e-6)


def test_step_is_that_of_multistep_lr_with_milestones_from_the_start_of_the_run():
    """PyTorch's `MultiStepLR([2, 4], gamma=0.1)`, stepped once an epoch of five steps, after a warm-up of one."""
    scales = _scales("step", total=30, warmup=5, steps_per_epoch=5, milestones=("4 epochs", "2 epochs"), gamma=0.1)
    np.testing.assert_allclose(scales[5:30], np.repeat([1.0, 0.1, 0.1, 0.01, 0.01], 5), rtol=1e-6)


def test_inverse_sqrt_after_a_warmup_is_the_root_of_its_share():
    scales = _scales("inverse-sqrt", total=64, warmup=4)
    np.testing.assert_allclose(scales[4:], np.sqrt(4 / np.arange(4, 65)), rtol=1e-6)


def test_a_cooldown_longer_than_what_the_warmup_leaves_is_refused():
    with pytest.raises(ConfigError, match=r"config\.schedule\.cooldown and config\.schedule\.warmup together"):
        _make("wsd", warmup="60%", cooldown="50%", total_steps=100)


@pytest.fixture
def registered(monkeypatch):
    """Registers a schedule for the duration of a test."""
    monkeypatch.setattr(schedules.SCHEDULES, "entries", dict(schedules.SCHEDULES.entries))
    return lambda factory: schedules.register("own", factory)


def test_a_users_schedule_starts_after_the_warmup(registered):
    registered(lambda run: optax.exponential_decay(1.0, run.steps, 0.25))
    found = _scales("own", total=10, warmup=2, final_scale=0.5)
    np.testing.assert_allclose(found, [0.5, 1.0, *(0.5 + 0.5 * 0.25 ** (np.arange(9) / 8))], rtol=1e-6)
    registered(lambda run: lambda step: 1)  # a second registration replaces the first
    np.testing.assert_array_equal(_scales("own", total=4), 1.0)


def test_a_users_schedule_knows_the_run(registered):
    seen = []

    def factory(run):
        seen.append(run)
        return optax.constant_schedule(1.0)

    registered(factory)
    own = {"cooldown": "10%", "milestones": ("3 epochs",), "gamma": 0.3}
    _make("own", total_steps=50, steps_per_epoch=10, warmup="1 epoch", **own)
    assert seen == [schedules.ScheduleSettings(40, 10, 10, cooldown_steps=5, milestones=[20], gamma=0.3)]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda run: lambda step: 1.0 - step / 4, r"finite numbers of at least 0, not -0.25 for step 5 of 9 after the"),
        (lambda run: lambda step: 1.0 / (step - 2), r"not -0.5 for step 0"),
        (lambda run: lambda step: jnp.where(step > 2, jnp.nan, 1.0), r"not nan for step 3 of 9"),
        (lambda run: lambda step: jnp.ones(3), r"must return a number for a step, not an array \[3\]"),
        (lambda run: lambda step: 1.0 if step < 3 else 0.5, "fails: TracerBoolConversionError: "),
        (lambda run: lambda step: (step, step), "must return a number for a step|fails: "),
        (lambda run: lambda step: None, "fails: "),
        (lambda run: 1.0, "fails: TypeError: 'float' object is not callable"),
        (lambda run: run.epochs, "fails: AttributeError: "),
        (lambda: 1.0, "fails: TypeError: "),
    ],
)
def test_a_users_schedule_that_is_none_is_refused_in_one_line(registered, factory, message):
    registered(factory)
    with pytest.raises(ConfigError, match=rf"^schedule 'own' .*({message})") as caught:
        _make("own", total_steps=10, warmup="1 step")
    assert "\n" not in str(caught.value)


def test_built_in_names_are_protected():
    with pytest.raises(ValueError, match="registered as 'cosine' already"):
        schedules.register("cosine", lambda run: optax.constant_schedule(1.0))


def _of(**keys: str):
    config = default_config()
    config.schedule.update(name="linear", **keys)
    return schedules.of(config.schedule, 10, 5)


def test_weight_decay_schedules():
    assert _of().weight_decay == "constant"
    assert _of(weight_decay="independent").weight_decay == "independent"
    decay = _of(weight_decay="cosine", warmup="1 epoch").weight_decay  # the warm-up is the learning rate's alone
    assert [float(decay(step)) for step in (0, 5, 10)] == pytest.approx([1.0, 0.5, 0.0])
    with pytest.raises(ConfigError, match=r"config\.schedule\.weight_decay must be one of independent, .*'cosine'\?"):
        _of(weight_decay="cosin")


def test_one_cycle_warms_up_over_three_tenths_by_default():
    assert _scales("one-cycle", total=10).argmax() == 2  # the last of three steps of warm-up
    np.testing.assert_allclose(_scales("one-cycle", total=10, warmup=5)[:5], [0.2, 0.4, 0.6, 0.8, 1.0], rtol=1e-6)


def test_steps_may_be_traced():
    scale = _make("cosine", warmup="10%", final_scale=0.1, total_steps=20, steps_per_epoch=5)
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
    run = {"total_steps": 10, "steps_per_epoch": 5}
    with pytest.raises(ConfigError, match=r"config\.schedule\.warmup: a duration must be like"):
        _make("cosine", warmup="long", **run)
    with pytest.raises(ConfigError, match=r"config\.schedule\.milestones: the duration '3 epochs' is 15 steps, longer"):
        _make("step", milestones=("1 epoch", "3 epochs"), **run)
    with pytest.raises(ConfigError, match=r"config\.schedule\.name must be one of .*did you mean 'cosine'\?"):
        _make("cosin", **run)
