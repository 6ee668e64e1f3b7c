"""Fixed effects against values printed by Stata, R and Python programs (see the folder of oracles)."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from syneff.models.base import Estimate, Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import Jackknife, WildClusterBootstrap
from tests.panels import CONTROLS, cube

PRINTED = 5e-10
"""The oracles print about ten digits."""
EXACT = 1e-13
"""Oracles given in full precision: only rounding separates us."""

CONVENTIONS = {
    "none": "CR0",
    "group": "CR1 G/(G-1)",
    "plm": "clubSandwich CR1S/plm sss/pyfixest k_fixef=none K=7",
    "reghdfe": "fixest/reghdfe/xtreg K=24",
    "lsdv": "LSDV/estimatr stata/statsmodels/sandwich HC1 K=307",
    "linearmodels": "linearmodels PanelOLS default N/(N-307), no G/(G-1)",
}
R2 = {
    "r2": ("overall", PRINTED),
    "r2_adjusted": ("adj_overall", PRINTED),
    "r2_within": ("within_twoway", PRINTED),
    "r2_within_adjusted": ("fixest adj within", PRINTED),
    "r2_within_plm": ("plm adj twoway", 5e-9),
    "r2_xtreg": ("xtreg r2_w (year dummies inside)", 5e-8),
    "r2_xtreg_adjusted": ("xtreg r2_a formula", 5e-8),
}


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "oracles" / "did"


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict:
    return json.loads((folder / "expected.json").read_text())


@pytest.fixture(scope="module")
def panel(folder: Path):
    frame = pd.read_csv(folder / "panel_seed20240101.csv")
    provinces = {"prov": frame.groupby("city")["prov"].first().to_numpy()}
    return cube(frame[["city", "year", "syeff", "treat", *CONTROLS]], "city", "year", provinces)


def fit(panel, **options) -> Estimate:
    return FixedEffects(Spec("syeff", "treat", CONTROLS, **options)).estimate(panel)


@pytest.mark.parametrize(("rule", "key"), CONVENTIONS.items())
def test_small_sample_conventions(panel, expected, rule, key):
    estimate = fit(panel, small_sample=rule)
    assert float(estimate.std_error[0]) == pytest.approx(expected["panel_seed20240101"]["se"][key], rel=EXACT)
    assert float(estimate.coef[0]) == pytest.approx(expected["panel_seed20240101"]["coef_treat"], abs=5e-9)


def test_cr0_is_the_rule_without_factor(panel, expected):
    estimate = fit(panel, covariance="CR0")
    assert float(estimate.std_error[0]) == pytest.approx(expected["panel_seed20240101"]["se"]["CR0"], rel=EXACT)


# R 4.2: clubSandwich 0.5.8 on plm 2.6-2 (CR2, CR3), plm::vcovSCC (HC0, sss), sandwich 3.0-2 on lm with dummies (HC2, HC3).
# jackknife: estimates without one city each, and reghdfe's factor: pyfixest's CRV3 where it counts the right K.
PRINTED_BY_R = [
    ({"covariance": "CR2"}, 0.0053931556028927),
    ({"covariance": "CR3"}, 0.0054208196606022),
    ({"covariance": "CR2", "cluster": "prov"}, 0.00499947092422559),
    ({"covariance": "CR3", "cluster": "prov"}, 0.00509949205900473),
    ({"covariance": "driscoll_kraay", "lags": 2, "small_sample": "none"}, 0.00893646759182797),
    ({"covariance": "driscoll_kraay", "lags": 2, "small_sample": "plm"}, 0.00921723027737132),
    ({"covariance": "HC2"}, 0.00306156611371411),
    ({"covariance": "HC3"}, 0.0031650175579538),
]


@pytest.mark.parametrize(("options", "value"), PRINTED_BY_R, ids=str)
def test_covariances(panel, options, value):
    assert float(fit(panel, **options).std_error[0]) == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"covariance": "CR2"}, "clubSandwich CR2"),
        ({"covariance": "CR3"}, "clubSandwich CR3 (plm)"),
        ({"covariance": "driscoll_kraay", "lags": 2, "small_sample": "none"}, "plm SCC maxlag2"),
    ],
)
def test_covariances_to_the_digits_of_the_table(panel, expected, options, key):
    error = float(fit(panel, **options).std_error[0])
    assert error == pytest.approx(expected["panel_seed20240101"]["se"][key], abs=PRINTED)


def test_jackknife_is_pyfixests_with_the_right_k(panel, expected):
    """It printed its value in a process whose hash seed made it count K = 8; the rule counts 24."""
    error = float(fit(panel, covariance="CR3", jackknife="estimate", small_sample="reghdfe").std_error[0])
    value = expected["panel_seed20240101"]["se"]["pyfixest CRV3"]
    assert error == pytest.approx(value * np.sqrt((4828 - 8) / (4828 - 24)), rel=1e-11)


@pytest.mark.parametrize(
    ("cluster", "dof"),
    [
        ("unit", [105.474602904921, 15.7137219611576, 170.751276315880]),
        ("prov", [23.0859629410508, 11.1525505469785, 25.7007047461411]),
    ],
)
def test_satterthwaite_degrees_of_freedom_are_clubsandwichs(panel, cluster, dof):
    np.testing.assert_allclose(fit(panel, covariance="CR2", cluster=cluster).dof[:3], dof, rtol=1e-9)


@pytest.mark.slow
def test_clusters_of_periods_are_clubsandwichs(panel):
    found = fit(panel, covariance="CR2", cluster="period")
    np.testing.assert_allclose(
        found.std_error[:3], [0.00628880724335412, 0.00186496850343349, 0.00394214744929677], rtol=1e-9
    )
    np.testing.assert_allclose(found.dof[:3], [13.91560166954943, 9.36287392879178, 12.89322310444624], rtol=1e-8)


@pytest.mark.parametrize(("multiway", "value"), [("min", 0.0076229), ("conventional", 0.0075477)])
def test_two_way_clustering(panel, multiway, value):
    found = fit(panel, cluster=("unit", "period"), multiway=multiway)
    assert float(found.std_error[0]) == pytest.approx(value, abs=5e-8)
    assert float(found.dof) == 16


@pytest.mark.parametrize(("ours", "theirs"), R2.items())
def test_r2_variants(panel, expected, ours, theirs):
    key, tolerance = theirs
    assert float(fit(panel).stats[ours]) == pytest.approx(expected["panel_seed20240101"]["r2"][key], abs=tolerance)


def test_both_constants(panel, expected):
    frame = fit(panel).frame().set_index("term")["estimate"]
    constants = expected["panel_seed20240101"]["cons"]
    assert frame["constant"] == pytest.approx(constants["reghdfe"], abs=5e-8)
    assert frame["constant[xtreg]"] == pytest.approx(constants["xtreg i.year"], abs=5e-8)


def test_t_statistic_is_boottests(panel, expected):
    frame = fit(panel).frame().set_index("term")
    assert frame.loc["treat", "statistic"] == pytest.approx(expected["panel_seed20240101"]["WCR11_t0(K=24)"], rel=1e-12)


def test_without_controls(panel, expected):
    estimate = FixedEffects(Spec("syeff", "treat")).estimate(panel)
    assert float(estimate.coef[0]) == pytest.approx(expected["panel_seed20240101"]["TWFE_nocov"], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"cluster": None}, "iid"),
        ({"cluster": None, "covariance": "HC1"}, "HC1"),
        ({"cluster": "unit"}, "firm"),
        ({"cluster": "period"}, "year"),
        ({"cluster": ("unit", "period"), "multiway": "white"}, "both"),
        (
            {"cluster": ("unit", "period"), "multiway": "conventional"},
            "both sandwich default = fixest G_df conventional",
        ),
        ({"cluster": ("unit", "period")}, "fixest G_df=min"),
    ],
)
def test_petersen_pooled(folder, expected, options, key):
    frame = pd.read_csv(folder / "PetersenCL.csv")
    panel = cube(frame[["firm", "year", "y", "x"]], "firm", "year")
    estimate = FixedEffects(Spec("y", "x", effects=(), **options)).estimate(panel)
    assert estimate.names == ("x", "constant")
    np.testing.assert_allclose(estimate.coef, expected["PetersenCL"]["coef"][::-1], rtol=5e-7)
    assert float(estimate.std_error[0]) == pytest.approx(expected["PetersenCL"]["se_x"][key], rel=5e-10)


def test_grunfeld_two_way(folder, expected):
    frame = pd.read_csv(folder / "Grunfeld.csv").rename(columns=str.lower)
    panel = cube(frame[["firm", "year", "inv", "value", "capital"]], "firm", "year")
    estimate = FixedEffects(Spec("inv", "value", ("capital",), small_sample="plm")).estimate(panel)
    np.testing.assert_allclose(estimate.coef[:2], expected["Grunfeld_twoways"]["coef"], atol=5e-8)
    np.testing.assert_allclose(estimate.std_error[:2], expected["Grunfeld_twoways"]["CR1S"], atol=5e-9)


@pytest.mark.parametrize(("covariance", "dof"), [("CR2", [2.38867112030871, 1.84346038045656]), ("CR3", [9.0, 9.0])])
def test_grunfeld_leverage(folder, expected, covariance, dof):
    """The degrees of freedom of CR2 are clubSandwich 0.5.8's, on plm and on lm with dummies alike."""
    frame = pd.read_csv(folder / "Grunfeld.csv").rename(columns=str.lower)
    panel = cube(frame[["firm", "year", "inv", "value", "capital"]], "firm", "year")
    found = FixedEffects(Spec("inv", "value", ("capital",), covariance=covariance)).estimate(panel)
    np.testing.assert_allclose(found.std_error[:2], expected["Grunfeld_twoways"][covariance], rtol=6e-7)
    np.testing.assert_allclose(found.term_dof[:2], dof, rtol=1e-9)


