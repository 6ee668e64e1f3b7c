"""Steps that add or change columns, against pandas, NumPy and hand-made cases."""

import numpy as np
import pandas as pd
import pytest

from syneff.errors import DataError, SpecError
from syneff.panel import steps
from syneff.panel.panel import Panel, Variable

NAN = np.nan


def panel(**columns: list[list[float]]) -> Panel:
    """Two cities, as many years from 2004 as the columns have."""
    arrays = {name: np.array(values, dtype=float) for name, values in columns.items()}
    shape = next(iter(arrays.values())).shape
    return Panel(("Anqing", "Wuhan")[: shape[0]], tuple(range(2004, 2004 + shape[1])), arrays, {}, np.ones(shape))


def test_interpolate_fills_short_interior_gaps_only() -> None:
    before = panel(x=[[NAN, 1, NAN, 3, NAN, NAN, 9, NAN], [0, NAN, NAN, NAN, 4, NAN, 6, NAN]])
    after = steps.interpolate(before, columns=["x"], max_gap=2)
    np.testing.assert_allclose(
        after.columns["x"], [[NAN, 1, 2, 3, 5, 7, 9, NAN], [0, NAN, NAN, NAN, 4, 5, 6, NAN]], rtol=1e-15
    )
    said = "x 4 city-years (Anqing 2006, Anqing 2008, Anqing 2009, Wuhan 2009)"
    assert after.notes == (f"interpolate: values filled (interior gaps of at most 2 years): {said}.",)
    assert np.isnan(before.columns["x"]).sum() == 10


def test_interpolate_agrees_with_pandas_where_no_gap_is_longer() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 40))
    values[:, [3, 8, 9, 20, 39]] = NAN
    values[1, 0:2] = NAN
    expected = [pd.Series(row).interpolate(limit_area="inside").to_numpy() for row in values]
    filled = steps.interpolate(panel(x=values.tolist()), columns=["x"], max_gap=2).columns["x"]
    np.testing.assert_allclose(filled, expected, rtol=1e-13)


def test_interpolate_leaves_units_with_one_value_or_none() -> None:
    before = panel(x=[[NAN, 1, NAN], [NAN, NAN, NAN]])
    np.testing.assert_array_equal(steps.interpolate(before, columns=["x"]).columns["x"], before.columns["x"])


def test_interpolate_does_not_bring_back_missing_rows() -> None:
    rows = pd.DataFrame({"city": "A", "year": [2004, 2006], "x": [1.0, 3.0]})
    more = pd.DataFrame({"city": "B", "year": [2004, 2005, 2006], "x": 1.0})
    after = steps.interpolate(Panel.from_frame(pd.concat([rows, more]), "city", "year"), columns=["x"])
    assert after.columns["x"][0, 1] == 2.0
    assert after.weights[0, 1] == 0.0
    assert after.notes[-1].endswith("x none, and 1 in rows out of the sample.")


@pytest.mark.parametrize(("lower", "upper"), [(1, 99), (5, 95), (0, 90), (2.5, 100)])
def test_winsorise_clips_at_the_percentiles_of_the_sample(lower: float, upper: float) -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_cauchy(size=(2, 101))
    values[0, 5] = NAN
    values[1, 7:9] = [1e9, -1e9]
    before = panel(x=values.tolist())
    weights = np.ones((2, 101))
    weights[1, 7:9] = 0.0
    before = before.reweight(weights)
    inside = values[(weights > 0) & ~np.isnan(values)]
    # Stata's percentiles are this definition of NumPy's.
    low, high = np.percentile(inside, [lower, upper], method="averaged_inverted_cdf")
    after = steps.winsorise(before, columns=["x"], lower=lower, upper=upper)
    np.testing.assert_array_equal(after.columns["x"], np.where(weights > 0, np.clip(values, low, high), values))
    changed = int(((inside < low) | (inside > high)).sum())
    assert after.notes == (f"winsorise: cells changed (percentiles {lower:g} and {upper:g}): x {changed}.",)


def test_winsorise_averages_at_a_whole_rank() -> None:
    # n p / 100 = 300 * 7 / 100 = 21 exactly, though 300 * 0.07 is not 21 in floating point.
    values = np.arange(1.0, 301.0).reshape(2, 150)
    after = steps.winsorise(panel(x=values.tolist()), columns=["x"], lower=7, upper=93)
    assert (after.columns["x"].min(), after.columns["x"].max()) == (21.5, 279.5)


def test_winsorise_refuses() -> None:
    with pytest.raises(SpecError, match=r"lower=99, upper=1: percentiles must be 0 <= lower < upper <= 100"):
        steps.winsorise(panel(x=[[1, 2]]), columns=["x"], lower=99, upper=1)
    with pytest.raises(DataError, match="column 'x' has no value in the sample"):
        steps.winsorise(panel(x=[[NAN, NAN]]), columns=["x"])


