"""Contrasts: groups are their own fits, tests are those of explicit dummy regressions and refits, and errors are told."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.contrasts import Contrast
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling.assignment import permutation_within
from syneff.panel.samples import where
from syneff.runtime import draw_keys, key_for
from tests.panels import staggered

MODEL = FixedEffects(Spec("y", controls=("a", "b")))
UNITS = 40


def panel_of(seed=3, missing=0.0, groups=2):
    rng = np.random.default_rng(seed + 50)
    panel = staggered(seed, units=UNITS, missing=missing)
    return replace(panel, traits={**panel.traits, "key": rng.permutation(np.arange(UNITS) % groups).astype(float)})


def dummies(codes):
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


def crossed(panel, group, cluster, *, rule="reghdfe"):
    """Interact everything with the group by explicit dummies, clustered: coefficients of treat, covariance, clusters."""
    inside = panel.sample
    unit, period = (each[inside] for each in np.indices(panel.shape))
    own, clusters = group[inside], cluster[inside]
    levels = sorted(np.unique(own), reverse=True)
    hit = (own[:, None] == np.asarray(levels)[None, :]).astype(float)
    slopes = np.concatenate([hit * panel.column(name)[inside][:, None] for name in ("treat", "a", "b")], axis=1)
    of_units, of_periods = dummies(unit * 100 + own), dummies(period * 100 + own)
    effects = np.concatenate([of_units, of_periods], axis=1)
    x = np.concatenate([slopes, effects], axis=1)
    y = panel.column("y")[inside]
    inverse = np.linalg.pinv(x.T @ x, rcond=1e-12)
    b = inverse @ x.T @ y
    e = y - x @ b
    scores = dummies(clusters).T @ (x * e[:, None])
    g, n = len(scores), y.size
    parameters = slopes.shape[1] + np.linalg.matrix_rank(effects) - of_units.shape[1] + 1
    factor = g / (g - 1) * (n - 1) / (n - parameters) if rule == "reghdfe" else 1.0
    count = len(levels)
    cov = (inverse @ scores.T @ scores @ inverse)[:count, :count] * factor
    return b[:count], cov, g


def frame_of(estimate):
    return estimate.frame().set_index("term")


@pytest.fixture(scope="module")
def estimated():
    panel = panel_of(missing=0.05)
    return panel, Contrast(MODEL, by="key", draws=49).estimate(panel, seed=5, name="c")


def test_groups_are_their_own_fits(estimated):
    panel, estimate = estimated
    rows, of_groups = frame_of(estimate), estimate.details["groups"].set_index(["group", "term"])
    for group in ("1", "0"):
        single = MODEL.estimate(where(panel, condition=f"key == {group}"))
        own = frame_of(single)
        for column in ("estimate", "std_error", "p_value", "conf_low", "nobs", "n_units", "dof"):
            assert rows.loc[f"treat[key={group}]", column] == pytest.approx(own.loc["treat", column], rel=1e-11)
            for term in ("treat", "a", "b", "constant[xtreg]"):
                assert of_groups.loc[(group, term), column] == pytest.approx(own.loc[term, column], rel=1e-11)
        fits = estimate.details["fits"].set_index("group")
        assert fits.loc[group, "r2_xtreg_adjusted"] == pytest.approx(
            float(single.stats["r2_xtreg_adjusted"]), rel=1e-11
        )
    assert rows.loc["difference:1-0", "nobs"] == panel.sample.sum()


@pytest.mark.parametrize("cluster", ["unit", "region"])
def test_wald_is_that_of_the_explicit_interacted_regression(cluster):
    """Regions lie in both groups, so the covariance between groups counts."""
    panel = panel_of(missing=0.05)
    model = FixedEffects(replace(MODEL.spec, cluster=cluster))
    rows = frame_of(Contrast(model, by="key", draws=2).estimate(panel))
    group = np.repeat(panel.traits["key"][:, None], panel.shape[1], axis=1)
    region = np.unique(panel.traits["region"].astype(str), return_inverse=True)[1]
    codes = {"unit": np.arange(UNITS), "region": region}[cluster]
    b, cov, clusters = crossed(panel, group, np.repeat(codes[:, None], panel.shape[1], axis=1))
    difference, variance = b[0] - b[1], cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]
    assert rows.loc["difference:1-0", "estimate"] == pytest.approx(difference, rel=1e-9)
    assert rows.loc["difference:1-0", "std_error"] == pytest.approx(np.sqrt(variance), rel=1e-9)
    wald = rows.loc["wald_difference"]
    assert wald["statistic"] == pytest.approx(difference**2 / variance, rel=1e-9)
    assert wald["p_value"] == pytest.approx(stats.f.sf(difference**2 / variance, 1, clusters - 1), rel=1e-8)
    assert wald["nobs"] == panel.sample.sum()
    assert (abs(cov[0, 1]) > 0.01 * cov[0, 0]) == (cluster == "region")


def test_without_small_sample_factors_variances_add_up_as_suest(estimated):
    """Net of its factor the variance of a difference is the sum of those of two independent fits."""
    panel, estimate = estimated
    rows = frame_of(estimate)

    def factor(rows, units, slopes, of_periods):
        return units / (units - 1) * (rows - 1) / (rows - slopes - of_periods)

    periods = panel.shape[1]
    one, other, gap = (rows.loc[term] for term in ("treat[key=1]", "treat[key=0]", "difference:1-0"))
    own = sum(each["std_error"] ** 2 / factor(each["nobs"], each["n_units"], 3, periods) for each in (one, other))
    # The period dummies of each group and one constant: K = 6 + 2 (T - 1) + 1.
    joint = factor(gap["nobs"], UNITS, 6, 2 * periods - 1)
    assert gap["std_error"] ** 2 == pytest.approx(joint * own, rel=1e-11)


@pytest.mark.parametrize(
    "options",
    [
        {"cluster": ("unit", "region")},
        {"covariance": "driscoll_kraay", "lags": 1},
        {"covariance": "conley", "cutoff_km": 900.0},
    ],
)
def test_dependence_between_groups_is_that_of_one_regression(options):
    """The same regression with group-period dummies among the controls, under covariances that reach over groups."""
    panel = panel_of()
    rng = np.random.default_rng(9)
    places = {"lat": rng.uniform(20, 50, UNITS), "lon": rng.uniform(80, 130, UNITS)}
    panel = replace(panel, traits={**panel.traits, **places})
    key = np.repeat(panel.traits["key"][:, None], panel.shape[1], axis=1)
    columns = {
        f"{name}_{value}": panel.column(name) * (key == value) for name in ("treat", "a", "b") for value in (1, 0)
    }
    columns |= {f"p{t}": key * (np.arange(panel.shape[1]) == t)[None, :] for t in range(1, panel.shape[1])}
    spec = replace(MODEL.spec, **{"covariance": None, **options})
    names = tuple(columns)
    whole = FixedEffects(replace(spec, treatment=names[0], controls=names[1:])).estimate(panel.assign(columns))
    b, cov = np.asarray(whole.coef), np.asarray(whole.cov)
    gap = frame_of(Contrast(FixedEffects(spec), by="key", draws=2).estimate(panel)).loc["difference:1-0"]
    assert gap["estimate"] == pytest.approx(b[0] - b[1], rel=1e-9)
    assert gap["std_error"] == pytest.approx(np.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]), rel=1e-8)
    assert gap["dof"] == pytest.approx(float(whole.term_dof[0]))


def test_z_is_the_textbook_formula(estimated):
    rows = frame_of(estimated[1])
    one, other = rows.loc["treat[key=1]"], rows.loc["treat[key=0]"]
    z = (one["estimate"] - other["estimate"]) / np.hypot(one["std_error"], other["std_error"])
    assert rows.loc["z_difference", "statistic"] == pytest.approx(z, rel=1e-12)
    assert rows.loc["z_difference", "p_value"] == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-10)


def permuted(panel, key, number):
    """The labels of a draw, by the rule that every scheme shares."""
    group = panel.traits["key"]
    order = permutation_within(draw_keys(key, jnp.asarray([number]))[0], jnp.zeros(UNITS, dtype=jnp.int32))
    return group[np.asarray(order)]


@pytest.mark.parametrize("form", ["separate", "interaction"])
def test_permutations_are_explicit_refits(form):
    panel = panel_of(missing=0.05)
    estimate = Contrast(MODEL, by="key", form=form, draws=49).estimate(panel, seed=5, name="c")
    key = key_for(5, "c")
    for number in (0, 1, 17):
        labels = permuted(panel, key, number)
        assert labels.sum() == panel.traits["key"].sum()
        moved = replace(panel, traits={**panel.traits, "key": labels})
        again = Contrast(MODEL, by="key", form=form, draws=1).estimate(moved)
        assert float(estimate.draws.coef[number, 0]) == pytest.approx(
            frame_of(again).loc["difference:1-0", "estimate"], rel=1e-9
        )
    rows, drawn = frame_of(estimate), np.abs(np.asarray(estimate.draws.coef[:, 0]))
    actual = abs(rows.loc["difference:1-0", "estimate"])
    p = (1 + (drawn >= actual).sum()) / 50
    assert rows.loc["fisher_permutation", "p_value"] == pytest.approx(p)
    assert rows.loc["fisher_permutation", "std_error"] == pytest.approx(np.sqrt(p * (1 - p) / 49))


def test_permutations_do_not_depend_on_chunks(estimated):
    panel, estimate = estimated
    other = Contrast(MODEL, by="key", draws=49, chunk=10).estimate(panel, seed=5, name="c")
    np.testing.assert_allclose(other.draws.coef, estimate.draws.coef, rtol=1e-10)


def test_interaction_is_one_regression_with_common_controls():
    panel = panel_of()
    key = np.repeat(panel.traits["key"][:, None], panel.shape[1], axis=1)
    treat = panel.column("treat")
    plain = panel.assign({"one": treat * key, "zero": treat * (1 - key)})
    own = FixedEffects(Spec("y", "one", ("zero", "a", "b"))).estimate(plain)
    rows = frame_of(Contrast(MODEL, by="key", form="interaction", draws=2).estimate(panel))
    b, cov = np.asarray(own.coef), np.asarray(own.cov)
    np.testing.assert_allclose(rows.loc[["treat[key=1]", "treat[key=0]", "a", "b"], "estimate"], b[:4], rtol=1e-10)
    gap = rows.loc["difference:1-0"]
    assert gap["estimate"] == pytest.approx(b[0] - b[1], rel=1e-10)
    assert gap["std_error"] == pytest.approx(np.sqrt(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]), rel=1e-10)
    assert rows.loc["wald_difference", "statistic"] == pytest.approx(gap["statistic"] ** 2, rel=1e-9)
    assert "z_difference" not in rows.index


def test_several_groups_have_joint_and_pairwise_tests():
    panel = panel_of(groups=3)
    estimate = Contrast(MODEL, by="key", draws=19).estimate(panel, seed=1)
    rows = frame_of(estimate)
    assert [name for name in estimate.names if "difference" in name] == [
        "difference:2-1",
        "difference:2-0",
        "difference:1-0",
    ]
    group = np.repeat(panel.traits["key"][:, None], panel.shape[1], axis=1)
    b, cov, _ = crossed(panel, group, np.repeat(np.arange(UNITS)[:, None], panel.shape[1], axis=1))
    gaps = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0]])
    joint = (gaps @ b) @ np.linalg.solve(gaps @ cov @ gaps.T, gaps @ b) / 2
    assert rows.loc["wald_difference", "statistic"] == pytest.approx(joint, rel=1e-9)
    assert rows.loc["wald_difference", "p_value"] == pytest.approx(stats.f.sf(joint, 2, UNITS - 1), rel=1e-8)
    drawn, actual = np.abs(np.asarray(estimate.draws.coef)), np.abs(gaps @ b)[0]
    assert rows.loc["fisher_permutation:2-1", "p_value"] == pytest.approx((1 + (drawn[:, 0] >= actual).sum()) / 20)
    largest = max(abs(b[0] - b[1]), abs(b[0] - b[2]), abs(b[1] - b[2]))
    assert rows.loc["fisher_permutation", "p_value"] == pytest.approx((1 + (drawn.max(1) >= largest).sum()) / 20)


def test_adjusted_residuals_have_a_block_for_each_group():
    panel = panel_of()
    robust = FixedEffects(replace(MODEL.spec, covariance="HC2"))
    rows = frame_of(Contrast(robust, by="key", draws=2).estimate(panel))
    one, other, gap = (rows.loc[term] for term in ("treat[key=1]", "treat[key=0]", "difference:1-0"))
    variances = np.array([one["std_error"], other["std_error"]]) ** 2
    assert gap["std_error"] == pytest.approx(np.sqrt(variances.sum()), rel=1e-11)
    welch = variances.sum() ** 2 / (variances[0] ** 2 / one["dof"] + variances[1] ** 2 / other["dof"])
    assert gap["dof"] == pytest.approx(welch, rel=1e-10)
    with pytest.raises(SpecError, match=r"clusters of spec\.cluster=region lie in several groups"):
        Contrast(FixedEffects(replace(MODEL.spec, covariance="CR2", cluster="region")), by="key").estimate(panel)


def switching(panel):
    key = np.repeat(panel.traits["key"][:, None], panel.shape[1], axis=1)
    key[4, 5:] = 1 - key[4, 5:]
    traits = {name: trait for name, trait in panel.traits.items() if name != "key"}
    return replace(panel, traits=traits).assign({"key": key}), key


def test_a_unit_that_switches_is_named_or_split():
    panel, key = switching(panel_of())
    old, new = f"{key[4, 0]:g}", f"{key[4, 5]:g}"
    with pytest.raises(DataError, match=rf"1 of 40 units switch group: 4 \({old} in 2000, {new} in 2005\)"):
        Contrast(MODEL, by="key").estimate(panel)
    estimate = Contrast(MODEL, by="key", switching=True).estimate(panel)
    assert "key changes within 1 units" in " ".join(estimate.notes)
    b, cov, _ = crossed(panel, key, np.repeat(np.arange(UNITS)[:, None], panel.shape[1], axis=1))
    rows = frame_of(estimate)
    assert rows.loc["difference:1-0", "estimate"] == pytest.approx(b[0] - b[1], rel=1e-9)
    variance = cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]
    assert rows.loc["difference:1-0", "std_error"] == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert "fisher_permutation" not in rows.index
    assert estimate.draws is None


def test_a_column_that_is_constant_within_units_is_as_good_as_a_trait(estimated):
    panel, estimate = estimated
    key = np.repeat(panel.traits["key"][:, None], panel.shape[1], axis=1)
    as_column = replace(panel, traits={}).assign({"key": key})
    other = Contrast(MODEL, by="key", draws=49).estimate(as_column, seed=5, name="c")
    np.testing.assert_allclose(other.draws.coef, estimate.draws.coef, rtol=1e-12)


def test_rows_without_a_group_are_left_out_and_small_groups_told():
    panel = panel_of()
    key = panel.traits["key"].copy()
    key[:2] = np.nan
    treated = panel.column("treat").any(1)
    small = np.where(np.cumsum(treated) <= 3, 1.0, 0.0)
    gone = Contrast(MODEL, by="key", draws=2).estimate(replace(panel, traits={"key": key}))
    assert gone.notes[0] == "16 rows of 2 units left out: key has no value there"
    assert frame_of(gone).loc["difference:1-0", "n_units"] == UNITS - 2
    notes = " ".join(Contrast(MODEL, by="few", draws=2).estimate(replace(panel, traits={"few": small})).notes)
    assert "few=1 has only 3 treated units" in notes


@pytest.mark.parametrize(
    ("trait", "error", "message"),
    [
        (np.ones(UNITS), DataError, "is 1 on all rows of the sample"),
        (np.arange(UNITS, dtype=float), SpecError, "has 40 values in the sample, more than 12 groups"),
        ("untreated", DataError, r"group key=1: column 'treat' is 0 on all"),
    ],
)
def test_bad_groups_are_told(trait, error, message):
    panel = panel_of()
    if isinstance(trait, str):
        trait = (~panel.column("treat").any(1)).astype(float)
    with pytest.raises(error, match=message):
        Contrast(MODEL, by="key").estimate(replace(panel, traits={"key": trait}))
    with pytest.raises(SpecError, match="Did you mean 'region'"):
        Contrast(MODEL, by="regon").estimate(panel)


def test_bad_options_are_told():
    with pytest.raises(SpecError, match="Contrast form"):
        Contrast(MODEL, by="key", form="both")
    with pytest.raises(SpecError, match="EventStudy, but only FixedEffects"):
        Contrast(EventStudy(MODEL.spec), by="key")
    with pytest.raises(SpecError, match="draws=0"):
        Contrast(MODEL, by="key", draws=0)


@pytest.mark.slow
def test_tests_have_their_size_under_the_null():
    """Labels are drawn at random, so the permutation is exact, and the Wald test of 40 clusters close to it."""
    rng, runs = np.random.default_rng(8), 300
    panel = panel_of()
    found = []
    for run in range(runs):
        noise = rng.normal(size=panel.shape) + rng.normal(size=(UNITS, 1)) * np.arange(panel.shape[1])[None, :] * 0.1
        drawn = replace(panel.assign({"y": noise}), traits={"key": rng.permutation(np.arange(UNITS) % 2).astype(float)})
        rows = frame_of(Contrast(MODEL, by="key", draws=99).estimate(drawn, seed=run, name="size"))
        found.append(rows.loc[["fisher_permutation", "wald_difference", "z_difference"], "p_value"].to_numpy(float))
    fisher, wald, z = np.asarray(found).T
    # The permutation p-values are uniform on k/100.
    assert stats.kstest(fisher - rng.uniform(0, 0.01, runs), "uniform").pvalue > 0.001
    error = np.sqrt(0.05 * 0.95 / runs)
    assert (fisher <= 0.05).mean() == pytest.approx(0.05, abs=4 * error)
    assert (wald <= 0.05).mean() == pytest.approx(0.06, abs=4 * error)
    assert (z <= 0.05).mean() == pytest.approx(0.06, abs=4 * error)
