r"""Spatial weights: who is whose neighbour, always by name and never by position.

A `Weights` holds the links as they were given and the matrix *W* that they standardise to; `for_panel` reorders both to a
panel's units, standardising anew where the panel has fewer of them.

=============  ==============================================  =============================================
standardise    W                                               use
=============  ==============================================  =============================================
``row``        links over their row's sum: averages            the default, and what Lee-Yu's transformation of
                                                               period effects needs
``spectral``   links over their largest eigenvalue             keeps symmetry and relative size (Kelejian, Prucha)
``none``       the links                                       when their unit means something
=============  ==============================================  =============================================

A unit without any link is an island. What becomes of it is a choice that changes the sample or the model, so it is always
named: "keep" leaves a row of zeros (then ``W 1 = 1`` fails), "nearest" links it to the nearest unit, "drop" takes it out of
W, and so out of the sample of every estimator that uses W, "error" refuses. With weights that run one way, dropping repeats
until every unit left has a neighbour.

References
----------
Kelejian, H. H. and Prucha, I. R. (2010). Journal of Econometrics 157, 53-67. https://doi.org/10.1016/j.jeconom.2009.10.025
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, one_of
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.spatial.spectrum import Spectrum, spectrum_of
from syneff.typing import Float

STANDARDISE = ("row", "spectral", "none")
ISLANDS = ("keep", "drop", "error")
EMPTY_COLUMNS = ("refuse", "keep")
ROW_SUM = 1e-10
"""Distance from 1 up to which a row's sum counts as 1."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A weight matrix over named units.

    Attributes
    ----------
    links
        ``[unit unit]``: as given, before standardising; not negative, zero diagonal.
    matrix
        ``[unit unit]``: W, standardised.
    units
        Identifiers, in the order of both axes.
    islands
        Units without a link: kept with a row of zeros, or dropped and then not among `units`.
    name
        What the weights are, for tables.
    standardise
        One of `STANDARDISE`.
    islands_policy
        What becomes of islands: one of `ISLANDS`.
    notes
        What was done to the links, in sentences.
    """

    links: Float[np.ndarray, "unit unit"]
    matrix: Float[np.ndarray, "unit unit"]
    units: tuple[object, ...]
    islands: tuple[object, ...]
    name: str
    standardise: str
    islands_policy: str = "keep"
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def spectrum(self) -> Spectrum:
        """Eigenvalues of W, and A and its inverse where W is similar to a symmetric matrix; found once."""
        return spectrum_of(self.matrix)

    @property
    def bounds(self) -> tuple[float, float]:
        """The values of rho between which I - rho W can be inverted: 1/omega_min to 1/omega_max."""
        return self.spectrum.bounds

    @property
    def row_standardised(self) -> bool:
        """Whether every row sums to 1; islands that are kept make it False."""
        return bool(np.allclose(self.matrix.sum(axis=1), 1.0, rtol=0.0, atol=ROW_SUM))

    @classmethod
    def from_dense(
        cls,
        matrix: np.ndarray | pd.DataFrame,
        *,
        ids: Sequence[object] | None = None,
        standardise: str = "row",
        name: str = "W",
        islands: str = "keep",
        empty_columns: str = "refuse",
        notes: tuple[str, ...] = (),
    ) -> "Weights":
        """Make weights of a square matrix of links.

        Parameters
        ----------
        matrix
            ``[unit unit]``: link from row to column, i.e. how much the column's unit matters to the row's. A frame with
            identifiers as index and columns, in whatever order, needs no `ids`.
        ids
            Identifiers of the rows and columns.
        standardise, name, islands
            See the class.
        empty_columns
            A unit that has neighbours and is nobody's neighbour is usually a mistake: "refuse" it, or "keep" and note it.
        notes
            Sentences to begin the notes with.

        Raises
        ------
        DataError
            If the matrix is not square, does not fit the ids, or has a missing, infinite or negative entry, a diagonal
            other than zero, or an empty column; or if there are islands and they are refused. Units are named.
        SpecError
            If an option is not allowed.
        """
        one_of("weights.standardise", standardise, STANDARDISE)
        one_of("weights.islands", islands, ISLANDS)
        one_of("weights.empty_columns", empty_columns, EMPTY_COLUMNS)
        links, units = _named(matrix, ids)
        _check(links, units)
        said = (*notes, *_empty_columns(links, units, empty_columns))
        return _made(links, units, name=name, standardise=standardise, islands=islands, notes=said)

    def for_panel(self, panel: Panel) -> "Weights":
        """Return the weights of the units in a panel's sample, in the panel's order, standardised among them.

        Units that are out of the sample in every period do not enter, and neither do those that W has and the panel lacks.
        With islands dropped, a unit that has no neighbour in the sample is dropped too; `rows` finds the others.

        Raises
        ------
        DataError
            If a unit of the sample is not among those of W: it is named.
        """
        place = {unit: number for number, unit in enumerate(self.units)}
        entered = panel.sample.any(axis=1)
        dropped = set(self.islands) if self.islands_policy == "drop" else set()
        wanted = [unit for unit, enters in zip(panel.units, entered, strict=True) if enters and unit not in dropped]
        absent = [
            name
            for unit, name, enters in zip(panel.units, panel.names, entered, strict=True)
            if enters and unit not in dropped and unit not in place
        ]
        if absent:
            raise DataError(
                f"weights {self.name!r}: {len(absent)} of {int(entered.sum())} units of the sample are not among their ids: "
                f"{listed(absent)}. The ids begin {listed(str(unit) for unit in self.units)}. Give the weights the panel's "
                "identifiers, or take the units out of the sample."
            )
        if tuple(wanted) == self.units:
            return self
        order = np.asarray([place[unit] for unit in wanted], dtype=int)
        fewer = (
            (f"weights {self.name!r}: {len(wanted)} of {len(self.units)} units enter",)
            if len(wanted) < len(self.units)
            else ()
        )
        made = _made(
            self.links[np.ix_(order, order)],
            tuple(wanted),
            name=self.name,
            standardise=self.standardise,
            islands=self.islands_policy,
            notes=self.notes + fewer,
        )
        return replace(
            made, islands=tuple(dict.fromkeys((*sorted(dropped & set(panel.units), key=str), *made.islands)))
        )

    def rows(self, panel: Panel) -> np.ndarray:
        """Return the place of each unit of W in a panel, ``[unit]``."""
        place = {unit: number for number, unit in enumerate(panel.units)}
        return np.asarray([place[unit] for unit in self.units], dtype=int)


MakeWeights = Callable[[Panel], Weights]
"""``panel -> Weights``: what a file of conf/weights makes."""


def weights_of(panel: Panel, weights: Weights | MakeWeights) -> Weights:
    """Return weights for a panel's sample: those given, matched by name, or those that a function makes from the panel."""
    return (weights if isinstance(weights, Weights) else weights(panel)).for_panel(panel)


