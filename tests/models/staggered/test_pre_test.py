"""Pre-tests: against scipy's normal probabilities, truncated normals, rejection sampling and folded normals."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from syneff.models.staggered.pre_test import detectable_slopes, equivalence, passing, slope_detected
from tests.event_paths import COEF, COV, path_of, random_path

PATH = path_of(COEF, COV, 4)
CRITICAL = stats.norm.ppf(0.975)


def chance(path, slope):
    """Return the chance that a pre-test rejects, by scipy's quadrature."""
    cov = path.cov[np.ix_(path.pre, path.pre)]
    reach = CRITICAL * np.sqrt(np.diagonal(cov))
    mean = slope * (path.times[path.pre] - path.times[path.base])
    rng = np.random.default_rng(0)
    return 1 - stats.multivariate_normal.cdf(
        reach, mean=mean, cov=cov, lower_limit=-reach, abseps=1e-7, releps=1e-7, maxpts=10**6, rng=rng
    )


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("path", [PATH, random_path(1, 2, 2)], ids=["four", "two"])
def test_the_slope_is_detected_as_often_as_asked(path, power):
    assert chance(path, slope_detected(path, power, 0.05)) == pytest.approx(power, abs=1e-4)


def test_one_period_has_closed_forms():
    path = random_path(3, 1, 2)
    error = np.sqrt(path.cov[0, 0])
    slope = slope_detected(path, 0.5, 0.05)

    def power(mean):
        return stats.norm.sf(CRITICAL - mean) + stats.norm.cdf(-CRITICAL - mean)

    mean = brentq(lambda each: power(each) - 0.5, 0, 5)
    assert slope == pytest.approx(mean * error, rel=1e-6)
    trend = slope * (path.times + 1.0)
    found, shift = passing(path, trend, 0.05)
    low, high = (
        -CRITICAL + mean,
        CRITICAL + mean,
    )  # the one event time lies a period before the base, where the trend is negative
    truncated = stats.truncnorm.mean(low, high)
    assert found == pytest.approx(0.5, abs=1e-6)
    np.testing.assert_allclose(shift, path.cov[:, 0] / error * truncated, rtol=1e-4)


def test_bias_of_samples_that_pass_is_that_of_rejection_sampling():
    row = np.concatenate([np.zeros(5), np.full(4, 0.25)])
    frame = detectable_slopes(PATH, {"average": row}, (0.5, 0.8), 0.05)
    rng = np.random.default_rng(0)
    noise = rng.multivariate_normal(np.zeros(9), PATH.cov, size=400_000)
    for found in frame.itertuples():
        trend = found.slope * (PATH.times + 1.0)
        drawn = trend + noise
        kept = (np.abs(drawn[:, :4]) < CRITICAL * np.sqrt(np.diagonal(COV)[:4])).all(1)
        biases = drawn[kept] @ row
        assert found.bias == pytest.approx(row @ trend)
        assert found.bias_passing == pytest.approx(biases.mean(), abs=4 * biases.std() / np.sqrt(kept.sum()))
        assert found.bias_ratio == pytest.approx(found.bias_passing / found.bias)
        assert found.estimate == pytest.approx(COEF[4:].mean())


def test_passing_is_harmless_where_errors_are_independent():
    path = path_of(COEF, np.diag(np.diagonal(COV)), 4)
    frame = detectable_slopes(path, {"first": np.eye(9)[5]}, (0.8,), 0.05)
    assert frame["bias_passing"][0] == pytest.approx(frame["bias"][0], rel=1e-9)


def test_a_pre_test_that_rejects_too_often_detects_a_slope_of_zero():
    path = path_of(np.zeros(21), np.eye(21), 20)
    assert chance(path, 0.0) > 0.5
    frame = detectable_slopes(path, {"first": np.eye(22)[21]}, (0.5,), 0.05)
    assert frame["slope"][0] == 0.0
    assert frame["bias_passing"][0] == 0.0


def test_smallest_thresholds_are_where_each_test_rejects():
    frame = equivalence(PATH, 0.05, None).set_index("test")
    coef, errors = np.abs(COEF[:4]), np.sqrt(np.diagonal(COV)[:4])
    largest = frame.loc["equivalence_max", "smallest_threshold"]
    chances = stats.foldnorm.cdf(coef / errors, largest / errors)
    assert chances.max() == pytest.approx(0.05, rel=1e-6)
    tost = frame.loc["equivalence_tost", "smallest_threshold"]
    assert tost == pytest.approx((coef + stats.norm.ppf(0.95) * errors).max())
    assert largest <= tost * (1 + 1e-9)
    mean, error = abs(COEF[:4].mean()), np.sqrt(COV[:4, :4].sum()) / 4
    threshold = frame.loc["equivalence_mean", "smallest_threshold"]
    assert stats.foldnorm.cdf(mean / error, threshold / error) == pytest.approx(0.05, rel=1e-6)
    assert frame.loc["equivalence_mean", "statistic"] == pytest.approx(mean)
    assert frame["p_value"].isna().all()


@pytest.mark.parametrize("test", ["equivalence_max", "equivalence_tost", "equivalence_mean"])
def test_at_the_smallest_threshold_the_p_value_is_the_level(test):
    smallest = equivalence(PATH, 0.1, None).set_index("test").loc[test, "smallest_threshold"]
    for threshold, expected in ((smallest, 0.1), (2 * smallest, 0.0)):
        found = equivalence(PATH, 0.1, threshold).set_index("test").loc[test, "p_value"]
        assert found == pytest.approx(expected, abs=1e-6 if expected else 0.05)
