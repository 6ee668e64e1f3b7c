"""Estimators as an axis: each specification is the estimator run alone, whatever it is, and so are its placebo draws."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from syneff.errors import SpecError
from syneff.models.base import Estimator, jit_fit
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from syneff.models.group_effects import GroupPeriodEffects
from syneff.models.matching import Matching, matched
from syneff.models.resampling import Placebo
from syneff.models.spec import Spec
from syneff.models.two_stage import TwoStage
from syneff.panel.samples import where
from syneff.pipeline import Multiverse
from syneff.spatial.durbin import SpatialDurbin
from syneff.spatial.weights import Weights
from tests.panels import staggered

SPEC = Spec("y", controls=("a", "b"))
PANEL = staggered(3)
RING = Weights.from_dense(np.roll(np.eye(30), 1, axis=0) + np.roll(np.eye(30), -1, axis=0), ids=PANEL.units)
MAKERS = {
    "fixed effects": FixedEffects,
    "region years": partial(GroupPeriodEffects, by="region"),
    "durbin": partial(SpatialDurbin, weights=RING),
    "event study": EventStudy,
}


@dataclass(frozen=True)
class Plain(Estimator):
    """Fixed effects with the generic verbs alone."""

    spec: Spec

    def design(self, panel):
        return FixedEffects(self.spec).design(panel)

    def fit(self, design):
        return FixedEffects(self.spec).fit(design)


@pytest.fixture(scope="module")
def found():
    effects = {"both": ("unit", "period"), "unit": ("unit",)}
    options = {"estimators": MAKERS, "effects": effects, "controls": {"a": ("a",), "b": ("b",)}}
    return Multiverse(SPEC, **options).estimate(PANEL).details["specifications"]


def test_each_specification_is_the_estimator_run_alone(found):
    for label, term in {"fixed effects": "treat", "region years": "treat", "durbin": "direct:treat"}.items():
        rows = found[(found["estimator"] == label) & (found["effects"] == "both")]
        assert list(rows["controls"]) == ["a", "b"]
        for _, row in rows.iterrows():
            model = MAKERS[label](replace(SPEC, controls=(row["controls"],)))
            expected = model.estimate(PANEL).frame().set_index("term").loc[term]
            for key in ("estimate", "std_error", "p_value", "conf_low", "nobs"):
                assert row[key] == pytest.approx(expected[key], rel=1e-9), (label, key)
            spread = PANEL.column("y").std()
            assert row["standardised"] == pytest.approx(expected["estimate"] / spread, rel=1e-9)


def test_what_an_estimator_makes_of_a_panel_is_made_once_a_sample():
    made = []

    def ring(panel):
        made.append(panel.sample.sum())
        return RING

    samples = {"all": None, "late": partial(where, condition="period >= 2001")}
    grid = {"controls": {"a": ("a",), "b": ("b",)}, "clusters": ("unit", "region"), "samples": samples}
    make = partial(SpatialDurbin, weights=ring)
    frame = Multiverse(SPEC, estimators={"durbin": make}, **grid).estimate(PANEL).details["specifications"]
    assert np.isfinite(frame["std_error"]).all()
    assert made == [240, 210]


def test_an_option_may_name_a_regressor():
    make = partial(SpatialDurbin, weights=RING, model="slx", durbin=("a",))
    options = {"controls": {"both": ("a", "b"), "b": ("b",)}}
    frame = Multiverse(SPEC, estimators={"a lagged": make}, **options).estimate(PANEL).details["specifications"]
    both, without = frame.to_dict("records")
    expected = make(SPEC).estimate(PANEL).frame().set_index("term").loc["direct:treat"]
    assert both["estimate"] == pytest.approx(expected["estimate"], rel=1e-9)
    assert "unknown regressor in durbin: 'a'" in without["message"]


def test_an_estimator_that_cannot_be_applied_has_a_message(found):
    refused = found[(found["estimator"] == "region years") & (found["effects"] == "unit")]
    assert len(refused) == 2
    assert refused["estimate"].isna().all()
    assert refused["message"].str.contains("has no period effects to let differ by region").all()
    events = found[found["estimator"] == "event study"]
    assert events["message"].str.contains("EventStudy has no one effect of the treatment").all()
    assert np.isfinite(found.loc[found["message"] == "", "std_error"]).all()


def test_messages_name_the_users_own_columns():
    gaps = PANEL.column("b").copy()
    gaps[:] = np.nan
    panel = PANEL.assign({"b": gaps})
    frame = Multiverse(SPEC, estimators={"plain": Plain}).estimate(panel).details["specifications"]
    assert "column 'b' has no value" in frame.set_index("controls").loc["a b", "message"]


def test_instruments_go_to_the_estimator_that_takes_them():
    rng = np.random.default_rng(0)
    panel = PANEL.assign({"z": PANEL.column("treat") + rng.normal(size=PANEL.shape)})
    spec = Spec("y", controls=("a",), instruments=("z",))
    makers = {"2sls": TwoStage, "durbin": MAKERS["durbin"]}
    grid = Multiverse(spec, estimators=makers, controls={"a": ("a",)})
    rows = grid.estimate(panel).details["specifications"].set_index("estimator")
    second = jit_fit(TwoStage(spec), TwoStage(spec).design(panel))
    assert rows.loc["2sls", "estimate"] == pytest.approx(float(second.coef[0]), rel=1e-9)
    assert rows.loc["2sls", "std_error"] == pytest.approx(float(second.std_error[0]), rel=1e-9)
    assert "takes no instruments" in rows.loc["durbin", "message"]


def test_equal_shapes_are_compiled_once_whatever_their_names():
    traces = []

    @dataclass(frozen=True)
    class Counted(Plain):
        def fit(self, design):
            traces.append(len(design.names))
            return super().fit(design)

    samples = {"all": None, "late": partial(where, condition="period >= 2001")}
    panel = PANEL.assign({"other": PANEL.column("a") + PANEL.column("y")})
    grid = {"samples": samples, "outcomes": ("y", "other"), "controls": {"a": ("a",), "b": ("b",), "both": ("a", "b")}}
    one = Multiverse(SPEC, estimators={"plain": Counted}, **grid).estimate(panel).details["specifications"]
    assert sorted(traces) == [2, 3]
    two = Multiverse(SPEC, **grid).estimate(panel).details["specifications"]
    np.testing.assert_allclose(one[["estimate", "std_error", "dof"]], two[["estimate", "std_error", "dof"]], rtol=1e-9)


def test_joint_draws_are_those_of_the_placebo_and_the_same_by_any_estimator():
    options = {"controls": {"both": ("a", "b")}, "draws": 49}
    one = Multiverse(SPEC, estimators={"plain": Plain}, **options).estimate(PANEL, seed=2, name="m")
    two = Multiverse(SPEC, **options).estimate(PANEL, seed=2, name="m")
    placebo = Placebo(FixedEffects(SPEC), draws=49).estimate(PANEL, seed=2, name="m").frame().set_index("term")
    pvalues = [each.frame().set_index("term")["p_value"] for each in (one, two)]
    for test in ("joint_median", "joint_share", "joint_t"):
        assert pvalues[0][test] == pvalues[1][test]
    assert pvalues[0]["joint_median"] == pytest.approx(placebo.loc["randomization", "p_value"])


def test_joint_tests_leave_out_what_cannot_be_drawn():
    @dataclass(frozen=True)
    class Fixed(Plain):
        def fit_paths(self, design, paths, assigned):
            raise SpecError("its treatment is what it is.")

    options = {"controls": {"both": ("a", "b")}, "draws": 9}
    one = Multiverse(SPEC, estimators={"fe": FixedEffects, "fixed": Fixed}, **options).estimate(PANEL, seed=2, name="m")
    two = Multiverse(SPEC, **options).estimate(PANEL, seed=2, name="m")
    for test, other in zip(one.tests, two.tests, strict=True):
        assert (test.statistic, test.pvalue) == (other.statistic, other.pvalue)
    assert any("1 specifications left out of the joint tests" in note for note in one.notes)


def test_a_matched_sample_is_a_sample():
    step = partial(matched, matching=Matching(covariates=("a", "b"), by="pre_treatment"))
    frame = Multiverse(SPEC, samples={"all": None, "matched": step}).estimate(PANEL).details["specifications"]
    row = frame[(frame["sample"] == "matched") & (frame["controls"] == "a b")].iloc[0]
    expected = FixedEffects(SPEC).estimate(step(PANEL)).frame().set_index("term").loc["treat"]
    assert row["estimate"] == pytest.approx(expected["estimate"], rel=1e-9)
    assert row["nobs"] == expected["nobs"] < PANEL.sample.sum()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ("fixed_effects", "is 'fixed_effects', which makes no estimator of others. Write e.g. {_target_"),
        (FixedEffects(SPEC), "is a FixedEffects of one specification, which makes no estimator of others"),
        (SpatialDurbin, "missing a required argument: 'weights'"),
        (partial(FixedEffects, spec=SPEC), "Leave spec out"),
    ],
)
def test_what_makes_no_estimator_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        Multiverse(SPEC, estimators={"mine": make})


def test_an_estimator_of_something_else_is_refused():
    with pytest.raises(SpecError, match="is Placebo, which does not estimate one specification"):
        Multiverse(SPEC, estimators={"mine": lambda spec: Placebo(FixedEffects(spec))}).estimate(PANEL)
