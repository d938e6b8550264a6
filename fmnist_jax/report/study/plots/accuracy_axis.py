"""An axis of accuracies that shows a point at 60 % and a tenth of a point at 92 % at once."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

_WIDE = 1.5  # errors that far apart are drawn on a logarithmic scale of the error
_SMALLEST = 1e-4  # error on that scale
# The first that fit are taken, so the roundest lead.
_TICKS = (0.9, 0.5, 0.8, 0.1, 0.95, 0.7, 0.99, 0.6, 0.85, 0.92, 0.94, 0.3, 0.98, 0.91, 0.93, 0.96, 0.88, 0.75, 0.999)


def accuracy_axis(axes: Axes, values: np.ndarray, spacing: float = 0.075) -> None:
    """Scales the y axis for accuracies `values`, shares of any shape, NaN ignored; ticks are in per cent.

    Where the errors are far apart, the scale is logarithmic in the error, else linear. Ticks are at least `spacing` of
    the axis apart.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if (1 - low) < _WIDE * max(1 - high, _SMALLEST):
        margin = max(0.05 * (high - low), 5e-4)
        axes.set_ylim(max(0.0, low - margin), min(1.0, high + margin))
        axes.yaxis.set_major_locator(MaxNLocator(max(2, round(0.5 / spacing))))
    else:
        axes.set_yscale("function", functions=(_stretch, _shrink))
        bottom, top = _stretch(np.array([low, high]))
        margin = 0.04 * (top - bottom)
        axes.set_ylim(*_shrink(np.array([bottom - margin, top + margin])))
        axes.yaxis.set_major_locator(FixedLocator(_ticks(bottom - margin, top + margin, spacing)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.6g} %")


def _stretch(accuracy: np.ndarray) -> np.ndarray:
    return -np.log10(np.maximum(1 - np.asarray(accuracy), _SMALLEST))


def _shrink(stretched: np.ndarray) -> np.ndarray:
    return 1 - 10 ** -np.asarray(stretched)


def _ticks(bottom: float, top: float, spacing: float) -> list[float]:
    chosen: list[float] = []
    for tick in _TICKS:
        place = float(_stretch(np.array(tick)))
        near = any(abs(place - float(_stretch(np.array(other)))) < spacing * (top - bottom) for other in chosen)
        if bottom <= place <= top and not near:
            chosen.append(tick)
    return chosen
