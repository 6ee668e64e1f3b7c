"""Many tests of one policy: the p-values of an exhibit's columns, adjusted for their number.

Every column of an exhibit tests whether the policy has an effect. Among many such tests some reject by chance, so each stands
beside two kinds of adjustment:

====================  ==============================================  ==========================================
column                what it bounds                                  under
====================  ==============================================  ==========================================
Holm p                the chance of any false rejection               any dependence
Benjamini-Hochberg q  the expected share of false among rejections    independence, or positive dependence
Benjamini-Yekutieli   the same                                        any dependence
====================  ==============================================  ==========================================

Columns of one exhibit are estimated one by one, so their draws are not joint; the adjustments that learn the dependence from
joint draws (Romano and Wolf, Westfall and Young) are those of ``estimator=family``.

References
----------
Holm, S. (1979). Scandinavian Journal of Statistics 6, 65-70. https://www.jstor.org/stable/4615733
Benjamini, Y. and Hochberg, Y. (1995). https://doi.org/10.1111/j.2517-6161.1995.tb02031.x
Benjamini, Y. and Yekutieli, D. (2001). https://doi.org/10.1214/aos/1013699998
"""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from scipy import stats

from syneff.numerics.multiple_testing import holm
from syneff.report.tables import Line, Table, number, source_notes, specification, stars
from syneff.report.tidy import Cell

ADJUSTED = {
    "holm": "Holm p",
    "benjamini_hochberg": "Benjamini-Hochberg q",
    "benjamini_yekutieli": "Benjamini-Yekutieli q",
}
HEADER = ("Outcome", "Estimate", "t", "p", *ADJUSTED.values())
FEWEST = 2
"""Tests from which on an exhibit needs an adjustment."""
NOTES = (
    "Each exhibit is a family of its own: p-values are adjusted for the number of its columns that estimate the effect of the "
    "policy. Holm bounds the chance of any false rejection, q-values the expected share of false ones among the rejections; "
    "Benjamini and Yekutieli's holds under any dependence.",
    "Stars by the p-value before adjustment: *** p < 1 %, ** p < 5 %, * p < 10 %.",
)


def multiplicity(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out the policy's p-value in every column of every exhibit that has several, beside the adjusted ones.

    Parameters
    ----------
    cells
        Cells of any exhibits.
    title
        Caption.
    paper
        Without effect: the paper adjusts nothing.
    """
    numbers = adjusted_pvalues(cells)
    groups = []
    for _, rows in numbers.groupby("experiment", sort=False):
        named = bool(rows["column"].duplicated().any())
        groups.append(tuple(_line(row, named=named) for _, row in rows.iterrows()))
    return Table(title, HEADER, tuple(groups), (*NOTES, *source_notes(cells)), numbers)


def adjusted_pvalues(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return one row a cell that estimates the policy's effect, in exhibits with two or more of them.

    Returns
    -------
    pandas.DataFrame
        Columns cell, experiment, column, outcome, label, term, estimate, std_error, statistic, p_value, tests (how many the
        exhibit has) and `ADJUSTED`.
    """
    once = {cell.name: cell for cell in cells}
    rows = pd.DataFrame([row for cell in once.values() if (row := _row(cell))])
    families = [] if rows.empty else [rows for _, rows in rows.groupby("experiment", sort=False) if len(rows) >= FEWEST]
    if not families:
        return pd.DataFrame(columns=["experiment", "p_value", *ADJUSTED])
    return pd.concat([_adjust(rows) for rows in families], ignore_index=True)


def _row(cell: Cell) -> dict[str, Any]:
    """Return what a cell says of the policy; nothing where it has no p-value."""
    treatment = specification(cell.manifest.get("config", {})).get("treatment")
    rows = cell.estimates[cell.estimates["term"] == treatment]
    if rows.empty or not math.isfinite(rows.iloc[0]["p_value"]):
        return {}
    row = rows.iloc[0]
    return {
        "cell": cell.name,
        "experiment": cell.experiment,
        "column": cell.column,
        "label": cell.label(str(row["outcome"])),
        **{name: row[name] for name in ("outcome", "term", "estimate", "std_error", "statistic", "p_value")},
    }


def _adjust(rows: pd.DataFrame) -> pd.DataFrame:
    pvalues = rows["p_value"].to_numpy(float)
    return rows.assign(
        tests=len(rows),
        holm=holm(pvalues),
        benjamini_hochberg=stats.false_discovery_control(pvalues, method="bh"),
        benjamini_yekutieli=stats.false_discovery_control(pvalues, method="by"),
    )


def _line(row: pd.Series, *, named: bool) -> Line:
    """Write a row; a column of the exhibit is called by its number, or by its cell where several have that number."""
    texts = (
        str(row["label"]),
        number(row["estimate"]) + stars(row["p_value"]),
        f"({row['statistic']:.3f})",
        number(row["p_value"]),
        *(number(row[name]) for name in ADJUSTED),
    )
    label = str(row["cell"]) if named else f"{row['experiment']} ({row['column']})"
    return Line(str(row["cell"]), label, "statistic", texts)
