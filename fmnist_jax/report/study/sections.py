"""The sections of a study's report, in the order of reading, and what stands before them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fmnist_jax.compare.analysis.study import WorkloadRuns
from fmnist_jax.compare.analysis.workload import WorkloadFigures
from fmnist_jax.compare.planned import Addition
from fmnist_jax.report.format import NOTHING, count, counted, duration, listed, percent, points, setting
from fmnist_jax.report.model import BulletList, Callout, Columns, Item, Section, Stat, Stats, Verdict
from fmnist_jax.report.provenance import data_callouts
from fmnist_jax.report.study import tables
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.study.curves import learning_curves, performance_profile, time_to_target
from fmnist_jax.report.study.differences import failures, paired_differences
from fmnist_jax.report.study.method import limitations, method
from fmnist_jax.report.study.parallel import arms_with_several_axes, parallel_coordinates
from fmnist_jax.report.study.tuning import rate_sensitivity, searches_learning_rate, tuning_curves
from fmnist_jax.report.study.verdict import verdict
from fmnist_jax.report.theme import Subject

_MAX_NAMED = 6  # arms named in a callout


def callouts(context: Context) -> Iterator[Callout]:
    """Yields what the reader has to know before any number."""
    totals = context.analysis.totals
    if not context.analysis.complete:
        yield _incomplete(context)
    yield from data_callouts(context.synthetic, context.study.validation_is_test)
    seen = [each for each in context.study.additions if each.trained]
    if any(each.seeds for each in seen):
        text = (
            "The p-values and intervals are those of a number of seeds fixed beforehand. They hold only if the results "
            "so far had no part in the decision: whoever adds seeds until a difference is significant finds one by "
            "chance more often than the level says."
        )
        yield Callout("warning", f"{_added(seen)}.", text)
    if totals.failed_finals:
        text = "They are counted, never dropped: in means and rankings each has chance accuracy."
        yield Callout("warning", f"{totals.failed_finals} of {counted(totals.finals, 'final run')} diverged.", text)
    if totals.failed_tuning:
        text = "Tuning counts them with chance accuracy; a search space includes settings that do not train."
        yield Callout("note", f"{totals.failed_tuning} of {counted(totals.tuning, 'tuning run')} diverged.", text)


def _added(additions: Sequence[Addition]) -> str:
    """Returns in which steps the seeds were added."""
    steps = [(len(each.seeds), each.trained) for each in additions if each.seeds]
    found = listed([f"{counted(seeds, 'seed')} after {counted(runs, 'run')}" for seeds, runs in steps])
    return f"Seeds were added to the study: {found}"


def _incomplete(context: Context) -> Callout:
    totals = context.analysis.totals
    lacking = []
    for workload in context.analysis.workloads:
        where = f" on {workload.name}" if len(context.analysis.workloads) > 1 else ""
        for arm in workload.missing:
            kinds = [counted(n, kind) for n, kind in ((arm.tuning, "tuning run"), (arm.finals, "final run")) if n]
            lacking.append(f"{listed(kinds)} of {arm.arm}{where}")
    more = f"; and of {len(lacking) - _MAX_NAMED} more" if len(lacking) > _MAX_NAMED else ""
    return Callout(
        "error",
        f"INCOMPLETE: {count(totals.planned - totals.trained)} of {count(totals.planned)} runs are missing.",
        "All results below are of the runs so far and will change. Missing: "
        f"{'; '.join(lacking[:_MAX_NAMED])}{more}. Run the same command again to train them.",
    )


def headline_stats(context: Context) -> Stats:
    """Returns the numbers to be seen first."""
    totals, design, workloads = context.analysis.totals, context.study.design, context.analysis.workloads
    stats = list(_workload_stats(context, workloads[0])) if len(workloads) == 1 else []
    stats.append(Stat("Seeds per arm", str(design.seeds), "the same for every arm" if len(design.arms) > 1 else ""))
    failed = totals.failed_tuning + totals.failed_finals
    stats.append(Stat("Runs", count(totals.trained), f"of {count(totals.planned)} planned; {failed} diverged"))
    if context.times:
        note = f"compilation {duration(totals.compile_seconds)}, evaluation {duration(totals.eval_seconds)}"
        stats.append(Stat("Training time", duration(totals.train_seconds), note))
    return Stats(stats)


def _workload_stats(context: Context, workload: WorkloadFigures) -> Iterator[Stat]:
    if workload.arms:
        best, note = workload.arms[0], f"{context.images} accuracy"
        if math.isfinite(best.mean.low):
            note += f", {context.level} CI over seeds: {percent(best.mean.low)} to {percent(best.mean.high)}"
        yield Stat(f"Highest mean: {best.arm}", percent(best.mean.value), note)
    if workload.comparison is not None and workload.power is not None:
        power, found = workload.power, workload.power.minimum_detectable_effect.value
        needed = listed([f"{count(seeds)} for {points(size, 1)} points" for size, seeds in power.seeds_for.items()])
        shown, note = f"{points(found)} points" if math.isfinite(found) else NOTHING, "with 80 % power; seeds needed"
        if not workload.comparison.conclusive:
            shown, note = "none", "too few seeds; needed with 80 % power"
        yield Stat("Minimum detectable difference", shown, f"{note}: {needed}")


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


def _all_workloads(context: Context) -> Section:
    items: list[Item] = [tables.across_table(context)]
    if context.analysis.complete:
        items.append(
            f"Means with {context.level} CIs. A star marks the best arms of a workload, which do not differ "
            "significantly; no star means too few seeds."
        )
    found = context.analysis.profiles
    if found is None:
        items.append("Performance profiles need two or more workloads on which every arm has final runs.")
    else:
        subject = Subject(f"over {counted(len(found.workloads), 'workload')}", context.synthetic)
        columns = [[performance_profile(context, found.error, "error rate", "error_profile", subject)]]
        if found.steps is not None:
            cost = "median steps to target"
            columns.append([performance_profile(context, found.steps, cost, "steps_profile", subject)])
        items.append(Columns(columns))
    return Section("All workloads", items)


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
        by_target = list(_target_sections(context, figures))
        yield Section("Time to target" if timed else "Steps to target", [Columns([[picture], by_target])])
    if figures.tuning:
        yield Section("Tuning", list(_tuning(context, workload, figures)))
    diverged = tables.failures_table(workload)
    if diverged.rows:
        yield Section("Failures", [Columns([[failures(context, workload)], [diverged]])])


def _results(context: Context, workload: WorkloadFigures) -> Iterator[Item]:
    yield tables.results_table(context, workload)
    best = workload.arms[0]
    if best.sampling is not None:
        half = (best.sampling.high - best.sampling.low) / 2
        shared = "; the arms share the images, so it hardly affects differences" if len(workload.arms) > 1 else ""
        examples = count(context.study.scored_examples(workload.dataset) or 0)
        yield (
            f"Sampling error of the {examples} {context.images} images, apart from "
            f"the seeds: {context.level} CI {percent(best.sampling.low)} to {percent(best.sampling.high)} for "
            f"{best.arm} (±{points(half)} points){shared}."
        )
    if not any(figures.failures for figures in workload.arms):
        yield "No final run diverged."
    yield Columns([[tables.hyperparameters_table(workload)], [tables.costs_table(context, workload)]])


def _target_sections(context: Context, workload: WorkloadFigures) -> Iterator[Section]:
    for target in workload.targets:
        horizon = f"{count(target.horizon_steps)} steps"
        horizon += f" or {duration(target.horizon_seconds)}" if context.times and target.horizon_seconds > 0 else ""
        title = f"{100 * target.target:g} %, restricted means up to {horizon}"
        yield Section(title, [tables.target_table(context, target)])


def _tuning(context: Context, workload: WorkloadRuns, figures: WorkloadFigures) -> Iterator[Item]:
    for arm in figures.tuning:
        if arm.edges:
            found = listed([f"{e.name} {setting(e.value)} ({e.edge} end {setting(e.bound)})" for e in arm.edges])
            text = (
                f"The best trial has {found}. If a wider range contains a better setting, the comparison is of the "
                "ranges, not of the optimizers."
            )
            yield Callout("warning", f"{arm.arm}: the optimum is at the edge of the search space.", text)
    # Adam includes momentum as a limit.
    beats = figures.comparison.ordering.beats if figures.comparison else {}
    better = next((arm for arm in ("momentum", "nesterov", "sgd") if "adam" in beats.get(arm, ())), None)
    if better is not None:
        text = "With a large epsilon Adam becomes momentum, so well tuned it cannot be worse (Choi et al. 2019)."
        yield Callout("warning", f"{better} beats tuned adam: the tuning of adam fell short.", text)
    pictures = [tuning_curves(context, figures)] if any(arm.curve is not None for arm in figures.tuning) else []
    if any(map(searches_learning_rate, workload.arms)):
        pictures.append(rate_sensitivity(context, workload, figures))
    if arms_with_several_axes(context, workload):
        pictures.append(parallel_coordinates(context, workload))
    yield Columns([[picture] for picture in pictures])
    yield tables.tuning_table(figures)
    each = counted(context.study.design.seeds_per_trial, "seed")
    yield (
        f"Trial scores are validation accuracies of {each} each, and the best "
        "of many is biased upwards; the final runs above are the unbiased estimate. LR plateau: the decades of the "
        "learning rate that score within half a point of the best."
    )
