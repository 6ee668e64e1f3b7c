"""The wild cluster bootstrap against outcomes that are made and fitted one by one."""

from dataclasses import replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import SpecError
from syneff.models.base import Spec
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import WildClusterBootstrap
from syneff.models.resampling.wild import WEIGHTS, draw_weights
from syneff.runtime import draw_keys, key_for
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a",), small_sample="group")
VARIANTS = ("11", "13", "31", "33")


def within(panel, effects):
    """Rows of the sample: outcome, treatment, control and spelled-out dummies, net of unit means where these are absorbed."""
    unit, period = np.nonzero(panel.sample)
    columns = [panel.column(name)[unit, period] for name in ("y", "treat", "a")]
    matrix = np.stack(columns, axis=1)
    if "period" in effects:
        matrix = np.concatenate([matrix, np.eye(panel.shape[1])[period][:, 1 if "unit" in effects else 0 :]], axis=1)
    elif not effects:
        matrix = np.concatenate([matrix, np.ones((unit.size, 1))], axis=1)
    if "unit" in effects:
        for each in np.unique(unit):
            matrix[unit == each] -= matrix[unit == each].mean(0)
    return matrix[:, 0], matrix[:, 1:], unit


def ols(x, y):
    return np.linalg.lstsq(x, y, rcond=None)[0]


def t_statistic(x, y, groups, digit, null):
    """The t statistic with the CV1 (factor G/(G-1)) or CV3 variance."""
    coef, bread, g = ols(x, y), np.linalg.inv(x.T @ x), len(groups)
    if digit == "1":
        sums = np.stack([x[rows].T @ (y - x @ coef)[rows] for rows in groups])
        variance = (bread @ sums.T @ sums @ bread)[0, 0] * g / (g - 1)
    else:
        left = np.asarray([ols(np.delete(x, rows, 0), np.delete(y, rows))[0] for rows in groups])
        variance = ((left - coef[0]) ** 2).sum() * (g - 1) / g
    return (coef[0] - null) / np.sqrt(variance)


def by_hand(y, x, groups, *, variant, impose_null, null, drawn):
    """t* of each draw: residuals (of left-out clusters, if "3"), weights, a new outcome, a new fit."""
    first = 1 if impose_null else 0
    shifted = y - null * x[:, 0] if impose_null else y
    kept = x[:, first:]
    coef = ols(kept, shifted)
    residuals = shifted - kept @ coef
    if variant[0] == "3":
        for rows in groups:
            residuals[rows] = shifted[rows] - kept[rows] @ ols(np.delete(kept, rows, 0), np.delete(shifted, rows))
    fitted = y - (shifted - kept @ coef)
    centre = null if impose_null else ols(x, y)[0]
    statistics = []
    for weights in drawn:
        noise = np.zeros_like(y)
        for rows, weight in zip(groups, weights, strict=True):
            noise[rows] = weight * residuals[rows]
        statistics.append(t_statistic(x, fitted + noise, groups, variant[1], centre))
    return np.asarray(statistics)


CASES = [(variant, null, ("unit", "period"), "unit", 0.0) for variant in VARIANTS for null in (True, False)]
CASES += [
    ("33", True, ("unit", "period"), "region", 0.2),
    ("11", True, ("period",), "unit", 0.2),
    ("13", True, (), "region", 0.0),
]


@pytest.mark.parametrize(("variant", "impose_null", "effects", "cluster", "missing"), CASES)
def test_draws_are_fits_of_made_outcomes(variant, impose_null, effects, cluster, missing):
    panel = staggered(3, missing=missing)
    model = FixedEffects(replace(SPEC, effects=effects, cluster=cluster))
    scheme = WildClusterBootstrap(
        model, draws=3, impose_null=impose_null, variant=variant, null_value=0.7, weights="webb"
    )
    estimate = scheme.estimate(panel, seed=1, name="w")
    y, x, unit = within(panel, effects)
    codes = np.asarray(model.design(panel).cluster[:, 0])[unit]
    groups = [np.flatnonzero(codes == each) for each in np.unique(codes)]
    keys = draw_keys(key_for(1, "w"), jnp.arange(3))
    drawn = np.asarray([draw_weights(key, len(groups), "webb") for key in keys])
    expected = by_hand(y, x, groups, variant=variant, impose_null=impose_null, null=0.7, drawn=drawn)
    np.testing.assert_allclose(estimate.draws_frame()["statistic"], expected, rtol=1e-8)
    actual = t_statistic(x, y, groups, variant[1], 0.7)
    assert float(estimate.tests[0].statistic) == pytest.approx(actual, rel=1e-8)


