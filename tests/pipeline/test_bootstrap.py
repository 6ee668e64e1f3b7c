"""The end-to-end bootstrap: every draw is the whole pipeline run on the drawn cities, by hand."""

from dataclasses import replace
from functools import partial
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.measure.coupling import coupling
from syneff.measure.efficiency import super_sbm
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import PairsBootstrap
from syneff.models.resampling.bootstrap import draw_copies
from syneff.models.spec import Spec
from syneff.panel.panel import Panel
from syneff.panel.steps import winsorise
from syneff.pipeline import PipelineBootstrap
from syneff.runtime import draw_keys, key_for

UNITS, PERIODS, DRAWS = 10, 5, 9
MODEL = FixedEffects(Spec("syeff", controls=("x",)))
MEASURE = {
    "preff": partial(super_sbm, name="preff", inputs=["labour"], good=["gdp"], bad=["pm25"], solver="simplex"),
    "creff": partial(super_sbm, name="creff", inputs=["labour"], good=["gdp"], bad=["co2"], solver="simplex"),
    "syeff": partial(coupling, first="preff", second="creff"),
}


def raw(seed=0):
    rng = np.random.default_rng(seed)
    first = np.array([2, 3, 2, 3, 4, 9, 9, 9, 9, 9])
    treat = (np.arange(PERIODS)[None] >= first[:, None]).astype(float)
    gdp, labour = rng.lognormal(0, 0.4, (UNITS, PERIODS)), rng.lognormal(0, 0.4, (UNITS, PERIODS))
    columns = {"gdp": gdp * (1 + 0.5 * treat), "labour": labour, "treat": treat, "x": rng.normal(size=treat.shape)}
    columns |= {name: gdp * rng.lognormal(0, 0.3, treat.shape) for name in ("pm25", "co2")}
    names = tuple(f"c{at}" for at in range(UNITS))
    return Panel(names, tuple(range(2000, 2000 + PERIODS)), columns, {}, np.ones(treat.shape))


def changed(**options):
    """Return the steps with other options of measuring."""
    scores = {name: partial(super_sbm, **(MEASURE[name].keywords | options)) for name in ("preff", "creff")}
    return scores | {"syeff": MEASURE["syeff"]}


def measured(panel, steps):
    for step in steps.values():
        panel = step(panel)
    return panel


def by_hand(panel, steps, copies):
    """Measure the drawn cities alone, repeat their rows, and regress on explicit dummies."""
    rows = measured(panel.reweight(panel.weights * (copies > 0)[:, None]), steps).to_frame(sample_only=True)
    return regression(panel.units, rows, copies)


def regressed(panel, copies):
    return regression(panel.units, panel.to_frame(sample_only=True), copies)


def regression(units, rows, copies):
    drawn = pd.concat(
        [
            rows[rows["unit"] == unit].assign(unit=f"{unit}-{copy}")
            for unit, count in zip(units, copies, strict=True)
            for copy in range(int(count))
        ]
    )
    if drawn["treat"].nunique() < 2:
        return np.nan
    dummies = pd.get_dummies(drawn[["unit", "period"]].astype(str), dtype=float)
    regressors, root = np.column_stack([drawn[["treat", "x"]], dummies]), np.sqrt(drawn["weight"].to_numpy())
    return np.linalg.lstsq(regressors * root[:, None], drawn["syeff"] * root, rcond=None)[0][0]


def copies_of(seed, name):
    keys = draw_keys(key_for(seed, name), jnp.arange(DRAWS))
    return np.asarray(jax.vmap(partial(draw_copies, count=UNITS))(keys))


@pytest.fixture(scope="module")
def pairs():
    panel = raw()
    return PipelineBootstrap(MODEL, MEASURE, draws=DRAWS).estimate(measured(panel, MEASURE), seed=4, name="p")


def test_a_draw_is_the_pipeline_run_on_the_drawn_cities(pairs):
    expected = [by_hand(raw(), MEASURE, copies) for copies in copies_of(4, "p")]
    np.testing.assert_allclose(np.asarray(pairs.draws.coef)[:, 0], expected, atol=1e-9)


