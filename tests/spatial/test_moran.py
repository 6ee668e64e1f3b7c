"""Spatial dependence: moments by enumeration, permutations, periods with other units, order of units, and what is refused."""

from itertools import permutations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from syneff.errors import DataError, SpecError
from syneff.panel.panel import Panel
from syneff.spatial import autocorrelation
from syneff.spatial.moran import SpatialDependence, moran
from syneff.spatial.permutation import permute
from syneff.spatial.weights import Weights

rng = np.random.default_rng(5)
SIX = rng.uniform(size=(6, 6)) * (rng.uniform(size=(6, 6)) > 0.3) * (1 - np.eye(6))
VALUES = np.array([0.3, -1.0, 2.0, 0.9, -0.2, 4.0])
UNITS, PERIODS = 20, 4


def ring(units: int) -> np.ndarray:
    """Link every unit to the one before and the one after."""
    return np.roll(np.eye(units), 1, axis=0) + np.roll(np.eye(units), -1, axis=0)


def cube(values, weights=None, units=None) -> Panel:
    shape = values.shape
    return Panel(
        units or tuple(f"c{at:02d}" for at in range(shape[0])),
        tuple(range(2004, 2004 + shape[1])),
        {"y": values},
        {},
        np.ones(shape) if weights is None else weights,
    )


def arrangements(fixed: int | None = None) -> np.ndarray:
    """Return all permutations of six values, or those that hold one in its place."""
    orders = [order for order in permutations(range(6)) if fixed is None or order[fixed] == fixed]
    return VALUES[np.array(orders)].T


@pytest.mark.parametrize("name", ["moran", "geary"])
def test_moments_are_those_of_all_permutations(name):
    measure = getattr(autocorrelation, name)
    every = measure(arrangements(), SIX)
    assert every.value.mean() == pytest.approx(every.mean[0], rel=1e-12)
    assert every.value.var() == pytest.approx(every.variance[0], rel=1e-10)


def test_local_moments_are_those_of_all_permutations_of_the_others():
    found = autocorrelation.local_moran(VALUES[:, None], SIX)
    for unit in range(6):
        every = autocorrelation.local_moran(arrangements(unit), SIX).value[unit]
        assert every.mean() == pytest.approx(found.mean[unit, 0], rel=1e-10)
        assert every.var() == pytest.approx(found.variance[unit, 0], rel=1e-9)


def test_draws_have_the_distribution_of_all_permutations():
    z = autocorrelation.deviations(VALUES[:, None])
    draws = 20_000
    drawn = permute(z, SIX, jax.random.key(0), draws)
    for name in ("moran", "geary"):
        every = getattr(autocorrelation, name)(arrangements(), SIX).value
        assert stats.ks_2samp(getattr(drawn, name)[:, 0], every).pvalue > 1e-3
    observed = autocorrelation.local_moran(VALUES[:, None], SIX)
    for unit in range(6):
        every = autocorrelation.local_moran(arrangements(unit), SIX).value[unit]
        value, mean = observed.value[unit, 0], observed.mean[unit, 0]
        far = np.mean(np.abs(every - mean) >= np.abs(value - mean) - 1e-9)
        high = np.mean(every >= value - 1e-9)
        error = 4 * np.sqrt(0.25 / draws)
        assert drawn.as_far[unit, 0] / draws == pytest.approx(far, abs=error)
        assert drawn.as_high[unit, 0] / draws == pytest.approx(high, abs=error)


def test_a_draw_is_the_same_however_many_follow():
    z = autocorrelation.deviations(VALUES[:, None])
    few, more, many = (permute(z, SIX, jax.random.key(1), draws) for draws in (32, 33, 70))
    for name in ("moran", "geary"):
        np.testing.assert_array_equal(getattr(many, name)[:32], getattr(few, name))
    for name in ("as_far", "as_high"):
        step = getattr(more, name) - getattr(few, name)
        assert set(np.unique(step)) <= {0.0, 1.0}
        assert (getattr(many, name) >= getattr(more, name)).all()


