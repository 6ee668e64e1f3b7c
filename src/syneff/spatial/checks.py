"""What a spatial panel model needs of sample, weights and clusters; every message names units."""

import numpy as np

from syneff.errors import DataError, SpecError
from syneff.models.base import Design, Spec
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.spatial.weights import ROW_SUM, Weights


def check_sample(panel: Panel, weights: np.ndarray, rows: np.ndarray) -> None:
    """Refuse a sample that is not balanced over the units of W, or whose rows weigh differently.

    Parameters
    ----------
    panel
        The panel.
    weights
        ``[unit period]``: those of the rows that the specification can use.
    rows
        The units of W.

    Raises
    ------
    DataError
        Naming units and periods.
    """
    inside = np.greater(weights, 0.0)
    periods = inside.any(axis=0)
    gaps = np.zeros(inside.shape, dtype=bool)
    gaps[rows] = ~inside[rows, :] & periods[None, :]
    if gaps.any() or not periods.any():
        named = [
            f"{panel.names[unit]} ({', '.join(str(panel.periods[t]) for t in np.flatnonzero(gaps[unit])[:3])}"
            f"{', ...' if gaps[unit].sum() > 3 else ''})"
            for unit in np.flatnonzero(gaps.any(axis=1))
        ]
        raise DataError(
            f"a spatial panel must be balanced, but {int(gaps.sum())} rows of {len(named)} units are missing, incomplete or "
            f"have weight 0: {listed(named)}. A neighbour without a value has no spatial lag. Fill the values, or take the "
            "whole units or years out (steps: balanced)."
        )
    values = weights[inside]
    if not np.allclose(values, values[0]):
        unit = int(np.argwhere(inside & ~np.isclose(weights, values[0]))[0][0])
        raise DataError(
            f"a spatial panel takes rows of equal weight, but {panel.names[unit]} weighs other than {values[0]:g}. "
            "Use the panel without weights."
        )


def check_transformation(weights: Weights, method: str, effects: tuple[str, ...]) -> None:
    """Refuse Lee and Yu's transformation, or their correction, of period effects where rows of W do not sum to 1.

    Raises
    ------
    SpecError
        Naming islands, or the units whose rows do not.
    """
    if method == "direct" or "period" not in effects or weights.row_standardised:
        return
    sums = weights.matrix.sum(axis=1)
    alone = [str(unit) for unit, total in zip(weights.units, sums, strict=True) if total == 0]
    other = [
        f"{unit} ({total:.4g})" for unit, total in zip(weights.units, sums, strict=True) if abs(total - 1.0) > ROW_SUM
    ]
    cause = (
        f"{len(alone)} islands have rows of zeros: {listed(alone)}"
        if alone
        else f"rows sum to other than 1: {listed(other)}"
    )
    remedy = (
        "Link islands to the nearest unit or drop them"
        if alone and weights.standardise == "row"
        else "Standardise W by rows"
    )
    raise SpecError(
        f"method={method} takes period effects out by a transformation that needs W 1 = 1, but of weights {weights.name!r} "
        f"{cause}. {remedy}, leave period out of spec.effects, or use method=direct."
    )


def check_clusters(panel: Panel, spec: Spec, design: Design) -> None:
    """Refuse clusters that are not sets of whole units: scores are known by unit.

    Raises
    ------
    SpecError
        Naming a unit.
    """
    codes, inside = np.asarray(design.cluster), np.asarray(design.weights) > 0
    crossing = [i for i in np.flatnonzero(inside.any(axis=1)) if np.unique(codes[i, inside[i]]).size > 1]
    if crossing or not isinstance(spec.cluster, str):
        where = f": {panel.names[crossing[0]]} lies in several" if crossing else ""
        raise SpecError(
            f"covariance=cluster sums scores by unit, but spec.cluster={spec.cluster} is not one name that is constant within "
            f"units{where}. Set spec.cluster to unit or to a trait of the units."
        )
