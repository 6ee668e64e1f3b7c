r"""How much of the variance of the effects each choice accounts for.

With ``V(S)`` the variance of the mean effect given the choices on the axes in *S*, the Shapley share of an axis is the average,
over all orders in which axes could be revealed, of what it adds,

.. math:: \phi_a = \sum_{S \not\ni a} \frac{|S|! (d - |S| - 1)!}{d!} \, \frac{V(S \cup a) - V(S)}{V(\text{all})} .

Shares are nonnegative and add up to one, also where axes interact or the grid has holes.

References
----------
Owen, A. B. (2014). Sobol' indices and Shapley value. SIAM/ASA Journal on Uncertainty Quantification 2, 245-251.
https://doi.org/10.1137/130936233
"""

from collections.abc import Sequence
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd


def shapley_shares(frame: pd.DataFrame, axes: Sequence[str], values: str) -> dict[str, float]:
    """Return the share of the variance of a column that each axis accounts for.

    Parameters
    ----------
    frame
        One row a specification, with the choice on each axis; rows without a value do not count.
    axes
        Names of the axes.
    values
        Name of the column.

    Returns
    -------
    dict
        A share an axis; 0 for one on which all agree, NaN if the values do not vary.
    """
    known = frame[np.isfinite(frame[values])]
    varying = [axis for axis in axes if known[axis].nunique() > 1]
    shares = dict.fromkeys(axes, 0.0)
    explained = _explained(known, varying, values) if varying else {frozenset(): 0.0}
    total = explained[frozenset(varying)]
    if not total > 0:
        return dict.fromkeys(axes, float("nan"))
    count = len(varying)
    for axis in varying:
        for subset in _subsets([each for each in varying if each != axis]):
            weight = factorial(len(subset)) * factorial(count - len(subset) - 1) / factorial(count)
            # A finer partition never explains less: below 0 there is but rounding, which a table would print as -0.0.
            shares[axis] += weight * max(0.0, explained[subset | {axis}] - explained[subset]) / total
    return shares


def _subsets(axes: Sequence[str]) -> list[frozenset[str]]:
    return [frozenset(chosen) for size in range(len(axes) + 1) for chosen in combinations(axes, size)]


def _explained(frame: pd.DataFrame, axes: Sequence[str], values: str) -> dict[frozenset[str], float]:
    """Return the variance of the mean given the choices on every subset of the axes.

    Sums and counts stand on a grid of the axes, a cell a combination of choices; an axis that is not given is summed over. The
    grid has hardly more cells than there are specifications, and frames would be grouped once a subset.
    """
    codes = [pd.factorize(frame[axis])[0] for axis in axes]
    shape = tuple(int(each.max()) + 1 for each in codes)
    cell = np.ravel_multi_index(codes, shape)
    centred = (frame[values] - frame[values].mean()).to_numpy(dtype=float)
    sums, counts = (np.bincount(cell, each, np.prod(shape)).reshape(shape) for each in (centred, None))
    found: dict[frozenset[str], float] = {}

    def visit(sums: np.ndarray, counts: np.ndarray, given: tuple[str, ...], rest: Sequence[str]) -> None:
        if not rest:
            found[frozenset(given)] = float((sums**2 / np.maximum(counts, 1)).sum() / counts.sum())
            return
        visit(sums, counts, (*given, rest[0]), rest[1:])
        without = [np.asarray(each.sum(axis=len(given))) for each in (sums, counts)]
        visit(without[0], without[1], given, rest[1:])

    visit(sums, counts, (), axes)
    return found | {frozenset(): 0.0}
