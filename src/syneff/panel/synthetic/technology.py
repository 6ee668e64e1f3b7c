r"""Invert the measurement: inputs and outputs from which Super-SBM and coupling make a given outcome.

Equation (2) with weights 1/2 is ``syeff = (Z1 Z2)^(1/4)``, where Z is a score scaled to [0, 1] by its sample minimum and
maximum. So a wanted syeff is a wanted *product* of two scaled scores. Three city-years make scores closed forms
(constant returns, global reference, no orientation, bad outputs scored with the good one, one good and one bad output):

*The best* has the smallest input and bad output per unit of GDP of all city-years, in every column. Every conic
combination of city-years is then dominated by a multiple of it, and at a city-year with r_i = (x_i/y of the best) /
(x_i/y here), h = mean_i r_i and v the same ratio for the bad output, the SBM program has the optimum

    rho = min_{lambda >= 1} lambda h / (1 + lambda (1 - v) / 2) = 2 h / (3 - v).

*The second* is kappa times worse than the best in every column and dominates all the others, so it alone carries the
super-efficiency program of the best, whose optimum is at lambda = 1/kappa:

    smax = 2 kappa / (kappa + 1).

*The worst* has h = ``WORST`` and the minimum of both scores, ``smin = 2 WORST / (3 - v)``, each with its own v.

GDP, PM2.5 and CO2 are drawn, hence both v of a city-year are known, and h, common to both scores, is the larger root of

    (2 h / (3 - v_1) - smin_1) (2 h / (3 - v_2) - smin_2) = syeff^4 (smax - smin_1) (smax - smin_2).

Inputs follow as x_i = y (x_i/y of the best) / (h w_i), where the mix w has mean 1 over the inputs. What cannot be reached,
because no r_i may pass the second's, is mended by making that city-year cleaner. The mix is free within bounds: it is used to
give capital a path that positive investment makes (`syneff.panel.synthetic.capital`).
The scores: Tone (2001), doi:10.1016/S0377-2217(99)00407-5; Tone (2002), doi:10.1016/S0377-2217(01)00324-1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from syneff.panel.synthetic.capital import follow, smooth
from syneff.typing import Float, HostUnitPeriod

KAPPA = 1.02  # how much worse than the best the second is; near 1 the room for the other outcomes is widest
CEILING = 2.0 * KAPPA / (KAPPA + 1.0)  # super-efficiency of the best
WORST = 0.075  # mean input productivity of the worst city-year, relative to the best
ROOM = 0.955  # no other city-year has a mean input productivity above this
SPARE = 0.98  # of the room below the second that an input's productivity may fill
MIX = (0.25, 2.4)  # of one input's productivity beside the mean
LEAN = 0.3  # of the productivity of labour beside energy, at the most
# Per 10^8 yuan of GDP: 10^4 persons, 10^8 yuan, 10^4 tce.
INPUTS_OF_BEST = {"labour": 0.016, "capital": 0.95, "energy": 0.42}

Row = tuple[int, int]


@dataclass(frozen=True)
class Benchmarks:
    """The three city-years, as (unit, period), that pin the scale of the scores."""

    best: Row
    second: Row
    worst: Row


@dataclass(frozen=True)
class Inversion:
    """Columns whose measurement is the outcome.

    Attributes
    ----------
    outcome
        ``[unit period]``: the wanted syeff with the three benchmarks set to what the measurement gives them.
    columns
        Inputs and bad outputs, ``[unit period]`` by name.
    """

    outcome: HostUnitPeriod
    columns: Mapping[str, HostUnitPeriod]


def choose_benchmarks(outcome: HostUnitPeriod, treat: HostUnitPeriod) -> Benchmarks:
    """Choose the benchmarks among never treated units, near the outcomes that they will be given.

    The best and the second are the most efficient such unit in the two years whose share of treated units is nearest to the
    average over all years: there a never treated unit has a two-way demeaned treatment near zero, so setting its outcome
    hardly moves a two-way fixed-effects estimate.

    Parameters
    ----------
    outcome
        Wanted syeff, ``[unit period]``.
    treat
        Treatment, ``[unit period]``; at least two units are never treated.
    """
    never = treat.max(axis=1) == 0.0
    years = np.argsort(np.abs(treat.mean(axis=0) - treat.mean()), kind="stable")[:2]
    star = int(np.where(never, outcome[:, years].mean(axis=1), -np.inf).argmax())
    never[star] = False
    unit, period = np.unravel_index(int(np.where(never[:, None], outcome, np.inf).argmin()), outcome.shape)
    return Benchmarks(best=(star, int(years[0])), second=(star, int(years[1])), worst=(int(unit), int(period)))


def invert(
    wanted: HostUnitPeriod,
    gdp: HostUnitPeriod,
    bads: Mapping[str, HostUnitPeriod],
    mix: Float[np.ndarray, " unit"],
    *,
    benchmarks: Benchmarks,
) -> Inversion:
    """Return inputs and bad outputs from which the measurement makes the wanted outcome.

    Parameters
    ----------
    wanted
        ``[unit period]``, in (0, 0.92] outside the benchmarks.
    gdp
        The good output, ``[unit period]``, 10^8 yuan.
    bads
        The bad outputs of the two scores, ``[unit period]`` by name; kept but for the benchmarks and for city-years that
        must be cleaner to be reached.
    mix
        In [-1, 1]: how productive labour is beside energy, by unit.
    benchmarks
        The three city-years that pin the scale.
    """
    ordinary = np.ones(wanted.shape, dtype=bool)
    ordinary[benchmarks.best] = ordinary[benchmarks.second] = False
    intensity = np.stack([values / gdp for values in bads.values()])
    lowest = intensity[:, ordinary].min(axis=1)[:, None, None] / KAPPA**2
    shares = np.where(ordinary, lowest / intensity, 1.0)
    shares[:, *benchmarks.second] = 1.0 / KAPPA

    floor = WORST * _score(shares)[:, *benchmarks.worst]
    outcome = _pin(wanted, floor, benchmarks)
    product = outcome**4 * np.prod(CEILING - floor)
    shares = np.where(ordinary, _clean(shares, floor, product), shares)

    productivity = _mean_productivity(_score(shares), floor, product)
    productivity[benchmarks.best] = 1.0
    polluted = {name: gdp * level / share for name, level, share in zip(bads, lowest, shares, strict=True)}
    return Inversion(outcome=outcome, columns={**_inputs(productivity, gdp, mix, ordinary), **polluted})


def _score(share: np.ndarray) -> np.ndarray:
    """Return the SBM score of a mean input productivity of 1 at the bad output's share v: 2 / (3 - v)."""
    return np.asarray(2.0 / (3.0 - share))


