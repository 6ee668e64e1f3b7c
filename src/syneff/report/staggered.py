"""Staggered adoption, estimator by estimator: overall effects in one table, event studies in one figure.

Two-way fixed effects weigh effects of cohorts and years in a way of their own, some of them negatively; the estimators beside
it choose their weights. Where they differ, effects are heterogeneous, and the weights matter.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from syneff.report.figures import Figure
from syneff.report.figures.staggered import event_studies as draw
from syneff.report.tables import Line, Table, number, source_notes, stars
from syneff.report.tidy import Cell, compare, event_time, specification

HEADER = ("Effect", "SE", "95 % interval", "Truth", "Pre-trend p", "Cities", "N")
NAMES = {
    "FixedEffects": "Two-way fixed effects",
    "EventStudy": "Two-way event study",
    "CallawaySantAnna": "Callaway and Sant'Anna",
    "SunAbraham": "Sun and Abraham",
    "Imputation": "Borusyak, Jaravel and Spiess",
    "Stacked": "Stacked regressions",
}
OPTIONS = {
    "control_group": {"never": "never treated", "not_yet": "not yet treated"},
    "method": {"regression": "regression", "ipw": "inverse probability", "dr": "doubly robust"},
}
"""Options of estimators that tell their columns apart, with words for their values."""
PRE_TRENDS = ("pre_trend_dynamic", "pre_trend")
"""Joint tests of effects before adoption, that of means over cohorts first."""
NOTE = (
    "Effect: the mean effect on the treated, weighted as the estimator has it. Pre-trend: joint test that all effects by event "
    "time before adoption are zero. *** p < 1 %, ** p < 5 %, * p < 10 %."
)


def overall_effects(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out the overall effect of each estimator, a line a cell.

    Parameters
    ----------
    cells
        A cell an estimator; one without an overall effect, such as an event study, shows its test alone.
    title
        Caption.
    paper
        Without effect: the paper has two-way fixed effects only.
    """
    numbers = compare(cells, paper)
    lines = []
    for cell, label in zip(cells, _labels(cells), strict=True):
        rows = cell.frame.set_index("term")
        treatment = str(specification(cell.manifest.get("config", {})).get("treatment"))
        row = rows.T[treatment] if treatment in rows.index else pd.Series(dtype=float)
        names = ("estimate", "std_error", "p_value", "conf_low", "conf_high")
        effect, error, p_value, low, high = (_value(row, name) for name in names)
        interval = f"[{number(low)}, {number(high)}]" if math.isfinite(low) else ""
        # With cohorts of few cities the test over their cells rejects whatever is true.
        trend = next((rows["p_value"][test] for test in PRE_TRENDS if test in rows.index), math.nan)
        first = rows.iloc[0]
        texts = (number(effect) + stars(p_value), number(error), interval)
        counts = tuple(f"{first[name]:,.0f}" for name in ("n_units", "nobs"))
        truth = number(cell.truth.get(treatment, math.nan) if len(row) else math.nan)
        lines.append(Line(cell.name, label, "statistic", (*texts, truth, number(trend), *counts)))
    return Table(title, HEADER, (tuple(lines),), (NOTE, *source_notes(cells)), numbers)


def event_studies(cells: Sequence[Cell]) -> Figure | None:
    """Draw the effects by event time of all cells that have them, side by side; None where no cell has any."""
    shown = {
        label: cell.estimates
        for cell, label in zip(cells, _labels(cells), strict=True)
        if any(event_time(term) is not None for term in cell.estimates["term"])
    }
    if not shown:
        return None
    first = cells[0]
    outcome = first.label(str(first.frame["outcome"].iloc[0]))
    truth = next((cell.truth for cell in cells if cell.truth), {})
    return draw(shown, outcome=outcome, truth=truth, synthetic=first.synthetic)


def _labels(cells: Sequence[Cell]) -> list[str]:
    """Name each cell by its estimator, and where several have the same by the options that differ, else by the column."""
    estimators = [_estimator(cell) for cell in cells]
    names = [_name(each) for each in estimators]
    labels = []
    for estimator, name in zip(estimators, names, strict=True):
        alike = [each for each, other in zip(estimators, names, strict=True) if other == name]
        differ = [key for key in OPTIONS if len({str(each.get(key)) for each in alike}) > 1]
        words = [OPTIONS[key].get(str(estimator.get(key)), str(estimator.get(key))) for key in differ]
        labels.append(f"{name} ({', '.join(words)})" if words else name)
    again = {label for label in labels if labels.count(label) > 1}
    return [
        f"{label}, column {cell.column}" if label in again else label for cell, label in zip(cells, labels, strict=True)
    ]


def _value(row: pd.Series, name: str) -> float:
    return float(row[name]) if name in row.index else math.nan


def _estimator(cell: Cell) -> Mapping[str, Any]:
    found: Mapping[str, Any] = cell.manifest.get("config", {}).get("estimator", {})
    return found


def _name(estimator: Mapping[str, Any]) -> str:
    last = str(estimator.get("_target_", "")).rpartition(".")[2]
    return NAMES.get(last, last)
