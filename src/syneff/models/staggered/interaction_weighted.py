r"""Interaction-weighted event study of Sun and Abraham.

.. math::

    y_{it} = \sum_{g} \sum_{h \ne b} \delta_{gh}\, 1\{a_i = g\}\, 1\{t - a_i = h\} + \gamma' x_{it} + \mu_i + \lambda_t + e_{it}

Each cohort has an effect of its own at every event time; terms are their averages with the cohorts' shares of rows as weights.
The ends of the window are pooled after the regression, as averages of all effects beyond them, so nothing is supposed equal.
The shares count as fixed, as in ``fixest::sunab``; the term of the treatment is ``sunab(att = TRUE)``, the average over all
treated rows. The regression is computed as one with period effects of each cohort (`syneff.numerics.saturated`).

Gaps. A unit may miss any row, its base period included. A cohort whose base period nobody has, or a unit that is never seen
untreated, is left out, and an effect that gaps leave unidentified has no weight; notes tell both.

References
----------
Sun, L. and Abraham, S. (2021). Journal of Econometrics 225, 175-199. https://doi.org/10.1016/j.jeconom.2020.09.006
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError, one_of
from syneff.models import closed_forms
from syneff.models.base import Design, Estimate, Estimator, Spec, Status
from syneff.models.covariances import Fit, Uncertainty, uncertainty
from syneff.models.design import sample_of
from syneff.models.event_study import wald_test
from syneff.models.interacted import LEVERAGE
from syneff.models.staggered.cohorts import (
    Cohorts,
    StaggeredDesign,
    adoption_in_sample,
    check_never,
    check_several,
    cohorts_of,
    seen_untreated,
    staggered_design,
    with_path,
)
from syneff.models.staggered.events import (
    check_two_way,
    check_window,
    cohort_frame,
    empty_events,
    event_bins,
    event_terms,
    pooled_events,
)
from syneff.numerics.covariance import Counts
from syneff.numerics.saturated import Saturated, contrasts, fit_saturated, relative_loads, two_way
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.typing import Array, Bool, Float, Int, UnitPeriod

CONTROLS = ("never", "last")


@dataclass(frozen=True)
class SunAbraham(Estimator):
    """Event study in which every cohort has effects of its own.

    Attributes
    ----------
    spec
        The specification; its treatment is 0 before and 1 from adoption on, its effects are unit and period.
    window
        First and last event time that have a term; both ends are pooled.
    base
        The event time left out, before adoption.
    control_cohort
        "never": the never treated. "last": the last cohort; the sample then ends before it adopts, and the never treated are
        left out.
    """

    spec: Spec
    window: tuple[int, int] = (-5, 6)
    base: int = -1
    control_cohort: str = "never"

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", tuple(self.window))
        check_window("SunAbraham", self.window, self.base)
        one_of("SunAbraham control_cohort", self.control_cohort, CONTROLS)
        check_two_way("SunAbraham", self.spec)
        if self.spec.covariance in LEVERAGE:
            raise SpecError(
                f"SunAbraham has no spec.covariance={self.spec.covariance}, which adjusts for leverage. Use CR1 or HC1."
            )

    @property
    def bins(self) -> tuple[int, ...]:
        """Event times that have a term."""
        return event_bins(self.window, self.base)

    def design(self, panel: Panel) -> StaggeredDesign:
        """Turn names into arrays.

        Raises
        ------
        DataError
            If there is no control cohort, or whatever `syneff.models.staggered.cohorts.cohorts_of` finds.
        """
        cohorts = cohorts_of(panel, self.spec)
        if self.control_cohort == "never":
            check_never(cohorts, "SunAbraham", "Use control_cohort=last, which compares with the last cohort.")
        else:
            check_last(cohorts)
        return staggered_design(panel, self.spec, cohorts)

    def with_treatment(self, design: Design, treatment: UnitPeriod) -> StaggeredDesign:
        """Return the design with another treatment path ``[unit period]``."""
        return with_path(cast(StaggeredDesign, design), treatment)

    def fit(self, design: Design) -> Estimate:
        """Estimate the effect on the treated, the effects by event time, and the slopes of the controls."""
        cells = self._cells(design)
        shares = self._shares(cells)
        totals = shares.sum((1, 2))
        weights = shares / jnp.where(totals > 0, totals, 1.0)[:, None, None]
        effects, influence = contrasts(cells.fit, relative_loads(weights, cells.base))
        slopes = cells.fit.slopes
        own = jnp.einsum("kl,itl->itk", slopes.inverse, cells.fit.net * cells.fit.weights[:, :, None])
        kept = jnp.concatenate([totals > 0, slopes.kept])
        uncertain, counts = self._uncertainty(design, cells, jnp.concatenate([influence, own], axis=2))
        # An event time without rows is no failure: only the treatment and the controls must be estimable.
        status = closed_forms.fit_status(kept.at[1 : shares.shape[0]].set(True), counts, self.spec.clustered)
        cov = jnp.where(status == int(Status.NO_DEGREES_OF_FREEDOM), jnp.nan, uncertain.cov)
        terms = event_terms(self.spec.treatment, self.bins)
        estimate = Estimate(
            coef=jnp.where(kept, jnp.concatenate([effects, slopes.coef]), jnp.nan),
            cov=jnp.where(kept[:, None] & kept[None, :], cov, jnp.nan),
            nobs=counts.rows,
            n_units=(cells.fit.weights > 0).any(1).sum().astype(float),
            n_periods=(cells.fit.weights > 0).any(0).sum().astype(float),
            dof=uncertain.dof,
            stats={
                "n_clusters": counts.clusters,
                "support_units": self._support(cells, design.regressors.shape[2] - 1),
                **uncertain.stats,
            },
            status=status,
            names=(*terms, *design.names[1:]),
            outcome=self.spec.outcome,
        )
        before = np.flatnonzero([False, *(each < self.base for each in self.bins)])
        return replace(estimate, tests=(wald_test("pre_trend", estimate, before),) if before.size else ())

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
        effects = _cohort_effects(self, design)
        frame = cohort_frame(design.periods, tuple(np.asarray(each) for each in effects))
        support = pooled_events(frame, self.window, self.base)
        return replace(estimate, details={**estimate.details, "cohort_effects": frame, "event_support": support})

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say which rows, units and cohorts were left out."""
        cohorts = cohorts_of(panel, self.spec)
        sample, (estimate, empty) = sample_of(panel, self.spec), empty_events(estimate)
        said = sample.notes() + cohorts.notes() + super().notes(panel, estimate) + empty
        weights, path = sample.weights, cohorts.adoption
        lost = [
            each
            for each in cohorts.adopted
            if each + self.base < 0 or not (weights[cohorts.adopters & (path == each), each + self.base] > 0).any()
        ]
        if lost:
            units = int(np.isin(path[cohorts.adopters], lost).sum())
            said += (
                f"{units} units left out: nobody of their cohorts ({listed(str(panel.periods[each]) for each in lost)}) "
                f"is seen at event time {self.base}, the base",
            )
        if self.control_cohort == "last":
            said += (
                f"the cohort of {panel.periods[cohorts.adopted[-1]]} is the control, so the sample ends the year before; "
                f"{int(cohorts.never.sum())} never treated units are left out",
            )
        return said

    def _cells(self, design: Design) -> "Cells":
        path, weights = design.regressors[:, :, 0], design.weights
        periods = weights.shape[1]
        first = adoption_in_sample(path, weights)
        if self.control_cohort == "last":
            adopts = (first < periods) & seen_untreated(path, weights)
            last = jnp.where(adopts, first, -1).max()
            before = (jnp.arange(periods) < last)[None, :] & (first < periods)[:, None]
            weights = jnp.where(before, weights, 0.0)
            first = jnp.where(first >= last, periods, first)
        weights = jnp.where(seen_untreated(path, weights)[:, None], weights, 0.0)
        # The control group is the last; its base period is of no use.
        base = jnp.where(jnp.arange(periods + 1) < periods, jnp.arange(periods + 1) + self.base, -1)
        member = (first[:, None] == jnp.arange(periods + 1)[None, :]).astype(float)
        counts = jnp.einsum("ig,it->gt", member, weights)
        based = jnp.take_along_axis(counts, jnp.maximum(base, 0)[:, None], axis=1)[:, 0] > 0
        based = jnp.where(jnp.arange(periods + 1) < periods, based & (base >= 0), True)
        weights = jnp.where(based[first][:, None], weights, 0.0)
        fit = fit_saturated(design.outcome, design.regressors[:, :, 1:], weights, first, periods + 1)
        control = jnp.broadcast_to(jnp.eye(periods + 1)[-1], (periods + 1, periods + 1))
        return Cells(fit, base, counts, based, self._identified(fit, base, based, control))

    def _identified(
        self, fit: Saturated, base: Int[Array, " group"], based: Bool[Array, " group"], control: Array
    ) -> Bool[Array, "group period"]:
        beside = replace(fit, ranges=jnp.einsum("gh,hts->gts", control, fit.ranges)).identified(base)
        groups, periods = beside.shape
        treated = (jnp.arange(groups) < groups - 1)[:, None]
        other = jnp.arange(periods)[None, :] != base[:, None]
        return fit.identified(base) & beside & based[:, None] & treated & other

    def _shares(self, cells: "Cells") -> Float[Array, "term group period"]:
        """Return the rows behind each term: the treatment's, then those of each event time."""
        rows = jnp.where(cells.identified, cells.counts, 0.0)
        groups, periods = rows.shape
        event = jnp.arange(periods)[None, :] - jnp.arange(groups)[:, None]
        binned = jnp.clip(event, *self.window)
        hit = [event >= 0, *(binned == each for each in self.bins)]
        return jnp.where(jnp.stack(hit), rows[None], 0.0)

    def _support(self, cells: "Cells", controls: int) -> Float[Array, " term"]:
        """Return the treated units seen in each term, NaN for the controls."""
        groups = cells.fit.groups
        event = jnp.arange(cells.fit.weights.shape[1])[None, :] - groups[:, None]
        seen = cells.identified[groups] & (cells.fit.weights > 0)
        binned = jnp.clip(event, *self.window)
        hit = jnp.stack([event >= 0, *(binned == each for each in self.bins)])
        units = (hit & seen[None]).any(2).sum(1).astype(float)
        return jnp.concatenate([units, jnp.full(controls, jnp.nan)])

    def _uncertainty(
        self, design: Design, cells: "Cells", influence: Float[Array, "unit period term"]
    ) -> tuple[Uncertainty, Counts]:
        fit = cells.fit
        absorbed = two_way(fit.weights)
        inside = replace(design, weights=fit.weights)
        counts = closed_forms.counts_of(
            inside, absorbed, fit.slopes.kept.sum().astype(float) + fit.rank - absorbed.rank
        )
        # Of regressors and moments only the size counts here: what looks at them adjusts for leverage, and is refused.
        parts = Fit(influence, fit.slopes.residuals, influence, jnp.zeros((influence.shape[2],) * 2), absorbed)
        return uncertainty(self.spec, inside, parts, counts), counts