def test_rows_may_be_missing_or_weighted_and_clusters_hold_several_cities():
    panel, rng = raw(5), np.random.default_rng(1)
    weights = np.where(rng.uniform(size=panel.shape) < 0.1, 0.0, rng.uniform(0.5, 2, panel.shape))
    codes = np.array([0, 0, 1, 1, 1, 2, 2, 3, 3, 4])
    region = np.array([f"region {code}" for code in codes], dtype=object)
    panel = replace(panel, weights=weights, traits={"region": region})
    model = FixedEffects(Spec("syeff", controls=("x",), cluster="region"))
    found = PipelineBootstrap(model, MEASURE, draws=3).estimate(measured(panel, MEASURE), seed=3, name="z")
    drawn = jax.vmap(partial(draw_copies, count=5))(draw_keys(key_for(3, "z"), jnp.arange(3)))
    expected = [by_hand(panel, MEASURE, copies[codes]) for copies in np.asarray(drawn)]
    np.testing.assert_allclose(np.asarray(found.draws.coef)[:, 0], expected, atol=1e-9)
    assert set(found.details["influence"]["cluster"]) == set(region)


def test_the_naive_interval_is_that_of_the_pairs_bootstrap_with_the_same_draws(pairs):
    panel = measured(raw(), MEASURE)
    other = PairsBootstrap(MODEL, draws=DRAWS).estimate(panel, seed=4, name="p").frame().set_index("term")
    own = pairs.frame().set_index("term")
    for end in ("conf_low", "conf_high"):
        assert own.loc["naive_percentile:treat", end] == pytest.approx(other.loc["percentile:treat", end], abs=1e-12)
    assert own.loc["treat", "estimate"] == pytest.approx(other.loc["treat", "estimate"], abs=1e-12)


def test_influence_is_what_leaving_a_city_out_does(pairs):
    panel = raw()
    whole = measured(panel, MEASURE).column("syeff")
    found = pairs.details["influence"].set_index("cluster")
    for at, name in enumerate(panel.units):
        copies = np.ones(UNITS)
        copies[at] = 0
        rest = measured(panel.reweight(panel.weights * copies[:, None]), MEASURE).column("syeff")
        assert found.loc[name, "shift"] == pytest.approx(np.nanmean(rest - whole), abs=1e-9)
        assert found.loc[name, "estimate"] == pytest.approx(by_hand(panel, MEASURE, copies), abs=1e-9)
    assert any("clusters move the outcome of the others" in note for note in pairs.notes)


def test_steps_that_are_no_frontier_are_repeated_as_they_stand():
    steps = {**MEASURE, "cut": partial(winsorise, columns=["syeff"], lower=10, upper=90)}
    found = PipelineBootstrap(MODEL, steps, draws=DRAWS).estimate(measured(raw(), steps), seed=4, name="p")
    expected = [by_hand(raw(), steps, copies) for copies in copies_of(4, "p")]
    np.testing.assert_allclose(np.asarray(found.draws.coef)[:, 0], expected, atol=1e-9)


def test_subsamples_have_no_copies_and_shrink_the_spread():
    found = PipelineBootstrap(MODEL, MEASURE, draws=DRAWS, scheme="subsampling", exponent=0.8)
    estimate = found.estimate(measured(raw(), MEASURE), seed=4, name="p")
    size = round(UNITS**0.8)
    factor = size / (UNITS - size)
    np.testing.assert_array_equal(np.asarray(estimate.draws.n_units), size)
    coefs = np.asarray(estimate.draws.coef)[:, 0]
    kept = coefs[np.isfinite(np.asarray(estimate.draws.coef)).all(axis=1)]
    assert float(estimate.std_error[0]) == pytest.approx(np.sqrt(factor) * kept.std(ddof=1), rel=1e-9)
    interval = estimate.frame().set_index("term").loc["subsampling:treat"]
    value, finite = float(estimate.coef[0]), coefs[np.isfinite(coefs)]
    low = value - np.sqrt(factor) * (np.quantile(finite, 0.975) - value)
    assert interval["conf_low"] == pytest.approx(low, abs=1e-12)


def test_subsamples_that_are_the_whole_are_refused():
    panel = measured(raw(), MEASURE)
    with pytest.raises(SpecError, match="10 of 10 clusters, which are the whole"):
        PipelineBootstrap(MODEL, MEASURE, draws=2, scheme="subsampling", exponent=0.99).estimate(panel)


def test_the_factor_of_subsamples_makes_the_standard_error_of_a_mean_exact():
    values = np.random.default_rng(0).normal(size=7)
    scheme = PipelineBootstrap(MODEL, MEASURE, scheme="subsampling", exponent=0.6)
    size = round(7**0.6)
    means = [np.mean(each) for each in combinations(values, size)]
    assert scheme.variance_factor(7) * np.var(means) == pytest.approx(values.var(ddof=1) / 7)


