"""The page of a record, from its folder's files alone, and the table of all records."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.files.atomic import write_atomically
from fmnist_jax.files.markdown import markdown_table
from fmnist_jax.files.reader import WorkdirReader
from fmnist_jax.records.declaration import SCHEMA
from fmnist_jax.records.record import ALPHA, RECORD
from fmnist_jax.report import theme
from fmnist_jax.report.format import counted, duration, p_value, percent
from fmnist_jax.report.model import Callout, Item, Picture, Report, Section, Stat, Stats, Table, Verdict
from fmnist_jax.report.provenance import config_table, data_callouts, reproducibility_section
from fmnist_jax.report.render import write_report

_REMEDY = "restore it from git, or run scripts/record.py again"
_README = "README.md"
_MARKED = re.compile("(<!-- table of records -->\n).*(\n<!-- end of the table -->)", re.DOTALL)


def write_page(folder: Path) -> Path:
    """Writes the plot, `report.md` and `report.html` of a finished record; returns the path of the last.

    **Raises:** `WorkdirError` where a file of the record is missing or damaged.
    """
    reader = WorkdirReader(folder, _REMEDY)
    record, manifest = reader.object(RECORD), reader.object("manifest.json")
    config = config_table(reader.object("config.json"), SCHEMA, manifest["optimizer"])
    items = [*_findings(record), *_turns(reader), Section("Config", [config])]
    items.append(reproducibility_section(manifest, "record"))
    lead = (
        f"{_network(record)}, {counted(record['epochs'], 'epoch')} of all training images; "
        f"{counted(record['n'], 'run')}, each scored once on the test set; {_device(record)}."
    )
    title = theme.Subject("", _is_synthetic(record)).title(f"{record['name']}: {_target(record)} test accuracy")
    return write_report(folder, Report("record", title, lead, items), ["runs"])


def write_table(results: Path) -> None:
    """Writes the table of the records in the folders of `results` between the markers of its `README.md`, if any."""
    readme = WorkdirReader(results, _REMEDY)
    if not readme.has(_README):
        return
    folders = sorted(path.parent for path in results.glob(f"*/{RECORD}"))
    records = [WorkdirReader(folder, _REMEDY).object(RECORD) for folder in folders]
    records.sort(key=lambda record: (record["target"], not record["valid"], record["median_seconds"]))
    table = markdown_table(_HEADER, map(_row, records), "lrrrrlll") if records else "None yet."
    text = _MARKED.sub(lambda found: f"{found[1]}{table}{found[2]}", readme.text(_README))
    write_atomically(results / _README, text.encode())


_HEADER = ("Target", "Seconds (median, range)", "n", "Mean", "p", "Network", "Record", "Commit")


def _row(record: Mapping[str, Any]) -> list[str]:
    return [
        f"{_target(record)}{'' if record['valid'] else ', missed'}",
        f"{record['median_seconds']:.1f} ({_range(record['train_seconds'])})",
        str(record["n"]),
        percent(record["mean"]),
        p_value(record["p"]),
        f"{_network(record)}; {_device(record)}",
        record["name"],
        record["commit"][:10],
    ]


def _findings(record: Mapping[str, Any]) -> Iterator[Item]:
    yield from data_callouts(_is_synthetic(record), validation_is_test=False)
    if record["diverged"]:
        text = f"Seeds {', '.join(map(str, record['diverged']))} diverged; each counts as the accuracy of guessing."
        yield Callout("warning", f"{counted(len(record['diverged']), 'run')} diverged.", text)
    holds = "holds" if record["valid"] else "misses its target"
    test = f"p-value of the one-sided t-test: {p_value(record['p'])}; a record needs p < {ALPHA}"
    yield Verdict("", [f"The record {holds}: mean test accuracy {percent(record['mean'])}.", f"The {test}."])
    yield Stats(
        [
            Stat(
                "Mean accuracy", percent(record["mean"]), f"standard deviation {percent(record['standard_deviation'])}"
            ),
            Stat("99 % lower bound", percent(record["lower_bound_99"]), "of the mean, one-sided"),
            Stat("Time of a run", duration(record["median_seconds"]), f"median; {_range(record['train_seconds'])} s"),
            Stat("CPU time", duration(statistics.median(record["cpu_seconds"])), "median, of all cores"),
            Stat("Compilation", duration(record["compile_seconds"]), "before and apart"),
        ]
    )
    yield _plot(record)
    columns = zip(*(record[key] for key in ("seeds", "accuracies", "train_seconds", "cpu_seconds")), strict=True)
    rows = [[str(seed), percent(accuracy), f"{wall:.2f}", f"{cpu:.1f}"] for seed, accuracy, wall, cpu in columns]
    yield Section("Runs", [Table("The runs", ["Seed", "Test accuracy", "Seconds", "CPU seconds"], rows)])


def _turns(reader: WorkdirReader) -> Iterator[Item]:
    """The times beside other records, where `--against` took some."""
    for name in sorted(path.name for path in reader.path.glob("turns_*.json")):
        found = reader.object(name)
        rows = [
            [each, f"{seconds['median']:.2f}", f"{seconds['low']:.2f} to {seconds['high']:.2f}"]
            for each, seconds in found["seconds"].items()
        ]
        own, other = found["seconds"]
        ratio = "{median:.2f} times as long ({low:.2f} to {high:.2f})".format(**found["ratio"])
        table = Table(f"Seconds of {own} and {other} in turns", ["Record", "Seconds (median)", "Range"], rows)
        yield Section(f"Beside {other}", [f"Timed in turns: {other} takes {ratio}.", table])


@theme.plot_style()
def _plot(record: Mapping[str, Any]) -> Picture:
    """Accuracy and seconds of each run, with the target and the mean accuracy."""
    subject = theme.Subject(f"{record['name']}: {_network(record)}", _is_synthetic(record))
    figure = theme.new_figure(5.0, "Runs", subject)
    accuracy, seconds = figure.subplots(2, 1, sharex=True)
    accuracy.plot(record["seeds"], record["accuracies"], "o", color=theme.FIRST)
    accuracy.axhline(record["mean"], color=theme.FIRST, label="mean")
    accuracy.axhline(record["target"], color=theme.SECOND, linestyle="--", label="target")
    accuracy.set_ylabel("test accuracy")
    theme.share_axis(accuracy.yaxis)
    theme.legend_above(accuracy, 2)
    seconds.plot(record["seeds"], record["train_seconds"], "o", color=theme.FIRST)
    seconds.set(xlabel="seed", ylabel="seconds", ylim=(0, 1.1 * max(record["train_seconds"])))
    seconds.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels()
    return Picture(
        "runs",
        theme.to_png(figure),
        f"Test accuracy and seconds of each seed. Mean accuracy {percent(record['mean'])}, target {_target(record)}.",
        "Seconds from images in memory to the score, compilation apart.",
    )


def _network(record: Mapping[str, Any]) -> str:
    return f"{record['model']} ({record['parameters']:,} parameters)"


def _device(record: Mapping[str, Any]) -> str:
    device = record["device"]
    if device["platform"] == "cpu":
        return f"CPU, {counted(device['host_cores'], 'core')}"
    return f"{device['count']} x {device['kind']}"


def _target(record: Mapping[str, Any]) -> str:
    other_data = "" if record["data"] == FASHION_MNIST.name else f" of {record['data']}"
    return f"{100 * record['target']:.5g} %{other_data}"


def _range(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.1f} to {max(seconds):.1f}"


def _is_synthetic(record: Mapping[str, Any]) -> bool:
    return bool(record["data"] == "synthetic")
