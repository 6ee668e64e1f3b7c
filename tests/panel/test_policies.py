"""Groups, ranks, trends, paths and instruments: by hand, and what the city effect makes of them."""

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.panel import interactions, policies
from syneff.panel.joins import join_yearly
from tests.provinces import NAN, country

X = [[1.0, 2.0, 3.0]] * 3


def numbers(**traits):
    return country(x=X, traits={name: np.array(values, dtype=float) for name, values in traits.items()})


def test_a_group_by_the_values_of_a_trait():
    after = policies.group_dummy(country(x=X), name="hubei", trait="province", values=["Hubei"], label_zh="湖北")
    np.testing.assert_array_equal(after.traits["hubei"], [0, 0, 1])
    assert after.notes[-1] == "hubei = 1 where province is Hubei: 1 cities, and 0 for 2."
    assert after.label("hubei", "zh") == "湖北"
    coded = policies.group_dummy(numbers(region=[1, 2, NAN]), name="g", trait="region", values=[2])
    np.testing.assert_array_equal(coded.traits["g"], [0, 1, NAN])
    assert "missing for Wuhan" in coded.notes[-1]


def test_a_group_by_a_condition_that_does_not_change():
    after = policies.group_dummy(numbers(lat=[30.5, 31.8, 34.0]), name="northern", condition="lat > 33")
    np.testing.assert_array_equal(after.traits["northern"], [0, 0, 1])
    with pytest.raises(DataError, match="condition 'x > 2' changes over the years of Anqing, Hefei, Wuhan"):
        policies.group_dummy(country(x=X), name="g", condition="x > 2")
    part = country(x=X, weights=[[0, 0, 1]] * 3)
    np.testing.assert_array_equal(policies.group_dummy(part, name="g", condition="x > 2").traits["g"], [1, 1, 1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"trait": "provence", "values": ["Hubei"]}, DataError, "unknown trait for group_dummy: 'provence'"),
        (
            {"trait": "province", "values": ["Hubai"]},
            DataError,
            "unknown value of 'province': 'Hubai'. Did you mean 'Hubei'",
        ),
        ({"trait": "province"}, SpecError, "values is empty"),
        ({}, SpecError, "give either trait= and values=, or condition="),
    ],
)
def test_a_group_that_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        policies.group_dummy(country(x=X), name="g", **options)
    with pytest.raises(DataError, match="'x' is a column of the panel already"):
        policies.group_dummy(country(x=X), name="x", trait="province", values=["Hubei"])


def test_ranks_in_their_order():
    panel = numbers(municipality=[0, 0, 0], sub_provincial=[0, NAN, 1], prov_capital=[0, 1, 1])
    after = policies.rank(panel)
    assert after.traits["rank"].tolist() == ["ordinary", "capital", "sub-provincial"]
    assert "0 municipality, 1 sub-provincial, 1 capital, 1 ordinary; 1 cities are several of these" in after.notes[-1]
    with pytest.raises(DataError, match=r"trait 'prov_capital' must be 0, 1 or missing, but is .*2.* for Wuhan"):
        policies.rank(numbers(municipality=[0, 0, 0], sub_provincial=[0, 0, 0], prov_capital=[0, 1, 2]))
    with pytest.raises(DataError, match="unknown trait for rank: 'municipality'"):
        policies.rank(country(x=X))


def test_another_pilot_s_dummy_is_the_treatment_s_under_another_name():
    after = policies.treat_from_year(numbers(low=[2005, NAN, 2006]), trait="low", name="low_carbon")
    np.testing.assert_array_equal(after.columns["low_carbon"], [[0, 1, 1], [0, 0, 0], [0, 0, 1]])


def test_traits_times_powers_of_time():
    after = interactions.trait_trend(numbers(z=[1, 0, NAN], w=[2, 3, 4]), traits=["z", "w"], powers=[1, 2, 3])
    np.testing.assert_array_equal(after.columns["z_trend"], [[1, 2, 3], [0, 0, 0], [NAN] * 3])
    np.testing.assert_array_equal(after.columns["w_trend2"], np.outer([2, 3, 4], [1, 4, 9]))
    np.testing.assert_array_equal(after.columns["w_trend3"], np.outer([2, 3, 4], [1, 8, 27]))
    assert "t = 1 in 2004; missing for Wuhan" in after.notes[-1]
    with pytest.raises(DataError, match=r"trait 'province' is text\. Make a group of it first"):
        interactions.trait_trend(country(x=X), traits=["province"])
    with pytest.raises(SpecError, match=r"powers=\[0\] must be whole numbers of at least 1"):
        interactions.trait_trend(numbers(z=[1, 0, 1]), traits=["z"], powers=[0])


