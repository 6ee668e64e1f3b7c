"""Controls of the country: columns with the moments of the paper's Table 2.

Each control is a persistent Gaussian score (a city part, a common trend, an AR(1), and a move after adoption) whose ranks are
filled with the sorted draws of a Beta distribution on [minimum, maximum] of the wanted mean and standard deviation. So its
marginal distribution is right and skewed where it should be, whatever the dynamics.

The moves after adoption are there because the paper's coefficient of `treat` falls from 0.073 to 0.040 as controls enter:
after adoption its cities are denser, spend less of their GDP and have fewer students.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from syneff.panel.synthetic.draws import autoregressive
from syneff.typing import Float, HostUnitPeriod

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


def city_parts(
    rng: np.random.Generator, propensity: Float[np.ndarray, " unit"]
) -> dict[str, Float[np.ndarray, " unit"]]:
    """Draw each control's city part: a standard score that correlates with the propensity to adopt."""
    return {
        name: control.selection * propensity
        + np.sqrt(1.0 - control.selection**2) * rng.standard_normal(propensity.size)
        for name, control in CONTROLS.items()
    }


def draw_controls(
    rng: np.random.Generator, parts: Mapping[str, Float[np.ndarray, " unit"]], treat: HostUnitPeriod
) -> dict[str, HostUnitPeriod]:
    """Draw the controls.

    Parameters
    ----------
    rng
        Generator.
    parts
        City part by control, a standard score ``[unit]``.
    treat
        What the moves after adoption are multiplied by, ``[unit period]``.
    """
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
