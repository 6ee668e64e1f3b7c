"""Steps that change the sample: weights, never rows, and a note of what was left out."""

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.panel import steps
from syneff.panel.panel import Panel

NAN = np.nan


def panel() -> Panel:
    """Three cities x 2004-2007; Wuhan has no row in 2004, Beijing no gdp in 2005 and 2006."""
    weights = np.ones((3, 4))
    weights[2, 0] = 0.0
    gdp = np.arange(12.0).reshape(3, 4)
    gdp[1, 1:3] = NAN
    gdp[2, 0] = NAN
    traits = {
        "province": np.array(["Anhui", None, "Hubei"], dtype=object),
        "pilot_year": np.array([2006.0, NAN, 2004.0]),
    }
    return Panel(("Anqing", "Beijing", "Wuhan"), (2004, 2005, 2006, 2007), {"gdp": gdp}, traits, weights)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("period >= 2006", [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]),
        ("gdp > 1 and gdp < 8", [[0, 0, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0]]),
        ("unit == 'Anqing' or province == 'Hubei'", [[1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 1, 1]]),
        ("pilot_year == 2006", [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]),
        ("not (period == 2005)", [[1, 0, 1, 1], [1, 0, 1, 1], [0, 0, 1, 1]]),
    ],
)
def test_where_keeps_rows(condition: str, expected: list[list[int]]) -> None:
    after = steps.where(panel(), condition=condition)
    np.testing.assert_array_equal(after.weights, expected)
    assert after.notes == (f"where {condition!r}: {int(np.sum(expected))} of 11 rows kept.",)


def test_where_keeps_the_size_of_weights() -> None:
    weighted = panel().reweight(panel().weights * 2.5)
    np.testing.assert_array_equal(steps.where(weighted, condition="period == 2007").weights[:, 3], 2.5)


@pytest.mark.parametrize("condition", ["gdp", "gdp >", "gdp > 'a'", "__import__('os')", "period = 2004", "1 < 2"])
def test_where_refuses_what_is_no_condition(condition: str) -> None:
    with pytest.raises(SpecError, match="is no condition"):
        steps.where(panel(), condition=condition)


def test_where_says_what_the_year_is_called_and_sees_no_variables_of_the_program() -> None:
    with pytest.raises(DataError, match=r"unknown column 'year'.*The year is called period"):
        steps.where(panel(), condition="year >= 2005")
    with pytest.raises(DataError, match="unknown column 'frame'"):
        steps.where(panel(), condition="@frame == 1")


def test_where_and_drop_periods_leave_something() -> None:
    with pytest.raises(DataError, match=r"where 'gdp > 100': no row of the sample is left of 11"):
        steps.where(panel(), condition="gdp > 100")
    with pytest.raises(DataError, match="no row of the sample is left"):
        steps.drop_periods(panel(), periods=[2004, 2005, 2006, 2007])


def test_drop_periods() -> None:
    after = steps.drop_periods(panel(), periods=[2004, 2006])
    np.testing.assert_array_equal(after.weights, [[0, 1, 0, 1]] * 3)
    assert after.periods == (2004, 2005, 2006, 2007)
    assert after.notes == ("drop_periods 2004, 2006: 6 of 11 rows kept.",)
    with pytest.raises(DataError, match=r"unknown period for drop_periods: 2040\. .*Allowed: 2004, 2005, 2006, 2007\."):
        steps.drop_periods(panel(), periods=[2040])


def test_balance_keeps_complete_units_and_says_why_the_others_go() -> None:
    after = steps.balance(panel(), columns=["gdp"])
    np.testing.assert_array_equal(after.weights, [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert after.notes == (
        "balance: 1 of 3 units kept x 4 years = 4 rows; 2 left out (years missing): "
        "Beijing (gdp missing 2), Wuhan (whole row missing 1).",
    )


def test_balance_asks_only_for_years_that_are_in_the_sample() -> None:
    late = steps.drop_periods(panel(), periods=[2004])
    after = steps.balance(late, columns=["gdp"])
    np.testing.assert_array_equal(after.weights.sum(axis=1), [3, 0, 3])
    last = steps.balance(steps.where(panel(), condition="period == 2007"), columns=["gdp"])
    np.testing.assert_array_equal(last.weights.sum(axis=1), [1, 1, 1])
    assert last.notes[-1] == "balance: 3 of 3 units kept x 1 years = 3 rows; none left out."


def test_balance_does_not_name_units_that_were_out_before() -> None:
    after = steps.balance(steps.where(panel(), condition="unit != 'Wuhan'"), columns=["gdp"])
    assert "1 of 2 units kept" in after.notes[-1]
    assert "Wuhan" not in after.notes[-1].split("balance")[-1]


def test_balance_that_leaves_nothing() -> None:
    with pytest.raises(DataError, match=r"balance: no unit has all of gdp in all 4 years; 'gdp' is missing most often"):
        steps.balance(panel().assign({"gdp": np.full((3, 4), NAN)}), columns=["gdp"])


def test_treat_from_year() -> None:
    after = steps.treat_from_year(panel(), trait="pilot_year")
    np.testing.assert_array_equal(after.columns["treat"], [[0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]])
    np.testing.assert_array_equal(after.weights, panel().weights)
    assert after.notes == (
        "treat_from_year: treat = 1 from the year in pilot_year: 1 units adopt in 2005-2007, 1 are never treated by 2007; "
        "1 are treated from 2004 on or before and are kept: Wuhan.",
    )


def test_treat_from_year_drops_the_always_treated_of_the_sample() -> None:
    late = steps.where(panel(), condition="period >= 2006")
    after = steps.treat_from_year(late, trait="pilot_year", name="policy", always="drop")
    np.testing.assert_array_equal(after.weights.sum(axis=1), [0, 2, 0])
    assert after.notes[-1].endswith("2 are treated from 2006 on or before and are left out: Anqing, Wuhan.")
    assert "policy" in after.columns


def test_treat_from_year_refuses() -> None:
    with pytest.raises(
        DataError, match=r"unknown trait for treat_from_year: 'pilot_yaer'\. Did you mean 'pilot_year'\?"
    ):
        steps.treat_from_year(panel(), trait="pilot_yaer")
    with pytest.raises(DataError, match="trait 'province' is text"):
        steps.treat_from_year(panel(), trait="province")
    half = Panel(("A",), (2004, 2005), {}, {"pilot_year": np.array([2004.5])}, np.ones((1, 2)))
    with pytest.raises(DataError, match=r"'pilot_year' of A is 2004\.5, which is no whole year"):
        steps.treat_from_year(half, trait="pilot_year")


def test_treat_from_year_allows_keep_and_drop() -> None:
    # Past the shape checks of the tests, which know the allowed values too.
    with pytest.raises(SpecError, match=r"unknown value for treat_from_year\.always: 'kepe'\. Did you mean 'keep'\?"):
        getattr(steps.treat_from_year, "__wrapped__", steps.treat_from_year)(panel(), trait="pilot_year", always="kepe")
