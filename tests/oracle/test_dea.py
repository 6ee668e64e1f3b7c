"""Scores against programs and tables that were not made here; see design/efficiency.md for how each was made."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from syneff.measure.directional import directional_distance
from syneff.measure.efficiency import Technology, slacks_based
from syneff.numerics.linear_program import Status

ORIENTATIONS = {"no": "none", "io": "input", "oo": "output"}
RETURNS = ("crs", "vrs", "nirs", "ndrs")
SOLVERS = ("interior_point", "simplex")
DEAR_TOLERANCE = 1e-9
DEAR_FILES = (
    "Airlines",
    "CST2007_T1.5_hospitals",
    "Coll_Blasco_2006",
    "Electric_plants",
    "Hua_Bian_2007",
    "Power_plants",
    "Tone2001",
    "Tone2003",
)


def read(folder: Path, *path: str) -> pd.DataFrame:
    return pd.read_csv(folder.joinpath("oracles", "dea", *path))


def block(frame: pd.DataFrame, *names: str) -> np.ndarray:
    return frame[list(names)].to_numpy(dtype=float)


def dear_data(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    inputs = [name for name in frame if name[0] == "x"]
    outputs = [name for name in frame if name[0] in "yo" and name[1:].isdigit()]
    if outputs[0][0] == "y":
        return {"inputs": block(frame, *inputs), "good": block(frame, *outputs)}
    return {"inputs": block(frame, *inputs), "good": block(frame, *outputs[:-1]), "bad": block(frame, outputs[-1])}


def check_dear(frame: pd.DataFrame, orientation: str, returns: str, solver: str = "simplex") -> None:
    technology = Technology(**dear_data(frame), returns=returns)
    for super_efficiency in (False, True):
        column = f"{'super' if super_efficiency else 'sbm'}_{orientation}_{returns}"
        if column not in frame:
            continue
        expected = frame[column].to_numpy(dtype=float)
        result = slacks_based(technology, super_efficiency, ORIENTATIONS[orientation], solver=solver)
        infeasible = result.status == Status.INFEASIBLE
        np.testing.assert_array_equal(infeasible, np.isnan(expected), err_msg=column)
        assert set(result.status) <= {Status.OPTIMAL, Status.INFEASIBLE}
        measured = ~infeasible
        if super_efficiency:
            # deaR evaluates the super programme alone, which is 1 where the unit is inefficient.
            measured &= result.score >= 1 - 1e-7
            inefficient = ~infeasible & ~measured
            np.testing.assert_allclose(expected[inefficient], 1.0, atol=DEAR_TOLERANCE, err_msg=column)
        np.testing.assert_allclose(result.score[measured], expected[measured], rtol=DEAR_TOLERANCE, err_msg=column)
        assert np.max(np.abs(result.gap[~infeasible])) <= 1e-9


@pytest.mark.parametrize("returns", RETURNS)
@pytest.mark.parametrize("name", DEAR_FILES)
def test_dear_non_oriented(shared: Path, name: str, returns: str) -> None:
    check_dear(read(shared, "deaR", f"{name}.csv"), "no", returns)


@pytest.mark.parametrize("returns", ["crs", "vrs"])
@pytest.mark.parametrize("name", ["CST2007_T1.5_hospitals", "Coll_Blasco_2006", "Tone2001", "Tone2003"])
def test_dear_by_interior_point(shared: Path, name: str, returns: str) -> None:
    check_dear(read(shared, "deaR", f"{name}.csv"), "no", returns, "interior_point")


@pytest.mark.slow
@pytest.mark.parametrize("returns", RETURNS)
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", DEAR_FILES)
def test_dear_by_both_solvers(shared: Path, name: str, orientation: str, returns: str) -> None:
    for solver in SOLVERS:
        check_dear(read(shared, "deaR", f"{name}.csv"), orientation, returns, solver)


def test_every_column_of_dear_is_known(shared: Path) -> None:
    scores = {f"{kind}_{o}_{r}" for kind in ("sbm", "super") for o in ORIENTATIONS for r in RETURNS}
    assert {path.stem for path in (shared / "oracles" / "dea" / "deaR").glob("*.csv")} == set(DEAR_FILES)
    for name in DEAR_FILES:
        frame = read(shared, "deaR", f"{name}.csv")
        data = sum(each.shape[1] for each in dear_data(frame).values())
        found = set(frame.columns[1 + data :])
        # deaR has no super-efficiency with bad outputs.
        assert found == {each for each in scores if "bad" not in dear_data(frame) or each.startswith("sbm")}, name


def radial(inputs: np.ndarray, good: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Score by CCR, input-oriented: 1 less the distance in the direction of the inputs."""
    technology = Technology(inputs, good, reference="global" if mask is None else mask)
    return 1.0 - directional_distance(technology, ("inputs",), "strong", "simplex").distance


