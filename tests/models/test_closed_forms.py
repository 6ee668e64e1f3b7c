"""The batch verbs of fixed effects in closed form against refitting every draw, on balanced and unbalanced panels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from syneff.models.base import Estimator, Spec
from syneff.models.fixed_effects import FixedEffects
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a", "b"))
EXACT = 1e-12
COVARIANCES = [
    {},
    {"cluster": "region"},
    {"covariance": "CR0"},
    {"small_sample": "lsdv"},
    {"cluster": None},
    {"cluster": None, "covariance": "HC1"},
    {"cluster": "period"},
]
EFFECTS = [("unit", "period"), ("unit",), ("period",), ()]
PANELS = {
    "balanced": lambda: staggered(7),
    "product": lambda: weighted(np.outer(np.r_[0.0, np.linspace(1, 3, 29)], np.r_[1.0, 0.0, 2.0, np.ones(5)])),
    "missing": lambda: staggered(7, missing=0.3),
    "weighted": lambda: weighted(np.random.default_rng(3).uniform(0.3, 2.0, (30, 8))),
}
# Every covariance on a panel with gaps, every set of effects, and each reason for the balanced form; a case compiles for long.
CASES = [("missing", each, EFFECTS[0]) for each in COVARIANCES]
CASES += [("balanced", each, EFFECTS[0]) for each in COVARIANCES[:2]]
CASES += [("weighted", {}, effects) for effects in EFFECTS]
CASES += [("product", {"cluster": None}, EFFECTS[0]), ("product", {"cluster": "region"}, EFFECTS[0])]


def weighted(weights):
    panel = staggered(7)
    return panel.reweight(panel.weights * weights)


def model_of(options, effects):
    return FixedEffects(Spec("y", "treat", ("a", "b"), effects=effects, **options))


def agree(ours, generic):
    assert ours.names == generic.names[: len(ours.names)]
    terms = len(ours.names)
    np.testing.assert_allclose(ours.coef, generic.coef[:, :terms], rtol=EXACT, atol=1e-14)
    np.testing.assert_allclose(ours.cov, generic.cov[:, :terms, :terms], rtol=1e-11, atol=1e-15)
    for name in ("nobs", "n_units", "n_periods", "dof"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(generic, name))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "effects"), CASES)
def test_verbs_are_refitting(name, options, effects):
    panel, model = PANELS[name](), model_of(options, effects)
    design = model.design(panel)
    assert design.balanced == (name in ("balanced", "product"))
    rng = np.random.default_rng(0)
    paths = jnp.asarray((np.arange(8)[None, :] >= np.arange(9)[:, None]).astype(float))
    assigned = jnp.asarray(rng.choice([2, 4, 5, 8], size=(5, 30)))
    weights = jnp.asarray(
        np.stack([*rng.exponential(size=(2, 30)), *rng.multinomial(30, np.ones(30) / 30, 2), 1 - np.eye(30)[4]])
    )
    outcomes = jnp.asarray(rng.normal(size=(4, 30, 8)))

    @jax.jit
    def ours(design):
        drawn = model.fit_treatments(design, paths[assigned])
        return (
            drawn,
            model.fit_paths(design, paths, assigned),
            model.fit_weights(design, weights),
            model.fit_outcomes(design, outcomes),
        )

    @jax.jit
    def generic(design):
        return (
            Estimator.fit_treatments(model, design, paths[assigned]),
            Estimator.fit_weights(model, design, weights),
            Estimator.fit_outcomes(model, design, outcomes),
        )

    treatments, by_path, by_weight, by_outcome = ours(design)
    fitted, reweighted, refitted = generic(design)
    agree(treatments, fitted)
    agree(by_path, fitted)
    agree(by_weight, reweighted)
    agree(by_outcome, refitted)
