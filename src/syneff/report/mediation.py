"""Tables of mediation: a line a mediator, from the path to it to how much confounding would undo the indirect effect."""

import math
from collections.abc import Sequence

import pandas as pd

from syneff.errors import SpecError
from syneff.report.tables import Line, Table, error_notes, number, source_notes, stars
from syneff.report.tidy import Cell, compare

HEADER = ("a", "b", "Indirect a b", "95 % percentile", "95 % BCa", "Direct", "Total", "Share", "rho at which a b = 0")
NOTES = (
    "a: effect of the treatment on the mediator; b: of the mediator on the outcome beside the treatment. t statistics in "
    "brackets, Sobel's for a b. *** p < 1 %, ** p < 5 %, * p < 10 %. Intervals from clusters drawn whole, the same draws for "
    "all equations.",
    "The mediator is an outcome of the policy and a bad control: b and the direct effect are causal only if nothing left out "
    "moves mediator and outcome. a b = c - c' is algebra, no evidence. rho: correlation of the errors of mediator and outcome "
    "at which nothing would be left of a b (Imai, Keele and Yamamoto).",
)


def mediation(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out mediators, a line each; several of one cell together and then alone.

    Parameters
    ----------
    cells
        Cells of the estimator ``mediation``.
    title
        Caption.
    paper
        Published values to hold it against: rows of `syneff.report.tidy.published`, possibly none.
    """
    groups = []
    for cell in cells:
        own = cell.estimates.set_index("term")
        mediators = [str(term).partition(":")[2] for term in own.index if str(term).startswith("a:")]
        if not mediators:
            raise SpecError(f"cell {cell.name!r} has no mediator. Use estimator=mediation for its experiment.")
        suffixes = ("", "_alone") if len(mediators) > 1 else ("",)
        for suffix in suffixes:
            lines = [line for mediator in mediators for line in _lines(cell, own, mediator, suffix)]
            groups.append(tuple(lines))
    return Table(
        title, HEADER, tuple(groups), (*NOTES, *error_notes(cells), *source_notes(cells)), compare(cells, paper)
    )


def _lines(cell: Cell, own: pd.DataFrame, mediator: str, suffix: str) -> tuple[Line, Line]:
    """Return estimates and, below, t statistics of a mediator together with the others or alone."""
    treatment = next(str(term).partition(":")[2] for term in own.index if str(term).startswith("total:"))
    names = {
        "a": f"a:{mediator}",
        "b": f"b{suffix}:{mediator}",
        "indirect": f"indirect{suffix}:{mediator}",
        "direct": f"direct_alone:{mediator}" if suffix else f"direct:{treatment}",
        "total": f"total:{treatment}",
    }
    value = {key: number(own["estimate"][term]) + stars(own["p_value"][term]) for key, term in names.items()}
    t = {
        key: f"({own['statistic'][term]:.3f})" if math.isfinite(own["statistic"][term]) else ""
        for key, term in names.items()
    }
    intervals = [_interval(cell, f"{kind}:{names['indirect']}") for kind in ("percentile", "bca")]
    share, rho = (number(float(own["estimate"][term])) for term in (f"share{suffix}:{mediator}", f"rho:{mediator}"))
    label = cell.label(mediator) + (" (alone)" if suffix else "")
    # The correlation is that of one mediator at a time.
    correlation = rho if suffix or f"b_alone:{mediator}" not in own.index else ""
    cells = (value["a"], value["b"], value["indirect"], *intervals, value["direct"], value["total"], share, correlation)
    below = (t["a"], t["b"], t["indirect"], "", "", t["direct"], t["total"], "", "")
    return Line(names["indirect"], label, "estimate", cells), Line(names["indirect"], "", "t", below)


def _interval(cell: Cell, test: str) -> str:
    found = cell.tests.set_index("term")
    if test not in found.index:
        return ""
    low, high = (float(found[end][test]) for end in ("conf_low", "conf_high"))
    return f"[{number(low)}, {number(high)}]"
