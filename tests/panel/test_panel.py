"""The cube: rows in, rows out, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from syneff.errors import DataError
from syneff.panel.panel import Panel, Variable


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "city": ["Wuhan", "Wuhan", "Anqing", "Anqing"],
            "gdp": [3.0, 4.0, 1.0, np.nan],
            "province": ["Hubei", None, "Anhui", "Anhui"],
            "year": [2005, 2004, 2004, 2005],
            "lon": [114.3, 114.3, 117.0, 117.0],
            "pilot": [True, False, False, False],
        }
    )


def test_rows_become_a_cube_sorted_by_unit_and_period() -> None:
    panel = Panel.from_frame(
        frame(), "city", "year", traits=["lon"], variables={"gdp": Variable("GDP", "生产总值", "yuan")}
    )
    assert panel.units == ("Anqing", "Wuhan")
    assert panel.periods == (2004, 2005)
    assert list(panel.columns) == ["gdp", "pilot"]
    np.testing.assert_array_equal(panel.columns["gdp"], [[1.0, np.nan], [4.0, 3.0]])
    np.testing.assert_array_equal(panel.columns["pilot"], [[0.0, 0.0], [0.0, 1.0]])
    assert panel.traits["province"].tolist() == ["Anhui", "Hubei"]
    assert panel.traits["lon"].tolist() == [117.0, 114.3]
    assert (panel.label("gdp"), panel.label("gdp", "zh"), panel.label("pilot")) == ("GDP", "生产总值", "pilot")
    assert panel.sample.all()


def test_a_missing_row_has_weight_zero_and_no_values() -> None:
    panel = Panel.from_frame(frame().drop(index=0), "city", "year")
    np.testing.assert_array_equal(panel.weights, [[1.0, 1.0], [1.0, 0.0]])
    assert np.isnan(panel.columns["gdp"][1, 1])
    assert len(panel.to_frame(sample_only=True)) == 3
    assert len(panel.to_frame()) == 4


def test_weights_come_from_a_column() -> None:
    rows = frame().assign(w=[1.0, 0.0, 2.5, 1.0])
    panel = Panel.from_frame(rows, "city", "year", weight="w")
    np.testing.assert_array_equal(panel.weights, [[2.5, 1.0], [0.0, 1.0]])
    assert "w" not in panel.columns


def test_a_named_index_identifies_the_rows() -> None:
    indexed = frame().set_index(["city", "year"])
    pd.testing.assert_frame_equal(
        Panel.from_frame(indexed, "city", "year").to_frame(), Panel.from_frame(frame(), "city", "year").to_frame()
    )


def test_numbers_that_are_stored_as_text_are_numbers() -> None:
    panel = Panel.from_frame(
        frame().assign(gdp=["3", " 4 ", "1e0", ""], year=["2005", "2004", "2004.0", "2005"]), "city", "year"
    )
    np.testing.assert_array_equal(panel.columns["gdp"], [[1.0, np.nan], [4.0, 3.0]])


def test_codes_are_sorted_as_numbers_and_named_by_the_text_that_tells_them_apart() -> None:
    rows = frame().assign(code=[420100.0, 420100.0, 34080.0, 34080.0])
    panel = Panel.from_frame(rows, "code", "year")
    assert panel.units == (34080, 420100)
    assert panel.names == ("34080 Anqing", "420100 Wuhan")
    without = Panel.from_frame(rows.drop(columns=["city"]).assign(province="Hubei"), "code", "year")
    assert without.names == ("34080", "420100")


def test_the_frame_is_not_changed() -> None:
    rows = frame()
    Panel.from_frame(rows, "city", "year")
    pd.testing.assert_frame_equal(rows, frame())


def test_shapes_and_names_are_checked() -> None:
    with pytest.raises(DataError, match=r"column 'gdp' has shape \(2, 2\), but the panel has 2 units x 3 periods"):
        Panel(("a", "b"), (1, 2, 3), {"gdp": np.ones((2, 2))}, {}, np.ones((2, 2)))
    weights = np.ones((2, 3))
    with pytest.raises(DataError, match="'lon' is both a column and a trait"):
        Panel(("a", "b"), (1, 2, 3), {"lon": weights}, {"lon": np.ones(2)}, weights)


def test_an_unknown_column_names_the_nearest() -> None:
    panel = Panel.from_frame(frame(), "city", "year", traits=["lon"])
    with pytest.raises(DataError, match=r"unknown column 'gpd'\. Did you mean 'gdp'\?.*source\.rename"):
        panel.column("gpd")
    with pytest.raises(DataError, match="trait 'province' is no number"):
        panel.column("province")
    np.testing.assert_array_equal(panel.column("lon"), [[117.0, 117.0], [114.3, 114.3]])


def test_assign_and_reweight_leave_the_panel_as_it_was() -> None:
    panel = Panel.from_frame(frame(), "city", "year")
    more = panel.assign({"two": np.full((2, 2), 2.0)}, {"two": Variable("Two")}, note="a note").reweight(
        np.zeros((2, 2))
    )
    assert "two" not in panel.columns
    assert panel.notes == ()
    assert panel.sample.all()
    assert more.notes == ("a note",)
    assert more.label("two") == "Two"
    assert not more.sample.any()
