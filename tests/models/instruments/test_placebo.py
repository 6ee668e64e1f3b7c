"""Exchanged instruments: what is drawn, its p-value, and what it finds of relevant and of irrelevant instruments."""

from dataclasses import replace

import numpy as np
import pytest

from syneff.errors import DataError
from syneff.models.base import Spec
from syneff.models.instruments.placebo import PlaceboInstruments
from syneff.models.two_stage import TwoStage
from tests.models.instruments.test_two_stage import endogenous

MODEL = TwoStage(Spec("y", "d", ("a", "b"), ("z1", "z2")))
DRAWS = 39


@pytest.fixture(scope="module")
def panel():
    return endogenous()


@pytest.fixture(scope="module")
def found(panel):
    return PlaceboInstruments(MODEL, DRAWS).estimate(panel, seed=2, name="exchange")


def test_real_statistics_are_those_of_the_model(found):
    tests = {test.name: test for test in found.tests}
    for ours, models in {"randomization:d": "first_stage_f", "randomization:reduced_form": "anderson_rubin"}.items():
        assert float(tests[ours].statistic) == pytest.approx(float(tests[models].statistic), rel=1e-11)


def test_relevant_instruments_beat_every_exchange(found):
    tests = {test.name: test for test in found.tests}
    assert float(tests["randomization:d"].pvalue) == 1 / (1 + DRAWS)
    assert float(tests["randomization:reduced_form"].pvalue) <= 0.1
    assert found.draws.coef.shape == (DRAWS, 5)


@pytest.mark.slow
def test_draws_do_not_depend_on_the_chunk(panel, found):
    again = PlaceboInstruments(MODEL, DRAWS, chunk=16).estimate(panel, seed=2, name="exchange")
    np.testing.assert_allclose(again.draws.coef, found.draws.coef, rtol=1e-9)


def test_irrelevant_instruments_are_one_exchange_among_others(panel):
    rng = np.random.default_rng(8)
    noise = {name: rng.normal(size=panel.shape) for name in ("z1", "z2")}
    tests = {test.name: test for test in PlaceboInstruments(MODEL, DRAWS).estimate(panel.assign(noise), seed=2).tests}
    assert float(tests["randomization:d"].pvalue) > 0.1


def test_a_missing_instrument_is_named(panel):
    holes = panel.column("z2").copy()
    holes[4, 3] = np.nan
    with pytest.raises(DataError, match=r"'z2' is missing on 1 rows of sampled units"):
        PlaceboInstruments(replace(MODEL, suspect=()), DRAWS).estimate(panel.assign({"z2": holes}))
