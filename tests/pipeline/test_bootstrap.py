"""The end-to-end bootstrap: every draw is the whole pipeline run on the drawn cities, by hand."""

from functools import partial

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


def measured(panel, steps):
    for step in steps.values():
        panel = step(panel)
    return panel


def by_hand(panel, steps, copies):
    """Measure the drawn cities alone, repeat their rows, and regress on explicit dummies."""
    rows = measured(panel.reweight(panel.weights * (copies > 0)[:, None]), steps).to_frame(sample_only=True)
    drawn = pd.concat(
        [
            rows[rows["unit"] == unit].assign(unit=f"{unit}-{copy}")
            for unit, count in zip(panel.units, copies, strict=True)
            for copy in range(int(count))
        ]
    )
    if drawn["treat"].nunique() < 2:
        return np.nan
    dummies = pd.get_dummies(drawn[["unit", "period"]].astype(str), dtype=float)
    regressors = np.column_stack([drawn[["treat", "x"]], dummies])
    return np.linalg.lstsq(regressors, drawn["syeff"], rcond=None)[0][0]


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
    np.testing.assert_array_equal(np.asarray(estimate.draws.n_units), size)
    coefs = np.asarray(estimate.draws.coef)[:, 0]
    kept = coefs[np.isfinite(np.asarray(estimate.draws.coef)).all(axis=1)]
    assert float(estimate.std_error[0]) == pytest.approx(np.sqrt(size / UNITS) * kept.std(ddof=1), rel=1e-9)
    interval = estimate.frame().set_index("term").loc["subsampling:treat"]
    value, finite = float(estimate.coef[0]), coefs[np.isfinite(coefs)]
    low = value - np.sqrt(size / UNITS) * (np.quantile(finite, 0.975) - value)
    assert interval["conf_low"] == pytest.approx(low, abs=1e-12)


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
