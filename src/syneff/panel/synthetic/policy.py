r"""What the policy does to the outcome: by event time, by group, and to the neighbours.

The path of a city rises after adoption and settles,

    path(k) proportional to 1 - 0.4 exp(-k / 1.2), k = 0, 1, ...,

scaled so that its mean over treated city-years is 1. The direct effect is the path times a level that differs between groups;
what the neighbours of a pilot feel is the mean of their neighbours' paths times the spillover. Two-way fixed effects do not see
the spillover; as pilots are only a little more often neighbours of pilots than others are, it moves their `treat` by less than
0.001, and the truth counts it.
"""

from dataclasses import dataclass

import numpy as np

from syneff.panel.synthetic.cities import Cities
from syneff.panel.synthetic.geography import Geography
from syneff.typing import HostUnitPeriod, Int

EFFECT = 0.042  # total effect, the mean over treated city-years: two-way fixed effects make 0.040 of it, Table 3's
GAPS = {"key_environment": 0.014, "resource": 0.014, "high_pressure": 0.014}
"""How much larger the direct effect is inside a group than outside: the differences of Table 11."""
SPILLOVER = (
    -0.010
)  # on a city all of whose neighbours are pilots; negative as in Table 12: pilots draw talent and capital


@dataclass(frozen=True)
class Policy:
    """Who is treated and what that moves.

    Attributes
    ----------
    event
        Years since adoption, ``[unit period]``; NaN for never.
    treat
        1 from adoption on, ``[unit period]``.
    path
        Path by event time, of mean 1 over treated city-years, ``[unit period]``; 0 elsewhere.
    nearby
        Mean path of the neighbours, ``[unit period]``.
    """

    event: HostUnitPeriod
    treat: HostUnitPeriod
    path: HostUnitPeriod
    nearby: HostUnitPeriod


def enact(cities: Cities, geography: Geography, years: Int[np.ndarray, " period"]) -> Policy:
    """Return who is treated, and the paths of cities and of their neighbours."""
    event = years - cities.adopted[:, None]
    treated = event >= 0
    path = np.where(treated, 1.0 - 0.4 * np.exp(-np.where(treated, event, 0.0) / 1.2), 0.0)
    path = path / path[treated].mean()
    return Policy(event, treated.astype(float), path, geography.lag(path))


def direct_effect(policy: Policy, cities: Cities, level: float, size: float) -> HostUnitPeriod:
    """Return the direct effect, ``[unit period]``: its mean over treated city-years is `level`, groups differ by `GAPS`.

    Parameters
    ----------
    policy
        Paths.
    cities
        Their groups.
    level
        The wanted mean.
    size
        What the gaps between groups are multiplied by.
    """
    weights = policy.path.sum(axis=1)
    group = np.zeros(weights.size)
    for name, gap in GAPS.items():
        member = cities.traits[name]
        group += size * gap * (member - (member * weights).sum() / weights.sum())
    return np.asarray(policy.path * (level + group)[:, None])
