"""Stacked differences in differences of Cengiz et al., with the corrective weights of Wing, Freedman and Hollingsworth.

Each cohort has a data set of its own: the cohort and the units that adopt after its window or never, over its window of event
times. These are stacked and estimated together, with effects of unit and stack and of period and stack, clustered by unit (or
by a trait of the units), so that a unit that is a control in many stacks is one cluster.

The term of the treatment is the coefficient of one dummy of treated rows, those by event time are of a regression of their own
relative to the base. Only cohorts whose whole window lies in the sample have a stack, so that all event times are of the same
cohorts; a note tells the others. Without corrective weights stacks are weighted by their variance of the treatment, so the
result is no average effect with weights that one would choose.

Gaps. A unit may miss any row. `nobs` counts the rows of all stacks, in which a unit of the controls is found several times.
See `syneff.numerics.stacked` for the sources.
"""

from dataclasses import dataclass, replace
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError
from syneff.models.base import Design, Estimate, Estimator, Spec, Status
from syneff.models.closed_forms import fit_status
from syneff.models.design import sample_of
from syneff.models.event_study import wald_test
from syneff.models.staggered.cohorts import (
    StaggeredDesign,
    adoption_in_sample,
    cohorts_of,
    seen_untreated,
    staggered_design,
    with_path,
)
from syneff.models.staggered.events import check_two_way, check_window, event_bins, event_terms
from syneff.numerics.covariance import Counts, small_sample_factor
from syneff.numerics.stacked import Stacks, fit_stacked, make_stacks
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.typing import UnitPeriod