def test_weights_and_gaps(folder):
    """R: sandwich 3.0-2 on lm with dummies and weights."""
    frame = pd.read_csv(folder / "Grunfeld.csv").rename(columns=str.lower).drop([2, 46, 47, 149])
    frame["w"] = 1.0 + (np.arange(1, len(frame) + 1) % 5) / 4.0
    panel = cube(frame[["firm", "year", "inv", "value", "capital", "w"]], "firm", "year")
    panel = panel.reweight(np.nan_to_num(panel.column("w")))
    spec = Spec("inv", "value", ("capital",))
    found = {kind: FixedEffects(replace(spec, covariance=kind)).estimate(panel) for kind in ("HC2", "HC3")}
    np.testing.assert_allclose(found["HC2"].std_error[:2], [0.0173576613229783, 0.0657651555020994], rtol=1e-9)
    np.testing.assert_allclose(found["HC3"].std_error[:2], [0.0205326617778185, 0.0886040391144122], rtol=1e-9)


def test_mpdta_two_way(folder, expected):
    frame = pd.read_csv(folder / "mpdta.csv")
    frame["treated"] = (frame["treat"].eq(1) & (frame["year"] >= frame["first.treat"])).astype(float)
    panel = cube(frame[["countyreal", "year", "lemp", "treated"]], "countyreal", "year")
    estimate = FixedEffects(Spec("lemp", "treated")).estimate(panel)
    assert float(estimate.coef[0]) == pytest.approx(expected["mpdta"]["TWFE"], rel=1e-12)


