"""Figure of sensitivity to trends that are not parallel: robust intervals along the bound on their difference.

The function takes frames and returns a `Figure`; it neither estimates nor saves.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from syneff.report.figures.style import BLUE, GREY, INK, ORANGE, settings, write_remarks

BOUNDS = {
    "relative_magnitudes": "Steps after adoption, relative to the largest before ($\\bar{M}$)",
    "smoothness": "Change of slope a period ($M$)",
}
OFFSET = 0.11
"""Place of the original interval left of the first bound, relative to their range."""


def sensitivity(
    frame: pd.DataFrame,
    breakdown: pd.DataFrame,
    *,
    targets: Mapping[str, str],
    outcome: str = "outcome",
    level: float = 0.95,
    synthetic: bool = False,
) -> Figure:
    """Draw the interval under parallel trends beside the robust ones, a row a target and a column a kind of bound.

    Parameters
    ----------
    frame
        One row a target, kind and bound: ``kind`` ("original" or one of `BOUNDS`), ``target``, ``bound``, ``conf_low``,
        ``conf_high``, and the identified set ``identified_low``, ``identified_high``. What is not finite is not drawn.
    breakdown
        ``kind``, ``target``, ``breakdown``: the bound from which on zero is in the interval.
    targets
        Label of each target, in order.
    outcome
        Label of the outcome.
    level
        Of the intervals.
    synthetic
        Whether to say that the panel is synthetic.
    """
    kinds = [kind for kind in BOUNDS if (frame["kind"] == kind).any()]
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(4.0 * len(kinds) + 0.8, 0.7 + 2.7 * len(targets)), layout="constrained")
        panels = figure.subplots(len(targets), len(kinds), squeeze=False)
        for row, (target, label) in enumerate(targets.items()):
            own = frame[frame["target"] == target]
            for column, kind in enumerate(kinds):
                axes = panels[row, column]
                _intervals(axes, own[own["kind"] == kind], own[own["kind"] == "original"], level)
                found = breakdown[(breakdown["kind"] == kind) & (breakdown["target"] == target)]["breakdown"]
                remarks = ["synthetic panel"] if synthetic and row == 0 and column == 0 else []
                write_remarks(axes, [*remarks, *(_breakdown(axes, float(value)) for value in found)])
                if row == len(targets) - 1:
                    axes.set_xlabel(BOUNDS[kind])
            panels[row, 0].set_ylabel(label, fontsize=9.5)
        figure.supylabel(f"Effect on {outcome}", fontsize=11)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3, handletextpad=0.4, columnspacing=1.4)
    return figure


def _intervals(axes: Axes, robust: pd.DataFrame, original: pd.DataFrame, level: float) -> None:
    """Draw identified sets as bars, robust intervals over them, and the original interval on the left."""
    axes.axhline(0, color=GREY, linewidth=0.7, zorder=1)
    rows = robust[np.isfinite(robust["conf_low"]) & np.isfinite(robust["conf_high"])]
    bounds = robust["bound"].to_numpy(float)
    span = float(np.ptp(bounds)) or 1.0
    known = robust[np.isfinite(robust["identified_low"])]
    ends = (known["bound"], known["identified_low"], known["identified_high"])
    axes.vlines(*ends, color=BLUE, alpha=0.35, linewidth=6, label="Identified set", zorder=2)
    bars: dict[str, Any] = {"elinewidth": 1.2, "capsize": 3.5, "zorder": 3}
    named = f"Robust {level:.0%} interval".replace("%", " %")
    axes.errorbar(rows["bound"], *_centred(rows), fmt="none", ecolor=INK, label=named, **bars)
    left = [bounds.min() - OFFSET * span] * len(original)
    axes.errorbar(left, *_centred(original), fmt="D", color=ORANGE, ms=4.5, label="Under parallel trends", **bars)
    axes.set_xlim(bounds.min() - 2 * OFFSET * span, bounds.max() + OFFSET * span)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6))


def _centred(rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return the middles of intervals, and half their lengths."""
    return (rows["conf_low"] + rows["conf_high"]) / 2.0, (rows["conf_high"] - rows["conf_low"]) / 2.0


def _breakdown(axes: Axes, value: float) -> str:
    """Mark the breakdown value where it is in sight, and word it."""
    if not np.isfinite(value):
        return "no breakdown value found"
    if value == 0:
        return "not significant under parallel trends"
    if value <= axes.get_xlim()[1]:
        axes.axvline(value, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    return f"breakdown value {value:.3g}"
