"""Estimators for staggered adoption against values of other programs (see the folder of oracles), and against pyfixest."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from syneff.models.base import Spec
from syneff.models.staggered.bacon import Bacon, bacon_decomposition
from syneff.models.staggered.imputation import Imputation
from syneff.models.staggered.interaction_weighted import SunAbraham
from syneff.models.staggered.stacked import Stacked
from syneff.models.staggered.two_way_weights import TwoWayWeights
from tests.panels import CONTROLS, cube, staggered

PRINTED = 5e-7
"""Some oracles print six digits."""


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "oracles" / "did"


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict:
    return json.loads((folder / "expected.json").read_text())


@pytest.fixture(scope="module")
def panel(folder: Path):
    frame = pd.read_csv(folder / "panel_seed20240101.csv")
    return cube(frame[["city", "year", "syeff", "treat", *CONTROLS]], "city", "year")


@pytest.fixture(scope="module")
def mpdta(folder: Path):
    frame = pd.read_csv(folder / "mpdta.csv")
    frame["treated"] = (frame["treat"].eq(1) & (frame["year"] >= frame["first.treat"])).astype(float)
    return cube(frame[["countyreal", "year", "lemp", "treated"]], "countyreal", "year")


def test_sun_abraham(panel, expected):
    found = SunAbraham(Spec("syeff", "treat")).estimate(panel)
    assert float(found.coef[0]) == pytest.approx(expected["panel_seed20240101"]["SA"], abs=PRINTED)
    # Without controls on a balanced panel the effects of cohorts are Callaway and Sant'Anna's, and so is their average.
    assert float(found.coef[0]) == pytest.approx(
        expected["panel_seed20240101"]["CS_simple_never_reg_nocov"]["att"], rel=1e-10
    )


def test_cohort_effects_are_those_of_did(mpdta, expected):
    found = SunAbraham(Spec("lemp", "treated"), window=(-4, 3)).estimate(mpdta)
    cells = found.details["cohort_effects"].set_index(["cohort", "period"])["estimate"]
    for cell, value in expected["mpdta"]["attgt"].items():
        cohort, period = (int(each) for each in cell.split(","))
        assert cells[cohort, period] == pytest.approx(value, abs=5e-10)
    assert float(found.coef[0]) == pytest.approx(expected["mpdta"]["simple"], rel=1e-9)


def test_imputation(panel, mpdta, expected):
    found = Imputation(Spec("syeff", "treat")).estimate(panel)
    assert float(found.coef[0]) == pytest.approx(expected["panel_seed20240101"]["BJS=Gardner=ETWFE"], abs=PRINTED)
    found = Imputation(Spec("lemp", "treated"), window=(-4, 3)).estimate(mpdta)
    assert float(found.coef[0]) == pytest.approx(expected["mpdta"]["BJS"], rel=1e-10)


def terms(estimate):
    return estimate.frame().set_index("term")[["estimate", "std_error"]]


# Python: diff-diff 3.13.0 on the files of the oracles: overall effect and effects by event time, with standard errors.
IMPUTED = {
    "treated": (-0.04770991827781727, 0.013222488650016436),
    "event[0]": (-0.031066927191940524, 0.013577249746179961),
    "event[1]": (-0.052234856747866425, 0.01881242682276271),
    "event[2]": (-0.13607811443998677, 0.03534197213337396),
    "event[3]": (-0.10470747157562328, 0.033765853357791635),
}
INTERACTED = {
    "treated": (-0.039951275155176276, 0.011796277441754287),
    "event[-4]": (0.003306356692512408, 0.024555095531863646),
    "event[-3]": (0.02502182959755504, 0.018154344410048512),
    "event[-2]": (0.02445874497116954, 0.014266792154618242),
    "event[0]": (-0.01993181678925932, 0.011857538963453297),
    "event[1]": (-0.05095736706519374, 0.016870678384610097),
    "event[2]": (-0.13725873888940313, 0.03658947596376605),
    "event[3]": (-0.10081136308540405, 0.034504271910207884),
}
STACKED = {-5: 0.00856134576936014, -2: 0.003106582010262594, 0: 0.01463542309463886, 6: 0.06728494241706232}
BACON = {
    "treated": -0.03654893667406696,
    "treated_vs_never": -0.04073969519404118,
    "earlier_vs_later": -0.019783817260641712,
    "later_vs_earlier": 0.004603661617040413,
    "weight:treated_vs_never": 0.8627744180814885,
    "weight:earlier_vs_later": 0.08330135372970399,
    "weight:later_vs_earlier": 0.05392422818880759,
}


def test_imputation_and_its_errors_are_diff_diffs(mpdta):
    found = terms(Imputation(Spec("lemp", "treated"), window=(-4, 3)).estimate(mpdta))
    for term, pair in IMPUTED.items():
        assert tuple(found.loc[term]) == pytest.approx(pair, rel=1e-9)


def test_sun_abraham_and_its_errors_are_diff_diffs(mpdta):
    found = terms(SunAbraham(Spec("lemp", "treated"), window=(-4, 3)).estimate(mpdta))
    for term, pair in INTERACTED.items():
        assert tuple(found.loc[term]) == pytest.approx(pair, rel=1e-9)


def test_stacked_event_study_is_diff_diffs(panel):
    """Whose standard errors count parameters in another way."""
    found = terms(Stacked(Spec("syeff", "treat")).estimate(panel))
    for event, value in STACKED.items():
        assert found.loc[f"event[{event}]", "estimate"] == pytest.approx(value, rel=1e-9)


def test_decompositions_are_diff_diffs(mpdta, panel, expected):
    found = terms(Bacon(Spec("lemp", "treated")).estimate(mpdta))["estimate"]
    for term, value in BACON.items():
        assert found[term] == pytest.approx(value, rel=1e-10)
    assert found["treated"] == pytest.approx(expected["mpdta"]["TWFE"], rel=1e-12)
    weights = terms(TwoWayWeights(Spec("lemp", "treated")).estimate(mpdta))["estimate"]
    assert weights["sigma_fe"] == pytest.approx(0.08280596275115853, rel=1e-10)
    assert weights["share_negative"] == pytest.approx(0.06872852233676977, rel=1e-10)
    pairs = bacon_decomposition(panel, Spec("syeff", "treat"))
    total = (pairs["estimate"] * pairs["weight"]).sum()
    assert total == pytest.approx(expected["panel_seed20240101"]["TWFE_nocov"], rel=1e-12)
    weights = terms(TwoWayWeights(Spec("syeff", "treat")).estimate(panel))["estimate"]
    assert weights["sigma_fe"] == pytest.approx(0.13561503458764004, rel=1e-10)


def with_cohorts(panel):
    frame = panel.to_frame(sample_only=True)
    treat = panel.column("treat")
    first = np.where(treat.any(1), np.asarray(panel.periods)[treat.argmax(1)], 0)
    frame["cohort"] = frame["unit"].map(dict(zip(panel.units, first, strict=True))).astype(int)
    frame["treat"] = frame["treat"].astype(int)
    return frame


@pytest.mark.slow
def test_imputation_is_pyfixests_two_stages():
    """Without gaps: where its first stage drops a singleton it raises an error of its own (pyfixest 0.60)."""
    import pyfixest

    panel = staggered(2, units=40)
    found = Imputation(Spec("y", "treat", ("a",)), window=(-2, 3)).estimate(panel)
    theirs = pyfixest.did2s(
        with_cohorts(panel),
        yname="y",
        first_stage="~ a | unit + period",
        second_stage="~ i(treat)",
        treatment="treat",
        cluster="unit",
    )
    assert float(found.coef[0]) == pytest.approx(float(theirs.coef().iloc[-1]), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_sun_abraham_and_its_errors_are_pyfixests_saturated_event_study(missing, monkeypatch):
    """At every event time, and over all treated rows by the coefficients and the covariance of its dummies."""
    import pyfixest

    # It takes effects out by iteration, by default to a tolerance above ours.
    exact = partial(pyfixest.feols, fixef_tol=1e-13)
    monkeypatch.setattr("pyfixest.did.saturated_twfe.feols", exact)
    panel = staggered(2, units=40, missing=missing)
    # It takes the first treated row that it sees for the adoption, so no unit may lack that one.
    treat = panel.column("treat")
    adopts = (treat > 0) & (treat.cumsum(1) == 1)
    panel = panel.reweight(np.where(adopts, 1.0, panel.weights))
    found = SunAbraham(Spec("y", "treat"), window=(-7, 7)).estimate(panel)
    ours, cells = terms(found), found.details["cohort_effects"]
    theirs = pyfixest.event_study(
        with_cohorts(panel),
        yname="y",
        idname="unit",
        tname="period",
        gname="cohort",
        estimator="saturated",
        cluster="unit",
    )
    # It counts effects by the order of a set of names; its standard errors are an oracle where the count is right.
    assert theirs._df_k == len(cells) + panel.shape[1]
    frame = theirs.aggregate(weighting="shares")
    assert len(frame) == cells["event"].nunique()
    for event, row in frame.iterrows():
        pair = (float(row["Estimate"]), float(row["Std. Error"]))
        assert tuple(ours.loc[f"event[{int(float(event))}]"]) == pytest.approx(pair, rel=1e-8)
    place = {name: at for at, name in enumerate(theirs._coefnames)}
    after = cells[cells["event"] >= 0]
    share = np.zeros(len(place))
    for cell in after.itertuples():
        share[place[f"rel_time::{float(cell.event)}:first_treated_period::{cell.cohort}"]] = cell.rows
    share /= share.sum()
    whole = (share @ theirs.coef().to_numpy(), np.sqrt(share @ theirs._vcov @ share))
    assert tuple(ours.loc["treat"]) == pytest.approx(whole, rel=1e-8)
