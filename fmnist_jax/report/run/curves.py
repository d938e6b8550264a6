"""The learning curves of a run, as a plot and as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fmnist_jax.report import theme
from fmnist_jax.report.format import decimal, percent
from fmnist_jax.report.model import Columns, Picture, Section, Table
from fmnist_jax.report.run.workdir import Epoch, Run

_LOG_FROM = 50  # ratio of the largest to the smallest loss above which the axis is logarithmic


def curves_section(run: Run) -> Section:
    """Returns loss and accuracy against epochs, and the table of them."""
    rows = [
        [str(r.epoch), decimal(r.train_loss), percent(r.train_accuracy), decimal(r.val_loss), percent(r.val_accuracy)]
        for r in run.epochs
    ]
    header = ["Epoch", "Train loss", "Train accuracy", "Val loss", "Val accuracy"]
    table = Table("Metrics of each epoch", header, rows)
    validation = "validation (the test set)" if run.summary.validation_is_test else "validation"
    who = f"{run.summary.model} with {run.summary.optimizer}, seed {run.summary.seed}"
    picture = convergence(run.epochs, validation, theme.Subject(who, run.summary.synthetic))
    return Section("Learning curves", [Columns([[picture], [table]])])


@theme.plot_style()
def convergence(epochs: Sequence[Epoch], validation: str, subject: theme.Subject) -> Picture:
    """Draws loss and accuracy against epochs, for training and validation; non-finite values are gaps.

    `validation` names the validation images in the legend.
    """
    figure = theme.new_figure(6.2, "Convergence", subject)
    loss, accuracy = figure.subplots(2, 1, sharex=True)
    _draw_curves(loss, epochs, "loss", validation)
    _draw_curves(accuracy, epochs, "accuracy", validation)
    loss.set_ylabel("cross-entropy loss")
    losses = np.array([(record.train_loss, record.val_loss) for record in epochs])
    theme.log_scale_if_wide(loss, losses, _LOG_FROM)
    theme.legend_above(loss, 2)
    accuracy.set(ylabel="accuracy", xlabel="epochs")
    theme.share_axis(accuracy.yaxis)
    first, last = epochs[0].epoch, epochs[-1].epoch
    margin = max(0.5, 0.02 * (last - first))
    accuracy.set_xlim(first - margin, last + margin)
    if last - first < 15:
        accuracy.set_xticks(range(first, last + 1))
    else:
        accuracy.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels()
    end = epochs[-1]
    return Picture(
        "convergence",
        theme.to_png(figure),
        f"Loss and accuracy against epochs. After epoch {end.epoch}: training loss {decimal(end.train_loss)}, "
        f"accuracy {percent(end.train_accuracy)}; validation loss {decimal(end.val_loss)}, "
        f"accuracy {percent(end.val_accuracy)}.",
        "Training: running means over the epoch, in training mode. Validation: after the epoch, with dropout off. "
        "Non-finite values are gaps.",
    )


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
