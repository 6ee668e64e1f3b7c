"""What is measured: the data of the decision-making units, and what spans the frontier of each.

A column that is constant, or proportional to another, is no error: one constant input is how a model without inputs is
written, and Tone's own example has one. It is a remark that travels with the result, as is a frontier of fewer units than
variables.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from syneff.errors import DataError, SpecError, one_of
from syneff.measure.reference import Groups, reference_groups
from syneff.measure.zeros import ZEROS, check_zeros, replace_zeros
from syneff.typing import Array

RETURNS = ("crs", "vrs", "nirs", "ndrs")


@dataclass(frozen=True, eq=False)
class Technology:
    """Data of the decision-making units and what spans their frontier.

    Attributes
    ----------
    inputs, good, bad
        ``[dmu input]``, ``[dmu good]``, ``[dmu bad]``: positive, in any units of measurement, NumPy or JAX; `bad`
        may be left out.
    period
        ``[dmu]``: period of each row; only a global reference or a mask does without.
    returns
        Returns to scale: "crs", "vrs", "nirs" (non-increasing) or "ndrs" (non-decreasing).
    reference
        "global" (all rows), "contemporaneous" (the rows of the same period), "sequential" (those up to it), "window" (those
        around it), "biennial" (those of it and the next), or a boolean mask ``[dmu]`` of the rows that span the frontier;
        rows outside the mask are measured against it. See `syneff.measure.reference`.
    window
        Number of periods of ``reference="window"``.
    group
        ``[dmu]``: labels; each row is then compared with its own group alone.
    zeros
        What to do about zeros: "error", "drop" or "replace"; see `syneff.measure.zeros`.
    variables
        Names of the inputs, good and bad outputs, in this order, for remarks; "inputs column 0" and so on if None.
    groups
        Made from the above: the rows that share a reference set, with that set.
    remarks
        Made from the above: what a reader of the scores should know about the data.

    Raises
    ------
    DataError
        If shapes disagree or a value is not finite and positive; the message names the rows.
    SpecError
        If an option is not allowed.
    """

    inputs: np.ndarray | Array
    good: np.ndarray | Array
    bad: np.ndarray | Array | None = None
    period: np.ndarray | Array | Sequence[Any] | None = None
    returns: str = "crs"
    reference: str | np.ndarray | Array = "global"
    window: int | None = None
    group: np.ndarray | Array | Sequence[Any] | None = None
    zeros: str = "error"
    variables: Sequence[str] | None = None
    groups: Groups = field(init=False, repr=False)
    remarks: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        one_of("returns", self.returns, RETURNS)
        one_of("zeros", self.zeros, ZEROS)
        inputs = _block("inputs", self.inputs, None, self.zeros)
        rows = inputs.shape[0]
        good = _block("good", self.good, rows, self.zeros)
        none = self.bad is None or np.shape(self.bad) == (rows, 0)
        bad = np.empty((rows, 0)) if none else _block("bad", self.bad, rows, self.zeros)
        check_zeros(inputs, good)
        blocks = {"inputs": inputs, "good": good, "bad": bad}
        zeros = sum(int((block == 0).sum()) for block in blocks.values())
        if self.zeros == "replace":
            blocks = {name: replace_zeros(block) for name, block in blocks.items()}
        checked = blocks | {
            name: _labels(name, getattr(self, name), rows)
            for name in ("period", "group")
            if getattr(self, name) is not None
        }
        if not isinstance(self.reference, str):
            checked["reference"] = _per_row("reference", self.reference, rows)
        names = _variables(self.variables, blocks)
        for name, value in {**checked, "variables": names}.items():
            object.__setattr__(self, name, value)
        groups = reference_groups(
            rows,
            self.reference if isinstance(self.reference, str) else checked["reference"],
            period=checked.get("period"),
            window=self.window,
            group=checked.get("group"),
        )
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "remarks", _remarks(blocks, names, groups, zeros, self.zeros))

    @property
    def rows(self) -> int:
        """Number of decision-making units."""
        return int(self.inputs.shape[0])


def _block(name: str, values: Any, rows: int | None, zeros: str) -> np.ndarray:
    """Return a block of data as a NumPy matrix, checked."""
    block = np.asarray(values, dtype=float)
    if block.ndim != 2 or block.shape[1] == 0 or block.shape[0] == 0:
        raise DataError(f"{name} has shape {block.shape}; it must be [dmu, variable], with at least one of each.")
    if rows is not None and block.shape[0] != rows:
        raise DataError(
            f"{name} has {block.shape[0]} rows, but inputs has {rows}. Give one row a decision-making unit."
        )
    wrong = np.argwhere(~(np.isfinite(block) & ((block > 0) | ((block == 0) & (zeros != "error")))))
    if wrong.size:
        shown = ", ".join(f"row {row} column {column}: {block[row, column]:g}" for row, column in wrong[:5])
        remedy = "" if (block[tuple(wrong.T)] != 0).any() else " Or see the option zeros: replace or drop."
        raise DataError(
            f"{name}: {len(wrong)} values are not positive and finite ({shown}{', ...' if len(wrong) > 5 else ''}). "
            f"Slacks-based efficiency divides by every value: leave these rows out, or mend the values.{remedy}"
        )
    empty = np.flatnonzero((block == 0).all(axis=0))
    if empty.size:
        raise DataError(f"{name} column {empty[0]} is 0 in every row. Leave the column out.")
    return block


def _per_row(name: str, values: Any, rows: int) -> np.ndarray:
    """Return a vector with one entry a row, checked."""
    vector = np.asarray(values)
    if vector.shape != (rows,):
        raise DataError(f"{name} has shape {vector.shape}; it must have one entry for each of the {rows} rows.")
    return vector


def _labels(name: str, values: Any, rows: int) -> np.ndarray:
    """Return periods or groups, none of them missing, of one kind that can be put in order."""
    vector = _per_row(name, values, rows)
    missing = [row for row, each in enumerate(vector) if each is None or each != each]
    if missing:
        raise DataError(
            f"{name} is missing in {len(missing)} rows (first: row {missing[0]}). Fill it, or leave them out."
        )
    try:
        np.unique(vector)
    except TypeError as error:
        kinds = ", ".join(sorted({type(each).__name__ for each in vector}))
        raise DataError(f"{name} mixes {kinds}, which have no common order. Give numbers alone, or text.") from error
    return vector


def _variables(given: Sequence[str] | None, blocks: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Return a name for every variable."""
    default = [f"{name} column {at}" for name, block in blocks.items() for at in range(block.shape[1])]
    if given is not None and len(given) != len(default):
        raise SpecError(f"variables has {len(given)} names for {len(default)} inputs, good and bad outputs.")
    return tuple(default if given is None else given)


