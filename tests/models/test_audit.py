"""The audit: pyfixest agrees under every covariance that it knows, and a wrong estimate is found."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from tests.panels import staggered

pytestmark = pytest.mark.slow

SPEC = Spec("y", "treat", ("a", "b"))
KNOWN = [
    {"cluster": None},
    {"covariance": "HC1"},
    {"covariance": "CR0"},
    *({"small_sample": rule} for rule in ("reghdfe", "plm", "lsdv", "linearmodels", "group", "none")),
    {"cluster": "region"},
    {"cluster": "period"},
    {"cluster": ("unit", "period")},
    {"cluster": ("region", "period"), "multiway": "conventional"},
    *({"covariance": "driscoll_kraay", "small_sample": rule} for rule in ("xtscc", "plm", "lsdv", "none", "reghdfe")),
    {"effects": ()},
    {"effects": ("unit",), "cluster": "region"},
    {"effects": (), "covariance": "driscoll_kraay", "lags": 1},
]


def weighted():
    panel = staggered(3, missing=0.2)
    return panel.reweight(panel.weights * np.random.default_rng(4).uniform(0.5, 2.0, panel.shape))


@pytest.mark.parametrize("options", KNOWN, ids=str)
def test_pyfixest_agrees(options):
    panel, model = weighted(), FixedEffects(Spec("y", "treat", ("a", "b"), **options))
    audit = model.audit(panel, model.estimate(panel))
    assert audit.program.startswith("pyfixest "), audit.remark
    assert audit.terms == (("treat", "a", "b") if model.spec.effects else ("treat", "a", "b", "constant"))
    assert audit.rows == audit.other_rows
    assert audit.coef_difference < 1e-9
    assert audit.std_error_difference < 1e-9
    assert audit.agrees


def test_pyfixest_sees_missing_values_singletons_and_collinear_regressors_by_itself():
    panel = staggered(3)
    holes, weights = panel.column("a").copy(), panel.weights.copy()
    holes[3, 2] = np.nan
    weights[5, 1:] = 0.0
    panel = panel.reweight(weights).assign({"a": holes, "c": 2.0 * panel.column("b") + 1.0})
    model = FixedEffects(replace(SPEC, controls=("a", "b", "c")))
    audit = model.audit(panel, model.estimate(panel))
    assert audit.terms == ("treat", "a", "b")
    assert audit.rows == audit.other_rows == 30 * 8 - 8 - 1
    assert audit.agrees


@pytest.mark.parametrize(
    "wrong",
    [
        lambda estimate: replace(estimate, coef=estimate.coef.at[1].multiply(1 + 1e-6)),
        lambda estimate: replace(estimate, cov=estimate.cov * 1.0001),
        lambda estimate: replace(estimate, coef=estimate.coef.at[0].set(jnp.nan)),
        lambda estimate: replace(estimate, nobs=estimate.nobs - 1),
    ],
)
def test_a_wrong_estimate_is_found(wrong):
    panel, model = weighted(), FixedEffects(SPEC)
    estimate = model.estimate(panel)
    assert model.audit(panel, estimate).agrees
    assert not model.audit(panel, wrong(estimate)).agrees


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"covariance": "CR2"}, "CR2"),
        ({"covariance": "HC3"}, "HC3"),
        ({"covariance": "conley", "cutoff_km": 100.0}, "conley"),
        ({"cluster": ("unit", "period", "region")}, "three-way"),
        ({"cluster": ("unit", "period"), "multiway": "white"}, "white"),
    ],
)
def test_what_pyfixest_cannot_do_is_said_in_a_word(options, word):
    panel = staggered(3)
    estimate = FixedEffects(SPEC).estimate(panel)
    audit = FixedEffects(Spec("y", "treat", ("a", "b"), **options)).audit(panel, estimate)
    assert (audit.program, audit.remark) == ("", word)


def test_a_program_that_fails_leaves_the_cell_alone(monkeypatch):
    import pyfixest

    def broken(*_, **__):
        raise ValueError("no luck")

    panel, model = staggered(3), FixedEffects(SPEC)
    estimate = model.estimate(panel)
    monkeypatch.setattr(pyfixest, "feols", broken)
    assert model.audit(panel, estimate).remark == "failed (ValueError: no luck)"
