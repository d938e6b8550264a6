"""Time to target: the share of an arm's runs that had reached an accuracy, by steps and by seconds of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from fmnist_jax.compare.analysis.times import Reached, TargetFigures
from fmnist_jax.report.study.plots.arm_style import ArmStyle, arm_legend, legend_rows
from fmnist_jax.report.style import Subject, new_figure, plot_style, share_axis, to_png

_TITLES = {"steps": "Steps to target", "seconds": "Training time to target"}
_LABELS = {"steps": "training steps", "seconds": "seconds of training, evaluation and compilation excluded"}
_APART = 0.08  # of the height: between the first and the last of curves that coincide


def time_to_target(
    targets: Sequence[TargetFigures], unit: str, styles: Mapping[str, ArmStyle], subject: Subject
) -> bytes:
    """Draws Kaplan & Meier's curves, a panel for each target; curves that coincide are set a little apart.

    **Arguments:**

    - `targets`: one or more, of the same arms.
    - `unit`: `"steps"` or `"seconds"`.
    """
    arms = [styles[found.arm] for found in targets[0].arms]
    with plot_style():
        height = 1.4 + 1.75 * len(targets) + 0.2 * legend_rows(arms)
        figure = new_figure(height, _TITLES[unit], subject)
        panels = figure.subplots(len(targets), 1, sharex=True, squeeze=False)[:, 0]
        budget = getattr(targets[0], f"horizon_{unit}")
        horizon = max(budget, *(getattr(a, unit).curve.times[-1] for target in targets for a in target.arms))
        for axes, target in zip(panels, targets, strict=True):
            for place, found in enumerate(target.arms):
                lift = _APART * (place - (len(arms) - 1) / 2) / len(arms)
                _steps(axes, getattr(found, unit), horizon, lift, styles[found.arm])
            axes.set_ylim(-0.06, 1.06)
            axes.set_yticks([0, 0.5, 1])
            share_axis(axes.yaxis)
            axes.set_ylabel(f"reached {100 * target.target:g} %")
        arm_legend(panels[0], arms)
        panels[-1].set_xlim(0, horizon * 1.02)
        panels[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        panels[-1].set_xlabel(_LABELS[unit])
        figure.align_ylabels()
        return to_png(figure, many_colours=True)


def _steps(axes: Axes, reached: Reached, horizon: float, lift: float, style: ArmStyle) -> None:
    curve = reached.curve
    times = np.concatenate([[0.0], curve.times, [horizon]])
    share = np.concatenate([[0.0], curve.share, curve.share[-1:]])
    axes.step(times, share + lift, where="post", **style.of_line())
