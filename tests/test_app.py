"""The command, from words to exit status, folders and messages."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from syneff import app, record

TIDY = (
    "experiment column outcome term estimate std_error statistic p_value conf_low conf_high nobs n_units n_periods dof"
)
# Steps and an estimator of one's own, as a user's folder brings them: quick, and failing when told to.
OWN = """
from syneff.errors import DataError
from syneff.models.description import Describe

def fail(panel, *, how):
    if how == "data":
        raise DataError("city 'X', 2010: pm25 is text. Give a number.")
    if how == "bug":
        raise ZeroDivisionError("nobody's fault")
    if how == "interrupt":
        raise KeyboardInterrupt
    return panel
"""
QUICK = """
# @package _global_
defaults:
  - override /measure: null
  - override /estimator: describe
name: {name}
experiment: quick
column: {column}
steps:
  fail: {{_target_: own.fail, how: {how}}}
estimator: {{variables: [treat, pop]}}
"""


@dataclass(frozen=True)
class Answer:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def syneff(tmp_path, monkeypatch, capsys):
    """Return the command, run in this process and in an empty folder: a process of its own costs seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    record.commit.cache_clear()

    def call(*words, traceback=False):
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1" if traceback else "0")
        monkeypatch.setattr(sys, "argv", ["syneff", *words])
        sys.modules.pop("own", None)
        status = app.main()
        return Answer(status, *capsys.readouterr())

    return call


def tidy(folder):
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*/tidy.parquet"))], ignore_index=True)


@pytest.fixture
def own(tmp_path):
    """Return a folder with experiments of one's own: good, data (input is wrong), bug (unexpected)."""
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    for column, how in enumerate(("good", "data", "bug", "interrupt")):
        (tmp_path / "mine" / "experiment" / f"{how}.yaml").write_text(QUICK.format(name=how, column=column, how=how))
    return tmp_path


def test_mistakes_are_one_message_and_status_2(syneff, tmp_path):
    (tmp_path / "twice.csv").write_text("city,year,treat\nA,2010,0\nA,2010,1\nB,2010,0\n")
    for words, message in (
        (["experiment=tabel03"], "Did you mean 'table03'"),
        (["experiment=baseline", "source=cvs"], "unknown source 'cvs'. Did you mean 'csv'"),
        (["experiment=baseline", "seed=abc"], "'abc'"),
        (["experiment=baseline", "spec.outcom=y"], "Did you mean 'outcome'"),
        (["experiment=baseline", "source=csv", "source.path=twice.csv"], "2010"),
        (["experiment=baseline", "source=csv", "source.path=none.csv"], "none.csv"),
        (["experiment=baseline", "compute=test", "spec.controls=[popp]"], "'popp'. Did you mean 'pop'"),
        (["--config-dir", "nowhere"], "nowhere"),
        (["experiment=baseline", "report=null"], "unknown report 'null'"),
    ):
        answer = syneff(*words)
        assert answer.returncode == 2, answer
        assert message in answer.stderr
        assert len(answer.stderr.splitlines()) == 1, answer.stderr
        assert "Traceback" not in answer.stderr
        assert answer.stdout == ""


@pytest.mark.skipif(find_spec("submitit") is not None, reason="the extra slurm is installed")
def test_a_missing_launcher_names_its_package(syneff):
    answer = syneff("experiment=table03", "launcher=slurm")
    assert answer.returncode == 2
    assert "pip install 'syneff[slurm]'" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_cells_are_stored_skipped_and_forced(syneff, own):
    words = ("--config-dir", "mine", "experiment=good", "compute=test")
    first = syneff(*words)
    cell = own / "outputs" / "good" / "good"
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines()[-1].startswith("1 cells done, 0 skipped, 0 failed: outputs/good")
    assert " ".join(tidy(cell.parent).columns) == TIDY
    assert {path.name for path in cell.iterdir()} == {"config.yaml", "tidy.parquet", "manifest.json"}
    assert not list((own / "outputs").glob(".*"))
    manifest = json.loads((cell / "manifest.json").read_text())
    assert manifest["source"] == "synthetic"
    assert manifest["git"] is None
    written = (cell / "manifest.json").stat().st_mtime_ns

    assert "0 cells done, 1 skipped" in syneff(*words, "output=outputs").stdout
    assert (cell / "manifest.json").stat().st_mtime_ns == written
    assert "1 cells done, 0 skipped" in syneff(*words, "force=true").stdout
    assert "1 cells done, 0 skipped" in syneff(*words, "seed=5").stdout
    assert json.loads((cell / "manifest.json").read_text())["key"] != manifest["key"]


