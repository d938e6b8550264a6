from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from study_files import STEPS, Simulated, final_scores, read_lines, write_lines, write_study

from fmnist_jax.compare.analysis.analyse import Analysis, analyse, to_jsonable
from fmnist_jax.compare.analysis.study import read_study
from fmnist_jax.files.atomic import finite

FOUR = {"sgd": 0.86, "rmsprop": 0.911, "adam": 0.9145, "nadam": 0.9142}


def analysed(folder: Path, simulated: Simulated) -> Analysis:
    return analyse(read_study(write_study(folder, simulated)))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> tuple[Path, Analysis]:
    folder = tmp_path_factory.mktemp("tuned")
    simulated = Simulated(FOUR, mode="tuned", trials=6, seeds=9, score_test=True, diverged=frozenset({("nadam", 2)}))
    return folder, analysed(folder, simulated)


def test_the_figures_of_an_arm_are_those_of_its_last_epochs(tuned):
    folder, analysis = tuned
    scores = final_scores(folder, "adam", "test_accuracy")
    figures = analysis.workloads[0].arm("adam")
    assert analysis.score == "test_accuracy"
    assert figures.scores == list(scores)
    assert figures.mean.value == pytest.approx(scores.mean())
    assert (figures.mean.low, figures.mean.high) == pytest.approx(
        stats.t.interval(0.95, 8, scores.mean(), stats.sem(scores))
    )
    assert figures.median.value == pytest.approx(np.median(scores))
    assert figures.iqm.value == pytest.approx(stats.trim_mean(scores, 0.25))
    assert figures.deviation == pytest.approx(scores.std(ddof=1))
    assert figures.validation.value == pytest.approx(final_scores(folder, "adam").mean())
    assert figures.train_loss == pytest.approx(final_scores(folder, "adam", "train_loss").mean())
    assert figures.sampling.low < figures.mean.value - 0.004


def test_arms_are_ranked_by_their_mean_with_failures_at_chance(tuned):
    folder, analysis = tuned
    workload = analysis.workloads[0]
    assert [figures.arm for figures in workload.arms] == ["adam", "rmsprop", "sgd", "nadam"]
    assert list(workload.comparison.arms) == ["adam", "rmsprop", "sgd", "nadam"]
    lost = workload.arm("nadam")
    sound = np.delete(final_scores(folder, "nadam", "val_accuracy") - 0.003, 2)
    assert (lost.failures, lost.scores[2]) == (1, 0.1)
    assert lost.mean.value == pytest.approx((sound.sum() + 0.1) / 9)
    assert math.isnan(lost.mean.low)
    assert lost.median.value == pytest.approx(np.median([*sound, 0.1]))
    assert math.isfinite(lost.train_loss)


def test_differences_are_of_the_same_seeds(tuned):
    folder, analysis = tuned
    pair = analysis.workloads[0].comparison.pair("adam", "rmsprop")
    differences = final_scores(folder, "adam", "test_accuracy") - final_scores(folder, "rmsprop", "test_accuracy")
    low, high = stats.t.interval(0.95, 8, differences.mean(), stats.sem(differences))
    assert pair.difference[:3] == pytest.approx((differences.mean(), low, high))
    # Narrower than that of independent runs, since the seeds' own effect cancels.
    assert pair.deviation < 0.8 * math.hypot(*(analysis.workloads[0].arm(arm).deviation for arm in ("adam", "rmsprop")))


def test_no_interval_for_a_difference_that_a_failed_run_is_part_of(tuned):
    pair = tuned[1].workloads[0].comparison.pair("adam", "nadam")
    assert pair.difference.value > 0.08
    assert math.isnan(pair.difference.low)
    assert math.isinf(pair.minimum_detectable_effect.value)


