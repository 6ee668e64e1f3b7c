"""Callaway and Sant'Anna: comparisons by hand, influence by differentiation, resampling by explicit refits, known truth."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec, Status, jit_fit
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import PairsBootstrap, Placebo
from syneff.models.resampling.assignment import assign, assignment, sample_cohorts
from syneff.models.resampling.bootstrap import draw_copies
from syneff.models.staggered.callaway_santanna import CallawaySantAnna
from syneff.models.staggered.pre_trend import pre_trend
from syneff.panel.panel import Panel
from syneff.runtime import draw_keys, key_for
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
            x = np.array([panel.column(name)[rows, base] for name in controls]).reshape(len(controls), rows.sum()).T
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
    """The draw also moves cohorts to years in which nobody adopted, and leaves others empty."""
    estimate = Placebo(PLAIN, draws=3, assign="mixed").estimate(complete, seed=2, name="placebo")
    cohorts = sample_cohorts(jnp.asarray(complete.column("treat")), jnp.asarray(complete.weights))
    source = assignment(cohorts, complete.weights, np.zeros(UNITS, int), "mixed")
    first = np.asarray(assign(draw_keys(key_for(2, "placebo"), jnp.arange(3))[1], source, "mixed"))
    assert set(first) - set(cohorts)
    path = (np.arange(PERIODS)[None, :] >= first[:, None]).astype(float)
    fresh, drawn = PLAIN.estimate(complete.assign({"treat": path})), estimate.draws
    for term in ("treat", "dynamic", "group", "calendar", "event[0]", "calendar[2005]"):
        one, other = drawn.names.index(term), fresh.names.index(term)
        assert float(drawn.coef[1, one]) == pytest.approx(float(fresh.coef[other]), rel=1e-10)
        assert float(drawn.std_error[1, one]) == pytest.approx(float(fresh.std_error[other]), rel=1e-10)
    assert estimate.frame()["term"].isin(["randomization"]).any()


def test_pairs_bootstrap_is_explicit_copies(complete):
    """Every copy a unit and a cluster of its own, in estimates and standard errors."""
    estimate = PairsBootstrap(PLAIN, draws=20).estimate(complete, seed=3, name="pairs")
    copies = np.asarray(draw_copies(draw_keys(key_for(3, "pairs"), jnp.arange(20))[7], UNITS)).astype(int)
    picked = np.repeat(np.arange(UNITS), copies)
    columns = {name: values[picked] for name, values in complete.columns.items()}
    traits = {name: values[picked] for name, values in complete.traits.items()}
    copied = Panel(tuple(range(UNITS)), complete.periods, columns, traits, complete.weights[picked])
    fresh, drawn = PLAIN.estimate(copied), estimate.draws
    assert drawn.names == fresh.names
    np.testing.assert_allclose(drawn.coef[7], fresh.coef, rtol=1e-10)
    np.testing.assert_allclose(drawn.std_error[7], fresh.std_error, rtol=1e-10)
    assert {"percentile:treat", "bootstrap_t:event[0]"} <= {test.name for test in estimate.tests}


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


def test_pre_tests_are_wald_tests(complete):
    """The joint test of all cells before adoption, and that of their averages by event time."""
    estimate = replace(PLAIN, aggregate=("dynamic", "att")).estimate(complete)
    events = {"pre_trend": [], "pre_trend_dynamic": []}
    for place, name in enumerate(estimate.names):
        kind, _, inside = name.rstrip("]").partition("[")
        if kind == "event" and int(inside) < 0:
            events["pre_trend_dynamic"].append(place)
        if kind == "att" and int(inside.split(",")[1]) < int(inside.split(",")[0]):
            events["pre_trend"].append(place)
    for test in estimate.tests:
        places = events[test.name]
        b, v = np.asarray(estimate.coef)[places], np.asarray(estimate.cov)[np.ix_(places, places)]
        statistic = b @ np.linalg.solve(v, b)
        assert float(test.statistic) == pytest.approx(statistic, rel=1e-8)
        assert float(test.pvalue) == pytest.approx(stats.chi2.sf(statistic, len(places)), rel=1e-8)
        assert float(test.dof) == len(places) > 1
    assert len(estimate.tests) == 2


def test_dependent_effects_have_no_pre_test():
    """A cohort of one unit varies with its comparisons alone: its effects are as those of another such cohort."""
    pre = pre_trend(
        "pre_trend", jnp.ones(3), jnp.asarray([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0], [2.0, 0.0, 2.0]]), np.arange(3)
    )
    assert np.isnan([pre.statistic, pre.pvalue, pre.dof]).all()


def test_order_of_units_does_not_matter(complete):
    order = np.random.default_rng(2).permutation(UNITS)
    columns = {name: values[order] for name, values in complete.columns.items()}
    mixed = replace(complete, columns=columns, traits={"region": complete.traits["region"][order]})
    one, other = jit_fit(PLAIN, PLAIN.design(complete)), jit_fit(PLAIN, PLAIN.design(mixed))
    np.testing.assert_allclose(one.coef, other.coef, rtol=1e-12)
    np.testing.assert_allclose(one.cov, other.cov, rtol=1e-9, atol=1e-15)


def test_a_separated_cell_is_data(panel, doubly):
    """In 2003, the base of the cohort of 2004, the control is higher in that cohort than anywhere else."""
    treat, a = panel.column("treat"), panel.column("a").copy()
    cohort = (treat[:, 4] > 0) & (treat[:, 3] == 0)
    a[cohort, 3] = 50.0 + np.arange(cohort.sum())
    estimate = doubly[0].estimate(panel.assign({"a": a}))
    table = estimate.details["group_time"].set_index("group")
    assert (table.loc[2004, "status"] == "separated").all()
    assert (table.drop(index=2004)["status"] == "ok").all()
    assert table.loc[2004, ["estimate", "std_error", "bootstrap_error", "band_low"]].isna().all(axis=None)
    assert int(estimate.status) == Status.INCOMPLETE
    assert float(estimate.stats["cells_failed"]) == len(table.loc[2004]) == 5
    terms = estimate.frame().set_index("term")["estimate"]
    assert np.isnan(terms[["att[2004,2005]", "group[2004]"]]).all()
    post = table[(table["event"] >= 0) & (table.index != 2004)]
    shares = panel.weights.max(1) @ np.stack([treat[:, 2] * 1.0, treat[:, 5] - treat[:, 4]], axis=1)
    weights = np.where(post.index == 2002, *shares)
    assert terms["treat"] == pytest.approx(np.average(post["estimate"], weights=weights), rel=1e-10)
    said = [note for note in estimate.notes if "cannot be estimated" in note]
    assert len(said) == 1
    assert said[0].startswith("5 of 15 group-time effects cannot be estimated and are left out of all averages")
    assert "2004 in 2000, 2004 in 2001" in said[0]
    assert "(the controls separate the treated from the untreated)" in said[0]


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(SpecError, match=r"estimator.control_group: 'nevr'. Did you mean 'never'"):
        CallawaySantAnna(SPEC, control_group="nevr")
    with pytest.raises(SpecError, match=r"estimator.aggregate: 'event'"):
        CallawaySantAnna(SPEC, aggregate=("event",))
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
    with pytest.raises(SpecError, match=r"spec.cluster=period is not constant within unit: 0 lies in several"):
        replace(PLAIN, spec=Spec("y", "treat", cluster="period")).design(complete)
    with pytest.raises(DataError, match="no cohort has a base period"):
        replace(PLAIN, anticipation=PERIODS).design(complete)


@pytest.mark.slow
def test_intervals_cover_in_a_simulation():
    """400 outcomes with unit roots and one common effect: 95 % intervals hold it, and the pre-test keeps its size."""
    panel = staggered(8, units=120, periods=PERIODS)
    design = PLAIN.design(panel)
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(400, 120, PERIODS)).cumsum(2)
    outcomes = noise + 0.7 * panel.column("treat")
    found = jax.jit(PLAIN.fit_outcomes)(design, jnp.asarray(outcomes))
    for term, truth in (("treat", 0.7), ("dynamic", 0.7), ("event[0]", 0.7), ("event[-2]", 0.0)):
        place = found.names.index(term)
        held = np.abs(np.asarray(found.coef[:, place]) - truth) < 1.96 * np.asarray(found.std_error[:, place])
        assert 0.91 < held.mean() < 0.98, term
