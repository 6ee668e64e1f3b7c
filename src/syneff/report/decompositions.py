"""What the two-way coefficient is made of: comparisons of cohorts, and weights of effects."""

import math
from collections.abc import Sequence

import pandas as pd

from syneff.errors import SpecError
from syneff.report.figures import Figure
from syneff.report.figures.staggered import comparisons as draw
from syneff.report.tables import Line, Table, number, source_notes
from syneff.report.tidy import Cell, compare, specification

TYPES = {
    "treated_vs_never": "Treated against never treated",
    "earlier_vs_later": "Earlier against later treated, before those are",
    "later_vs_earlier": "Later against earlier treated, when those are already",
    "treated_vs_always": "Treated against always treated",
}
PARTS = {
    "share_negative": "Share of treated city-years with a negative weight",
    "sum_negative": "Sum of the negative weights",
    "sigma_fe": "SD of effects that lets their mean be zero",
    "sigma_fe_sign": "SD of effects that lets all have the other sign",
}
BACON_NOTE = (
    "The coefficient is the sum of weight times estimate. Comparisons with cities that are treated already subtract changes of "
    "their effects."
)
WEIGHTS_NOTE = (
    "The coefficient is a weighted sum of the effects on all treated city-years; its weights sum to one. The less effects must "
    "vary to let their mean be zero, the less the coefficient says of it."
)


def comparisons(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out weight and mean estimate of each type of comparison, a group of lines a cell.

    Parameters
    ----------
    cells
        Cells of `syneff.models.staggered.bacon.Bacon`.
    title
        Caption.
    paper
        Without effect: the paper has no such table.
    """
    groups = []
    for cell in cells:
        frame = _detail(cell, "bacon", "bacon")
        counts = frame["type"].value_counts()
        found = cell.frame.set_index("term")["estimate"]
        lines = [
            Line(kind, label, "statistic", (number(found[f"weight:{kind}"]), number(found[kind]), f"{counts[kind]:,}"))
            for kind, label in TYPES.items()
            if kind in counts.index
        ]
        treatment = str(specification(cell.manifest.get("config", {})).get("treatment"))
        total = (number(float(frame["weight"].sum())), number(float(found[treatment])), f"{len(frame):,}")
        groups.append((*lines, Line(treatment, f"{cell.label(treatment)}, two-way", "statistic", total)))
    notes = (BACON_NOTE, *source_notes(cells))
    return Table(title, ("Weight", "Estimate", "Comparisons"), tuple(groups), notes, compare(cells, paper))


def comparisons_figure(cell: Cell) -> Figure | None:
    """Draw estimate against weight of every comparison; None without the details."""
    if "bacon" not in cell.details:
        return None
    treatment = str(specification(cell.manifest.get("config", {})).get("treatment"))
    return draw(
        cell.details["bacon"],
        kinds=TYPES,
        coefficient=float(cell.frame.set_index("term")["estimate"][treatment]),
        synthetic=cell.synthetic,
    )


def weights(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out what the weights say, a column a cell, and the mean weight by years since adoption; see `comparisons`.

    Parameters
    ----------
    cells
        Cells of `syneff.models.staggered.two_way_weights.TwoWayWeights`.
    title, paper
        As for `comparisons`.
    """
    frames = [_detail(cell, "two_way_weights", "two_way_weights") for cell in cells]
    found = [cell.frame.set_index("term")["estimate"] for cell in cells]
    summary = tuple(
        Line(name, label, "statistic", tuple(number(float(each[name])) for each in found))
        for name, label in PARTS.items()
    )
    # A weight above its share means that the coefficient counts these effects more than their mean would.
    relative = [frame.groupby("event")[["weight", "share"]].sum() for frame in frames]
    events = sorted({int(event) for each in relative for event in each.index})
    lines = tuple(
        Line(f"weight[{event}]", f"Weight over share, event time {event}", "statistic", _ratios(relative, event))
        for event in events
    )
    heads = tuple(f"({cell.column})" for cell in cells)
    return Table(title, heads, (summary, lines), (WEIGHTS_NOTE, *source_notes(cells)), compare(cells, paper))


def _ratios(relative: Sequence[pd.DataFrame], event: int) -> tuple[str, ...]:
    ratios = [each["weight"] / each["share"] for each in relative]
    return tuple(number(each[event] if event in each.index else math.nan) for each in ratios)


def _detail(cell: Cell, name: str, estimator: str) -> pd.DataFrame:
    if name not in cell.details:
        raise SpecError(f"cell {cell.name!r} has no decomposition. Use estimator={estimator} for its experiment.")
    return cell.details[name]
