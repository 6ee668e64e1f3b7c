"""Power of pre-tests, against values printed by the R package pretrends 0.1.0 for three periods before and three after."""

import numpy as np
import pytest

from syneff.models.staggered.pre_test import passing, slope_detected
from tests.event_paths import path_of

SD = np.array([0.050, 0.045, 0.040, 0.100, 0.110, 0.120])
LAG = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
PATH = path_of(np.array([0.012, -0.008, 0.021, 0.180, 0.240, 0.310]), 0.5**LAG * np.outer(SD, SD), 3)
RANDOMISED = 1e-3
"""pretrends integrates at random points; repeated calls differ by 5e-4."""


@pytest.mark.parametrize(("power", "slope"), [(0.5, 0.027901593818477), (0.8, 0.0424249541097126)])
def test_slope_for_power(power, slope):
    assert slope_detected(PATH, power, 0.05) == pytest.approx(slope, rel=2 * RANDOMISED)


@pytest.mark.parametrize(
    ("slope", "power", "bayes_factor"),
    [(0.02, 0.331636386010325, 0.767764750944334), (0.05, 0.901493717618343, 0.113163052944783)],
)
def test_power_and_bayes_factor(slope, power, bayes_factor):
    """The Bayes factor is the chance to pass relative to that under parallel trends."""
    passes = passing(PATH, slope * (PATH.times + 1.0), 0.05)[0]
    assert 1.0 - passes == pytest.approx(power, abs=RANDOMISED)
    assert passes / passing(PATH, np.zeros(7), 0.05)[0] == pytest.approx(bayes_factor, abs=RANDOMISED)
