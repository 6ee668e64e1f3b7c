r"""Callaway and Sant'Anna's estimator: group-time effects, their averages, and uniform bands.

The effect of every cohort in every period is a comparison of two periods with units that are untreated in both (see
`syneff.models.staggered.group_time`), so no cohort that is treated earlier serves as a comparison, which is what biases
two-way fixed effects where effects differ or grow. Covariates are those of the base period, and effects are averaged with the
uncertainty of the cohorts' shares (`syneff.models.staggered.aggregation`).

Everything is linear in influence functions: standard errors sum them within clusters, without any small-sample factor and with
normal quantiles, as ``did`` does; the multiplier bootstrap reweights them.

======================  =========================================================================================
term                    what
======================  =========================================================================================
the treatment           the first average that is asked for
``simple``              over all treated cells, by the cohorts' shares
``dynamic``             over event times from 0 on; ``event[-3]`` ... ``event[6]`` are its members
``group``               over cohorts by their shares; ``group[2012]``: a cohort, over its treated periods
``calendar``            over periods; ``calendar[2015]``: a period, over the cohorts treated in it
``att[2012,2015]``      the cohort of 2012 in 2015, where ``att`` is asked for
======================  =========================================================================================

``details`` holds all group-time effects (``group_time``), and the bands of all averages (``bands``).

References
----------
Callaway, B. and Sant'Anna, P. H. C. (2021). Journal of Econometrics 225, 200-230.
https://doi.org/10.1016/j.jeconom.2020.12.001
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError, one_of
from syneff.models.base import FITS_AT_A_TIME, Design, Estimate, Estimator, Spec, Status
from syneff.models.resampling.draws import crossing_units
from syneff.models.staggered.bands import CellTable, bands_of, cell_frame, cell_table
from syneff.models.staggered.cohorts import check_never, check_several, cohorts_of, staggered_design, with_path
from syneff.models.staggered.group_time import (
    BASE_PERIODS,
    CONTROL_GROUPS,
    GAPS,
    GroupTime,
    Rule,
    group_time_effects,
    plan_of,
)
from syneff.models.staggered.pre_trend import pre_trend
from syneff.models.staggered.remarks import check_cells, check_weights, remarks
from syneff.models.staggered.terms import ASKED, GroupTimeDesign, Terms, cell_effects, with_cells
from syneff.numerics.batching import map_in_chunks
from syneff.numerics.doubly_robust import METHODS, CellStatus
from syneff.panel.panel import Panel
from syneff.runtime import key_for, require_float64
from syneff.typing import Array, Float, UnitPeriod


@dataclass(frozen=True)
class CallawaySantAnna(Estimator):
    """Estimate group-time effects and average them.

    Attributes
    ----------
    spec
        The specification. Its controls are covariates, taken at the base period; both effects are inherent. Clusters hold whole
        units; None means units.
    control_group
        Compare with units that are "never" treated, or "not_yet" treated (the never treated among them).
    method
        "regression" of the outcome, "ipw" (inverse probability weighting) or "dr" (doubly robust); see
        `syneff.numerics.doubly_robust`. Without controls all are the same.
    base_period
        What periods before adoption are compared with: "varying" the period before, "universal" the base of the others.
    anticipation
        Periods before adoption in which the treatment may already work: bases, not-yet treated units and the pre-test are
        chosen before them.
    aggregate
        Which averages are terms, in order: any of "simple", "dynamic", "group", "calendar", and "att" for all cells.
    gaps
        What becomes of a unit that lacks a period which others have: "drop" leaves it out, as did does unless told otherwise;
        "pairs" leaves it out of the comparisons whose periods it lacks.
    draws
        Draws of the multiplier bootstrap; 0 for none, and so no uniform bands.
    """

    spec: Spec
    control_group: str = "never"
    method: str = "regression"
    base_period: str = "varying"
    anticipation: int = 0
    aggregate: str | tuple[str, ...] = ("simple", "dynamic", "group", "calendar")
    gaps: str = "drop"
    draws: int = 999

    def __post_init__(self) -> None:
        asked = (self.aggregate,) if isinstance(self.aggregate, str) else tuple(dict.fromkeys(self.aggregate))
        object.__setattr__(self, "aggregate", asked)
        one_of("estimator.control_group", self.control_group, CONTROL_GROUPS)
        one_of("estimator.method", self.method, METHODS)
        one_of("estimator.base_period", self.base_period, BASE_PERIODS)
        one_of("estimator.gaps", self.gaps, GAPS)
        for each in asked:
            one_of("estimator.aggregate", each, ASKED)
        if self.anticipation < 0 or self.draws < 0:
            raise SpecError(
                f"CallawaySantAnna: anticipation={self.anticipation} and draws={self.draws} must be 0 or more."
            )
        self._check_spec()

    def _check_spec(self) -> None:
        spec = self.spec
        if set(spec.effects) != {"unit", "period"}:
            raise SpecError(
                f"CallawaySantAnna compares changes of units, so spec.effects={list(spec.effects)} must be [unit, period]."
            )
        if spec.covariance not in ("CR0", "CR1", "iid") or spec.rule not in ("reghdfe", "none"):
            raise SpecError(
                f"CallawaySantAnna: standard errors are those of influence functions, clustered and without a small-sample "
                f"factor; spec.covariance={spec.covariance} with small_sample={spec.small_sample} is not defined. "
                "Leave both out."
            )
        if len(spec.cluster_names) > 1:
            raise SpecError(f"CallawaySantAnna takes one cluster name, not {list(spec.cluster_names)}. Name one.")

    @property
    def rule(self) -> Rule:
        """Who is compared with whom, and when."""
        return Rule(self.control_group, self.base_period, self.anticipation, self.gaps)

    def design(self, panel: Panel) -> GroupTimeDesign:
        """Turn names into arrays.

        Raises
        ------
        DataError
            If the treatment is no 0/1 path that stays on, or there is nothing to compare.
        SpecError
            If a cluster cuts through units, or weights of a unit differ.
        """
        cohorts = cohorts_of(panel, self.spec)
        if self.control_group == "never":
            check_never(cohorts, "CallawaySantAnna", "Use control_group=not_yet.")
        check_several(cohorts, "CallawaySantAnna")
        design = staggered_design(panel, self.spec, cohorts)
        crossing = crossing_units(design)
        if crossing:
            raise SpecError(
                f"CallawaySantAnna: spec.cluster={self.spec.cluster} is not constant within unit: "
                f"{panel.names[crossing[0]]} lies in several. Set spec.cluster to unit or to a trait of the units."
            )
        check_weights(panel, np.asarray(design.weights))
        sizes = plan_of(design, self.rule)[1:]
        cells = [(int(group), int(period)) for group, period in np.argwhere(np.all(np.asarray(sizes) > 0, axis=0))]
        check_cells(panel, cells, self.control_group)
        return with_cells(design, cells)

    def with_treatment(self, design: Design, treatment: UnitPeriod) -> Design:
        """Return the design with another treatment path ``[unit period]``, which decides on the cohorts."""
        return with_path(cast(GroupTimeDesign, design), treatment)

    def fit(self, design: Design) -> Estimate:
        """Estimate the averages."""
        return self._averages(cast(GroupTimeDesign, design), jnp.ones(design.n_clusters))[0]

    def fit_copies(self, design: Design, copies: Float[Array, "draw unit"]) -> Estimate:
        """Estimate on as many copies of each unit ``[draw unit]``, each copy of a cluster a cluster of its own."""
        sampled = (design.weights > 0).any(1)

        def fit(each: Float[Array, " unit"]) -> Estimate:
            counts = jax.ops.segment_max(jnp.where(sampled, each, 0.0), design.cluster[:, 0], design.n_clusters)
            drawn = replace(design, weights=design.weights * each[:, None])
            return self._averages(cast(GroupTimeDesign, drawn), jnp.maximum(counts, 0.0))[0]

        return cast(Estimate, map_in_chunks(jax.vmap(fit), copies, FITS_AT_A_TIME))

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate on a panel.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key of the multiplier bootstrap.

        Returns
        -------
        Estimate
            With the averages as terms; the test ``pre_trend`` that all group-time effects before adoption are zero and, with
            "dynamic", ``pre_trend_dynamic`` that their averages by event time are; in `stats` the critical values of the
            uniform bands, ``critical_value:<family>``.
        """
        require_float64()
        design = replace(self.design(panel), balanced=False)
        computed: tuple[Estimate, Array, CellTable] = _compute(self, design)
        estimate, sums, found = computed
        terms = self.terms(design)
        bands = bands_of(terms, estimate, sums, key_for(seed, name), self.draws)
        cells = cell_frame(terms, found, sums, bands)
        estimate = replace(
            estimate,
            stats={**estimate.stats, **bands.stats},
            details={"group_time": cells, "bands": bands.frame},
        )
        return replace(estimate, notes=remarks(panel, self.spec, self.rule, design, estimate))

    def terms(self, design: GroupTimeDesign) -> Terms:
        """Return the terms of a design."""
        return Terms(self.spec.treatment, tuple(self.aggregate), design)

    def _averages(self, design: GroupTimeDesign, copies: Float[Array, " cluster"]) -> tuple[Estimate, Array, GroupTime]:
        """Return the estimate, the influence functions of its terms summed within clusters, and the group-time effects."""
        found = group_time_effects(design, self.rule, self.method)
        terms = self.terms(design)
        averages = terms.averages(found)
        used = found.plan.weights > 0
        rows = found.plan.seen & used[:, None]
        occupied = copies * (cluster_sums(used[:, None].astype(float), design)[:, 0] > 0).astype(float)
        sums = cluster_sums(averages.influence, design)
        # Copies of a cluster share its sum, each with its part.
        parts = sums / jnp.sqrt(jnp.maximum(copies, 1.0))[:, None]
        known = jnp.isfinite(averages.effect) & (occupied.sum() > 1)
        failed = (found.status > int(CellStatus.NOTHING_TO_COMPARE)).sum().astype(float)
        estimate = Estimate(
            coef=averages.effect,
            cov=jnp.where(known[:, None] & known[None, :], parts.T @ parts, jnp.nan),
            nobs=rows.sum().astype(float),
            n_units=used.sum().astype(float),
            n_periods=rows.any(0).sum().astype(float),
            dof=jnp.asarray(jnp.inf),
            stats={"n_clusters": occupied.sum(), "cells_failed": failed, "support_units": averages.units},
            status=jnp.where(failed > 0, int(Status.INCOMPLETE), int(Status.OK)),
            names=terms.names,
            outcome=self.spec.outcome,
        )
        return estimate, sums, found


