r"""Imputation estimator of Borusyak, Jaravel and Spiess; its point estimates are those of Gardner's two stages.

.. math::

    y_{it}(0) = \mu_i + \lambda_t + \gamma' x_{it} + e_{it}, \qquad
    \hat\tau_{it} = y_{it} - \hat y_{it}(0), \qquad \hat\tau = \sum_{it} v_{it} \hat\tau_{it}

Effects and slopes are estimated on untreated rows alone, and each treated row is compared with its prediction. Terms are
averages of these differences: over all treated rows (the term of the treatment), by event time, and by cohort. The last event
time of the window holds all later ones.

Leads are not imputed: they are dummies in a regression on untreated rows, relative to all earlier periods and the never
treated, so that the test of trends before adoption (``pre_trend``) is independent of the effects.

Standard errors are the conservative ones of ``did_imputation``: the scores of treated rows are deviations from the mean effect
of cohort and period, without small-sample factor and with normal quantiles; those of the leads are reghdfe's. A treated row
whose unit or period has no untreated row to predict it from is left out, as with ``autosample``; a note tells how many.

References
----------
Borusyak, K., Jaravel, X. and Spiess, J. (2024). Review of Economic Studies 91, 3253-3285. https://doi.org/10.1093/restud/rdae007
Gardner, J. (2022). Two-stage differences in differences. https://doi.org/10.48550/arXiv.2207.05943
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import SpecError
from syneff.models import closed_forms
from syneff.models.base import Design, Estimate, Estimator, Spec, Status
from syneff.models.design import sample_of
from syneff.models.event_study import wald_test
from syneff.models.staggered.cohorts import (
    StaggeredDesign,
    adoption_in_sample,
    check_several,
    cohorts_of,
    staggered_design,
    with_path,
)
from syneff.models.staggered.events import (
    check_two_way,
    check_window,
    cohort_frame,
    cohort_rows,
    empty_events,
    event_terms,
    pooled_events,
)
from syneff.numerics.covariance import Counts, small_sample_factor
from syneff.numerics.imputation import Imputed, conservative_scores, implied_weights, impute, without_singletons
from syneff.numerics.least_squares import LeastSquares, absorb, centred_squares, least_squares
from syneff.numerics.saturated import two_way
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.typing import Array, Bool, Float, Int, UnitPeriod, UnitPeriodK


@dataclass(frozen=True)
class Imputation(Estimator):
    """Compare treated rows with predictions from untreated ones.

    Attributes
    ----------
    spec
        The specification; its treatment is 0 before and 1 from adoption on, its effects are unit and period, and its clusters
        hold whole units.
    window
        First lead, and last event time, which holds all later ones.
    leave_out
        Whether the mean effect that the scores deviate from leaves the own cluster out: less conservative in small cohorts.
    """

    spec: Spec
    window: tuple[int, int] = (-5, 6)
    leave_out: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", tuple(self.window))
        check_window("Imputation", self.window, -1)
        check_two_way("Imputation", self.spec)
        if self.spec.covariance not in ("CR0", "CR1") or len(self.spec.cluster_names) > 1 or self.spec.small_sample:
            raise SpecError(
                "Imputation has conservative standard errors of its own, clustered by one name, without small-sample rule; not "
                f"spec.covariance={self.spec.covariance}, spec.cluster={self.spec.cluster}, "
                f"spec.small_sample={self.spec.small_sample}. Set spec.cluster alone, e.g. unit."
            )

    @property
    def leads(self) -> tuple[int, ...]:
        """Event times before adoption that have a term."""
        return tuple(range(self.window[0], 0))

    @property
    def lags(self) -> tuple[int, ...]:
        """Event times from adoption on that have a term."""
        return tuple(range(self.window[1] + 1))

    def design(self, panel: Panel) -> StaggeredDesign:
        """Turn names into arrays.

        Raises
        ------
        SpecError
            If a unit lies in several clusters.
        DataError
            If no unit is untreated while others are treated, or whatever `syneff.models.staggered.cohorts.cohorts_of` finds.
        """
        cohorts = cohorts_of(panel, self.spec)
        check_several(cohorts, "Imputation")
        design = staggered_design(panel, self.spec, cohorts)
        if "unit" not in design.ways[0].whole:
            raise SpecError(
                f"Imputation: spec.cluster={self.spec.cluster} is not constant within unit. Use unit or a trait of the units."
            )
        return design

    def with_treatment(self, design: Design, treatment: UnitPeriod) -> StaggeredDesign:
        """Return the design with another treatment path ``[unit period]``."""
        return with_path(cast(StaggeredDesign, design), treatment)

    def fit(self, design: Design) -> Estimate:
        """Estimate the effect on the treated, leads, effects by event time and cohort, and the slopes of untreated rows."""
        staggered = cast(StaggeredDesign, design)
        rows = _rows(design)
        hits = self._hits(rows, staggered.adopted)
        coef, scores, totals = self._averages(rows, design, hits)
        leads, lead_scores = self._leads(rows, design)
        slopes = rows.fit.slopes
        own = jnp.einsum("kl,itl,it->ik", slopes.inverse, rows.fit.net, rows.fit.absorbed.weights * slopes.residuals)
        # Terms: treatment, leads, lags, cohorts, controls.
        kept = jnp.concatenate([totals[:1] > 0, leads.kept, totals[1:] > 0, slopes.kept])
        scores = jnp.concatenate([scores[:, :1], lead_scores, scores[:, 1:], own], axis=1)
        sums = jax.ops.segment_sum(scores, design.cluster[:, 0], design.n_clusters)
        used = jnp.where(rows.treated & ~rows.imputed, 0.0, design.weights)
        counts = closed_forms.counts_of(replace(design, weights=used), rows.fit.absorbed, kept.sum().astype(float))
        few = counts.clusters < 2
        known = kept[:, None] & kept[None, :] & ~few
        inside = used > 0
        before, after = event_terms("", self.leads)[1:], event_terms("", self.lags)[1:]
        groups = tuple(f"group[{staggered.periods[each]}]" for each in staggered.adopted)
        normal = jnp.full(kept.shape, jnp.inf).at[1 : 1 + len(before)].set(counts.clusters - 1.0)
        failed = jnp.where(kept[0] & slopes.kept.all(), int(Status.OK), int(Status.COLLINEAR))
        coefs = jnp.concatenate([coef[:1], leads.coef, coef[1:], slopes.coef])
        estimate = Estimate(
            coef=jnp.where(kept, coefs, jnp.nan),
            cov=jnp.where(known, sums.T @ sums, jnp.nan),
            nobs=inside.sum().astype(float),
            n_units=inside.any(1).sum().astype(float),
            n_periods=inside.any(0).sum().astype(float),
            dof=normal,
            stats={
                "n_clusters": counts.clusters,
                "treated_rows": rows.treated.sum().astype(float),
                "imputed_rows": rows.imputed.sum().astype(float),
                "support_units": self._support(rows, hits, slopes.coef.shape[0]),
            },
            status=jnp.where(few, int(Status.NO_DEGREES_OF_FREEDOM), failed),
            names=(self.spec.treatment, *before, *after, *groups, *design.names[1:]),
            outcome=self.spec.outcome,
        )
        return replace(estimate, tests=(wald_test("pre_trend", estimate, np.arange(1, 1 + len(before))),))

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate on a panel.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect.

        Returns
        -------
        Estimate
            `details` has the effect of each cohort in each year with its weight in the term of the treatment
            (``cohort_effects``), and which cohorts make up each event time (``event_support``).
        """
        estimate = super().estimate(panel, seed=seed, name=name)
        design = replace(self.design(panel), balanced=False)
        effects, used, lost = (jax.tree.map(np.asarray, each) for each in _cells(self, design))
        frame = cohort_frame(design.periods, effects)
        weights = np.where(used, np.asarray(design.weights), 0.0)
        counted = cohort_rows(np.asarray(_rows(design).cohorts), weights, design.periods)
        # The first lead holds no earlier ones: they are what leads are relative to.
        support = pooled_events(pd.DataFrame(counted[counted["event"] >= self.window[0]]), self.window, None)
        named = [f"{panel.names[unit]} {panel.periods[period]}" for unit, period in np.argwhere(lost)]
        said = (f"{len(named)} treated rows left out: no untreated rows to predict them from ({listed(named)})",)
        return replace(
            estimate,
            notes=(*estimate.notes, *(said if named else ())),
            details={**estimate.details, "cohort_effects": frame, "event_support": support},
        )

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say which rows were left out, which event times are empty, and which means cannot leave a cluster out."""
        estimate, empty = empty_events(estimate)
        said = sample_of(panel, self.spec).notes() + super().notes(panel, estimate) + empty
        cohorts = cohorts_of(panel, self.spec)
        alone = [each for each in cohorts.adopted if (cohorts.adoption[cohorts.adopters] == each).sum() == 1]
        if alone and not self.leave_out:
            said += (
                f"the cohorts of {listed(str(panel.periods[each]) for each in alone)} have one unit, whose effects never "
                "differ from their mean: standard errors that rest on them are too small",
            )
        bare = np.isfinite(np.asarray(estimate.coef)) & np.isnan(np.asarray(estimate.std_error))
        if self.leave_out and bare.any() and int(estimate.status) != Status.NO_DEGREES_OF_FREEDOM:
            names = [name for name, lacks in zip(estimate.names, bare, strict=True) if lacks]
            said += (
                f"no standard error of {listed(names)}: a cohort and year of one cluster has no mean without it; "
                "use leave_out=false",
            )
        return said

    def _hits(self, rows: "Rows", adopted: tuple[int, ...]) -> Bool[Array, "term unit period"]:
        """Say which imputed rows each average is of: all, those of each event time, those of each cohort."""
        event = jnp.arange(rows.treated.shape[1])[None, :] - rows.cohorts[:, None]
        lag = jnp.minimum(event, self.window[1])
        by_event = [lag == each for each in self.lags]
        by_cohort = [jnp.broadcast_to((rows.cohorts == each)[:, None], lag.shape) for each in adopted]
        return jnp.stack([jnp.ones_like(rows.imputed), *by_event, *by_cohort]) & rows.imputed[None]

    def _averages(
        self, rows: "Rows", design: Design, hits: Bool[Array, "term unit period"]
    ) -> tuple[Float[Array, " term"], Float[Array, "unit term"], Float[Array, " term"]]:
        """Return averages of effects, the scores of units, and the rows of each, weighted."""
        weights = jnp.where(hits, design.weights[None], 0.0)
        totals = weights.sum((1, 2))
        averages = jnp.moveaxis(weights / jnp.where(totals > 0, totals, 1.0)[:, None, None], 0, 2)
        coef, implied = implied_weights(rows.fit, averages)
        clusters = design.cluster[:, 0]
        scores = conservative_scores(rows.fit, implied, rows.imputed, rows.cohorts, clusters, leave_out=self.leave_out)
        return coef, scores, totals

    def _leads(self, rows: "Rows", design: Design) -> tuple[LeastSquares, Float[Array, "unit lead"]]:
        """Regress untreated rows on dummies of the leads, and return the scores of units with reghdfe's factor."""
        weights = without_singletons(rows.fit.absorbed.weights)
        absorbed = two_way(weights)
        dummies = self._lead_dummies(rows)
        regressors = jnp.concatenate([design.regressors[:, :, 1:], dummies], axis=2)
        columns = absorb(jnp.concatenate([regressors, design.outcome[:, :, None]], axis=2), absorbed)
        net = columns[:, :, :-1]
        fit = least_squares(columns[:, :, -1], net, weights, centred_squares(regressors, weights))
        scores = jnp.einsum("kl,itl,it->ik", fit.inverse, net, weights * fit.residuals)
        inside = replace(design, weights=weights)
        counts: Counts = closed_forms.counts_of(inside, absorbed, fit.kept.sum().astype(float))
        factor = jnp.sqrt(small_sample_factor(self.spec.rule, counts))
        own = design.regressors.shape[2] - 1
        leads = LeastSquares(fit.coef[own:], fit.residuals, fit.inverse[own:, own:], fit.kept[own:])
        return leads, scores[:, own:] * factor

    def _lead_dummies(self, rows: "Rows") -> UnitPeriodK:
        event = jnp.arange(rows.treated.shape[1])[None, :] - rows.cohorts[:, None]
        adopts = (rows.cohorts < rows.treated.shape[1])[:, None] & (rows.fit.absorbed.weights > 0)
        return jnp.stack([(event == each) & adopts for each in self.leads], axis=2).astype(float)

    def _support(self, rows: "Rows", hits: Bool[Array, "average unit period"], controls: int) -> Float[Array, " term"]:
        """Return the treated units seen in each term, NaN for the controls."""
        leads = (self._lead_dummies(rows) > 0).any(1).sum(0).astype(float)
        units = hits.any(2).sum(1).astype(float)
        return jnp.concatenate([units[:1], leads, units[1:], jnp.full(controls, jnp.nan)])


