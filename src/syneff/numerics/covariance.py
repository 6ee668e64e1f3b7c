r"""Covariance matrices, and the one place where small-sample rules live.

Every estimator here is linear in the outcome, ``theta = sum_it H_it y_it``. With the *influence* ``H`` and the residuals
``e``, all covariances are one formula: scores ``H_it e_it``, summed within clusters, and their outer product. That serves
coefficients and constants alike. Adjustments for leverage are in `syneff.numerics.leverage`, dependence that fades with time
or distance in `syneff.numerics.dependence`.

The small-sample rules of programs differ in which parameters they count. With ``G`` clusters, ``N`` rows, ``k`` regressors
and ``D`` the rank of all absorbed dummies:

================  ===============================  ==================================================
name              factor                           who
================  ===============================  ==================================================
``reghdfe``       G/(G-1) (N-1)/(N-K), K = k + D   reghdfe, fixest, xtreg fe: the default of CR1
                  - nested levels + 1 if nested
``xtscc``         the same, unit effects always    xtscc fe: the default of Driscoll-Kraay
                  counting as nested
``plm``           G/(G-1) (N-1)/(N-k)              plm sss, clubSandwich CR1S
``lsdv``          G/(G-1) (N-1)/(N-k-D)            areg, statsmodels and estimatr on dummies; pyfixest DK
``linearmodels``  N/(N-k-D)                        linearmodels PanelOLS
``group``         G/(G-1)                          sandwich CR1
``jackknife``     (G-1)/G                          Stata vce(jackknife), summclust: the default of CR3 by jackknife
``none``          1                                sandwich HC0 by cluster, plm SCC, xtscc ase; clubSandwich CR2, CR3
================  ===============================  ==================================================

Periods are the clusters of Driscoll and Kraay; Conley's covariance has none, so there ``G/(G-1)`` is 1.
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.symmetric import eigh
from syneff.typing import Array, Float, Int, UnitPeriod

SMALL_SAMPLE = ("reghdfe", "xtscc", "plm", "lsdv", "linearmodels", "group", "jackknife", "none")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["rows", "clusters", "regressors", "dummies", "nested"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Counts:
    """What the small-sample rules count.

    Attributes
    ----------
    rows, clusters
        Rows and clusters of positive weight; infinitely many clusters leave ``G/(G-1)`` at 1.
    regressors
        Regressors that were kept.
    dummies
        Rank of the absorbed dummies (1 for the constant alone).
    nested
        Levels of the effects that are nested in the clusters, less one for each such effect after the first; 0 if none is.
    """

    rows: Float[Array, "*batch"]
    clusters: Float[Array, "*batch"]
    regressors: Float[Array, "*batch"]
    dummies: Float[Array, "*batch"]
    nested: Float[Array, "*batch"]

    @property
    def parameters(self) -> Float[Array, "*batch"]:
        """All parameters: regressors and dummies."""
        return self.regressors + self.dummies


@partial(jax.tree_util.register_dataclass, data_fields=["codes"], meta_fields=["count", "size", "whole", "sign"])
@dataclass(frozen=True)
class Clusters:
    """One way of clustering, or one term of clustering in several ways.

    Attributes
    ----------
    codes
        ``[unit period]``: number of the cluster, from 0.
    count
        Number of clusters, including any that weights empty.
    size
        Cells of the largest cluster.
    whole
        Which of "unit" and "period" have all their cells in one cluster.
    sign
        1, or -1 for the intersection of an even number of ways.
    """

    codes: Int[Array, "*batch unit period"]
    count: int
    size: int
    whole: tuple[str, ...]
    sign: int = 1

    def occupied(self, weights: UnitPeriod) -> Float[Array, ""]:
        """Return the number of clusters of positive weight."""
        inside = (weights > 0).astype(float)
        return (cluster_sums(inside, self.codes, self.count) > 0).sum().astype(float)

    def members(self) -> Int[Array, "cluster slot"]:
        """Return the cells of each cluster, as positions in the flattened cube; its size where a slot is empty."""
        flat = self.codes.ravel()
        order = jnp.argsort(flat, stable=True)
        sorted_codes = flat[order]
        first = jnp.searchsorted(sorted_codes, sorted_codes).astype(order.dtype)
        slot = jnp.arange(flat.size, dtype=order.dtype) - first
        return jnp.full((self.count, self.size), flat.size, order.dtype).at[sorted_codes, slot].set(order)


def small_sample_factor(rule: str, counts: Counts) -> Float[Array, "*batch"]:
    """Return the factor of a clustered covariance under a named rule.

    Parameters
    ----------
    rule
        One of `SMALL_SAMPLE`.
    counts
        What the rule counts.
    """
    n, g = counts.rows, counts.clusters
    not_nested = counts.parameters - counts.nested + (counts.nested > 0).astype(n.dtype)
    group = 1.0 / (1.0 - 1.0 / g)
    factors = {
        "reghdfe": group * (n - 1.0) / (n - not_nested),
        "xtscc": group * (n - 1.0) / (n - not_nested),
        "plm": group * (n - 1.0) / (n - counts.regressors),
        "lsdv": group * (n - 1.0) / (n - counts.parameters),
        "linearmodels": n / (n - counts.parameters),
        "group": group,
        "jackknife": 1.0 / group,
        "none": jnp.ones_like(n),
    }
    return factors[rule]


def cluster_sums(scores: Float[Array, "unit period *k"], cluster: Int[Array, "unit period"], n_clusters: int) -> Array:
    """Sum scores within clusters: ``[unit period ...]`` to ``[cluster ...]``."""
    flat = scores.reshape(-1, *scores.shape[2:])
    return jax.ops.segment_sum(flat, cluster.ravel(), n_clusters)


def clustered(
    influence: Float[Array, "unit period k"],
    residuals: UnitPeriod,
    cluster: Int[Array, "unit period"],
    n_clusters: int,
) -> Float[Array, "k k"]:
    """Return the clustered covariance without small-sample factor (CR0).

    Parameters
    ----------
    influence
        ``[unit period k]``: derivative of each parameter with respect to each outcome.
    residuals
        ``[unit period]``.
    cluster, n_clusters
        Number of the cluster of each row, and how many there are.

    References
    ----------
    Liang, K.-Y. and Zeger, S. L. (1986). Biometrika 73, 13-22. https://doi.org/10.1093/biomet/73.1.13
    """
    sums = cluster_sums(influence * residuals[:, :, None], cluster, n_clusters)
    return jnp.asarray(sums.T @ sums)


def multiway_clustered(
    influence: Float[Array, "unit period k"],
    residuals: UnitPeriod,
    ways: tuple[Clusters, ...],
    factors: tuple[Float[Array, ""], ...],
) -> Float[Array, "k k"]:
    r"""Return the covariance clustered in several ways, which need not be positive semi-definite.

    .. math:: V = \sum_{\emptyset \ne S} (-1)^{|S| + 1} c_S V_{\cap S}

    Parameters
    ----------
    influence, residuals
        As for `clustered`.
    ways, factors
        The ways and all their intersections, and the small-sample factor of each.

    References
    ----------
    Cameron, A. C., Gelbach, J. B. and Miller, D. L. (2011). Journal of Business & Economic Statistics 29, 238-249.
    https://doi.org/10.1198/jbes.2010.07136
    """
    terms = [
        way.sign * factor * clustered(influence, residuals, way.codes, way.count)
        for way, factor in zip(ways, factors, strict=True)
    ]
    return jnp.stack(terms).sum(0)


def multiway_factors(
    rule: str, counts: Counts, sizes: tuple[Float[Array, ""], ...], convention: str
) -> tuple[Float[Array, ""], ...]:
    """Return the small-sample factor of each term: "min" takes the smallest number of clusters, "conventional" its own."""
    if convention == "min":
        return (small_sample_factor(rule, counts),) * len(sizes)
    return tuple(small_sample_factor(rule, replace(counts, clusters=each)) for each in sizes)


def semidefinite(matrix: Float[Array, "k k"], slopes: int) -> tuple[Float[Array, "k k"], Float[Array, ""]]:
    """Set the negative eigenvalues of a covariance to zero, as Cameron, Gelbach and Miller do.

    Parameters
    ----------
    matrix
        ``[k k]``.
    slopes
        How many terms, the first, are slopes. Their block alone is mended, so that no slope's standard error depends on which
        constants are reported; a negative variance of a constant becomes zero.

    Returns
    -------
    tuple
        The matrix, unchanged where no eigenvalue is negative beyond rounding, and the number of those that are.
    """
    values, vectors = eigh(matrix[:slopes, :slopes])
    negative = (values < -1e-12 * jnp.abs(values).max()).sum().astype(float)
    mended = (vectors * jnp.maximum(values, 0.0)[None, :]) @ vectors.T
    block = jnp.where(negative > 0, mended, matrix[:slopes, :slopes])
    diagonal = jnp.diagonal(matrix)
    clipped = matrix + jnp.diag(jnp.maximum(diagonal, 0.0) - diagonal)
    return clipped.at[:slopes, :slopes].set(block), negative


def heteroskedastic(influence: Float[Array, "unit period k"], residuals: UnitPeriod) -> Float[Array, "k k"]:
    """Return White's covariance without small-sample factor (HC0). https://doi.org/10.2307/1912934."""
    scores = influence * residuals[:, :, None]
    return jnp.einsum("itk,itl->kl", scores, scores)


def homoskedastic(
    influence: Float[Array, "unit period k"], weights: UnitPeriod, variance: Float[Array, ""]
) -> Float[Array, "k k"]:
    """Return the covariance under independent errors of variance ``variance / weight``."""
    inverse = jnp.where(weights > 0, 1.0 / jnp.where(weights > 0, weights, 1.0), 0.0)
    return variance * jnp.einsum("itk,itl->kl", influence * inverse[:, :, None], influence)
