"""Figures of estimates: the event study, the placebo distribution and the specification curve.

Each function takes a tidy frame and returns a `Figure`; none estimates, none saves.
"""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import gaussian_kde

from syneff.report.figures.style import BLUE, FAINT, GREY, INK, MINUS, ORANGE, p_text, settings, write_remarks
from syneff.report.tidy import event_time


def event_study(
    frame: pd.DataFrame,
    *,
    outcome: str = "outcome",
    support: Mapping[str, float] | None = None,
    truth: Mapping[str, float] | None = None,
    pre_trend_p: float | None = None,
    synthetic: bool = False,
) -> Figure:
    """Draw effects by event time, with 95 % intervals.

    Parameters
    ----------
    frame
        Tidy rows with terms ``event[k]``; the base period is the one that is absent, and the ends are pooled.
    outcome
        Label of the outcome.
    support
        Number of treated cities behind each term.
    truth
        True effect by term, of a synthetic panel.
    pre_trend_p
        The p-value of the joint test that all effects before adoption are zero.
    synthetic
        Whether to say that the panel is synthetic.
    """
    rows = frame.assign(time=frame["term"].map(event_time)).dropna(subset=["time"])
    rows = rows.astype({"time": int}).sort_values("time")
    times = list(range(rows["time"].min(), rows["time"].max() + 1))
    base = [time for time in times if time not in set(rows["time"])]
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 3.9), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=GREY, linewidth=0.7, zorder=1)
        axes.axvline(-0.5, color=GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
        low, high = rows["estimate"] - rows["conf_low"], rows["conf_high"] - rows["estimate"]
        bars: dict[str, Any] = {"fmt": "o", "color": INK, "ms": 5, "elinewidth": 1.1, "zorder": 3}
        axes.errorbar(rows["time"], rows["estimate"], yerr=[low, high], label="Estimate, 95 % interval", **bars)
        axes.plot(base, [0.0] * len(base), "s", mfc="white", mec=INK, ms=5.5, label="Base period", zorder=4)
        _truth_path(axes, times, truth or {}, base)
        axes.set_xticks(times, _event_labels(times))
        axes.set_xlim(times[0] - 0.6, times[-1] + 0.6)
        axes.set_ylabel(f"Effect on {outcome}")
        _support_row(axes, times, support or {})
        axes.yaxis.set_major_locator(MaxNLocator(6))
        remarks = ["synthetic panel"] if synthetic else []
        write_remarks(axes, remarks + ([] if pre_trend_p is None else [f"joint pre-trend test: {p_text(pre_trend_p)}"]))
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(
            handles[::-1], labels[::-1], loc="outside upper left", ncols=3, handletextpad=0.4, columnspacing=1.4
        )
    return figure


def _truth_path(axes: Axes, times: list[int], truth: Mapping[str, float], base: list[int]) -> None:
    known = {time: truth[f"event[{time}]"] for time in times if f"event[{time}]" in truth and time not in base}
    if known:
        axes.plot(
            [time + 0.18 for time in known],
            list(known.values()),
            "D",
            mfc="none",
            mec=ORANGE,
            ms=5,
            mew=1.2,
            label="Truth of the synthetic panel",
            zorder=4,
        )


def _event_labels(times: list[int]) -> list[str]:
    texts = [f"{time}".replace("-", MINUS) for time in times]
    return [f"≤ {texts[0]}", *texts[1:-1], f"≥ {texts[-1]}"]


def _support_row(axes: Axes, times: list[int], support: Mapping[str, float]) -> None:
    """Write the number of treated cities under each event time, and the name of the axis under both."""
    known = {time: support[f"event[{time}]"] for time in times if f"event[{time}]" in support}
    for time, cities in known.items():
        axes.annotate(f"{cities:.0f}", (time, 0), (0, -20), axes.get_xaxis_transform(), **_SMALL)
    axes.set_xlabel("Years since adoption" + (" (in grey: treated cities behind the estimate)" if known else ""))
    axes.xaxis.labelpad = 18 if known else 4


_SMALL: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "top", "fontsize": 8.5, "color": GREY}


