"""Matching by hand: every method on scores that fit on a line of paper, and the logit and the dual against other programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from syneff.numerics import matching
from syneff.numerics.entropy_balance import entropy_balance, moments_of
from syneff.numerics.logit import LogitStatus, fit_logit, separating
from syneff.runtime import require_float64

require_float64()
logit = jax.jit(fit_logit)
CONTROLS = jnp.asarray([0.1, 0.3, 0.3, 0.5])
TREATED = jnp.asarray([0.2, 0.45])


@pytest.fixture
def distance():
    return matching.score_distance(CONTROLS, TREATED)


def test_equal_distances_go_to_the_first_control(distance):
    """.1, .3 and .3 are equally far from .2; .5 is nearest to .45, then the two of .3."""
    np.testing.assert_array_equal(matching.nearest(distance, 1, ties=False).T, [[1, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(matching.nearest(distance, 2, ties=False).T, [[0.5, 0.5, 0, 0], [0, 0.5, 0, 0.5]])


def test_ties_take_all_that_are_as_far_as_the_last(distance):
    third = 1 / 3
    np.testing.assert_allclose(matching.nearest(distance, 1, ties=True).T, [[third, third, third, 0], [0, 0, 0, 1]])
    np.testing.assert_allclose(
        matching.nearest(distance, 2, ties=True).T, [[third, third, third, 0], [0, third, third, third]]
    )


def test_fewer_controls_than_neighbours_share_among_themselves():
    far = jnp.asarray([[0.1, jnp.inf], [0.2, jnp.inf], [jnp.inf, jnp.inf]])
    np.testing.assert_array_equal(matching.nearest(far, 3, ties=False).T, [[0.5, 0.5, 0], [0, 0, 0]])


def test_a_control_that_is_used_once_goes_to_who_chooses_first():
    distance = matching.score_distance(jnp.asarray([0.30, 0.34, 0.9]), jnp.asarray([0.31, 0.32]))
    first = matching.nearest_once(distance, jnp.asarray([0, 1]), 1)
    np.testing.assert_array_equal(first.T, [[1, 0, 0], [0, 1, 0]])
    # The other way round .32 takes .30 or .34, equally far: the first; and .31 is left with .34.
    np.testing.assert_array_equal(matching.nearest_once(distance, jnp.asarray([1, 0]), 1).T, [[0, 1, 0], [1, 0, 0]])
    # Both choose a first control before either chooses a second, and one control is left for two.
    two = matching.nearest_once(distance, jnp.asarray([0, 1]), 2)
    np.testing.assert_array_equal(two.T, [[0.5, 0, 0.5], [0, 1, 0]])


def test_radius_shares_equally_within_the_caliper(distance):
    inside = jnp.where(distance <= 0.16, distance, jnp.inf)
    np.testing.assert_allclose(matching.all_within(inside).T, [[1 / 3, 1 / 3, 1 / 3, 0], [0, 1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize(
    ("kernel", "heights"),
    [
        ("epanechnikov", (1.0, 0.75, 0.0, 0.0)),
        ("biweight", (1.0, 0.5625, 0.0, 0.0)),
        ("tricube", (1.0, 0.669921875, 0.0, 0.0)),
        ("uniform", (1.0, 1.0, 1.0, 0.0)),
        ("gaussian", (1.0, 0.8824969025845955, 0.6065306597126334, 0.32465246735834974)),
    ],
)
def test_kernel_shares_by_hand(kernel, heights):
    """At 0, 1/2, 1 and 3/2 bandwidths."""
    found = matching.kernel_shares(jnp.asarray([[0.0], [0.03], [0.06], [0.09]]), kernel, 0.06)[:, 0]
    np.testing.assert_allclose(found, np.asarray(heights) / sum(heights), rtol=1e-12, atol=1e-15)


def test_a_treated_row_beyond_the_bandwidth_has_no_share():
    assert not np.asarray(matching.kernel_shares(jnp.asarray([[0.2]]), "epanechnikov", 0.06)).any()


def test_mahalanobis_by_hand():
    """Variances 4 and 1: a step of 2 in the first is as far as one of 1 in the second; a flat direction does not count."""
    controls = jnp.asarray([[2.0, 0.0, 7.0], [0.0, 1.0, 7.0], [2.0, 1.0, 7.0]])
    found = matching.mahalanobis_distance(
        controls, jnp.asarray([[0.0, 0.0, 7.0]]), jnp.diag(jnp.asarray([4.0, 1.0, 0.0]))
    )
    np.testing.assert_allclose(found[:, 0], [1.0, 1.0, np.sqrt(2.0)], atol=2 * matching.QUANTUM)
    assert found[0, 0] == found[1, 0]


def test_the_covariance_is_that_within_groups():
    rng = np.random.default_rng(1)
    values, treated = rng.normal(size=(12, 2)), np.arange(12) < 5
    expected = (4 * np.cov(values[:5].T) + 5 * np.cov(values[5:11].T)) / 9
    found = matching.pooled_covariance(
        jnp.asarray(values), jnp.asarray(treated), jnp.asarray(~treated & (np.arange(12) < 11))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_common_support_takes_out_treated_rows_alone():
    scores = jnp.asarray([0.05, 0.2, 0.9, 0.1, 0.6, 0.02])
    treated = jnp.asarray([True, True, True, False, False, False])
    kept = matching.in_common_support(scores, treated, ~treated)
    np.testing.assert_array_equal(kept, [True, True, False, True, True, True])


def test_trimming_is_by_statas_density():
    """Bandwidth .9 min(sd, IQR / 1.349) n^-1/5, kernel 3/4 (1 - z^2/5) / sqrt 5, and Stata's percentiles."""
    rng = np.random.default_rng(2)
    controls, treated = rng.beta(2, 6, size=22), rng.beta(4, 4, size=10)
    ordered = np.sort(controls)
    # Ranks 22 x .25 = 5.5 and 16.5 are not whole: the next values.
    spread = ordered[16] - ordered[5]
    width = 0.9 * min(controls.std(ddof=1), spread / 1.349) * 22**-0.2
    gap = (treated[:, None] - controls[None, :]) / width
    density = np.where(gap**2 < 5, 0.75 * (1 - gap**2 / 5) / np.sqrt(5), 0).mean(axis=1) / width
    # Rank 10 x .2 = 2 is whole: the mean of the second and the third.
    cut = np.sort(density)[1:3].mean()
    scores, group = jnp.asarray(np.r_[treated, controls]), jnp.asarray(np.arange(32) < 10)
    kept = np.asarray(matching.in_dense_support(scores, group, ~group, 20.0))
    np.testing.assert_array_equal(kept[:10], (density > 0) & (density >= cut))
    assert kept[10:].all()
    assert not kept[:10].all()


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(80, 3))
    treated = rng.uniform(size=80) < 1 / (1 + np.exp(1 - values @ [0.8, -0.5, 0.2]))
    return jnp.asarray(values), jnp.asarray(treated)


