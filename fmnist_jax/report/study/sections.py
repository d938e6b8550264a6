"""The sections of a study's report, in the order of reading, and what stands before them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fmnist_jax.compare.analysis.arms import TuningFigures
from fmnist_jax.compare.analysis.study import WorkloadRuns
from fmnist_jax.compare.analysis.times import TargetFigures
from fmnist_jax.compare.analysis.workload import Power, WorkloadFigures
from fmnist_jax.compare.statistics.comparison import Comparison
from fmnist_jax.report.format import NOTHING, count, counted, duration, listed, percent, points, setting
from fmnist_jax.report.model import BulletList, Callout, Columns, Item, Picture, Section, Stat, Stats, Verdict
from fmnist_jax.report.plot_style import Subject
from fmnist_jax.report.provenance import data_callouts
from fmnist_jax.report.study import tables
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.curves import learning_curves, performance_profile, time_to_target
from fmnist_jax.report.study.differences import failures, paired_differences
from fmnist_jax.report.study.notes import limitations, method
from fmnist_jax.report.study.tuning import rate_sensitivity, searches_learning_rate, tuning_curves
from fmnist_jax.report.study.verdict import verdict

_MAX_NAMED = 6  # arms named in a callout


def callouts(context: Context) -> Iterator[Callout]:
    """Yields what the reader has to know before any number."""
    totals = context.analysis.totals
    if not context.analysis.complete:
        yield _incomplete(context)
    yield from data_callouts(context.synthetic, context.study.validation_is_test)
    if totals.failed_finals:
        text = "They are counted, never dropped: in means and rankings each has chance accuracy."
        yield Callout("warning", f"{totals.failed_finals} of {counted(totals.finals, 'final run')} diverged.", text)
    if totals.failed_trials:
        text = "Tuning counts them with chance accuracy; a search space includes settings that do not train."
        yield Callout("note", f"{totals.failed_trials} of {counted(totals.trials, 'tuning trial')} diverged.", text)


def verdicts(context: Context) -> list[Verdict]:
    """Returns the verdict on each workload."""
    workloads = context.analysis.workloads
    return [Verdict(workload.name if len(workloads) > 1 else "", verdict(workload)) for workload in workloads]


def headline_stats(context: Context) -> Stats:
    """Returns the numbers to be seen first."""
    totals, design = context.analysis.totals, context.study.design
    stats = _workload_stats(context) if len(context.analysis.workloads) == 1 else []
    stats.append(Stat("Seeds per arm", str(design.seeds), "the same for every arm" if len(design.arms) > 1 else ""))
    failed = totals.failed_trials + totals.failed_finals
    stats.append(Stat("Runs", count(totals.trained), f"of {count(totals.planned)} planned; {failed} diverged"))
    if context.times:
        note = f"compilation {duration(totals.compile_seconds)}, evaluation {duration(totals.eval_seconds)}"
        stats.append(Stat("Training time", duration(totals.train_seconds), note))
    return Stats(stats)


def sections(context: Context) -> Iterator[Section]:
    """Yields the sections of the report between its headline and its config."""
    workloads = list(zip(context.study.workloads, context.analysis.workloads, strict=True))
    if len(workloads) == 1:
        yield from _workload_sections(context, *workloads[0])
    else:
        yield _all_workloads(context)
        for workload, figures in workloads:
            inner = _workload_sections(context, workload, figures)
            yield Section(workload.name, [Verdict("", verdict(figures)), *inner])
    yield Section("Method", [BulletList(method(context))])
    yield Section("Limitations", [BulletList(limitations(context))])


def _incomplete(context: Context) -> Callout:
    totals = context.analysis.totals
    lacking = []
    for workload in context.analysis.workloads:
        where = f" on {workload.name}" if len(context.analysis.workloads) > 1 else ""
        for arm in workload.missing:
            kinds = [counted(n, kind) for n, kind in ((arm.trials, "trial"), (arm.finals, "final run")) if n]
            lacking.append(f"{listed(kinds)} of {arm.arm}{where}")
    more = f"; and of {len(lacking) - _MAX_NAMED} more" if len(lacking) > _MAX_NAMED else ""
    return Callout(
        "error",
        f"INCOMPLETE: {count(totals.planned - totals.trained)} of {count(totals.planned)} runs are missing.",
        "All results below are of the runs so far and will change. Missing: "
        f"{'; '.join(lacking[:_MAX_NAMED])}{more}. Run the same command again to train them.",
    )


def _workload_stats(context: Context) -> list[Stat]:
    workload = context.analysis.workloads[0]
    if not workload.arms:
        return []
    best, note = workload.arms[0], f"{context.images} accuracy"
    if math.isfinite(best.mean.low):
        note += f", {context.level} CI over seeds: {percent(best.mean.low)} to {percent(best.mean.high)}"
    stats = [Stat(f"Highest mean: {best.arm}", percent(best.mean.value), note)]
    if workload.comparison is not None and workload.power is not None:
        stats.append(_power_stat(workload.comparison, workload.power))
    return stats


def _power_stat(comparison: Comparison, power: Power) -> Stat:
    needed = listed([f"{count(seeds)} for {points(size, 1)} points" for size, seeds in power.seeds_for.items()])
    title, value = "Minimum detectable difference", power.minimum_detectable_effect.value
    if not comparison.conclusive:
        return Stat(title, "none", f"too few seeds; needed with 80 % power: {needed}")
    shown = f"{points(value)} points" if math.isfinite(value) else NOTHING
    return Stat(title, shown, f"with 80 % power; seeds needed: {needed}")


def _workload_sections(context: Context, workload: WorkloadRuns, figures: WorkloadFigures) -> Iterator[Section]:
    if figures.arms:
        yield Section("Results", list(_results(context, figures)))
    if figures.comparison is not None:
        picture = paired_differences(context, figures, figures.comparison)
        columns = Columns([[picture], [tables.pairs_table(context, figures.comparison)]])
        yield Section("Pairwise differences", [columns])
    timed = context.times and figures.chunk_size is not None
    if figures.arms:
        curves: list[list[Item]] = [[learning_curves(context, workload, figures)]]
        curves += [[time_to_target(context, figures, "steps")]] if figures.targets and timed else []
        yield Section("Learning curves", [Columns(curves)])
    if figures.targets:
        picture = time_to_target(context, figures, "seconds" if timed else "steps")
        by_target = [_target_section(context, target) for target in figures.targets]
        yield Section("Time to target" if timed else "Steps to target", [Columns([[picture], by_target])])
    if figures.tuning:
        yield Section("Tuning", list(_tuning(context, workload, figures)))
    diverged = tables.failures_table(workload)
    if diverged.rows:
        yield Section("Failures", [Columns([[failures(context, workload)], [diverged]])])


def _target_section(context: Context, target: TargetFigures) -> Section:
    horizon = f"{count(target.horizon_steps)} steps"
    horizon += f" or {duration(target.horizon_seconds)}" if context.times and target.horizon_seconds > 0 else ""
    title = f"{100 * target.target:g} %, restricted means up to {horizon}"
    return Section(title, [tables.target_table(context, target)])


def _results(context: Context, workload: WorkloadFigures) -> Iterator[Item]:
    yield tables.results_table(context, workload)
    best = workload.arms[0]
    if best.sampling is not None:
        half = (best.sampling.high - best.sampling.low) / 2
        shared = "; the arms share the images, so it hardly affects differences" if len(workload.arms) > 1 else ""
        yield (
            f"Sampling error of the {count(context.study.scored_examples or 0)} {context.images} images, apart from "
            f"the seeds: {context.level} CI {percent(best.sampling.low)} to {percent(best.sampling.high)} for "
            f"{best.arm} (±{points(half)} points){shared}."
        )
    if not any(figures.failures for figures in workload.arms):
        yield "No final run diverged."
    costs: list[list[Item]] = [[tables.costs_table(workload)]] if context.times else []
    yield Columns([[tables.hyperparameters_table(workload)], *costs])


def _tuning(context: Context, workload: WorkloadRuns, figures: WorkloadFigures) -> Iterator[Item]:
    for found in figures.tuning:
        yield from _edge_callouts(found)
    yield from _inclusion_callouts(figures)
    pictures = [tuning_curves(context, figures)]
    if any(map(searches_learning_rate, workload.arms)):
        pictures.append(rate_sensitivity(context, workload, figures))
    yield Columns([[picture] for picture in pictures])
    yield tables.tuning_table(figures)
    yield (
        "Trial scores are validation accuracies of one seed each, and the best of many is biased upwards; the final "
        "runs above are the unbiased estimate. LR plateau: the decades of the learning rate that score within half a "
        "point of the best."
    )


def _edge_callouts(figures: TuningFigures) -> Iterator[Callout]:
    if figures.edges:
        found = listed([f"{e.name} {setting(e.value)} ({e.edge} end {setting(e.bound)})" for e in figures.edges])
        text = (
            f"The best trial has {found}. If a wider range contains a better setting, the comparison is of the ranges, "
            "not of the optimizers."
        )
        yield Callout("warning", f"{figures.arm}: the optimum is at the edge of the search space.", text)


def _inclusion_callouts(workload: WorkloadFigures) -> Iterator[Callout]:
    """Yields a warning where Adam, which includes momentum as a limit, loses to it."""
    comparison = workload.comparison
    if comparison is None:
        return
    for better in ("momentum", "nesterov", "sgd"):
        if better in comparison.arms and "adam" in comparison.ordering.beats.get(better, ()):
            text = "With a large epsilon Adam becomes momentum, so well tuned it cannot be worse (Choi et al. 2019)."
            yield Callout("warning", f"{better} beats tuned adam: the tuning of adam fell short.", text)
            return


def _all_workloads(context: Context) -> Section:
    items: list[Item] = [tables.across_table(context)]
    if context.analysis.complete:
        items.append(
            f"Means with {context.level} CIs. A star marks the best arms of a workload, which do not differ "
            "significantly; no star means too few seeds."
        )
    profiles = list(_profiles(context))
    none = "Performance profiles need two or more workloads on which every arm has final runs."
    items.append(Columns([[picture] for picture in profiles]) if profiles else none)
    return Section("All workloads", items)


def _profiles(context: Context) -> Iterator[Picture]:
    found = context.analysis.profiles
    if found is None:
        return
    subject = Subject(f"over {counted(len(found.workloads), 'workload')}", context.synthetic)
    yield performance_profile(context, found.error, "error rate", "error_profile", subject)
    if found.steps is not None:
        yield performance_profile(context, found.steps, "median steps to target", "steps_profile", subject)
