"""Eigenvalues of symmetric matrices, in a batch without a deadlock.

On a CPU a batch of decompositions is dealt to the threads of XLA's pool, and the thread that deals them waits. Where a program
has as many independent batches as the pool has threads, all wait for each other (seen with jaxlib 0.10.2 on two cores). So on
a CPU the matrices of a batch are decomposed one after another; they are small, and the cores have other work.
"""

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from syneff.runtime import computing_devices
from syneff.typing import Array, Float


def eigh(matrix: Float[Array, "*batch n n"]) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n n"]]:
    """Return eigenvalues, ascending, and eigenvectors, in columns, of symmetric matrices."""
    if computing_devices()[0].platform != "cpu":
        values, vectors = jnp.linalg.eigh(matrix)
        return values, vectors
    batch, size = matrix.shape[:-2], matrix.shape[-1]
    values, vectors = _eigh(matrix) if not batch else jax.lax.map(_eigh, matrix.reshape(-1, size, size))
    return values.reshape(*batch, size), vectors.reshape(matrix.shape)


@custom_vmap
def _eigh(matrix: Array) -> tuple[Array, Array]:
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


@_eigh.def_vmap
def _one_by_one(axis_size: int, batched: list[bool], matrix: Array) -> tuple[tuple[Array, Array], tuple[bool, bool]]:
    return jax.lax.map(_eigh, matrix), (True, True)
