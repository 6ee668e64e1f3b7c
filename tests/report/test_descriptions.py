"""Descriptions: what the tables print and the figures draw, of hand-made results."""

import numpy as np
import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report import descriptions
from syneff.report.tidy import collect
from tests.report import results

NOTHING = pd.DataFrame(columns=["cell", "term", "estimate", "t", "stars"])


def cell_of(rows, details=None, **facts):
    stored = results.stored((results.tidy("description", "1", rows), results.manifest("description", "1", **facts)))
    return collect(*stored, {"description_1": details or {}})["description"][0]


def term(name, value, **more):
    return {**results.BLANK, "term": name, "estimate": value, **more}


def test_a_correlation_matrix_has_within_correlations_above_its_diagonal():
    rows = [term("corr:pop:treat", 0.25, p_value=0.002), term("within:pop:treat", -0.5)]
    table = descriptions.correlations([cell_of(rows)], title="T", paper=NOTHING.astype(float, errors="ignore"))
    assert [line.cells for line in table.lines] == [("1", "(-0.500)"), ("0.250***", "1")]
    assert table.lines[1].label == "(2) Innovative-city pilot"


def test_coverage_and_roll_out_are_printed_in_their_units():
    rows = [term("known:pop", 4000.0), term("share:pop", 0.125), term("first:pop", 2004.0), term("last:pop", np.nan)]
    (line,) = descriptions.coverage([cell_of(rows)], title="T", paper=NOTHING).lines
    assert line.cells == ("4,000", "", "12.5 %", "", "2004", "")
    rows = [term("adopting:2010", 38.0), term("adopting:never", 209.0)]
    lines = descriptions.adoption([cell_of(rows)], title="T", paper=NOTHING).lines
    assert [(line.label, line.cells[0]) for line in lines] == [("2010", "38"), ("Never", "209")]


def test_other_cells_are_refused():
    cell = collect(*results.stored(results.table03("1")))["table03"]
    with pytest.raises(SpecError, match="estimator=correlate"):
        descriptions.correlations(cell, title="T", paper=NOTHING)
    with pytest.raises(SpecError, match="estimator=missing"):
        descriptions.coverage(cell, title="T", paper=NOTHING)


def grid(**values):
    cells = [(unit, period) for unit in ("A", "B", "C") for period in (2000, 2001)]
    return pd.DataFrame(cells, columns=["unit", "period"]).assign(**values)


def test_the_roll_out_orders_units_by_adoption():
    states = ["not treated", "not treated", "not treated", "treated", "treated", "treated"]
    figure = descriptions.rollout(cell_of([term("treated:2000", 1.0)], {"rollout": grid(state=states)}))
    (axes,) = figure.axes
    assert axes.images[0].get_array().tolist() == [[2, 2], [1, 2], [1, 1]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["C", "B", "A"]
    assert {"2000: 1", "2001: 1", "never: 1"} <= {text.get_text() for text in axes.texts}


def test_the_missing_map_prints_shares_and_names_units_with_gaps():
    missing = pd.DataFrame({"variable": ["pop", "pop"], "period": [2000, 2001], "share": [0.0, 1 / 3]})
    cell = cell_of([term("known:pop", 5.0)], {"missing": missing, "gaps": grid(variables=[0, 0, 0, 1, 0, 0])})
    figure = descriptions.missing_map(cell)
    assert [text.get_text() for text in figure.axes[0].texts] == ["33"]
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["B"]
    whole = {"missing": missing.assign(share=0.0), "gaps": grid(variables=[0] * 6)}
    assert descriptions.missing_map(cell_of([term("known:pop", 6.0)], whole)) is None


def test_densities_have_a_line_a_group_and_maps_a_place_a_unit():
    curve = pd.DataFrame({"value": [0.0, 1.0], "density": [1.0, 1.0]})
    curves = pd.concat([curve.assign(variable="pop", group=group) for group in ("a", "b")])
    figure = descriptions.distributions(cell_of([term("mean:pop (a)", 1.0)], {"distribution": curves}))
    assert [line.get_label() for line in figure.axes[0].lines] == ["a", "b"]
    assert figure.axes[0].get_xlabel() == "Population density"
    places = grid(
        lat=30.0, lon=[100.0, 100.0, 110.0, 110.0, 120.0, 120.0], value=range(6), treated=[False] * 5 + [True]
    )
    figure = descriptions.score_map(
        cell_of([term("mean:2000", 1.0)], {"map": places}, config={"estimator": {"variable": "syeff"}})
    )
    assert [axes.get_title() for axes in figure.axes[:2]] == ["2000", "2001"]
    assert figure.axes[1].lines[0].get_xdata().tolist() == [120.0]
    assert len(figure.axes[0].collections[0].get_offsets()) == 3


@pytest.mark.parametrize("draw", ["missing_map", "rollout", "distributions", "score_map"])
def test_a_cell_without_details_has_no_figure(draw):
    assert getattr(descriptions, draw)(cell_of([term("mean:pop", 1.0)])) is None
