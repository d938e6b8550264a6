from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optimizer_rules import RULES, keras_adam, prodigy, sam, soap

from fmnist_jax import optim

STEPS = 6
RATE = 0.1


def _params() -> dict[str, jax.Array]:
    rng = np.random.default_rng(0)
    return {"kernel": jnp.asarray(rng.normal(size=(3, 4)), jnp.float32), "bias": jnp.asarray([0.5, -1.0, 2.0, 0.1])}


def _gradients() -> dict[str, np.ndarray]:
    """`STEPS` gradients stacked, of sizes from 1e-6 to 10, some of them 0."""
    rng = np.random.default_rng(1)
    drawn = {
        name: rng.normal(size=(STEPS, *leaf.shape)) * 10.0 ** rng.integers(-6, 2, leaf.shape)
        for name, leaf in _params().items()
    }
    drawn["bias"][:, 0] = 0.0
    return {name: leaf.astype(np.float32) for name, leaf in drawn.items()}


def _resolved(name: str, **given: float) -> dict[str, jax.Array]:
    """Hyperparameters as a run passes them: as float32."""
    rates = {key: RATE for key in optim.hyperparameters_of(name) if key.endswith("learning_rate")}
    resolved = optim.resolve(name, rates | given)
    return {key: jnp.float32(value) for key, value in resolved.items()}


def _loss(params) -> jax.Array:
    return 0.5 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


# What optax's transformations may ask for beside the gradient.
EXTRA = {"value_fn": _loss}

# With the default b2 = 0.999, float32 has too few digits for RAdam's rectification of the first steps.
CHECKED_AT = {"radam": {"b2": 0.9}}
# Prodigy multiplies its own estimate of the rate.
DESCENDING = {"prodigy": {"learning_rate": 1.0}}


def _trained(name: str, scale: Callable = lambda step: 1.0, start: Any = None, **given: float):
    """Parameters, from `start` or `_params()`, and evaluated parameters after each of the given gradients."""
    transformation = optim.build(name, _resolved(name, **given), scale)

    def step(carry, gradients):
        params, state = carry
        updates, state = transformation.update(gradients, state, params, **EXTRA)
        params = optax.apply_updates(params, updates)
        return (params, state), (params, optim.eval_params(name, state, params))

    params = start or _params()
    return jax.jit(lambda: jax.lax.scan(step, (params, transformation.init(params)), _gradients())[1])()


@pytest.mark.smoke
@pytest.mark.parametrize("name", RULES)
def test_updates_match_the_definition_in_float64(name):
    given = CHECKED_AT.get(name, {})
    hyperparameters = {key: float(value) for key, value in _resolved(name, **given).items()}
    _, evaluated = _trained(name, **given)
    for part, start in _params().items():
        # Decay is for kernels only.
        given = hyperparameters | (
            {"weight_decay": 0.0} if part == "bias" and "weight_decay" in hyperparameters else {}
        )
        expected = np.stack(list(RULES[name](np.float64(start), np.float64(_gradients()[part]), **given)))
        np.testing.assert_allclose(evaluated[part], expected, rtol=1e-5, atol=1e-5 * RATE)


def test_every_optimizer_has_its_rule_checked():
    assert set(RULES) == set(optim.names()) - {"muon", "soap", "prodigy", "sam"}, "those have tests of their own, below"


def _flat(tree: dict[str, Any], *leading: int) -> np.ndarray:
    return np.concatenate([np.float64(leaf).reshape(*leading, -1) for leaf in jax.tree.leaves(tree)], -1)


# Prodigy's first steps are 1e-6 long, less than the rounding of parameters of 1.
@pytest.mark.parametrize(("name", "rule", "rate", "size"), [("sam", sam, RATE, 1.0), ("prodigy", prodigy, 1.0, 1e-6)])
def test_updates_that_depend_on_all_parameters_match_the_definition_in_float64(name, rule, rate, size):
    start = jax.tree.map(lambda leaf: size * leaf, _params())
    hyperparameters = {key: float(value) for key, value in _resolved(name, learning_rate=rate).items()}
    params, _ = _trained(name, start=start, learning_rate=rate)
    expected = np.stack(list(rule(_flat(start), _flat(_gradients(), STEPS), **hyperparameters)))
    np.testing.assert_allclose(_flat(params, STEPS), expected, rtol=1e-5, atol=1e-5 * rate * size)
    assert np.abs(expected[-1] - expected[-2]).max() > 0.1 * size


