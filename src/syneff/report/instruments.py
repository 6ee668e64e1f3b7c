"""Tables of regressions with instruments: second stage, first stages, reduced form, and the tests below."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from syneff.errors import SpecError
from syneff.report.tables import Line, Table, number, regression, specification
from syneff.report.tidy import Cell

REDUCED, OLS = "reduced_form:", "ols:"
TESTS = {
    "first_stage_f": "First-stage F",
    "sanderson_windmeijer_f": "Sanderson-Windmeijer F",
    "effective_f": "Effective F (critical value)",
    "kleibergen_paap_f": "Kleibergen-Paap rk Wald F",
    "cragg_donald_f": "Cragg-Donald F",
    "kleibergen_paap_lm": "Kleibergen-Paap rk LM",
    "hansen_j": "Hansen J",
    "difference_in_sargan": "Difference in Sargan",
    "wu_hausman": "Wu-Hausman F",
    "anderson_rubin": "Anderson-Rubin F",
}
TRUTH = "[instruments]"
CRITICAL = "effective_f_critical[0.1]"
NOTES = (
    "p-values of tests in square brackets. The critical value of the effective F is Montiel Olea and Pflueger's for a bias of "
    "10 % of the worst case; the Anderson-Rubin set holds however weak the instruments are.",
    "Residuals are those of the actual endogenous variables: R² of the second stage is at most that of least squares and may "
    "be negative. One above it is a sign of a second stage run by hand on fitted values, whose standard errors are wrong.",
)


def two_stage(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out second stages, then first stages and reduced form of the instruments, then tests; a column a cell.

    Parameters
    ----------
    cells
        Cells of the estimator ``two_stage``.
    title
        Caption.
    paper
        Published values to hold it against: rows of `syneff.report.tidy.published`, possibly none.
    """
    instruments = _instruments(cells)
    outcome = {cell.name: str(cell.estimates["outcome"].iloc[0]) for cell in cells}
    second = [_part(cell, outcome[cell.name], reduced=False) for cell in cells]
    table = regression(second, title=title, paper=_printed(paper, set(outcome.values())))
    groups, numbers = list(table.groups), [table.numbers.assign(equation="second stage")]
    endogenous = [name for cell in cells for name in cell.estimates["outcome"].unique() if name != outcome[cell.name]]
    for name in dict.fromkeys(endogenous):
        stage = regression(
            [_part(cell, name, reduced=False) for cell in cells], title="", paper=_printed(paper, {name})
        )
        kept = [group for group in stage.groups if group[0].term in instruments]
        groups.append(
            (_heading(f"First stage: {cells[0].label(name)}", len(cells)), *(line for group in kept for line in group))
        )
        numbers.append(stage.numbers.assign(equation=f"first stage {name}", truth=math.nan, truth_in_interval=None))
    reduced = regression(
        [_part(cell, outcome[cell.name], reduced=True) for cell in cells], title="", paper=paper.iloc[:0]
    )
    lines = [line for group in reduced.groups if group[0].term in instruments for line in group]
    groups.append((_heading("Reduced form", len(cells)), *lines))
    numbers.append(reduced.numbers.assign(equation="reduced form"))
    groups.append((*_least_squares(cells), *_tests(cells)))
    together = pd.concat(numbers, ignore_index=True)
    return replace(table, groups=tuple(groups), notes=(*table.notes, *NOTES), numbers=together)


def _instruments(cells: Sequence[Cell]) -> set[str]:
    found = {name for cell in cells for name in specification(cell.manifest.get("config", {})).get("instruments") or ()}
    if not found or not all(cell.frame["term"].str.startswith(REDUCED).any() for cell in cells):
        raise SpecError(
            f"cell {cells[0].name!r} has no first stage to lay out. Use estimator=two_stage and spec.instruments for its "
            "experiment."
        )
    return found


def _part(cell: Cell, outcome: str, *, reduced: bool) -> Cell:
    """Return a cell with the terms of one equation; those of the reduced form under the instruments' own names."""
    frame = cell.estimates
    own = frame[(frame["outcome"] == outcome) & (frame["term"].str.startswith(REDUCED) == reduced)]
    shown = own.assign(term=own["term"].str.removeprefix(REDUCED))
    second = outcome == str(frame["outcome"].iloc[0]) and not reduced
    return replace(cell, frame=shown, manifest={**cell.manifest, "truth": _truth(cell) if second else {}})


def _truth(cell: Cell) -> dict[str, Any]:
    """Return the known truth of the second stage: a term's own by instruments goes before the one of least squares."""
    known = cell.truth
    own = {term.removesuffix(TRUTH): value for term, value in known.items() if term.endswith(TRUTH)}
    return {"coefficients": {**known, **own}, "note": cell.truth_note}


def _printed(paper: pd.DataFrame, outcomes: set[str]) -> pd.DataFrame:
    return paper[paper["outcome"].isin(outcomes)] if "outcome" in paper else paper


def _heading(text: str, columns: int) -> Line:
    return Line("", text, "statistic", ("",) * columns)


def _least_squares(cells: Sequence[Cell]) -> tuple[Line, ...]:
    """Return what least squares finds, which an estimate by instruments is held against."""
    terms = dict.fromkeys(str(name) for cell in cells for name in cell.manifest["stats"] if str(name).startswith(OLS))
    return tuple(
        Line(
            term,
            f"Least squares: {cells[0].label(term.removeprefix(OLS))}",
            "statistic",
            tuple(number(cell.statistic(term)) for cell in cells),
        )
        for term in terms
    )


def _tests(cells: Sequence[Cell]) -> tuple[Line, ...]:
    """Return a line a test, a text a column; tests of single variables in one line a variable."""
    found = [cell.tests.set_index("term") for cell in cells]
    names = dict.fromkeys(name for frame in found for name in frame.index)
    lines = []
    for test, label in TESTS.items():
        for name in (each for each in names if each.partition(":")[0] == test):
            variable = name.partition(":")[2]
            texts = tuple(
                _text(test, frame.loc[name], cell) if name in frame.index else ""
                for frame, cell in zip(found, cells, strict=True)
            )
            lines.append(Line(name, f"{label}: {cells[0].label(variable)}" if variable else label, "statistic", texts))
            if test == "anderson_rubin" and not variable:
                sets = tuple(_set(cell) for cell in cells)
                lines.append(Line("anderson_rubin_set", "Anderson-Rubin 95 % set", "statistic", sets))
    return tuple(lines)


def _text(test: str, row: pd.Series, cell: Cell) -> str:
    statistic = number(row["statistic"])
    if test == "effective_f":
        critical = number(cell.statistic(CRITICAL))
        return f"{statistic} ({critical})" if critical else statistic
    if test == "hansen_j" and row["dof"] == 0:
        return "just identified"
    return f"{statistic} [{number(row['p_value'])}]" if math.isfinite(row["p_value"]) else statistic


def _set(cell: Cell) -> str:
    """Return the intervals of the Anderson-Rubin set; empty text where the cell has none to show."""
    intervals = cell.details.get("anderson_rubin_set")
    if intervals is None:
        return ""
    shown = [f"[{number(low)}, {number(high)}]" for low, high in zip(intervals["low"], intervals["high"], strict=True)]
    return " or ".join(shown) or "empty"