def standardised(links: Float[np.ndarray, "unit unit"], how: str) -> Float[np.ndarray, "unit unit"]:
    """Return W of links; rows of zeros stay."""
    if how == "none":
        return links.copy()
    if how == "spectral":
        radius = float(np.abs(spectrum_of(links).values).max(initial=0.0))
        return links / radius if radius > 0 else links.copy()
    sums = links.sum(axis=1, keepdims=True)
    return links / np.where(sums > 0, sums, 1.0)


def _made(
    links: np.ndarray, units: tuple[object, ...], *, name: str, standardise: str, islands: str, notes: tuple[str, ...]
) -> Weights:
    """Apply the policy for islands, then standardise."""
    alone = tuple(units[i] for i in np.flatnonzero(~(links > 0).any(axis=1)))
    if alone:
        named = listed((str(unit) for unit in alone), len(alone))
        if islands == "error":
            raise DataError(
                f"weights {name!r}: {len(alone)} units have no neighbour: {named}. Set weights.islands to keep or drop, "
                "or link them to the nearest."
            )
        notes = (
            *notes,
            f"weights {name!r}: {len(alone)} islands {'kept' if islands == 'keep' else 'dropped'}: {named}",
        )
    left = np.arange(len(units))
    while islands == "drop" and not (has := (links[np.ix_(left, left)] > 0).any(axis=1)).all():
        left = left[has]
    if not left.size:
        raise SpecError(f"weights {name!r}: no unit has a neighbour, so none is left. Widen the weights.")
    links, kept = links[np.ix_(left, left)], set(left.tolist())
    dropped = tuple(unit for i, unit in enumerate(units) if i not in kept)
    return Weights(
        links=links,
        matrix=standardised(links, standardise),
        units=tuple(units[i] for i in left),
        islands=dropped if islands == "drop" else alone,
        name=name,
        standardise=standardise,
        islands_policy=islands,
        notes=notes,
    )


