"""Bootstraps and jackknife: every kind of draw against an explicit regression on dummies."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import SpecError
from syneff.models.base import Spec
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import BayesianBootstrap, Jackknife, PairsBootstrap, PlaceboInTime, intervals
from syneff.models.resampling.bootstrap import draw_copies, draw_weights
from syneff.runtime import draw_keys, key_for
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a",))


def refit(panel, units, clusters, weights=None):
    """Stack the units as given, each with a dummy of its own, and cluster by the codes given; reghdfe's factor."""
    weights = np.ones(len(units)) if weights is None else weights
    rows = [(place, unit, period) for place, unit in enumerate(units) for period in np.flatnonzero(panel.sample[unit])]
    place, unit, period = np.asarray(rows).T
    periods = np.unique(period)
    dummies = [np.eye(len(units))[place], (period[:, None] == periods[1:][None, :]).astype(float)]
    full = np.concatenate([np.stack([panel.column(n)[unit, period] for n in SPEC.regressors], 1), *dummies], axis=1)
    y, w = panel.column("y")[unit, period], weights[place] * panel.weights[unit, period]
    coef = np.linalg.lstsq(full * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]
    bread = np.linalg.pinv((full * w[:, None]).T @ full, hermitian=True)
    scores = full * (w * (y - full @ coef))[:, None]
    code = np.asarray(clusters)[place]
    sums = np.stack([scores[code == each].sum(0) for each in np.unique(code)])
    n, g = len(y), len(sums)
    factor = g / (g - 1) * (n - 1) / (n - (2 + len(periods)))
    return coef[:2], np.sqrt(np.diagonal(bread @ sums.T @ sums @ bread)[:2] * factor)


@pytest.mark.parametrize(("cluster", "missing"), [("unit", 0.0), ("unit", 0.2), ("region", 0.0), ("region", 0.2)])
def test_pairs_are_refits_with_copies_of_their_own(cluster, missing):
    panel = staggered(3, missing=missing)
    model = FixedEffects(replace(SPEC, cluster=cluster))
    estimate = PairsBootstrap(model, draws=4).estimate(panel, seed=3, name="b")
    codes = np.asarray(model.design(panel).cluster[:, 0])
    for draw, key in enumerate(draw_keys(key_for(3, "b"), jnp.arange(4))):
        copies = np.asarray(draw_copies(key, int(codes.max()) + 1)).astype(int)
        pairs = [(unit, (code, copy)) for unit, code in enumerate(codes) for copy in range(copies[code])]
        clusters = np.unique([f"{each}" for _, each in pairs], return_inverse=True)[1]
        coef, error = refit(panel, [unit for unit, _ in pairs], clusters)
        np.testing.assert_allclose(estimate.draws.coef[draw, :2], coef, rtol=1e-10)
        np.testing.assert_allclose(estimate.draws.std_error[draw, :2], error, rtol=1e-9)
    coef = np.asarray(estimate.draws.coef)
    np.testing.assert_allclose(estimate.std_error, coef.std(axis=0, ddof=1), rtol=1e-12)
    assert estimate.names == ("treat", "a")
    assert {test.name for test in estimate.tests} >= {"percentile:treat", "basic:treat", "bca:a", "bootstrap_t:treat"}
    assert ("only 6 clusters" in " ".join(estimate.notes)) == (cluster == "region")


def test_bayesian_draws_are_weighted_refits():
    panel = staggered(3)
    estimate = BayesianBootstrap(FixedEffects(SPEC), draws=3).estimate(panel, seed=3, name="b")
    for draw, key in enumerate(draw_keys(key_for(3, "b"), jnp.arange(3))):
        weights = np.asarray(draw_weights(key, 30))
        assert weights.mean() == pytest.approx(1.0)
        coef, error = refit(panel, range(30), range(30), weights)
        np.testing.assert_allclose(estimate.draws.coef[draw], coef, rtol=1e-10)
        np.testing.assert_allclose(estimate.draws.std_error[draw], error, rtol=1e-9)
    assert [test.name for test in estimate.tests] == ["percentile:treat", "percentile:a"]


@pytest.mark.parametrize("cluster", ["unit", "region"])
def test_the_jackknife_leaves_each_cluster_out(cluster):
    panel = staggered(3, missing=0.1)
    estimate = Jackknife(FixedEffects(replace(SPEC, cluster=cluster))).estimate(panel)
    names = np.arange(30) if cluster == "unit" else panel.traits["region"]
    left = np.stack(
        [refit(panel, np.flatnonzero(names != each), np.flatnonzero(names != each))[0] for each in np.unique(names)]
    )
    full, _ = refit(panel, range(30), range(30))
    count = len(left)
    cov = (count - 1) / count * (left - full).T @ (left - full)
    np.testing.assert_allclose(estimate.cov, cov, rtol=1e-9)
    assert float(estimate.dof) == count - 1


