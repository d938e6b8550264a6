"""Writes what the network sees in the first epochs, for the report."""

from __future__ import annotations

import io
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from fmnist_jax.data import Dataset
from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.files.atomic import write_atomically
from fmnist_jax.train.network import AUGMENT, TrainState, key_for
from fmnist_jax.train.run import Run

_EXAMPLES, _EPOCHS = 6, 6


def write_augmented(path: Path, run: Run, state: TrainState, dataset: Dataset, train: DeviceSplit) -> None:
    """Writes training images as they are and as the network sees them; nothing where the run augments none.

    The arrays are `labels` `[n]`, `originals` `uint8[n, ...]` and `augmented` `uint8[n, epochs, ...]`: the first image
    of each of the first classes, in the first epochs.

    **Arguments:**

    - `train`: the data set's training split, on the device.
    """
    if not run.augmentation.active or path.exists():
        return
    _, first = np.unique(dataset.train.labels, return_index=True)
    rows = first[:_EXAMPLES]
    # The copies of this process, for other processes may not come here.
    rng, train = jax.tree.map(lambda leaf: leaf.addressable_data(0), (state.rng, train))
    originals = dataset.train.images[rows]

    @jax.jit
    def seen(key: jax.Array, train: DeviceSplit, rows: jax.Array, epoch: jax.Array) -> jax.Array:
        images = run.augmentation.of_epoch(key, epoch, train)(rows).images
        return jnp.round(255 * jnp.clip(images, 0, 1)).astype(jnp.uint8)

    key, indices = key_for(state._replace(rng=rng), AUGMENT), jnp.asarray(rows)
    epochs = jnp.arange(min(_EPOCHS, run.total_steps // run.steps_per_epoch))
    augmented = np.stack([np.asarray(seen(key, train, indices, epoch)) for epoch in epochs], axis=1)
    augmented = augmented.reshape(*augmented.shape[:2], *originals.shape[1:])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, labels=dataset.train.labels[rows], originals=originals, augmented=augmented)
    write_atomically(path, buffer.getvalue())
