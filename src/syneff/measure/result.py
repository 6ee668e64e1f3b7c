"""What comes out of a slacks-based measure: scores with the proof, projections, and what a reader should know."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from syneff.numerics.linear_program import Status
from syneff.typing import Bool, Float, Int

HIGH = 1.5  # a score above it is reported
AT_CAP = 1e-6  # how near to its upper bound a score counts as being there


@dataclass(frozen=True, eq=False)
class Peers:
    """The reference units that make up each unit's target.

    Attributes
    ----------
    index
        ``[dmu peer]``: row numbers; -1 where there are fewer peers than columns.
    intensity
        ``[dmu peer]``: their multipliers lambda; 0 where there is none.
    """

    index: Int[np.ndarray, "dmu peer"]
    intensity: Float[np.ndarray, "dmu peer"]


@dataclass(frozen=True, eq=False)
class Targets:
    """The projections of the units on the frontier, in the units of the data.

    Attributes
    ----------
    inputs, good, bad
        ``x - slack_inputs``, ``y + slack_good``, ``b - slack_bad``.
    """

    inputs: Float[np.ndarray, "dmu input"]
    good: Float[np.ndarray, "dmu good"]
    bad: Float[np.ndarray, "dmu bad"]


@dataclass(frozen=True, eq=False)
class ShadowPrices:
    """Dual variables of the data rows: what a unit of each variable is worth to the score.

    The marginal rate of substitution of a bad and a good output, ``bad / good``, times the price of the good output is the
    cost of abating one more unit of the bad one. NaN where the prices are not unique: at a corner of the frontier, as for
    every unit that SBM scores 1 (whose prices Super-SBM fixes), a whole range of prices supports the same score.

    Attributes
    ----------
    inputs, good, bad
        ``[dmu input]`` and so on, in score per unit of the variable; not negative.
    """

    inputs: Float[np.ndarray, "dmu input"]
    good: Float[np.ndarray, "dmu good"]
    bad: Float[np.ndarray, "dmu bad"]


@dataclass(frozen=True)
class Outliers:
    """How many scores stand out.

    Attributes
    ----------
    scored
        Number of units that have a score.
    high
        How many score above `HIGH`, 1.5.
    capped
        How many score at the upper bound of the programme: their reference units shrink to nothing, and the score says no
        more than "beyond the others".
    cap
        That bound, the largest over the units; infinite where there is none.
    """

    scored: int
    high: int
    capped: int
    cap: float

    @property
    def share(self) -> float:
        """Share of the scores above 1.5; NaN if there is no score."""
        return self.high / self.scored if self.scored else float("nan")

    def sentence(self) -> str:
        """Say it in words; empty if no score stands out."""
        parts = [f"{self.high} of {self.scored} scores ({self.share:.1%}) are above {HIGH:g}"] if self.high else []
        if self.capped:
            parts.append(f"{self.capped} of {self.scored} scores are at the cap of {self.cap:.6g}")
        return "; ".join(parts)


@dataclass(frozen=True, eq=False)
class Efficiency:
    """Scores with the proof that belongs to them.

    Scores are unique; slacks and peers need not be. Where they are not, they are those of the analytic centre of all optima,
    which does not depend on the order of rows (`syneff.numerics.optimal_face`). Slacks are signed so that the target is
    ``x - slack_inputs``, ``y + slack_good``, ``b - slack_bad`` in both stages: they are positive for an inefficient unit, and
    negative for a super-efficient one, whose target is worse than itself.

    Attributes
    ----------
    score
        ``[dmu]``; NaN where the programme is infeasible.
    status
        ``[dmu]``: `Status` codes of the programme that gave the score.
    gap
        ``[dmu]``: objective less a lower bound proved by a dual point that prices every reference unit.
    resolved
        ``[dmu]``: whether the programme was a straggler, which the solver left without a certificate and another attempt, in
        rational numbers if need be, solved.
    slack_inputs, slack_good, slack_bad
        ``[dmu input]`` and so on, in the units of the data.
    targets
        The projections that the slacks lead to.
    peers
        Reference units and their intensities.
    prices
        Shadow prices.
    cap
        ``[dmu]``: upper bound of the score, ``(s + q)/q`` with equal weights, where the programme has one; else infinite.
    returns, orientation
        The options, for the messages.
    remarks
        What a reader should know about the data.
    """

    score: Float[np.ndarray, " dmu"]
    status: Int[np.ndarray, " dmu"]
    gap: Float[np.ndarray, " dmu"]
    resolved: Bool[np.ndarray, " dmu"]
    slack_inputs: Float[np.ndarray, "dmu input"]
    slack_good: Float[np.ndarray, "dmu good"]
    slack_bad: Float[np.ndarray, "dmu bad"]
    targets: Targets
    peers: Peers
    prices: ShadowPrices
    cap: Float[np.ndarray, " dmu"]
    returns: str
    orientation: str
    remarks: tuple[str, ...] = ()

    @property
    def outliers(self) -> Outliers:
        """How many scores are above 1.5, and at the cap."""
        known = np.isfinite(self.score)
        score = np.where(known, self.score, 0.0)
        high, capped = score > HIGH, known & (score >= self.cap - AT_CAP)
        return Outliers(int(known.sum()), int(high.sum()), int(capped.sum()), float(self.cap.max()))

    def summary(self, names: Sequence[object] | None = None) -> str:
        """Say in a sentence how the programmes ended, which did not end well, and what stands out.

        Parameters
        ----------
        names
            Names of the rows, e.g. city and year; row numbers if None.
        """
        rows = self.score.size
        parts = []
        for code in np.unique(self.status[self.status != Status.OPTIMAL]).tolist():
            found = np.flatnonzero(self.status == code)
            first = f"first: {_first(found, names)}; {self._remedy(code)}"
            parts.append(f"{found.size} of {rows} programs are {self._words(code)} ({first})")
        again = np.flatnonzero(self.resolved & (self.status != Status.NOT_CERTIFIED))
        if again.size:
            parts.append(
                f"{again.size} of {rows} programs were stragglers, solved again (first: {_first(again, names)})"
            )
        optimal = self.status == Status.OPTIMAL
        gap = float(np.max(np.abs(self.gap[optimal]), initial=0.0))
        parts.append(f"{int(optimal.sum())} of {rows} programs are certified optimal, largest gap {gap:.1e}")
        return "; ".join(part for part in (*parts, self.outliers.sentence(), *self.remarks) if part)

    def _words(self, code: int) -> str:
        """Say how a programme ended."""
        words = Status(code).name.lower().replace("_", " ")
        return f"{words} under {self.returns}" if code == Status.INFEASIBLE else words

    def _remedy(self, code: int) -> str:
        """Say what the user can change."""
        if code != Status.INFEASIBLE:
            return "their scores are approximate: look for extreme values in their rows"
        if self.returns in ("vrs", "ndrs"):
            return "use returns=crs" if self.orientation == "none" else "use returns=crs or orientation=none"
        if self.orientation != "none":
            return "use orientation=none"
        return "they are beyond the frontier of others, which super_efficiency=true scores, or there are no others"


def _first(rows: Int[np.ndarray, " few"], names: Sequence[object] | None) -> str:
    """Name the first three rows."""
    return ", ".join(str(names[row]) if names is not None else f"row {row}" for row in rows[:3])
