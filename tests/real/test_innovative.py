"""Tables 4, 5, 7 and 11 on a real panel: samples counted from the lists of cities, groups estimated by pyfixest.

A test run and no finding: 18 of the 76 years of adoption are guessed, the outcome is the efficiency of carbon alone, and the
lists of key and resource cities are of fair trust.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from syneff.experiment import from_config, run
from tests.real.test_real_panel import command

pytestmark = pytest.mark.slow

YEARS, CITIES = 17, 291


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, shared) -> Path:
    folder = tmp_path_factory.mktemp("innovative")
    done = command(folder, shared, "sweep=innovative")
    assert done.returncode == 0, done.stderr
    assert "14 cells done" in done.stdout
    return folder / "outputs" / "innovative"


@pytest.fixture(scope="module")
def frame(outputs) -> pd.DataFrame:
    config = json.loads((outputs / "innovative_1" / "manifest.json").read_text())["config"]
    return run(from_config(config)).panel.to_frame(sample_only=True)


def tidy(outputs: Path, cell: str) -> pd.DataFrame:
    return pd.read_parquet(outputs / cell / "tidy.parquet").set_index("term")


def rows(outputs: Path, cell: str) -> int:
    return int(tidy(outputs, cell).loc["treat", "nobs"])


def test_samples_are_those_of_the_lists(outputs, shared, frame):
    inside = pd.read_csv(shared / "data" / "cities.csv").set_index("code").loc[frame["unit"].unique()]
    ordinary = (inside[["municipality", "prov_capital", "sub_provincial"]].sum(axis=1) == 0).sum()
    wave = inside["innov_year_guess"].isna() | (inside["innov_year_guess"] <= 2010)
    assert rows(outputs, "innovative_1") == rows(outputs, "innovative_trends_1") == CITIES * YEARS
    assert rows(outputs, "innovative_other_4") == wave.sum() * YEARS
    assert rows(outputs, "innovative_other_5") == ordinary * YEARS
    assert rows(outputs, "innovative_other_6") == CITIES * (YEARS - 3)
    for cell, trait in {"innovative_groups_1": "key_env_113", "innovative_groups_2": "resource_2013_mem"}.items():
        own = tidy(outputs, cell)
        for value in (1, 0):
            assert own.loc[f"treat[{trait}={value}]", "nobs"] == (inside[trait] == value).sum() * YEARS


@pytest.mark.parametrize(
    ("cell", "trait"), [("innovative_groups_1", "key_env_113"), ("innovative_groups_2", "resource_2013_mem")]
)
def test_groups_are_what_pyfixest_estimates(outputs, frame, cell, trait):
    import pyfixest

    exact, own, found = pyfixest.MapDemeaner(fixef_tol=1e-12), tidy(outputs, cell), []
    for value in (1.0, 0.0):
        theirs = pyfixest.feols(
            "creff ~ treat + density + lnpgdp | period + unit",
            frame[frame[trait] == value],
            vcov={"CRV1": "unit"},
            demeaner=exact,
        )
        found.append(float(theirs.coef()["treat"]))
        assert own.loc[f"treat[{trait}={value:g}]", "estimate"] == pytest.approx(found[-1], rel=1e-7)
    assert own.loc["difference:1-0", "estimate"] == pytest.approx(found[0] - found[1], rel=1e-6)
    tests = own.loc[["wald_difference", "fisher_permutation", "z_difference"], "p_value"].to_numpy(float)
    assert ((tests > 0) & (tests <= 1)).all()


def test_the_difference_is_that_of_the_interacted_regression(outputs, frame):
    """Everything times the group, unit and group-year effects, by pyfixest; K as reghdfe counts it."""
    import pyfixest

    group = frame["key_env_113"]
    crossed = frame.assign(
        **{f"{name}_1": frame[name] * group for name in ("treat", "density", "lnpgdp")},
        cell=frame["period"] * 10 + group,
    )
    theirs = pyfixest.feols(
        "creff ~ treat_1 + treat + density_1 + density + lnpgdp_1 + lnpgdp | cell + unit",
        crossed,
        vcov={"CRV1": "unit"},
        ssc=pyfixest.ssc(k_adj=False, G_adj=False),
        demeaner=pyfixest.MapDemeaner(fixef_tol=1e-12),
    )
    own = tidy(outputs, "innovative_groups_1").loc["difference:1-0"]
    n, clusters, parameters = len(frame), CITIES, 6 + 2 * YEARS - 1
    factor = clusters / (clusters - 1) * (n - 1) / (n - parameters)
    assert own["estimate"] == pytest.approx(float(theirs.coef()["treat_1"]), rel=1e-6)
    assert own["std_error"] == pytest.approx(float(theirs.se()["treat_1"]) * np.sqrt(factor), rel=1e-6)


def test_every_province_is_left_out_once(outputs, frame):
    detail = pd.read_parquet(outputs / "innovative_provinces" / "detail.left_out.parquet").set_index("group")
    assert set(detail.index) == set(frame["province"].unique())
    assert detail["units_left_out"].sum() == CITIES
    assert (detail["nobs"] == (CITIES - detail["units_left_out"]) * YEARS).all()


def test_matched_rows_are_the_nearest_by_an_outside_logit(outputs, frame):
    config = json.loads((outputs / "innovative_matched_1" / "manifest.json").read_text())["config"]
    panel = run(from_config(config)).panel
    kept = panel.to_frame(sample_only=True)
    ever = frame.groupby("unit")["treat"].max()
    for year in (2006, 2013, 2020):
        rows_of_year = frame[frame["period"] == year].set_index("unit")
        values = rows_of_year[["density", "lnpgdp"]]
        values = (values - values.mean()) / values.std()
        treated = ever[rows_of_year.index] == 1
        model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(values, treated)
        score = pd.Series(model.predict_proba(values)[:, 1], rows_of_year.index)
        controls = score[~treated]
        chosen = {unit for each in score[treated] for unit in (controls - each).abs().nsmallest(4).index}
        assert set(kept.loc[kept["period"] == year, "unit"]) == chosen | set(score[treated].index)