def test_the_weight_decay_of_prodigy_is_multiplied_by_its_estimate_of_the_distance():
    with_decay, without = (_first_update("prodigy", weight_decay=jnp.float32(decay)) for decay in (0.3, 0.0))
    expected = {"kernel": -1e-6 * RATE * 0.3 * _params()["kernel"], "bias": jnp.zeros(4)}
    for part, value in expected.items():
        np.testing.assert_allclose(with_decay[part] - without[part], value, rtol=1e-4, atol=1e-12)


def test_sam_clips_the_gradient_that_it_steps_along():
    params = {"kernel": jnp.asarray([[3.0]]), "bias": jnp.asarray([4.0])}
    transformation = optim.build("sam", _resolved("sam", clip_norm=1.0, rho=1e-3), lambda step: 1.0)
    updates, _ = transformation.update(params, transformation.init(params), params, **EXTRA)
    np.testing.assert_allclose([updates["kernel"][0, 0], updates["bias"][0]], [-RATE * 0.6, -RATE * 0.8], rtol=1e-6)


@pytest.mark.parametrize(("b1", "b2"), [(0.0, 0.999), (0.9, 0.0), (0.0, 0.0), (0.999, 0.9999)])
def test_adam_at_extreme_betas(b1, b2):
    betas = {"b1": b1, "b2": b2}
    exact = {key: float(value) for key, value in _resolved("adam", **betas).items()}
    _, evaluated = _trained("adam", **betas)
    for part, start in _params().items():
        expected = np.stack(list(keras_adam(np.float64(start), np.float64(_gradients()[part]), **exact)))
        np.testing.assert_allclose(evaluated[part], expected, rtol=1e-5, atol=1e-4 * RATE)


def test_muon_orthogonalises_a_convolution_kernel_as_a_matrix():
    rng = np.random.default_rng(0)
    params = {"kernel": jnp.zeros((3, 3, 4, 8)), "bias": jnp.zeros(8)}
    gradients = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)
    transformation = optim.build("muon", _resolved("muon"), lambda step: 1.0)
    updates, _ = transformation.update(gradients, transformation.init(params), params)
    u, _, v = np.linalg.svd(gradients["kernel"].reshape(36, 8), full_matrices=False)
    update = -np.asarray(updates["kernel"]).reshape(36, 8) / (RATE * 0.2 * np.sqrt(36))
    # Newton-Schulz iterations bring singular values near 1, not to it (Jordan 2024).
    singular_values = np.linalg.svd(update, compute_uv=False)
    assert ((singular_values > 0.6) & (singular_values < 1.3)).all()
    assert np.sum(update * (u @ v)) / (np.linalg.norm(update) * np.sqrt(8)) > 0.97


@pytest.mark.parametrize("shape", [(2, 2, 3, 5), (4, 9)])
def test_soap_matches_its_definition_in_float64(shape):
    rng = np.random.default_rng(0)
    start, gradients = (rng.normal(size=(*steps, *shape)).astype(np.float32) for steps in ((), (8,)))

    @jax.jit
    @jax.vmap
    def trained(rate):
        transformation = optim.build(
            "soap", _resolved("soap", frequency=3.0) | {"learning_rate": rate}, lambda step: 1.0
        )

        def step(carry, gradient):
            updates, state = transformation.update(gradient, carry[1], carry[0])
            params = optax.apply_updates(carry[0], updates)
            return (params, state), params

        return jax.lax.scan(step, (jnp.asarray(start), transformation.init(start)), gradients)[1]

    def tall(array: np.ndarray) -> np.ndarray:
        matrix = np.float64(array).reshape(*array.shape[: array.ndim - len(shape)], -1, shape[-1])
        return matrix if matrix.shape[-2] >= matrix.shape[-1] else matrix.swapaxes(-1, -2)

    numbers = {key: float(value) for key, value in _resolved("soap", frequency=3.0).items()}
    for rate, found in zip((RATE, 0.5 * RATE), trained(jnp.asarray([RATE, 0.5 * RATE])), strict=True):
        expected = np.stack(list(soap(tall(start), tall(gradients), **numbers | {"learning_rate": rate})))
        np.testing.assert_allclose(tall(np.asarray(found)), expected, rtol=1e-4, atol=1e-4 * RATE)


