r"""Instrumental variables on a cube, effects absorbed: k-class estimators, and what every estimator by instruments shares.

With effects and exogenous regressors partialled out of outcome, endogenous variables and excluded instruments (a tilde), all
that is left is small. ``P`` projects on the instruments, ``M = I - P``:

.. math::

    b_\kappa = [\tilde D'(I - \kappa M) \tilde D]^{-1} \tilde D'(I - \kappa M) \tilde y ,

with ``kappa`` 0 for least squares, 1 for 2SLS and the smallest root of ``|W'W - kappa W'MW| = 0``, ``W = (y, D)``, for LIML.
Moments that are weighted otherwise are in `syneff.numerics.moment_conditions`.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import (
    Absorption,
    LeastSquares,
    absorb,
    centred_squares,
    least_squares,
    scaled_inverse,
)
from syneff.numerics.partialled import DrawnOutcomes, Partialled
from syneff.typing import Array, Bool, Draws, Float, UnitPeriod, UnitPeriodK


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "weights",
        "outcome",
        "endogenous",
        "instruments",
        "exogenous",
        "fitted",
        "moments",
        "inverse",
        "kept",
        "size",
        "exogenous_inverse",
        "exogenous_kept",
        "loadings",
    ],
    meta_fields=[],
)
@dataclass(frozen=True)
class Instrumented:
    """A regression net of effects and exogenous regressors; ``p`` endogenous variables, ``l`` instruments, ``x`` exogenous.

    Attributes
    ----------
    weights
        ``[unit period]``.
    outcome, endogenous, instruments
        ``[unit period]``, ``[unit period p]``, ``[unit period l]``, net of effects and of the exogenous regressors.
    exogenous
        ``[unit period x]``, net of effects.
    fitted
        ``[unit period p]``: projections of the endogenous variables on the instruments.
    moments, inverse
        ``[l l]``: weighted moments of the instruments and their generalised inverse.
    kept
        ``[l]``: instruments that are not collinear with what stands before them.
    size
        ``[p]``: weighted sums of squares of the endogenous variables before anything was taken out.
    exogenous_inverse, exogenous_kept
        ``[x x]``, ``[x]``: the same as `inverse` and `kept`, of the exogenous regressors.
    loadings
        ``[x 1+p]``: coefficients of outcome and endogenous variables on the exogenous regressors.
    """

    weights: UnitPeriod
    outcome: UnitPeriod
    endogenous: Float[Array, "unit period p"]
    instruments: Float[Array, "unit period l"]
    exogenous: Float[Array, "unit period x"]
    fitted: Float[Array, "unit period p"]
    moments: Float[Array, "l l"]
    inverse: Float[Array, "l l"]
    kept: Bool[Array, " l"]
    size: Float[Array, " p"]
    exogenous_inverse: Float[Array, "x x"]
    exogenous_kept: Bool[Array, " x"]
    loadings: Float[Array, "x columns"]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["coef", "kept", "projection", "fitted", "residuals", "pull"],
    meta_fields=[],
)
@dataclass(frozen=True)
class InstrumentFit:
    """A fit by instruments.

    Attributes
    ----------
    coef, kept
        ``[p]``: coefficients of the endogenous variables, 0 where nothing identifies one.
    projection
        ``[p p]``: what the scores of `fitted` are multiplied by; for LIML the inverse of ``D'(I - kappa M)D``.
    fitted
        ``[unit period p]``: the combinations of instruments that stand for the endogenous variables.
    residuals
        ``[unit period]``, of the actual endogenous variables.
    pull
        ``[x l]``: by how much moments of instruments that are not zero move the coefficients of exogenous regressors, whose
        own moments GMM does not set to zero either; None where it does.
    """

    coef: Float[Array, " p"]
    kept: Bool[Array, " p"]
    projection: Float[Array, "p p"]
    fitted: Float[Array, "unit period p"]
    residuals: UnitPeriod
    pull: Float[Array, "x l"] | None = None


def cross_moments(left: UnitPeriodK, right: Float[Array, "unit period l"], weights: UnitPeriod) -> Float[Array, "k l"]:
    """Return the weighted sums of products of columns ``[unit period k]`` and ``[unit period l]``."""
    return jnp.einsum("itk,itl->kl", left * weights[:, :, None], right)


def partial_out(
    outcome: UnitPeriod,
    endogenous: Float[Array, "unit period p"],
    exogenous: Float[Array, "unit period x"],
    instruments: Float[Array, "unit period l"],
    *,
    absorbed: Absorption,
) -> Instrumented:
    """Take effects and exogenous regressors out of all that is left, and project the endogenous variables.

    Parameters
    ----------
    outcome, endogenous, exogenous, instruments
        ``[unit period]``, ``[unit period p]``, ``[unit period x]``, ``[unit period l]``.
    absorbed
        The effects.
    """
    weights, p, width = absorbed.weights, endogenous.shape[2], exogenous.shape[2]
    columns = jnp.concatenate([outcome[:, :, None], endogenous, instruments], axis=2)
    net = absorb(jnp.concatenate([exogenous, columns], axis=2), absorbed)
    size = centred_squares(exogenous, weights)

    def take(column: UnitPeriod) -> tuple[Array, ...]:
        fit = least_squares(column, net[:, :, :width], weights, size)
        return fit.coef, fit.residuals, fit.inverse, fit.kept

    # The same regressors for all columns: only coefficients and residuals differ.
    coef, residuals, exogenous_inverse, exogenous_kept = jax.vmap(take, in_axes=2, out_axes=(0, 2, None, None))(
        net[:, :, width:]
    )
    left, outside = residuals[:, :, 1 : p + 1], residuals[:, :, p + 1 :]
    moments = cross_moments(outside, outside, weights)
    inverse, kept = scaled_inverse(moments, centred_squares(instruments, weights))
    return Instrumented(
        weights=weights,
        outcome=residuals[:, :, 0],
        endogenous=left,
        instruments=outside,
        exogenous=net[:, :, :width],
        fitted=outside @ (inverse @ cross_moments(outside, left, weights)),
        moments=moments,
        inverse=inverse,
        kept=kept,
        size=centred_squares(endogenous, weights),
        exogenous_inverse=exogenous_inverse,
        exogenous_kept=exogenous_kept,
        loadings=coef[: p + 1].T,
    )


def k_class(parts: Instrumented, kappa: Float[Array, ""] | float) -> InstrumentFit:
    """Fit with a given ``kappa``: 0 is least squares, 1 two-stage least squares."""
    errors = parts.endogenous - parts.fitted
    projected = cross_moments(parts.fitted, parts.fitted, parts.weights)
    inverse, kept = scaled_inverse(projected + (1.0 - kappa) * cross_moments(errors, errors, parts.weights), parts.size)
    stand_in = parts.fitted + (1.0 - kappa) * errors
    coef, residuals = jnp.zeros(kept.shape[0]), parts.outcome
    for _ in range(2):  # The second round is iterative refinement.
        change = inverse @ cross_moments(stand_in, residuals[:, :, None], parts.weights)[:, 0]
        coef, residuals = coef + change, residuals - parts.endogenous @ change
    return InstrumentFit(coef, kept, inverse, parts.fitted, residuals)


def liml_kappa(parts: Instrumented) -> Float[Array, ""]:
    """Return the ``kappa`` of LIML; 1 where the model is just identified."""
    columns = jnp.concatenate([parts.outcome[:, :, None], parts.endogenous], axis=2)
    on_instruments = parts.instruments @ (parts.inverse @ cross_moments(parts.instruments, columns, parts.weights))
    errors = columns - on_instruments
    inside = cross_moments(errors, errors, parts.weights)
    scale = jnp.sqrt(jnp.where(jnp.diagonal(inside) > 0, jnp.diagonal(inside), 1.0))
    root = jnp.linalg.cholesky(inside / scale[:, None] / scale[None, :])
    explained = cross_moments(on_instruments, on_instruments, parts.weights) / scale[:, None] / scale[None, :]
    half = jax.scipy.linalg.solve_triangular(root, explained, lower=True)
    # W'W = W'MW + W'PW, so the root of the second alone keeps the digits of a kappa near 1.
    values = jnp.linalg.eigvalsh(jax.scipy.linalg.solve_triangular(root, half.T, lower=True))
    just = parts.kept.sum() <= parts.endogenous.shape[2]
    return 1.0 + jnp.where(just, 0.0, jnp.maximum(values[0], 0.0))


def all_coef(parts: Instrumented, fit: InstrumentFit) -> Float[Array, " k"]:
    """Return the coefficients of the endogenous variables and then of the exogenous regressors."""
    exogenous = parts.loadings[:, 0] - parts.loadings[:, 1:] @ fit.coef
    if fit.pull is not None:
        exogenous = exogenous - pulled(parts, fit.residuals, fit.pull)
    return jnp.concatenate([fit.coef, exogenous])


def influence(parts: Instrumented, fit: InstrumentFit) -> UnitPeriodK:
    """Return the derivative of each of `all_coef` with respect to each outcome."""
    weights = parts.weights[:, :, None]
    own = (fit.fitted * weights) @ fit.projection
    of_exogenous = (parts.exogenous * weights) @ parts.exogenous_inverse - own @ parts.loadings[:, 1:].T
    if fit.pull is not None:
        moved = cross_moments(parts.instruments, parts.endogenous, parts.weights)
        of_exogenous = of_exogenous - (parts.instruments * weights - own @ moved.T) @ fit.pull.T
    return jnp.concatenate([own, of_exogenous], axis=2)


def drawn_outcomes(
    parts: Instrumented, fit: InstrumentFit, outcomes: Draws, absorbed: Absorption
) -> tuple[Partialled, DrawnOutcomes]:
    """Fit 2SLS for each outcome ``[draw unit period]``, on the projections of one fit.

    Returns
    -------
    tuple
        The projected regressors with the inverse of their moments, which influence and covariance are made of, and the fits
        with their residuals of the actual regressors.
    """
    weights = parts.weights
    stand_in = fit.fitted + parts.exogenous @ parts.loadings[:, 1:]
    projected = jnp.concatenate([stand_in, parts.exogenous], axis=2)
    actual = jnp.concatenate([parts.endogenous + parts.exogenous @ parts.loadings[:, 1:], parts.exogenous], axis=2)
    inverse = all_projections(parts, fit.projection)
    inside = (weights > 0)[:, :, None]
    residuals = absorb(jnp.where(inside, jnp.moveaxis(outcomes, 0, -1), 0.0), absorbed)
    coef = jnp.zeros((projected.shape[2], outcomes.shape[0]))
    for _ in range(2):  # The second round is iterative refinement.
        change = inverse @ cross_moments(projected, residuals, weights)
        coef, residuals = coef + change, residuals - actual @ change
    kept = jnp.concatenate([fit.kept, parts.exogenous_kept])
    own = LeastSquares(all_coef(parts, fit), fit.residuals, inverse, kept)
    return Partialled(projected, own, absorbed), DrawnOutcomes(coef.T, residuals)


def all_projections(parts: Instrumented, projection: Float[Array, "p p"]) -> Float[Array, "k k"]:
    """Border the inverse of ``D'(I - kappa M)D`` by the exogenous regressors that were partialled out of it."""
    loadings = parts.loadings[:, 1:]
    corner = parts.exogenous_inverse + loadings @ projection @ loadings.T
    return jnp.block([[projection, -projection @ loadings.T], [-loadings @ projection, corner]])


def pulled(parts: Instrumented, residuals: UnitPeriod, pull: Float[Array, "x l"]) -> Float[Array, " x"]:
    """Return by how much the moments of the instruments lower the coefficients of the exogenous regressors."""
    return jnp.asarray(pull @ cross_moments(parts.instruments, residuals[:, :, None], parts.weights)[:, 0])
