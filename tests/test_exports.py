"""What can be imported from the package itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fmnist_jax


@pytest.mark.smoke
def test_every_name_is_there():
    for name in fmnist_jax.__all__:
        assert callable(getattr(fmnist_jax, name)), name
    assert set(fmnist_jax.__all__) <= set(dir(fmnist_jax))


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'fmnist_jax' has no attribute 'nosuch'"):
        _ = fmnist_jax.nosuch


def test_nothing_is_imported_before_it_is_asked_for():
    code = "import sys, fmnist_jax; sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    code = "import sys, fmnist_jax; fmnist_jax.study_config(); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
