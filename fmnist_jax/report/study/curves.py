"""Plots against training time: learning curves, time to target, and performance profiles."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fmnist_jax.compare.analysis.study import ArmRuns, WorkloadRuns
from fmnist_jax.compare.analysis.times import TargetFigures
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.statistics.profiles import Profile
from fmnist_jax.report import theme
from fmnist_jax.report.format import listed, percent
from fmnist_jax.report.model import Picture
from fmnist_jax.report.study.context import ArmStyle, Context, arm_legend, legend_rows

_LOG_FROM = 5  # ratio of the largest to the smallest loss above which the axis is logarithmic
_APART = 0.08  # of the height: between the first and the last of curves that coincide


@theme.plot_style()
def learning_curves(context: Context, workload: WorkloadRuns, figures: WorkloadFigures) -> Picture:
    """Draws validation accuracy and training loss of the final runs against epochs.

    Lines are means over the seeds that have not diverged by then, bands span these seeds.
    """
    trained = [arm for arm in workload.arms if arm.finals]
    arms = sorted(trained, key=lambda arm: figures.arm(arm.arm).validation.value, reverse=True)
    styles = [context.styles[arm.arm] for arm in arms]
    figure = theme.new_figure(6.6 + 0.2 * legend_rows(styles), "Learning curves", context.subject(workload))
    accuracy, loss = figure.subplots(2, 1, sharex=True, height_ratios=(1.25, 1))
    theme.accuracy_axis(accuracy, _draw_curves(accuracy, arms, styles, workload.epochs, "val_accuracy"))
    losses = _draw_curves(loss, arms, styles, workload.epochs, "train_loss")
    theme.log_scale_if_wide(loss, losses, _LOG_FROM)
    accuracy.set_ylabel("validation accuracy")
    arm_legend(accuracy, styles)
    margin = 0.02 * workload.epochs
    loss.set(ylabel="training loss", xlabel="epochs", xlim=(1 - margin, workload.epochs + margin))
    loss.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    figure.align_ylabels()
    ends = listed([f"{arm.arm} {percent(arm.validation.value)}" for arm in figures.arms])
    return Picture(
        f"{context.prefix(workload)}learning_curves",
        theme.to_png(figure, many_colours=True),
        f"Validation accuracy and training loss against epochs. Mean validation accuracy after the last epoch: {ends}.",
        "Lines are means over seeds; bands span the lowest to the highest seed. A run is left out from the epoch in "
        "which it diverges. Training loss is the running mean over the epoch, in training mode.",
    )


def _draw_curves(axes: Axes, arms: Sequence[ArmRuns], styles: Sequence[ArmStyle], epochs: int, name: str) -> np.ndarray:
    """Draws the line and the band of each arm; returns all values that they show, NaN from a run's divergence on."""
    x, drawn = np.arange(1, epochs + 1), [np.zeros(0)]
    for arm, style in zip(arms, styles, strict=True):
        values = np.full((len(arm.finals), epochs), np.nan)
        for row, run in zip(values, arm.finals, strict=True):
            until = len(run.history) - run.diverged
            row[:until] = run.curve(name)[:until]
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # an epoch without a value is a gap
            mean, low, high = np.nanmean(values, 0), np.nanmin(values, 0), np.nanmax(values, 0)
        axes.fill_between(x, low, high, color=style.colour, alpha=0.16, linewidth=0)
        axes.plot(x, mean, marker=style.marker if epochs <= 2 else "", **style.of_line())
        drawn.append(values.ravel())
    return np.concatenate(drawn)