def test_the_score_vector_is_zero_and_copies_are_weights(sample):
    values, treated = sample
    copies = np.random.default_rng(4).integers(0, 4, 80)
    fit = logit(values, treated, jnp.asarray(copies.astype(float)))
    assert int(fit.status) == LogitStatus.OK
    gradient = np.asarray(copies * (np.asarray(treated) - np.asarray(fit.score))) @ np.column_stack(
        [values, np.ones(80)]
    )
    np.testing.assert_allclose(gradient, 0.0, atol=1e-10)
    again = logit(
        jnp.asarray(np.repeat(values, copies, axis=0)), jnp.asarray(np.repeat(treated, copies)), jnp.ones(copies.sum())
    )
    np.testing.assert_allclose(again.coef, fit.coef, rtol=1e-12)


def test_the_logit_is_that_of_scikit_learn(sample):
    linear = pytest.importorskip("sklearn.linear_model")
    values, treated = (np.asarray(each) for each in sample)
    other = linear.LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000, solver="newton-cholesky").fit(
        values, treated
    )
    fit = logit(*sample, jnp.ones(80))
    np.testing.assert_allclose(fit.coef, np.r_[other.coef_[0], other.intercept_], rtol=1e-7)


def test_a_collinear_covariate_and_a_constant_are_left_out(sample):
    values, treated = sample
    more = jnp.concatenate([values, values[:, :1] + values[:, 1:2], jnp.zeros((80, 1))], axis=1)
    fit = logit(more, treated, jnp.ones(80))
    plain = logit(values, treated, jnp.ones(80))
    np.testing.assert_allclose(np.asarray(fit.coef)[[0, 1, 2, 5]], np.asarray(plain.coef), rtol=1e-9)
    np.testing.assert_array_equal(np.asarray(fit.coef)[3:5], 0.0)
    assert int(fit.status) == LogitStatus.OK


def test_separation_is_found_and_its_covariates_named(sample):
    values = np.asarray(sample[0])
    for mixed, found in ((values[:, 1], [1]), (values[:, 0] + values[:, 2], [0, 2])):
        treated = mixed > np.quantile(mixed, 0.7)
        assert int(logit(sample[0], jnp.asarray(treated), jnp.ones(80)).status) == LogitStatus.SEPARATED
        assert set(found) <= set(separating(values, treated))
    assert separating(values, values[:, 1] > 0.4) == [1]
    # Quasi-complete: the groups meet at one value.
    level = np.round(values[:, 0])
    treated = (level > 0) | ((level == 0) & (np.arange(80) % 2 == 0))
    fit = logit(jnp.asarray(level[:, None]), jnp.asarray(treated), jnp.ones(80))
    assert int(fit.status) == LogitStatus.SEPARATED
    assert separating(values, np.asarray(sample[1])) == []


@pytest.mark.parametrize("moments", [1, 2])
def test_entropy_balancing_hits_the_moments_and_is_the_dual_of_scipy(sample, moments):
    values, treated = sample
    balanced = moments_of(values, moments)
    weights, good = entropy_balance(balanced, treated, ~treated)
    assert bool(good)
    one = np.asarray(treated)
    z, w = np.asarray(balanced), np.asarray(weights)
    np.testing.assert_allclose(w @ z, z[one].sum(0), rtol=1e-11, atol=1e-11)
    assert w.sum() == pytest.approx(one.sum(), rel=1e-13)
    assert not w[one].any()
    gap = z[~one] - z[one].mean(0)
    found = optimize.minimize(
        lambda dual: np.log(np.exp(gap @ dual).sum()), np.zeros(z.shape[1]), method="BFGS", options={"gtol": 1e-10}
    )
    other = np.exp(gap @ found.x)
    np.testing.assert_allclose(w[~one], one.sum() * other / other.sum(), rtol=1e-4)


def test_what_no_weights_balance_is_said(sample):
    values, treated = sample
    beyond = values.at[:, 0].add(jnp.where(treated, 9.0, 0.0))
    assert not bool(entropy_balance(beyond, treated, ~treated)[1])
