"""Instruments against linearmodels and R's AER with explicit dummies; `make_instruments.py` made the values."""

import json
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest

from syneff.models.base import Spec
from syneff.models.instruments import tests as battery
from syneff.models.instruments.diagnostics import diagnose
from syneff.models.two_stage import TwoStage
from tests.oracle.make_instruments import EXOGENOUS, INSTRUMENTS, PERIODS, UNITS, simulate
from tests.panels import cube

TOLERANCE = 1e-9
"""Full precision was stored; explicit dummies cost the oracles a few digits."""
COVARIANCES = {
    "iid": {"covariance": "iid", "cluster": None},
    "HC1": {"covariance": "HC1", "cluster": None},
    "CR0": {"covariance": "CR0"},
    "lsdv": {"covariance": "CR1", "small_sample": "lsdv"},
    "two-way": {"covariance": "CR0", "cluster": ("unit", "period")},
}
MODELS = {"d": ("d",), "d+f": ("d", "f")}


@pytest.fixture(scope="module")
def expected():
    return json.loads(Path(__file__).with_name("instruments.json").read_text())


@pytest.fixture(scope="module")
def panel():
    return cube(simulate(), "unit", "period")


def two_stage(variables, kind="2sls", **options):
    spec = Spec("y", "d", (*variables[1:], *EXOGENOUS), tuple(INSTRUMENTS), **options)
    return TwoStage(spec, kind, endogenous=variables[1:])


@pytest.fixture(scope="module")
def fits(panel):
    """All second stages of a set of endogenous variables, compiled at once: what they share is compiled once."""

    @cache
    def fit(key, covariances):
        models = {
            (kind, name): two_stage(MODELS[key], kind, **COVARIANCES[name])
            for name in covariances
            for kind in ("2sls", "liml", "gmm")
        }
        design = two_stage(MODELS[key], **COVARIANCES[covariances[-1]]).design(panel)
        return jax.jit(lambda design: {each: model.fit(design) for each, model in models.items()})(design)

    return fit


@pytest.fixture(scope="module")
def tests(panel):
    """All tests by name, for each covariance of a set of endogenous variables; compiled at once."""

    @cache
    def test(key, covariances):
        models = {name: two_stage(MODELS[key], **COVARIANCES[name]) for name in covariances}
        design = models[covariances[-1]].design(panel)
        found = jax.jit(
            lambda design: {name: diagnose(model.spec, design, len(MODELS[key])) for name, model in models.items()}
        )(design)
        return {
            name: {test.name: test for test in battery.tests_of(model.spec, MODELS[key], 0, found[name])[0]}
            for name, model in models.items()
        }

    return test


ONE_WAY = ("iid", "HC1", "CR0", "lsdv")
CASES = [("d", name) for name in COVARIANCES] + [("d+f", "CR0"), ("d+f", "two-way")]


@pytest.mark.parametrize(("key", "name"), CASES)
@pytest.mark.parametrize("kind", ["2sls", "liml"])
def test_second_stage_is_that_of_linearmodels(fits, expected, key, name, kind):
    compiled = {"two-way": ("two-way",)}.get(name, ONE_WAY if key == "d" else ("CR0",))
    found, oracle = fits(key, compiled)[kind, name], expected["linearmodels"][f"{kind} {key} {name}"]
    terms = len(oracle["coef"])
    np.testing.assert_allclose(found.coef[:terms], oracle["coef"], rtol=TOLERANCE, atol=TOLERANCE)
    if float(found.stats.get("negative_eigenvalues", 0.0)) == 0:
        np.testing.assert_allclose(found.std_error[:terms], oracle["error"], rtol=TOLERANCE)
    if kind == "liml":
        assert float(found.stats["kappa"]) == pytest.approx(expected["linearmodels"][f"kappa {key}"], rel=1e-12)


@pytest.mark.parametrize("key", MODELS)
def test_gmm_is_that_of_linearmodels(fits, tests, expected, key):
    oracle = expected["linearmodels"][f"gmm {key} clustered"]
    found, count = fits(key, ONE_WAY if key == "d" else ("CR0",))["gmm", "CR0"], len(oracle["coef"])
    np.testing.assert_allclose(found.coef[:count], oracle["coef"], rtol=TOLERANCE)
    np.testing.assert_allclose(found.std_error[:count], oracle["error"], rtol=TOLERANCE)
    j = tests(key, ONE_WAY if key == "d" else ("lsdv",))["lsdv"]["hansen_j"]
    assert float(j.statistic) == pytest.approx(oracle["j"], rel=TOLERANCE)


