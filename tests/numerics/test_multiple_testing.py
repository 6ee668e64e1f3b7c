"""Adjusted p-values: printed examples, pyfixest's step-down on the same draws, slow definitions, error rates."""

import numpy as np
import pytest

from syneff.numerics.multiple_testing import complete_draws, holm, rank_pvalues, romano_wolf, westfall_young


def example(seed=0, draws=199, hypotheses=6, shift=1.0):
    """Draw correlated t statistics, some of them off the null, and their null draws."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(hypotheses, hypotheses)) + 1.0
    mix /= np.linalg.norm(mix, axis=1)[:, None]
    statistics = mix @ rng.normal(size=hypotheses) + shift * rng.normal(size=hypotheses)
    return statistics, rng.normal(size=(draws, hypotheses)) @ mix.T


def slow_romano_wolf(statistics, draws):
    """Follow Romano and Wolf (2016), algorithm 3.1 and 3.2, hypothesis by hypothesis."""
    left, before, adjusted = list(range(statistics.size)), 0.0, np.empty(statistics.size)
    while left:
        best = max(left, key=lambda each: abs(statistics[each]))
        count = sum(max(abs(draw[each]) for each in left) >= abs(statistics[best]) for draw in draws)
        before = adjusted[best] = max(before, (count + 1) / (len(draws) + 1))
        left.remove(best)
    return adjusted


def slow_westfall_young(statistics, draws):
    """Follow Ge, Dudoit and Speed (2003), box 4: ranks within each hypothesis, then successive minima."""
    together = np.abs(np.vstack([statistics, draws]))
    p = np.array([[(column >= each).mean() for each in column] for column in together.T]).T
    left, before, adjusted = list(range(statistics.size)), 0.0, np.empty(statistics.size)
    while left:
        best = min(left, key=lambda each: p[0, each])
        count = sum(min(row[each] for each in left) <= p[0, best] for row in p)
        before = adjusted[best] = max(before, count / len(p))
        left.remove(best)
    return adjusted


def test_holm_gives_what_r_prints():
    # p.adjust(c(.01, .02, .03, .04, .05), "holm") of R.
    np.testing.assert_allclose(holm(np.array([0.01, 0.02, 0.03, 0.04, 0.05])), [0.05, 0.08, 0.09, 0.09, 0.09])
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, np.nan, 0.6])), [0.08, 0.03, np.nan, 0.6])
    np.testing.assert_allclose(holm(np.array([0.7, 0.9])), [1.0, 1.0])


@pytest.mark.parametrize("seed", range(5))
def test_step_downs_are_their_definitions(seed):
    statistics, draws = example(seed)
    np.testing.assert_allclose(romano_wolf(statistics, draws), slow_romano_wolf(statistics, draws), rtol=1e-14)
    p, ranked = rank_pvalues(statistics, draws)
    np.testing.assert_allclose(westfall_young(p, ranked), slow_westfall_young(statistics, draws), rtol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_step_downs_are_those_of_pyfixest_on_the_same_draws(seed):
    multcomp = pytest.importorskip("pyfixest.estimation.post_estimation.multcomp")
    statistics, draws = example(seed)
    np.testing.assert_allclose(romano_wolf(statistics, draws), multcomp._get_rwolf_pval(statistics, draws))
    # It divides by n where we count the estimate among the draws.
    p, ranked = rank_pvalues(statistics, draws)
    n, theirs = len(draws), multcomp._get_wyoung_pval(p, ranked)
    np.testing.assert_allclose(westfall_young(p, ranked), (1 + n * theirs) / (1 + n))


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_values_keep_order_and_are_not_smaller(seed):
    statistics, draws = example(seed, shift=2.0)
    p, ranked = rank_pvalues(statistics, draws)
    for raw, adjusted in (
        (p, romano_wolf(statistics, draws)),
        (p, westfall_young(p, ranked)),
        (p, holm(p)),
    ):
        assert (adjusted >= raw - 1e-15).all()
        assert (adjusted <= 1).all()
    assert (np.diff(romano_wolf(statistics, draws)[np.argsort(-np.abs(statistics))]) >= 0).all()
    for adjusted in (westfall_young(p, ranked), holm(p)):
        assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_one_hypothesis_is_not_adjusted():
    statistics, draws = example(1, hypotheses=1)
    raw = (1 + (np.abs(draws[:, 0]) >= abs(statistics[0])).sum()) / (1 + len(draws))
    p, ranked = rank_pvalues(statistics, draws)
    for adjusted in (p, romano_wolf(statistics, draws), westfall_young(p, ranked), holm(p)):
        np.testing.assert_allclose(adjusted, [raw])


def test_copies_of_a_hypothesis_cost_nothing_but_holm_pays():
    statistics, draws = example(1, hypotheses=1)
    p, _ = rank_pvalues(statistics, draws)
    many, drawn = np.repeat(statistics, 5), np.repeat(draws, 5, axis=1)
    np.testing.assert_allclose(romano_wolf(many, drawn), np.repeat(p, 5))
    np.testing.assert_allclose(westfall_young(*rank_pvalues(many, drawn)), np.repeat(p, 5))
    assert (holm(np.repeat(p, 5)) == min(1.0, 5 * p[0])).all()


def test_what_has_no_statistic_is_left_out():
    statistics, draws = example(2)
    holes, drawn = np.append(statistics, np.nan), np.column_stack([draws, np.ones(len(draws))])
    drawn[:3, 0] = np.nan
    assert complete_draws(holes, drawn) == len(draws) - 3
    adjusted = romano_wolf(holes, drawn)
    np.testing.assert_allclose(adjusted[:-1], romano_wolf(statistics, draws[3:]))
    assert np.isnan(adjusted[-1])
    p, ranked = rank_pvalues(holes, drawn)
    np.testing.assert_allclose(
        westfall_young(p, ranked)[:-1], westfall_young(*rank_pvalues(statistics, draws[3:])), rtol=1e-14
    )
    nothing = np.full_like(draws, np.nan)
    assert np.isnan(romano_wolf(statistics, nothing)).all()
    assert np.isnan(rank_pvalues(statistics, nothing)[0]).all()


def test_a_draw_that_equals_the_estimate_up_to_rounding_is_as_extreme():
    statistics = np.array([2.0, -1.0])
    draws = np.array([[2.0 - 1e-15, 0.0], [-2.0 + 1e-15, 1.0 - 1e-16], [0.5, 0.0]])
    np.testing.assert_allclose(romano_wolf(statistics, draws), [3 / 4, 3 / 4])
    np.testing.assert_allclose(rank_pvalues(statistics, draws)[0], [3 / 4, 2 / 4])


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_the_family_wise_error_is_the_level(shared):
    rng = np.random.default_rng(7)
    runs, draws, hypotheses = 1500, 199, 5
    rejected = np.zeros((runs, 3), dtype=bool)
    for run in range(runs):
        common, own = rng.normal(size=(draws + 1, 1)), rng.normal(size=(draws + 1, hypotheses))
        t = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
        p, ranked = rank_pvalues(t[0], t[1:])
        adjusted = (romano_wolf(t[0], t[1:]), westfall_young(p, ranked), holm(p))
        rejected[run] = [each.min() <= 0.05 for each in adjusted]
    error = 4 * np.sqrt(0.05 * 0.95 / runs)
    rate = rejected.mean(0)
    # The minimum of ranks has ties, and Holm ignores dependence: both may only be more careful.
    assert rate[0] == pytest.approx(0.05, abs=error)
    assert (rate[1:] < 0.05 + error).all()
    # The largest t alone, unadjusted, would reject far too often; Holm loses power where tests agree.
    assert rate[2] < rate[0] + error
