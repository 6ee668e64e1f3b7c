"""Figures of a panel before anything is estimated: gaps, roll-out, distributions and maps.

Each function takes a frame of a cell's details and returns a `Figure`.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from syneff.report.figures.style import BLUE, FAINT, GREY, INK, ORANGE, settings, write_remarks

STATES = {"no data": "#ffffff", "not treated": FAINT, "treated": BLUE}
LINES = ("-", "--", ":", "-.")
COLORS = (BLUE, ORANGE, INK, GREY)
NAMED = 45  # units up to which each is named on its line


def missing(missing: pd.DataFrame, gaps: pd.DataFrame, *, labels: Mapping[str, str], synthetic: bool = False) -> Figure:
    """Draw the share missing of each variable by period, above the gaps of each unit that has any.

    Parameters
    ----------
    missing
        One row a variable and period: ``variable``, ``period``, ``share``.
    gaps
        One row a unit and period: ``unit``, ``period``, ``variables`` (how many are without a value).
    labels
        Label of each variable.
    synthetic
        Whether to say that the panel is synthetic.
    """
    shares = missing.pivot(index="variable", columns="period", values="share").loc[missing["variable"].unique()]
    counts = gaps.pivot(index="unit", columns="period", values="variables").loc[gaps["unit"].unique()]
    lacking = counts[counts.sum(axis=1) > 0]
    lacking = lacking.loc[lacking.sum(axis=1).sort_values(kind="stable", ascending=False).index]
    with matplotlib.rc_context(settings()):
        below = 0.0 if lacking.empty else min(4.2, 0.6 + 0.14 * len(lacking))
        figure = Figure(figsize=(6.6, 1.0 + 0.3 * len(shares) + below), layout="constrained")
        heights = [0.3 * len(shares) + 0.2, below] if below else [1.0]
        axes = np.atleast_1d(figure.subplots(len(heights), 1, height_ratios=heights))
        _heat(axes[0], shares, "Blues", top=1.0)
        axes[0].set_yticks(range(len(shares)), [labels.get(str(name), str(name)) for name in shares.index])
        for (row, column), share in np.ndenumerate(shares.to_numpy()):
            if share > 0:
                color = "white" if share > 0.6 else INK
                axes[0].text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7.5, color=color)
        write_remarks(axes[0], [*(["synthetic panel"] if synthetic else []), "per cent missing"])
        if below:
            _heat(axes[1], lacking, "Blues", top=float(len(shares)))
            _name_units(axes[1], list(lacking.index))
            write_remarks(axes[1], [f"{len(lacking):,} of {len(counts):,} units with gaps; darker: more variables"])
    return figure


def rollout(frame: pd.DataFrame, *, synthetic: bool = False) -> Figure:
    """Draw who is treated when, units ordered by adoption.

    Parameters
    ----------
    frame
        One row a unit and period: ``unit``, ``period``, ``state``.
    synthetic
        Whether to say that the panel is synthetic.
    """
    states = frame.pivot(index="unit", columns="period", values="state").loc[frame["unit"].unique()]
    treated = states == "treated"
    first = treated.to_numpy().argmax(axis=1)
    place = np.where(treated.any(axis=1), first, states.shape[1])
    order = np.lexsort((np.arange(len(states)), place))
    codes = states.iloc[order].apply(lambda column: column.map({name: at for at, name in enumerate(STATES)}))
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, min(6.5, max(2.6, 1.2 + 0.13 * len(states)))), layout="constrained")
        axes = figure.add_subplot()
        _heat(axes, codes, ListedColormap(list(STATES.values())), top=2.0)
        _name_units(axes, list(codes.index))
        cohorts, sizes = np.unique(place, return_counts=True)
        for cohort, size, end in zip(cohorts, sizes, np.cumsum(sizes), strict=True):
            axes.axhline(end - 0.5, color=INK, linewidth=0.4)
            year = "never" if cohort == states.shape[1] else str(states.columns[cohort])
            middle = (1.01, end - size / 2 - 0.5)
            axes.annotate(f"{year}: {size}", middle, xycoords=axes.get_yaxis_transform(), **_SIDE)
        present = [name for name in STATES if (states == name).any(axis=None)]
        patches = [Patch(facecolor=STATES[name], edgecolor=GREY, linewidth=0.5, label=name) for name in present]
        figure.legend(handles=patches, loc="outside upper left", ncols=3)
        write_remarks(axes, [*(["synthetic panel"] if synthetic else []), "at the right: units by year of adoption"])
    return figure


_SIDE: dict[str, Any] = {"fontsize": 8.5, "va": "center", "color": INK, "annotation_clip": False}


def distributions(frame: pd.DataFrame, *, labels: Mapping[str, str], synthetic: bool = False) -> Figure:
    """Draw the density of each variable, a line a group.

    Parameters
    ----------
    frame
        Densities: ``variable``, ``group``, ``value``, ``density``.
    labels
        Label of each variable.
    synthetic
        Whether to say that the panel is synthetic.
    """
    variables, groups = list(frame["variable"].unique()), list(frame["group"].unique())
    columns = min(2, len(variables))
    rows = -(-len(variables) // columns)
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 0.6 + 1.9 * rows), layout="constrained")
        panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for axes, variable in zip(panels, variables, strict=False):
            for at, group in enumerate(groups):
                own = frame[(frame["variable"] == variable) & (frame["group"] == group)]
                look = {"color": COLORS[at % len(COLORS)], "linestyle": LINES[at // len(COLORS) % 4 or at % 4]}
                axes.plot(own["value"], own["density"], linewidth=1.3, label=group, **look)
            axes.set_xlabel(labels.get(variable, variable), fontsize=9.5)
            axes.set_yticks([])
            axes.set_ylim(bottom=0)
        for axes in panels[len(variables) :]:
            axes.set_axis_off()
        write_remarks(panels[0], ["synthetic panel"] if synthetic else [])
        if groups != ["all"]:
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    return figure


def maps(frame: pd.DataFrame, *, label: str, synthetic: bool = False) -> Figure:
    """Draw values on maps, a map a period, all on one scale; treated units have a ring.

    Parameters
    ----------
    frame
        One row a unit and period: ``lat``, ``lon``, ``period``, ``value``, ``treated``.
    label
        Label of the values.
    synthetic
        Whether to say that the panel is synthetic.
    """
    periods = sorted(frame["period"].unique())
    columns = min(3, len(periods))
    rows = -(-len(periods) // columns)
    # A degree of longitude is shorter than one of latitude, by the cosine of the latitude.
    shape = 1.0 / np.cos(np.deg2rad(frame["lat"].mean()))
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 0.7 + 2.1 * rows), layout="constrained")
        panels = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
        low, high = frame["value"].quantile([0.01, 0.99])
        drawn = None
        for axes, period in zip(panels, periods, strict=False):
            own = frame[frame["period"] == period].sort_values("value", kind="stable")
            ring = own[own["treated"]]
            axes.plot(ring["lon"], ring["lat"], "o", mfc="none", mec=ORANGE, mew=0.9, ms=5.5, label="treated")
            drawn = axes.scatter(own["lon"], own["lat"], c=own["value"], s=9, vmin=low, vmax=high, cmap="viridis")
            axes.set_title(str(period), fontsize=10, pad=3)
            axes.set_aspect(shape)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        for axes in panels[len(periods) :]:
            axes.set_axis_off()
        if drawn is not None:
            bar = figure.colorbar(drawn, ax=panels.tolist(), shrink=0.6, pad=0.02, extend="both")
            bar.set_label(label)
        remark = "synthetic panel; " if synthetic else ""
        figure.suptitle(f"{remark}rings: treated units", x=0.99, ha="right", fontsize=9.5, color=GREY)
    return figure


def _heat(axes: Axes, values: pd.DataFrame, colours: Any, *, top: float) -> None:
    axes.imshow(values.to_numpy(dtype=float), aspect="auto", cmap=colours, vmin=0.0, vmax=top, interpolation="nearest")
    step = -(-values.shape[1] // 18)
    axes.set_xticks(range(0, values.shape[1], step), [str(each) for each in values.columns[::step]], rotation=45)
    axes.tick_params(length=0, labelsize=8.5)
    axes.spines[:].set_visible(False)


def _name_units(axes: Axes, units: list[Any]) -> None:
    if len(units) <= NAMED:
        axes.set_yticks(range(len(units)), [str(unit) for unit in units], fontsize=6.5)
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(units):,} units")
