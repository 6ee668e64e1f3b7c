"""The multiverse: each specification is the regression that its labels name, and the joint tests are the placebo's."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import Placebo
from syneff.models.spec import Spec
from syneff.panel.samples import where
from syneff.panel.steps import log, winsorise
from syneff.pipeline import Multiverse
from syneff.pipeline.blocks import blocks, spread
from syneff.pipeline.chance import Chances, joint_tests, statistics
from syneff.runtime import key_for
from tests.panels import staggered

SPEC = Spec("y", controls=("a", "b"))
GRID = {
    "transforms": {"none": None, "cut": partial(winsorise, columns=["y"], lower=5, upper=95)},
    "samples": {"all": None, "late": partial(where, condition="period >= 2001")},
    "effects": {"both": ("unit", "period"), "period": ("period",)},
    "clusters": ("unit", "region"),
}


def rows(estimate):
    return estimate.details["specifications"]


@pytest.fixture(scope="module")
def found():
    return Multiverse(SPEC, **GRID).estimate(staggered(3))


def test_the_grid_is_the_product_of_its_choices_and_the_first_is_the_default(found):
    frame = rows(found)
    axes = ["measure", "transform", "sample", "outcome", "treatment", "estimator", "effects", "cluster", "controls"]
    assert len(frame) == 2 * 2 * 2 * 2 * 4 == len(frame.drop_duplicates(axes))
    (default,) = frame[frame["default"]].to_dict("records")
    assert [default[axis] for axis in axes] == [
        "as it is",
        "none",
        "all",
        "y",
        "treat",
        "fixed effects",
        "both",
        "unit",
        "a b",
    ]


def test_each_specification_is_the_regression_that_its_labels_name(found):
    frame = rows(found)
    for _, row in frame.iloc[::7].iterrows():
        panel = staggered(3)
        for axis in ("transform", "sample"):
            step = GRID[f"{axis}s"][row[axis]]
            panel = panel if step is None else step(panel)
        controls = () if row["controls"] == "none" else tuple(row["controls"].split())
        spec = replace(SPEC, controls=controls, effects=GRID["effects"][row["effects"]], cluster=row["cluster"])
        alone = FixedEffects(spec).estimate(panel).frame().set_index("term").loc["treat"]
        for key in ("estimate", "std_error", "p_value", "conf_low", "conf_high", "nobs"):
            assert row[key] == pytest.approx(alone[key], rel=1e-9), key
        spread = panel.column("y")[panel.sample].std()
        assert row["standardised"] == pytest.approx(alone["estimate"] / spread, rel=1e-9)


def test_the_summary_is_that_of_the_rows(found):
    frame, terms = rows(found), found.frame().set_index("term")["estimate"]
    assert terms["median"] == pytest.approx(frame["standardised"].median())
    assert terms["share_significant"] == pytest.approx((frame["p_value"] < 0.05).mean())
    assert terms["mean_t"] == pytest.approx(frame["statistic"].mean())
    shares = terms[terms.index.str.startswith("shapley:")]
    assert shares.sum() == pytest.approx(1)
    assert shares["shapley:outcome"] == 0


def test_a_control_with_gaps_costs_rows_only_where_it_is_used():
    panel = staggered(3)
    gaps = panel.column("b").copy()
    gaps[:4, 2] = np.nan
    panel = panel.assign({"b": gaps})
    frame = rows(Multiverse(SPEC).estimate(panel)).set_index("controls")
    assert frame.loc["a", "nobs"] == panel.sample.sum()
    assert frame.loc["a b", "nobs"] == panel.sample.sum() - 4
    alone = FixedEffects(SPEC).estimate(panel).frame().set_index("term").loc["treat"]
    assert frame.loc["a b", "std_error"] == pytest.approx(alone["std_error"], rel=1e-9)


def test_the_joint_test_of_one_specification_is_its_placebo():
    panel = staggered(5)
    one = Multiverse(SPEC, controls={"both": ("a", "b")}, draws=99).estimate(panel, seed=2, name="m")
    placebo = Placebo(FixedEffects(SPEC), draws=99).estimate(panel, seed=2, name="m").frame().set_index("term")
    tests = one.frame().set_index("term")
    assert tests.loc["joint_median", "p_value"] == pytest.approx(placebo.loc["randomization", "p_value"])
    chance = Placebo(FixedEffects(SPEC), draws=99).estimate(panel, seed=2, name="m").draws_frame()
    beyond = (chance["statistic"].abs() >= abs(tests.loc["joint_t", "statistic"])).sum()
    assert tests.loc["joint_t", "p_value"] == pytest.approx((1 + beyond) / 100)


def test_a_joint_draw_is_the_regression_on_the_assigned_treatment_also_with_gaps_and_weights():
    panel = staggered(3, missing=0.15)
    panel = replace(panel, weights=panel.weights * np.random.default_rng(0).uniform(0.5, 2.0, panel.shape))
    chances = Chances(panel, [SPEC], key_for(2, "m"), draws=2, rule="cohorts")
    assigned = np.asarray(chances.paths)[np.asarray(chances.assigned["treat"])]
    for effects in (("unit", "period"), ("period",)):
        spec = replace(SPEC, effects=effects, cluster="region")
        (block,) = blocks(panel, spec, {"b": ("b",), "a b": ("a", "b")}, {"treatment": "treat"})
        found = chances.fit(block)
        for at, controls in enumerate((("b",), ("a", "b"))):
            model = FixedEffects(replace(spec, controls=controls))
            fits = [model.estimate(panel.assign({"treat": path})) for path in assigned]
            expected = [[fit.coef[0] / spread(block.design), fit.coef[0] / fit.std_error[0]] for fit in fits]
            np.testing.assert_allclose(found[:, :, at].T, expected, rtol=1e-9)


def test_what_cannot_be_estimated_is_told_and_the_rest_goes_on():
    panel = staggered(3).assign({"flat": np.ones((30, 8))})
    found = Multiverse(SPEC, outcomes=("y", "flat"), controls={"a": ("a",)}).estimate(panel)
    frame = rows(found).set_index("outcome")
    assert np.isfinite(frame.loc["y", "estimate"])
    assert "'flat' is 1 on all" in frame.loc["flat", "message"]
    assert any("1 specifications have no estimate: column 'flat' is 1" in note for note in found.notes)
    broken = Multiverse(SPEC, transforms={"log": partial(log, columns=["y"]), "none": None}, controls={"a": ("a",)})
    frame = rows(broken.estimate(panel.assign({"y": panel.column("y") - 10}))).set_index("transform")
    assert frame.loc["log", "message"]
    assert np.isfinite(frame.loc["none", "estimate"])


def test_a_placebo_draw_without_any_estimate_does_not_count():
    rng = np.random.default_rng(0)
    drawn, known = rng.normal(size=(2, 20, 6)), pd.DataFrame({"dof": np.full(4, 30.0)}, index=[0, 2, 3, 5])
    lost = drawn.copy()
    lost[:, [3, 8, 9]] = np.nan
    kept = np.delete(drawn, [3, 8, 9], axis=1)
    said = statistics(drawn[0][0, known.index], drawn[1][0, known.index], known["dof"].to_numpy())
    for found, expected in zip(joint_tests(said, lost, known), joint_tests(said, kept, known), strict=True):
        assert (found.pvalue, found.error) == (expected.pvalue, expected.error)
    assert all(np.isnan(test.pvalue) for test in joint_tests(said, drawn * np.nan, known))


def test_placebo_draws_that_leave_a_sample_without_treated_are_told():
    few = {"few": partial(where, condition="unit in ['u00', 'u01', 'u02', 'u03']")}
    panel = staggered(3)
    panel = replace(panel, units=tuple(f"u{at:02}" for at in range(panel.shape[0])))
    found = Multiverse(SPEC, samples=few, controls={"none": ()}, draws=40).estimate(panel, seed=1, name="m")
    assert any("of 40 placebo draws left out" in note for note in found.notes)
    assert 0 < found.frame().set_index("term").loc["joint_median", "p_value"] <= 1


def test_labels_may_be_numbers():
    samples = {2001: partial(where, condition="period >= 2001"), "all": None}
    frame = rows(Multiverse(SPEC, samples=samples, controls={7: ("a",)}).estimate(staggered(3)))
    assert list(frame["sample"]) == ["2001", "all"]
    assert list(frame["controls"]) == ["7", "7"]
    assert list(frame["default"]) == [True, False]


def test_mistakes_are_told():
    with pytest.raises(SpecError, match="samples\\['late'\\] is 'period >= 2001', which is no step"):
        Multiverse(SPEC, samples={"late": "period >= 2001"})
    with pytest.raises(SpecError, match="draws=-1"):
        Multiverse(SPEC, draws=-1)
    with pytest.raises(SpecError, match="no choice of controls"):
        Multiverse(SPEC, controls={})
    with pytest.raises(SpecError, match="none of 4 specifications"):
        Multiverse(replace(SPEC, outcome="flat")).estimate(staggered(3).assign({"flat": np.ones((30, 8))}))


def test_text_where_a_list_belongs_is_told():
    with pytest.raises(
        SpecError, match=r"controls\['one'\] is 'a', where a list of names belongs.* controls={one: \[a\]}"
    ):
        Multiverse(SPEC, controls={"one": "a"})
    with pytest.raises(SpecError, match=r"effects\['one'\] is 'unit', where a list of names belongs"):
        Multiverse(SPEC, effects={"one": "unit"})
    with pytest.raises(SpecError, match=r"controls\['7'\] is None"):
        Multiverse(SPEC, controls={7: None})