def test_jackknife_is_pyfixests_without_its_factors(panel, expected):
    """pyfixest's CRV3 has G/(G-1) for (G-1)/G, and, in the process that made the value, (N-1)/(N-8) besides."""
    estimate = Jackknife(FixedEffects(Spec("syeff", "treat", CONTROLS))).estimate(panel)
    rows, clusters = 4828, 284
    factor = (rows - 1) / (rows - 8) * (clusters / (clusters - 1)) ** 2
    theirs = expected["panel_seed20240101"]["se"]["pyfixest CRV3"]
    assert float(estimate.std_error[0]) * np.sqrt(factor) == pytest.approx(theirs, rel=1e-11)


def test_wild_statistic_is_boottests(panel, expected):
    scheme = WildClusterBootstrap(FixedEffects(Spec("syeff", "treat", CONTROLS)), draws=99)
    test = scheme.estimate(panel).tests[0]
    assert float(test.statistic) == pytest.approx(expected["panel_seed20240101"]["WCR11_t0(K=24)"], rel=1e-11)


@pytest.fixture(scope="module")
def boottest(folder):
    """Regress hasinsurance selfemployed post post_self, cluster(year); boottest post_self=.04."""
    frame = pd.read_stata(folder / "boottest_collapsed.dta").dropna().astype(float)
    frame["row"] = frame.groupby("year").cumcount()
    panel = cube(frame, "year", "row")
    model = FixedEffects(Spec("hasinsurance", "post_self", ("post", "selfemployed"), effects=()))
    return lambda **options: WildClusterBootstrap(model, null_value=0.04, **options).estimate(panel, name="boottest")


def test_boottest_enumerated(boottest, expected):
    printed = expected["boottest_collapsed"]
    estimate = boottest()
    test = estimate.tests[0]
    assert float(test.statistic) == pytest.approx(printed["t7"], abs=5e-5)
    assert float(estimate.dof) == 7
    assert float(test.pvalue) == pytest.approx(printed["p_rademacher_exact256"], abs=5e-5)
    assert float(test.error) == 0.0
    assert len(estimate.draws_frame()) == 256


def test_boottest_webb_within_the_error_of_999_draws(boottest, expected):
    """The printed p-value and interval come from 999 draws of Stata's generator: they lie among ours of other seeds."""
    printed, many = expected["boottest_collapsed"], boottest(weights="webb", draws=99_999).tests[0]
    error = np.sqrt(float(many.pvalue) * (1 - float(many.pvalue)) / 999)
    assert abs(float(many.pvalue) - printed["p_webb999"]) < 3 * error
    assert (float(many.low), float(many.high)) == pytest.approx(printed["CI"], abs=5e-4)
