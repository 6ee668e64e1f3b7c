"""Exhibits: which cells make which table or figure.

An `Exhibit` binds an experiment to a function that lays out its table, and to one that draws its figure if it has one. A figure
keeps its table: the numbers behind it stay readable. An entry of ``conf/report`` is an `Exhibit`, written in yaml.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from syneff.report import figures, tables
from syneff.report.technologies import OPTIONS, compare_technologies
from syneff.report.tidy import Cell, event_time, published

MakeTable = Callable[..., tables.Table]
"""``(cells, *, title, paper) -> Table``: see `syneff.report.tables.regression`."""

Drawn = figures.Figure | Sequence[figures.Figure] | None

MakeFigure = Callable[[Cell], Drawn]
"""``cell -> Figure`` or several, or None where the cell has nothing to draw."""

MakeOverview = Callable[[Sequence[Cell]], Drawn]
"""``cells -> Figure`` or several, or None where they have nothing to draw."""


EVERYTHING = "*"
"""The experiment of an exhibit that shows all cells of a run."""


@dataclass(frozen=True)
class Exhibit:
    """A table or figure of the report.

    Attributes
    ----------
    experiment
        The experiment whose cells it shows; `EVERYTHING` for those of all.
    title
        Caption, starting with its number.
    table
        Lays out the numbers.
    figure
        Draws a cell, in one figure or several; None for an exhibit that is a table only.
    overview
        Draws all cells together; None likewise.
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
    overview: MakeOverview | None = None
    caption: str = ""
    columns: Sequence[str] = ()
    paper: str | None = None
    paper_column: str | None = None

    def make_table(self, cells: Sequence[Cell]) -> tables.Table:
        """Lay out the cells beside the published values."""
        return self.table(cells, title=self.title, paper=published(self.paper, cells, self.paper_column))

    def missing(self, cells: Sequence[Cell]) -> list[str]:
        """Return the columns that should be there and are not."""
        return [str(column) for column in self.columns if str(column) not in {cell.column for cell in cells}]


def several(drawn: Drawn) -> Sequence[figures.Figure]:
    """Return figures as a sequence, whether there is one, several or none."""
    if drawn is None:
        return ()
    return (drawn,) if isinstance(drawn, figures.Figure) else drawn


def event_study(cell: Cell) -> figures.Figure | None:
    """Draw the event study of a cell; None if its estimator has no event times."""
    if not any(event_time(term) is not None for term in cell.estimates["term"]):
        return None
    return figures.event_study(
        cell.estimates,
        outcome=cell.label(str(cell.frame["outcome"].iloc[0])),
        support=cell.by_term("support_units"),
        truth=cell.truth,
        pre_trend_p=_p_value(cell, "pre_trend"),
        synthetic=cell.synthetic,
    )


def placebo(cell: Cell) -> figures.Figure | None:
    """Draw the placebo distribution of a cell and the real estimate of the term that it shuffles; None without draws."""
    if cell.draws is None:
        return None
    term = str(cell.draws["term"].iloc[0])
    return figures.placebo(
        cell.draws[cell.draws["term"] == term],
        estimate=float(cell.frame.set_index("term")["estimate"][term]),
        p_value=_p_value(cell, "randomization"),
        treatment=cell.label(term),
        synthetic=cell.synthetic,
    )


def specification_curve(cells: Sequence[Cell]) -> figures.Figure | None:
    """Draw the effects of all technologies in order of size, with their options below; None of a single one."""
    if len(cells) < 2:
        return None
    numbers = compare_technologies(cells)
    standardised = {
        "estimate": numbers["standardised"],
        "conf_low": numbers["standardised_low"],
        "conf_high": numbers["standardised_high"],
    }
    return figures.specification_curve(
        numbers.assign(**standardised),
        options=OPTIONS,
        effect="Effect (SD of outcome)",
        synthetic=any(cell.synthetic for cell in cells),
    )


def _p_value(cell: Cell, test: str) -> float | None:
    values = cell.tests.set_index("term")["p_value"]
    return float(values[test]) if test in values else None