def test_soap_leaves_the_head_to_adamw():
    params = {"kernel": jnp.ones((6, 4)), "bias": jnp.ones(4)}
    rng = np.random.default_rng(0)
    gradients = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)

    def updates(name, given):
        transformation = optim.build(name, given, lambda step: 1.0, num_classes=4)
        return transformation.update(gradients, transformation.init(params), params)[0]

    numbers = _resolved("soap")
    plain = {key: value for key, value in numbers.items() if key != "frequency"}
    jax.tree.map(np.testing.assert_array_equal, updates("soap", numbers), updates("adamw", plain))


def test_muon_leaves_head_and_biases_to_adamw_at_its_own_rate():
    rng = np.random.default_rng(0)
    shapes = {"hidden": {"kernel": (6, 7)}, "logits": {"kernel": (7, 10), "bias": (10,)}}
    draws = [
        jax.tree.map(lambda s: jnp.asarray(rng.normal(size=s), jnp.float32), shapes, is_leaf=lambda s: type(s) is tuple)
        for _ in range(4)
    ]

    def updates(name, params, num_classes=None, **given):
        numbers = _resolved(name, weight_decay=0.1, **given)
        transformation = optim.build(name, numbers, lambda step: 1 / (1 + step), num_classes=num_classes)
        state = transformation.init(params)
        for gradients in draws[1:]:
            update, state = transformation.update(gradients, state, params)
        return update

    found = updates("muon", draws[0], 10, learning_rate=0.01, adam_learning_rate=0.03)
    # AdamW's decay is multiplied by Muon's rate.
    expected = updates("adamw", draws[0], learning_rate=0.03)
    expected["logits"]["kernel"] += 0.1 * (0.03 - 0.01) / 3 * draws[0]["logits"]["kernel"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found["logits"], expected["logits"])
    without_head = updates("muon", draws[0], learning_rate=0.01, adam_learning_rate=0.03)
    np.testing.assert_allclose(found["hidden"]["kernel"], without_head["hidden"]["kernel"], rtol=1e-3)
    assert np.abs(found["logits"]["kernel"] - without_head["logits"]["kernel"]).max() > 1e-3


def test_parameter_groups_have_their_own_rules_by_path():
    params = {"conv": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}, "conv2": {"kernel": jnp.ones((2, 2))}}
    transformation = optim.parameter_groups(
        {"slow": optax.scale(0.5), "fast": optax.scale(4.0)},
        lambda path, leaf: "fast" if path == "conv.bias" or leaf.shape == (3,) else "slow",
    )
    updates, _ = transformation.update(params, transformation.init(params), params)
    factors = {"conv": {"kernel": 0.5, "bias": 4.0}, "conv2": {"kernel": 0.5}}
    jax.tree.map(lambda u, f: np.testing.assert_array_equal(u, f * np.ones(u.shape)), updates, factors)


@pytest.mark.parametrize("name", optim.names())
def test_every_optimizer_descends(name):
    transformation = optim.build(name, _resolved(name, **DESCENDING.get(name, {})), lambda step: 1.0)

    def step(carry, _):
        params, state = carry
        updates, state = transformation.update(jax.grad(_loss)(params), state, params, **EXTRA)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def descended(params):
        (params, state), _ = jax.lax.scan(step, (params, transformation.init(params)), length=60)
        return _loss(optim.eval_params(name, state, params))

    assert descended(_params()) < 0.2 * _loss(_params())


