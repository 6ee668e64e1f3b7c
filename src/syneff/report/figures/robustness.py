"""Figures of robustness: groups left out, an omitted variable's contours, and an effect along a moderator.

Each function takes frames and returns a `Figure`; none estimates, none saves.
"""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from syneff.report.figures.style import BLUE, FAINT, GREY, INK, MINUS, ORANGE, p_text, settings, write_remarks


def left_out(
    frame: pd.DataFrame, *, estimate: float, low: float, high: float, by: str, synthetic: bool = False
) -> Figure:
    """Draw the estimate without each group, in order of size, beside that of all.

    Parameters
    ----------
    frame
        One row a group: ``group``, ``estimate``, ``conf_low``, ``conf_high``. Groups without an estimate are left out and
        counted.
    estimate, low, high
        The estimate of all, and its interval.
    by
        What the groups are.
    synthetic
        Whether to say that the panel is synthetic.
    """
    rows = frame[np.isfinite(frame["estimate"])].sort_values("estimate", kind="stable", ignore_index=True)
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, max(2.6, 1.2 + 0.19 * len(rows))), layout="constrained")
        axes = figure.add_subplot()
        axes.axvspan(low, high, color=FAINT, alpha=0.45, linewidth=0, label="All: 95 % interval")
        axes.axvline(estimate, color=ORANGE, linewidth=1.4, label=f"All: {estimate:.3f}")
        axes.axvline(0, color=GREY, linewidth=0.7, zorder=1)
        reach = [rows["estimate"] - rows["conf_low"], rows["conf_high"] - rows["estimate"]]
        axes.errorbar(
            rows["estimate"],
            rows.index,
            xerr=reach,
            fmt="o",
            color=INK,
            ms=3.6,
            elinewidth=0.9,
            label="One left out, 95 % interval",
            zorder=3,
        )
        axes.set_yticks(range(len(rows)), list(rows["group"]), fontsize=8.5)
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_xlabel(f"Estimate without the {by} on the left")
        failed = len(frame) - len(rows)
        remarks = ["synthetic panel"] if synthetic else []
        write_remarks(axes, [*remarks, *([f"{failed} without an estimate"] if failed else [])])
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3, handletextpad=0.4)
    return figure


def contours(
    grid: pd.DataFrame,
    bounds: pd.DataFrame,
    *,
    estimate: float,
    robustness_value: float,
    treatment: str = "the treatment",
    synthetic: bool = False,
) -> Figure:
    """Draw the estimate beside an omitted variable, by its partial R2 with treatment and outcome.

    Parameters
    ----------
    grid
        A full grid: ``r2_treatment``, ``r2_outcome``, ``estimate``.
    bounds
        Benchmarks: ``benchmark``, ``multiple``, ``r2_treatment``, ``r2_outcome``, ``estimate``; one out of reach is left out.
    estimate
        The estimate without the variable.
    robustness_value
        Where both partial R2 are alike and the effect is explained away.
    treatment
        Label of the treatment.
    synthetic
        Whether to say that the panel is synthetic.
    """
    wide = grid.pivot(index="r2_outcome", columns="r2_treatment", values="estimate")
    across, up = wide.columns.to_numpy(float), wide.index.to_numpy(float)
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.0, 4.8), layout="constrained")
        axes = figure.add_subplot()
        lines = axes.contour(across, up, wide.to_numpy(float), levels=9, colors=GREY, linewidths=0.7)
        axes.clabel(lines, fontsize=8.5, fmt=_signed)
        zero = axes.contour(across, up, wide.to_numpy(float), levels=[0.0], colors=ORANGE, linewidths=1.6)
        axes.clabel(zero, fontsize=8.5, fmt="0")
        axes.plot(0, 0, "^", color=INK, ms=7, clip_on=False, zorder=4, label=f"As estimated: {estimate:.3f}")
        if robustness_value <= min(across.max(), up.max()):
            label = f"Robustness value: {robustness_value:.1%}"
            axes.plot(
                robustness_value, robustness_value, "s", mfc="white", mec=ORANGE, ms=6, mew=1.4, label=label, zorder=4
            )
        _benchmarks(axes, bounds, float(across.max()), float(up.max()))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes.set_xlabel(f"Partial R² of the omitted variable with {treatment}")
        axes.set_ylabel("Partial R² with the outcome")
        write_remarks(axes, [*(["synthetic panel"] if synthetic else []), "contours: the effect beside it"])
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3, handletextpad=0.3)
    return figure


