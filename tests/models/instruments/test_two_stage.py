"""Instruments: identities, sets that weak instruments cannot hurt, batch verbs, and what is wrong with the input."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.instruments import tests as battery
from syneff.models.instruments.anderson_rubin import ReducedForm, anderson_rubin_set
from syneff.models.resampling import PairsBootstrap
from syneff.models.two_stage import TwoStage
from tests.panels import staggered

SPEC = Spec("y", "d", ("a", "b"), ("z1", "z2"))
MODEL = TwoStage(SPEC, suspect=("z2",))


def endogenous(seed=0, units=24, periods=6, strength=0.6, missing=0.05):
    """A panel in which `d` moves with the error, and `z1`, `z2` move `d` alone; its effect is 0.5."""
    panel = staggered(seed, units=units, periods=periods, missing=missing)
    rng = np.random.default_rng(seed + 1000)
    z, v, e = rng.normal(size=(*panel.shape, 2)), rng.normal(size=panel.shape), rng.normal(size=panel.shape)
    d = strength * z.sum(-1) + 0.3 * panel.column("a") + v + rng.normal(size=(units, 1))
    y = 0.5 * d + 0.4 * panel.column("a") + e + 0.8 * v + rng.normal(size=(1, periods))
    return panel.assign({"y": y, "d": d, "z1": z[:, :, 0], "z2": z[:, :, 1]})


@pytest.fixture(scope="module")
def panel():
    return endogenous()


@pytest.fixture(scope="module")
def over(panel):
    return MODEL.estimate(panel)


@pytest.fixture(scope="module")
def just(panel):
    return TwoStage(replace(SPEC, instruments=("z1",))).estimate(panel)


def by_name(estimate):
    return {test.name: test for test in estimate.tests}


def dummies(panel):
    """Rows of the sample: their columns net of explicit dummies of units and periods and of both controls."""
    inside = panel.sample
    unit, period = (each[inside] for each in np.indices(panel.shape))
    basis = [np.eye(panel.shape[0])[unit], np.eye(panel.shape[1])[period][:, 1:]]
    basis = np.column_stack([*basis, *(panel.column(name)[inside] for name in ("a", "b"))])
    names = ("y", "d", "z1", "z2")
    columns = np.column_stack([panel.column(name)[inside] for name in names])
    net = columns - basis @ np.linalg.lstsq(basis, columns, rcond=None)[0]
    return dict(zip(names, net.T, strict=True)), unit, basis.shape[1]


def test_just_identified_estimators_are_indirect_least_squares(panel, just):
    rows = just.frame().set_index("term")
    ratio = rows["estimate"]["reduced_form:z1"] / rows["estimate"]["z1"]
    assert rows["estimate"]["d"] == pytest.approx(ratio, rel=1e-12)
    models = {kind: TwoStage(replace(SPEC, instruments=("z1",)), kind) for kind in ("2sls", "liml", "gmm")}
    design = models["2sls"].design(panel)
    fits = jax.jit(lambda design: {kind: model.fit(design) for kind, model in models.items()})(design)
    for kind in ("liml", "gmm"):
        np.testing.assert_allclose(fits[kind].coef, fits["2sls"].coef, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(fits[kind].cov, fits["2sls"].cov, rtol=1e-8, atol=1e-11)
    assert float(fits["liml"].stats["kappa"]) == 1.0


def test_just_identified_tests_coincide(just):
    tests, rows = by_name(just), just.frame().set_index("term")
    assert float(tests["hansen_j"].statistic) == pytest.approx(0.0, abs=1e-18)
    assert float(tests["hansen_j"].dof) == 0
    assert np.isnan(float(tests["hansen_j"].pvalue))
    f = float(tests["first_stage_f"].statistic)
    assert f == pytest.approx(rows["statistic"]["z1"] ** 2, rel=1e-11)
    assert float(tests["effective_f"].statistic) == pytest.approx(f, rel=1e-11)
    assert float(tests["kleibergen_paap_f"].statistic) == pytest.approx(f, rel=1e-11)
    assert float(tests["anderson_rubin"].statistic) == pytest.approx(
        rows["statistic"]["reduced_form:z1"] ** 2, rel=1e-11
    )


def test_critical_values_of_one_instrument_are_those_of_the_published_table(just):
    """Montiel Olea and Pflueger's table prints 37.42, 23.11, 15.06 and 12.04 for one degree of freedom."""
    found = [float(just.stats[f"effective_f_critical[{bias:g}]"]) for bias in (0.05, 0.1, 0.2, 0.3)]
    np.testing.assert_allclose(found, [37.42, 23.11, 15.06, 12.04], atol=0.01)


