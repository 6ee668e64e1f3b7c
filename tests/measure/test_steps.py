"""The step that adds a column of scores to a panel: which rows count, what is said, what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.measure.efficiency import Technology, slacks_based, super_sbm
from syneff.panel.panel import Panel
from tests.frontiers import draw

COLUMNS = {"inputs": ["labour", "capital"], "good": "gdp", "bad": "co2", "solver": "simplex"}
CITIES = ("Anqing", "Bengbu", "Chuzhou", "Wuhan")


def panel() -> Panel:
    data = np.concatenate(list(draw(np.random.default_rng(0), rows=12).values()), axis=1)
    names = ("labour", "capital", "gdp", "co2")
    columns = {name: data[:, at].reshape(4, 3) for at, name in enumerate(names)}
    return Panel(CITIES, (2004, 2005, 2006), columns, {}, np.ones((4, 3)))


def scores(before: Panel, rows: np.ndarray, **options: Any) -> np.ndarray:
    """Score the rows of a panel without the step."""
    labour, capital, gdp, co2 = (before.columns[name][rows] for name in ("labour", "capital", "gdp", "co2"))
    year = np.tile(before.periods, (4, 1))[rows]
    units = Technology(np.stack([labour, capital], axis=1), gdp[:, None], co2[:, None], year, **options)
    return slacks_based(units, solver="simplex").score


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


def with_traits() -> Panel:
    traits = {"adoption_year": np.array([2005, np.nan, np.nan, 2006]), "region": np.array(["S", "N", "S", "N"], object)}
    return replace(panel(), traits=traits)


def test_the_frontier_may_be_spanned_by_a_condition() -> None:
    before = with_traits()
    after = super_sbm(before, name="creff", reference_where="adoption_year != adoption_year", **COLUMNS)
    mask = np.repeat([False, True, True, False], 3)
    expected = scores(before, np.ones((4, 3), dtype=bool), reference=mask)
    np.testing.assert_allclose(after.columns["creff"].ravel(), expected, rtol=1e-13)
    assert "their frontier is spanned by 6 rows where 'adoption_year != adoption_year'" in after.notes[0]


def test_each_row_may_be_compared_with_its_group_and_window() -> None:
    before = with_traits()
    options = {"reference": "window", "window": 2}
    after = super_sbm(before, name="creff", group="region", **options, **COLUMNS)
    for cities in ([0, 2], [1, 3]):
        rows = np.isin(np.arange(4), cities)[:, None] & np.ones(3, dtype=bool)
        expected = scores(before, rows, **options)
        np.testing.assert_allclose(after.columns["creff"][rows], expected, rtol=1e-13)
    assert "each is compared with its own region alone" in after.notes[0]


def test_zeros_by_policy_and_remarks_reach_the_note() -> None:
    before = change(panel(), "co2", 0.0).assign({"land": np.ones((4, 3))})
    columns = {**COLUMNS, "inputs": ["labour", "land"]}
    with pytest.raises(DataError, match=r"Bengbu 2006 co2 = 0\).*Or see the option zeros: replace or drop"):
        super_sbm(before, name="creff", **columns)
    after = super_sbm(before, name="creff", zeros="replace", **columns)
    smallest = np.min(panel().columns["co2"].ravel()[np.arange(12) != 5])
    expected = super_sbm(change(before, "co2", smallest / 100), name="creff", **columns)
    np.testing.assert_array_equal(after.columns["creff"], expected.columns["creff"])
    assert "1 zeros are replaced by the smallest positive / 100; land is constant" in after.notes[0]


BAD_SETS = [
    ({"reference_where": "adoption_yaer == 2005"}, DataError, r"reference_where .*Did you mean 'adoption_year'"),
    (
        {"reference_where": "adoption_year == 1999"},
        DataError,
        r"'adoption_year == 1999' holds in no row that is measured",
    ),
    ({"reference_where": "adoption_year +"}, SpecError, r"reference_where 'adoption_year \+' is no condition"),
    (
        {"reference_where": "period > 2004", "reference": "biennial"},
        SpecError,
        r"reference='biennial'. Give one of them",
    ),
    ({"reference": "window"}, SpecError, r"needs window=, a number of periods from 1 to 3"),
    ({"group": "adoption_year"}, DataError, r"'adoption_year' is missing in Bengbu 2004, Bengbu 2005, Bengbu 2006, Ch"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_SETS)
def test_bad_reference_sets_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        super_sbm(with_traits(), name="creff", **options, **COLUMNS)


def test_unknown_and_empty_columns_are_named() -> None:
    with pytest.raises(DataError, match=r"unknown column 'labor'. Did you mean 'labour'"):
        super_sbm(panel(), name="creff", inputs="labor", good="gdp")
    empty = panel().assign({"energy": np.full((4, 3), np.nan)})
    with pytest.raises(DataError, match="no row has values of all of labour, energy, gdp"):
        super_sbm(empty, name="creff", inputs=["labour", "energy"], good="gdp")
