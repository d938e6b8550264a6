"""What the network sees: training images as they are, and as they were augmented in several epochs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fmnist_jax.config.schema import SCHEMA
from fmnist_jax.data import Description
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.report import theme
from fmnist_jax.report.model import Picture, Section

AUGMENTED_FILE = "augmented.npz"
_LABEL, _GAP, _HEADING = 1.05, 0.06, 0.22  # inches: the class names at the left, between images, above the columns


@dataclasses.dataclass(frozen=True)
class AugmentedImages:
    """Training images before and after augmentation.

    **Attributes:**

    - `labels`: integers `[n]`.
    - `originals`: `uint8[n, ...]`; `augmented`: `uint8[n, epochs, ...]`, in the first epochs of the run.
    """

    labels: np.ndarray
    originals: np.ndarray
    augmented: np.ndarray


def read_augmented(folder: WorkdirReader, description: Description) -> AugmentedImages | None:
    """Returns the augmented images in the workdir, `None` where there are none; raises `WorkdirError` if damaged."""
    if not folder.has(AUGMENTED_FILE):
        return None
    arrays, shape = folder.arrays(AUGMENTED_FILE), description.array_shape
    number, epochs = (*arrays.get("augmented", np.empty(0)).shape, 0, 0)[:2]
    expected = {
        "labels": (np.integer, (number,)),
        "originals": (np.uint8, (number, *shape)),
        "augmented": (np.uint8, (number, epochs, *shape)),
    }
    for name, (kind, shape) in expected.items():
        if name not in arrays or arrays[name].shape != shape or not np.issubdtype(arrays[name].dtype, kind):
            raise folder.error(AUGMENTED_FILE, f"does not hold {name} as {kind.__name__} {shape}")
    labels = arrays["labels"]
    if not arrays["augmented"].size or labels.min() < 0 or labels.max() >= description.num_classes:
        raise folder.error(AUGMENTED_FILE, f"has no image, or labels outside 0 to {description.num_classes - 1}")
    return AugmentedImages(*(arrays[name] for name in expected))


def augmentation_section(
    images: AugmentedImages, class_names: Sequence[str], config: Mapping[str, Any], subject: theme.Subject
) -> Section:
    """Returns the pictures of augmented images, with the settings of `config.augment` that differ from the defaults."""
    return Section("Augmentation", [f"Switched on: {_settings(config)}.", augmented(images, class_names, subject)])


def _settings(config: Mapping[str, Any]) -> str:
    """The keys of `config.augment` that are not at their defaults."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in config["augment"].items()}
    changed = {key: value for key, value in values.items() if value != SCHEMA[f"augment.{key}"].default}
    return ", ".join(f"{key} {', '.join(value) if key == 'custom' else value}" for key, value in changed.items())


@theme.plot_style()
def augmented(images: AugmentedImages, class_names: Sequence[str], subject: theme.Subject) -> Picture:
    """Draws a row for each image: as it is, then as the network sees it in each epoch."""
    number, epochs = images.augmented.shape[:2]
    tile = (theme.WIDTH - _LABEL - _GAP) / (1 + epochs) - _GAP
    height = theme.HEAD + _HEADING + number * (tile + _GAP)
    figure = theme.new_figure(height, "What the network sees", subject, layout="none")
    figure.subplots_adjust(_LABEL / theme.WIDTH, _GAP / height, 1 - _GAP / theme.WIDTH)
    figure.subplots_adjust(top=1 - (theme.HEAD + _HEADING) / height, wspace=_GAP / tile, hspace=_GAP / tile)
    grid = figure.subplots(number, 1 + epochs, squeeze=False)
    for row, label, original, seen in zip(grid, images.labels, images.originals, images.augmented, strict=True):
        for axes, image in zip(row, [original, *seen], strict=True):
            theme.show_image(axes, image)
        place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "xytext": (-5, 0)}
        name = theme.truncated(class_names[label])
        row[0].annotate(name, (0, 0.5), **place, ha="right", va="center", fontsize=8.8)
    for axes, title in zip(grid[0], ["original", *(f"epoch {1 + epoch}" for epoch in range(epochs))], strict=True):
        axes.set_title(title, fontsize=8.8, pad=3)
    return Picture(
        "augmentation",
        theme.to_png(figure),
        f"{number} training images, each as it is and as it was augmented in the first {epochs} epochs.",
        "Training images, and the same images as the network saw them in the first epochs.",
    )
