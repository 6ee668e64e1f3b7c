"""Spatial panels against values printed by programs in R, Octave and Stata (see the folder of oracles).

Cigar: 46 states x 30 years. `cigar_expected.json` has every model, effects and method; Elhorst's toolbox prints LM tests.
"""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import syneff as se
from syneff.models.base import Estimate
from tests.panels import cube

# The tolerances that were asked for; the oracle prints twelve digits.
PARAMETER, LIKELIHOOD, ERROR = 1e-7, 1e-8, 1e-6
MODELS = {"SAR": "sar", "SEM": "sem", "SDM": "sdm"}
EFFECTS = {"none": (), "ind": ("unit",), "time": ("period",), "both": ("unit", "period")}
METHODS = {"direct": "direct", "leeyu": "lee_yu", "biascorr": "bias_corrected"}
# Each is a compilation: the others run where slow tests do.
QUICK = ("SDM|both|direct", "SDM|both|leeyu", "SEM|both|leeyu")
SLOW = (
    *("SDM|both|biascorr", "SDM|ind|direct", "SDM|ind|leeyu", "SDM|time|direct", "SDM|time|leeyu"),
    *(
        "SAR|both|direct",
        "SAR|both|biascorr",
        "SAR|both|leeyu",
        "SAR|ind|direct",
        "SAR|ind|leeyu",
        "SAR|time|direct",
        "SAR|time|leeyu",
    ),
    *("SEM|both|direct", "SEM|both|biascorr", "SEM|ind|direct", "SEM|ind|leeyu", "SEM|time|direct", "SEM|time|leeyu"),
)
KEYS = [*QUICK, *(pytest.param(key, marks=pytest.mark.slow) for key in SLOW)]


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "oracles" / "spatial"


@pytest.fixture(scope="module")
def expected(folder):
    return json.loads((folder / "cigar_expected.json").read_text())["cigar"]


@pytest.fixture(scope="module")
def panel(folder):
    return cube(pd.read_csv(folder / "cigar.csv"), "state", "year")


@pytest.fixture(scope="module")
def weights(folder, panel):
    links = np.loadtxt(folder / "usa46_W.csv", delimiter=",")
    return se.Weights.from_dense(links, ids=list(panel.units))


def spec(effects: str = "both") -> se.Spec:
    return se.Spec("logc", "logp", ("logy",), effects=EFFECTS[effects])


def fit(panel, weights, key: str, covariance: str = "expected") -> Estimate:
    model, effects, method = key.split("|")
    options = {"model": MODELS[model], "method": METHODS[method], "covariance": covariance}
    return se.SpatialDurbin(spec(effects), weights=weights, **options).estimate(panel)


def split(estimate: Estimate) -> tuple[np.ndarray, np.ndarray, int]:
    """Return coefficients with the spatial parameter, their errors, and how many they are."""
    count = next(place for place, name in enumerate(estimate.names) if name in ("rho", "lambda")) + 1
    return np.asarray(estimate.coef)[:count], np.asarray(estimate.std_error)[:count], count


@pytest.mark.parametrize("key", KEYS)
def test_estimates_are_those_of_the_oracle(panel, weights, expected, key):
    estimate, theirs = fit(panel, weights, key), expected[key]
    coef, errors, count = split(estimate)
    np.testing.assert_allclose(coef, [*theirs["beta"], theirs["rho"]], atol=PARAMETER, rtol=0)
    assert float(estimate.stats["sigma2"]) == pytest.approx(theirs["sigma2"], rel=PARAMETER)
    if "logL" in theirs:
        assert float(estimate.stats["log_likelihood"]) == pytest.approx(theirs["logL"], rel=LIKELIHOOD)
    np.testing.assert_allclose(errors, theirs["se_eim_beta_rho_sigma2"][:-1], atol=ERROR, rtol=0)
    if "effects" in theirs:
        effects = theirs["effects"]
        for place, kind in enumerate(("direct", "indirect", "total")):
            at = slice(count + 2 * place, count + 2 * place + 2)
            assert estimate.names[at] == (f"{kind}:logp", f"{kind}:logy")
            np.testing.assert_allclose(estimate.coef[at], effects[kind], atol=PARAMETER, rtol=0)
            np.testing.assert_allclose(estimate.std_error[at], effects[f"se_{kind}"], atol=ERROR, rtol=0)


def test_simulated_errors_are_close_to_those_of_the_delta_method(panel, weights):
    """rho is known to .035 here, so that effects are nearly linear in it over the draws."""
    delta = fit(panel, weights, "SDM|both|leeyu")
    simulated = se.SpatialDurbin(spec(), weights=weights, simulations=4000).estimate(panel, seed=1)
    np.testing.assert_array_equal(simulated.coef, delta.coef)
    np.testing.assert_array_equal(simulated.std_error[:5], delta.std_error[:5])
    ratio = np.asarray(simulated.std_error[5:] / delta.std_error[5:])
    assert (np.abs(ratio - 1) > 1e-6).all()
    np.testing.assert_allclose(ratio, 1.0, atol=0.05)
    assert "of effects from 4,000 draws" in " ".join(simulated.notes)


@pytest.mark.slow
@pytest.mark.parametrize("key", [*QUICK[:2], *SLOW])
def test_observed_information_is_that_of_the_oracle(panel, weights, expected, key):
    if "se_oim_beta_rho_sigma2" not in expected[key]:
        pytest.skip("the oracle has expected information only")
    errors = split(fit(panel, weights, key, "observed"))[1]
    np.testing.assert_allclose(errors, expected[key]["se_oim_beta_rho_sigma2"][:-1], atol=ERROR, rtol=0)


