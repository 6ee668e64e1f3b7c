"""How the cells of a run ended, told by those who ran them to the one who launched them.

Cells may run in other processes or on other machines, so each leaves an `Outcome` in a *ledger*: a folder of small files that
belongs to one run. The process that launched the run reads the ledger and removes it.
"""

import hashlib
import json
import os
import shutil
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


def note(ledger: Path, outcome: Outcome) -> None:
    """Leave word of how a cell ended."""
    ledger.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(outcome.cell.encode()).hexdigest()[:16]
    write(ledger / f"{name}.json", json.dumps(asdict(outcome)).encode())


def outcomes(ledger: Path) -> list[Outcome]:
    """Return how the cells of a run ended, sorted by name."""
    texts = (path.read_text(encoding="utf-8") for path in ledger.glob("*.json"))
    return sorted((Outcome(**json.loads(text)) for text in texts), key=lambda outcome: outcome.cell)


def forget(ledger: Path) -> None:
    """Remove a ledger that has been read."""
    shutil.rmtree(ledger, ignore_errors=True)


def write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
