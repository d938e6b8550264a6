from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import optax
import pytest
import toy

from fmnist_jax import optim
from fmnist_jax.data import device
from fmnist_jax.errors import ConfigError
from fmnist_jax.optim import Hyperparameter, Optimizer
from fmnist_jax.train.run import make_run, member_of


def test_defaults_are_filled_in():
    assert optim.resolve("rmsprop", {}) == {"learning_rate": 1e-3, "decay": 0.9, "eps": 1e-7}
    given = {"learning_rate": None, "b1": 0.8, "weight_decay": None, "clip_norm": 0.0}
    assert optim.resolve("adam", given) == {"learning_rate": 1e-3, "b1": 0.8, "b2": 0.999, "eps": 1e-7}


def test_weight_decay_and_clipping_of_zero_are_left_out():
    assert optim.resolve("adamw", {})["weight_decay"] == 0.01
    assert "weight_decay" not in optim.resolve("adamw", {"weight_decay": 0.0})
    assert (
        optim.resolve("sgd", {"weight_decay": 0.1, "clip_norm": 2}).items()
        >= {"weight_decay": 0.1, "clip_norm": 2.0}.items()
    )
    assert optim.resolve("momentum", {"momentum": 0.0})["momentum"] == 0.0


def test_a_hyperparameter_that_the_optimizer_lacks_is_refused():
    message = r"config\.optimizer\.b1 is set, but sgd does not take it; it takes learning_rate, weight_decay, clip_norm"
    with pytest.raises(ConfigError, match=message):
        optim.resolve("sgd", {"b1": 0.9})


def test_a_value_that_the_optimizer_does_not_work_with_is_refused(own):
    message = r"^config\.optimizer\.b1 of schedule-free-adamw must be at least 0.001, not 0.0$"
    with pytest.raises(ConfigError, match=message):
        optim.resolve("schedule-free-adamw", {"b1": 0.0})
    assert optim.resolve("schedule-free-adamw", {"b1": 1e-3})["b1"] == 1e-3
    assert optim.resolve("adamw", {"b1": 0.0})["b1"] == 0.0
    with pytest.raises(
        ConfigError, match=rf"^config\.optimizer\.options\.strength of {own} must be below 100, not 100$"
    ):
        optim.resolve(own, {"strength": 100})


def test_an_unknown_optimizer_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"config\.optimizer\.name must be one of sgd, .*did you mean 'adamw'\?"):
        optim.get("adamww")


@pytest.mark.parametrize("name", optim.names())
def test_search_spaces_hold_their_defaults(name):
    entry = optim.get(name)
    assert next(iter(entry.hyperparameters)) == "learning_rate"
    assert entry.summary
    for space in entry.hyperparameters.values():
        assert 0 < space.low <= space.default <= space.high
        assert space.high < 1 or space.scale != "log1m"


@pytest.fixture
def own(monkeypatch) -> str:
    """The name of an optimizer that a user registered."""
    monkeypatch.setattr(optim.OPTIMIZERS, "entries", dict(optim.OPTIMIZERS.entries))

    def make(rate, weight_decay, strength):
        return optax.chain(
            optax.stateless(lambda g, _: jax.tree.map(lambda leaf: strength * jnp.tanh(leaf), g)),
            weight_decay,
            optax.scale_by_learning_rate(rate),
        )

    numbers = {"learning_rate": Hyperparameter(0.1, 1e-3, 1.0), "strength": Hyperparameter(2.0, 0.1, 10.0, lt=100.0)}
    optim.register("squashed", Optimizer(make, numbers, "w -= rate strength tanh(g)"))
    return "squashed"


def test_a_users_optimizer_trains(own):
    config = toy.toy_config(model__name="linear", optimizer__name=own, optimizer__weight_decay=0.01)
    run, member, train = make_run(config, toy.TRAIN), member_of(config), device.put(toy.split(toy.TRAIN))
    state = jax.jit(run.init)(member)
    epoch = jax.jit(run.epoch)
    losses = []
    for _ in range(5):
        state, counts = epoch(state, member, train)
        losses.append(counts.means()["loss"])
    assert losses[-1] < 0.8 * losses[0]


def test_built_in_names_are_protected_a_users_own_may_be_replaced(own):
    with pytest.raises(ValueError, match="registered as 'sgd' already"):
        optim.register("sgd", optim.get(own))
    again = dataclasses.replace(optim.get(own), summary="again")
    optim.register(own, again)
    assert optim.get(own) is again


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [
        (1.0, 0.5, "linear"),
        (0.0, 1.0, "log"),
        (0.5, 1.0, "log1m"),
        (0.0, math.nan, "linear"),
        (1.0, math.inf, "log"),
        (0.1, 1.0, "logg"),
    ],
)
def test_an_impossible_search_space_is_refused(low, high, scale):
    with pytest.raises(ValueError, match="no search space"):
        Hyperparameter(0.7, low, high, scale)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"lt": 0.7}, "default must be below 0.7, not 0.7"),
        ({"ge": 0.6}, "low must be at least 0.6, not 0.5"),
        ({"le": 0.8}, "high must be at most 0.8, not 0.9"),
    ],
)
def test_a_default_or_space_out_of_bounds_is_refused(bounds, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Hyperparameter(0.7, 0.5, 0.9, **bounds)
