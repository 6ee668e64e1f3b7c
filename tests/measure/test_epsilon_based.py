"""The epsilon-based measure against HiGHS, its limiting cases, its affinities, and messages."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.errors import SpecError
from syneff.measure.affinity import affinity
from syneff.measure.directional import directional_distance
from syneff.measure.efficiency import slacks_based
from syneff.measure.epsilon_based import EpsilonBased, epsilon_based
from syneff.measure.technology import Technology
from syneff.numerics.linear_program import Status
from tests import envelopes
from tests.frontiers import draw

ORIENTATIONS = ("none", "input", "output")
GIVEN = {"inputs": np.array([0.25, 0.75]), "good": np.array([0.6]), "bad": np.array([0.4])}
few = settings(deadline=None, max_examples=8)


def technology(seed: int, bad: int = 1, **options: Any) -> Technology:
    return Technology(**draw(np.random.default_rng(seed), rows=30, bad=bad), **options)


def measure(units: Technology, orientation: str = "none", bads: str = "outputs", **options: Any) -> EpsilonBased:
    return epsilon_based(units, orientation, bads, "simplex", **options)


def check(units: Technology, result: EpsilonBased, orientation: str, bads: str) -> None:
    expected = [
        envelopes.ebm(units, row, orientation, bads, epsilon=result.epsilon, weights=dict(result.weights))
        for row in range(units.rows)
    ]
    np.testing.assert_allclose(result.score, expected, rtol=0, atol=1e-9)
    assert set(result.status) == {Status.OPTIMAL}
    # Score, factors and slacks say the same.
    x, y, b = envelopes.blocks(units)
    inner = result.slack_inputs / x @ result.weights["inputs"]
    outer = result.slack_good / y @ result.weights["good"]
    on_bad = result.slack_bad / b @ result.weights["bad"]
    inner, outer = (inner + on_bad, outer) if bads == "inputs" else (inner, outer + on_bad)
    top = result.theta - result.epsilon[0] * inner if orientation != "output" else 1.0
    bottom = result.eta + result.epsilon[1] * outer if orientation != "input" else 1.0
    np.testing.assert_allclose(top / bottom, result.score, rtol=1e-9)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("returns", ["crs", "vrs", "nirs", "ndrs"])
def test_against_highs(returns: str, orientation: str) -> None:
    units = technology(1, returns=returns)
    check(units, measure(units, orientation), orientation, "outputs")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_bad_outputs_scored_with_inputs(orientation: str) -> None:
    units = technology(2)
    check(units, measure(units, orientation, "inputs"), orientation, "inputs")


@pytest.mark.parametrize("solver", ["interior_point", "simplex"])
def test_given_parameters_and_periods(solver: str) -> None:
    units = technology(3, period=np.arange(30) % 3, reference="contemporaneous", returns="vrs")
    result = epsilon_based(
        units, solver=solver, epsilon=[0.3, 0.8], weights={"inputs": [1.0, 3.0], "good": [3.0], "bad": [2.0]}
    )
    assert result.epsilon == (0.3, 0.8)
    for name, weight in GIVEN.items():
        np.testing.assert_allclose(result.weights[name], weight, rtol=1e-15)
    check(units, result, "none", "outputs")


@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_epsilon_zero_is_radial(returns: str) -> None:
    units = technology(4, returns=returns)
    radial = directional_distance(units, ("inputs",), "strong", "simplex").distance
    np.testing.assert_allclose(measure(units, "input", epsilon=[0.0, 0.0]).score, 1.0 - radial, rtol=1e-11)
    radial = directional_distance(units, ("good", "bad"), "strong", "simplex").distance
    np.testing.assert_allclose(measure(units, "output", epsilon=[0.0, 0.0]).score, 1.0 / (1.0 + radial), rtol=1e-11)
    radial = directional_distance(units, ("inputs", "bad"), "strong", "simplex").distance
    np.testing.assert_allclose(measure(units, "input", "inputs", epsilon=[0.0, 0.0]).score, 1.0 - radial, rtol=1e-11)


@few
@given(st.integers(0, 10**6), st.sampled_from(["crs", "vrs"]))
def test_epsilon_one_is_slacks_based(seed: int, returns: str) -> None:
    units = technology(seed, returns=returns)
    for bads in ("outputs", "inputs"):
        plain = slacks_based(units, False, bads=bads, solver="simplex").score
        both = measure(units, bads=bads, epsilon=[1.0, 1.0], weights={})
        np.testing.assert_allclose(both.score, plain, rtol=0, atol=1e-9)
    plain = slacks_based(units, False, "input", solver="simplex").score
    scores = [measure(units, "input", epsilon=[each, 0.0], weights={}).score for each in (0.0, 0.5, 1.0)]
    # With its factor free, the oriented measure falls as epsilon rises, down to at most SBM.
    assert (scores[1] <= scores[0] + 1e-9).all()
    assert (scores[2] <= scores[1] + 1e-9).all()
    assert (scores[2] <= plain + 1e-9).all()
    assert (scores[0] >= plain - 1e-9).all()


def test_epsilon_one_with_one_output_by_hand() -> None:
    # Constant returns: the cheapest way to the output at prices w / x of the unit itself.
    data = draw(np.random.default_rng(5), rows=20)
    x, y = data["inputs"], data["good"][:, 0]
    result = measure(Technology(x, data["good"]), "input", epsilon=[1.0, 0.0], weights={"inputs": [1.0, 3.0]})
    cost = (x[None, :, :] / x[:, None, :]) @ np.array([0.25, 0.75])
    np.testing.assert_allclose(result.score, (cost * y[:, None] / y[None, :]).min(axis=1), rtol=1e-11)


@few
@given(st.integers(0, 10**6), st.sampled_from(ORIENTATIONS), st.lists(st.floats(1e-6, 1e6), min_size=4, max_size=4))
def test_units_and_order_do_not_matter(seed: int, orientation: str, scale: list[float]) -> None:
    data = draw(np.random.default_rng(seed), rows=30)
    order = np.random.default_rng(seed).permutation(30)
    factors = {"inputs": scale[:2], "good": scale[2:3], "bad": scale[3:4]}
    other = {name: (block * np.array(factors[name]))[order] for name, block in data.items()}
    one, two = (measure(Technology(**each), orientation) for each in (data, other))
    np.testing.assert_allclose(two.epsilon, one.epsilon, rtol=0, atol=1e-9)
    np.testing.assert_allclose(two.score, one.score[order], rtol=1e-8)


# Half the rows with one proportion, half with another: nothing in common. A third variable proportional to the first: the
# matrix is [[1 0 1] [0 1 0] [1 0 1]], largest eigenvalue 2, eigenvector (1, 0, 1).
def test_affinity_by_hand() -> None:
    first, second = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 6.0, 8.0])
    epsilon, weights = affinity(np.column_stack([first, 5.0 * first]))
    assert epsilon == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(weights, [0.5, 0.5], rtol=1e-12)
    epsilon, weights = affinity(np.column_stack([first, second]))
    assert epsilon == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(weights, [0.5, 0.5], rtol=1e-12)
    epsilon, weights = affinity(np.column_stack([first, second, 7.0 * first]))
    assert epsilon == pytest.approx(0.5, abs=1e-12)
    np.testing.assert_allclose(weights, [0.5, 0.0, 0.5], atol=1e-12)
    # c = 0, 0, 3 (in logs): mean 1, deviations 1 + 1 + 2 = 4 over 3 x 3, so S = 1 - 8/9 and rho = 1 + S.
    epsilon, weights = affinity(np.column_stack([np.ones(3), np.exp([0.0, 0.0, 3.0])]))
    assert epsilon == pytest.approx(8 / 9, rel=1e-12)
    assert affinity(first[:, None]) == (0.0, np.ones(1))


def test_efficient_rows_score_one() -> None:
    units = technology(6)
    plain = slacks_based(units, False, solver="simplex").score
    result = measure(units)
    efficient = plain > 1 - 1e-9
    assert efficient.any()
    np.testing.assert_allclose(result.score[efficient], 1.0, rtol=0, atol=1e-12)
    assert (result.score[~efficient] < 1 - 1e-9).all()
    assert (result.theta <= 1).all()
    assert (result.eta >= 1).all()
    assert min(each.min() for each in (result.slack_inputs, result.slack_good, result.slack_bad)) >= 0
    assert result.summary().startswith(
        f"epsilon {result.epsilon[0]:.4f} of inputs, {result.epsilon[1]:.4f} of outputs; 30 of"
    )


BAD_OPTIONS = [
    ({"orientation": "inputs"}, r"Did you mean 'input'"),
    ({"bads": "good"}, r"unknown value for bads"),
    ({"solver": "highs"}, r"Allowed: interior_point, simplex"),
    ({"epsilon": [0.5]}, r"epsilon=\[0.5\] must be two numbers from 0 to 1"),
    ({"epsilon": [0.5, 1.5]}, r"must be two numbers from 0 to 1"),
    ({"weights": {"input": [1.0, 1.0]}}, r"Did you mean 'inputs'"),
    ({"weights": {"inputs": [1.0]}}, r"weights\['inputs'\] must be 2 positive numbers"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        epsilon_based(technology(7), **options)
