"""The parts of a study's report, in the order in which they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from fmnist_jax.compare.analysis.arms import TuningFigures
from fmnist_jax.compare.analysis.study import WorkloadRuns
from fmnist_jax.compare.analysis.times import TargetFigures
from fmnist_jax.compare.analysis.workload import Power, WorkloadFigures
from fmnist_jax.compare.statistics.comparison import Comparison
from fmnist_jax.report.page import Figure, Picture
from fmnist_jax.report.study import tables
from fmnist_jax.report.study.content import Beside, Bullets, Heading, Item, Notice, Part, Verdict
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.notes import caveats, method
from fmnist_jax.report.study.verdict import verdict
from fmnist_jax.report.wording import NOTHING, count, counted, duration, listed, percent, points, setting

_SHOWN = 6  # arms named in a notice
Pictures = Mapping[str, Picture]


def notices(context: Context) -> list[Notice]:
    """Returns what the reader has to know before any figure."""
    return [*_missing(context), *_data(context), *_failed(context)]


def verdicts(context: Context) -> list[Verdict]:
    """Returns the verdict on each workload."""
    workloads = context.analysis.workloads
    return [Verdict(workload.name if len(workloads) > 1 else "", verdict(workload)) for workload in workloads]


def headline_figures(context: Context) -> list[Figure]:
    """Returns the figures to be seen first."""
    totals, design = context.analysis.totals, context.study.design
    figures = _of_one(context) if len(context.analysis.workloads) == 1 else []
    paired = "the same for every arm" if len(design.arms) > 1 else ""
    figures.append(Figure("Seeds of each arm", str(design.seeds), paired))
    failed = totals.failed_trials + totals.failed_finals
    trained = f"{count(totals.trained)} of {count(totals.planned)} planned; {failed} diverged"
    figures.append(Figure("Runs", count(totals.trained), trained))
    apart = f"compilation {duration(totals.compile_seconds)}, evaluation {duration(totals.eval_seconds)}"
    figures.append(Figure("Training time", duration(totals.train_seconds), apart))
    return figures


def parts(context: Context, pictures: Pictures) -> list[Part]:
    """Returns the parts of the report between its headline and its config."""
    workloads = list(zip(context.study.workloads, context.analysis.workloads, strict=True))
    if len(workloads) == 1:
        found = list(_of_workload(context, *workloads[0], pictures))
    else:
        found = [_across(context, pictures)]
        for workload, figures in workloads:
            inner = list(_of_workload(context, workload, figures, pictures))
            found.append(Part(workload.name, [Verdict("", verdict(figures))], inner))
    notes = Part("Method", [Bullets(method(context))])
    return [*found, notes, Part("What it does not say", [Bullets(caveats(context))])]


def _of_one(context: Context) -> list[Figure]:
    workload = context.analysis.workloads[0]
    if not workload.arms:
        return []
    best = workload.arms[0]
    figures = [Figure(f"Highest mean: {best.arm}", percent(best.mean.value), _mean_note(context, workload))]
    if workload.comparison is not None and workload.power is not None:
        figures.append(_detectable(workload.comparison, workload.power))
    return figures


def _detectable(comparison: Comparison, power: Power) -> Figure:
    needed = listed([f"{seeds} seeds for {points(size, 1)}" for size, seeds in power.seeds_for.items()])
    value = power.minimum_detectable_effect.value
    if not comparison.conclusive:
        return Figure("Detectable difference", "none", f"too few seeds; it would take {needed}")
    shown = f"{points(value)} points" if math.isfinite(value) else NOTHING
    return Figure("Detectable difference", shown, f"found four times of five; it takes {needed}")


def _mean_note(context: Context, workload: WorkloadFigures) -> str:
    best = workload.arms[0]
    if not math.isfinite(best.mean.low):
        return f"{context.images} accuracy"
    return (
        f"{context.images} accuracy, {context.level} over seeds: {percent(best.mean.low)} to {percent(best.mean.high)}"
    )


def _missing(context: Context) -> Iterator[Notice]:
    totals = context.analysis.totals
    if context.analysis.complete:
        return
    lacking = []
    for workload in context.analysis.workloads:
        for arm in workload.missing:
            kinds = [counted(n, kind) for n, kind in ((arm.trials, "trial"), (arm.finals, "final run")) if n]
            where = f" on {workload.name}" if len(context.analysis.workloads) > 1 else ""
            lacking.append(f"{listed(kinds)} of {arm.arm}{where}")
    more = f"; and of {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
    yield Notice(
        "bad",
        f"INCOMPLETE: {count(totals.planned - totals.trained)} of {count(totals.planned)} runs are missing.",
        f"Everything below is of what there is, and will change. Missing: {'; '.join(lacking[:_SHOWN])}{more}. The "
        "same command again trains what is missing.",
    )


def _data(context: Context) -> Iterator[Notice]:
    if context.synthetic:
        text = "The program drew the images itself. No figure here says anything about Fashion-MNIST."
        yield Notice("warning", "SYNTHETIC DATA.", text)
    if context.study.validation_is_test:
        text = "The validation figures are the test set's, as in the reference study; nothing was chosen by them."
        yield Notice("note", "Validation is the test set.", text)


def _failed(context: Context) -> Iterator[Notice]:
    totals = context.analysis.totals
    if totals.failed_finals:
        text = "They are counted and never dropped: in means and rankings each has the accuracy of a guess."
        title = f"{totals.failed_finals} of {counted(totals.finals, 'final run')} diverged."
        yield Notice("warning", title, text)
    if totals.failed_trials:
        text = "They count in the tuning as the accuracy of a guess; a search space has settings that do not train."
        yield Notice("note", f"{totals.failed_trials} of {counted(totals.trials, 'tuning trial')} diverged.", text)


def _of_workload(
    context: Context, workload: WorkloadRuns, figures: WorkloadFigures, pictures: Pictures
) -> Iterator[Part]:
    prefix = context.prefix(workload)
    shown = {name.removeprefix(prefix): picture for name, picture in pictures.items() if name.startswith(prefix)}
    if figures.arms:
        yield Part("Results", _results(context, figures))
    if figures.comparison is not None:
        pairs = tables.pairs_table(figures.comparison)
        yield Part("How far apart, and how sure", [Beside([[shown["paired_differences"]], [pairs]])])
    curves = [[shown[name]] for name in ("learning_curves", "steps_to_target") if name in shown]
    if curves:
        yield Part("How they learned", [Beside(curves)])
    if figures.targets:
        by_target = [item for target in figures.targets for item in _target(target)]
        yield Part("Time to target", [Beside([[shown["time_to_target"]], by_target])])
    if figures.tuning:
        yield Part("What tuning found", list(_tuning(figures, shown)))
    if "failures" in shown:
        yield Part("Failures", [Beside([[shown["failures"]], [tables.failures_table(workload)]])])


def _target(target: TargetFigures) -> list[Item]:
    horizon = f"{count(target.horizon_steps)} steps or {duration(target.horizon_seconds)}"
    return [Heading(f"To {100 * target.target:g} %, means up to {horizon}"), tables.target_table(target)]


def _results(context: Context, workload: WorkloadFigures) -> list[Item]:
    items: list[Item] = [tables.results_table(context, workload)]
    best = workload.arms[0]
    if best.sampling is not None:
        half = (best.sampling.high - best.sampling.low) / 2
        images = f"{count(context.study.scored_examples or 0)} {context.images} images"
        items.append(
            f"Apart from the seeds: with other {images}, {best.arm} would score between {percent(best.sampling.low)} "
            f"and {percent(best.sampling.high)} ({context.level}), some {points(half)} points either way"
            f"{'; all arms would move nearly together' if len(workload.arms) > 1 else ''}."
        )
    if not any(figures.failures for figures in workload.arms):
        items.append("No final run diverged.")
    return [*items, Beside([[tables.settings_table(workload)], [tables.costs_table(workload)]])]


def _tuning(workload: WorkloadFigures, shown: Pictures) -> Iterator[Item]:
    for figures in workload.tuning:
        yield from _edges(figures)
    yield from _inclusion(workload)
    yield Beside([[shown[name]] for name in ("tuning_curves", "rate_sensitivity") if name in shown])
    yield tables.tuning_table(workload)
    yield (
        "Scores are of the validation images, of one seed each, and the best of many: too high as an estimate of what "
        "the settings give, for which the final runs stand above. Rate plateau: how many decades of the learning rate "
        "are within half a point of the best."
    )


def _edges(figures: TuningFigures) -> Iterator[Notice]:
    if figures.edges:
        found = listed(
            [f"{edge.name} {setting(edge.value)} ({edge.edge} end {setting(edge.bound)})" for edge in figures.edges]
        )
        text = (
            f"The best trial has {found}. If a wider range holds a better setting, the range was compared and not the "
            "optimizer."
        )
        yield Notice("warning", f"{figures.arm}: the optimum lies at the edge of its search space.", text)


def _inclusion(workload: WorkloadFigures) -> Iterator[Notice]:
    """Adam includes momentum as a limit, so that where tuned Adam loses to it, its tuning fell short."""
    comparison = workload.comparison
    if comparison is None:
        return
    for better in ("momentum", "nesterov", "sgd"):
        if better in comparison.arms and "adam" in comparison.ordering.beats.get(better, ()):
            text = "With a large epsilon Adam becomes momentum, so well tuned it cannot be worse (Choi et al. 2019)."
            yield Notice("warning", f"Tuned adam is beaten by {better}: its tuning fell short.", text)
            return


def _across(context: Context, pictures: Pictures) -> Part:
    plots = [[pictures[name]] for name in ("error_profile", "steps_profile") if name in pictures]
    items: list[Item] = [tables.across_table(context)]
    if context.analysis.complete:
        items.append(
            f"Means with {context.level} intervals. A star marks the best arms of a workload, which are "
            "indistinguishable; where there is none, the seeds are too few to tell."
        )
    if plots:
        items.append(Beside(plots))
    else:
        items.append("Performance profiles need two or more workloads of which every arm has final runs.")
    return Part("Over all workloads", items)
