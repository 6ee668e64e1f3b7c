r"""A weight matrix on the device: everything that a spatial likelihood asks of *W*, without an inverse per fit.

With :math:`W = A \Omega A^{-1}` (see `syneff.spatial.spectrum`) every function of *W* is one of its eigenvalues. The likelihood
needs :math:`\ln|I - \rho W|` and the *resolvent*

.. math:: G(\rho) = W (I - \rho W)^{-1} = A \operatorname{diag}(g) A^{-1}, \qquad g_i = \omega_i / (1 - \rho \omega_i),

whose traces are sums over *g*, and :math:`\operatorname{tr} G'H = g' [(A'A) \circ (A^{-1} A^{-1\prime})] h`. Where *W* is not
similar to a symmetric matrix the eigenvalues serve the determinant only, and *G* is solved for.

Units outside the sample have rows and columns of zeros, so their eigenvalue is 0 and they add nothing to any sum.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.typing import Array, Float

GRID = 32
"""Values of a spatial parameter from which its search begins, as many between -1 and the upper bound as below and above 0."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["matrix", "values", "imaginary", "present", "lower", "upper", "vectors", "inverse", "gram"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Network:
    """W and its spectral parts; several networks of one size may be stacked along a leading axis.

    Attributes
    ----------
    matrix
        ``[unit unit]``: W.
    values, imaginary
        ``[unit]``: real and imaginary parts of its eigenvalues.
    present
        ``[unit]``: 1 for units in the sample, 0 for others.
    lower, upper
        Bounds of a spatial parameter, finite.
    vectors, inverse, gram
        ``[unit unit]``: A, its inverse and ``(A'A) o (A^-1 A^-1')``; None where W is not similar to a symmetric matrix.
    """

    matrix: Float[Array, "*batch unit unit"]
    values: Float[Array, "*batch unit"]
    imaginary: Float[Array, "*batch unit"]
    present: Float[Array, "*batch unit"]
    lower: Float[Array, "*batch"]
    upper: Float[Array, "*batch"]
    vectors: Float[Array, "*batch unit unit"] | None = None
    inverse: Float[Array, "*batch unit unit"] | None = None
    gram: Float[Array, "*batch unit unit"] | None = None

    @property
    def grid(self) -> Float[Array, " point"]:
        """Values between the bounds, ascending: evenly above -1, where spatial parameters are, and evenly below."""
        middle = jnp.maximum(self.lower, -1.0)
        inner = middle + (self.upper - middle) * (jnp.arange(2 * GRID, dtype=float) + 0.5) / (2.0 * GRID)
        outer = self.lower + (middle - self.lower) * (jnp.arange(GRID, dtype=float) + 0.5) / GRID
        return jnp.concatenate([outer, inner])

    def lag(self, values: Float[Array, "unit period *k"]) -> Float[Array, "unit period *k"]:
        """Return the spatial lag: W times each period's values."""
        return jnp.tensordot(self.matrix, values, 1)

    def log_determinant(self, rho: Float[Array, "*point"]) -> Float[Array, "*point"]:
        """Return ``ln|I - rho W|`` at each value of rho."""
        at = rho[..., None]
        values, imaginary = (jnp.expand_dims(each, tuple(range(rho.ndim))) for each in (self.values, self.imaginary))
        return 0.5 * jnp.log((1.0 - at * values) ** 2 + (at * imaginary) ** 2).sum(-1)

    def traces(self, rho: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Return the traces of G and of its square: the slope of the log-determinant, and the slope of that, less signs."""
        real, imaginary = 1.0 - rho * self.values, -rho * self.imaginary
        size = real**2 + imaginary**2
        first = (self.values * real + self.imaginary * imaginary) / size
        second = (self.imaginary * real - self.values * imaginary) / size
        return first.sum(), (first**2 - second**2).sum()

    def resolvent(self, rho: Float[Array, ""]) -> "Resolvent":
        """Return G at a value of rho."""
        if self.vectors is not None:
            return Resolvent(self, self.values / (1.0 - rho * self.values), None)
        identity = jnp.eye(self.matrix.shape[0])
        return Resolvent(self, self.values, jnp.linalg.solve(identity - rho * self.matrix, self.matrix))


@partial(jax.tree_util.register_dataclass, data_fields=["network", "factors", "matrix"], meta_fields=[])
@dataclass(frozen=True)
class Resolvent:
    """``G = W (I - rho W)^-1`` as its eigenvalues, or as a matrix.

    Attributes
    ----------
    network
        The network.
    factors
        ``[unit]``: eigenvalues of G, where they serve.
    matrix
        ``[unit unit]``: G; None where its eigenvalues serve.
    """

    network: Network
    factors: Float[Array, " unit"]
    matrix: Float[Array, "unit unit"] | None

    @property
    def trace(self) -> Float[Array, ""]:
        """The trace of G."""
        return self.factors.sum() if self.matrix is None else jnp.trace(self.matrix)

    def trace_with(self, other: "Resolvent") -> Float[Array, ""]:
        """Return the trace of GH, with H another resolvent of the same network."""
        if self.matrix is None or other.matrix is None:
            return (self.factors * other.factors).sum()
        return (self.matrix * other.matrix.T).sum()

    def gram_with(self, other: "Resolvent") -> Float[Array, ""]:
        """Return the trace of G'H."""
        if self.matrix is None or other.matrix is None:
            return self.factors @ _known(self.network.gram) @ other.factors
        return (self.matrix * other.matrix).sum()

    def times(self, values: Float[Array, "unit m"]) -> Float[Array, "unit m"]:
        """Return G times columns."""
        if self.matrix is not None:
            return self.matrix @ values
        inner = _known(self.network.inverse) @ values
        return _known(self.network.vectors) @ (self.factors[:, None] * inner)

    def transposed_times(self, values: Float[Array, "unit m"]) -> Float[Array, "unit m"]:
        """Return G' times columns."""
        if self.matrix is not None:
            return self.matrix.T @ values
        inner = _known(self.network.vectors).T @ values
        return _known(self.network.inverse).T @ (self.factors[:, None] * inner)

    @property
    def row_sums(self) -> Float[Array, " unit"]:
        """``G 1``."""
        return self.times(self.network.present[:, None])[:, 0]

    @property
    def column_sums(self) -> Float[Array, " unit"]:
        """``G' 1``."""
        return self.transposed_times(self.network.present[:, None])[:, 0]

    @property
    def diagonal(self) -> Float[Array, " unit"]:
        """The diagonal of G."""
        if self.matrix is not None:
            return jnp.asarray(jnp.diagonal(self.matrix))
        return jnp.einsum("ij,j,ji->i", _known(self.network.vectors), self.factors, _known(self.network.inverse))


def _known(part: Array | None) -> Array:
    assert part is not None
    return jnp.asarray(part)
