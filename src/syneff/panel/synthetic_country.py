"""Draw a country that does not exist: provinces, places, adoption years, controls, economies and pollution.

Controls have the mean, standard deviation, minimum and maximum of the paper's Table 2. Each is a persistent Gaussian score
(a city part, a common trend, an AR(1), and a move after adoption) whose ranks are filled with the sorted draws of a Beta
distribution on [minimum, maximum] of the wanted mean and standard deviation. So its marginal distribution is right and
skewed where it should be, whatever the dynamics.

The moves after adoption are there because the paper's coefficient of `treat` falls from 0.073 to 0.040 as controls enter:
after adoption its cities are denser, spend less of their GDP and have fewer students.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from syneff.typing import Float, HostUnitPeriod, Int

COHORTS = {2008: 1, 2010: 38, 2011: 7, 2012: 3, 2013: 10, 2018: 16}
CITIES, FIRST, LAST = 284, 2004, 2020
PERSISTENCE = 0.9  # of the AR(1) inside a control


@dataclass(frozen=True)
class Control:
    """How a control is distributed and how it moves.

    Attributes
    ----------
    mean, sd, low, high
        Moments of Table 2, in the control's own unit.
    effect
        Its coefficient in Table 3, column 7.
    within, trend
        Shares of the score's variance: city-years around their city and year, and the common trend (signed).
    persistent
        Whether the within part is an AR(1) or independent over years.
    adoption
        Move of the score after adoption, in standard deviations.
    selection
        Correlation of the city's part with the propensity to adopt early.
    """

    mean: float
    sd: float
    low: float
    high: float
    effect: float
    within: float
    trend: float
    adoption: float
    selection: float
    persistent: bool = True


CONTROLS = {
    "pop": Control(4.291, 3.354, 0.047, 29.273, 0.020, within=0.03, trend=0.002, adoption=0.055, selection=0.4),
    "lnpgdp": Control(10.09, 0.807, 7.661, 12.815, 0.105, within=0.03, trend=0.30, adoption=0.035, selection=0.4),
    "gov": Control(17.432, 9.516, 4.049, 69.295, -0.005, within=0.08, trend=0.15, adoption=-0.28, selection=-0.3),
    "hc": Control(9.07, 1.192, 3.395, 11.796, -0.035, within=0.10, trend=0.05, adoption=-0.09, selection=0.4),
    "er": Control(
        0.305, 0.15, 0.015, 1.239, -0.003, within=0.30, trend=0.08, adoption=0.0, selection=0.0, persistent=False
    ),
    "fdi": Control(1.864, 2.051, 0.001, 19.899, -0.002, within=0.30, trend=-0.02, adoption=-0.16, selection=0.3),
}


@dataclass(frozen=True)
class Geography:
    """Places: province of each city (a number) and coordinates in degrees, all ``[unit]``."""

    province: Int[np.ndarray, " unit"]
    lon: Float[np.ndarray, " unit"]
    lat: Float[np.ndarray, " unit"]


def autoregressive(rng: np.random.Generator, shape: tuple[int, int], persistence: float) -> HostUnitPeriod:
    """Draw a stationary AR(1) of unit variance in every city, ``[unit period]``."""
    shocks = rng.standard_normal(shape)
    for t in range(1, shape[1]):
        shocks[:, t] = persistence * shocks[:, t - 1] + np.sqrt(1.0 - persistence**2) * shocks[:, t]
    return shocks


def draw_geography(rng: np.random.Generator, units: int) -> Geography:
    """Scatter cities around the centres of provinces, all inside 98-128 degrees east and 20-48 degrees north."""
    n_provinces = min(30, max(2, units // 9))
    centres: list[np.ndarray] = []
    for _ in range(n_provinces):
        candidates = rng.uniform((103.0, 23.0), (124.0, 45.0), size=(20, 2))
        distance = [min((np.hypot(*(place - other)) for other in centres), default=0.0) for place in candidates]
        centres.append(candidates[int(np.argmax(distance))])
    province = np.sort(np.concatenate([np.arange(n_provinces), rng.integers(n_provinces, size=units - n_provinces)]))
    places = np.stack(centres)[province] + 1.1 * rng.standard_normal((units, 2))
    return Geography(province, lon=np.clip(places[:, 0], 98.0, 128.0), lat=np.clip(places[:, 1], 20.0, 48.0))


def adoption_years(propensity: Float[np.ndarray, " unit"], years: np.ndarray) -> Float[np.ndarray, " unit"]:
    """Return the adoption year by unit, NaN for never: units of high propensity adopt, and among them early or late by chance.

    The cohorts' sizes grow with the number of cities, at least one each; their years keep their place in the window.
    """
    sizes = [max(1, int(np.floor(size * propensity.size / CITIES + 0.5))) for size in COHORTS.values()]
    place = (np.array(list(COHORTS)) - FIRST) / (LAST - FIRST)
    calendar = years[0] + np.floor(place * (years[-1] - years[0]) + 0.5)
    adopted = np.full(propensity.size, np.nan)
    adopted[np.argsort(-propensity)[: sum(sizes)]] = np.repeat(calendar, sizes)
    return adopted


def draw_controls(
    rng: np.random.Generator, parts: Mapping[str, Float[np.ndarray, " unit"]], treat: HostUnitPeriod
) -> dict[str, HostUnitPeriod]:
    """Draw the controls from each control's city part (a standard normal) and the treatment."""
    trend = np.sqrt(12.0) * (np.linspace(0.0, 1.0, treat.shape[1]) - 0.5)
    columns = {}
    for name, control in CONTROLS.items():
        persistence = PERSISTENCE if control.persistent else 0.0
        score = (
            np.sqrt(1.0 - control.within - abs(control.trend)) * parts[name][:, None]
            + np.sign(control.trend) * np.sqrt(abs(control.trend)) * trend
            + np.sqrt(control.within) * autoregressive(rng, treat.shape, persistence)
            + control.adoption * treat
        )
        columns[name] = _fill(rng, score, control)
    return columns


