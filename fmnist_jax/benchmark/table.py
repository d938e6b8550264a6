"""The benchmark as Markdown: a table for each model, sentences about what it shows, and what could not be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fmnist_jax.benchmark import series_table
from fmnist_jax.benchmark.cells import table, words
from fmnist_jax.benchmark.contenders import CONTENDERS
from fmnist_jax.benchmark.figures import TASKS

_VERBS = {"train": "training", "evaluate": "evaluation"}
_MIB = 2**20
_STOCK = "flax-scan"


def markdown(record: Mapping[str, Any]) -> str:
    """Returns the text of `benchmark.md` from what `benchmark.json` holds."""
    blocks = ["# Speed, side by side", _conditions(record["manifest"]), overview(record["models"])]
    for name, model in record["models"].items():
        blocks += [f"## {name}", _about(model), _contenders(model), _findings(model)]
    for name, axes in record["growth"].items():
        blocks.append(series_table.growth(name, axes, record["models"][name]["batch_size"]))
    # Results that were written before there were numerics have none.
    for name, parts in record.get("numerics", {}).items():
        blocks.append(series_table.numerics(name, parts, record["models"][name]["batch_size"]))
    return "\n\n".join(block for block in blocks if block) + "\n"


def overview(models: Mapping[str, Any]) -> str:
    """Returns a table with a row for each model: what matters most."""
    header = ["", "training, images/s", "fastest peer", "ours is faster", "than stock Flax", "share of roofline"]
    header += ["evaluation, images/s", "fastest peer", "ours is faster"]
    return table(header, [_overview_row(name, model["summary"]) for name, model in models.items()])


def _overview_row(name: str, summary: Mapping[str, Any]) -> list[str]:
    train, evaluation = (_against_peer(summary[task]) for task in TASKS)
    flax = summary["train"]["ours_times_as_fast_as"].get(_STOCK)
    roof = summary["train"]["roofline"]
    reached = f"{roof['reached']['median']:.0%}" if roof else ""
    return [name, *train, f"{flax['median']:.0f} x" if flax else "", reached, *evaluation]


def _against_peer(summary: Mapping[str, Any]) -> list[str]:
    speeds, peer = summary["examples_per_second"], summary["fastest_peer"]
    ratio = summary["ours_times_as_fast_as"].get(peer)
    ours = f"{speeds['ours']['median']:,.0f}" if "ours" in speeds else ""
    theirs = f"{peer}: {speeds[peer]['median']:,.0f}" if peer else ""
    return [ours, theirs, f"{words(ratio, '.2f')} x" if ratio else ""]


def _conditions(manifest: Mapping[str, Any]) -> str:
    sha = manifest["git_sha"] or "no checkout"
    dirty = ", with uncommitted changes" if manifest["git_dirty"] else ""
    return (
        f"`{manifest['command']}` at {sha[:12]}{dirty}, begun {manifest['started']}; {manifest['processor']}, cores "
        f"used: {manifest['cores']}, load average before: {manifest['load_average']:.1f}. Examples a second: the "
        f"median of {manifest['repeats']} measurements taken in turn, with the lowest and the highest; compilation is "
        "not in them. Ratios are of measurements of the same turn. The first step is from the start of the process; "
        f"the second time with what the framework had compiled and kept then. Data: {manifest['data']}."
    )


def _about(model: Mapping[str, Any]) -> str:
    return f"Batches of {model['batch_size']}, {model['optimizer']}, float32, {model['parameters']:,} parameters."


def _contenders(model: Mapping[str, Any]) -> str:
    header = ["", "training", "ours is faster", "evaluation", "ours is faster", "first step, s", "memory, MiB"]
    measured = {name: found for name, found in model["contenders"].items() if found["status"] == "measured"}
    return table(header, [_row(name, found, model["summary"]) for name, found in measured.items()])


def _row(name: str, found: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    cells = []
    for task in TASKS:
        cells.append(words(summary[task]["examples_per_second"][name]))
        ratio = summary[task]["ours_times_as_fast_as"].get(name)
        cells.append(f"{words(ratio, '.2f')} x" if ratio else "")
    starts = ", ".join(f"{seconds:.1f}" for seconds in found["first_step_seconds"])
    device = found["memory"]["device"]
    memory = f"{found['memory']['host'] / _MIB:,.0f}" + (f" + {device / _MIB:,.0f} on device" if device else "")
    return [name, *cells, starts, memory]


def _findings(model: Mapping[str, Any]) -> str:
    return "\n".join([*_versions(model), *_comparisons(model), *_absent(model["contenders"])])


def _versions(model: Mapping[str, Any]) -> Iterator[str]:
    versions: dict[str, str] = {}
    for found in model["contenders"].values():
        versions |= found.get("versions", {})
    devices = sorted({found["device"] for found in model["contenders"].values() if "device" in found})
    if versions:
        listed = ", ".join(f"{package} {version}" for package, version in versions.items())
        yield f"- Measured on {' and '.join(devices)}: {listed}."


def _comparisons(model: Mapping[str, Any]) -> Iterator[str]:
    for task, summary in model["summary"].items():
        peer, what = summary["fastest_peer"], _VERBS[task]
        ratio = summary["ours_times_as_fast_as"].get(peer)
        if ratio:
            times = words(ratio, ".2f")
            yield f"- {what.capitalize()}: {times} times as fast as the fastest of Keras and PyTorch, {peer}."
        if summary["roofline"]:
            yield _roofline(what, summary["roofline"])


def _roofline(what: str, roof: Mapping[str, Any]) -> str:
    return (
        f"- Roofline of {what}: {roof['flops_per_example'] / 1e6:.2f} MFLOP and "
        f"{roof['bytes_per_example'] / 1e3:.1f} kB an example allow {roof['ceiling_examples_per_second']:,.0f} "
        f"examples/s at the {roof['machine_flops_per_second'] / 1e9:,.0f} GFLOP/s and "
        f"{roof['machine_bytes_per_second'] / 1e9:,.1f} GB/s measured; ours reaches "
        f"{words(roof['reached'], '.0%')} of that."
    )


def _absent(contenders: Mapping[str, Any]) -> Iterator[str]:
    for name, found in contenders.items():
        if found["status"] != "measured":
            yield f"- {name} ({CONTENDERS[name].summary}) {found['status']}: {found['reason']}."
