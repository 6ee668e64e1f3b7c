"""Shadow prices, slacks and peers: the dual programme of Tone, HiGHS's multipliers, and ties in any order of rows."""

import numpy as np
import pytest
from scipy.optimize import linprog

from syneff.measure.efficiency import Technology, slacks_based
from syneff.measure.result import Efficiency
from syneff.numerics.linear_program import Status
from tests.frontiers import EFFICIENT, TIGHT, draw

RNG = np.random.default_rng(7)
UNITS = Technology(**draw(RNG))
TIED = {
    "inputs": RNG.integers(1, 5, (30, 2)).astype(float),
    "good": RNG.integers(1, 5, (30, 1)).astype(float),
    "bad": RNG.integers(1, 5, (30, 1)).astype(float),
}


def values(units: Technology, result: Efficiency) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what each unit's own data are worth at its prices."""
    prices = result.prices
    blocks = ((prices.inputs, units.inputs), (prices.good, units.good), (prices.bad, units.bad))
    one, two, three = (price * np.asarray(block) for price, block in blocks)
    return one, two, three


@pytest.mark.parametrize("solver", ["interior_point", "simplex"])
def test_prices_solve_the_dual_programme(solver: str) -> None:
    """Tone (2001, eq. 18): max xi, xi = 1 - v x_o + u y_o - w b_o, v X - u Y + w B >= 0, v >= 1/(m x_o), u, w likewise."""
    result = slacks_based(UNITS, super_efficiency=False, solver=solver)
    inefficient = np.flatnonzero(result.score < EFFICIENT)
    assert inefficient.size > 20
    worth = values(UNITS, result)
    assert np.isfinite(worth[0][inefficient]).all(), "these optima are unique"
    cost, revenue, damage = (each.sum(axis=1) for each in worth)
    np.testing.assert_allclose((1 - cost + revenue - damage)[inefficient], result.score[inefficient], rtol=1e-10)
    profit = (
        result.prices.inputs @ np.asarray(UNITS.inputs).T
        - result.prices.good @ np.asarray(UNITS.good).T
        + result.prices.bad @ np.asarray(UNITS.bad).T
    )
    assert profit[inefficient].min() > -1e-10, "no unit makes a profit at anyone's prices"
    assert worth[0][inefficient].min() >= 1 / 2 - 1e-10
    assert (worth[1] - result.score[:, None] / 2)[inefficient].min() >= -1e-10
    assert (worth[2] - result.score[:, None] / 2)[inefficient].min() >= -1e-10


def test_prices_are_the_multipliers_of_highs() -> None:
    result = slacks_based(UNITS, solver="simplex")
    x, y, b = (np.asarray(each) for each in (UNITS.inputs, UNITS.good, UNITS.bad))
    for row in np.flatnonzero(result.score < EFFICIENT)[:10]:
        # Variables t, slacks of x, y and b, intensities; rows in the units of the data.
        data = np.concatenate([x, y, b], axis=1)
        slack = np.diag([1.0, 1.0, -1.0, 1.0])
        rows = np.column_stack([-data[row], slack, data.T])
        norm = np.concatenate([[1.0, 0.0, 0.0], 0.5 / data[row, 2:], np.zeros(len(data))])
        cost = np.concatenate([[1.0], -0.5 / data[row, :2], np.zeros(2 + len(data))])
        answer = linprog(cost, A_eq=np.vstack([rows, norm]), b_eq=np.eye(5)[4], options=TIGHT)
        y_highs = answer.eqlin.marginals[:4] * [-1, -1, 1, -1]
        ours = np.concatenate([result.prices.inputs[row], result.prices.good[row], result.prices.bad[row]])
        np.testing.assert_allclose(ours, y_highs, rtol=1e-7)


def test_super_efficient_units_have_prices_of_their_own() -> None:
    plain = slacks_based(UNITS, super_efficiency=False, solver="simplex")
    result = slacks_based(UNITS, solver="simplex")
    over = result.score > 1 + 1e-6
    assert np.isnan(plain.prices.inputs[over]).all(), "a corner of the frontier has no price"
    assert np.isfinite(result.prices.inputs[over]).all()
    cost, revenue, damage = (each.sum(axis=1) for each in values(UNITS, result))
    inside = over & (result.score < result.cap - 1e-6)
    np.testing.assert_allclose((1 - cost + revenue - damage)[inside], result.score[inside], rtol=1e-10)


@pytest.mark.parametrize("super_efficiency", [True, False])
@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_ties_do_not_depend_on_the_order_of_rows(returns: str, super_efficiency: bool) -> None:
    one = slacks_based(Technology(**TIED, returns=returns), super_efficiency, solver="simplex")
    order = np.random.default_rng(1).permutation(30)
    turned = Technology(**{name: block[order] for name, block in TIED.items()}, returns=returns)
    for solver in ("simplex", "interior_point"):
        other = slacks_based(turned, super_efficiency, solver=solver)
        for name in ("score", "slack_inputs", "slack_good", "slack_bad"):
            np.testing.assert_allclose(getattr(other, name), getattr(one, name)[order], atol=1e-7, err_msg=name)
        for name in ("inputs", "good", "bad"):
            np.testing.assert_allclose(
                getattr(other.prices, name), getattr(one.prices, name)[order], rtol=1e-7, atol=1e-12
            )
        np.testing.assert_allclose(_multipliers(other, order), _multipliers(one, np.arange(30))[order], atol=1e-7)
    assert (one.status == Status.OPTIMAL).sum() > 20


def _multipliers(result: Efficiency, original: np.ndarray) -> np.ndarray:
    """Return the matrix ``[dmu unit]`` of multipliers, units by their original number."""
    matrix = np.zeros((30, 30))
    for row, (peers, intensity) in enumerate(zip(result.peers.index, result.peers.intensity, strict=True)):
        for peer, each in zip(peers[peers >= 0], intensity[peers >= 0], strict=True):
            matrix[row, original[peer]] += each
    return matrix


def test_twins_share_their_part() -> None:
    """Of two units that are alike, a third one uses both by the same multiplier."""
    x = np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 3.0]])
    result = slacks_based(Technology(inputs=x, good=np.ones((3, 1))), orientation="input", solver="simplex")
    assert result.peers.index[2].tolist() == [0, 1]
    np.testing.assert_allclose(result.peers.intensity[2], [0.5, 0.5], rtol=1e-10)
