"""SLURM: packs of cells as one job array, handed over by submitit; whoever launched them may wait or come back later.

What was submitted is written down beside the results (`Submission`), so that any later process finds the jobs, waits for them
and closes the run. Whether jobs are still about is asked of ``squeue``, which needs no accounting: a job that was killed hard
leaves no word, but it leaves the queue.
"""

import contextlib
import io
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from syneff import claims
from syneff.errors import SpecError
from syneff.launch.jobs import Job
from syneff.launch.pack import Pack, packed
from syneff.ledger import write

RECORD = ".submitted.json"
BASE = (
    "timeout_min",
    "cpus_per_task",
    "gpus_per_node",
    "tasks_per_node",
    "mem_gb",
    "nodes",
    "name",
    "stderr_to_stdout",
)
"""Options that submitit has for every scheduler; it wants the others marked as SLURM's."""
POLL = 1.0  # seconds between two looks at the queue; at most `SLOWEST`, for the scheduler's sake
SLOWEST = 20.0
LOOKS = 4
"""Looks at an empty queue before it is believed: a job that is queued again is in no queue for a moment."""


@dataclass(frozen=True)
class Submission:
    """What was handed to the scheduler.

    Attributes
    ----------
    jobs
        Numbers of the jobs, without that of an array's task.
    cells
        Names of their cells.
    words
        The command.
    config
        What closing the run needs of its configuration.
    """

    jobs: tuple[str, ...]
    cells: tuple[str, ...]
    words: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)


def check_sbatch() -> None:
    """Raise unless jobs can be submitted here.

    Raises
    ------
    SpecError
        If ``sbatch`` or submitit is missing.
    """
    if shutil.which("sbatch") is None:
        raise SpecError(
            "launcher=slurm: there is no sbatch on this machine. Give the command on a node of the cluster that submits "
            "jobs, or use launcher=local or launcher=joblib."
        )


def submit_jobs(config: DictConfig, jobs: Sequence[Job], ledger: Path, words: Sequence[str]) -> Submission:
    """Submit the cells of a run in packs, and write down beside its results what was submitted.

    Parameters
    ----------
    config
        Of the whole run.
    jobs
        The cells.
    ledger
        Where they leave word.
    words
        The command.

    Raises
    ------
    SpecError
        If jobs cannot be submitted here, an option is not allowed, the scheduler refuses, or earlier jobs are still at work on
        this run.
    """
    check_sbatch()
    if config.launcher.cells_per_job < 0:
        raise SpecError(
            f"launcher.cells_per_job={config.launcher.cells_per_job} must be 1 or more, or 0 for as many as make "
            "hydra.launcher.array_parallelism jobs."
        )
    run = Path(config.output) / config.batch
    options: dict[str, Any] = OmegaConf.to_container(config.hydra.launcher, resolve=True)  # type: ignore[assignment]
    own = next((path.path for path in config.hydra.runtime.config_sources if path.provider == "command-line"), "")
    spelled = [Job(job.cell, (*config.hydra.overrides.hydra, *job.words)) for job in jobs]
    shared = Pack((), ledger.resolve(), Path.cwd(), own, config.launcher.distributed, 60.0 * options["timeout_min"])
    tasks = 1 if config.launcher.distributed else options["tasks_per_node"] * options["nodes"]
    size, most = config.launcher.cells_per_job, options["array_parallelism"]
    packs = [replace(shared, jobs=each) for each in packed(spelled, size, most, tasks)]
    told: dict[str, Any] = {name: config[name] for name in ("output", "batch", "run")}
    told["report"] = OmegaConf.to_container(config.report, resolve=True)
    with claims.claim(run, RECORD):  # of two launches at once, the second one finds what the first has submitted
        before = recorded(run)
        if before is not None and states(before.jobs):
            raise SpecError(
                f"{run}: jobs {', '.join(before.jobs)} are at work on it. Wait for them with syneff collect={run}, or stop "
                f"them with scancel {' '.join(before.jobs)}."
            )
        submission = Submission(submit(packs, options), tuple(job.cell for job in jobs), tuple(words), told)
        try:
            record(run, submission)
        except OSError:  # nobody could wait for them
            subprocess.run(["scancel", *submission.jobs], check=False)
            raise
    return submission