def test_the_mean_of_local_statistics_is_the_global_one():
    values = rng.normal(size=(UNITS, PERIODS))
    matrix = Weights.from_dense(ring(UNITS), ids=range(UNITS)).matrix
    np.testing.assert_allclose(
        autocorrelation.local_moran(values, matrix).value.mean(0),
        autocorrelation.moran(values, matrix).value,
        rtol=1e-12,
    )


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(UNITS)), st.floats(-5, 5), st.floats(0.1, 10))
def test_order_of_units_and_scale_of_values_change_nothing(order, shift, scale):
    values = np.random.default_rng(1).normal(size=(UNITS, PERIODS))
    links = ring(UNITS) * np.random.default_rng(2).uniform(0.5, 2, size=(UNITS, UNITS))
    names = [f"c{at:02d}" for at in range(UNITS)]
    model = SpatialDependence("y", Weights.from_dense(links, ids=names), draws=0)
    first = model.estimate(cube(values))
    panel = cube(shift + scale * values[order], units=tuple(names[at] for at in order))
    second = model.estimate(panel)
    for name in first.details["dependence"]:
        np.testing.assert_allclose(second.details["dependence"][name], first.details["dependence"][name], rtol=1e-8)
    key = ["period", "unit"]
    places = [each.details["local"].set_index(key).sort_index() for each in (first, second)]
    assert places[0]["quadrant"].tolist() == places[1]["quadrant"].tolist()
    np.testing.assert_allclose(places[0]["p_adjusted"], places[1]["p_adjusted"], rtol=1e-7)


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Two smooth years, one of noise, one that is constant; the second lacks a city."""
    position = 2 * np.pi * np.arange(UNITS) / UNITS
    noise = np.random.default_rng(3).normal(size=(UNITS, 2))
    values = np.stack([np.sin(position), np.cos(position) + 0.1 * noise[:, 0], noise[:, 1], np.full(UNITS, 7.0)], 1)
    values[4, 1] = np.nan
    weights = np.ones_like(values)
    return cube(values, weights)


@pytest.fixture(scope="module")
def weights(panel) -> Weights:
    return Weights.from_dense(ring(UNITS), ids=panel.units, name="ring")


@pytest.fixture(scope="module")
def found(panel, weights):
    return moran(panel, "y", weights, draws=199, seed=3)


def test_each_period_has_the_units_that_have_a_value(found, panel, weights):
    table = found.details["dependence"].set_index("period")
    assert table["units"].tolist() == [20, 19, 20, 20]
    kept = np.delete(np.arange(UNITS), 4)
    links = ring(UNITS)[np.ix_(kept, kept)]
    by_hand = autocorrelation.moran(panel.column("y")[kept, 1:2], links / links.sum(1, keepdims=True))
    assert table.loc[2005, "moran"] == pytest.approx(by_hand.value[0], rel=1e-12)
    assert table.loc[2005, "moran_z"] == pytest.approx(by_hand.z[0], rel=1e-12)
    assert found.names == tuple(f"moran[{year}]" for year in (2004, 2005, 2006, 2007))
    assert np.asarray(found.nobs).tolist() == [20, 19, 20, 20]
    assert not any(test.name == "moran_pooled" for test in found.tests), "the periods have different units"


def test_smooth_years_are_dependent_noise_is_not_and_a_constant_has_no_answer(found):
    frame = found.frame().set_index("term")
    for year in (2004, 2005):
        assert frame.loc[f"moran:moran[{year}]", "p_value"] < 1e-4
        assert frame.loc[f"moran_permutation:moran[{year}]", "p_value"] == pytest.approx(1 / 200)
    assert frame.loc["moran_permutation:moran[2006]", "p_value"] > 0.05
    assert np.isnan(frame.loc["moran[2007]", "estimate"])
    assert any("no autocorrelation of y in 2007" in note for note in found.notes)
    assert frame.loc["moran[2004]", "std_error"] != frame.loc["moran[2004]", "std_error"], "the null is not zero"
    local = found.details["local"]
    smooth = local[(local["period"] == 2004) & (local["standardised"].abs() > 1)]
    assert set(smooth["quadrant"]) == {"HH", "LL"}
    assert smooth.loc[smooth["standardised"].abs().idxmax(), "p_permutation"] < 0.05
    assert (local["p_adjusted"].dropna() >= local.loc[local["p_adjusted"].notna(), "p_permutation"] - 1e-12).all()


def test_local_p_values_are_adjusted_by_the_rule_of_benjamini_and_hochberg(found):
    local = found.details["local"].query("period == 2006")
    p = np.sort(local["p_permutation"].to_numpy())
    stepped = np.minimum.accumulate((p * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    np.testing.assert_allclose(np.sort(local["p_adjusted"]), np.minimum(stepped, 1.0), rtol=1e-12)


def test_draws_too_few_for_single_places_are_remarked_on(panel, weights, found):
    assert any("199 draws are few: adjusted for 20 units" in note and "draws=400" in note for note in found.notes)
    assert not any("draws are few" in note for note in moran(panel, "y", weights, draws=400).notes)


def test_a_seed_gives_the_same_draws_and_another_seed_others(panel, weights, found):
    again, other = (moran(panel, "y", weights, draws=199, seed=seed) for seed in (3, 4))
    name = "moran_p_permutation"
    np.testing.assert_array_equal(again.details["dependence"][name], found.details["dependence"][name])
    assert (other.details["local"]["p_permutation"] != found.details["local"]["p_permutation"]).any()


def test_geary_falls_with_positive_autocorrelation(panel, weights):
    positive = SpatialDependence("y", weights, statistic="geary", draws=199, alternative="positive").estimate(panel)
    frame = positive.frame().set_index("term")
    assert frame.loc["geary[2004]", "estimate"] < 0.2
    assert frame.loc["geary:geary[2004]", "p_value"] < 1e-4
    assert frame.loc["geary_permutation:geary[2004]", "p_value"] == pytest.approx(1 / 200)
    one, two = (
        SpatialDependence("y", weights, draws=0, alternative=each).estimate(panel).details["dependence"]
        for each in ("positive", "two_sided")
    )
    high = one["moran_z"] > 0
    np.testing.assert_allclose(2 * one["moran_p"][high], two["moran_p"][high], rtol=1e-12)


def test_one_sample_has_a_test_over_all_periods(weights, panel):
    values = np.repeat(panel.column("y")[:, :1], PERIODS, axis=1)
    estimate = moran(cube(values), "y", weights, draws=199)
    frame = estimate.frame().set_index("term")
    assert frame.loc["moran_pooled", "statistic"] == pytest.approx(frame.loc["moran[2004]", "estimate"])
    assert frame.loc["moran_pooled", "p_value"] == pytest.approx(1 / 200)


def test_an_island_that_is_kept_has_no_lag_and_no_quadrant(panel):
    links = ring(UNITS)
    links[0] = links[:, 0] = 0
    estimate = moran(panel, "y", Weights.from_dense(links, ids=panel.units), draws=0)
    island = estimate.details["local"].query("unit == 'c00'")
    assert island["lag"].isna().all()
    assert set(island["quadrant"]) == {""}
    assert island["p"].isna().all()
    assert any("c00" in note for note in estimate.notes)
    dropped = moran(panel, "y", Weights.from_dense(links, ids=panel.units, islands="drop"), draws=0)
    assert dropped.details["dependence"]["units"].tolist() == [19, 18, 19, 19]


def test_what_cannot_be_measured_is_said(panel, weights):
    with pytest.raises(DataError, match="unknown column 'x'"):
        moran(panel, "x", weights)
    with pytest.raises(SpecError, match=r"estimator\.statistic"):
        SpatialDependence("y", weights, statistic="join")
    with pytest.raises(SpecError, match="draws=-1"):
        SpatialDependence("y", weights, draws=-1)
    few = np.where(np.arange(UNITS)[:, None] < 3, panel.column("y"), np.nan)
    with pytest.raises(DataError, match="fewer than 4 units"):
        moran(panel.assign({"y": few}), "y", weights)


def test_p_values_are_uniform_under_independence():
    """400 panels of independent values: no p-value of any kind is too often small."""
    many = 400
    values = np.random.default_rng(11).exponential(size=(UNITS, many))
    names = tuple(f"c{at:02d}" for at in range(UNITS))
    panel = Panel(names, tuple(range(1, many + 1)), {"y": values}, {}, np.ones((UNITS, many)))
    links = np.random.default_rng(12).uniform(size=(UNITS, UNITS)) < 0.25
    weights = Weights.from_dense(np.maximum(links, links.T) * (1.0 - np.eye(UNITS)), ids=names, islands="keep")
    table = SpatialDependence("y", weights, draws=399).estimate(panel).details
    for name in ("moran_p_permutation", "geary_p_permutation"):
        assert stats.kstest(table["dependence"][name], "uniform").pvalue > 0.001
    local = table["local"].query("unit == 'c03'")["p_permutation"]
    assert stats.kstest(local, "uniform").pvalue > 0.001
