"""The plot of trials in parallel coordinates: which settings score well, for arms with two searched axes or more."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes

from fmnist_jax.compare.analysis.study import ArmRuns, Study, WorkloadRuns
from fmnist_jax.compare.planned import SearchRange
from fmnist_jax.compare.statistics.tuning import share_of_range
from fmnist_jax.compare.trials import Trial, winner
from fmnist_jax.report import theme
from fmnist_jax.report.format import listed, percent, setting
from fmnist_jax.report.model import Picture
from fmnist_jax.report.study.context import Context

_MIN_AXES, _MANY_AXES = 2, 5
_SPAN = 0.03  # of accuracy below the best trial, at least, over which the colours run
_COLOURS = colormaps["viridis_r"]


@dataclasses.dataclass(frozen=True)
class _Axis:
    """A searched setting: the range in which it was searched, or the list of its values."""

    name: str
    values: SearchRange | Sequence[Any]
    own: Any = None

    def place(self, trial: Trial) -> float:
        """The height of the trial's value, 0 to 1; NaN where it has none."""
        value = trial.settings.get(self.name, self.own)
        if isinstance(self.values, SearchRange):
            found = math.nan if value is None else share_of_range(float(value), self.values)
            return min(max(found, 0.0), 1.0)
        return self.values.index(value) / (len(self.values) - 1) if value in self.values else math.nan

    @property
    def ends(self) -> tuple[str, str]:
        found = self.values
        low, high = (found.low, found.high) if isinstance(found, SearchRange) else (found[0], found[-1])
        return setting(low), setting(high)


def arms_with_several_axes(context: Context, workload: WorkloadRuns) -> list[ArmRuns]:
    """Returns the arms of which two settings or more were searched, by three trials or more."""
    return [
        arm for arm in workload.arms if len(arm.trials) > 2 and len(list(_axes(context.study, arm.arm))) >= _MIN_AXES
    ]


@theme.plot_style()
def parallel_coordinates(context: Context, workload: WorkloadRuns) -> Picture:
    """Draws each trial as a line through its settings to its score, one panel per arm; one arm has to have two axes."""
    arms = arms_with_several_axes(context, workload)
    columns = 1 if len(arms) == 1 else 2
    rows = math.ceil(len(arms) / columns)
    figure = theme.new_figure(theme.HEAD + 0.1 + 2.15 * rows, "Trials", context.subject(workload))
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, arm in zip(panels.flat, arms, strict=False):
        _draw(axes, context.styles[arm.arm].label, arm, list(_axes(context.study, arm.arm)))
    return Picture(
        f"{context.prefix(workload)}trials",
        theme.to_png(figure, many_colours=True),
        f"The settings of each trial and its validation accuracy, for {listed([arm.arm for arm in arms])}.",
        "Each line is a trial: its settings, each on the scale on which it was searched, and on the right its "
        "validation accuracy. The darker the better; the best is black, those that diverged are dotted.",
    )


def _axes(study: Study, arm: str) -> Iterator[_Axis]:
    for name, found in study.spaces.get(arm, {}).items():
        yield _Axis(name, found)
    design = study.design
    lists: Mapping[str, Sequence[Any]] = {
        "batch_size": design.batch_sizes,
        "warmup": design.warmups,
        "weight_decay": design.weight_decays,
    }
    own = {"batch_size": _config(study, "train", "batch_size"), "warmup": _config(study, "schedule", "warmup")}
    for name, values in lists.items():
        fixed = f"{name}=" in arm.partition(":")[2]
        if values and not fixed:
            first = own.get(name, 0.0)
            yield _Axis(name, [first, *values] if first not in values else values, first)


def _config(study: Study, section: str, key: str) -> Any:
    found = study.config.get(section)
    return found.get(key) if isinstance(found, Mapping) else None


def _draw(axes: Axes, title: str, arm: ArmRuns, searched: Sequence[_Axis]) -> None:
    best, trials = winner(arm.tuning), arm.trials
    scores = [trial.score for trial in trials if not trial.diverged] or [best.score]
    low, top = min(scores), max(scores)
    for trial in sorted(trials, key=lambda trial: trial.score):
        height = 0.0 if trial.diverged else (trial.score - low) / max(top - low, 1e-9)
        axes.plot([*(axis.place(trial) for axis in searched), height], **_style(trial, best, top))
    labels = [(axis.name.replace("_", "\n"), *axis.ends) for axis in searched]
    size = 7.0 if len(searched) <= _MANY_AXES else 6.0
    for x, (name, lower, upper) in enumerate([*labels, ("score", percent(low, 1), percent(top, 1))]):
        axes.axvline(x, color=theme.MUTED, linewidth=0.8, zorder=0)
        axes.text(x, 1.04, upper, ha="center", va="bottom", fontsize=size, color=theme.MUTED)
        axes.text(x, -0.04, lower, ha="center", va="top", fontsize=size, color=theme.MUTED)
        axes.text(x, -0.15, name, ha="center", va="top", fontsize=size, linespacing=1.1)
    axes.set(xlim=(-0.35, len(searched) + 0.35), ylim=(-0.02, 1.02))
    axes.set_title(title, fontsize=9.5, loc="left", color=theme.INK, pad=16)


def _style(trial: Trial, best: Trial, top: float) -> dict[str, Any]:
    if trial.diverged:
        return {"color": theme.MUTED, "alpha": 0.6, "linewidth": 0.8, "linestyle": ":"}
    if trial.number == best.number:
        return {"color": theme.INK, "linewidth": 2.2, "zorder": 3}
    shade = 1 - min((top - trial.score) / _SPAN, 1.0)
    return {"color": _COLOURS(0.1 + 0.85 * shade), "alpha": 0.8, "linewidth": 1.0}
