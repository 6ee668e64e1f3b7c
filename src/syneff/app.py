"""The `syneff` command.

Hydra composes the configuration of each cell and hands it to `cell`, here or on a node of a cluster. `cell` never raises: it
leaves word of how it ended (`syneff.ledger.Outcome`), so one bad cell does not stop a sweep. `main` collects the words, builds
the report and gives the exit status:

0   all cells done
1   some cell failed; it is named and the others are kept
2   the user's input is wrong: one message, no traceback (HYDRA_FULL_ERROR=1 gives it)
"""

import os
import shlex
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

import syneff
from syneff import claims, closing, command, journal, ledger
from syneff.configuration import KEYED, Config
from syneff.errors import SpecError, StorageError, SyneffError, one_of
from syneff.launch import jobs, memory, pool, slurm
from syneff.messages import complaints, explain, is_interrupt
from syneff.progress import Bar

ConfigStore.instance().store(name="schema", node=Config)


PAGE = Path("report", "index.html")
COMPACT_FROM = 10_000
"""Finished cells from which on a run's folders are joined into a few files when it ends."""


@dataclass
class Session:
    """What `main` and the cells of its process know of each other.

    Attributes
    ----------
    words, of_cells
        The command; those of its words that each cell is given by itself.
    bar, traceback
        What is shown.
    config
        Of the run; None before there is one.
    asked, kept
        Cells of the sweep that are run; those that are not run again, because only those that failed are asked for.
    told
        Words of cells that could not be left in the ledger.
    submission
        What a scheduler has, where the cells are its.
    fingerprint
        What the cells of the run follow from.
    stores
        Whether this process stores results; of several that compute a cell together, one does.
    """

    words: tuple[str, ...] = ()
    of_cells: tuple[str, ...] = ()
    bar: Bar = field(default_factory=Bar)
    traceback: bool = False
    config: DictConfig | None = None
    asked: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    told: list[ledger.Outcome] = field(default_factory=list)
    submission: slurm.Submission | None = None
    fingerprint: str = ""
    stores: bool = True


# Hydra makes callbacks from yaml and calls `cell` with a configuration alone, so what they share stands in the module.
_session = Session()


class Watch(Callback):
    """Tells `main` the configuration of a run of one cell, and starts the progress bar."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Note the run."""
        _session.config = config
        _session.bar.start(1, lambda: ledger.count(_ledger(config)))


def sweep(config: DictConfig, context: HydraContext, task: Callable[[DictConfig], Any]) -> None:
    """Run the cells of a sweep; Hydra calls this by way of `hydra_plugins.syneff_sweeper`.

    Parameters
    ----------
    config
        Of the whole run.
    context, task
        What Hydra's launchers need.
    """
    with read_write(config), open_dict(config):
        config.hydra.overrides.task = [*config.hydra.overrides.task, *_session.of_cells]
    run = _folder(config)
    _session.fingerprint = memory.fingerprint(config, Path(syneff.__file__).parent)
    if not config.force and config.only == "all" and (keys := memory.unchanged(run, _session.fingerprint)):
        from syneff import store

        if store.have_keys(run, keys):
            _session.config, _session.kept = config, tuple(keys)
            return
    found = jobs.listed(config, context.config_loader)
    listed = found.jobs
    for note in found.notes:
        print(f"syneff: {note}", file=sys.stderr)
    one_of("only", config.only, ("all", "failed"))
    if config.only == "failed":
        from syneff import store

        _session.kept = store.finished(run, [job.cell for job in listed])
        listed = tuple(job for job in listed if job.cell not in _session.kept)
    _session.config, _session.asked = config, tuple(job.cell for job in listed)
    with journal.refusals(run):
        run.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, run / "multirun.yaml")
        if str(config.hydra.launcher.get("_target_")).endswith(".SlurmLauncher"):
            _session.submission = slurm.submit_jobs(config, listed, _ledger(config), _session.words)
    _session.bar.start(len(listed), lambda: ledger.count(_ledger(config)))
    if _session.submission is None:
        pool.launch(config, context, task, jobs=listed, ledger_folder=_ledger(config))
    elif not config.launcher.detach:
        slurm.wait(_session.submission.jobs, lambda: ledger.count(_ledger(config)) >= len(listed))


