"""Moderators: the linear model and the bins are explicit regressions, the kernel is one at every point."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from syneff.models.moderation import Moderation
from syneff.numerics.local import Local, local_effects, prediction_error
from tests.panels import staggered

UNITS = 60
MODEL = FixedEffects(Spec("y", controls=("a",)))
ASKED = Moderation(MODEL, by="x", points=5, draws=20, folds=4)


@pytest.fixture(scope="module")
def panel():
    """The effect is 1 + x: linear in a trait."""
    drawn = staggered(7, units=UNITS, missing=0.05)
    x = np.random.default_rng(70).normal(size=UNITS)
    return replace(
        drawn.assign({"y": drawn.column("y") + drawn.column("treat") * x[:, None]}), traits={**drawn.traits, "x": x}
    )


@pytest.fixture(scope="module")
def estimated(panel):
    return ASKED.estimate(panel, seed=2, name="m")


def spread(panel):
    return np.repeat(panel.traits["x"][:, None], panel.shape[1], axis=1)


def rows_of(estimate):
    return estimate.frame().set_index("term")


def test_linear_terms_are_the_interaction(panel, estimated):
    crossed = panel.assign({"dx": panel.column("treat") * spread(panel)})
    own = rows_of(FixedEffects(Spec("y", "treat", ("dx", "a"))).estimate(crossed))
    rows = rows_of(estimated)
    for ours, theirs in {"treat": "treat", "treat:x": "dx", "a": "a", "constant": "constant"}.items():
        for column in ("estimate", "std_error", "p_value"):
            assert rows.loc[ours, column] == pytest.approx(own.loc[theirs, column], rel=1e-9)
    assert abs(rows.loc["treat:x", "estimate"] - 1.0) < 4 * rows.loc["treat:x", "std_error"]


def test_the_line_and_its_interval_are_those_of_the_covariance(panel, estimated):
    """Moving the origin of the moderator to a point makes the effect there a coefficient."""
    curve = estimated.details["curve"]
    point = curve.iloc[3]
    moved = panel.assign({"dx": panel.column("treat") * (spread(panel) - point["moderator"])})
    row = rows_of(FixedEffects(Spec("y", "treat", ("dx", "a"))).estimate(moved)).loc["treat"]
    for ours, theirs in {"linear": "estimate", "linear_low": "conf_low", "linear_high": "conf_high"}.items():
        assert point[ours] == pytest.approx(row[theirs], rel=1e-9)


def tercile_columns(panel, x):
    """Terciles of the rows in the sample, by hand."""
    inside = panel.sample
    edges = np.quantile(x[inside], [1 / 3, 2 / 3])
    code = (x > edges[0]).astype(int) + (x > edges[1])
    return code, [np.median(x[inside & (code == each)]) for each in range(3)]


@pytest.mark.parametrize("moderator", ["x", "v"])
def test_bins_are_the_explicit_regression_and_linearity_is_nested_in_it(panel, estimated, moderator):
    if moderator == "x":
        estimate, x = estimated, spread(panel)
    else:
        x = np.random.default_rng(71).normal(size=panel.shape)
        panel = panel.assign({"v": x})
        estimate = Moderation(MODEL, by="v", points=5, draws=20, bandwidth=1.0).estimate(panel)
        assert "v changes within units" in " ".join(estimate.notes)
    d, own = panel.column("treat"), moderator == "v"
    code, medians = tercile_columns(panel, x)
    columns = {f"d{j}": d * (code == j) for j in range(3)}
    columns |= {f"s{j}": d * (code == j) * (x - medians[j]) for j in range(3)}
    if own:
        columns |= {f"g{j}": 1.0 * (code == j) for j in (1, 2)} | {f"m{j}": (code == j) * x for j in range(3)}
    names = tuple(columns)
    fit = FixedEffects(Spec("y", names[0], (*names[1:], "a"))).estimate(panel.assign(columns))
    bins = estimate.details["bins"]
    np.testing.assert_allclose(bins["median"], medians, rtol=1e-12)
    np.testing.assert_allclose(bins["estimate"], fit.coef[:3], rtol=1e-8)
    np.testing.assert_allclose(bins["std_error"], fit.std_error[:3], rtol=1e-8)
    np.testing.assert_allclose(bins["rows"], [(panel.sample & (code == j)).sum() for j in range(3)])
    # The other way to write it: what bins 2 and 3 add to the linear model, tested against zero.
    base = {"dx": d * x, **({"x": x} if own else {})}
    added = {f"d{j}": d * (code == j) for j in (1, 2)} | {f"dx{j}": d * (code == j) * x for j in (1, 2)}
    if own:
        added |= {f"g{j}": 1.0 * (code == j) for j in (1, 2)} | {f"x{j}": (code == j) * x for j in (1, 2)}
    # A level and its product with the moderator; without a part of its own the moderator adds two a bin.
    traits = {name: each for name, each in panel.traits.items() if name != "x"}
    nested = replace(panel, traits=traits).assign(base | added)
    whole = FixedEffects(Spec("y", "treat", (*base, *added, "a"))).estimate(nested)
    place = [whole.names.index(name) for name in added]
    b, v = np.asarray(whole.coef)[place], np.asarray(whole.cov)[np.ix_(place, place)]
    statistic = b @ np.linalg.solve(v, b) / len(place)
    row = rows_of(estimate).loc["linearity"]
    assert row["statistic"] == pytest.approx(statistic, rel=1e-6)
    assert row["p_value"] == pytest.approx(stats.f.sf(statistic, len(place), UNITS - 1), rel=1e-5)


def test_a_huge_bandwidth_is_the_linear_model(panel):
    curve = replace(ASKED, bandwidth=1e6).estimate(panel, seed=2, name="m").details["curve"]
    np.testing.assert_allclose(curve["kernel"], curve["linear"], rtol=1e-8)


def local_of(panel):
    inside = panel.sample
    x = np.where(inside, spread(panel), 0.0)
    arrays = (np.where(inside, panel.column(name), 0.0) for name in ("y", "treat", "a"))
    outcome, treatment, control = (jnp.asarray(each) for each in arrays)
    return Local(
        outcome,
        treatment,
        jnp.asarray(x),
        control[:, :, None],
        jnp.asarray(panel.weights),
        ("unit", "period"),
        False,
        False,
    )


def explicit(panel, point, bandwidth, weights):
    """Weighted least squares with explicit dummies: coefficients, period effects, and the weights of the kernel."""
    x = spread(panel)
    kernel = panel.weights * weights[:, None] * np.exp(-0.5 * ((x - point) / bandwidth) ** 2)
    inside = kernel > 0
    unit, period = (each[inside] for each in np.indices(panel.shape))
    dummies = [
        (codes[:, None] == np.arange(size)[None, :]).astype(float) for codes, size in ((unit, UNITS), (period, 8))
    ]
    d = panel.column("treat")[inside]
    gap = (x - point)[inside]
    regressors = np.column_stack([d, d * gap, panel.column("a")[inside], dummies[1][:, 1:], dummies[0]])
    root = np.sqrt(kernel[inside])[:, None]
    b = np.linalg.lstsq(regressors * root, panel.column("y")[inside] * root[:, 0], rcond=None)[0]
    return b[:3], np.concatenate([[0.0], b[3:10]])


def test_each_point_is_a_weighted_regression(panel, estimated):
    curve, bandwidth = estimated.details["curve"], float(estimated.stats["bandwidth"])
    for number in (0, 2):
        b, _ = explicit(panel, curve["moderator"].iloc[number], bandwidth, np.ones(UNITS))
        assert curve["kernel"].iloc[number] == pytest.approx(b[0], rel=1e-7)


def test_samples_of_units_are_weights_on_top(panel):
    copies = np.random.default_rng(1).integers(0, 3, size=(2, UNITS)).astype(float)
    found = local_effects(local_of(panel), jnp.asarray([-0.5, 0.7]), jnp.asarray(0.8), jnp.asarray(copies))
    for draw in range(2):
        for at, point in enumerate((-0.5, 0.7)):
            b, _ = explicit(panel, point, 0.8, copies[draw])
            assert float(found[draw, at]) == pytest.approx(b[0], rel=1e-7)


def test_cross_validation_predicts_units_left_out(panel):
    """By refits without each fold: a row's error is its distance from what its unit's other rows say."""
    folds, grid, bandwidth = np.arange(UNITS) % 3, np.array([-1.0, 0.2, 1.5]), 0.9
    error = prediction_error(
        local_of(panel), jnp.asarray(grid), jnp.asarray(bandwidth), (jnp.asarray(folds), jnp.arange(3))
    )
    x, d = spread(panel), panel.column("treat")
    at_points = np.zeros((3, *panel.shape))
    for fold in range(3):
        for number, point in enumerate(grid):
            b, periods = explicit(panel, point, bandwidth, (folds != fold).astype(float))
            rest = panel.column("y") - b[0] * d - b[1] * d * (x - point) - b[2] * panel.column("a") - periods[None, :]
            for unit in np.flatnonzero(folds == fold):
                seen = np.flatnonzero(panel.sample[unit])
                for t in seen:
                    at_points[number, unit, t] = rest[unit, t] - rest[unit, seen[seen != t]].mean()
    between = np.stack(
        [[np.interp(x[unit, t], grid, at_points[:, unit, t]) for t in range(panel.shape[1])] for unit in range(UNITS)]
    )
    assert float(error) == pytest.approx((between[panel.sample] ** 2).mean(), rel=1e-7)


def test_the_bandwidth_taken_is_the_best_of_those_tried(estimated):
    tried = estimated.details["bandwidths"].set_index("bandwidth")["error"]
    assert tried.idxmin() == pytest.approx(float(estimated.stats["bandwidth"]))
    assert len(tried) == 10


def test_intervals_hold_the_estimate_and_support_adds_up(panel, estimated):
    curve, support = estimated.details["curve"], estimated.details["support"]
    assert (curve["kernel_low"] < curve["kernel_high"]).all()
    assert support["treated"].sum() == (panel.sample & (panel.column("treat") > 0)).sum()
    assert support[["treated", "others"]].to_numpy().sum() == panel.sample.sum()


def test_results_do_not_depend_on_chunks(panel, estimated):
    other = replace(ASKED, chunk=7).estimate(panel, seed=2, name="m")
    for name in ("kernel", "kernel_error", "kernel_low"):
        np.testing.assert_allclose(other.details["curve"][name], estimated.details["curve"][name], rtol=1e-8)


def test_bad_input_is_told(panel):
    with pytest.raises(SpecError, match="bins=1"):
        Moderation(MODEL, by="x", bins=1)
    with pytest.raises(SpecError, match="bandwidth=-1"):
        Moderation(MODEL, by="x", bandwidth=-1)
    with pytest.raises(SpecError, match="EventStudy, but only FixedEffects"):
        Moderation(EventStudy(MODEL.spec), by="x")
    with pytest.raises(DataError, match="Did you mean 'x'"):
        Moderation(MODEL, by="xx").estimate(panel)
    few = replace(panel, traits={**panel.traits, "x": np.arange(UNITS) % 3.0})
    with pytest.raises(DataError, match="has 3 values in the sample, too few for 3 bins"):
        Moderation(MODEL, by="x").estimate(few)
    heaped = replace(panel, traits={**panel.traits, "x": np.where(np.arange(UNITS) < 40, 0.0, np.arange(UNITS))})
    with pytest.raises(DataError, match="too many rows share a value"):
        Moderation(MODEL, by="x").estimate(heaped)