def cluster_sums(influence: Float[Array, "unit effect"], design: Design) -> Float[Array, "cluster effect"]:
    """Sum influence functions within clusters."""
    return jnp.asarray(jax.ops.segment_sum(influence, design.cluster[:, 0], design.n_clusters))


@partial(jax.jit, static_argnums=0)
def _compute(estimator: CallawaySantAnna, design: GroupTimeDesign) -> tuple[Estimate, Array, CellTable]:
    """Return the estimate with its pre-test, the influence functions of terms and cells by cluster, and the cells."""
    estimate, sums, found = estimator._averages(design, jnp.ones(design.n_clusters))
    of_cells = cell_effects(found, design.cells)
    by_cluster = cluster_sums(of_cells.influence, design)
    lead = -estimator.anticipation
    cells = tuple(period - group < lead for group, period in design.cells)
    tests = [pre_trend("pre_trend", of_cells.effect, by_cluster, np.flatnonzero(cells))]
    events = [estimate.names.index(f"event[{each}]") for each in estimator.terms(design).leads(lead)]
    tests.append(pre_trend("pre_trend_dynamic", estimate.coef, sums, np.asarray(events, dtype=int)))
    estimate = replace(
        estimate, tests=tuple(test for test, there in zip(tests, (any(cells), events), strict=True) if there)
    )
    return estimate, jnp.concatenate([sums, by_cluster], axis=1), cell_table(found, design.cells)
