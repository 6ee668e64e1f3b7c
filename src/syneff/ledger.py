"""How the cells of a run ended, told by those who ran them to the one who launched them.

Cells may run in other processes or on other machines, so each leaves an `Outcome` in a *ledger*: a folder of small files that
belongs to one run. The process that launched the run reads the ledger and removes it.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    Attributes
    ----------
    cell
        Its folder's name.
    state
        "done"; "skipped" (finished before, same key); "invalid" (the input is wrong); "failed" (anything else).
    message
        What is wrong, for "invalid" and "failed".
    """

    cell: str
    state: Literal["done", "skipped", "invalid", "failed"]
    message: str = ""


def begin(ledger: Path, cell: str) -> None:
    """Leave word that a cell is at work."""
    ledger.mkdir(parents=True, exist_ok=True)
    write(ledger / f"{_name(cell)}.begun", cell.encode())


def at_work(ledger: Path, cells: Collection[str]) -> list[str]:
    """Return those of some cells that have begun and not ended, sorted."""
    return sorted(seconds_at_work(ledger, cells))


def seconds_at_work(ledger: Path, cells: Collection[str]) -> dict[str, float]:
    """Return how long ago those of some cells began that have not ended."""
    begun = {path: path.read_text(encoding="utf-8") for path in ledger.glob("*.begun")}
    return {
        cell: time.time() - path.stat().st_mtime
        for path, cell in begun.items()
        if cell in cells and not path.with_suffix(".json").exists()
    }


def forget_begun(ledger: Path, cells: Collection[str] | None = None) -> None:
    """Take the word back that some cells are at work, or all: their process has ended."""
    for path in ledger.glob("*.begun"):
        if cells is None or path.read_text(encoding="utf-8") in cells:
            path.unlink(missing_ok=True)


def count(ledger: Path) -> int:
    """Return how many cells have ended."""
    try:
        return sum(name.endswith(".json") for name in os.listdir(ledger))
    except FileNotFoundError:
        return 0


def note(ledger: Path, outcome: Outcome) -> None:
    """Leave word of how a cell ended."""
    ledger.mkdir(parents=True, exist_ok=True)
    write(ledger / f"{_name(outcome.cell)}.json", json.dumps(asdict(outcome)).encode())


def outcomes(ledger: Path) -> list[Outcome]:
    """Return how the cells of a run ended, sorted by name."""
    texts = (path.read_text(encoding="utf-8") for path in ledger.glob("*.json"))
    return sorted((Outcome(**json.loads(text)) for text in texts), key=lambda outcome: outcome.cell)


def forget(ledger: Path) -> None:
    """Remove a ledger that has been read."""
    shutil.rmtree(ledger, ignore_errors=True)


def _name(cell: str) -> str:
    return hashlib.sha256(cell.encode()).hexdigest()[:16]


def write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
