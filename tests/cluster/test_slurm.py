"""A real SLURM on loopback: packs in an array, failing, killed and requeued cells, GPUs, detached runs.

It is started for these tests (scripts/slurm_ci), by root alone; in CI it is installed first where it is missing.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pytest

import syneff as package
from syneff import app, ledger
from syneff.launch import slurm as launcher

pytestmark = pytest.mark.slow
pytest.importorskip("submitit", reason="the extra slurm is not installed")

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "slurm_ci"
OWN = """
import os, signal, time
from pathlib import Path

def act(panel, *, how):
    if how == "bug":
        raise ZeroDivisionError("nobody's fault")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wait":
        while not Path("go").exists():
            time.sleep(0.1)
    if how == "where":
        name = "_".join(map(os.environ.get, ("SLURM_PROCID", "CUDA_VISIBLE_DEVICES")))
        Path("seen", f"{name}_{time.time()}").touch()
    if how == "together":
        import jax
        import jax.numpy as jnp
        from jax.experimental.multihost_utils import process_allgather
        found = process_allgather(jnp.asarray([jax.process_index() + 1.0]))
        Path("seen", f"{jax.process_index()}_{jax.process_count()}_{float(found.sum())}").touch()
    return panel
"""
QUICK = """
# @package _global_
defaults:
  - override /measure: null
  - override /estimator: describe
name: {how}
experiment: quick
steps: {{act: {{_target_: own.act, how: {how}}}}}
estimator: {{variables: [treat, pop]}}
"""
SUBMITTED = (
    "launcher=slurm",
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.mem_gb=1",
    "report=none",
    "compute=test",
)


@pytest.fixture(scope="module")
def slurm():
    """Return the folder of a running SLURM; skip where none can be had."""
    if os.geteuid() != 0:
        pytest.skip("only root may start SLURM's daemons")
    if shutil.which("slurmctld") is None:
        if os.environ.get("CI") != "true" or shutil.which("apt-get") is None:
            pytest.skip("SLURM is not installed: bash scripts/slurm_ci/install.sh")
        if subprocess.run(["bash", SCRIPTS / "install.sh"], check=False).returncode:
            pytest.skip("SLURM's packages cannot be had here")
    folder = Path(tempfile.mkdtemp(prefix="slurm"))  # not pytest's, which MariaDB's own user may not enter
    folder.chmod(0o755)
    started = subprocess.run(["bash", SCRIPTS / "start.sh", folder], capture_output=True, text=True, check=False)
    try:
        assert started.returncode == 0, started.stderr
        yield folder
    finally:
        subprocess.run(["bash", SCRIPTS / "stop.sh", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def syneff(slurm, tmp_path, monkeypatch, capsys):
    """Return the command, with experiments named by what their step does."""
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "seen").mkdir()
    for how in ("good", "bug", "kill", "wait", "where", "together"):
        (tmp_path / "mine" / "experiment" / f"{how}.yaml").write_text(QUICK.format(how=how))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SLURM_CONF", str(slurm / "slurm.conf"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(package.__file__).parents[1])]))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")

    def call(*words):
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        own = ("--config-dir", "mine") if any(word.startswith("experiment=") for word in words) else ()
        monkeypatch.setattr(sys, "argv", ["syneff", *own, *words])
        sys.modules.pop("own", None)
        status = app.main()
        return (status, *capsys.readouterr())

    return call


def scheduler(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def until(true, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.2)


def submitted(folder):
    """Return the number of a run's job and its ledger."""
    record = json.loads((folder / ".submitted.json").read_text())
    return record["jobs"][0], folder.parent / f".{record['config']['run']}"


def rows(folder):
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*/tidy.parquet"))], ignore_index=True)


