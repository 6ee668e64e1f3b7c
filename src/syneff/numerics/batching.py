"""Map a batched function over chunks of its leading axis: inside one program, or over the devices."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from rich.progress import track

from syneff.runtime import chunk_divisor, computing_devices
from syneff.typing import Array

Job = TypeVar("Job")
T = TypeVar("T")


def map_in_chunks(function: Callable[..., Any], batch: Array, chunk: int) -> Any:
    """Apply a function of a chunk of rows to all rows, a chunk at a time.

    The last chunk is padded with copies of the last row and the padding is cut off, so that one shape is compiled and the
    result does not depend on the chunk size.

    Parameters
    ----------
    function
        Takes ``[chunk ...]`` and returns a pytree of arrays with that leading axis.
    batch
        ``[draw ...]``.
    chunk
        Rows at a time.

    Returns
    -------
    pytree
        Arrays with the leading axis ``draw``.
    """
    rows = batch.shape[0]
    chunk = max(1, min(chunk // chunk_divisor(), rows))
    chunks = -(-rows // chunk)
    index = jnp.minimum(jnp.arange(chunks * chunk), rows - 1).reshape(chunks, chunk)
    mapped = jax.lax.map(lambda taken: function(batch[taken]), index)
    return jax.tree.map(lambda leaf: leaf.reshape(chunks * chunk, *leaf.shape[2:])[:rows], mapped)


PROGRESS_FROM = 400  # chunks from which on a bar is shown: fewer take less than two seconds or so
THREADS_FROM = (
    16  # chunks from which on the cores of a CPU share them: below, starting threads costs more than it saves
)

CELLS = 2**18  # problems times columns of a chunk
ALIGN = 32  # of the size of a chunk, so that few shapes are compiled


def default_chunk() -> int:
    """Return how many problems to solve at a time: what a CPU's cache holds, or what keeps a GPU busy."""
    return max(1, (64 if computing_devices()[0].platform == "cpu" else 2048) // chunk_divisor())


def chunk_for(rows: int, columns: int) -> int:
    """Return how many of some problems to solve at a time: the more, the fewer columns they have, in chunks of like size."""
    most = max(default_chunk(), min(2 * default_chunk(), CELLS // columns))
    return -(-rows // (-(-rows // most) * ALIGN)) * ALIGN


def round_size(count: int, step: int = 64) -> int:
    """Return a number of columns that is a little larger and rounder, so that few shapes are compiled."""
    step = max(step, 2 ** max(0, int(np.ceil(np.log2(max(count, 1)))) - 3))
    return -(-count // step) * step


def map_over_devices(
    function: Callable[..., Any], common: Any, batch: Any, *, chunk: int | None = None, of: str = "programs"
) -> Any:
    """Apply a compiled function to chunks of rows, dealt to the processes that compute together and to their devices in turn.

    All chunks have one shape (the last is padded with copies of the last row, which are cut off), so that one program is
    compiled whatever the number of rows.

    Parameters
    ----------
    function
        ``function(common, rows)``, compiled; it treats every row by itself.
    common
        Pytree that all rows share; it is put on each device once.
    batch
        Pytree of arrays with the leading axis ``row``.
    chunk
        Rows at a time; without effect on the results. `default_chunk` if None.
    of
        What the rows are, for the progress bar.

    Returns
    -------
    pytree
        NumPy arrays with the leading axis ``row``.
    """
    batch = jax.tree.map(np.asarray, batch)
    rows = jax.tree.leaves(batch)[0].shape[0]
    chunk = chunk or default_chunk()
    devices = computing_devices()
    placed = [jax.device_put(common, device) for device in devices]

    def run(at: int) -> Any:
        index = np.minimum(np.arange(at * chunk, (at + 1) * chunk), rows - 1)
        which = at % len(devices)
        taken = jax.device_put(jax.tree.map(lambda leaf: leaf[index], batch), devices[which])
        return function(placed[which], taken)

    count, processes = -(-rows // chunk), jax.process_count()
    # Every process has as many chunks: a collective wants equal shapes, so the last chunk may be computed more than once.
    chunks = [min(at, count - 1) for at in range(jax.process_index(), -(-count // processes) * processes, processes)]
    if devices[0].platform == "cpu" and len(chunks) >= THREADS_FROM:
        # A CPU works through the calls of one thread one after another; the first call compiles for all.
        done = [jax.device_get(run(chunks[0]))]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            done += _watch(pool.map(lambda at: jax.device_get(run(at)), chunks[1:]), len(chunks), of)
    else:
        done = [jax.device_get(part) for part in _watch([run(at) for at in chunks], len(chunks), of)]
    joined = _exchanged(done) if processes > 1 else done
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:rows], *joined)


def _exchanged(mine: list[Any]) -> list[Any]:
    """Return the parts of all processes, in the order in which they were dealt."""
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *mine)
    every = multihost_utils.process_allgather(stacked)
    turns = range(len(mine))
    return [
        jax.tree.map(lambda leaf, turn=turn, process=process: np.asarray(leaf[process, turn]), every)
        for turn in turns
        for process in range(jax.process_count())
    ]


def _watch(parts: Iterable[Any], count: int, of: str) -> Iterable[Any]:
    """Show a progress bar over the parts where they are many; even a hidden one would cost a thread."""
    return parts if count < PROGRESS_FROM else track(parts, of, total=count, transient=True)


def side_by_side(function: Callable[[Job], T], jobs: Sequence[Job]) -> list[T]:
    """Apply a function to each of some independent jobs of one compiled shape, on all cores of a CPU.

    A CPU works through the calls of one thread one after another; the first job compiles for all. Processes that compute
    together must exchange in one order, so theirs come one after another.
    """
    if len(jobs) < 2 or jax.process_count() > 1:
        return [function(job) for job in jobs]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [function(jobs[0]), *pool.map(function, jobs[1:])]
