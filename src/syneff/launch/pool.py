"""Cells in this process or in processes of this machine, by the launchers that Hydra has for it."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig

from syneff import ledger
from syneff.launch.jobs import Job
from syneff.ledger import Outcome

CHANCES = 2
"""A pool dies with any of its processes, and of the cells at work then only one need be to blame: each gets another chance."""


def launch(
    config: DictConfig,
    context: HydraContext,
    task: Callable[[DictConfig], Any],
    *,
    jobs: Sequence[Job],
    ledger_folder: Path,
) -> None:
    """Run cells; those that a dying pool takes with it are run again, but a cell that is there each time.

    Parameters
    ----------
    config, context, task
        What Hydra's launcher needs; it is named by ``config.hydra.launcher``.
    jobs
        The cells.
    ledger_folder
        Where they leave word.
    """
    died: Counter[str] = Counter()
    left = list(jobs)
    while left:
        launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
        try:
            launcher.launch([list(job.words) for job in left], initial_job_idx=0)
            return
        except Exception as error:
            stuck = ledger.at_work(ledger_folder, {job.cell for job in left})
            if type(error).__name__ not in ("TerminatedWorkerError", "BrokenProcessPool") or not stuck:
                raise
        died.update(stuck)
        for cell in stuck:
            if died[cell] == CHANCES:
                why = "its process was killed: was its memory too small? Run fewer cells at a time: hydra.launcher.n_jobs=..."
                ledger.note(ledger_folder, Outcome(cell, "failed", why))
        ledger.forget_begun(ledger_folder)
        ended = {outcome.cell for outcome in ledger.outcomes(ledger_folder)}
        left = [job for job in left if job.cell not in ended]
