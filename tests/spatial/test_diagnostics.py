"""Tests of spatial models: an identity, projections and correlations by hand, the choice of a model, what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from syneff.errors import SpecError
from syneff.models.base import Spec, Test
from syneff.models.fixed_effects import FixedEffects
from syneff.numerics.spatial_tests import pesaran_cd
from syneff.spatial.choice import supported
from syneff.spatial.diagnostics import SpatialDiagnostics
from syneff.spatial.hypotheses import chi_squared, wald
from syneff.spatial.lagrange import lm_tests
from tests.spatial.test_durbin import LEE_YU, PANEL, PERIODS, SPEC, UNITS, made_panel, weights


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_identity_of_multipliers(seed):
    found = {test.name: float(test.statistic) for test in lm_tests(made_panel(seed), SPEC, weights()).tests}
    left = found["lm_lag"] + found["robust_lm_error"]
    assert left == pytest.approx(found["lm_error"] + found["robust_lm_lag"], rel=1e-9)
    assert left == pytest.approx(found["lm_joint"], rel=1e-9)
    assert min(found.values()) >= 0


def test_multipliers_are_those_of_the_long_way():
    """Stack everything, with dummies of units, as Anselin, Le Gallo and Jayet write it."""
    spec = Spec("y", "treat", ("x",), effects=("unit",))
    n, t, w = UNITS, PERIODS, weights().matrix
    big = np.kron(w, np.eye(t))
    z = np.column_stack([*(PANEL.column(name).ravel() for name in ("treat", "x")), np.kron(np.eye(n), np.ones((t, 1)))])
    y = PANEL.column("y").ravel()
    off = np.eye(n * t) - z @ np.linalg.pinv(z)
    e, fitted = off @ y, y - off @ y
    s2 = e @ e / (n * t)
    trace = np.trace(big @ big + big.T @ big)
    j = ((big @ fitted) @ off @ (big @ fitted) + trace * s2) / s2
    u, v = e @ big @ e / s2, e @ big @ y / s2
    expected = {"lm_lag": v**2 / j, "lm_error": u**2 / trace, "robust_lm_lag": (v - u) ** 2 / (j - trace)}
    estimate = lm_tests(PANEL, spec, weights())
    for test in estimate.tests:
        if test.name in expected:
            assert float(test.statistic) == pytest.approx(expected[test.name], rel=1e-9)
            assert float(test.pvalue) == pytest.approx(stats.chi2.sf(expected[test.name], 1), rel=1e-8)
    iid = FixedEffects(Spec("y", "treat", ("x",), effects=("unit",), cluster=None)).estimate(PANEL)
    np.testing.assert_allclose(estimate.coef, iid.coef[:2], rtol=1e-10)
    np.testing.assert_allclose(estimate.std_error, iid.std_error[:2], rtol=1e-10)


def test_pesaran_is_the_sum_of_correlations():
    rng = np.random.default_rng(1)
    residuals = rng.normal(size=(7, 9)) + rng.normal(size=9)
    pairs = np.corrcoef(residuals)[np.triu_indices(7, 1)]
    inside = np.zeros((8, 9))
    inside[:7] = 1.0
    padded = jnp.asarray(np.vstack([residuals, np.zeros(9)]))
    found = float(pesaran_cd(padded, jnp.asarray(inside)))
    assert found == pytest.approx(np.sqrt(2 * 9 / (7 * 6)) * pairs.sum(), rel=1e-10)


def test_wald_of_a_singular_covariance_counts_its_rank():
    cov = np.array([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.5]])
    test = wald("w", np.array([1.0, 1.0, np.nan]), cov)
    assert float(test.dof) == 1
    assert float(test.statistic) == pytest.approx(0.5)
    slopes = np.array([[1.0, 0.0, 1.0]])
    assert float(wald("w", np.array([3.0]), cov, slopes).statistic) == pytest.approx(9 / 2.5)
    assert np.isnan(float(wald("w", np.array([np.nan, np.nan, np.nan]), cov).pvalue))


def given_tests(**p_values: float) -> dict[str, Test]:
    names = ("lm_lag", "lm_error", "robust_lm_lag", "robust_lm_error")
    given_values = {**dict.fromkeys(names, 0.5), **p_values}
    return {name: chi_squared(name, float(stats.chi2.isf(p, 1)), 1.0) for name, p in given_values.items()}


@pytest.mark.parametrize(
    ("p_values", "said"),
    [
        ({}, "no spatial term is needed"),
        ({"lr_sdm_sar": 0.5, "lr_sdm_sem": 0.5}, "no spatial term is needed"),
        ({"lm_lag": 0.01, "lr_sdm_sar": 0.01, "lr_sdm_sem": 0.02}, "the spatial Durbin model (lr_sdm_sar"),
        ({"lm_lag": 0.01, "robust_lm_lag": 0.01, "lr_sdm_sar": 0.4, "lr_sdm_sem": 0.02}, "the spatial lag model"),
        ({"lm_error": 0.01, "robust_lm_error": 0.01, "lr_sdm_sar": 0.01, "lr_sdm_sem": 0.2}, "the spatial error model"),
        ({"lm_lag": 0.01, "lr_sdm_sar": 0.4, "lr_sdm_sem": 0.02}, "since tests disagree"),
    ],
)
def test_the_choice_of_a_model(p_values, said):
    assert said in supported(given_tests(**p_values), ("unit", "period"), 0.05)[0]


def test_the_choice_of_effects():
    fixed = supported(given_tests(lr_both_unit=0.3, lr_both_period=0.001, hausman=0.01), ("unit", "period"), 0.05)
    assert any(note.startswith("period effects add nothing") for note in fixed)
    assert any(note.startswith("unit effects are needed") for note in fixed)
    assert any(note.startswith("unit effects must be fixed") for note in fixed)
    assert not any("random" in note for note in supported(given_tests(hausman=0.5), ("period",), 0.05))
    unknown = {**given_tests(), "hausman": chi_squared("hausman", np.nan, 0.0)}
    assert not any("random" in note for note in supported(unknown, ("unit", "period"), 0.05))


def test_options_that_are_refused():
    with pytest.raises(SpecError, match="hausman: 'robst'"):
        SpatialDiagnostics(LEE_YU, hausman="robst")
    with pytest.raises(SpecError, match=r"level=5"):
        SpatialDiagnostics(LEE_YU, level=5.0)
    with pytest.raises(SpecError, match="unit effects alone"):
        lm_tests(PANEL, SPEC, weights(), correction="debarsy_ertur")
