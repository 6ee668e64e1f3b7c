"""Placebo: what is drawn, that it is drawn right, and that the test keeps its size."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.event_study import EventStudy, adoption
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import Placebo, assign_cohorts, assign_years, randomisation, sample_cohorts
from syneff.runtime import draw_keys, key_for
from tests.panels import staggered

MODEL = FixedEffects(Spec("y", "treat", ("a",)))


@pytest.mark.parametrize("assign", ["cohorts", "years"])
def test_draws_are_refits_of_what_was_drawn(assign):
    panel = staggered(3, missing=0.1)
    estimate = Placebo(MODEL, draws=7, assign=assign).estimate(panel, seed=5, name="p")
    cohorts, units = adoption(jnp.asarray(panel.column("treat"))), jnp.arange(30)
    for draw, key in enumerate(draw_keys(key_for(5, "p"), jnp.arange(7))):
        drawn = assign_cohorts(key, cohorts, units) if assign == "cohorts" else assign_years(key, cohorts, units, 8)
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
    cohorts = jnp.asarray([2, 2, 4, 8, 8, 8, 8, 5])
    units = jnp.asarray([0, 1, 2, 3, 4, 5])
    seen = set()
    keys = jax.random.split(jax.random.key(0), 50)
    for drawn in np.asarray(jax.vmap(lambda key: assign_cohorts(key, cohorts, units))(keys)):
        assert sorted(drawn[:6]) == sorted(np.asarray(cohorts[:6]))
        assert tuple(drawn[6:]) == (8, 5)
        seen.add(tuple(drawn))
    assert len(seen) > 20


def test_years_treats_as_many_and_uses_every_real_year_alike():
    cohorts = jnp.asarray([2] * 9 + [5] + [8] * 30)
    units = jnp.arange(40)
    drawn = np.asarray(
        jax.vmap(lambda key: assign_years(key, cohorts, units, 8))(jax.random.split(jax.random.key(0), 400))
    )
    assert ((drawn < 8).sum(1) == 10).all()
    assert set(np.unique(drawn)) == {2, 5, 8}
    share = (drawn == 2).sum() / (drawn < 8).sum()
    assert share == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 4000))
    treated = (drawn < 8).mean(0)
    assert np.abs(treated - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 400)


def test_randomisation_p_values_by_hand():
    panel = staggered(3)
    actual = MODEL.estimate(panel)
    b = float(actual.coef[0])
    draws = jnp.asarray([2 * b, b, -b, 0.0, -3 * b])[:, None]
    drawn = Placebo(MODEL, draws=5).estimate(panel).draws
    drawn = replace(drawn, coef=draws, cov=jnp.full((5, 1, 1), float(actual.cov[0, 0])))
    test, stats = randomisation(actual, drawn, "treat")
    assert float(test.pvalue) == pytest.approx(5 / 6)
    high, low = stats["randomization_p_greater"], stats["randomization_p_less"]
    assert {round(6 * float(high)), round(6 * float(low))} == {3, 5}


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


def test_who_adopts_after_the_sample_is_never_treated():
    treatment = jnp.asarray(np.arange(8)[None, :] >= np.array([2, 6, 99])[:, None]).astype(float)
    weights = jnp.ones((3, 8)).at[:, 5:].set(0.0)
    np.testing.assert_array_equal(sample_cohorts(treatment, weights), [2, 8, 8])


def test_no_estimate_gives_no_p_value():
    """A coefficient that effects explain is NaN: nothing can be more extreme than it, and that is no evidence."""
    panel = staggered(3)
    everyone = np.tile((np.arange(8) >= 4).astype(float), (30, 1))
    estimate = Placebo(MODEL, draws=9).estimate(panel.assign({"treat": everyone}))
    assert np.isnan(estimate.frame().set_index("term").loc["randomization", "p_value"])


def test_failed_draws_are_left_out_and_counted():
    panel = staggered(3)
    actual = MODEL.estimate(panel)
    drawn = Placebo(MODEL, draws=20).estimate(panel).draws
    test, _ = randomisation(actual, drawn, "treat")
    spoilt = replace(drawn, coef=drawn.coef.at[3].set(jnp.nan), cov=drawn.cov.at[3].set(jnp.nan))
    other, stats = randomisation(actual, spoilt, "treat")
    extreme = np.abs(np.asarray(drawn.coef[:, 0])) >= abs(float(actual.coef[0])) * (1 - 1e-12)
    assert float(test.pvalue) == pytest.approx((1 + extreme.sum()) / 21)
    assert float(other.pvalue) == pytest.approx((1 + np.delete(extreme, 3).sum()) / 20)
    assert float(stats["draws_failed"]) == 1
    assert np.isfinite(float(stats["placebo_q500"]))
