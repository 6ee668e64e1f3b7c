"""Distributions and maps: pandas' moments, densities that integrate to one."""

from dataclasses import replace

import numpy as np
import pytest

from syneff.errors import DataError
from syneff.models.description import Distributions, ScoreMap
from tests.panels import staggered


def placed(seed=1, **options):
    panel = staggered(seed, **options)
    rng = np.random.default_rng(seed)
    return replace(panel, traits={**panel.traits, "lat": rng.uniform(20, 45, 30), "lon": rng.uniform(100, 125, 30)})


@pytest.mark.parametrize("by", ["treat", "region"])
def test_moments_by_group_are_those_of_pandas(by):
    panel = staggered(5, missing=0.1)
    found = Distributions(("y", "a"), by=by).estimate(panel).frame().set_index("term")["estimate"]
    for group, rows in panel.to_frame(sample_only=True).groupby(by):
        label = group if by == "region" else f"treat = {group:g}"
        for name in ("y", "a"):
            assert found[f"mean:{name} ({label})"] == pytest.approx(rows[name].mean(), rel=1e-12)
            assert found[f"sd:{name} ({label})"] == pytest.approx(rows[name].std(), rel=1e-12)
            assert found[f"n:{name} ({label})"] == len(rows)


def test_densities_integrate_to_one():
    curves = Distributions(("y",), by="treat").estimate(staggered(6)).details["distribution"]
    for _, curve in curves.groupby("group"):
        assert np.trapezoid(curve["density"], curve["value"]) == pytest.approx(1, abs=0.06)


def test_too_many_groups_are_refused():
    with pytest.raises(DataError, match="different values"):
        Distributions(("y",), by="a").estimate(staggered(1))


def test_values_that_lie_in_no_group_are_told():
    panel = staggered(1)
    group = np.where(np.arange(30)[:, None] % 2, 1.0, np.nan) * np.ones((30, 8))
    values = np.where(np.isnan(group), panel.column("y"), np.nan)
    with pytest.raises(DataError, match="both a value of v and one of 'g'"):
        Distributions(("v",), by="g").estimate(panel.assign({"g": group, "v": values}))


def test_a_map_holds_the_values_of_its_years():
    panel = placed()
    found = ScoreMap("y", periods=(2001, 2004)).estimate(panel)
    rows = found.details["map"]
    assert rows["period"].unique().tolist() == [2001, 2004]
    np.testing.assert_array_equal(rows.loc[rows["period"] == 2004, "value"], panel.column("y")[:, 4])
    np.testing.assert_array_equal(rows.loc[rows["period"] == 2004, "treated"], panel.column("treat")[:, 4] == 1)
    expected = panel.to_frame().groupby("period")["y"].mean()
    assert found.frame().set_index("term")["estimate"]["mean:2003"] == pytest.approx(expected[2003], rel=1e-12)


def test_maps_show_six_years_evenly_spaced_and_refuse_others():
    panel = placed(missing=0.1)
    rows = ScoreMap("y").estimate(panel).details["map"]
    assert rows["period"].unique().tolist() == [2000, 2001, 2003, 2004, 2006, 2007]
    assert len(rows[rows["period"] == 2000]) == panel.sample[:, 0].sum()
    with pytest.raises(DataError, match="period 1999 is not in the panel"):
        ScoreMap("y", periods=(1999,)).estimate(panel)
    nowhere = replace(panel, traits={**panel.traits, "lat": np.full(30, np.nan)})
    with pytest.raises(DataError, match=r"no unit has 'y' .* lat and lon"):
        ScoreMap("y").estimate(nowhere)
