from __future__ import annotations

import itertools
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from run_script import run_script
from scipy import integrate, stats

from fmnist_jax.calibration import coverage
from fmnist_jax.calibration.coverage import bootstrap
from fmnist_jax.calibration.record import cells, markdown
from fmnist_jax.calibration.simulation import FAILING, HEAVY, NOISES, NORMAL, SKEWED, Cell, measure, time_of
from fmnist_jax.compare.statistics.hypothesis_tests import smallest_p
from fmnist_jax.compare.statistics.intervals import iqm_of
from fmnist_jax.compare.statistics.probability_of_improvement import wins

DOCS = Path(__file__).parent.parent / "docs" / "statistics"
COMMITTED = json.loads((DOCS / "calibration.json").read_text())
CELLS = list(cells())

ACCURACIES = (90.83, 91.21, 90.54, 91.02, 90.97, 90.41, 91.33, 90.88)

# Without a difference the permutation test rejects for 2 * floor(0.05 * 2^n / 2) of 2^n signs.
ATTAINABLE = {n: 2 * math.floor(0.05 * 2**n / 2) / 2**n for n in (3, 5, 10, 20)}


def _key(cell) -> tuple[str, str, str, int]:
    row = cell._asdict() if isinstance(cell, Cell) else cell
    return row["quantity"], row["method"], row["noise"], row["n"]


def _cell(*key: object) -> Cell:
    (found,) = [cell for cell in CELLS if _key(cell) == key]
    return found


def _rates(quantity: str, method: str, noise: str) -> dict[int, float]:
    key = (quantity, method, noise)
    return {row["n"]: row["rate"] for row in COMMITTED["cells"] if _key(row)[:3] == key}


