"""One comparison of two periods: methods that must agree, and how a comparison fails."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from syneff.numerics.doubly_robust import CellStatus, compare, standardised
from syneff.runtime import require_float64

require_float64()
N = 80


@pytest.fixture(scope="module")
def compared():
    compiled = {method: jax.jit(partial(compare, method=method)) for method in ("regression", "ipw", "dr")}

    def run(method, change, x, treated, weights=None):
        weights = np.ones(N) if weights is None else weights
        covariates, seen = jnp.asarray(x)[:, None, :], jnp.asarray(weights > 0)[:, None]
        columns = standardised(covariates, seen)[0]
        return compiled[method](jnp.asarray(change), columns, jnp.asarray(treated), jnp.asarray(weights))

    return run


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2))
    treated = rng.uniform(size=N) < 1 / (1 + np.exp(-0.8 * x[:, 0] + 0.5))
    return 1.0 + treated + x @ [0.7, -0.3] + rng.normal(size=N), x, treated


@pytest.mark.parametrize("method", ["regression", "ipw", "dr"])
def test_a_collinear_covariate_changes_nothing(compared, sample, method):
    change, x, treated = sample
    twice = np.column_stack([x[:, 0], 3.0 - 2.0 * x[:, 0]])
    once = np.column_stack([x[:, 0], np.full(N, 7.0)])
    one, other = compared(method, change, twice, treated), compared(method, change, once, treated)
    assert int(one.status) == int(other.status) == CellStatus.OK
    assert float(one.effect) == pytest.approx(float(other.effect), rel=1e-12)
    np.testing.assert_allclose(one.influence, other.influence, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("method", ["regression", "dr"])
def test_an_outcome_that_the_covariates_explain_is_exact(compared, sample, method):
    """Either model being right is enough: here the regression is, whatever the scores."""
    _, x, treated = sample
    found = compared(method, 2.0 + x @ [1.5, -4.0] + 0.25 * treated, x, treated)
    assert float(found.effect) == pytest.approx(0.25, rel=1e-12)
    np.testing.assert_allclose(found.influence, 0.0, atol=1e-13)


def test_influence_sums_to_zero_and_weights_of_zero_leave_out(compared, sample):
    change, x, treated = sample
    weights = np.where(np.arange(N) % 7 == 0, 0.0, 1.5)
    found = compared("dr", change, x, treated, weights)
    moved = compared(
        "dr", np.where(weights > 0, change, 99.0), np.where(weights[:, None] > 0, x, -5.0), treated, weights
    )
    assert abs(float(found.influence.sum())) < 1e-12
    assert (np.asarray(found.influence)[weights == 0] == 0).all()
    assert float(moved.effect) == float(found.effect)


@pytest.mark.parametrize(("low", "high", "counts"), [(0.95, 0.994, True), (0.9955, 0.9985, False)])
def test_untreated_with_a_high_score_do_not_count(compared, low, high, counts):
    """From a score of 0.995 on the outcome of an untreated unit changes nothing; its covariates still move the logit."""
    rng = np.random.default_rng(1)
    treated = np.arange(N) < 40
    x = np.column_stack([np.clip(rng.normal(np.where(treated, 1.0, -1.0), 1.0), -1.5, 1.5), np.zeros(N)])
    for place in np.linspace(1.5, 6.0, 400):
        x[-1, 0] = place
        score = 1.0 / (1.0 + np.exp(-_log_odds(x[:, 0], treated)))
        if low < score[-1] < high:
            break
    assert low < score[-1] < high
    assert score.max() < 0.999
    change = rng.normal(size=N)
    one = compared("ipw", change, x, treated)
    other = compared("ipw", np.where(np.arange(N) == N - 1, 100.0, change), x, treated)
    assert int(one.status) == CellStatus.OK
    assert (float(one.effect) != float(other.effect)) == counts
    kept = ~treated & ((np.arange(N) < N - 1) | counts)
    wanted = change[treated].mean() - np.average(change[kept], weights=(score / (1 - score))[kept])
    assert float(one.effect) == pytest.approx(wanted, rel=1e-9)


def _log_odds(x, treated):
    """Return the log odds of a logit by Newton's method."""
    columns, b = np.column_stack([np.ones(len(x)), x]), np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-columns @ b))
        b += np.linalg.solve((columns * (p * (1 - p))[:, None]).T @ columns, columns.T @ (treated - p))
    return columns @ b


def test_how_comparisons_fail(compared, sample):
    change, x, treated = sample
    some = treated & (np.cumsum(treated) <= 3)
    only = np.column_stack([x[:, 0], some.astype(float)])  # no untreated unit has it
    assert int(compared("regression", change, only, treated).status) == CellStatus.FEW_CONTROLS
    assert int(compared("ipw", change, only, treated).status) == CellStatus.SEPARATED
    assert int(compared("regression", change, x, np.zeros(N, bool)).status) == CellStatus.NOTHING_TO_COMPARE
    failed = compared("dr", change, np.column_stack([treated * 2.0 + x[:, 0] * 0.1, x[:, 1]]), treated)
    assert int(failed.status) == CellStatus.SEPARATED
    assert np.isnan(float(failed.effect))
    assert (np.asarray(failed.influence) == 0).all()
    far = x.copy()
    far[np.flatnonzero(treated)[0], 0] = 30.0  # one treated unit is beyond comparison
    assert int(compared("dr", change, far, treated).status) == CellStatus.NO_OVERLAP