def placebo(
    draws: pd.DataFrame,
    *,
    estimate: float,
    p_value: float | None = None,
    treatment: str = "the treatment",
    level: float = 0.1,
    synthetic: bool = False,
) -> Figure:
    """Draw the density of placebo estimates above their p-values, with the real estimate.

    Parameters
    ----------
    draws
        One row a draw: ``estimate`` and ``p_value``. Draws without an estimate are left out and counted.
    estimate
        The real estimate.
    p_value
        The randomisation p-value.
    treatment
        Label of the treatment.
    level
        Level at which the horizontal line stands.
    synthetic
        Whether to say that the panel is synthetic.
    """
    fine = draws[np.isfinite(draws["estimate"])]
    failed = len(draws) - len(fine)
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 4.6), layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1.15, 1))
        _density(top, fine["estimate"].to_numpy(float))
        bottom.plot(
            fine["estimate"], fine["p_value"], "o", mfc="none", mec=INK, ms=3, mew=0.5, alpha=0.55, rasterized=True
        )
        bottom.axhline(level, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
        share = float((fine["p_value"] < level).mean()) if len(fine) else math.nan
        bottom.set_ylim(-0.03, 1.03)
        bottom.set_ylabel("p-value")
        bottom.set_xlabel(f"Estimate for {treatment} under random assignment")
        for axes in (top, bottom):
            axes.axvline(estimate, color=ORANGE, linewidth=1.4, label=f"Real estimate: {estimate:.3f}")
        remarks = ["synthetic panel"] if synthetic else []
        remarks += [f"{len(fine):,} draws" + (f" ({failed:,} failed)" if failed else "")]
        write_remarks(top, remarks + ([] if p_value is None else [f"randomisation {p_text(p_value)}"]))
        write_remarks(bottom, [f"{share:.1%} of draws below p = {level:g}"])
        figure.legend(*top.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def _density(axes: Axes, values: np.ndarray) -> None:
    """Draw a Gaussian kernel density; draws that do not differ have none."""
    if len(values) > 2 and np.ptp(values) > 0:
        margin = 0.15 * np.ptp(values)
        grid = np.linspace(values.min() - margin, values.max() + margin, 400)
        height = gaussian_kde(values)(grid)
        axes.fill_between(grid, height, color=BLUE, alpha=0.15, linewidth=0)
        axes.plot(grid, height, color=BLUE, linewidth=1.5, label="Density of placebo estimates")
    axes.axvline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("Density")


def specification_curve(
    frame: pd.DataFrame,
    *,
    options: Mapping[str, str],
    effect: str = "Effect",
    total: int | None = None,
    synthetic: bool = False,
) -> Figure:
    """Draw estimates in order of size, with 95 % intervals, above the options that each was made with.

    Parameters
    ----------
    frame
        One row a specification: ``estimate``, ``conf_low``, ``conf_high``, ``default`` (whether it is the main one), and a
        column of words for each option. Specifications without an estimate are left out and counted.
    options
        Label of each option, by its column; one that does not vary is not shown.
    effect
        Label of the effect.
    total
        Of how many specifications these are some, evenly spaced by rank; None if these are all.
    synthetic
        Whether to say that the panel is synthetic.
    """
    rows = frame[np.isfinite(frame["estimate"])].sort_values("estimate", kind="stable", ignore_index=True)
    choices = [
        (option, value)
        for option in options
        if rows[option].nunique() > 1
        for value in dict.fromkeys([*rows.loc[rows["default"], option], *sorted(rows[option].unique())])
    ]
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 2.9 + 0.19 * len(choices)), layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 0.19 * len(choices) + 0.1))
        top.axhline(0, color=GREY, linewidth=0.7, zorder=1)
        _intervals(top, rows[~rows["default"]], INK, "o", "Estimate, 95 % interval")
        _intervals(top, rows[rows["default"]], ORANGE, "D", "The default")
        top.set_ylabel(effect)
        top.tick_params(bottom=False)
        top.spines["bottom"].set_visible(False)
        top.set_xlim(-1, len(rows))
        _choices(bottom, rows, choices, options)
        failed = len(frame) - len(rows)
        said = f"{len(rows):,} specifications" + (f" ({failed:,} without an estimate)" if failed else "")
        said = said if total is None else f"{len(rows):,} of {total:,} specifications, evenly spaced by rank"
        write_remarks(top, [*(["synthetic panel"] if synthetic else []), said])
        figure.legend(*top.get_legend_handles_labels(), loc="outside upper left", ncols=2, handletextpad=0.4)
    return figure


def _intervals(axes: Axes, rows: pd.DataFrame, color: str, marker: str, label: str) -> None:
    if len(rows):
        reach = [rows["estimate"] - rows["conf_low"], rows["conf_high"] - rows["estimate"]]
        axes.errorbar(
            rows.index, rows["estimate"], reach, fmt=marker, color=color, ms=3.2, elinewidth=0.9, label=label, zorder=3
        )


def _choices(axes: Axes, rows: pd.DataFrame, choices: list[tuple[str, str]], options: Mapping[str, str]) -> None:
    """Mark the options of each specification, a line a choice, options set apart by rules."""
    for line, (option, value) in enumerate(choices):
        chosen = rows[rows[option] == value]
        for own, color in ((chosen[~chosen["default"]], INK), (chosen[chosen["default"]], ORANGE)):
            axes.plot(own.index, [line] * len(own), "s", color=color, ms=2.6, label=f"{option}={value}")
        if line and choices[line - 1][0] != option:
            axes.axhline(line - 0.5, color=FAINT, linewidth=0.7, zorder=0)
    axes.set_yticks(range(len(choices)), [f"{options[option]}: {value}" for option, value in choices], fontsize=8.5)
    axes.set_ylim(len(choices) - 0.5, -0.5)
    axes.set_xticks([])
    axes.tick_params(left=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xlabel("Specifications, from the smallest to the largest estimate")
