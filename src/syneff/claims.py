"""Claims on cells: of several processes, on one machine or many, one at a time works on a cell.

A claim is a lock on one byte of a file that the cells of a run share; the byte follows from the name of the cell. The system
gives it up when its process ends, however it ends, so no claim outlives a killed process and nobody has to guess. Where a file
system knows no locks, nothing is claimed: two launches may then do a cell twice, and what they mix is noticed by its digests.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCKS = ".locks"
_UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def claim(run: Path, cell: str) -> Iterator[None]:
    """Hold a cell of a run; wait for whoever holds it.

    Parameters
    ----------
    run
        The folder of the run.
    cell
        The name of the cell.
    """
    with _locks(run) as file:
        # 62 bits: the names of two cells share a byte as good as never, and would then only wait for each other.
        at = int.from_bytes(hashlib.sha256(cell.encode()).digest()[:8], "big") >> 2
        _lock(file, fcntl.LOCK_EX, 1, at)
        yield


@contextmanager
def claim_all(run: Path) -> Iterator[bool]:
    """Hold every cell of a run, if nobody holds any; give whether it is so."""
    with _locks(run) as file:
        try:
            _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 0, 0)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _locks(run: Path) -> Iterator[int]:
    run.mkdir(parents=True, exist_ok=True)
    file = os.open(run / LOCKS, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield file
    finally:
        os.close(file)  # which gives the lock up


def _lock(file: int, kind: int, length: int, start: int) -> None:
    try:
        fcntl.lockf(file, kind, length, start)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise BlockingIOError from error
        if error.errno not in _UNKNOWN:
            raise