def test_critical_value_bounds_the_chance_of_passing_with_a_bias_at_the_limit():
    """With equal variances the first stage has exactly the distribution that Patnaik's approximation has: simulate it."""
    count, bias = 4, 0.1
    rng = np.random.default_rng(5)
    mean = np.full(count, np.sqrt(1.0 / bias))
    draws = rng.normal(size=(200_000, count)) + mean
    statistic, critical, pvalue = battery.effective_f(draws[0], np.eye(count), np.eye(count))
    assert statistic == pytest.approx((draws[0] ** 2).mean(), rel=1e-12)
    assert ((draws**2).mean(1) > critical[bias]).mean() == pytest.approx(0.05, abs=0.002)
    assert pvalue == pytest.approx(((draws**2).mean(1) > statistic).mean(), abs=0.005)


def test_statistics_are_those_of_the_formulas(panel, over):
    """Clustered, by explicit dummies, singular values and matrices written out."""
    net, unit, absorbed = dummies(panel)
    tests, z = by_name(over), np.column_stack([net["z1"], net["z2"]])
    clusters, rows = panel.shape[0], unit.size
    # Units are nested in clusters: periods and the constant are counted, controls and instruments with them.
    factor = clusters / (clusters - 1) * (rows - 1) / (rows - (2 + 2 + absorbed - 2 - clusters + 1))

    def meat(residual):
        sums = np.stack([(z * residual[:, None])[unit == each].sum(0) for each in range(clusters)])
        return sums.T @ sums

    q = z.T @ z
    pi = np.linalg.solve(q, z.T @ net["d"])
    error = net["d"] - z @ pi
    cov = factor * np.linalg.inv(q) @ meat(error) @ np.linalg.inv(q)
    f = pi @ np.linalg.solve(cov, pi) / 2
    assert float(tests["first_stage_f"].statistic) == pytest.approx(f, rel=1e-10)
    assert float(tests["kleibergen_paap_f"].statistic) == pytest.approx(f, rel=1e-10)
    assert float(tests["effective_f"].statistic) == pytest.approx(pi @ q @ pi / np.trace(cov @ q), rel=1e-10)
    # Kleibergen and Paap's theta by its singular values, its covariance from scores of the variable itself.
    root = np.linalg.inv(np.linalg.cholesky(q)).T
    left, _, right = np.linalg.svd((root.T @ z.T @ net["d"] / np.sqrt(net["d"] @ net["d"]))[:, None])
    theta = left.T @ root.T @ z.T @ net["d"] * right[0, 0]
    omega = left.T @ root.T @ meat(net["d"]) @ root @ left
    assert float(tests["kleibergen_paap_lm"].statistic) == pytest.approx(
        theta @ np.linalg.solve(omega, theta), rel=1e-10
    )
    # Hansen's J by two steps, and without the suspect, which leaves a model that is just identified.
    zd, zy = z.T @ net["d"], z.T @ net["y"]
    beta = zd @ np.linalg.solve(q, zy) / (zd @ np.linalg.solve(q, zd))
    weight = np.linalg.inv(meat(net["y"] - net["d"] * beta))
    second = zd @ weight @ zy / (zd @ weight @ zd)
    gap = zy - zd * second
    j = gap @ weight @ gap
    assert float(over.coef[0]) == pytest.approx(beta, rel=1e-10)
    assert float(tests["hansen_j"].statistic) == pytest.approx(j, rel=1e-9)
    assert float(tests["hansen_j"].pvalue) == pytest.approx(stats.chi2.sf(j, 1), rel=1e-9)
    assert float(tests["difference_in_sargan"].statistic) == pytest.approx(j, rel=1e-9)
    assert float(over.stats["ols:d"]) == pytest.approx(net["d"] @ net["y"] / (net["d"] @ net["d"]), rel=1e-10)
    assert float(over.stats["rss"]) == pytest.approx(((net["y"] - beta * net["d"]) ** 2).sum(), rel=1e-10)


