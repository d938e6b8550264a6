"""Writes a report's plots and its two renderings into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fmnist_jax.files.atomic import remove, write_atomically
from fmnist_jax.report.html import render_html
from fmnist_jax.report.markdown import render_markdown
from fmnist_jax.report.model import Report, pictures


def write_report(folder: Path, report: Report, plot_names: Sequence[str]) -> Path:
    """Writes `plots/*.png`, `report.md` and `report.html` and returns the path of the last.

    Removes the plots that an earlier report left and this one does not have.

    **Arguments:**

    - `plot_names`: the names of all plots that a report of this kind can have, without a prefix.
    """
    drawn = {picture.name: picture for picture in pictures(report.items)}
    plots, page = folder / "plots", folder / "report.html"
    for name in plot_names:
        # Also for a file that does not exist, so that an unusable folder is an error.
        for path in {plots / f"{name}.png", *plots.glob(f"*{name}.png")}:
            if path.stem not in drawn:
                remove(path)
    for name, picture in drawn.items():
        write_atomically(plots / f"{name}.png", picture.png)
    write_atomically(folder / "report.md", render_markdown(report).encode())
    write_atomically(page, render_html(report).encode())
    return page
