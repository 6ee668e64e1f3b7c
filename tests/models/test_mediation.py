"""Mediation: the identity, refits by hand, Sobel's error, confounding of the mediator, and recovery of a known share."""

from dataclasses import replace

import numpy as np
import pytest

from syneff.errors import SpecError
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.mediation import RHOS, Mediation
from syneff.models.resampling import PairsBootstrap
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a",))
BOTH = Mediation(SPEC, ("m", "n"), draws=0)
ONE = Mediation(SPEC, ("m",), draws=19)


def mediated(seed=0, units=30, periods=6, missing=0.05, confounding=0.0):
    """A panel with a direct effect of 0.4, 0.8 x 0.5 through `m` and 0.5 x 0.2 through `n`."""
    panel = staggered(seed, units=units, periods=periods, missing=missing)
    rng = np.random.default_rng(seed + 500)
    shocks = rng.normal(size=(3, *panel.shape))
    treat, unit = panel.column("treat"), rng.normal(size=(units, 1))
    m = 0.8 * treat + 0.3 * panel.column("a") + unit + shocks[0]
    n = 0.5 * treat - unit + 0.5 * shocks[0] + shocks[1]
    y = 0.4 * treat + 0.5 * m + 0.2 * n + panel.column("a") + unit + shocks[2] + confounding * shocks[0]
    return panel.assign({"m": m, "n": n, "y": y})


@pytest.fixture(scope="module")
def panel():
    return mediated()


@pytest.fixture(scope="module")
def both(panel):
    return BOTH.estimate(panel)


@pytest.fixture(scope="module")
def one(panel):
    return ONE.estimate(panel, seed=3)


def rows(estimate):
    return estimate.frame().set_index("term")


def equation(panel, outcome, *controls):
    return FixedEffects(Spec(outcome, "treat", (*controls, "a"))).estimate(panel).frame().set_index("term")


def test_products_are_differences(both, one):
    for estimate in (both, one):
        assert float(estimate.stats["identity_residual"]) < 1e-12
    found = rows(both)["estimate"]
    assert found["indirect:treat"] == pytest.approx(found["total:treat"] - found["direct:treat"], abs=1e-12)
    for name in ("m", "n"):
        gap = found["total:treat"] - found[f"direct_alone:{name}"]
        assert found[f"indirect_alone:{name}"] == pytest.approx(gap, abs=1e-12)


def test_equations_are_regressions_of_their_own(panel, both, one):
    found = rows(both)
    joint, total = equation(panel, "y", "m", "n"), equation(panel, "y")
    pairs = {
        "total:treat": total.loc["treat"],
        "direct:treat": joint.loc["treat"],
        "b:m": joint.loc["m"],
        "b:n": joint.loc["n"],
    }
    for name in ("m", "n"):
        alone = equation(panel, "y", name)
        pairs |= {f"b_alone:{name}": alone.loc[name], f"direct_alone:{name}": alone.loc["treat"]}
        pairs[f"a:{name}"] = equation(panel, name).loc["treat"]
        assert found["outcome"][f"a:{name}"] == name
    for term, row in pairs.items():
        for column in ("estimate", "std_error", "conf_low", "nobs", "dof"):
            assert found[column][term] == pytest.approx(row[column], rel=1e-10), term
    assert found["estimate"]["b_alone:m"] == pytest.approx(rows(one)["estimate"]["b:m"], rel=1e-10)


def test_sobel_by_hand(both):
    found = rows(both)
    a, b = found["estimate"]["a:m"], found["estimate"]["b:m"]
    error = np.sqrt(a**2 * found["std_error"]["b:m"] ** 2 + b**2 * found["std_error"]["a:m"] ** 2)
    assert found["estimate"]["indirect:m"] == pytest.approx(a * b, rel=1e-14)
    assert found["std_error"]["indirect:m"] == pytest.approx(error, rel=1e-12)
    assert found["estimate"]["share:m"] == pytest.approx(a * b / found["estimate"]["total:treat"], rel=1e-14)
    assert np.isnan(found["std_error"]["share:m"])


def residuals(panel, outcome):
    """Residuals of an outcome on treatment, control and explicit dummies."""
    inside = panel.sample
    unit, period = (each[inside] for each in np.indices(panel.shape))
    basis = [np.eye(panel.shape[0])[unit], np.eye(panel.shape[1])[period][:, 1:]]
    basis = np.column_stack([*basis, *(panel.column(name)[inside] for name in ("treat", "a"))])
    values = panel.column(outcome)[inside]
    return values - basis @ np.linalg.lstsq(basis, values, rcond=None)[0]


