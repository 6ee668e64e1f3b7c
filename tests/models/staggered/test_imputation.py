"""Imputation against explicit dummies and implied weights, and what happens to rows that nothing predicts."""

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import PairsBootstrap, Placebo
from syneff.models.staggered.imputation import Imputation
from tests.models.staggered.draws import pairs_weights, placebo_treatments
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a",))
MODEL = Imputation(SPEC, window=(-2, 2))
UNITS, PERIODS = 30, 8


def cohort_of(panel):
    treat = panel.column("treat")
    return np.where(treat.any(1), treat.argmax(1), panel.shape[1])


def weighted_panel(missing):
    panel = staggered(2, missing=missing)
    return panel.reweight(panel.weights * np.random.default_rng(4).uniform(0.5, 2.0, panel.shape))


def dense(panel):
    """Return dummies and the control of every cell, flattened, and which cells are treated and untreated."""
    unit, period = (each.ravel() for each in np.indices(panel.shape))
    columns = [np.eye(UNITS)[unit], np.eye(PERIODS)[period], panel.column("a").reshape(-1, 1)]
    inside, treat = panel.weights.ravel() > 0, panel.column("treat").ravel() > 0
    return np.concatenate(columns, axis=1), inside & treat, inside & ~treat


def by_hand(panel, chosen, clusters, *, leave_out):
    """Average the imputed effects of chosen cells, with the conservative standard error, loop by loop."""
    z, treated, untreated = dense(panel)
    w, y = panel.weights.ravel(), panel.column("y").ravel()
    v = np.where(treated & chosen.ravel(), w, 0.0)
    v = v / v.sum()
    projection = np.linalg.pinv((z[untreated] * w[untreated, None]).T @ z[untreated], hermitian=True)
    theta = projection @ (z[untreated] * w[untreated, None]).T @ y[untreated]
    tau = y - z @ theta
    implied = np.where(untreated, -w * (z @ projection @ (z.T @ v)), v)
    unit, period = (each.ravel() for each in np.indices(panel.shape))
    cohort, cluster = cohort_of(panel)[unit], clusters[unit]
    residual = tau.copy()
    for g, t in {(g, t) for g, t in zip(cohort[treated], period[treated], strict=True)}:
        cell = np.flatnonzero(treated & (cohort == g) & (period == t))
        together = {c: implied[cell][cluster[cell] == c].sum() for c in set(cluster[cell])}
        s = np.asarray([implied[i] * together[cluster[i]] for i in cell])
        for i in cell:
            others = cluster[cell] != cluster[i] if leave_out else np.ones(cell.size, dtype=bool)
            if s[others].sum() != 0:
                residual[i] = tau[i] - (s[others] @ tau[cell][others]) / s[others].sum()
    used = np.where(treated | untreated, implied * residual, 0.0)
    return v @ tau, np.sqrt(sum(used[cluster == c].sum() ** 2 for c in set(cluster)))


@pytest.mark.parametrize(("missing", "cluster"), [(0.0, "unit"), (0.2, "unit"), (0.2, "region")])
def test_estimates_and_conservative_errors_by_hand(missing, cluster):
    panel = weighted_panel(missing)
    clusters = np.arange(UNITS) if cluster == "unit" else panel.traits["region"]
    found = Imputation(Spec("y", "treat", ("a",), cluster=cluster), window=(-2, 2)).estimate(panel)
    frame = found.frame().set_index("term")
    event = np.arange(PERIODS)[None, :] - cohort_of(panel)[:, None]
    chosen = {
        "treat": event >= 0,
        "event[0]": event == 0,
        "event[2]": event >= 2,
        "group[2004]": (event >= 0) & (cohort_of(panel) == 4)[:, None],
    }
    for term, cells in chosen.items():
        value, error = by_hand(panel, cells, clusters, leave_out=False)
        assert frame.loc[term, "estimate"] == pytest.approx(value, rel=1e-10)
        assert frame.loc[term, "std_error"] == pytest.approx(error, rel=1e-9)
    assert frame.loc["treat", "dof"] == np.inf


