"""A family of regressions: many outcomes, control sets and samples at once, with p-values adjusted for their number.

All members are fitted in one compiled call, and a draw of the resampling scheme is drawn once for all of them: the placebo
assignment, the bootstrap sample or the signs of the clusters of draw *d* are the same in every member, so the dependence
between their t statistics is kept and the adjustments can use it. The tidy frame has a row a member (term
``<member>:<treatment>``) and one a member and test:

======================  ============================================================================================
test                    p-value
======================  ============================================================================================
``holm``                of the t statistics, adjusted for any dependence
``unadjusted``          of the member alone, |t| among its own draws
``romano_wolf``         adjusted by the largest |t| of each draw, stepping down
``westfall_young``      adjusted by the smallest p-value of each draw, stepping down
======================  ============================================================================================

Draws of the placebo and of the wild cluster bootstrap are drawn under the null and stand as they are, ``b* / s*``; those of
the pairs and Bayesian bootstraps are centred at the estimate, ``(b* - b) / s*``. See `syneff.numerics.multiple_testing` for
the procedures and their sources.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax.numpy as jnp
import numpy as np

from syneff.errors import one_of
from syneff.models.audit import audit_fixed_effects, join_audits
from syneff.models.base import Audit, Estimate, Status, Test
from syneff.models.joint_draws import BOOTSTRAPS, SCHEMES, diagonal, joint_draws
from syneff.models.resampling.assignment import ASSIGN
from syneff.models.resampling.draws import check_draws, draw_chunk, few_draws, run_draws
from syneff.models.stacking import Member, Models, Samples, fit_members, members_of, named
from syneff.numerics.multiple_testing import complete_draws, holm, rank_pvalues, romano_wolf, westfall_young
from syneff.panel.panel import Panel
from syneff.runtime import key_for, require_float64
from syneff.typing import Array


@dataclass(frozen=True)
class Family:
    """Fit several fixed-effects models on several samples, and adjust the p-values of their treatments.

    Attributes
    ----------
    models
        `FixedEffects` by name, or a list, named by outcomes. They may differ in outcome, treatment and controls, not in
        effects, clusters or covariance.
    samples
        Steps by name, each of which chooses or weights rows (`syneff.panel.samples.where`); None is the whole panel. Every
        model is fitted on every sample. Without any, on the whole panel.
    scheme
        "placebo", "pairs_bootstrap", "bayesian_bootstrap", "wild_cluster" (signs by cluster, each member's null imposed), or
        None for Holm's adjustment alone.
    draws
        Number of joint draws.
    assign, strata
        How the placebo assigns treatment, as for `Placebo`; to the units that are in any sample.
    chunk
        Draws at a time; without effect on the results. What suits the device if None.
    """

    models: Models
    samples: Samples = field(default_factory=dict)
    scheme: str | None = "placebo"
    draws: int = 999
    assign: str = "cohorts"
    strata: str | None = None
    chunk: int | None = None

    def __post_init__(self) -> None:
        named(self.models)
        one_of("Family scheme", self.scheme, (*SCHEMES, None))
        one_of("Family assign", self.assign, ASSIGN)
        check_draws("Family", self.draws, self.chunk)

    def fits(self, panel: Panel) -> dict[str, Estimate]:
        """Return the whole estimate of each member by name, all from one compiled call.

        Parameters
        ----------
        panel
            The data.
        """
        require_float64()
        members = members_of(self.models, self.samples, panel)
        return {member.name: fit for member, fit in zip(members, fit_members(members), strict=True)}

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the treatment of every member, and adjust the p-values.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key.

        Returns
        -------
        Estimate
            With one term a member, the adjusted p-values as tests, and the joint draws.

        Raises
        ------
        DataError
            If a member cannot be estimated, or no other assignment can be drawn.
        SpecError
            If the members cannot be stacked or resampled together.
        """
        require_float64()
        members = members_of(self.models, self.samples, panel)
        estimate = _treatments(members, fit_members(members))
        pvalues = estimate.frame()["p_value"].to_numpy()
        estimate = replace(estimate, tests=(_test("holm", estimate, holm(pvalues)),))
        if self.scheme is None:
            return estimate
        draw = joint_draws(self.scheme, members, panel, estimate, assign=self.assign, strata=self.strata)
        chunk = self.chunk or max(1, draw_chunk() // len(members))
        found = run_draws(draw.step, (draw.source, key_for(seed, name)), self.draws, chunk=chunk, of="joint draws")
        # Bootstrap samples have the effect of the estimate; placebo treatments and outcomes made under the null have none.
        centre = estimate.coef if self.scheme in BOOTSTRAPS else jnp.zeros_like(estimate.coef)
        return _adjusted(replace(estimate, notes=(*estimate.notes, *draw.notes, *few_draws(self.draws))), found, centre)

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Audit the fit of every member; see `syneff.models.audit`."""
        members = members_of(self.models, self.samples, panel)
        audits = {}
        for member, fit in zip(members, fit_members(members), strict=True):
            audits[member.name] = audit_fixed_effects(member.panel, member.model.spec, fit)
        return join_audits(audits)


def _treatments(members: Sequence[Member], fits: Sequence[Estimate]) -> Estimate:
    """Put the treatments of all members side by side."""

    def side_by_side(values: Sequence[Array]) -> Array:
        return jnp.stack([jnp.asarray(value) for value in values])

    statuses = [int(fit.status) for fit in fits]
    return Estimate(
        coef=side_by_side([fit.coef[0] for fit in fits]),
        cov=diagonal(side_by_side([fit.cov[0, 0] for fit in fits])),
        nobs=side_by_side([fit.nobs for fit in fits]),
        n_units=side_by_side([fit.n_units for fit in fits]),
        n_periods=side_by_side([fit.n_periods for fit in fits]),
        dof=side_by_side([fit.term_dof[0] for fit in fits]),
        stats={name: side_by_side([fit.stats[name] for fit in fits]) for name in fits[0].stats},
        status=jnp.asarray(max(statuses, default=int(Status.OK))),
        names=tuple(member.term for member in members),
        outcome=tuple(member.model.spec.outcome for member in members),
        notes=tuple(f"{member.name}: {note}" for member, fit in zip(members, fits, strict=True) for note in fit.notes),
    )


def _adjusted(estimate: Estimate, drawn: Estimate, centre: Array) -> Estimate:
    """Add the joint draws and what they say."""
    statistics = np.asarray(estimate.coef / estimate.std_error)
    draws = np.asarray((drawn.coef - centre[None, :]) / drawn.std_error)
    unadjusted, ranked = rank_pvalues(statistics, draws)
    total, used = draws.shape[0], complete_draws(statistics, draws)
    pvalues = {
        "unadjusted": unadjusted,
        "romano_wolf": romano_wolf(statistics, draws),
        "westfall_young": westfall_young(unadjusted, ranked),
    }
    tests = tuple(_test(name, estimate, each, used) for name, each in pvalues.items())
    lost = f"{total - used} of {total:,} draws left out: a member could not be estimated in them"
    counts = {"joint_draws": used, "draws_failed": total - used}
    return replace(
        estimate,
        draws=replace(drawn, names=estimate.names, outcome=estimate.outcome),
        tests=(*estimate.tests, *tests),
        stats={**estimate.stats, **{name: jnp.asarray(float(count)) for name, count in counts.items()}},
        notes=(*estimate.notes, *((lost,) if used < total else ())),
    )


def _test(name: str, estimate: Estimate, pvalues: np.ndarray, draws: int = 0) -> Test:
    nothing = jnp.full(len(estimate.names), jnp.nan)
    adjusted = jnp.asarray(pvalues)
    error = jnp.sqrt(adjusted * (1.0 - adjusted) / draws) if draws else nothing
    return Test(estimate.coef / estimate.std_error, nothing, nothing, adjusted, name, error=error)
