"""Figures of spatial models: where the indirect effect comes from."""

from collections.abc import Sequence

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from syneff.report.figures.style import FAINT, GREY, INK, settings, write_remarks


def cumulated_effect(frame: pd.DataFrame, *, effect: str, remarks: Sequence[str] = ()) -> Figure:
    """Draw the indirect effect that comes from within each distance, with its 95 % interval.

    Parameters
    ----------
    frame
        One row a distance: ``distance_km``, ``estimate``, ``conf_low``, ``conf_high``.
    effect
        Label of the effect.
    remarks
        What to write above the axes.
    """
    with matplotlib.rc_context(settings()):
        figure = Figure(figsize=(6.6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=GREY, linewidth=0.7)
        axes.fill_between(
            frame["distance_km"], frame["conf_low"], frame["conf_high"], color=FAINT, linewidth=0, label="95 % interval"
        )
        axes.plot(frame["distance_km"], frame["estimate"], "o-", color=INK, ms=3.5, linewidth=1.0, label="estimate")
        axes.set_xlim(left=0)
        axes.set_xlabel("From cities within, km")
        axes.set_ylabel(effect)
        write_remarks(axes, list(remarks))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure
