"""Runs over seeds: trains those that are missing, with a line for each, and gathers what came out."""

from __future__ import annotations

import datetime
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fmnist_jax.records.timed import Outcome, TimedRun


def run_seeds(
    timed: TimedRun, seeds: Sequence[int], before_score: Callable[[int, float], None] = lambda seed, seconds: None
) -> Iterator[tuple[int, Outcome]]:
    """Runs each seed and yields it with its outcome; prints a line for each, with the time that is left.

    **Arguments:**

    - `before_score`: called with the seed and the seconds of its training before a run is scored.
    """
    started = time.monotonic()
    for done, seed in enumerate(seeds, start=1):
        outcome = timed(seed, functools.partial(before_score, seed))
        yield seed, outcome
        seconds_left = (time.monotonic() - started) / done * (len(seeds) - done)
        eta = datetime.timedelta(seconds=round(seconds_left))
        print(
            f"{done:>{len(str(len(seeds)))}}/{len(seeds)}  seed {seed}  accuracy {outcome.accuracy:.2%}"
            f"{'  diverged' * outcome.diverged}  {outcome.train_seconds:.2f} s  "
            f"(CPU {outcome.cpu_seconds:.1f} s)  ETA {eta}",
            flush=True,
        )


def columns(outcomes: Mapping[int, Outcome]) -> dict[str, Any]:
    """Returns the outcomes as lists in the order of the seeds, ready for JSON."""
    seeds = sorted(outcomes)
    runs = [outcomes[seed] for seed in seeds]
    return {
        "seeds": seeds,
        "accuracies": [run.accuracy for run in runs],
        "diverged": [seed for seed in seeds if outcomes[seed].diverged],
        "train_seconds": [run.train_seconds for run in runs],
        "cpu_seconds": [run.cpu_seconds for run in runs],
        "compile_seconds": max(run.compile_seconds for run in runs),
    }
