"""Draws that several parts of the country share: persistent scores, noise of mean one, and groups of a wanted share."""

import numpy as np

from syneff.typing import Float, HostUnitPeriod


def autoregressive(rng: np.random.Generator, shape: tuple[int, int], persistence: float) -> HostUnitPeriod:
    """Draw a stationary AR(1) of unit variance in every city, ``[unit period]``."""
    shocks = rng.standard_normal(shape)
    for t in range(1, shape[1]):
        shocks[:, t] = persistence * shocks[:, t - 1] + np.sqrt(1.0 - persistence**2) * shocks[:, t]
    return shocks


def factor(rng: np.random.Generator, shape: tuple[int, int], sd: float, persistence: float = 0.7) -> HostUnitPeriod:
    """Draw lognormal factors of mean 1 that persist, ``[unit period]``; `sd` is that of the logarithm.

    The mean of one matters: what is multiplied by it keeps its expectation, so a shift of a level stays a shift of that size.
    """
    return np.asarray(np.exp(sd * autoregressive(rng, shape, persistence) - 0.5 * sd**2))


def standard(score: Float[np.ndarray, " unit"]) -> Float[np.ndarray, " unit"]:
    """Scale a score to mean 0 and variance 1; one that does not vary becomes 0."""
    spread = score.std()
    return np.asarray((score - score.mean()) / spread if spread > 0 else np.zeros_like(score))


def highest(score: Float[np.ndarray, " unit"], share: float) -> Float[np.ndarray, " unit"]:
    """Return 1 for the given share of units with the highest scores, at least one unit and not all, and 0 for the others."""
    chosen = np.zeros(score.size)
    chosen[np.argsort(-score, kind="stable")[: min(max(1, round(share * score.size)), score.size - 1)]] = 1.0
    return chosen
