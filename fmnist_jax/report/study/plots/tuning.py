"""What tuning buys: the expected best validation accuracy against the number of trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from fmnist_jax.compare.analysis.arms import TuningFigures
from fmnist_jax.report.study.plots.accuracy_axis import accuracy_axis
from fmnist_jax.report.study.plots.arm_style import ArmStyle, arm_legend, legend_rows
from fmnist_jax.report.style import Subject, new_figure, plot_style, to_png


def tuning_curves(tuning: Sequence[TuningFigures], styles: Mapping[str, ArmStyle], subject: Subject) -> bytes:
    """Draws the expected best of each arm by its number of trials, of which the first is its defaults."""
    tuning = sorted(tuning, key=lambda figures: -figures.best)
    arms = [styles[figures.arm] for figures in tuning]
    with plot_style():
        figure = new_figure(4.3 + 0.2 * legend_rows(arms), "Expected best of so many trials", subject)
        axes = figure.subplots()
        accuracy_axis(axes, np.concatenate([figures.curve.value for figures in tuning]))
        for figures, style in zip(tuning, arms, strict=True):
            marker = style.marker if len(figures.curve.trials) <= 3 else ""
            axes.plot(figures.curve.trials, figures.curve.value, marker=marker, **style.of_line())
        axes.set_ylabel("validation accuracy")
        axes.set_xlabel("tuning trials")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        arm_legend(axes, arms)
        return to_png(figure, many_colours=True)
