"""Sun and Abraham's event study against explicit dummies of cohort and event time, placebo and bootstrap against refits."""

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import PairsBootstrap, Placebo
from syneff.models.staggered.interaction_weighted import SunAbraham
from tests.models.staggered.draws import pairs_weights, placebo_treatments
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a",))
MODEL = SunAbraham(SPEC, window=(-3, 3))


def cohort_of(panel):
    treat = panel.column("treat")
    return np.where(treat.any(1), treat.argmax(1), panel.shape[1])


def explicit(panel, spec, base=-1):
    """Estimate a dummy of every cohort and event time; return the fit and the rows of each dummy."""
    first, periods = cohort_of(panel), panel.shape[1]
    columns, rows = {}, {}
    for g in sorted(set(first) - {periods}):
        for t in range(periods):
            dummy = np.zeros(panel.shape)
            dummy[first == g, t] = 1.0
            seen = float((dummy * panel.weights).sum())
            if t - g != base and seen:
                columns[f"d{g}_{t}"], rows[g, t - g] = dummy, seen
    names = tuple(columns)
    fit = FixedEffects(
        Spec(spec.outcome, names[0], (*names[1:], *spec.controls), cluster=spec.cluster, covariance=spec.covariance)
    )
    return fit.estimate(panel.assign(columns)), rows


def averaged(fit, rows, chosen):
    """Return the average over chosen event times with rows as weights, and its standard error."""
    share = np.asarray([count if chosen(h) else 0.0 for (_, h), count in rows.items()])
    share = share / share.sum()
    k = share.size
    return share @ np.asarray(fit.coef[:k]), np.sqrt(share @ np.asarray(fit.cov[:k, :k]) @ share)


def weighted_panel(missing):
    panel = staggered(2, missing=missing)
    rng = np.random.default_rng(4)
    return panel.reweight(panel.weights * rng.uniform(0.5, 2.0, panel.shape))


def without_base(panel):
    """Take out rows of cohorts whose base period nobody has; here there are none."""
    first = cohort_of(panel)
    for g in sorted(set(first) - {panel.shape[1]}):
        assert (panel.weights[first == g, g - 1] > 0).any()
    return panel


@pytest.mark.parametrize(("missing", "base"), [(0.0, -1), (0.2, -1), (0.2, -2)])
def test_is_a_regression_on_dummies_of_cohort_and_event_time(missing, base):
    panel = without_base(weighted_panel(missing))
    fit, rows = explicit(panel, SPEC, base)
    found = SunAbraham(SPEC, window=(-3, 3), base=base).estimate(panel)
    frame = found.frame().set_index("term")
    wanted = {"treat": averaged(fit, rows, lambda h: h >= 0)}
    for each in range(-3, 4):
        if each != base:
            wanted[f"event[{each}]"] = averaged(fit, rows, lambda h, each=each: np.clip(h, -3, 3) == each)
    for term, (value, error) in wanted.items():
        assert frame.loc[term, "estimate"] == pytest.approx(value, rel=1e-9)
        assert frame.loc[term, "std_error"] == pytest.approx(error, rel=1e-9)
    place = fit.names.index("a")
    assert frame.loc["a", "estimate"] == pytest.approx(float(fit.coef[place]), rel=1e-10)
    assert frame.loc["a", "std_error"] == pytest.approx(float(fit.std_error[place]), rel=1e-9)
    assert int(found.nobs) == int(fit.nobs)
    cells = found.details["cohort_effects"]
    own = dict(zip(rows, zip(np.asarray(fit.coef), np.asarray(fit.std_error), strict=False), strict=False))
    assert len(cells) == len(rows)
    for cell in cells.itertuples():
        value, error = own[cell.cohort - 2000, cell.event]
        assert (cell.estimate, cell.std_error) == pytest.approx((value, error), rel=1e-8)
        assert cell.rows == pytest.approx(rows[cell.cohort - 2000, cell.event])
    assert frame.loc["treat", "estimate"] == pytest.approx((cells["estimate"] * cells["weight"]).sum(), rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("covariance", "cluster"), [("HC1", None), ("iid", None), ("CR1", "region"), ("driscoll_kraay", None)]
)
def test_other_covariances_are_those_of_the_regression_on_dummies(covariance, cluster):
    panel = weighted_panel(0.2)
    spec = Spec("y", "treat", ("a",), cluster=cluster, covariance=covariance)
    fit, rows = explicit(panel, spec)
    found = SunAbraham(spec, window=(-3, 3)).estimate(panel)
    value, error = averaged(fit, rows, lambda h: h >= 0)
    assert (float(found.coef[0]), float(found.std_error[0])) == pytest.approx((value, error), rel=1e-9)
    assert float(found.term_dof[0]) == float(fit.term_dof[0])