def test_a_step_that_measures_what_another_made_of_the_sample_is_repeated_too():
    def spread_out(panel):
        mean = panel.column("labour")[panel.sample].mean()
        return panel.assign({"staff": panel.column("labour") + mean})

    steps = {"staff": spread_out, **changed(inputs=["staff"])}
    found = PipelineBootstrap(MODEL, steps, draws=3).estimate(measured(raw(), steps), seed=4, name="p")
    expected = [by_hand(raw(), steps, copies) for copies in copies_of(4, "p")[:3]]
    np.testing.assert_allclose(np.asarray(found.draws.coef)[:, 0], expected, atol=1e-9)


def test_zeros_that_are_replaced_are_replaced_in_each_draw():
    panel = raw()
    smoke = panel.column("pm25").copy()
    smoke[np.arange(3), 2] = 0.0
    panel = panel.assign({"pm25": smoke})
    steps = changed(zeros="replace")
    found = PipelineBootstrap(MODEL, steps, draws=3).estimate(measured(panel, steps), seed=4, name="p")
    expected = [by_hand(panel, steps, copies) for copies in copies_of(4, "p")[:3]]
    np.testing.assert_allclose(np.asarray(found.draws.coef)[:, 0], expected, atol=1e-9)
    dropping = changed(zeros="drop")
    with pytest.raises(SpecError, match="step 'preff' has zeros=drop"):
        PipelineBootstrap(MODEL, dropping, draws=2, scheme="smoothed").estimate(measured(panel, dropping))


def test_a_city_that_is_measured_but_not_estimated_is_in_every_draw():
    panel = raw()
    gaps = panel.column("x").copy()
    gaps[0] = np.nan
    panel = panel.assign({"x": gaps})
    found = PipelineBootstrap(MODEL, MEASURE, draws=3).estimate(measured(panel, MEASURE), seed=4, name="p")
    keys = draw_keys(key_for(4, "p"), jnp.arange(3))
    for at, own in enumerate(np.asarray(jax.vmap(partial(draw_copies, count=UNITS - 1))(keys))):
        there = measured(panel.reweight(panel.weights * np.append(1, own > 0)[:, None]), MEASURE)
        assert float(found.draws.coef[at, 0]) == pytest.approx(regressed(there, np.append(0, own)), abs=1e-9)
    assert any("1 units have rows to measure but none to estimate" in note for note in found.notes)


def test_a_draw_without_the_reference_is_lost():
    steps = changed(reference_where="unit in ['c5', 'c6']")
    found = PipelineBootstrap(MODEL, steps, draws=DRAWS).estimate(measured(raw(), steps), seed=4, name="p")
    without = copies_of(4, "p")[:, [5, 6]].sum(axis=1) == 0
    assert without.any()
    np.testing.assert_array_equal(np.isnan(np.asarray(found.draws.coef)[:, 0]), without)


def test_steps_that_did_not_make_the_outcome_are_refused():
    panel = measured(raw(), MEASURE)
    halved = panel.assign({"syeff": panel.column("syeff") / 2})
    with pytest.raises(SpecError, match="make another 'syeff'"):
        PipelineBootstrap(MODEL, MEASURE, draws=2).estimate(halved)
    with pytest.raises(SpecError, match="no step to repeat"):
        PipelineBootstrap(MODEL, {}, draws=2).estimate(panel)


@pytest.mark.parametrize(
    ("options", "said"), [({"draws": 0}, "draws=0"), ({"scheme": "odd"}, "odd"), ({"exponent": 1.0}, "exponent=1")]
)
def test_options_are_checked(options, said):
    with pytest.raises(SpecError, match=said):
        PipelineBootstrap(MODEL, MEASURE, **options)


def test_smoothed_draws_move_the_frontier_and_keep_every_city():
    panel = measured(raw(), MEASURE)
    found = PipelineBootstrap(MODEL, MEASURE, draws=4, scheme="smoothed").estimate(panel, seed=4, name="p")
    frame = found.frame().set_index("term")
    assert {"basic:treat", "naive_percentile:treat"} <= set(frame.index)
    again = PipelineBootstrap(MODEL, MEASURE, draws=2, scheme="smoothed").estimate(panel, seed=4, name="p")
    np.testing.assert_array_equal(np.asarray(found.draws.coef)[:2], np.asarray(again.draws.coef))
    with pytest.raises(SpecError, match="no step measures any"):
        PipelineBootstrap(MODEL, {"cut": partial(winsorise, columns=["syeff"])}, scheme="smoothed").estimate(panel)
