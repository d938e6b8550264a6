"""Our batch normalisation against Flax's, which is differentiated step by step: values, gradients, running averages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from fmnist_jax import ops
from fmnist_jax.models.batch_norm import BatchNorm, batch_mask

SHAPE = (6, 5, 4, 3)
MASKS = [None, np.array([True, True, False, True, False, True]), np.zeros(6, bool)]


def _layer(kind: type[nnx.BatchNorm], **options) -> nnx.BatchNorm:
    layer = kind(3, momentum=0.7, rngs=nnx.Rngs(0), **options)
    for each, seed in ((layer.scale, 1), (layer.bias, 2)):
        if each is not None:
            each[...] = jax.random.normal(jax.random.key(seed), (3,), each.dtype)
    return layer


def _images(dtype=jnp.float32) -> jax.Array:
    return 3 + 2 * jax.random.normal(jax.random.key(3), SHAPE, dtype)


def _step(layer: nnx.BatchNorm, x: jax.Array, **call):
    """Returns the output, the gradients of `x` and parameters of a loss, and the running averages after the step."""
    weights = jax.random.normal(jax.random.key(4), SHAPE)
    structure, *parts = nnx.split(layer, nnx.Param, ...)
    params, state = map(nnx.to_pure_dict, parts)

    def loss(params, x):
        made = nnx.merge(structure, params, state)
        y = made(x, **call)
        return jnp.sum(jnp.sin(y.astype(jnp.float32)) * weights), (y, nnx.to_pure_dict(nnx.state(made, nnx.BatchStat)))

    gradients, (y, averages) = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, x)
    return y, *gradients, averages


@pytest.mark.parametrize("mask", MASKS[:2])
@pytest.mark.parametrize("options", [{}, {"use_scale": False}, {"use_bias": False, "use_scale": False}])
def test_a_step_is_flaxs(mask, options):
    rows = None if mask is None else mask[:, None, None, None]
    expected = _step(_layer(nnx.BatchNorm, **options), _images(), mask=rows)
    with batch_mask(mask if mask is None else jnp.asarray(mask)):
        found = _step(_layer(BatchNorm, **options), _images())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), found, expected)


def test_in_bfloat16_the_statistics_are_float32():
    x = _images(jnp.bfloat16)
    y, _, d_x, averages = _step(_layer(BatchNorm, dtype=jnp.bfloat16), x)
    expected_y, _, expected_d_x, expected_averages = _step(_layer(nnx.BatchNorm, dtype=jnp.bfloat16), x)
    assert y.dtype == d_x.dtype == jnp.bfloat16
    np.testing.assert_allclose(averages["mean"], expected_averages["mean"], rtol=1e-6)
    np.testing.assert_allclose(averages["var"], expected_averages["var"], rtol=1e-5)
    np.testing.assert_allclose(np.float32(y), np.float32(expected_y), atol=0.03)
    np.testing.assert_allclose(np.float32(d_x), np.float32(expected_d_x), atol=0.1)


def test_its_gradient_is_that_of_finite_differences_statistics_included():
    with jax.enable_x64(True):
        x = jax.random.normal(jax.random.key(5), (4, 3, 2), jnp.float64)
        scale, bias = jnp.array([1.5, -0.5]), jnp.array([0.1, 0.2])
        mask = jnp.array([True, False, True, True])
        check_grads(lambda *given: ops.batch_norm(*given, mask, 1e-3), (x, scale, bias), order=1, modes=["rev"])


def test_a_batch_of_padding_alone_gives_no_nan():
    y, _, d_x, averages = _step_masked(MASKS[2])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((y, d_x, averages)))


def _step_masked(mask: np.ndarray):
    with batch_mask(jnp.asarray(mask)):
        return _step(_layer(BatchNorm), _images())


def test_a_constant_channel_becomes_the_bias():
    x = jnp.full(SHAPE, 0.5)
    y, mean, variance = ops.batch_norm(x, jnp.ones(3), jnp.arange(3.0), None, 1e-5)
    np.testing.assert_allclose(y, jnp.broadcast_to(jnp.arange(3.0), SHAPE), atol=1e-6)
    assert (variance == 0).all()
    assert (mean == 0.5).all()


@pytest.mark.parametrize("options", [{"axis": 1}, {"use_fast_variance": False}, {"axis_name": "members"}])
def test_what_only_flax_has_is_left_to_it(options):
    x = _images()[:, :3]
    options = {"axis": -1} | options

    def both(kind):
        return jax.vmap(lambda x: kind(3, rngs=nnx.Rngs(0), **options)(x), axis_name="members")(x[None])

    np.testing.assert_allclose(both(BatchNorm), both(nnx.BatchNorm), rtol=1e-6)


def test_without_a_mode_it_is_flaxs_error():
    with pytest.raises(ValueError, match="use_running_average"):
        BatchNorm(3, use_running_average=None, rngs=nnx.Rngs(0))(_images())


def test_running_averages_normalise_in_evaluation():
    layer = _layer(BatchNorm)
    before = layer.mean[...]
    y = layer(_images(), use_running_average=True)
    np.testing.assert_allclose(y, _layer(nnx.BatchNorm)(_images(), use_running_average=True))
    assert (layer.mean[...] == before).all()
