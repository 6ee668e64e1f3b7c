"""Figures of space: dependence by period, Moran scatter, clusters and links on a map, effects by distance.

Each function takes a frame of a cell's details and returns a `Figure`. Colours are doubled by shapes, as everywhere.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import ndtri

from syneff.report.figures.style import BLUE, FAINT, GREY, INK, ORANGE, settings, write_remarks

SYMBOLS = {"moran": "Moran's I", "geary": "Geary's C"}
QUADRANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "HH": ("high among high", {"marker": "o", "mfc": ORANGE, "mec": ORANGE}),
    "LL": ("low among low", {"marker": "s", "mfc": BLUE, "mec": BLUE}),
    "HL": ("high among low", {"marker": "^", "mfc": "white", "mec": ORANGE}),
    "LH": ("low among high", {"marker": "v", "mfc": "white", "mec": BLUE}),
}
COLUMNS = 3
"""Maps or scatters side by side."""


def dependence(
    frame: pd.DataFrame, *, statistic: str = "moran", level: float = 0.05, remarks: Sequence[str] = ()
) -> Figure:
    """Draw the statistic by period, above the band that it stays in without dependence.

    Parameters
    ----------
    frame
        One row a period: ``period``, the statistic, and its ``_mean``, ``_sd`` and ``_p``, or ``_p_permutation``.
    statistic
        "moran" or "geary".
    level
        Level of the band and of the filled marks.
    remarks
        What to write above the axes.
    """
    rows = frame[np.isfinite(frame[statistic])]
    mean, half = rows[f"{statistic}_mean"], ndtri(1 - level / 2) * rows[f"{statistic}_sd"]
    p = rows[f"{statistic}_p_permutation"] if f"{statistic}_p_permutation" in rows else rows[f"{statistic}_p"]
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        share = f"{100 * (1 - level):g} % band without dependence"
        axes.fill_between(rows["period"], mean - half, mean + half, color=FAINT, linewidth=0, label=share)
        axes.plot(rows["period"], mean, color=GREY, linewidth=0.7)
        axes.plot(rows["period"], rows[statistic], color=INK, linewidth=1.0, zorder=2)
        for which, fill, word in ((p < level, INK, f"p < {level:g}"), (p >= level, "white", f"p ≥ {level:g}")):
            if which.any():
                own = rows[which]
                axes.plot(own["period"], own[statistic], "o", mfc=fill, mec=INK, ms=5, label=word, zorder=3)
        axes.set_ylabel(SYMBOLS[statistic])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        write_remarks(axes, list(remarks))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3, handletextpad=0.4)
    return figure


def moran_scatter(frame: pd.DataFrame, *, label: str, level: float = 0.05, remarks: Sequence[str] = ()) -> Figure:
    """Draw each unit's standardised value against the mean of its neighbours, a scatter a period.

    Parameters
    ----------
    frame
        One row a unit and period: ``period``, ``standardised``, ``lag``, ``quadrant``, ``p_adjusted``.
    label
        Label of the variable.
    level
        Adjusted p-value below which a unit is marked by its quadrant.
    remarks
        What to write above the figure.
    """
    known = frame[np.isfinite(frame["lag"])]
    with matplotlib.rc_context(settings()):
        figure, panels = _panels(known["period"].nunique(), height=2.3)
        for axes, (period, own) in zip(panels, known.groupby("period"), strict=False):
            axes.axhline(0, color=GREY, linewidth=0.6)
            axes.axvline(0, color=GREY, linewidth=0.6)
            axes.plot(own["standardised"], own["lag"], "o", ms=2, mfc=FAINT, mec=GREY, mew=0.3)
            _clusters(axes, own.rename(columns={"standardised": "x", "lag": "y"}), level)
            slope = (own["standardised"] * own["lag"]).sum() / (own["standardised"] ** 2).sum()
            ends = own["standardised"].agg(["min", "max"])
            axes.plot(ends, slope * ends, color=INK, linewidth=1.0)
            axes.set_title(f"{period}: slope {slope:.3f}", fontsize=10, pad=3)
        figure.supxlabel(f"{label}, standardised", fontsize=10)
        figure.supylabel("Mean of the neighbours", fontsize=10)
        _key(figure, panels, level, remarks)
    return figure


def cluster_map(frame: pd.DataFrame, *, level: float = 0.05, remarks: Sequence[str] = ()) -> Figure | None:
    """Draw where local dependence is significant, a map a period; None without coordinates.

    Parameters
    ----------
    frame
        As for `moran_scatter`, with ``lat`` and ``lon``.
    level
        Adjusted p-value below which a unit is marked by its quadrant.
    remarks
        What to write above the figure.
    """
    known = frame[np.isfinite(frame["lat"]) & np.isfinite(frame["lon"])]
    if known.empty:
        return None
    with matplotlib.rc_context(settings()):
        figure, panels = _panels(known["period"].nunique(), height=1.6)
        for axes, (period, own) in zip(panels, known.groupby("period"), strict=False):
            axes.plot(own["lon"], own["lat"], "o", ms=1.6, mfc=FAINT, mec=FAINT)
            marked = _clusters(axes, own.rename(columns={"lon": "x", "lat": "y"}), level)
            axes.set_title(f"{period}: {marked} of {len(own)}", fontsize=10, pad=3)
            _blank(axes, own["lat"])
        _key(figure, panels, level, remarks)
    return figure


def links_map(links: pd.DataFrame, neighbours: pd.DataFrame, *, remarks: Sequence[str] = ()) -> Figure | None:
    """Draw links between units on a map, islands marked by crosses; None without coordinates.

    Parameters
    ----------
    links
        One row a link: ``lat``, ``lon``, ``neighbour_lat``, ``neighbour_lon``.
    neighbours
        One row a unit: ``lat``, ``lon``, ``island``.
    remarks
        What to write above the axes.
    """
    if not np.isfinite(neighbours["lat"]).any():
        return None
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 4.8), layout="constrained")
        axes = figure.add_subplot()
        ends = links[["lon", "lat", "neighbour_lon", "neighbour_lat"]].to_numpy(float).reshape(-1, 2, 2)
        axes.add_collection(LineCollection(list(ends), colors=BLUE, linewidths=0.5, alpha=0.6, label="link"))
        islands = neighbours["island"].to_numpy(bool)
        axes.plot(neighbours["lon"], neighbours["lat"], "o", ms=2.2, mfc=INK, mec=INK, label="unit")
        if islands.any():
            own = neighbours[islands]
            axes.plot(own["lon"], own["lat"], "x", ms=7, mec=ORANGE, mew=1.6, label="island")
        _blank(axes, neighbours["lat"])
        write_remarks(axes, list(remarks))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure


def by_distance(frame: pd.DataFrame, *, effect: str, remarks: Sequence[str] = ()) -> Figure:
    """Draw effects by the distance of the nearest treated unit, with 95 % intervals.

    Parameters
    ----------
    frame
        One row a ring: ``low``, ``high``, ``treated``, ``estimate``, ``conf_low``, ``conf_high``, ``units``.
    effect
        Label of the effect.
    remarks
        What to write above the axes.
    """
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=GREY, linewidth=0.7)
        for treated, color, marker, word in ((False, INK, "o", "on untreated"), (True, ORANGE, "D", "on treated")):
            rows = frame[(frame["treated"] == treated) & np.isfinite(frame["estimate"])]
            if len(rows):
                middle = (rows["low"] + rows["high"]) / 2 + (0.08 * (rows["high"] - rows["low"]) if treated else 0.0)
                reach = [rows["estimate"] - rows["conf_low"], rows["conf_high"] - rows["estimate"]]
                look: dict[str, Any] = {"fmt": marker, "color": color, "ms": 5, "elinewidth": 1.1, "label": word}
                axes.errorbar(middle, rows["estimate"], reach, **look)
        edges = [float(frame["low"].min()), *sorted(frame["high"].unique())]
        axes.set_xticks(edges, [f"{edge:g}" for edge in edges])
        axes.set_xlabel("Kilometres to the nearest treated unit (in grey: units in the ring)")
        for _, row in frame[~frame["treated"]].iterrows():
            place = ((row["low"] + row["high"]) / 2, 0.02)
            axes.annotate(f"{row['units']:.0f}", place, xycoords=axes.get_xaxis_transform(), **_SMALL)
        axes.set_ylabel(effect)
        write_remarks(axes, list(remarks))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


_SMALL: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8.5, "color": GREY}


def _panels(count: int, *, height: float) -> tuple[Figure, list[Axes]]:
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(6.6, 0.9 + height * rows), layout="constrained")
    panels = list(np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel())
    for axes in panels[count:]:
        axes.set_axis_off()
    return figure, panels[:count]


def _clusters(axes: Axes, own: pd.DataFrame, level: float) -> int:
    """Mark the significant units by their quadrants; return how many."""
    significant = own[own["p_adjusted"] < level]
    for quadrant, (_, look) in QUADRANTS.items():
        rows = significant[significant["quadrant"] == quadrant]
        axes.plot(rows["x"], rows["y"], linestyle="none", ms=3.6, mew=0.9, **look)
    return len(significant)


def _key(figure: Figure, panels: list[Axes], level: float, remarks: Sequence[str]) -> None:
    """Name the quadrants once for all panels."""
    for word, look in QUADRANTS.values():
        panels[0].plot([], [], linestyle="none", ms=4.5, mew=0.9, label=word, **look)
    handles, labels = panels[0].get_legend_handles_labels()
    said = " · ".join([*remarks, f"marked: adjusted p < {level:g}"])
    spread: dict[str, Any] = {"ncols": 4, "handletextpad": 0.2, "columnspacing": 1.2, "alignment": "left"}
    legend = figure.legend(handles, labels, loc="outside upper left", title=said, title_fontsize=9.5, **spread)
    legend.get_title().set_color(GREY)


def _blank(axes: Axes, latitudes: pd.Series) -> None:
    """Take the frame off a map; a degree of longitude is shorter than one of latitude, by the cosine of the latitude."""
    axes.set_aspect(1.0 / np.cos(np.deg2rad(latitudes.mean())))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
