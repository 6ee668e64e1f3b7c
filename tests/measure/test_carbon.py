"""Carbon: inventories by hand, the table's own arithmetic, nearest years, a user's factors, and units mixed by a thousand."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from syneff.errors import DataError, SpecError
from syneff.measure import factors
from syneff.measure.carbon import carbon_inventory
from tests.provinces import NAN, country

few = settings(deadline=None, max_examples=25)
FOUR = {"natural_gas": "gas", "lpg": "lpg", "electricity": "power", "heat": "heat"}
OM = {"electricity": "operating_margin"}


def four(first=2012, traits=None, **columns):
    use = {"gas": [[100.0]], "lpg": [[1000.0]], "power": [[2000.0]], "heat": [[3.0]]} | columns
    return country(first=first, traits=traits or {"grid": np.array(["East"], dtype=object)}, **use)


def test_four_carriers_by_hand():
    # Gas 100 x 10^4 m3 x 38.931 MJ/m3 x 56.1 g/MJ = 2184.03 t; LPG 1000 t x 50.179 GJ/t x 63.1 kg/GJ = 3166.29 t;
    # power 20 000 MWh x .7035 t/MWh = 14 070 t (East China, 2012); heat 30 000 GJ x .11 t/GJ = 3 300 t.
    after = carbon_inventory(four(), carriers=FOUR, grid="grid", unit="t")
    parts = {"natural_gas": 2184.0291, "lpg": 3166.2949, "electricity": 14070.0, "heat": 3300.0}
    for carrier, tonnes in parts.items():
        np.testing.assert_allclose(after.columns[f"co2_{carrier}"], [[tonnes]], rtol=1e-5)
    np.testing.assert_allclose(after.columns["co2"], [[sum(parts.values())]], rtol=1e-5)
    assert "CO2 of natural_gas 9.6%, lpg 13.9%, electricity 61.9%, heat 14.5%" in after.notes[-1]
    ten_thousand = carbon_inventory(four(), carriers=FOUR, grid="grid")
    np.testing.assert_allclose(ten_thousand.columns["co2"] * 1e4, after.columns["co2"], rtol=1e-12)
    assert ten_thousand.variables["co2"].unit == "10^4 t"


def test_the_factors_used_travel_with_the_panel():
    used = carbon_inventory(four(), carriers=FOUR, grid="grid").details["co2_factors"]
    assert set(used["carrier"]) == set(FOUR)
    assert set(used.loc[used["carrier"] == "electricity", "grid"]) == {"East"}
    assert (used["source"].str.len() > 10).all()


@few
@given(
    arrays.arrays(float, (3, 4), elements=st.floats(0, 1e5)), arrays.arrays(float, (3, 4), elements=st.floats(0, 1e5))
)
def test_parts_add_up_and_units_cancel(gas, power):
    panel = country(gas=gas, power=power, kwh=power * 1e4)
    options = {"province": "province", "basis": OM}
    one = carbon_inventory(panel, carriers={"natural_gas": "gas", "electricity": "power"}, **options)
    np.testing.assert_allclose(one.columns["co2"], one.columns["co2_natural_gas"] + one.columns["co2_electricity"])
    carriers = {"natural_gas": "gas", "electricity": "kwh"}
    other = carbon_inventory(panel, carriers=carriers, scale={"electricity": 1e-4}, **options)
    np.testing.assert_allclose(other.columns["co2"], one.columns["co2"], rtol=1e-12)


def test_a_factor_is_the_product_of_heat_value_and_content():
    made = factors.packaged().dropna(subset=["heat_value", "content"])
    assert len(made) >= 19
    np.testing.assert_allclose(made["factor"], made["heat_value"] * made["content"] / 1000, rtol=1e-5)


def test_the_table_says_for_each_factor_what_it_is_and_where_from():
    table = factors.packaged()
    assert not table.duplicated(["carrier", "basis", "grid", "year"]).any()
    assert (table["factor"] > 0).all()
    assert table["unit"].str.match(r"t CO2 / (10\^4 )?(m3|t|kWh|GJ)$").all()
    assert (table["source"] != "").all()
    assert set(table["checked"]) == {"yes", "no"}
    power = table[(table["carrier"] == "electricity") & (table["grid"] != "")]
    assert set(power["grid"]) == set(factors.grids().values())
    assert (power.groupby(["basis", "year"])["grid"].nunique() == 7).all()
    # Only the fossil plants of a grid count in its operating margin, so it is above the average of all plants.
    wide = power[power["year"] == 2012].pivot(index="grid", columns="basis", values="factor")
    assert (wide["operating_margin"] > wide["average"]).all()


def test_published_operating_margins_are_means_of_three_years():
    # The notice for 2016 prints the margins of 2012, 2013 and 2014 of each grid beside their mean.
    single = {
        "North": (1.0583, 0.9913, 0.9551),
        "Northeast": (1.1225, 1.1102, 1.1184),
        "East": (0.8107, 0.8222, 0.7932),
        "Central": (0.9437, 0.9291, 0.8976),
        "Northwest": (0.9546, 0.9424, 0.9041),
        "South": (0.9063, 0.8664, 0.8306),
    }
    table = factors.packaged()
    printed = table[table["basis"] == "operating_margin"].pivot(index="grid", columns="year", values="factor") / 10
    for grid, years in single.items():
        means = printed.loc[grid]
        # Weighted by generation, so near the plain mean.
        assert means[2016] == pytest.approx(np.mean(years), abs=0.005)
        # What each notice adds to the one before is one year's margin: a wrong digit would make it jump.
        margins = dict(zip((2012, 2013, 2014), years, strict=True))
        for year in (2017, 2018, 2019):
            margins[year - 2] = 3 * means[year] - margins[year - 3] - margins[year - 4]
        for year in range(2015, 2008, -1):
            margins[year - 4] = 3 * means[year] - margins[year - 3] - margins[year - 2]
        path = np.array([margins[year] for year in sorted(margins)])
        assert len(path) == 13
        assert (np.abs(np.diff(np.log(path))) < 0.12).all(), (grid, path)


@pytest.mark.parametrize(
    ("province", "grid"),
    [
        ("Hubei", "Central"),
        ("湖北省", "Central"),
        ("北京市", "North"),
        ("广西壮族自治区", "South"),
        ("内蒙古自治区", "North"),
    ],
)
def test_provinces_have_their_grid(province, grid):
    assert factors.grid_of(province) == grid


def test_every_province_of_the_real_panel_but_tibet_has_a_grid(shared):
    provinces = pd.read_csv(shared / "data" / "china_cities_2004_2020.csv")["province"].unique()
    assert {each for each in provinces if factors.grid_of(each) is None} <= {"西藏自治区"}
    assert len(provinces) >= 30


def own(tmp_path, text):
    path = tmp_path / "own.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_year_without_a_factor_takes_the_nearest_and_says_so(tmp_path):
    rows = "".join(
        f"electricity,{f},t CO2 / 10^4 kWh,mine,N,{y}\n" for y, f in ((2005, 12.0), (2010, 9.0), (2011, 8.0))
    )
    path = own(tmp_path, "carrier,factor,unit,source,grid,year\n" + rows)
    panel = country(first=2006, power=[[1.0] * 7], traits={"grid": np.array(["N"], dtype=object)})
    after = carbon_inventory(panel, carriers={"electricity": "power"}, grid="grid", factors_path=path, unit="t")
    np.testing.assert_allclose(after.columns["co2"], [[12, 12, 9, 9, 9, 8, 8]])
    assert (
        "electricity: 2006-2007 by the factor of 2005, 2008-2009 by the factor of 2010, 2012 by the" in after.notes[-1]
    )


def test_factors_that_were_not_compared_with_their_publication_are_told():
    panel = country(first=2011, power=[[1.0] * 2], traits={"grid": np.array(["North"], dtype=object)})
    note = carbon_inventory(panel, carriers={"electricity": "power"}, grid="grid").notes[-1]
    assert "factors entered without the publication at hand, to be compared with it: electricity 2011." in note


def test_copies_of_the_notices_have_the_same_factors():
    """Averages of 2012 and operating margins of 2016 and 2019, t CO2/MWh, from copies of the notices that printed them."""
    grids = ["North", "Northeast", "East", "Central", "Northwest", "South"]
    printed = {
        ("average", 2012): [0.8843, 0.7769, 0.7035, 0.5257, 0.6671, 0.5271],
        ("operating_margin", 2016): [1.0000, 1.1171, 0.8086, 0.9229, 0.9316, 0.8676],
        ("operating_margin", 2019): [0.9419, 1.0826, 0.7921, 0.8587, 0.8922, 0.8042],
    }
    table = factors.packaged().set_index(["basis", "year", "grid"]).sort_index()
    for (basis, year), values in printed.items():
        found = [float(table.loc[(basis, year, grid), "factor"]) for grid in grids]
        np.testing.assert_allclose(found, np.array(values) * 10)
        assert set(table.loc[(basis, year), "checked"]) == {"yes"}


def test_bases_can_be_chosen_by_carrier():
    basis = {"natural_gas": "provincial", "lpg": "provincial", "heat": "boiler", "electricity": "operating_margin"}
    after = carbon_inventory(four(), carriers=FOUR, grid="grid", basis=basis, unit="t")
    # As papers print them: 2.1622 kg/m3 of gas, 3.1013 kg/kg of LPG.
    np.testing.assert_allclose(after.columns["co2_natural_gas"], [[2162.2]], rtol=1e-4)
    np.testing.assert_allclose(after.columns["co2_lpg"], [[3101.3]], rtol=1e-4)
    np.testing.assert_allclose(after.columns["co2_heat"], [[30000 / 0.7 * 0.0946]], rtol=1e-5)


def test_a_user_s_factors_come_first(tmp_path):
    path = own(
        tmp_path, "carrier,factor,unit,source,year\nnatural_gas,20,t CO2 / 10^4 m3,mine,\nstraw,1.5,t CO2 / t,mine,\n"
    )
    panel = country(gas=[[10.0]], straw=[[4.0]], lpg=[[1.0]])
    carriers = {"natural_gas": "gas", "straw": "straw", "lpg": "lpg"}
    after = carbon_inventory(panel, carriers=carriers, factors_path=path, unit="t")
    np.testing.assert_allclose(after.columns["co2_natural_gas"], [[200]])
    np.testing.assert_allclose(after.columns["co2_straw"], [[6]])
    np.testing.assert_allclose(after.columns["co2_lpg"], [[3.16629]])
    assert "factors of natural_gas (own), straw (own), lpg (ipcc)" in after.notes[-1]


def test_a_national_factor_of_electricity_needs_no_grid(tmp_path):
    path = own(
        tmp_path,
        "carrier,factor,unit,source,year\n"
        + "".join(
            f"electricity,{factor},t CO2 / 10^4 kWh,mine,{year}\n" for year, factor in ((2004, 9.0), (2006, 8.0))
        ),
    )
    after = carbon_inventory(country(p=[[1, 1, 1]]), carriers={"electricity": "p"}, factors_path=path, unit="t")
    np.testing.assert_allclose(after.columns["co2"], [[9, 9, 8]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "carrier,factor,unit\nlpg,3,t CO2 / t\n",
            "unknown column in factors_path: 'source'.*The columns are carrier, factor",
        ),
        (
            "carrier,factor,unit,source\nlpg,0,t CO2 / t,mine\n",
            r"a factor must be a positive number, but is not in row 1 \(lpg\)",
        ),
        ("carrier,factor,unit,source\nlpg,3,kg/t,mine\n", "a unit must begin with 't CO2 / ', unlike row 1"),
        ("carrier,factor,unit,source\nlpg,3,t CO2 / t,\n", "a source is missing in row 1"),
        ("carrier,factor,unit,source\n" + "lpg,3,t CO2 / t,mine\n" * 2, "have the same carrier, basis, grid and year"),
    ],
)
def test_a_user_s_table_is_checked(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        carbon_inventory(country(x=[[1.0]]), carriers={"lpg": "x"}, factors_path=own(tmp_path, text))


def test_a_factor_in_kilograms_is_warned_of(tmp_path):
    path = own(tmp_path, "carrier,factor,unit,source\nlpg,3101.3,t CO2 / t,mine\n")
    note = carbon_inventory(country(x=[[1.0]]), carriers={"lpg": "x"}, factors_path=path).notes[-1]
    # 3101.3 by the median of 3.16629 and 3.10133.
    assert "WARNING: your factor of lpg is 990 times the usual one" in note


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"carriers": {"peat": "gas"}}, "unknown carrier 'peat'.*Add factors of your own by factors_path"),
        ({}, {"carriers": {"natural_gas": "gass"}}, "unknown column 'gass'. Did you mean 'gas'"),
        ({"gas": [[-1.0]]}, {}, "'gas' is negative in Anqing 2012"),
        ({"gas": [[NAN]]}, {}, "'gas' is missing in Anqing 2012. Fill gaps with interpolate, or set missing=zero"),
        ({}, {"grid": None}, r"electricity has no factor for the grid of Anqing \(None\)"),
        ({"traits": {"grid": np.array(["Tibet"], dtype=object)}}, {}, r"the grid of Anqing \(Tibet\). Grids: North"),
        ({}, {"basis": {"electricity": "marginal"}}, "unknown basis for electricity: 'marginal'"),
        ({}, {"grid": "region"}, "unknown trait for grid or province: 'region'"),
    ],
)
def test_it_names_what_is_wrong(change, options, message):
    with pytest.raises(DataError, match=message):
        carbon_inventory(four(**change), **{"carriers": FOUR, "grid": "grid"} | options)


def test_options_are_checked():
    for options, message in (
        ({"unit": "kg"}, "unknown value for carbon_inventory.unit: 'kg'"),
        ({"missing": "drop"}, "unknown value for carbon_inventory.missing: 'drop'"),
        ({"scale": {"coal": 2.0}}, "unknown carrier in scale: 'coal'"),
        ({"carriers": {}}, "carriers is empty"),
    ):
        with pytest.raises(SpecError, match=re.escape(message)):
            carbon_inventory(four(), **{"carriers": FOUR, "grid": "grid"} | options)


def test_an_empty_cell_may_mean_none():
    panel = country(gas=[[NAN, 10]], lpg=[[1, 1]])
    after = carbon_inventory(panel, carriers={"natural_gas": "gas", "lpg": "lpg"}, missing="zero", unit="t")
    np.testing.assert_allclose(after.columns["co2_natural_gas"], [[0, 218.403]], rtol=1e-5)
    assert "gas is missing in 1 city-years and counted as 0 there (Anqing 2004)" in after.notes[-1]


def test_units_mixed_by_a_thousand_are_warned_of():
    declared = country(gas=[[1.0]], units={"gas": "m3"})
    note = carbon_inventory(declared, carriers={"natural_gas": "gas"}).notes[-1]
    assert (
        "WARNING: gas is declared in 'm3', and the factor of natural_gas is for '10^4 m3': rescale with scale=" in note
    )
    assert (
        "WARNING"
        not in carbon_inventory(declared, carriers={"natural_gas": "gas"}, scale={"natural_gas": 1e-4}).notes[-1]
    )
    jumping = country(lpg=[[1.0, 1.1, 1200.0, 1.3]])
    assert (
        "mix units by a factor of a thousand: Anqing 2006"
        in carbon_inventory(jumping, carriers={"lpg": "lpg"}).notes[-1]
    )
    # 10^6 t of coal for 10^6 persons is 2 t a head; in kilograms it would be 2 000.
    for use, warned in ((1e6, False), (1e9, True)):
        panel = country(coal=[[use]], population=[[100.0]])
        note = carbon_inventory(panel, carriers={"coal": "coal"}, population="population").notes[-1]
        assert ("co2 a head is outside 0.05 to 200 t in 1 city-years (Anqing 2004" in note) == warned
