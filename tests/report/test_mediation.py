"""The table of mediation on hand-made results."""

import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report.mediation import HEADER, mediation
from syneff.report.tidy import Cell
from tests.report import results

NO_PAPER = pd.DataFrame(columns=["cell", "table", "column", "outcome", "term", "estimate", "t", "stars", "n", "adj_r2"])


def bare(term, estimate):
    return {**results.BLANK, "term": term, "estimate": estimate}


def cell(*extra):
    rows = [
        results.row("total:treat", 0.040, 0.008, 0.0001),
        results.row("direct:treat", 0.025, 0.010, 0.02),
        results.row("a:patents", 1.655, 0.4, 0.0001),
        results.row("b:patents", 0.009, 0.001, 0.0001),
        results.row("indirect:patents", 0.015, 0.005, 0.003),
        bare("share:patents", 0.375),
        bare("rho:patents", 0.21),
        *extra,
        {**results.check_row("percentile:indirect:patents", 0.01), "conf_low": 0.006, "conf_high": 0.027},
    ]
    return Cell("table08_1", "table08", "1", results.tidy("table08", "1", rows), results.manifest("table08", "1"))


def test_a_mediator_is_a_line_with_its_statistics_below():
    table = mediation([cell()], title="Table 8", paper=NO_PAPER)
    (line, below), *rest = table.groups
    assert not rest
    assert dict(zip(HEADER, line.cells, strict=True)) == {
        "a": "1.655***",
        "b": "0.009***",
        "Indirect a b": "0.015***",
        "95 % percentile": "[0.006, 0.027]",
        "95 % BCa": "",
        "Direct": "0.025**",
        "Total": "0.040***",
        "Share": "0.375",
        "rho at which a b = 0": "0.210",
    }
    assert below.cells[:3] == ("(4.138)", "(9.000)", "(3.000)")
    assert any("bad control" in note for note in table.notes)


def test_several_mediators_stand_together_and_alone():
    more = [
        results.row("a:digital", 0.5, 0.1, 0.0001),
        results.row("b:digital", 0.02, 0.01, 0.05),
        results.row("indirect:digital", 0.01, 0.005, 0.04),
        bare("share:digital", 0.25),
        bare("rho:digital", 0.1),
        bare("indirect:treat", 0.025),
        bare("share:treat", 0.6),
    ]
    for name, direct in (("patents", 0.026), ("digital", 0.031)):
        more += [
            results.row(f"direct_alone:{name}", direct, 0.01, 0.02),
            results.row(f"b_alone:{name}", 0.01, 0.001, 0.0001),
            results.row(f"indirect_alone:{name}", 0.014, 0.005, 0.003),
            bare(f"share_alone:{name}", 0.35),
        ]
    together, alone = mediation([cell(*more)], title="", paper=NO_PAPER).groups
    assert [line.label for line in together if line.label] == ["patents", "digital"]
    assert [line.label for line in alone if line.label] == ["patents (alone)", "digital (alone)"]
    assert together[0].cells[-1] == ""
    assert alone[0].cells[-1] == "0.210"
    assert (together[0].cells[5], alone[0].cells[5]) == ("0.025**", "0.026**")


def test_cells_without_mediator_are_refused():
    plain = Cell(
        "a", "a", "1", results.tidy("a", "1", [results.row("treat", 1.0, 0.1, 0.0)]), results.manifest("a", "1")
    )
    with pytest.raises(SpecError, match="has no mediator"):
        mediation([plain], title="", paper=NO_PAPER)
