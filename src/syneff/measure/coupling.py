r"""Coupling coordination of two efficiencies: how far they are high, and close to each other.

With ``Z_1`` and ``Z_2`` the min-max standardised measures,

.. math:: C = \frac{2 \sqrt{Z_1 Z_2}}{Z_1 + Z_2}, \qquad T = \alpha Z_1 + (1 - \alpha) Z_2, \qquad D = \sqrt{C T} .

Two properties to know before the index is regressed on anything: with ``alpha = 1/2`` it is ``(Z_1 Z_2)^{1/4}``, whose slope
is infinite at zero; and its scale moves with the extremes of the sample it is standardised in. A few super-efficient units can
take most of that scale, so the step says how much: the part of the range that the top 1 % of a measure takes, and the mean of
the index, over the same rows, if the row with the highest value did not set the scale.
"""

from typing import Any

import numpy as np

from syneff.errors import DataError, SpecError
from syneff.panel.panel import Panel, Variable
from syneff.typing import Array

TOP = 0.01  # share of the values whose part of the range is reported


def coupling_coordination(first: np.ndarray | Array, second: np.ndarray | Array, alpha: float = 0.5) -> np.ndarray:
    """Return the coupling coordination index of two measures, standardised within the sample given.

    Parameters
    ----------
    first, second
        Measures of one shape; NaN where a value is missing: it does not count in the standardisation, and the index is
        NaN there.
    alpha
        Weight of the first measure in T, from 0 to 1.

    Returns
    -------
    np.ndarray
        Of the same shape, from 0 to 1; 0 where both standardised measures are 0.

    Raises
    ------
    DataError
        If the shapes differ, or a measure has no two different values.
    SpecError
        If `alpha` is not between 0 and 1.
    """
    return _parts(first, second, alpha)[2]


def coupling(
    panel: Panel,
    *,
    name: str = "syeff",
    first: str = "preff",
    second: str = "creff",
    alpha: float = 0.5,
    label: str = "Synergy of pollution and carbon reduction",
    label_zh: str = "减污降碳协同效率",
) -> Panel:
    """Add the coupling coordination index and its parts, standardised over the rows of positive weight.

    Parameters
    ----------
    panel
        The panel.
    name
        Name of the index; C and T become ``<name>_c`` and ``<name>_t``.
    first, second
        Names of the two measures.
    alpha
        Weight of the first measure in T.
    label, label_zh
        What the index means.

    Returns
    -------
    Panel
        With three columns, NaN where a measure is missing or the row's weight is 0, and a note with the extremes that set the
        scale and with their influence.

    Raises
    ------
    DataError
        If a measure is missing or constant.
    SpecError
        If `alpha` is not between 0 and 1.
    """
    measures = [np.where(panel.sample, panel.column(each), np.nan) for each in (first, second)]
    degree, level, index = _parts(measures[0], measures[1], alpha)
    extremes = ", ".join(
        f"{each} from {np.nanmin(measure):.4f} to {np.nanmax(measure):.4f}"
        for each, measure in zip((first, second), measures, strict=True)
    )
    count = int(np.isfinite(index).sum())
    return panel.assign(
        {f"{name}_c": degree, f"{name}_t": level, name: index},
        {
            f"{name}_c": Variable(f"Coupling degree of {first} and {second}", "耦合度", "-"),
            f"{name}_t": Variable(f"Level of {first} and {second}", "综合评价指数", "-"),
            name: Variable(label, label_zh, "-"),
        },
        f"{name}: coupling coordination of {count} rows, alpha = {alpha:g}; standardised on {extremes}; "
        + "; ".join(_influence(measures, at, alpha, (first, second)[at]) for at in (0, 1)),
    )


def _influence(measures: list[np.ndarray], at: int, alpha: float, name: str) -> str:
    """Say how much of the range of a measure its top takes, and what the index would be without its highest value."""
    known = np.sort(measures[at][np.isfinite(measures[at])])
    top = int(np.ceil(TOP * known.size))
    share = (known[-1] - known[-1 - top]) / (known[-1] - known[0])
    said = f"the top {top} of {known.size} values of {name} take {share:.0%} of its range"
    rest = list(measures)
    rest[at] = np.where(measures[at] == known[-1], np.nan, measures[at])
    if any(np.unique(each[np.isfinite(each)]).size < 2 for each in rest):
        return said
    less = _parts(rest[0], rest[1], alpha)[2]
    before = _parts(measures[0], measures[1], alpha)[2][np.isfinite(less)]
    if not before.size:
        return said
    return f"{said}, and without the highest the mean index would be {np.nanmean(less):.4f}, not {before.mean():.4f}"


def _parts(first: Any, second: Any, alpha: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return C, T and the index."""
    if not 0.0 <= alpha <= 1.0:
        raise SpecError(f"alpha={alpha} is no weight. Allowed: from 0 to 1.")
    raw = [np.asarray(each, dtype=float) for each in (first, second)]
    if raw[0].shape != raw[1].shape:
        raise DataError(f"the two measures have shapes {raw[0].shape} and {raw[1].shape}; they must be equal.")
    z_1, z_2 = (_standardise(each, which) for each, which in zip(raw, ("first", "second"), strict=True))
    total = z_1 + z_2
    degree = np.where(total == 0.0, 0.0, 2.0 * np.sqrt(z_1 * z_2) / np.where(total == 0.0, 1.0, total))
    level = alpha * z_1 + (1.0 - alpha) * z_2
    return degree, level, np.sqrt(degree * level)


def _standardise(values: np.ndarray, which: str) -> np.ndarray:
    """Map the smallest value to 0 and the largest to 1; NaN stays."""
    known = values[np.isfinite(values)]
    if known.size == 0 or known.min() == known.max():
        found = "no value" if known.size == 0 else f"only the value {known.min():g}"
        raise DataError(
            f"the {which} measure has {found} in the sample; min-max standardising needs two different ones."
        )
    return np.asarray((values - known.min()) / (known.max() - known.min()))
