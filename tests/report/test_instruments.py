"""The table of instruments: which equation's numbers stand where, on hand-made results."""

import numpy as np
import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report import instruments
from syneff.report.tidy import Cell
from tests.report import results

NO_PAPER = pd.DataFrame(columns=["cell", "table", "column", "outcome", "term", "estimate", "t", "stars", "n", "adj_r2"])


def cell(column="1", tests=(), intervals=((0.02, 0.5),)):
    rows = [
        results.row("treat", 0.25, 0.05, 0.001),
        results.row("pop", -0.01, 0.02, 0.6),
        results.row("port_rd", 0.043, 0.008, 0.0001, outcome="treat"),
        results.row("pop", 0.5, 0.1, 0.0001, outcome="treat"),
        results.row("reduced_form:port_rd", 0.011, 0.004, 0.001),
    ]
    outcomes = [row.pop("outcome", "syeff") for row in rows]
    frame = results.tidy("table06", column, [*rows, *tests])
    frame["outcome"] = [*outcomes, *["syeff"] * len(tests)]
    manifest = results.manifest(
        "table06", column, stats={"effective_f_critical[0.1]": 23.1085, "r2": 0.5, "ols:treat": 0.04}
    )
    manifest["truth"] = {"coefficients": {"treat": 0.04, "treat[instruments]": 0.038, "port_rd": 9.0}}
    manifest["config"]["estimator"]["spec"] |= {"instruments": ["port_rd"], "controls": ["pop"]}
    details = {"anderson_rubin_set": pd.DataFrame(list(intervals), columns=["low", "high"])}
    return Cell(f"table06_{column}", "table06", column, frame, manifest, None, details)


TESTS = (
    results.check_row("first_stage_f", 0.0001, statistic=28.9),
    results.check_row("effective_f", 0.03, statistic=28.867),
    results.check_row("hansen_j", np.nan, statistic=0.0, dof=0.0),
    results.check_row("anderson_rubin", 0.004, statistic=7.5),
)


def test_each_equation_has_its_own_numbers():
    table = instruments.two_stage([cell(tests=TESTS)], title="Table 6", paper=NO_PAPER)
    found = [(line.label, line.cells[0]) for line in table.lines if line.kind in ("estimate", "statistic")]
    labels = [label for label, _ in found]
    first, reduced = labels.index("First stage: Innovative-city pilot"), labels.index("Reduced form")
    assert dict(found[:first])["Innovative-city pilot"] == "0.250***"
    assert dict(found[:first])["Population density"] == "-0.010"
    assert found[first + 1 : reduced] == [("port_rd", "0.043***")]
    assert found[reduced + 1] == ("port_rd", "0.011***")
    # The truth of the panel is that of least squares.
    assert not [line for line in table.lines if line.kind == "truth"]
    assert set(table.numbers["equation"]) == {"second stage", "first stage treat", "reduced form"}


def test_tests_stand_below_with_what_they_are_read_against():
    table = instruments.two_stage([cell(tests=TESTS), cell("2")], title="Table 6", paper=NO_PAPER)
    found = {line.label: line.cells for line in table.lines}
    assert found["First-stage F"] == ("28.900 [0.0001]", "")
    assert found["Effective F (critical value)"] == ("28.867 (23.108)", "")
    assert found["Least squares: Innovative-city pilot"] == ("0.040", "0.040")
    assert found["Hansen J"] == ("just identified", "")
    assert found["Anderson-Rubin 95 % set"] == ("[0.020, 0.500]", "[0.020, 0.500]")
    assert any("actual endogenous variables" in note for note in table.notes)


@pytest.mark.parametrize(
    ("intervals", "text"),
    [(((-np.inf, -1.0), (2.0, np.inf)), "[-inf, -1.000] or [2.000, inf]"), ((), "empty")],
)
def test_unbounded_and_empty_sets_are_shown_as_such(intervals, text):
    table = instruments.two_stage([cell(tests=TESTS, intervals=intervals)], title="", paper=NO_PAPER)
    assert {line.label: line.cells[0] for line in table.lines}["Anderson-Rubin 95 % set"] == text


def test_published_values_stand_beside_their_own_equation():
    printed = pd.DataFrame(
        [
            ["table06_1", "table06", "1", "syeff", "treat", 0.259, 3.412, 3, 4828, 0.3],
            ["table06_1", "table06", "1", "treat", "port_rd", 0.044, 5.372, 3, 4828, 0.287],
        ],
        columns=NO_PAPER.columns,
    )
    table = instruments.two_stage([cell(tests=TESTS)], title="", paper=printed)
    assert [(line.term, line.cells) for line in table.lines if line.kind == "paper"] == [
        ("treat", ("0.259***",)),
        ("n", ("4,828",)),
        ("port_rd", ("0.044***",)),
    ]


def test_cells_without_a_first_stage_are_refused():
    plain = Cell(
        "a", "a", "1", results.tidy("a", "1", [results.row("treat", 1.0, 0.1, 0.0)]), results.manifest("a", "1")
    )
    with pytest.raises(SpecError, match="has no first stage"):
        instruments.two_stage([plain], title="", paper=NO_PAPER)
