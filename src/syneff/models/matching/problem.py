"""From a panel to the rows that are matched, and back.

Rows come in groups, each matched by itself: the cities of a year, all city-years, or the cities on their means before the
first adoption. Cities are put in an order of their own (those ever treated first, then by identifier), so that the order of
the data does not matter, and so that a match looks for treated rows and for controls in a part of the rows each.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import DataError
from syneff.models.matching.options import Matching
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.panel.schema import check_treatment
from syneff.typing import Array, Bool, Float


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["covariates", "treated", "present"],
    meta_fields=["by", "periods"],
)
@dataclass(frozen=True)
class Problem:
    """The rows to match; a row is a unit, or with "pooled" a unit and period, units in their own order.

    Attributes
    ----------
    covariates
        ``[group row k]``, centred and scaled within the group; 0 where absent.
    treated
        ``[group row]``: who counts as treated.
    present
        ``[group row]``: who can be matched.
    by
        How rows are grouped.
    periods
        Number of periods of the panel.
    """

    covariates: Float[Array, "group row k"]
    treated: Bool[Array, "group row"]
    present: Bool[Array, "group row"]
    by: str
    periods: int

    def rows_of(self, units: Array) -> Array:
        """Return the rows of units ``[slot]``, by their positions in the problem's order."""
        if self.by != "pooled":
            return units
        return (units[:, None] * self.periods + jnp.arange(self.periods)[None, :]).reshape(-1)

    def cells(self, values: Float[Array, "group row"]) -> Float[Array, "slot period"]:
        """Return what the rows have as ``[slot period]``."""
        if self.by == "period":
            return values.T
        if self.by == "pooled":
            return values.reshape(-1, self.periods)
        return jnp.broadcast_to(values[0][:, None], (values.shape[1], self.periods))


@dataclass(frozen=True)
class Rows:
    """A problem and what the host knows of it.

    Attributes
    ----------
    problem
        The arrays.
    raw
        ``[group row k]``: the covariates as they are; NaN where absent.
    order
        ``[unit]``: the panel's units in the problem's order.
    treatable
        How many of them, the first, are ever treated in the sample.
    labels
        Name of each group: the year, or "all".
    incomplete
        Rows of the sample without a covariate.
    """

    problem: Problem
    raw: np.ndarray
    order: np.ndarray
    treatable: int
    labels: tuple[str, ...]
    incomplete: int


def build_rows(panel: Panel, matching: Matching) -> Rows:
    """Gather the rows to match.

    Parameters
    ----------
    panel
        The data.
    matching
        The options.

    Raises
    ------
    DataError
        If a column is unknown, the treatment is no treatment, nobody or everybody is treated, or no year lies before the first
        adoption.
    """
    check_treatment(panel, matching.treatment)
    path = np.maximum.accumulate(np.nan_to_num(panel.column(matching.treatment)), axis=1) > 0
    ever = (path & panel.sample).any(axis=1)
    if not ever.any() or ever[panel.sample.any(axis=1)].all():
        every = "every" if ever.any() else "no"
        raise DataError(
            f"matching: {every} city is treated ({matching.treatment}) in the sample, so there is nobody to match with. "
            "Check the treatment and the rows that steps leave."
        )
    values = np.stack([panel.column(name) for name in matching.covariates], axis=-1)
    complete = np.isfinite(values).all(axis=2)
    if matching.outcome is not None:
        complete &= np.isfinite(panel.column(matching.outcome))
    usable = panel.sample & complete
    _check_values(panel, matching, values, usable)
    order = _order(panel, ever, first=matching.treated == "ever")
    treated = np.repeat(ever[:, None], len(panel.periods), axis=1) if matching.treated == "ever" else path
    if matching.by == "pre_treatment":
        values, usable = _before(panel, path, values, usable)
    raw, treated, present = (_grouped(each[order], matching.by) for each in (values, treated, usable))
    raw = np.where(present[:, :, None], raw, np.nan)
    problem = Problem(
        covariates=jnp.asarray(_scaled(raw, present)),
        treated=jnp.asarray(treated & present),
        present=jnp.asarray(present),
        by=matching.by,
        periods=len(panel.periods),
    )
    labels = tuple(str(year) for year in panel.periods) if matching.by == "period" else ("all",)
    return Rows(problem, raw, order, int(ever.sum()), labels, int((panel.sample & ~complete).sum()))


def _order(panel: Panel, ever: np.ndarray, *, first: bool) -> np.ndarray:
    """Sort units by identifier; those ever treated first, if `first`."""
    rank = np.argsort(pd.Index(panel.units, dtype=object).argsort(), kind="stable")
    return np.lexsort((rank, ~ever)) if first else np.argsort(rank, kind="stable")


def _check_values(panel: Panel, matching: Matching, values: np.ndarray, usable: np.ndarray) -> None:
    if usable.any():
        return
    empty = [name for k, name in enumerate(matching.covariates) if not np.isfinite(values[..., k][panel.sample]).any()]
    cause = f"column {listed(empty)} has no value in the sample" if empty else "no row has all covariates"
    raise DataError(f"matching: no row can be matched on {', '.join(matching.covariates)}: {cause}.")


def _before(panel: Panel, path: np.ndarray, values: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the means ``[unit 1 k]`` over the years before anyone adopts, and who has any such year."""
    adopted = (path & panel.sample).any(axis=0)
    early = np.arange(len(panel.periods)) < int(np.argmax(adopted))
    inside = usable & early[None, :]
    if not inside.any():
        raise DataError(
            f"matching: by=pre_treatment needs years before the first adoption, but the sample begins with treated cities in "
            f"{panel.periods[int(np.argmax(adopted))]}. Use by=period, or a sample that begins earlier."
        )
    count = inside.sum(axis=1)
    means = np.where(inside[:, :, None], values, 0.0).sum(axis=1) / np.maximum(count, 1)[:, None]
    return means[:, None, :], (count > 0)[:, None]


def _grouped(values: np.ndarray, by: str) -> np.ndarray:
    """Return ``[unit period ...]`` as ``[group row ...]``."""
    if by == "period":
        return np.swapaxes(values, 0, 1)
    if by == "pooled":
        return values.reshape(1, -1, *values.shape[2:])
    return values[:, :1].swapaxes(0, 1)


def _scaled(raw: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Centre and scale each covariate within its group; a constant one is 0."""
    count = np.maximum(present.sum(axis=1), 1)[:, None, None]
    filled = np.where(present[:, :, None], raw, 0.0)
    centred = np.where(present[:, :, None], filled - filled.sum(axis=1, keepdims=True) / count, 0.0)
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    flat = spread <= 1e-12 * np.abs(filled).max(axis=1, keepdims=True)
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))