def test_the_origin_of_time_is_nothing_that_the_city_effect_does_not_absorb():
    # (1, t, t^2) spans (1, t - 2000, (t - 2000)^2), so the choice of t = 1 changes no estimate.
    time = np.arange(1.0, 4.0)
    ours = np.stack([np.ones(3), time, time**2])
    other = np.stack([time + 2003, (time + 2003) ** 2])
    fitted = np.linalg.lstsq(ours.T, other.T, rcond=None)[0]
    np.testing.assert_allclose(ours.T @ fitted, other.T, rtol=1e-9)


def test_traits_times_years():
    after = interactions.trait_periods(numbers(z=[2, 0, 1]), traits=["z"])
    assert [name for name in after.columns if name.startswith("z_")] == ["z_2005", "z_2006"]
    np.testing.assert_array_equal(after.columns["z_2006"], [[0, 0, 2], [0, 0, 0], [0, 0, 1]])
    other = interactions.trait_periods(numbers(z=[2, 0, 1]), traits=["z"], base=2006)
    assert [name for name in other.columns if name.startswith("z_")] == ["z_2004", "z_2005"]
    with pytest.raises(DataError, match=r"unknown year for trait_periods\.base: 2010"):
        interactions.trait_periods(numbers(z=[2, 0, 1]), traits=["z"], base=2010)


def test_an_instrument_is_a_trait_times_last_year_s_series():
    panel = country(research=[[10, 20, 30]] * 2 + [[NAN, 20, 30]], traits={"port": np.array([1.0, 0.0, 2.0])})
    after = interactions.instrument(panel, name="z", trait="port", series="research")
    np.testing.assert_array_equal(after.columns["z"], [[NAN, 10, 20], [NAN, 0, 0], [NAN, 20, 40]])
    assert after.notes[-1] == "z: port x research of 1 years before; missing in 2004, for want of the series."
    now = interactions.instrument(panel, name="z", trait="port", series="research", lag_by=0)
    np.testing.assert_array_equal(now.columns["z"][0], [10, 20, 30])
    np.testing.assert_array_equal(after.columns["research"], panel.columns["research"])


def test_an_instrument_names_the_year_in_which_the_series_is_not_national():
    panel = country(research=[[10, 20, 30], [10, 21, 30], [10, 20, 30]], traits={"port": np.ones(3)})
    message = "'research' must be one national series, but has values from 20 to 21 in 2005"
    with pytest.raises(DataError, match=message):
        interactions.instrument(panel, name="z", trait="port", series="research")
    with pytest.raises(SpecError, match="lag_by=-1 must be at least 0"):
        interactions.instrument(panel, name="z", trait="port", series="research", lag_by=-1)


def table(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_table_of_provinces_is_joined(tmp_path):
    rows = "province,year,energy\nAnhui,2004,10\nAnhui,2005,11\nHubei,2004,20\nHubei,2006,22\n"
    after = join_yearly(country(x=X), path=table(tmp_path, rows), group="province")
    np.testing.assert_array_equal(after.columns["energy"], [[10, 11, NAN], [10, 11, NAN], [20, NAN, 22]])
    assert after.notes[-1] == "joined energy by province and year; values are missing in 2005, 2006."


def test_a_national_series_may_begin_before_the_panel(tmp_path):
    path = table(tmp_path, "year,research\n2003,1\n2004,2\n2005,3\n")
    after = join_yearly(country(x=X), path=path, lag_by=1)
    np.testing.assert_array_equal(after.columns["research"], [[1, 2, 3]] * 3)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            "province,year,e\nAnhwei,2004,1\nHubei,2004,2\n",
            {"group": "province"},
            "no row for Anhui: .*Did you mean 'Anhwei'",
        ),
        ("province,year,e\nAnhui,2004,1\nAnhui,2004,2\n", {"group": "province"}, "more than one row for Anhui 2004"),
        ("year,e\n2004,1\n2005,n.a.x\n2006,3\n", {}, "column 'e' has text among its numbers: n.a.x"),
        ("year,x\n2004,1\n", {}, "x is in the panel already"),
        ("jahr,e\n2004,1\n", {}, "unknown column 'year'"),
        ("year,e\n2004,1\n", {"columns": ["energy"]}, "unknown column 'energy'"),
        ("year,e\n2004,1\n", {"group": "province"}, "unknown column 'province'"),
    ],
)
def test_what_does_not_match_is_named(tmp_path, rows, options, message):
    with pytest.raises(DataError, match=message):
        join_yearly(country(x=X), path=table(tmp_path, rows), **options)