def _errors_off(rate: float, truth: float, studies: int) -> float:
    """How many Monte Carlo standard errors the rate is off the truth."""
    return abs(rate - truth) / math.sqrt(truth * (1 - truth) / studies)


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (NORMAL, stats.norm()),
        (SKEWED, stats.expon()),
        (HEAVY, stats.t(3)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_noise_has_the_named_distribution(noise, expected):
    sign = -1 if noise is SKEWED else 1
    assert noise.mean == sign * expected.mean()
    assert noise.deviation == pytest.approx(expected.std())
    assert noise.median == pytest.approx(sign * expected.median())
    half = expected.expect(lb=expected.ppf(0.25), ub=expected.ppf(0.75)) * 2
    assert noise.iqm == pytest.approx(sign * half)
    best = integrate.quad(lambda u: sign * expected.ppf(1 - u if sign < 0 else u) * 3 * u**2, 0, 1)[0]
    assert noise.best_of(3) == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_draws_have_the_stated_moments(noise):
    drawn = noise.draw(np.random.default_rng(0), 200_000)
    assert drawn.mean() == pytest.approx(noise.mean, abs=4 * noise.deviation / math.sqrt(drawn.size))
    assert drawn.std() == pytest.approx(noise.deviation, rel=0.05)
    assert np.median(drawn) == pytest.approx(noise.median, abs=0.02)
    assert stats.trim_mean(drawn, 0.25) == pytest.approx(noise.iqm, abs=0.02)
    best = drawn.reshape(-1, 5).max(1)
    assert best.mean() == pytest.approx(noise.best_of(5), abs=5 * best.std() / math.sqrt(best.size))
    times = np.minimum(time_of(drawn), noise.horizon)
    assert times.mean() == pytest.approx(noise.restricted_mean, abs=5 * times.std() / math.sqrt(times.size))
    assert (times == noise.horizon).mean() == pytest.approx(0.3, abs=0.01)


def test_failures_are_one_run_in_fifty():
    drawn = FAILING.draw(np.random.default_rng(0), 100_000)
    assert (drawn == drawn.min()).mean() == pytest.approx(0.02, abs=4 * math.sqrt(0.02 * 0.98 / 1e5))


@pytest.mark.smoke
@pytest.mark.parametrize("noise", ["normal", "skewed", "heavy-tailed", "failing"])
def test_the_false_positive_rate_is_nominal(noise):
    row = measure(_cell("two arms alike", "permutation test", noise, 10), 2000)
    assert _errors_off(row["rate"], ATTAINABLE[10], row["studies"]) < 4


def test_the_family_wise_error_rate_is_below_nominal():
    row = measure(_cell("4 arms alike, any pair", "permutation test, Holm-adjusted", "normal", 10), 4000)
    assert 0.01 < row["rate"] < 0.05 + 4 * math.sqrt(0.05 * 0.95 / row["studies"])


@pytest.mark.parametrize("n", [3, 20])
@pytest.mark.parametrize("quantity", ["mean", "paired difference"])
def test_students_interval_covers_at_its_level_under_normal_noise(quantity, n):
    row = measure(_cell(quantity, "t", "normal", n), 5000)
    assert _errors_off(row["rate"], 0.95, row["studies"]) < 4


def test_intervals_between_order_statistics_cover_under_any_noise():
    for noise in NOISES:
        row = measure(_cell("median", "order-statistics", noise.name, 10), 5000)
        # Interpolated, and so not quite exact.
        assert abs(row["rate"] - 0.95) < 0.01 + 4 * row["standard_error"]
        whole_range = measure(_cell("median", "order-statistics", noise.name, 3), 5000)
        assert _errors_off(whole_range["rate"], 0.75, whole_range["studies"]) < 4


def test_the_bootstrap_of_three_seeds_covers_as_seldom_as_the_range_of_three():
    row = measure(_cell("mean", "BCa", "normal", 3), 10_000)
    assert row["rate"] < 0.75 + 4 * math.sqrt(0.75 * 0.25 / row["studies"])
    assert row["rate"] > 0.65


def test_the_t_test_has_80_percent_power_at_the_minimum_detectable_effect():
    row = measure(_cell("at the minimum detectable difference", "t-test", "normal", 5), 5000)
    assert _errors_off(row["rate"], 0.8, row["studies"]) < 4


def test_a_cell_does_not_depend_on_other_cells():
    """Methods for one quantity see the same draws, in any order of the cells."""
    cell = _cell("mean", "t", "skewed", 5)
    assert measure(cell, 1000) == measure(cell, 1000)
    assert measure(cell, 1000)["rate"] != measure(_cell("mean", "t", "skewed", 10), 1000)["rate"]


def test_the_committed_record_is_that_of_every_cell():
    assert [_key(row) for row in COMMITTED["cells"]] == [_key(cell) for cell in CELLS]
    for row, cell in zip(COMMITTED["cells"], CELLS, strict=True):
        assert row["section"] == cell.section
        assert row["studies"] == round(COMMITTED["studies"] * cell.share)
        assert row["standard_error"] == pytest.approx(math.sqrt(row["rate"] * (1 - row["rate"]) / row["studies"]))


@pytest.mark.parametrize(
    "key",
    [
        ("mean", "t", "failing", 20),
        ("median", "price-bonett", "skewed", 5),
        ("IQM", "trimmed-t", "heavy-tailed", 10),
        ("P(A > B) = 0.5", "newcombe", "normal", 3),
        ("restricted mean time", "greenwood-t", "normal", 5),
        ("two arms alike", "permutation test", "skewed", 10),
        ("expected best of 3 trials", "jackknife", "normal", 20),
        ("at the difference that another such study states", "t-test", "normal", 3),
    ],
    ids=lambda key: " ".join(map(str, key)),
)
def test_the_committed_rates_are_what_the_code_gives(key):
    (committed,) = [row for row in COMMITTED["cells"] if _key(row) == key]
    found = measure(_cell(*key), COMMITTED["studies"])
    # Another version of a library may round a study or two across a limit.
    assert found["rate"] == pytest.approx(committed["rate"], abs=3 / committed["studies"])


@pytest.mark.parametrize("noise", ["normal", "skewed", "heavy-tailed", "failing"])
def test_committed_false_positive_rates_are_nominal(noise):
    studies = COMMITTED["studies"]
    for n, rate in _rates("two arms alike", "permutation test", noise).items():
        assert rate == 0 if smallest_p(n) > 0.05 else _errors_off(rate, ATTAINABLE[n], studies) < 4
    family = _rates("4 arms alike, any pair", "permutation test, Holm-adjusted", noise)
    assert max(family.values()) < 0.05 + 4 * math.sqrt(0.05 * 0.95 / (studies / 4))


@pytest.mark.parametrize(
    "key", [("mean", "t"), ("paired difference", "t"), ("minimum detectable difference", "noncentral t")]
)
def test_committed_coverage_of_exact_intervals_is_nominal(key):
    for row in COMMITTED["cells"]:
        if _key(row)[:3] == (*key, "normal"):
            assert _errors_off(row["rate"], 0.95, row["studies"]) < 4


@pytest.mark.parametrize(
    ("quantity", "default"),
    [("mean", "t"), ("IQM", "trimmed-t"), ("paired difference", "t"), ("P(A > B) = 0.5", "newcombe")],
)
def test_the_default_is_nearer_its_level_on_three_seeds_than_the_bootstrap(quantity, default):
    others = {row["method"] for row in COMMITTED["cells"] if row["quantity"] == quantity} - {default}
    assert others
    for noise in ("normal", "skewed", "heavy-tailed"):
        off = abs(_rates(quantity, default, noise)[3] - 0.95)
        assert all(off < abs(_rates(quantity, other, noise)[3] - 0.95) for other in others)


def test_the_tables_are_the_records():
    assert (DOCS / "calibration.md").read_text() == markdown(COMMITTED)


def test_the_page_quotes_the_measured_rates():
    page = " ".join((DOCS / "README.md").read_text().split())
    pattern = r"`([^`]+)`: ((?:\d\.\d{3}(?:, )?)+)"
    found = re.findall(pattern, page)
    assert len(found) >= 25
    for key, rates in found:
        quantity_and_method, noise = key.rsplit(", ", 1)
        measured = [
            f"{row['rate']:.3f}"
            for row in COMMITTED["cells"]
            if (f"{row['quantity']}, {row['method']}", row["noise"]) == (quantity_and_method, noise)
        ]
        assert re.findall(r"\d\.\d{3}", rates) == measured, key
    # Every rate on the page is one that is checked.
    assert not re.findall(r"\d\.\d{3}", re.sub(pattern, "", page))


def test_the_script_writes_the_record_and_its_tables(tmp_path):
    ended = run_script("calibrate", f"--output={tmp_path}/found/new.json", "--studies=20")
    assert (ended.code, ended.out) == (0, f"{tmp_path}/found/new.md\n")
    assert len(ended.err.splitlines()) == len(CELLS)
    record = json.loads((tmp_path / "found" / "new.json").read_text())
    assert [_key(row) for row in record["cells"]] == [_key(cell) for cell in CELLS]
    assert (tmp_path / "found" / "new.md").read_text() == markdown(record)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--output must be a .json file, as docs/statistics/calibration.json, not ''"),
        (["--output=rates.md"], "--output must be a .json file, as docs/statistics/calibration.json, not 'rates.md'"),
        (["--output=a.json", "--studies=3"], "--studies must be"),
        (["--output=a.json", "more"], "'more' is not a flag"),
    ],
)
def test_a_wrong_flag_of_the_script_is_an_error(arguments, message):
    ended = run_script("calibrate", *arguments)
    assert ended.code == 2
    assert ended.err.startswith(f"error: {message}")
    assert ended.err.count("\n") == 1