def test_a_bad_cell_does_not_stop_the_others(syneff, own):
    words = ("--config-dir", "mine", "compute=test", "report=none")
    failed = syneff(*words, "experiment=bug,good")
    assert failed.returncode == 1
    assert "syneff: bug: ZeroDivisionError: nobody's fault" in failed.stderr
    assert "1 cells done, 0 skipped, 1 failed: outputs/bug_good" in failed.stdout
    assert "ZeroDivisionError" in (own / "outputs" / "bug_good" / "bug" / "failure.txt").read_text()
    invalid = syneff(*words, "experiment=data,good,bug", traceback=True)
    assert invalid.returncode == 2
    assert "syneff: data: city 'X', 2010: pm25 is text. Give a number." in invalid.stderr.splitlines()
    assert "Traceback" in invalid.stderr
    assert (own / "outputs" / "data_good_bug" / "good" / "manifest.json").is_file()


def test_an_interrupt_is_clean(syneff, own):
    answer = syneff("--config-dir", "mine", "compute=test", "experiment=good,interrupt,bug")
    assert answer.returncode == 130
    assert answer.stderr == "syneff: interrupted; finished cells are kept, the same command goes on from there.\n"
    assert (own / "outputs" / "good_interrupt_bug" / "good" / "manifest.json").is_file()
    assert not list((own / "outputs").glob(".*"))


def test_swept_options_make_cells_of_their_own(syneff, own):
    answer = syneff(
        "--config-dir",
        "mine",
        "compute=test",
        "report=none",
        "experiment=good",
        "-m",
        "seed=1,2",
        "estimator.variables=[pop],[er,pop]",
    )
    assert answer.returncode == 0, answer.stderr
    cells = sorted(path.parent.name for path in (own / "outputs" / "good").glob("*/manifest.json"))
    assert len(cells) == 4
    assert cells[0].startswith("good,seed=1,estimator.variables=")


@pytest.mark.slow
def test_the_paper_is_made_by_no_word_at_all(syneff, tmp_path):
    answer = syneff("compute=test")
    assert (answer.returncode, answer.stderr) == (0, ""), answer
    folder = tmp_path / "outputs" / "paper"
    frame = tidy(folder)
    assert answer.stdout.splitlines()[-1].startswith("10 cells done, 0 skipped, 0 failed: outputs/paper")
    assert Path(tmp_path / answer.stdout.split()[-1]).is_file()
    assert sorted(frame.loc[frame["experiment"] == "table03", "column"].unique()) == list(range(1, 8))
    assert {f"event[{each}]" for each in range(-5, 7) if each != -1} <= set(frame["term"])
    assert "randomization" in set(frame["term"])
    draws = pd.read_parquet(folder / "figure02" / "draws.parquet")
    assert draws["draw"].nunique() == 20
    shared = [json.loads(path.read_text())["shared_stages"] for path in sorted(folder.glob("table03_*/manifest.json"))]
    assert all("source" in stages for stages in shared), "the measured panel is computed once a process"


@pytest.mark.slow
def test_a_kill_leaves_nothing_half_written(own):
    words = [sys.executable, "-c", "import sys; from syneff.app import main; sys.exit(main())", "--config-dir", "mine"]
    words += ["compute=test", "experiment=good", "report=none", "-m", f"seed={','.join(map(str, range(60)))}"]
    process = subprocess.Popen(words, cwd=own, env={**os.environ, "PYTHONPATH": str(own)}, stdout=subprocess.DEVNULL)
    folder = own / "outputs" / "good"
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*/manifest.json"))) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = list(folder.glob("*/manifest.json"))
    assert 3 <= len(finished) < 60
    for manifest in finished:
        assert json.loads(manifest.read_text())["experiment"] == "quick"
        assert {"mean:treat", "mean:pop"} <= set(pd.read_parquet(manifest.parent / "tidy.parquet")["term"])