def _remarks(
    blocks: dict[str, np.ndarray], names: Sequence[str], groups: Groups, zeros: int, policy: str
) -> tuple[str, ...]:
    """Say what is legitimate in the data, and yet shapes the scores."""
    remarks = []
    if zeros:
        how = (
            "dropped from the programs of their rows" if policy == "drop" else "replaced by the smallest positive / 100"
        )
        remarks.append(f"{zeros} zeros are {how}")
    data = np.concatenate(list(blocks.values()), axis=1)
    scaled = data / data.max(axis=0)
    varies = (scaled.min(axis=0) < 1.0) | (data.shape[0] == 1)
    for at, column in enumerate(scaled.T):
        twins = [each for each in range(at) if varies[at] and np.allclose(scaled[:, each], column, rtol=1e-12, atol=0)]
        if not varies[at]:
            remarks.append(f"{names[at]} is constant")
        elif twins and data.shape[0] > 1:
            remarks.append(f"{names[at]} is proportional to {names[twins[0]]}: one variable, counted twice")
    rows, reference = min(groups, key=lambda pair: pair[1].size)
    if reference.size < len(names):
        spanned = f"a frontier is spanned by {reference.size} units in {len(names)} variables"
        remarks.append(f"{spanned} (e.g. of row {rows[0]})")
    return tuple(remarks)
