r"""Zeros in the data of a slacks-based measure, which divides every slack by the unit's own value.

Three policies, of which the first is the default:

* ``error``: name the rows.
* ``replace``: put a hundredth of the smallest positive value of the column.
* ``drop``: leave the slack's term out of that unit's mean (Tone 2001, doi:10.1016/S0377-2217(99)00407-5), whose other terms
  keep their relative weights. The row of the programme remains: with ``x_io = 0`` it reads
  ``sum_j x_ij Lambda_j + S_i = 0``, so that only units which use none of the input are references of a unit that uses none,
  and likewise for a bad output. In the second stage the same holds: to use any is infinitely worse than none. With
  ``y_ro = 0`` the row ``sum_j y_rj Lambda_j - S_r = 0`` binds nobody. So the programme of such a unit is one with fewer rows,
  against fewer references. The slacks of dropped terms are reported as 0.

A unit needs one positive input and one positive good output.
"""

import numpy as np

from syneff.errors import DataError
from syneff.measure.reference import Groups

ZEROS = ("error", "drop", "replace")


def check_zeros(inputs: np.ndarray, good: np.ndarray) -> None:
    """Raise a `DataError` if a unit has no positive input, or no positive good output."""
    for name, block in (("input", inputs), ("good output", good)):
        empty = np.flatnonzero((block == 0).all(axis=1))
        if empty.size:
            raise DataError(
                f"{empty.size} rows have no positive {name} (first: row {empty[0]}). Leave them out: "
                "they produce from nothing, or nothing."
            )


def replace_zeros(block: np.ndarray) -> np.ndarray:
    """Return the block with zeros replaced by a hundredth of the smallest positive value of their column."""
    smallest = np.min(np.where(block > 0, block, np.inf), axis=0, initial=np.inf)
    return np.where(block == 0, smallest / 100, block)


def zero_patterns(values: np.ndarray, groups: Groups, free: slice) -> list[tuple[np.ndarray, np.ndarray, Groups]]:
    """Split units by where they have zeros.

    Parameters
    ----------
    values
        ``[dmu data]``, not negative.
    groups
        Rows to evaluate and their references.
    free
        The good outputs, a zero in which does not narrow the references.

    Returns
    -------
    list
        For each pattern: the columns that are positive, the rows that have it, and their groups, in which references without
        the zeros that narrow are left out.
    """
    zero = np.asarray(values == 0)
    found = []
    for pattern in np.unique(zero, axis=0):
        rows = np.flatnonzero((zero == pattern).all(axis=1))
        narrow = pattern.copy()
        narrow[free] = False
        comparable = np.flatnonzero(zero[:, narrow].all(axis=1))
        pairs = [(np.intersect1d(each, rows), np.intersect1d(reference, comparable)) for each, reference in groups]
        own = [pair for pair in pairs if pair[0].size]
        for evaluated, reference in own:
            if not reference.size:
                raise DataError(
                    f"no reference row has the zeros of row {evaluated[0]}, which alone uses or emits nothing there. "
                    "Use zeros=replace, or a wider reference."
                )
        found.append((np.flatnonzero(~pattern), rows, own))
    return found
