"""The smoothed bootstrap of a frontier: its draws, and scores against pseudo-data by an independent program."""

import numpy as np
import pytest
from scipy import stats

from syneff.measure import smoothed
from syneff.measure.efficiency import slacks_based
from syneff.measure.smoothed import draw_distances, smoothed_scores
from syneff.measure.technology import Technology
from tests.measure.test_subset import PERIOD, data


def technology(**options):
    return Technology(*data(), period=PERIOD, **options)


def test_drawn_distances_keep_mean_and_variance_and_stay_below_one():
    distance = np.random.default_rng(0).beta(8, 3, 4000)
    drawn = draw_distances(np.random.default_rng(1), distance)
    assert drawn.max() <= 1.0
    assert drawn.mean() == pytest.approx(distance.mean(), abs=0.01)
    assert drawn.std() == pytest.approx(distance.std(), rel=0.05)
    assert stats.ks_2samp(drawn, distance).statistic < 0.05
    # Smooth: no value twice, though they are drawn with replacement.
    assert np.unique(drawn[drawn < 1]).size == (drawn < 1).sum()


def test_scores_that_are_drawn_as_they_are_give_the_first_scores_back(monkeypatch):
    monkeypatch.setattr(smoothed, "draw_distances", lambda generator, distance: distance)
    found = smoothed_scores(technology(), [np.random.default_rng(0)], super_efficiency=False, solver="simplex")
    np.testing.assert_allclose(found[0], slacks_based(technology(), super_efficiency=False).score, atol=1e-9)


def test_a_frontier_at_half_the_input_halves_the_score_of_one_input(monkeypatch):
    inputs, good, _ = data()
    one = Technology(inputs[:, :1], good)
    first = slacks_based(one, super_efficiency=False, orientation="input").score
    monkeypatch.setattr(smoothed, "draw_distances", lambda generator, distance: 2.0 * distance)
    found = smoothed_scores(one, [np.random.default_rng(0)], orientation="input", solver="simplex")
    np.testing.assert_allclose(found[0], first / 2.0, atol=1e-9)


def test_a_draw_is_its_generators():
    generators = [np.random.default_rng(each) for each in (1, 2)]
    both = smoothed_scores(technology(), generators, solver="simplex")
    again = smoothed_scores(technology(), [np.random.default_rng(2)], solver="simplex")
    np.testing.assert_array_equal(both[1], again[0])
    assert np.abs(both[0] - both[1]).max() > 1e-6