@pytest.mark.parametrize("periods", [1, 3, 9])
def test_lag_shifts_within_units(periods: int) -> None:
    values = np.arange(10.0).reshape(2, 5)
    after = steps.lag(panel(x=values.tolist()), columns=["x"], periods=periods)
    expected = pd.DataFrame(values).shift(periods, axis=1).to_numpy()
    np.testing.assert_array_equal(after.columns[f"x_lag{periods}"], expected)


def test_lag_looks_for_the_year_not_for_the_cell_before() -> None:
    before = Panel(("A",), (2004, 2005, 2007), {"x": np.array([[1.0, 2.0, 3.0]])}, {}, np.ones((1, 3)))
    np.testing.assert_array_equal(steps.lag(before, columns=["x"]).columns["x_lag1"], [[NAN, 1.0, NAN]])
    np.testing.assert_array_equal(steps.lag(before, columns=["x"], periods=2).columns["x_lag2"], [[NAN, NAN, 2.0]])


def test_lag_sees_values_outside_the_sample() -> None:
    before = panel(x=[[1, 2, 3]]).reweight(np.array([[0.0, 1.0, 1.0]]))
    np.testing.assert_array_equal(steps.lag(before, columns=["x"]).columns["x_lag1"], [[NAN, 1, 2]])


def test_log_of_positive_cells() -> None:
    after = steps.log(panel(x=[[1, np.e], [NAN, 10]]), columns=["x"])
    np.testing.assert_allclose(after.columns["lnx"], [[0, 1], [NAN, np.log(10)]])


def test_log_names_cells_that_are_not_positive() -> None:
    before = panel(x=[[1, 0], [-2, 4]])
    with pytest.raises(
        DataError, match=r"log: column 'x' is not positive in Anqing 2005, Wuhan 2004\. Take the rows out"
    ):
        steps.log(before, columns=["x"])
    after = steps.log(before.reweight(np.array([[1.0, 0.0], [0.0, 1.0]])), columns=["x"])
    np.testing.assert_array_equal(np.isnan(after.columns["lnx"]), [[False, True], [True, False]])


def test_ratio() -> None:
    after = steps.ratio(
        panel(a=[[1, 2], [3, NAN]], b=[[4, 4], [2, 0.5]]), name="c", numerator="a", denominator="b", scale=100
    )
    np.testing.assert_array_equal(after.columns["c"], [[25, 50], [150, NAN]])
    with pytest.raises(DataError, match=r"ratio: denominator 'b' is 0 in Wuhan 2004\."):
        steps.ratio(panel(a=[[1, 2], [3, 4]], b=[[4, 4], [0, 1]]), name="c", numerator="a", denominator="b")


def test_new_columns_have_labels_and_units_unless_the_user_gave_them() -> None:
    named = {
        "gdp": Variable("GDP", "生产总值", "yuan"),
        "tax": Variable("Tax", "税收", "yuan"),
        "pop": Variable("", "", "10^4 persons"),
    }
    before = panel(gdp=[[1, 2]], tax=[[1, 1]], pop=[[1, 1]]).assign({}, named)
    assert steps.log(before, columns=["gdp"]).variables["lngdp"] == Variable("ln GDP", "ln 生产总值", "ln(yuan)")
    assert steps.lag(before, columns=["gdp"]).variables["gdp_lag1"] == Variable(
        "GDP, lag 1", "生产总值 滞后1期", "yuan"
    )
    share = steps.ratio(before, name="share", numerator="tax", denominator="gdp", scale=100).variables["share"]
    assert share == Variable("Tax / GDP", "税收 / 生产总值", "%")
    head = steps.ratio(before, name="head", numerator="gdp", denominator="pop").variables["head"]
    assert head == Variable("GDP / pop", "生产总值 / pop", "yuan / 10^4 persons")
    declared = before.assign({}, {"lngdp": Variable("Log output")})
    assert steps.log(declared, columns=["gdp"]).label("lngdp") == "Log output"


@pytest.mark.parametrize(
    ("step", "options"),
    [
        (steps.interpolate, {"columns": ["gpd"]}),
        (steps.winsorise, {"columns": ["gpd"]}),
        (steps.lag, {"columns": ["gpd"]}),
        (steps.log, {"columns": ["gpd"]}),
        (steps.balance, {"columns": ["gpd"]}),
        (steps.ratio, {"name": "c", "numerator": "gpd", "denominator": "gdp"}),
        (steps.ratio, {"name": "c", "numerator": "gdp", "denominator": "gpd"}),
        (steps.where, {"condition": "gpd > 1"}),
    ],
)
def test_an_unknown_column_names_the_nearest(step, options) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=r"unknown column 'gpd'\. Did you mean 'gdp'\?"):
        step(panel(gdp=[[1, 2]]), **options)


@pytest.mark.parametrize(("step", "option"), [(steps.interpolate, "max_gap"), (steps.lag, "periods")])
def test_counts_of_years_are_at_least_one(step, option) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SpecError, match=f"{option}=0: must be a whole number of at least 1"):
        step(panel(x=[[1, 2]]), columns=["x"], **{option: 0})
