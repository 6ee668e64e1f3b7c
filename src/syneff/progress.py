"""Progress of a run on the terminal: one bar over its cells, with the stage of the cell at work.

Without a terminal (a log, CI) nothing is drawn: the closing line of the run says it all.
"""

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@dataclass
class Bar:
    """A progress bar over the cells of a run; it knows the cells that run in its own process."""

    total: int = 0
    done: int = 0
    _drawn: "tuple[Progress, TaskID] | None" = field(default=None, repr=False)

    def start(self, total: int) -> None:
        """Draw the bar, if there is a terminal to draw on."""
        self.total, self.done = total, 0
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            progress = Progress(*columns, console=Console(stderr=True), transient=True)
            progress.start()
            self._drawn = progress, progress.add_task("", total=total)

    def stage(self, cell: str, stage: str = "") -> None:
        """Show what is being computed."""
        if self._drawn is not None:
            progress, task = self._drawn
            progress.update(task, description=f"{cell}: {stage}" if stage else cell)

    def advance(self) -> None:
        """Count a cell."""
        self.done += 1
        if self._drawn is not None:
            progress, task = self._drawn
            progress.advance(task)

    def stop(self) -> None:
        """Take the bar away."""
        if self._drawn is not None:
            self._drawn[0].stop()
            self._drawn = None