def test_radial_scores_beside_tones_slacks_based_ones(shared: Path) -> None:
    frame = read(shared, "tone2001_table1_2", "data_expected.csv")
    ours = radial(block(frame, "x1", "x2"), block(frame, "y1", "y2"))
    np.testing.assert_allclose(ours, frame["ccr_io"], atol=5.1e-4)
    frame = read(shared, "tone2002_table1", "data_expected.csv")
    np.testing.assert_allclose(radial(block(frame, "x1", "x2"), block(frame, "y")), frame["ccr_io"], atol=5.1e-5)
    frame = read(shared, "tone2002_table2_4_powerplants", "data_expected.csv")
    data = block(frame, "x1", "x2", "x3", "x4"), block(frame, "y1", "y2")
    everyone = np.arange(len(frame))
    ours = np.array([radial(*data, everyone != row)[row] for row in everyone])
    np.testing.assert_allclose(ours, frame["ccr_super_io"], atol=5.1e-5)


def test_tone_2001(shared: Path) -> None:
    frame = read(shared, "tone2001_table1_2", "data_expected.csv")
    result = slacks_based(Technology(block(frame, "x1", "x2"), block(frame, "y1", "y2")), super_efficiency=False)
    np.testing.assert_allclose(result.score, frame["sbm_no_crs"], atol=5.1e-4)
    np.testing.assert_allclose(result.slack_inputs, block(frame, "s_x1", "s_x2"), atol=5.1e-4)
    np.testing.assert_allclose(result.slack_good, block(frame, "s_y1", "s_y2"), atol=5.1e-4)


def test_tone_2002(shared: Path) -> None:
    frame = read(shared, "tone2002_table1", "data_expected.csv")
    technology = Technology(block(frame, "x1", "x2"), block(frame, "y"))
    plain = slacks_based(technology, super_efficiency=False, solver="simplex").score
    np.testing.assert_allclose(plain, frame["sbm_no_crs"], atol=6e-5)  # B is printed .6191, and is 13/21 = .61905
    expected = frame["super_no_crs"].fillna(frame["sbm_no_crs"])
    np.testing.assert_allclose(slacks_based(technology, solver="simplex").score, expected, atol=6e-5)


def test_tone_2002_power_plants(shared: Path) -> None:
    frame = read(shared, "tone2002_table2_4_powerplants", "data_expected.csv")
    inputs = block(frame, "x1", "x2", "x3", "x4")
    result = slacks_based(Technology(inputs, block(frame, "y1", "y2")), orientation="input", solver="simplex")
    np.testing.assert_allclose(result.score, frame["super_io_crs"], atol=5.1e-5)
    efficient = result.score > 1
    target = (inputs - result.slack_inputs)[efficient]
    np.testing.assert_allclose(target, block(frame, "px1", "px2", "px3", "px4")[efficient], atol=5.1e-3)


@pytest.mark.parametrize("weight", ["0.3", "1", "3"])
def test_tone_2004_weights(shared: Path, weight: str) -> None:
    frame = read(shared, "tone2004_table1_2", "data_expected.csv")
    technology = Technology(block(frame, "x"), block(frame, "y_good"), block(frame, "y_bad"), returns="vrs")
    weights = {"good": [1.0], "bad": [float(weight)]}
    result = slacks_based(technology, super_efficiency=False, solver="simplex", weights=weights)
    np.testing.assert_allclose(result.score, frame[f"sbm_no_vrs_w1_{weight}"], atol=5.1e-4)
    if weight == "1":
        projected = frame["y_good"] + result.slack_good[:, 0], frame["y_bad"] - result.slack_bad[:, 0]
        np.testing.assert_allclose(projected, [frame["proj_good_1_1"], frame["proj_bad_1_1"]], atol=5.1e-3)


@pytest.mark.parametrize("solver", ["interior_point", "simplex"])
def test_global_super_sbm_of_720_provinces(shared: Path, solver: str) -> None:
    frame = read(shared, "wjzhu2026_global_supersbm", "data_expected.csv")
    inputs = block(frame, "TPAM", "EIA", "CS", "AFA", "PU", "ADY", "PFU", "NRP")
    technology = Technology(inputs, block(frame, "GAO"), block(frame, "CEA"), returns="vrs")
    result = slacks_based(technology, solver=solver)
    assert set(result.status) == {Status.OPTIMAL}
    assert np.max(np.abs(result.gap)) <= 1e-9
    np.testing.assert_allclose(result.score, frame["oracle_score"], atol=1e-8)
    plain = slacks_based(technology, super_efficiency=False, solver=solver)
    np.testing.assert_allclose(plain.score, frame["oracle_sbm"], atol=1e-8)
    # The MATLAB tool stops early in a few rows, always above the optimum.
    excess = frame["expected_score"] - result.score
    assert excess.min() > -1e-7
    assert (excess > 1e-7).sum() == 5
