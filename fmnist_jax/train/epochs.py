"""The one loop that drives epochs, of a single run and of a population, and the records of epochs.

Importing it does not import JAX: whoever reads records from files has `diverged` from here, too.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fmnist_jax.files.atomic import finite

if TYPE_CHECKING:
    import numpy as np

    from fmnist_jax.train.batches import MetricSums
    from fmnist_jax.train.executor import MemberBatch
    from fmnist_jax.train.interrupts import Interrupts

EpochRecord = dict[str, Any]
History = list[EpochRecord]


@dataclasses.dataclass
class Training:
    """Members in training, and the records of their epochs.

    **Arguments:**

    - `batch`: the members.
    - `learning_rates`: `float32[members, epochs]`, of the last step of each epoch.
    - `steps_per_epoch`.
    - `interrupts`: where they are entered, a signal can end the waiting.
    - `patience`: where above 0, training ends once the validation accuracy of all members has not improved for so many
      epochs.
    - `histories`: for each member the records of its epochs, those before a resume included: `epoch` (1-based),
      `step`, `train_loss`, `train_accuracy`, `val_loss`, `val_accuracy`, `val_*` of `config.eval.metrics`,
      `learning_rate`, `examples_per_second` of the member, and `train_seconds` and `eval_seconds` of the whole batch,
      also `statistics_seconds` where batch statistics are estimated for evaluation. Figures that are not finite are
      `None`. Their owner may drop all but the last `patience + 1`.
    """

    batch: MemberBatch
    learning_rates: np.ndarray
    steps_per_epoch: int
    interrupts: Interrupts
    histories: list[History]
    patience: int = 0

    def epochs(self) -> Iterator[int]:
        """Trains until all epochs are done or all members have diverged; yields each epoch once it is recorded."""
        while not self.finished:
            epoch = self.epochs_done + 1
            self._train(epoch)
            yield epoch

    @property
    def num_epochs(self) -> int:
        return int(self.learning_rates.shape[1])

    @property
    def epochs_done(self) -> int:
        return max((history[-1]["epoch"] for history in self.histories if history), default=0)

    @property
    def finished(self) -> bool:
        return self.epochs_done >= self.num_epochs or not self._alive or self._waited_in_vain

    def score_test(self) -> None:
        """Adds test metrics to the last records; those of members that diverged are `None`."""
        alive = self._alive
        scored = self.batch.evaluate("test", alive)
        self.interrupts.wait(scored)
        sums = scored.result()
        for index, history in enumerate(self.histories):
            names = [key.removeprefix("val_") for key in history[-1] if key.startswith("val_")]
            means = sums[index].means() if index in alive else dict.fromkeys(names)
            history[-1].update({f"test_{name}": value for name, value in means.items()})

    @property
    def _waited_in_vain(self) -> bool:
        return 0 < self.patience <= min(map(_epochs_without_improvement, self.histories))

    @property
    def _alive(self) -> list[int]:
        return [index for index, history in enumerate(self.histories) if not (history and diverged(history[-1]))]

    def _train(self, epoch: int) -> None:
        """One epoch and its validation, with one host sync; all is started before the first is waited for."""
        alive = self._alive
        started = time.perf_counter()
        trained, estimated = self.batch.train(alive), self.batch.estimate_statistics(alive)
        scored = self.batch.evaluate("val", alive)
        seconds: dict[str, float] = {}
        for name, pending in ("train_seconds", trained), ("statistics_seconds", estimated), ("eval_seconds", scored):
            if pending is not None:
                self.interrupts.wait(pending)
                seconds[name] = time.perf_counter() - started - sum(seconds.values())
        train_sums, val_sums = trained.result(), scored.result()
        for index in alive:
            record = _epoch_record(epoch, epoch * self.steps_per_epoch, train_sums[index], val_sums[index])
            record["learning_rate"] = float(self.learning_rates[index, epoch - 1])
            record["examples_per_second"] = int(train_sums[index].examples) / seconds["train_seconds"]
            self.histories[index].append(record | seconds)


def _epochs_without_improvement(history: History) -> int:
    accuracies = [record["val_accuracy"] for record in history]
    return len(accuracies) - 1 - accuracies.index(max(accuracies)) if accuracies else 0


def _epoch_record(epoch: int, step: int, trained: MetricSums, scored: MetricSums) -> EpochRecord:
    metrics = {f"train_{name}": value for name, value in trained.means().items()}
    metrics |= {f"val_{name}": value for name, value in scored.means().items()}
    return dict(finite({"epoch": epoch, "step": step, **metrics}))


def other_metrics(record: Mapping[str, Any], splits: Collection[str] = ("val", "test")) -> dict[str, Any]:
    """Returns the metrics in a record, or a summary, beside loss and accuracy: `val_*` and `test_*`, in its order."""
    known = {f"{split}_{name}" for split in splits for name in ("loss", "accuracy")}
    return {key: value for key, value in record.items() if key.partition("_")[0] in splits and key not in known}


def diverged(record: Mapping[str, Any]) -> bool:
    """Returns whether a loss of the epoch is not finite, which a record has as `None` or NaN.

    Both losses count: an epoch's last step can spoil the parameters while its training losses are all finite.
    """
    return not all(_is_finite(record[name]) for name in ("train_loss", "val_loss"))


def _is_finite(loss: float | None) -> bool:
    return loss is not None and math.isfinite(loss)
