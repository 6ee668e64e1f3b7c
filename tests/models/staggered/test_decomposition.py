"""Decompositions of the two-way fixed-effects coefficient: identities, explicit two-by-twos, and a general optimiser."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.resampling import PairsBootstrap, Placebo
from syneff.models.staggered.bacon import TYPES, Bacon, bacon_decomposition
from syneff.models.staggered.two_way_weights import TwoWayWeights
from syneff.panel.panel import Panel
from tests.models.staggered.draws import pairs_weights, placebo_treatments
from tests.panels import staggered

SPEC = Spec("y", "treat")
UNITS, PERIODS = 9, 6


def drawn_panel(first, seed, weights=None):
    rng = np.random.default_rng(seed)
    treat = (np.arange(PERIODS)[None, :] >= np.asarray(first)[:, None]).astype(float)
    columns = {"y": rng.normal(size=treat.shape), "treat": treat, "a": rng.normal(size=treat.shape)}
    weights = np.ones(treat.shape) if weights is None else weights
    return Panel(tuple(range(len(first))), tuple(range(2000, 2000 + PERIODS)), columns, {}, weights)


def dummies(panel):
    unit, period = (each.ravel() for each in np.indices(panel.shape))
    return np.concatenate([np.eye(panel.shape[0])[unit], np.eye(panel.shape[1])[period]], axis=1)


def weighted_fit(y, x, w):
    """Return coefficients and residuals of weighted least squares."""
    root = np.sqrt(w)
    coef = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
    return coef, y - x @ coef


def two_way(panel, extra=()):
    """Return the two-way coefficient, and the treatment's residual on everything else."""
    w, d, y = (each.ravel() for each in (panel.weights, panel.column("treat"), panel.column("y")))
    rest = np.concatenate([dummies(panel), *(panel.column(name).reshape(-1, 1) for name in extra)], axis=1)
    residual = weighted_fit(d, rest, w)[1]
    return (w * residual * y).sum() / (w * residual * d).sum(), residual.reshape(panel.shape)


@settings(max_examples=25, deadline=None)
@given(
    first=st.lists(st.sampled_from([0, 1, 3, 4, 5, 99]), min_size=UNITS, max_size=UNITS).filter(
        lambda each: len({min(one, PERIODS) for one in each}) > 1 and any(0 < one < PERIODS for one in each)
    ),
    seed=st.integers(0, 10_000),
)
def test_comparisons_add_up_to_the_coefficient(first, seed):
    rng = np.random.default_rng(seed)
    weights = np.outer(rng.uniform(0.5, 2.0, UNITS), rng.uniform(0.5, 2.0, PERIODS))
    panel = drawn_panel(first, seed, weights)
    found = bacon_decomposition(panel, SPEC)
    assert found["weight"].sum() == pytest.approx(1.0)
    assert (found["estimate"] * found["weight"]).sum() == pytest.approx(two_way(panel)[0], rel=1e-8, abs=1e-10)


def test_every_comparison_is_a_regression_on_its_rows():
    first = np.asarray([0, 0, 2, 2, 3, 3, 5, 99, 99])
    panel = drawn_panel(first, 3)
    found = bacon_decomposition(panel, SPEC)
    code = np.minimum(first, PERIODS)
    expected, raw = {}, {}
    for g in (2, 3, 5):
        for c in {0, 2, 3, 5, 6} - {g}:
            periods = np.arange(PERIODS) < c if c > g else np.arange(PERIODS) >= c
            inside = np.isin(code, [g, c])[:, None] & periods[None, :]
            own = panel.reweight(inside.astype(float))
            expected[g, c], residual = two_way(own)
            raw[g, c] = (inside * residual**2).sum() * inside.sum()
    assert len(found) == len(raw)
    for row in found.itertuples():
        pair = (int(row.treated - 2000), int(row.control - 2000) if np.isfinite(row.control) else PERIODS)
        assert row.estimate == pytest.approx(expected[pair], rel=1e-9)
        assert row.weight == pytest.approx(raw[pair] / sum(raw.values()), rel=1e-9)
        assert (row.treated_units, row.control_units) == ((code == pair[0]).sum(), (code == pair[1]).sum())
    kinds = {(2, 6): 0, (2, 3): 1, (3, 2): 2, (3, 0): 3}
    for (g, c), kind in kinds.items():
        control = np.nan if c == PERIODS else 2000 + c
        same = (found["treated"] == 2000 + g) & (
            (found["control"] == control) | (found["control"].isna() & (c == PERIODS))
        )
        assert found.loc[same, "type"].tolist() == [TYPES[kind]]


def test_types_of_comparison_average_their_comparisons():
    panel = drawn_panel([0, 0, 2, 2, 3, 3, 5, 99, 99], 3)
    found = Bacon(SPEC).estimate(panel)
    frame, pairs = found.frame().set_index("term")["estimate"], found.details["bacon"]
    for kind, own in pairs.groupby("type"):
        assert frame[f"weight:{kind}"] == pytest.approx(own["weight"].sum())
        assert frame[kind] == pytest.approx((own["weight"] * own["estimate"]).sum() / own["weight"].sum())
    assert frame["treat"] == pytest.approx(two_way(panel)[0], rel=1e-10)
    already = frame["weight:later_vs_earlier"] + frame["weight:treated_vs_always"]
    assert f"{already:.1%} of the weight rests on comparisons with units that are treated already" in found.notes