def _clean(shares: np.ndarray, floor: np.ndarray, product: HostUnitPeriod) -> np.ndarray:
    """Raise the shares v where the product of scores needs a productivity above `ROOM`: the last bad output's share first."""
    first, last = shares
    for_last = (product / (ROOM * _score(first) - floor[0]) + floor[1]) / ROOM
    last = np.maximum(last, np.minimum(3.0 - 2.0 / for_last, KAPPA**-2))
    for_first = (product / (ROOM * _score(last) - floor[1]) + floor[0]) / ROOM
    return np.stack([np.maximum(first, 3.0 - 2.0 / for_first), last])


def _pin(wanted: HostUnitPeriod, floor: np.ndarray, benchmarks: Benchmarks) -> HostUnitPeriod:
    """Set the outcome of the three benchmarks to what the measurement gives them."""
    outcome = wanted.copy()
    second = (_score(np.asarray(1.0 / KAPPA)) / KAPPA - floor) / (CEILING - floor)
    outcome[benchmarks.best], outcome[benchmarks.worst] = 1.0, 0.0
    outcome[benchmarks.second] = np.prod(second) ** 0.25
    return outcome


def _mean_productivity(score: np.ndarray, floor: np.ndarray, product: HostUnitPeriod) -> HostUnitPeriod:
    """Return the larger root h of (a_1 h - floor_1) (a_2 h - floor_2) = product, with a the scores at h = 1."""
    (a, b), (c, d) = score, floor
    return np.asarray((a * d + b * c + np.sqrt((a * d - b * c) ** 2 + 4.0 * a * b * product)) / (2.0 * a * b))


def _inputs(
    productivity: HostUnitPeriod, gdp: HostUnitPeriod, mix: Float[np.ndarray, " unit"], ordinary: np.ndarray
) -> dict[str, HostUnitPeriod]:
    """Return inputs of the given mean productivity, none more productive than at the second city-year."""
    best = INPUTS_OF_BEST
    most = np.where(ordinary, np.minimum(1.0 + SPARE * (1.0 / (KAPPA * productivity) - 1.0), MIX[1]), 1.0)
    least = np.where(ordinary, np.maximum(3.0 - 2.0 * most, MIX[0]), 1.0)
    even = best["capital"] * gdp / productivity
    capital = follow(smooth(even), low=even / most, high=even / least)
    rest = (3.0 - even / capital) / 2.0
    room = np.maximum(np.minimum(most / rest - 1.0, 1.0 - MIX[0] / rest), 0.0)
    lean = np.clip(LEAN * mix[:, None], -room, room)
    return {
        "labour": best["labour"] * gdp / (productivity * rest * (1.0 + lean)),
        "capital": capital,
        "energy": best["energy"] * gdp / (productivity * rest * (1.0 - lean)),
    }
