"""The command, from words to exit status, folders and messages."""

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra.errors import MissingConfigException

import syneff as package
from syneff import app, record
from syneff.command import conf_directory
from syneff.measure.coupling import coupling
from syneff.measure.efficiency import super_sbm
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.panel.synthetic import synthetic

TIDY = (
    "experiment column outcome term estimate std_error statistic p_value conf_low conf_high nobs n_units n_periods dof"
)
# Steps and an estimator of one's own, as a user's folder brings them: quick, and failing when told to.
OWN = """
import os
from syneff.errors import DataError
from syneff.models.description import Describe

def fail(panel, *, how):
    if how == "data":
        raise DataError("city 'X', 2010: pm25 is text. Give a number.")
    if how == "bug":
        raise ZeroDivisionError("nobody's fault")
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "kill":
        os.kill(os.getpid(), 9)
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


README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


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
    for column, how in enumerate(("good", "data", "bug", "interrupt", "kill")):
        (tmp_path / "mine" / "experiment" / f"{how}.yaml").write_text(QUICK.format(name=how, column=column, how=how))
    return tmp_path


def test_mistakes_are_one_message_and_status_2(syneff, tmp_path):
    (tmp_path / "twice.csv").write_text("city,year,treat\nA,2010,0\nA,2010,1\nB,2010,0\n")
    for words, message in (
        (["experiment=tabel03"], "Did you mean 'table03'"),
        (["experiment=baseline", "source=cvs"], "unknown source 'cvs'. Did you mean 'csv'"),
        (["experiment=baseline", "seed=abc"], "seed must be a whole number, not 'abc'. Set for instance seed=0."),
        (
            ["sweep=table03", "launcher=joblib", "hydra.launcher.n_jobs=many"],
            "hydra.launcher.n_jobs must be a whole number, not 'many'",
        ),
        (
            ["sweep=table03", "estimator.draws=9"],
            "unknown option of estimator 'draws'. Allowed: spec. No cell of this sweep has it.",
        ),
        (["experiment=baseline", "compute.cache=maybe"], "compute.cache must be true or false, not 'maybe'"),
        (["experiment=baseline", "source.unit=城市"], "Put it in quotes of its own: source.unit=\"'城市'\"."),
        (["experiment=baseline", "source.path=~/a.csv"], "Put it in quotes of its own: source.path=\"'~/a.csv'\"."),
        (
            ["experiment=baseline", "source.rename={城市: city}"],
            "Write the mapping in a yaml file of your --config-dir.",
        ),
        (["experiment=baseline", "spec.controls=[pop"], "Close its bracket"),
        (["experiment=baseline", "城市=1"], "names of options are plain letters"),
        (["experiment=baseline", "--cfg", "job", "seed=1,2"], "seed=1,2: several values make several cells"),
        (["experiment=baseline", "source.sed=1"], "Allowed: units, periods, seed, effect, "),
        (
            ["experiment=table02,figure01", "name=x"],
            "experiment=table02 and experiment=figure01 would both be stored as",
        ),
        (["experiment=table02", "seed=1,1"], "seed=1 and seed=1 would both be stored as 'table02,seed=1'"),
        (["experiment=baseline", "spec.outcom=y"], "Did you mean 'outcome'"),
        (
            ["experiment=pipeline_bootstrap", "measure=none"],
            "estimator.steps.preff is taken from steps.preff, which is not",
        ),
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


def test_a_missing_launcher_names_its_package():
    for name, extra in (("submitit_slurm", "'syneff[slurm]'"), ("joblib", "hydra-joblib-launcher")):
        error = MissingConfigException("not found", missing_cfg_file=f"hydra/launcher/{name}", options=["basic"])
        assert f"pip install {extra}; or use launcher=local" in app.explain(error)


@pytest.mark.skipif(find_spec("submitit") is None, reason="the extra slurm is not installed")
def test_a_machine_without_a_scheduler_is_one_message(syneff, monkeypatch):
    monkeypatch.setenv("PATH", "")
    answer = syneff("experiment=table03", "launcher=slurm", "compute=test")
    assert answer.returncode == 2
    assert answer.stderr.startswith("syneff: launcher=slurm: there is no sbatch on this machine.")
    assert len(answer.stderr.splitlines()) == 1
    assert not Path("outputs", "table03").exists()


def test_only_the_failed_cells_are_run_again(syneff, own):
    words = ("--config-dir", "mine", "compute=test", "report=none", "experiment=bug,good,data")
    failed = syneff(*words)
    again = failed.stderr.splitlines()[-1].partition("no others: ")[2]
    assert shlex.split(again) == ["syneff", *words, "only=failed"]
    folder = own / "outputs" / "bug_good_data"
    written = (folder / "good" / "manifest.json").stat().st_mtime_ns
    (own / "mine" / "experiment" / "bug.yaml").write_text(QUICK.format(name="bug", column=1, how="good"))
    answer = syneff(*shlex.split(again)[1:])
    assert "1 cells done, 1 skipped (nothing changed; force=true does them again), 1 failed" in answer.stdout
    assert (folder / "good" / "manifest.json").stat().st_mtime_ns == written
    os.truncate(folder / "good" / "tidy.parquet", 100)
    answer = syneff(*words[:-1], "experiment=bug,good", "batch=bug_good_data", "only=failed")
    assert (answer.returncode, "1 cells done, 1 skipped" in answer.stdout) == (0, True)
    assert syneff(*words, "only=some").stderr.startswith("syneff: unknown value for only: 'some'.")


def test_a_finished_sweep_is_known_at_once_until_anything_changes(syneff, own, monkeypatch):
    words = ("--config-dir", "mine", "compute=test", "experiment=good", "seed=1,2")
    known = "0 cells done, 2 skipped"
    assert "2 cells done" in syneff(*words).stdout
    folder = own / "outputs" / "good"
    with monkeypatch.context() as patch:
        patch.setattr(app.jobs, "listed", lambda *_: pytest.fail("composed"))
        answer = syneff(*words)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert answer.stdout.startswith(
            f"{known} (nothing changed; force=true does them again), 0 failed: outputs/good"
        )
        os.truncate(folder / "good,seed=1" / "tidy.parquet", 100)
        with pytest.raises(pytest.fail.Exception, match="composed"):
            syneff(*words)
    assert "1 cells done, 1 skipped" in syneff(*words).stdout
    assert "2 cells done" in syneff(*words, "force=true").stdout
    assert known in syneff(*words).stdout
    (own / "mine" / "experiment" / "good.yaml").write_text(QUICK.format(name="good", column=7, how="good"))
    assert "2 cells done" in syneff(*words).stdout
    assert set(tidy(folder)["column"]) == {7}


def test_a_full_disk_is_one_message(syneff, own, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    words = ("--config-dir", "mine", "compute=test", "report=none", "experiment=good", "seed=1,2")
    monkeypatch.setattr(Path, "write_bytes", full)
    answer = syneff(*words)
    assert answer.returncode == 2
    assert answer.stderr.startswith("syneff: good,seed=1, good,seed=2: outputs/good cannot be written: No space left")
    assert len(answer.stderr.splitlines()) == 2


def test_a_disk_that_is_full_for_the_report_loses_no_cell(syneff, own, monkeypatch):
    written = Path.write_bytes

    def full(path, content):
        if "report" in path.parts:
            written(path, content[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, content)

    words = ("--config-dir", "mine", "compute=test", "experiment=good", "seed=1,2")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        answer = syneff(*words)
    assert answer.returncode == 2
    assert answer.stderr.startswith("syneff: the report: outputs/good cannot be written: No space left on device.")
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stdout.startswith("2 cells done, 0 skipped, 0 failed: outputs/good")
    assert [path for path in (own / "outputs" / "good" / "report").rglob("*") if path.is_file()] == []
    again = syneff(*words)
    assert (again.returncode, again.stdout.startswith("0 cells done, 2 skipped")) == (0, True)
    assert (own / "outputs" / "good" / "report" / "index.html").is_file()


def test_a_run_is_compacted_and_read_again(syneff, own):
    words = ("--config-dir", "mine", "compute=test", "report=none", "experiment=good", "seed=1,2")
    assert syneff(*words).returncode == 0
    assert syneff("compact=outputs/good").stdout == "2 cells in outputs/good/.compacted\n"
    assert not list((own / "outputs" / "good").glob("good*"))
    assert "0 cells done, 2 skipped" in syneff(*words).stdout
    assert syneff("compact=nowhere").returncode == syneff("collect=nowhere").returncode == 2


@pytest.mark.skipif(find_spec("hydra_plugins.hydra_joblib_launcher") is None, reason="hydra-joblib-launcher is missing")
@pytest.mark.slow
def test_a_killed_process_of_a_pool_does_not_stop_the_others(syneff, own, monkeypatch):
    """And the results are those of one process."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(own), str(Path(package.__file__).parents[1])]))
    words = ("--config-dir", "mine", "compute=test", "report=none")
    pool = ("launcher=joblib", "hydra.launcher.n_jobs=2")
    answer = syneff(*words, *pool, "experiment=kill,good", "seed=1,2")
    assert answer.returncode == 1, answer
    assert "kill,seed=1, kill,seed=2: its process was killed" in answer.stderr
    assert "2 cells done, 0 skipped, 2 failed" in answer.stdout
    assert syneff(*words, "experiment=good", "seed=1,2").returncode == 0
    outputs = own / "outputs"
    pd.testing.assert_frame_equal(tidy(outputs / "kill_good"), tidy(outputs / "good"))


