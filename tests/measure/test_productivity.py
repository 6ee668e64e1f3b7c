"""Productivity indices: identities, circularity, who precedes whom, messages."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.errors import DataError, SpecError
from syneff.measure.directional import directional_distance, nonradial_distance
from syneff.measure.productivity import Productivity, luenberger, malmquist_luenberger
from syneff.measure.technology import Technology
from tests import envelopes
from tests.frontiers import draw

UNIT, PERIOD = np.repeat(np.arange(10), 3), np.tile([2004, 2005, 2007], 10)
RADIAL = partial(directional_distance, solver="simplex")
NONRADIAL = partial(nonradial_distance, solver="simplex")
few = settings(deadline=None, max_examples=10)


def technology(seed: int, **options: Any) -> Technology:
    return Technology(**draw(np.random.default_rng(seed), rows=30), period=PERIOD, **options)


def indicator(units: Technology) -> Productivity:
    return luenberger(units, UNIT, NONRADIAL)


def index(units: Technology) -> Productivity:
    return malmquist_luenberger(units, UNIT, RADIAL)


@pytest.mark.parametrize("returns", ["crs", "vrs"])
def test_against_highs(returns: str) -> None:
    units = technology(1, returns=returns)
    own = Technology(units.inputs, units.good, units.bad, PERIOD, returns, "contemporaneous")
    direction = ("good", "bad")
    far, near = (
        np.array([envelopes.distance(each, row, "weak", direction) for row in range(30)]).reshape(10, 3)
        for each in (units, own)
    )
    result = index(units)
    change = (1 + far[:, :-1]) / (1 + far[:, 1:])
    efficiency = (1 + near[:, :-1]) / (1 + near[:, 1:])
    np.testing.assert_allclose(result.change.reshape(10, 3)[:, 1:], change, rtol=1e-9)
    np.testing.assert_allclose(result.efficiency_change.reshape(10, 3)[:, 1:], efficiency, rtol=1e-9)
    result = luenberger(units, UNIT, RADIAL)
    np.testing.assert_allclose(result.change.reshape(10, 3)[:, 1:], far[:, :-1] - far[:, 1:], atol=1e-9)
    np.testing.assert_allclose(result.efficiency_change.reshape(10, 3)[:, 1:], near[:, :-1] - near[:, 1:], atol=1e-9)


@few
@given(st.integers(0, 10**6), st.sampled_from(["crs", "vrs"]))
def test_parts_and_circularity(seed: int, returns: str) -> None:
    units = technology(seed, returns=returns)
    gml, added = index(units), indicator(units)
    np.testing.assert_allclose(gml.efficiency_change * gml.best_practice_change, gml.change, rtol=1e-12)
    np.testing.assert_allclose(added.efficiency_change + added.best_practice_change, added.change, atol=1e-12)
    # Two steps are the change from the first to the last period, measured without the one between.
    ends = (1 + gml.to_global.distance[0::3]) / (1 + gml.to_global.distance[2::3])
    np.testing.assert_allclose(gml.change[1::3] * gml.change[2::3], ends, rtol=1e-12)
    ends = added.to_global.distance[0::3] - added.to_global.distance[2::3]
    np.testing.assert_allclose(added.change[1::3] + added.change[2::3], ends, atol=1e-12)
    # A larger reference set moves nobody nearer.
    assert (gml.to_global.distance >= gml.to_own.distance - 1e-9).all()
    assert np.isnan(gml.change[0::3]).all()
    np.testing.assert_array_equal(np.isnan(gml.change), np.isnan(gml.best_practice_change))


@few
@given(st.integers(0, 10**6))
def test_units_and_order_of_rows_do_not_matter(seed: int) -> None:
    data = draw(np.random.default_rng(seed), rows=30)
    order = np.random.default_rng(seed).permutation(30)
    before = index(Technology(**data, period=PERIOD))
    scaled = {name: (block * 10.0 ** (at - 3))[order] for at, (name, block) in enumerate(data.items())}
    after = malmquist_luenberger(
        Technology(**scaled, period=PERIOD[order]), [f"city {at}" for at in UNIT[order]], RADIAL
    )
    np.testing.assert_allclose(after.change, before.change[order], rtol=1e-9)
    np.testing.assert_allclose(after.best_practice_change, before.best_practice_change[order], rtol=1e-9)


def test_a_proportional_rise_is_all_best_practice() -> None:
    # Everybody makes 10 % more of everything good with the same in each period: constant returns, direction of y alone.
    data = draw(np.random.default_rng(3), rows=30)
    data = {name: np.repeat(block[0::3], 3, axis=0) for name, block in data.items()}
    data["good"] *= np.tile([1.0, 1.1, 1.21], 10)[:, None]
    distance = partial(RADIAL, direction=("good",), disposability="strong")
    result = malmquist_luenberger(Technology(**data, period=PERIOD), UNIT, distance)
    later = PERIOD > 2004
    np.testing.assert_allclose(result.change[later], 1.1, rtol=1e-12)
    np.testing.assert_allclose(result.efficiency_change[later], 1.0, rtol=1e-12)
    np.testing.assert_allclose(result.best_practice_change[later], 1.1, rtol=1e-12)


def test_the_predecessor_is_of_the_period_before() -> None:
    keep = np.ones(30, dtype=bool)
    keep[[1, 3]] = False  # the second period of the first unit, the first of the second
    units = technology(4)
    data = {name: np.asarray(getattr(units, name))[keep] for name in ("inputs", "good", "bad")}
    result = malmquist_luenberger(Technology(**data, period=PERIOD[keep]), UNIT[keep], RADIAL)
    # 2007 follows 2005 in these data; the first unit's 2007 has no 2005 to be compared with.
    assert result.previous[:4].tolist() == [-1, -1, -1, 2]
    assert np.isfinite(result.change[3])
    assert np.isnan(result.change[:3]).all()
    assert result.summary().startswith("17 changes from the previous period; 28 of 28 programs are certified optimal")


def test_bad_input_is_named() -> None:
    units = technology(5)
    with pytest.raises(DataError, match=r"rows 0 and 1 are both unit 0 in period 2004. Keep one row"):
        malmquist_luenberger(Technology(units.inputs, units.good, units.bad, np.repeat(2004, 30)), UNIT)
    with pytest.raises(DataError, match=r"unit has shape \(29,\); it must have one entry for each of the 30 rows"):
        luenberger(units, UNIT[1:])
    with pytest.raises(SpecError, match=r"needs the period of each row"):
        luenberger(Technology(units.inputs, units.good, units.bad), UNIT)
    with pytest.raises(SpecError, match=r"leave reference='global'"):
        luenberger(technology(5, reference="contemporaneous"), UNIT)
