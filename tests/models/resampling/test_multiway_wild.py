"""The wild bootstrap under clustering in several ways, against outcomes that are made and fitted with dummies one by one."""

from dataclasses import replace
from itertools import combinations, product

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import SpecError
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import WildClusterBootstrap
from syneff.models.resampling.wild import draw_weights
from syneff.numerics import multiway_wild
from syneff.runtime import draw_keys, key_for
from tests.panels import staggered

TWO = Spec("y", "treat", ("a",), cluster=("unit", "period"))


def rows(panel, effects=("unit", "period")):
    """Outcome, regressors beside all dummies, their weights, and the codes of every kind of cluster, a row a cell."""
    unit, period = np.nonzero(panel.sample)
    y, *columns = (panel.column(name)[unit, period] for name in ("y", "treat", "a"))
    dummies = {"unit": np.eye(panel.shape[0])[unit], "period": np.eye(panel.shape[1])[period]}
    spelled = [dummies[each][:, 1 if place else 0 :] for place, each in enumerate(effects)] or [np.ones((unit.size, 1))]
    names = {"unit": unit, "period": period, "region": np.unique(panel.traits["region"], return_inverse=True)[1][unit]}
    return y, np.concatenate([np.stack(columns, 1), *spelled], axis=1), panel.weights[unit, period], names


def solve(x, y, w):
    return np.linalg.lstsq(x * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]


def within(columns, w, unit):
    net = columns.copy()
    for each in np.unique(unit):
        own = unit == each
        net[own] -= np.average(columns[own], axis=0, weights=w[own])
    return net


def meet(names, chosen):
    return np.unique(np.stack([names[each] for each in chosen], 1), axis=0, return_inverse=True)[1].ravel()


def variance(x, y, w, names, *, ways, multiway):
    """Cameron, Gelbach and Miller's variance of the treatment with factors G/(G-1), and White's for the last if "white"."""
    bread = np.linalg.pinv((x * w[:, None]).T @ x, hermitian=True)
    scores = x * (w * (y - x @ solve(x, y, w)))[:, None]
    smallest = min(np.unique(names[each]).size for each in ways)
    total = 0.0
    for order in range(1, len(ways) + 1):
        for chosen in combinations(ways, order):
            codes = meet(names, chosen)
            if multiway == "white" and order == len(ways):
                codes = np.arange(y.size)
            sums = np.stack([scores[codes == each].sum(0) for each in np.unique(codes)])
            g = smallest if multiway == "min" else len(sums)
            factor = 1.0 if multiway == "white" and order == len(ways) else g / (g - 1)
            total += (-1) ** (order + 1) * factor * (bread @ sums.T @ sums @ bread)[0, 0]
    return total


def by_hand(panel, spec, *, drawn_by, variant, impose_null, null, drawn):
    """t* of each draw, NaN where its variance is not positive, and the actual one."""
    y, x, w, names = rows(panel, spec.effects)
    ways, multiway = spec.cluster_names, spec.multiway or "min"
    groups = meet(names, drawn_by)
    kept = x[:, 1:] if impose_null else x
    shifted = y - null * x[:, 0] if impose_null else y
    residuals = shifted - kept @ solve(kept, shifted, w)
    made = residuals
    if variant[0] == "3":
        count, made = groups.max() + 1, residuals.copy()
        # Net of unit means: a unit's own dummy says nothing of the unit that is left out.
        columns = within(np.column_stack([kept, shifted]), w, names["unit"]) if "unit" in spec.effects else None
        x_kept, y_kept = (columns[:, :-1], columns[:, -1]) if columns is not None else (kept, shifted)
        for each in range(count):
            own = groups == each
            made[own] = (y_kept - x_kept @ solve(x_kept[~own], y_kept[~own], w[~own]))[own]
        made *= np.sqrt((count - 1) / count)
    fitted, centre = y - residuals, null if impose_null else solve(x, y, w)[0]
    statistics = []
    for weights in drawn:
        outcome = fitted + weights[groups] * made
        found = variance(x, outcome, w, names, ways=ways, multiway=multiway)
        statistics.append((solve(x, outcome, w)[0] - centre) / np.sqrt(found) if found > 0 else np.nan)
    actual = variance(x, y, w, names, ways=ways, multiway=multiway)
    return np.asarray(statistics), (solve(x, y, w)[0] - null) / np.sqrt(actual)


