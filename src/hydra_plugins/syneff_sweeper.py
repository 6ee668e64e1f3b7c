"""Hydra's way to the cells of a sweep; Hydra takes plugins from the namespace `hydra_plugins` only."""

from collections.abc import Sequence
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class CellSweeper(Sweeper):
    """Hand a sweep to `syneff.app.sweep`, which knows its cells by name."""

    def __init__(self, max_batch_size: int | None = None, params: Any = None) -> None:
        """Take the options of Hydra's own sweeper."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives."""
        self.context, self.task, self.run = hydra_context, task_function, config

    def sweep(self, arguments: Sequence[str]) -> None:
        """Run the cells."""
        from syneff import app

        app.sweep(self.run, self.context, self.task)
