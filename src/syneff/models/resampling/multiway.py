"""What the wild bootstrap needs of clusters that cross units, or of several ways of clustering.

Weights are drawn for the clusters of one name, the *bootstrap clusters*: by default the name with the fewest, as MacKinnon,
Nielsen and Webb (2021, https://doi.org/10.1080/07350015.2019.1677473) recommend; several names stand for their intersection.
Names that the variance is not clustered by are allowed: finer than the clusters they make the subcluster bootstrap (MacKinnon
and Webb 2018, https://doi.org/10.1111/ectj.12107).
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError, unknown_name
from syneff.models.base import Design, Estimate, Spec
from syneff.models.closed_forms import counts_of
from syneff.models.clusters import clusters_of
from syneff.models.resampling.draws import few_clusters
from syneff.numerics.covariance import Clusters, multiway_factors
from syneff.numerics.least_squares import absorption
from syneff.panel.panel import Panel
from syneff.typing import Array, Float


@dataclass(frozen=True)
class BootstrapClusters:
    """The groups of rows that one weight is drawn for.

    Attributes
    ----------
    codes
        ``[unit period]``: number of the group, from 0; rows outside the sample have any, and weigh nothing.
    count
        Number of groups.
    name
        The names that they are formed by.
    whole
        Which of "unit" and "period" have all their rows in one group.
    notes
        What the user should know of them.
    """

    codes: np.ndarray
    count: int
    name: str
    whole: tuple[str, ...]
    notes: tuple[str, ...]


def bootstrap_clusters(
    panel: Panel, design: Design, spec: Spec, names: str | tuple[str, ...] | None
) -> BootstrapClusters:
    """Find the groups that weights are drawn for.

    Parameters
    ----------
    panel, design, spec
        What is estimated.
    names
        One name, or several for their intersection; None for the name of the specification with the fewest clusters.

    Raises
    ------
    SpecError
        If a name is unknown, or there are fewer than two groups.
    """
    inside = np.asarray(design.weights) > 0
    if names is None:
        own = spec.cluster_names or ("unit",)
        sizes = [np.unique(np.asarray(way.codes)[inside]).size for way in design.ways[: len(own)]]
        chosen: tuple[str, ...] = (own[int(np.argmin(sizes))],)
    else:
        chosen = (names,) if isinstance(names, str) else tuple(names)
    for name in chosen:
        if name not in ("unit", "period", *panel.traits, *panel.columns):
            known = ("unit", "period", *panel.traits, *panel.columns)
            raise SpecError(unknown_name("estimator.bootstrap_cluster", name, known))
    plain = Spec(spec.outcome, spec.treatment, cluster=chosen)
    way = clusters_of(panel, plain, inside)[-1]
    levels, codes = np.unique(np.asarray(way.codes)[inside], return_inverse=True)
    if levels.size < 2:
        raise SpecError(
            f"WildClusterBootstrap: there is {levels.size} cluster by {' and '.join(chosen)} in the sample; 2 or more are "
            "needed. Set estimator.bootstrap_cluster to another name."
        )
    filled = np.zeros(inside.shape, dtype=int)
    filled[inside] = codes
    return BootstrapClusters(filled, levels.size, " and ".join(chosen), way.whole, few_clusters(levels.size))


def check_variant(variant: str, groups: BootstrapClusters, effects: tuple[str, ...]) -> None:
    """Raise a `SpecError` where a variant is not defined: a jackknife that leaves out rows which effects need."""
    if variant[1] == "3":
        raise SpecError(
            f"WildClusterBootstrap: variant={variant} has the jackknife's variance, which is defined for clusters by one name "
            f"that hold whole units. Use variant={variant[0]}1."
        )
    cut = "unit" in effects and "unit" not in groups.whole
    lost = "period" in effects and "period" in groups.whole
    if variant[0] == "3" and (cut or lost):
        effect = "unit" if cut else "period"
        what = "cuts units apart" if cut else "takes whole periods out"
        raise SpecError(
            f"WildClusterBootstrap: variant={variant} leaves each cluster by {groups.name} out, which {what}, and their "
            f"{effect} effects with them. Use variant=11, or estimator.bootstrap_cluster=unit."
        )


def variance_terms(
    spec: Spec, design: Design, actual: Estimate
) -> tuple[tuple[Clusters, ...], tuple[Float[Array, ""], ...]]:
    """Return the ways of clustering that the variance adds up, and the small-sample factor of each.

    Parameters
    ----------
    spec, design
        The specification and its arrays; a covariance that is not clustered stands for the rule ``group``.
    actual
        The estimate.
    """
    kept = np.isfinite(np.asarray(actual.of_terms(design.names).coef)).sum()
    counts = counts_of(design, absorption(design.weights, spec.effects), jnp.asarray(float(kept)))
    sizes = tuple(way.occupied(design.weights) for way in design.ways)
    rule = spec.rule if spec.clustered else "group"
    factors = multiway_factors(rule, counts, sizes, spec.multiway or "min")
    if spec.multiway != "white":
        return design.ways, factors
    # White's covariance for the last intersection: every row is a cluster, without a factor.
    cells = design.weights.size
    rows = replace(
        design.ways[-1], codes=jnp.arange(cells).reshape(design.weights.shape), count=cells, size=1, whole=()
    )
    return (*design.ways[:-1], rows), (*factors[:-1], jnp.ones(()))
