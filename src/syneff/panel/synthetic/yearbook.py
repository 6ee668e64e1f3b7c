r"""What yearbooks print: the raw columns from which the accounts make labour, capital, energy, CO2 and real GDP again.

========================  =====================================================================================
account                   identity
========================  =====================================================================================
labour                    employed + self_employed
capital                   K_0 = I_0 / 10 %, K_t = I_t / P_t + (1 - 9.6 %) K_{t-1}, P cumulates `investment_price`
gdp                       gdp_nominal over the cumulated `gdp_price`, first year = 1
energy                    province_energy x lights / lights of the province, in every year
co2                       sum of gas, lpg, electricity, heat, each times its factor
magg                      quotient of the province's manufacturing in its industry, times science spending (%)
sagg                      share of services in the city's employees over that in the country's
is                        tertiary_share / secondary_share
lnpgdp                    log of 10^4 gdp / population
gov, fdi                  fiscal_expenditure and foreign_investment in gdp_nominal (%)
hc                        log of 100 students / population
science                   science_expenditure in fiscal_expenditure (%)
========================  =====================================================================================

Lights are proportional to energy inside a province and a year; what a unit of energy shines differs between provinces and
years, and breaks when the sensor changes.
"""

from collections.abc import Mapping

import numpy as np

from syneff.panel.synthetic.capital import DELTA
from syneff.panel.synthetic.draws import autoregressive, factor
from syneff.panel.synthetic.geography import Geography
from syneff.panel.synthetic.mediators import Mediators
from syneff.typing import Float, HostUnitPeriod, Int

INITIAL = 0.10  # of the first year's capital is invested in it
FACTORS = {"gas": 21.8403e-4, "lpg": 3.16629e-4, "electricity": 6.101e-4, "heat": 0.11}
"""10^4 t of CO2 per 10^4 m3 of gas, t of LPG, 10^4 kWh of electricity and 10^4 GJ of heat."""
CARRIERS = {"gas": 0.8, "lpg": -1.2, "electricity": 2.0, "heat": 0.6}  # logits of the shares in CO2
SENSOR = (2013, 1.35)  # the year of another sensor, and how much brighter it sees
RESEARCH = (1540.0, 1.175)  # 10^8 yuan of national R&D in 2003, and its growth
INDUSTRY = 0.45  # of employees work in industry
MANUFACTURING = (0.32, 0.40)  # share of advanced manufacturing in industry, first and last year
SERVICES = (0.09, 0.13)  # share of high-end services in employees


def province_quotient(
    rng: np.random.Generator, geography: Geography, employed: HostUnitPeriod
) -> tuple[HostUnitPeriod, HostUnitPeriod]:
    """Draw the provincial quotient of advanced manufacturing and industrial employees, both ``[unit period]``.

    The quotient's mean weighted by industrial employees is 1 in every year, as a location quotient's is.
    """
    province, n_provinces = geography.province, int(geography.province.max()) + 1
    industry = INDUSTRY * employed * factor(rng, employed.shape, 0.1)
    totals = by_province(industry, province)
    level = (
        0.9 * np.exp(0.25 * rng.standard_normal((n_provinces, 1))) * factor(rng, (n_provinces, employed.shape[1]), 0.05)
    )
    quotient = level * totals.sum(axis=0) / (level * totals).sum(axis=0)
    return np.asarray(quotient[province]), industry


def by_province(values: HostUnitPeriod, province: Int[np.ndarray, " unit"]) -> Float[np.ndarray, "province period"]:
    """Sum over the cities of each province."""
    totals = np.zeros((int(province.max()) + 1, values.shape[1]))
    np.add.at(totals, province, values)
    return totals


def draw_yearbook(
    rng: np.random.Generator,
    columns: Mapping[str, HostUnitPeriod],
    geography: Geography,
    years: Int[np.ndarray, " period"],
    *,
    lights_noise: float,
) -> dict[str, HostUnitPeriod]:
    """Draw raw columns from which the accounts make labour, capital, energy, co2 and gdp.

    Parameters
    ----------
    rng
        Generator.
    columns
        labour, capital, energy, co2, gdp and employed; and the controls and science.
    geography
        Provinces.
    years
        Years of the panel.
    lights_noise
        Standard deviation of the log of what lights are measured with; at 0 energy is spread exactly.
    """
    research = RESEARCH[0] * RESEARCH[1] ** (years - 2003.0) * np.ones(columns["gdp"].shape)
    prices = _prices(rng, columns, geography.province)
    return {
        "self_employed": columns["labour"] - columns["employed"],
        **prices,
        **_public(columns, prices["gdp_nominal"]),
        **_lights(rng, columns["energy"], geography.province, years, noise=lights_noise),
        **_carriers(rng, columns["co2"]),
        "rd": research,
        "rd_lagged": research / RESEARCH[1],
    }


