"""Performance profiles: how often an arm comes within a factor of the best, over workloads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fmnist_jax.compare.statistics.profiles import Profile
from fmnist_jax.report.study.plots.arm_style import ArmStyle, arm_legend, legend_rows
from fmnist_jax.report.style import Subject, new_figure, plot_style, share_axis, to_png


def profiles(profile: Profile, cost: str, styles: Mapping[str, ArmStyle], subject: Subject) -> bytes:
    """Draws the share of problems on which the `cost` of each arm is within a factor of the lowest."""
    arms = [styles[arm] for arm in profile.shares]
    with plot_style():
        figure = new_figure(4.2 + 0.2 * legend_rows(arms), f"Performance profile: {cost}", subject)
        axes = figure.subplots()
        last = max(1.05, float(profile.factors[-1]) * 1.05)
        for arm, style in zip(profile.shares, arms, strict=True):
            share = profile.shares[arm]
            factors = np.concatenate([profile.factors, [last]])
            axes.step(factors, np.concatenate([share, share[-1:]]), where="post", **style.of_line())
        axes.set_xlim(1, last)
        axes.set_ylim(-0.03, 1.03)
        share_axis(axes.yaxis)
        axes.set_ylabel("share of problems")
        axes.set_xlabel(f"{cost}, at most so many times the best arm's")
        arm_legend(axes, arms)
        return to_png(figure, many_colours=True)
