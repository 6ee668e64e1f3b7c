"""Bounds for direct effects of instruments: refits, a dense box, the formula written out, and coverage of the truth."""

from dataclasses import replace

import numpy as np
import pytest

from syneff.errors import SpecError
from syneff.models.base import Spec
from syneff.models.instruments.plausibly_exogenous import PlausiblyExogenous
from syneff.models.two_stage import TwoStage
from tests.models.instruments.test_two_stage import endogenous

MODEL = TwoStage(Spec("y", "d", ("a", "b"), ("z1", "z2")))
SUPPORT = {"z1": (-0.05, 0.2), "z2": (0.0, 0.1)}
PRIOR = {"z1": (0.05, 0.1), "z2": (-0.02, 0.03)}


@pytest.fixture(scope="module")
def panel():
    return endogenous()


@pytest.fixture(scope="module")
def found(panel):
    return PlausiblyExogenous(MODEL, SUPPORT, PRIOR).estimate(panel)


@pytest.fixture(scope="module")
def under(panel):
    """2SLS under given direct effects, by a fit of its own."""
    import jax

    design, fit = MODEL.design(panel), jax.jit(MODEL.fit)

    def refit(gamma):
        moved = design.outcome - design.instruments @ np.asarray(gamma)
        return fit(replace(design, outcome=moved))

    return refit


def test_union_is_that_of_a_dense_box(found, under):
    frame = found.frame().set_index("term")
    row = frame.loc["union_of_intervals:d"]
    lows, highs, t = [], [], []
    for first in np.linspace(*SUPPORT["z1"], 6):
        for second in np.linspace(*SUPPORT["z2"], 5):
            one = under([first, second]).frame().iloc[0]
            lows.append(one["conf_low"])
            highs.append(one["conf_high"])
            t.append(one["statistic"])
    assert row["conf_low"] == pytest.approx(min(lows), rel=1e-9)
    assert row["conf_high"] == pytest.approx(max(highs), rel=1e-9)
    assert np.sign(t).min() == np.sign(t).max() == 1
    assert row["statistic"] == pytest.approx(min(t), rel=1e-9)


def test_no_direct_effect_gives_the_usual_interval(found):
    frame, curve = found.frame().set_index("term"), found.details["plausibly_exogenous"]
    nothing = curve[curve["share"] == 0].set_index("kind")
    assert nothing["low"]["union_of_intervals"] == pytest.approx(frame["conf_low"]["d"], rel=1e-9)
    assert nothing["statistic"]["local_to_zero"] == pytest.approx(frame["statistic"]["d"], rel=1e-9)
    wide = curve[curve["kind"] == "union_of_intervals"]
    assert (np.diff(wide["high"] - wide["low"]) > 0).all()


def test_local_to_zero_is_the_formula(found, under):
    """With A the coefficients of 2SLS of each instrument, by refits: the estimate is linear in direct effects."""
    base = under([0.0, 0.0])
    onto = np.array([float(base.coef[0] - under(each).coef[0]) for each in ([2.0, 0.0], [0.0, 2.0])]) / 2.0
    mean, sd = np.array([PRIOR["z1"], PRIOR["z2"]]).T
    centre, variance = float(base.coef[0]) - onto @ mean, float(base.cov[0, 0]) + onto**2 @ sd**2
    row = found.frame().set_index("term").loc["local_to_zero:d"]
    assert row["conf_low"] == pytest.approx(centre - 1.959963984540054 * np.sqrt(variance), rel=1e-9)
    assert row["conf_high"] == pytest.approx(centre + 1.959963984540054 * np.sqrt(variance), rel=1e-9)
    assert row["statistic"] == pytest.approx(centre / np.sqrt(variance), rel=1e-9)


def test_a_direct_effect_biases_2sls_and_the_right_one_mends_it(panel):
    wrong = panel.assign({"y": panel.column("y") + 0.3 * panel.column("z1") + 0.3 * panel.column("z2")})
    gamma = {"z1": (0.3, 0.3), "z2": (0.3, 0.3)}
    row = PlausiblyExogenous(MODEL, gamma).estimate(wrong).frame().set_index("term").loc["union_of_intervals:d"]
    clean = MODEL.estimate(panel).frame().set_index("term").loc["d"]
    assert row["conf_low"] == pytest.approx(clean["conf_low"], rel=1e-8)
    assert row["conf_high"] == pytest.approx(clean["conf_high"], rel=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"support": {"z9": (0.0, 1.0)}}, "'z9'"),
        ({"support": {"z1": (1.0, 0.0)}}, "lowest, highest"),
        ({"prior": {"z1": (0.0, -1.0)}}, "standard deviation"),
        ({"model": replace(MODEL, estimator="liml")}, "liml is not linear"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        PlausiblyExogenous(**{"model": MODEL, **options})


def test_nothing_to_allow_for_is_told(panel):
    with pytest.raises(SpecError, match="no direct effect to allow for"):
        PlausiblyExogenous(MODEL).estimate(panel)
