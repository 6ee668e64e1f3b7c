"""Estimators for staggered adoption against values of other programs (see the folder of oracles), and against pyfixest."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from syneff.models.base import Spec
from syneff.models.staggered.imputation import Imputation
from syneff.models.staggered.interaction_weighted import SunAbraham
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


def with_cohorts(panel):
    frame = panel.to_frame(sample_only=True)
    treat = panel.column("treat")
    first = np.where(treat.any(1), np.asarray(panel.periods)[treat.argmax(1)], 0)
    frame["cohort"] = frame["unit"].map(dict(zip(panel.units, first, strict=True))).astype(int)
    frame["treat"] = frame["treat"].astype(int)
    return frame


@pytest.mark.slow
def test_imputation_is_pyfixests_two_stages():
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
def test_sun_abraham_is_pyfixests_saturated_event_study():
    import pyfixest

    panel = staggered(2, units=40)
    found = SunAbraham(Spec("y", "treat"), window=(-7, 7)).estimate(panel)
    theirs = pyfixest.event_study(
        with_cohorts(panel), yname="y", idname="unit", tname="period", gname="cohort", estimator="saturated"
    )
    frame = theirs.aggregate(weighting="shares")
    ours = found.frame().set_index("term")
    for event in (0, 1, 2):
        row = frame.loc[float(event)] if float(event) in frame.index else frame.loc[event]
        assert ours.loc[f"event[{event}]", "estimate"] == pytest.approx(float(row["Estimate"]), rel=1e-6)