@partial(jax.tree_util.register_dataclass, data_fields=["cohorts", "treated", "imputed", "fit"], meta_fields=[])
@dataclass(frozen=True)
class Rows:
    """Treated and untreated rows.

    Attributes
    ----------
    cohorts
        ``[unit]``: adoption period.
    treated, imputed
        ``[unit period]``: treated rows, and those with a prediction.
    fit
        The imputation.
    """

    cohorts: Int[Array, " unit"]
    treated: Bool[Array, "unit period"]
    imputed: Bool[Array, "unit period"]
    fit: Imputed


@jax.jit
def _rows(design: Design) -> Rows:
    path, weights = design.regressors[:, :, 0], design.weights
    treated = (path > 0) & (weights > 0)
    fit = impute(design.outcome, design.regressors[:, :, 1:], jnp.where(path > 0, 0.0, weights))
    return Rows(adoption_in_sample(path, weights), treated, treated & fit.imputable, fit)


@partial(jax.jit, static_argnums=0)
def _cells(model: Imputation, design: StaggeredDesign) -> tuple[tuple[Array, ...], Array, Array]:
    """Return what `cohort_frame` needs of every cohort and treated period; the rows used; the treated rows left out."""
    rows, periods = _rows(design), design.weights.shape[1]
    group, period = (jnp.asarray(each) for each in np.triu_indices(periods))
    hits = (rows.cohorts[None, :, None] == group[:, None, None]) & rows.imputed[None]
    hits = hits & (jnp.arange(periods)[None, None, :] == period[:, None, None])
    coef, scores, totals = model._averages(rows, design, hits)
    sums = jax.ops.segment_sum(scores, design.cluster[:, 0], design.n_clusters)
    error = jnp.sqrt((sums**2).sum(0))
    known = jnp.where(totals > 0, coef, jnp.nan)
    effects = (group, period, known, error, totals, hits.sum((1, 2)), jnp.full(group.shape, jnp.inf))
    lost = rows.treated & ~rows.imputed
    return effects, (design.weights > 0) & ~lost, lost
