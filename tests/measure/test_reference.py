"""Reference sets: which rows span which frontier, by hand and against HiGHS; what is refused."""

from typing import Any

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.measure.efficiency import slacks_based
from syneff.measure.technology import Technology
from tests.frontiers import draw, highs_scores

YEARS = [2004, 2005, 2007, 2008, 2009]  # 2006 is not in the data: the next of 2005 is 2007


def years_compared(**options: Any) -> dict[int, set[int]]:
    """Return by year the years of the rows that it is compared with; the rows are in disorder."""
    period = np.array([2008, 2004, 2009, 2005, 2007, 2004, 2009, 2005, 2008, 2007])
    units = Technology(np.ones((10, 1)), np.ones((10, 1)), period=period, **options)
    found: dict[int, set[int]] = {}
    for evaluated, reference in units.groups:
        for year in period[evaluated]:
            found[int(year)] = {int(each) for each in period[reference]}
        assert set(reference) == set(np.flatnonzero(np.isin(period, period[reference])))
    assert sorted(row for evaluated, _ in units.groups for row in evaluated) == list(range(10))
    return found


BY_HAND = [
    ({"reference": "global"}, [YEARS] * 5),
    ({"reference": "contemporaneous"}, [[year] for year in YEARS]),
    ({"reference": "sequential"}, [YEARS[:1], YEARS[:2], YEARS[:3], YEARS[:4], YEARS]),
    ({"reference": "biennial"}, [YEARS[:2], YEARS[1:3], YEARS[2:4], YEARS[3:], YEARS[3:]]),
    ({"reference": "window", "window": 1}, [[year] for year in YEARS]),
    ({"reference": "window", "window": 2}, [YEARS[:2], YEARS[1:3], YEARS[2:4], YEARS[3:], YEARS[3:]]),
    ({"reference": "window", "window": 3}, [YEARS[:3], YEARS[:3], YEARS[1:4], YEARS[2:], YEARS[2:]]),
    ({"reference": "window", "window": 4}, [YEARS[:4], YEARS[:4], YEARS[1:], YEARS[1:], YEARS[1:]]),
    ({"reference": "window", "window": 5}, [YEARS] * 5),
]


@pytest.mark.parametrize(("options", "expected"), BY_HAND)
def test_the_years_that_a_year_is_compared_with(options: dict[str, Any], expected: list[list[int]]) -> None:
    assert years_compared(**options) == dict(zip(YEARS, map(set, expected), strict=True))


def test_rows_with_the_same_frontier_are_one_group() -> None:
    year = np.repeat(YEARS, 2)
    for options, number in (({"window": 5}, 1), ({"window": 3}, 3), ({"window": 1}, 5)):
        units = Technology(np.ones((10, 1)), np.ones((10, 1)), period=year, reference="window", **options)
        assert len(units.groups) == number


def test_biennial_with_one_period_is_contemporaneous() -> None:
    units = Technology(np.ones((3, 1)), np.ones((3, 1)), period=[2004] * 3, reference="biennial")
    ((evaluated, reference),) = units.groups
    assert (evaluated.tolist(), reference.tolist()) == ([0, 1, 2], [0, 1, 2])


PERIODS = np.random.default_rng(1).permutation(np.repeat(YEARS[:4], 8))
CASES = [
    {"reference": "sequential"},
    {"reference": "window", "window": 3},
    {"reference": "biennial", "returns": "vrs"},
    {"group": np.arange(32) % 2},
    {"reference": "sequential", "group": np.array(["east", "west"] * 16)},
    {"reference": np.arange(32) % 3 > 0, "group": np.arange(32) % 2, "returns": "vrs"},
]


@pytest.mark.parametrize(
    "options", CASES, ids=["sequential", "window", "biennial", "group", "group-sequential", "mask"]
)
def test_scores_against_a_loop_over_the_rows(options: dict[str, Any]) -> None:
    data = draw(np.random.default_rng(2), rows=32)
    data["inputs"][0] *= 0.1  # one row beyond the frontier of any other, inside a reference set and outside
    units = Technology(**data, period=PERIODS, **options)
    result = slacks_based(units, solver="simplex")
    expected = highs_scores(units)
    np.testing.assert_allclose(result.score, expected, atol=1e-10)
    assert np.nanmax(expected) > 1 + 1e-3
    assert np.nanmin(expected) < 1 - 1e-3


def test_a_row_beyond_the_frontier_of_others_has_a_super_score_alone() -> None:
    # It uses half of what the one reference uses: SBM has no feasible point. Half of the reference uses as much as it does,
    # for half of its output: 1 / (1 - (1/2)/2).
    data = {"inputs": np.array([[2.0, 4.0], [1.0, 2.0]]), "good": np.ones((2, 1)), "bad": np.ones((2, 1))}
    mask = np.array([True, False])
    units = Technology(**data, reference=mask)
    np.testing.assert_allclose(slacks_based(units, solver="simplex").score[1], 4 / 3, rtol=1e-13)
    plain = slacks_based(units, super_efficiency=False, solver="simplex")
    assert np.isnan(plain.score[1])
    assert "1 of 2 programs are infeasible under crs (first: row 1; they are beyond the frontier" in plain.summary()


BAD_SETS = [
    ({"reference": "sequentiel"}, SpecError, r"Did you mean 'sequential'"),
    ({"reference": "sequential"}, SpecError, r"reference='sequential' needs the period of each row"),
    ({"reference": "window", "period": [1, 2, 3]}, SpecError, r"needs window=, a number of periods from 1 to 3"),
    ({"reference": "window", "period": [1, 2, 3], "window": 4}, SpecError, r"window=4: the data have 3 periods"),
    ({"reference": "window", "period": [1, 2, 3], "window": 0}, SpecError, r"window=0: .* whole number from 1"),
    ({"reference": "biennial", "period": [1, 2, 3], "window": 2}, SpecError, r"belongs to reference='window' alone"),
    ({"reference": np.ones(3, dtype=bool), "window": 2}, SpecError, r"belongs to reference='window' alone"),
    ({"period": [2004.0, np.nan, 2005.0]}, DataError, r"period is missing in 1 rows \(first: row 1\)"),
    ({"group": np.array(["a", None, "b"], dtype=object)}, DataError, r"group is missing in 1 rows \(first: row 1\)"),
    ({"group": np.array(["a", 1, "b"], dtype=object)}, DataError, r"group mixes int, str"),
    ({"group": ["a", "b"]}, DataError, r"group has shape \(2,\); it must have one entry for each of the 3 rows"),
    (
        {"group": ["a", "b", "b"], "reference": np.array([True, False, False])},
        DataError,
        r"the reference mask has no row of group b, to which row 1 belongs",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_SETS)
def test_bad_reference_sets_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Technology(np.ones((3, 2)), np.ones((3, 1)), **options)
