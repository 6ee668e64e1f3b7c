"""The step that adds a column of scores to a panel: which rows count, what is said, what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from syneff.errors import DataError
from syneff.measure.efficiency import Technology, slacks_based, super_sbm
from syneff.panel.panel import Panel
from tests.frontiers import draw

COLUMNS = {"inputs": ["labour", "capital"], "good": "gdp", "bad": "co2"}
CITIES = ("Anqing", "Bengbu", "Chuzhou", "Wuhan")


def panel() -> Panel:
    data = np.concatenate(list(draw(np.random.default_rng(0), rows=12).values()), axis=1)
    names = ("labour", "capital", "gdp", "co2")
    columns = {name: data[:, at].reshape(4, 3) for at, name in enumerate(names)}
    return Panel(CITIES, (2004, 2005, 2006), columns, {}, np.ones((4, 3)))


def scores(before: Panel, rows: np.ndarray, **options: str) -> np.ndarray:
    """Score the rows of a panel without the step."""
    labour, capital, gdp, co2 = (before.columns[name][rows] for name in ("labour", "capital", "gdp", "co2"))
    year = np.tile(before.periods, (4, 1))[rows]
    units = Technology(np.stack([labour, capital], axis=1), gdp[:, None], co2[:, None], year, **options)
    return slacks_based(units).score


def change(before: Panel, name: str, value: float) -> Panel:
    """Set the value of Bengbu in 2006."""
    values = before.columns[name].copy()
    values[1, 2] = value
    return replace(before, columns={**before.columns, name: values})


@pytest.mark.parametrize("reference", ["global", "contemporaneous"])
def test_the_column_holds_the_scores_of_the_rows(reference: str) -> None:
    before = panel()
    after = super_sbm(before, name="creff", reference=reference, label="Carbon", label_zh="碳", **COLUMNS)
    expected = scores(before, np.ones((4, 3), dtype=bool), reference=reference)
    np.testing.assert_allclose(after.columns["creff"].ravel(), expected, rtol=1e-13)
    assert after.notes[0].startswith("creff: 12 rows measured, 0 left out for missing values; 12 of 12 programs are")
    assert (after.label("creff"), after.label("creff", "zh")) == ("Carbon", "碳")
    assert "creff" not in before.columns


@pytest.mark.parametrize("value", [np.nan, 0.0, 1e-6])
def test_rows_of_weight_zero_are_neither_measured_nor_reference(value: float) -> None:
    # The last value would make the row dominate all others, and the second would be refused.
    before = change(panel(), "labour", value)
    rows = np.ones((4, 3), dtype=bool)
    rows[1, 2] = False
    after = super_sbm(before.reweight(np.where(rows, 0.5, 0.0)), name="creff", **COLUMNS)
    assert np.isnan(after.columns["creff"][1, 2])
    np.testing.assert_allclose(after.columns["creff"][rows], scores(before, rows), rtol=1e-13)
    assert "creff: 11 rows measured, 0 left out for missing values" in after.notes[0]


@pytest.mark.parametrize("name", ["capital", "co2"])
def test_rows_with_missing_values_are_left_out_and_counted(name: str) -> None:
    before = change(panel(), name, np.nan)
    rows = np.ones((4, 3), dtype=bool)
    rows[1, 2] = False
    after = super_sbm(before, name="creff", **COLUMNS)
    assert np.isnan(after.columns["creff"][1, 2])
    np.testing.assert_allclose(after.columns["creff"][rows], scores(before, rows), rtol=1e-13)
    assert "creff: 11 rows measured, 1 left out for missing values" in after.notes[0]


def test_infeasible_rows_are_named_and_stay_empty() -> None:
    # A bad output 1e-6 times that of all others cannot be reached under variable returns.
    after = super_sbm(change(panel(), "co2", 1e-9), name="creff", returns="vrs", **COLUMNS)
    assert np.isnan(after.columns["creff"][1, 2])
    assert "infeasible under vrs (first:" in after.notes[0]
    assert "Bengbu 2006" in after.notes[0]


@pytest.mark.parametrize("value", [0.0, -3.0, np.inf])
def test_values_that_are_not_positive_are_named(value: float) -> None:
    with pytest.raises(DataError, match=rf"1 values are not positive and finite \(Bengbu 2006 gdp = {value:g}\)"):
        super_sbm(change(panel(), "gdp", value), name="creff", **COLUMNS)


def test_unknown_and_empty_columns_are_named() -> None:
    with pytest.raises(DataError, match=r"unknown column 'labor'. Did you mean 'labour'"):
        super_sbm(panel(), name="creff", inputs="labor", good="gdp")
    empty = panel().assign({"energy": np.full((4, 3), np.nan)})
    with pytest.raises(DataError, match="no row has values of all of labour, energy, gdp"):
        super_sbm(empty, name="creff", inputs=["labour", "energy"], good="gdp")
