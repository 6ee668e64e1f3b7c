"""Figures of a match: how alike the groups are before and after (love plot), and how far their scores overlap.

Each function takes a frame that the match left and returns a `Figure`; none estimates, none saves.
"""

import math
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from syneff.report.figures.style import BLUE, FAINT, GREY, INK, ORANGE, settings, write_remarks

ALL = "all"
STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "before": ("Before matching", {"marker": "o", "mfc": "white", "mec": INK, "color": INK}),
    "matched": ("Matched, by shares", {"marker": "s", "color": BLUE}),
    "after": ("In the regression", {"marker": "D", "color": ORANGE}),
}
ACROSS = 5
"""Years in a row of the overlap plot."""


def love_plot(balance: pd.DataFrame, *, threshold: float = 0.1, synthetic: bool = False) -> Figure:
    """Draw absolute standardised differences of every covariate: all years together, and each year as a faint mark.

    Parameters
    ----------
    balance
        Rows of period ("all" or a year), covariate, label, difference_before, difference_matched, difference_after.
    threshold
        Difference up to which groups count as alike: a dashed line.
    synthetic
        Whether to say that the panel is synthetic.
    """
    pooled = balance[balance["period"] == ALL].reset_index(drop=True)
    pooled = pooled.iloc[pooled["difference_before"].abs().sort_values(kind="stable").index].reset_index(drop=True)
    place = {name: number for number, name in enumerate(pooled["covariate"])}
    yearly = balance[(balance["period"] != ALL) & balance["covariate"].isin(place)]
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 1.5 + 0.42 * len(place)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color=GREY, linewidth=0.7, zorder=1)
        axes.axvline(threshold, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        for turn, (stage, (label, look)) in enumerate(STAGES.items()):
            shift = 0.22 * (1 - turn)
            _yearly_marks(axes, yearly, place, stage, shift)
            axes.plot(
                pooled[f"difference_{stage}"].abs(),
                pooled.index + shift,
                linestyle="none",
                ms=6,
                label=label,
                zorder=3,
                **look,
            )
        axes.set_yticks(range(len(place)), list(pooled["label"]))
        axes.set_ylim(-0.6, len(place) - 0.4)
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        axes.set_xlabel("Absolute standardised difference" + (" (small: each year)" if len(yearly) else ""))
        write_remarks(axes, [*(["synthetic panel"] if synthetic else []), f"dashed: {threshold:g}"])
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3, handletextpad=0.2)
    return figure


def _yearly_marks(axes: Axes, yearly: pd.DataFrame, place: dict[Any, int], stage: str, shift: float) -> None:
    if len(yearly):
        heights = yearly["covariate"].map(place) + shift
        colour = STAGES[stage][1]["color"]
        axes.plot(yearly[f"difference_{stage}"].abs(), heights, "|", color=colour, ms=5, alpha=0.45, zorder=2)


def overlap(histogram: pd.DataFrame, *, synthetic: bool = False) -> Figure:
    """Draw the scores of the treated upwards and those of the controls downwards, year by year.

    Parameters
    ----------
    histogram
        Rows of period, group ("treated", "control", "matched"), left, right, share.
    synthetic
        Whether to say that the panel is synthetic.
    """
    periods = list(dict.fromkeys(histogram["period"]))
    across = min(ACROSS, len(periods))
    down = math.ceil(len(periods) / across)
    highest = float(histogram["share"].max())
    with matplotlib.rc_context({**settings(), "font.size": 9}):
        figure = Figure(figsize=(6.6, 1.1 + 1.25 * down) if down > 1 else (6.6, 3.4), layout="constrained")
        grid = np.atleast_1d(figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)).ravel()
        for axes, period in zip(grid, periods, strict=False):
            _mirror(axes, histogram[histogram["period"] == period])
            axes.set_title("all rows" if period == ALL else str(period), fontsize=9, color=INK, pad=2)
            axes.set_ylim(-1.08 * highest, 1.08 * highest)
        for axes in grid[len(periods) :]:
            axes.set_axis_off()
        grid[0].set_xlim(0, 1)
        grid[0].set_yticks([])
        figure.supxlabel("Propensity score" + (" (synthetic panel)" if synthetic else ""), fontsize=10)
        figure.supylabel("Share of the group", fontsize=10)
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure


def _mirror(axes: Axes, rows: pd.DataFrame) -> None:
    looks: dict[str, tuple[str, float, dict[str, Any]]] = {
        "treated": ("Treated", 1.0, {"color": ORANGE, "alpha": 0.75}),
        "control": ("Controls", -1.0, {"color": FAINT}),
        "matched": ("Matched controls, by shares", -1.0, {"fill": False, "edgecolor": BLUE, "linewidth": 0.9}),
    }
    for group, (label, sign, look) in looks.items():
        own = rows[rows["group"] == group]
        width = own["right"] - own["left"]
        axes.bar(own["left"], sign * own["share"].fillna(0.0), width=width, align="edge", label=label, **look)
    axes.axhline(0, color=GREY, linewidth=0.7)
