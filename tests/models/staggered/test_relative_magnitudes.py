"""Relative magnitudes: against linear programmes, invariances, and coverage by simulation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import linprog

from syneff.models.staggered.event_path import EventPath
from syneff.models.staggered.relative_magnitudes import RelativeMagnitudes
from tests.event_paths import COEF, COV, errors, path_of, random_path


def made(path, weights, method="conditional", draws=4000):
    return RelativeMagnitudes(path, np.asarray(weights, dtype=float), 0.05, method, errors(path, draws))


def inequalities(path, s, sign, bound):
    """Return A with A delta <= 0 for one period and sign of the largest difference, and which rows reach past adoption."""
    count, rows, after = path.times.size, [], []
    largest = np.zeros(count)
    largest[s : s + 2] = -sign, sign
    for step in range(count - 1):
        row = np.zeros(count)
        row[step : step + 2] = -1.0, 1.0
        times = 1.0 if step + 1 < path.first else bound
        for each in (row - times * largest, -row - times * largest):
            if np.abs(each).max() > 0:
                rows.append(each)
                after.append(step + 1 >= path.first)
    return np.stack(rows), np.asarray(after)


def pieces(path):
    return [(s, sign) for s in range(path.first - 1) for sign in (1.0, -1.0)]


@pytest.mark.parametrize("weights", [(1, 0, 0), (1 / 3, 1 / 3, 1 / 3), (0, -1, 2)])
@pytest.mark.parametrize("bound", [0.0, 0.7, 2.0])
def test_identified_set_is_that_of_linear_programmes(weights, bound):
    path = random_path(3, 3, 3)
    target = np.concatenate([np.zeros(path.first), weights])
    ends = []
    for s, sign in pieces(path):
        rows, _ = inequalities(path, s, sign, bound)
        known = np.eye(path.times.size)[: path.first]
        for direction in (1.0, -1.0):
            found = linprog(
                direction * target,
                A_ub=rows,
                b_ub=np.full(len(rows), 1e-12),
                A_eq=known,
                b_eq=path.coef[: path.first],
                bounds=(None, None),
            )
            if found.status == 0:
                ends.append(target @ (path.coef - found.x))
    np.testing.assert_allclose(made(path, weights).identified(bound), [min(ends), max(ends)], atol=1e-8)


def smallest_eta(y, x, sd):
    """Return min eta such that y - x b <= eta sd for some b, and the multipliers."""
    found = linprog(
        np.eye(1 + x.shape[1])[0],
        A_ub=-np.column_stack([sd, x]),
        b_ub=-y,
        bounds=(None, None),
    )
    return found.fun, -found.ineqlin.marginals


def conditional_by_programmes(path, weights, value, bound, alpha=0.05):
    """Accept a value by the conditional test with every step a linear programme: no algebra by hand."""
    count, posts = path.times.size, path.posts
    effect = np.eye(count)[:, path.first :]
    basis = np.linalg.svd(np.asarray(weights)[None, :])[2].T
    point, free = weights / np.dot(weights, weights), basis[:, 1:]
    for s, sign in pieces(path):
        rows, after = inequalities(path, s, sign, bound)
        rows = rows[after] if posts > 1 else rows
        y, x = rows @ (path.coef - effect @ point * value), rows @ effect @ free
        cov = rows @ path.cov @ rows.T
        sd = np.sqrt(np.diagonal(cov))
        eta, multipliers = smallest_eta(y, x, sd)
        if eta <= 0:
            return True
        variance = multipliers @ cov @ multipliers
        along = cov @ multipliers / variance
        rest = y - along * eta

        def holds(level, rest=rest, along=along, x=x, sd=sd):
            return abs(smallest_eta(rest + along * level, x, sd)[0] - level) < 1e-7

        ends = []
        for far in (-50.0, 50.0):
            good, bad = eta, far
            if holds(far):
                ends.append(np.inf * far)
                continue
            for _ in range(30):
                middle = (good + bad) / 2
                good, bad = (middle, bad) if holds(middle) else (good, middle)
            ends.append(good)
        scale = np.sqrt(variance)
        low, high = ends[0] / scale, ends[1] / scale
        chance = (stats.norm.sf(eta / scale) - stats.norm.sf(high)) / (stats.norm.sf(low) - stats.norm.sf(high))
        if chance >= alpha:
            return True
    return False


@pytest.mark.parametrize(("weights", "posts"), [((0.5, 0.5), 2), ((-1.0, 2.0), 2), ((1.0, 0.0, 0.0), 3), ((1.0,), 1)])
def test_conditional_test_is_that_of_linear_programmes(weights, posts):
    path = random_path(11 + posts, 2, posts)
    weights = np.asarray(weights)
    tested = made(path, weights)
    low, high, _ = tested.interval(0.8)
    reach = high - low
    values = np.array([low - 0.02 * reach, low + 0.02 * reach, high - 0.02 * reach, high + 0.02 * reach])
    expected = [conditional_by_programmes(path, weights, value, 0.8) for value in values]
    assert expected == [False, True, True, False]
    np.testing.assert_array_equal(tested.accepts(values, 0.8), expected)


@pytest.mark.parametrize("weights", [(1, 0, 0, 0), (0.25, 0.25, 0.25, 0.25), (0, 1, -1, 0)])
def test_without_violation_the_set_is_the_usual_interval(weights):
    path = path_of(COEF, COV, 4)
    low, high, whole = made(path, weights).interval(0.0)
    centre, error = np.dot(weights, COEF[4:]), np.sqrt(np.asarray(weights) @ COV[4:, 4:] @ weights)
    np.testing.assert_allclose([low, high], centre + stats.norm.ppf([0.025, 0.975]) * error, rtol=1e-8)
    assert whole
    assert made(path, weights).identified(0.0) == pytest.approx((centre, centre))


def test_sets_grow_with_the_bound_and_hold_the_identified_set():
    tested = made(path_of(COEF, COV, 4), (0.25, 0.25, 0.25, 0.25), "C-LF")
    bounds = np.array([0.0, 0.5, 1.0, 3.0])
    ends = np.array([tested.interval(bound)[:2] for bound in bounds])
    sets = np.array([tested.identified(bound) for bound in bounds])
    assert (np.diff(ends[:, 0]) < 0).all()
    assert (np.diff(ends[:, 1]) > 0).all()
    assert (ends[:, 0] < sets[:, 0]).all()
    assert (ends[:, 1] > sets[:, 1]).all()


@pytest.mark.parametrize("method", ["conditional", "C-LF"])
def test_breakdown_is_where_zero_enters(method):
    tested = made(path_of(COEF, COV, 4), (1, 0, 0, 0), method)
    found = tested.breakdown()
    assert tested.interval(0.99 * found)[0] > 0
    assert tested.interval(1.01 * found)[0] < 0
    identified = tested.identified_breakdown()
    assert tested.identified(identified)[0] == pytest.approx(0.0, abs=1e-12)
    assert made(path_of(COEF, 40 * COV, 4), (1, 0, 0, 0), method).breakdown() == 0.0


def test_units_and_sign_of_the_outcome():
    path = path_of(COEF, COV, 4)
    low, high, _ = made(path, (0.5, 0.5, 0, 0), "C-LF").interval(1.0)
    scaled = replace(path, coef=-100 * path.coef, cov=1e4 * path.cov)
    tested = RelativeMagnitudes(scaled, np.array([0.5, 0.5, 0, 0]), 0.05, "C-LF", -100 * errors(path, 4000))
    np.testing.assert_allclose(tested.interval(1.0)[:2], [-100 * high, -100 * low], rtol=1e-8)


def rebased(path: EventPath, base: int) -> EventPath:
    """Return the path relative to another period."""
    change = np.eye(path.times.size)
    change[:, base] -= 1.0
    places = path.places.copy()
    return EventPath(path.times, change @ path.coef, change @ path.cov @ change.T, base, path.first, places)


def test_the_base_period_does_not_matter():
    """Only steps count; so the target is the effect relative to the last period before it, whatever the base."""
    path = random_path(5, 3, 2)
    other = rebased(path, 1)
    tested, same = made(path, (0.5, 0.5)), made(other, (0.5, 0.5))
    np.testing.assert_allclose(tested.interval(0.7)[:2], same.interval(0.7)[:2], atol=1e-8)
    assert tested.breakdown() == pytest.approx(same.breakdown())


@pytest.mark.slow
@pytest.mark.parametrize("weights", [(1.0, 0.0, 0.0), (1 / 3, 1 / 3, 1 / 3)])
def test_covers_the_ends_of_the_identified_set(weights):
    """Trends at the edge of the set: the largest step before adoption, and as large ones after it, all one way."""
    path = random_path(7, 3, 3)
    weights, draws, bound = np.asarray(weights), 500, 1.0
    delta = np.array([0.1, 0.1, 0.4, 0.0, 0.4, 0.8, 1.2])
    delta -= delta[path.base]
    effect = np.array([0.5, 0.6, 0.7])
    tested = made(replace(path, coef=delta), weights, "C-LF", 2000)
    noise = errors(path, draws, seed=1).T
    truth = np.array([weights @ effect])
    for sign in (1.0, -1.0):
        means = sign * delta + np.concatenate([np.zeros(path.first), effect])
        held = [replace(tested, path=replace(path, coef=means + each)).accepts(truth, bound)[0] for each in noise]
        # 500 draws at .95 have a standard error of .01.
        assert np.mean(held) > 0.95 - 0.025
