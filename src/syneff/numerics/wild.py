r"""The wild cluster bootstrap as linear algebra with the scores of clusters.

A draw multiplies the residuals of cluster *g* by ``v_g``. With ``A_g`` the moments of the regressors in a cluster (controls and
period effects spelled out, net of unit effects), ``S_g`` the scores of its residuals and ``q`` the row of ``A^+`` that belongs
to the treatment, everything that a draw needs is linear in ``v``:

.. math::

    b^* - r = q' S v, \qquad
    \text{CV}_1: \; s_g = q' S_g v_g - q' A_g A^+ S v, \qquad
    \text{CV}_3: \; b^*_{(g)} - b^* = -q_{(g)}' S_g v_g - (q - q_{(g)})' S v ,

where ``(g)`` leaves cluster *g* out. Under a null value ``r`` the restricted residuals, and so ``S``, are linear in ``r``; the
variance of a draw is a quadratic, and the test can be inverted without drawing again.

References
----------
Roodman, D., Nielsen, M. O., MacKinnon, J. G. and Webb, M. D. (2019). Stata Journal 19, 4-60.
https://doi.org/10.1177/1536867X19830877
MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023). Journal of Applied Econometrics 38, 671-694.
https://doi.org/10.1002/jae.2969
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import RCOND, absorb, absorption, centred_squares, least_squares, sweep
from syneff.typing import Array, Bool, Float, Int, UnitPeriod, UnitPeriodK


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["effect", "own", "left", "right", "actual"],
    meta_fields=[],
)
@dataclass(frozen=True)
class WildForms:
    """What a draw is multiplied by; an axis of length 2 holds the value at the null and the slope in it.

    Attributes
    ----------
    effect
        ``[cluster 2]``: ``b* - r`` for each cluster's residuals.
    own
        ``[cluster 2]``: what a cluster's own residuals add to its deviation.
    left, right
        ``[cluster column]``, ``[column cluster 2]``: what all residuals take away, by the columns of the regression.
    actual
        ``[cluster]``: deviations of the actual fit, whose squares make up its variance.
    """

    effect: Float[Array, "*batch cluster 2"]
    own: Float[Array, "*batch cluster 2"]
    left: Float[Array, "*batch cluster column"]
    right: Float[Array, "*batch column cluster 2"]
    actual: Float[Array, "*batch cluster"]


@partial(jax.jit, static_argnames=("n_clusters", "effects", "impose_null", "variant"))
def wild_forms(
    outcome: UnitPeriod,
    regressors: UnitPeriodK,
    weights: UnitPeriod,
    cluster: Int[Array, " unit"],
    *,
    n_clusters: int,
    effects: tuple[str, ...],
    impose_null: bool,
    variant: str,
) -> WildForms:
    """Prepare the draws for the coefficient of regressor 0.

    Parameters
    ----------
    outcome
        ``[unit period]``, less the null value times the treatment.
    regressors, weights
        ``[unit period k]``, ``[unit period]``.
    cluster, n_clusters
        Number of the cluster of each unit, and how many there are.
    effects
        Any of "unit", "period".
    impose_null
        Whether residuals are those of the restricted regression (WCR) or of the full one (WCU).
    variant
        "11", "13", "31" or "33": the first digit is 3 where residuals are those that leave the cluster out, the second where
        the variance of a draw is the jackknife's.
    """
    columns, net = columns_of(outcome, regressors, weights, effects)
    size = jnp.concatenate(
        [centred_squares(regressors, weights), jnp.einsum("it,itk->k", weights, columns**2)[net.shape[2] - 1 :]]
    )
    residuals = drawn_residuals(net, weights, size, impose_null=impose_null)
    by_cluster = partial(jax.ops.segment_sum, segment_ids=cluster, num_segments=n_clusters)
    weighted = columns * weights[:, :, None]
    moments = by_cluster(jnp.einsum("itk,itl->ikl", weighted, columns))
    scores = by_cluster(jnp.einsum("itk,itr->ikr", weighted, residuals))
    total = moments.sum(0)
    inverse = moment_inverse(total, size)
    without = jax.vmap(lambda each: moment_inverse(total - each, size))(moments)
    drawn = scores[:, :, :2]
    if variant[0] == "3":
        first = 1 if impose_null else 0
        restricted = jax.vmap(lambda each: moment_inverse((total - each)[first:, first:], size[first:]))(moments)
        added = jnp.einsum("gkl,glm,gmr->gkr", moments[:, :, first:], restricted, drawn[:, first:])
        drawn = (drawn + added) * jnp.sqrt(1.0 - 1.0 / n_clusters)
    row, rows = inverse[0], without[:, 0]
    effect = jnp.einsum("k,gkr->gr", row, drawn)
    own, left = effect, jnp.einsum("gkl,l->gk", moments, row) @ inverse
    actual = scores[:, :, 2] @ row
    if variant[1] == "3":
        own, left = -jnp.einsum("gk,gkr->gr", rows, drawn), row[None, :] - rows
        actual = -jnp.einsum("gk,gk->g", rows, scores[:, :, 2])
        # Without a cluster that alone identifies the treatment there is no estimate.
        k = regressors.shape[2]
        identified = jax.vmap(lambda each: _identified(total - each, size, k))(moments)
        own, actual = jnp.where(identified[:, None], own, jnp.nan), jnp.where(identified, actual, jnp.nan)
    return WildForms(effect, own, left, drawn.transpose(1, 0, 2), actual)


def wild_statistics(forms: WildForms, drawn: Float[Array, "draw cluster"]) -> Float[Array, "draw 5"]:
    """Return numerator (value, slope) and sum of squared deviations (value, minus half the slope, curvature) of each draw.

    With ``x`` the distance of the null value from the one in `wild_forms`, a draw has the effect ``c0 + c1 x`` and the sum of
    squares ``c2 + 2 c3 x + c4 x^2``.
    """
    effects = drawn @ forms.effect
    deviations = [
        drawn * forms.own[None, :, part] - (drawn @ forms.right[:, :, part].T) @ forms.left.T for part in range(2)
    ]
    squares = [(deviations[i] * deviations[j]).sum(1) for i, j in ((0, 0), (0, 1), (1, 1))]
    return jnp.stack([effects[:, 0], effects[:, 1], *squares], axis=1)


def _identified(moments: Float[Array, "n n"], size: Float[Array, " n"], k: int) -> Bool[Array, ""]:
    """Say whether the dummies, all after the `k` regressors, leave anything of regressor 0."""
    cross = moments[0, k:]
    left = moments[0, 0] - cross @ moment_inverse(moments[k:, k:], size[k:]) @ cross
    return left > RCOND * size[0]


def columns_of(
    outcome: UnitPeriod, regressors: UnitPeriodK, weights: UnitPeriod, effects: tuple[str, ...]
) -> tuple[Float[Array, "unit period column"], Float[Array, "unit period variable"]]:
    """Return regressors net of effects beside dummies of what unit effects leave of these, and all variables net of effects.

    Parameters
    ----------
    outcome, regressors, weights
        ``[unit period]``, ``[unit period k]``, ``[unit period]``.
    effects
        Any of "unit", "period".
    """
    absorbed = absorption(weights, effects)
    net = absorb(jnp.concatenate([regressors, outcome[:, :, None]], axis=2), absorbed)
    periods = weights.shape[1]
    basis = jnp.eye(periods) if "period" in effects else jnp.ones((periods, 0 if effects else 1))
    dummies = (
        jnp.broadcast_to(basis[None], (*weights.shape[:1], *basis.shape)) * (weights > 0).astype(float)[:, :, None]
    )
    if "unit" in effects:
        means = jnp.einsum("it,itp->ip", weights, dummies) / absorbed.unit_totals[:, None]
        dummies = jnp.where((weights > 0)[:, :, None], dummies - means[:, None, :], 0.0)
    return jnp.concatenate([net[:, :, :-1], dummies], axis=2), net


def drawn_residuals(
    net: Float[Array, "unit period variable"], weights: UnitPeriod, size: Float[Array, " column"], *, impose_null: bool
) -> Float[Array, "unit period 3"]:
    """Return the residuals to draw from at the null value, their slope in it, and those of the full regression.

    Parameters
    ----------
    net
        ``[unit period variable]``: regressors and outcome net of effects.
    weights, size
        ``[unit period]``, and the squares of the columns that pivots are relative to.
    impose_null
        Whether the treatment is left out of the regression.
    """
    k = net.shape[2] - 1
    full = least_squares(net[:, :, -1], net[:, :, :-1], weights, size[:k]).residuals
    if not impose_null:
        return jnp.stack([full, jnp.zeros_like(full), full], axis=2)
    restricted = least_squares(net[:, :, -1], net[:, :, 1:-1], weights, size[1:k]).residuals
    treatment = least_squares(net[:, :, 0], net[:, :, 1:-1], weights, size[1:k]).residuals
    return jnp.stack([restricted, -treatment, full], axis=2)


def moment_inverse(matrix: Float[Array, "n n"], size: Float[Array, " n"]) -> Float[Array, "n n"]:
    """Invert moments by sweeping, pivots relative to `size` ``[n]``; one Newton step squares what that leaves of error."""
    scale = jnp.sqrt(jnp.where(size > 0, size, 1.0))
    scaled = matrix / scale[:, None] / scale[None, :]
    swept, _ = sweep(scaled, RCOND)
    return (2.0 * swept - swept @ scaled @ swept) / scale[:, None] / scale[None, :]