@pytest.mark.slow
def test_control_c_leaves_a_store_that_the_same_command_goes_on_from(own, syneff):
    words = ["--config-dir", "mine", "compute=test", "experiment=good", "report=none", "-m", "seed=range(40)"]
    code = "import sys; from syneff.app import main; sys.exit(main())"
    source = os.pathsep.join([str(own), str(Path(package.__file__).parents[1])])
    # A background job of a shell ignores interrupts, and its children would too.
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=own,
        env={**os.environ, "PYTHONPATH": source},
        stderr=subprocess.PIPE,
        preexec_fn=listen,
    )
    folder = own / "outputs" / "good"
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*/manifest.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert said.decode() == "syneff: interrupted; finished cells are kept, the same command goes on from there.\n"
    kept = len(list(folder.glob("*/manifest.json")))
    assert 3 <= kept < 40
    assert f"{40 - kept} cells done, {kept} skipped" in syneff(*words).stdout


def test_cells_are_stored_skipped_and_forced(syneff, own):
    words = ("--config-dir", "mine", "experiment=good", "compute=test")
    first = syneff(*words)
    cell = own / "outputs" / "good" / "good"
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines()[-1].startswith("1 cells done, 0 skipped, 0 failed: outputs/good")
    assert " ".join(tidy(cell.parent).columns) == TIDY
    files = {"config.yaml", "tidy.parquet", "manifest.json", "detail.neighbours.parquet"}
    assert {path.name for path in cell.iterdir()} == files
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


