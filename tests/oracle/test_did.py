"""Fixed effects against values printed by Stata, R and Python programs (see the folder of oracles)."""

import json
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
    return cube(frame[["city", "year", "syeff", "treat", *CONTROLS]], "city", "year")


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
