"""Replace the files of a folder as one: all of them or none, whatever instant the process is killed at.

New files are written under hidden names beside the old ones, and then `STAGED`, which lists them. From that instant the
replacement is certain: `settle` moves the files into place, the manifest last, and whoever finds a `STAGED` that a killed
process left can finish its work by calling `settle` again. Until that instant the old files are untouched, so a full disk costs
nothing that was there.

The manifest carries the size and the digest of every other file: what was cut off or changed afterwards is noticed.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from syneff.errors import StorageError
from syneff.ledger import write

MANIFEST, STAGED = "manifest.json", ".staged.json"
FILES = "files"
"""Key of the manifest that lists the other files: name -> [bytes, sha256]."""

# What no second attempt mends: the user must make room or choose another folder.
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def replace(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Make `files` and a manifest the only content of a folder.

    Parameters
    ----------
    folder
        Made if missing.
    files
        Content by name.
    manifest
        What JSON can hold; `FILES` is added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digests = {name: [len(content), hashlib.sha256(content).hexdigest()] for name, content in files.items()}
    text = json.dumps({**manifest, FILES: digests}, ensure_ascii=False, indent=1)
    try:
        for name, content in files.items():
            _hidden(folder, name).write_bytes(content)
        write(folder / STAGED, text.encode())
    except OSError:
        for name in (*files, STAGED):
            _hidden(folder, name).unlink(missing_ok=True)
        raise
    settle(folder)


def settle(folder: Path) -> None:
    """Finish a replacement that was staged; do nothing where there is none."""
    try:
        staged = json.loads((folder / STAGED).read_bytes())
    except FileNotFoundError:
        return
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in staged[FILES]:
        if _hidden(folder, name).exists():
            os.replace(_hidden(folder, name), folder / name)
    clear(folder, keep={STAGED, *staged[FILES]})
    os.replace(folder / STAGED, folder / MANIFEST)


def clear(folder: Path, keep: set[str] | frozenset[str] = frozenset()) -> None:
    """Remove the files of a folder, the manifest first, except some."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, *sorted(os.listdir(folder))):
        if name not in keep:
            (folder / name).unlink(missing_ok=True)


def manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder; None where there is none that can be read."""
    try:
        with open(os.path.join(folder, MANIFEST), "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get(FILES), dict) else None


def is_whole(folder: Path, listed: Mapping[str, Any], *, digests: bool) -> bool:
    """Say whether the files that a manifest lists are there, by their sizes, and by their digests if asked."""
    try:
        for name, (size, digest) in listed[FILES].items():
            if os.stat(os.path.join(folder, name)).st_size != size:
                return False
            if digests and hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                return False
    except OSError:
        return False
    return True


@contextmanager
def refusals(folder: Path) -> Iterator[None]:
    """Turn a full disk or a folder that may not be written into one message.

    Raises
    ------
    StorageError
        Instead of the `OSError`.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise StorageError(
            f"{folder} cannot be written: {os.strerror(error.errno)}. Finished cells are kept. Make room there, or choose "
            "another folder with output=...; the same command then goes on."
        ) from error


def _hidden(folder: Path, name: str) -> Path:
    return folder / f".{name}.tmp"