def test_experiments_of_one_name_are_refused_before_anything_is_computed(syneff, own):
    """The second one has its name from the first, as a copy does whose `name:` was forgotten."""
    (own / "mine" / "experiment" / "copy.yaml").write_text("# @package _global_\ndefaults: [good]\nseed: 3\n")
    answer = syneff("--config-dir", "mine", "compute=test", "experiment=good,bug,copy")
    assert answer.returncode == 2
    assert answer.stderr.startswith("syneff: experiment=good and experiment=copy would both be stored as 'good'")
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stdout == ""
    assert not (own / "outputs").exists()


def test_an_interrupt_is_clean(syneff, own):
    answer = syneff("--config-dir", "mine", "compute=test", "experiment=good,interrupt,bug")
    assert answer.returncode == 130
    assert answer.stderr == "syneff: interrupted; finished cells are kept, the same command goes on from there.\n"
    assert (own / "outputs" / "good_interrupt_bug" / "good" / "manifest.json").is_file()
    assert not list((own / "outputs").glob(".*"))


@pytest.mark.parametrize("where", ["compose", "step"])
def test_an_interrupt_that_a_library_turns_into_an_error_is_one_still(syneff, own, monkeypatch, where):
    def interrupted(*_, **__):
        try:
            raise KeyboardInterrupt
        finally:  # as OmegaConf does where it sets its flags back
            raise AttributeError("flag")

    if where == "compose":
        monkeypatch.setattr(app.jobs, "listed", interrupted)
    else:
        monkeypatch.setattr(app, "_compute", interrupted)
    answer = syneff("--config-dir", "mine", "compute=test", "report=none", "experiment=good", "seed=1,2")
    assert answer.returncode == 130
    assert answer.stderr == "syneff: interrupted; finished cells are kept, the same command goes on from there.\n"


