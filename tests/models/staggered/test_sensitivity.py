"""Sensitivity around event studies: what it reads, what it reports, and a violation that it sees through."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import SpecError
from syneff.models.base import Spec
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from syneff.models.staggered.event_path import event_path
from syneff.models.staggered.sensitivity import Sensitivity
from syneff.models.staggered.smoothness import Smoothness
from tests.event_paths import path_of
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a",))
MODEL = EventStudy(SPEC, window=(-4, 3))
ASKED = Sensitivity(MODEL, relative_magnitudes=(0, 1), smoothness=(0, 0.1), threshold=1)


@pytest.fixture(scope="module")
def panel():
    return staggered(2)


@pytest.fixture(scope="module")
def actual(panel):
    return MODEL.estimate(panel)


@pytest.fixture(scope="module")
def found(panel):
    return ASKED.estimate(panel, seed=3, name="cell")


def test_the_path_is_that_of_the_terms(actual):
    path = event_path(actual)
    expected = path_of(np.asarray(actual.coef[:7]), np.asarray(actual.cov[:7, :7]), 3)
    for name in ("times", "coef", "cov", "places"):
        np.testing.assert_array_equal(getattr(path, name), getattr(expected, name))
    assert (path.base, path.first, path.posts) == (3, 4, 4)
    np.testing.assert_array_equal(path.pre, [0, 1, 2])


def test_the_models_own_estimate_stays(actual, found):
    np.testing.assert_array_equal(actual.coef, found.coef)
    np.testing.assert_array_equal(actual.cov, found.cov)
    assert [test.name for test in found.tests if test.name == "pre_trend"] == ["pre_trend"]


def test_rows_and_frames_say_the_same(found, actual):
    rows = found.frame().set_index("term")
    breakdown = found.details["breakdown"].set_index(["kind", "target"])["breakdown"]
    for kind in ("relative_magnitudes", "smoothness"):
        for target in ("first", "average"):
            assert rows.loc[f"breakdown:{kind}:{target}", "statistic"] == breakdown[kind, target]
    slopes = found.details["pre_test"].drop_duplicates("power").set_index("power")["slope"]
    assert rows.loc["slope_detected[0.8]", "statistic"] == slopes[0.8]
    smallest = found.details["equivalence"].set_index("test").loc["equivalence_max"]
    assert rows.loc["equivalence_max", ["conf_low", "conf_high"]].tolist() == [
        -smallest["smallest_threshold"],
        smallest["smallest_threshold"],
    ]
    assert rows.loc["equivalence_max", "p_value"] == smallest["p_value"]
    curve = found.details["sensitivity"].set_index(["kind", "target"])
    original = curve.loc[("original", "average")]
    weights = np.concatenate([np.zeros(3), np.full(4, 0.25)])
    value = weights @ np.asarray(actual.coef[:7])
    error = np.sqrt(weights @ np.asarray(actual.cov[:7, :7]) @ weights)
    assert original["identified_low"] == pytest.approx(value)
    assert (original["conf_high"] - original["conf_low"]) / 2 == pytest.approx(1.959963985 * error)
    smooth = curve.loc[("smoothness", "first")]
    expected = Smoothness(event_path(actual), np.array([1.0, 0, 0, 0]), 0.05).interval(0.1)
    np.testing.assert_array_equal(smooth.loc[smooth["bound"] == 0.1, ["conf_low", "conf_high"]].to_numpy()[0], expected)


def test_draws_depend_on_seed_and_name_alone(panel, found):
    again = ASKED.estimate(panel, seed=3, name="cell").details["sensitivity"]
    assert again.equals(found.details["sensitivity"])
    other = ASKED.estimate(panel, seed=4, name="cell").details["sensitivity"]
    assert not other.equals(again)
    np.testing.assert_allclose(other["conf_low"], again["conf_low"], rtol=0.05)


def test_targets_and_window(panel, actual):
    asked = replace(ASKED, targets={"third": [0, 0, 1]}, window=(-3, 2))
    found = asked.estimate(panel)
    assert set(found.details["sensitivity"]["target"]) == {"third"}
    row = found.details["sensitivity"].iloc[0]
    assert row["identified_low"] == pytest.approx(float(actual.coef[actual.names.index("event[2]")]))
    assert not any("pool" in note for note in found.notes)
    whole = ASKED.estimate(panel)
    assert any("event times -4 and 3 pool all beyond them" in note for note in whole.notes)


def test_a_gap_ends_the_path(panel):
    """Cohorts of 2002 and later, seen from 2000 on: five periods before adoption are seen of no one but the last cohort."""
    estimate = EventStudy(SPEC, window=(-7, 5)).estimate(panel)
    coef = np.asarray(estimate.coef).copy()
    coef[estimate.names.index("event[-4]")] = np.nan
    path = event_path(replace(estimate, coef=jnp.asarray(coef)))
    assert path.times[0] == -3
    assert -5 in path.dropped
    assert -7 not in path.dropped


def test_anticipation_moves_the_first_period_of_the_effect(panel):
    estimate = EventStudy(SPEC, window=(-4, 3), base=-2).estimate(panel)
    path = event_path(estimate, anticipation=1)
    assert path.times[path.first] == -1
    np.testing.assert_array_equal(path.times[path.pre], [-4, -3])
    later = event_path(estimate)
    np.testing.assert_array_equal(later.times[later.pre], [-4, -3, -1])


def test_models_without_a_joint_test_get_one(panel, actual, found):
    class Bare(EventStudy):
        def estimate(self, panel, *, seed=0, name=""):
            return replace(super().estimate(panel), tests=())

    bare = replace(ASKED, model=Bare(SPEC, window=(-4, 3))).estimate(panel).frame().set_index("term")
    own = actual.frame().set_index("term")
    assert bare.loc["pre_trend", "statistic"] == pytest.approx(own.loc["pre_trend", "statistic"])
    assert bare.loc["pre_trend", "p_value"] == pytest.approx(own.loc["pre_trend", "p_value"])


def test_a_linear_violation_is_seen_through():
    """Trends part by a line: the usual interval is off, those that allow for a line are not."""
    panel = staggered(5, units=60)
    treat = panel.column("treat")
    rng = np.random.default_rng(0)
    first = np.where(treat.any(1), treat.argmax(1), 99)
    event = np.where(first[:, None] < 99, np.arange(8)[None, :] - first[:, None], 0)
    y = 0.4 * event + 1.0 * treat + 0.02 * rng.normal(size=panel.shape)
    asked = Sensitivity(
        EventStudy(Spec("y", "treat"), window=(-5, 5)), relative_magnitudes=(0.0, 1.2), smoothness=(0.0,)
    )
    frame = asked.estimate(panel.assign({"y": y})).details["sensitivity"]
    frame = frame[frame["target"] == "first"].set_index(["kind", "bound"])
    holds = (frame["conf_low"] <= 1.0) & (frame["conf_high"] >= 1.0)
    assert not holds.iloc[0]
    assert not holds["relative_magnitudes", 0.0]
    assert holds["relative_magnitudes", 1.2]
    assert holds["smoothness", 0.0]


def test_mistakes(panel, actual):
    with pytest.raises(SpecError, match=r"needs the terms event\[...\] of one event study; the model has treat, a"):
        replace(ASKED, model=FixedEffects(SPEC)).estimate(panel)
    with pytest.raises(SpecError, match="leave no period before the effect beside the base"):
        replace(ASKED, window=(-1, 3)).estimate(panel)
    with pytest.raises(SpecError, match="must be consecutive but for one"):
        event_path(actual.of_terms(("event[-2]", "event[0]", "event[2]")))
    with pytest.raises(SpecError, match="must be weights, not all 0, of at most the 4 event times 0 to 3"):
        replace(ASKED, targets={"late": [0, 0, 0, 0, 1]}).estimate(panel)
    cov = np.asarray(actual.cov).copy()
    cov[0, 1] = np.nan
    with pytest.raises(SpecError, match="covariance between event times"):
        event_path(replace(actual, cov=jnp.asarray(cov)))
    with pytest.raises(SpecError, match="holds -1"):
        replace(ASKED, smoothness=(-1,))
    with pytest.raises(SpecError, match="between 0 and 1, not 80"):
        replace(ASKED, powers=(80,))
    with pytest.raises(SpecError, match="C-LF"):
        replace(ASKED, method="clf")
    with pytest.raises(SpecError, match="threshold=0"):
        replace(ASKED, threshold=0)