def test_leads_are_over_each_arm_that_is_beaten(tmp_path):
    seeds = {"seeds": 9, "sd": 0.0015}
    workload = analysed(tmp_path, Simulated({"sgd": 0.86, "a": 0.9, "b": 0.9, "rmsprop": 0.88}, **seeds)).workloads[0]
    assert set(workload.comparison.ordering.best) == {"a", "b"}
    leads = {lead.loser: lead for lead in workload.leads}
    assert set(leads) == {"sgd", "rmsprop"}
    assert set(leads["sgd"].group) == {"a", "b"}
    a, b, sgd = (final_scores(tmp_path, arm) for arm in ("a", "b", "sgd"))
    assert leads["sgd"].difference.value == pytest.approx(((a + b) / 2 - sgd).mean())
    assert leads["sgd"].difference.low < leads["sgd"].difference.value < leads["sgd"].difference.high


def test_power_is_of_the_pair_that_scatters_in_the_median(tuned):
    workload = tuned[1].workloads[0]
    sound = sorted(pair.deviation for pair in workload.comparison.pairs if "nadam" not in (pair.a, pair.b))
    assert workload.power.deviation in sound
    assert workload.power.minimum_detectable_effect.value > 0
    assert workload.power.seeds_for[0.001] > workload.power.seeds_for[0.002]
    assert workload.power.smallest_p == 2 / 2**9


def test_tuning_keeps_the_best_trial_and_its_failures(tuned):
    folder, analysis = tuned
    lines = [line for line in read_lines(folder) if line["arm"] == "rmsprop" and line["phase"] == "tune"]
    last = {line["trial"]: line for line in lines}
    scores = [0.1 if line["train_loss"] is None else line["val_accuracy"] for line in last.values()]
    figures = next(found for found in analysis.workloads[0].tuning if found.arm == "rmsprop")
    assert (figures.trials, figures.failures) == (6, sum(score == 0.1 for score in scores))
    assert (figures.defaults, figures.best, figures.best_trial) == (scores[0], max(scores), int(np.argmax(scores)))
    assert figures.hyperparameters == last[figures.best_trial]["hyperparameters"]
    assert (figures.curve.value[0], figures.curve.value[-1]) == pytest.approx((scores[0], max(scores)))
    assert figures.sensitivity.best_rate == figures.hyperparameters["learning_rate"]
    assert figures.edges == ()


def test_an_optimum_at_the_edge_of_the_space_is_reported(tmp_path):
    workdir = write_study(tmp_path, Simulated({"adam": 0.91}, mode="tuned", trials=5, seeds=2))
    plan = json.loads((workdir / "plan.json").read_text())
    best = analyse(read_study(workdir)).workloads[0].tuning[0].hyperparameters["learning_rate"]
    plan["spaces"]["adam"]["learning_rate"] |= {"low": best * 0.99}
    (workdir / "plan.json").write_text(json.dumps(plan))
    (edge,) = analyse(read_study(workdir)).workloads[0].tuning[0].edges
    assert (edge.name, edge.edge, edge.value) == ("learning_rate", "low", best)


def test_a_tie_of_trials_goes_to_the_lower_loss(tmp_path):
    workdir = write_study(tmp_path, Simulated({"adam": 0.91}, mode="tuned", trials=3, seeds=1))
    lines = read_lines(workdir)
    for line in lines:
        if line["phase"] == "tune":
            loss = {0: 0.4, 1: 0.3, 2: 0.5}[line["trial"]]
            line |= {"train_loss": 0.2, "val_accuracy": 0.9, "val_loss": loss}
    write_lines(workdir, lines)
    assert analyse(read_study(workdir)).workloads[0].tuning[0].best_trial == 1


def test_an_arm_with_nothing_to_search_has_its_defaults_alone(tmp_path):
    workdir = write_study(tmp_path, Simulated({"adam": 0.91}, mode="tuned", trials=1, seeds=2))
    (figures,) = analyse(read_study(workdir)).workloads[0].tuning
    assert (figures.trials, figures.sensitivity, figures.best) == (1, None, figures.defaults)


