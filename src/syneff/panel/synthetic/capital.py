"""A capital stock that investment can make.

Perpetual inventory, K_t = I_t / P_t + (1 - delta) K_{t-1}, gives any path of capital; investment is positive only where
capital does not fall faster than it wears out. The measurement needs a mean productivity of three inputs and leaves their mix
open, so capital may move within bounds while labour and energy make up for it. Within the bounds it follows, half and half,
what the mean productivity of the year asks for and a mean of five years: companies do not scrap and rebuild with every shock.
The rate of depreciation: Zhang, Wu and Zhang (2004), Economic Research Journal 10, 35-44 (in Chinese).
"""

import numpy as np

from syneff.typing import Float, HostUnitPeriod

DELTA = 0.096  # of capital wears out in a year
GROSS = 0.02  # the least investment, as a share of last year's capital
KEPT = 1.0 - DELTA + GROSS
SMOOTHED = 5  # years


def follow(wanted: HostUnitPeriod, low: HostUnitPeriod, high: HostUnitPeriod) -> HostUnitPeriod:
    """Return the path of capital near a wanted one, inside bounds, that never falls below `KEPT` of last year's.

    Parameters
    ----------
    wanted, low, high
        ``[unit period]``, positive.

    Returns
    -------
    numpy.ndarray
        ``[unit period]``; NaN for a unit whose bounds admit no such path.
    """
    ceiling = high.copy()
    for t in range(high.shape[1] - 2, -1, -1):
        ceiling[:, t] = np.minimum(high[:, t], ceiling[:, t + 1] / KEPT)
    path = np.empty_like(wanted)
    for t in range(high.shape[1]):
        floor = low[:, t] if t == 0 else np.maximum(low[:, t], KEPT * path[:, t - 1])
        path[:, t] = np.minimum(np.maximum(wanted[:, t], floor), ceiling[:, t])
    path[(ceiling < low).any(axis=1)] = np.nan
    return path


def smooth(values: HostUnitPeriod) -> HostUnitPeriod:
    """Return the geometric middle of a path and of its centred moving average, which is shorter at the ends."""
    logs = np.log(values)
    ones: Float[np.ndarray, " lag"] = np.ones(min(SMOOTHED, values.shape[1]))
    counts = np.convolve(np.ones(values.shape[1]), ones, mode="same")
    sums = np.zeros_like(logs)
    half = ones.size // 2
    for lag in range(-half, half + 1):
        rows = slice(max(0, lag), min(logs.shape[1], logs.shape[1] + lag))
        from_rows = slice(max(0, -lag), min(logs.shape[1], logs.shape[1] - lag))
        sums[:, rows] += logs[:, from_rows]
    return np.asarray(np.exp(0.5 * logs + 0.5 * sums / counts))
