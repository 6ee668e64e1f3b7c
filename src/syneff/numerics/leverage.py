r"""Adjustments of scores for leverage: HC2, HC3, CR2, CR3, and Satterthwaite degrees of freedom.

Residuals are too small where the fit bends to its rows. With ``Q`` an orthonormal basis of what is fitted (dummies and
regressors; rows multiplied by the square root of their weight), the hat matrix is ``QQ'``, and the residuals of cluster ``g``
are divided by a power of their share that is left free:

.. math::

    A_g = (I - Q_g Q_g')^{-1/2} \;\text{(CR2)}, \qquad A_g = (I - Q_g Q_g')^{-1} \;\text{(CR3)},

which for clusters of one row are HC2 and HC3. The inverse is a pseudo-inverse, so a row or cluster that is fitted perfectly
counts nothing. Effects that are nested in the clusters need not be in ``Q``: their residuals are zero within each cluster
(Pustejovsky and Tipton 2018), so with unit effects and clusters of units ``Q`` has as many columns as periods and regressors.

The working model is independent errors of variance one over the weight, the one under which the fit is efficient; without
weights that is clubSandwich's. With weights clubSandwich takes another root of the same matrix. Under the working model a
variance is ``sum_g (v_g' e_g)^2`` with ``v_g = A_g H_g``, and its degrees of freedom are those of the scaled chi-squared with
the same two moments,

.. math:: \nu = (\operatorname{tr} P)^2 / \operatorname{tr} P^2, \qquad P_{gh} = v_g' (I - Q Q')_{gh} v_h .

References
----------
Bell, R. M. and McCaffrey, D. F. (2002). Survey Methodology 28, 169-181.
Pustejovsky, J. E. and Tipton, E. (2018). Journal of Business & Economic Statistics 36, 672-683.
https://doi.org/10.1080/07350015.2016.1247004
MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023). Journal of Applied Econometrics 38, 671-694.
https://doi.org/10.1002/jae.2969
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.covariance import Clusters
from syneff.numerics.least_squares import RCOND, Absorption, absorption
from syneff.numerics.symmetric import eigh
from syneff.typing import Array, Float, UnitPeriod, UnitPeriodK

FREE = 1e-12
"""Share of a residual under which nothing of it counts as free (clubSandwich's tolerance)."""


def regressor_basis(
    regressors: UnitPeriodK, inverse: Float[Array, "k k"], weights: UnitPeriod
) -> Float[Array, "unit period k"]:
    """Return an orthonormal basis of regressors net of effects, rows multiplied by the root of their weight.

    Parameters
    ----------
    regressors
        ``[unit period k]``, residuals on the absorbed effects.
    inverse
        ``[k k]``: generalised inverse of their weighted moments.
    weights
        ``[unit period]``.
    """
    return jnp.einsum("itk,kl->itl", regressors * jnp.sqrt(weights)[:, :, None], _root(inverse))


def dummy_basis(absorbed: Absorption, nested: tuple[str, ...]) -> Float[Array, "unit period level"]:
    """Return an orthonormal basis of the absorbed dummies net of the effects that are nested in clusters.

    Parameters
    ----------
    absorbed
        The effects.
    nested
        Those to leave out, with all that they span.
    """
    weights, root = absorbed.weights, jnp.sqrt(absorbed.weights)[:, :, None]
    units, periods = weights.shape
    unit = jnp.broadcast_to(jnp.eye(units)[:, None, :], (units, periods, units))
    period = jnp.broadcast_to(jnp.eye(periods)[None], (units, periods, periods))
    if absorbed.effects == ():
        return root * jnp.sqrt(1.0 / weights.sum())
    if absorbed.effects == ("unit",):
        parts = [unit / jnp.sqrt(absorbed.unit_totals)[None, None, :]]
    elif absorbed.effects == ("period",):
        parts = [period / jnp.sqrt(absorbed.period_totals)[None, None, :]]
    elif nested == ("period",):
        turned = absorption(weights.T, ("unit", "period"))
        share = (weights / absorbed.period_totals[None, :]).T
        return root * jnp.einsum("itc,cd->itd", unit - share[None, :, :], _root(turned.inverse))
    else:
        share = weights / absorbed.unit_totals[:, None]
        parts = [unit / jnp.sqrt(absorbed.unit_totals)[None, None, :]] if "unit" not in nested else []
        parts += [jnp.einsum("itc,cd->itd", period - share[:, None, :], _root(absorbed.inverse))]
    alone = len(absorbed.effects) == 1 and absorbed.effects[0] in nested
    return jnp.zeros((units, periods, 0)) if alone else root * jnp.concatenate(parts, axis=2)


def leverage(regressors: Float[Array, "unit period k"], absorbed: Absorption) -> UnitPeriod:
    """Return the diagonal of the hat matrix ``[unit period]``, absorbed dummies included.

    Parameters
    ----------
    regressors
        `regressor_basis`.
    absorbed
        The effects.
    """
    # Unit dummies, the many, are summed in closed form.
    own = absorbed.weights / absorbed.unit_totals[:, None] if "unit" in absorbed.effects else 0.0
    dummies = dummy_basis(absorbed, ("unit",))
    return own + (regressors**2).sum(2) + (dummies**2).sum(2)


def free_power(free: Float[Array, "*size"], power: float) -> Float[Array, "*size"]:
    """Return the share that is free to a negative power, 0 where nothing is."""
    return jnp.where(free > FREE, jnp.where(free > FREE, free, 1.0) ** power, 0.0)


@partial(jax.tree_util.register_dataclass, data_fields=["scores", "dof"], meta_fields=[])
@dataclass(frozen=True)
class Adjusted:
    """Adjusted scores of clusters.

    Attributes
    ----------
    scores
        ``[cluster term]``; their outer product is the covariance.
    dof
        ``[term]``: Satterthwaite degrees of freedom of its diagonal.
    """

    scores: Float[Array, "cluster term"]
    dof: Float[Array, " term"]


def adjust_clusters(
    influence: Float[Array, "unit period term"],
    residuals: UnitPeriod,
    weights: UnitPeriod,
    basis: Float[Array, "unit period column"],
    *,
    clusters: Clusters,
    power: float,
) -> Adjusted:
    """Adjust the scores of clusters for leverage.

    Parameters
    ----------
    influence, residuals, weights
        ``[unit period term]``, ``[unit period]``, ``[unit period]``.
    basis
        ``[unit period column]``: orthonormal basis of what is fitted, effects nested in the clusters left out.
    clusters
        The clusters.
    power
        -0.5 for CR2, -1 for CR3.
    """
    root = jnp.sqrt(weights)
    safe = jnp.where(root > 0, root, 1.0)
    # In the basis every term is one vector: what influence has outside it meets residuals of zero.
    direction = jnp.einsum("itp,itk->pk", basis, influence / safe[:, :, None])
    members = clusters.members()
    rows = _gather(basis, members)
    free = _gather((root * residuals)[:, :, None], members)[:, :, 0]
    moved = _adjusted_rows(rows, power) @ direction
    inside = jnp.einsum("gsp,gsk->gpk", rows, moved)
    norms = (moved**2).sum(1)
    trace = (norms - (inside**2).sum(1)).sum(0)
    cross = jnp.einsum("gpk,gqk->kpq", inside, inside)
    square = (norms**2 - 2.0 * norms * (inside**2).sum(1)).sum(0) + (cross**2).sum((1, 2))
    dof = jnp.where(square > 0, trace**2 / jnp.where(square > 0, square, 1.0), jnp.nan)
    return Adjusted(jnp.einsum("gsk,gs->gk", moved, free), dof)


def _adjusted_rows(rows: Float[Array, "cluster slot column"], power: float) -> Float[Array, "cluster slot column"]:
    """Return ``(I - Q_g Q_g')^power Q_g`` for each cluster, by the eigenvalues of the smaller of its two Gram matrices."""
    if rows.shape[1] <= rows.shape[2]:
        values, vectors = eigh(jnp.einsum("gsp,gtp->gst", rows, rows))
        turned = jnp.einsum("gse,gsp->gep", vectors, rows)
        return jnp.einsum("gse,gep->gsp", vectors * free_power(1.0 - values, power)[:, None, :], turned)
    values, vectors = eigh(jnp.einsum("gsp,gsq->gpq", rows, rows))
    turned = jnp.einsum("gsp,gpe->gse", rows, vectors) * free_power(1.0 - values, power)[:, None, :]
    return jnp.einsum("gse,gpe->gsp", turned, vectors)


def _gather(values: UnitPeriodK, members: Array) -> Float[Array, "cluster slot k"]:
    flat = values.reshape(-1, values.shape[2])
    return jnp.concatenate([flat, jnp.zeros((1, flat.shape[1]))])[members]


def _root(matrix: Float[Array, "k k"]) -> Float[Array, "k k"]:
    """Return ``L`` with ``LL'`` the positive semi-definite matrix."""
    size = jnp.sqrt(jnp.where(jnp.diagonal(matrix) > 0, jnp.diagonal(matrix), 1.0))
    values, vectors = eigh(matrix / size[:, None] / size[None, :])
    positive = jnp.where(values > RCOND * values.max(), values, 0.0)
    return jnp.asarray(size[:, None] * vectors * jnp.sqrt(positive)[None, :])
