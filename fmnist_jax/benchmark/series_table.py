"""The tables about us alone: how our training speed grows, and what precision and lowerings make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fmnist_jax.benchmark.cells import table, words
from fmnist_jax.benchmark.figures import rates, ratios, spread
from fmnist_jax.benchmark.task import RUN

_COUNTED = "GFLOP/s: of the plain convolution's arithmetic, a part of which Winograd's filtering and spectra leave out."
_LOWERINGS = "Images a second of all members, trained as one program."
_RUN = (
    "Ten epochs of 60,000 images, each scored on 10,000 others, from initial parameters to the last score. Programs "
    "were compiled and tried before; nothing is written."
)


def growth(name: str, axes: Mapping[str, Any], batch_size: int) -> str:
    """Returns the section about a model's growth: for each axis a table."""
    tables = [_series(axis, found, batch_size) for axis, found in axes.items()]
    notes = [_COUNTED] if any(map(_counted, axes.values())) else []
    return "\n\n".join([f"## {name}: growth of our training speed", *tables, *notes])


def numerics(name: str, parts: Mapping[str, Any], batch_size: int) -> str:
    """Returns the sections about precision, lowerings and a whole run, of those that were measured."""
    blocks = []
    if "precision" in parts:
        blocks += [f"## {name}: our training speed by precision", _series("precision", parts["precision"], batch_size)]
        blocks.append(_COUNTED)
    if "lowerings" in parts:
        blocks += [f"## {name}: our training speed by lowering of convolutions", _LOWERINGS]
        blocks.append(_lowerings(parts["lowerings"]))
    if "run" in parts:
        blocks += [f"## {name}: a whole run", _RUN, _runs(parts["run"])]
    return "\n\n".join(blocks)


def _series(axis: str, found: Mapping[str, Any], batch_size: int) -> str:
    """A row for each value on an axis, its speed beside that of the first."""
    counted, first = _counted(found), rates(next(iter(found.values())), "train")
    header = [axis, "training, examples/s", *["GFLOP/s"] * counted, "steps/s, of all members", "times the first"]
    rows = []
    for value, entrant in found.items():
        speeds = rates(entrant, "train")
        cells = [_speed(entrant), *([_arithmetic(entrant)] if counted else [])]
        cells.append(_steps(speeds, int(value) if axis == "batch size" else batch_size))
        times = ratios(speeds, first)
        rows.append([value, *cells, words(times._asdict(), ".2f") if times else ""])
    return _with_reasons(table(header, rows), found.items())


def _lowerings(found: Mapping[str, Any]) -> str:
    """A row for each number of members, a column for each algorithm."""
    names = list(next(iter(found.values())))
    rows = [[members, *(_speed(entrants[name]) for name in names)] for members, entrants in found.items()]
    every = [(f"{name}, {number} members", found[number][name]) for number in found for name in names]
    return _with_reasons(table(["members", *names], rows), every)


def _runs(found: Mapping[str, Any]) -> str:
    rows = []
    for precision, entrant in found.items():
        measured = entrant["tasks"].get(RUN, {}).get("seconds")
        seconds = words(spread(measured)._asdict(), ".2f") if measured else ""
        rows.append([precision, seconds, _speed(entrant, RUN)])
    return _with_reasons(table(["config.precision", "seconds", "images/s"], rows), found.items())


def _counted(found: Mapping[str, Any]) -> bool:
    # Results that were written before the arithmetic was counted do not have it.
    return any("flops_per_example" in entrant for entrant in found.values())


def _speed(entrant: Mapping[str, Any], task: str = "train") -> str:
    speeds = rates(entrant, task)
    if not speeds:
        return str(entrant["status"])
    return words(spread(speeds)._asdict()) + (" alone" if entrant.get("alone") else "")


def _arithmetic(entrant: Mapping[str, Any]) -> str:
    speeds = rates(entrant, "train")
    return f"{spread(speeds).median * entrant['flops_per_example'] / 1e9:,.0f}" if speeds else ""


def _steps(speeds: Sequence[float], batch_size: int) -> str:
    return f"{spread(speeds).median / batch_size:,.1f}" if speeds else ""


def _with_reasons(text: str, entrants: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """The table, and beneath it why something in it is missing, or was not measured in turn with the others."""
    lines = []
    for name, entrant in entrants:
        if entrant["status"] != "measured":
            lines.append(f"- {name}: {entrant['status']}: {entrant['reason']}.")
        elif entrant.get("alone"):
            lines.append(f"- {name}: failed beside the others; measured after them, alone.")
    return "\n\n".join([text, "\n".join(lines)]) if lines else text
