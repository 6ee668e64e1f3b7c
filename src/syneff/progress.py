"""Progress of a run on the terminal: one bar over its cells, with the stage of the cell at work.

Without a terminal (a log, CI) nothing is drawn: the closing line of the run says it all.
"""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

EVERY = 0.5  # seconds between two looks at the cells that have ended


@dataclass
class Bar:
    """A progress bar over the cells of a run, wherever they are computed: it counts those that have left word."""

    total: int = 0
    _drawn: "tuple[Progress, TaskID] | None" = field(default=None, repr=False)
    _stopped: threading.Event = field(default_factory=threading.Event, repr=False)

    def start(self, total: int, ended: Callable[[], int]) -> None:
        """Draw the bar, if there is a terminal to draw on.

        Parameters
        ----------
        total
            Cells of the run.
        ended
            Tells how many have ended.
        """
        self.total = total
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn())
            times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
            progress = Progress(*columns, *times, console=Console(stderr=True), transient=True)
            progress.start()
            task = progress.add_task("", total=total)
            self._drawn, self._stopped = (progress, task), threading.Event()
            threading.Thread(target=self._follow, args=(progress, task, ended), daemon=True).start()

    def _follow(self, progress: "Progress", task: "TaskID", ended: Callable[[], int]) -> None:
        while not self._stopped.wait(EVERY):
            progress.update(task, completed=ended())

    def stage(self, cell: str, stage: str = "") -> None:
        """Show what is being computed."""
        if self._drawn is not None:
            progress, task = self._drawn
            progress.update(task, description=f"{cell}: {stage}" if stage else cell)

    def stop(self) -> None:
        """Take the bar away."""
        if self._drawn is not None:
            self._stopped.set()
            self._drawn[0].stop()
            self._drawn = None