def test_a_record_that_cannot_be_written_is_the_users_error(tmp_path):
    (tmp_path / "file").write_text("")
    ended = run_script("calibrate", f"--output={tmp_path}/file/new.json", "--studies=20")
    assert ended.code == 2
    assert "cannot be written" in ended.err.splitlines()[-1]


def test_the_percentile_interval_is_that_of_all_resamples():
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    resampled = [np.mean(drawn) for drawn in itertools.product(values, repeat=5)]
    found = bootstrap((values,), np.mean, "percentile", resamples=9999)
    assert found == pytest.approx(np.quantile(resampled, [0.025, 0.975]), abs=0.2)


def test_bca_is_scipys():
    expected = stats.bootstrap((ACCURACIES,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    found = bootstrap((np.array(ACCURACIES),), np.mean, "BCa", resamples=9999)
    assert found == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_the_bootstrap_of_many_samples_is_that_of_each(monkeypatch):
    monkeypatch.setattr(coverage, "_MAX_VALUES", 1000)
    samples = np.random.default_rng(0).normal(size=(3, 7))
    low, high = bootstrap((samples,), np.mean, "BCa", resamples=9999)
    for row, limits in zip(samples, zip(low, high, strict=True), strict=True):
        assert bootstrap((row,), np.mean, "BCa", resamples=9999) == pytest.approx(limits, rel=1e-12)


@pytest.mark.parametrize("method", coverage.BOOTSTRAP)
@pytest.mark.parametrize("statistic", [np.mean, np.median, iqm_of])
def test_the_bootstrap_of_equal_runs_has_no_width(statistic, method):
    assert bootstrap((np.full(7, 0.9),), statistic, method) == pytest.approx((0.9, 0.9))


def test_the_bootstrap_of_p_of_improvement_resamples_seeds():
    a = np.array([1.0, 2.0, 3.0, 4.0])
    b = a - 0.5
    drawn = (list(seeds) for seeds in itertools.product(range(4), repeat=4))
    resampled = [np.mean(a[seeds, None] > b[seeds]) for seeds in drawn]
    found = bootstrap((a, b), wins, "percentile", level=0.8, paired=True, resamples=9999)
    assert found == pytest.approx(np.quantile(resampled, [0.1, 0.9]))


def test_the_bootstrap_of_p_of_improvement_of_arms_far_apart_has_no_width():
    found = bootstrap((np.array([3, 4, 5]), np.array([0, 1, 2])), wins, "percentile", paired=True)
    assert found == (1.0, 1.0)


def test_the_statistics_need_neither_jax_nor_their_calibration():
    blocked = ["jax", "jaxlib", "flax", "optax", "orbax", "tensorflow_datasets", "matplotlib", "fmnist_jax.calibration"]
    modules = [path.stem for path in (DOCS.parent.parent / "fmnist_jax" / "compare" / "statistics").glob("[!_]*.py")]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked})); "
        f"from fmnist_jax.compare.statistics import {', '.join(modules)}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=DOCS.parent.parent)
    assert done.returncode == 0, done.stderr
