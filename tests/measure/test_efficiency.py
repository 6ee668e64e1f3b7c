"""Scores against HiGHS, closed forms and algebra: options, reference sets, extreme data, messages."""

from typing import Any

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.measure.efficiency import Efficiency, Technology, slacks_based
from syneff.numerics.linear_program import Status
from tests.frontiers import EFFICIENT, draw, highs_scores

TOLERANCE = 1e-10  # HiGHS's own, at its tightest, on scaled columns
SPLIT = np.repeat([2004, 2005, 2006], [15, 12, 13])


def technology(seed: int = 0, bad: int = 1, **options: Any) -> Technology:
    return Technology(**draw(np.random.default_rng(seed), bad=bad), **options)


def check_against_highs(units: Technology, **options: Any) -> Efficiency:
    """Compare all scores; a unit without a score must be infeasible."""
    solver = options.pop("solver", "simplex")
    expected = highs_scores(units, **options)
    result = slacks_based(units, solver=solver, **options)
    np.testing.assert_allclose(result.score, expected, atol=TOLERANCE)
    np.testing.assert_array_equal(result.status == Status.INFEASIBLE, np.isnan(expected))
    assert set(result.status) <= {Status.OPTIMAL, Status.INFEASIBLE}
    assert (expected > 1 + 1e-3).any(), "the data must try the second stage"
    assert (expected < 1 - 1e-3).any(), "and the first"
    return result


@pytest.mark.parametrize("returns", ["crs", "vrs"])
@pytest.mark.parametrize("solver", ["interior_point", "simplex"])
def test_bad_outputs_scored_with_outputs(returns: str, solver: str) -> None:
    check_against_highs(technology(1, returns=returns), solver=solver)


@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_two_bad_outputs(returns: str) -> None:
    check_against_highs(technology(2, bad=2, returns=returns))


def test_bad_outputs_scored_with_inputs() -> None:
    check_against_highs(technology(3), bads="inputs")


def test_two_bad_outputs_scored_with_inputs() -> None:
    check_against_highs(technology(13, bad=2), bads="inputs")


@pytest.mark.parametrize("orientation", ["input", "output"])
def test_orientations(orientation: str) -> None:
    check_against_highs(technology(4, returns="vrs"), orientation=orientation)


@pytest.mark.parametrize("returns", ["nirs", "ndrs"])
def test_returns_to_scale(returns: str) -> None:
    check_against_highs(technology(5, returns=returns))


@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_contemporaneous_is_a_global_run_for_each_year(returns: str) -> None:
    data = draw(np.random.default_rng(6))
    order = np.random.default_rng(7).permutation(SPLIT.size)
    year = SPLIT[order]
    together = slacks_based(Technology(**data, period=year, returns=returns, reference="contemporaneous"))
    for each in np.unique(year):
        rows = np.flatnonzero(year == each)
        alone = slacks_based(Technology(**{name: block[rows] for name, block in data.items()}, returns=returns))
        np.testing.assert_allclose(together.score[rows], alone.score, rtol=0, atol=1e-13)
        np.testing.assert_array_equal(together.status[rows], alone.status)
        assert set(together.peers.index[rows].ravel()) <= {-1, *rows}


def test_rows_outside_the_reference_are_measured_against_it() -> None:
    mask = np.arange(40) % 3 > 0
    data = draw(np.random.default_rng(8))
    data["inputs"][[0, 3]] *= 0.1  # beyond the frontier of the others: the first stage has no feasible point
    result = check_against_highs(Technology(**data, reference=mask))
    assert (result.score[~mask] > 1 + 1e-3).any()
    assert (result.score[~mask] < 1 - 1e-3).any()
    peers = result.peers.index[result.peers.index >= 0]
    assert mask[peers].all()