def test_any_estimator_is_resampled():
    """Without a closed form draws are refitted, and have no standard errors of copies to studentise with."""
    panel, model = staggered(3), EventStudy(SPEC, window=(-2, 2))
    estimate = PairsBootstrap(model, draws=3, chunk=3).estimate(panel, seed=1)
    key = draw_keys(key_for(1, ""), jnp.arange(1))[0]
    copies = np.asarray(draw_copies(key, 30))
    single = model.estimate(panel.reweight(panel.weights * copies[:, None]))
    np.testing.assert_allclose(estimate.draws.coef[0], single.coef, rtol=1e-9, atol=1e-12)
    names = {test.name for test in estimate.tests}
    assert "percentile:event[1]" in names
    assert "bootstrap_t:event[1]" not in names
    assert "pre_trend" in names


def test_a_cluster_that_alone_is_treated_is_named():
    panel = staggered(3)
    treat = np.zeros((30, 8))
    treat[11, 4:] = 1.0
    estimate = Jackknife(FixedEffects(SPEC)).estimate(panel.assign({"treat": treat}))
    assert np.isnan(float(estimate.std_error[0]))
    assert np.isfinite(float(estimate.std_error[1]))
    assert "without 11 it cannot be estimated" in " ".join(estimate.notes)
    pairs = PairsBootstrap(FixedEffects(SPEC), draws=60).estimate(panel.assign({"treat": treat}))
    gone = np.isnan(np.asarray(pairs.draws.coef[:, 0]))
    assert 0 < gone.sum() < 60
    assert float(pairs.stats["draws_failed"]) == gone.sum()
    assert f"{gone.sum()} of 60 draws left out" in " ".join(pairs.notes)
    assert not np.isnan(np.asarray(pairs.draws.coef[:, 1])).any()
    assert np.isfinite(float(pairs.std_error[0]))


def test_intervals_by_hand():
    draws = np.arange(1.0, 1000.0)
    plain = intervals.percentile(draws)
    assert (plain.low, plain.high) == pytest.approx((25.95, 974.05))
    assert plain.pvalue == pytest.approx(2 / 1000)
    turned = intervals.basic(400.0, draws)
    assert (turned.low, turned.high) == pytest.approx((800 - 974.05, 800 - 25.95))
    assert turned.pvalue == pytest.approx(2 * 201 / 1000)
    student = intervals.bootstrap_t(400.0, 2.0, draws, np.full(999, 4.0))
    assert student.low == pytest.approx(400 - 2 * (974.05 - 400) / 4)
    assert student.high == pytest.approx(400 - 2 * (25.95 - 400) / 4)


def test_bca_is_scipys():
    from scipy import stats

    sample = np.random.default_rng(0).exponential(size=40)
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=4999, method="BCa", rng=np.random.default_rng(1))
    left_out = (sample.sum() - sample) / 39
    ours = intervals.bca(sample.mean(), theirs.bootstrap_distribution, left_out)
    # scipy takes the share of draws below the estimate without the half draw of ours.
    np.testing.assert_allclose((ours.low, ours.high), theirs.confidence_interval, rtol=2e-3)


@pytest.mark.parametrize("scheme", [PairsBootstrap, BayesianBootstrap, Jackknife])
def test_clusters_must_hold_whole_units(scheme):
    with pytest.raises(SpecError, match=r"spec.cluster=period is not constant within unit: 0 lies in several"):
        scheme(FixedEffects(replace(SPEC, cluster="period"))).estimate(staggered(3))


@pytest.mark.parametrize("scheme", [PairsBootstrap, BayesianBootstrap])
def test_there_must_be_draws(scheme):
    with pytest.raises(SpecError, match="draws=0"):
        scheme(FixedEffects(SPEC), draws=0)
    with pytest.raises(SpecError, match="chunk=0"):
        scheme(FixedEffects(SPEC), chunk=0)


def test_degrees_of_freedom_stay_with_their_terms():
    """Satterthwaite's differ from term to term; schemes that report some of the terms must cut them alike."""
    panel = staggered(1, units=24)
    model = FixedEffects(replace(SPEC, covariance="CR2"))
    single = model.estimate(panel).frame().set_index("term")["dof"]
    assert single["treat"] != single["a"]
    draws = PairsBootstrap(model, draws=9).estimate(panel).frame().set_index("term")["dof"]
    np.testing.assert_allclose(draws[["treat", "a"]], single[["treat", "a"]], rtol=1e-12)
    early = PlaceboInTime(model, leads=(1, 2)).estimate(panel)
    assert early.dof.shape == (2,)
    alone = PlaceboInTime(model, leads=(2,)).estimate(panel)
    assert float(early.dof[1]) == pytest.approx(float(alone.term_dof[0]), rel=1e-12)
