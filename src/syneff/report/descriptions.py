"""Tables that describe a panel, and what draws its pictures: correlations, gaps, roll-out, distributions, maps."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from syneff.errors import SpecError
from syneff.report.figures import Figure
from syneff.report.figures import description as drawing
from syneff.report.tables import Line, Table, number, source_notes, stars
from syneff.report.tidy import Cell, compare

COVERAGE = {
    "known": "Values",
    "missing": "Missing",
    "share": "Share missing",
    "whole": "Cities without gaps",
    "first": "First year",
    "last": "Last year",
}
ROLLOUT = {"adopting": "Adopting", "treated": "Treated", "share": "Share treated", "leaving": "Leaving"}
WHOLE = ("known", "missing", "whole", "adopting", "treated", "leaving")
YEARS = ("first", "last")
CORRELATION_NOTE = (
    "Below the diagonal: correlations over all rows that have every variable; *** p < 1 %, ** p < 5 %, * p < 10 %, taking "
    "city-years for independent. Above it, in brackets: within correlations, net of city and year effects."
)


def correlations(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out a matrix: correlations below the diagonal, within correlations above it.

    Parameters
    ----------
    cells
        One cell with the terms ``corr:<a>:<b>`` and ``within:<a>:<b>``.
    title
        Caption.
    paper
        Without effect: the paper prints no correlations.
    """
    cell = cells[0]
    numbers = compare(cells[:1], paper)
    pairs = numbers["term"].str.extract(r"(?P<kind>corr|within):(?P<one>[^:]+):(?P<other>[^:]+)")
    if pairs.isna().any(axis=None):
        raise SpecError(f"cell {cell.name!r} has no correlations. Use estimator=correlate for its experiment.")
    numbers = pd.concat([numbers.drop(columns="label"), pairs], axis=1)
    variables = list(dict.fromkeys([*pairs["one"], *pairs["other"]]))
    found = {(row["kind"], row["one"], row["other"]): row for _, row in numbers.iterrows()}

    def text(row: str, column: str) -> str:
        if row == column:
            return "1"
        if variables.index(row) > variables.index(column):
            plain = found["corr", column, row]
            return number(plain["estimate"]) + stars(plain["p_value"])
        within = found["within", row, column]["estimate"]
        return f"({number(within)})" if math.isfinite(within) else ""

    heads = tuple(f"({place})" for place in range(1, len(variables) + 1))
    lines = tuple(
        Line(name, f"{head} {cell.label(name)}", "estimate", tuple(text(name, other) for other in variables))
        for head, name in zip(heads, variables, strict=True)
    )
    rows = f"{int(cell.frame['nobs'].iloc[0]):,} rows."
    return Table(title, heads, (lines,), (f"{CORRELATION_NOTE} {rows}", *source_notes(cells)), numbers)


def coverage(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out what is missing, a line a variable; see `correlations` for the parameters."""
    return _by_beginning(cells, COVERAGE, title=title, paper=paper, estimator="missing")


def adoption(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out the roll-out of the treatment, a line a year; see `correlations` for the parameters."""
    return _by_beginning(cells, ROLLOUT, title=title, paper=paper, estimator="rollout")


def _by_beginning(
    cells: Sequence[Cell], columns: Mapping[str, str], *, title: str, paper: pd.DataFrame, estimator: str
) -> Table:
    """Lay out terms ``<column>:<name>``, a line a name."""
    cell = cells[0]
    numbers = compare(cells[:1], paper)
    split = numbers["term"].str.partition(":")
    if not set(split[0]) <= set(columns):
        raise SpecError(f"cell {cell.name!r} has other terms. Use estimator={estimator} for its experiment.")
    numbers = numbers.assign(kind=split[0], name=split[2], label=split[2].map(cell.label))
    lines = []
    for name, rows in numbers.groupby("name", sort=False):
        own = rows.set_index("kind")["estimate"]
        texts = tuple(_worded(kind, own.get(kind, math.nan)) for kind in columns)
        lines.append(Line(str(name), _headed(cell.label(str(name))), "estimate", texts))
    return Table(title, tuple(columns.values()), (tuple(lines),), source_notes(cells), numbers)


def _headed(label: str) -> str:
    return label[:1].upper() + label[1:]


def _worded(kind: str, value: float) -> str:
    if not math.isfinite(value):
        return ""
    if kind in WHOLE:
        return f"{value:,.0f}"
    return f"{value:.0f}" if kind in YEARS else f"{100 * value:.1f} %"


def missing_map(cell: Cell) -> Figure | None:
    """Draw what is missing; None without its details, or where nothing is."""
    shares = cell.details.get("missing")
    if shares is None or not shares["share"].any():
        return None
    labels = {name: cell.label(name) for name in shares["variable"].unique()}
    return drawing.missing(shares, cell.details["gaps"], labels=labels, synthetic=cell.synthetic)


def rollout(cell: Cell) -> Figure | None:
    """Draw who is treated when; None without its details."""
    return drawing.rollout(cell.details["rollout"], synthetic=cell.synthetic) if "rollout" in cell.details else None


def distributions(cell: Cell) -> Figure | None:
    """Draw densities by group; None without its details."""
    if "distribution" not in cell.details:
        return None
    curves = cell.details["distribution"]
    labels = {name: cell.label(name) for name in curves["variable"].unique()}
    return drawing.distributions(curves, labels=labels, synthetic=cell.synthetic)


def score_map(cell: Cell) -> Figure | None:
    """Draw values on maps; None without its details."""
    if "map" not in cell.details:
        return None
    variable = str(cell.manifest["config"]["estimator"]["variable"])
    return drawing.maps(cell.details["map"], label=cell.label(variable), synthetic=cell.synthetic)
