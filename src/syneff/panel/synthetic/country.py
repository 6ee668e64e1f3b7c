"""Draw the country: places, cities, adoption, controls, mediators, economies, the outcome, and the inputs that make it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from syneff.errors import SpecError
from syneff.panel.synthetic.cities import Cities, draw_cities
from syneff.panel.synthetic.controls import city_parts, draw_controls
from syneff.panel.synthetic.economy import draw_employees, draw_output, draw_pollution
from syneff.panel.synthetic.geography import Geography, draw_geography
from syneff.panel.synthetic.mediators import SLOPES, Mediators, draw_mediators
from syneff.panel.synthetic.outcome import Parts, draw_outcome
from syneff.panel.synthetic.policy import EFFECT, SPILLOVER, Policy, direct_effect, enact
from syneff.panel.synthetic.technology import Inversion, choose_benchmarks, invert
from syneff.panel.synthetic.variables import VARIABLES
from syneff.panel.synthetic.yearbook import draw_yearbook, industries, province_quotient
from syneff.typing import Float, HostUnitPeriod, Int

PATIENCE = 30  # times that an outcome is drawn towards its mean
STREAMS = ("places", "cities", "controls", "mediators", "outcome", "economy", "yearbook")


@dataclass(frozen=True)
class Options:
    """How the country is drawn; see `syneff.panel.synthetic.synthetic`."""

    effect: float = EFFECT
    noise: float = 1.0
    spillover: float = SPILLOVER
    confounding: float = 0.0
    lights_noise: float = 0.0


@dataclass(frozen=True)
class Effects:
    """What the policy adds to the outcome of every city-year, by way.

    Attributes
    ----------
    direct
        By no mediator, ``[unit period]``.
    through
        By each mediator: its slope times what the policy added to it, ``[unit period]`` by name.
    spillover
        From the neighbours' policy, ``[unit period]``.
    """

    direct: HostUnitPeriod
    through: Mapping[str, HostUnitPeriod]
    spillover: HostUnitPeriod

    @property
    def own(self) -> HostUnitPeriod:
        """What a city's own policy adds: directly and through mediators."""
        return np.asarray(self.direct + sum(self.through.values()))

    @property
    def felt(self) -> HostUnitPeriod:
        """What the policy adds, the neighbours' included."""
        return np.asarray(self.own + self.spillover)


@dataclass(frozen=True)
class Country:
    """A drawn country.

    Attributes
    ----------
    geography, cities, policy, mediators
        Its parts.
    effects
        What the policy adds to the outcome.
    technology
        The outcome without its error, ``[unit period]``: how well inputs are used, as structure has it.
    outcome
        The syeff that measurement gives, ``[unit period]``.
    columns
        What a user sees, ``[unit period]`` by name.
    """

    geography: Geography
    cities: Cities
    policy: Policy
    mediators: Mediators
    effects: Effects
    technology: HostUnitPeriod
    outcome: HostUnitPeriod
    columns: Mapping[str, HostUnitPeriod]


