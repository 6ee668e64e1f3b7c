"""What is measured, and what comes out: a technology and the efficiency of its units."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from syneff.errors import DataError, SpecError, one_of
from syneff.numerics.linear_program import Status
from syneff.typing import Array, Float, Int

RETURNS = ("crs", "vrs", "nirs", "ndrs")
REFERENCES = ("global", "contemporaneous")
LATER = ("sequential", "window", "biennial")


@dataclass(frozen=True, eq=False)
class Technology:
    """Data of the decision-making units and what spans their frontier.

    Attributes
    ----------
    inputs, good, bad
        ``[dmu input]``, ``[dmu good]``, ``[dmu bad]``: positive, in any units of measurement, NumPy or JAX; `bad`
        may be left out.
    period
        ``[dmu]``: period of each row; needed for ``reference="contemporaneous"``.
    returns
        Returns to scale: "crs", "vrs", "nirs" (non-increasing) or "ndrs" (non-decreasing).
    reference
        "global" (all rows), "contemporaneous" (the rows of the same period), or a boolean mask ``[dmu]`` of the rows that span
        the frontier; rows outside the mask are measured against it.

    Raises
    ------
    DataError
        If shapes disagree or a value is not finite and positive; the message names the rows.
    SpecError
        If an option is unknown, or not available yet.
    """

    inputs: np.ndarray | Array
    good: np.ndarray | Array
    bad: np.ndarray | Array | None = None
    period: np.ndarray | Array | Sequence[Any] | None = None
    returns: str = "crs"
    reference: str | np.ndarray | Array = "global"

    def __post_init__(self) -> None:
        one_of("returns", self.returns, RETURNS)
        inputs = _positive("inputs", self.inputs, None)
        good = _positive("good", self.good, inputs.shape[0])
        bad = np.empty((inputs.shape[0], 0)) if self.bad is None else _positive("bad", self.bad, inputs.shape[0])
        for name, value in {"inputs": inputs, "good": good, "bad": bad}.items():
            object.__setattr__(self, name, value)
        if self.period is not None:
            object.__setattr__(self, "period", _per_row("period", self.period, inputs.shape[0]))
        self._check_reference(inputs.shape[0])

    def _check_reference(self, rows: int) -> None:
        """Check the reference set, and turn a mask into a NumPy array."""
        if isinstance(self.reference, str):
            if self.reference in LATER:
                raise SpecError(
                    f"reference={self.reference!r} is not available yet. "
                    f"Allowed: {', '.join(REFERENCES)}, or a boolean mask of rows."
                )
            one_of("reference", self.reference, REFERENCES)
            if self.reference == "contemporaneous" and self.period is None:
                raise SpecError(
                    "reference='contemporaneous' needs the period of each row. Give period=, or use 'global'."
                )
            return
        mask = _per_row("reference", self.reference, rows)
        if mask.dtype != bool or not mask.any():
            raise SpecError(
                "a reference mask must be boolean, with at least one True. Or use 'global' or 'contemporaneous'."
            )
        object.__setattr__(self, "reference", mask)

    @property
    def rows(self) -> int:
        """Number of decision-making units."""
        return int(self.inputs.shape[0])


def _positive(name: str, values: Any, rows: int | None) -> np.ndarray:
    """Return a block of data as a NumPy matrix, checked."""
    block = np.asarray(values, dtype=float)
    if block.ndim != 2 or block.shape[1] == 0 or block.shape[0] == 0:
        raise DataError(f"{name} has shape {block.shape}; it must be [dmu, variable], with at least one of each.")
    if rows is not None and block.shape[0] != rows:
        raise DataError(
            f"{name} has {block.shape[0]} rows, but inputs has {rows}. Give one row a decision-making unit."
        )
    wrong = np.argwhere(~(np.isfinite(block) & (block > 0)))
    if wrong.size:
        shown = ", ".join(f"row {row} column {column}: {block[row, column]:g}" for row, column in wrong[:5])
        raise DataError(
            f"{name}: {len(wrong)} values are not positive and finite ({shown}{', ...' if len(wrong) > 5 else ''}). "
            "Slacks-based efficiency divides by every value: leave these rows out, or replace the values."
        )
    return block


def _per_row(name: str, values: Any, rows: int) -> np.ndarray:
    """Return a vector with one entry a row, checked."""
    vector = np.asarray(values)
    if vector.shape != (rows,):
        raise DataError(f"{name} has shape {vector.shape}; it must have one entry for each of the {rows} rows.")
    return vector


@dataclass(frozen=True, eq=False)
class Peers:
    """The reference units that make up each unit's target, at the vertex that the solver ended at.

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
class Efficiency:
    """Scores with the proof that belongs to them.

    Scores are unique; slacks and peers need not be, and are those of one optimal vertex. Slacks are signed so that the target
    is ``x - slack_inputs``, ``y + slack_good``, ``b - slack_bad`` in both stages: they are positive for an inefficient unit,
    and negative for a super-efficient one, whose target is worse than itself.

    Attributes
    ----------
    score
        ``[dmu]``; NaN where the programme is infeasible.
    status
        ``[dmu]``: `Status` codes of the programme that gave the score.
    gap
        ``[dmu]``: objective less a lower bound proved by a dual point that prices every reference unit.
    slack_inputs, slack_good, slack_bad
        ``[dmu input]`` and so on, in the units of the data.
    peers
        Reference units and their intensities.
    returns, orientation
        The options, for the messages.
    """

    score: Float[np.ndarray, " dmu"]
    status: Int[np.ndarray, " dmu"]
    gap: Float[np.ndarray, " dmu"]
    slack_inputs: Float[np.ndarray, "dmu input"]
    slack_good: Float[np.ndarray, "dmu good"]
    slack_bad: Float[np.ndarray, "dmu bad"]
    peers: Peers
    returns: str
    orientation: str

    def summary(self, names: Sequence[object] | None = None) -> str:
        """Say in a sentence how the programmes ended, and which did not end well.

        Parameters
        ----------
        names
            Names of the rows, e.g. city and year; row numbers if None.
        """
        rows = self.score.size
        parts = []
        for code, words in (
            (Status.INFEASIBLE, f"infeasible under {self.returns}"),
            (Status.NOT_CERTIFIED, "not certified"),
        ):
            found = np.flatnonzero(self.status == code)
            if found.size:
                shown = [str(names[row]) if names is not None else f"row {row}" for row in found[:3]]
                parts.append(
                    f"{found.size} of {rows} programs are {words} (first: {', '.join(shown)}; {self._remedy(code)})"
                )
        optimal = self.status == Status.OPTIMAL
        gap = float(np.max(np.abs(self.gap[optimal]), initial=0.0))
        parts.append(f"{int(optimal.sum())} of {rows} programs are certified optimal, largest gap {gap:.1e}")
        return "; ".join(parts)

    def _remedy(self, code: Status) -> str:
        """Say what the user can change."""
        if code == Status.NOT_CERTIFIED:
            return "their scores are approximate: look for extreme values in their rows"
        return "use returns=crs" if self.orientation == "none" else "use returns=crs or orientation=none"
