"""What a job took, and the table of jobs."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np
from rich.table import Table

T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """What one job took, and how far its result is from the peer's; NaN where there is no peer, or nothing to compare."""

    job: str
    warm: float
    compile: float
    peer: float
    error: float


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that a call takes, with its result."""
    began = perf_counter()
    result = function()
    return perf_counter() - began, result


def table(results: list[Result], peer: str) -> Table:
    """Lay the results out."""
    names = ("job", "ours, s", "compile, s", f"{peer}, s", "ratio", "error")
    shown = Table(*names, title=f"{peer}: extrapolated from a sample; error: against it", title_justify="left")
    shown.columns[0].no_wrap = True
    for each in results:
        numbers = (each.warm, max(each.compile, 0.0), each.peer, each.peer / each.warm, each.error)
        formats = ("{:.3f}", "{:.1f}", "{:.2f}", "{:.0f} x", "{:.0e}")
        cells = (
            "-" if np.isnan(number) else form.format(number) for form, number in zip(formats, numbers, strict=True)
        )
        shown.add_row(each.job, *cells)
    return shown