def test_means_that_leave_the_own_unit_out_by_hand():
    panel = weighted_panel(0.0)
    assert min(np.bincount(cohort_of(panel))[[2, 4, 5]]) > 1
    found = Imputation(SPEC, window=(-2, 2), leave_out=True).estimate(panel).frame().set_index("term")
    event = np.arange(PERIODS)[None, :] - cohort_of(panel)[:, None]
    value, error = by_hand(panel, event >= 0, np.arange(UNITS), leave_out=True)
    assert found.loc["treat", "estimate"] == pytest.approx(value, rel=1e-10)
    assert found.loc["treat", "std_error"] == pytest.approx(error, rel=1e-9)


def test_a_cohort_of_one_unit_cannot_be_left_out():
    panel = staggered(2)
    first = cohort_of(panel)
    lonely = panel.reweight(panel.weights * ~((first == 5) & (np.arange(UNITS) != np.argmax(first == 5)))[:, None])
    found = Imputation(SPEC, window=(-2, 2), leave_out=True).estimate(lonely)
    frame = found.frame().set_index("term")
    assert np.isnan(frame.loc[["treat", "group[2005]"], "std_error"]).all()
    assert np.isfinite(frame.loc[["group[2002]", "group[2004]"], "std_error"]).all()
    assert any("no standard error of treat" in note and "leave_out=false" in note for note in found.notes)
    assert any("cohorts of 2005 have one unit" in note for note in MODEL.estimate(lonely).notes)


def test_leads_are_a_regression_on_untreated_rows():
    panel = weighted_panel(0.1)
    event = np.arange(PERIODS)[None, :] - cohort_of(panel)[:, None]
    leads = {f"lead{each}": (event == each).astype(float) for each in (-2, -1)}
    untreated = panel.assign(leads).reweight(panel.weights * (panel.column("treat") == 0))
    plain = FixedEffects(Spec("y", "lead-2", ("lead-1", "a"))).estimate(untreated)
    found = MODEL.estimate(panel)
    np.testing.assert_allclose(found.coef[1:3], plain.coef[:2], rtol=1e-9)
    np.testing.assert_allclose(found.cov[1:3, 1:3], plain.cov[:2, :2], rtol=1e-9)
    b, v = np.asarray(plain.coef[:2]), np.asarray(plain.cov[:2, :2])
    assert float(found.tests[0].statistic) == pytest.approx(b @ np.linalg.solve(v, b) / 2, rel=1e-9)
    assert float(found.tests[0].dof_denominator) == UNITS - 1
    # The slope of untreated rows is that of a regression on them without leads; reghdfe's factor is left out.
    slope = FixedEffects(Spec("y", "a", small_sample="none")).estimate(untreated)
    assert float(found.coef[-1]) == pytest.approx(float(slope.coef[0]), rel=1e-10)
    assert float(found.std_error[-1]) == pytest.approx(float(slope.std_error[0]), rel=1e-9)


def test_rows_that_nothing_predicts_are_left_out_and_told():
    panel = staggered(2)
    first = cohort_of(panel)
    treat = panel.column("treat").copy()
    treat[5] = 1.0
    weights = panel.weights.copy()
    weights[first == 8, 7] = 0.0
    found = MODEL.estimate(panel.assign({"treat": treat}).reweight(weights))
    # In the last year all are treated, and unit 5 always is.
    count = int((weights[5] > 0).sum() + (weights[np.arange(UNITS) != 5, 7] > 0).sum())
    weights[:, 7], weights[5] = 0.0, 0.0
    rest = MODEL.estimate(panel.reweight(weights))
    np.testing.assert_allclose(found.coef, rest.coef, rtol=1e-10)
    np.testing.assert_allclose(found.std_error, rest.std_error, rtol=1e-9)
    assert int(found.nobs) == int(rest.nobs)
    assert any(note.startswith(f"{count} treated rows left out") for note in found.notes)


