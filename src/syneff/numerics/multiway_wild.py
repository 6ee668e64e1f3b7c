r"""The wild bootstrap where errors are clustered in several ways, or weights are drawn for other groups than the clusters.

Draws multiply the residuals of each *bootstrap cluster* by one weight; the variance of a draw adds up all ways of clustering
and their intersections, signs and small-sample factors included. With ``a`` the influence of the treatment, ``M`` the residual
maker and ``v`` the weights spread over the rows,

.. math::

    b^* - r = \sum a\, (v \circ u), \qquad
    V^* = \sum_S c_S \sum_{g \in S} \Big(\sum_{it \in g} a\, M (v \circ u)\Big)^2 ,

which is a quadratic form in the weights of the bootstrap clusters. It need not be positive, in the sample or in a draw. Where
the bootstrap clusters are few the form is made once, and a draw costs nothing; where they are many, scores are summed draw by
draw.

References
----------
MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2021). Journal of Business & Economic Statistics 39, 505-519.
https://doi.org/10.1080/07350015.2019.1677473
Roodman, D., Nielsen, M. O., MacKinnon, J. G. and Webb, M. D. (2019). Stata Journal 19, 4-60.
https://doi.org/10.1177/1536867X19830877
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.batching import map_in_chunks
from syneff.numerics.covariance import Clusters, cluster_sums
from syneff.numerics.least_squares import centred_squares
from syneff.numerics.wild import columns_of, drawn_residuals, moment_inverse
from syneff.typing import Array, Float, Int, UnitPeriod, UnitPeriodK

FORMED = 512
"""Bootstrap clusters up to which the quadratic form is made."""
ROWS = 32
"""Unit vectors of weights at a time while it is made."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "effect",
        "residuals",
        "groups",
        "columns",
        "weights",
        "influence",
        "inverse",
        "ways",
        "factors",
        "form",
    ],
    meta_fields=["unit_effects"],
)
@dataclass(frozen=True)
class MultiwayForms:
    """What a draw is multiplied by; an axis of length 2 holds the value at the null and the slope in it.

    Attributes
    ----------
    effect
        ``[group 2]``: ``b* - r`` for the residuals of each bootstrap cluster.
    residuals
        ``[unit period 3]``: those to draw from, value and slope, and those of the full regression.
    groups
        ``[unit period]``: number of the bootstrap cluster.
    columns, weights
        ``[unit period column]``, ``[unit period]``: the regression, net of unit effects.
    influence
        ``[unit period]``: derivative of the coefficient with respect to each outcome.
    inverse
        ``[column column]``: generalised inverse of the moments of the columns.
    ways, factors
        The ways and their intersections, and what multiplies each, sign included.
    form
        ``[3 group group]``: quadratic forms of the variance (value, half the slope, curvature); None where groups are many.
    unit_effects
        Whether unit effects are absorbed.
    """

    effect: Float[Array, "group 2"]
    residuals: Float[Array, "unit period 3"]
    groups: Int[Array, "unit period"]
    columns: Float[Array, "unit period column"]
    weights: UnitPeriod
    influence: UnitPeriod
    inverse: Float[Array, "column column"]
    ways: tuple[Clusters, ...]
    factors: tuple[Float[Array, ""], ...]
    form: Float[Array, "3 group group"] | None
    unit_effects: bool


@partial(jax.jit, static_argnames=("n_groups", "effects", "impose_null", "leave_out"))
def multiway_forms(
    arrays: tuple[UnitPeriod, UnitPeriodK, UnitPeriod],
    groups: Int[Array, "unit period"],
    ways: tuple[Clusters, ...],
    factors: tuple[Float[Array, ""], ...],
    *,
    n_groups: int,
    effects: tuple[str, ...],
    impose_null: bool,
    leave_out: bool,
) -> MultiwayForms:
    """Prepare the draws for the coefficient of regressor 0.

    Parameters
    ----------
    arrays
        Outcome less the null value times the treatment, regressors and weights.
    groups, n_groups
        Number of the bootstrap cluster of each row, and how many there are.
    ways, factors
        The terms of the variance, and the factor of each, without its sign.
    effects
        Any of "unit", "period".
    impose_null
        Whether residuals are those of the restricted regression (WCR) or of the full one (WCU).
    leave_out
        Whether residuals are those of the regression without their bootstrap cluster, times the root of ``(G-1)/G``.
    """
    outcome, regressors, weights = arrays
    columns, net = columns_of(outcome, regressors, weights, effects)
    k = regressors.shape[2]
    size = jnp.concatenate([centred_squares(regressors, weights), jnp.einsum("it,itk->k", weights, columns**2)[k:]])
    residuals = drawn_residuals(net, weights, size, impose_null=impose_null)
    weighted = columns * weights[:, :, None]
    inverse = moment_inverse(jnp.einsum("itk,itl->kl", weighted, columns), size)
    if leave_out:
        kept = slice(1 if impose_null else 0, None)
        residuals = _left_out(residuals, columns[:, :, kept], weights, size[kept], groups=groups, n_groups=n_groups)
    influence = weighted @ inverse[0]
    effect = cluster_sums(influence[:, :, None] * residuals[:, :, :2], groups, n_groups)
    signed = tuple(way.sign * factor for way, factor in zip(ways, factors, strict=True))
    forms = MultiwayForms(
        effect, residuals, groups, columns, weights, influence, inverse, ways, signed, None, "unit" in effects
    )
    return replace(forms, form=_form(forms, n_groups)) if n_groups <= FORMED else forms