def _named(matrix: np.ndarray | pd.DataFrame, ids: Sequence[object] | None) -> tuple[np.ndarray, tuple[object, ...]]:
    """Return links and identifiers; a frame's columns are brought into the order of its rows."""
    if isinstance(matrix, pd.DataFrame):
        rows, columns = list(matrix.index), list(matrix.columns)
        differing = sorted({str(each) for each in rows} ^ {str(each) for each in columns})
        if ids is None and differing:
            raise DataError(
                f"weights: rows and columns name different units: {listed(differing)}. Name the same in both."
            )
        if ids is None:
            matrix = matrix.set_axis([str(each) for each in columns], axis=1)[[str(each) for each in rows]]
            ids = rows
        matrix = matrix.to_numpy(dtype=float)
    links = np.array(matrix, dtype=float)
    if links.ndim != 2 or links.shape[0] != links.shape[1]:
        raise DataError(f"weights: the matrix has shape {links.shape}; it must be square, a row and a column a unit.")
    if ids is None:
        raise SpecError("weights: a matrix without names needs ids=, the identifier of each row.")
    units = tuple(ids.tolist() if isinstance(ids, np.ndarray) else ids)
    if len(units) != len(links):
        raise DataError(f"weights: {len(units)} ids for a matrix of {len(links)} rows. Give one id a row.")
    twice = [str(unit) for unit in dict.fromkeys(units) if units.count(unit) > 1]
    if twice:
        raise DataError(f"weights: ids that stand more than once: {listed(twice)}. Every unit needs its own.")
    return links, units


def _check(links: np.ndarray, units: tuple[object, ...]) -> None:
    """Refuse entries that are no weights."""

    def pairs(wrong: np.ndarray) -> str:
        return listed(f"{units[i]} to {units[j]} ({links[i, j]:g})" for i, j in np.argwhere(wrong))

    if not np.isfinite(links).all():
        wrong = ~np.isfinite(links)
        raise DataError(f"weights: {wrong.sum()} entries are missing or infinite: {pairs(wrong)}. Use 0 for no link.")
    if (links < 0).any():
        raise DataError(
            f"weights: {(links < 0).sum()} entries are negative: {pairs(links < 0)}. Weights are 0 or more."
        )
    if np.diagonal(links).any():
        wrong = np.diag(np.diagonal(links) != 0)
        raise DataError(
            f"weights: {wrong.sum()} units are neighbours of themselves: {pairs(wrong)}. The diagonal must be 0."
        )


def _empty_columns(links: np.ndarray, units: tuple[object, ...], policy: str) -> tuple[str, ...]:
    empty = ~(links > 0).any(axis=0) & (links > 0).any(axis=1)
    if not empty.any():
        return ()
    named = listed(str(units[i]) for i in np.flatnonzero(empty))
    said = f"weights: {empty.sum()} units have neighbours but are nobody's neighbour: {named}"
    if policy == "refuse":
        raise DataError(f"{said}. Mend their columns, or set empty_columns=keep if the links run one way.")
    return (said,)
