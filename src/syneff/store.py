"""The results store: one folder a cell, its manifest written last.

    outputs/<run>/<cell>/{config.yaml, tidy.parquet, draws.parquet, detail.<name>.parquet (if any), manifest.json}

A cell exists when its manifest does, and when the files that the manifest lists are whole. The files of a cell are replaced as
one (`syneff.journal`), so a process that is killed at any instant leaves the old result or the new one, and a full disk the old
one. The *key* of a cell is the hash of its configuration and of its data: a cell whose manifest has the key need not be
computed again. Who computes or stores a cell holds its claim (`syneff.claims`), so two launches of one run do not collide.

The folders of a run may be joined into a few files (`compact`), which `read` reads alike.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from syneff import compaction, journal
from syneff.claims import claim_all
from syneff.errors import StorageError
from syneff.journal import MANIFEST
from syneff.ledger import write
from syneff.nodes import in_order

SCHEMA = 2
"""Version of the files; a change makes every stored cell unfinished."""

DETAIL = "detail.{}.parquet"
TIDY, DRAWS, CONFIG, FAILURE = "tidy.parquet", "draws.parquet", "config.yaml", "failure.txt"


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
    damaged
        Cells that have a manifest, but whose files were cut off or are gone: they are left out.
    """

    tidy: pd.DataFrame
    manifests: Mapping[str, Mapping[str, Any]]
    draws: Mapping[str, pd.DataFrame]
    details: Mapping[str, Mapping[str, pd.DataFrame]] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()


def key(config: Mapping[str, Any], data: str, version: str = "") -> str:
    """Return what identifies a cell: sha256 of its resolved configuration, its data and the version of the program.

    Parameters
    ----------
    config
        The part of the resolved configuration that the result depends on; order counts where `nodes.in_order` says so.
    data
        `data_hash` of the configuration.
    version
        Version of the program.
    """
    parts = [(name, in_order(config[name])) for name in sorted(config)]
    text = json.dumps([SCHEMA, version, parts, data], default=str)
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
    """Say whether a cell with this key is stored, whole; finish what a killed process had staged.

    Hold the claim of the cell.
    """
    if folder.is_dir():
        journal.settle(folder)
        manifest = journal.manifest(folder)
        return manifest is not None and manifest.get("key") == key and journal.is_whole(folder, manifest, digests=True)
    return _compacted_keys(compaction.newest(folder.parent)).get(folder.name) == key


def save(
    folder: Path,
    tidy: pd.DataFrame,
    draws: pd.DataFrame | None,
    *,
    manifest: Mapping[str, Any],
    config: Mapping[str, Any],
    details: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Store a cell: all of it or, where it cannot be written, nothing.

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

    Raises
    ------
    StorageError
        If the disk is full or the folder may not be written.
    """
    frames = {TIDY: tidy, **({} if draws is None else {DRAWS: draws})}
    frames |= {DETAIL.format(name): frame for name, frame in (details or {}).items()}
    files = {CONFIG: _yaml(config), **{name: frame.to_parquet(index=False) for name, frame in frames.items()}}
    with journal.refusals(folder.parent):
        journal.replace(folder, files, _plain(manifest))


def save_failure(folder: Path, traceback: str) -> None:
    """Leave the traceback of a failed cell where its results would be."""
    with journal.refusals(folder.parent):
        journal.clear(folder)
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
    own, joined = _own_manifests(folder, cells), _compacted_manifests(folder, cells)
    whole = {name: each for name, each in own.items() if journal.is_whole(folder / name, each, digests=False)}
    found = {**joined, **whole}
    manifests = dict(sorted(found.items(), key=lambda item: (item[1]["experiment"], item[1]["column"], item[0])))
    tidy = _join([folder / name / TIDY for name in whole], _compacted_files(folder, "tidy"), set(joined))
    order = {name: number for number, name in enumerate(manifests)}
    draws = compaction.frames(folder, "draws", joined.keys())
    draws |= {name: pd.read_parquet(folder / name / DRAWS) for name, each in whole.items() if DRAWS in each["files"]}
    details = {name: _details(folder / name, each) for name, each in whole.items()}
    for stem in compaction.stems(folder):
        if stem.startswith(_BEFORE):
            for name, frame in compaction.frames(folder, stem, joined.keys()).items():
                details.setdefault(name, {})[stem.removeprefix(_BEFORE)] = frame
    return Results(
        tidy.sort_values("cell", key=lambda cell: cell.map(order), kind="stable", ignore_index=True),
        manifests,
        {name: draws[name] for name in manifests if name in draws},
        {name: details[name] for name in manifests if details.get(name)},
        tuple(sorted(own.keys() - whole.keys())),
    )


def have_keys(folder: Path, keys: Mapping[str, str]) -> bool:
    """Say whether all of some cells are stored, whole, under the keys that they should have."""
    return all(
        not (folder / name / journal.STAGED).exists() and is_finished(folder / name, key) for name, key in keys.items()
    )


def manifests(folder: Path, cells: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return the manifests of those of some cells that are finished."""
    names = list(cells)
    return {**_compacted_manifests(folder, names), **_own_manifests(folder, names)}


def data_files(configs: Iterable[object]) -> list[str]:
    """Return the files that configurations name, as `data_hash` finds them, sorted."""
    return sorted({path for config in configs for path in _paths(config)})


def finished(folder: Path, cells: Iterable[str]) -> tuple[str, ...]:
    """Return those of some cells that have a result, whole, under whatever key."""
    names = list(cells)
    own = _own_manifests(folder, names)
    known = {name for name, each in own.items() if journal.is_whole(folder / name, each, digests=False)}
    known |= _compacted_manifests(folder, names).keys()
    return tuple(name for name in names if name in known)


def listing(folder: Path) -> list[str]:
    """Return the names of the finished cells of a run, sorted, without reading what they hold."""
    own = [path.name for path in _folders(folder) if os.path.isfile(os.path.join(path, MANIFEST))]
    known = compaction.cells(folder)["cell"] if compaction.newest(folder) else ()
    return sorted([*own, *known])


def compact(folder: Path) -> int:
    """Join the finished cells of a run into a few files; return how many cells are there then.

    Raises
    ------
    StorageError
        If a process is at work on the run, or the disk is full.
    """
    with journal.refusals(folder), claim_all(folder) as alone:
        if not alone:
            raise StorageError(f"{folder}: a process is at work on its cells. Compact it when that has ended.")
        loose = []
        for name, manifest in _own_manifests(folder, None).items():
            files = [folder / name / file for file in manifest["files"] if file.endswith(".parquet")]
            if journal.is_whole(folder / name, manifest, digests=True) and all(map(_has_rows, files)):
                text = (folder / name / CONFIG).read_text(encoding="utf-8")
                told = {"manifest": json.dumps(manifest, ensure_ascii=False), "config": text}
                loose.append({"cell": name, "key": manifest["key"], "files": files, **told})
        return compaction.compact(folder, loose)


_BEFORE = DETAIL.split("{}")[0]


def _own_manifests(folder: Path, cells: Iterable[str] | None) -> dict[str, dict[str, Any]]:
    """Return the manifests of cells with folders of their own."""
    paths = _folders(folder) if cells is None else [folder / name for name in cells]
    return {path.name: found for path in paths if (found := journal.manifest(path)) is not None}


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith(".")]


