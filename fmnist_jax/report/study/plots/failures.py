"""Failures: which share of each arm's runs diverged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from fmnist_jax.compare.analysis.study import ArmRuns, TrainedRun, WorkloadRuns
from fmnist_jax.report.study.plots.arm_style import ArmStyle
from fmnist_jax.report.style import HEAD, Subject, new_figure, plot_style, share_axis, to_png

_BAR = 0.3  # inches an arm


def failures(workload: WorkloadRuns, styles: Mapping[str, ArmStyle], subject: Subject) -> bytes:
    """Draws for each arm the share of its trials, where there are any, and of its final runs that diverged."""
    phases = {"tuning trials": "trials", "final runs": "finals"}
    shown = {
        title: [cell for cell in workload.arms if getattr(cell, name)]
        for title, name in phases.items()
        if any(getattr(cell, name) for cell in workload.arms)
    }
    most = max(map(len, shown.values()))
    with plot_style():
        figure = new_figure(HEAD + 0.75 + _BAR * most, "Runs that diverged", subject)
        panels = figure.subplots(
            1, len(shown), sharey=len({len(cells) for cells in shown.values()}) == 1, squeeze=False
        )
        for axes, (title, cells) in zip(panels[0], shown.items(), strict=True):
            _bars(axes, cells, phases[title], styles)
            axes.set_title(title, fontsize=9.5, loc="left", pad=4)
        return to_png(figure)


def _bars(axes: Axes, cells: Sequence[ArmRuns], name: str, styles: Mapping[str, ArmStyle]) -> None:
    members: list[Sequence[TrainedRun]] = [getattr(cell, name) for cell in cells]
    lost = [sum(member.diverged for member in found) for found in members]
    shares = [number / len(found) for number, found in zip(lost, members, strict=True)]
    axes.barh(range(len(cells)), shares, height=0.62, color=[styles[cell.arm].colour for cell in cells])
    for place, (share, number, found) in enumerate(zip(shares, lost, members, strict=True)):
        axes.text(share + 0.015, place, f"{number} of {len(found)}", va="center", fontsize=8.5)
    axes.set_yticks(range(len(cells)), [styles[cell.arm].label for cell in cells])
    axes.set_ylim(len(cells) - 0.4, -0.6)
    axes.set_xlim(0, max(0.25, *shares) * 1.3)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    share_axis(axes.xaxis)
    axes.locator_params(axis="x", nbins=4)
