"""The common style of all plots: colours that the colour-blind can tell apart, one font, a title, axes and legends.

Plots use `matplotlib.figure.Figure`, without pyplot and its global state.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator
from PIL import Image

INK, MUTED, FAINT = "#1c2430", "#5b6675", "#dfe4ea"
# Blue and vermilion of the palette of Okabe and Ito (2008), which all forms of colour vision tell apart.
FIRST, SECOND = "#0072b2", "#d55e00"
WIDTH = 6.4  # inches
HEAD, _KEY = 0.62, 0.3  # inches at the top for the title, and for the key of the markers below it
_LEFT = 0.015  # of the width
_MAX_NAME = 16  # letters of a class name beside a picture
_WIDE = 1.5  # ratio of the largest to the smallest error above which an axis of accuracies is logarithmic
_MIN_ERROR = 1e-4  # on the logarithmic scale
# The first that fit are taken, so the roundest come first.
_TICKS = (0.9, 0.5, 0.8, 0.1, 0.95, 0.7, 0.99, 0.6, 0.85, 0.92, 0.94, 0.3, 0.98, 0.91, 0.93, 0.96, 0.88, 0.75, 0.999)
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
        return f"SYNTHETIC DATA: {text}" if self.synthetic else text


@contextlib.contextmanager
def plot_style() -> Iterator[None]:
    """Applies the reports' style within the context, independent of the user's matplotlibrc."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def new_figure(height: float, title: str, subject: Subject, layout: str = "constrained", key: bool = False) -> Figure:
    """Returns a figure of the common width and of `height` inches, with title and subtitle at its top left.

    `layout` is one of matplotlib's layout engines or `"none"`. With `key`, the figure is higher, for `key_below_title`.
    """
    head = HEAD + _KEY if key else HEAD
    height += head - HEAD
    figure = Figure(figsize=(WIDTH, height), dpi=140, layout=layout)  # type: ignore[arg-type]
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, 0, 1, 1 - head / height), w_pad=0.08, h_pad=0.08)
    figure.text(_LEFT, 1 - 0.08 / height, subject.title(title), va="top", fontsize=12.5, fontweight="bold")
    figure.text(_LEFT, 1 - 0.34 / height, subject.text, va="top", fontsize=9, color=MUTED)
    return figure


def legend_above(axes: Axes, columns: int, handles: Sequence[Line2D] | None = None) -> None:
    """Puts the legend above the axes, where it hides nothing; by default of all that is drawn with a label."""
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, columnspacing=1.6
    )


def key_below_title(figure: Figure, handles: Sequence[Line2D], **spacing: float) -> None:
    """Puts the key of a plot's markers below its title, where `new_figure` left room."""
    place = (0.0, 1 - (HEAD - 0.08) / figure.get_figheight())
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=place, ncols=len(handles), columnspacing=1.4, **spacing
    )


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


def accuracy_axis(axes: Axes, values: np.ndarray, spacing: float = 0.075) -> None:
    """Scales the y axis for accuracies `values`, shares of any shape, NaN ignored; ticks are in per cent.

    The scale is linear, or logarithmic in the error where the errors differ widely, so that it shows both a point at
    60 % and a tenth of a point at 92 %. Ticks are at least `spacing` of the axis apart.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if (1 - low) < _WIDE * max(1 - high, _MIN_ERROR):
        margin = max(0.05 * (high - low), 5e-4)
        axes.set_ylim(max(0.0, low - margin), min(1.0, high + margin))
        axes.yaxis.set_major_locator(MaxNLocator(max(2, round(0.5 / spacing))))
    else:
        axes.set_yscale("function", functions=(_log_error, lambda place: 1 - 10 ** -np.asarray(place)))
        bottom, top = _log_error(np.array([low, high]))
        margin = 0.04 * (top - bottom)
        bottom, top = bottom - margin, top + margin
        axes.set_ylim(*(1 - 10 ** -np.array([bottom, top])))
        axes.yaxis.set_major_locator(FixedLocator(spread_ticks(_TICKS, _log_error, bottom, top, spacing)))
    axes.yaxis.set_minor_locator(NullLocator())
    share_axis(axes.yaxis)


def _log_error(accuracy: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(1 - np.asarray(accuracy), _MIN_ERROR))


def spread_ticks(
    ticks: Iterable[float], scale: Callable[[np.ndarray], np.ndarray], low: float, high: float, spacing: float
) -> list[float]:
    """Returns those `ticks`, the first preferred, that do not overlap on an axis.

    **Arguments:**

    - `scale`: from a tick to its place on the axis; the places `low` and `high` are the axis's ends.
    - `spacing`: the smallest distance of two ticks, as a share of the axis's length.
    """
    chosen: dict[float, float] = {}
    for tick in ticks:
        place = float(scale(np.array(tick)))
        apart = min((abs(place - other) for other in chosen.values()), default=np.inf)
        if low <= place <= high and apart >= spacing * (high - low):
            chosen[tick] = place
    return list(chosen)


def show_image(axes: Axes, image: np.ndarray) -> None:
    """Draws an image of a data set, `uint8[height, width]` or `[height, width, channels]`, without axes.

    Channels that are neither RGB nor RGBA are averaged.
    """
    viewable = image.mean(axis=-1) if image.ndim == 3 and image.shape[-1] not in (3, 4) else image
    axes.set_axis_off()
    axes.imshow(viewable, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def truncated(name: str) -> str:
    """Returns the name of a class as it fits beside a picture."""
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"


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