def _first_update(name: str, **given: Any):
    transformation = optim.build(name, _resolved(name) | given, lambda step: 1.0)
    gradients = {part: leaf[0] for part, leaf in _gradients().items()}
    return transformation.update(gradients, transformation.init(_params()), _params(), **EXTRA)[0]


@pytest.mark.parametrize("name", sorted({*optim.names()} - {"prodigy"}))
def test_weight_decay_is_decoupled_and_applies_to_kernels_only(name):
    def updates(decay):
        return _first_update(name, weight_decay=decay)

    with_decay, without = (jax.jit(updates)(decay) for decay in (0.3, 0.0))
    expected = {"kernel": -RATE * 0.3 * _params()["kernel"], "bias": jnp.zeros(4)}
    for part, value in expected.items():
        np.testing.assert_allclose(with_decay[part] - without[part], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", optim.names())
def test_hyperparameters_may_be_traced_and_mapped(name):
    resolved = _resolved(name, weight_decay=0.01, clip_norm=1.0)

    @jax.jit
    def updates(factor):
        return _first_update(name, **{key: value * factor for key, value in resolved.items()})

    factors = jnp.asarray([1.0, 0.9])
    together = jax.jit(jax.vmap(updates))(factors)
    for i, factor in enumerate(factors):
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(updates(factor)), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("clip_norm", "factor"), [(1.0, 0.2), (100.0, 1.0)])
def test_gradients_are_clipped_to_the_global_norm(clip_norm, factor):
    gradients = {"kernel": jnp.full((1, 1), 3.0), "bias": jnp.full(1, 4.0)}
    transformation = optim.build("sgd", _resolved("sgd", clip_norm=clip_norm), lambda step: 1.0)
    updates, _ = transformation.update(gradients, transformation.init(gradients), gradients)
    for part, gradient in gradients.items():
        np.testing.assert_allclose(updates[part], -RATE * factor * gradient, rtol=1e-6)


def test_a_clipped_schedule_free_run_is_evaluated_at_its_average_too():
    _, plain = _trained("schedule-free-adamw")
    _, clipped = _trained("schedule-free-adamw", clip_norm=1e6)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(clipped), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "lion", "schedule-free-adamw"])
def test_the_schedule_scales_the_rate_from_the_first_step_on(name):
    """A schedule that is 0 but at one step: only there do parameters move, as far as without a schedule."""
    params, _ = _trained(name, scale=lambda step: jnp.where(step == 0, 1.0, 0.0))
    unscheduled, _ = _trained(name)
    for part, start in _params().items():
        np.testing.assert_allclose(params[part][0], unscheduled[part][0], rtol=1e-6)
        assert not np.array_equal(params[part][0], start)
    late, _ = _trained(name, scale=lambda step: jnp.where(step == 2, 1.0, 0.0))
    moved = [np.abs(a - b).max() > 0.1 * RATE for a, b in itertools.pairwise([_params()["kernel"], *late["kernel"]])]
    assert moved[:3] == [False, False, True]


def _decayed(decay_schedule, steps: int = 3) -> np.ndarray:
    """A kernel of ones after each of `steps` steps of sgd without a gradient, at half the peak rate in the third."""
    numbers = {"learning_rate": RATE, "weight_decay": 0.3}
    transformation = optim.build("sgd", numbers, lambda step: jnp.where(step < 2, 1.0, 0.5), decay_schedule)
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    state, found = transformation.init(params), []
    for _ in range(steps):
        updates, state = transformation.update(jax.tree.map(jnp.zeros_like, params), state, params)
        params = optax.apply_updates(params, updates)
        assert (params["bias"] == 1).all()
        found.append(float(params["kernel"][0, 0]))
    return np.asarray(found)


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [RATE * 0.3, RATE * 0.3, RATE * 0.15]),
        ("independent", [0.3, 0.3, 0.15]),
        (lambda step: 1.0 + step, [RATE * 0.3, RATE * 0.6, RATE * 0.45]),
    ],
)
def test_weight_decay_has_a_schedule_of_its_own(schedule, factors):
    np.testing.assert_allclose(_decayed(schedule), np.cumprod(1 - np.asarray(factors)), rtol=1e-6)
