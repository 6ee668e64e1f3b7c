"""Scores against frontiers of subsets: each is what measuring the subset alone gives."""

import numpy as np
import pytest

from syneff.errors import SpecError
from syneff.measure.efficiency import slacks_based
from syneff.measure.subset import subset_scores
from syneff.measure.technology import Technology

UNITS, PERIODS = 9, 4
UNIT, PERIOD = np.repeat(np.arange(UNITS), PERIODS), np.tile(np.arange(PERIODS), UNITS)


def data(seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.lognormal(size=(UNITS * PERIODS, 2))
    good = inputs.prod(axis=1, keepdims=True) ** 0.3 * rng.lognormal(0, 0.5, (UNITS * PERIODS, 1))
    return inputs, good, good * rng.lognormal(0, 0.5, (UNITS * PERIODS, 1))


def subsets(count=8, seed=1):
    drawn = np.random.default_rng(seed).integers(0, UNITS, (count, UNITS))
    return np.array([np.bincount(each, minlength=UNITS) > 0 for each in drawn])


def alone(present, returns, reference, mask=None, **options):
    """Measure the rows of the present units as if there were no others."""
    rows = np.flatnonzero(present[UNIT])
    inputs, good, bad = (block[rows] for block in data())
    chosen = reference if mask is None else mask[rows]
    technology = Technology(inputs, good, bad, period=PERIOD[rows], returns=returns, reference=chosen)
    scores = np.full(UNIT.size, np.nan)
    scores[rows] = slacks_based(technology, solver="simplex", **options).score
    return scores


@pytest.mark.parametrize(
    ("returns", "reference", "options"),
    [
        ("crs", "global", {}),
        ("vrs", "global", {"orientation": "output"}),
        ("vrs", "contemporaneous", {"bads": "inputs"}),
        ("ndrs", "sequential", {"orientation": "input", "weights": {"inputs": (2.0, 1.0)}}),
        ("crs", "global", {"super_efficiency": False}),
    ],
)
def test_scores_are_those_of_each_subset_alone(returns, reference, options):
    present = subsets()
    technology = Technology(*data(), period=PERIOD, returns=returns, reference=reference)
    found, programs = subset_scores(technology, UNIT, present, **options)
    for draw, own in enumerate(present):
        np.testing.assert_allclose(found[draw], alone(own, returns, reference, **options), atol=1e-9)
    # A tree of shared programs: fewer than one a row and subset.
    assert programs < 2 * present[:, UNIT].sum()


def test_a_mask_of_reference_rows_is_narrowed_down():
    mask = np.isin(UNIT, (0, 2, 3, 7))
    present = subsets()[subsets()[:, [0, 2, 3, 7]].any(axis=1)]
    technology = Technology(*data(), period=PERIOD, reference=mask)
    found, _ = subset_scores(technology, UNIT, present)
    for draw, own in enumerate(present):
        np.testing.assert_allclose(found[draw], alone(own, "crs", "global", mask=mask), atol=1e-9)


def test_a_subset_without_any_reference_row_has_no_score():
    technology = Technology(*data(), period=PERIOD, reference=np.isin(UNIT, (0, 2)))
    present = np.ones((2, UNITS), dtype=bool)
    present[1, [0, 2]] = False
    found, _ = subset_scores(technology, UNIT, present)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_the_whole_is_a_subset_and_the_order_of_subsets_is_nothing():
    technology = Technology(*data(), period=PERIOD)
    present = np.concatenate([np.ones((1, UNITS), dtype=bool), subsets()])
    found, _ = subset_scores(technology, UNIT, present)
    np.testing.assert_allclose(found[0], slacks_based(technology).score, atol=1e-9)
    np.testing.assert_array_equal(subset_scores(technology, UNIT, present[::-1])[0], found[::-1])


def test_fewer_units_never_lower_a_score():
    technology = Technology(*data(), period=PERIOD)
    nested = np.arange(UNITS)[None, :] < np.arange(UNITS, 2, -1)[:, None]
    found, _ = subset_scores(technology, UNIT, nested)
    both = np.isfinite(found[1:])
    assert (np.diff(found, axis=0)[both] >= -1e-9).all()


def test_options_are_checked():
    with pytest.raises(SpecError, match="orientation"):
        subset_scores(Technology(*data()), UNIT, subsets(), orientation="sideways")
