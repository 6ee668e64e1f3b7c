"""Leaving groups out: each estimate is the refit of a panel without them."""

from dataclasses import replace

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from syneff.models.leave_out import LeaveOneOut
from syneff.panel.samples import where
from tests.panels import staggered

MODEL = FixedEffects(Spec("y", controls=("a", "b")))


def rows_of(estimate):
    return estimate.frame().set_index("term")


@pytest.fixture(scope="module")
def panel():
    return staggered(5, missing=0.05)


@pytest.mark.parametrize("cluster", ["unit", ("unit", "period")])
def test_each_estimate_is_the_refit_without_the_group(panel, cluster):
    """Clusters in two ways have no closed form, so there the generic refits are used."""
    model = FixedEffects(replace(MODEL.spec, cluster=cluster))
    estimate = LeaveOneOut(model, by="region").estimate(panel)
    rows, frame = rows_of(estimate), estimate.details["left_out"].set_index("group")
    full = rows_of(model.estimate(panel)).loc["treat"]
    for column in ("estimate", "std_error", "nobs", "dof"):
        assert rows.loc["treat", column] == pytest.approx(full[column], rel=1e-11)
    for region in ("region 0", "region 4"):
        refit = rows_of(model.estimate(where(panel, condition=f"region != '{region}'"))).loc["treat"]
        own = rows.loc[f"treat[without {region}]"]
        for column in ("estimate", "std_error", "p_value", "conf_low", "nobs", "n_units", "dof"):
            assert own[column] == pytest.approx(refit[column], rel=1e-9)
        moved = (refit["estimate"] - full["estimate"]) / full["std_error"]
        assert frame.loc[region, "moved"] == pytest.approx(moved, rel=1e-6)
        assert frame.loc[region, "units_left_out"] == (panel.traits["region"] == region).sum()


def test_cohorts_are_those_of_the_treatment(panel):
    estimate = LeaveOneOut(MODEL, by="cohort").estimate(panel)
    first = np.where(panel.column("treat").any(1), panel.column("treat").argmax(1), -1)
    seen = sorted(f"{panel.periods[each]}" if each >= 0 else "never" for each in np.unique(first))
    assert list(estimate.details["left_out"]["group"]) == seen
    gone = panel.reweight(np.where((first == 4)[:, None], 0.0, panel.weights))
    refit = rows_of(MODEL.estimate(gone)).loc["treat"]
    assert rows_of(estimate).loc["treat[without 2004]", "estimate"] == pytest.approx(refit["estimate"], rel=1e-9)


def test_what_one_group_carries_is_said(panel):
    """An outcome that responds in one region alone: without it nothing is left."""
    only = panel.column("treat") * (panel.traits["region"] == "region 1")[:, None]
    noise = np.random.default_rng(1).normal(size=panel.shape)
    estimate = LeaveOneOut(MODEL, by="region").estimate(
        panel.assign({"y": 0.8 * only + 0.15 * panel.column("treat") + 0.3 * noise})
    )
    notes = " ".join(estimate.notes)
    assert "(without region 1) and" in notes
    assert "no longer significant at 5 % without region 1" in notes
    largest = estimate.details["left_out"].set_index("group")["moved"].abs().idxmax()
    assert largest == "region 1"


def test_without_all_treated_units_there_is_nothing(panel):
    treated = np.where(panel.column("treat").any(1), "pilot", "other").astype(object)
    estimate = LeaveOneOut(MODEL, by="kind").estimate(replace(panel, traits={"kind": treated}))
    assert np.isnan(rows_of(estimate).loc["treat[without pilot]", "estimate"])
    assert "nothing to estimate without pilot" in " ".join(estimate.notes)


def test_bad_groups_are_told(panel):
    with pytest.raises(SpecError, match="Did you mean 'region'"):
        LeaveOneOut(MODEL, by="regin").estimate(panel)
    lacking = np.array([None, *panel.traits["region"][1:]], dtype=object)
    with pytest.raises(DataError, match="1 units have no value: 0"):
        LeaveOneOut(MODEL, by="region").estimate(replace(panel, traits={"region": lacking}))
    with pytest.raises(DataError, match="there is one group, 1"):
        LeaveOneOut(MODEL, by="same").estimate(replace(panel, traits={"same": np.ones(30)}))
    with pytest.raises(SpecError, match="EventStudy has no coefficient of 'treat'"):
        LeaveOneOut(EventStudy(Spec("y"), window=(-2, 2)), by="region").estimate(panel)
    with pytest.raises(SpecError, match="chunk=0"):
        LeaveOneOut(MODEL, by="region", chunk=0)
