"""Packs: every cell in one, in order; what a killed process leaves; what a requeued job goes on with."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syneff import ledger
from syneff.launch import pack
from syneff.launch.jobs import Job
from syneff.launch.pack import Pack, from_json, gpu_of_task, packed
from syneff.ledger import Outcome


def jobs(count):
    return tuple(Job(f"c{number}", (f"seed={number}",)) for number in range(count))


@given(st.integers(1, 200), st.integers(0, 40), st.integers(1, 64), st.integers(1, 8))
def test_every_job_is_in_one_pack_and_packs_are_of_like_size(count, size, most, tasks):
    packs = packed(jobs(count), size, most, tasks)
    assert [job for each in packs for job in each] == list(jobs(count))
    sizes = [len(each) for each in packs]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= (size or max(8 * tasks, -(-count // most)))
    assert size or len(packs) <= most


def test_tasks_share_the_cells_and_have_a_gpu_each(monkeypatch):
    whole = Pack(jobs(7), Path("ledger"), Path())
    shares = []
    for task in range(3):
        environment = {"SLURM_NTASKS": "3", "SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)}
        shares += whole._share(environment).jobs
        assert gpu_of_task({**environment, "CUDA_VISIBLE_DEVICES": "4,5,6"}) == str(4 + task)
        assert gpu_of_task(environment) is None
    assert sorted(job.cell for job in shares) == [job.cell for job in whole.jobs]
    assert gpu_of_task({"CUDA_VISIBLE_DEVICES": "0,1"}) is None


def test_a_pack_travels_as_text(tmp_path):
    whole = Pack(jobs(2), tmp_path, tmp_path / "here", "mine", True, 60.0)
    assert from_json(whole.to_json()) == whole
    assert from_json(Pack(jobs(1), tmp_path, tmp_path).to_json()).limit == float("inf")


def workers(monkeypatch, folder, codes):
    """Let the process that computes end as told: each entry is the cells that it does, the one that it is at, its status."""
    seen = []

    def work(given, environment):
        done, at, code = codes[len(seen)]
        seen.append([job.cell for job in given.jobs])
        for cell in done:
            ledger.begin(folder, cell)
            ledger.note(folder, Outcome(cell, "done"))
        if at:
            ledger.begin(folder, at)
        return code

    monkeypatch.setattr(pack, "_work", work)
    return seen


def test_a_killed_cell_is_named_and_the_next_process_goes_on(monkeypatch, tmp_path):
    ledger.begin(tmp_path, "c3")  # of a process before the job was queued again
    seen = workers(monkeypatch, tmp_path, [(["c0"], "c1", -9), (["c2"], "c3", -11), ([], "", 0)])
    Pack(jobs(5), tmp_path, tmp_path)()
    assert seen == [["c0", "c1", "c2", "c3", "c4"], ["c2", "c3", "c4"], ["c4"]]
    told = {each.cell: each.message for each in ledger.outcomes(tmp_path) if each.state == "failed"}
    assert told.keys() == {"c1", "c3"}
    assert "SIGKILL: was its memory too small?" in told["c1"]
    assert "SIGSEGV" in told["c3"]


def test_a_process_that_never_begins_is_an_error_and_one_that_is_ended_is_nobody_s_fault(monkeypatch, tmp_path):
    workers(monkeypatch, tmp_path, [([], "", 1)])
    with pytest.raises(RuntimeError, match="exit status 1"):
        Pack(jobs(2), tmp_path, tmp_path)()
    workers(monkeypatch, tmp_path, [([], "c0", -signal.SIGTERM)])
    Pack(jobs(2), tmp_path, tmp_path)()
    assert ledger.outcomes(tmp_path) == []


def test_a_requeued_job_leaves_out_what_would_never_end(tmp_path):
    pytest.importorskip("submitit")
    whole = Pack(jobs(4), tmp_path, tmp_path, limit=100.0)
    ledger.note(tmp_path, Outcome("c0", "done"))
    ledger.begin(tmp_path, "c1")
    assert [job.cell for job in whole.checkpoint().function.jobs] == ["c1", "c2", "c3"]
    (begun,) = tmp_path.glob("*.begun")
    os.utime(begun, (begun.stat().st_mtime - 90, begun.stat().st_mtime - 90))
    assert [job.cell for job in whole.checkpoint().function.jobs] == ["c2", "c3"]
    (named,) = [each for each in ledger.outcomes(tmp_path) if each.state == "failed"]
    assert "of the 100 seconds of its job. Give it more: hydra.launcher.timeout_min=..." in named.message