def test_a_failing_and_a_killed_cell_do_not_stop_the_others(syneff, tmp_path):
    """Two packs of three cells; the results are those of a run in this process."""
    words = ("experiment=kill,bug,good", "seed=1,2")
    status, out, err = syneff(*words, *SUBMITTED, "launcher.cells_per_job=3")
    assert status == 1, (out, err)
    assert "2 cells done, 0 skipped, 4 failed" in out
    assert "signal SIGKILL: was its memory too small?" in err
    assert "ZeroDivisionError: nobody's fault" in err
    again = next(line for line in err.splitlines() if "no others" in line)
    assert again.endswith("launcher.cells_per_job=3 only=failed")
    folder = tmp_path / "outputs" / "kill_bug_good"
    jobs = {json.loads(path.read_text())["job"] for path in folder.glob("*/manifest.json")}
    assert all("_" in job for job in jobs), "cells are computed by tasks of an array"
    local, *_ = syneff("experiment=good", "seed=1,2", "batch=here", "report=none", "compute=test")
    assert local == 0
    pd.testing.assert_frame_equal(rows(folder), rows(tmp_path / "outputs" / "here"))
    status, out, _ = syneff("experiment=good", "seed=1,2", "batch=kill_bug_good", *SUBMITTED)
    assert (status, "0 cells done, 2 skipped" in out) == (0, True)


def test_a_requeued_job_goes_on_and_a_detached_run_is_collected(syneff, tmp_path):
    status, out, err = syneff("experiment=good,wait,bug", *SUBMITTED, "launcher.detach=true")
    assert (status, err) == (0, ""), err
    folder = tmp_path / "outputs" / "good_wait_bug"
    assert out.endswith("Then: syneff collect=outputs/good_wait_bug\n")
    job, place = submitted(folder)
    until(lambda: ledger.at_work(place, {"wait"}))
    refused, _, message = syneff("experiment=good,wait,bug", *SUBMITTED)
    assert refused == 2
    assert "are at work on it. Wait for them with syneff collect=outputs/good_wait_bug" in message
    written = (folder / "good" / "manifest.json").stat().st_mtime_ns
    scheduler("scancel", "--signal=USR2", job)  # as before the time limit
    until(lambda: scheduler("squeue", "--noheader", "--format=%T %r", f"--jobs={job}") == "PENDING BeginTime")
    time.sleep(3)  # it would wait two minutes; sooner than this, the end of its first turn may hit the second
    (tmp_path / "go").touch()
    scheduler("scontrol", "update", f"JobId={job}", "StartTime=now")
    status, out, err = syneff("collect=outputs/good_wait_bug")
    assert status == 1
    assert "2 cells done, 0 skipped, 1 failed" in out
    assert (folder / "good" / "manifest.json").stat().st_mtime_ns == written
    assert (
        scheduler("sacct", "--noheader", "--duplicates", "-X", "--format=State", f"--jobs={job}").split()[0]
        == "REQUEUED"
    )
    assert not (folder / ".submitted.json").exists()
    assert not place.exists()
    status, _, err = syneff("collect=outputs/good_wait_bug")
    assert (status, "no jobs were submitted" in err) == (2, True)


def test_at_a_time_limit_a_job_is_queued_again_and_nothing_is_computed_twice(syneff, tmp_path):
    syneff("experiment=good,wait", *SUBMITTED, "hydra.launcher.timeout_min=1", "launcher.detach=true")
    folder = tmp_path / "outputs" / "good_wait"
    job, _ = submitted(folder)
    stored = folder / "good" / "manifest.json"

    def is_waiting_again():
        if scheduler("squeue", "--noheader", "--format=%T %r", f"--jobs={job}") != "PENDING BeginTime":
            return False
        time.sleep(3)
        if not stored.exists():  # the warning may come before anything was computed
            scheduler("scontrol", "update", f"JobId={job}", "StartTime=now")
        return stored.exists()

    until(is_waiting_again, 180)
    written = stored.stat().st_mtime_ns
    (tmp_path / "go").touch()
    scheduler("scontrol", "update", f"JobId={job}", "StartTime=now")
    status, out, err = syneff("collect=outputs/good_wait")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1].startswith("2 cells done, 0 skipped, 0 failed")
    assert stored.stat().st_mtime_ns == written
    turns = scheduler("sacct", "--noheader", "--duplicates", "-X", "--format=State", f"--jobs={job}").split()
    assert turns[0] == "REQUEUED"