def multiway_statistics(forms: MultiwayForms, drawn: Float[Array, "draw group"]) -> Float[Array, "draw 5"]:
    """Return numerator (value, slope) and variance (value, half its slope, curvature) of each draw.

    With ``x`` the distance of the null value from the one in `multiway_forms`, a draw has the effect ``c0 + c1 x`` and the
    variance ``c2 + 2 c3 x + c4 x^2``.
    """
    effects = drawn @ forms.effect
    if forms.form is not None:
        variances = jnp.stack([((drawn @ each) * drawn).sum(1) for each in forms.form], axis=1)
    else:
        variances = map_in_chunks(lambda part: _products(forms, part), drawn, ROWS)
    return jnp.concatenate([effects, variances], axis=1)


def actual_variance(forms: MultiwayForms) -> Float[Array, ""]:
    """Return the variance of the estimate itself, which need not be positive."""
    scores = forms.influence * forms.residuals[:, :, 2]
    sums = [cluster_sums(scores, way.codes, way.count) for way in forms.ways]
    return jnp.stack([factor * (each**2).sum() for factor, each in zip(forms.factors, sums, strict=True)]).sum()


def _form(forms: MultiwayForms, n_groups: int) -> Float[Array, "3 group group"]:
    """Return the quadratic forms, from the deviations under unit vectors of weights."""
    basis = jnp.eye(n_groups)
    parts = []
    for way, factor in zip(forms.ways, forms.factors, strict=True):
        found = map_in_chunks(lambda part, way=way: _deviations(forms, part, (way,))[0], basis, ROWS)
        both = jnp.einsum("dgi,egj->ijde", found, found) * factor
        parts.append(jnp.stack([both[0, 0], 0.5 * (both[0, 1] + both[1, 0]), both[1, 1]]))
    return jnp.stack(parts).sum(0)


def _products(forms: MultiwayForms, drawn: Float[Array, "draw group"]) -> Float[Array, "draw 3"]:
    total = jnp.zeros((drawn.shape[0], 3))
    for factor, sums in zip(forms.factors, _deviations(forms, drawn, forms.ways), strict=True):
        squares = [(sums[..., i] * sums[..., j]).sum(1) for i, j in ((0, 0), (0, 1), (1, 1))]
        total = total + factor * jnp.stack(squares, axis=1)
    return total


def _deviations(
    forms: MultiwayForms, drawn: Float[Array, "draw group"], ways: tuple[Clusters, ...]
) -> list[Float[Array, "draw cluster 2"]]:
    """Return the scores of each way's clusters under each draw, ``sum a M (v u)``."""
    noise = drawn[:, forms.groups, None] * forms.residuals[None, :, :, :2]
    moments = jnp.einsum("itk,ditr->dkr", forms.columns * forms.weights[:, :, None], noise)
    fitted = jnp.einsum("itk,dkr->ditr", forms.columns, jnp.einsum("kl,dlr->dkr", forms.inverse, moments))
    if forms.unit_effects:
        totals = forms.weights.sum(1)
        shares = forms.weights / jnp.where(totals > 0, totals, 1.0)[:, None]
        fitted = fitted + jnp.einsum("it,ditr->dir", shares, noise)[:, :, None, :]
    scores = forms.influence[None, :, :, None] * (noise - fitted)
    by_row = jnp.moveaxis(scores, 0, 2)
    return [jnp.moveaxis(cluster_sums(by_row, way.codes, way.count), 0, 1) for way in ways]


def _left_out(
    residuals: Float[Array, "unit period 3"],
    columns: Float[Array, "unit period kept"],
    weights: UnitPeriod,
    size: Float[Array, " kept"],
    *,
    groups: Int[Array, "unit period"],
    n_groups: int,
) -> Float[Array, "unit period 3"]:
    """Return the residuals to draw from, each of the regression without its own bootstrap cluster."""
    weighted = columns * weights[:, :, None]
    moments = cluster_sums(weighted[:, :, :, None] * columns[:, :, None, :], groups, n_groups)
    scores = cluster_sums(weighted[:, :, :, None] * residuals[:, :, None, :2], groups, n_groups)
    total = moments.sum(0)
    without = jax.vmap(lambda each: moment_inverse(total - each, size))(moments)
    moved = jnp.einsum("gkl,glr->gkr", without, scores)
    added = jnp.einsum("itk,itkr->itr", columns, moved[groups])
    drawn = (residuals[:, :, :2] + added) * jnp.sqrt(1.0 - 1.0 / n_groups)
    return jnp.concatenate([drawn, residuals[:, :, 2:]], axis=2)
