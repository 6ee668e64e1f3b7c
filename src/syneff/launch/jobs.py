"""The jobs of a sweep: the words and the folder's name of each cell, known before anything is composed or computed."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from syneff.errors import SpecError


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


def listed(config: DictConfig, loader: ConfigLoader) -> list[Job]:
    """Return the jobs of a sweep; each experiment is composed once to know its name.

    Raises
    ------
    SpecError
        If two of them would be stored in one folder, or there are none.
    """
    swept = {*config.swept, *(config.hydra.sweeper.get("params") or {})}
    names: dict[str, str] = {}
    known: dict[str, Job] = {}
    for words in _products(config, loader):
        experiment = next((word for word in words if word.startswith("experiment=")), "")
        if experiment not in names:
            names[experiment] = loader.load_sweep_config(config, list(words)).name
        job = Job(_folder_name(names[experiment], words, swept), words)
        if job.cell in known:
            raise SpecError(_twins(known[job.cell], job, swept))
        known[job.cell] = job
    if not known:
        raise SpecError("this sweep has no cells: one of its options has no value. Give each at least one.")
    return list(known.values())


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
