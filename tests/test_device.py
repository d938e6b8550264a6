from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

from fmnist_jax.data import FASHION_MNIST, Dataset, Split, device


def split() -> Split:
    images = np.arange(3 * 28 * 28, dtype=np.uint64).astype(np.uint8).reshape(3, 28, 28)
    return Split(images, np.array([0, 9, 4], np.uint8))


def test_put_keeps_the_values_and_the_small_dtype_of_images():
    placed = device.put(split())
    assert placed.images.dtype == jnp.uint8
    assert placed.labels.dtype == jnp.int32
    assert (placed.images == split().images).all()
    assert placed.labels.tolist() == [0, 9, 4]
    assert placed.images.devices() == {jax.devices()[0]}


def test_a_split_on_the_device_does_not_change_with_the_arrays_it_came_from():
    source = split()
    placed = device.put(source)
    source.images[:] = 0
    source.labels[:] = 0
    assert (placed.images == split().images).all()
    assert placed.labels.tolist() == [0, 9, 4]


def test_a_split_on_the_device_is_an_argument_of_a_compiled_function():
    total = jax.jit(lambda placed: placed.images.astype(jnp.int32).sum() + placed.labels.sum())(device.put(split()))
    assert total == split().images.sum() + 13


def test_normalise_scales_to_one_and_adds_the_channel():
    images = np.zeros((2, 28, 28), np.uint8)
    images[1, 27, 0], images[0, 0, 0] = 255, 51
    found = device.normalise(jnp.asarray(images))
    assert found.shape == (2, 28, 28, 1)
    assert found.dtype == jnp.float32
    assert found.max() == found[1, 27, 0, 0] == 1
    np.testing.assert_allclose(found[0, 0, 0, 0], 0.2, rtol=1e-6)


def test_normalise_keeps_channels():
    images = np.arange(2 * 5 * 4 * 3, dtype=np.uint8).reshape(2, 5, 4, 3)
    np.testing.assert_allclose(device.normalise(jnp.asarray(images)), images / 255, rtol=1e-6)


def test_a_dataset_is_on_the_device_once():
    dataset = Dataset(FASHION_MNIST, split(), split(), split(), "made up", {})
    sharding = SingleDeviceSharding(jax.devices()[0])
    first, second = device.on_device(dataset, sharding), device.on_device(dataset, sharding)
    assert first.nbytes(resident=True) == 0
    assert first["train"].images.unsafe_buffer_pointer() == second["train"].images.unsafe_buffer_pointer()
    assert first.nbytes(resident=True) == sum(array.nbytes for array in first["train"])
    other = device.on_device(Dataset(FASHION_MNIST, split(), split(), split(), "made up", {}), sharding)
    assert other["train"].images.unsafe_buffer_pointer() != first["train"].images.unsafe_buffer_pointer()


def test_a_test_set_that_stands_in_for_validation_is_on_the_device_once():
    test = split()
    on_device = device.on_device(
        Dataset(FASHION_MNIST, split(), test, test, "made up", {}), SingleDeviceSharding(jax.devices()[0])
    )
    assert on_device["val"] is on_device["test"]
    assert on_device.nbytes() == sum(array.nbytes for name in ("train", "val") for array in on_device[name])
