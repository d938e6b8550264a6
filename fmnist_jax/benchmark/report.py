"""The tables and plots of the benchmark, from what `benchmark.json` holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator

from fmnist_jax.benchmark.candidates import CANDIDATES
from fmnist_jax.benchmark.interleaved import TASKS, Spread, rates, ratios, spread
from fmnist_jax.files.markdown import markdown_table
from fmnist_jax.report.theme import FIRST, HEAD, MUTED, Subject, new_figure, plot_style, to_png

_NOUNS = {"train": "training", "evaluate": "evaluation"}
_STOCK_FLAX = "flax-scan"
_GFLOPS = "GFLOP/s count the arithmetic of direct convolutions; Winograd and FFT convolutions do with less."
_PALE = "#9fb3c4"
_PLOTS_PER_ROW = 3


def markdown(record: Mapping[str, Any]) -> str:
    """Returns the text of `benchmark.md`."""
    blocks = ["# Speed, side by side", _conditions(record["manifest"]), overview(record["models"])]
    for name, model in record["models"].items():
        settings = f"{model['optimizer']}, float32, {model['parameters']:,} parameters."
        blocks += [f"## {name}", f"Batches of {model['batch_size']}, {settings}"]
        blocks += [_candidates(model), "\n".join(_findings(model))]
    for name, axes in record["growth"].items():
        blocks.append(f"## {name}: our training speed by {', '.join(axes)}")
        for axis, found in axes.items():
            blocks += _series(axis, found, record["models"][name]["batch_size"])
        blocks.append(_GFLOPS)
    return "\n\n".join(block for block in blocks if block) + "\n"


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


def overview(models: Mapping[str, Any]) -> str:
    """Returns a table with a row for each model: what matters most."""
    header = ["", "training, images/s", "fastest peer", "our speedup", "over stock Flax", "share of roofline"]
    header += ["evaluation, images/s", "fastest peer", "our speedup"]
    rows = []
    for name, model in models.items():
        train, evaluation = (_against_peer(model["summary"][task]) for task in TASKS)
        flax = model["summary"]["train"]["speedup_over"].get(_STOCK_FLAX)
        roofline = model["summary"]["train"]["roofline"]
        reached = f"{roofline['reached']['median']:.0%}" if roofline else ""
        rows.append([name, *train, f"{flax['median']:.0f} x" if flax else "", reached, *evaluation])
    return _table(header, rows)


def _against_peer(summary: Mapping[str, Any]) -> list[str]:
    speeds, peer = summary["examples_per_second"], summary["fastest_peer"]
    ours = f"{speeds['ours']['median']:,.0f}" if "ours" in speeds else ""
    return [ours, f"{peer}: {speeds[peer]['median']:,.0f}" if peer else "", _times(summary["speedup_over"].get(peer))]


def _candidates(model: Mapping[str, Any]) -> str:
    header = ["", "training, images/s", "our speedup", "evaluation, images/s", "our speedup"]
    header += ["first step, s", "memory, MiB"]
    rows = []
    for name, found in model["candidates"].items():
        if found["status"] == "measured":
            row = [name]
            for summary in (model["summary"][task] for task in TASKS):
                row += [_range(summary["examples_per_second"][name]), _times(summary["speedup_over"].get(name))]
            row.append(", ".join(f"{seconds:.1f}" for seconds in found["first_step_seconds"]))
            host, device = found["memory"]["host"] / 2**20, found["memory"]["device"]
            row.append(f"{host:,.0f} + {device / 2**20:,.0f} on device" if device else f"{host:,.0f}")
            rows.append(row)
    return _table(header, rows)


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


def _series(axis: str, found: Mapping[str, Any], batch_size: int) -> tuple[str, str]:
    """A row for each value on an axis, its speed beside that of the first; and the reasons for gaps."""
    header = [axis, "training, images/s", "GFLOP/s", "steps/s, all members", "relative to the first"]
    first = rates(next(iter(found.values())), "train")
    rows, reasons = [], []
    for value, record in found.items():
        if record["status"] != "measured":
            rows.append([value, record["status"], "", "", ""])
            reasons.append(f"- {value}: {record['status']}: {record['reason']}.")
            continue
        if record["alone"]:
            reasons.append(f"- {value}: failed beside the others; measured after them, alone.")
        speeds = spread(rates(record, "train"))
        steps = speeds["median"] / (int(value) if axis == "batch size" else batch_size)
        gflops, relative = speeds["median"] * record["flops_per_example"] / 1e9, ratios(rates(record, "train"), first)
        cells = [_range(speeds), f"{gflops:,.0f}", f"{steps:,.1f}", _range(relative, ".2f") if relative else ""]
        rows.append([value, *cells])
    return _table(header, rows), "\n".join(reasons)


def _table(header: list[str], rows: list[list[str]]) -> str:
    return markdown_table(header, rows, "l" + "r" * (len(header) - 1)) if rows else ""


def _range(figure: Spread, digits: str = ",.0f") -> str:
    return f"{figure['median']:{digits}} ({figure['low']:{digits}} to {figure['high']:{digits}})"


def _times(ratio: Spread | None) -> str:
    return f"{_range(ratio, '.2f')} x" if ratio else ""


def draw_speeds(record: Mapping[str, Any]) -> bytes:
    """Draws everyone's images per second, a row of two axes for each model, with the range of the measurements."""
    models = record["models"]
    heights = [1.0 + 0.26 * len(model["candidates"]) for model in models.values()]
    with plot_style():
        figure = new_figure(HEAD + sum(heights), "Speed, side by side", _subject(record))
        grid = figure.subplots(len(models), 2, squeeze=False, height_ratios=heights)
        for row, (name, model) in zip(grid, models.items(), strict=True):
            for axes, task in zip(row, TASKS, strict=True):
                _bars(axes, list(model["candidates"]), model["summary"][task]["examples_per_second"])
                axes.set_xlabel(f"{_NOUNS[task]}, images/s")
            row[0].set_title(name, loc="left", fontsize=10, fontweight="bold")
            row[1].tick_params(labelleft=False)
        return to_png(figure)