def test_steps_and_seconds_to_a_target(tmp_path):
    simulated = Simulated({"adam": 0.9, "sgd": 0.8}, epochs=(4,), seeds=4, targets=(0.87, 0.99), sd=1e-6)
    low, high = analysed(tmp_path, simulated).workloads[0].targets
    adam, sgd = low.arms
    assert (adam.arm, adam.reached, sgd.reached) == ("adam", 4, 0)
    epoch = next(line["epoch"] for line in read_lines(tmp_path) if line["val_accuracy"] >= 0.87)
    assert adam.steps.median == adam.steps.restricted_mean.value == epoch * STEPS
    seconds = [
        sum(
            line["train_seconds"]
            for line in read_lines(tmp_path)
            if line["arm"] == "adam" and line["seed"] == seed and line["epoch"] <= epoch
        )
        for seed in range(4)
    ]
    assert adam.seconds.restricted_mean.value == pytest.approx(np.mean(seconds))
    assert (sgd.steps.median, sgd.steps.restricted_mean.value) == (math.inf, 4 * STEPS)
    assert low.horizon_steps == 4 * STEPS
    assert [found.reached for found in high.arms] == [0, 0]


def test_a_diverged_run_never_reaches_a_target_within_its_budget(tmp_path):
    simulated = Simulated({"adam": 0.9}, epochs=(4,), seeds=3, targets=(0.85,), diverged=frozenset({("adam", 0)}))
    (target,) = analysed(tmp_path, simulated).workloads[0].targets
    found = target.arms[0]
    assert (found.reached, found.runs) == (2, 3)
    assert found.steps.curve.share[-1] == pytest.approx(2 / 3)
    assert found.steps.curve.times[-1] == target.horizon_steps == 4 * STEPS


def test_costs_are_of_training_alone_with_the_rest_apart(tuned):
    folder, analysis = tuned
    cost = analysis.workloads[0].arm("sgd").cost
    lines = [line for line in read_lines(folder) if line["arm"] == "sgd" and line["phase"] == "final"]
    runs = [sum(line["train_seconds"] for line in lines if line["seed"] == seed) for seed in range(9)]
    assert cost.train == pytest.approx(np.median(runs))
    assert (cost.evaluation, cost.compilation) == (pytest.approx(1.0), 6.5)
    assert cost.step == pytest.approx(np.median([seconds / (5 * STEPS) for seconds in runs]))
    assert (cost.optimizer_state, analysis.workloads[0].arm("adam").cost.optimizer_state) == (0.001, 2.001)
    assert (analysis.totals.planned, analysis.totals.trained) == (60, 60)
    assert analysis.totals.compile_seconds == 8 * 6.5


def test_a_run_of_a_smaller_chunk_does_not_take_longer(tmp_path):
    # The lone third seed of adam takes as long as the first two side by side.
    chunks = {"adam": (2, 1), "sgd": (2, 1)}
    simulated = Simulated({"adam": 0.9, "sgd": 0.9}, epochs=(4,), seeds=3, targets=(0.5,), chunks=chunks)
    workload = analysed(tmp_path, simulated).workloads[0]
    for arm in workload.targets[0].arms:
        assert arm.seconds.restricted_mean[:3] == pytest.approx((3, 3, 3))
    assert workload.targets[0].horizon_seconds == 12
    assert [(arm.cost.train, arm.cost.evaluation) for arm in workload.arms] == [pytest.approx((12, 1.2))] * 2
    assert workload.chunk_size == 2


def test_seconds_are_of_the_largest_chunks_that_all_arms_share(tmp_path):
    chunks = {"adam": (3, 2, 1), "sgd": (2, 2, 2)}
    simulated = Simulated({"adam": 0.9, "sgd": 0.9}, epochs=(4,), seeds=6, targets=(0.5,), chunks=chunks)
    workload = analysed(tmp_path, simulated).workloads[0]
    assert workload.chunk_size == 2
    assert [arm.cost.train for arm in workload.arms] == [pytest.approx(12)] * 2


