"""Fixed effects against explicit dummy regressions, and the algebra of the batch verbs."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec, Status, jit_fit
from syneff.models.fixed_effects import FixedEffects
from syneff.panel.panel import Panel
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a", "b"))
EFFECTS = [("unit", "period"), ("unit",), ("period",), ()]


def dummies(panel: Panel, effects: tuple[str, ...]) -> np.ndarray:
    """Explicit dummies of the rows of the sample; the first period's is left out where units have theirs."""
    unit, period = np.indices(panel.shape)
    inside = panel.sample
    parts = []
    if "unit" in effects:
        parts.append(np.eye(panel.shape[0])[unit[inside]])
    if "period" in effects:
        parts.append(np.eye(panel.shape[1])[period[inside]][:, 1 if parts else 0 :])
    return np.concatenate(parts, axis=1) if parts else np.ones((inside.sum(), 1))


def refit(panel: Panel, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares on explicit dummies, with the covariance clustered by unit and reghdfe's factor."""
    inside = panel.sample
    regressors = np.stack([panel.column(name)[inside] for name in spec.regressors], axis=1)
    full = np.concatenate([regressors, dummies(panel, spec.effects)], axis=1)
    weights, outcome = panel.weights[inside], panel.column(spec.outcome)[inside]
    root = np.sqrt(weights)[:, None]
    coef = np.linalg.lstsq(full * root, outcome * root[:, 0], rcond=None)[0]
    bread = np.linalg.pinv((full * weights[:, None]).T @ full, hermitian=True)
    scores = full * (weights * (outcome - full @ coef))[:, None]
    unit = np.indices(panel.shape)[0][inside]
    sums = np.stack([scores[unit == each].sum(0) for each in np.unique(unit)])
    n, g, k = inside.sum(), len(sums), np.linalg.matrix_rank(full)
    counted = k - (g - 1 if "unit" in spec.effects else 0)
    factor = g / (g - 1) * (n - 1) / (n - counted)
    cov = bread @ sums.T @ sums @ bread * factor
    return coef[: len(spec.regressors)], cov[: len(spec.regressors), : len(spec.regressors)]


@pytest.mark.parametrize("effects", EFFECTS)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_agrees_with_explicit_dummies(effects, missing):
    panel = staggered(1, missing=missing)
    panel = panel.reweight(panel.weights * np.random.default_rng(2).uniform(0.2, 3.0, panel.shape))
    spec = replace(SPEC, effects=effects)
    estimate = FixedEffects(spec).estimate(panel)
    coef, cov = refit(panel, spec)
    np.testing.assert_allclose(estimate.coef[:3], coef, rtol=1e-11)
    np.testing.assert_allclose(estimate.cov[:3, :3], cov, rtol=1e-10, atol=1e-14)


def test_constant_xtreg_is_that_of_period_dummies():
    """With unit dummies that sum to zero and the first period left out, the intercept is xtreg's; so is its variance."""
    panel = staggered(1, units=12)
    units, periods = panel.shape
    unit, period = np.indices(panel.shape).reshape(2, -1)
    contrasts = np.concatenate([np.eye(units)[:, 1:], np.zeros((0, units - 1))]) - np.eye(units)[:, :1]
    columns = [panel.column(name).ravel() for name in SPEC.regressors]
    full = np.column_stack([np.ones(unit.size), *columns, np.eye(periods)[period][:, 1:], contrasts[unit]])
    y = panel.column("y").ravel()
    coef = np.linalg.lstsq(full, y, rcond=None)[0]
    bread = np.linalg.inv(full.T @ full)
    scores = full * (y - full @ coef)[:, None]
    sums = np.stack([scores[unit == each].sum(0) for each in range(units)])
    n, k = y.size, 3 + periods
    variance = (bread @ sums.T @ sums @ bread)[0, 0] * units / (units - 1) * (n - 1) / (n - k)
    frame = FixedEffects(SPEC).estimate(panel).frame().set_index("term")
    assert frame.loc["constant[xtreg]", "estimate"] == pytest.approx(coef[0], rel=1e-11)
    assert frame.loc["constant[xtreg]", "std_error"] == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_collinear_regressor_is_omitted_like_the_later_one():
    panel = staggered(1)
    panel = panel.assign({"c": 2.0 * panel.column("a") - panel.column("b"), "trend": np.tile(np.arange(8.0), (30, 1))})
    spec = replace(SPEC, controls=("a", "trend", "b", "c"))
    estimate = FixedEffects(spec).estimate(panel)
    reference = FixedEffects(SPEC).estimate(panel)
    frame = estimate.frame().set_index("term")["estimate"]
    assert np.isnan(frame[["trend", "c"]]).all()
    np.testing.assert_allclose(frame[["treat", "a", "b"]], reference.coef[:3], rtol=1e-11)
    assert int(estimate.status) == Status.COLLINEAR
    assert "trend, c" in " ".join(estimate.notes)


def test_singletons_are_dropped_as_reghdfe_does():
    panel = staggered(1)
    weights = panel.weights.copy()
    weights[5, 1:] = 0
    alone = panel.reweight(weights)
    weights = weights.copy()
    weights[5] = 0
    one, other = (FixedEffects(SPEC).estimate(each) for each in (alone, panel.reweight(weights)))
    np.testing.assert_array_equal(one.coef, other.coef)
    assert int(one.nobs) == int(other.nobs) == 29 * 8
    assert "1 singleton" in one.notes[0]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), missing=st.sampled_from([0.0, 0.2, 0.5]))
