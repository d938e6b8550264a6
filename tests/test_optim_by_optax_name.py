from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy

from fmnist_jax import optim
from fmnist_jax.compare.arms import parse_arms
from fmnist_jax.config.schema import validate
from fmnist_jax.data import device
from fmnist_jax.errors import ConfigError
from fmnist_jax.train.run import make_run, member_of

KERNEL = jnp.asarray([[1.0, -2.0], [0.5, 3.0]])


def _updates(transformation, steps: int = 3):
    """The updates of each step for a loss of half the square, and the last parameters."""
    params, found = {"kernel": KERNEL, "bias": KERNEL[0]}, []
    state = transformation.init(params)

    def loss(params):
        return 0.5 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))

    for _ in range(steps):
        extra = {"value": loss(params), "grad": params, "value_fn": loss}
        updates, state = transformation.update(params, state, params, **extra)
        params = optax.apply_updates(params, updates)
        found.append(updates)
    return found, params, state


def _equal(a, b) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7), a, b)


@pytest.mark.parametrize(
    ("name", "given", "made"),
    [
        ("optax.adamax", {"b1": 0.8}, lambda rate: optax.adamax(rate, b1=0.8)),
        ("optax.contrib.momo", {"beta": 0.5}, lambda rate: optax.contrib.momo(rate, beta=0.5)),
        ("optax.lbfgs", {}, lambda rate: optax.lbfgs(rate)),
        ("optax.contrib.dog", {}, lambda rate: optax.contrib.dog(rate)),
    ],
)
def test_it_is_the_optimizer_of_optax_with_the_schedule_for_its_rate(name, given, made):
    numbers = optim.resolve(name, {"learning_rate": 0.2} | given)
    assert numbers == numbers | given
    expected, _, _ = _updates(optax.with_extra_args_support(made(lambda step: 0.2 / (1 + step))))
    found, _, _ = _updates(optim.build(name, numbers, lambda step: 1 / (1 + step)))
    _equal(found, expected)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("optax.rprop", lambda: optax.rprop(0.2)),  # takes a number as its rate, not a schedule
        ("optax.polyak_sgd", lambda: optax.chain(optax.polyak_sgd(), optax.scale(0.2))),  # takes none of that name
    ],
)
def test_a_schedule_scales_the_update_of_one_that_takes_none(name, made):
    numbers = optim.resolve(name, {"learning_rate": 0.2})
    expected, _, _ = _updates(optax.with_extra_args_support(made()), 1)
    found, _, _ = _updates(optim.build(name, numbers, lambda step: 0.5), 1)
    _equal(found, jax.tree.map(lambda leaf: 0.5 * leaf, expected))


def test_its_weight_decay_is_decoupled_and_for_kernels_only():
    assert optim.resolve("optax.adamaxw", {})["weight_decay"] == 1e-4
    found, _, _ = _updates(
        optim.build("optax.adamaxw", {"learning_rate": 0.2, "weight_decay": 0.5}, lambda step: 1.0), 1
    )
    plain, _, _ = _updates(optax.with_extra_args_support(optax.adamax(0.2)), 1)
    _equal(found[0], {"kernel": plain[0]["kernel"] - 0.2 * 0.5 * KERNEL, "bias": plain[0]["bias"]})


def test_a_schedule_free_method_is_evaluated_at_its_average():
    name = "optax.contrib.schedule_free_sgd"
    _, params, state = _updates(optim.build(name, optim.resolve(name, {"learning_rate": 0.2}), lambda step: 1.0))
    _, expected, plain = _updates(optax.contrib.schedule_free_sgd(0.2))
    average = optax.contrib.schedule_free_eval_params(plain, expected)
    _equal(optim.eval_params(name, state, params), average)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("optax.adammax", "optax .* has no 'optax.adammax'; did you mean 'optax.adamax'\\?"),
        ("optax.contrib.adam", "optax .* has no 'optax.contrib.adam'; did you mean .*"),
        ("optax.scale_by_adam", "optax.scale_by_adam is a transformation, not an optimizer; chain it into .*"),
        ("optax.contrib.sam", "optax.contrib.sam needs optimizer, adv_optimizer, which no config can give; chain .*"),
        ("optax.contrib.sophia", "optax.contrib.sophia does not run as an optimizer here .*obj_fn must be provided.*"),
        ("optax.apply_updates", "optax.apply_updates needs params, updates, which .*"),
    ],
)
def test_what_is_no_optimizer_is_refused(name, message):
    with pytest.raises(ConfigError, match=f"^config.optimizer.name: {message}$"):
        make_run(toy.toy_config(optimizer__name=name), toy.TRAIN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": "much"}, "config.optimizer.options.beta of optax.contrib.momo must be a number, not 'much'"),
        (
            {"bet": 0.5},
            "config.optimizer.options.bet is set, but optax.contrib.momo does not take it; .*beta.*",
        ),
        (
            {"weight_decay": 0.5},
            "config.optimizer.options.weight_decay has a key of its own; set .*weight_decay",
        ),
    ],
)
def test_an_argument_that_it_does_not_take_is_refused(options, message):
    config = toy.toy_config(optimizer__name="optax.contrib.momo")
    config.optimizer.options.update(options)
    validate(config)
    with pytest.raises(ConfigError, match=f"^{message}$"):
        member_of(config)


def test_an_arm_names_it_and_searches_its_learning_rate_alone():
    momo, rprop = parse_arms(["optax.contrib.momo:beta=0.8", "optax.rprop"], tuned=True)
    assert momo.defaults() == {"learning_rate": 1.0, "beta": 0.8, "lower_bound": 0.0}
    assert rprop.space().keys() == {"learning_rate"}
    with pytest.raises(ConfigError, match=r"arm 'optax\.rprop:b1=0\.5' sets 'b1', but optax\.rprop does"):
        parse_arms(["optax.rprop:b1=0.5"], tuned=True)


@pytest.mark.parametrize("name", ["optax.contrib.momo", "optax.lbfgs"])
def test_one_that_asks_for_the_loss_trains(name):
    config = toy.toy_config(model__name="linear", optimizer__name=name)
    run, member, train = make_run(config, toy.TRAIN), member_of(config), device.put(toy.split(toy.TRAIN))
    epoch, state = jax.jit(run.epoch, donate_argnums=0), jax.jit(run.init)(member)
    losses = []
    for _ in range(3):
        state, counts = epoch(state, member, train)
        losses.append(counts.means()["loss"])
    assert losses[-1] < 0.8 * losses[0]
