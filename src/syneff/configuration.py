"""The keys of a configuration: what one cell may be told, and of which type.

Hydra fills `Config` from the yaml files and the command line, and refuses keys and types that are not declared here. Source,
steps, specification, estimator and report are open mappings: `syneff.nodes` checks them against the functions that they name.
"""

from dataclasses import dataclass, field
from typing import Any

MISSING = "???"
"""What OmegaConf reads as: must be given."""

KEYED = ("name", "experiment", "column", "seed", "source", "steps", "estimator", "audit")
"""What a result depends on; the rest of the configuration says where it is computed and how it is shown."""


@dataclass
class Compute:
    """Where to compute."""

    platform: str = "cpu"
    cache: bool = True


@dataclass
class Launcher:
    """How cells are handed to a cluster's scheduler; the rest stands in ``hydra.launcher``."""

    cells_per_job: int = 0
    detach: bool = False
    distributed: bool = False


@dataclass
class Config:
    """The configuration of one cell; yaml fills it."""

    name: str = MISSING
    experiment: str = MISSING
    column: int = 1
    seed: int = 0
    draws: int = 1000
    audit: bool = False
    source: dict[str, Any] = field(default_factory=dict)
    measure: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    estimator: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    compute: Compute = field(default_factory=Compute)
    output: str = "outputs"
    batch: str = MISSING
    force: bool = False
    only: str = "all"
    launcher: Launcher = field(default_factory=Launcher)
    run: str = "run"
    swept: list[str] = field(default_factory=list)
