r"""Fixed effects whose periods differ by group, e.g. province x year.

.. math::

    y_{it} = \beta\, d_{it} + \gamma' x_{it} + \mu_{i} + \lambda_{g(i) t} + e_{it}

What hits all cities of a province in a year is taken out, so cities are compared within provinces alone. The dummies are
absorbed exactly, province by province (`syneff.numerics.grouped`); a province in which all cities are treated alike tells
nothing of the effect, and a note names it.
"""

from dataclasses import dataclass, fields
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, unknown_name
from syneff.models.base import Design, Estimate, Estimator, Spec, Status
from syneff.models.closed_forms import fit_status
from syneff.models.covariances import Fit, uncertainty
from syneff.models.design import build_design, sample_of
from syneff.models.interacted import LEVERAGE
from syneff.numerics.covariance import Counts
from syneff.numerics.grouped import absorb_by_group, group_weights
from syneff.numerics.least_squares import absorption, centred_squares, least_squares
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.typing import Array, Int


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["outcome", "regressors", "weights", "cluster", "instruments", "ways", "distances", "groups"],
    meta_fields=["names", "n_clusters", "nested", "balanced", "n_groups"],
)
@dataclass(frozen=True, kw_only=True)
class GroupedDesign(Design):
    """A design with groups of units.

    Attributes
    ----------
    groups
        ``[unit period]``: number of the group, -1 for units outside the sample.
    n_groups
        Number of groups.
    """

    groups: Int[Array, "*batch unit period"]
    n_groups: int