def one_shape(factor_x: float, factor_b: float, rows: int = 6) -> dict[str, np.ndarray]:
    """Equal units, but the first one uses and emits a part of what the others do for the same output."""
    data = {"inputs": np.full((rows, 2), [3.0, 70.0]), "good": np.full((rows, 1), 0.2), "bad": np.full((rows, 1), 11.0)}
    data["inputs"][0] *= factor_x
    data["bad"][0] *= factor_b
    return data


# With x and b halved: (1 - 1/2) / (1 + (0 + 1/2)/2) for the others. Under constant returns the first unit may shrink the
# others by half, so that only its output falls: 1 / (1 - (1/2)/2). Under variable returns it has to bear all of x and b
# doubled: 2 / (1 - (0 + 1)/2).
@pytest.mark.parametrize(("returns", "first"), [("crs", 4 / 3), ("vrs", 4.0)])
def test_one_dominating_unit(returns: str, first: float) -> None:
    result = slacks_based(Technology(**one_shape(0.5, 0.5), returns=returns))
    np.testing.assert_allclose(result.score, [first, 0.4, 0.4, 0.4, 0.4, 0.4], rtol=1e-13)
    np.testing.assert_allclose(result.slack_inputs[1:], np.full((5, 2), [1.5, 35.0]), rtol=1e-12)
    np.testing.assert_allclose(result.slack_bad[1:], 5.5, rtol=1e-12)
    np.testing.assert_allclose(result.slack_good[1:], 0.0, atol=1e-12)
    assert (result.peers.index[1:, 0] == 0).all()
    plain = slacks_based(Technology(**one_shape(0.5, 0.5), returns=returns), super_efficiency=False)
    np.testing.assert_allclose(plain.score, [1.0, 0.4, 0.4, 0.4, 0.4, 0.4], rtol=1e-13)


@pytest.mark.parametrize("ratio", [1e2, 1e6])
def test_constant_returns_cap_the_score(ratio: float) -> None:
    # The others shrunk by `ratio` reach the first unit's x and b, and 1/ratio of its output: 1 / (1 - (1 - 1/ratio)/2).
    score = slacks_based(Technology(**one_shape(1 / ratio, 1 / ratio))).score[0]
    np.testing.assert_allclose(score, 2 / (1 + 1 / ratio), rtol=1e-10)
    assert score <= 2.0


def test_the_cap_with_two_bad_outputs() -> None:
    data = one_shape(1e-6, 1e-6)
    score = slacks_based(Technology(data["inputs"], data["good"], np.repeat(data["bad"], 2, axis=1))).score[0]
    np.testing.assert_allclose(score, 3 / (2 + 1e-6), rtol=1e-10)
    assert score <= 1.5


def test_infeasible_units_are_named() -> None:
    # A bad output 1000 times the unit's own would make the denominator 1 - 999/2.
    result = slacks_based(Technology(**one_shape(0.5, 0.001), returns="vrs"))
    assert result.status.tolist() == [Status.INFEASIBLE] + 5 * [Status.OPTIMAL]
    assert np.isnan(result.score[0])
    assert np.isnan(result.slack_inputs[0]).all()
    names = ["Wuhan 2004", "Anqing 2004", "Anqing 2005", "Anqing 2006", "Bengbu 2004", "Bengbu 2005"]
    summary = result.summary(names)
    assert "1 of 6 programs are infeasible under vrs (first: Wuhan 2004; use returns=crs)" in summary
    assert "5 of 6 programs are certified optimal" in summary
    assert "row 0" in result.summary()


@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_duplicates_of_efficient_units_score_one(returns: str) -> None:
    data = draw(np.random.default_rng(9), rows=30)
    best = np.flatnonzero(slacks_based(Technology(**data, returns=returns), super_efficiency=False).score >= EFFICIENT)
    twice = {name: np.concatenate([block, block[best]]) for name, block in data.items()}
    result = slacks_based(Technology(**twice, returns=returns))
    np.testing.assert_allclose(result.score[best], 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.score[30:], 1.0, rtol=0, atol=1e-12)


