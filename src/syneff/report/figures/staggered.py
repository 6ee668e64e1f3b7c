"""Figures of staggered adoption: event studies side by side, and the comparisons behind a two-way coefficient."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from syneff.report.figures.style import BLUE, GREY, INK, MINUS, ORANGE, settings, write_remarks
from syneff.report.tidy import event_time

MARKS = (
    (INK, "o"),
    (BLUE, "s"),
    (ORANGE, "D"),
    ("#009e73", "^"),
    ("#cc79a7", "v"),
    ("#56b4e9", "P"),
    ("#e69f00", "X"),
)
"""Colour and shape of each estimator, in turn."""
SPREAD = 0.7  # of a period, over which the estimators stand side by side


def event_studies(
    frames: Mapping[str, pd.DataFrame],
    *,
    outcome: str = "outcome",
    truth: Mapping[str, float] | None = None,
    synthetic: bool = False,
) -> Figure:
    """Draw effects by event time of several estimators, with 95 % intervals, over the event times that all of them reach.

    Parameters
    ----------
    frames
        Tidy rows by the estimator's label; those with terms ``event[k]`` are drawn. A base period has no row, or no error.
    outcome
        Label of the outcome.
    truth
        True effect by term, of a synthetic panel.
    synthetic
        Whether to say that the panel is synthetic.
    """
    rows = {label: _rows(frame) for label, frame in frames.items()}
    first = max(own.index.min() for own in rows.values())
    times = range(first, max(first, min(own.index.max() for own in rows.values())) + 1)
    offsets = np.linspace(-SPREAD / 2, SPREAD / 2, len(rows)) if len(rows) > 1 else np.zeros(1)
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(7.4, 4.4), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=GREY, linewidth=0.7, zorder=1)
        axes.axvline(-0.5, color=GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
        known = {time: truth[f"event[{time}]"] for time in times if truth and f"event[{time}]" in truth}
        for at, (time, value) in enumerate(known.items()):
            span = [time - SPREAD / 2 - 0.06, time + SPREAD / 2 + 0.06]
            label = "Truth of the synthetic panel" if at == 0 else None
            axes.plot(span, [value, value], color=GREY, linewidth=2.2, alpha=0.45, label=label, zorder=2)
        for place, (label, every) in enumerate(rows.items()):
            own = every[every.index.isin(times)]
            color, marker = MARKS[place % len(MARKS)]
            reach = [own["estimate"] - own["conf_low"], own["conf_high"] - own["estimate"]]
            axes.errorbar(
                own.index + offsets[place],
                own["estimate"],
                reach,
                fmt=marker,
                color=color,
                ms=4,
                elinewidth=0.9,
                label=label,
                zorder=3,
            )
        axes.set_xticks(list(times), [f"{time}".replace("-", MINUS) for time in times])
        axes.set_xlabel("Years since adoption")
        axes.set_ylabel(f"Effect on {outcome}")
        axes.yaxis.set_major_locator(MaxNLocator(6))
        write_remarks(axes, [*(["synthetic panel"] if synthetic else []), "95 % intervals, pointwise"])
        figure.legend(loc="outside upper left", ncols=2, handletextpad=0.4, columnspacing=1.4)
    return figure


def comparisons(
    frame: pd.DataFrame, *, kinds: Mapping[str, str], coefficient: float, synthetic: bool = False
) -> Figure:
    """Draw estimate against weight of every comparison of two cohorts.

    Parameters
    ----------
    frame
        One row a comparison: ``type``, ``weight``, ``estimate``.
    kinds
        Label of each type.
    coefficient
        The two-way coefficient, their weighted sum.
    synthetic
        Whether to say that the panel is synthetic.
    """
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=GREY, linewidth=0.7, zorder=1)
        axes.axhline(coefficient, color=GREY, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1)
        for (kind, label), (color, marker) in zip(kinds.items(), MARKS, strict=False):
            own = frame[frame["type"] == kind]
            if len(own):
                said = f"{label} (weight {own['weight'].sum():.3f})"
                axes.plot(own["weight"], own["estimate"], marker, color=color, mfc="none", ms=5.5, label=said, zorder=3)
        axes.set_xlabel("Weight in the two-way coefficient")
        axes.set_ylabel("Estimate of the comparison")
        axes.yaxis.set_major_locator(MaxNLocator(6))
        remarks = [f"{len(frame)} comparisons", f"two-way coefficient {coefficient:.3f} (dashed)"]
        write_remarks(axes, [*(["synthetic panel"] if synthetic else []), *remarks])
        figure.legend(loc="outside upper left", ncols=1, handletextpad=0.4)
    return figure


def _rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of event times by time, in order; those without an estimate are left out."""
    times = frame["term"].map(event_time)
    rows: pd.DataFrame = frame.assign(time=times)[times.notna() & np.isfinite(frame["estimate"])]
    return rows.astype({"time": int}).set_index("time").sort_index()
