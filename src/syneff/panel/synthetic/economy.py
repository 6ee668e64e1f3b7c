"""Output, employees and pollution of the country.

PM2.5 is a level: it does not grow with the economy, falls after its peak, and disperses, so that a city breathes what it emits
and what its neighbours breathe. CO2 is GDP times an intensity that falls. The policy makes both cleaner.
"""

from collections.abc import Mapping

import numpy as np

from syneff.panel.synthetic.draws import autoregressive, factor
from syneff.panel.synthetic.geography import Geography
from syneff.typing import Float, HostUnitPeriod

DISPERSION = 0.6  # spatial autoregression of log PM2.5
CLEANER = 1.5  # log points by which a unit of the outcome's effect lowers both pollutants
LEAST_LABOUR = 0.016  # employees per 10^8 yuan of GDP are at most this, which is below the labour of any city-year


def draw_output(controls: Mapping[str, HostUnitPeriod], persons: Float[np.ndarray, " unit"]) -> HostUnitPeriod:
    """Return GDP, 10^8 yuan at prices of the first year: GDP per head times persons, who follow density."""
    density = controls["pop"]
    residents = persons[:, None] * density / density.mean(axis=1, keepdims=True)
    return np.asarray(residents * np.exp(controls["lnpgdp"]) / 1e4)


def draw_employees(rng: np.random.Generator, gdp: HostUnitPeriod) -> HostUnitPeriod:
    """Draw employees of urban units, 10^4 persons: fewer than all labour, whatever the efficiency of the city."""
    share = (
        0.8 + 0.1 * np.tanh(rng.standard_normal((gdp.shape[0], 1))) + 0.1 * np.tanh(autoregressive(rng, gdp.shape, 0.8))
    )
    return np.asarray(LEAST_LABOUR * gdp * share)


def draw_pollution(
    rng: np.random.Generator, gdp: HostUnitPeriod, geography: Geography, effect: HostUnitPeriod
) -> dict[str, HostUnitPeriod]:
    """Draw PM2.5 (ug/m3) and CO2 (10^4 t), ``[unit period]``.

    Parameters
    ----------
    rng
        Generator.
    gdp
        10^8 yuan.
    geography
        Provinces and neighbours.
    effect
        What the policy adds to the outcome.
    """
    shape = gdp.shape
    time = np.linspace(0.0, 1.0, shape[1])
    province = rng.standard_normal(int(geography.province.max()) + 1)[geography.province]
    air = 0.12 * province[:, None] + 0.12 * rng.standard_normal((shape[0], 1)) + 0.04 * autoregressive(rng, shape, 0.5)
    emitted = air - (1.0 - DISPERSION) * CLEANER * effect
    pm25 = 44.0 * np.exp(geography.disperse(emitted, DISPERSION) - 0.9 * (time - 0.35) ** 2)
    intensity = 0.45 * rng.standard_normal((shape[0], 1)) - 0.7 * time - CLEANER * effect
    return {"pm25": pm25, "co2": 3.4 * gdp * np.exp(intensity) * factor(rng, shape, 0.15, 0.8)}
