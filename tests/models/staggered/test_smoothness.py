"""Smoothness: against generalised least squares, closed forms of one and two periods, and linear programmes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import linprog, minimize_scalar

from syneff.models.staggered.event_path import EventPath
from syneff.models.staggered.smoothness import Smoothness, folded_quantile
from tests.event_paths import COEF, COV, path_of, random_path, second_differences

PATH = path_of(COEF, COV, 4)
FIRST, AVERAGE = np.array([1.0, 0, 0, 0]), np.full(4, 0.25)


@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.3, 1.0, 4.0, 60.0])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_folded_quantile_is_scipys(mean, alpha):
    found, slope = folded_quantile(mean, alpha)
    assert found == pytest.approx(stats.foldnorm.ppf(1 - alpha, mean), rel=1e-7)
    step = 1e-5
    numeric = (folded_quantile(mean + step, alpha)[0] - folded_quantile(abs(mean - step), alpha)[0]) / (2 * step)
    assert slope == pytest.approx(numeric if mean >= step else 0.0, abs=1e-5)


@pytest.mark.parametrize("weights", [FIRST, AVERAGE, np.array([0.0, 0, 1, -1])])
def test_without_violation_it_is_least_squares_with_a_linear_trend(weights):
    times = np.array([-4.0, -3, -2, -1, 1, 2, 3, 4])
    regressors = np.column_stack([times, np.vstack([np.zeros((4, 4)), np.eye(4)])])
    inverse = np.linalg.inv(regressors.T @ np.linalg.solve(COV, regressors))
    effects = inverse @ regressors.T @ np.linalg.solve(COV, COEF)
    centre, error = weights @ effects[1:], np.sqrt(weights @ inverse[1:, 1:] @ weights)
    expected = centre + stats.norm.ppf([0.025, 0.975]) * error
    np.testing.assert_allclose(Smoothness(PATH, weights, 0.05).interval(0.0), expected, atol=1e-7)


@pytest.mark.parametrize("bound", [0.0, 0.05, 1.0])
def test_one_period_before_leaves_one_estimator(bound):
    """Only the line through it and the base extrapolates; the interval is Armstrong and Kolesar's for its bias."""
    path = random_path(2, 1, 1)
    row = np.array([1.0, 0.0, 1.0])
    centre, error = row @ path.coef, np.sqrt(row @ path.cov @ row)
    half = error * stats.foldnorm.ppf(0.95, bound / error)
    tested = Smoothness(path, np.ones(1), 0.05)
    np.testing.assert_allclose(tested.interval(bound), [centre - half, centre + half], rtol=1e-7)
    assert tested.identified(bound) == pytest.approx((centre - bound, centre + bound))


@pytest.mark.parametrize("bound", [0.0, 0.02, 0.1, 3.0])
def test_two_periods_before_leave_one_free_weight(bound):
    path = random_path(4, 2, 2)
    weights = np.array([0.5, 0.5])
    straight = np.array([0.0, 1.5, 0.0, 0.5, 0.5])  # through event times -2 and -1
    bend = np.array([1.0, -2.0, 1.0, 0.0, 0.0])

    def half(free):
        row = straight + free * bend
        error = np.sqrt(row @ path.cov @ row)
        # Bends at the base and at event time 0 have weights 1.5 and 0.5.
        return error * stats.foldnorm.ppf(0.95, bound * (2.0 + abs(free)) / error)

    best = minimize_scalar(half, bracket=(-0.5, 0.5), tol=1e-12)
    row, found = Smoothness(path, weights, 0.05).optimum(bound)
    assert found == pytest.approx(min(best.fun, half(0.0)), rel=1e-7)
    assert found == pytest.approx(half(row[0]), rel=1e-7)


@pytest.mark.parametrize("bound", [0.0, 0.02, 0.2])
def test_half_length_is_the_quantile_at_the_worst_bias(bound):
    """The worst bias over all paths that bend no more than the bound, by a linear programme."""
    path = random_path(6, 4, 3)
    weights = np.full(3, 1 / 3)
    row, half = Smoothness(path, weights, 0.05).optimum(bound)
    bends = second_differences(path.times.size)
    found = linprog(
        -row,
        A_ub=np.vstack([bends, -bends]),
        b_ub=np.full(2 * len(bends), bound),
        A_eq=np.eye(path.times.size)[[path.base]],
        b_eq=[0.0],
        bounds=(-1e4, 1e4),
    )
    error = np.sqrt(row @ path.cov @ row)
    assert row @ path.times == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(row[path.first :], weights)
    assert half == pytest.approx(error * stats.foldnorm.ppf(0.95, -found.fun / error), rel=1e-6)


@pytest.mark.parametrize("weights", [np.array([1.0, 0, 0]), np.array([-0.2, 0.5, 1.0])])
def test_identified_set_is_that_of_linear_programmes(weights):
    path = random_path(8, 3, 3)
    bends, known = second_differences(path.times.size), np.eye(path.times.size)[: path.first]
    target = np.concatenate([np.zeros(path.first), weights])
    most = np.abs(bends[: path.first - 2] @ path.coef).max()
    bound = 1.5 * most
    ends = [
        target @ path.coef
        - sign
        * linprog(
            sign * target,
            A_ub=np.vstack([bends, -bends]),
            b_ub=np.full(2 * len(bends), bound),
            A_eq=known,
            b_eq=path.coef[: path.first],
            bounds=(None, None),
        ).fun
        for sign in (-1.0, 1.0)
    ]
    tested = Smoothness(path, weights, 0.05)
    np.testing.assert_allclose(tested.identified(bound), ends, atol=1e-9)
    assert np.isnan(tested.identified(0.99 * most)).all()


def test_intervals_grow_and_break_down_where_zero_enters():
    tested = Smoothness(PATH, AVERAGE, 0.05)
    halves = [tested.optimum(bound)[1] for bound in np.linspace(0.0, 0.2, 6)]
    assert (np.diff(halves) > 0).all()
    found = tested.breakdown()
    assert min(np.abs(tested.interval(found))) < 1e-7
    assert tested.interval(0.99 * found)[0] > 0
    assert Smoothness(replace(PATH, cov=400 * PATH.cov), AVERAGE, 0.05).breakdown() == 0.0


def test_adding_a_linear_trend_changes_nothing():
    tilted = replace(PATH, coef=PATH.coef + 0.3 * (PATH.times - PATH.times[PATH.base]))
    for bound in (0.0, 0.1):
        expected = Smoothness(PATH, AVERAGE, 0.05).interval(bound)
        np.testing.assert_allclose(Smoothness(tilted, AVERAGE, 0.05).interval(bound), expected, atol=1e-8)


def test_the_base_period_does_not_matter():
    path = random_path(9, 3, 2)
    change = np.eye(path.times.size)
    change[:, 1] -= 1.0
    other = EventPath(path.times, change @ path.coef, change @ path.cov @ change.T, 1, path.first, path.places)
    for bound in (0.0, 0.1):
        expected = Smoothness(path, np.full(2, 0.5), 0.05).interval(bound)
        np.testing.assert_allclose(Smoothness(other, np.full(2, 0.5), 0.05).interval(bound), expected, atol=1e-6)