def test_the_last_cohort_as_control():
    panel = staggered(2)
    first = cohort_of(panel)
    inside = (np.arange(8)[None, :] < 5) & (first < 8)[:, None]
    cut = panel.reweight(inside.astype(float))
    fit, rows = explicit(cut.assign({"treat": np.where(first[:, None] < 5, panel.column("treat"), 0.0)}), SPEC)
    found = SunAbraham(SPEC, window=(-2, 3), control_cohort="last").estimate(panel)
    value, error = averaged(fit, rows, lambda h: h >= 0)
    assert (float(found.coef[0]), float(found.std_error[0])) == pytest.approx((value, error), rel=1e-9)
    assert int(found.nobs) == int(inside.sum())
    assert any("cohort of 2005 is the control" in note for note in found.notes)


def test_a_cohort_without_base_and_units_treated_throughout_are_as_if_absent():
    panel = staggered(2, missing=0.1)
    first = cohort_of(panel)
    treat = panel.column("treat").copy()
    treat[5] = 1.0
    weights = panel.weights.copy()
    weights[first == 4, 3] = 0.0
    found = MODEL.estimate(panel.assign({"treat": treat}).reweight(weights))
    weights[(first == 4) | (np.arange(30) == 5)] = 0.0
    rest = MODEL.estimate(panel.reweight(weights))
    np.testing.assert_allclose(found.coef, rest.coef, rtol=1e-10)
    np.testing.assert_allclose(found.std_error, rest.std_error, rtol=1e-10)
    assert int(found.nobs) == int(rest.nobs)
    assert any(note.startswith("1 units left out: treated in all their rows") for note in found.notes)
    assert any("nobody of their cohorts (2004) is seen at event time -1" in note for note in found.notes)


def test_pre_trend_is_the_wald_test_of_the_leads():
    found = MODEL.estimate(staggered(2))
    b, v = np.asarray(found.coef[1:3]), np.asarray(found.cov[1:3, 1:3])
    row = found.frame().set_index("term").loc["pre_trend"]
    assert row["statistic"] == pytest.approx(b @ np.linalg.solve(v, b) / 2, rel=1e-9)


def test_support_counts_treated_units():
    panel = staggered(2)
    found = MODEL.estimate(panel)
    first = cohort_of(panel)
    event = np.clip(np.arange(8)[None, :] - first[:, None], -3, 3)
    support = found.details["event_support"]
    for place, each in enumerate((-3, -2, 0, 1, 2, 3), start=1):
        units = ((event == each) & (first < 8)[:, None]).any(1)
        assert float(found.stats["support_units"][place]) == units.sum()
        own = support[support["event"] == each].set_index("cohort")
        assert own["share"].sum() == pytest.approx(1.0)
        for cohort, row in own.iterrows():
            assert row["units"] == (units & (first == cohort - 2000)).sum()
            assert row["rows"] == ((event == each) & (first == cohort - 2000)[:, None]).sum()


def test_placebo_draws_are_refits():
    panel = staggered(3, missing=0.1)
    found = Placebo(MODEL, draws=3).estimate(panel, seed=1)
    for draw, treat in enumerate(placebo_treatments(MODEL, panel, 3, seed=1)):
        refit = MODEL.estimate(panel.assign({"treat": treat}))
        np.testing.assert_allclose(found.draws.coef[draw], refit.coef, rtol=1e-9)
        np.testing.assert_allclose(found.draws.std_error[draw], refit.std_error, rtol=1e-9)


def test_bootstrap_draws_are_refits_with_weights():
    panel = staggered(3, missing=0.1)
    found = PairsBootstrap(MODEL, draws=2).estimate(panel, seed=1)
    for draw, copies in enumerate(pairs_weights(30, 2, seed=1)):
        refit = MODEL.estimate(panel.reweight(panel.weights * copies[:, None]))
        np.testing.assert_allclose(found.draws.coef[draw], refit.coef, rtol=1e-9)


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(SpecError, match=r"window=\(-2, 3\).*base=0"):
        SunAbraham(SPEC, window=(-2, 3), base=0)
    with pytest.raises(SpecError, match="effects"):
        SunAbraham(Spec("y", "treat", effects=("unit",)))
    with pytest.raises(SpecError, match="CR2"):
        SunAbraham(Spec("y", "treat", covariance="CR2"))
    panel = staggered(3)
    treated = panel.reweight(panel.weights * (cohort_of(panel) < 8)[:, None])
    with pytest.raises(DataError, match=r"no unit of the sample is never treated.*control_cohort=last"):
        MODEL.estimate(treated)
    one = panel.reweight(panel.weights * np.isin(cohort_of(panel), [4, 8])[:, None])
    with pytest.raises(DataError, match=r"control_cohort=last: all units adopt in 2004"):
        SunAbraham(SPEC, control_cohort="last").estimate(one)
