r"""P-values adjusted for testing many hypotheses at once: the chance of *any* false rejection is held at the level.

==================  ==============================================================  ======================================
name                evidence against hypothesis *h*                                 what it knows of dependence
==================  ==============================================================  ======================================
`holm`              its p-value                                                     nothing: valid under any
`romano_wolf`       its t statistic, against the largest of the draws               what the joint draws hold
`westfall_young`    its p-value, against the smallest of the draws                  the same; every hypothesis counts alike
==================  ==============================================================  ======================================

All step down: the hypothesis with the most evidence is tested against all, the next against those that are left, and an
adjusted p-value is never below that of a hypothesis with more evidence. With ``n`` draws under the null and evidence ``e``,

.. math:: p_{(j)} = \max_{i \le j} \frac{1 + \#\{d : \max_{l \ge i} e^*_{d(l)} \ge e_{(i)}\}}{1 + n} .

A row of draws is one draw of all hypotheses: their dependence lies in it. A hypothesis without a statistic is left out (NaN),
and so is a draw that lacks a statistic for any of the others.

References
----------
Holm, S. (1979). Scandinavian Journal of Statistics 6, 65-70. https://www.jstor.org/stable/4615733
Romano, J. P. and Wolf, M. (2005). Econometrica 73, 1237-1282. https://doi.org/10.1111/j.1468-0262.2005.00615.x
Romano, J. P. and Wolf, M. (2016). Statistics and Probability Letters 113, 38-40. https://doi.org/10.1016/j.spl.2016.02.012
Westfall, P. H. and Young, S. S. (1993). Resampling-Based Multiple Testing. Wiley, algorithm 2.8.
Ge, Y., Dudoit, S. and Speed, T. P. (2003). TEST 12, 1-77. https://doi.org/10.1007/BF02595811
"""

import numpy as np

from syneff.typing import Bool, Float

TIE = 1e-12
"""Relative difference up to which a draw equals the statistic: small samples draw the real assignment again."""

Hypotheses = Float[np.ndarray, " hypothesis"]
Drawn = Float[np.ndarray, "draw hypothesis"]


def holm(pvalues: Hypotheses) -> Hypotheses:
    r"""Adjust p-values by Holm's step-down.

    .. math:: \tilde p_{(j)} = \max_{i \le j} \min\{(m - i + 1)\, p_{(i)}, 1\}

    Parameters
    ----------
    pvalues
        ``[hypothesis]``; NaN is no hypothesis.

    Returns
    -------
    array
        ``[hypothesis]``.
    """
    pvalues = np.asarray(pvalues, dtype=float)
    adjusted = np.full(pvalues.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(pvalues))
    order = tested[np.argsort(pvalues[tested], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * pvalues[order]), 1.0)
    return adjusted


def romano_wolf(statistics: Hypotheses, draws: Drawn) -> Hypotheses:
    """Adjust two-sided tests by Romano and Wolf's step-down of the largest absolute t statistic.

    Parameters
    ----------
    statistics
        ``[hypothesis]``: t statistics.
    draws
        ``[draw hypothesis]``: t statistics under the null; those of a bootstrap are ``(b* - b) / s*``.

    Returns
    -------
    array
        ``[hypothesis]``: adjusted p-values.
    """
    return _step_down(np.abs(statistics), np.abs(draws))


def westfall_young(pvalues: Hypotheses, draws: Drawn) -> Hypotheses:
    """Adjust p-values by Westfall and Young's step-down of the smallest p-value.

    Parameters
    ----------
    pvalues
        ``[hypothesis]``.
    draws
        ``[draw hypothesis]``: p-values of the same kind under the null, e.g. those of `rank_pvalues`.

    Returns
    -------
    array
        ``[hypothesis]``: adjusted p-values.
    """
    return _step_down(-np.asarray(pvalues), -np.asarray(draws))


def rank_pvalues(statistics: Hypotheses, draws: Drawn) -> tuple[Hypotheses, Drawn]:
    """Return the unadjusted p-value of each statistic among its own draws, and that of each draw.

    Statistic and draws are ranked together, ``#{|t'| >= |t|} / (1 + n)``, so the statistic has ``(1 + c) / (1 + n)`` and is,
    under the null, one more draw.

    Parameters
    ----------
    statistics
        ``[hypothesis]``: t statistics.
    draws
        ``[draw hypothesis]``: t statistics under the null.
    """
    tested, complete = _usable(statistics, draws)
    together = np.abs(np.vstack([statistics, draws]))
    ranked = np.full(together.shape, np.nan)
    rows = np.concatenate([[True], complete])
    for each in np.flatnonzero(tested):
        values = together[rows, each]
        below = np.searchsorted(np.sort(values), values * (1.0 - TIE))
        ranked[rows, each] = (values.size - below) / values.size
    if not complete.any():
        ranked[0] = np.nan
    return ranked[0], ranked[1:]


def complete_draws(statistics: Hypotheses, draws: Drawn) -> int:
    """Return how many draws have a statistic for every hypothesis that is tested."""
    return int(_usable(statistics, draws)[1].sum())


def _usable(statistics: Hypotheses, draws: Drawn) -> tuple[Bool[np.ndarray, " hypothesis"], Bool[np.ndarray, " draw"]]:
    tested = np.isfinite(statistics)
    return tested, np.isfinite(draws[:, tested]).all(1)


def _step_down(evidence: Hypotheses, draws: Drawn) -> Hypotheses:
    """Step down from the hypothesis with the most evidence, each against the maxima of the draws over those left."""
    tested, complete = _usable(evidence, draws)
    adjusted = np.full(evidence.shape, np.nan)
    n = int(complete.sum())
    if not n:
        return adjusted
    which = np.flatnonzero(tested)
    order = which[np.argsort(-evidence[which], kind="stable")]
    drawn = draws[complete][:, order]
    maxima = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]
    needed = evidence[order] - TIE * np.abs(evidence[order])
    extreme = (maxima >= needed[None, :]).sum(0)
    adjusted[order] = np.maximum.accumulate((1 + extreme) / (1 + n))
    return adjusted