def test_a_cancelled_job_is_told(syneff, tmp_path):
    syneff("experiment=wait,good", *SUBMITTED, "launcher.detach=true")
    job, place = submitted(tmp_path / "outputs" / "wait_good")
    until(lambda: ledger.at_work(place, {"wait"}))
    scheduler("scancel", job)
    status, _, err = syneff("collect=outputs/wait_good")
    assert status == 1
    assert "2 cells ended without a word (good, wait): killed, cancelled, never begun, or without room" in err
    assert "What their jobs wrote: outputs/wait_good/.submitit" in err
    assert "only=failed" in err


def test_each_task_has_a_gpu_to_itself(syneff, tmp_path):
    given = ("hydra.launcher.gres=gpu:2", "hydra.launcher.tasks_per_node=2", "hydra.launcher.array_parallelism=1")
    status, out, err = syneff("experiment=where", "seed=range(17)", *SUBMITTED, *given)
    assert status == 0, (out, err)
    seen = [path.name.split("_")[:2] for path in (tmp_path / "seen").iterdir()]
    # A process measures a panel once for all of its cells.
    assert sorted(map(tuple, seen)) == [("0", "0"), ("1", "1")]
    manifests = [json.loads(path.read_text()) for path in (tmp_path / "outputs" / "where").glob("*/manifest.json")]
    assert len(manifests) == 17
    assert len({manifest["job"] for manifest in manifests}) == 1, (
        "one job at a time is one job: its tasks share the cells"
    )


def test_tasks_compute_a_cell_together(syneff, tmp_path):
    given = ("launcher.distributed=true", "hydra.launcher.tasks_per_node=2")
    status, out, err = syneff("experiment=together", *SUBMITTED, *given)
    assert status == 0, (out, err)
    assert sorted(path.name for path in (tmp_path / "seen").iterdir()) == ["0_2_3.0", "1_2_3.0"]


def test_what_the_scheduler_refuses_is_one_message_and_leaves_nothing(syneff, tmp_path):
    status, out, err = syneff("experiment=good", *SUBMITTED, "hydra.launcher.partition=nowhere")
    assert (status, out) == (2, "")
    assert "sbatch refuses the jobs" in err
    assert "nowhere" in err or "invalid partition" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "outputs" / "good").exists()
    status, _, err = syneff("experiment=good", *SUBMITTED, "launcher.cells_per_job=-3")
    assert (status, err.startswith("syneff: launcher.cells_per_job=-3 must be 1 or more")) == (2, True)


def test_jobs_that_cannot_be_written_down_are_taken_back(syneff, monkeypatch):
    def full(run, submission):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(launcher, "record", full)
    status, out, err = syneff("experiment=wait,good", *SUBMITTED)
    assert (status, out) == (2, "")
    assert err.startswith("syneff: outputs/wait_good cannot be written: No space left on device.")
    until(lambda: not scheduler("squeue", "--noheader"))


def test_of_two_launches_at_once_one_submits(syneff, tmp_path):
    words = [sys.executable, "-m", "syneff", "--config-dir", "mine", "experiment=good,bug", "batch=both", *SUBMITTED]
    both = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate()[1]: process.returncode for process in both}
    refused = [message for message in said if "are at work on it. Wait for them" in message]
    assert sorted(said.values()) == [1, 2], said
    assert said[refused[0]] == 2
    assert (tmp_path / "outputs" / "both" / "good" / "manifest.json").is_file()


def test_an_option_reaches_the_cells_of_jobs_that_have_it(syneff, tmp_path):
    status, _, err = syneff("experiment=good", "seed=1,2", "estimator.variables=[er]", *SUBMITTED)
    assert (status, err) == (0, "")
    assert {name.rpartition(":")[2] for name in rows(tmp_path / "outputs" / "good")["term"]} == {"er"}