def _fill(rng: np.random.Generator, score: HostUnitPeriod, control: Control) -> HostUnitPeriod:
    """Replace a score by the Beta draw of the same rank; the extremes take the minimum and the maximum."""
    width = control.high - control.low
    mean, variance = (control.mean - control.low) / width, (control.sd / width) ** 2
    size = mean * (1.0 - mean) / variance - 1.0
    values = np.sort(control.low + width * rng.beta(mean * size, (1.0 - mean) * size, score.size))
    values[0], values[-1] = control.low, control.high
    return np.asarray(values[np.argsort(np.argsort(score.ravel()))].reshape(score.shape))


def draw_economy(
    rng: np.random.Generator, controls: Mapping[str, HostUnitPeriod], geography: Geography, largest: int
) -> tuple[HostUnitPeriod, dict[str, HostUnitPeriod]]:
    """Draw GDP (10^8 yuan, 2004 prices), PM2.5 (ug/m3) and CO2 (10^4 t), ``[unit period]``.

    GDP is GDP per head times persons, and persons follow density. PM2.5 is a level: it does not grow with the economy, has a
    provincial part and falls after its peak. CO2 is GDP times an intensity that falls.

    Parameters
    ----------
    rng
        Generator.
    controls
        Columns, among them density `pop` and `lnpgdp`.
    geography
        Provinces: neighbours share air.
    largest
        Number of the unit whose GDP reaches the largest of all others: the best of all must be cleanest per unit of GDP.
    """
    shape = controls["pop"].shape
    persons = 370.0 * np.exp(0.55 * rng.standard_normal(shape[0]))
    density = controls["pop"]
    per_person = np.exp(controls["lnpgdp"]) * density / density.mean(axis=1, keepdims=True) / 1e4
    others = np.delete(persons[:, None] * per_person, largest, axis=0)
    persons[largest] = others.max() / per_person[largest].max()
    gdp = persons[:, None] * per_person
    time = np.linspace(0.0, 1.0, shape[1])
    province = rng.standard_normal(int(geography.province.max()) + 1)[geography.province]
    air = 0.22 * province + 0.18 * rng.standard_normal(shape[0])
    pm25 = 44.0 * np.exp(air[:, None] - 0.9 * (time - 0.35) ** 2 + 0.06 * autoregressive(rng, shape, 0.5))
    intensity = 0.45 * rng.standard_normal((shape[0], 1)) - 0.7 * time + 0.15 * autoregressive(rng, shape, 0.8)
    return gdp, {"pm25": pm25, "co2": 3.4 * gdp * np.exp(intensity)}
