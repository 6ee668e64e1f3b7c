"""Invariances of slacks-based efficiency: units, order, chunks, solver, copies, screening, the two stages, returns to scale."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.measure.efficiency import slacks_based
from syneff.measure.metafrontier import metafrontier
from syneff.measure.programs import Model, programs
from syneff.measure.stages import SOLVERS
from syneff.measure.technology import Technology
from syneff.numerics.linear_program import Status
from tests.frontiers import EFFICIENT, draw

few = settings(deadline=None, max_examples=10)
seeds = st.integers(0, 10**6)
returns = st.sampled_from(["crs", "vrs"])
spreads = st.sampled_from([0.1, 0.5, 2.0])


def data(seed: int, spread: float) -> dict[str, np.ndarray]:
    return draw(np.random.default_rng(seed), rows=20, spread=spread)


@few
@given(seeds, spreads, returns, st.lists(st.floats(1e-6, 1e6), min_size=4, max_size=4))
def test_units_of_measurement_do_not_matter(seed: int, spread: float, scale: str, units: list[float]) -> None:
    before = data(seed, spread)
    after = {
        name: block * np.array(factors)
        for (name, block), factors in zip(before.items(), (units[:2], units[2:3], units[3:]), strict=True)
    }
    one, other = (slacks_based(Technology(**each, returns=scale)) for each in (before, after))
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_allclose(other.score, one.score, rtol=1e-9)


@few
@given(seeds, spreads, returns)
def test_the_order_of_rows_does_not_matter(seed: int, spread: float, scale: str) -> None:
    before = data(seed, spread)
    order = np.random.default_rng(seed).permutation(20)
    one = slacks_based(Technology(**before, returns=scale))
    other = slacks_based(Technology(**{name: block[order] for name, block in before.items()}, returns=scale))
    np.testing.assert_array_equal(other.status, one.status[order])
    np.testing.assert_allclose(other.score, one.score[order], rtol=1e-9)


@few
@given(seeds, spreads, returns)
def test_a_dominated_unit_changes_nothing_for_the_others(seed: int, spread: float, scale: str) -> None:
    before = data(seed, spread)
    # By an inefficient unit: one dominated by an efficient unit alone may be what that unit is compared with.
    one = slacks_based(Technology(**before, returns=scale))
    worst = np.nanargmin(one.score)
    factors = {"inputs": 1.5, "good": 0.5, "bad": 1.5}
    after = {name: np.vstack([block, block[worst] * factors[name]]) for name, block in before.items()}
    other = slacks_based(Technology(**after, returns=scale))
    np.testing.assert_allclose(other.score[:20], one.score, rtol=1e-9)
    assert other.score[20] < one.score[worst]


@few
@given(seeds, spreads, returns)
def test_the_second_stage_scores_exactly_the_efficient_units(seed: int, spread: float, scale: str) -> None:
    units = Technology(**data(seed, spread), returns=scale)
    plain, two = slacks_based(units, super_efficiency=False), slacks_based(units)
    assert plain.score.max() <= 1 + 1e-9
    assert plain.score.min() > 0
    efficient = plain.score >= EFFICIENT
    feasible = two.status == Status.OPTIMAL
    np.testing.assert_array_equal(two.score[~efficient], plain.score[~efficient])
    assert (two.score[efficient & feasible] >= 1 - 1e-9).all()
    assert efficient[~feasible].all()
    if scale == "crs":
        assert feasible.all()
        assert two.score.max() <= 2 + 1e-9


@few
@given(seeds, spreads)
def test_variable_returns_never_score_lower(seed: int, spread: float) -> None:
    before = data(seed, spread)
    crs, vrs = (
        slacks_based(Technology(**before, returns=each), super_efficiency=False).score for each in ("crs", "vrs")
    )
    assert (vrs >= crs - 1e-9).all()


def plain(seed: int, spread: float, scale: str, **options: object) -> np.ndarray:
    """Score by SBM, with four periods and two groups in disorder."""
    labels = np.random.default_rng(seed).permutation(20)
    units = Technology(**data(seed, spread), returns=scale, period=labels % 4, **options)
    return slacks_based(units, super_efficiency=False, solver="simplex").score


@few
@given(seeds, spreads, returns)
def test_a_larger_reference_never_scores_higher(seed: int, spread: float, scale: str) -> None:
    everything = plain(seed, spread, scale)
    sequential, own = (plain(seed, spread, scale, reference=each) for each in ("sequential", "contemporaneous"))
    windows = [plain(seed, spread, scale, reference="window", window=each) for each in (3, 2, 1)]
    for larger, smaller in (
        (everything, sequential),
        (sequential, own),
        (everything, windows[0]),
        (windows[0], windows[1]),
        (windows[1], windows[2]),
    ):
        assert (larger <= smaller + 1e-9).all()
    np.testing.assert_array_equal(windows[2], own)


@few
@given(seeds, spreads, returns)
def test_the_technology_gap_is_at_most_one(seed: int, spread: float, scale: str) -> None:
    labels = np.random.default_rng(seed).permutation(20)
    units = Technology(**data(seed, spread), returns=scale, group=labels % 2)
    result = metafrontier(units, solver="simplex")
    assert (result.ratio <= 1 + 1e-9).all()
    assert (result.ratio > 0).all()
    for each in (0, 1):  # some unit of the meta-frontier is in some group
        assert np.isclose(result.group.score[labels % 2 == each].max(), 1.0)
    assert np.isclose(result.ratio.max(), 1.0)


@few
@given(seeds, spreads, returns, st.sampled_from(["outputs", "inputs"]))
def test_the_solver_does_not_matter(seed: int, spread: float, scale: str, bads: str) -> None:
    units = Technology(**data(seed, spread), returns=scale)
    one, other = (slacks_based(units, bads=bads, solver=each) for each in SOLVERS)
    assert set(one.status) <= {Status.OPTIMAL, Status.INFEASIBLE}
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_allclose(other.score, one.score, rtol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
@few
@given(seeds, spreads)
def test_the_chunk_size_does_not_matter(solver: str, seed: int, spread: float) -> None:
    values = np.concatenate(list(data(seed, spread).values()), axis=1)
    model = Model((np.full(2, 0.5), np.full(1, 0.5), np.full(1, 0.5)), "crs", "none", "sbm", True)
    problems, start = programs(model, values / values.mean(axis=0), np.arange(20), np.arange(20), padded=64)
    # 64 is the chunk of a CPU.
    one, other = (SOLVERS[solver](problems, start, chunk=chunk) for chunk in (64, 7))
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_allclose(other.objective, one.objective, rtol=1e-12)


@few
@given(seeds, spreads, returns, st.floats(0.01, 100.0))
def test_copies_of_efficient_units_score_one_and_change_no_other(
    seed: int, spread: float, scale: str, factor: float
) -> None:
    before = data(seed, spread)
    one = slacks_based(Technology(**before, returns=scale), super_efficiency=False)
    best = np.flatnonzero(one.score >= EFFICIENT)
    times = factor if scale == "crs" else 1.0
    after = Technology(
        **{name: np.concatenate([block, times * block[best]]) for name, block in before.items()}, returns=scale
    )
    other = slacks_based(after)
    np.testing.assert_allclose(other.score[:20], one.score, rtol=0, atol=1e-10)
    np.testing.assert_allclose(other.score[20:], 1.0, rtol=0, atol=1e-10)


@few
@given(seeds, spreads, returns)
def test_screening_by_efficient_columns_loses_nothing_in_sbm(seed: int, spread: float, scale: str) -> None:
    everything = plain(seed, spread, scale)
    efficient = everything >= EFFICIENT
    np.testing.assert_allclose(plain(seed, spread, scale, reference=efficient), everything, rtol=0, atol=1e-10)


def test_screening_by_efficient_columns_is_wrong_in_super_sbm() -> None:
    # The second stage needs the units that would be efficient without the best one.
    wrong = 0
    for seed in range(5):
        before = data(seed, 0.5)
        one = slacks_based(Technology(**before), solver="simplex").score
        other = slacks_based(Technology(**before, reference=one >= EFFICIENT), solver="simplex").score
        assert (other >= one - 1e-10).all()
        wrong += int((other > one + 1e-6).sum())
    assert wrong > 0


@few
@given(seeds, spreads, returns)
def test_no_score_rises_when_the_reference_grows(seed: int, spread: float, scale: str) -> None:
    before = data(seed, spread)
    place = np.random.default_rng(seed).permutation(20)
    scores = [
        slacks_based(Technology(**before, returns=scale, reference=place < count), solver="simplex").score
        for count in (8, 14, 20)
    ]
    for smaller, larger in pairwise(scores):
        # A row without a feasible point is beyond what the frontier can be compared with.
        assert (np.nan_to_num(larger, nan=np.inf) <= np.nan_to_num(smaller, nan=np.inf) + 1e-9).all()
