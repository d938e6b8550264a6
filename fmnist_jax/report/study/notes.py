"""How a study was made and how its figures were computed, and what they do not say."""

from __future__ import annotations

from collections.abc import Iterator

from fmnist_jax.compare.analysis.study import CHANCE
from fmnist_jax.report.study.context import Context
from fmnist_jax.report.wording import counted, listed, percent

_SEARCHES = {"halton": "a scrambled Halton sequence", "sobol": "a scrambled Sobol sequence"}


def method(context: Context) -> list[str]:
    """Returns how the study was made and its figures were computed, in sentences."""
    return [*_runs(context), *_statistics(context), *_clocks(context)]


def caveats(context: Context) -> list[str]:
    """Returns what the study does not say, in sentences."""
    study, design = context.study, context.study.design
    found = [
        "One data set: nothing here says which optimizer is better on another one. The intervals are over seeds alone."
    ]
    if study.validation_is_test:
        found.append(
            "data.val_examples is 0, so the validation split is the test set, as in the reference study. Nothing was "
            "chosen by it here; what you choose by these figures, this test set can no longer confirm."
        )
    elif not design.score_test:
        found.append("The test set was not scored; the figures are of the validation images.")
    if not design.tuned:
        found.append(
            "Nothing was tuned: this compares the arms at the settings given, not the optimizers at their best. At "
            "other settings the order may be another (Choi et al. 2019)."
        )
    budgets, schedules = ({getattr(w, name) for w in study.workloads} for name in ("epochs", "schedule"))
    if len(budgets) == 1 or len(schedules) == 1:
        found.append(
            "Which optimizer is best can change with the budget, the schedule and the model (Schmidt et al. 2021)."
        )
    return [*found, *_unequal(context)]


def _unequal(context: Context) -> Iterator[str]:
    """Says where the seconds of arms do not compare."""
    study = context.study
    if len({chunk.device for chunk in study.chunks.values()}) > 1:
        yield "The study was trained on different devices, one after the other, so its seconds do not compare."
    for workload in study.workloads:
        ways = {
            frozenset((study.chunks[m.chunk].executor, study.chunks[m.chunk].members) for m in cell.finals)
            for cell in workload.arms
            if cell.finals
        }
        if len(ways) > 1:
            yield (
                f"On {workload.name}, not all arms were trained with as many runs at once, so their seconds a run do "
                "not compare exactly."
            )


def _runs(context: Context) -> Iterator[str]:
    design = context.study.design
    split = "the test set, scored once, after the last epoch of the final runs" if design.score_test else "validation"
    split = "the test set" if context.study.validation_is_test else split
    yield (
        f"The score of a run is its accuracy on {split}; always after the last epoch, never the best one, and no run "
        "is stopped early."
    )
    if design.tuned:
        yield (
            f"Tuning: {counted(design.trials, 'trial')} of each arm, its defaults first, then points of its search "
            f"space from {_SEARCHES.get(design.search, design.search)}. An arm with nothing to search has its defaults "
            "alone. The trial of the highest validation accuracy after its last epoch was run again on fresh seeds; "
            "the trials' own scores enter no comparison."
        )
    yield (
        f"Every arm ran on the same {counted(design.seeds, 'seed')}: a seed fixes initialisation, data order and "
        "dropout, so arms are compared seed by seed."
    )
    yield (
        f"A run diverged when a loss was not finite. It is counted and never dropped: its accuracy is that of a guess, "
        f"{percent(CHANCE, 0)}. A mean that such a run is part of has no interval, since none would hold; median and "
        "IQM stand."
    )


def _statistics(context: Context) -> Iterator[str]:
    level, alpha = context.level, 1 - context.study.design.confidence
    yield (
        f"Intervals are at {level}: of a mean, and of the mean of the differences over seeds, Student's t; of the "
        "median, from order statistics (on few seeds, Price and Bonett's); of the interquartile mean (IQM), Tukey and "
        "McLaughlin's. Each stands by itself and is not widened for the number of arms."
    )
    yield (
        "p: the paired permutation test, which flips the signs of the differences of the seeds. Holm p: corrected for "
        f"all pairs of the workload. Arms differ, in this report, where Holm p is at most {alpha:.2g}; arms that share "
        'a letter under "Alike" do not.'
    )
    yield (
        "P(first above): the probability that a run of the first scores above a run of the second, whatever the seeds "
        "(Agarwal et al. 2021); P(beats best) the same, of the arm against the best. The detectable difference is the "
        "true one that the paired t-test finds four times of five with these seeds, at Holm's first threshold, for "
        "the pair of arms whose differences scatter in the median. summary.json has it of each pair, and all intervals."
    )
    yield (
        "The uncertainty that comes from the images scored (Wilson's interval) is stated apart: all arms see the same "
        "images, so it moves them together, and it is not part of any difference."
    )


def _clocks(context: Context) -> Iterator[str]:
    chunks = context.study.chunks.values()
    if not chunks:
        return
    executors = listed(sorted({chunk.executor for chunk in chunks}))
    yield (
        f"Runs were trained together in chunks, up to {max(chunk.members for chunk in chunks)} at once ({executors}). "
        "Seconds a run are the wall time of its chunk divided by the chunk's runs, training alone: evaluation and "
        "compilation are given apart. They are of the device named below, whatever else it did meanwhile, and compare "
        "arms that were trained so; a run by itself takes another time."
    )
    if context.study.design.targets:
        yield (
            "Targets were fixed in the config before the first run. Validation is after each epoch, so a target is "
            "reached at an epoch's end. Runs that miss it are censored at the end of their budget, diverged ones too. "
            '"Mean up to" is the restricted mean: of the time to the target or to the shortest budget, whichever is '
            "first."
        )
