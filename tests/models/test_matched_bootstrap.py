"""The bootstrap through the match: a draw is a match and a fit on copied cities."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import SpecError
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.matching import MatchedBootstrap, Matching, matched
from syneff.models.resampling.bootstrap import draw_copies
from syneff.panel.panel import Panel
from syneff.runtime import draw_keys, key_for
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a", "b"))
MATCHES = {
    "nearest": Matching(("a", "b"), neighbours=3),
    "kernel": Matching(("a", "b"), method="kernel", bandwidth=0.1, weighting="frequency", support="common"),
    "now": Matching(("a", "b"), method="radius", caliper=0.1, treated="now", unmatched="drop"),
    "before": Matching(("a", "b"), by="pre_treatment", replacement=False),
}


@pytest.fixture(scope="module")
def panel() -> Panel:
    return staggered(8, units=40, periods=5, missing=0.05)


def copied(panel: Panel, copies: np.ndarray) -> Panel:
    """Return a panel in which every copy of a city is a city."""
    units = np.repeat(np.arange(len(panel.units)), copies)
    names = [f"{unit:03d} {number}" for number, unit in enumerate(units)]
    return replace(
        panel,
        units=tuple(names),
        columns={name: values[units] for name, values in panel.columns.items()},
        traits={},
        weights=panel.weights[units],
    )


@pytest.mark.parametrize(
    "name", ["nearest", "kernel", *(pytest.param(each, marks=pytest.mark.slow) for each in ("now", "before"))]
)
def test_a_draw_is_a_match_and_a_fit_on_copied_cities(panel, name):
    model, draws = FixedEffects(SPEC), 2
    estimate = MatchedBootstrap(model, MATCHES[name], draws=draws).estimate(panel, seed=3, name="b")
    key = draw_keys(key_for(3, "b"), jnp.arange(draws))[1]
    single = model.estimate(
        matched(copied(panel, np.asarray(draw_copies(key, 40)).astype(int)), matching=MATCHES[name])
    )
    np.testing.assert_allclose(estimate.draws.coef[1], single.coef, rtol=1e-8)
    np.testing.assert_allclose(estimate.draws.std_error[1], single.std_error, rtol=1e-7)
    assert float(estimate.draws.nobs[1]) == float(single.nobs)
    plain = model.estimate(matched(panel, matching=MATCHES[name]))
    np.testing.assert_allclose(estimate.coef, plain.coef, rtol=1e-12)
    assert ("Abadie and Imbens" in " ".join(estimate.notes)) == (MATCHES[name].method == "nearest")
    assert "matching_balance" in estimate.details


@pytest.mark.slow
def test_standard_errors_are_the_spread_of_the_draws_whatever_the_chunk(panel):
    scheme = MatchedBootstrap(FixedEffects(SPEC), MATCHES["kernel"], draws=40, chunk=7)
    estimate = scheme.estimate(panel, seed=1)
    coef = np.asarray(estimate.draws.coef)
    np.testing.assert_allclose(estimate.std_error, coef.std(axis=0, ddof=1), rtol=1e-12)
    other = replace(scheme, chunk=32).estimate(panel, seed=1)
    np.testing.assert_allclose(other.draws.coef, coef, rtol=1e-10)
    assert {test.name for test in estimate.tests} >= {"percentile:treat", "bca:treat", "bootstrap_t:treat"}


def test_draws_in_which_a_year_cannot_be_matched_are_counted(panel):
    """With a caliper so small some year of many samples has no match."""
    tight = Matching(("a", "b"), caliper=0.0012, unmatched="raise", by="pre_treatment")
    estimate = MatchedBootstrap(FixedEffects(SPEC), tight, draws=60).estimate(panel, seed=2)
    lost = np.isnan(np.asarray(estimate.draws.coef[:, 0]))
    assert 0 < lost.sum() < 60
    assert f"{lost.sum()} of 60 draws have years that cannot be matched (no match" in " ".join(estimate.notes)


@pytest.mark.slow
def test_clusters_that_hold_several_cities_are_drawn_whole(panel):
    model = FixedEffects(replace(SPEC, cluster="region"))
    estimate = MatchedBootstrap(model, MATCHES["kernel"], draws=2).estimate(panel, seed=4)
    codes = np.unique(panel.traits["region"].astype(str), return_inverse=True)[1]
    for draw, key in enumerate(draw_keys(key_for(4, ""), jnp.arange(2))):
        copies = np.asarray(draw_copies(key, int(codes.max()) + 1)).astype(int)
        sample = matched(copied(panel, copies[codes]), matching=MATCHES["kernel"])
        np.testing.assert_allclose(estimate.draws.coef[draw], FixedEffects(SPEC).estimate(sample).coef, rtol=1e-8)


def test_what_cannot_be_resampled_is_refused(panel):
    with pytest.raises(SpecError, match="draws=0"):
        MatchedBootstrap(FixedEffects(SPEC), MATCHES["kernel"], draws=0)
    with pytest.raises(SpecError, match="a step has matched it already"):
        MatchedBootstrap(FixedEffects(SPEC), MATCHES["kernel"], draws=2).estimate(
            matched(panel, matching=MATCHES["kernel"])
        )
    with pytest.raises(SpecError, match="covariance conley has no meaning in a draw"):
        MatchedBootstrap(FixedEffects(replace(SPEC, covariance="conley", cutoff_km=100.0)), MATCHES["kernel"])
    with pytest.raises(SpecError, match=r"spec.cluster=period is not constant within unit"):
        MatchedBootstrap(FixedEffects(replace(SPEC, cluster="period")), MATCHES["kernel"], draws=2).estimate(panel)


@pytest.mark.slow
def test_the_bootstrap_is_about_as_wide_as_the_estimates_of_new_panels():
    """Kernel matching on means before adoption is smooth: the standard error is near the spread over 40 panels."""
    chosen = Matching(("a", "b"), by="pre_treatment", method="kernel", bandwidth=0.2, weighting="frequency")
    model = FixedEffects(Spec("y", "treat", ()))
    drawn = [staggered(100 + seed, units=60, periods=5) for seed in range(40)]
    found = [float(model.estimate(matched(each, matching=chosen)).coef[0]) for each in drawn]
    errors = [float(MatchedBootstrap(model, chosen, draws=200).estimate(each).std_error[0]) for each in drawn[:4]]
    # The spread of 40 estimates is known to 11 %, and standard errors differ between panels.
    assert np.mean(errors) == pytest.approx(np.std(found, ddof=1), rel=0.35)
