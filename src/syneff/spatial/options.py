"""Options that all weights have."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from syneff.typing import Float

STANDARDISE = ("row", "spectral", "none")


class Options(TypedDict, total=False):
    """Options of all weights.

    Attributes
    ----------
    standardise
        One of `STANDARDISE`.
    islands
        What becomes of units without a link: one of `syneff.spatial.islands.ISLANDS`.
    name
        What the weights are, for tables.
    labels
        Names of the units for a reader; the identifiers by default.
    coordinates
        ``[unit 2]``: latitude and longitude in degrees, for maps and for islands=nearest.
    empty_columns
        A unit that has neighbours and is nobody's neighbour is usually a mistake: "refuse" it, or "keep" and note it.
    remarks
        Sentences to begin the notes with.
    """

    standardise: str
    islands: str
    name: str
    labels: Sequence[str]
    coordinates: Float[np.ndarray, "unit 2"] | None
    empty_columns: str
    remarks: tuple[str, ...]


def joined(first: Options, second: Options) -> Options:
    """Return the options of both; the second decides."""
    return {**first, **second}