def test_r2_is_at_most_that_of_least_squares(panel, over):
    ols = FixedEffects(replace(SPEC, instruments=())).estimate(panel)
    assert float(over.stats["r2_within"]) < float(ols.stats["r2_within"])
    assert float(over.stats["ols:d"]) == pytest.approx(float(ols.coef[0]), rel=1e-11)


def test_first_stages_and_reduced_form_are_regressions_of_their_own(panel, over):
    frame = over.frame()
    stage = frame[frame["outcome"] == "d"].set_index("term")
    first = FixedEffects(Spec("d", "z1", ("z2", "a", "b"))).estimate(panel).frame().set_index("term")
    reduced = FixedEffects(Spec("y", "z1", ("z2", "a", "b"))).estimate(panel).frame().set_index("term")
    for column in ("estimate", "std_error", "conf_low", "dof"):
        np.testing.assert_allclose(stage[column], first[column][list(stage.index)], rtol=1e-10)
        ours = frame.set_index("term")[column][["reduced_form:z1", "reduced_form:z2"]]
        np.testing.assert_allclose(ours, reduced[column][["z1", "z2"]], rtol=1e-10)
    assert list(frame["outcome"].iloc[:5]) == ["y"] * 5
    assert list(stage.index) == ["z1", "z2", "a", "b"]


def statistic_by_refit(panel, effect):
    """The Wald statistic of the instruments on the outcome less an effect, by a regression of its own."""
    moved = panel.assign({"y": panel.column("y") - effect * panel.column("d")})
    fit = FixedEffects(Spec("y", "z1", ("z2", "a", "b"))).estimate(moved)
    coef, cov = np.asarray(fit.coef[:2]), np.asarray(fit.cov[:2, :2])
    return coef @ np.linalg.solve(cov, coef)


def test_ends_of_the_anderson_rubin_set_are_where_a_refit_meets_the_critical_value(panel, over):
    test, intervals = by_name(over)["anderson_rubin"], over.details["anderson_rubin_set"]
    critical = 2 * special.fdtri(2, panel.shape[0] - 1, 0.95)
    assert len(intervals) == 1
    assert float(test.low) == intervals["low"][0] < float(over.coef[0]) < intervals["high"][0] == float(test.high)
    for end in intervals.iloc[0]:
        assert statistic_by_refit(panel, end) == pytest.approx(critical, rel=1e-8)
    assert statistic_by_refit(panel, float(over.coef[0])) < critical
    assert 2 * float(test.statistic) == pytest.approx(statistic_by_refit(panel, 0.0), rel=1e-10)


def form(outcome, endogenous, cross=0.0):
    outcome, endogenous = np.atleast_1d(outcome).astype(float), np.atleast_1d(endogenous).astype(float)
    unit = np.eye(outcome.size)
    return ReducedForm(outcome, endogenous, unit, unit, cross * unit)


def test_one_instrument_gives_the_interval_of_fieller():
    """(r - b f)^2 <= c (1 + b^2): a quadratic, whose three shapes are those of its leading coefficient and discriminant."""
    c = 4.0
    r, f = 3.0, 5.0
    roots = np.sort(np.roots([f**2 - c, -2 * r * f, r**2 - c]))
    np.testing.assert_allclose(anderson_rubin_set(form(r, f), c), [roots], rtol=1e-12)
    r, f = 5.0, 1.0
    roots = np.sort(np.roots([f**2 - c, -2 * r * f, r**2 - c]))
    np.testing.assert_allclose(anderson_rubin_set(form(r, f), c), [(-np.inf, roots[0]), (roots[1], np.inf)], rtol=1e-12)
    assert anderson_rubin_set(form(1.0, 1.0), c) == ((-np.inf, np.inf),)


def test_instruments_that_contradict_each_other_leave_an_empty_set_and_weak_ones_half_lines():
    assert anderson_rubin_set(form([9.0, -9.0], [9.0, 9.0]), 5.99) == ()
    low, high = anderson_rubin_set(form([6.0, 0.1], [0.5, 0.2]), 5.99)
    assert low[0] == -np.inf
    assert high[1] == np.inf
    assert low[1] < high[0]


