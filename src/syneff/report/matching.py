"""What a reader needs of a match: the table of balance, and the figures of balance and overlap.

A cell whose rows were matched carries the frames of `syneff.models.matching` in its details.
"""

import math
from collections.abc import Sequence

import pandas as pd

from syneff.errors import SpecError
from syneff.report import figures
from syneff.report.tables import Line, Table, heads, number, source_notes
from syneff.report.tidy import Cell

BALANCE, GROUPS, OVERLAP = "matching_balance", "matching_groups", "matching_overlap"
STAGES = {"before": "before", "matched": "matched", "after": "regression"}
NOTES = (
    "Standardised difference: difference of means over the root of the mean variance before matching. Matched: every control "
    "counts by its shares in all matches. Regression: by the weights that the regression uses.",
    "All years together; below 0.1 in absolute value groups are usually called alike. Variance ratio: treated over controls.",
)
COUNTS = {
    "matched_treated": "Treated rows matched",
    "matched_controls": "Controls matched",
    "effective_controls": "Effective controls",
}


def matching_figures(cell: Cell) -> Sequence[figures.Figure] | None:
    """Draw balance and, where there are scores, overlap by year; None for a cell that was not matched."""
    if BALANCE not in cell.details:
        return None
    drawn = [figures.love_plot(cell.details[BALANCE], synthetic=cell.synthetic)]
    if OVERLAP in cell.details and len(cell.details[OVERLAP]):
        drawn.append(figures.overlap(cell.details[OVERLAP], synthetic=cell.synthetic))
    return drawn


def balance(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out standardised differences and variance ratios, a line a covariate, three columns a cell.

    Parameters
    ----------
    cells
        Cells whose rows were matched.
    title
        Caption.
    paper
        Without effect: the paper shows no balance.

    Raises
    ------
    SpecError
        If a cell was not matched.
    """
    absent = [cell.name for cell in cells if BALANCE not in cell.details]
    if absent:
        raise SpecError(
            f"cell {absent[0]!r} was not matched. Add the step syneff.models.matching.matched to its experiment."
        )
    numbers = pd.concat([cell.details[BALANCE].assign(cell=cell.name) for cell in cells], ignore_index=True)
    pooled = numbers[numbers["period"] == "all"].set_index(["cell", "covariate"])
    header = tuple(f"{head} {label}" for head in heads(cells) for label in STAGES.values())
    groups = [
        tuple(
            Line(f"{kind}:{name}", f"{words}{label}", "statistic", _texts(pooled, cells, kind, str(name)))
            for name, label in dict(zip(numbers["covariate"], numbers["label"], strict=True)).items()
        )
        for kind, words in (("difference", ""), ("variance_ratio", "Variance ratio: "))
    ]
    counts = tuple(Line(name, label, "statistic", _counts(cells, name)) for name, label in COUNTS.items())
    return Table(title, header, (*groups, counts), (*NOTES, *source_notes(cells)), numbers)


def _texts(pooled: pd.DataFrame, cells: Sequence[Cell], kind: str, name: str) -> tuple[str, ...]:
    found = pooled.to_dict("index")
    rows = [found.get((cell.name, name), {}) for cell in cells]
    return tuple(number(float(row.get(f"{kind}_{stage}", math.nan))) for row in rows for stage in STAGES)


def _counts(cells: Sequence[Cell], name: str) -> tuple[str, ...]:
    texts: list[str] = []
    for cell in cells:
        texts += ["", f"{cell.details[GROUPS][name].sum():,.0f}", ""]
    return tuple(texts)