def _benchmarks(axes: Axes, bounds: pd.DataFrame, right: float, top: float) -> None:
    """Join the multiples of each benchmark by a line, and name the strongest unless all are at the origin."""
    known = bounds[(bounds["r2_treatment"] <= right) & (bounds["r2_outcome"] <= top)]
    label: str | None = "Multiples of a control"
    for name, rows in known.groupby("benchmark", sort=False):
        x, y = rows["r2_treatment"].to_numpy(float), rows["r2_outcome"].to_numpy(float)
        axes.plot(x, y, "D-", color=BLUE, ms=4, linewidth=0.7, label=label, zorder=3)
        label = None
        if max(x[-1] / right, y[-1] / top) > 0.03:
            text = f"{rows['multiple'].iloc[-1]:g}x {name} ({_signed(rows['estimate'].iloc[-1])})"
            axes.annotate(text, (x[-1], y[-1]), (5, 3), textcoords="offset points", fontsize=8.5, color=BLUE)


def _signed(value: float) -> str:
    return f"{value:.3g}".replace("-", MINUS)


def moderation(
    curve: pd.DataFrame,
    bins: pd.DataFrame,
    support: pd.DataFrame,
    *,
    moderator: str,
    outcome: str = "outcome",
    linearity_p: float | None = None,
    synthetic: bool = False,
) -> Figure:
    """Draw an effect along a moderator: kernel, line and bins, above the distribution of the moderator.

    Parameters
    ----------
    curve
        ``moderator``; ``kernel`` and ``linear`` with their ``_low`` and ``_high``.
    bins
        ``median``, ``estimate``, ``conf_low``, ``conf_high``.
    support
        ``low``, ``high``, ``treated``, ``others``: rows in each column of the histogram.
    moderator, outcome
        Labels.
    linearity_p
        The p-value of the test of linearity.
    synthetic
        Whether to say that the panel is synthetic.
    """
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 4.8), layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        x = curve["moderator"].to_numpy(float)
        top.axhline(0, color=GREY, linewidth=0.7, zorder=1)
        top.fill_between(x, curve["kernel_low"], curve["kernel_high"], color=BLUE, alpha=0.18, linewidth=0)
        top.plot(x, curve["kernel"], color=BLUE, linewidth=1.6, label="Kernel, 95 % bootstrap interval")
        top.plot(x, curve["linear"], color=INK, linewidth=1.1, linestyle=(0, (5, 3)), label="Linear, 95 % interval")
        for end in ("linear_low", "linear_high"):
            top.plot(x, curve[end], color=GREY, linewidth=0.7, linestyle=(0, (1, 2)))
        reach = [bins["estimate"] - bins["conf_low"], bins["conf_high"] - bins["estimate"]]
        marks = {"fmt": "o", "color": ORANGE, "ms": 5.5, "elinewidth": 1.2, "zorder": 4}
        top.errorbar(bins["median"], bins["estimate"], reach, label="Bins, at their medians", **marks)
        top.set_ylabel(f"Effect on {outcome}", fontsize=9.5)
        _histogram(bottom, support)
        margin = 0.04 * float(x[-1] - x[0])
        bottom.set_xlim(x[0] - margin, x[-1] + margin)
        bottom.set_xlabel(moderator)
        remarks = ["synthetic panel"] if synthetic else []
        write_remarks(top, remarks + ([] if linearity_p is None else [f"test of linearity: {p_text(linearity_p)}"]))
        figure.legend(*top.get_legend_handles_labels(), loc="outside upper left", ncols=3, handletextpad=0.4)
    return figure


def _histogram(axes: Axes, support: pd.DataFrame) -> None:
    """Draw shares of treated and other rows, one above and one below the axis."""
    width = (support["high"] - support["low"]).to_numpy(float)
    for name, sign, color in (("treated", 1.0, ORANGE), ("others", -1.0, GREY)):
        share = support[name].to_numpy(float) / max(float(support[name].sum()), 1.0)
        axes.bar(support["low"], sign * share, width, align="edge", color=color, alpha=0.55, linewidth=0)
    axes.axhline(0, color=GREY, linewidth=0.7)
    axes.set_yticks([])
    axes.set_ylabel("Others   Treated", fontsize=8.5)
