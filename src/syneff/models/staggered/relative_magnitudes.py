r"""Robust confidence sets under relative magnitudes: after adoption, trends part at most ``bound`` times as fast as before.

.. math::

    \Delta^{RM}(\bar M) = \{\delta: |\delta_t - \delta_{t-1}| \le \bar M \max_{s} |\delta_s - \delta_{s-1}|,\ t \ge 0\},
    \qquad s < 0

The set is a union over the period ``s`` and the sign of its largest difference ``v``, each a polyhedron, so its confidence set
is the union of theirs. For one of them and a value ``theta`` of the target, the moment inequalities have nuisance parameters,
the steps of the effect, that are linear in them. Since every step is in two inequalities only, the nuisance parameters can be
eliminated by hand: what is left are the target from above and from below, and ``-v <= 0`` (the vertices of the dual program).
The largest of these statistics, studentised as HonestDiD does, is tested conditionally on which one is the largest (a normal
truncated to where it stays the largest), after a first stage with a least favourable critical value of size ``alpha / 10``:
the hybrid "C-LF". Inequalities on periods before adoption alone are left out, unless there is one period after it only.

References
----------
Rambachan, A. and Roth, J. (2023). Review of Economic Studies 90, 2555-2591. https://doi.org/10.1093/restud/rdad018
Andrews, I., Roth, J. and Pakes, A. (2023). Review of Economic Studies 90, 2763-2791. https://doi.org/10.1093/restud/rdad004
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from syneff.models.staggered.event_path import EventPath
from syneff.typing import Bool, Float

METHODS = ("C-LF", "conditional")
FIRST_STAGE = 0.1
"""Share of the size that the first stage of the hybrid spends."""
GRID = 801
"""Points of the first search for the ends of a confidence set."""
HALVINGS = 40
REACH = 12.0
"""Standard errors beyond the identified set at which the search starts."""
FARTHEST = 1e3
"""Largest bound at which a breakdown is looked for."""
NOISE = 1e-10
"""Standard deviation, relative to the target's, below which a statistic is no random variable."""


@dataclass(frozen=True)
class Moments:
    """The statistics that are largest in turn, for one period and sign of the largest difference before adoption.

    Attributes
    ----------
    values
        ``[vertex]``: at a target of zero.
    slope
        ``[vertex]``: what a unit of the target adds.
    cov
        ``[vertex vertex]``.
    critical
        Least favourable critical value; infinite without a first stage.
    """

    values: Float[np.ndarray, " vertex"]
    slope: Float[np.ndarray, " vertex"]
    cov: Float[np.ndarray, "vertex vertex"]
    critical: float