def test_a_control_that_untreated_rows_leave_open_predicts_nothing():
    panel = staggered(2)
    moved = panel.column("treat") * (np.arange(PERIODS) == 6)
    found = Imputation(Spec("y", "treat", ("moved",)), window=(-2, 2)).estimate(panel.assign({"moved": moved}))
    rest = Imputation(Spec("y", "treat"), window=(-2, 2)).estimate(panel.reweight(panel.weights * (moved == 0)))
    assert any("moved" in note for note in found.notes)
    assert int(found.stats["treated_rows"] - found.stats["imputed_rows"]) == int(moved.sum())
    own = np.asarray(panel.column("treat") * (moved == 0), dtype=bool)
    untreated = panel.column("treat") == 0
    z, y = dense(panel)[0][:, :-1], panel.column("y").ravel()
    theta = np.linalg.lstsq(z[untreated.ravel()], y[untreated.ravel()], rcond=None)[0]
    assert float(found.coef[0]) == pytest.approx((y - z @ theta)[own.ravel()].mean(), rel=1e-10)
    assert float(rest.stats["treated_rows"]) == float(found.stats["imputed_rows"])


def test_cells_of_cohorts_add_up_and_support_is_counted():
    panel = staggered(2, missing=0.1)
    found = MODEL.estimate(panel)
    cells = found.details["cohort_effects"]
    assert (cells["weight"] * cells["estimate"]).sum() == pytest.approx(float(found.coef[0]), rel=1e-10)
    event = np.arange(PERIODS)[None, :] - cohort_of(panel)[:, None]
    one = by_hand(panel, (cohort_of(panel) == 4)[:, None] & (event == 1), np.arange(UNITS), leave_out=False)
    row = cells[(cells["cohort"] == 2004) & (cells["event"] == 1)].iloc[0]
    assert (row["estimate"], row["std_error"]) == pytest.approx(one, rel=1e-9)
    support = found.details["event_support"].groupby("event")["rows"].sum()
    seen = panel.sample & (cohort_of(panel) < 8)[:, None]
    for each in (-2, -1, 0, 1):
        assert support[each] == (seen & (event == each)).sum()
    assert support[2] == (seen & (event >= 2)).sum()
    units = [(seen & (event == each)).any(1).sum() for each in (-2, -1, 0, 1)]
    np.testing.assert_array_equal(found.stats["support_units"][1:5], units)


@pytest.mark.slow
def test_placebo_and_bootstrap_draws_are_refits():
    panel = staggered(3, missing=0.1)
    placebo = Placebo(MODEL, draws=2).estimate(panel, seed=1)
    for draw, treat in enumerate(placebo_treatments(MODEL, panel, 2, seed=1)):
        refit = MODEL.estimate(panel.assign({"treat": treat}))
        np.testing.assert_allclose(placebo.draws.coef[draw], refit.coef, rtol=1e-9)
        np.testing.assert_allclose(placebo.draws.std_error[draw], refit.std_error, rtol=1e-9)
    boot = PairsBootstrap(MODEL, draws=2).estimate(panel, seed=1)
    for draw, copies in enumerate(pairs_weights(UNITS, 2, seed=1)):
        refit = MODEL.estimate(panel.reweight(panel.weights * copies[:, None]))
        assert float(boot.draws.coef[draw, 0]) == pytest.approx(float(refit.coef[0]), rel=1e-9)


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(SpecError, match="standard errors of its own"):
        Imputation(Spec("y", "treat", small_sample="plm"))
    panel = staggered(3)
    with pytest.raises(SpecError, match="not constant within unit"):
        Imputation(Spec("y", "treat", cluster="period")).estimate(panel)
    one = panel.reweight(panel.weights * (cohort_of(panel) == 4)[:, None])
    with pytest.raises(DataError, match="all units adopt in 2004"):
        MODEL.estimate(one)
