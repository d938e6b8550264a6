"""All plots of a study, with their captions and with words for who does not see them."""

from __future__ import annotations

from collections.abc import Iterator

from fmnist_jax.compare.analysis.study import WorkloadRuns
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.statistics.profiles import Profile
from fmnist_jax.report.page import Picture
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.plots.curves import learning_curves
from fmnist_jax.report.study.plots.differences import differences
from fmnist_jax.report.study.plots.failures import failures
from fmnist_jax.report.study.plots.profiles import profiles
from fmnist_jax.report.study.plots.sensitivity import rate_sensitivity, searched_rate
from fmnist_jax.report.study.plots.targets import time_to_target
from fmnist_jax.report.study.plots.tuning import tuning_curves
from fmnist_jax.report.style import Subject
from fmnist_jax.report.wording import counted, listed, percent, points

# How the names of all pictures that a study can have end.
KINDS = (
    "learning_curves",
    "paired_differences",
    "tuning_curves",
    "rate_sensitivity",
    "steps_to_target",
    "time_to_target",
    "failures",
    "error_profile",
    "steps_profile",
)


def draw_study(context: Context) -> dict[str, Picture]:
    """Returns the plots that there are figures for, by the names of their files."""
    drawn: dict[str, Picture] = {}
    for workload, figures in zip(context.study.workloads, context.analysis.workloads, strict=True):
        drawn |= {picture.name: picture for picture in _of_workload(context, workload, figures)}
    return drawn | {picture.name: picture for picture in _across(context)}


def _of_workload(context: Context, workload: WorkloadRuns, figures: WorkloadFigures) -> Iterator[Picture]:
    if figures.arms:
        yield _curves(context, workload, figures)
    if figures.comparison is not None:
        yield _differences(context, figures)
    if figures.tuning:
        yield _tuning(context, figures)
    if any(searched_rate(cell) for cell in workload.arms):
        yield _sensitivity(context, workload, figures)
    for unit in ("steps", "seconds") if figures.targets else ():
        yield _targets(context, figures, unit)
    if any(member.diverged for cell in workload.arms for member in (*cell.trials, *cell.finals)):
        yield _failures(context, workload)


def _curves(context: Context, workload: WorkloadRuns, figures: WorkloadFigures) -> Picture:
    ends = listed([f"{arm.arm} {percent(arm.validation.value)}" for arm in figures.arms])
    return Picture(
        f"{context.prefix(workload)}learning_curves",
        learning_curves(workload, context.styles, context.subject(workload)),
        f"Validation accuracy and training loss against epochs. Mean validation accuracy after the last: {ends}.",
        "Lines are means over the seeds, bands reach from the lowest seed to the highest. A run that diverged is left "
        "out from the epoch on in which it did. Training loss is the running mean over the epoch, in training mode.",
    )


def _differences(context: Context, figures: WorkloadFigures) -> Picture:
    comparison = figures.comparison
    assert comparison is not None
    best, *others = comparison.arms
    means = listed([f"{arm} {points(-comparison.pair(best, arm).difference.value)}" for arm in others])
    return Picture(
        f"{context.prefix(figures)}paired_differences",
        differences(figures, context.images, context.styles, context.subject(figures)),
        f"Mean difference to {best} in points of accuracy: {means}.",
        f"Each dot is a seed: what the arm scored less what {best} scored with the same initialisation and data order. "
        f"Bars are {context.level} intervals of the mean, each by itself; significance is after Holm's correction for "
        "all pairs.",
    )


def _tuning(context: Context, figures: WorkloadFigures) -> Picture:
    gains = listed([f"{arm.arm} {percent(arm.best)}" for arm in figures.tuning])
    return Picture(
        f"{context.prefix(figures)}tuning_curves",
        tuning_curves(figures.tuning, context.styles, context.subject(figures)),
        f"Expected best validation accuracy against the number of trials. Best of all: {gains}.",
        "What the best of so many trials is expected to score on the validation images, over the order in which they "
        "might have been made; the first trial is the defaults (Sivaprasad et al. 2020).",
    )


def _sensitivity(context: Context, workload: WorkloadRuns, figures: WorkloadFigures) -> Picture:
    arms = listed([cell.arm for cell in workload.arms if searched_rate(cell)])
    return Picture(
        f"{context.prefix(workload)}rate_sensitivity",
        rate_sensitivity(workload, figures.tuning, context.styles, context.subject(workload)),
        f"Validation accuracy of each tuning trial against its learning rate, for {arms}.",
        "Each dot is a trial; the other hyperparameters differ between them too. The line goes through the best of "
        "neighbouring trials.",
    )


def _targets(context: Context, figures: WorkloadFigures, unit: str) -> Picture:
    name = "time_to_target" if unit == "seconds" else "steps_to_target"
    target = figures.targets[-1]
    reached = listed([f"{found.arm} {found.reached} of {found.runs}" for found in target.arms])
    caption = "The share of runs that had reached the target (Kaplan and Meier); validation is after each epoch."
    if unit == "seconds":
        caption += " Seconds are wall time of the chunk divided by its runs."
    return Picture(
        f"{context.prefix(figures)}{name}",
        time_to_target(figures.targets, unit, context.styles, context.subject(figures)),
        f"Share of runs that reached {listed([f'{100 * t.target:g} %' for t in figures.targets])} against {unit} of "
        f"training. Runs that reached the highest target: {reached}.",
        caption,
    )


def _failures(context: Context, workload: WorkloadRuns) -> Picture:
    lost = {cell.arm: sum(member.diverged for member in (*cell.trials, *cell.finals)) for cell in workload.arms}
    who = listed([f"{arm} {number}" for arm, number in lost.items() if number])
    return Picture(
        f"{context.prefix(workload)}failures",
        failures(workload, context.styles, context.subject(workload)),
        f"Share of runs that diverged, by arm: {who}.",
        "A run has diverged when its training or validation loss is not finite. It is counted, never dropped.",
    )


def _across(context: Context) -> Iterator[Picture]:
    found = context.analysis.profiles
    if found is None:
        return
    subject = Subject(f"over {counted(len(found.workloads), 'workload')}", context.synthetic)
    caption = (
        "How often an arm is within a factor of the best one (Dolan and Moré 2002): at 1, how often it is the best; "
        "further right, how often it is not much worse."
    )
    yield Picture(
        "error_profile", profiles(found.error, "error rate", context.styles, subject), _heads(found.error), caption
    )
    if found.steps is not None:
        drawn = profiles(found.steps, "median steps to target", context.styles, subject)
        more = " A problem is a target on a workload; an arm of which half of the runs miss it never counts there."
        yield Picture("steps_profile", drawn, _heads(found.steps), caption + more)


def _heads(profile: Profile) -> str:
    shares = listed([f"{arm} {percent(float(share[0]), 0)}" for arm, share in profile.shares.items()])
    return f"Performance profile. Share of problems on which an arm is the best: {shares}."
