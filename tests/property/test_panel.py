"""Invariances of the panel: order of rows, round trips, missing rows, lags and gaps."""

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from syneff.panel import steps
from syneff.panel.panel import Panel

few = settings(deadline=None, max_examples=25)
cells = st.one_of(st.just(np.nan), st.floats(-1e12, 1e12, allow_nan=False))
identifiers = st.one_of(
    st.lists(st.text("abz京海", min_size=1, max_size=4), min_size=1, max_size=5, unique=True),
    st.lists(st.integers(0, 999999), min_size=1, max_size=5, unique=True),
)


@st.composite
def panels(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the parts of a panel in which rows are out of the sample at random, with a text and a numeric trait."""
    units = tuple(sorted(draw(identifiers)))  # type: ignore[type-var]
    periods = tuple(range(2000, 2000 + draw(st.integers(1, 6))))
    shape = (len(units), len(periods))
    weights = draw(arrays.arrays(float, shape, elements=st.sampled_from([0.0, 1.0, 2.5])))
    columns = {name: draw(arrays.arrays(float, shape, elements=cells)) for name in ("zeta", "alpha")}
    names = draw(st.lists(st.sampled_from(["x", "y", None]), min_size=shape[0], max_size=shape[0]))
    traits = {
        "place": np.array([None if name is None else f"{name} land" for name in names], dtype=object),
        "lon": draw(arrays.arrays(float, shape[:1], elements=cells)),
    }
    # An empty text column would be read back as an empty numeric one.
    traits["place"][0] = "z land"
    return {"units": units, "periods": periods, "columns": columns, "traits": traits, "weights": weights}


def back(frame: pd.DataFrame) -> Panel:
    return Panel.from_frame(frame, "unit", "period", weight="weight", traits=["lon"])


def assert_same(panel: Panel, other: Panel) -> None:
    assert (panel.units, panel.periods) == (other.units, other.periods)
    assert (list(panel.columns), list(panel.traits)) == (list(other.columns), list(other.traits))
    np.testing.assert_array_equal(panel.weights, other.weights)
    for name in panel.columns:
        np.testing.assert_array_equal(panel.columns[name], other.columns[name])
    assert panel.traits["place"].tolist() == other.traits["place"].tolist()
    np.testing.assert_array_equal(panel.traits["lon"], other.traits["lon"])


@few
@given(panels())
def test_frame_and_back_is_the_identity(parts: dict[str, Any]) -> None:
    panel = Panel(**parts)
    assert_same(back(panel.to_frame()), panel)


@few
@given(panels(), st.data())
def test_a_year_and_a_unit_out_of_the_sample_come_back(parts: dict[str, Any], data: st.DataObject) -> None:
    weights = parts["weights"].copy()
    weights[data.draw(st.integers(0, weights.shape[0] - 1), "unit"), :] = 0
    weights[:, data.draw(st.integers(0, weights.shape[1] - 1), "year")] = 0
    panel = Panel(**{**parts, "weights": weights})
    assert_same(back(panel.to_frame()), panel)


@few
@given(panels())
def test_back_and_frame_is_the_identity(parts: dict[str, Any]) -> None:
    panel = Panel(**parts)
    frame = panel.to_frame()
    pd.testing.assert_frame_equal(back(frame).to_frame(), frame)


@few
@given(panels(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(parts: dict[str, Any], random) -> None:  # type: ignore[no-untyped-def]
    panel = Panel(**parts)
    frame = panel.to_frame()
    order = list(range(len(frame)))
    random.shuffle(order)
    assert_same(back(frame.iloc[order]), panel)


@few
@given(panels())
def test_a_missing_row_equals_weight_zero(parts: dict[str, Any]) -> None:
    panel = Panel(**parts)
    frame = panel.to_frame()
    # One row a unit and one a year stay, so that neither vanishes from the data.
    stays = (frame["weight"] > 0) | (frame["period"] == panel.periods[0]) | (frame["unit"] == panel.units[0])
    absent = back(frame[stays])
    np.testing.assert_array_equal(absent.weights, panel.weights)
    for name, values in panel.columns.items():
        np.testing.assert_array_equal(absent.columns[name][panel.sample], values[panel.sample])


@few
@given(panels(), st.integers(1, 3))
def test_interpolate_is_pandas_less_the_long_gaps(parts: dict[str, Any], gap: int) -> None:
    panel = Panel(**parts)
    filled = steps.interpolate(panel, columns=["alpha"], max_gap=gap).columns["alpha"]
    for row, values in zip(filled, panel.columns["alpha"], strict=True):
        series = pd.Series(values)
        missing = series.isna()
        length = missing.groupby((~missing).cumsum()).transform("sum")
        expected = series.interpolate(limit_area="inside").where(~missing | (length <= gap))
        np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-3)


@few
@given(panels(), st.integers(1, 4))
def test_lag_is_a_shift_within_units(parts: dict[str, Any], periods: int) -> None:
    panel = Panel(**parts)
    frame = panel.to_frame()
    expected = frame.groupby("unit")["zeta"].shift(periods)
    lagged = steps.lag(panel, columns=["zeta"], periods=periods).columns[f"zeta_lag{periods}"]
    np.testing.assert_array_equal(lagged.ravel(), expected)


@few
@given(panels(), st.floats(0, 40), st.floats(60, 100))
def test_winsorise_once_is_winsorise_twice_and_keeps_the_order(
    parts: dict[str, Any], lower: float, upper: float
) -> None:
    panel = Panel(**parts)
    inside = panel.sample & ~np.isnan(panel.columns["alpha"])
    assume(inside.any())
    once = steps.winsorise(panel, columns=["alpha"], lower=lower, upper=upper)
    before, after = panel.columns["alpha"][inside], once.columns["alpha"][inside]
    assert (np.diff(after[np.argsort(before)]) >= 0).all()
    assert set(after[(after > after.min()) & (after < after.max())]) <= set(before)