def test_anderson_rubin_sets_are_those_of_a_dense_search():
    rng, grid = np.random.default_rng(0), np.tan(np.linspace(-1.55, 1.55, 20_001))[:, None]
    kinds = set()
    for _ in range(60):
        half = rng.normal(size=(6, 6))
        cov = half @ half.T / 6
        found = ReducedForm(
            3 * rng.normal(size=3), 2 * rng.normal(size=3), cov[:3, :3], cov[3:, 3:], cov[:3, 3:] + cov[3:, :3]
        )
        intervals = anderson_rubin_set(found, 7.8)
        kinds.add((len(intervals), bool(intervals) and bool(np.isfinite(intervals).all())))
        gap = found.outcome - grid * found.endogenous
        wide = grid[:, :, None]
        covs = found.outcome_cov - wide * found.cross + wide**2 * found.endogenous_cov
        inside = (gap * np.linalg.solve(covs, gap[:, :, None])[:, :, 0]).sum(1) <= 7.8
        ours = np.zeros(grid.size, bool)
        for low, high in intervals:
            ours |= (grid[:, 0] >= low) & (grid[:, 0] <= high)
        assert (inside == ours).all()
    assert len(kinds) >= 4


def test_weak_instruments_are_remarked_upon_with_what_holds_all_the_same(panel):
    weak = TwoStage(replace(SPEC, instruments=("z1",))).estimate(endogenous(strength=0.02))
    said = " ".join(weak.notes)
    critical = float(weak.stats["effective_f_critical[0.1]"])
    assert f"weak instruments: effective F = {float(by_name(weak)['effective_f'].statistic):.4g}" in said
    assert f"below {critical:.4g}" in said
    assert "Anderson-Rubin" in said
    assert "unbounded" in said
    assert float(by_name(weak)["anderson_rubin"].low) == -np.inf


def test_confounding_is_undone_by_instruments_on_average(over):
    """The effect is 0.5; least squares is drawn to the confounder."""
    design = MODEL.design(endogenous(0, missing=0.0))
    fit = jax.jit(MODEL.fit)
    panels = [MODEL.design(endogenous(seed, missing=0.0)) for seed in range(30)]
    estimates = np.array(
        [
            fit(
                replace(
                    design, outcome=d.outcome, regressors=d.regressors, instruments=d.instruments, weights=d.weights
                )
            ).coef[0]
            for d in panels
        ]
    )
    assert estimates.mean() == pytest.approx(0.5, abs=3 * estimates.std() / np.sqrt(30))
    assert float(over.stats["ols:d"]) > 0.8


def test_batch_verbs_are_fits(panel):
    design = MODEL.design(panel)
    rng = np.random.default_rng(3)
    outcomes = jnp.asarray(rng.normal(size=(3, *panel.shape)))
    placebo = jnp.asarray(rng.normal(size=(3, *panel.shape)))
    copies = jnp.asarray(rng.integers(1, 3, size=(3, panel.shape[0])), dtype=float)
    fit = jax.jit(MODEL.fit)
    inside = design.weights > 0
    verbs = {
        "outcomes": (
            MODEL.fit_outcomes(design, outcomes),
            lambda n: replace(design, outcome=jnp.where(inside, outcomes[n], 0.0)),
        ),
        "weights": (
            MODEL.fit_weights(design, copies),
            lambda n: replace(design, weights=design.weights * copies[n][:, None]),
        ),
        "treatments": (MODEL.fit_treatments(design, placebo), lambda n: MODEL.with_treatment(design, placebo[n])),
        "instruments": (
            MODEL.fit_instruments(design, placebo),
            lambda n: replace(
                design, instruments=design.instruments.at[:, :, 0].set(jnp.where(inside, placebo[n], 0.0))
            ),
        ),
    }
    for found, one in verbs.values():
        for number in range(3):
            single = fit(one(number))
            count = found.coef.shape[1]
            np.testing.assert_allclose(found.coef[number], single.coef[:count], rtol=1e-9, atol=1e-10)
            np.testing.assert_allclose(found.cov[number], single.cov[:count, :count], rtol=1e-8, atol=1e-10)