def main() -> int:
    """Run the command line; return the exit status."""
    global _session  # `main` may be called more than once in a process
    words = sys.argv[1:]
    _session = Session(tuple(words), traceback=os.environ.get("HYDRA_FULL_ERROR") == "1")
    try:
        return _answer(words)
    except KeyboardInterrupt:
        run = None if _session.config is None else _folder(_session.config)
        print(f"syneff: interrupted; {closing.resume(run, _session.submission)}", file=sys.stderr)
        return 130
    except SyneffError as mistake:
        return _complain(mistake)
    finally:
        _session.bar.stop()
        if _session.config is not None and _session.submission is None:
            ledger.forget(_ledger(_session.config))


def _answer(words: list[str]) -> int:
    """Do what the words ask for; return the exit status."""
    if command.wants_help(words):
        print(command.help_text(words))
        return 0
    if words == ["--version"]:
        print(f"syneff {syneff.__version__}")
        return 0
    given = command.overrides(words)
    if "collect" in given:
        return _collect(Path(given["collect"]))
    if "compact" in given:
        return _compact(Path(given["compact"]))
    error = _launch(command.arguments(words, run=f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"))
    if error is not None and (_session.bar.total == 0 or explain(error) is not None):
        if _session.config is not None:
            closing.tidy_away(_folder(_session.config))
        return _complain(error)
    if _session.config is None:
        return 0
    if _session.submission is not None and _session.config.launcher.detach:
        run, numbers = _folder(_session.config), ", ".join(_session.submission.jobs)
        print(f"{len(_session.submission.cells)} cells submitted as job {numbers}. Then: syneff collect={run}")
        return 0
    return _close(_session.config, error)


def _collect(run: Path) -> int:
    """Wait for the jobs of a run that was submitted, and close it."""
    found = slurm.recorded(run)
    if found is None:
        raise SpecError(
            f"collect={run}: no jobs were submitted for it that are not collected. Give the folder of a run."
        )
    config = OmegaConf.create(dict(found.config))
    _session.config, _session.submission, _session.words = config, found, found.words
    _session.asked, count = found.cells, len(found.cells)
    ended, queue = ledger.count(_ledger(config)), slurm.states(found.jobs)
    waiting = ", ".join(f"{number} {state.lower()}" for state, number in queue.items()) or "none in the queue"
    print(f"{ended} of {count} cells ended; jobs: {waiting}", flush=True)
    _session.bar.start(count, lambda: ledger.count(_ledger(config)))
    slurm.wait(found.jobs, lambda: ledger.count(_ledger(config)) >= count)
    return _close(config, None)


def _compact(run: Path) -> int:
    from syneff import compaction, store

    if not run.is_dir():
        raise SpecError(f"compact={run}: no such folder. Give the folder of a run, e.g. outputs/paper.")
    print(f"{store.compact(run)} cells in {run / compaction.FOLDER}")
    return 0


def cell(config: DictConfig) -> None:
    """Compute one cell and leave word of how it ended."""
    name = jobs.cell_name(config)
    _session.bar.stage(name)
    try:
        with journal.refusals(_folder(config)):
            if _session.stores:
                ledger.begin(_ledger(config), name)
            outcome = _outcome(config, _folder(config) / name)
            if _session.stores:
                ledger.note(_ledger(config), outcome)
    except StorageError as error:  # there is no room for a word either
        _session.told.append(ledger.Outcome(name, "invalid", str(error)))


def write_results(stores: bool) -> None:
    """Say whether this process stores results: of several that compute a cell together, one does."""
    _session.stores = stores


def refuse(config_ledger: Path, name: str, error: Exception) -> None:
    """Leave word of a cell whose configuration cannot be composed."""
    ledger.note(config_ledger, ledger.Outcome(name, "invalid", explain(error) or f"{type(error).__name__}: {error}"))


def _outcome(config: DictConfig, folder: Path) -> ledger.Outcome:
    """Compute a cell and store it, or why there is nothing to store."""
    name = folder.name
    try:
        with claims.claim(folder.parent, name) if _session.stores else nullcontext():
            return ledger.Outcome(name, "done" if _compute(config, folder) else "skipped")
    except Exception as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        if _session.traceback:
            traceback.print_exc()
        message = explain(error)
        if message is not None:
            return ledger.Outcome(name, "invalid", message)
        from syneff import store

        if _session.stores:
            store.save_failure(folder, traceback.format_exc())
        return ledger.Outcome(name, "failed", f"{type(error).__name__}: {error}. Traceback: {folder / store.FAILURE}")


def _compute(config: DictConfig, folder: Path) -> bool:
    """Compute and store a cell; return False if it is there already."""
    from syneff import store

    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
    keyed = {name: plain[name] for name in KEYED}
    data = store.data_hash(keyed)
    key = store.key(keyed, data, version=syneff.__version__)
    if not plain["force"] and store.is_finished(folder, key):
        return False
    # Only a cell that must be computed waits for JAX and pandas.
    from syneff import experiment, record, runtime

    built = experiment.from_config(plain, data)
    runtime.configure(plain["compute"]["platform"], plain["compute"]["cache"])
    run = experiment.run_in_memory(built, listen=lambda stage: _session.bar.stage(folder.name, stage))
    if not record.has_result(run):
        raise ArithmeticError(f"no coefficient of {built.name} could be estimated (status {int(run.estimate.status)})")
    manifest = {"key": key, **record.manifest(built, run), "config": keyed}
    tidy, draws, details = record.tidy(built, run), record.draws(built, run), record.details(run)
    if _session.stores:
        store.save(folder, tidy, draws, manifest=manifest, config=plain, details=details)
    return True


def _launch(words: list[str]) -> BaseException | None:
    """Hand the command to Hydra; return what it raises."""
    _session.of_cells = tuple(command.of_cells(words))
    sys.argv[1:] = [word for word in words if word not in _session.of_cells]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print, and the wording is ours
    try:
        hydra.main(config_path=str(command.conf_directory()), config_name="config", version_base="1.3")(cell)()
    except Exception as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        return error
    finally:
        _session.bar.stop()
    return None


def _close(config: DictConfig, error: BaseException | None) -> int:
    """Build the report of a run, say how it ended, and return the exit status."""
    words = {each.cell: each for each in (*ledger.outcomes(_ledger(config)), *_session.told)}
    ended, folder = [words[name] for name in sorted(words)], _folder(config)
    finished = [*_session.kept, *(each.cell for each in ended if each.state in ("done", "skipped"))]
    lost = max(_session.bar.total - len(ended), 0)
    count = {state: sum(each.state == state for each in ended) for state in ("done", "skipped", "failed", "invalid")}
    bad = count["failed"] + count["invalid"] + lost
    idle = bool(finished) and not ended and not lost and config.get("only") == "all" and (folder / PAGE).is_file()
    page, refused = (
        (folder / PAGE, ()) if idle else closing.report(config, folder, finished) if finished else (None, ())
    )
    for message in (*complaints(ended, several=_session.bar.total > 1), *refused):
        print(f"syneff: {message}", file=sys.stderr)
    if lost:
        silent = sorted({*_session.asked} - words.keys())
        print(f"syneff: {closing.without_word(silent, lost, folder, error)}", file=sys.stderr)
    if not finished and not count["failed"]:
        closing.tidy_away(folder)
    if bad and _session.bar.total > 1:
        again = [word for word in _session.words if not word.startswith(("only=", "force="))]
        print(f"syneff: these again, and no others: {shlex.join(['syneff', *again, 'only=failed'])}", file=sys.stderr)
    if finished:
        skipped = count["skipped"] + len(_session.kept)
        hint = " (nothing changed; force=true does them again)" if skipped else ""
        print(f"{count['done']} cells done, {skipped} skipped{hint}, {bad} failed: {page or folder}")
    if _session.submission is not None:
        ledger.forget(_ledger(config))
        slurm.forget(folder)
    if finished and not bad and not refused:
        closing.remember(folder, finished, _session.fingerprint)
    if len(finished) >= COMPACT_FROM:
        _compact(folder)
    return 2 if count["invalid"] or refused else 1 if count["failed"] or lost or error is not None else 0


def _folder(config: DictConfig) -> Path:
    return Path(config.output, config.batch)


def _ledger(config: DictConfig) -> Path:
    return Path(config.output) / f".{config.run}"


def _complain(error: BaseException) -> int:
    """Print what went wrong before any cell was computed; return the exit status."""
    message = explain(error)
    if message is None or _session.traceback:
        traceback.print_exception(error)
    if message is None:
        return 1
    print(f"syneff: {message}", file=sys.stderr)
    return 2
