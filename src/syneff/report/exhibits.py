"""Exhibits: which cells make which table or figure.

An `Exhibit` binds an experiment to a function that lays out its table, and to one that draws its figure if it has one. A figure
keeps its table: the numbers behind it stay readable. An entry of ``conf/report`` is an `Exhibit`, written in yaml.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from syneff.errors import SpecError
from syneff.report import figures, tables
from syneff.report.tidy import Cell, event_time, published


class MakeTable(Protocol):
    """A function that lays out cells as a table."""

    def __call__(self, cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> tables.Table:
        """Lay out the cells."""


class MakeFigure(Protocol):
    """A function that draws cells."""

    def __call__(self, cells: Sequence[Cell]) -> figures.Figure:
        """Draw the cells."""


@dataclass(frozen=True)
class Exhibit:
    """A table or figure of the report.

    Attributes
    ----------
    experiment
        The experiment whose cells it shows.
    title
        Caption, starting with its number.
    table
        Lays out the numbers.
    figure
        Draws them; None for an exhibit that is a table only.
    caption
        A sentence below the title: what to look at.
    columns
        The columns it should have; one that is not stored is named as missing.
    paper, paper_column
        The published table to hold it against, and the one column for all cells where columns do not correspond.
    """

    experiment: str
    title: str
    table: MakeTable = tables.regression
    figure: MakeFigure | None = None
    caption: str = ""
    columns: tuple[str, ...] = ()
    paper: str | None = None
    paper_column: str | None = None

    def make_table(self, cells: Sequence[Cell]) -> tables.Table:
        """Lay out the cells beside the published values."""
        return self.table(cells, title=self.title, paper=published(self.paper, cells, self.paper_column))

    def missing(self, cells: Sequence[Cell]) -> list[str]:
        """Return the columns that should be there and are not."""
        return [str(column) for column in self.columns if str(column) not in {cell.column for cell in cells}]


def event_study(cells: Sequence[Cell]) -> figures.Figure:
    """Draw the event study of the first cell."""
    cell = cells[0]
    return figures.event_study(
        cell.estimates,
        outcome=cell.label(str(cell.frame["outcome"].iloc[0])),
        support=cell.manifest.get("stats", {}).get("support_units"),
        truth={term: value for term, value in cell.truth.items() if event_time(term) is not None},
        pre_trend_p=_p_value(cell, "pre_trend"),
        synthetic=cell.synthetic,
    )


def placebo(cells: Sequence[Cell]) -> figures.Figure:
    """Draw the placebo distribution of the first cell: its draws, and the real estimate of the term that they shuffle."""
    cell = cells[0]
    if cell.draws is None:
        raise SpecError(
            f"cell {cell.name!r} has no draws to show. Give its experiment a resampling estimator, e.g. a placebo."
        )
    term = str(cell.draws["term"].iloc[0])
    return figures.placebo(
        cell.draws[cell.draws["term"] == term],
        estimate=float(cell.frame.set_index("term")["estimate"][term]),
        p_value=_p_value(cell, "randomization"),
        treatment=cell.label(term),
        synthetic=cell.synthetic,
    )


def _p_value(cell: Cell, test: str) -> float | None:
    values = cell.tests.set_index("term")["p_value"]
    return float(values[test]) if test in values else None