@pytest.mark.slow
def test_bootstrap_resamples_the_second_stage(panel):
    found = PairsBootstrap(MODEL, draws=9).estimate(panel, seed=1)
    assert found.names == ("d", "a", "b", "constant", "constant[xtreg]")
    assert np.isfinite(np.asarray(found.std_error[:3])).all()
    assert set(found.frame()["outcome"]) == {"y"}


@pytest.mark.slow
def test_collinear_instruments_are_dropped_and_named(panel, over):
    doubled = panel.assign({"z3": 2.0 * panel.column("z1") - panel.column("z2")})
    found = TwoStage(replace(SPEC, instruments=("z1", "z2", "z3"))).estimate(doubled)
    assert "omitted because of collinearity: z3, reduced_form:z3" in found.notes
    np.testing.assert_allclose(found.coef[:5], over.coef[:5], rtol=1e-10)
    ours, theirs = by_name(found), by_name(over)
    for name in set(theirs) - {"difference_in_sargan"}:
        assert float(ours[name].statistic) == pytest.approx(float(theirs[name].statistic), rel=1e-8), name
        assert float(ours[name].dof) == pytest.approx(float(theirs[name].dof), nan_ok=True), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endogenous": ("a",), "spec": replace(SPEC, instruments=("z1",))}, r"1 instruments \(z1\) for 2 endogenous"),
        ({"endogenous": ("c",)}, "estimator.endogenous 'c'"),
        ({"spec": replace(SPEC, instruments=("z1", "a"))}, "'a' stands more than once"),
        ({"spec": replace(SPEC, instruments=("z1", "z1"))}, "'z1' stands more than once"),
        ({"spec": replace(SPEC, covariance="CR2")}, "CR2 is not available with instruments"),
        ({"suspect": ("z9",)}, "estimator.suspect 'z9'"),
        ({"suspect": ("z1", "z2")}, "leaves 0 of 2 instruments"),
        ({"estimator": "3sls"}, "3sls"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        TwoStage(**{"spec": SPEC, **options})


@pytest.mark.parametrize(
    ("columns", "spec", "message"),
    [
        ({"z1": lambda p: np.repeat(p.column("z1")[:, :1], p.shape[1], 1)}, {}, "'z1' is constant within every unit"),
        ({"z1": lambda p: np.repeat(p.column("z1")[:1], p.shape[0], 0)}, {}, "'z1' is constant within every period"),
        ({"z1": lambda p: p.column("z1")[:, :1] + p.column("z1")[:1]}, {}, "'z1' is absorbed by the effects"),
        ({"z1": lambda p: p.column("a")}, {}, "instrument 'z1' equals 'a'"),
        ({"z1": lambda p: p.column("d")}, {}, "instrument 'z1' equals 'd'"),
        ({"d": lambda p: p.column("a")[:, :1] + p.column("b")}, {}, "endogenous variable 'd' is explained"),
        (
            {"z1": lambda p: p.column("a") + p.column("b"), "z2": lambda p: p.column("a") - p.column("b")},
            {},
            "0 instruments are left for 1 endogenous variables .d.: z1, z2 are collinear",
        ),
    ],
)
def test_wrong_data_are_told(panel, columns, spec, message):
    wrong = panel.assign({name: make(panel) for name, make in columns.items()})
    with pytest.raises(DataError, match=message):
        TwoStage(replace(SPEC, **spec)).design(wrong)


def test_a_specification_without_instruments_is_told(panel):
    with pytest.raises(SpecError, match="0 instruments for 1 endogenous variables"):
        TwoStage(replace(SPEC, instruments=())).design(panel)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"cluster": None}, {"covariance": "HC1"}, {"effects": ("unit",)}], ids=str)
def test_pyfixest_agrees(panel, options):
    model = TwoStage(
        replace(SPEC, covariance=None, **options) if "covariance" not in options else replace(SPEC, **options)
    )
    audit = model.audit(panel, model.estimate(panel))
    assert audit.terms == ("d", "a", "b")
    assert audit.coef_difference < 1e-8
    assert audit.std_error_difference < 1e-8
    assert audit.rows == audit.other_rows


def test_other_estimators_have_no_audit(panel, over):
    assert TwoStage(SPEC, "liml").audit(panel, over).remark == "liml"