def test_scaled_duplicates_score_one_under_constant_returns() -> None:
    scale = np.array([1e-9, 1e-4, 1.0, 3.0, 1e4, 1e9])[:, None]
    data = {name: block * scale for name, block in one_shape(1.0, 1.0).items()}
    np.testing.assert_allclose(slacks_based(Technology(**data)).score, 1.0, rtol=0, atol=1e-12)


@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_equal_units_score_one(returns: str) -> None:
    result = slacks_based(Technology(**one_shape(1.0, 1.0), returns=returns))
    np.testing.assert_allclose(result.score, 1.0, rtol=0, atol=1e-13)


# Alone, a unit has nobody to be compared with: its output may fall to 0, which scores (s + q)/q, unless returns to scale
# ask for a combination of others.
@pytest.mark.parametrize(("returns", "score"), [("crs", 2.0), ("nirs", 2.0), ("vrs", np.nan), ("ndrs", np.nan)])
def test_one_unit(returns: str, score: float) -> None:
    data = one_shape(1.0, 1.0, rows=1)
    result = slacks_based(Technology(**data, returns=returns), solver="simplex")
    np.testing.assert_allclose(result.score, [score], rtol=1e-13)
    assert result.status.tolist() == [Status.INFEASIBLE if np.isnan(score) else Status.OPTIMAL]
    plain = slacks_based(Technology(**data, returns=returns), super_efficiency=False, solver="simplex")
    np.testing.assert_allclose(plain.score, [1.0], rtol=1e-13)


def combination(block: Any, result: Efficiency) -> np.ndarray:
    return np.einsum("op,opv->ov", result.peers.intensity, np.asarray(block)[np.maximum(result.peers.index, 0)])


@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_slacks_peers_and_scores_agree(returns: str) -> None:
    units = technology(11, returns=returns)
    result = slacks_based(units)
    solved = result.status == Status.OPTIMAL
    x, y, b = (np.asarray(each) for each in (units.inputs, units.good, units.bad))
    numerator = 1 - (result.slack_inputs / x).mean(axis=1)
    denominator = 1 + np.concatenate([result.slack_good / y, result.slack_bad / b], axis=1).mean(axis=1)
    np.testing.assert_allclose((numerator / denominator)[solved], result.score[solved], rtol=1e-10)
    over = solved & (result.score >= EFFICIENT)
    under = solved & ~over
    assert over.any()
    assert under.any()
    made = [combination(each, result) for each in (x, y, b)]
    target = [x - result.slack_inputs, y + result.slack_good, b - result.slack_bad]
    for a, each in zip(made, target, strict=True):
        np.testing.assert_allclose(a[under], each[under], rtol=1e-9)
    for a, each, sign in zip(made, target, (1, -1, 1), strict=True):
        assert (sign * (a / each)[over] <= sign + 1e-9).all()
    for slack in (result.slack_inputs, result.slack_good, result.slack_bad):
        assert (slack[under] >= 0).all()
        assert (slack[over] <= 0).all()
    own = result.peers.index == np.arange(units.rows)[:, None]
    assert not own[over].any()
    if returns == "vrs":
        np.testing.assert_allclose(result.peers.intensity[solved].sum(axis=1), 1.0, rtol=1e-10)
    np.testing.assert_array_equal(result.peers.index == -1, result.peers.intensity == 0)


def test_weights_are_relative() -> None:
    units = technology(12)
    equal = slacks_based(units).score
    again = slacks_based(units, weights={"inputs": [5.0, 5.0], "good": [0.1], "bad": [0.1]}).score
    np.testing.assert_allclose(again, equal, rtol=0, atol=1e-13)
    assert np.abs(slacks_based(units, weights={"inputs": [5.0, 1.0]}).score - equal).max() > 1e-3


