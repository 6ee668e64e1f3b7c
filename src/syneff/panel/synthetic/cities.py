"""Cities of the country: sizes, ranks, groups, what history left them, and who adopts which policy when.

Whether a city adopts the pilot follows from a propensity. Large cities have more of it, and so have those with a port or a
railway of the past; these two touch the outcome through adoption alone, which makes them instruments. A part of it, the city's
dynamism, nobody observes: where the country is drawn with confounding, dynamism moves the outcome too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from syneff.panel.synthetic.draws import factor, highest, standard
from syneff.panel.synthetic.geography import Geography, seaward
from syneff.typing import Float, HostUnitPeriod, Int, Shaped

COHORTS = {2008: 1, 2010: 38, 2011: 7, 2012: 3, 2013: 10, 2018: 16}
CITIES, FIRST, LAST = 284, 2004, 2020
# Shares of the propensity's variance, the rest being chance.
PROPENSITY = {"dynamism": 0.25, "size": 0.30, "port": 0.16, "rail1933": 0.10}
# Other pilots: share of the cities that join, by year. Civilised cities are named again and again.
PILOTS = {
    "low_carbon_year": {2010: 0.25, 2013: 0.10, 2017: 0.13},
    "smart_city_year": {2012: 0.13, 2013: 0.12, 2014: 0.10},
    "civilised_city_year": {2005: 0.03, 2009: 0.04, 2011: 0.05, 2015: 0.10, 2017: 0.08},
}
CARBON_MARKET = {2013: 0.17, 2014: 0.06}  # shares of provinces
MUNICIPALITIES, SUB_PROVINCIAL = 4 / CITIES, 15 / CITIES
PRESSURE = 1.1  # %, monitored firms among industrial firms


@dataclass(frozen=True)
class Cities:
    """What does not change over time, and the pressure to abate.

    Attributes
    ----------
    persons
        Residents at mean density, 10^4, ``[unit]``.
    dynamism, propensity
        Standardised scores, ``[unit]``; nobody observes them.
    adopted
        Year of adoption of the innovative-city pilot, ``[unit]``, NaN for never.
    rank
        municipality, sub-provincial, capital or ordinary, ``[unit]``.
    traits
        Groups (0 or 1) and years of other pilots (NaN for never), ``[unit]`` by name.
    pressure
        Monitored firms among industrial firms, %, ``[unit period]``.
    """

    persons: Float[np.ndarray, " unit"]
    dynamism: Float[np.ndarray, " unit"]
    propensity: Float[np.ndarray, " unit"]
    adopted: Float[np.ndarray, " unit"]
    rank: Shaped[np.ndarray, " unit"]
    traits: Mapping[str, Float[np.ndarray, " unit"]]
    pressure: HostUnitPeriod


def draw_cities(rng: np.random.Generator, geography: Geography, years: Int[np.ndarray, " period"]) -> Cities:
    """Draw the cities. Sizes are lognormal with a Pareto tail, as those of real cities."""
    units = geography.lon.size
    log_size = 0.42 * rng.standard_normal(units) + 0.25 * (rng.exponential(size=units) - 1.0)
    size, dynamism = standard(log_size), rng.standard_normal(units)
    past = _past(rng, geography, size)
    scores = {"dynamism": dynamism, "size": size, **{name: standard(values) for name, values in past.items()}}
    chance = np.sqrt(1.0 - sum(PROPENSITY.values())) * rng.standard_normal(units)
    propensity = standard(chance + sum((np.sqrt(PROPENSITY[name]) * scores[name] for name in scores), np.zeros(units)))
    burden = rng.standard_normal(units)
    trend = np.linspace(0.2, -0.2, years.size)
    pressure = PRESSURE * np.exp(0.8 * burden[:, None] + trend) * factor(rng, (units, years.size), 0.2)
    groups = _groups(rng, geography, size, propensity)
    groups["high_pressure"] = (pressure.mean(axis=1) > pressure.mean()).astype(float)
    return Cities(
        persons=330.0 * np.exp(log_size),
        dynamism=dynamism,
        propensity=propensity,
        adopted=adoption_years(propensity, years),
        rank=_ranks(geography.province, log_size),
        traits={**groups, **past, **_pilots(rng, geography, propensity, years)},
        pressure=pressure,
    )


def adoption_years(
    propensity: Float[np.ndarray, " unit"], years: Int[np.ndarray, " period"]
) -> Float[np.ndarray, " unit"]:
    """Return the adoption year by unit, NaN for never: units of high propensity adopt, those of the highest first.

    The cohorts' sizes grow with the number of cities, at least one each; their years keep their place in the window.
    """
    sizes = [max(1, int(np.floor(size * propensity.size / CITIES + 0.5))) for size in COHORTS.values()]
    adopted = np.full(propensity.size, np.nan)
    adopted[np.argsort(-propensity)[: sum(sizes)]] = np.repeat(_in_window(list(COHORTS), years), sizes)
    return adopted


def _in_window(calendar: list[int], years: Int[np.ndarray, " period"]) -> np.ndarray:
    """Move years of 2004 to 2020 to their place between the first and the last year of the panel."""
    place = (np.array(calendar) - FIRST) / (LAST - FIRST)
    return np.asarray(years[0] + np.floor(place * (years[-1] - years[0]) + 0.5))


def _past(
    rng: np.random.Generator, geography: Geography, size: Float[np.ndarray, " unit"]
) -> dict[str, Float[np.ndarray, " unit"]]:
    """Draw the ports and railways of the past: ports near the sea, railways towards the north and the sea."""
    coast, north = standard(seaward(geography)), standard(geography.lat)
    return {
        "port": highest(1.2 * coast + rng.standard_normal(size.size), 0.15),
        "rail1933": highest(0.5 * coast + 0.6 * north + 0.3 * size + rng.standard_normal(size.size), 0.40),
    }


def _groups(
    rng: np.random.Generator,
    geography: Geography,
    size: Float[np.ndarray, " unit"],
    propensity: Float[np.ndarray, " unit"],
) -> dict[str, Float[np.ndarray, " unit"]]:
    """Draw groups of about the paper's sizes; key environmental cities are large and like to adopt."""
    by_province = np.bincount(geography.province, seaward(geography)) / np.bincount(geography.province)
    south = standard(-geography.lat)
    chance = rng.standard_normal((3, size.size))
    return {
        "coastal": highest(seaward(geography), 0.18),
        "northern": (geography.lat > 34.0).astype(float),
        "eastern": highest(by_province, 0.36)[geography.province],
        "two_control_zone": highest(0.4 * south + 0.4 * size + chance[0], 0.55),
        "key_environment": highest(0.6 * size + 0.4 * propensity + chance[1], 86 / CITIES),
        "resource": highest(chance[2] - 0.3 * size, 51 / CITIES),
    }