def test_swept_options_make_cells_of_their_own(syneff, own):
    answer = syneff(
        "--config-dir",
        "mine",
        "compute=test",
        "report=none",
        "experiment=good",
        "seed=1,2",
        "estimator.variables=[pop],[er,pop]",
    )
    assert answer.returncode == 0, answer.stderr
    cells = sorted(path.parent.name for path in (own / "outputs" / "good").glob("*/manifest.json"))
    assert len(cells) == 4
    assert cells[0].startswith("good,seed=1,estimator.variables=")


def test_an_option_reaches_the_cells_that_have_it(syneff, own):
    rollout = QUICK.format(name="rollout", column=1, how="good").replace("estimator: describe", "estimator: rollout")
    (own / "mine" / "experiment" / "own_rollout.yaml").write_text(rollout.partition("estimator: {")[0])
    words = ("--config-dir", "mine", "compute=test", "report=none", "experiment=good,own_rollout", "batch=both")
    answer = syneff(*words, "estimator.variables=[er]")
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == (
        "syneff: estimator.variables is an option of 1 of 2 experiments (good); the others go without it.\n"
    )
    terms = pd.read_parquet(own / "outputs" / "both" / "good" / "tidy.parquet")["term"]
    assert set(terms.str.rpartition(":")[2]) == {"er"}
    assert "2 skipped" in syneff(*words, "estimator.variables=[er]").stdout
    both = syneff(*words, "estimator.variables=[er],[pop]", "batch=swept")
    assert both.stdout.startswith("3 cells done"), both.stderr
    cells = sorted(path.parent.name for path in (own / "outputs" / "swept").glob("*/manifest.json"))
    assert cells == ["good,estimator.variables=_er_", "good,estimator.variables=_pop_", "rollout"]


def readme_command(beginning):
    """Return the words of the command of the README that begins so, without its comment."""
    (line,) = [line for line in README.splitlines() if line.startswith(f"syneff {beginning}")]
    return shlex.split(line, comments=True)[1:]


@pytest.mark.slow
def test_an_own_panel_takes_the_road_of_the_readme(syneff, tmp_path):
    """The README's files and commands, word for word, on a csv with Chinese columns, a pilot year and a gap."""
    files = re.findall(r"```yaml\n# (my_conf/[\w/]+\.yaml).*?\n(.*?)```", README, re.DOTALL)
    assert [name for name, _ in files] == ["my_conf/steps/clean.yaml", "my_conf/experiment/mine.yaml"]
    for name, text in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    frame = synthetic(units=24, periods=(2006, 2014)).to_frame().drop(columns=["weight", "treat"])
    names = {"unit": "code", "period": "year", "gdp": "地区生产总值", "adoption_year": "pilot_year"}
    frame = frame.rename(columns=names)
    frame.loc[4, "地区生产总值"] = None
    frame.to_csv(tmp_path / "cities.csv", index=False)
    frame.rename(columns={"code": "代码"}).to_csv(tmp_path / "城市.csv", index=False, encoding="gb18030")
    cell = tmp_path / "outputs" / "mine" / "mine"
    for beginning in ("--config-dir my_conf", "experiment=mine"):
        answer = syneff(*readme_command(beginning))
        assert (answer.returncode, answer.stderr) == (0, ""), answer
        assert "1 cells done" in answer.stdout
        assert {"treat", "pop", "lnpgdp"} <= set(tidy(cell.parent)["term"])
        notes = json.loads((cell / "manifest.json").read_text())["warnings"]
        assert any("gdp 1 city-years (City 001 2010); co2 none" in note for note in notes), notes


@pytest.mark.slow
def test_an_own_panel_needs_no_yaml_where_names_agree(syneff, tmp_path):
    frame = synthetic(units=24, periods=(2004, 2014)).to_frame().drop(columns="weight")
    frame.rename(columns={"unit": "code", "period": "year"}).to_csv(tmp_path / "cities.csv", index=False)
    answer = syneff(*readme_command("source=csv"), "experiment=figure02", "draws=10")
    assert (answer.returncode, answer.stderr) == (0, ""), answer
    assert "1 cells done, 0 skipped, 0 failed" in answer.stdout
    page = (tmp_path / "outputs" / "figure02" / "report" / "index.html").read_text(encoding="utf-8")
    assert "csv: cities.csv" in page
    assert "ynthetic" not in page


