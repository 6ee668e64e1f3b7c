"""Tables and figures of robustness: groups left out, omitted variables, and effects along a moderator."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from syneff.errors import SpecError
from syneff.report.figures import Figure
from syneff.report.figures import robustness as drawing
from syneff.report.tables import Line, Table, error_notes, heads, number, source_notes, specification, stars
from syneff.report.tidy import Cell, compare

STRENGTH = {
    "partial_r2": "Partial R² of treatment with outcome",
    "robustness_value": "Robustness value",
    "robustness_value_alpha": "Robustness value, significance",
}
STRENGTH_NOTE = (
    "Robustness value: the share of the rest of both treatment and outcome that an omitted variable must explain to leave "
    "nothing of the effect; for significance: to make it insignificant at 5 %. As strong as: the effect beside an omitted "
    "variable so many times as strong as a control. Delta: how much more selected than the controls the unobserved must be for "
    "an effect of zero; the bounds run from the controlled effect to that with selection alike. All R² net of fixed effects."
)


def omitted_variables(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out how strong an omitted variable must be, a column a cell.

    Parameters
    ----------
    cells
        Cells of `syneff.models.omitted.OmittedVariables`.
    title
        Caption.
    paper
        Without effect: the paper has no such table.
    """
    if any("robustness_value" not in set(cell.tests["term"]) for cell in cells):
        raise SpecError(f"{title}: a cell has no robustness value. Use estimator=omitted_variables for its experiment.")
    numbers = compare(cells, paper)
    treatments, rows = [_treatment(cell) for cell in cells], [by_term(cell) for cell in cells]
    tests = [by_term(cell, tests=True) for cell in cells]
    shown = list(dict.fromkeys(term[len(name) :] for name, own in zip(treatments, rows, strict=True) for term in own))
    named = {"": "Effect", "[uncontrolled]": "Effect without controls", "[oster]": "Effect, selection alike"}
    words = {tail: named.get(tail, f"As strong as {tail[1:-1]}") for tail in shown}

    def texts(tail: str) -> tuple[str, ...]:
        found = []
        for name, own in zip(treatments, rows, strict=True):
            row: dict[str, Any] = own.get(name + tail, {})
            mark = stars(row["p_value"]) if row and math.isfinite(row["std_error"]) else ""
            found.append(number(row["estimate"]) + mark if row else "")
        return tuple(found)

    def values(name: str, form: str) -> tuple[str, ...]:
        return tuple(form.format(each[name]["statistic"]) if name in each else "" for each in tests)

    effects = [Line(tail, words[tail], "estimate", texts(tail)) for tail in shown]
    first = [line for line in effects if not line.term.startswith("[") or line.term in named]
    strength = [Line(name, label, "statistic", values(name, "{:.2%}")) for name, label in STRENGTH.items()]
    selection = [Line("oster_delta", "Delta for an effect of zero", "statistic", values("oster_delta", "{:.3f}"))]
    benchmarks = [line for line in effects if line not in first]
    groups = (tuple(first), tuple(strength), tuple(benchmarks), tuple(selection))
    notes = (STRENGTH_NOTE, *error_notes(cells), *source_notes(cells))
    return Table(title, heads(cells), tuple(group for group in groups if group), notes, numbers)


def omitted_contours(cell: Cell) -> Figure | None:
    """Draw the effect beside an omitted variable; None of a cell without contours."""
    if "contours" not in cell.details:
        return None
    name = _treatment(cell)
    return drawing.contours(
        cell.details["contours"],
        cell.details["bounds"],
        estimate=by_term(cell)[name]["estimate"],
        robustness_value=cell.statistic("robustness_value"),
        treatment=cell.label(name),
        synthetic=cell.synthetic,
    )


def left_out(cell: Cell) -> Figure | None:
    """Draw the estimates without each group; None of a cell that leaves none out."""
    if "left_out" not in cell.details:
        return None
    own = by_term(cell)[_treatment(cell)]
    return drawing.left_out(
        cell.details["left_out"],
        estimate=own["estimate"],
        low=own["conf_low"],
        high=own["conf_high"],
        by=str(cell.manifest.get("config", {}).get("estimator", {}).get("by", "group")),
        synthetic=cell.synthetic,
    )


def moderation(cell: Cell) -> Figure | None:
    """Draw the effect along the moderator; None of a cell without a curve."""
    if not {"curve", "bins", "support"} <= set(cell.details):
        return None
    tests = by_term(cell, tests=True)
    by = str(cell.manifest.get("config", {}).get("estimator", {}).get("by", "moderator"))
    return drawing.moderation(
        cell.details["curve"],
        cell.details["bins"],
        cell.details["support"],
        moderator=cell.label(by),
        outcome=cell.label(str(cell.frame["outcome"].iloc[0])),
        linearity_p=tests["linearity"]["p_value"] if "linearity" in tests else None,
        synthetic=cell.synthetic,
    )


def by_term(cell: Cell, *, tests: bool = False) -> dict[str, dict[str, Any]]:
    """Return the rows of a cell's terms, or of its tests, by their name."""
    frame = cell.tests if tests else cell.estimates
    return {str(row["term"]): {str(name): value for name, value in row.items()} for _, row in frame.iterrows()}


def _treatment(cell: Cell) -> str:
    return str(specification(cell.manifest.get("config", {})).get("treatment"))
