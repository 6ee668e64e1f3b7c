"""Map a batched function over chunks of its leading axis."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from syneff.typing import Array


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
    chunk = max(1, min(chunk, rows))
    chunks = -(-rows // chunk)
    index = jnp.minimum(jnp.arange(chunks * chunk), rows - 1).reshape(chunks, chunk)
    mapped = jax.lax.map(lambda taken: function(batch[taken]), index)
    return jax.tree.map(lambda leaf: leaf.reshape(chunks * chunk, *leaf.shape[2:])[:rows], mapped)