@dataclass(frozen=True)
class Stacked(Estimator):
    """Compare each cohort with units that are untreated throughout its window, all cohorts stacked.

    Attributes
    ----------
    spec
        The specification; its treatment is 0 before and 1 from adoption on, its effects are unit and period, and its clusters
        hold whole units.
    window
        First and last event time of each stack.
    base
        The event time left out, before adoption.
    corrective
        Whether the controls of each stack are weighted by its share of the treated, so that the effect is their average.
    """

    spec: Spec
    window: tuple[int, int] = (-5, 6)
    base: int = -1
    corrective: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", tuple(self.window))
        check_window("Stacked", self.window, self.base)
        check_two_way("Stacked", self.spec)
        if self.spec.covariance not in ("CR0", "CR1") or len(self.spec.cluster_names) > 1:
            raise SpecError(
                f"Stacked: a unit is in several stacks, so errors are clustered by one name; not "
                f"spec.covariance={self.spec.covariance}, spec.cluster={self.spec.cluster}. Set spec.cluster alone, e.g. unit."
            )

    @property
    def bins(self) -> tuple[int, ...]:
        """Event times that have a term."""
        return event_bins(self.window, self.base)

    def design(self, panel: Panel) -> StaggeredDesign:
        """Turn names into arrays.

        Raises
        ------
        SpecError
            If a unit lies in several clusters.
        DataError
            If no cohort has its window in the sample and a control, or whatever
            `syneff.models.staggered.cohorts.cohorts_of` finds.
        """
        cohorts = cohorts_of(panel, self.spec)
        design = staggered_design(panel, self.spec, cohorts)
        if "unit" not in design.ways[0].whole:
            raise SpecError(
                f"Stacked: spec.cluster={self.spec.cluster} is not constant within unit. Use unit or a trait of the units."
            )
        if not (np.asarray(self._stacks(design).treated_rows) > 0).any():
            raise DataError(
                f"Stacked: no cohort has its window {self.window} in the sample and a unit that is untreated throughout; "
                f"adoption in {cohorts.years()}. Use a shorter window."
            )
        return design

    def with_treatment(self, design: Design, treatment: UnitPeriod) -> StaggeredDesign:
        """Return the design with another treatment path ``[unit period]``."""
        return with_path(cast(StaggeredDesign, design), treatment)

    def fit(self, design: Design) -> Estimate:
        """Estimate the effect on the treated, the effects by event time, and the slopes of the controls beside the former."""
        stacks = self._stacks(design)
        controls = design.regressors[:, :, 1:]
        static = fit_stacked(design.outcome, controls, stacks, None)
        events = fit_stacked(design.outcome, controls, stacks, self.bins)
        count = len(self.bins)
        # Terms: treatment, event times, controls.
        coef = jnp.concatenate([static.coef[:1], events.coef[:count], static.coef[1:]])
        kept = jnp.concatenate([static.kept[:1], events.kept[:count], static.kept[1:]])
        kept = kept & (static.rows > 0)
        inside = (stacks.weights > 0).any(0)
        clusters = design.ways[0].occupied(inside.astype(float))
        factors = []
        for fit in (static, events):
            counts = Counts(static.rows, clusters, fit.kept.sum().astype(float), fit.rank, fit.units)
            factors.append(jnp.sqrt(small_sample_factor(self.spec.rule, counts)))
        own, other = static.scores * factors[0], events.scores * factors[1]
        scores = jnp.concatenate([own[:, :1], other[:, :count], own[:, 1:]], axis=1)
        sums = jax.ops.segment_sum(scores, design.cluster[:, 0], design.n_clusters)
        status = fit_status(kept.at[1 : 1 + count].set(True), counts, True)
        known = kept[:, None] & kept[None, :] & (status != int(Status.NO_DEGREES_OF_FREEDOM))
        treated = jnp.where(stacks.treated_rows[:, None] > 0, stacks.treated, False).sum().astype(float)
        estimate = Estimate(
            coef=jnp.where(kept, coef, jnp.nan),
            cov=jnp.where(known, sums.T @ sums, jnp.nan),
            nobs=static.rows,
            n_units=inside.any(1).sum().astype(float),
            n_periods=inside.any(0).sum().astype(float),
            dof=clusters - 1.0,
            stats={"n_clusters": clusters, "treated_units": treated},
            status=status,
            names=(*event_terms(self.spec.treatment, self.bins), *design.names[1:]),
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
            `details` has the treated and control units of each stack and the weight of a control (``stacks``).
        """
        estimate = super().estimate(panel, seed=seed, name=name)
        return replace(estimate, details={**estimate.details, "stacks": self._frame(panel)})

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say which rows, units and cohorts were left out."""
        cohorts, used = cohorts_of(panel, self.spec), set(self._frame(panel)["cohort"])
        said = sample_of(panel, self.spec).notes() + cohorts.notes() + super().notes(panel, estimate)
        lost = [panel.periods[each] for each in cohorts.adopted if panel.periods[each] not in used]
        if not lost:
            return said
        what = (
            f"no stack of the cohorts of {listed(map(str, lost))}: their window {self.window} is not in the sample, or "
        )
        return (*said, what + "no unit is untreated throughout")

    def _stacks(self, design: Design) -> Stacks:
        path, weights = design.regressors[:, :, 0], design.weights
        weights = jnp.where(seen_untreated(path, weights)[:, None], weights, 0.0)
        return make_stacks(weights, adoption_in_sample(path, weights), self.window, corrective=self.corrective)

    def _frame(self, panel: Panel) -> pd.DataFrame:
        design = self.design(panel)
        stacks = self._stacks(design)
        treated, controls = (np.asarray(each).sum(1) for each in (stacks.treated, stacks.controls))
        factor = _control_weight(np.asarray(stacks.weights), np.asarray(stacks.controls), np.asarray(design.weights))
        frame = pd.DataFrame(
            {"cohort": panel.periods, "treated": treated, "controls": controls, "control_weight": factor}
        )
        return pd.DataFrame(frame[np.asarray(stacks.treated_rows) > 0].reset_index(drop=True))


def _control_weight(weights: np.ndarray, controls: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the factor that a control's rows have in each stack."""
    own = np.where(controls[:, :, None] & (weights > 0), weights, 0.0)
    plain = np.where(own > 0, rows[None], 0.0)
    ratio: np.ndarray = np.divide(
        own.sum((1, 2)), plain.sum((1, 2)), out=np.full(len(own), np.nan), where=plain.sum((1, 2)) > 0
    )
    return ratio
