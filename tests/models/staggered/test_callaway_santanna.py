"""Callaway and Sant'Anna: comparisons by hand, influence by differentiation, resampling by explicit refits, known truth."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec, Status, jit_fit
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import PairsBootstrap, Placebo
from syneff.models.staggered.callaway_santanna import CallawaySantAnna
from syneff.panel.panel import Panel
from tests.panels import staggered

UNITS, PERIODS = 60, 6
SPEC = Spec("y", "treat", ("a",))
DOUBLY = {
    "method": "dr",
    "control_group": "not_yet",
    "base_period": "universal",
    "aggregate": ("simple", "group", "att"),
}


@pytest.fixture(scope="module")
def panel():
    """Cohorts of 2002, 2004 and 2005 beside never treated, a tenth of the rows missing, one weight a unit."""
    drawn = staggered(3, units=UNITS, periods=PERIODS, missing=0.1)
    own = np.random.default_rng(4).uniform(0.5, 2.0, UNITS)
    return drawn.reweight(drawn.weights * own[:, None])


def logit(x, treated, weights):
    """Fit by Newton's method with a constant, and return the scores."""
    x, b = np.column_stack([np.ones(len(x)), x]), np.zeros(x.shape[1] + 1)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ b))
        b += np.linalg.solve((x * (weights * p * (1 - p))[:, None]).T @ x, x.T @ (weights * (treated - p)))
    return 1 / (1 + np.exp(-x @ b))


def by_hand(
    panel: Panel, controls, *, method="regression", control_group="never", base_period="varying", anticipation=0
):
    """Return all group-time effects by plain loops, comparing the units that have both periods."""
    y, treat, sample = panel.column("y"), panel.column("treat"), panel.sample
    weights = panel.weights.max(1)
    cohort = np.array([np.flatnonzero(path)[0] if path.any() else 99 for path in treat])
    there = np.flatnonzero(sample.any(0))
    cohort[cohort <= there[0] + anticipation] = -1
    found = {}
    for g in sorted({int(each) for each in cohort if 0 < each < 99}):
        before = [s for s in there if s < g - anticipation]
        for t in there:
            earlier = [s for s in there if s < t]
            base = before[-1] if t >= g or base_period == "universal" else (earlier[-1] if earlier else None)
            if base in (None, t):
                continue
            untreated = cohort == 99
            if control_group == "not_yet":
                untreated |= (cohort > max(t, base) + anticipation) & (cohort != g)
            rows = ((cohort == g) | untreated) & sample[:, t] & sample[:, base]
            d, w, change = (cohort == g)[rows], weights[rows], (y[:, t] - y[:, base])[rows]
            x = np.stack([panel.column(name)[rows, base] for name in controls], axis=1)
            full = np.column_stack([np.ones(len(x)), x])
            root = np.sqrt(w[~d])
            slope = np.linalg.lstsq(full[~d] * root[:, None], change[~d] * root, rcond=None)[0]
            rest = change - (full @ slope if method != "ipw" else 0.0)
            effect = np.average(rest[d], weights=w[d])
            if method != "regression":
                p = logit(x, d.astype(float), w)
                effect -= np.average(rest[~d], weights=(w * p / (1 - p))[~d])
            found[panel.periods[g], panel.periods[t]] = effect
    return found


def cells(estimate):
    return estimate.details["group_time"].set_index(["group", "period"])["estimate"].to_dict()


@pytest.fixture(scope="module")
def doubly(panel):
    model = CallawaySantAnna(replace(SPEC, cluster="region"), gaps="pairs", draws=199, **DOUBLY)
    return model, model.estimate(panel, seed=1, name="doubly")


