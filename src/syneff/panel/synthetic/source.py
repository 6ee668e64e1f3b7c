"""The source: a panel of a country that does not exist, with what is true of it."""

import math
from collections.abc import Sequence

import numpy as np

from syneff.errors import SpecError
from syneff.panel.panel import Panel
from syneff.panel.synthetic.country import Country, Options, draw_country
from syneff.panel.synthetic.policy import EFFECT, SPILLOVER
from syneff.panel.synthetic.truth import truth_of
from syneff.panel.synthetic.variables import VARIABLES


def synthetic(
    *,
    units: int = 284,
    periods: Sequence[int] = (2004, 2020),
    seed: int = 2027,
    effect: float = EFFECT,
    noise: float = 1.0,
    spillover: float = SPILLOVER,
    confounding: float = 0.0,
    lights_noise: float = 0.0,
) -> Panel:
    """Draw a synthetic panel whose measured syeff has known effects.

    Parameters
    ----------
    units
        Number of cities, at least 20. The paper's cohorts (1, 38, 7, 3, 10 and 16 of 284 cities) grow with it, at least one
        city each.
    periods
        First and last year, at least 5 years. The cohorts' years (2008 to 2018) keep their place in 2004 to 2020.
    seed
        The same seed gives the same panel. Estimates scatter around the truth from seed to seed, `treat` by 0.008. The default
        was chosen among 150 so that Table 3 reads as the paper's and all of Table 3 and Figure 1 lies within a standard error
        of the truth: what it shows is how the tables look, not how often intervals cover.
    effect
        Mean total effect of a city's own policy over treated city-years, in units of syeff. All that adoption does is
        proportional to it: direct effect, mediators, spillover, gaps between groups, and the moves of controls after
        adoption. 0 is a country where adoption does nothing.
    noise
        Size of the error of syeff beside that of the paper's Table 2; 0 is a country that is nothing but its structure.
    spillover
        What is added to syeff of a city all of whose neighbours are pilots, at the mean of their path and the default effect.
    confounding
        What an unobserved trait of cities, which raises the propensity to adopt, adds to syeff by the last year, a standard
        deviation of it. Not 0: least squares is biased, the instruments are not.
    lights_noise
        Standard deviation of the log of the error of night lights; not 0: energy by lights is not the energy that was used.

    Returns
    -------
    Panel
        Columns: `treat`, inputs and outputs, controls, mediators, and the raw columns of yearbooks
        (`syneff.panel.synthetic.yearbook`). Traits: provinces, coordinates, ranks, groups, the past, years of this pilot and
        of others. Neighbours stand in ``details["neighbours"]``; `truth` holds the true value of each term.

    Raises
    ------
    SpecError
        If there are too few cities or years, or an option is out of range.
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
    options = Options(float(effect), float(noise), float(spillover), float(confounding), float(lights_noise))
    _check(options)
    years = np.arange(periods[0], periods[1] + 1)
    country = draw_country(units, years, seed=seed, options=options)
    digits = max(3, len(str(units)))
    names = tuple(f"City {number:0{digits}d}" for number in range(1, units + 1))
    return Panel(
        units=names,
        periods=tuple(int(year) for year in years),
        columns=country.columns,
        traits=_traits(country),
        weights=np.ones(country.outcome.shape),
        variables=VARIABLES,
        notes=(f"synthetic panel, seed {seed}: {units} cities that do not exist, {years[0]}-{years[-1]}",),
        truth=truth_of(country),
        details={"neighbours": country.geography.neighbours(names)},
    )


RANGES = {
    "effect": (0.0, 0.1),
    "noise": (0.0, 1.5),
    "spillover": (-0.1, 0.1),
    "confounding": (-0.1, 0.1),
    "lights_noise": (0.0, 1.0),
}
"""Of the options: outside, syeff leaves (0, 1) in too many city-years."""


def _check(options: Options) -> None:
    for name, (low, high) in RANGES.items():
        value = getattr(options, name)
        if not (math.isfinite(value) and low <= value <= high):
            raise SpecError(f"source.{name}={value} is out of range. Allowed: {low:g} to {high:g}.")


def _traits(country: Country) -> dict[str, np.ndarray]:
    place, cities = country.geography, country.cities
    return {
        "province": np.array([f"Province {number + 1:02d}" for number in place.province], dtype=object),
        "lon": place.lon,
        "lat": place.lat,
        "rank": cities.rank,
        "adoption_year": cities.adopted,
        **cities.traits,
    }