@pytest.mark.slow
def test_placebo_draws_are_refits():
    panel = staggered(3)
    for model in (Bacon(SPEC), TwoWayWeights(SPEC)):
        found = Placebo(model, draws=2).estimate(panel, seed=1)
        for draw, treat in enumerate(placebo_treatments(model, panel, 2, seed=1)):
            refit = model.estimate(panel.assign({"treat": treat}))
            np.testing.assert_allclose(found.draws.coef[draw], refit.coef, rtol=1e-8, atol=1e-12)


@pytest.mark.slow
def test_bootstrap_draws_are_refits_with_weights():
    panel = staggered(3)
    for model in (Bacon(SPEC), TwoWayWeights(SPEC)):
        found = PairsBootstrap(model, draws=2).estimate(panel, seed=1)
        for draw, copies in enumerate(pairs_weights(panel.shape[0], 2, seed=1)):
            refit = model.estimate(panel.reweight(panel.weights * copies[:, None]))
            np.testing.assert_allclose(found.draws.coef[draw], refit.coef, rtol=1e-8, atol=1e-12)


def test_gaps_and_controls_have_no_decomposition():
    panel = staggered(3)
    weights = panel.weights.copy()
    weights[4, 2] = 0.0
    with pytest.raises(DataError, match=r"rows are missing: 4 2002"):
        Bacon(SPEC).estimate(panel.reweight(weights))
    weights[4, 2] = 2.0
    with pytest.raises(DataError, match="weights change"):
        bacon_decomposition(panel.reweight(weights), SPEC)
    with pytest.raises(SpecError, match="TwoWayWeights takes controls"):
        Bacon(Spec("y", "treat", ("a",))).estimate(panel)
    with pytest.raises(SpecError, match=r"spec.effects=\['unit'\] must be"):
        TwoWayWeights(Spec("y", "treat", effects=("unit",)))


@pytest.mark.parametrize("controls", [(), ("a",)])
def test_the_coefficient_is_the_weighted_sum_of_effects(controls):
    """Exactly: whatever effects are added to treated rows, the coefficient moves by their weighted sum."""
    rng = np.random.default_rng(5)
    weights = rng.uniform(0.5, 2.0, (UNITS, PERIODS)) * (rng.uniform(size=(UNITS, PERIODS)) > 0.15)
    panel = drawn_panel([1, 1, 2, 2, 3, 3, 5, 5, 99], 3, weights)
    found = TwoWayWeights(Spec("y", "treat", controls)).estimate(panel)
    coef, residual = two_way(panel, controls)
    raw = weights * residual * panel.column("treat")
    raw = raw / raw.sum()
    frame = found.frame().set_index("term")["estimate"]
    assert frame["treat"] == pytest.approx(coef, rel=1e-9)
    assert frame["sum_negative"] == pytest.approx(raw[raw < 0].sum(), rel=1e-9)
    assert raw.min() < 0
    treated = weights * panel.column("treat")
    assert frame["share_negative"] == pytest.approx(treated[raw < 0].sum() / treated.sum(), rel=1e-9)
    cells = found.details["two_way_weights"]
    assert cells["weight"].sum() == pytest.approx(1.0)
    assert cells["share"].sum() == pytest.approx(1.0)
    effects = dict(zip(zip(cells["cohort"], cells["period"], strict=True), rng.normal(size=len(cells)), strict=True))
    first = panel.column("treat").argmax(1)
    added = np.zeros(panel.shape)
    for (cohort, period), value in effects.items():
        added[(first == cohort - 2000) & (panel.column("treat")[:, -1] > 0), period - 2000] = value
    moved, _ = two_way(panel.assign({"y": panel.column("y") + added * panel.column("treat")}), controls)
    expected = sum(effects[row.cohort, row.period] * row.weight for row in cells.itertuples())
    assert moved - coef == pytest.approx(expected, rel=1e-8)


def test_robustness_is_the_least_variation_of_effects():
    """Against a general optimiser over the effects of all treated rows."""
    panel = drawn_panel([1, 1, 2, 4, 5, 5], 3)
    frame = TwoWayWeights(SPEC).estimate(panel).frame().set_index("term")["estimate"]
    coef, residual = two_way(panel)
    treated = panel.column("treat") > 0
    weight = residual[treated] / residual[treated].sum()
    n, sign = weight.size, np.sign(coef)

    def least(constraint, bounds):
        constraints = [{"type": "eq", "fun": lambda x: weight @ x - coef}, *constraint]
        start = np.where(weight < 0, -sign, 0.0)
        options = {"ftol": 1e-15, "maxiter": 2000}
        found = minimize(
            lambda x: ((x - x.mean()) ** 2).sum(),
            start,
            jac=lambda x: 2 * (x - x.mean()),
            bounds=bounds,
            constraints=constraints,
            method="SLSQP",
            options=options,
        )
        return np.sqrt(found.fun / n)

    zero = least([{"type": "eq", "fun": lambda x: x.mean()}], None)
    assert frame["sigma_fe"] == pytest.approx(zero, rel=1e-6)
    assert frame["sigma_fe"] == pytest.approx(abs(coef) / np.std(weight * n), rel=1e-10)
    other = least([], [(None, 0.0) if sign > 0 else (0.0, None)] * n)
    assert frame["sigma_fe_sign"] == pytest.approx(other, rel=1e-5)


def test_without_negative_weights_effects_cannot_all_have_the_other_sign():
    panel = drawn_panel([3, 3, 3, 99, 99, 99], 1)
    frame = TwoWayWeights(SPEC).estimate(panel).frame().set_index("term")["estimate"]
    assert frame["sum_negative"] == 0.0
    assert np.isnan(frame["sigma_fe_sign"])
