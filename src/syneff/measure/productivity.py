r"""Productivity change between neighbouring periods, from distances to a global frontier.

With ``D^G`` the directional distance of a row to the frontier of all periods and ``D^t`` that to the frontier of its own, the
*global Malmquist-Luenberger index* (Oh 2010, doi:10.1007/s11123-010-0178-y) and its parts are

.. math::

    GML = \frac{1 + D^G_{t-1}}{1 + D^G_t}, \qquad EC = \frac{1 + D^{t-1}_{t-1}}{1 + D^t_t}, \qquad BPC = GML / EC ,

and the *global Luenberger indicator*, which takes any directional distance, the non-radial one included,

.. math:: L = D^G_{t-1} - D^G_t, \qquad EC = D^{t-1}_{t-1} - D^t_t, \qquad BPC = L - EC .

Efficiency change (EC, Stata's TECH) says whether a unit has come nearer to the frontier of its time, best-practice change
(BPC, Stata's TECCH) whether that frontier has come nearer to the global one. Both indices are circular: chained over
periods they give the change from the first to the last. No program can be infeasible, because every row belongs to both of
its frontiers. Above 1 (GML) or 0 (L) productivity has risen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from syneff.errors import DataError, SpecError
from syneff.measure.directional import Distance, directional_distance, nonradial_distance
from syneff.measure.envelopment import describe
from syneff.measure.technology import Technology
from syneff.typing import Float, Int

Measure = Callable[[Technology], Distance]


@dataclass(frozen=True, eq=False)
class Productivity:
    """Changes from the previous period, with the proof of the distances that they come from.

    Attributes
    ----------
    change
        ``[dmu]``: the index (1 is no change) or the indicator (0 is none); NaN where the unit has no row in the previous
        period.
    efficiency_change, best_practice_change
        ``[dmu]``: its parts, whose product (index) or sum (indicator) it is.
    previous
        ``[dmu]``: row number of the same unit in the previous period; -1 for none.
    to_global, to_own
        Distances to the frontier of all periods, and to that of the own period.
    """

    change: Float[np.ndarray, " dmu"]
    efficiency_change: Float[np.ndarray, " dmu"]
    best_practice_change: Float[np.ndarray, " dmu"]
    previous: Int[np.ndarray, " dmu"]
    to_global: Distance
    to_own: Distance

    def summary(self, names: Sequence[object] | None = None) -> str:
        """Say in a sentence how many changes there are and how the programs ended; `names` are those of the rows."""
        status = np.maximum(self.to_global.status, self.to_own.status)
        gap = np.maximum(np.abs(self.to_global.gap), np.abs(self.to_own.gap))
        ended = describe(status, gap, self.to_own.returns, names)
        return f"{int((self.previous >= 0).sum())} changes from the previous period; {ended}"


def malmquist_luenberger(
    technology: Technology, unit: Sequence[Any] | np.ndarray, distance: Measure = directional_distance
) -> Productivity:
    """Measure the global Malmquist-Luenberger index and its parts.

    Parameters
    ----------
    technology
        Data with the period of each row, and returns to scale. Its reference set must be "global": the index itself
        takes the global and the contemporaneous frontier.
    unit
        ``[dmu]``: identifier of each row's unit.
    distance
        A radial distance, e.g. ``partial(directional_distance, disposability="strong")``; the default moves good and
        bad outputs, as Oh does.

    Returns
    -------
    Productivity
        Above 1 productivity has risen.

    Raises
    ------
    DataError
        If a unit has two rows in one period, or `unit` has another length than the data.
    SpecError
        If the technology has no periods, or another reference set.
    """
    previous, to_global, to_own = _distances(technology, unit, distance)
    change = _of(lambda now, before: (1.0 + before) / (1.0 + now), to_global.distance, previous)
    efficiency = _of(lambda now, before: (1.0 + before) / (1.0 + now), to_own.distance, previous)
    return Productivity(change, efficiency, change / efficiency, previous, to_global, to_own)


def luenberger(
    technology: Technology, unit: Sequence[Any] | np.ndarray, distance: Measure = nonradial_distance
) -> Productivity:
    """Measure the global Luenberger indicator and its parts.

    Parameters
    ----------
    technology, unit
        As for `malmquist_luenberger`.
    distance
        A distance, e.g. ``partial(nonradial_distance, weights={"good": [1.0], "bad": [1.0]})``, or a radial one.

    Returns
    -------
    Productivity
        Above 0 productivity has risen.

    Raises
    ------
    DataError
        If a unit has two rows in one period, or `unit` has another length than the data.
    SpecError
        If the technology has no periods, or another reference set.
    """
    previous, to_global, to_own = _distances(technology, unit, distance)
    change = _of(lambda now, before: before - now, to_global.distance, previous)
    efficiency = _of(lambda now, before: before - now, to_own.distance, previous)
    return Productivity(change, efficiency, change - efficiency, previous, to_global, to_own)


def _distances(
    technology: Technology, unit: Sequence[Any] | np.ndarray, distance: Measure
) -> tuple[np.ndarray, Distance, Distance]:
    """Return each row's predecessor, and the distances to the global and the contemporaneous frontier."""
    if not isinstance(technology.reference, str) or technology.reference != "global":
        raise SpecError(
            "a productivity index takes the global and the contemporaneous frontier by itself: leave reference='global'."
        )
    if technology.period is None:
        raise SpecError("a productivity index needs the period of each row. Give the technology period=.")
    previous = _previous(np.asarray(unit), np.asarray(technology.period))
    return previous, distance(technology), distance(replace(technology, reference="contemporaneous"))


def _previous(unit: np.ndarray, period: np.ndarray) -> Int[np.ndarray, " dmu"]:
    """Return the row number of the same unit in the period before, among those of the data; -1 for none."""
    if unit.shape != period.shape:
        raise DataError(f"unit has shape {unit.shape}; it must have one entry for each of the {period.size} rows.")
    time = np.unique(period, return_inverse=True)[1].ravel().tolist()
    rows: dict[tuple[Any, int], int] = {}
    for row, key in enumerate(zip(unit.tolist(), time, strict=True)):
        if key in rows:
            raise DataError(
                f"rows {rows[key]} and {row} are both unit {key[0]} in period {period[row]}. Keep one row a unit and period."
            )
        rows[key] = row
    return np.array([rows.get((name, at - 1), -1) for name, at in zip(unit.tolist(), time, strict=True)], dtype=int)


def _of(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], value: np.ndarray, previous: np.ndarray
) -> Float[np.ndarray, " dmu"]:
    """Apply a function of the value now and before; NaN where there is none before."""
    return np.where(previous >= 0, function(value, value[previous]), np.nan)