def test_confounding_at_which_nothing_is_left_is_the_correlation_of_residuals(panel, one):
    first, second = residuals(panel, "y"), residuals(panel, "m")
    correlation = first @ second / np.sqrt(first @ first * (second @ second))
    assert rows(one)["estimate"]["rho:m"] == pytest.approx(correlation, rel=1e-10)
    curve = one.details["sensitivity"].set_index("rho")["indirect"]
    assert curve[0.0] == pytest.approx(rows(one)["estimate"]["indirect:m"], rel=1e-10)
    a = rows(one)["estimate"]["a:m"]
    for rho in (-0.5, 0.3, 0.9):
        # The slope of the mediator when its error and the outcome's have the correlation rho, solved for by bisection.
        by_hand = a * slope_under(first, second, rho)
        assert curve[rho] == pytest.approx(by_hand, rel=1e-8)


def slope_under(first, second, rho):
    """Return ``b`` for which errors of the outcome, ``first - b second``, have the correlation rho with the mediator's."""

    def gap(b):
        error = first - b * second
        return error @ second / np.sqrt(error @ error * (second @ second)) - rho

    low, high = -50.0, 50.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if gap(middle) > 0 else (low, middle)
    return middle


def test_a_confounded_mediator_is_found_out_by_the_correlation_that_was_put_in():
    """Errors of mediator and outcome correlate by 0.6 / sqrt(1 + 0.6^2): the curve there is the truth, at 0 it is not."""
    confounded = mediated(seed=1, units=400, periods=6, missing=0.0, confounding=0.6)
    # Without the second mediator: its part of `y` is taken out.
    clean = confounded.assign({"y": confounded.column("y") - 0.2 * confounded.column("n")})
    found = replace(ONE, draws=0).estimate(clean)
    curve = found.details["sensitivity"]
    rho = 0.6 / np.sqrt(1 + 0.36)
    right = np.interp(rho, curve["rho"], curve["indirect"])
    assert right == pytest.approx(0.4, abs=0.1)
    assert rows(found)["estimate"]["indirect:m"] > 0.6


def test_a_known_share_is_recovered():
    found = replace(BOTH, draws=0).estimate(mediated(seed=4, units=400, missing=0.0))
    table = rows(found)
    for term, truth in {"indirect:m": 0.4, "indirect:n": 0.1, "direct:treat": 0.4, "total:treat": 0.9}.items():
        assert abs(table["estimate"][term] - truth) < 4 * table["std_error"][term]
    assert table["estimate"]["share:treat"] == pytest.approx(5 / 9, abs=0.15)


def test_draws_are_shared_and_each_is_a_refit(panel, one):
    draws = PairsBootstrap(FixedEffects(replace(SPEC, controls=("a",))), draws=19).estimate(panel, seed=3).draws
    np.testing.assert_allclose(one.draws.coef[:, 0], draws.coef[:, 0], rtol=1e-9)
    drawn = {name: np.asarray(one.draws.coef[:, place]) for place, name in enumerate(one.names)}
    np.testing.assert_allclose(drawn["a:m"] * drawn["b:m"], drawn["total:treat"] - drawn["direct:treat"], atol=1e-11)
    tests = {test.name: test for test in one.tests}
    low, high = np.quantile(drawn["indirect:m"], (0.025, 0.975))
    assert float(tests["percentile:indirect:m"].low) == pytest.approx(low, rel=1e-12)
    assert float(tests["percentile:indirect:m"].high) == pytest.approx(high, rel=1e-12)
    assert "bca:indirect:m" in tests
    assert rows(one)["std_error"]["indirect:m"] == pytest.approx(
        rows(replace(ONE, draws=0).estimate(panel))["std_error"]["indirect:m"]
    )
    curve = one.details["sensitivity"]
    assert (curve["low"] <= curve["high"]).all()
    assert len(curve) == RHOS.size


@pytest.mark.slow
def test_weights_are_refits(panel):
    import jax
    import jax.numpy as jnp

    design = ONE.design(panel)
    weights = jnp.asarray(np.random.default_rng(0).uniform(0.5, 2.0, (2, panel.shape[0])))
    found, fit = ONE.fit_weights(design, weights), jax.jit(ONE.fit)
    for number in range(2):
        single = fit(replace(design, weights=design.weights * weights[number][:, None]))
        np.testing.assert_allclose(found.coef[number], single.coef, rtol=1e-9)
        np.testing.assert_allclose(found.std_error[number], single.std_error, rtol=1e-9)


def test_the_bad_control_is_warned_of(both, panel):
    assert any("bad control" in note for note in both.notes)
    flipped = replace(ONE, draws=0).estimate(panel.assign({"m": -panel.column("m")}))
    assert not any("other sign" in note for note in flipped.notes)
    against = panel.assign({"y": panel.column("y") - 1.2 * panel.column("m") + 2.0 * panel.column("treat")})
    assert any("no share: indirect:m" in note for note in replace(ONE, draws=0).estimate(against).notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mediators": ()}, "no mediator"),
        ({"mediators": ("a",)}, "'a' stands more than once"),
        ({"mediators": ("m", "m")}, "'m' stands more than once"),
        ({"mediators": ("m",), "draws": -1}, "draws=-1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        Mediation(**{"spec": SPEC, **options})
