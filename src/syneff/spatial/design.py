"""From names to arrays for spatial panels: the design with its network, and the columns of a model."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.models.base import Design, Spec
from syneff.models.design import build_design, sample_of
from syneff.numerics.network import Network
from syneff.numerics.spatial_fit import Cube, column_sizes
from syneff.panel.panel import Panel
from syneff.spatial.checks import check_sample
from syneff.spatial.layout import Layout
from syneff.spatial.networks import network_of
from syneff.spatial.weights import Weights


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["outcome", "regressors", "weights", "cluster", "instruments", "ways", "distances", "network"],
    meta_fields=["names", "n_clusters", "nested", "balanced"],
)
@dataclass(frozen=True)
class SpatialDesign(Design):
    """A design with its network, so that designs that differ in W alone can be stacked.

    Attributes
    ----------
    network
        W and its spectral parts.
    """

    network: Network | None = None


def spatial_design(panel: Panel, spec: Spec, weights: Weights) -> SpatialDesign:
    """Turn names into arrays, and place weights that belong to the panel on them; units outside W are out of the sample.

    Raises
    ------
    DataError
        If the sample is not balanced (units are named), or a column is unknown.
    """
    rows = weights.rows(panel)
    kept = np.zeros(panel.shape[0])
    kept[rows] = 1.0
    sample = panel.reweight(panel.weights * kept[:, None])
    check_sample(sample, sample_of(sample, spec).weights, rows)
    base = build_design(sample, spec)
    parts = {name: getattr(base, name) for name in Design.__dataclass_fields__}
    return SpatialDesign(**{**parts, "balanced": False}, network=network_of(weights, panel))


def network_in(design: Design) -> Network:
    """Return the network of a spatial design."""
    assert isinstance(design, SpatialDesign)
    assert design.network is not None
    return design.network


def cube_of(design: Design, layout: Layout) -> Cube:
    """Return regressors, their lags and, if the layout has one, a constant."""
    inside = (design.weights > 0).astype(float)
    columns = design.regressors
    if layout.lags:
        places = np.asarray([layout.regressors.index(name) for name in layout.lags])
        columns = jnp.concatenate([columns, network_in(design).lag(columns[:, :, places])], axis=2)
    columns = columns * inside[:, :, None]
    size = column_sizes(columns, inside)
    if layout.constant:
        columns = jnp.concatenate([columns, inside[:, :, None]], axis=2)
        size = jnp.concatenate([size, inside.sum()[None]])
    return Cube(columns, design.outcome, inside, size)
