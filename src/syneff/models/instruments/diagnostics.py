r"""First stages, reduced form, and the arrays that the tests of instruments are made of.

Everything comes from regressions with the same right-hand side, exogenous regressors and instruments, fitted as one batch: the
endogenous variables (first stages), the outcome (reduced form), with one endogenous variable the outcome less a multiple of it
(what the Anderson-Rubin set needs of their covariance), with several what each has beyond the others (Sanderson and
Windmeijer).
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.models.base import Design, Estimate, Spec, Test
from syneff.models.closed_forms import counts_of
from syneff.models.covariances import Fit, uncertainty
from syneff.models.event_study import wald_test
from syneff.models.fixed_effects import FixedEffects
from syneff.numerics.covariance import Counts
from syneff.numerics.least_squares import Absorption, absorption
from syneff.numerics.moment_conditions import distance, least_correlated, moments_fit, quadratic_form
from syneff.numerics.two_stage import (
    Instrumented,
    cross_moments,
    k_class,
    partial_out,
)
from syneff.typing import Array, Bool, Float, UnitPeriod, UnitPeriodK


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "stages",
        "multiple",
        "moments",
        "kept",
        "rank_lm",
        "rank_f",
        "cragg_donald",
        "overidentification",
        "without_suspects",
        "exogeneity",
        "ols",
        "partial_r2",
    ],
    meta_fields=[],
)
@dataclass(frozen=True)
class Diagnostics:
    """What the tests of instruments are made of.

    Attributes
    ----------
    stages
        Regressions on exogenous regressors and instruments, with a leading axis: endogenous variables, outcome, and then what
        the module says.
    multiple
        By what the endogenous variable was multiplied before it was taken from the outcome.
    moments, kept
        ``[l l]``, ``[l]``: moments of the instruments net of all else, and which of them are not collinear.
    rank_lm, rank_f, cragg_donald
        Kleibergen and Paap's LM and F statistics, and Cragg and Donald's F.
    overidentification, without_suspects
        Hansen's J of all instruments, and of those that are not suspect under the same weight.
    exogeneity
        The test that residuals of the first stages have no place in the second.
    ols, partial_r2
        ``[p]``: least squares, and the share of each endogenous variable that the instruments explain.
    """

    stages: Estimate
    multiple: Float[Array, ""]
    moments: Float[Array, "l l"]
    kept: Bool[Array, " l"]
    rank_lm: Float[Array, ""]
    rank_f: Float[Array, ""]
    cragg_donald: Float[Array, ""]
    overidentification: Float[Array, ""]
    without_suspects: Float[Array, ""]
    exogeneity: Test
    ols: Float[Array, " p"]
    partial_r2: Float[Array, " p"]


@partial(jax.jit, static_argnums=(0, 2, 3))
def diagnose(spec: Spec, design: Design, count: int, suspect: tuple[int, ...] = ()) -> Diagnostics:
    """Run first stages and reduced form.

    Parameters
    ----------
    spec, design
        The specification and its arrays, the endogenous variables first.
    count
        Number of endogenous variables.
    suspect
        Positions of the instruments that the difference-in-Sargan test questions.
    """
    absorbed = absorption(design.weights, spec.effects)
    parts = instrumented(design, count, absorbed)
    outcomes, multiple = _stage_outcomes(design, parts, count)
    stage_design, stage_spec = first_stage(spec, design, count)

    def stage(outcome: UnitPeriod) -> Estimate:
        return replace(FixedEffects(stage_spec).fit(replace(stage_design, outcome=outcome)), stats={})

    stages = jax.vmap(stage, in_axes=2)(outcomes)
    lm, f, cragg_donald = _rank_tests(spec, design, parts, absorbed)
    fit = k_class(parts, 1.0)
    covariance = moment_covariance(spec, design, parts.instruments, fit.residuals, absorbed=absorbed)
    trusted = jnp.ones_like(parts.kept).at[jnp.asarray(suspect, dtype=int)].set(False)
    j, without = (_hansen(part, covariance) for part in (parts, _without(parts, trusted)))
    explained = jnp.einsum("it,itp->p", design.weights, parts.fitted**2)
    return Diagnostics(
        stages=stages,
        multiple=multiple,
        moments=parts.moments,
        kept=parts.kept,
        rank_lm=lm,
        rank_f=f,
        cragg_donald=cragg_donald,
        overidentification=j,
        without_suspects=without,
        exogeneity=_exogeneity(spec, design, parts, count),
        ols=k_class(parts, 0.0).coef,
        partial_r2=explained / jnp.einsum("it,itp->p", design.weights, parts.endogenous**2),
    )


def instrumented(design: Design, count: int, absorbed: Absorption) -> Instrumented:
    """Partial effects and exogenous regressors out of a design whose first `count` regressors are endogenous."""
    return partial_out(
        design.outcome,
        design.regressors[:, :, :count],
        design.regressors[:, :, count:],
        design.instruments,
        absorbed=absorbed,
    )


def first_stage(spec: Spec, design: Design, count: int) -> tuple[Design, Spec]:
    """Return the design and the specification of regressions on exogenous regressors and instruments, in this order."""
    names = (*design.names[count:], *spec.instruments)
    regressors = jnp.concatenate([design.regressors[:, :, count:], design.instruments], axis=2)
    empty = design.instruments[:, :, :0]
    stage = replace(spec, treatment=names[0], controls=names[1:], instruments=())
    return replace(design, regressors=regressors, instruments=empty, names=names), stage


def moment_covariance(
    spec: Spec,
    design: Design,
    moments: UnitPeriodK,
    residuals: UnitPeriod,
    *,
    absorbed: Absorption,
    counts: Counts | None = None,
) -> Float[Array, "k k"]:
    """Return the covariance of ``sum w z u``, robust as the specification is.

    Parameters
    ----------
    spec, design
        The specification and its arrays.
    moments, residuals
        ``[unit period k]``, ``[unit period]``.
    absorbed
        The effects.
    counts
        What the small-sample rule counts; None for no factor.
    """
    if counts is None:
        rows, nothing = (design.weights > 0).sum().astype(float), jnp.zeros(())
        counts = Counts(rows, counts_of(design, absorbed, nothing).clusters, nothing, nothing, nothing)
        if spec.clustered:
            spec = replace(spec, covariance="CR0", small_sample=None, multiway=None)
    inverse = jnp.eye(moments.shape[2])
    fit = Fit(moments * design.weights[:, :, None], residuals, moments, inverse, absorbed)
    return uncertainty(spec, design, fit, counts).cov


def _stage_outcomes(
    design: Design, parts: Instrumented, count: int
) -> tuple[Float[Array, "unit period stage"], Float[Array, ""]]:
    """Return the outcomes of the batch, and the multiple that is in its last one if there is one endogenous variable."""
    endogenous = design.regressors[:, :, :count]
    both = jnp.concatenate([endogenous, design.outcome[:, :, None]], axis=2)
    if count == 1:
        sizes = jnp.einsum("it,itk->k", design.weights, jnp.stack([parts.outcome, parts.endogenous[:, :, 0]], -1) ** 2)
        multiple = jnp.sqrt(sizes[0] / jnp.where(sizes[1] > 0, sizes[1], 1.0))
        multiple = jnp.where(multiple > 0, multiple, 1.0)
        extra = (design.outcome - multiple * endogenous[:, :, 0])[:, :, None]
        return jnp.concatenate([both, extra], axis=2), multiple
    columns = []
    for own in range(count):
        rest = jnp.asarray([other for other in range(count) if other != own])
        alone = replace(
            parts,
            outcome=parts.endogenous[:, :, own],
            endogenous=parts.endogenous[:, :, rest],
            fitted=parts.fitted[:, :, rest],
            size=parts.size[rest],
        )
        columns.append(k_class(alone, 1.0).residuals)
    return jnp.concatenate([both, jnp.stack(columns, axis=-1)], axis=2), jnp.ones(())


def _rank_tests(
    spec: Spec, design: Design, parts: Instrumented, absorbed: Absorption
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Return Kleibergen and Paap's LM and F statistics, and Cragg and Donald's F."""
    instruments, direction = least_correlated(parts)
    combined = parts.endogenous @ direction
    errors = combined - parts.fitted @ direction
    moment = cross_moments(instruments, combined[:, :, None], parts.weights)[:, 0]
    regressors = (parts.exogenous_kept.sum() + parts.kept.sum()).astype(float)
    counts = counts_of(design, absorbed, regressors)
    plain = Spec(spec.outcome, spec.treatment, effects=spec.effects, cluster=None)

    def quadratic(spec: Spec, residuals: UnitPeriod, counts: Counts | None) -> Float[Array, ""]:
        covariance = moment_covariance(spec, design, instruments, residuals, absorbed=absorbed, counts=counts)
        return quadratic_form(moment, covariance)

    size = parts.kept.sum().astype(float)
    lm = quadratic(spec, combined, None)
    return lm, quadratic(spec, errors, counts) / size, quadratic(plain, errors, counts) / size


def _hansen(parts: Instrumented, covariance: Float[Array, "l l"]) -> Float[Array, ""]:
    return distance(parts, moments_fit(parts, covariance), covariance)


def _without(parts: Instrumented, trusted: Bool[Array, " l"]) -> Instrumented:
    """Leave out the instruments that are not trusted."""
    return replace(parts, instruments=jnp.where(trusted, parts.instruments, 0.0), kept=parts.kept & trusted)


def _exogeneity(spec: Spec, design: Design, parts: Instrumented, count: int) -> Test:
    """Test by regression that residuals of the first stages have no coefficients beside the variables themselves."""
    residuals = parts.endogenous - parts.fitted
    regressors = [design.regressors[:, :, :count], residuals, design.regressors[:, :, count:]]
    names = (*design.names[:count], *(f"residual:{name}" for name in design.names[:count]), *design.names[count:])
    augmented = replace(
        design, regressors=jnp.concatenate(regressors, axis=2), instruments=design.instruments[:, :, :0], names=names
    )
    augmented_spec = replace(spec, treatment=names[0], controls=names[1:], instruments=())
    return wald_test("wu_hausman", FixedEffects(augmented_spec).fit(augmented), np.arange(count, 2 * count))
