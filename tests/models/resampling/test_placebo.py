"""Placebo: what is drawn, that it is drawn right, and that the test keeps its size."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import Placebo, PlaceboInTime
from syneff.models.resampling.assignment import ASSIGN, assign, assignment, permutation_within, sample_cohorts
from syneff.models.resampling.placebo import inverted_interval, randomisation
from syneff.runtime import draw_keys, key_for
from tests.panels import staggered

MODEL = FixedEffects(Spec("y", "treat", ("a",)))


def source_of(panel, rule, strata=None):
    """What a rule draws from, on the whole panel."""
    strata = np.zeros(panel.shape[0], dtype=int) if strata is None else strata
    cohorts = sample_cohorts(jnp.asarray(panel.column("treat")), jnp.asarray(panel.weights))
    return assignment(cohorts, panel.weights, strata, rule)


@pytest.mark.parametrize(("rule", "missing"), [("cohorts", 0.0), ("years", 0.1), ("mixed", 0.0)])
def test_draws_are_refits_of_what_was_drawn(rule, missing):
    panel = staggered(3, missing=missing)
    estimate = Placebo(MODEL, draws=5, assign=rule).estimate(panel, seed=5, name="p")
    source = source_of(panel, rule)
    for draw, key in enumerate(draw_keys(key_for(5, "p"), jnp.arange(5))):
        drawn = assign(key, source, rule)
        treat = (np.asarray(drawn)[:, None] <= np.arange(8)).astype(float)
        single = MODEL.estimate(panel.assign({"treat": treat}))
        row = estimate.draws_frame().iloc[draw]
        fitted = single.frame().iloc[0]
        for name in ("estimate", "std_error", "p_value"):
            assert row[name] == pytest.approx(fitted[name], rel=1e-10)


def test_draws_do_not_depend_on_chunk_or_number_of_draws():
    panel = staggered(3)
    one = Placebo(MODEL, draws=53, chunk=53).estimate(panel, seed=1, name="p").draws
    other = Placebo(MODEL, draws=101, chunk=8).estimate(panel, seed=1, name="p").draws
    np.testing.assert_allclose(one.coef, other.coef[:53], rtol=1e-12)
    assert not np.allclose(one.coef, Placebo(MODEL, draws=53).estimate(panel, seed=1, name="q").draws.coef)


def test_cohorts_keep_their_sizes_and_leave_units_outside_alone():
    cohorts, weights = np.asarray([2, 2, 4, 8, 8, 8, 8, 5]), np.ones((8, 8))
    weights[6:] = 0.0
    source = assignment(cohorts, weights, np.zeros(8, dtype=int), "cohorts")
    seen = set()
    keys = jax.random.split(jax.random.key(0), 50)
    for drawn in np.asarray(jax.vmap(lambda key: assign(key, source, "cohorts"))(keys)):
        assert sorted(drawn[:6]) == sorted(cohorts[:6])
        assert tuple(drawn[6:]) == (8, 5)
        seen.add(tuple(drawn))
    assert len(seen) > 20


def test_all_permutations_are_alike_within_strata_and_none_crosses_them():
    strata = jnp.asarray([0, 0, 0, 1, 1], dtype=jnp.int32)
    drawn = np.asarray(jax.vmap(lambda key: permutation_within(key, strata))(jax.random.split(jax.random.key(1), 6000)))
    assert (np.sort(drawn[:, :3], axis=1) == [0, 1, 2]).all()
    assert (np.sort(drawn[:, 3:], axis=1) == [3, 4]).all()
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    assert counts.size == 12
    assert np.abs(counts - 500).max() < 4.5 * np.sqrt(500)


@pytest.mark.parametrize(("rule", "support"), [("years", {2, 5}), ("mixed", set(range(1, 8)))])
def test_years_treats_as_many_and_uses_every_year_alike(rule, support):
    source = assignment(np.asarray([2] * 9 + [5] + [8] * 30), np.ones((40, 8)), np.zeros(40, dtype=int), rule)
    keys = jax.random.split(jax.random.key(0), 400)
    drawn = np.asarray(jax.vmap(lambda key: assign(key, source, rule))(keys))
    assert ((drawn < 8).sum(1) == 10).all()
    assert set(np.unique(drawn)) == {*support, 8}
    share, expected = (drawn == 2).sum() / (drawn < 8).sum(), 1 / len(support)
    assert share == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 4000))
    treated = (drawn < 8).mean(0)
    assert np.abs(treated - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 400)


def test_strata_keep_their_numbers_of_treated_units():
    panel = staggered(3)
    estimate = Placebo(MODEL, draws=3, strata="region").estimate(panel, seed=2)
    regions = np.unique(panel.traits["region"].astype(str), return_inverse=True)[1]
    source = source_of(panel, "cohorts", regions)
    key = draw_keys(key_for(2, ""), jnp.arange(1))[0]
    drawn, real = np.asarray(assign(key, source, "cohorts")), np.asarray(source.cohorts)
    for each in np.unique(regions):
        assert sorted(drawn[regions == each]) == sorted(real[regions == each])
    treat = (drawn[:, None] <= np.arange(8)).astype(float)
    refit = float(MODEL.estimate(panel.assign({"treat": treat})).coef[0])
    assert float(estimate.draws.coef[0, 0]) == pytest.approx(refit, rel=1e-10)


def test_randomisation_p_values_by_hand():
    panel = staggered(3)
    actual = MODEL.estimate(panel)
    b = float(actual.coef[0])
    draws = jnp.asarray([2 * b, b, -b, 0.0, -3 * b])[:, None]
    drawn = Placebo(MODEL, draws=5).estimate(panel).draws
    drawn = replace(drawn, coef=draws, cov=jnp.full((5, 1, 1), float(actual.cov[0, 0])))
    test, stats = randomisation(actual, drawn, np.zeros(5), "treat")
    assert float(test.pvalue) == pytest.approx(5 / 6)
    high, low = stats["randomization_p_greater"], stats["randomization_p_less"]
    assert {round(6 * float(high)), round(6 * float(low))} == {3, 5}


def test_the_interval_holds_the_effects_that_are_not_rejected():
    """Against the definition: take the effect out of the outcome, draw again, and look at the p-value."""
    panel = staggered(3, units=40)
    scheme = Placebo(MODEL, draws=99)
    test = scheme.estimate(panel, seed=1).tests[0]
    low, high = float(test.low), float(test.high)
    width = high - low
    for effect, inside in (
        (low - 1e-6, 0),
        (low + 1e-6, 1),
        (high - 1e-6, 1),
        (high + 1e-6, 0),
        (low + 0.3 * width, 1),
    ):
        net = panel.assign({"y": panel.column("y") - effect * panel.column("treat")})
        assert (float(scheme.estimate(net, seed=1).tests[0].pvalue) > 0.05) == bool(inside)
    assert float(test.error) == pytest.approx(np.sqrt(float(test.pvalue) * (1 - float(test.pvalue)) / 99))
    assert inverted_interval(1.0, np.zeros(10), np.zeros(10)) == (-np.inf, np.inf)


@pytest.mark.slow
def test_p_values_are_uniform_without_an_effect():
    """Under the sharp null the actual assignment is one more draw: the share of p <= .2 is .2 within sampling error."""
    panel = staggered(4)
    rng = np.random.default_rng(0)
    pvalues = []
    for _ in range(60):
        null = panel.assign({"y": rng.standard_t(3, size=panel.shape)})
        frame = Placebo(MODEL, draws=99).estimate(null, seed=int(rng.integers(1 << 30))).frame().set_index("term")
        pvalues.append(frame.loc["randomization", "p_value"])
    assert abs(np.mean(np.asarray(pvalues) <= 0.2) - 0.2) < 4 * np.sqrt(0.16 / 60)
    assert min(pvalues) >= 1 / 100


def test_an_effect_is_found():
    estimate = Placebo(MODEL, draws=199).estimate(staggered(5, units=60), seed=0)
    frame = estimate.frame().set_index("term")
    assert frame.loc["randomization", "p_value"] == pytest.approx(1 / 200)
    assert frame.loc["randomization", "statistic"] == frame.loc["treat", "estimate"]


def test_bad_options():
    with pytest.raises(SpecError, match=r"estimator.assign"):
        Placebo(MODEL, assign="cities")
    with pytest.raises(SpecError, match="draws=0"):
        Placebo(MODEL, draws=0)
    panel = staggered(3)
    with pytest.raises(SpecError, match="no coefficient of 'treat'"):
        Placebo(EventStudy(MODEL.spec, window=(-2, 2))).estimate(panel)
    with pytest.raises(DataError, match=r"0\.5"):
        Placebo(MODEL).estimate(panel.assign({"treat": panel.column("treat") * 0.5}))
    with pytest.raises(DataError, match="'treat' is 0 on all 240 rows"):
        Placebo(MODEL).estimate(panel.assign({"treat": np.zeros((30, 8))}))
    with pytest.raises(SpecError, match=r"estimator.strata.*Did you mean 'region'"):
        Placebo(MODEL, strata="regio").estimate(panel)
    assert ASSIGN == ("cohorts", "years", "mixed")


@pytest.mark.parametrize("rule", ["cohorts", "years"])
def test_where_all_are_treated_alike_there_is_nothing_to_draw(rule):
    everyone = np.tile((np.arange(8) >= 4).astype(float), (30, 1))
    with pytest.raises(DataError, match="all 30 units are treated from 2004 on"):
        Placebo(MODEL, assign=rule).estimate(staggered(3).assign({"treat": everyone}))


def test_strata_of_one_unit_and_units_without_a_stratum_are_named():
    panel = staggered(3)
    region = panel.traits["region"].copy()
    region[7] = "alone"
    estimate = Placebo(MODEL, draws=3, strata="region").estimate(replace(panel, traits={"region": region}))
    assert "1 strata of region have one unit, whose treatment never changes: alone" in estimate.notes
    region = region.copy()
    region[4] = None
    with pytest.raises(DataError, match=r"estimator.strata=region: 4 has no value"):
        Placebo(MODEL, strata="region").estimate(replace(panel, traits={"region": region}))


def test_who_adopts_after_the_sample_is_never_treated():
    treatment = jnp.asarray(np.arange(8)[None, :] >= np.array([2, 6, 99])[:, None]).astype(float)
    weights = jnp.ones((3, 8)).at[:, 5:].set(0.0)
    np.testing.assert_array_equal(sample_cohorts(treatment, weights), [2, 8, 8])


def test_placebo_in_time_is_a_fit_on_the_years_before():
    panel = staggered(3, units=60)
    estimate = PlaceboInTime(MODEL, leads=(1, 2)).estimate(panel)
    assert estimate.names == ("lead[1]", "lead[2]")
    treat = panel.column("treat")
    before = panel.reweight(1.0 - treat)
    for place, lead in enumerate((1, 2)):
        early = np.concatenate([treat[:, lead:], np.zeros((60, lead))], axis=1)
        single = MODEL.estimate(before.assign({"treat": np.maximum.accumulate(early, axis=1)}))
        assert float(estimate.coef[place]) == pytest.approx(float(single.coef[0]), rel=1e-12)
        assert float(estimate.std_error[place]) == pytest.approx(float(single.std_error[0]), rel=1e-12)
    assert int(estimate.nobs) == int(before.sample.sum())
    with pytest.raises(SpecError, match="leads"):
        PlaceboInTime(MODEL, leads=(0,))
    from_the_start = staggered(3).assign({"treat": np.outer(np.arange(30) < 9, np.ones(8)).astype(float)})
    with pytest.raises(DataError, match="Use a sample with years before"):
        PlaceboInTime(MODEL).estimate(from_the_start)


def test_failed_draws_are_left_out_and_counted():
    panel = staggered(3)
    actual = MODEL.estimate(panel)
    drawn = Placebo(MODEL, draws=20).estimate(panel).draws
    test, _ = randomisation(actual, drawn, np.zeros(20), "treat")
    spoilt = replace(drawn, coef=drawn.coef.at[3].set(jnp.nan), cov=drawn.cov.at[3].set(jnp.nan))
    other, stats = randomisation(actual, spoilt, np.zeros(20), "treat")
    extreme = np.abs(np.asarray(drawn.coef[:, 0])) >= abs(float(actual.coef[0])) * (1 - 1e-12)
    assert float(test.pvalue) == pytest.approx((1 + extreme.sum()) / 21)
    assert float(other.pvalue) == pytest.approx((1 + np.delete(extreme, 3).sum()) / 20)
    assert float(stats["draws_failed"]) == 1
    assert np.isfinite(float(stats["placebo_q500"]))
