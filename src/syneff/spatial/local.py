"""Local Moran's I with quadrants, p-values and their adjustment, by unit and period: the frame of Moran scatter and map.

Many places are tested at once, so p-values (of permutations where there are any) are adjusted within each period to hold the
share of false discoveries.

=========  ==================================================
quadrant   value and mean of the neighbours
=========  ==================================================
``HH``     high among high
``LL``     low among low
``HL``     high among low
``LH``     low among high
=========  ==================================================

References
----------
Benjamini, Y. and Hochberg, Y. (1995). Journal of the Royal Statistical Society B 57, 289-300.
https://doi.org/10.1111/j.2517-6161.1995.tb02031.x
"""

import numpy as np
import pandas as pd
from scipy import stats

from syneff.spatial.autocorrelation import Values, deviations, local_moran
from syneff.spatial.permutation import Permuted
from syneff.spatial.weights import Weights
from syneff.typing import Float, Shaped


def local_table(
    weights: Weights, values: np.ndarray, periods: np.ndarray, drawn: Permuted | None, *, alternative: str
) -> pd.DataFrame:
    """Return the local statistics, a row a unit and period.

    Parameters
    ----------
    weights
        The weights.
    values
        ``[unit period]``: in the order of the weights' units.
    periods
        ``[period]``.
    drawn
        Permutations, or None.
    alternative
        "two_sided" or "positive".
    """
    null = local_moran(values, weights.matrix)
    with np.errstate(invalid="ignore"):
        z = deviations(values) / values.std(axis=0, keepdims=True)
    lag = weights.matrix @ z
    p = null.p_value(alternative)
    found = {"local": null.value, "mean": null.mean, "sd": np.sqrt(np.maximum(null.variance, 0.0)), "z": null.z, "p": p}
    if drawn is not None:
        counted = drawn.as_far if alternative == "two_sided" else drawn.as_high
        p = np.where(np.isfinite(p), (1.0 + counted) / (1.0 + len(drawn.moran)), np.nan)
        found["p_permutation"] = p
    found["p_adjusted"] = np.stack([false_discovery(column) for column in p.T], axis=1)
    n_units, n_periods = values.shape
    lat, lon = weights.coordinates.T if weights.coordinates is not None else np.full((2, n_units), np.nan)
    linked = np.asarray((weights.links > 0).any(axis=1))[:, None]
    return pd.DataFrame(
        {
            "period": np.tile(periods, n_units),
            "unit": np.repeat([str(unit) for unit in weights.units], n_periods),
            "label": np.repeat(list(weights.labels), n_periods),
            "lat": np.repeat(lat, n_periods),
            "lon": np.repeat(lon, n_periods),
            "value": values.ravel(),
            "standardised": z.ravel(),
            "lag": np.where(linked, lag, np.nan).ravel(),
            **{name: each.ravel() for name, each in found.items()},
            "quadrant": np.where(linked, quadrants(z, lag), "").ravel(),
        }
    )


def quadrants(z: Values, lag: Values) -> Shaped[np.ndarray, "unit period"]:
    """Name the quadrant of the Moran scatter; none where a value is missing or on an axis."""
    named = np.char.add(np.where(z > 0, "H", "L"), np.where(lag > 0, "H", "L"))
    return np.where((np.abs(z) > 0) & (np.abs(lag) > 0), named, "")


def false_discovery(p: Float[np.ndarray, " unit"]) -> Float[np.ndarray, " unit"]:
    """Adjust the p-values of one period; places without one do not count."""
    known = np.isfinite(p)
    adjusted = np.full(p.shape, np.nan)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known], method="bh")
    return adjusted
