r"""The difference of an effect between groups: its covariance, and its distribution when group labels are permuted.

Everything is interacted with the group,

.. math::

    y_{it} = \beta_g d_{it} + \gamma_g' x_{it} + \mu_{i} + \lambda_{g t} + e_{it}, \qquad g = g(i),

so the coefficients are those of separate regressions, and one covariance serves all of them (Stata's ``suest`` in the same
way): groups are independent where no cluster is in two of them.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from syneff.models.base import Design, Estimate, Spec
from syneff.models.covariances import Fit, uncertainty
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling.assignment import permutation_within
from syneff.numerics.covariance import Clusters, Counts
from syneff.numerics.grouped import fit_interacted
from syneff.numerics.least_squares import absorption, centred_squares, least_squares
from syneff.numerics.partialled import partial_out
from syneff.runtime import draw_keys
from syneff.typing import Array, Float, Int

LEVERAGE = ("CR2", "CR3", "HC2", "HC3")
"""Covariances that adjust residuals by the hat matrix, which has a block for each group."""


@partial(jax.jit, static_argnums=0)
def interacted_covariance(
    spec: Spec, design: Design, weights: Float[Array, "group unit period"]
) -> tuple[Float[Array, "group group"], Float[Array, ""]]:
    """Return the covariance of the treatment's coefficients in the regression with all interactions, and its dof.

    Parameters
    ----------
    spec
        The specification, its covariance none of `LEVERAGE`.
    design
        Arrays of all rows.
    weights
        ``[group unit period]``.
    """
    fit = fit_interacted(design.outcome, design.regressors, weights, spec.effects)
    groups, units, periods, k = fit.influence.shape
    influence = fit.influence.transpose(1, 2, 0, 3).reshape(units, periods, groups * k)
    total = weights.sum(0)
    levels = {"unit": fit.n_units.sum(), "period": fit.n_periods.sum()}
    nested = sum((levels[effect] for effect in design.nested), start=jnp.zeros(()))
    counts = Counts(
        rows=(total > 0).sum().astype(float),
        clusters=jnp.stack([way.occupied(total) for way in design.ways]).min(),
        regressors=fit.kept.sum().astype(float),
        dummies=fit.rank,
        nested=nested - jnp.asarray(max(len(design.nested) - 1.0, 0.0)),
    )
    together = replace(design, weights=total)
    blank = jnp.zeros((groups * k, groups * k))
    found = uncertainty(spec, together, Fit(influence, fit.residuals, influence, blank, absorption(total, ())), counts)
    place = jnp.arange(groups) * k
    return found.cov[place[:, None], place[None, :]], found.dof


@partial(jax.jit, static_argnums=(0, 1))
def permute_groups(
    model: FixedEffects, count: int, common: tuple[Design, Any, Any, Any], numbers: Int[Array, " draw"]
) -> tuple[Float[Array, "draw group"], Float[Array, "draw group"]]:
    """Fit every group under permuted labels: a subsample is a vector of unit weights.

    Parameters
    ----------
    model
        Clustered by unit.
    count
        Number of groups.
    common
        Design of all rows; the units in the sample ``[sampled]``; their groups; the random key.
    numbers
        Numbers of the draws.

    Returns
    -------
    tuple
        Coefficient of the treatment in each group, and its standard error.
    """
    design, sampled, _, _ = common
    labels = _labels(common, numbers)
    member = (labels[:, None, :] == jnp.arange(count)[None, :, None]).astype(float)
    drawn = jnp.zeros((*member.shape[:2], design.weights.shape[0])).at[:, :, sampled].set(member)
    fitted = model.fit_weights(design, drawn.reshape(-1, drawn.shape[2]))
    shape = (labels.shape[0], count)
    return fitted.coef[:, 0].reshape(shape), fitted.std_error[:, 0].reshape(shape)


@partial(jax.jit, static_argnums=(0, 1))
def permute_interactions(
    model: FixedEffects, count: int, common: tuple[Design, Any, Any, Any], numbers: Int[Array, " draw"]
) -> tuple[Float[Array, "draw group"], Float[Array, "draw group"]]:
    """Fit the treatment interacted with permuted labels, controls and effects in common, and no standard errors.

    See `permute_groups`; the design's first regressor is the treatment, the others are controls.
    """
    design, sampled, _, _ = common
    labels = jnp.full((numbers.shape[0], design.weights.shape[0]), -1).at[:, sampled].set(_labels(common, numbers))
    absorbed = absorption(design.weights, model.spec.effects)
    rest = partial_out(design.outcome, design.regressors[:, :, 1:], absorbed)
    weighted = rest.controls * design.weights[:, :, None]

    def fit(drawn: Int[Array, " unit"]) -> Float[Array, " group"]:
        hit = (drawn[:, None] == jnp.arange(count)[None, :]).astype(float)
        columns = design.regressors[:, :, :1] * hit[:, None, :]
        size = centred_squares(columns, design.weights)
        net = partial_out(design.outcome, columns, absorbed).controls
        slopes = rest.outcome_fit.inverse @ jnp.einsum("itk,itg->kg", weighted, net)
        net = net - rest.controls @ slopes
        found = least_squares(rest.outcome_fit.residuals, net, design.weights, size)
        return jnp.where(found.kept, found.coef, jnp.nan)

    coef = jax.vmap(fit)(labels)
    return coef, jnp.full_like(coef, jnp.nan)


def _labels(common: tuple[Design, Any, Any, Any], numbers: Int[Array, " draw"]) -> Int[Array, "draw sampled"]:
    """Permute the groups of the units in the sample."""
    _, sampled, groups, key = common
    together = jnp.zeros(sampled.shape[0], dtype=jnp.int32)
    drawn = jax.vmap(lambda each: groups[permutation_within(each, together)])(draw_keys(key, numbers))
    return jnp.asarray(drawn)


def by_unit(spec: Spec, design: Design) -> tuple[FixedEffects, Design]:
    """Return model and design clustered by unit: a closed form, for draws whose standard errors nobody reports."""
    units, periods = design.weights.shape
    codes = jnp.broadcast_to(jnp.arange(units)[:, None], (units, periods))
    return (
        FixedEffects(Spec(spec.outcome, spec.treatment, spec.controls, effects=spec.effects)),
        replace(
            design,
            cluster=codes,
            n_clusters=units,
            ways=(Clusters(codes, units, periods, ("unit",)),),
            nested=("unit",) if "unit" in spec.effects else (),
            distances=None,
        ),
    )


def independent_covariance(fits: tuple[Estimate, ...]) -> tuple[Float[np.ndarray, "group group"], np.ndarray]:
    """Return the covariance of the treatment's coefficients of independent fits, and the degrees of freedom of each."""
    variances = np.asarray([float(fit.cov[0, 0]) for fit in fits])
    return np.diag(variances), np.asarray([float(fit.term_dof[0]) for fit in fits])


def joined_design(whole: Design, weights: Float[Array, "group unit period"]) -> Design:
    """Return the design of the rows that groups keep: a row may be alone in its group, and not in the whole sample."""
    total = weights.sum(0)
    rows = np.asarray(total)
    product = np.outer(rows.sum(1), rows.sum(0)) / rows.sum()
    return replace(whole, weights=total, balanced=np.allclose(rows, product, rtol=1e-13, atol=0.0))
