"""The package's folders: nothing lies loose beside them, and imports run downward."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "fmnist_jax"
# From the top down; folders of one row do not import each other.
ROWS = (
    ("cli",),
    ("benchmark", "calibration", "records"),
    ("report",),
    ("compare",),
    ("train",),
    ("optim",),
    ("models",),
    ("ops",),
    ("data",),
    ("runtime",),
    ("config",),
    ("files",),
    ("errors",),
)
RANKS = {folder: rank for rank, row in enumerate(ROWS) for folder in row}


def _imported(file: Path) -> Iterator[str]:
    """Yields the dotted names in the package that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_lies_beside_the_folders():
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert files == {"__init__.py", "errors.py", "py.typed"}
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders == RANKS.keys() - {"errors"}


@pytest.mark.parametrize("folder", sorted(RANKS.keys() - {"errors"}))
def test_imports_run_downward(folder):
    for file in (PACKAGE / folder).rglob("*.py"):
        for name in _imported(file):
            package, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if package != "fmnist_jax" or other == folder or other not in RANKS:
                continue
            assert RANKS[other] > RANKS[folder], f"{file.relative_to(ROOT)} imports {name}"
