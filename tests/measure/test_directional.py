"""Directional distances against HiGHS, radial efficiency and algebra: disposability, returns, reference sets, messages."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.errors import DataError, SpecError
from syneff.measure.directional import Distance, directional_distance, nonradial_distance
from syneff.measure.technology import Technology
from syneff.numerics.linear_program import Status
from tests import envelopes
from tests.frontiers import draw

TOLERANCE = 1e-9  # of HiGHS at its tightest
RETURNS = ("crs", "vrs", "nirs", "ndrs")
DIRECTIONS = (("good", "bad"), ("inputs", "good", "bad"), ("inputs",), ("good",), ("bad",), ("inputs", "bad"))
few = settings(deadline=None, max_examples=10)
seeds = st.integers(0, 10**6)


def technology(seed: int, bad: int = 1, spread: float = 0.5, **options: Any) -> Technology:
    return Technology(**draw(np.random.default_rng(seed), rows=30, bad=bad, spread=spread), **options)


def radial(units: Technology, direction: tuple[str, ...] = ("good", "bad"), disposability: str = "weak") -> Distance:
    return directional_distance(units, direction, disposability, "simplex")


def check(result: Distance, units: Technology, disposability: str, **options: Any) -> None:
    expected = [envelopes.distance(units, row, disposability, **options) for row in range(units.rows)]
    np.testing.assert_allclose(result.distance, expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(result.status == Status.INFEASIBLE, np.isnan(expected))
    assert set(result.status) <= {Status.OPTIMAL, Status.INFEASIBLE}
    assert np.abs(result.gap[result.status == Status.OPTIMAL]).max() <= TOLERANCE


# The programs of HiGHS have Kuosmanen's abated intensities under all returns: under crs and nirs they must not matter.
@pytest.mark.parametrize("returns", RETURNS)
@pytest.mark.parametrize("disposability", ["weak", "strong"])
def test_radial_against_highs(returns: str, disposability: str) -> None:
    units = technology(1, returns=returns)
    for direction in DIRECTIONS:
        check(radial(units, direction, disposability), units, disposability, direction=direction)


@pytest.mark.parametrize("returns", RETURNS)
@pytest.mark.parametrize("disposability", ["weak", "strong"])
def test_non_radial_against_highs(returns: str, disposability: str) -> None:
    units = technology(2, returns=returns)
    equal = np.array([1 / 6, 1 / 6, 1 / 3, 1 / 3])
    check(nonradial_distance(units, None, disposability, "simplex"), units, disposability, weights=equal)
    some = nonradial_distance(units, {"inputs": [0.0, 2.0], "good": [1.0]}, disposability, "simplex")
    check(some, units, disposability, weights=np.array([0.0, 2.0, 1.0, 0.0]))
    assert (some.beta_inputs[:, 0] == 0).all()
    assert (some.beta_bad == 0).all()


@pytest.mark.parametrize("solver", ["interior_point", "simplex"])
@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_two_bad_outputs(returns: str, solver: str) -> None:
    units = technology(3, bad=2, returns=returns)
    result = directional_distance(units, solver=solver)
    check(result, units, "weak", direction=("good", "bad"))


def test_contemporaneous_frontiers() -> None:
    period = np.arange(30) % 3
    units = technology(4, period=period, reference="contemporaneous", returns="vrs")
    check(radial(units), units, "weak", direction=("good", "bad"))


@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_rows_beyond_a_frontier_that_is_not_theirs(returns: str) -> None:
    data = draw(np.random.default_rng(5), rows=30)
    data["inputs"][[0, 3]] *= 0.2
    units = Technology(**data, reference=np.arange(30) % 3 > 0, returns=returns)
    found = radial(units, ("inputs", "good", "bad"), "strong")
    check(found, units, "strong", direction=("inputs", "good", "bad"))
    assert (found.distance < -1e-3).any()
    nonradial = nonradial_distance(units, None, "strong", "simplex")
    check(nonradial, units, "strong", weights=np.array([1 / 6, 1 / 6, 1 / 3, 1 / 3]))
    assert (nonradial.status[[0, 3]] == Status.INFEASIBLE).all()
    assert np.isnan(nonradial.beta_inputs[0]).all()
    assert "programs are infeasible under" in nonradial.summary()
    assert "first: Anqing 2004" in nonradial.summary([f"Anqing {2004 + row}" for row in range(30)])


# Three plants of one input. The first makes y = 4 with b = 4, the second 3 with 2, the third 1 with 5. The second has the
# cleanest output, so the third meets its ray at (3/2) 5 (1 - beta) = 1 + beta.
def test_three_units_by_hand() -> None:
    units = Technology(np.ones((3, 1)), np.array([[4.0], [3.0], [1.0]]), np.array([[4.0], [2.0], [5.0]]))
    for disposability in ("weak", "strong"):
        result = radial(units, disposability=disposability)
        np.testing.assert_allclose(result.distance, [0.0, 0.0, 13 / 17], rtol=0, atol=1e-14)
        np.testing.assert_allclose(result.beta_good[:, 0], result.distance, atol=0)
        np.testing.assert_allclose(result.beta_bad[:, 0], result.distance, atol=0)
        assert (result.beta_inputs == 0).all()


# One unit of input makes y = 2 with b = 2, or y = 1 with b = 4, and only y moves. Weak: the second has to keep b = 4, which
# 2 l1 + 4 l2 with l1 + l2 <= 1 gives for l2 = 1 alone. Strong: b may be less, so it can do as the first, y = 2.
def test_weak_disposability_keeps_the_bad_output() -> None:
    units = Technology(np.ones((2, 1)), np.array([[2.0], [1.0]]), np.array([[2.0], [4.0]]))
    weak, strong = (radial(units, ("good",), each).distance for each in ("weak", "strong"))
    np.testing.assert_allclose(weak, [0.0, 0.0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(strong, [0.0, 1.0], rtol=0, atol=1e-14)


def test_one_direction_is_radial_efficiency() -> None:
    # Charnes, Cooper and Rhodes with one output and one input: output per input, relative to the best.
    data = draw(np.random.default_rng(6), rows=20)
    x, y = data["inputs"][:, :1], data["good"]
    theta = (y / x)[:, 0] / (y / x).max()
    np.testing.assert_allclose(1.0 - radial(Technology(x, y), ("inputs",)).distance, theta, rtol=1e-12)
    np.testing.assert_allclose(1.0 + radial(Technology(x, y), ("good",)).distance, 1.0 / theta, rtol=1e-12)
    beta = radial(Technology(x, y), ("inputs", "good")).distance
    np.testing.assert_allclose((1.0 - beta) / (1.0 + beta), theta, rtol=1e-12)


@few
@given(seeds, st.sampled_from(RETURNS), st.sampled_from(["weak", "strong"]), st.lists(st.floats(1e-6, 1e6), min_size=4))
def test_units_and_order_do_not_matter(seed: int, returns: str, disposability: str, scale: list[float]) -> None:
    data = draw(np.random.default_rng(seed), rows=30)
    order = np.random.default_rng(seed).permutation(30)
    factors = {"inputs": scale[:2], "good": scale[2:3], "bad": scale[3:4]}
    other = {name: (block * np.array(factors[name]))[order] for name, block in data.items()}
    for measure in (radial, lambda units, disposability: nonradial_distance(units, None, disposability, "simplex")):
        one, two = (measure(Technology(**each, returns=returns), disposability=disposability) for each in (data, other))
        np.testing.assert_allclose(two.distance, one.distance[order], rtol=0, atol=1e-9)


@few
@given(seeds, st.sampled_from([0.1, 0.5, 2.0]), st.sampled_from(["weak", "strong"]))
def test_order_of_distances(seed: int, spread: float, disposability: str) -> None:
    crs, vrs = (
        radial(technology(seed, spread=spread, returns=each), disposability=disposability) for each in ("crs", "vrs")
    )
    assert (crs.distance >= vrs.distance - 1e-9).all()
    assert vrs.distance.min() > -1e-9
    units = technology(seed, spread=spread)
    weights = {"good": [0.5], "bad": [0.5]}
    each = nonradial_distance(units, weights, disposability, "simplex").distance
    # One factor for both is a choice of two factors.
    assert (each >= crs.distance - 1e-9).all()
    assert (crs.distance < 1e-9).any()
    weak = radial(units).distance
    assert (radial(units, disposability="strong").distance >= weak - 1e-9).all()


BAD_OPTIONS = [
    ({"direction": ("goods",)}, r"unknown value for direction: 'goods'. Did you mean 'good'"),
    ({"direction": ()}, r"direction=\(\) moves no variable"),
    ({"disposability": "free"}, r"Allowed: weak, strong"),
    ({"solver": "highs"}, r"Allowed: interior_point, simplex"),
]
BAD_WEIGHTS = [
    ({"input": [1.0]}, r"Did you mean 'inputs'"),
    ({"inputs": [1.0]}, r"weights\['inputs'\] must be 2 numbers"),
    ({"good": [-1.0]}, r"none of them negative"),
    ({"good": [0.0]}, r"all weights are 0"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        directional_distance(technology(7), **options)


@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS)
def test_bad_weights_are_refused(weights: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        nonradial_distance(technology(7), weights)


def test_a_direction_needs_variables() -> None:
    with pytest.raises(SpecError, match="moves no variable"):
        directional_distance(Technology(np.ones((2, 1)), np.ones((2, 1))), ("bad",))


def test_proportional_bad_outputs_are_named() -> None:
    data = draw(np.random.default_rng(8), rows=30)
    twins = Technology(data["inputs"], data["good"], data["bad"] * np.array([1.0, 3.0]))
    with pytest.raises(
        DataError, match=r"reference set of 30 rows has bad outputs that are multiples.*disposability='str"
    ):
        radial(twins)
    alone = Technology(data["inputs"], data["good"], data["bad"])
    strong = radial(twins, disposability="strong").distance
    np.testing.assert_allclose(strong, radial(alone, disposability="strong").distance, rtol=0, atol=1e-12)
