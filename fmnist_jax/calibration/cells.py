"""A cell of the calibration: one method on one kind of noise with so many seeds, simulated many times."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

LEVEL = 0.95
ALPHA = 0.05
SEEDS = (3, 5, 10, 20)

Simulation = Callable[[np.random.Generator, int], np.ndarray]


class Cell(NamedTuple):
    """What is simulated.

    **Attributes:**

    - `section`: `"rejection"`, `"coverage"` or `"power"`: what the rate is of.
    - `quantity`, `method`, `noise`, `n`: what is estimated or tested, how, on which noise, from how many seeds.
    - `nominal`: the rate that it should have.
    - `share`: the share of the studies that are simulated, less where each takes long.
    - `simulate`: `simulate(rng, studies)` returns for each study whether it rejected, or covered: `(studies,)`, bool.
    """

    section: str
    quantity: str
    method: str
    noise: str
    n: int
    nominal: float
    share: float
    simulate: Simulation


def measure(cell: Cell, studies: int) -> dict[str, Any]:
    """Returns the cell's row of the record: its rate over so many studies, with the Monte Carlo standard error.

    Methods for the same quantity see the same draws, and what a cell gives does not depend on the others.
    """
    count = max(2, round(studies * cell.share))
    key = zlib.crc32(f"{cell.section}/{cell.quantity}/{cell.noise}/{cell.n}".encode())
    rate = float(cell.simulate(np.random.default_rng(key), count).mean())
    row = cell._asdict()
    del row["simulate"], row["share"]
    return row | {"studies": count, "rate": rate, "standard_error": float(np.sqrt(rate * (1 - rate) / count))}


def in_parts(simulate: Simulation, size: int) -> Simulation:
    """Returns the simulation made of parts of at most `size` studies, to bound the memory."""

    def simulated(rng: np.random.Generator, studies: int) -> np.ndarray:
        parts = [min(size, studies - start) for start in range(0, studies, size)]
        return np.concatenate([simulate(rng, part) for part in parts])

    return simulated
