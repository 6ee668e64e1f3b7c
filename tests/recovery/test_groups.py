"""Groups of the embedded country: estimates reach what is true of each, and the tests find the difference that is there."""

import numpy as np
import pytest

from syneff.models.base import Spec
from syneff.models.contrasts import Contrast
from syneff.models.fixed_effects import FixedEffects
from syneff.panel.synthetic import synthetic

CONTROLS = ("pop", "lnpgdp", "gov", "hc", "er", "fdi")


@pytest.fixture(scope="module")
def country():
    # The policy's own effect as the outcome: nothing to measure, and the truth is what each group's regression gives.
    return synthetic(units=284, periods=(2004, 2020), seed=2034)


@pytest.mark.parametrize("trait", ["key_environment", "resource", "high_pressure"])
def test_group_effects_are_found(country, trait):
    from syneff.measure.coupling import coupling
    from syneff.measure.efficiency import super_sbm

    panel = country
    for name, bad in (("preff", "pm25"), ("creff", "co2")):
        panel = super_sbm(panel, name=name, inputs=["labour", "capital", "energy"], good=["gdp"], bad=[bad])
    panel = coupling(panel, name="syeff", first="preff", second="creff")
    model = FixedEffects(Spec("syeff", controls=CONTROLS))
    rows = Contrast(model, by=trait, draws=199).estimate(panel, seed=1, name=trait).frame().set_index("term")
    for value in (1, 0):
        term = f"treat[{trait}={value}]"
        gap = rows.loc[term, "estimate"] - country.truth.parts[term]
        assert abs(gap) < 3.5 * rows.loc[term, "std_error"]
    truth = country.truth.parts[f"treat[{trait}=1]"] - country.truth.parts[f"treat[{trait}=0]"]
    assert abs(rows.loc["difference:1-0", "estimate"] - truth) < 3.5 * rows.loc["difference:1-0", "std_error"]
    assert np.isfinite(rows.loc["fisher_permutation", "p_value"])