@pytest.mark.parametrize("difference", ["size", "device"])
def test_seconds_are_not_compared_where_arms_share_no_chunk_size_on_one_device(tmp_path, difference):
    chunks = {"adam": (2, 2), "sgd": (1,) * 4 if difference == "size" else (2, 2)}
    workdir = write_study(tmp_path, Simulated({"adam": 0.9, "sgd": 0.8}, epochs=(4,), seeds=4, chunks=chunks))
    if difference == "device":
        first, second, *others = read_lines(workdir, "chunks.jsonl")
        write_lines(workdir, [first | {"device": "b"}, second | {"device": "b"}, *others], "chunks.jsonl")
    workload = analyse(read_study(workdir)).workloads[0]
    assert workload.chunk_size is None
    assert all(math.isnan(arm.cost.train) and math.isnan(arm.cost.evaluation) for arm in workload.arms)
    assert all(arm.seconds is None and arm.steps.restricted_mean.value > 0 for arm in workload.targets[0].arms)
    assert math.isnan(workload.targets[0].horizon_seconds)


def test_what_is_missing_is_counted(tmp_path):
    simulated = Simulated(FOUR, seeds=4, mode="tuned", trials=2, missing=frozenset({"adam"}))
    analysis = analysed(tmp_path, simulated)
    workload = analysis.workloads[0]
    assert not analysis.complete
    assert [(missing.arm, missing.finals, missing.tuning) for missing in workload.missing] == [("adam", 4, 0)]
    assert len(workload.arms) == 3
    assert (analysis.totals.planned, analysis.totals.trained) == (24, 20)


def test_arms_are_compared_on_the_seeds_that_all_have(tmp_path):
    workdir = write_study(tmp_path, Simulated({"adam": 0.91, "sgd": 0.9}, seeds=6))
    write_lines(workdir, [line for line in read_lines(workdir) if line["arm"] == "adam" or line["seed"] not in (1, 4)])
    workload = analyse(read_study(workdir)).workloads[0]
    assert workload.comparison.seeds == (0, 2, 3, 5)
    assert workload.arm("adam").seeds == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("accuracy", [{"adam": 0.9}, {"adam": 0.9, "sgd": 0.8}])
def test_too_little_to_compare(tmp_path, accuracy):
    simulated = Simulated(accuracy, seeds=2, missing=frozenset({"sgd"}))
    workload = analysed(tmp_path, simulated).workloads[0]
    assert (workload.comparison, workload.power, list(workload.leads)) == (None, None, [])
    assert len(workload.arms) == 1


def test_a_single_seed_has_estimates_without_intervals(tmp_path):
    workload = analysed(tmp_path, Simulated({"adam": 0.9, "sgd": 0.8}, seeds=1)).workloads[0]
    assert workload.power is None
    assert math.isnan(workload.arms[0].mean.low)
    assert math.isnan(workload.arms[0].deviation)
    assert not workload.comparison.conclusive


def test_profiles_are_over_the_workloads_that_every_arm_has(tmp_path):
    several = Simulated({"adam": 0.9, "sgd": 0.85}, models=("model1", "model3"), easier={"model1": -0.02}, seeds=3)
    found = analysed(tmp_path / "a", several).profiles
    assert list(found.workloads) == ["model1, 5 epochs, constant", "model3, 5 epochs, constant"]
    assert found.error.shares["adam"][0] == 1
    assert found.error.ratios["sgd"][1] == pytest.approx(0.15 / 0.1, rel=0.05)
    # Both targets on both workloads.
    assert found.steps.ratios["adam"].shape == (4,)
    assert analysed(tmp_path / "b", Simulated({"adam": 0.9}, seeds=3)).profiles is None
    lacking = Simulated({"adam": 0.9, "sgd": 0.8}, models=("model1", "model3"), missing=frozenset({"sgd"}))
    assert analysed(tmp_path / "c", lacking).profiles is None


def test_all_figures_can_be_written_as_json(tuned):
    text = json.dumps(finite(to_jsonable(tuned[1])), allow_nan=False)
    found = json.loads(text)["workloads"][0]
    assert found["arms"][3]["mean"] == {
        "value": pytest.approx(0.82, abs=0.01),
        "low": None,
        "high": None,
        "level": 0.95,
        "method": "none",
    }
    assert found["comparison"]["ordering"]["best"] == ["adam", "nadam"]
    assert len(found["targets"][0]["arms"][0]["steps"]["curve"]["share"]) > 0
