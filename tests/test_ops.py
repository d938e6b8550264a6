"""Our convolutions agree with XLA's, values and gradients, ties of the maximum included."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from fmnist_jax.ops import chunks, conv2d, conv_general_dilated, conv_relu_pool, global_max_pool, winograd
from fmnist_jax.ops.conv_algorithm import choose
from fmnist_jax.ops.fft_conv import FFTConvPlan

shapes = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "size": st.tuples(st.integers(6, 10), st.integers(6, 10)),
        "window": st.tuples(st.integers(1, 5), st.integers(1, 5)),
        "channels": st.tuples(st.integers(1, 3), st.integers(1, 4)),
        "strides": st.tuples(st.integers(1, 2), st.integers(1, 3)),
        "padding": st.sampled_from(["VALID", "SAME", ((1, 0), (0, 2))]),
        "seed": st.integers(0, 100),
    }
)


def _arrays(shape, integers: bool):
    keys = jax.random.split(jax.random.key(shape["seed"]), 3)
    fan_in, fan_out = shape["channels"]

    def draw(key, dims):
        # Small integers make exact ties frequent, and sums of them exact.
        return jax.random.randint(key, dims, -1, 2).astype(jnp.float32) if integers else jax.random.normal(key, dims)

    x = draw(keys[0], (shape["batch"], *shape["size"], fan_in))
    kernel = draw(keys[1], (*shape["window"], fan_in, fan_out))
    return x, kernel, draw(keys[2], (fan_out,))


def _value_and_gradients(function, *arguments):
    @jax.jit
    def evaluate(*arguments):
        y, pullback = jax.vjp(function, *arguments)
        cotangent = jnp.arange(y.size, dtype=y.dtype).reshape(y.shape) % 7 - 2
        return (y, *pullback(cotangent))

    return evaluate(*arguments)


def _assert_same(ours, reference):
    for a, b in zip(ours, reference, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


OURS = ["patches", "winograd", "fourier"]
algorithms = st.sampled_from(OURS)


@settings(max_examples=8, deadline=None)
@given(shapes, algorithms)
def test_conv2d_agrees_with_xla(shape, algorithm):
    x, kernel, _ = _arrays(shape, integers=False)
    ours, reference = (
        functools.partial(conv2d, strides=shape["strides"], padding=shape["padding"], algorithm=chosen)
        for chosen in (algorithm, "xla")
    )
    _assert_same(_value_and_gradients(ours, x, kernel), _value_and_gradients(reference, x, kernel))


@settings(max_examples=8, deadline=None)
@given(shapes, algorithms, st.booleans())
def test_conv_relu_pool_agrees_with_xla_also_at_ties(shape, algorithm, integers):
    # Transforms may round equal values differently, and the gradient goes to the larger one.
    arrays = _arrays(shape, integers and algorithm == "patches")
    ours, reference = (
        functools.partial(conv_relu_pool, strides=shape["strides"], padding=shape["padding"], algorithm=chosen)
        for chosen in (algorithm, "xla")
    )
    _assert_same(_value_and_gradients(ours, *arrays), _value_and_gradients(reference, *arrays))


@pytest.mark.parametrize("algorithm", ["winograd", "fourier"])
@pytest.mark.parametrize("window", [(9, 3), (1, 8)])
def test_kernels_larger_than_any_tile(window, algorithm):
    arrays = _arrays({"batch": 2, "size": (12, 12), "window": window, "channels": (2, 3), "seed": 0}, integers=False)
    ours, reference = (
        _value_and_gradients(functools.partial(conv_relu_pool, algorithm=chosen), *arrays)
        for chosen in (algorithm, "xla")
    )
    _assert_same(ours, reference)


@pytest.mark.parametrize("algorithm", OURS)
def test_negative_padding_and_empty_output(algorithm):
    shape = {"batch": 2, "size": (8, 9), "window": (3, 3), "channels": (2, 3), "seed": 0}
    x, kernel, _ = _arrays(shape, integers=False)
    for padding in (((-1, 2), (0, -1)), ((-3, -3), (0, 0)), ((5, 4), (3, 7))):
        ours, reference = (
            _value_and_gradients(functools.partial(conv2d, padding=padding, algorithm=chosen), x, kernel)
            for chosen in (algorithm, "xla")
        )
        _assert_same(ours, reference)


@pytest.mark.parametrize("algorithm", OURS)
@pytest.mark.parametrize(("batch", "size"), [(0, (8, 8)), (2, (2, 9))])
def test_an_empty_batch_or_an_image_smaller_than_the_kernel_gives_an_empty_output(batch, size, algorithm):
    shape = {"batch": batch, "size": size, "window": (5, 5), "channels": (2, 3), "seed": 0}
    x, kernel, bias = _arrays(shape, integers=False)
    for function, arrays in ((conv2d, (x, kernel)), (conv_relu_pool, (x, kernel, bias))):
        ours, reference = (
            _value_and_gradients(functools.partial(function, algorithm=chosen), *arrays)
            for chosen in (algorithm, "xla")
        )
        assert ours[0].size == 0
        _assert_same(ours, reference)


def test_integer_images_with_float_kernels():
    x = jax.random.randint(jax.random.key(0), (1, 8, 8, 8), -3, 4)
    kernel = jax.random.normal(jax.random.key(1), (5, 5, 8, 2))
    reference = conv2d(x, kernel, algorithm="patches")
    for algorithm in ("winograd", "fourier"):
        np.testing.assert_allclose(conv2d(x, kernel, algorithm=algorithm), reference, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("algorithm", OURS)
def test_zero_features_give_an_empty_output(algorithm):
    x, kernel = jnp.ones((2, 7, 7, 3)), jnp.ones((3, 3, 3, 0))
    assert conv2d(x, kernel, algorithm=algorithm).shape == (2, 5, 5, 0)
    assert conv_relu_pool(x, kernel, jnp.ones(0), algorithm=algorithm).shape == (2, 2, 2, 0)


def test_a_float64_bias_with_float32_images(monkeypatch):
    monkeypatch.setattr(chunks, "_BUDGET_BYTES", 6000)
    jax.clear_caches()
    arrays = _arrays({"batch": 7, "size": (8, 8), "window": (3, 3), "channels": (2, 4), "seed": 0}, integers=False)
    with jax.enable_x64():
        arrays = (*arrays[:2], arrays[2].astype(jnp.float64))
        ours, reference = (
            _value_and_gradients(functools.partial(conv_relu_pool, algorithm=chosen), *arrays)
            for chosen in ("fourier", "xla")
        )
    _assert_same(ours, reference)


def test_an_output_that_the_pooling_drops_entirely_is_empty():
    shape = {"batch": 1, "size": (6, 6), "window": (1, 4), "channels": (1, 1), "strides": (1, 3), "seed": 0}
    arrays = _arrays(shape, integers=False)
    ours, reference = (
        _value_and_gradients(functools.partial(conv_relu_pool, strides=(1, 3), algorithm=algorithm), *arrays)
        for algorithm in ("patches", "xla")
    )
    assert ours[0].shape == (1, 3, 0, 1)
    _assert_same(ours, reference)


@pytest.mark.parametrize("algorithm", OURS)
@pytest.mark.parametrize(("pool", "window"), [(False, (3, 3)), (True, (3, 3)), (True, (5, 5))])
def test_a_batch_of_several_chunks_agrees_with_xla(pool, window, algorithm, monkeypatch):
    # A few examples at a time, which do not divide seven: the last chunk is padded or starts earlier.
    monkeypatch.setattr(chunks, "_BUDGET_BYTES", 6000)
    monkeypatch.setattr(winograd, "_ROWS", 20)
    jax.clear_caches()
    arrays = _arrays({"batch": 7, "size": (8, 8), "window": window, "channels": (2, 4), "seed": 0}, integers=False)
    function = (
        conv_relu_pool if pool else lambda x, kernel, bias, algorithm: conv2d(x, kernel, algorithm=algorithm) + bias
    )
    ours, reference = (
        _value_and_gradients(functools.partial(function, algorithm=chosen), *arrays) for chosen in (algorithm, "xla")
    )
    _assert_same(ours, reference)


@pytest.mark.parametrize("window", [3, 4, 5])
def test_tiles_that_hold_several_pooling_windows_agree_with_xla(window):
    shape = {"batch": 3, "size": (14, 11), "window": (window, window), "channels": (2, 3), "seed": 0}
    arrays = _arrays(shape, integers=False)
    ours, reference = (
        _value_and_gradients(functools.partial(conv_relu_pool, padding="SAME", algorithm=algorithm), *arrays)
        for algorithm in ("winograd", "xla")
    )
    _assert_same(ours, reference)


@pytest.mark.parametrize(("algorithm", "factor", "bound"), [("winograd", 40, 2e-5), ("fourier", 4, 3e-6)])
@pytest.mark.parametrize(
    ("fan_in", "fan_out", "size", "taps"), [(32, 64, 13, 3), (16, 16, 30, 3), (64, 128, 5, 3), (32, 64, 18, 5)]
)
def test_winograd_and_fft_convolutions_round_little_more_than_a_plain_sum(
    fan_in, fan_out, size, taps, algorithm, factor, bound
):
    keys = jax.random.split(jax.random.key(0))
    x = jax.nn.relu(jax.random.normal(keys[0], (8, size, size, fan_in)))
    kernel = jax.random.normal(keys[1], (taps, taps, fan_in, fan_out)) / (taps * fan_in**0.5)
    with jax.enable_x64():
        exact = np.asarray(conv2d(x.astype(jnp.float64), kernel.astype(jnp.float64), algorithm="xla"))
    errors = {
        chosen: np.abs(np.asarray(conv2d(x, kernel, algorithm=chosen)) - exact).max() / exact.std()
        for chosen in ("xla", algorithm)
    }
    assert errors[algorithm] < factor * errors["xla"]
    assert errors[algorithm] < bound


@pytest.mark.parametrize(
    ("size", "pool", "side"), [(28, 1, 4), (14, 1, 3), (14, 2, 4), (10, 2, 2), (7, 1, 4), (3, 1, 3)]
)
def test_tiles_larger_than_the_kernel_where_they_save_many_products(size, pool, side):
    assert winograd.WinogradPlan.of((size, size), (3, 3), pool=pool).tile == (side, side)


@pytest.mark.parametrize(("m", "r"), [(1, 1), (2, 1), (1, 5), (2, 3), (3, 3), (4, 3), (2, 5), (4, 5), (4, 4)])
def test_winograd_matrices_compute_a_convolution(m, r):
    outputs, taps, inputs = winograd.matrices(m, r)
    rng = np.random.default_rng(0)
    kernel, x = rng.normal(size=r), rng.normal(size=m + r - 1)
    expected = np.correlate(x, kernel, "valid")
    np.testing.assert_allclose(outputs.T @ ((taps @ kernel) * (inputs.T @ x)), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "options", [{}, {"strides": 2, "padding": "SAME"}, {"kernel_dilation": 2}, {"feature_group_count": 2}], ids=str
)
def test_nnx_conv_takes_our_convolution_and_its_gradients(options):
    x = jax.random.normal(jax.random.key(0), (2, 9, 9, 4))
    ours, stock = (
        nnx.Conv(4, 6, (3, 3), rngs=nnx.Rngs(0), conv_general_dilated=function, **options)
        for function in (conv_general_dilated, jax.lax.conv_general_dilated)
    )

    def convolved(layer):
        structure, params = nnx.split(layer)
        return _value_and_gradients(lambda x, params: nnx.merge(structure, params)(x), x, params)

    for a, b in zip(jax.tree.leaves(convolved(ours)), jax.tree.leaves(convolved(stock)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("algorithm", OURS)
@pytest.mark.parametrize(("taps", "size"), [(3, (14, 14)), (1, (14, 14)), (3, (7, 9))])
def test_strided_convolutions_of_residual_networks(taps, size, algorithm):
    arrays = _arrays({"batch": 3, "size": size, "window": (taps, taps), "channels": (8, 16), "seed": 0}, integers=False)
    padding = ((taps // 2, taps // 2), (taps // 2, taps // 2))
    ours, reference = (
        _value_and_gradients(functools.partial(conv2d, strides=(2, 2), padding=padding, algorithm=chosen), *arrays[:2])
        for chosen in (algorithm, "xla")
    )
    _assert_same(ours, reference)


def test_the_global_maximum_and_its_gradient():
    x = jnp.array([[[3.0, 1.0], [3.0, 2.0]], [[2.0, 5.0], [-1.0, 4.0]]])[None]
    value, pullback = jax.vjp(global_max_pool, x)
    np.testing.assert_array_equal(value, [[3, 5]])
    (d_x,) = pullback(jnp.array([[7.0, 8.0]]))
    np.testing.assert_array_equal(d_x[0], [[[7, 0], [0, 0]], [[0, 8], [0, 0]]])


def _primitives(function, *arguments):
    return str(jax.make_jaxpr(function)(*arguments))


@pytest.mark.parametrize("algorithm", ["xla", *OURS])
def test_nnx_conv_uses_the_given_algorithm(algorithm, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    x = jax.random.normal(jax.random.key(0), (2, 9, 9, 8))
    function = functools.partial(conv_general_dilated, algorithm=algorithm)
    layer = nnx.Conv(8, 6, (3, 3), rngs=nnx.Rngs(0), conv_general_dilated=function)
    assert ("conv_general_dilated[" in _primitives(layer, x)) == (algorithm == "xla")
    stock = nnx.Conv(8, 6, (3, 3), rngs=nnx.Rngs(0))
    np.testing.assert_allclose(layer(x), stock(x), rtol=1e-4, atol=1e-4)


def _plain_convolution(function, dtype=jnp.float32, **options):
    x = jax.random.normal(jax.random.key(0), (2, 9, 9, 8)).astype(dtype)
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 8, 6)).astype(dtype)
    layout = ("NHWC", "HWIO", "NHWC")
    return functools.partial(function, dimension_numbers=layout, **options), x, kernel, (1, 1), "SAME"


def test_the_preferred_element_type_is_that_of_the_result():
    results = []
    for function in (conv_general_dilated, jax.lax.conv_general_dilated):
        convolve, *arguments = _plain_convolution(function, jnp.bfloat16, preferred_element_type=jnp.float32)
        results.append(convolve(*arguments))
    assert results[0].dtype == results[1].dtype == jnp.float32
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("precision", [jax.lax.Precision.HIGHEST, "highest"])
def test_a_precision_reaches_the_compiler(precision):
    convolve, x, kernel, *others = _plain_convolution(conv_general_dilated, precision=precision)
    text = _primitives(lambda x, kernel: convolve(x, kernel, *others), x, kernel)
    assert "conv_general_dilated[" in text
    assert "precision=(Precision.HIGHEST, Precision.HIGHEST)" in text


def test_options_that_change_nothing_leave_the_algorithm_alone(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    for options in (
        {"precision": None, "preferred_element_type": None, "batch_group_count": 1},
        {"preferred_element_type": jnp.float32, "out_sharding": None},
    ):
        convolve, x, kernel, *others = _plain_convolution(conv_general_dilated, **options)
        assert "conv_general_dilated[" not in _primitives(lambda x, k: convolve(x, k, *others), x, kernel)  # noqa: B023


def test_auto_is_chosen_by_backend_and_shape(monkeypatch):
    def chosen(algorithm, taps, fan_in, *, size=14, batch=128, strides=(1, 1), dtype=jnp.float32):
        kernel = jax.ShapeDtypeStruct((taps, taps, fan_in, 2 * fan_in), dtype)
        out = size - taps + 1
        return choose(algorithm, kernel, strides, FFTConvPlan((size, size), (0, 0), (taps, taps), (out, out)), batch)

    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert chosen("xla", 3, 32) == "xla"
    assert chosen("auto", 3, 32) == "winograd"
    # The narrow layers of residual networks, whose patches take more than the products.
    assert chosen("auto", 3, 16, size=30) == "winograd"
    assert chosen("auto", 3, 1) == chosen("auto", 1, 32) == "patches"
    assert chosen("auto", 5, 32) == chosen("auto", 6, 32) == chosen("auto", 9, 32) == "fourier"
    # Larger images need longer transforms and more memory for their spectra.
    assert chosen("auto", 5, 32, size=40) == "winograd"
    assert chosen("auto", 6, 32, size=100) == chosen("auto", 9, 512) == "patches"
    # The kernel is transformed once for the whole batch.
    assert chosen("auto", 5, 32, batch=1) == "patches"
    for impossible in ({"strides": (2, 1)}, {"dtype": jnp.bfloat16}):
        for algorithm in ("auto", "winograd", "fourier"):
            assert chosen(algorithm, 3, 32, **impossible) == "patches"
    assert chosen("winograd", 6, 32) == "patches"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert chosen("auto", 3, 32) == "xla"


@pytest.mark.parametrize("algorithm", ["xla", *OURS])
@pytest.mark.parametrize("window", [3, 5])
def test_algorithms_work_under_vmap_over_kernels(algorithm, window):
    shape = {"batch": 2, "size": (10, 10), "window": (window, window), "channels": (2, 4), "seed": 0}
    x, kernel, bias = _arrays(shape, integers=False)
    kernels = jnp.stack([kernel, -kernel])

    @jax.jit
    def gradients(kernel):
        return jax.grad(lambda *arrays: jnp.sum(jnp.sin(conv_relu_pool(*arrays, algorithm=algorithm))), (0, 1, 2))(
            x, kernel, bias
        )

    values = jax.vmap(lambda k: conv_relu_pool(x, k, bias, algorithm=algorithm))(kernels)
    values_alone = jnp.stack([conv_relu_pool(x, k, bias, algorithm=algorithm) for k in kernels])
    np.testing.assert_allclose(values, values_alone, rtol=1e-5, atol=1e-5)
    together = jax.vmap(gradients)(kernels)
    alone = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(gradients, kernels))
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    assert "scatter" not in jax.jit(jax.vmap(gradients)).lower(kernels).as_text().replace("select_and_scatter", "")
