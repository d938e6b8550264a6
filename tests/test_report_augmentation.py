from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from workdir_files import write_augmented, write_run

from fmnist_jax.errors import WorkdirError
from fmnist_jax.report.model import pictures
from fmnist_jax.report.run.augmentation import AugmentedImages, augmented
from fmnist_jax.report.run.report import run_report
from fmnist_jax.report.run.workdir import read_run
from fmnist_jax.report.theme import Subject

NONE = np.zeros((0, 4, 28, 28), np.uint8)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = write_run(tmp_path / "run", epochs=3, examples=100)
    config = (folder / "config.json").read_text()
    config = config.replace('"flip": "none"', '"flip": "random"').replace('"custom": []', '"custom": ["mine", "yours"]')
    (folder / "config.json").write_text(config)
    return folder


def test_the_report_shows_the_images_and_what_is_switched_on(workdir):
    write_augmented(workdir)
    report = run_report(read_run(workdir))
    (section,) = [item for item in report.items if getattr(item, "title", "") == "Augmentation"]
    assert "custom mine, yours" in section.items[0]
    assert "flip random" in section.items[0]
    assert "cutout" not in section.items[0]
    (picture,) = pictures([section])
    assert picture.alt.startswith("3 training images, each as it is and as it was augmented in the first 4 epochs")


def test_a_run_without_augmentation_has_no_such_section(workdir):
    assert read_run(workdir).augmented is None
    assert "augmentation" not in [picture.name for picture in pictures(run_report(read_run(workdir)).items)]


@pytest.mark.parametrize("channels", [(), (2,), (3,)])
def test_the_picture_has_a_row_for_each_image_and_a_column_for_each_epoch(channels):
    originals, seen = np.zeros((2, 8, 8, *channels), np.uint8), np.full((2, 3, 8, 8, *channels), 255, np.uint8)
    picture = augmented(AugmentedImages(np.array([1, 0]), originals, seen), ("a", "b"), Subject("mine", False))
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)).convert("L"))
    dark = (pixels < 40).sum()
    assert 0.02 < dark / pixels.size < 0.25  # the two originals; what was augmented is white here


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"augmented": np.zeros(3, np.uint8)}, "does not hold "),
        ({"augmented": np.zeros((3, 4, 28, 27), np.uint8)}, r"does not hold augmented as uint8 \(3, 4, 28, 28\)"),
        ({"originals": np.zeros((3, 28, 28))}, r"does not hold originals as uint8 \(3, 28, 28\)"),
        ({"labels": np.array([0, 3, 10])}, ".*labels outside 0 to 9"),
        ({"labels": np.array([]).astype(int), "originals": NONE[:, 0], "augmented": NONE}, "has no image"),
    ],
)
def test_a_damaged_file_is_an_error(workdir, changes, message):
    write_augmented(workdir, **changes)
    with pytest.raises(WorkdirError, match=rf"augmented\.npz {message}"):
        read_run(workdir)


def test_a_file_without_one_of_the_arrays_is_an_error(workdir):
    np.savez(workdir / "augmented.npz", labels=np.array([0]), augmented=np.zeros((1, 2, 28, 28), np.uint8))
    with pytest.raises(WorkdirError, match=r"augmented\.npz does not hold originals"):
        read_run(workdir)
