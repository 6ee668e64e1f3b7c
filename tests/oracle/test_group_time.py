"""Group-time effects against did on mpdta (printed by R), and against its ports moderndid and csdid with covariates."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from syneff.models.base import Spec
from syneff.models.staggered.callaway_santanna import CallawaySantAnna
from tests.panels import cube

MADE = json.loads(Path(__file__).with_name("group_time.json").read_text())
AVERAGES = ("simple", "dynamic", "group", "calendar")
PRINTED = 5e-11
"""The oracle prints group-time effects to ten decimals."""
EXACT = 1e-12
ITERATED = 1e-7
"""The programs' logits stop when the deviance changes by 1e-8; ours goes on to rounding."""


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "oracles" / "did"


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict:
    return json.loads((folder / "expected.json").read_text())


@pytest.fixture(scope="module")
def counties(folder: Path):
    frame = pd.read_csv(folder / "mpdta.csv").rename(columns={"first.treat": "g"})
    frame["treated"] = ((frame["g"] > 0) & (frame["year"] >= frame["g"])).astype(float)
    frame["w"] = frame["lpop"] - frame["lpop"].min() + 0.5
    columns = ["countyreal", "year", "lemp", "treated", "lpop", "w"]
    return {never: cube(frame[(frame["g"] > 0) | never][columns], "countyreal", "year") for never in (True, False)}


def fit(panel, *, covariate: bool = False, **options):
    spec = Spec("lemp", "treated", ("lpop",) if covariate else ())
    return CallawaySantAnna(spec, **{"draws": 0, **options}).estimate(panel)


@pytest.fixture(scope="module")
def plain(counties):
    return fit(counties[True], draws=999)


def test_group_time_effects_are_rs(plain, expected):
    cells = plain.details["group_time"].set_index(["group", "period"])["estimate"]
    for cell, value in expected["mpdta"]["attgt"].items():
        assert cells[tuple(int(each) for each in cell.split(","))] == pytest.approx(value, abs=PRINTED)


@pytest.mark.parametrize("average", AVERAGES)
def test_averages_are_rs(plain, expected, average):
    found = plain.frame().set_index("term")
    assert found.loc[average, "estimate"] == pytest.approx(expected["mpdta"][average], rel=EXACT)
    if average == "simple":
        assert found.loc[average, "std_error"] == pytest.approx(expected["mpdta"]["simple_se_analytic"], rel=EXACT)
        assert found.loc["treated", "estimate"] == found.loc[average, "estimate"]


def test_the_pre_test_is_rs(plain):
    """The vignette of did prints p = 0.16812 for it."""
    assert plain.frame().set_index("term").loc["pre_trend", "p_value"] == pytest.approx(0.16812, abs=5e-6)


def test_the_panel_of_cities(folder, expected):
    frame = pd.read_csv(folder / "panel_seed20240101.csv")
    panel = cube(frame[["city", "year", "syeff", "treat"]], "city", "year")
    found = CallawaySantAnna(Spec("syeff", "treat"), draws=0).estimate(panel)
    printed = expected["panel_seed20240101"]["CS_simple_never_reg_nocov"]
    assert float(found.coef[0]) == pytest.approx(printed["att"], rel=EXACT)
    assert float(found.std_error[0]) == pytest.approx(printed["se"], rel=EXACT)


QUICK = ("never dr", "not_yet regression", "weights")


@pytest.mark.parametrize(
    "case", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in MADE]
)
def test_the_ports_of_did_agree(counties, case):
    made = MADE[case]
    panel = counties[made["never"]]
    panel = panel.reweight(panel.column("w")) if case == "weights" else panel
    estimate = fit(panel, covariate=made["covariate"], **made["options"])
    cells = estimate.details["group_time"].set_index(["group", "period"])
    theirs = {tuple(int(each) for each in cell.split(",")): pair for cell, pair in made["cells"].items()}
    if case == "last cohort":
        # Who only serves as a comparison has no effects of its own in R; moderndid keeps those before adoption.
        theirs = {cell: pair for cell, pair in theirs.items() if cell[0] != 2007}
    # Bases of a universal base are 0 there, and no comparisons here.
    compared = {cell: pair for cell, pair in theirs.items() if pair[0] != 0}
    assert set(compared) == set(cells.index)
    terms = estimate.frame().set_index("term")
    averages = made["terms"]
    if case == "last cohort":
        averages = {name: pair for name, pair in averages.items() if "event" not in name}
    for frame, values in ((cells, compared), (terms, averages)):
        for place, (effect, error) in values.items():
            if effect in (0, None):
                continue
            assert frame.loc[place, "estimate"] == pytest.approx(effect, abs=ITERATED), place
            if error is not None:
                assert frame.loc[place, "std_error"] == pytest.approx(error, abs=ITERATED), place
    # With anticipation the programs test the periods in which the treatment may work, too.
    if made["wald"] is not None and case not in ("last cohort", "anticipation", "anticipation universal"):
        assert terms.loc["pre_trend", "statistic"] == pytest.approx(made["wald"], rel=1e-6)


def test_the_bootstrap_finds_the_analytic_errors(plain):
    """did's own numbers differ from run to run; 999 draws leave an error of about 3.5 % in an interquartile range."""
    cells, bands = plain.details["group_time"], plain.details["bands"]
    ratios = np.concatenate([(each["bootstrap_error"] / each["std_error"]).to_numpy() for each in (cells, bands)])
    assert np.abs(ratios - 1).max() < 0.15
    assert abs(ratios.mean() - 1) < 0.03