def test_weight_zero_is_a_row_dropped(seed, missing):
    """Values in rows of weight 0, NaN included, change nothing."""
    panel = staggered(seed, missing=missing)
    spoilt = {name: np.where(panel.sample, values, np.nan) for name, values in panel.columns.items()}
    clean, dirty = FixedEffects(SPEC).estimate(panel), FixedEffects(SPEC).estimate(replace(panel, columns=spoilt))
    np.testing.assert_array_equal(clean.coef, dirty.coef)
    np.testing.assert_array_equal(clean.cov, dirty.cov)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([1e-6, 3.0, 1e7]))
def test_invariances(seed, factor):
    """Order of units, units of measurement, scale of the weights and constants added within units change nothing real."""
    panel = staggered(seed, missing=0.1)
    order = np.random.default_rng(seed).permutation(panel.shape[0])
    moved = {name: values[order] for name, values in panel.columns.items()}
    moved["y"] = moved["y"] + 100.0 * order[:, None]
    moved["a"] = moved["a"] * factor
    changed = replace(
        panel,
        units=tuple(panel.units[each] for each in order),
        columns=moved,
        weights=panel.weights[order] * 7.0,
        traits={},
    )
    before, after = FixedEffects(SPEC).estimate(panel), FixedEffects(SPEC).estimate(changed)
    scale = np.array([1.0, 1.0 / factor, 1.0])
    np.testing.assert_allclose(after.coef[:3], before.coef[:3] * scale, rtol=1e-9)
    np.testing.assert_allclose(after.std_error[:3], before.std_error[:3] * scale, rtol=1e-9)


@pytest.mark.parametrize(
    "options", [{}, {"cluster": "region"}, {"cluster": None}, {"cluster": None, "covariance": "HC1"}]
)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_fit_treatments_is_refitting(options, missing):
    panel = staggered(7, missing=missing)
    model = FixedEffects(
        replace(SPEC, covariance=None, **options) if "covariance" not in options else replace(SPEC, **options)
    )
    design = model.design(panel)
    treatments = jnp.asarray(np.random.default_rng(0).permuted(np.repeat(panel.column("treat")[None], 7, 0), axis=1))
    batch = jax.jit(model.fit_treatments)(design, treatments)
    for draw, treatment in enumerate(treatments):
        single = jit_fit(model, model.with_treatment(design, treatment))
        np.testing.assert_allclose(batch.coef[draw, 0], single.coef[0], rtol=1e-11)
        np.testing.assert_allclose(batch.cov[draw, 0, 0], single.cov[0, 0], rtol=1e-10)
        assert float(batch.dof[draw]) == float(single.dof)