def draw_country(
    units: int,
    years: Int[np.ndarray, " period"],
    *,
    seed: int,
    options: Options = Options(),
) -> Country:
    """Draw a country.

    Parameters
    ----------
    units
        Number of cities.
    years
        Years, ascending.
    seed
        Each part draws from a stream of its own.
    options
        Sizes of effect, noise, spillover and confounding.
    """
    rng = dict(zip(STREAMS, np.random.default_rng(seed).spawn(len(STREAMS)), strict=True))
    geography = draw_geography(rng["places"], units)
    cities = draw_cities(rng["cities"], geography, years)
    policy = enact(cities, geography, years)
    size = options.effect / EFFECT
    parts = city_parts(rng["controls"], cities.propensity)
    controls = draw_controls(rng["controls"], parts, size * policy.treat)
    gdp = draw_output(controls, cities.persons)
    employed = draw_employees(rng["economy"], gdp)
    quotient, industry = province_quotient(rng["economy"], geography, employed)
    mediators = draw_mediators(
        rng["mediators"], cities.propensity, size * policy.path, quotient=quotient, employed=employed
    )
    effects = _effects(policy, cities, mediators, options)
    wanted, technology = _wanted(
        rng["outcome"],
        controls,
        mediators,
        effects,
        parts["lnpgdp"],
        cities=cities,
        geography=geography,
        options=options,
    )
    inversion, gdp = _produce(rng["economy"], wanted, gdp, geography, policy, effect=effects.own)
    columns = {"treat": policy.treat, "gdp": gdp, **inversion.columns, **controls, **mediators.columns}
    columns |= {"pressure": cities.pressure, "employed": employed}
    columns |= draw_yearbook(rng["yearbook"], columns, geography, years, lights_noise=options.lights_noise)
    columns |= industries(rng["yearbook"], mediators, employed, industry, geography.province)
    return Country(
        geography,
        cities,
        policy,
        mediators,
        effects,
        technology,
        inversion.outcome,
        {name: columns[name] for name in VARIABLES if name in columns},
    )


def _effects(policy: Policy, cities: Cities, mediators: Mediators, options: Options) -> Effects:
    """Return what the policy adds; what does not go through mediators is direct, so that the mean is the wanted one."""
    through = {name: slope * mediators.moved[name] for name, slope in SLOPES.items()}
    level = options.effect - sum(float(added[policy.treat > 0].mean()) for added in through.values())
    size = options.effect / EFFECT
    return Effects(
        direct_effect(policy, cities, level, size), through, np.asarray(size * options.spillover * policy.nearby)
    )


def _wanted(
    rng: np.random.Generator,
    controls: Mapping[str, HostUnitPeriod],
    mediators: Mediators,
    effects: Effects,
    development: Float[np.ndarray, " unit"],
    *,
    cities: Cities,
    geography: Geography,
    options: Options,
) -> tuple[HostUnitPeriod, HostUnitPeriod]:
    """Draw the outcome, and what it is without its error."""
    rise = np.linspace(0.0, 1.0, effects.direct.shape[1])
    drift = options.confounding * cities.dynamism[:, None] * rise
    parts = Parts(development, np.asarray(effects.direct + effects.spillover), drift, options.noise)
    return draw_outcome(rng, controls, mediators.columns, parts, geography)


def _produce(
    rng: np.random.Generator,
    wanted: HostUnitPeriod,
    output: HostUnitPeriod,
    geography: Geography,
    policy: Policy,
    *,
    effect: HostUnitPeriod,
) -> tuple[Inversion, HostUnitPeriod]:
    """Draw output and pollution, and find the inputs that make the outcome; return them and GDP.

    The best city-year must be the cleanest per unit of GDP, so its city is given the largest GDP of all, which never falls, as
    its capital cannot. Where no positive investment makes a city's capital, its outcome is drawn towards its mean until one
    does.
    """
    benchmarks = choose_benchmarks(wanted, policy.treat)
    star, gdp = benchmarks.best[0], output.copy()
    gdp[star] = np.maximum.accumulate(output[star]) * max(
        1.0, np.delete(output, star, axis=0).max() / output[star].max()
    )
    bads = draw_pollution(rng, gdp, geography, effect)
    mix = rng.uniform(-1.0, 1.0, size=wanted.shape[:1])
    for _ in range(PATIENCE):
        inversion = invert(wanted, gdp, bads, mix, benchmarks=benchmarks)
        rough = np.isnan(inversion.columns["capital"]).any(axis=1)
        if not rough.any():
            return inversion, gdp
        calm = wanted.mean(axis=1, keepdims=True) + 0.8 * (wanted - wanted.mean(axis=1, keepdims=True))
        wanted = np.where(rough[:, None], calm, wanted)
    raise SpecError(
        "source: no positive investment makes the capital of some city. Set another source.seed, or a smaller noise."
    )
