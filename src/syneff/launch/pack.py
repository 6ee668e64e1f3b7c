"""A pack of cells: what one task of a cluster's job does, one cell after the other in one process.

A process spends seconds on imports and compilation, so a job is worth it for many cells. The task only watches: the cells are
computed in a process of its own (`syneff.launch.worker`), so that a cell that is killed, by the kernel for its memory or by
anybody, is named and the next ones go on in a new process. The scheduler's signal before the time limit reaches the task at
once, whatever the other process computes: the cells that have no word in the ledger are what the requeued job goes on with.

Several tasks a job share its cells, task k of n doing cells k, k + n, ...; each has a GPU to itself, the one of its number.
With `distributed`, they compute every cell together instead.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from syneff import ledger
from syneff.launch.jobs import Job
from syneff.ledger import Outcome

VISIBLE = "CUDA_VISIBLE_DEVICES"
SHARE_OF_LIMIT = (
    0.5  # of the time limit, from which on a signal means that it is reached, not that others need the node
)


@dataclass(frozen=True)
class Pack:
    """Cells of one job, to be called on a node.

    Attributes
    ----------
    jobs
        The cells.
    ledger, directory, configuration
        Folders: where the cells leave word; where the command was given; the user's own configuration, "" if none.
    distributed
        Whether the tasks of the job compute each cell together.
    limit
        Time limit of the job in seconds.
    """

    jobs: tuple[Job, ...]
    ledger: Path
    directory: Path
    configuration: str = ""
    distributed: bool = False
    limit: float = float("inf")

    def __call__(self) -> None:
        """Compute the cells of this task."""
        began = time.time()
        mine = self._share(os.environ)
        while (left := mine.remaining()).jobs:
            # What a process that is gone left unfinished must not be laid at the next one's door.
            ledger.forget_begun(self.ledger, {job.cell for job in left.jobs})
            code = _work(left, os.environ)
            if code in (0, -signal.SIGTERM):  # all done, or the scheduler ends the job, which is no cell's fault
                break
            stuck = ledger.at_work(self.ledger, {job.cell for job in left.jobs})
            if not stuck:  # it did not come as far as a cell: nor will the next one
                raise RuntimeError(
                    f"the process that computes the cells ended with {_ending(code)} before the first one"
                )
            for cell in stuck:
                ledger.note(self.ledger, Outcome(cell, "failed", f"its process ended with {_ending(code)}"))
            if self.distributed:  # the processes of the other tasks wait for this one in vain
                raise RuntimeError(f"a process that computes {', '.join(stuck)} ended with {_ending(code)}")
        print(f"{len(mine.jobs)} cells in {time.time() - began:.0f} s", flush=True)

    def checkpoint(self) -> Any:
        """Return what the requeued job goes on with: submitit asks, before the time limit or when others need the node.

        A cell that had the whole time limit to itself would never end: it is named and left out.
        """
        from submitit.helpers import DelayedSubmission

        cells = {job.cell for job in self.jobs}
        for cell, seconds in ledger.seconds_at_work(self.ledger, cells).items():
            if seconds > SHARE_OF_LIMIT * self.limit:
                message = (
                    f"it did not end within {seconds:.0f} of the {self.limit:.0f} seconds of its job. Give it more: "
                    "hydra.launcher.timeout_min=..."
                )
                ledger.note(self.ledger, Outcome(cell, "failed", message))
        return DelayedSubmission(self.remaining())

    def remaining(self) -> "Pack":
        """Return the pack of the cells that have not ended."""
        ended = {outcome.cell for outcome in ledger.outcomes(self.ledger)}
        return replace(self, jobs=tuple(job for job in self.jobs if job.cell not in ended))

    def _share(self, environment: Mapping[str, str]) -> "Pack":
        task, tasks = _task(environment), int(environment.get("SLURM_NTASKS", 1))
        return self if self.distributed else replace(self, jobs=self.jobs[task::tasks])

    def to_json(self) -> str:
        """Return the pack as text."""
        return json.dumps(asdict(self), default=str)


def from_json(text: str) -> Pack:
    """Return a pack from its text."""
    plain = json.loads(text)
    jobs = tuple(Job(job["cell"], tuple(job["words"])) for job in plain.pop("jobs"))
    return Pack(jobs, Path(plain.pop("ledger")), Path(plain.pop("directory")), **plain)


def packed(jobs: Sequence[Job], size: int, most: int, tasks: int = 1) -> list[tuple[Job, ...]]:
    """Share neighbouring jobs out to packs of like size.

    Parameters
    ----------
    jobs
        In the order of the sweep: neighbours share what they have measured.
    size
        Cells a pack, at most; 0 for as many as make `most` packs, but 8 a task at least.
    most
        Packs that run at a time.
    tasks
        Tasks that share a pack.
    """
    size = size or max(8 * tasks, -(-len(jobs) // most))
    count = -(-len(jobs) // size)
    bounds = [len(jobs) * at // count for at in range(count + 1)]
    return [tuple(jobs[one:other]) for one, other in itertools.pairwise(bounds)]


def gpu_of_task(environment: Mapping[str, str]) -> str | None:
    """Return the GPU of a task among those of its node; None where it has all, or there are none."""
    visible = [each for each in environment.get(VISIBLE, "").split(",") if each]
    alone = int(environment.get("SLURM_NTASKS", 1)) == 1
    return None if alone or not visible else visible[int(environment.get("SLURM_LOCALID", 0)) % len(visible)]


def _work(pack: Pack, environment: Mapping[str, str]) -> int:
    """Run the process that computes; return its exit status."""
    own = gpu_of_task(environment)
    changed = {**environment, **({} if own is None or pack.distributed else {VISIBLE: own})}
    words = [sys.executable, "-m", "syneff.launch.worker"]
    # The signal before the time limit reaches every process of a task, and is the watching one's to answer.
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, text=True, cwd=pack.directory, env=changed, preexec_fn=_ignore_warning
    )
    try:
        process.communicate(pack.to_json())
    finally:  # a signal's handler may leave by an exception
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode


def _ignore_warning() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _task(environment: Mapping[str, str]) -> int:
    return int(environment.get("SLURM_PROCID", 0))


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    why = ": was its memory too small? Give it more: hydra.launcher.mem_gb=..." if -code == signal.SIGKILL else ""
    return f"signal {signal.Signals(-code).name}{why}"