def test_comparisons_by_hand_doubly_robust(panel, doubly):
    hand = by_hand(panel, ("a",), method="dr", control_group="not_yet", base_period="universal")
    assert cells(doubly[1]) == pytest.approx(hand, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "controls", "year_without_rows"),
    [
        ({"anticipation": 1}, ("a", "b"), None),
        pytest.param({"control_group": "not_yet"}, ("a",), 2003, marks=pytest.mark.slow),
        pytest.param({"method": "ipw"}, ("a",), 2001, marks=pytest.mark.slow),
        pytest.param({"method": "dr"}, (), None, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_comparisons_by_hand(panel, options, controls, year_without_rows):
    if year_without_rows:
        panel = panel.reweight(panel.weights * (np.asarray(panel.periods) != year_without_rows)[None, :])
    estimate = CallawaySantAnna(replace(SPEC, controls=controls), gaps="pairs", draws=0, **options).estimate(panel)
    hand = by_hand(panel, controls, **options)
    assert cells(estimate) == pytest.approx(hand, rel=1e-9)


def test_influence_is_the_derivative_by_weights(panel, doubly):
    """The influence of a unit is what its weight changes, through means, regression, logit and the cohorts' shares alike."""
    model, estimate = doubly
    design, step = model.design(panel), 1e-5
    bumps = np.concatenate([np.eye(UNITS), -np.eye(UNITS)]) * step + 1.0
    coef = np.asarray(jax.jit(model.fit_weights)(design, jnp.asarray(bumps)).coef)
    influence = (coef[:UNITS] - coef[UNITS:]) / (2 * step)
    regions = np.unique(panel.traits["region"], return_inverse=True)[1]
    sums = np.zeros((regions.max() + 1, influence.shape[1]))
    np.add.at(sums, regions, influence)
    np.testing.assert_allclose(estimate.cov, sums.T @ sums, rtol=1e-6, atol=1e-9)
    assert estimate.names[:3] == ("treat", "simple", "group")


def test_details_hold_the_terms(doubly):
    """att[g,t] as terms and in the details are one and the same; groups are plain means over their treated periods."""
    estimate = doubly[1]
    table, terms = estimate.details["group_time"], estimate.frame().set_index("term")
    for row in table.itertuples():
        term = terms.loc[f"att[{row.group},{row.period}]"]
        assert (term["estimate"], term["std_error"]) == pytest.approx((row.estimate, row.std_error), rel=1e-12)
        assert (term["conf_low"], term["p_value"]) == pytest.approx((row.conf_low, row.p_value), rel=1e-9)
    for group, rows in table[table["event"] >= 0].groupby("group"):
        assert terms.loc[f"group[{group}]", "estimate"] == pytest.approx(rows["estimate"].mean(), rel=1e-12)
    assert terms.loc["treat", "estimate"] == terms.loc["simple", "estimate"]


def test_uniform_bands(doubly):
    estimate = doubly[1]
    table, bands = estimate.details["group_time"], estimate.details["bands"].set_index("term")
    critical = float(estimate.stats["critical_value:att"])
    assert 1.96 < critical < 4
    np.testing.assert_allclose((table["band_high"] - table["band_low"]) / 2, critical * table["bootstrap_error"])
    wide = bands.loc["group[2004]"]
    assert wide["critical_value"] == float(estimate.stats["critical_value:group"])
    assert wide["band_low"] == pytest.approx(wide["estimate"] - wide["critical_value"] * wide["bootstrap_error"])
    assert np.isnan(bands.loc["simple", "band_low"])
    assert any("uniform 95 % bands from 199 multiplier draws" in note for note in estimate.notes)


# One compiled shape serves what follows: no controls, everything by default.
PLAIN = CallawaySantAnna(Spec("y", "treat"), draws=0)


@pytest.fixture(scope="module")
def complete():
    return staggered(5, units=UNITS, periods=PERIODS)


def test_placebo_is_explicit_refits(complete):
    """Draws that also move cohorts to years in which nobody adopted."""
    placebo = Placebo(PLAIN, draws=3, assign="mixed")
    estimate = placebo.estimate(complete, seed=2, name="placebo")
    again = Placebo(PLAIN, draws=3, assign="mixed", chunk=2).estimate(complete, seed=2, name="placebo")
    np.testing.assert_allclose(again.draws.coef, estimate.draws.coef, rtol=1e-12)
    design = PLAIN.design(complete)
    rng = np.random.default_rng(0)
    first = rng.integers(1, PERIODS + 3, size=(3, UNITS))
    paths = (np.arange(PERIODS)[None, None, :] >= first[:, :, None]).astype(float)
    drawn = jax.jit(PLAIN.fit_treatments)(design, jnp.asarray(paths))
    for number, path in enumerate(paths):
        fresh = PLAIN.estimate(complete.assign({"treat": path}))
        for term in ("treat", "dynamic", "group", "calendar", "event[0]", "group[2004]"):
            one, other = drawn.names.index(term), fresh.names.index(term)
            assert float(drawn.coef[number, one]) == pytest.approx(float(fresh.coef[other]), rel=1e-10)
            assert float(drawn.std_error[number, one]) == pytest.approx(float(fresh.std_error[other]), rel=1e-10)
    assert estimate.frame()["term"].isin(["randomization"]).any()


def test_pairs_bootstrap_is_explicit_copies(complete):
    """Every copy a unit and a cluster of its own, in estimates and standard errors."""
    rng = np.random.default_rng(1)
    picked = rng.integers(0, UNITS, UNITS)
    copies = np.bincount(picked, minlength=UNITS).astype(float)
    drawn = jax.jit(PLAIN.fit_copies)(PLAIN.design(complete), jnp.asarray(copies)[None])
    columns = {name: values[picked] for name, values in complete.columns.items()}
    traits = {name: values[picked] for name, values in complete.traits.items()}
    copied = Panel(tuple(range(UNITS)), complete.periods, columns, traits, complete.weights[picked])
    fresh = PLAIN.estimate(copied)
    assert drawn.names == fresh.names
    np.testing.assert_allclose(drawn.coef[0], fresh.coef, rtol=1e-10)
    np.testing.assert_allclose(drawn.std_error[0], fresh.std_error, rtol=1e-10)
    scheme = PairsBootstrap(PLAIN, draws=20).estimate(complete)
    assert np.isfinite(float(scheme.std_error[0]))
    assert {"percentile:treat", "bootstrap_t:event[0]"} <= {test.name for test in scheme.tests}


def test_known_truth_without_noise(complete):
    """Effects that differ by cohort and grow: exact here, biased in two-way fixed effects."""
    treat = complete.column("treat")
    adopted = np.where(treat.any(1), treat.argmax(1), PERIODS)[:, None]
    since = np.arange(PERIODS)[None, :] - adopted
    effect = np.where(since >= 0, (1.0 + since) * (PERIODS - adopted), 0.0)
    rng = np.random.default_rng(0)
    y = rng.normal(size=(UNITS, 1)) + rng.normal(size=(1, PERIODS)) + effect
    panel = complete.assign({"y": y})
    found = PLAIN.estimate(panel)
    terms = found.frame().set_index("term")["estimate"]
    assert terms["treat"] == pytest.approx(effect[treat > 0].mean(), rel=1e-12)
    for event in (0, 1, 3):
        assert terms[f"event[{event}]"] == pytest.approx(effect[since == event].mean(), rel=1e-12)
    assert abs(terms["event[-2]"]) < 1e-12
    two_way = float(FixedEffects(Spec("y", "treat")).estimate(panel).coef[0])
    assert abs(two_way - terms["treat"]) > 0.3 * terms["treat"]


def test_what_is_left_out_is_said(complete):
    """Cities treated from the start and cities with gaps do not count, as if they were not in the panel."""
    treat, weights = complete.column("treat").copy(), complete.weights.copy()
    never = np.flatnonzero(~treat.any(1))
    treat[never[:2]], weights[never[2], 3] = 1.0, 0.0
    weights[never[:3] if False else never[2:3], 3] = 0.0
    gaps = complete.assign({"treat": treat}).reweight(weights)
    without = complete.weights.copy()
    without[never[:3]] = 0.0
    one, other = PLAIN.estimate(gaps), PLAIN.estimate(complete.reweight(without))
    np.testing.assert_allclose(one.coef, other.coef, rtol=1e-12)
    np.testing.assert_allclose(one.cov, other.cov, rtol=1e-10)
    assert int(one.n_units) == UNITS - 3
    said = " ".join(one.notes)
    assert f"2 units left out: treated from the first period on, so they have no base: {never[0]}, {never[1]}" in said
    assert f"1 units left out: some of their periods are missing: {never[2]}; gaps=pairs" in said


def test_order_of_units_does_not_matter(complete):
    order = np.random.default_rng(2).permutation(UNITS)
    columns = {name: values[order] for name, values in complete.columns.items()}
    mixed = replace(complete, columns=columns, traits={"region": complete.traits["region"][order]})
    one, other = jit_fit(PLAIN, PLAIN.design(complete)), jit_fit(PLAIN, PLAIN.design(mixed))
    np.testing.assert_allclose(one.coef, other.coef, rtol=1e-12)
    np.testing.assert_allclose(one.cov, other.cov, rtol=1e-9, atol=1e-15)


def test_a_separated_cell_is_data():
    """In 2003, the base of the cohort of 2004, the control is higher in that cohort than anywhere else."""
    panel = staggered(5, units=UNITS, periods=PERIODS)
    treat, a = panel.column("treat"), panel.column("a").copy()
    cohort = (treat[:, 4] > 0) & (treat[:, 3] == 0)
    a[cohort, 3] = 50.0 + np.arange(cohort.sum())
    options = {name: value for name, value in DOUBLY.items() if name != "base_period"}
    estimate = CallawaySantAnna(SPEC, draws=0, **{**options, "base_period": "varying"}).estimate(panel.assign({"a": a}))
    table = estimate.details["group_time"].set_index(["group", "period"])
    failed = [(2004, 2004), (2004, 2005)]
    assert table.index[table["status"] != "ok"].tolist() == failed
    assert (table.loc[failed, "status"] == "separated").all()
    assert table.loc[failed, ["estimate", "std_error"]].isna().all(axis=None)
    assert int(estimate.status) == Status.INCOMPLETE
    assert float(estimate.stats["cells_failed"]) == 2
    terms = estimate.frame().set_index("term")["estimate"]
    assert np.isnan(terms["att[2004,2005]"])
    assert np.isfinite(terms["treat"])
    said = [note for note in estimate.notes if "cannot be estimated" in note]
    assert len(said) == 1
    assert "2004 in 2004, 2004 in 2005 (the controls separate the treated from the untreated)" in said[0]


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(SpecError, match=r"estimator.control_group: 'nevr'. Did you mean 'never'"):
        CallawaySantAnna(SPEC, control_group="nevr")
    with pytest.raises(SpecError, match=r"estimator.aggregate: 'event'"):
        CallawaySantAnna(SPEC, aggregate=["event"])
    with pytest.raises(SpecError, match="anticipation=-1"):
        CallawaySantAnna(SPEC, anticipation=-1)
    with pytest.raises(SpecError, match=r"spec.effects=\['unit'\] must be"):
        CallawaySantAnna(replace(SPEC, effects=("unit",)))
    with pytest.raises(SpecError, match=r"spec.covariance=CR2 .* is not defined"):
        CallawaySantAnna(replace(SPEC, covariance="CR2"))
    with pytest.raises(SpecError, match="takes one cluster name"):
        CallawaySantAnna(replace(SPEC, cluster=("unit", "period")))
    assert CallawaySantAnna(SPEC, aggregate="dynamic").aggregate == ("dynamic",)


def test_data_without_comparisons_are_refused(complete):
    treat = complete.column("treat")
    treated = np.where(treat.any(1)[:, None], complete.weights, 0.0)
    with pytest.raises(DataError, match=r"no unit of the sample is never treated.*control_group=not_yet"):
        PLAIN.design(complete.reweight(treated))
    weights = complete.weights.copy()
    weights[7, 2] = 3.0
    with pytest.raises(SpecError, match="the weight of 7 changes over its periods"):
        PLAIN.design(complete.reweight(weights))
    with pytest.raises(SpecError, match="spec.cluster=period is not constant within unit: 0 lies in several"):
        replace(PLAIN, spec=Spec("y", "treat", cluster="period")).design(complete)
    with pytest.raises(DataError, match="no cohort has a base period"):
        replace(PLAIN, anticipation=PERIODS).design(complete)