@pytest.mark.parametrize("effects", EFFECTS)
def test_lagrange_multipliers_have_all_printed_digits(panel, weights, folder, expected, effects):
    found = {test.name: float(test.statistic) for test in se.lm_tests(panel, spec(effects), weights).tests}
    names = {"lm_lag": "LM_lag", "lm_error": "LM_err", "robust_lm_lag": "RLM_lag", "robust_lm_error": "RLM_err"}
    for ours, theirs in {**names, "lm_joint": "LM_sarma"}.items():
        assert found[ours] == pytest.approx(expected["LM"][effects][theirs], rel=1e-8)
    blocks = (folder / "elhorst_lm.txt").read_text().split("== LM ")[1:5]
    printed = [float(each) for each in re.findall(r"=\s+([\d.]+),", blocks[list(EFFECTS).index(effects)])]
    order = ("lm_lag", "robust_lm_lag", "lm_error", "robust_lm_error")
    np.testing.assert_allclose([found[name] for name in order], printed, atol=5.1e-5)


def test_debarsy_and_ertur(panel, weights):
    estimate = se.lm_tests(panel, spec("ind"), weights, correction="debarsy_ertur")
    found = {test.name: float(test.statistic) for test in estimate.tests}
    theirs = {"lm_error": 247.19116591, "lm_lag": 131.88158490, "lm_joint": 275.72011611}
    for name, value in theirs.items():
        assert found[name] == pytest.approx(value, abs=5.1e-9)


@pytest.fixture(scope="module")
def diagnosed(panel, weights):
    model = se.SpatialDurbin(spec(), weights=weights, method="direct")
    return se.SpatialDiagnostics(model).estimate(panel)


def test_likelihood_ratios_and_wald(diagnosed, expected):
    rows = diagnosed.frame().set_index("term")
    wald = expected["SDM|both|direct"]["wald"]
    theirs = {
        "lr_both_unit": expected["LR"]["both/ind"],
        "lr_both_period": expected["LR"]["both/time"],
        "lr_sdm_sar": expected["LR"]["SDM/SAR"],
        "lr_sdm_sem": expected["LR"]["SDM/SEM"],
        "wald_sdm_sar": wald["SDM_SAR"],
        "wald_sdm_sem": wald["SDM_SEM"],
    }
    for name, (statistic, dof, p_value) in theirs.items():
        assert rows.loc[name, "statistic"] == pytest.approx(statistic, rel=1e-7)
        assert rows.loc[name, "dof"] == dof
        assert rows.loc[name, "p_value"] == pytest.approx(p_value, rel=1e-5, abs=1e-300)


def test_random_effects(panel, weights, expected):
    estimate = se.SpatialRandomEffects(spec("ind"), weights=weights, model="sar").estimate(panel)
    theirs, found = expected["RE_SAR"], dict(zip(estimate.names, np.asarray(estimate.coef), strict=True))
    ours = [found[name] for name in ("constant", "logp", "logy", "rho")]
    np.testing.assert_allclose(ours, [*theirs["beta"], *theirs["rho"]], atol=2e-8)
    for name, key in (("phi", "phi"), ("sigma2", "sigma2"), ("sigma2_unit", "sigma2_mu"), ("log_likelihood", "logL")):
        assert float(estimate.stats[name]) == pytest.approx(theirs[key][0], rel=1e-6)


def simulated(panel, weights, rng, correlated: float):
    """Draw an outcome with rho .4 and unit effects that are, or are not, correlated with log income."""
    income, price = panel.column("logy"), panel.column("logp")
    unit = rng.normal(size=46) + correlated * (income - income.mean()).mean(1) / income.mean(1).std()
    mean = 0.5 * income - 1.0 * price + unit[:, None] + rng.normal(size=30) + 0.3 * rng.normal(size=(46, 30))
    return panel.assign({"logc": np.linalg.solve(np.eye(46) - 0.4 * weights.matrix, mean)})


def test_hausman_and_mundlak_tell_correlated_effects_from_random_ones(panel, weights):
    model = se.SpatialDiagnostics(se.SpatialDurbin(spec(), weights=weights, method="direct"))
    rng = np.random.default_rng(3)

    def p_values(correlated: float) -> np.ndarray:
        estimates = [model.estimate(simulated(panel, weights, rng, correlated)) for _ in range(6)]
        frames = [estimate.frame().set_index("term")["p_value"] for estimate in estimates]
        return np.asarray([[frame["hausman"], frame["mundlak"]] for frame in frames])

    assert (np.median(p_values(0.0), axis=0) > 0.05).all()
    assert (np.median(p_values(3.0), axis=0) < 0.01).all()


def test_a_classic_hausman_that_is_none_is_warned_of(panel, weights, diagnosed):
    model = se.SpatialDurbin(spec(), weights=weights, method="direct")
    estimate = se.SpatialDiagnostics(model, hausman="classic").estimate(panel)
    assert any("not positive definite" in note and "hausman=robust" in note for note in estimate.notes)
    assert not any("positive definite" in note for note in diagnosed.notes)


def test_the_tests_support_the_durbin_model(diagnosed):
    said = " ".join(diagnosed.notes)
    assert "the spatial Durbin model (lr_sdm_sar 15.90, p = 0.000352, lr_sdm_sem 8.64, p = 0.0133" in said
    assert "period effects are needed" in said
    jax.clear_caches()