@pytest.mark.slow
def test_the_paper_is_made_by_no_word_at_all(syneff, tmp_path):
    answer = syneff("compute=test")
    assert (answer.returncode, answer.stderr) == (0, ""), answer
    folder = tmp_path / "outputs" / "paper"
    frame = tidy(folder)
    sweep = yaml.safe_load((conf_directory() / "sweep" / "paper.yaml").read_text(encoding="utf-8"))
    count = len(sweep["hydra"]["sweeper"]["params"]["experiment"].split(","))
    assert answer.stdout.splitlines()[-1].startswith(f"{count} cells done, 0 skipped, 0 failed: outputs/paper")
    assert Path(tmp_path / answer.stdout.split()[-1]).is_file()
    assert sorted(frame.loc[frame["experiment"] == "table03", "column"].unique()) == list(range(1, 8))
    assert {f"event[{each}]" for each in range(-5, 7) if each != -1} <= set(frame["term"])
    assert "randomization" in set(frame["term"])
    draws = pd.read_parquet(folder / "figure02" / "draws.parquet")
    assert draws["draw"].nunique() == 20
    shared = [json.loads(path.read_text())["shared_stages"] for path in sorted(folder.glob("table03_*/manifest.json"))]
    assert all("source" in stages for stages in shared), "the measured panel is computed once a process"


@pytest.mark.slow
def test_technologies_are_swept_into_one_table(syneff, tmp_path):
    """What a cell stores is what its functions give when they are called one by one; the report shows every cell."""
    one = ("measure.returns=crs", "measure.reference=global", "measure.orientation=none")
    answer = syneff("sweep=technology", "compute=test", *one)
    assert (answer.returncode, answer.stderr) == (0, ""), answer
    folder = tmp_path / "outputs" / "technology"
    numbers = pd.read_csv(folder / "report" / "tables" / "technology_numbers.csv")
    assert list(numbers["bads"]) == ["as outputs", "as inputs", "as outputs, jointly"]
    assert list(numbers["default"]) == [True, False, False]
    assert numbers["rank_correlation"][0] == pytest.approx(1.0)
    assert (folder / "report" / "figures" / "technology.svg").is_file()

    panel = synthetic(units=40, periods=(2008, 2015))
    variables = {"inputs": ["labour", "capital", "energy"], "good": ["gdp"]}
    for name, bad in (("preff", "pm25"), ("creff", "co2")):
        panel = super_sbm(panel, name=f"default_{name}", bad=[bad], **variables)
        panel = super_sbm(panel, name=name, bad=[bad], bads="inputs", **variables)
    panel = coupling(panel, name="default_syeff", first="default_preff", second="default_creff")
    frame = coupling(panel).to_frame(sample_only=True)
    row = numbers.iloc[1]
    ranks = frame[["syeff", "default_syeff"]].dropna().rank()
    assert row["rank_correlation"] == pytest.approx(np.corrcoef(ranks.to_numpy().T)[0, 1], abs=1e-9)
    assert row["mean:preff"] == pytest.approx(frame["preff"].mean(), rel=1e-9)
    spec = Spec("syeff", controls=("pop", "lnpgdp", "gov", "hc", "er", "fdi"))
    alone = FixedEffects(spec).estimate(coupling(panel)).frame().set_index("term").loc["treat"]
    for name in ("estimate", "std_error", "p_value", "nobs"):
        assert row[name] == pytest.approx(alone[name], rel=1e-7), name
    shared = [json.loads(path.read_text())["shared_stages"] for path in folder.glob("*/manifest.json")]
    assert sum("default_syeff" in stages for stages in shared) >= 2, "the default is measured once a process"


@pytest.mark.slow
def test_a_kill_leaves_nothing_half_written(own):
    words = [sys.executable, "-c", "import sys; from syneff.app import main; sys.exit(main())", "--config-dir", "mine"]
    words += ["compute=test", "experiment=good", "report=none", "-m", f"seed={','.join(map(str, range(60)))}"]
    source = os.pathsep.join([str(own), str(Path(package.__file__).parents[1])])
    process = subprocess.Popen(words, cwd=own, env={**os.environ, "PYTHONPATH": source}, stdout=subprocess.DEVNULL)
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
