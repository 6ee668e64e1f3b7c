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
    explained = {subset: _explained(known, subset, values) for subset in _subsets(varying)}
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


def _explained(frame: pd.DataFrame, subset: frozenset[str], values: str) -> float:
    """Return the variance of the mean given the choices on some axes."""
    if not subset:
        return 0.0
    means = frame.groupby(sorted(subset), sort=False)[values].transform("mean")
    return float(means.var(ddof=0))
