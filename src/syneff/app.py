"""The `syneff` command: the only module that knows Hydra.

Hydra composes the configuration of each cell and hands it to `cell`, here or on a node of a cluster. `cell` never raises: it
leaves word of how it ended (`syneff.ledger.Outcome`), so one bad cell does not stop a sweep. `main` collects the words, builds
the report and gives the exit status:

0   all cells done
1   some cell failed; it is named and the others are kept
2   the user's input is wrong: one message, no traceback (HYDRA_FULL_ERROR=1 gives it)
"""

import itertools
import os
import re
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

import syneff
from syneff import command, ledger, nodes
from syneff.configuration import KEYED, Config
from syneff.errors import SpecError, SyneffError, unknown_name
from syneff.progress import Bar

ConfigStore.instance().store(name="schema", node=Config)


@dataclass
class Session:
    """What `main` and the cells of its process know of each other."""

    bar: Bar = field(default_factory=Bar)
    traceback: bool = False
    config: DictConfig | None = None

    def reset(self, show_tracebacks: bool) -> None:
        """Begin anew: `main` may be called more than once in a process."""
        self.bar, self.traceback, self.config = Bar(), show_tracebacks, None


# Hydra makes callbacks from yaml and calls `cell` with a configuration alone, so what they share stands in the module.
_session = Session()


class Refused(BaseException):
    """Ends a run before its first cell; Hydra would only warn of an `Exception` in a callback."""


class Watch(Callback):
    """Tells `main` the configuration of the run, refuses cells that would overwrite each other, and starts the progress bar."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Note a run of one cell."""
        _session.config = config
        _session.bar.start(1)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Note a sweep."""
        _session.config = config
        try:
            jobs = _jobs(config)
            _refuse_twins(config, jobs)
        except Exception as error:
            raise Refused from error
        _session.bar.start(len(jobs))


def main() -> int:
    """Run the command line; return the exit status."""
    words = sys.argv[1:]
    _session.reset(show_tracebacks=os.environ.get("HYDRA_FULL_ERROR") == "1")
    try:
        if command.wants_help(words):
            print(command.help_text(words))
            return 0
        if words == ["--version"]:
            print(f"syneff {syneff.__version__}")
            return 0
        error = _launch(command.arguments(words, run=f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"))
        if error is not None and (_session.bar.total == 0 or explain(error) is not None):
            return _complain(error)
        return 0 if _session.config is None else _close(_session.config, error)
    except KeyboardInterrupt:
        print("syneff: interrupted; finished cells are kept, the same command goes on from there.", file=sys.stderr)
        return 130
    except SyneffError as mistake:
        return _complain(mistake)
    finally:
        _session.bar.stop()
        if _session.config is not None:
            ledger.forget(_ledger(_session.config))


def cell(config: DictConfig) -> None:
    """Compute one cell and leave word of how it ended."""
    name = _cell_name(config)
    folder = Path(config.output) / config.batch / name
    _session.bar.stage(name)
    try:
        outcome = ledger.Outcome(name, "done" if _compute(config, folder) else "skipped")
    except Exception as error:
        message = explain(error)
        if message is None:
            from syneff import store

            store.save_failure(folder, traceback.format_exc())
            message = f"{type(error).__name__}: {error}. Traceback: {folder / store.FAILURE}"
            outcome = ledger.Outcome(name, "failed", message)
        else:
            outcome = ledger.Outcome(name, "invalid", message)
        if _session.traceback:
            traceback.print_exc()
    ledger.note(_ledger(config), outcome)
    _session.bar.advance()


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
    run = experiment.run(built, listen=lambda stage: _session.bar.stage(folder.name, stage))
    if not record.has_result(run):
        raise ArithmeticError(f"no coefficient of {built.name} could be estimated (status {int(run.estimate.status)})")
    manifest = {"key": key, **record.manifest(built, run), "config": keyed}
    tidy, draws, details = record.tidy(built, run), record.draws(built, run), record.details(run)
    store.save(folder, tidy, draws, manifest=manifest, config=plain, details=details)
    return True


def _cell_name(config: DictConfig) -> str:
    """Return the name of a cell's folder: its own, and what else is swept."""
    known = HydraConfig.get()
    return _folder_name(config.name, known.overrides.task, {*config.swept, *(known.sweeper.get("params") or {})})