def _prices(
    rng: np.random.Generator, columns: Mapping[str, HostUnitPeriod], province: Int[np.ndarray, " unit"]
) -> dict[str, HostUnitPeriod]:
    """Draw price indices by province (preceding year = 100), and investment and GDP at current prices."""
    shape = (int(province.max()) + 1, columns["gdp"].shape[1])
    found = {}
    for name, rise, spread in (("investment_price", 0.02, 0.025), ("gdp_price", 0.03, 0.02)):
        index = 100.0 * np.exp(rise + spread * rng.standard_normal(shape[1]) + 0.008 * rng.standard_normal(shape))
        found[name] = index[province]
    level = {name: cumulated(index) for name, index in found.items()}
    capital = columns["capital"]
    real = np.diff(capital, axis=1, prepend=0.0)
    real[:, 1:] += DELTA * capital[:, :-1]
    real[:, 0] = INITIAL * capital[:, 0]
    return {
        "investment": real * level["investment_price"],
        "investment_price": found["investment_price"],
        "gdp_nominal": columns["gdp"] * level["gdp_price"],
        "gdp_price": found["gdp_price"],
    }


def _public(columns: Mapping[str, HostUnitPeriod], nominal: HostUnitPeriod) -> dict[str, HostUnitPeriod]:
    """Return residents, students, and public and foreign money, which the controls are ratios of."""
    population = 1e4 * columns["gdp"] / np.exp(columns["lnpgdp"])
    spending = columns["gov"] / 100.0 * nominal
    return {
        "population": population,
        "students": np.exp(columns["hc"]) * population / 100.0,
        "fiscal_expenditure": spending,
        "science_expenditure": columns["science"] / 100.0 * spending,
        "foreign_investment": columns["fdi"] / 100.0 * nominal,
    }


def cumulated(index: HostUnitPeriod) -> HostUnitPeriod:
    """Return the price level, first year = 1, of an index with the preceding year = 100."""
    ratio = index / 100.0
    ratio[:, 0] = 1.0
    return np.asarray(np.cumprod(ratio, axis=1))


def _lights(
    rng: np.random.Generator,
    energy: HostUnitPeriod,
    province: Int[np.ndarray, " unit"],
    years: Int[np.ndarray, " period"],
    *,
    noise: float,
) -> dict[str, HostUnitPeriod]:
    """Return the energy of the whole province, and the lights of each city."""
    totals = by_province(energy, province)
    shine = np.exp(0.25 * rng.standard_normal((totals.shape[0], 1))) * factor(rng, totals.shape, 0.05)
    sensor = np.where(years >= SENSOR[0], SENSOR[1] * np.exp(0.05 * rng.standard_normal((totals.shape[0], 1))), 1.0)
    measured = np.exp(noise * rng.standard_normal(energy.shape))
    return {"province_energy": totals[province], "lights": 12.0 * energy * (shine * sensor)[province] * measured}


def _carriers(rng: np.random.Generator, co2: HostUnitPeriod) -> dict[str, HostUnitPeriod]:
    """Split CO2 into carriers: shares differ between cities, and gas gains on the others."""
    time = np.linspace(0.0, 1.0, co2.shape[1])
    logits = np.stack(
        [
            level
            + 0.4 * rng.standard_normal((co2.shape[0], 1))
            + 0.15 * autoregressive(rng, co2.shape, 0.8)
            + (0.8 * time if name == "gas" else 0.0)
            for name, level in CARRIERS.items()
        ]
    )
    shares = np.exp(logits)
    shares /= shares.sum(axis=0)
    return {name: co2 * share / FACTORS[name] for name, share in zip(CARRIERS, shares, strict=True)}


def industries(
    rng: np.random.Generator,
    mediators: Mediators,
    employed: HostUnitPeriod,
    industry: HostUnitPeriod,
    province: Int[np.ndarray, " unit"],
) -> dict[str, HostUnitPeriod]:
    """Return employees by industry (10^4 persons) and sector shares (%) that give the mediators."""
    time = np.linspace(0.0, 1.0, employed.shape[1])
    advanced, services = (first + (last - first) * time for first, last in (MANUFACTURING, SERVICES))
    totals = by_province(industry, province)[province]
    at_large = mediators.quotient * advanced * totals
    weight = industry * factor(rng, employed.shape, 0.15)
    in_city = at_large * weight / by_province(weight, province)[province]
    in_services = mediators.columns["sagg"] * services * employed
    primary = 100.0 * np.exp(-2.1 + 0.35 * rng.standard_normal((employed.shape[0], 1)) - 0.4 * time)
    secondary = (100.0 - primary) / (1.0 + mediators.columns["is"])
    return {
        "employed_manufacturing": in_city,
        "employed_services": in_services,
        "employed_other": employed - in_city - in_services,
        "province_manufacturing": at_large,
        "province_industry": totals,
        "secondary_share": secondary,
        "tertiary_share": mediators.columns["is"] * secondary,
    }