@dataclass(frozen=True)
class GroupPeriodEffects(Estimator):
    """Least squares with unit effects and period effects of each group.

    Attributes
    ----------
    spec
        The specification; its effects have "period" among them.
    by
        The trait that groups units.
    """

    spec: Spec
    by: str = "province"

    def __post_init__(self) -> None:
        if "period" not in self.spec.effects:
            raise SpecError(
                f"GroupPeriodEffects: spec.effects={list(self.spec.effects)} has no period effects to let differ by "
                f"{self.by}. Add period."
            )
        if self.spec.covariance in LEVERAGE:
            raise SpecError(
                f"GroupPeriodEffects has no spec.covariance={self.spec.covariance}, which adjusts for leverage. Use CR1 or HC1."
            )

    def design(self, panel: Panel) -> GroupedDesign:
        """Turn names into arrays.

        Raises
        ------
        SpecError
            If there is no such trait.
        DataError
            If a unit of the sample has no group, or whatever `build_design` finds.
        """
        if self.by not in panel.traits:
            raise SpecError(unknown_name("trait for GroupPeriodEffects by:", self.by, panel.traits))
        design = build_design(panel, self.spec)
        values, inside = panel.traits[self.by], np.asarray(design.weights) > 0
        missing = np.flatnonzero(np.asarray(pd.isna(values)) & inside.any(1))
        if missing.size:
            lacking = listed(panel.names[each] for each in missing)
            raise DataError(
                f"GroupPeriodEffects by={self.by}: {missing.size} units have no value: {lacking}. Fill the trait, or take "
                "them out of the sample."
            )
        names, codes = np.unique(values[inside.any(1)].astype(str), return_inverse=True)
        groups = np.full(panel.shape, -1)
        groups[inside.any(1)] = codes[:, None]
        given = {field.name: getattr(design, field.name) for field in fields(design)}
        nested = tuple(effect for effect in design.nested if effect == "unit")
        if any(_holds_cells(np.asarray(way.codes), groups, inside) for way in design.ways if self.spec.clustered):
            nested += ("period",)
        return GroupedDesign(**{**given, "nested": nested}, groups=jnp.asarray(groups), n_groups=names.size)

    def fit(self, design: Design) -> Estimate:
        """Estimate the coefficients and the constant."""
        grouped = cast(GroupedDesign, design)
        weights = group_weights(design.weights, grouped.groups, grouped.n_groups)
        columns = jnp.concatenate([design.regressors, design.outcome[:, :, None]], axis=2)
        net, rank = absorb_by_group(columns, weights, self.spec.effects)
        regressors, outcome = net[:, :, :-1], net[:, :, -1]
        size = centred_squares(design.regressors, design.weights)
        fit = least_squares(outcome, regressors, design.weights, size)
        absorbed = absorption(design.weights, self.spec.effects)
        counts = self._counts(grouped, fit.kept.sum().astype(float), rank)
        influence = jnp.einsum("kl,itl->itk", fit.inverse, regressors * design.weights[:, :, None])
        uncertain = uncertainty(
            self.spec, design, Fit(influence, fit.residuals, regressors, fit.inverse, absorbed), counts
        )
        status = fit_status(fit.kept, counts, self.spec.clustered)
        cov = jnp.where(status == int(Status.NO_DEGREES_OF_FREEDOM), jnp.nan, uncertain.cov)
        rss, within = ((design.weights * each**2).sum() for each in (fit.residuals, outcome))
        total = centred_squares(design.outcome[:, :, None], design.weights)[0]
        return Estimate(
            coef=jnp.where(fit.kept, fit.coef, jnp.nan),
            cov=jnp.where(fit.kept[:, None] & fit.kept[None, :], cov, jnp.nan),
            nobs=counts.rows,
            n_units=absorbed.n_units,
            n_periods=absorbed.n_periods,
            dof=uncertain.dof,
            stats={
                "r2": 1.0 - rss / total,
                "r2_within": 1.0 - rss / within,
                "n_clusters": counts.clusters,
                "groups": jnp.asarray(float(grouped.n_groups)),
                **uncertain.stats,
            },
            status=status,
            names=design.names,
            outcome=self.spec.outcome,
        )

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say what was left out, and which groups tell nothing of the effect."""
        said = sample_of(panel, self.spec).notes() + super().notes(panel, estimate)
        design = self.design(panel)
        left = np.asarray(_left_by_group(self.spec.effects, design))
        codes = np.asarray(design.groups)[:, 0]
        names = [str(panel.traits[self.by][np.flatnonzero(codes == each)[0]]) for each in range(design.n_groups)]
        silent = [name for name, squares in zip(names, left, strict=True) if squares <= 1e-10 * left.sum()]
        if silent:
            said += (
                f"{len(silent)} of {len(names)} {self.by} groups are treated alike and tell nothing: {listed(silent)}",
            )
        return said

    def _counts(self, design: GroupedDesign, regressors: Array, rank: Array) -> Counts:
        inside = design.weights > 0
        cells = group_weights(design.weights, design.groups, design.n_groups).sum(1) > 0
        levels = {"unit": inside.any(1).sum().astype(float), "period": cells.sum().astype(float)}
        nested = sum((levels[effect] for effect in design.nested), start=jnp.zeros(()))
        return Counts(
            rows=inside.sum().astype(float),
            clusters=jnp.stack([way.occupied(design.weights) for way in design.ways]).min(),
            regressors=regressors,
            dummies=rank,
            nested=nested - jnp.asarray(max(len(design.nested) - 1.0, 0.0)),
        )


@partial(jax.jit, static_argnums=0)
def _left_by_group(effects: tuple[str, ...], design: GroupedDesign) -> Array:
    """Return the squares of the treatment that the effects leave in each group."""
    weights = group_weights(design.weights, design.groups, design.n_groups)
    treatment = absorb_by_group(design.regressors[:, :, :1], weights, effects)[0]
    return jnp.einsum("git,it->g", weights, treatment[:, :, 0] ** 2)


def _holds_cells(clusters: np.ndarray, groups: np.ndarray, inside: np.ndarray) -> bool:
    """Say whether no cell of a group and period lies in two clusters."""
    period = np.indices(groups.shape)[1]
    cells = np.unique(np.stack([groups[inside], period[inside]]), axis=1).shape[1]
    return bool(cells == np.unique(np.stack([groups[inside], period[inside], clusters[inside]]), axis=1).shape[1])