@partial(jax.tree_util.register_dataclass, data_fields=["fit", "base", "counts", "based", "identified"], meta_fields=[])
@dataclass(frozen=True)
class Cells:
    """Cohorts and periods, the control group last.

    Attributes
    ----------
    fit
        The regression.
    base
        ``[group]``: index of the base period.
    counts
        ``[group period]``: rows, weighted.
    based
        ``[group]``: whether the base period is seen.
    identified
        ``[group period]``: whether there is an effect to estimate.
    """

    fit: Saturated
    base: Int[Array, " group"]
    counts: Float[Array, "group period"]
    based: Bool[Array, " group"]
    identified: Bool[Array, "group period"]


@partial(jax.jit, static_argnums=0)
def _cohort_effects(model: SunAbraham, design: StaggeredDesign) -> tuple[Array, ...]:
    """Return cohort, period, effect, standard error, rows, units of every identified cell, and the degrees of freedom."""
    cells = model._cells(design)
    periods = design.weights.shape[1]
    group, period = (jnp.asarray(each) for each in np.indices((periods, periods)).reshape(2, -1))
    known = cells.identified[group, period]
    one = jnp.zeros((group.size, periods + 1, periods)).at[jnp.arange(group.size), group, period].set(1.0)
    coef, influence = contrasts(cells.fit, relative_loads(jnp.where(known[:, None, None], one, 0.0), cells.base))
    uncertain, _ = model._uncertainty(design, cells, influence)
    member = cells.fit.groups[:, None, None] == jnp.arange(periods)[None, :, None]
    units = (member & (cells.fit.weights > 0)[:, None, :]).sum(0)
    error = jnp.sqrt(jnp.diagonal(uncertain.cov))
    rows, seen = cells.counts[group, period], units[group, period]
    dof = jnp.broadcast_to(uncertain.dof, coef.shape)
    return group, period, jnp.where(known, coef, jnp.nan), error, rows, seen, dof


def check_last(cohorts: Cohorts) -> None:
    """Raise a `DataError` unless some cohort adopts before the last one."""
    few = replace(cohorts, sampled=cohorts.sampled & (cohorts.adoption < len(cohorts.periods)))
    check_several(few, "SunAbraham control_cohort=last")