BAD_DATA = [
    ({"inputs": np.array([[1.0, 2.0], [0.0, 1.0]])}, r"inputs: 1 values are not positive.*row 1 column 0: 0\)"),
    ({"good": np.array([[np.nan], [1.0]])}, r"good: 1 values .*row 0 column 0: nan"),
    ({"bad": np.array([[np.inf], [-1.0]])}, r"bad: 2 values .*row 0 column 0: inf, row 1 column 0: -1"),
    ({"good": np.ones((3, 1))}, r"good has 3 rows, but inputs has 2"),
    ({"inputs": np.ones(2)}, r"inputs has shape \(2,\); it must be \[dmu, variable\]"),
    ({"good": np.ones((2, 0))}, r"good has shape \(2, 0\)"),
    ({"period": [2004]}, r"period has shape \(1,\); it must have one entry for each of the 2 rows"),
    ({"reference": np.array([True])}, r"reference has shape \(1,\)"),
]


@pytest.mark.parametrize(("change", "message"), BAD_DATA)
def test_bad_data_are_named(change: dict[str, Any], message: str) -> None:
    fine = {"inputs": np.ones((2, 2)), "good": np.ones((2, 1)), "bad": np.ones((2, 1))}
    with pytest.raises(DataError, match=message):
        Technology(**{**fine, **change})


BAD_TECHNOLOGY = [
    ({"returns": "irs"}, r"unknown value for returns: 'irs'.*Allowed: crs, vrs, nirs, ndrs"),
    ({"reference": "globl"}, r"Did you mean 'global'"),
    ({"reference": "contemporaneous"}, r"needs the period"),
    ({"reference": np.zeros(2, dtype=bool)}, r"at least one True"),
    ({"reference": np.ones(2)}, r"must be boolean"),
]


@pytest.mark.parametrize(("change", "message"), BAD_TECHNOLOGY)
def test_bad_technologies_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Technology(np.ones((2, 2)), np.ones((2, 1)), **change)


BAD_OPTIONS = [
    ({"orientation": "inputs"}, r"unknown value for orientation: 'inputs'. Did you mean 'input'"),
    ({"bads": "good"}, r"unknown value for bads"),
    ({"solver": "highs"}, r"Allowed: interior_point, simplex"),
    ({"weights": {"input": [1.0, 1.0]}}, r"Did you mean 'inputs'"),
    ({"weights": {"inputs": [1.0]}}, r"weights\['inputs'\] must be 2 positive numbers"),
    ({"weights": {"good": [0.0]}}, r"weights\['good'\] must be 1 positive numbers"),
]


def test_more_rows_than_the_solvers_take_are_refused() -> None:
    # 15 inputs, the good and the bad output, normalisation, the good output's cap, and the sum of intensities.
    units = Technology(np.ones((2, 15)), np.ones((2, 1)), np.ones((2, 2)), returns="vrs")
    with pytest.raises(SpecError, match="15 inputs, 1 good and 2 bad outputs make programs of 21 rows; at most 20"):
        slacks_based(units)


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    units = Technology(np.ones((2, 2)), np.ones((2, 1)), np.ones((2, 1)))
    with pytest.raises(SpecError, match=message):
        slacks_based(units, **options)


@pytest.mark.parametrize("solver", ["interior_point", "simplex"])
def test_scores_and_their_proof_are_the_same_without_the_middle_of_the_optima(solver: str) -> None:
    # Every row twice: each optimum has many peers.
    units = {name: np.concatenate([block, block]) for name, block in draw(np.random.default_rng(3), rows=20).items()}
    centred, vertex = (slacks_based(Technology(**units), solver=solver, centred=each) for each in (True, False))
    for name in ("score", "status", "gap", "resolved", "cap"):
        np.testing.assert_array_equal(getattr(centred, name), getattr(vertex, name))
    assert not np.array_equal(centred.peers.intensity, vertex.peers.intensity)
    # A vertex is an optimum too: its slacks give the score.
    for each in (centred, vertex):
        inputs = (each.slack_inputs / units["inputs"]).mean(axis=1)
        outputs = np.concatenate([each.slack_good / units["good"], each.slack_bad / units["bad"]], axis=1).mean(axis=1)
        np.testing.assert_allclose((1 - inputs) / (1 + outputs), each.score, atol=1e-9)
