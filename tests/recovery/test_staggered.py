"""Effects that differ by cohort and grow: two-way fixed effects miss their mean, the estimators made for it do not."""

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.staggered.imputation import Imputation
from syneff.models.staggered.interaction_weighted import SunAbraham
from syneff.models.staggered.stacked import Stacked
from syneff.panel.panel import Panel

UNITS, PERIODS = 40, 8
SPEC = Spec("y", "treat", ("x",))
FIRST = np.repeat([2, 4, 5, 99], UNITS // 4)
EVENT = np.arange(PERIODS)[None, :] - FIRST[:, None]
EFFECT = np.where(EVENT >= 0, (1.0 + EVENT) * np.where(FIRST == 2, 1.0, 0.3)[:, None], 0.0)


def untreated(seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(UNITS, PERIODS))
    y = rng.normal(size=(UNITS, 1)) + rng.normal(size=(1, PERIODS)) + 0.7 * x
    return x, y + noise * rng.normal(size=(UNITS, PERIODS))


def panel_of(x, y):
    columns = {"y": y, "treat": (EVENT >= 0).astype(float), "x": x}
    return Panel(tuple(range(UNITS)), tuple(range(2000, 2000 + PERIODS)), columns, {}, np.ones((UNITS, PERIODS)))


@pytest.fixture(scope="module")
def exact():
    x, y = untreated()
    return panel_of(x, y + EFFECT)


def test_two_way_fixed_effects_miss_the_mean_effect(exact):
    found = FixedEffects(SPEC).estimate(exact)
    assert abs(float(found.coef[0]) / EFFECT[EVENT >= 0].mean() - 1) > 0.2


@pytest.mark.parametrize(
    "model", [SunAbraham(SPEC, window=(-3, 3)), Imputation(SPEC, window=(-3, 3))], ids=["sa", "bjs"]
)
def test_without_noise_the_effects_are_found_exactly(exact, model):
    found = model.estimate(exact).frame().set_index("term")["estimate"]
    assert found["treat"] == pytest.approx(EFFECT[EVENT >= 0].mean(), rel=1e-10)
    for each in range(4):
        rows = each == EVENT if each < 3 else EVENT >= 3
        assert found[f"event[{each}]"] == pytest.approx(EFFECT[rows].mean(), rel=1e-10)
    assert found["event[-2]"] == pytest.approx(0.0, abs=1e-10)
    assert found["x"] == pytest.approx(0.7, rel=1e-10)


def test_stacks_find_the_effects_of_their_cohorts_exactly():
    x, y = untreated()
    y = y - 0.7 * x
    found = Stacked(Spec("y", "treat"), window=(-2, 2)).estimate(panel_of(x, y + EFFECT))
    for place, each in ((2, 0), (3, 1), (4, 2)):
        assert float(found.coef[place]) == pytest.approx(EFFECT[each == EVENT].mean(), rel=1e-10)
    inside = (EVENT >= 0) & (EVENT <= 2)
    assert float(found.coef[0]) == pytest.approx(EFFECT[inside].mean(), rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [SunAbraham(SPEC, window=(-3, 3)), Imputation(SPEC, window=(-3, 3)), Stacked(SPEC, window=(-2, 2))],
    ids=["sa", "bjs", "stacked"],
)
def test_standard_errors_are_the_spread_of_estimates(model):
    x, y = untreated()
    rng = np.random.default_rng(1)
    outcomes = jnp.asarray((y + EFFECT)[None] + rng.normal(size=(400, UNITS, PERIODS)))
    found = model.fit_outcomes(model.design(panel_of(x, y + EFFECT)), outcomes)
    spread, errors = np.asarray(found.coef)[:, 0].std(ddof=1), np.asarray(found.std_error)[:, 0]
    # The sampling error of a standard deviation of 400 draws is 3.5 %; clusters are few, so errors fall short a little.
    assert 0.85 < errors.mean() / spread < 1.15
    if not isinstance(model, Stacked):
        mean = np.asarray(found.coef)[:, 0].mean()
        assert mean == pytest.approx(EFFECT[EVENT >= 0].mean(), abs=4 * spread / 20)