def test_gmm_with_explicit_dummies_is_that_of_linearmodels(fits, tests, expected):
    """Robust to heteroskedasticity the weight of all moments has an inverse, dummies included.

    Residuals are others then, since the moments of dummies are not zero: standard errors are held against partialled dummies.
    """
    oracle, found = expected["linearmodels"]["gmm d robust"], fits("d", ONE_WAY)["gmm", "HC1"]
    factor = np.sqrt(float(found.nobs) / (float(found.nobs) - 3 - UNITS - PERIODS + 1))
    np.testing.assert_allclose(found.coef[:3], oracle["coef"], rtol=TOLERANCE, atol=TOLERANCE)
    errors = factor * np.array(expected["linearmodels"]["gmm d within"]["error"])
    np.testing.assert_allclose(found.std_error[:3], errors, rtol=TOLERANCE)
    j = tests("d", ONE_WAY)["HC1"]["hansen_j"]
    assert float(j.statistic) == pytest.approx(oracle["j"], rel=TOLERANCE)


@pytest.mark.parametrize(("key", "name"), [("d", "iid"), ("d", "HC1"), ("d", "lsdv"), ("d+f", "lsdv")])
def test_rank_tests_are_those_of_linearmodels(tests, expected, key, name):
    """Its F counts every dummy, as the rule `lsdv` does."""
    oracle = expected["linearmodels"][f"rank {key} {name}"]
    found = tests(key, ONE_WAY if key == "d" else ("lsdv",))[name]
    assert float(found["kleibergen_paap_lm"].statistic) == pytest.approx(oracle["lm"], rel=TOLERANCE)
    assert float(found["kleibergen_paap_lm"].dof) == oracle["df"]
    assert float(found["kleibergen_paap_f"].statistic) == pytest.approx(oracle["f"], rel=TOLERANCE)
    assert float(found["cragg_donald_f"].statistic) == pytest.approx(oracle["cragg_donald"], rel=TOLERANCE)


def test_homoskedastic_tests_are_those_of_linearmodels(tests, expected):
    oracle, found = expected["linearmodels"]["tests d"], tests("d", ONE_WAY)["iid"]
    for ours, theirs in {"hansen_j": "sargan", "wu_hausman": "wu_hausman"}.items():
        assert float(found[ours].statistic) == pytest.approx(oracle[theirs][0], rel=1e-8)
        assert float(found[ours].pvalue) == pytest.approx(oracle[theirs][1], rel=1e-8)


@pytest.mark.parametrize("name", ["iid", "CR0", "HC1"])
def test_weak_instruments_and_exogeneity_are_those_of_aer(tests, expected, name):
    found = tests("d", ONE_WAY)[name]
    for ours, theirs in {"first_stage_f": "Weak instruments", "wu_hausman": "Wu-Hausman"}.items():
        dof, _, statistic, _ = expected["AER"][f"{name} {theirs}"]
        assert float(found[ours].dof) == dof
        assert float(found[ours].statistic) == pytest.approx(statistic, rel=1e-9)


def test_weights_are_those_of_linearmodels(panel, expected):
    weighted = panel.reweight(np.nan_to_num(panel.column("weight"), nan=0.0))
    found = two_stage(("d",), covariance="CR1", small_sample="lsdv").estimate(weighted)
    oracle, rank = expected["linearmodels"]["weighted"], expected["linearmodels"]["weighted rank"]
    by_name = {test.name: test for test in found.tests}
    units, rows = float(found.n_units), float(found.nobs)
    factor = np.sqrt(units / (units - 1) * (rows - 1) / (rows - 3 - UNITS - PERIODS + 1))
    np.testing.assert_allclose(found.coef[:3], oracle["coef"], rtol=TOLERANCE)
    np.testing.assert_allclose(found.std_error[:3], factor * np.array(oracle["error"]), rtol=TOLERANCE)
    assert float(by_name["kleibergen_paap_lm"].statistic) == pytest.approx(rank["lm"], rel=TOLERANCE)
    assert float(by_name["kleibergen_paap_f"].statistic) == pytest.approx(rank["f"], rel=TOLERANCE)
