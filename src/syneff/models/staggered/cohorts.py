"""Cohorts: who adopts when, what can be compared with what, and every error about it that the user can mend.

A unit's cohort is the index of its first treated period. Who adopts after the last period of the sample counts as never
treated, as in did and fixest. Who is never seen untreated in the sample has no base to be compared with and is left out; a note
says how many such units there are.

The treatment array determines cohorts inside a fit, so that placebo assignments and bootstrap weights need no new design: the
first regressor of a `StaggeredDesign` is the whole path of the treatment, cells outside the sample included.
"""

from dataclasses import dataclass, fields, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError
from syneff.models.base import Design, Spec
from syneff.models.design import build_design, sample_of, treatment_path
from syneff.models.event_study import adoption
from syneff.models.resampling.assignment import sample_cohorts
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.typing import Array, Bool, Int, UnitPeriod


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["outcome", "regressors", "weights", "cluster", "instruments", "ways", "distances"],
    meta_fields=["names", "n_clusters", "nested", "balanced", "periods", "adopted"],
)
@dataclass(frozen=True, kw_only=True)
class StaggeredDesign(Design):
    """A design whose first regressor is the treatment's path ``[unit period]``, known outside the sample too.

    Attributes
    ----------
    periods
        Labels of the periods.
    adopted
        Indices of the periods in which units of the sample adopt, ascending: the cohorts that have terms of their own.
    """

    periods: tuple[int, ...]
    adopted: tuple[int, ...]


@dataclass(frozen=True)
class Cohorts:
    """Who adopts when.

    Attributes
    ----------
    adoption
        ``[unit]``: index of the first treated period; the number of periods where there is none in the sample.
    sampled
        ``[unit]``: whether the unit has rows in the sample.
    always
        ``[unit]``: sampled, but never seen untreated.
    periods
        Labels of the periods.
    names
        Names of the units.
    """

    adoption: Int[np.ndarray, " unit"]
    sampled: Bool[np.ndarray, " unit"]
    always: Bool[np.ndarray, " unit"]
    periods: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def never(self) -> Bool[np.ndarray, " unit"]:
        """Units of the sample that are never treated in it."""
        return np.asarray(self.sampled & (self.adoption == len(self.periods)))

    @property
    def adopters(self) -> Bool[np.ndarray, " unit"]:
        """Units of the sample that adopt in it, and are seen untreated before."""
        return np.asarray(self.sampled & (self.adoption < len(self.periods)) & ~self.always)

    @property
    def adopted(self) -> tuple[int, ...]:
        """Indices of the periods in which `adopters` adopt, ascending."""
        return tuple(int(each) for each in np.unique(self.adoption[self.adopters]))

    def years(self) -> str:
        """List the adoption years with their numbers of units, for a message."""
        counts = {each: int((self.adoption[self.adopters] == each).sum()) for each in self.adopted}
        return listed(f"{self.periods[each]} ({count} units)" for each, count in counts.items())

    def notes(self) -> tuple[str, ...]:
        """Say which units are left out because they are never seen untreated."""
        early = np.flatnonzero(self.always)
        if not early.size:
            return ()
        said = f"{early.size} units left out: treated in all their rows, so they have no base to be compared with: "
        return (said + listed(self.names[unit] for unit in early),)


def cohorts_of(panel: Panel, spec: Spec) -> Cohorts:
    """Find the cohorts of a panel.

    Parameters
    ----------
    panel, spec
        The data, and the names.

    Raises
    ------
    DataError
        If the treatment is missing in the sample, is not 0 or 1, or switches off (naming city and year); or if no unit is seen
        both untreated and treated.
    """
    path, weights = treatment_path(panel, spec), sample_of(panel, spec).weights
    sampled = np.any(weights > 0, axis=1)
    untreated = np.any((weights > 0) & (np.asarray(path) == 0), axis=1)
    adopted = sample_cohorts(path, jnp.asarray(weights)) if sampled.any() else np.full(panel.shape[0], panel.shape[1])
    found = Cohorts(adopted, sampled, sampled & ~untreated, panel.periods, panel.names)
    if sampled.any() and not found.adopters.any():
        raise DataError(
            f"treatment {spec.treatment!r}: no unit of the sample is seen both before and after it is treated "
            f"({int(found.always.sum())} are treated in all their rows, {int(found.never.sum())} never), so there is no "
            "cohort. Check the column, or the rows that steps leave."
        )
    return found


def check_never(cohorts: Cohorts, who: str, remedy: str) -> None:
    """Raise a `DataError` unless some unit is never treated.

    Parameters
    ----------
    cohorts
        Who adopts when.
    who
        The estimator, for the message.
    remedy
        What is possible without such units.
    """
    if not cohorts.never.any():
        raise DataError(
            f"{who}: no unit of the sample is never treated; adoption in {cohorts.years()}. {remedy}",
        )


def check_several(cohorts: Cohorts, who: str) -> None:
    """Raise a `DataError` where all units adopt at once, so that none is untreated while others are treated."""
    if not cohorts.never.any() and len(cohorts.adopted) < 2:
        raise DataError(
            f"{who}: all units adopt in {cohorts.years()}, and none is untreated then, so there is nothing to compare with. "
            "Add units that are treated later or never."
        )


def staggered_design(panel: Panel, spec: Spec, cohorts: Cohorts) -> StaggeredDesign:
    """Turn a specification into arrays, the first regressor being the whole path of the treatment.

    Parameters
    ----------
    panel, spec
        The data, and the names.
    cohorts
        From `cohorts_of`.

    Raises
    ------
    DataError, SpecError
        As `syneff.models.design.build_design`.
    """
    design = build_design(panel, spec)
    given = {field.name: getattr(design, field.name) for field in fields(design)}
    made = StaggeredDesign(**given, periods=tuple(panel.periods), adopted=cohorts.adopted)
    return with_path(made, treatment_path(panel, spec))


def with_path(design: StaggeredDesign, treatment: UnitPeriod) -> StaggeredDesign:
    """Return the design with another treatment path ``[unit period]``; cells outside the sample keep theirs."""
    return replace(design, regressors=design.regressors.at[:, :, 0].set(treatment))


def adoption_in_sample(treatment: UnitPeriod, weights: UnitPeriod) -> Int[Array, " unit"]:
    """Return each unit's first treated period; the number of periods where there is none up to the sample's last.

    Parameters
    ----------
    treatment, weights
        ``[unit period]``.
    """
    periods = weights.shape[1]
    last = periods - 1 - jnp.argmax((weights > 0).any(0)[::-1])
    first = adoption(treatment)
    return jnp.where(first > last, periods, first)


def seen_untreated(treatment: UnitPeriod, weights: UnitPeriod) -> Bool[Array, " unit"]:
    """Say of each unit whether the sample has an untreated row of it: without one it has no base."""
    return ((weights > 0) & (treatment <= 0)).any(1)