def _folder_name(name: str, words: Sequence[str], swept: set[str]) -> str:
    own = [word for word in words if word.split("=")[0] in swept - {"experiment"}]
    return re.sub(r"[^\w.=,+-]+", "_", ",".join([name, *own]))


def _jobs(config: DictConfig) -> list[tuple[str, ...]]:
    """Return the words of each job of a sweep, as Hydra's sweeper will."""
    words = {key: f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()}
    words |= {word.split("=")[0]: word for word in config.hydra.overrides.task}
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    choices = [
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [str(override.input_line)]
        for override in parser.parse_overrides(list(words.values()))
    ]
    return list(itertools.product(*choices))


def _refuse_twins(config: DictConfig, jobs: Sequence[tuple[str, ...]]) -> None:
    """Raise if two cells of a sweep would be stored in one folder; each experiment is composed once to know its name."""
    swept = {*config.swept, *(config.hydra.sweeper.get("params") or {})}
    loader = GlobalHydra.instance().config_loader()
    names: dict[str, str] = {}
    known: dict[str, tuple[str, ...]] = {}
    for words in jobs:
        experiment = next((word for word in words if word.startswith("experiment=")), "")
        if experiment not in names:
            names[experiment] = loader.load_sweep_config(config, list(words)).name
        folder = _folder_name(names[experiment], words, swept)
        if folder in known:
            pairs = [pair for pair in zip(known[folder], words, strict=True) if pair[0].split("=")[0] in swept]
            one, other = (",".join(each) for each in zip(*([p for p in pairs if p[0] != p[1]] or pairs), strict=True))
            raise SpecError(
                f"{one} and {other} would both be stored as {folder!r}, one over the other. Give each experiment a name of "
                "its own (name: ... in its yaml), and each swept option different values."
            )
        known[folder] = words


def _launch(words: list[str]) -> BaseException | None:
    """Hand the command to Hydra; return what it raises."""
    sys.argv[1:] = words
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print, and the wording is ours
    try:
        hydra.main(config_path=str(command.conf_directory()), config_name="config", version_base="1.3")(cell)()
    except (Exception, Refused) as error:
        return error
    finally:
        _session.bar.stop()
    return None


def _close(config: DictConfig, error: BaseException | None) -> int:
    """Build the report of a run, say how it ended, and return the exit status."""
    ended = ledger.outcomes(_ledger(config))
    folder = Path(config.output) / config.batch
    finished = [each.cell for each in ended if each.state in ("done", "skipped")]
    lost = max(_session.bar.total - len(ended), 0)
    count = {state: sum(each.state == state for each in ended) for state in ("done", "skipped", "failed", "invalid")}
    page = _report(config, folder, finished) if finished else None
    messages: dict[str, list[str]] = {}
    for each in ended:
        if each.message:
            messages.setdefault(each.message, []).append(each.cell)
    for message, cells in messages.items():
        where = f"{', '.join(cells[:8])}{', ...' if len(cells) > 8 else ''}: " if _session.bar.total > 1 else ""
        print(f"syneff: {where}{message}", file=sys.stderr)
    if lost:
        print(f"syneff: {lost} cells ended without a word (killed?). {error or ''}", file=sys.stderr)
    if not finished and not count["failed"]:
        _tidy_away(folder)
    if finished:
        bad = count["failed"] + count["invalid"] + lost
        hint = " (nothing changed; force=true does them again)" if count["skipped"] else ""
        print(f"{count['done']} cells done, {count['skipped']} skipped{hint}, {bad} failed: {page or folder}")
    return 2 if count["invalid"] else 1 if count["failed"] or lost or error is not None else 0


