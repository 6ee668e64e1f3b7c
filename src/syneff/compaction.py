"""Many cells in few files: what the folders of a run's finished cells hold, joined into one set of parquet files.

    outputs/<run>/.compacted/<number>/{cells.parquet, tidy.<k>.parquet, draws.<k>.parquet, detail.<name>.<k>.parquet}

``cells.parquet`` has a row a cell: its name, its key, its manifest and its configuration; the other files have the rows of the
cells' own files, with the name of the cell in `CELL`; files of unlike columns are kept apart by number, so that each frame
comes back as it was. A cell that has a folder of its own is newer and hides what is here.

A new number appears by one rename when it is complete, before the folders go, each by one rename: killed at any instant, every
cell is there. `syneff.store.read` reads both kinds alike.
"""

import io
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    import pyarrow

FOLDER, CELLS, CELL = ".compacted", "cells.parquet", "__cell__"


def newest(run: Path) -> Path | None:
    """Return the folder of the compacted cells of a run; None if there are none."""
    try:
        numbers = [int(name) for name in os.listdir(run / FOLDER) if name.isdigit()]
    except FileNotFoundError:
        return None
    return run / FOLDER / str(max(numbers)) if numbers else None


def cells(run: Path) -> pd.DataFrame:
    """Return a row a compacted cell that has no folder of its own: ``cell``, ``key``, ``manifest``, ``config``."""
    at = newest(run)
    if at is None:
        return pd.DataFrame(columns=["cell", "key", "manifest", "config"], dtype=object)
    found = pd.read_parquet(at / CELLS)
    with os.scandir(run) as entries:
        own = {entry.name for entry in entries if entry.is_dir()}
    return found[~found["cell"].isin(own)].reset_index(drop=True)


def frames(run: Path, stem: str, names: Collection[str]) -> dict[str, pd.DataFrame]:
    """Return the compacted frames of some cells, e.g. for ``stem="draws"``."""
    at = newest(run)
    found: dict[str, pd.DataFrame] = {}
    for file in [] if at is None else sorted(at.glob(f"{stem}.*.parquet")):
        if file.name.removeprefix(f"{stem}.").removesuffix(".parquet").isdigit():
            joined = pd.read_parquet(file, filters=[(CELL, "in", sorted(names))]) if names else pd.DataFrame()
            for cell, rows in joined.groupby(CELL, sort=False) if len(joined) else ():
                found[str(cell)] = rows.drop(columns=CELL).reset_index(drop=True)
    return found


def stems(run: Path) -> list[str]:
    """Return what there are frames of: ``tidy``, ``draws``, ``detail.<name>``."""
    at = newest(run)
    names = [] if at is None else [file.name for file in at.glob("*.*.parquet")]
    return sorted({name.rsplit(".", 2)[0] for name in names})


def compact(run: Path, loose: Iterable[Mapping[str, Any]]) -> int:
    """Join the files of some cells to those compacted before, and remove their folders; return how many cells are compacted.

    The caller must hold every cell of the run (`syneff.claims.claim_all`).

    Parameters
    ----------
    run
        The folder of the run.
    loose
        Cells with a folder of their own: ``cell``, ``key``, ``manifest`` and ``config`` (texts), ``files`` (parquet files).
    """
    loose = list(loose)
    before, old = newest(run), cells(run)
    number = 1 if before is None else int(before.name) + 1
    made = run / FOLDER / f"{number}.tmp"
    shutil.rmtree(run / FOLDER / "gone", ignore_errors=True)
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    groups = _Groups(made)
    for stem in stems(run):
        for cell, frame in frames(run, stem, set(old["cell"])).items():
            groups.add(stem, cell, frame.to_parquet(index=False))
    for each in loose:
        for file in each["files"]:
            groups.add(file.name.removesuffix(".parquet"), each["cell"], file.read_bytes())
    groups.write()
    new = pd.DataFrame([{name: each[name] for name in old.columns} for each in loose], columns=old.columns)
    rows = pd.concat([old, new], ignore_index=True).astype(object)
    rows.to_parquet(made / CELLS, index=False)
    os.replace(made, run / FOLDER / str(number))
    gone = run / FOLDER / "gone"
    gone.mkdir()
    for each in loose:
        os.replace(run / each["cell"], gone / each["cell"])
    shutil.rmtree(gone, ignore_errors=True)
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)
    return len(rows)


class _Groups:
    """Tables of like columns, to be written into one file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables: dict[tuple[str, str], list[pyarrow.Table]] = {}

    def add(self, stem: str, cell: str, content: bytes) -> None:
        import pyarrow
        from pyarrow import parquet

        table = parquet.read_table(io.BytesIO(content))
        marked = table.append_column(CELL, pyarrow.array([cell] * len(table), type=pyarrow.string()))
        self.tables.setdefault((stem, marked.schema.to_string(show_schema_metadata=False)), []).append(marked)

    def write(self) -> None:
        import pyarrow
        from pyarrow import parquet

        numbers: dict[str, int] = {}
        for (stem, _), tables in self.tables.items():
            number = numbers[stem] = numbers.get(stem, -1) + 1
            parquet.write_table(pyarrow.concat_tables(tables), self.folder / f"{stem}.{number}.parquet")
