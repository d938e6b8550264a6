"""What can be imported from the package itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fmnist_jax
from fmnist_jax.data import Split


@pytest.mark.smoke
def test_every_name_is_there():
    for name in fmnist_jax.__all__:
        assert callable(getattr(fmnist_jax, name)), name
    assert set(fmnist_jax.__all__) <= set(dir(fmnist_jax))


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'fmnist_jax' has no attribute 'nosuch'"):
        _ = fmnist_jax.nosuch


EXAMPLES = [Path("README.md"), *sorted(Path("configs").glob("*.py")), *sorted(Path("docs/examples").glob("*.py"))]


@pytest.mark.parametrize("path", EXAMPLES, ids=str)
def test_examples_import_public_names_only(path):
    lines = [line.strip() for line in path.read_text().splitlines()]
    assert [line for line in lines if line.startswith(("from fmnist_jax.", "import fmnist_jax."))] == []


def test_a_split_on_the_device_and_images_from_a_file(tmp_path):
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    placed = fmnist_jax.device_put_split(Split(images, np.array([3, 4], np.uint8)))
    assert (np.asarray(placed.images) == images).all()
    assert placed.labels.tolist() == [3, 4]
    np.save(tmp_path / "images.npy", images)
    assert fmnist_jax.read_images(str(tmp_path / "images.npy")).shape == (2, 28, 28)


def test_nothing_is_imported_before_it_is_asked_for():
    code = "import sys, fmnist_jax; sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    code = "import sys, fmnist_jax; fmnist_jax.study_config(); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