def test_generic_batch_verbs_are_refitting():
    panel = staggered(8, missing=0.2)
    model = FixedEffects(SPEC)
    design = model.design(panel)
    rng = np.random.default_rng(1)
    weights = jnp.asarray(rng.multinomial(30, np.ones(30) / 30, size=5).astype(float))
    batch = jax.jit(model.fit_weights)(design, weights)
    for draw in range(5):
        reweighted = panel.reweight(panel.weights * np.asarray(weights[draw])[:, None])
        coef, _ = refit(reweighted, SPEC)
        np.testing.assert_allclose(batch.coef[draw, :3], coef, rtol=1e-10)
    outcomes = jnp.asarray(rng.normal(size=(4, *panel.shape)))
    batch = jax.jit(model.fit_outcomes)(design, outcomes)
    for draw in range(4):
        coef, cov = refit(panel.assign({"y": np.asarray(outcomes[draw])}), SPEC)
        np.testing.assert_allclose(batch.coef[draw, :3], coef, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(batch.cov[draw, :3, :3], cov, rtol=1e-9, atol=1e-14)


def test_one_specification_compiles_once():
    traces = 0

    class Counting(FixedEffects):
        def fit(self, design):
            nonlocal traces
            traces += 1
            return super().fit(design)

    model = Counting(SPEC)
    for seed in range(3):
        model.estimate(staggered(seed, missing=0.1 * seed))
    assert traces == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outcome": "z"}, "unknown column 'z'"),
        ({"controls": ("aa",)}, "Did you mean 'a'"),
        ({"treatment": "zero"}, "column 'zero' is 0 on all 240 rows"),
        ({"controls": ("empty",)}, "column 'empty' has no value in the sample"),
        ({"cluster": "provinc"}, "spec.cluster"),
    ],
)
def test_bad_names(options, message):
    panel = staggered(1).assign({"zero": np.zeros((30, 8)), "empty": np.full((30, 8), np.nan)})
    with pytest.raises((DataError, SpecError), match=message):
        FixedEffects(replace(SPEC, **options)).estimate(panel)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effects": ("city",)}, "spec.effects"),
        ({"covariance": "CR9"}, "spec.covariance"),
        ({"small_sample": "stata"}, "spec.small_sample"),
        ({"controls": ("a", "a")}, "'a' stands more than once"),
        ({"cluster": None, "covariance": "CR1"}, "needs clusters"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(SpecError, match=message):
        replace(SPEC, **options)


@pytest.mark.parametrize("covariance", ["HC1", "iid"])
def test_only_clustered_errors_count_clusters(covariance):
    """Naming clusters changes nothing of a covariance that does not use them, its degrees of freedom included."""
    panel = staggered(1)
    with_cluster = FixedEffects(replace(SPEC, covariance=covariance)).estimate(panel)
    without = FixedEffects(replace(SPEC, cluster=None, covariance=covariance)).estimate(panel)
    assert float(with_cluster.dof) == float(without.dof) == 240 - 3 - 30 - 8 + 1
    np.testing.assert_array_equal(with_cluster.cov, without.cov)


def test_a_saturated_fit_has_no_standard_errors():
    panel = staggered(1, units=3, periods=3)
    rng = np.random.default_rng(0)
    treat = np.array([[0.0, 1, 1], [0, 0, 1], [0, 0, 0]])
    panel = panel.assign({"treat": treat, "a": rng.normal(size=(3, 3)), "b": rng.normal(size=(3, 3))})
    panel = panel.assign({"c": rng.normal(size=(3, 3))})
    estimate = FixedEffects(replace(SPEC, controls=("a", "b", "c"))).estimate(panel)
    assert int(estimate.status) == Status.NO_DEGREES_OF_FREEDOM
    assert estimate.frame()["p_value"].isna().all()
    assert "no degrees of freedom" in " ".join(estimate.notes)


def test_units_without_a_cluster_are_named():
    panel = staggered(1)
    region = panel.traits["region"].copy()
    region[4] = None
    with pytest.raises(DataError, match=r"spec.cluster=region: 1 units have no value: 4"):
        FixedEffects(replace(SPEC, cluster="region")).estimate(replace(panel, traits={"region": region}))
