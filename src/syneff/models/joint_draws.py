"""Draws that are the same for all members of a family: who is treated, which clusters count how often, which signs they have.

======================  =========================================================  ======================================
scheme                  what a draw changes in every member alike                  who
======================  =========================================================  ======================================
``placebo``             who is treated, and when                                   randomisation inference
``pairs_bootstrap``     how often each cluster is in the sample                    Stata's ``rwolf``
``bayesian_bootstrap``  how much each cluster counts
``wild_cluster``        the signs of the clusters' residuals, under the null       Stata's ``rwolf2``, ``wyoung``, fixest
======================  =========================================================  ======================================
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError
from syneff.models.base import Design, Estimate, Status
from syneff.models.design import treatment_path
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling.assignment import Assignment, adoption_paths, assign, assignment, sample_cohorts
from syneff.models.resampling.bootstrap import draw_copies, draw_weights
from syneff.models.resampling.draws import resampled_clusters
from syneff.models.resampling.placebo import check_assignment, strata_codes
from syneff.models.resampling.wild import draw_weights as draw_signs
from syneff.models.stacking import Member, stack
from syneff.numerics.wild import WildForms, wild_forms, wild_statistics
from syneff.panel.panel import Panel
from syneff.runtime import draw_keys
from syneff.typing import Array, Int

BOOTSTRAPS = ("pairs_bootstrap", "bayesian_bootstrap")
SCHEMES = ("placebo", *BOOTSTRAPS, "wild_cluster")


@dataclass(frozen=True)
class JointDraws:
    """How the draws are made.

    Attributes
    ----------
    step
        ``((source, key), numbers) -> Estimate``, compiled, with leading axis ``draw`` and a term a member.
    source
        What is drawn from.
    notes
        What the user should know of it.
    """

    step: Callable[..., Estimate]
    source: Any
    notes: tuple[str, ...]


def joint_draws(
    scheme: str, members: Sequence[Member], panel: Panel, estimate: Estimate, *, assign: str, strata: str | None
) -> JointDraws:
    """Prepare the draws of a scheme.

    Parameters
    ----------
    scheme
        One of `SCHEMES`.
    members, panel
        What is estimated, on which data.
    estimate
        The treatments of all members.
    assign, strata
        How the placebo assigns treatment; without effect on others.

    Raises
    ------
    DataError
        If no other assignment can be drawn.
    SpecError
        If the members cannot be resampled together.
    """
    model, designs = stack(members)
    if scheme == "placebo":
        source, said = _assignment(members, panel, assign, strata)
        return JointDraws(partial(_placebo, model, assign), (designs, source), said)
    union = replace(members[0].design, weights=jnp.asarray(_union(members)))
    clusters = resampled_clusters("Family", panel, union, members[0].model.spec)
    codes, count = jnp.asarray(clusters.codes), len(clusters.names)
    if scheme == "wild_cluster":
        return JointDraws(partial(_wild, count), _wild_source(model, designs, estimate, codes, count), clusters.notes)
    step = _pairs if scheme == "pairs_bootstrap" else _bayesian
    return JointDraws(partial(step, model, count), (designs, codes), clusters.notes)


def diagonal(variances: Array) -> Array:
    """Return matrices of variances; covariances between fits are not estimated."""
    same = jnp.eye(variances.shape[-1], dtype=bool)
    return jnp.where(same, variances[..., None, :], jnp.nan)


def _assignment(
    members: Sequence[Member], panel: Panel, rule: str, strata: str | None
) -> tuple[Assignment, tuple[str, ...]]:
    spec, weights = members[0].model.spec, _union(members)
    path = treatment_path(panel, spec)
    for member in members:
        inside = member.design.weights > 0
        if (
            member.model.spec.treatment != spec.treatment
            or (inside & (member.design.regressors[:, :, 0] != path)).any()
        ):
            raise SpecError(
                f"Family: the treatment of {member.name!r} is not that of {members[0].name!r}, so one assignment cannot "
                "serve both. Use scheme=pairs_bootstrap, or one family a treatment."
            )
    codes, said = strata_codes(panel, strata, np.any(weights > 0, axis=1))
    source = assignment(sample_cohorts(path, jnp.asarray(weights)), weights, codes, rule)
    check_assignment(panel, source, rule)
    return source, said


def _union(members: Sequence[Member]) -> np.ndarray:
    """Return 1 where a row is in any sample ``[unit period]``."""
    return np.asarray(np.any([member.design.weights > 0 for member in members], axis=0), dtype=float)


Wild = tuple[WildForms, dict[str, Array]]
"""The forms of all members, and what each has once: the factor of its variance, rows, units, periods, degrees of freedom."""


def _wild_source(model: FixedEffects, designs: Design, estimate: Estimate, codes: Array, count: int) -> Wild:
    spec = model.spec
    if spec.covariance not in ("CR0", "CR1"):
        raise SpecError(
            f"Family: scheme=wild_cluster compares t statistics of clustered errors, but spec.covariance={spec.covariance}. "
            "Use CR1, or another scheme."
        )

    def forms_of(design: Design) -> WildForms:
        found: WildForms = wild_forms(
            design.outcome,
            design.regressors,
            design.weights,
            codes,
            n_clusters=count,
            effects=spec.effects,
            impose_null=True,
            variant="11",
        )
        return found

    forms = jax.jit(jax.vmap(forms_of))(designs)
    factor = jnp.diagonal(estimate.cov) / (forms.actual**2).sum(1)
    sizes = {name: getattr(estimate, name) for name in ("nobs", "n_units", "n_periods", "dof")}
    return forms, {"factor": factor, **sizes}


@partial(jax.jit, static_argnums=(0, 1))
def _placebo(
    model: FixedEffects, rule: str, common: tuple[tuple[Design, Assignment], Any], numbers: Int[Array, " draw"]
) -> Estimate:
    (designs, source), key = common
    drawn = jax.vmap(lambda each: assign(each, source, rule))(draw_keys(key, numbers))
    paths = adoption_paths(designs.weights.shape[2])
    return _by_draw(jax.vmap(lambda design: model.fit_paths(design, paths, drawn))(designs))


@partial(jax.jit, static_argnums=(0, 1))
def _pairs(
    model: FixedEffects, count: int, common: tuple[tuple[Design, Array], Any], numbers: Int[Array, " draw"]
) -> Estimate:
    (designs, codes), key = common
    copies = jax.vmap(partial(draw_copies, count=count))(draw_keys(key, numbers))[:, codes]
    return _by_draw(jax.vmap(lambda design: model.fit_copies(design, copies))(designs))


@partial(jax.jit, static_argnums=(0, 1))
def _bayesian(
    model: FixedEffects, count: int, common: tuple[tuple[Design, Array], Any], numbers: Int[Array, " draw"]
) -> Estimate:
    (designs, codes), key = common
    weights = jax.vmap(partial(draw_weights, count=count))(draw_keys(key, numbers))[:, codes]
    return _by_draw(jax.vmap(lambda design: model.fit_weights(design, weights))(designs))


@partial(jax.jit, static_argnums=0)
def _wild(count: int, common: tuple[Wild, Any], numbers: Int[Array, " draw"]) -> Estimate:
    (forms, of_fit), key = common
    signs = jax.vmap(lambda each: draw_signs(each, count, "rademacher"))(draw_keys(key, numbers))
    parts = jax.vmap(lambda each: wild_statistics(each, signs))(forms)
    draws, members = numbers.shape[0], parts.shape[0]
    nobs, n_units, n_periods, dof, factor = (
        jnp.broadcast_to(of_fit[name], (draws, members)) for name in ("nobs", "n_units", "n_periods", "dof", "factor")
    )
    return Estimate(
        coef=parts[:, :, 0].T,
        cov=diagonal(factor * parts[:, :, 2].T),
        nobs=nobs,
        n_units=n_units,
        n_periods=n_periods,
        dof=dof,
        stats={},
        status=jnp.full(draws, int(Status.OK)),
        names=(),
    )


def _by_draw(fitted: Estimate) -> Estimate:
    """Return the treatments of all members as terms of each draw, from fits ``[member draw]``."""
    sizes = {name: getattr(fitted, name).T for name in ("nobs", "n_units", "n_periods")}
    return Estimate(
        coef=fitted.coef[:, :, 0].T,
        dof=fitted.term_dof[:, :, 0].T,
        cov=diagonal(fitted.cov[:, :, 0, 0].T),
        stats={},
        status=fitted.status.max(0),
        names=(),
        **sizes,
    )
