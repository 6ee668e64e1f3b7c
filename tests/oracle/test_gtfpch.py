"""Every column of Stata's teddf and gtfpch (Wang, Du and Zhang 2022, doi:10.1177/1536867X221083886) on 30 provinces x 3 years.

What the columns turned out to be, each found by trying the reference sets, directions and disposabilities:

=========================  ==================================================================================================
``ddf_x_y_b``              inputs K and L (not E), good Y, bad CO2; constant returns, weak, own year's frontier; all move
``ddf_0_y_b``              the same; Y and CO2 move
``nddf_w1111, w.5.511``    the same frontier, non-radial, weights of K, L, Y, CO2
``gml_*``                  global and own frontier, weak, Y and CO2 move; TECH is EC, TECCH is BPC
``glpi_nddf_*``            global and own frontier, non-radial, weights 0, 0, 1, 1
=========================  ==================================================================================================
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from syneff.measure.directional import directional_distance, nonradial_distance
from syneff.measure.productivity import luenberger, malmquist_luenberger
from syneff.measure.technology import Technology
from syneff.numerics.linear_program import Status

TOLERANCE = 1e-7
# Stata's interior point leaves up to 3.5e-7 in single factors that should be 0; the optimum is known better than its point.
POINT = 5e-7
# The indices are stored as float32, and so are the distances they are made of: three roundings of 6e-8 near 1.
FLOAT32 = 2e-7
NAMES = ("K", "L", "Y", "CO2")
WEIGHTS = {"w1111": [1.0, 1.0, 1.0, 1.0], "w.5.511": [0.5, 0.5, 1.0, 1.0]}


@pytest.fixture(scope="module")
def frame(shared: Path) -> pd.DataFrame:
    return pd.read_csv(shared / "oracles" / "dea" / "gtfpch_stata" / "data_expected.csv")


def technology(frame: pd.DataFrame, reference: str = "contemporaneous") -> Technology:
    inputs, good, bad = (frame[names].to_numpy(dtype=float) for names in (["K", "L"], ["Y"], ["CO2"]))
    return Technology(inputs, good, bad, frame["year"].to_numpy(), reference=reference)


def by_block(weights: list[float]) -> dict[str, list[float]]:
    return {"inputs": weights[:2], "good": weights[2:3], "bad": weights[3:]}


@pytest.mark.parametrize("solver", ["simplex", "interior_point"])
@pytest.mark.parametrize(("column", "direction"), [("x_y_b", ("inputs", "good", "bad")), ("0_y_b", ("good", "bad"))])
def test_radial_distances(frame: pd.DataFrame, column: str, direction: tuple[str, ...], solver: str) -> None:
    result = directional_distance(technology(frame), direction, "weak", solver)
    assert set(result.status) == {Status.OPTIMAL}
    np.testing.assert_allclose(result.distance, frame[f"stata_ddf_{column}"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", WEIGHTS)
def test_non_radial_distances(frame: pd.DataFrame, name: str) -> None:
    result = nonradial_distance(technology(frame), by_block(WEIGHTS[name]), "weak", "simplex")
    assert set(result.status) == {Status.OPTIMAL}
    theirs = frame[f"stata_nddf_{name}"].to_numpy()
    np.testing.assert_allclose(result.distance, theirs, rtol=TOLERANCE, atol=TOLERANCE)
    betas = frame[[f"stata_nddf_{name}_B_{each}" for each in NAMES]].to_numpy()
    ours = np.concatenate([result.beta_inputs, result.beta_good, result.beta_bad], axis=1)
    # Factors need not be unique; on these data they are.
    np.testing.assert_allclose(ours, betas, rtol=0, atol=POINT)
    np.testing.assert_allclose(ours @ WEIGHTS[name], result.distance, rtol=0, atol=1e-12)
    for each in (ours, betas):
        assert beyond(frame, each) < POINT


def beyond(frame: pd.DataFrame, betas: np.ndarray) -> float:
    """Return by how much the targets of some factors lie beyond their year's frontier, at most."""
    values = frame[list(NAMES)].to_numpy(dtype=float)
    targets = values * (1.0 + betas * [-1.0, -1.0, 1.0, -1.0])
    both = np.concatenate([targets, values])
    years = frame["year"].to_numpy()
    worst = 0.0
    for year in np.unique(years):
        rows = np.tile(years == year, 2)
        own = rows & (np.arange(rows.size) >= len(frame))
        units = Technology(both[rows][:, :2], both[rows][:, 2:3], both[rows][:, 3:], reference=own[rows])
        excess = directional_distance(units, ("inputs", "good", "bad"), "strong", "simplex").distance
        worst = max(worst, float(-excess.min()))
    return worst


def test_global_malmquist_luenberger(frame: pd.DataFrame) -> None:
    result = malmquist_luenberger(
        technology(frame, "global"), frame["Province"].to_numpy(), partial(directional_distance, solver="simplex")
    )
    parts = {"TFPCH": result.change, "TECH": result.efficiency_change, "TECCH": result.best_practice_change}
    for name, ours in parts.items():
        np.testing.assert_allclose(ours, frame[f"stata_gml_{name}"], rtol=0, atol=FLOAT32, err_msg=name)


def test_global_luenberger(frame: pd.DataFrame) -> None:
    distance = partial(nonradial_distance, weights={"good": [1.0], "bad": [1.0]}, solver="simplex")
    result = luenberger(technology(frame, "global"), frame["Province"].to_numpy(), distance)
    parts = {"TFPCH": result.change, "TECH": result.efficiency_change, "TECCH": result.best_practice_change}
    for name, ours in parts.items():
        np.testing.assert_allclose(ours, frame[f"stata_glpi_nddf_{name}"], rtol=0, atol=FLOAT32, err_msg=name)