def draw_growth(record: Mapping[str, Any]) -> bytes | None:
    """Draws our training speed along each axis of numbers, from a new row on for each model; `None` without any.

    It is in images per second, but in GFLOP/s along the channels, with which an image becomes more work.
    """
    rows = []
    for name, axes in record["growth"].items():
        curves = [(axis, found) for axis, found in axes.items() if all(map(str.isdecimal, found))]
        rows += [("" if i else name, curves[i : i + _PLOTS_PER_ROW]) for i in range(0, len(curves), _PLOTS_PER_ROW)]
    if not rows:
        return None
    with plot_style():
        figure = new_figure(HEAD + 2.2 * len(rows), "Growth of our training speed", _subject(record))
        grid = figure.subplots(len(rows), max(len(row) for _, row in rows), squeeze=False)
        for (title, row), places in zip(rows, grid, strict=True):
            places[0].set_title(title, loc="left", fontsize=10, fontweight="bold")
            for axes, drawn in zip(places, row, strict=False):
                _curve(axes, *drawn)
            for axes in places[len(row) :]:
                axes.set_visible(False)
        return to_png(figure)


def _subject(record: Mapping[str, Any]) -> Subject:
    manifest = record["manifest"]
    text = (
        f"{manifest['processor']}, {manifest['cores']} cores; medians of {manifest['repeats']} interleaved measurements"
    )
    return Subject(text, synthetic=False)


def _bars(axes: Axes, names: Sequence[str], measured: Mapping[str, Spread]) -> None:
    for place, name in enumerate(names):
        if name in measured:
            speed = measured[name]
            colour = FIRST if name == "ours" else _PALE
            axes.barh(place, speed["median"], 0.7, xerr=_error_bars([speed]), color=colour, ecolor=MUTED)
            axes.annotate(f" {speed['median']:,.0f}", (speed["high"], place), va="center", fontsize=8)
        else:
            axes.annotate(" not measured", (0, place), va="center", fontsize=8, color=MUTED)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    # Room for the numbers to the right of the bars.
    axes.set_xlim(0, 1.3 * max((speed["high"] for speed in measured.values()), default=1.0))
    _thousands(axes.xaxis)


def _curve(axes: Axes, axis: str, found: Mapping[str, Any]) -> None:
    speeds = {}
    for value, record in found.items():
        unit = record["flops_per_example"] / 1e9 if axis == "channels" else 1.0
        if measured := rates(record, "train"):
            speeds[int(value)] = spread([unit * speed for speed in measured])
    if speeds:
        medians = [speed["median"] for speed in speeds.values()]
        axes.errorbar(list(speeds), medians, _error_bars(list(speeds.values())), fmt="o-", color=FIRST, ecolor=MUTED)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(speeds), [str(value) for value in speeds])
    axes.minorticks_off()
    axes.set_ylim(0, 1.1 * max((speed["high"] for speed in speeds.values()), default=1.0))
    axes.set_xlabel(axis)
    axes.set_ylabel("GFLOP/s" if axis == "channels" else "images/s")
    axes.tick_params(labelsize=7)
    _thousands(axes.yaxis)


def _error_bars(speeds: Sequence[Spread]) -> list[list[float]]:
    """Their lengths below and above the medians."""
    return [[s["median"] - s["low"] for s in speeds], [s["high"] - s["median"] for s in speeds]]


def _thousands(axis: Axis) -> None:
    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(lambda number, _: f"{number / 1000:g} k" if number >= 1000 else f"{number:g}")
