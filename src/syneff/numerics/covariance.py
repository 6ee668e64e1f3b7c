"""Covariance matrices, and the one place where small-sample rules live.

Every estimator here is linear in the outcome, ``theta = sum_it H_it y_it``. With the *influence* ``H`` and the residuals
``e``, all covariances are one formula: scores ``H_it e_it``, summed within clusters, and their outer product. That serves
coefficients and constants alike.

The small-sample rules of programs differ in which parameters they count. With ``G`` clusters, ``N`` rows, ``k`` regressors
and ``D`` the rank of all absorbed dummies:

================  ===============================  ==================================================
name              factor                           who
================  ===============================  ==================================================
``reghdfe``       G/(G-1) (N-1)/(N-K), K = k + D   reghdfe, fixest, xtreg fe: the default
                  - nested levels + 1 if nested
``plm``           G/(G-1) (N-1)/(N-k)              plm sss, clubSandwich CR1S
``lsdv``          G/(G-1) (N-1)/(N-k-D)            areg, statsmodels and estimatr on dummies
``linearmodels``  N/(N-k-D)                        linearmodels PanelOLS
``group``         G/(G-1)                          sandwich CR1
``none``          1                                sandwich HC0 by cluster
================  ===============================  ==================================================
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.typing import Array, Float, Int, UnitPeriod

SMALL_SAMPLE = ("reghdfe", "plm", "lsdv", "linearmodels", "group", "none")


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
        Rows and clusters of positive weight.
    regressors
        Regressors that were kept.
    dummies
        Rank of the absorbed dummies (1 for the constant alone).
    nested
        Levels of the effects that are nested in the clusters; 0 if none is.
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
    group = g / (g - 1.0)
    factors = {
        "reghdfe": group * (n - 1.0) / (n - not_nested),
        "plm": group * (n - 1.0) / (n - counts.regressors),
        "lsdv": group * (n - 1.0) / (n - counts.parameters),
        "linearmodels": n / (n - counts.parameters),
        "group": group,
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
