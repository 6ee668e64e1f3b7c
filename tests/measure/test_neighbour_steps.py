"""Panel steps of directional distances, productivity change and the epsilon-based measure: columns, labels, notes, messages."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.measure.directional import directional_distance, nonradial_distance
from syneff.measure.epsilon_based import epsilon_based
from syneff.measure.productivity import luenberger, malmquist_luenberger
from syneff.measure.steps import directional, epsilon_measure, productivity
from syneff.measure.technology import Technology
from syneff.panel.panel import Panel, Variable
from tests.frontiers import draw

COLUMNS = {"inputs": ["labour", "capital"], "good": "gdp", "bad": "co2"}
NAMES = ("labour", "capital", "gdp", "co2")
STEPS = [partial(step, name="x", solver="simplex", **COLUMNS) for step in (directional, productivity, epsilon_measure)]


def panel() -> Panel:
    data = np.concatenate(list(draw(np.random.default_rng(0), rows=12).values()), axis=1)
    columns = {name: data[:, at].reshape(4, 3) for at, name in enumerate(NAMES)}
    variables = {"labour": Variable("Labour", "劳动", "10^4 persons")}
    return Panel(("Anqing", "Bengbu", "Chuzhou", "Wuhan"), (2004, 2005, 2006), columns, {}, np.ones((4, 3)), variables)


def technology(before: Panel, rows: np.ndarray, reference: str = "global") -> Technology:
    labour, capital, gdp, co2 = (before.columns[name][rows] for name in NAMES)
    period = np.tile(before.periods, (4, 1))[rows]
    return Technology(np.stack([labour, capital], axis=1), gdp[:, None], co2[:, None], period, reference=reference)


def change(before: Panel, name: str, value: float) -> Panel:
    """Set the value of Bengbu in 2005."""
    values = before.columns[name].copy()
    values[1, 1] = value
    return replace(before, columns={**before.columns, name: values})


@pytest.fixture
def gap() -> tuple[Panel, np.ndarray]:
    """Return a panel without Bengbu's GDP in 2005, and its complete rows."""
    rows = np.ones((4, 3), dtype=bool)
    rows[1, 1] = False
    return change(panel(), "gdp", np.nan), rows


def test_directional_distances(gap: tuple[Panel, np.ndarray]) -> None:
    before, rows = gap
    after = directional(before, name="ddf", reference="contemporaneous", solver="simplex", **COLUMNS)
    expected = directional_distance(technology(before, rows, "contemporaneous"), solver="simplex").distance
    np.testing.assert_allclose(after.columns["ddf"][rows], expected, rtol=0, atol=1e-13)
    assert np.isnan(after.columns["ddf"][1, 1])
    assert (after.label("ddf"), after.label("ddf", "zh")) == ("Directional distance", "方向性距离函数值")
    assert after.notes[0].startswith(
        "ddf: 11 rows measured, 1 left out for missing values; 11 of 11 programs are certified"
    )
    weights = {"inputs": [1.0, 0.5], "good": [1.0], "bad": [2.0]}
    after = directional(before, name="nddf", nonradial=True, weights=weights, solver="simplex", **COLUMNS)
    result = nonradial_distance(technology(before, rows), weights, solver="simplex")
    np.testing.assert_allclose(after.columns["nddf"][rows], result.distance, rtol=0, atol=1e-13)
    np.testing.assert_allclose(after.columns["nddf_beta_capital"][rows], result.beta_inputs[:, 1], rtol=0, atol=1e-13)
    np.testing.assert_allclose(after.columns["nddf_beta_co2"][rows], result.beta_bad[:, 0], rtol=0, atol=1e-13)
    assert after.label("nddf_beta_labour") == "Directional distance: Labour"
    assert after.label("nddf_beta_labour", "zh") == "方向性距离函数值:劳动"


@pytest.mark.parametrize("index", ["malmquist_luenberger", "luenberger"])
def test_productivity(gap: tuple[Panel, np.ndarray], index: str) -> None:
    before, rows = gap
    nonradial = index == "luenberger"
    after = productivity(before, name="tfp", index=index, nonradial=nonradial, solver="simplex", **COLUMNS)
    measure = partial(nonradial_distance if nonradial else directional_distance, solver="simplex")
    unit = np.tile(np.arange(4)[:, None], 3)[rows]
    result = (luenberger if nonradial else malmquist_luenberger)(technology(before, rows), unit, measure)
    expected = {"tfp": result.change, "tfp_ec": result.efficiency_change, "tfp_bpc": result.best_practice_change}
    for name, values in expected.items():
        np.testing.assert_allclose(after.columns[name][rows], values, rtol=0, atol=1e-13)
        # The first year has nobody before it, and Bengbu's 2006 has no 2005.
        np.testing.assert_array_equal(
            np.isfinite(after.columns[name]), [[False, True, True], [False] * 3] + [[False, True, True]] * 2
        )
        assert after.label(name) != name
        assert after.label(name, "zh") != name
    assert after.notes[0].startswith(
        "tfp: 11 rows measured, 1 left out for missing values; 6 changes from the previous period"
    )


def test_epsilon_based(gap: tuple[Panel, np.ndarray]) -> None:
    before, rows = gap
    after = epsilon_measure(before, name="ebm", orientation="input", solver="simplex", label="EBM", **COLUMNS)
    result = epsilon_based(technology(before, rows), "input", solver="simplex")
    np.testing.assert_allclose(after.columns["ebm"][rows], result.score, rtol=0, atol=1e-13)
    assert (after.label("ebm"), after.label("ebm", "zh")) == ("EBM", "EBM效率")
    assert f"left out for missing values; epsilon {result.epsilon[0]:.4f} of inputs" in after.notes[0]


@pytest.mark.parametrize("step", STEPS)
def test_rows_of_weight_zero_are_not_measured(step: partial) -> None:
    # The value would make the row dominate all others.
    before = change(panel(), "labour", 1e-6)
    rows = np.ones((4, 3), dtype=bool)
    rows[1, 1] = False
    without = step(before.reweight(rows.astype(float)))
    missing = step(change(panel(), "labour", np.nan))
    np.testing.assert_array_equal(without.columns["x"], missing.columns["x"])
    assert "11 rows measured, 0 left out" in without.notes[0]


@pytest.mark.parametrize("step", STEPS)
def test_bad_input_is_named(step: partial) -> None:
    with pytest.raises(DataError, match=r"1 values are not positive and finite \(Bengbu 2005 co2 = -3\)"):
        step(change(panel(), "co2", -3.0))
    with pytest.raises(DataError, match=r"unknown column 'labor'. Did you mean 'labour'"):
        step(panel(), inputs="labor")
    empty = panel().assign({"energy": np.full((4, 3), np.nan)})
    with pytest.raises(DataError, match="no row has values of all of energy, gdp, co2"):
        step(empty, inputs="energy")


def test_options_of_the_other_distance_are_refused() -> None:
    with pytest.raises(SpecError, match=r"weights= belongs to nonradial=true"):
        directional(panel(), name="x", weights={"good": [1.0]}, **COLUMNS)
    with pytest.raises(SpecError, match=r"direction= belongs to nonradial=false"):
        productivity(panel(), name="x", index="luenberger", nonradial=True, direction=["good"], **COLUMNS)
    with pytest.raises(SpecError, match=r"is made of radial distances. Use index='luenberger'"):
        productivity(panel(), name="x", nonradial=True, **COLUMNS)
    with pytest.raises(SpecError, match=r"Allowed: malmquist_luenberger, luenberger"):
        productivity(panel(), name="x", index="malmquist", **COLUMNS)
