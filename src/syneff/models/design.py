"""From names to arrays: the one place where a specification meets a panel.

Rows with a missing value in any column of the specification, rows outside the sample and singletons get weight 0; they are
counted, never removed, so that all designs of one specification have one shape.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError
from syneff.models.base import Design, Spec
from syneff.models.clusters import check_lags, clusters_of, distances_of
from syneff.panel.panel import Panel
from syneff.panel.schema import check_treatment
from syneff.typing import UnitPeriod


@dataclass(frozen=True)
class Sample:
    """Which rows a specification uses.

    Attributes
    ----------
    weights
        ``[unit period]``.
    missing, singletons
        Rows left out because a value is missing, or because they are alone in their unit or period.
    """

    weights: np.ndarray
    missing: int
    singletons: int

    def notes(self) -> tuple[str, ...]:
        """Say what was left out."""
        said = []
        if self.missing:
            said.append(f"{self.missing} rows left out: a value of the specification is missing")
        if self.singletons:
            said.append(f"{self.singletons} singleton rows left out: alone in an absorbed unit or period")
        return tuple(said)


def sample_of(panel: Panel, spec: Spec) -> Sample:
    """Find the rows that a specification can use.

    Singletons are dropped iteratively, as reghdfe does: they fit perfectly and would only shrink standard errors.
    """
    present = panel.sample
    names = (spec.outcome, *spec.regressors, *spec.instruments)
    complete = np.logical_and.reduce([np.isfinite(panel.column(name)) for name in names])
    inside = present & complete
    usable = int(inside.sum())
    while True:
        kept = inside.copy()
        if "unit" in spec.effects:
            kept &= (kept.sum(1) > 1)[:, None]
        if "period" in spec.effects:
            kept &= (kept.sum(0) > 1)[None, :]
        if (kept == inside).all():
            break
        inside = kept
    weights = np.where(inside, panel.weights, 0.0)
    return Sample(weights, int((present & ~complete).sum()), usable - int(inside.sum()))


def build_design(panel: Panel, spec: Spec) -> Design:
    """Turn a specification into arrays.

    Parameters
    ----------
    panel
        The data.
    spec
        The names.

    Returns
    -------
    Design
        With the treatment as regressor 0.

    Raises
    ------
    DataError
        If a column is unknown, no rows are left, or the outcome or the treatment does not vary.
    SpecError
        If the clusters cannot be formed.
    """
    sample = sample_of(panel, spec)
    inside = sample.weights > 0
    _check_rows(panel, spec, inside)

    def cube(names: tuple[str, ...]) -> np.ndarray:
        stacked = [np.where(inside, panel.column(name), 0.0) for name in names]
        return np.stack(stacked, axis=-1) if stacked else np.zeros((*inside.shape, 0))

    check_lags(panel, spec)
    ways = clusters_of(panel, spec, inside)
    return Design(
        outcome=jnp.asarray(cube((spec.outcome,))[:, :, 0]),
        regressors=jnp.asarray(cube(spec.regressors)),
        weights=jnp.asarray(sample.weights, dtype=float),
        cluster=ways[0].codes,
        instruments=jnp.asarray(cube(spec.instruments)),
        names=spec.regressors,
        n_clusters=ways[0].count,
        nested=tuple(name for name in spec.effects if spec.cluster and any(name in way.whole for way in ways)),
        ways=ways,
        distances=distances_of(panel, spec, inside),
        balanced=_is_product(sample.weights),
    )


def treatment_path(panel: Panel, spec: Spec) -> UnitPeriod:
    """Return the treatment ``[unit period]`` of every cell of the cube, 0 before and 1 from adoption on.

    Cells outside the sample, or without a value, count: a city whose first treated year is missing is treated all the same,
    from the first year in which it is seen treated.

    Raises
    ------
    DataError
        If the treatment is missing in the sample, is not 0 or 1, or switches off.
    """
    check_treatment(panel, spec.treatment)
    path = np.nan_to_num(panel.column(spec.treatment), nan=0.0)
    return jnp.asarray(np.maximum.accumulate(path, axis=1))


def _check_rows(panel: Panel, spec: Spec, inside: np.ndarray) -> None:
    if not inside.any():
        empty = [
            name for name in (spec.outcome, *spec.regressors) if not np.isfinite(panel.column(name)[panel.sample]).any()
        ]
        cause = (
            f"column {empty[0]!r} has no value in the sample"
            if empty
            else "no row has all columns of the specification"
        )
        raise DataError(
            f"no rows left for {spec.outcome} ~ {' + '.join(spec.regressors)}: {cause}. Leave it out or fill it."
        )
    for name in (spec.outcome, spec.treatment):
        values = panel.column(name)[inside]
        if values.min() == values.max():
            raise DataError(
                f"column {name!r} is {values[0]:g} on all {values.size} rows of the sample, so nothing can be estimated. "
                "Check the column, or the rows that steps and missing values leave."
            )


def _is_product(weights: np.ndarray) -> bool:
    """Say whether weights are a unit's times a period's: a balanced sample, rows of a unit or period all in or all out."""
    product = np.outer(weights.sum(1), weights.sum(0)) / weights.sum()
    return np.allclose(weights, product, rtol=1e-13, atol=0.0)
