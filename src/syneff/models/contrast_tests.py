"""Tests of differences between groups: of a covariance, of two fits, and of permuted labels."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from scipy import special

from syneff.models.base import Estimate, Test
from syneff.models.resampling.intervals import monte_carlo_error

Pairs = Sequence[tuple[int, int]]
"""Numbers of the two groups of each difference."""


def differences(pairs: Pairs, count: int) -> np.ndarray:
    """Return the matrix of differences ``[pair group]``."""
    rows = np.zeros((len(pairs), count))
    for at, (first, second) in enumerate(pairs):
        rows[at, first], rows[at, second] = 1.0, -1.0
    return rows


def pair_name(names: tuple[str, ...], pair: tuple[int, int]) -> str:
    """Return the name of a difference: ``<first>-<second>``."""
    return f"{names[pair[0]]}-{names[pair[1]]}"


def pair_dof(pairs: Pairs, cov: np.ndarray, dof: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom of each difference: those in common, or Welch's of independent fits ``[group]``."""
    if dof.ndim == 0:
        return np.full(len(pairs), float(dof))
    variances = cov.diagonal()
    groups = np.asarray(pairs)
    own, free = variances[groups], dof[groups]
    return np.asarray(own.sum(1) ** 2 / (own**2 / free).sum(1))


def contrast_tests(
    names: tuple[str, ...],
    pairs: Pairs,
    coef: np.ndarray,
    cov: np.ndarray,
    dof: np.ndarray,
    *,
    separate: tuple[Estimate, ...],
) -> tuple[Test, ...]:
    """Return the joint Wald test, with several pairs that of each, and the z tests of separate fits.

    Parameters
    ----------
    names, pairs
        Groups and their differences.
    coef, cov, dof
        ``[group]``, ``[group group]``; ``[group]`` of independent fits, else one: what differs, its covariance and degrees of
        freedom.
    separate
        The fit of each group, whose first coefficient is it; none where one regression holds all.
    """
    tests = [_wald("wald_difference", pairs, coef, cov, dof)]
    several = len(pairs) > 1
    for pair in pairs:
        tail = f":{pair_name(names, pair)}" if several else ""
        if several:
            tests.append(_wald(f"wald_difference{tail}", [pair], coef, cov, dof))
        if separate:
            first, second = (separate[each] for each in pair)
            z = float((first.coef[0] - second.coef[0]) / np.sqrt(float(first.cov[0, 0] + second.cov[0, 0])))
            tests.append(_test(f"z_difference{tail}", z, np.nan, np.nan, float(2.0 * special.ndtr(-abs(z)))))
    return tuple(tests)


def fisher_tests(
    names: tuple[str, ...], pairs: Pairs, actual: np.ndarray, draws: np.ndarray
) -> tuple[tuple[Test, ...], dict[str, float]]:
    """Compare differences with those of permuted labels.

    Parameters
    ----------
    names, pairs
        Groups and their differences.
    actual, draws
        ``[pair]``, ``[draw pair]``.

    Returns
    -------
    tuple
        The test of the largest difference, with several pairs that of each; and the number of permutations, with one pair
        the one-sided p-values too.
    """
    joint = _permutation_test("fisher_permutation", float(np.abs(actual).max()), np.abs(draws).max(1, initial=0.0))
    stats = {"permutations": float(draws.shape[0])}
    if len(pairs) == 1:
        stats["fisher_p_greater"] = share_beyond(draws[:, 0], float(actual[0]))
        stats["fisher_p_less"] = share_beyond(-draws[:, 0], -float(actual[0]))
        return (joint,), stats
    each = [
        _permutation_test(f"fisher_permutation:{pair_name(names, pair)}", float(abs(actual[at])), np.abs(draws[:, at]))
        for at, pair in enumerate(pairs)
    ]
    return (joint, *each), stats


def share_beyond(draws: np.ndarray, actual: float) -> float:
    """Return ``(1 + #{draws >= actual}) / (1 + n)``; a draw that is equal up to rounding is a tie."""
    if not draws.size or not np.isfinite(actual):
        return float("nan")
    return float((1 + (draws >= actual - 1e-10 * abs(actual)).sum()) / (1 + draws.size))


def _permutation_test(name: str, actual: float, draws: np.ndarray) -> Test:
    pvalue = share_beyond(draws, actual)
    return _test(name, actual, np.nan, np.nan, pvalue, error=monte_carlo_error(pvalue, draws.size))


def _wald(name: str, pairs: Pairs, coef: np.ndarray, cov: np.ndarray, dof: np.ndarray) -> Test:
    gaps = differences(pairs, coef.size)
    difference, spread = gaps @ coef, gaps @ cov @ gaps.T
    if not (np.isfinite(difference).all() and np.isfinite(spread).all()):
        return _test(name, np.nan, np.nan, np.nan, np.nan)
    rank = int(np.linalg.matrix_rank(gaps))
    statistic = float(difference @ np.linalg.pinv(spread, rcond=1e-10, hermitian=True) @ difference) / rank
    free = float(np.min(pair_dof(pairs, cov, dof)))
    return _test(name, statistic, float(rank), free, float(special.fdtrc(rank, free, statistic)))


def _test(name: str, statistic: float, dof: float, below: float, pvalue: float, *, error: float = np.nan) -> Test:
    value, rank, free, p_value, of_draws = (jnp.asarray(float(each)) for each in (statistic, dof, below, pvalue, error))
    return Test(value, rank, free, p_value, name, error=of_draws)
