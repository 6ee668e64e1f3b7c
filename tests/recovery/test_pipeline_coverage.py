"""Coverage of the end-to-end bootstrap beside the naive interval, over synthetic countries whose effect is known.

The truth of a small country is the coefficient of the noiseless outcome, measured on all its cities. Both coverages are
reported; what is asked is that of the whole pipeline, to the accuracy that two dozen countries allow.
"""

from functools import partial

import pytest
from scipy import stats

from syneff.measure.coupling import coupling
from syneff.measure.efficiency import super_sbm
from syneff.models.fixed_effects import FixedEffects
from syneff.models.spec import Spec
from syneff.panel.synthetic import synthetic
from syneff.pipeline import PipelineBootstrap

COUNTRIES, DRAWS = 24, 99
CONTROLS = ("pop", "lnpgdp", "gov", "hc", "er", "fdi")
VARIABLES = {"inputs": ["labour", "capital", "energy"], "good": ["gdp"], "solver": "simplex"}
STEPS = {
    "preff": partial(super_sbm, name="preff", bad=["pm25"], **VARIABLES),
    "creff": partial(super_sbm, name="creff", bad=["co2"], **VARIABLES),
    "syeff": coupling,
}


@pytest.mark.slow
def test_the_interval_of_the_whole_pipeline_covers(record_property):
    scheme = PipelineBootstrap(FixedEffects(Spec("syeff", controls=CONTROLS)), STEPS, draws=DRAWS)
    covered = {"percentile": 0, "naive_percentile": 0}
    for seed in range(COUNTRIES):
        panel = synthetic(units=40, periods=(2008, 2013), seed=seed)
        for step in STEPS.values():
            panel = step(panel)
        found = scheme.estimate(panel, seed=seed).frame().set_index("term")
        for name in covered:
            row = found.loc[f"{name}:treat"]
            covered[name] += row["conf_low"] <= panel.truth.coefficients["treat"] <= row["conf_high"]
    for name, count in covered.items():
        record_property(name, count / COUNTRIES)
        print(f"{name}: {count} of {COUNTRIES} intervals cover")
    # Intervals that cover 95 % fall below this once in a thousand times.
    assert covered["percentile"] >= stats.binom.ppf(0.001, COUNTRIES, 0.95)
