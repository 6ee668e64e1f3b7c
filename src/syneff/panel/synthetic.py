r"""A synthetic panel: a country that does not exist, whose truth is known.

The outcome is linear and exact,

    syeff_it = a_i + l_t + tau(t - adoption year of i) + gamma' X_it + e_it,

with gamma of the paper's Table 3 (column 7), an AR(1) error in every city and a path of effects that rises and settles:

    tau(k) proportional to 1 - 0.4 exp(-k / 1.2), k = 0, 1, ..., scaled so that its mean over treated city-years is 0.040.

On the default panel it rises from 0.026 to 0.043. The outcome is no column. The columns are raw inputs and outputs from
which the pipeline's own Super-SBM (global reference, constant returns, no orientation, bad outputs scored with the good
one) and coupling coordination make it (`syneff.panel.synthetic_technology`), so the whole road is tested against the truth.
Under another technology the measured syeff is another variable, and the truth is not its truth.

What is not realistic: inputs, capital too, move by some ten per cent a year with the error of syeff; preff and creff move
together (correlation 0.99); cities do not spill over; three never treated city-years have an outcome that is set (1,
nearly 1, and 0) instead of drawn; adoption does not answer to shocks, so parallel trends hold by construction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from syneff.errors import SpecError
from syneff.panel.panel import Panel, Truth, Variable
from syneff.panel.synthetic_country import (
    CONTROLS,
    Geography,
    adoption_years,
    autoregressive,
    draw_controls,
    draw_economy,
    draw_geography,
)
from syneff.panel.synthetic_technology import choose_benchmarks, invert
from syneff.typing import Float, HostUnitPeriod

EFFECT = 0.040  # mean of the path over treated city-years; Table 3, column 7
MEAN = 0.462  # of syeff, Table 2
# Together they give syeff the standard deviation of Table 2, 0.102.
CITY = 0.07  # sd of the city effects
TREND = 0.025  # half the rise of the year effects
ERROR = 0.064  # sd of e
PERSISTENCE = 0.8  # of e: its AR(1) coefficient
BOUNDS = (0.04, 0.9)  # of the outcome; at the default seed nothing reaches them
LEADS, LAGS = 5, 6  # the event study's pooled ends

VARIABLES = {
    "treat": Variable("National innovative city", "国家创新型城市试点", "-"),
    "labour": Variable("Labour", "劳动投入", "10^4 persons"),
    "capital": Variable("Capital stock", "资本存量", "10^8 yuan, 2004 prices"),
    "energy": Variable("Energy use", "能源消费量", "10^4 tce"),
    "gdp": Variable("Real GDP", "实际GDP", "10^8 yuan, 2004 prices"),
    "pm25": Variable("PM2.5 concentration", "PM2.5浓度", "ug/m3"),
    "co2": Variable("CO2 emissions", "二氧化碳排放量", "10^4 t"),
    "pop": Variable("Population density", "人口密度", "100 persons/km2"),
    "lnpgdp": Variable("Log real GDP per head", "经济发展水平", "log of yuan, 2004 prices"),
    "gov": Variable("Government intervention", "政府干预", "%"),
    "hc": Variable("Human capital", "人力资本", "log of students per 10^6 persons"),
    "er": Variable("Environmental regulation", "环境规制", "%"),
    "fdi": Variable("Foreign direct investment", "外商投资", "%"),
    "province": Variable("Province", "省份", "-"),
    "lon": Variable("Longitude", "经度", "degrees east"),
    "lat": Variable("Latitude", "纬度", "degrees north"),
    "adoption_year": Variable("Year of adoption", "试点年份", "year"),
}


@dataclass(frozen=True)
class Country:
    """A drawn country.

    Attributes
    ----------
    geography
        Provinces and coordinates.
    adopted
        Adoption year ``[unit]``, NaN for never.
    effect
        What the treatment adds to the outcome, ``[unit period]``.
    outcome
        The syeff that measurement gives, ``[unit period]``.
    columns
        What a user sees, ``[unit period]`` by name.
    """

    geography: Geography
    adopted: Float[np.ndarray, " unit"]
    effect: HostUnitPeriod
    outcome: HostUnitPeriod
    columns: Mapping[str, HostUnitPeriod]


def synthetic(*, units: int = 284, periods: Sequence[int] = (2004, 2020), seed: int = 2026) -> Panel:
    """Draw a synthetic panel whose measured syeff has known effects.

    Parameters
    ----------
    units
        Number of cities, at least 20. The paper's cohorts (1, 38, 7, 3, 10 and 16 of 284 cities) grow with it, at least one
        city each.
    periods
        First and last year, at least 5 years. The cohorts' years (2008 to 2018) keep their place in 2004 to 2020.
    seed
        The same seed gives the same panel.

    Returns
    -------
    Panel
        Columns `treat`, inputs, outputs and controls; traits `province`, `lon`, `lat`, `adoption_year`; `truth` holds the
        true value of each term.

    Raises
    ------
    SpecError
        If there are too few cities or years.
    """
    if units < 20:
        raise SpecError(
            f"source.units={units} is too few: six cohorts need at least 20 cities. Set source.units=20 or more."
        )
    if len(periods) != 2 or periods[1] - periods[0] < 4:
        raise SpecError(
            f"source.periods={list(periods)} is not a first and a last year at least 4 years apart. "
            "Set for instance source.periods=[2004,2020]."
        )
    if seed < 0:
        raise SpecError(f"source.seed={seed} is negative. Set source.seed to 0 or a positive whole number.")
    years = np.arange(periods[0], periods[1] + 1)
    country = draw_country(units, years, seed=seed)
    digits = max(3, len(str(units)))
    place = country.geography
    return Panel(
        units=tuple(f"City {number:0{digits}d}" for number in range(1, units + 1)),
        periods=tuple(int(year) for year in years),
        columns=country.columns,
        traits={
            "province": np.array([f"Province {number + 1:02d}" for number in place.province], dtype=object),
            "lon": place.lon,
            "lat": place.lat,
            "adoption_year": country.adopted,
        },
        weights=np.ones(country.outcome.shape),
        variables=VARIABLES,
        notes=(f"synthetic panel, seed {seed}: {units} cities that do not exist, {years[0]}-{years[-1]}",),
        truth=_truth(country, years),
    )


def draw_country(units: int, years: np.ndarray, *, seed: int) -> Country:
    """Draw a country: places, adoption, controls, economies, the outcome, and the inputs that make it.

    Parameters
    ----------
    units
        Number of cities.
    years
        Years, ascending.
    seed
        Each part draws from a stream of its own.
    """
    rng = dict(
        zip(("places", "cities", "controls", "outcome", "economy"), np.random.default_rng(seed).spawn(5), strict=True)
    )
    geography = draw_geography(rng["places"], units)
    propensity = rng["cities"].standard_normal(units)
    parts = {
        name: control.selection * propensity
        + np.sqrt(1.0 - control.selection**2) * rng["cities"].standard_normal(units)
        for name, control in CONTROLS.items()
    }
    adopted = adoption_years(propensity, years)
    treat = (years >= adopted[:, None]).astype(float)
    controls = draw_controls(rng["controls"], parts, treat)
    effect = _effect(years - adopted[:, None])
    wanted = _outcome(rng["outcome"], controls, effect, parts["lnpgdp"])
    benchmarks = choose_benchmarks(wanted, treat)
    gdp, bads = draw_economy(rng["economy"], controls, geography, benchmarks.best[0])
    mix = rng["economy"].uniform(-1.0, 1.0, (units, 1, 3)) * np.ones((1, years.size, 1))
    inversion = invert(wanted, gdp, bads, mix, benchmarks=benchmarks)
    columns = {"treat": treat, "gdp": gdp, **inversion.columns, **controls}
    return Country(
        geography, adopted, effect, inversion.outcome, {name: columns[name] for name in VARIABLES if name in columns}
    )


def _effect(event: HostUnitPeriod) -> HostUnitPeriod:
    """Return tau by event time (NaN for never): the path scaled to its mean over treated city-years."""
    treated = event >= 0
    path = np.where(treated, 1.0 - 0.4 * np.exp(-np.where(treated, event, 0.0) / 1.2), 0.0)
    return np.asarray(EFFECT * path / path[treated].mean())


def _outcome(
    rng: np.random.Generator,
    controls: Mapping[str, HostUnitPeriod],
    effect: HostUnitPeriod,
    development: Float[np.ndarray, " unit"],
) -> HostUnitPeriod:
    """Draw the outcome. City and year effects offset the controls' city and year means: they correlate with them."""
    units, periods = effect.shape
    index = sum((control.effect * controls[name] for name, control in CONTROLS.items()), np.zeros(effect.shape))
    moving = index - index.mean(axis=1, keepdims=True) - index.mean(axis=0) + index.mean()
    city = 0.5 * development + np.sqrt(0.75 * 3.0) * rng.uniform(-1.0, 1.0, units)
    drawn = (
        CITY * city[:, None]
        + TREND * np.linspace(-1.0, 1.0, periods)
        + ERROR * autoregressive(rng, effect.shape, PERSISTENCE)
        + moving
        + effect
    )
    return np.asarray(np.clip(MEAN + drawn - drawn.mean(), *BOUNDS))


def _truth(country: Country, years: np.ndarray) -> Truth:
    """Compute what is true of each term from the path and where it is observed."""
    event = years - country.adopted[:, None]
    treated = event >= 0
    bins = {k: np.clip(event, None, LAGS) == k for k in range(LAGS + 1)}
    leads = {f"event[{-k}]": 0.0 for k in range(LEADS, 0, -1)}
    lags = {f"event[{k}]": float(country.effect[rows].mean()) for k, rows in bins.items() if rows.any()}
    controls = {name: control.effect for name, control in CONTROLS.items()}
    treat = treated - treated.mean(axis=1, keepdims=True) - treated.mean(axis=0) + treated.mean()
    weighted = float((treat * country.effect).sum() / (treat * treat).sum())
    return Truth(
        coefficients={"treat": EFFECT, **leads, **lags, **controls},
        note=(
            "Synthetic panel: the true effect by event time and the true coefficients, of syeff measured by global Super-SBM "
            "under constant returns. `treat` is the mean effect over treated city-years; two-way fixed effects weight the "
            f"rising path otherwise and are centred on {weighted:.4f}."
        ),
    )
