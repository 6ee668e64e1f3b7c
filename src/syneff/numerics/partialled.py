r"""One array of a regression drawn again, on any panel: the rest is partialled out once.

By Frisch, Waugh and Lovell, with residuals on effects and controls marked by a tilde, a drawn treatment has

.. math::

    b = \tilde d' W \tilde y / \tilde d' W \tilde d, \qquad
    \operatorname{var}(b) = c \sum_g \Big(\sum_{it \in g} w \tilde d e\Big)^2 / (\tilde d' W \tilde d)^2 ,

and a drawn outcome meets regressors whose moments are inverted already.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import (
    RCOND,
    Absorption,
    LeastSquares,
    absorb,
    centred_squares,
    least_squares,
)
from syneff.typing import Array, Bool, Draws, Float, UnitPeriod, UnitPeriodK


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["controls", "outcome_fit", "absorbed"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Partialled:
    """Outcome and controls net of effects, and the fit of one on the other.

    Attributes
    ----------
    controls
        ``[unit period k]``, net of effects.
    outcome_fit
        The outcome, net of effects, on them.
    absorbed
        The effects.
    """

    controls: UnitPeriodK
    outcome_fit: LeastSquares
    absorbed: Absorption


@partial(
    jax.tree_util.register_dataclass, data_fields=["coef", "norm", "kept", "regressor", "residuals"], meta_fields=[]
)
@dataclass(frozen=True)
class DrawnTreatments:
    """Fits of drawn treatments.

    Attributes
    ----------
    coef, norm, kept
        ``[draw]``: the coefficient, the sum of squares of the treatment net of effects and controls (1 where not kept), and
        whether these leave anything of it.
    regressor, residuals
        ``[unit period draw]``: the treatment net of effects and controls, and the residuals.
    """

    coef: Float[Array, " draw"]
    norm: Float[Array, " draw"]
    kept: Bool[Array, " draw"]
    regressor: Float[Array, "unit period draw"]
    residuals: Float[Array, "unit period draw"]


def partial_out(outcome: UnitPeriod, controls: UnitPeriodK, absorbed: Absorption) -> Partialled:
    """Take effects out of outcome and controls, and regress one on the other."""
    size = centred_squares(controls, absorbed.weights)
    net = absorb(jnp.concatenate([controls, outcome[:, :, None]], axis=2), absorbed)
    fit = least_squares(net[:, :, -1], net[:, :, :-1], absorbed.weights, size)
    return Partialled(net[:, :, :-1], fit, absorbed)


def fit_treatments(partialled: Partialled, treatments: Draws) -> DrawnTreatments:
    """Fit each treatment ``[draw unit period]`` beside the controls."""
    weights, controls = partialled.absorbed.weights, partialled.controls
    fake = jnp.where((weights > 0)[:, :, None], jnp.moveaxis(treatments, 0, -1), 0.0)
    total = centred_squares(fake, weights)
    fake = absorb(fake, partialled.absorbed)
    cross = jnp.einsum("itk,itd->kd", controls * weights[:, :, None], fake)
    fake = fake - jnp.einsum("itk,kd->itd", controls, partialled.outcome_fit.inverse @ cross)
    norm = jnp.einsum("itd,it->d", fake**2, weights)
    kept = norm > RCOND * total
    norm = jnp.where(kept, norm, 1.0)
    outcome = partialled.outcome_fit.residuals
    coef = jnp.einsum("itd,it->d", fake, weights * outcome) / norm
    return DrawnTreatments(coef, norm, kept, fake, outcome[:, :, None] - fake * coef[None, None, :])


@partial(jax.tree_util.register_dataclass, data_fields=["coef", "residuals"], meta_fields=[])
@dataclass(frozen=True)
class DrawnOutcomes:
    """Fits of drawn outcomes.

    Attributes
    ----------
    coef
        ``[draw k]``.
    residuals
        ``[unit period draw]``.
    """

    coef: Float[Array, "draw k"]
    residuals: Float[Array, "unit period draw"]


def fit_outcomes(partialled: Partialled, outcomes: Draws) -> DrawnOutcomes:
    """Fit each outcome ``[draw unit period]`` on the columns that are partialled out."""
    weights, columns = partialled.absorbed.weights, partialled.controls
    inside = (weights > 0)[:, :, None]
    residuals = absorb(jnp.where(inside, jnp.moveaxis(outcomes, 0, -1), 0.0), partialled.absorbed)
    weighted = columns * weights[:, :, None]
    coef = jnp.zeros((columns.shape[2], outcomes.shape[0]))
    for _ in range(2):  # The second round is iterative refinement.
        change = partialled.outcome_fit.inverse @ jnp.einsum("itk,itd->kd", weighted, residuals)
        coef, residuals = coef + change, residuals - jnp.einsum("itk,kd->itd", columns, change)
    return DrawnOutcomes(coef.T, residuals)
