"""TensorBoard event files, without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from tensorboardX import SummaryWriter


class Events:
    """Writes records of epochs as scalars under `folder` while entered.

    **Arguments:**

    - `step`: where this process begins; TensorBoard hides what an earlier one wrote beyond it.
    """

    def __init__(self, folder: Path, step: int):
        # The name holds the second; without the step, a run resumed within it would write over the file before.
        suffix = f".{step}"
        # tensorboardX's `flush` does not wait for the thread that writes; flushed each second, a run can be watched.
        self._writer = SummaryWriter(str(folder), purge_step=step + 1, filename_suffix=suffix, flush_secs=1)

    def __enter__(self) -> Events:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()

    def write(self, record: dict[str, Any]) -> None:
        """Writes the record's numbers at its step, `train_loss` as `train/loss`."""
        for name, value in record.items():
            if name not in ("epoch", "step") and value is not None:
                self._writer.add_scalar(name.replace("_", "/", 1), value, record["step"])
