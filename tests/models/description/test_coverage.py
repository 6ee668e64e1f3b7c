"""What is missing and who is treated when: hand-made cases and pandas."""

import numpy as np
import pandas as pd
import pytest

from syneff.errors import DataError
from syneff.models.description import Missing, Rollout
from syneff.panel.panel import Panel

NAN = np.nan


def small(treat, weights=None):
    treat = np.asarray(treat, dtype=float)
    columns = {
        "treat": treat,
        "x": np.array([[1.0, NAN, 3.0], [NAN, NAN, 3.0], [1.0, 2.0, 3.0]]),
        "empty": np.full((3, 3), NAN),
    }
    shape = np.ones((3, 3)) if weights is None else np.asarray(weights, dtype=float)
    return Panel(("A", "B", "C"), (2000, 2001, 2002), columns, {}, shape)


def terms(estimate):
    return estimate.frame().set_index("term")["estimate"].to_dict()


def test_gaps_are_counted_by_variable_year_and_unit():
    found = Missing(("x", "empty")).estimate(small(np.zeros((3, 3))))
    numbers = terms(found)
    assert [numbers[f"{key}:x"] for key in ("known", "missing", "share", "whole", "first", "last")] == [
        6,
        3,
        pytest.approx(1 / 3),
        1,
        2000,
        2002,
    ]
    assert numbers["share:empty"] == 1
    assert np.isnan(numbers["first:empty"])
    shares = found.details["missing"].pivot(index="variable", columns="period", values="share")
    np.testing.assert_allclose(shares.loc["x"], [1 / 3, 2 / 3, 0])
    gaps = found.details["gaps"].pivot(index="unit", columns="period", values="variables")
    assert gaps.to_numpy().tolist() == [[1, 2, 1], [2, 2, 1], [1, 1, 1]]


def test_a_row_out_of_the_sample_is_not_missing():
    weights = [[1, 1, 0], [1, 1, 1], [1, 1, 1]]
    assert terms(Missing(("x",)).estimate(small(np.zeros((3, 3)), weights)))["known:x"] == 6


def test_adoption_is_counted_in_the_first_year_of_treatment():
    found = Rollout().estimate(small([[0, 1, 1], [0, 0, 0], [1, 1, 0]], [[1, 1, 1], [1, 1, 1], [1, 1, 1]]))
    numbers = terms(found)
    assert [numbers[f"adopting:{year}"] for year in (2000, 2001, 2002, "never")] == [1, 1, 0, 1]
    assert [numbers[f"treated:{year}"] for year in (2000, 2001, 2002)] == [1, 2, 1]
    assert [numbers[f"leaving:{year}"] for year in (2000, 2001, 2002)] == [0, 0, 1]
    assert numbers["share:2001"] == pytest.approx(2 / 3)


def test_rows_out_of_the_sample_have_no_state():
    found = Rollout().estimate(small([[0, 1, 1], [0, 0, 0], [0, 0, 1]], [[1, 0, 1], [0, 0, 0], [1, 1, 1]]))
    states = found.details["rollout"].pivot(index="unit", columns="period", values="state")
    expected = [["not treated", "no data", "treated"], ["no data"] * 3, ["not treated", "not treated", "treated"]]
    assert states.to_numpy().tolist() == expected
    assert terms(found)["adopting:never"] == 0
    assert terms(found)["adopting:2002"] == 2
    assert pd.isna(terms(found)["share:2001"]) is False


def test_a_treatment_that_is_not_0_or_1_is_told_with_its_place():
    with pytest.raises(DataError, match=r"'treat' is 0.5 in B 2001"):
        Rollout().estimate(small([[0, 1, 1], [0, 0.5, 0], [0, 0, 1]]))
