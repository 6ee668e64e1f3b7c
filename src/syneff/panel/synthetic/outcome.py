r"""The outcome: a structural equation whose parts are known.

    syeff_it = a_i + l_t + direct_it + sum_m slope_m m_it + spillover_it + gamma' X_it + confounding d_i g_t + e_it,

with gamma of the paper's Table 3 (column 7), mediators m, dynamism d that nobody observes, g rising from 0 to 1, and an AR(1)
error e in every city. City and year effects offset the city and year means of controls and mediators: they correlate with them.
City effects of neighbours are alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from syneff.panel.synthetic.controls import CONTROLS
from syneff.panel.synthetic.draws import autoregressive, standard
from syneff.panel.synthetic.geography import Geography
from syneff.panel.synthetic.mediators import SLOPES
from syneff.typing import Float, HostUnitPeriod

MEAN = 0.462  # of syeff, Table 2
# Together they give syeff the standard deviation of Table 2, 0.102.
CITY = 0.066  # sd of the city effects
TREND = 0.025  # half the rise of the year effects
ERROR = 0.068  # sd of e
PERSISTENCE = 0.9  # of e: its AR(1) coefficient
ALIKE = 0.5  # spatial autoregression of the city effects: neighbours resemble each other
BOUNDS = (0.04, 0.9)  # of the outcome; at the default seed nothing reaches them


@dataclass(frozen=True)
class Parts:
    """What the outcome is made of, beside controls and mediators.

    Attributes
    ----------
    city
        Standard scores of the city effects, ``[unit]``.
    effect
        Direct effect and spillover, ``[unit period]``.
    drift
        What nobody observes and confounds, ``[unit period]``.
    error
        Scale of the error; 1 is that of Table 2.
    """

    city: Float[np.ndarray, " unit"]
    effect: HostUnitPeriod
    drift: HostUnitPeriod
    error: float


def draw_outcome(
    rng: np.random.Generator,
    controls: Mapping[str, HostUnitPeriod],
    mediators: Mapping[str, HostUnitPeriod],
    parts: Parts,
    geography: Geography,
) -> tuple[HostUnitPeriod, HostUnitPeriod]:
    """Draw the outcome, ``[unit period]``, inside `BOUNDS`; return it, and what it is without its error."""
    shape = parts.effect.shape
    index = np.zeros(shape)
    for name, control in CONTROLS.items():
        index += control.effect * controls[name]
    for name, slope in SLOPES.items():
        index += slope * mediators[name]
    moving = index - index.mean(axis=1, keepdims=True) - index.mean(axis=0) + index.mean()
    nearby = geography.disperse(rng.uniform(-1.0, 1.0, (shape[0], 1)), ALIKE)[:, 0]
    city = 0.5 * parts.city + np.sqrt(0.75) * standard(nearby)
    systematic = CITY * city[:, None] + TREND * np.linspace(-1.0, 1.0, shape[1]) + moving + parts.effect + parts.drift
    drawn = systematic + parts.error * ERROR * autoregressive(rng, shape, PERSISTENCE)
    outcome, technology = (MEAN + values - values.mean() for values in (drawn, systematic))
    return np.asarray(np.clip(outcome, *BOUNDS)), np.asarray(technology)