def _compacted_manifests(folder: Path, cells: Iterable[str] | None) -> dict[str, dict[str, Any]]:
    known = compaction.cells(folder) if folder.is_dir() else pd.DataFrame()
    asked = None if cells is None else set(cells)
    return {
        name: json.loads(text)
        for name, text in (zip(known["cell"], known["manifest"], strict=True) if len(known) else ())
        if asked is None or name in asked
    }


@lru_cache(maxsize=8)
def _compacted_keys(folder: Path | None) -> dict[str, str]:
    """Return the keys in a folder of compacted cells; its content never changes."""
    if folder is None:
        return {}
    known = pd.read_parquet(folder / compaction.CELLS, columns=["cell", "key"])
    return dict(zip(known["cell"], known["key"], strict=True))


def _compacted_files(folder: Path, stem: str) -> list[Path]:
    at = compaction.newest(folder)
    return [] if at is None else sorted(at.glob(f"{stem}.*.parquet"))


def _has_rows(file: Path) -> bool:
    from pyarrow import parquet

    return bool(parquet.read_metadata(file).num_rows)


def _details(folder: Path, manifest: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    names = sorted(name for name in manifest["files"] if name.startswith(_BEFORE))
    return {name.removeprefix(_BEFORE).removesuffix(".parquet"): pd.read_parquet(folder / name) for name in names}


def _join(own: list[Path], compacted: list[Path], names: set[str]) -> pd.DataFrame:
    """Read parquet files of rows into one frame, with the name of each cell in `cell`."""
    import duckdb

    parts, given = [], []
    if own:
        parts.append(
            "SELECT * EXCLUDE (filename), parse_filename(parse_dirpath(filename)) AS cell FROM "
            "read_parquet(?, union_by_name=true, filename=true, hive_partitioning=false)"
        )
        given.append([str(file) for file in own])
    if compacted and names:
        parts.append(
            f"SELECT * EXCLUDE ({compaction.CELL}), {compaction.CELL} AS cell FROM "
            f"read_parquet(?, union_by_name=true) WHERE {compaction.CELL} IN (SELECT unnest(?))"
        )
        given += [[str(file) for file in compacted], sorted(names)]
    if not parts:
        return pd.DataFrame({"cell": pd.Series(dtype=object)})
    with duckdb.connect() as connection:
        return connection.execute(" UNION ALL BY NAME ".join(parts), given).df()


def _yaml(config: Mapping[str, Any]) -> bytes:
    # The dumper in C takes a tenth of the time; it is not in every build of PyYAML.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(dict(config), Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text.encode()


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
