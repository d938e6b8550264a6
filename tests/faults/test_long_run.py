"""A run of 10,000 epochs: what an epoch writes and keeps in memory does not depend on how many came before."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
import toy
from tries import tries

from fmnist_jax.train import writers
from fmnist_jax.train.loop import train

pytestmark = pytest.mark.faults

EPOCHS = tries(10_000)
PART = max(1, EPOCHS // 10)


def _written() -> int:
    """The bytes that this process has written, to files or elsewhere."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def _resident() -> float:
    """The memory of this process, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def test_an_epoch_costs_the_same_however_many_came_before(
    tmp_path: Path, toy_data: Path, monkeypatch: pytest.MonkeyPatch
):
    changes = {"model__name": "linear", "data__val_examples": 11, "checkpoint__every": 10}
    config = toy.toy_config(toy_data, train__epochs=EPOCHS, **changes)
    write, measured = writers.Events.write, [(time.monotonic(), _written(), _resident())]

    def measuring(events: writers.Events, record: dict[str, float]) -> None:
        write(events, record)
        if record["epoch"] % PART == 0:
            measured.append((time.monotonic(), _written(), _resident()))
            (before, bytes_before, _), (now, bytes_now, resident) = measured[-2:]
            written = (bytes_now - bytes_before) / PART
            print(
                f"{record['epoch']}: {written:,.0f} bytes and {(now - before) / PART * 1000:.1f} ms an epoch, "
                f"{resident:.1f} MiB resident",
                flush=True,
            )

    monkeypatch.setattr(writers.Events, "write", measuring)
    train(config, tmp_path)
    # The first part compiles.
    written = [after[1] - before[1] for before, after in itertools.pairwise(measured[1:])]
    assert max(written) < 1.1 * min(written)
    grown = (measured[-1][2] - measured[2][2]) * 2**20 / (EPOCHS - 2 * PART)
    print(f"{grown / 1024:.2f} KiB an epoch")
    assert EPOCHS < 1000 or grown < 4096