@theme.plot_style()
def time_to_target(context: Context, figures: WorkloadFigures, unit: str) -> Picture:
    """Draws Kaplan-Meier curves, one panel per target; curves that coincide are set slightly apart.

    **Arguments:**

    - `figures`: of a workload with one or more targets.
    - `unit`: `"steps"` or `"seconds"`.
    """
    targets, seconds = figures.targets, unit == "seconds"
    styles = [context.styles[found.arm] for found in targets[0].arms]
    height = 1.4 + 1.75 * len(targets) + 0.2 * legend_rows(styles)
    title = f"{'Training time' if seconds else 'Steps'} to target"
    figure = theme.new_figure(height, title, context.subject(figures))
    panels = figure.subplots(len(targets), 1, sharex=True, squeeze=False)[:, 0]
    budget = getattr(targets[0], f"horizon_{unit}")
    horizon = max(budget, *(getattr(a, unit).curve.times[-1] for target in targets for a in target.arms))
    for axes, target in zip(panels, targets, strict=True):
        _draw_target(context, axes, target, unit, horizon)
    arm_legend(panels[0], styles)
    label = "training seconds, without evaluation and compilation" if seconds else "training steps"
    panels[-1].set(xlim=(0, horizon * 1.02), xlabel=label)
    panels[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    figure.align_ylabels()
    levels = listed([f"{100 * target.target:g} %" for target in targets])
    reached = listed([f"{found.arm} {found.reached} of {found.runs}" for found in targets[-1].arms])
    caption = "Share of runs that have reached the target (Kaplan-Meier), evaluated after each epoch."
    return Picture(
        f"{context.prefix(figures)}{'time' if seconds else 'steps'}_to_target",
        theme.to_png(figure, many_colours=True),
        f"Share of runs that have reached {levels} against training {unit}. Runs that reached the highest target: "
        f"{reached}.",
        f"{caption} Seconds are the chunk's wall time divided by its runs." if seconds else caption,
    )


def _draw_target(context: Context, axes: Axes, target: TargetFigures, unit: str, horizon: float) -> None:
    for place, found in enumerate(target.arms):
        curve = getattr(found, unit).curve
        lift = _APART * (place - (len(target.arms) - 1) / 2) / len(target.arms)
        times = np.concatenate([[0.0], curve.times, [horizon]])
        share = np.concatenate([[0.0], curve.share, curve.share[-1:]])
        axes.step(times, share + lift, where="post", **context.styles[found.arm].of_line())
    axes.set(ylim=(-0.06, 1.06), yticks=[0, 0.5, 1], ylabel=f"reached {100 * target.target:g} %")
    theme.share_axis(axes.yaxis)


@theme.plot_style()
def performance_profile(context: Context, profile: Profile, cost: str, name: str, subject: theme.Subject) -> Picture:
    """Draws the share of problems on which the `cost` of each arm is within a factor of the lowest."""
    styles = [context.styles[arm] for arm in profile.shares]
    figure = theme.new_figure(4.2 + 0.2 * legend_rows(styles), f"Performance profile: {cost}", subject)
    axes = figure.subplots()
    last = max(1.05, float(profile.factors[-1]) * 1.05)
    for share, style in zip(profile.shares.values(), styles, strict=True):
        factors = np.concatenate([profile.factors, [last]])
        axes.step(factors, np.concatenate([share, share[-1:]]), where="post", **style.of_line())
    axes.set(xlim=(1, last), ylim=(-0.03, 1.03))
    axes.set(ylabel="share of problems", xlabel=f"{cost} relative to the best arm's")
    theme.share_axis(axes.yaxis)
    arm_legend(axes, styles)
    shares = listed([f"{arm} {percent(float(share[0]), 0)}" for arm, share in profile.shares.items()])
    problem = "A problem is a workload."
    if name == "steps_profile":
        problem = "A problem is a target on a workload; an arm whose median run misses the target never counts."
    return Picture(
        name,
        theme.to_png(figure, many_colours=True),
        f"Performance profile. Share of problems on which an arm is the best: {shares}.",
        "The share of problems on which an arm is within a factor of the best arm (Dolan and Moré 2002); at factor 1, "
        f"the share on which it is the best. {problem}",
    )
