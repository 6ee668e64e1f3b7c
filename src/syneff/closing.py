"""What a run leaves when it ends: the report, the memory of what it was made of, and no folder where nothing was stored."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from syneff import claims, journal, nodes
from syneff.errors import StorageError
from syneff.launch import memory
from syneff.launch.slurm import Submission


def remember(folder: Path, finished: Sequence[str], fingerprint: str) -> None:
    """Let the next run of the same command find out at once that nothing is left to do."""
    from syneff import store

    manifests = store.manifests(folder, finished)
    files = store.data_files(manifest["config"] for manifest in manifests.values())
    with contextlib.suppress(OSError):  # the run is finished with or without
        memory.remember(folder, fingerprint, manifests, files, len(finished))


def report(config: DictConfig, folder: Path, finished: list[str]) -> tuple[Path | None, tuple[str, ...]]:
    """Build the page of the finished cells, if the configuration has exhibits; return it and what hinders it."""
    plain: dict[str, Any] = OmegaConf.to_container(config.report, resolve=True)  # type: ignore[assignment]
    if not plain.get("exhibits"):
        return None, ()
    nodes.check(plain, "report")
    from syneff import store
    from syneff.report import page

    results = store.read(folder, finished)
    exhibits = {name: nodes.make(node) for name, node in plain["exhibits"].items()}
    try:
        with journal.refusals(folder):
            found = page.build(
                results.tidy, results.manifests, results.draws, exhibits, folder, details=results.details
            )
    except StorageError as error:
        return None, (f"the report: {error}",)
    return found, ()


def resume(folder: Path | None, submission: Submission | None) -> str:
    """Say how an interrupted run goes on."""
    if submission is None:
        return "finished cells are kept, the same command goes on from there."
    numbers = " ".join(submission.jobs)
    return f"job {numbers} goes on. Wait for it: syneff collect={folder}; or stop it: scancel {numbers}"


def without_word(cells: Sequence[str], count: int, folder: Path, error: object) -> str:
    """Word the message for cells that ended without telling how: their process or job was killed from outside.

    Parameters
    ----------
    cells
        Those that are known by name.
    count
        How many there are.
    folder
        Of the run.
    error
        What was raised meanwhile, if anything.
    """
    logs = folder / ".submitit"
    named = f" ({', '.join(cells[:8])}{', ...' if len(cells) > 8 else ''})" if cells else ""
    parts = [f"{count} cells ended without a word{named}: killed, cancelled, never begun, or without room to write it."]
    parts += [f"What their jobs wrote: {logs}"] if logs.is_dir() else []
    return " ".join([*parts, *([str(error)] if error else [])])


def tidy_away(folder: Path) -> None:
    """Remove what Hydra made for a run that stored nothing."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {"multirun.yaml", claims.LOCKS, memory.RECORD}:
        with claims.claim_all(folder) as alone:
            if alone:  # another launch may have begun its first cell
                shutil.rmtree(folder, ignore_errors=True)
