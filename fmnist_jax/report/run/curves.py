"""The learning curves of a run, as a plot and as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fmnist_jax.report import theme
from fmnist_jax.report.format import decimal, listed, percent
from fmnist_jax.report.model import Columns, Picture, Section, Table
from fmnist_jax.report.provenance import loss_in_words, metric_direction
from fmnist_jax.report.run.workdir import Epoch, Run

_LOG_FROM = 50  # ratio of the largest to the smallest loss above which the axis is logarithmic


def curves_section(run: Run) -> Section:
    """Returns loss and accuracy against epochs, and the table of them."""
    names = [key for key in run.epochs[-1].metrics if key.startswith("val_")]
    rows = [
        [str(r.epoch), decimal(r.train_loss), percent(r.train_accuracy), decimal(r.val_loss), percent(r.val_accuracy)]
        + [decimal(_metric(r, name)) for name in names]
        for r in run.epochs
    ]
    header = ["Epoch", "Train loss", "Train accuracy", "Val loss", "Val accuracy"]
    header += [name.replace("val_", "Val ", 1) for name in names]
    table = Table("Metrics of each epoch", header, rows)
    validation = "validation (the test set)" if run.summary.validation_is_test else "validation"
    who = f"{run.summary.model} with {run.summary.optimizer}, seed {run.summary.seed}"
    subject = theme.Subject(who, run.summary.synthetic)
    pictures = [convergence(run.epochs, validation, subject, loss_in_words(run.config))]
    if names:
        directions = {name: metric_direction(run.manifest, name) for name in names}
        pictures.append(metric_curves(run.epochs, validation, directions, subject))
    return Section("Learning curves", [Columns([pictures, [table]])])


@theme.plot_style()
def convergence(
    epochs: Sequence[Epoch], validation: str, subject: theme.Subject, loss_name: str = "cross-entropy"
) -> Picture:
    """Draws loss and accuracy against epochs, for training and validation; non-finite values are gaps.

    `validation` names the validation images in the legend, `loss_name` the loss in the caption.
    """
    figure = theme.new_figure(6.2, "Convergence", subject)
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    _draw_curves(loss, epochs, "loss", validation)
    _draw_curves(accuracy, epochs, "accuracy", validation)
    loss.set_ylabel("loss")
    losses = np.array([(record.train_loss, record.val_loss) for record in epochs])
    theme.log_scale_if_wide(loss, losses, _LOG_FROM)
    theme.legend_above(loss, 2)
    accuracy.set(ylabel="accuracy", xlabel="epochs")
    theme.share_axis(accuracy.yaxis)
    _epoch_axis(accuracy, epochs)
    figure.align_ylabels()
    end = epochs[-1]
    return Picture(
        "convergence",
        theme.to_png(figure),
        f"Loss and accuracy against epochs. After epoch {end.epoch}: training loss {decimal(end.train_loss)}, "
        f"accuracy {percent(end.train_accuracy)}; validation loss {decimal(end.val_loss)}, "
        f"accuracy {percent(end.val_accuracy)}.",
        "Training: running means over the epoch, in training mode. Validation: after the epoch, with dropout off. "
        f"The loss is the {loss_name}. Non-finite values are gaps.",
    )


@theme.plot_style()
def metric_curves(
    epochs: Sequence[Epoch], validation: str, directions: Mapping[str, str], subject: theme.Subject
) -> Picture:
    """Draws each metric beside loss and accuracy against epochs, in a panel of its own.

    **Arguments:**

    - `directions`: name, such as `"val_ece"`, to `"lower is better"`, or `""`.
    """
    figure = theme.new_figure(1.2 + 1.5 * len(directions), f"Metrics on {validation}", subject)
    panels = figure.subplots(len(directions), 1, sharex=True, squeeze=False)[:, 0]
    x, marker = [record.epoch for record in epochs], "o" if len(epochs) <= 40 else ""
    for axes, name in zip(panels, directions, strict=True):
        axes.plot(x, [_metric(record, name) for record in epochs], color=theme.SECOND, marker=marker)
        axes.set_ylabel(name.removeprefix("val_"))
    panels[-1].set_xlabel("epochs")
    _epoch_axis(panels[-1], epochs)
    figure.align_ylabels()
    ends = [f"{name.removeprefix('val_')} {decimal(_metric(epochs[-1], name))}" for name in directions]
    better = [f"{name.removeprefix('val_')}: {direction}" for name, direction in directions.items() if direction]
    return Picture(
        "metrics",
        theme.to_png(figure),
        f"Metrics on {validation} against epochs. After epoch {epochs[-1].epoch}: {listed(ends)}.",
        "After each epoch, with dropout off. "
        + "".join(f"{each}. " for each in better)
        + "Non-finite values are gaps.",
    )


def _metric(record: Epoch, name: str) -> float:
    value = record.metrics.get(name)
    return math.nan if value is None else value


def _epoch_axis(axes: Axes, epochs: Sequence[Epoch]) -> None:
    first, last = epochs[0].epoch, epochs[-1].epoch
    margin = max(0.5, 0.02 * (last - first))
    axes.set_xlim(first - margin, last + margin)
    if last - first < 15:
        axes.set_xticks(range(first, last + 1))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_curves(axes: Axes, epochs: Sequence[Epoch], metric: str, validation: str) -> None:
    x = [record.epoch for record in epochs]
    marker = "o" if len(epochs) <= 40 else ""
    for split, label, colour, line in (
        ("train", "training", theme.FIRST, "--"),
        ("val", validation, theme.SECOND, "-"),
    ):
        y = [getattr(record, f"{split}_{metric}") for record in epochs]
        # An isolated value between gaps has no line, so it needs a marker.
        lone = marker or ("o" if np.isfinite(y).sum() < 3 else "")
        axes.plot(x, y, line, color=colour, marker=lone, label=label)
