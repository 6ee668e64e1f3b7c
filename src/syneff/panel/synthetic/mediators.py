r"""What the policy works through: patents, the structure of industry, and the co-agglomeration of industries.

A mediator of a city-year is

    m_it = (base_i + trend_t + shift path_it) f_it,    E f = 1,

so adoption shifts its expectation by ``shift path``, and cities on different levels still trend in parallel, as a difference
in differences needs. Three of them enter the outcome with a known slope: inventions (`invg`), the ratio of the tertiary to the
secondary sector (`is`), and co-agglomeration (`coag`). The product shift times slope is the indirect effect; shifts and slopes
are the paper's (Tables 8 to 10). Green and digital inventions are part of all inventions and have no slope of their own. The
two quotients that co-agglomeration is made of,

    magg = provincial quotient of advanced manufacturing x science in fiscal spending (%),
    sagg = the city's quotient of high-end services,
    coag = 1 - |magg - sagg| / (magg + sagg) + (magg + sagg),

follow from employment, which `syneff.panel.synthetic.yearbook` draws so that it gives them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from syneff.panel.synthetic.draws import factor
from syneff.typing import Float, HostUnitPeriod

SLOPES = {"invg": 0.009, "is": 0.022, "coag": 0.009}
"""What a unit of a mediator adds to the outcome."""
SHIFTS = {"invg": 1.655, "is": 0.146, "science": 0.70, "sagg": 0.046}
"""What adoption adds to a level, at the mean of the path."""
GREEN, DIGITAL = 0.1227, 0.35  # shares of inventions
HIGHEST = 3.0  # of the quotient of services, so that other industries keep employees


@dataclass(frozen=True)
class Mediators:
    """Mediators with the policy and without it.

    Attributes
    ----------
    columns
        ``[unit period]`` by name: invg, ingrvg, indivg (10^3 patents), is, science (%), magg, sagg, coag.
    moved
        What the policy added to each of them, ``[unit period]`` by name; of patents, to their expectation.
    quotient
        Provincial quotient of advanced manufacturing, ``[unit period]``.
    """

    columns: Mapping[str, HostUnitPeriod]
    moved: Mapping[str, HostUnitPeriod]
    quotient: HostUnitPeriod


def coagglomeration(magg: HostUnitPeriod, sagg: HostUnitPeriod) -> HostUnitPeriod:
    """Return 1 - |magg - sagg| / (magg + sagg) + (magg + sagg)."""
    return np.asarray(1.0 - np.abs(magg - sagg) / (magg + sagg) + magg + sagg)


def draw_mediators(
    rng: np.random.Generator,
    propensity: Float[np.ndarray, " unit"],
    path: HostUnitPeriod,
    *,
    quotient: HostUnitPeriod,
    employed: HostUnitPeriod,
) -> Mediators:
    """Draw the mediators.

    Parameters
    ----------
    rng
        Generator.
    propensity
        To adopt, a standard score ``[unit]``: such cities have more of everything.
    path
        Effect by event time, scaled to a mean of 1 over treated city-years, times the size of the policy; 0 elsewhere.
    quotient
        Provincial quotient of advanced manufacturing, ``[unit period]``.
    employed
        Employees, ``[unit period]``: the national quotient of services is their weighted mean, which is 1.
    """
    shape = path.shape

    def base(median: float, spread: float, selection: float) -> HostUnitPeriod:
        score = selection * propensity + np.sqrt(1.0 - selection**2) * rng.standard_normal(shape[0])
        return np.asarray(median * np.exp(spread * score)[:, None] * np.ones(shape))

    trend = np.linspace(0.0, 1.0, shape[1])
    noise = {name: factor(rng, shape, sd) for name, sd in {"invg": 0.5, "is": 0.14, "science": 0.4}.items()}
    moved = {name: SHIFTS[name] * path * noise[name] for name in noise}
    without = {
        "invg": (base(0.35, 1.0, 0.6) + 0.9 * trend) * noise["invg"],
        "is": (base(0.85, 0.25, 0.2) + 0.4 * trend) * noise["is"],
        "science": base(1.1, 0.45, 0.4) * noise["science"],
    }
    services, shifted = _services(base(0.9, 0.22, 0.3) * factor(rng, shape, 0.1), SHIFTS["sagg"] * path, employed)
    science = without["science"] + moved["science"]
    coag = coagglomeration(quotient * science, services)
    patents = _patents(rng, without["invg"] + moved["invg"])
    columns = {"is": without["is"] + moved["is"], "science": science, "magg": quotient * science, "sagg": services}
    earlier = coagglomeration(quotient * without["science"], services - shifted)
    more = {"magg": quotient * moved["science"], "sagg": shifted, "coag": coag - earlier}
    more |= {"ingrvg": GREEN * moved["invg"], "indivg": DIGITAL * moved["invg"]}
    return Mediators({**patents, **columns, "coag": coag}, {**moved, **more}, quotient)


def _services(
    level: HostUnitPeriod, shift: HostUnitPeriod, employed: HostUnitPeriod
) -> tuple[HostUnitPeriod, HostUnitPeriod]:
    """Return the quotient of services and the policy's part in it, scaled to an employment-weighted mean of 1 in every year."""
    wanted = np.minimum(level, HIGHEST - shift) + shift
    mean = (wanted * employed).sum(axis=0) / employed.sum(axis=0)
    return np.asarray(wanted / mean), np.asarray(shift / mean)


def _patents(rng: np.random.Generator, expected: HostUnitPeriod) -> dict[str, HostUnitPeriod]:
    """Count inventions, and the green and the digital ones among them, in thousands."""
    granted = rng.poisson(1000.0 * expected)
    shares = {
        "ingrvg": GREEN * factor(rng, expected.shape, 0.15),
        "indivg": DIGITAL * factor(rng, expected.shape, 0.3),
    }
    kinds = {name: rng.binomial(granted, np.minimum(share, 1.0)) / 1000.0 for name, share in shares.items()}
    return {"invg": granted / 1000.0, **kinds}
