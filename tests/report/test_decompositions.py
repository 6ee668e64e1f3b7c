"""The exhibits of what a two-way coefficient is made of, of hand-made results."""

import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report.decompositions import comparisons, comparisons_figure, weights
from syneff.report.tidy import collect
from tests.report import results

NO_PAPER = pd.DataFrame(columns=["cell", "term", "estimate", "t", "stars"])
PAIRS = pd.DataFrame(
    {
        "type": ["treated_vs_never", "treated_vs_never", "later_vs_earlier"],
        "weight": [0.5, 0.3, 0.2],
        "estimate": [0.1, 0.2, -0.1],
    }
)
EFFECTS = pd.DataFrame({"event": [0, 0, 1], "weight": [0.5, 0.7, -0.2], "share": [0.25, 0.25, 0.5]})


def cell(terms, **details):
    rows = [{**results.BLANK, "term": term, "estimate": value} for term, value in terms.items()]
    stored = results.stored((results.tidy("made", "1", rows), results.manifest("made", "1")))
    return collect(*stored, {"made_1": details})["made"][0]


def bacon():
    terms = {"treat": 0.09, "treated_vs_never": 0.1375, "later_vs_earlier": -0.1}
    return cell(terms | {"weight:treated_vs_never": 0.8, "weight:later_vs_earlier": 0.2}, bacon=PAIRS)


def two_way():
    terms = {
        "treat": 0.09,
        "share_negative": 0.5,
        "sum_negative": -0.2,
        "sigma_fe": 0.08,
        "sigma_fe_sign": float("nan"),
    }
    return cell(terms, two_way_weights=EFFECTS)


def test_a_line_a_type_that_there_is_and_the_coefficient():
    table = comparisons([bacon()], title="T", paper=NO_PAPER)
    assert {line.term: line.cells for line in table.lines} == {
        "treated_vs_never": ("0.800", "0.138", "2"),
        "later_vs_earlier": ("0.200", "-0.100", "1"),
        "treat": ("1.000", "0.090", "3"),
    }


def test_every_comparison_is_a_mark():
    figure = comparisons_figure(bacon())
    drawn = [line for line in figure.axes[0].lines if "(weight" in str(line.get_label())]
    assert [len(line.get_xdata()) for line in drawn] == [2, 1]
    assert "(weight 0.800)" in drawn[0].get_label()
    assert comparisons_figure(two_way()) is None


def test_weights_stand_against_shares_by_years_since_adoption():
    found = {line.term: line.cells for line in weights([two_way()], title="T", paper=NO_PAPER).lines}
    assert found["share_negative"] == ("0.500",)
    assert found["sigma_fe_sign"] == ("",)
    assert found["weight[0]"] == ("2.400",)
    assert found["weight[1]"] == ("-0.400",)


@pytest.mark.parametrize("make", [comparisons, weights])
def test_other_cells_are_refused(make):
    with pytest.raises(SpecError, match="no decomposition"):
        make([cell({"treat": 0.1})], title="T", paper=NO_PAPER)
