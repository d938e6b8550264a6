"""The figures that follow from the measurements, and the benchmark as Markdown, from what `benchmark.json` holds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fmnist_jax.benchmark.candidates import CANDIDATES
from fmnist_jax.benchmark.interleaved import Spread, rates, ratios, spread
from fmnist_jax.benchmark.problem import Problem
from fmnist_jax.files.markdown import markdown_table

TASKS = ("train", "evaluate")
_NOUNS = {"train": "training", "evaluate": "evaluation"}
_MIB = 2**20
_STOCK_FLAX = "flax-scan"
_GFLOPS = "GFLOP/s count the arithmetic of direct convolutions; Winograd and FFT convolutions do with less."


def summarise(problem: Problem, model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns by task everyone's examples per second, our speedup over each, the fastest peer, and our roofline share.

    What was not measured is missing: a candidate, or `None` for the fastest of Keras and PyTorch and for the roofline.
    """
    return {task: _summary(problem, model, task) for task in TASKS}


def _summary(problem: Problem, model: Mapping[str, Any], task: str) -> dict[str, Any]:
    measured = {name: found for name, record in model["candidates"].items() if (found := rates(record, task))}
    ours = measured.get("ours", [])
    peers = [name for name in measured if CANDIDATES[name].framework in ("keras", "torch")]
    return {
        "examples_per_second": {name: spread(values) for name, values in measured.items()},
        "speedup_over": {name: ratios(ours, values) for name, values in measured.items() if ours and name != "ours"},
        "fastest_peer": max(peers, key=lambda name: statistics.median(measured[name]), default=None),
        "roofline": _roofline_share(problem, model["machine"], task, ours),
    }


def _roofline_share(
    problem: Problem, machine: Mapping[str, Any], task: str, ours: Sequence[float]
) -> dict[str, Any] | None:
    """The examples per second that the machine's matrix products and memory allow, and our share of them.

    Source: Williams, Waterman & Patterson, "Roofline: an insightful visual performance model for multicore
    architectures", CACM 2009. The share can exceed 1: the arithmetic is that of direct convolutions, and Winograd and
    FFT convolutions do with less.
    """
    flop_rates, bandwidths = rates(machine, "matmul"), rates(machine, "copy")
    if not (ours and flop_rates and bandwidths):
        return None
    flops, traffic = problem.architecture.flops(task), problem.traffic(task)
    ceilings = [ceiling(flops, traffic, *turn) for turn in zip(flop_rates, bandwidths, strict=True)]
    return {
        "flops_per_example": flops,
        "bytes_per_example": traffic,
        "machine_flops_per_second": statistics.median(flop_rates),
        "machine_bytes_per_second": statistics.median(bandwidths),
        "ceiling_examples_per_second": statistics.median(ceilings),
        "reached": ratios(ours, ceilings),
    }


def ceiling(flops: float, traffic: float, flop_rate: float, bandwidth: float) -> float:
    """Returns the examples per second that the machine allows, from operations and bytes per example and per second."""
    return min(flop_rate / flops, bandwidth / traffic)


def markdown(record: Mapping[str, Any]) -> str:
    """Returns the text of `benchmark.md`."""
    blocks = ["# Speed, side by side", _conditions(record["manifest"]), overview(record["models"])]
    for name, model in record["models"].items():
        blocks += [f"## {name}", _about(model), _candidates(model), "\n".join(_findings(model))]
    for name, axes in record["growth"].items():
        blocks.append(f"## {name}: our training speed by {', '.join(axes)}")
        for axis, found in axes.items():
            blocks += [_series(axis, found, record["models"][name]["batch_size"]), "\n".join(_reasons(found))]
        blocks.append(_GFLOPS)
    return "\n\n".join(block for block in blocks if block) + "\n"


def overview(models: Mapping[str, Any]) -> str:
    """Returns a table with a row for each model: what matters most."""
    header = ["", "training, images/s", "fastest peer", "our speedup", "over stock Flax", "share of roofline"]
    header += ["evaluation, images/s", "fastest peer", "our speedup"]
    return _table(header, [_overview_row(name, model["summary"]) for name, model in models.items()])


def _overview_row(name: str, summary: Mapping[str, Any]) -> list[str]:
    train, evaluation = (_against_peer(summary[task]) for task in TASKS)
    flax, roofline = summary["train"]["speedup_over"].get(_STOCK_FLAX), summary["train"]["roofline"]
    reached = f"{roofline['reached']['median']:.0%}" if roofline else ""
    return [name, *train, f"{flax['median']:.0f} x" if flax else "", reached, *evaluation]


def _against_peer(summary: Mapping[str, Any]) -> list[str]:
    speeds, peer = summary["examples_per_second"], summary["fastest_peer"]
    ours = f"{speeds['ours']['median']:,.0f}" if "ours" in speeds else ""
    return [ours, f"{peer}: {speeds[peer]['median']:,.0f}" if peer else "", _times(summary["speedup_over"].get(peer))]


