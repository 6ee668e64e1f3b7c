r"""Weights made of weights: near in space, and alike or large in the economy.

============  ==================================================  ==================================================
function      links or matrix                                     in the literature
============  ==================================================  ==================================================
`product`     :math:`c_{ij} e_{ij}`                               geography times economic distance
`mixture`     :math:`\phi W + (1 - \phi) V`                       economic-geographic nested matrix
`towards`     :math:`c_{ij}\, x_j / \bar x`                       distance times GDP: large neighbours weigh more
============  ==================================================  ==================================================

A product of symmetric links, and links towards size, keep W similar to a symmetric matrix; a mixture of two row-standardised
matrices does not in general, and may have complex eigenvalues.
"""

from typing import Unpack, cast

import numpy as np

from syneff.errors import DataError, SpecError
from syneff.spatial.links import picked
from syneff.spatial.options import Options
from syneff.spatial.weights import Weights
from syneff.typing import Float


def product(first: Weights, second: Weights, **options: Unpack[Options]) -> Weights:
    """Return weights whose links are the products of both; options not given are those of the first."""
    links = first.links * second.ordered(first.units).links
    return Weights.from_dense(links, ids=first.units, **_merged(first, second, options))


def mixture(first: Weights, second: Weights, *, share: int | float = 0.5, **options: Unpack[Options]) -> Weights:
    """Return the convex combination of both matrices, as each is standardised.

    Raises
    ------
    SpecError
        If the share of the first is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise SpecError(f"weights.share={share} must be from 0 (the second matrix alone) to 1 (the first alone).")
    matrix = share * first.matrix + (1.0 - share) * second.ordered(first.units).matrix
    return Weights.from_dense(matrix, ids=first.units, **_merged(first, second, options))


def towards(weights: Weights, size: Float[np.ndarray, " unit"], **options: Unpack[Options]) -> Weights:
    """Return weights whose links count by the neighbour's size over the mean size.

    Raises
    ------
    DataError
        If a size is missing or not above 0: units are named.
    """
    wrong = ~(size > 0)
    if wrong.any():
        named = picked(weights.labels, wrong, size)
        raise DataError(f"weights: {wrong.sum()} units have no size above 0: {named}. Fill or mend it.")
    return Weights.from_dense(
        weights.links * (size / size.mean()), ids=weights.units, **_merged(weights, weights, options)
    )


def _merged(first: Weights, second: Weights, options: Options) -> Options:
    remarks = tuple(dict.fromkeys((*first.remarks, *second.remarks)))
    return cast(Options, {**first.options, "remarks": remarks, **options})