def submit(packs: Sequence[Pack], options: Mapping[str, Any]) -> tuple[str, ...]:
    """Submit packs as one array; return the numbers of the jobs.

    Parameters
    ----------
    packs
        A task each.
    options
        The node ``hydra.launcher``.

    Raises
    ------
    SpecError
        If the scheduler refuses.
    """
    import submitit

    given = {name: value for name, value in options.items() if name != "_target_" and value is not None}
    folder, timeouts = given.pop("submitit_folder"), given.pop("max_num_timeout")
    executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=timeouts)
    executor.update_parameters(**{name if name in BASE else f"slurm_{name}": value for name, value in given.items()})
    said = io.StringIO()  # submitit repeats what sbatch says
    try:
        with contextlib.redirect_stderr(said), executor.batch():
            jobs = [executor.submit(pack) for pack in packs]
    except submitit.core.utils.FailedJobError as error:
        reasons = [line.partition("error: ")[2] for line in said.getvalue().splitlines() if "error: " in line]
        reason = ". ".join(reasons) or str(error)
        _withdraw(submitit.core.utils.JobPaths.get_first_id_independent_folder(folder))
        raise SpecError(f"sbatch refuses the jobs: {reason}. Change the keys of hydra.launcher.") from error
    return tuple(dict.fromkeys(job.job_id.split("_")[0] for job in jobs))


def _withdraw(folder: Path) -> None:
    """Remove what submitit wrote for jobs that were refused; what belongs to jobs stands in folders of their own."""
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def record(run: Path, submission: Submission) -> None:
    """Write down what was submitted for a run."""
    run.mkdir(parents=True, exist_ok=True)
    write(run / RECORD, json.dumps(asdict(submission)).encode())


def recorded(run: Path) -> Submission | None:
    """Return what was submitted for a run and not yet collected; None if nothing was."""
    try:
        plain = json.loads((run / RECORD).read_bytes())
    except FileNotFoundError:
        return None
    return Submission(tuple(plain["jobs"]), tuple(plain["cells"]), tuple(plain["words"]), plain["config"])


def forget(run: Path) -> None:
    """Remove the record of jobs that were collected."""
    (run / RECORD).unlink(missing_ok=True)


def states(jobs: Sequence[str]) -> dict[str, int]:
    """Return how many tasks of some jobs are in each state of the queue, e.g. ``{"RUNNING": 2, "PENDING": 5}``."""
    found: dict[str, int] = {}
    for job in jobs:
        words = ["squeue", "--noheader", "--array", "--format=%T", f"--jobs={job}"]
        answer = subprocess.run(words, capture_output=True, text=True, check=False)
        if answer.returncode and "Invalid job id" not in answer.stderr:
            raise OSError(f"squeue: {answer.stderr.strip()}")
        for state in answer.stdout.split():
            found[state] = found.get(state, 0) + 1
    return found


def wait(jobs: Sequence[str], done: Callable[[], bool]) -> None:
    """Wait until all cells have left word, or no job is in the queue any more.

    Parameters
    ----------
    jobs
        Numbers.
    done
        Whether all cells have left word; asked more often than the scheduler.
    """
    pause, asked, empty = POLL, 0.0, 0
    while not done():
        if time.monotonic() - asked > pause:
            try:
                left = states(jobs)
            except OSError:  # the controller may be away for a while; its jobs are not
                left = {"UNKNOWN": 1}
            empty = 0 if left else empty + 1
            if empty == LOOKS:
                return
            asked, pause = time.monotonic(), min(1.5 * pause, SLOWEST) if left else POLL
        time.sleep(0.2)