def _pilots(
    rng: np.random.Generator,
    geography: Geography,
    propensity: Float[np.ndarray, " unit"],
    years: Int[np.ndarray, " period"],
) -> dict[str, Float[np.ndarray, " unit"]]:
    """Draw the years of other pilots: they go to cities of the same kind, carbon markets to whole provinces near the sea."""
    scores = {name: 0.6 * propensity + rng.standard_normal(propensity.size) for name in PILOTS}
    found = {name: _waves(scores[name], waves, years) for name, waves in PILOTS.items()}
    by_province = np.bincount(geography.province, seaward(geography)) / np.bincount(geography.province)
    provinces = by_province + 4.0 * rng.standard_normal(by_province.size)
    return {**found, "carbon_market_year": _waves(provinces, CARBON_MARKET, years)[geography.province]}


def _waves(
    score: Float[np.ndarray, " unit"], shares: Mapping[int, float], years: Int[np.ndarray, " period"]
) -> Float[np.ndarray, " unit"]:
    """Return the year in which each unit joins: the highest scores in the first wave; NaN for never."""
    joined = np.full(score.size, np.nan)
    sizes = np.floor(np.cumsum(list(shares.values())) * score.size + 0.5).astype(int)
    ordered = np.argsort(-score, kind="stable")
    for year, first, last in zip(_in_window(list(shares), years), [0, *sizes], sizes, strict=False):
        joined[ordered[first:last]] = year
    return joined


def _ranks(province: Int[np.ndarray, " unit"], log_size: Float[np.ndarray, " unit"]) -> Shaped[np.ndarray, " unit"]:
    """Rank the cities: each province has a capital, its largest city; the largest cities of all stand above provinces' rule."""
    units = province.size
    order = np.lexsort((-log_size, province))
    capital = np.zeros(units, dtype=bool)
    capital[order[np.unique(province[order], return_index=True)[1]]] = True
    rank = np.where(capital, "capital", "ordinary").astype(object)
    capitals = np.flatnonzero(capital)[np.argsort(-log_size[capital], kind="stable")]
    municipalities = capitals[: min(max(1, round(MUNICIPALITIES * units)), capitals.size - 1)]
    rank[municipalities] = "municipality"
    others = np.array([unit for unit in np.argsort(-log_size, kind="stable") if rank[unit] != "municipality"])
    # Two thirds of the sub-provincial cities are capitals: so the largest capitals come first, then the largest of the others.
    n_sub = max(1, round(SUB_PROVINCIAL * units))
    chosen = [*[unit for unit in others if capital[unit]][: round(2 * n_sub / 3)]]
    chosen += [unit for unit in others if not capital[unit]][: n_sub - len(chosen)]
    rank[chosen] = "sub-provincial"
    return rank
