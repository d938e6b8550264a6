"""The sentences of a study's report on how it was run: the method, and the limitations."""

from __future__ import annotations

from collections.abc import Iterator

from fmnist_jax.compare.analysis.study import Design
from fmnist_jax.compare.selection import rungs
from fmnist_jax.report.format import counted, listed, percent
from fmnist_jax.report.study.context import Context

_SEARCHES = {"halton": "a scrambled Halton sequence", "sobol": "a scrambled Sobol sequence"}


def method(context: Context) -> list[str]:
    """Returns how the study was run and how its results were computed."""
    level, alpha = context.level, 1 - context.study.design.confidence
    return [
        *_runs(context),
        f"{level} CIs: Student's t for means and paired mean differences; order statistics for the median (Price and "
        "Bonett with few seeds); Tukey and McLaughlin for the interquartile mean (IQM). They are not adjusted for the "
        "number of arms.",
        "p: two-sided paired permutation test (sign flips of the seeds' differences). Holm-adjusted p: adjusted for "
        f"all pairs of the workload. Arms differ significantly if the Holm-adjusted p is at most {alpha:.2g}; arms "
        "that share a letter under Group do not.",
        "P(first > second): the probability that a run of the first arm scores higher than a run of the second, over "
        "all pairs of seeds (Agarwal et al. 2021). P(beats best): the same for an arm against the best arm. Minimum "
        "detectable difference: the true difference that a paired t-test detects with 80 % power, at Holm's first "
        "threshold, for the pair of arms with the median variance. summary.json has it for each pair, and all CIs.",
        "The sampling error of the images (Wilson interval) is reported separately: all arms share the images, so it "
        "affects them jointly and is not part of any difference.",
        *_times(context),
    ]


def _runs(context: Context) -> Iterator[str]:
    design = context.study.design
    split = "the test set, evaluated once per final run" if design.score_test else "the validation set"
    split = "the test set" if context.study.validation_is_test else split
    yield f"Score: accuracy on {split} after the last epoch; no early stopping, no best checkpoint."
    if design.tuned:
        yield " ".join(_tuning(design))
    yield (
        f"All arms use the same {counted(design.seeds, 'seed')}. A seed fixes initialisation, data order and dropout, "
        "so differences between arms are paired by seed."
    )
    for each in context.study.additions:
        if each.arms:
            after = f"after {counted(each.trained, 'run')} had been trained, at another time than the runs before"
            yield f"{listed(each.arms)} {'was' if len(each.arms) == 1 else 'were'} added {after}."
    chances = listed([percent(chance, 0) for chance in dict.fromkeys(w.chance for w in context.analysis.workloads)])
    yield (
        "A run diverges when a loss becomes non-finite. It is counted, never dropped, with chance accuracy "
        f"({chances}). A mean that includes such a run has no CI; median and IQM remain valid."
    )


def _tuning(design: Design) -> Iterator[str]:
    yield (
        f"Tuning: {counted(design.trials, 'trial')} per arm, first its defaults, then points of "
        f"{_SEARCHES.get(design.search, design.search)} in its search space; an arm without a search space has its "
        "defaults only."
    )
    lists = {"batch size": design.batch_sizes, "warm-up": design.warmups, "weight decay": design.weight_decays}
    for name, values in lists.items():
        if values:
            yield f"The {name} is searched in {listed([str(value) for value in values])}."
    if design.seeds_per_trial > 1:
        yield f"A trial is run with {design.seeds_per_trial} seeds, and its score is their mean."
    if design.halving:
        for epochs in design.epochs:
            yield _halving(design, epochs)
    yield (
        "The trial with the highest validation accuracy after the last epoch is trained again on new seeds; trial "
        "scores do not enter the comparison."
    )


def _halving(design: Design, epochs: int) -> str:
    found = rungs(design.trials, epochs, design.halving)
    spent = sum(rung.epochs * rung.trials for rung in found) * design.seeds_per_trial
    steps = listed([f"{counted(rung.trials, 'trial')} for {counted(rung.epochs, 'epoch')}" for rung in found])
    whole = design.trials * epochs * design.seeds_per_trial
    return (
        f"Successive halving (Li et al. 2018): {steps}, those that go on chosen by validation accuracy and trained "
        f"anew from fresh seeds under the schedule of {counted(epochs, 'epoch')}; {spent} epochs for each arm that is "
        f"searched, in place of {whole}."
    )


def _times(context: Context) -> Iterator[str]:
    chunks = context.study.chunks.values()
    if not chunks:
        return
    executors = listed(sorted({chunk.executor for chunk in chunks}))
    most = max(chunk.members for chunk in chunks)
    yield f"Runs were trained together in chunks of up to {most} (executor: {executors})."
    if context.times:
        yield (
            "Seconds per run are the chunk's training time divided by its number of runs, without evaluation and "
            "compilation, on the device below under its load at the time. They compare arms trained this way; a single "
            "run takes a different time."
        )
    sizes = sorted({workload.chunk_size for workload in context.analysis.workloads if workload.chunk_size})
    if context.times and sizes:
        yield (
            f"Seconds are measured on chunks of {listed(list(map(str, sizes)))} runs, the largest size that all arms "
            "of a workload share on the same device; runs of other chunks get their steps times the arm's median "
            "seconds per step."
        )
    if context.study.design.targets:
        yield (
            "Targets were fixed in the config before the first run and are checked after each epoch. Runs that miss a "
            "target, diverged ones included, are censored at the end of their budget. Restricted mean: the mean time "
            "to the target or to the shortest budget, whichever comes first."
        )


def limitations(context: Context) -> list[str]:
    """Returns what does not follow from the study."""
    study, design = context.study, context.study.design
    sets = "one data set" if len(design.datasets) < 2 else f"{len(design.datasets)} data sets"
    found = [f"The study uses {sets}; the ranking can differ on others. CIs cover the variation over seeds only."]
    if design.batch_sizes:
        found.append(
            "The batch size was searched, so a step can be of another number of images in each arm: all have the same "
            "number of epochs, not of steps."
        )
    if study.validation_is_test:
        found.append(
            "data.val_examples is 0, so the validation split is the test set, as in the reference study. Nothing was "
            "selected by it here; it cannot confirm what you select by these results."
        )
    elif not design.score_test:
        found.append("The test set was not scored; all results are validation accuracies.")
    if not design.tuned:
        found.append(
            "Nothing was tuned: the study compares the arms at the given settings, not the optimizers at their best. "
            "Other settings can change the order (Choi et al. 2019)."
        )
    budgets, schedules = ({getattr(w, name) for w in study.workloads} for name in ("epochs", "schedule"))
    if len(budgets) == 1 or len(schedules) == 1:
        found.append("The best optimizer can change with the budget, the schedule and the model (Schmidt et al. 2021).")
    if context.times:
        untimed = [w.name for w in context.analysis.workloads if w.arms and w.chunk_size is None]
        tail = "the arms share no chunk size on the same device and executor, so their seconds are not compared."
        found += [f"On {name}, {tail}" for name in untimed]
    return found
