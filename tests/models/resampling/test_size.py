"""Monte Carlo: the size of each test and the coverage of each interval, with many clusters and with twelve."""

from collections import defaultdict

import numpy as np
import pytest

from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import PairsBootstrap, Placebo, WildClusterBootstrap
from tests.panels import staggered

pytestmark = pytest.mark.slow

REPLICATIONS = 200
MODEL = FixedEffects(Spec("y", "treat", ("a",)))
# Rejections at 5 % that are allowed: four standard errors about .05 where theory promises it; with twelve clusters the
# bootstraps of pairs are known to reject too often, and their rates are only kept from getting out of hand.
BAND = 4 * np.sqrt(0.05 * 0.95 / REPLICATIONS)
KEPT = {284: {"randomization", "wild_cluster", "percentile:treat", "basic:treat", "bca:treat", "bootstrap_t:treat"}}
KEPT[12] = {"randomization", "wild_cluster"}


@pytest.mark.parametrize("units", [284, 12])
def test_size_and_coverage(units, record_property):
    """Outcomes of errors that are correlated within units, and no effect: zero is true, and should be outside in 5 %."""
    panel = staggered(4, units=units, periods=6)
    schemes = [
        Placebo(MODEL, draws=199),
        PairsBootstrap(MODEL, draws=199),
        WildClusterBootstrap(MODEL, draws=199),
    ]
    rng = np.random.default_rng(units)
    rejected, missed = defaultdict(list), defaultdict(list)
    for replication in range(REPLICATIONS):
        noise = rng.normal(size=panel.shape).cumsum(1) + rng.standard_t(4, size=panel.shape)
        null = panel.assign({"y": noise})
        for scheme in schemes:
            for test in scheme.estimate(null, seed=replication).tests:
                if test.name.partition(":")[2] in ("", "treat"):
                    rejected[test.name].append(float(test.pvalue) <= 0.05)
                    missed[test.name].append(not float(test.low) <= 0.0 <= float(test.high))
    assert set(rejected) == KEPT[284]
    for name in rejected:
        size, gap = float(np.mean(rejected[name])), float(np.mean(missed[name]))
        print(f"{units} clusters, {name}: rejects {size:.3f}, coverage {1 - gap:.3f}")
        record_property(f"{units}:{name}", (size, 1 - gap))
        # A test rejects where its interval leaves zero out, but for quantiles between two draws.
        assert abs(size - gap) < 0.03
        assert abs(size - 0.05) < BAND if name in KEPT[units] else size < 0.3
