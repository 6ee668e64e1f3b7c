"""The results store: one folder a cell, its manifest written last.

    outputs/<run>/<cell>/{config.yaml, tidy.parquet, draws.parquet, detail.<name>.parquet (if any), manifest.json}

A cell exists when its manifest does. Every file is written under another name and moved into place, the manifest after all
others, and an old manifest is taken away before anything is replaced; so a process that is killed at any instant leaves nothing
that `read` would take for a result. The *key* of a cell is the hash of its configuration and of its data: a cell whose manifest
has the key need not be computed again.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from syneff.ledger import write

SCHEMA = 1
"""Version of the files; a change makes every stored cell unfinished."""

DETAIL = "detail.{}.parquet"
MANIFEST, TIDY, DRAWS, CONFIG, FAILURE = "manifest.json", "tidy.parquet", "draws.parquet", "config.yaml", "failure.txt"


@dataclass(frozen=True)
class Results:
    """Stored cells, joined.

    Attributes
    ----------
    tidy
        The rows of every ``tidy.parquet``, with the name of the cell in ``cell``.
    manifests
        Manifest by cell.
    draws
        Draws by cell, for those that have any.
    details
        Further frames by cell and name, likewise.
    """

    tidy: pd.DataFrame
    manifests: Mapping[str, Mapping[str, Any]]
    draws: Mapping[str, pd.DataFrame]
    details: Mapping[str, Mapping[str, pd.DataFrame]] = field(default_factory=dict)


def key(config: Mapping[str, Any], data: str, version: str = "") -> str:
    """Return what identifies a cell: sha256 of its resolved configuration, its data and the version of the program.

    Parameters
    ----------
    config
        The part of the resolved configuration that the result depends on; the order of `steps` counts.
    data
        `data_hash` of the configuration.
    version
        Version of the program.
    """
    # Order is meaning for steps alone: yaml files may name everything else in any order.
    steps = list(config.get("steps", {}).items())
    rest = {name: value for name, value in config.items() if name != "steps"}
    text = json.dumps([SCHEMA, version, rest, steps, data], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def data_hash(config: object) -> str:
    """Return sha256 over the files that a configuration names in keys ``path`` or ``*_path``; "" if there are none."""
    digests = []
    for path in sorted(set(_paths(config))):
        file_path = Path(path).expanduser()
        if file_path.is_file():
            with file_path.open("rb") as file:
                digests.append([path, hashlib.file_digest(file, "sha256").hexdigest()])
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest() if digests else ""


def _paths(node: object) -> Iterable[str]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if isinstance(value, str) and (name == "path" or str(name).endswith("_path")):
                yield value
            else:
                yield from _paths(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _paths(value)


def is_finished(folder: Path, key: str) -> bool:
    """Say whether a cell with this key is stored in a folder."""
    manifest = _manifest(folder)
    return manifest is not None and manifest.get("key") == key


def save(
    folder: Path,
    tidy: pd.DataFrame,
    draws: pd.DataFrame | None,
    *,
    manifest: Mapping[str, Any],
    config: Mapping[str, Any],
    details: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Store a cell, its manifest last.

    Parameters
    ----------
    folder
        The cell's own folder; made if missing, replaced if it holds a cell.
    tidy
        One row a term or test.
    draws
        One row a draw and term, or None.
    manifest
        How the cell was made; ``key`` must be in it.
    config
        The whole resolved configuration.
    details
        Further frames by name.
    """
    clear(folder)
    write(folder / CONFIG, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True).encode())
    write(folder / TIDY, tidy.to_parquet(index=False))
    if draws is not None:
        write(folder / DRAWS, draws.to_parquet(index=False))
    for name, frame in (details or {}).items():
        write(folder / DETAIL.format(name), frame.to_parquet(index=False))
    write(folder / MANIFEST, json.dumps(_plain(manifest), ensure_ascii=False, indent=1).encode())


def clear(folder: Path) -> None:
    """Make the folder of a cell empty of results, the manifest going first."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, TIDY, DRAWS, CONFIG, FAILURE):
        (folder / name).unlink(missing_ok=True)
    for left in (*folder.glob(DETAIL.format("*")), *folder.glob(".*.tmp")):
        left.unlink(missing_ok=True)


def save_failure(folder: Path, traceback: str) -> None:
    """Leave the traceback of a failed cell where its results would be."""
    clear(folder)
    write(folder / FAILURE, traceback.encode())


def read(folder: Path, cells: Iterable[str] | None = None) -> Results:
    """Read the finished cells of a run.

    Parameters
    ----------
    folder
        The folder of the run.
    cells
        Names of the cells; all that are finished if None.

    Returns
    -------
    Results
        Sorted by experiment, column and name, whatever the order in which the cells were run.
    """
    names = [path.parent.name for path in folder.glob(f"*/{MANIFEST}")] if cells is None else list(cells)
    found = {name: manifest for name in names if (manifest := _manifest(folder / name)) is not None}
    manifests = dict(sorted(found.items(), key=lambda item: (item[1]["experiment"], item[1]["column"], item[0])))
    draws = {name: _join([folder / name / DRAWS]) for name in manifests if (folder / name / DRAWS).is_file()}
    tidy = _join([folder / name / TIDY for name in manifests])
    order = {name: number for number, name in enumerate(manifests)}
    return Results(
        tidy.sort_values("cell", key=lambda cell: cell.map(order), kind="stable", ignore_index=True),
        manifests,
        {name: frame.drop(columns="cell") for name, frame in draws.items()},
        {name: details for name in manifests if (details := _details(folder / name))},
    )


def _details(folder: Path) -> dict[str, pd.DataFrame]:
    before, after = DETAIL.split("{}")
    files = sorted(folder.glob(DETAIL.format("*")))
    return {file.name.removeprefix(before).removesuffix(after): pd.read_parquet(file) for file in files}


def _join(files: list[Path]) -> pd.DataFrame:
    """Read parquet files into one frame, with the name of each file's folder in `cell`."""
    import duckdb

    if not files:
        return pd.DataFrame({"cell": pd.Series(dtype=object)})
    query = (
        "SELECT * EXCLUDE (filename), parse_filename(parse_dirpath(filename)) AS cell FROM "
        "read_parquet(?, union_by_name=true, filename=true, hive_partitioning=false)"
    )
    with duckdb.connect() as connection:
        return connection.execute(query, [[str(file) for file in files]]).df()


def _manifest(folder: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold; a number that is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) else str(value)
