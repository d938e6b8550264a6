"""The common style of all plots: colours that the colour-blind can tell apart, one font, a title and a subtitle.

Plots use `matplotlib.figure.Figure`, without pyplot and its global state.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import NullFormatter
from PIL import Image

SYNTHETIC = "SYNTHETIC DATA"
INK, MUTED, FAINT = "#1c2430", "#5b6675", "#dfe4ea"
# Blue and vermilion of the palette of Okabe and Ito (2008), which all forms of colour vision tell apart.
FIRST, SECOND = "#0072b2", "#d55e00"
WIDTH = 6.4  # inches; the fonts are chosen for it
HEAD = 0.62  # inches at the top, for the title
_DPI = 140
_LEFT = 0.015  # of the width
_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "text.parse_math": False,  # names may hold a dollar sign
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "hatch.linewidth": 0.8,
}


@dataclasses.dataclass(frozen=True)
class Subject:
    """The subtitle of plots: what they show. Where `synthetic`, every title says so."""

    text: str
    synthetic: bool

    def title(self, text: str) -> str:
        return f"{SYNTHETIC}: {text}" if self.synthetic else text


@contextlib.contextmanager
def plot_style() -> Iterator[None]:
    """Applies the reports' style within the context, independent of the user's matplotlibrc."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def new_figure(height: float, title: str, subject: Subject, layout: str = "constrained", head: float = HEAD) -> Figure:
    """Returns a figure of the common width and of `height` inches, with title and subtitle at its top left.

    `layout` is one of matplotlib's layout engines or `"none"`; it leaves `head` inches for what stands above the axes.
    """
    figure = Figure(figsize=(WIDTH, height), dpi=_DPI, layout=layout)  # type: ignore[arg-type]
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, 0, 1, 1 - head / height), w_pad=0.08, h_pad=0.08)
    figure.text(_LEFT, 1 - 0.08 / height, subject.title(title), va="top", fontsize=12.5, fontweight="bold")
    figure.text(_LEFT, 1 - 0.34 / height, subject.text, va="top", fontsize=9, color=MUTED)
    return figure


def legend_above(axes: Axes, columns: int) -> None:
    """Puts the legend above the axes, where it hides nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, columnspacing=1.6)


def share_axis(axis: Axis) -> None:
    """Labels an axis of shares in per cent."""
    axis.set_major_formatter(lambda share, _: f"{100 * share:.6g} %")


def log_scale_if_wide(axes: Axes, losses: np.ndarray, ratio: float) -> None:
    """Makes the y axis logarithmic where the largest of the positive `losses` is over `ratio` times the smallest."""
    losses = losses[np.isfinite(losses)]
    if losses.size and 0 < losses.min() * ratio < losses.max():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda loss, _: f"{loss:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())


def to_png(figure: Figure, many_colours: bool = False) -> bytes:
    """Returns the figure as a PNG of 256 colours, a third of the full size; the same figure gives the same bytes.

    **Arguments:**

    - `many_colours`: for lines of many hues; the palette then keeps rare hues rather than fine shades.
    """
    drawn, saved = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    method = Image.Quantize.FASTOCTREE if many_colours else Image.Quantize.MEDIANCUT
    image = Image.open(drawn).convert("RGB").quantize(256, method, dither=Image.Dither.NONE)
    image.save(saved, "PNG", optimize=True)
    return saved.getvalue()
