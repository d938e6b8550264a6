"""Writes a report's page and plots into a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fmnist_jax.files.atomic import remove, write_atomically
from fmnist_jax.report.page import Picture


def write_plots(folder: Path, pictures: Mapping[str, Picture], kinds: tuple[str, ...]) -> None:
    """Writes `plots/<name>.png` for each picture, and removes what an earlier report left there and this one has not.

    **Arguments:**

    - `kinds`: how the names of all pictures that such a report can have end.
    """
    for kind in kinds:
        # Also without a file to remove, so that a folder that cannot be used is told of.
        for path in {folder / "plots" / f"{kind}.png", *(folder / "plots").glob(f"*{kind}.png")}:
            if path.stem not in pictures:
                # One of an earlier state of the files would pass for one of this state.
                remove(path)
    for name, picture in pictures.items():
        write_atomically(folder / "plots" / f"{name}.png", picture.png)


def write_page(folder: Path, text: str) -> Path:
    """Writes `report.html` and returns its path."""
    path = folder / "report.html"
    write_atomically(path, text.encode("utf-8"))
    return path