@pytest.mark.parametrize("impose_null", [True, False])
def test_enumeration_and_interval(impose_null):
    panel = staggered(3, units=36)
    model = FixedEffects(replace(SPEC, cluster="region"))
    scheme = WildClusterBootstrap(model, impose_null=impose_null)
    estimate = scheme.estimate(panel)
    y, x, unit = within(panel, SPEC.effects)
    codes = np.asarray(model.design(panel).cluster[:, 0])[unit]
    groups = [np.flatnonzero(codes == each) for each in range(6)]
    signs = np.asarray(list(product((1.0, -1.0), repeat=6)))
    drawn = np.abs(by_hand(y, x, groups, variant="11", impose_null=impose_null, null=0.0, drawn=signs))
    actual = abs(t_statistic(x, y, groups, "1", 0.0))
    expected = (np.sum(drawn > actual + 1e-8) + np.sum(drawn >= actual - 1e-8)) / 2 / 64
    assert float(estimate.tests[0].pvalue) == pytest.approx(expected)
    assert float(estimate.tests[0].error) == 0.0
    for end, sign in ((float(estimate.tests[0].low), -1), (float(estimate.tests[0].high), 1)):
        pvalues = [
            float(replace(scheme, null_value=end + sign * step).estimate(panel).tests[0].pvalue)
            for step in (-1e-6, 1e-6)
        ]
        assert pvalues[0] > 0.05 >= pvalues[1]


@pytest.mark.parametrize("rule", WEIGHTS)
def test_weights_have_their_moments(rule):
    drawn = np.asarray(jax.vmap(lambda key: draw_weights(key, 70, rule))(jax.random.split(jax.random.key(0), 3000)))
    assert drawn.mean() == pytest.approx(0.0, abs=5 / np.sqrt(drawn.size))
    assert (drawn**2).mean() == pytest.approx(1.0, abs=0.02)
    third = 1.0 if rule == "mammen" else 0.0
    assert (drawn**3).mean() == pytest.approx(third, abs=0.04)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(70)).max() < 6 / np.sqrt(3000)


def test_bad_options():
    panel, model = staggered(3), FixedEffects(SPEC)
    with pytest.raises(SpecError, match="30 clusters have 2\\^30 sign vectors; at most 2\\^12"):
        WildClusterBootstrap(model, enumerate=True).estimate(panel)
    with pytest.raises(SpecError, match="webb cannot be enumerated"):
        WildClusterBootstrap(model, enumerate=True, weights="webb")
    with pytest.raises(SpecError, match=r"estimator.weights"):
        WildClusterBootstrap(model, weights="uniform")
    with pytest.raises(SpecError, match=r"estimator.variant"):
        WildClusterBootstrap(model, variant="21")
    with pytest.raises(SpecError, match="draws=0"):
        WildClusterBootstrap(model, draws=0)
    with pytest.raises(SpecError, match="EventStudy has no residuals"):
        WildClusterBootstrap(EventStudy(SPEC))


@pytest.mark.parametrize("effects", [("unit", "period"), ()])
def test_a_cluster_that_alone_is_treated_has_no_jackknife(effects):
    """Without it there is no effect to estimate; the other variants do not leave it out of the variance."""
    panel = staggered(3)
    treat = np.zeros((30, 8))
    treat[11, 4:] = 1.0
    panel, model = panel.assign({"treat": treat}), FixedEffects(replace(SPEC, effects=effects))
    for variant in ("13", "33"):
        estimate = WildClusterBootstrap(model, draws=9, variant=variant).estimate(panel)
        assert np.isnan(float(estimate.tests[0].pvalue))
        assert float(estimate.stats["wild_draws"]) == 0
        assert "without one of the clusters the effect cannot be estimated; use variant=11" in estimate.notes[-1]
    assert np.isfinite(float(WildClusterBootstrap(model, draws=9, variant=31).estimate(panel).tests[0].pvalue))


def test_two_clusters_beside_two_way_effects_have_no_standard_error():
    """The scores of two units cancel exactly, so clustered variances are rounding errors."""
    panel, model = staggered(3), FixedEffects(replace(SPEC, controls=()))
    panel = panel.reweight(panel.weights * np.isin(np.arange(30), (1, 2))[:, None])
    single = model.estimate(panel)
    assert np.isnan(float(single.std_error[0]))
    assert "no standard error of treat" in " ".join(single.notes)
    estimate = WildClusterBootstrap(model).estimate(panel)
    assert np.isnan(float(estimate.tests[0].pvalue))
    assert "no statistic, the estimate's own clustered variance is not positive" in estimate.notes[-1]