@dataclass(frozen=True)
class RelativeMagnitudes:
    """Confidence sets of one target.

    Attributes
    ----------
    path
        The event study.
    weights
        ``[post]``: of the target on the periods that may have an effect.
    alpha
        One less the level.
    method
        One of `METHODS`.
    draws
        ``[time draw]``: draws of the path's errors, for the least favourable critical value.
    """

    path: EventPath
    weights: Float[np.ndarray, " post"]
    alpha: float
    method: str
    draws: Float[np.ndarray, "time draw"]

    @property
    def steps(self) -> Float[np.ndarray, " post"]:
        """Weights of the target on the steps of the effect: the sums of those from each period on."""
        return np.cumsum(self.weights[::-1])[::-1]

    @property
    def row(self) -> Float[np.ndarray, " time"]:
        """The target as weights on the path, relative to the last period before the effect."""
        return np.asarray(self.steps @ self.path.differences[self.path.first - 1 :])

    def identified(self, bound: float) -> tuple[float, float]:
        """Return the identified set if the estimates were exact: the target, and what the bound allows around it."""
        before = self.path.differences[: self.path.first - 1] @ self.path.coef
        half = bound * np.abs(before).max() * np.abs(self.steps).sum()
        centre = float(self.row @ self.path.coef)
        return centre - half, centre + half

    def identified_breakdown(self) -> float:
        """Return the bound from which on the identified set holds zero."""
        low, high = self.identified(1.0)
        return abs(high + low) / (high - low) if high > low else np.inf

    def accepts(self, values: Float[np.ndarray, " value"], bound: float) -> Bool[np.ndarray, " value"]:
        """Tell which values of the target are not rejected."""
        return self._accepts(self._moments(bound), values)

    def interval(self, bound: float) -> tuple[float, float, bool]:
        """Return the ends of the confidence set, and whether no value between them was found rejected."""
        low, high = self.identified(bound)
        centre, error = (low + high) / 2.0, float(np.sqrt(self.row @ self.path.cov @ self.row))
        half, moments = (high - low) / 2.0 + REACH * error, self._moments(bound)
        inside = np.zeros(1, dtype=bool)
        for _ in range(6):
            grid = np.linspace(centre - half, centre + half, GRID)
            inside = self._accepts(moments, grid)
            if not (inside[0] or inside[-1]):
                break
            half *= 2.0
        kept = np.flatnonzero(inside)
        if not kept.size or inside[0] or inside[-1]:
            return np.nan, np.nan, False
        good, bad = grid[kept[[0, -1]]], grid[[kept[0] - 1, kept[-1] + 1]]
        for _ in range(HALVINGS):
            middle = (good + bad) / 2.0
            held = self._accepts(moments, middle)
            good, bad = np.where(held, middle, good), np.where(held, bad, middle)
        return float(good[0]), float(good[1]), bool(inside[kept[0] : kept[-1] + 1].all())

    def breakdown(self) -> float:
        """Return the bound from which on zero is in the confidence set; 0 where it always is, infinite if not found."""
        zero = np.zeros(1)
        if self.accepts(zero, 0.0)[0]:
            return 0.0
        low, high = 0.0, 0.25
        while not self.accepts(zero, high)[0]:
            low, high = high, 2.0 * high
            if high > FARTHEST:
                return np.inf
        while high - low > 1e-4 * high:
            middle = (low + high) / 2.0
            low, high = (low, middle) if self.accepts(zero, middle)[0] else (middle, high)
        return high

    @property
    def _size(self) -> float:
        spent = FIRST_STAGE * self.alpha if self.method == "C-LF" else 0.0
        return (self.alpha - spent) / (1.0 - spent)

    def _accepts(self, several: Sequence[Moments], values: Float[np.ndarray, " value"]) -> Bool[np.ndarray, " value"]:
        """Tell which values some part of the union does not reject."""
        return np.asarray(np.any([_accepts(moments, values, self._size) for moments in several], axis=0))

    def _moments(self, bound: float) -> list[Moments]:
        found = []
        for s in range(self.path.first - 1):
            for sign in (1.0, -1.0):
                rows, slope = self._rows(s, sign, bound)
                scale = float(np.sqrt(self.row @ self.path.cov @ self.row))
                critical = np.inf
                if self.method == "C-LF":
                    critical = float(np.quantile((rows @ self.draws).max(0), 1.0 - FIRST_STAGE * self.alpha))
                values, cov = rows @ self.path.coef, rows @ self.path.cov @ rows.T
                still = np.sqrt(np.diagonal(cov)) < NOISE * np.abs(rows).max(1) * scale
                cov = np.where(still[:, None] | still[None, :], 0.0, cov)
                found.append(Moments(values, slope, cov, critical))
        return found

    def _rows(
        self, s: int, sign: float, bound: float
    ) -> tuple[Float[np.ndarray, "vertex time"], Float[np.ndarray, " vertex"]]:
        """Return the statistics as weights on the path, and what the target adds to each.

        A step ``d`` of the path and ``x`` of the effect satisfy ``d - x - M v <= eta s+`` and ``x - d - M v <= eta s-``, with
        ``s`` the standard errors of ``d - M v`` and ``-d - M v``. The smallest ``eta`` at which the steps can add up to the
        target is the largest of the statistics.
        """
        path, cov, steps = self.path, self.path.cov, self.steps
        after, largest = path.differences[path.first - 1 :], sign * path.differences[s]

        def errors(rows: Float[np.ndarray, "row time"]) -> Float[np.ndarray, " row"]:
            return np.asarray(np.sqrt(np.maximum(np.einsum("rt,tu,ru->r", rows, cov, rows), 0.0)))

        above, below = errors(after - bound * largest), errors(-after - bound * largest)
        slack = bound * np.abs(steps).sum() * largest
        upper = np.abs(steps) @ np.where(steps > 0, above, below)
        lower = np.abs(steps) @ np.where(steps > 0, below, above)
        rows, slope = [(self.row - slack) / upper, (-self.row - slack) / lower], [-1.0 / upper, 1.0 / lower]
        if after.shape[0] > 1:
            both = above + below
            rows += [-2.0 * bound * largest / both.min(), -2.0 * bound * largest / both.max()]
        else:
            before = path.differences[: path.first - 1]
            alone = np.concatenate([before, -before]) - largest
            alone = alone[np.abs(alone).max(1) > 0]
            rows += list(alone / errors(alone)[:, None])
        return np.stack(rows), np.asarray([*slope, *[0.0] * (len(rows) - 2)])


def _accepts(moments: Moments, values: Float[np.ndarray, " value"], size: float) -> Bool[np.ndarray, " value"]:
    """Test each value of the target; see the module."""
    statistics = moments.values + values[:, None] * moments.slope
    largest = statistics.argmax(1)
    eta = statistics.max(1)
    variance = np.diagonal(moments.cov)[largest]
    random = variance > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        onto = np.where(random[:, None], moments.cov[largest] / variance[:, None], 0.0)
        limit = (statistics - onto * eta[:, None]) / (1.0 - onto)
        # The largest statistic bounds itself nowhere, nor does one that moves with it one to one.
        low = np.where(1.0 - onto > NOISE, limit, -np.inf).max(1)
        high = np.where(1.0 - onto < -NOISE, limit, np.inf).min(1)
        sd = np.sqrt(variance)
        tail = _log_tail(eta / sd, low / sd, np.minimum(high, moments.critical) / sd)
    rejected = np.where(random, (eta > 0) & (tail < np.log(size)), eta > 0)
    return np.asarray(~(rejected | (eta > moments.critical)))


def _log_tail(
    statistic: Float[np.ndarray, " value"], low: Float[np.ndarray, " value"], high: Float[np.ndarray, " value"]
) -> Float[np.ndarray, " value"]:
    """Return the log of the chance that a standard normal in [low, high] exceeds the statistic."""
    return np.where(
        statistic < high, _log_between(statistic, high) - _log_between(np.minimum(low, statistic), high), 0.0
    )


def _log_between(start: Float[np.ndarray, " value"], end: Float[np.ndarray, " value"]) -> Float[np.ndarray, " value"]:
    """Return the log of the chance of a standard normal between two numbers."""
    below, above = log_ndtr(-start), log_ndtr(-end)
    return np.asarray(below + np.log1p(-np.exp(np.minimum(above - below, 0.0))))