def _conditions(manifest: Mapping[str, Any]) -> str:
    sha = manifest["git_sha"] or "no checkout"
    dirty = ", with uncommitted changes" if manifest["git_dirty"] else ""
    return (
        f"`{manifest['command']}` at {sha[:12]}{dirty}, started {manifest['started']}; {manifest['processor']}, "
        f"{manifest['cores']} cores, load average before: {manifest['load_average']:.1f}. Speeds are medians of "
        f"{manifest['repeats']} interleaved measurements (lowest to highest), without compilation. Speedups are ratios "
        "of measurements of the same turn. The first step is timed from the start of the process, a second time with "
        f"the framework's compilation cache filled. Data: {manifest['data']}."
    )


def _about(model: Mapping[str, Any]) -> str:
    return f"Batches of {model['batch_size']}, {model['optimizer']}, float32, {model['parameters']:,} parameters."


def _candidates(model: Mapping[str, Any]) -> str:
    header = ["", "training, images/s", "our speedup", "evaluation, images/s", "our speedup"]
    header += ["first step, s", "memory, MiB"]
    measured = {name: found for name, found in model["candidates"].items() if found["status"] == "measured"}
    return _table(header, [_row(name, found, model["summary"]) for name, found in measured.items()])


def _row(name: str, found: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    cells = []
    for task in TASKS:
        speed = _range(summary[task]["examples_per_second"][name])
        cells += [speed, _times(summary[task]["speedup_over"].get(name))]
    starts = ", ".join(f"{seconds:.1f}" for seconds in found["first_step_seconds"])
    device = found["memory"]["device"]
    memory = f"{found['memory']['host'] / _MIB:,.0f}" + (f" + {device / _MIB:,.0f} on device" if device else "")
    return [name, *cells, starts, memory]


def _findings(model: Mapping[str, Any]) -> Iterator[str]:
    measured = [found for found in model["candidates"].values() if "versions" in found]
    if measured:
        versions = {package: version for found in measured for package, version in found["versions"].items()}
        listed = ", ".join(f"{package} {version}" for package, version in versions.items())
        yield f"- Measured on {' and '.join(sorted({found['device'] for found in measured}))}: {listed}."
    for task, summary in model["summary"].items():
        peer, roofline = summary["fastest_peer"], summary["roofline"]
        ratio = summary["speedup_over"].get(peer)
        if ratio:
            yield f"- {_NOUNS[task].capitalize()}: {_range(ratio, '.2f')} times as fast as the fastest peer, {peer}."
        if roofline:
            yield _roofline(_NOUNS[task], roofline)
    for name, found in model["candidates"].items():
        if found["status"] != "measured":
            yield f"- {name} ({CANDIDATES[name].summary}) {found['status']}: {found['reason']}."


def _roofline(noun: str, roofline: Mapping[str, Any]) -> str:
    return (
        f"- Roofline of {noun}: {roofline['flops_per_example'] / 1e6:.2f} MFLOP and "
        f"{roofline['bytes_per_example'] / 1e3:.1f} kB per example allow "
        f"{roofline['ceiling_examples_per_second']:,.0f} examples/s at the measured "
        f"{roofline['machine_flops_per_second'] / 1e9:,.0f} GFLOP/s and "
        f"{roofline['machine_bytes_per_second'] / 1e9:,.1f} GB/s; ours reaches {_range(roofline['reached'], '.0%')} of "
        "that."
    )


def _series(axis: str, found: Mapping[str, Any], batch_size: int) -> str:
    """A row for each value on an axis, its speed beside that of the first."""
    header = [axis, "training, images/s", "GFLOP/s", "steps/s, all members", "relative to the first"]
    first = rates(next(iter(found.values())), "train")
    rows = []
    for value, record in found.items():
        speeds = rates(record, "train")
        row = [value, record["status"], "", "", ""]
        if speeds:
            median = spread(speeds)["median"]
            steps = median / (int(value) if axis == "batch size" else batch_size)
            gflops, relative = median * record["flops_per_example"] / 1e9, ratios(speeds, first)
            row = [value, _range(spread(speeds)), f"{gflops:,.0f}", f"{steps:,.1f}"]
            row.append(_range(relative, ".2f") if relative else "")
        rows.append(row)
    return _table(header, rows)


def _reasons(found: Mapping[str, Any]) -> Iterator[str]:
    """Why a value of a series is missing, or was not measured in turn with the others."""
    for value, record in found.items():
        if record["status"] != "measured":
            yield f"- {value}: {record['status']}: {record['reason']}."
        elif record["alone"]:
            yield f"- {value}: failed beside the others; measured after them, alone."


def _table(header: list[str], rows: list[list[str]]) -> str:
    return markdown_table(header, rows, "l" + "r" * (len(header) - 1)) if rows else ""


def _range(figure: Spread, digits: str = ",.0f") -> str:
    return f"{figure['median']:{digits}} ({figure['low']:{digits}} to {figure['high']:{digits}})"


def _times(ratio: Spread | None) -> str:
    return f"{_range(ratio, '.2f')} x" if ratio else ""
