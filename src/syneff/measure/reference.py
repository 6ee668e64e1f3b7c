r"""Reference sets: which rows span the frontier that a row is compared with.

With the periods of the data in order and numbered ``1 .. T``, a row of period *t* is compared with the rows of the periods

=================  ====================================================================================================
``global``         ``1 .. T``: all rows (Pastor and Lovell 2005, doi:10.1016/j.econlet.2005.02.013)
``contemporaneous``  ``t``: its own period
``sequential``     ``1 .. t``: nothing that was once possible is forgotten (Tulkens and Vanden Eeckaut 1995,
                   doi:10.1016/0377-2217(94)00132-V)
``window``         *w* periods around its own: ``t - floor((w-1)/2)`` and the ``w - 1`` that follow it. An odd width is
                   centred, an even one looks one period further ahead. At both ends the window is pushed inwards and keeps
                   its width, so ``w = 1`` is contemporaneous, ``w = T`` global
``biennial``       its own and the next, in the last period the one before: a window of 2 (Pastor, Asmild and Lovell 2011,
                   doi:10.1016/j.seps.2010.09.001)
=================  ====================================================================================================

Periods count as they occur in the data: after 2004 and 2006 alone, the next of 2004 is 2006. A boolean mask of rows stands in
for all of these; rows outside it are measured against it. Labels of groups narrow any of them down to the row's own group, and
so give the group frontiers that a meta-frontier envelops (`syneff.measure.metafrontier`).
"""

import numpy as np

from syneff.errors import DataError, SpecError, one_of

REFERENCES = ("global", "contemporaneous", "sequential", "window", "biennial")

Groups = list[tuple[np.ndarray, np.ndarray]]


def reference_groups(
    rows: int,
    reference: str | np.ndarray,
    *,
    period: np.ndarray | None,
    window: int | None,
    group: np.ndarray | None,
) -> Groups:
    """Return the rows that share a reference set, with that set.

    Parameters
    ----------
    rows
        Number of rows.
    reference
        A name in `REFERENCES`, or a boolean mask ``[dmu]``.
    period
        ``[dmu]``: periods, without missing ones; may be None for a global reference or a mask.
    window
        Number of periods, for ``reference="window"`` alone.
    group
        ``[dmu]``: labels, without missing ones, or None.

    Returns
    -------
    list
        Pairs of row numbers: those to evaluate, and those that span their frontier. Every row is evaluated once.

    Raises
    ------
    SpecError
        If the reference is unknown, or its period or window is missing or out of range.
    DataError
        If a group has no row in its reference set.
    """
    mask, first, last, time = _spans(rows, reference, period, window)
    label = np.zeros(rows, dtype=int) if group is None else np.unique(group, return_inverse=True)[1].reshape(rows)
    key = np.stack([first[time], last[time], label], axis=1)
    found = []
    for low, high, which in np.unique(key, axis=0):
        evaluated = np.flatnonzero((key == (low, high, which)).all(axis=1))
        spanning = np.flatnonzero(mask & (time >= low) & (time <= high) & (label == which))
        if not spanning.size:
            name = "" if group is None else f" group {group[evaluated[0]]!s}"
            raise DataError(
                f"the reference mask has no row of{name}, to which row {evaluated[0]} belongs. "
                "Widen the mask, or measure without group=."
            )
        found.append((evaluated, spanning))
    return found


def _spans(
    rows: int, reference: str | np.ndarray, period: np.ndarray | None, window: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return which rows may span a frontier, the first and last period of each period's reference, each row's period."""
    everyone = np.ones(rows, dtype=bool)
    if window is not None and (not isinstance(reference, str) or reference != "window"):
        raise SpecError(
            f"window={window} belongs to reference='window' alone. Leave window out, or use that reference."
        )
    if not isinstance(reference, str):
        if reference.dtype != bool or not reference.any():
            raise SpecError(
                f"a reference mask must be boolean, with at least one True. Or use {', '.join(REFERENCES)}."
            )
        return reference, np.zeros(1, dtype=int), np.zeros(1, dtype=int), np.zeros(rows, dtype=int)
    one_of("reference", reference, REFERENCES)
    if reference == "global":
        return everyone, np.zeros(1, dtype=int), np.zeros(1, dtype=int), np.zeros(rows, dtype=int)
    if period is None:
        raise SpecError(f"reference={reference!r} needs the period of each row. Give period=, or use 'global'.")
    time = np.unique(period, return_inverse=True)[1].reshape(rows)
    own = np.arange(time.max() + 1)
    if reference == "contemporaneous":
        return everyone, own, own, time
    if reference == "sequential":
        return everyone, np.zeros_like(own), own, time
    width = min(2, own.size) if reference == "biennial" else _width(window, own.size)
    first = np.clip(own - (width - 1) // 2, 0, own.size - width)
    return everyone, first, first + width - 1, time


def _width(window: int | None, periods: int) -> int:
    """Return the width of the window, checked."""
    if window is None:
        raise SpecError(f"reference='window' needs window=, a number of periods from 1 to {periods}.")
    if isinstance(window, bool) or window != int(window) or not 1 <= window <= periods:
        raise SpecError(
            f"window={window}: the data have {periods} periods, so it must be a whole number from 1 to that."
        )
    return int(window)