CASES = {
    "default": ({}, None, ("period",), 0.0),
    "by unit": ({"multiway": "conventional"}, "unit", ("unit",), 0.2),
    "by intersection": ({}, ("unit", "period"), ("unit", "period"), 0.2),
    "white": ({"multiway": "white", "cluster": ("region", "period")}, None, ("region",), 0.2),
    "three ways": ({"cluster": ("unit", "period", "region"), "multiway": "conventional"}, None, ("region",), 0.2),
    "one way across units": ({"cluster": "period"}, None, ("period",), 0.2),
    "subclusters": ({"cluster": "region"}, "unit", ("unit",), 0.0),
    "no unit effects": ({"effects": ("period",)}, None, ("period",), 0.2),
}


def panel_of(missing):
    panel = staggered(3, missing=missing)
    return panel.reweight(panel.weights * np.random.default_rng(1).uniform(0.5, 2.0, panel.shape)) if missing else panel


@pytest.mark.parametrize("impose_null", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_draws_are_fits_of_made_outcomes(case, impose_null, monkeypatch):
    options, given, drawn_by, missing = CASES[case]
    spec, panel = replace(TWO, small_sample="group", **options), panel_of(missing)
    if case == "by intersection":  # As if there were too many bootstrap clusters for the quadratic form.
        monkeypatch.setattr(multiway_wild, "FORMED", 10)
    scheme = WildClusterBootstrap(
        FixedEffects(spec), draws=4, impose_null=impose_null, null_value=0.7, weights="webb", bootstrap_cluster=given
    )
    estimate = scheme.estimate(panel, seed=1, name="w")
    count = int(meet(rows(panel)[3], drawn_by).max()) + 1
    drawn = np.asarray([draw_weights(key, count, "webb") for key in draw_keys(key_for(1, "w"), jnp.arange(4))])
    expected, actual = by_hand(
        panel, spec, drawn_by=drawn_by, variant="11", impose_null=impose_null, null=0.7, drawn=drawn
    )
    np.testing.assert_allclose(estimate.draws_frame()["statistic"], expected, rtol=1e-8)
    assert float(estimate.tests[-1].statistic) == pytest.approx(actual, rel=1e-8)


@pytest.mark.parametrize(("given", "effects"), [("unit", ("unit", "period")), ("period", ()), ("region", ("unit",))])
def test_residuals_that_leave_their_bootstrap_cluster_out(given, effects):
    panel, spec = panel_of(0.2), replace(TWO, small_sample="group", effects=effects)
    scheme = WildClusterBootstrap(
        FixedEffects(spec), draws=3, null_value=0.7, weights="webb", bootstrap_cluster=given, variant="31"
    )
    estimate = scheme.estimate(panel, seed=1, name="w")
    count = int(meet(rows(panel)[3], (given,)).max()) + 1
    drawn = np.asarray([draw_weights(key, count, "webb") for key in draw_keys(key_for(1, "w"), jnp.arange(3))])
    expected, _ = by_hand(panel, spec, drawn_by=(given,), variant="31", impose_null=True, null=0.7, drawn=drawn)
    np.testing.assert_allclose(estimate.draws_frame()["statistic"], expected, rtol=1e-8)


def test_all_sign_vectors_and_the_interval():
    panel, spec = staggered(5), replace(TWO, small_sample="group")
    scheme = WildClusterBootstrap(FixedEffects(spec))
    estimate = scheme.estimate(panel)
    signs = np.asarray(list(product((1.0, -1.0), repeat=8)))
    drawn, actual = by_hand(
        panel, spec, drawn_by=("period",), variant="11", impose_null=True, null=0.0, drawn=signs[:128]
    )
    drawn, actual = (
        np.abs(np.concatenate([drawn, drawn])),
        abs(actual),
    )  # A vector and its opposite differ in sign alone.
    used = np.isfinite(drawn)
    expected = (np.sum(drawn > actual + 1e-8) + np.sum(drawn >= actual - 1e-8)) / 2 / used.sum()
    assert float(estimate.tests[-1].pvalue) == pytest.approx(expected)
    assert float(estimate.stats["wild_draws"]) == used.sum()
    said = "clustered by unit and period, drawn for 8 by period, 256 sign vectors, all there are"
    assert said in " ".join(estimate.notes)
    for end, sign in ((float(estimate.tests[-1].low), -1), (float(estimate.tests[-1].high), 1)):
        near = [
            float(replace(scheme, null_value=end + sign * step).estimate(panel).tests[-1].pvalue)
            for step in (-1e-6, 1e-6)
        ]
        assert near[0] > 0.05 >= near[1]


def test_a_specs_small_sample_rule_is_in_the_statistic():
    """The actual t statistic is the model's own where its covariance needed no mending."""
    panel = staggered(3, missing=0.1)
    for multiway in ("min", "conventional", "white"):
        model = FixedEffects(replace(TWO, multiway=multiway))
        single = model.estimate(panel)
        assert float(single.stats["negative_eigenvalues"]) == 0.0
        estimate = WildClusterBootstrap(model, draws=9).estimate(panel)
        assert float(estimate.tests[-1].statistic) == pytest.approx(
            float(single.coef[0] / single.std_error[0]), rel=1e-9
        )


def test_one_name_drawn_by_itself_is_the_one_way_bootstrap():
    """The general algebra with weights for intersections that are the clusters themselves, beside the short one."""
    panel, model = staggered(3, missing=0.2), FixedEffects(replace(TWO, cluster="unit"))
    for variant in ("11", "31"):
        plain = WildClusterBootstrap(model, draws=9, variant=variant).estimate(panel, seed=3)
        general = WildClusterBootstrap(model, draws=9, variant=variant, bootstrap_cluster=("unit",)).estimate(
            panel, seed=3
        )
        np.testing.assert_allclose(plain.draws_frame()["statistic"], general.draws_frame()["statistic"], rtol=1e-9)
        np.testing.assert_allclose(plain.tests[-1].pvalue, general.tests[-1].pvalue)


def test_variances_that_are_not_positive_are_counted_and_told():
    panel, spec = staggered(5, units=12), replace(TWO, small_sample="group")
    # What is left of the outcome is one sign pattern: clusters of the intersection outweigh those of units and periods.
    rng = np.random.default_rng(0)
    panel = panel.assign({"y": rng.normal(size=panel.shape)})
    estimate = WildClusterBootstrap(FixedEffects(spec)).estimate(panel)
    signs = np.asarray(list(product((1.0, -1.0), repeat=8)))[:128]
    drawn, _ = by_hand(panel, spec, drawn_by=("period",), variant="11", impose_null=True, null=0.0, drawn=signs)
    lost = 2 * int(np.isnan(drawn).sum())
    assert lost > 0
    assert 256 - float(estimate.stats["wild_draws"]) == lost
    assert f"{lost} of 256 wild draws left out: their variance is not positive" in estimate.notes


def test_what_is_not_defined_is_refused():
    panel = staggered(5)
    with pytest.raises(SpecError, match=r"variant=13 has the jackknife's variance.*Use variant=11"):
        WildClusterBootstrap(FixedEffects(TWO), variant="13").estimate(panel)
    with pytest.raises(SpecError, match="which cuts units apart, and their unit effects"):
        WildClusterBootstrap(FixedEffects(TWO), variant="31").estimate(panel)
    with pytest.raises(SpecError, match="Did you mean 'region'"):
        WildClusterBootstrap(FixedEffects(TWO), bootstrap_cluster="regoin").estimate(panel)
    nation = replace(panel, traits={"nation": np.array(["one"] * 30, dtype=object)})
    with pytest.raises(SpecError, match="1 cluster by nation in the sample"):
        WildClusterBootstrap(FixedEffects(TWO), bootstrap_cluster="nation").estimate(nation)