def _report(config: DictConfig, folder: Path, finished: list[str]) -> Path | None:
    """Build the page of the finished cells; None if the configuration has no exhibits."""
    plain: dict[str, Any] = OmegaConf.to_container(config.report, resolve=True)  # type: ignore[assignment]
    if not plain.get("exhibits"):
        return None
    nodes.check(plain, "report")
    from syneff import store
    from syneff.report import page

    results = store.read(folder, finished)
    exhibits = {name: nodes.make(node) for name, node in plain["exhibits"].items()}
    return page.build(results.tidy, results.manifests, results.draws, exhibits, folder, details=results.details)


def _tidy_away(folder: Path) -> None:
    """Remove what Hydra made for a run that stored nothing."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {"multirun.yaml"}:
        shutil.rmtree(folder)


def _ledger(config: DictConfig) -> Path:
    return Path(config.output) / f".{config.run}"


def explain(error: BaseException) -> str | None:
    """Return the message for a mistake of the user's, or None for any other error."""
    chain = []
    each: BaseException | None = error
    while each is not None:
        chain.append(each)
        each = each.__cause__ or each.__context__
    for each in chain:
        if isinstance(each, SyneffError):
            return str(each)
    for each in chain:
        if isinstance(each, MissingConfigException) and each.options is not None:
            return _explain_choice(each)
        if isinstance(each, MissingMandatoryValue):
            name = str(each.full_key or each).rpartition(" ")[2]
            return f"{name} is not set. Give it: {name}=..."
    if any(isinstance(each, HydraException | OmegaConfBaseException) for each in chain):
        return _explain_hydra(chain)
    return None


def _explain_choice(error: MissingConfigException) -> str:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    if group == "hydra/launcher":
        package = "'syneff[slurm]'" if name.startswith("submitit") else f"hydra-{name}-launcher"
        return f"launcher {name!r} is not installed. Install it: pip install {package}; or use launcher=local."
    return unknown_name(group or "configuration", name, error.options or ())


_KINDS = {
    int: "a whole number",
    bool: "true or false",
    DictConfig: "a mapping {name: value}",
    ListConfig: "a list [...]",
}


def _explain_hydra(chain: list[BaseException]) -> str:
    for each in chain:
        if isinstance(each, OverrideParseException):
            return command.unreadable(each.override)
        if isinstance(each, ValidationError) and each.full_key:
            default = OmegaConf.select(OmegaConf.structured(Config), each.full_key)
            example = f" Set for instance {each.full_key}={str(default).lower()}." if isinstance(default, int) else ""
            return f"{each.full_key} must be {_KINDS.get(type(default), 'text')}, not {each.value!r}.{example}"
        if ambiguous := re.match(r"Ambiguous value for argument '(.*)'", str(each)):
            return f"{ambiguous[1]}: several values make several cells, but one is asked for. Give one value."
        if isinstance(each, ConfigKeyError | ConfigAttributeError) and isinstance(each.parent_node, DictConfig):
            known = [str(key) for key in each.parent_node if key not in ("hydra", *nodes.RESERVED)]
            where = str(each.full_key).rpartition(".")[0]
            return unknown_name(
                f"option{' of ' + where if where else ''}", str(each.key), known, "syneff --cfg job shows all."
            )
    said = [str(each).strip().splitlines()[0] for each in chain if str(each).strip()]
    return ". ".join(dict.fromkeys(said[:2]))


def _complain(error: BaseException) -> int:
    """Print what went wrong before any cell was computed; return the exit status."""
    message = explain(error)
    if message is None or _session.traceback:
        traceback.print_exception(error)
    if message is None:
        return 1
    print(f"syneff: {message}", file=sys.stderr)
    return 2
