"""The whole road on a real panel: rows and cities counted, scores checked by HiGHS, estimates by pyfixest.

Nothing here is a finding: the treatment is the low-carbon pilots, night lights stand in for energy.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from syneff.experiment import from_config, run

pytestmark = pytest.mark.slow

CONF = Path(__file__).parent / "conf"
COLUMNS = ["density", "lnpgdp", "revenue", "lnstudents", "openness"]


def command(folder: Path, shared: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from syneff.app import main; sys.exit(main())",
            "--config-dir",
            str(CONF),
            *words,
        ],
        cwd=folder,
        env={**os.environ, "SYNEFF_SHARED": str(shared)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, shared) -> Path:
    folder = tmp_path_factory.mktemp("real")
    done = command(folder, shared, "sweep=low_carbon")
    assert done.returncode == 0, done.stderr
    assert "9 cells done" in done.stdout
    return folder / "outputs" / "low_carbon"


@pytest.fixture(scope="module")
def panel(outputs):
    config = json.loads((outputs / "low_carbon_6" / "manifest.json").read_text())["config"]
    return run(from_config(config)).panel


def tidy(outputs: Path, cell: str) -> pd.DataFrame:
    return pd.read_parquet(outputs / cell / "tidy.parquet").set_index("term")


def test_rows_and_cities_are_those_of_the_data(outputs, shared):
    """292 cities are complete in 2010-2019, as the data's own README says; the controls cost rows from column 4 on."""
    manifest = json.loads((outputs / "low_carbon_1" / "manifest.json").read_text())
    notes = " ".join(manifest["warnings"])
    assert "292 of 298 units kept x 10 years = 2920 rows" in notes
    assert "三沙市" in notes
    cities = pd.read_csv(shared / "data" / "cities.csv")
    always = cities.loc[cities["low_carbon_year"] == 2010, "city"]
    assert all(city in notes for city in always)
    assert "2920 of 2920 programs are certified optimal" in notes
    assert [int(tidy(outputs, f"low_carbon_{each}")["nobs"].iloc[0]) for each in (1, 2, 3)] == [2920] * 3
    assert (outputs / "report" / "index.html").read_text(encoding="utf-8").count("ynthetic") == 0


def test_columns_are_what_pyfixest_estimates(outputs, panel):
    import pyfixest

    frame, exact = panel.to_frame(sample_only=True), pyfixest.MapDemeaner(fixef_tol=1e-12)
    for column in (1, 3, 6):
        controls = COLUMNS[: column - 1]
        formula = f"syeff ~ {' + '.join(['treat', *controls])} | period + unit"
        theirs = pyfixest.feols(formula, frame, vcov={"CRV1": "unit"}, demeaner=exact)
        ours = tidy(outputs, f"low_carbon_{column}")
        np.testing.assert_allclose(ours["estimate"].iloc[:column], theirs.coef(), rtol=1e-7)
        assert int(ours["nobs"].iloc[0]) == theirs._N
        if theirs._df_k == column + 10:  # its K depends on the process's hash seed
            np.testing.assert_allclose(ours["std_error"].iloc[:column], theirs.se(), rtol=1e-7)


def score(x: np.ndarray, y: np.ndarray, b: np.ndarray, row: int) -> float:
    """SBM, then Super-SBM where it gives 1, with bads as outputs: Tone's programs written out for HiGHS."""
    inputs, good, bad = x / x[row], y / y[row], b / b[row]
    n, m = inputs.shape
    for sign, others in ((1.0, slice(None)), (-1.0, np.arange(n) != row)):
        left = [inputs[others], good[others], bad[others]]
        k = left[0].shape[0]
        rows = np.zeros((m + 3, 1 + k + m + 2))
        rows[:m, 0], rows[m, 0], rows[m + 1, 0] = -1.0, -1.0, -1.0
        rows[:m, 1 : 1 + k], rows[m, 1 : 1 + k], rows[m + 1, 1 : 1 + k] = left[0].T, left[1].T, left[2].T
        rows[:m, 1 + k : 1 + k + m] = sign * np.eye(m)
        rows[m, -2], rows[m + 1, -1] = -sign, sign
        rows[m + 2, 0], rows[m + 2, -2:] = 1.0, sign * 0.5
        rhs = np.append(np.zeros(m + 2), 1.0)
        cost = np.concatenate([[1.0], np.zeros(k), -sign * np.full(m, 1 / m), np.zeros(2)])
        options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
        if sign > 0:
            value = linprog(cost, A_eq=rows, b_eq=rhs, method="highs", options=options).fun
            if value < 1 - 1e-7:
                return value
            continue
        # Super: inputs and bads at most, goods at least, the shortfall of a good at most the good itself.
        lower = np.vstack([rows[:m], -rows[m : m + 1], rows[m + 1 : m + 2]])
        shortfall = np.zeros((1, rows.shape[1]))
        shortfall[0, 0], shortfall[0, -2] = -1.0, 1.0
        return linprog(
            cost,
            A_ub=np.vstack([lower, shortfall]),
            b_ub=np.zeros(m + 3),
            A_eq=rows[m + 2 :],
            b_eq=rhs[-1:],
            method="highs",
            options=options,
        ).fun
    raise AssertionError


def test_scores_are_what_highs_finds(panel):
    inside = panel.sample & np.isfinite(panel.column("syeff"))
    x = np.stack([panel.column(name)[inside] for name in ("population", "capital", "lights")], axis=1)
    y = panel.column("gdp")[inside][:, None]
    rng = np.random.default_rng(0)
    for name, bad in (("preff", "pm25"), ("creff", "co2")):
        ours, b = panel.column(name)[inside], panel.column(bad)[inside][:, None]
        rows = [*rng.choice(len(ours), 8, replace=False), *np.argsort(ours)[-3:], int(np.argmin(ours))]
        for row in rows:
            assert ours[row] == pytest.approx(score(x, y, b, row), abs=1e-8)


def test_always_treated_cities_can_be_left_out(outputs, shared):
    done = command(outputs.parents[1], shared, "experiment=low_carbon_1", "steps.treat.always=drop", "batch=dropped")
    assert done.returncode == 0, done.stderr
    dropped = pd.read_parquet(outputs.parent / "dropped" / "low_carbon_1" / "tidy.parquet").set_index("term")
    assert int(dropped["n_units"].iloc[0]) == 292 - 72


def test_the_multiverse_and_the_whole_pipeline_resampled(tmp_path, shared):
    """6,144 specifications, the default being run (b)'s; 20 draws of the pipeline, beside the interval of the same draws."""
    done = command(tmp_path, shared, "experiment=carbon_multiverse", "estimator.draws=3")
    assert done.returncode == 0, done.stderr
    rows = pd.read_parquet(tmp_path / "outputs/carbon_multiverse/carbon_multiverse/detail.specifications.parquet")
    assert len(rows) == 6144
    assert np.isfinite(rows["estimate"]).all()
    assert rows.loc[rows["effects"] == "city and year", "nobs"].max() == 291 * 17
    done = command(tmp_path, shared, "experiment=carbon_pipeline", "draws=20")
    assert done.returncode == 0, done.stderr
    found = tidy(tmp_path / "outputs/carbon_pipeline", "carbon_pipeline")
    assert {"percentile:treat", "bca:treat", "naive_percentile:treat"} <= set(found.index)
    influence = pd.read_parquet(tmp_path / "outputs/carbon_pipeline/carbon_pipeline/detail.influence.parquet")
    assert len(influence) == 291
    assert influence["cluster"].iloc[0] == "440300 深圳市"
