"""The audit: pyfixest agrees under every covariance that it knows, and a wrong estimate is found."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.models.base import Spec
from syneff.models.event_study import EventStudy
from syneff.models.family import Family
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import (
    BayesianBootstrap,
    Jackknife,
    PairsBootstrap,
    Placebo,
    PlaceboInTime,
    WildClusterBootstrap,
)
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


def test_an_event_study_is_audited_on_its_dummies():
    panel, model = weighted(), EventStudy(SPEC, window=(-3, 2))
    estimate = model.estimate(panel)
    audit = model.audit(panel, estimate)
    assert audit.terms == (*(f"event[{each}]" for each in (-3, -2, 0, 1, 2)), "a", "b")
    assert audit.agrees
    assert not model.audit(panel, replace(estimate, coef=estimate.coef.at[0].multiply(1 + 1e-6))).agrees


@pytest.mark.parametrize(
    "scheme",
    [
        Placebo(FixedEffects(SPEC), draws=3),
        PairsBootstrap(FixedEffects(SPEC), draws=3),
        BayesianBootstrap(FixedEffects(SPEC), draws=3),
        Jackknife(FixedEffects(SPEC)),
        WildClusterBootstrap(FixedEffects(SPEC), draws=3),
    ],
    ids=lambda scheme: type(scheme).__name__,
)
def test_the_fit_inside_a_scheme_is_audited(scheme):
    """Its standard errors are those of the model, not of the draws."""
    panel = weighted()
    audit = scheme.audit(panel, scheme.model.estimate(panel))
    single = scheme.model.audit(panel, scheme.model.estimate(panel))
    assert audit.terms == ("treat", "a", "b")
    assert audit.std_error == single.std_error
    assert audit.agrees
    assert audit.remark.startswith("the fit inside, not its draws")


def test_every_fit_of_several_is_audited():
    panel = weighted()
    early = PlaceboInTime(FixedEffects(SPEC), leads=(1, 2))
    audit = early.audit(panel, early.estimate(panel))
    assert [term for term in audit.terms if term.endswith("treat")] == ["lead[1]:treat", "lead[2]:treat"]
    assert audit.agrees
    family = Family({"long": FixedEffects(SPEC), "short": FixedEffects(Spec("y"))}, scheme=None)
    audit = family.audit(panel, family.estimate(panel))
    assert audit.terms == ("long:treat", "long:a", "long:b", "short:treat")
    assert audit.rows == 2 * int(panel.sample.sum())
    assert audit.agrees
    leverage = Family({"y": FixedEffects(replace(SPEC, covariance="CR2"))}, scheme=None)
    assert leverage.audit(panel, leverage.estimate(panel)).remark == "y: CR2"


def test_a_program_that_fails_leaves_the_cell_alone(monkeypatch):
    import pyfixest

    def broken(*_, **__):
        raise ValueError("no luck")

    panel, model = staggered(3), FixedEffects(SPEC)
    estimate = model.estimate(panel)
    monkeypatch.setattr(pyfixest, "feols", broken)
    assert model.audit(panel, estimate).remark == "failed (ValueError: no luck)"
