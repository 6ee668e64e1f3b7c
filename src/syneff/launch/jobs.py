"""The jobs of a sweep: the words and the folder's name of each cell, known before anything is composed or computed.

The cells of a sweep have unlike estimators and steps, so an option that is given to all reaches those that have it.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from syneff import command, nodes
from syneff.errors import SpecError, unknown_name


@dataclass(frozen=True)
class Job:
    """One cell of a sweep.

    Attributes
    ----------
    cell
        Name of its folder.
    words
        Its overrides, as Hydra's command line spells them.
    """

    cell: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """The cells of a sweep.

    Attributes
    ----------
    jobs
        In the order of the sweep.
    notes
        What the user should know of them before they are computed.
    """

    jobs: tuple[Job, ...]
    notes: tuple[str, ...] = ()


def listed(config: DictConfig, loader: ConfigLoader) -> Listing:
    """Return the jobs of a sweep; each experiment is composed once to know its name and its options.

    Raises
    ------
    SpecError
        If two of them would be stored in one folder, no cell has an option that is given, or there are no cells.
    """
    swept = {*config.swept, *(config.hydra.sweeper.get("params") or {})}
    options = _Options(config, loader)
    known: dict[str, Job] = {}
    for words in _products(config, loader):
        name, taken = options.of_cell(words)
        job = Job(_folder_name(name, taken, swept), taken)
        if job.cell in known and (taken == words or known[job.cell] != job):
            raise SpecError(_twins(known[job.cell], job, swept))
        known[job.cell] = job
    if not known:
        raise SpecError("this sweep has no cells: one of its options has no value. Give each at least one.")
    return Listing(tuple(known.values()), options.notes())


class _Options:
    """Which cells have the options of nodes that the user gives to all."""

    def __init__(self, config: DictConfig, loader: ConfigLoader) -> None:
        self._config, self._loader = config, loader
        given = command.overrides(config.hydra.overrides.task)
        self._asked = {key for key in given if command.is_option_of_node(key)}
        self._cells: dict[tuple[str, ...], DictConfig] = {}
        self._beside: dict[str, set[str]] = {key: set() for key in self._asked}
        self._experiments: dict[str, set[str]] = {key: set() for key in self._asked}

    def of_cell(self, words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """Return the name of a cell and those of its words that mean something to it."""
        choices = tuple(word for word in words if word.partition("=")[0] in command.NODES)
        if choices not in self._cells:
            plain = [word for word in words if word.partition("=")[0] not in self._asked]
            self._cells[choices] = self._loader.load_sweep_config(self._config, plain)
        cell = self._cells[choices]
        missing = set()
        for key in self._asked:
            where, _, option = key.rpartition(".")
            node = OmegaConf.select(cell, where, throw_on_resolution_failure=False)
            beside = {str(each) for each in node} if isinstance(node, DictConfig) else set()
            self._beside[key] |= beside
            if option in beside:
                self._experiments[key].add(cell.name)
            else:
                missing.add(key)
        return cell.name, tuple(word for word in words if word.partition("=")[0] not in missing)

    def notes(self) -> tuple[str, ...]:
        """Say how many experiments each option reaches, where it is not all; raise where it is none."""
        every = {cell.name for cell in self._cells.values()}
        for key in sorted(self._asked):
            if not self._experiments[key]:
                where, _, option = key.rpartition(".")
                beside = sorted(self._beside[key] - set(nodes.RESERVED))
                remedy = "No cell of this sweep has it. syneff experiment=... --cfg job shows the options of one."
                raise SpecError(unknown_name(f"option of {where}", option, beside, remedy))
        return tuple(
            f"{key} is an option of {len(mine)} of {len(every)} experiments ({_some(mine)}); the others go without it."
            for key, mine in sorted(self._experiments.items())
            if mine != every
        )


def _some(names: set[str], most: int = 6) -> str:
    return ", ".join(sorted(names)[:most]) + (", ..." if len(names) > most else "")


def cell_name(config: DictConfig) -> str:
    """Return the name of the folder of the cell that Hydra has composed: its own name, and what else is swept."""
    known = HydraConfig.get()
    return _folder_name(config.name, known.overrides.task, {*config.swept, *(known.sweeper.get("params") or {})})


def _folder_name(name: str, words: Sequence[str], swept: set[str]) -> str:
    own = [word for word in words if word.split("=")[0] in swept - {"experiment"}]
    return re.sub(r"[^\w.=,+-]+", "_", ",".join([name, *own]))


def _products(config: DictConfig, loader: ConfigLoader) -> list[tuple[str, ...]]:
    """Return the words of each job: every value of every swept option, the last changing first."""
    words = {key: f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()}
    words |= {word.split("=")[0]: word for word in config.hydra.overrides.task}
    choices = [
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [str(override.input_line)]
        for override in OverridesParser.create(loader).parse_overrides(list(words.values()))
    ]
    return list(itertools.product(*choices))


def _twins(one: Job, other: Job, swept: set[str]) -> str:
    pairs = [pair for pair in zip(one.words, other.words, strict=True) if pair[0].split("=")[0] in swept]
    first, second = (",".join(each) for each in zip(*([p for p in pairs if p[0] != p[1]] or pairs), strict=True))
    return (
        f"{first} and {second} would both be stored as {one.cell!r}, one over the other. Give each experiment a name of "
        "its own (name: ... in its yaml), and each swept option different values."
    )
