"""The four W of Table 12 over the 291 real cities that are complete: islands by name, bounds, dependence by year."""

import numpy as np
import pandas as pd
import pytest

from syneff.panel.sources import csv
from syneff.panel.steps import balance, ratio
from syneff.spatial import builders
from syneff.spatial.moran import moran

COMPLETE = ["population", "capital", "lights", "gdp", "co2"]


@pytest.fixture(scope="module")
def panel(shared):
    data = shared / "data"
    raw = csv(
        path=str(data / "china_cities_2004_2020.csv"),
        unit="code",
        period="year",
        columns=["city", "province", *COMPLETE],
        units_path=str(data / "cities.csv"),
        units_columns=["lon", "lat"],
    )
    return ratio(balance(raw, columns=COMPLETE), name="pgdp", numerator="gdp", denominator="population")


@pytest.fixture(scope="module")
def cities(shared):
    """Codes and names of the complete cities, found without the package."""
    raw = pd.read_csv(shared / "data" / "china_cities_2004_2020.csv")
    complete = raw.groupby("code").filter(lambda rows: len(rows) == 17 and rows[COMPLETE].notna().all(axis=None))
    return complete.groupby("code").first()


def test_neighbours_are_those_of_the_list_and_islands_are_named(panel, cities, shared):
    path = shared / "data" / "contiguity.csv"
    weights = builders.contiguity(panel, path=str(path))
    assert weights.units == tuple(cities.index)
    assert len(weights.units) == 291
    pairs = pd.read_csv(path)
    pairs = pairs[pairs["focal"].isin(cities.index) & pairs["neighbor"].isin(cities.index)]
    table = pd.crosstab(pairs["focal"], pairs["neighbor"]).reindex(
        index=cities.index, columns=cities.index, fill_value=0
    )
    np.testing.assert_array_equal(weights.links, table.to_numpy(float))
    alone = [f"{code} {cities['city'][code]}" for code in cities.index if code not in set(pairs["focal"])]
    assert weights.island_labels == tuple(alone)
    assert {"海口市", "三亚市", "克拉玛依市"} <= {each.split()[1] for each in alone}
    assert all(each in weights.notes[-1] for each in alone)
    low, high = weights.bounds
    values = np.linalg.eigvals(weights.matrix).real
    assert (low, high) == (pytest.approx(1 / values.min(), rel=1e-9), pytest.approx(1 / values.max(), rel=1e-9))
    linked = builders.contiguity(panel, path=str(path), islands="nearest")
    assert linked.row_standardised
    assert "460100 海口市 to 440800 湛江市" in linked.notes[-1]
    dropped = builders.contiguity(panel, path=str(path), islands="drop")
    assert len(dropped.units) == 291 - len(alone)


def test_municipalities_are_islands_under_province(panel, cities):
    weights = builders.province(panel)
    count = cities.groupby("province")["city"].transform("size")
    assert {each.split()[1] for each in weights.island_labels} == set(cities.loc[count == 1, "city"])
    assert {"北京市", "天津市", "上海市", "重庆市"} <= {each.split()[1] for each in weights.island_labels}
    np.testing.assert_allclose(weights.matrix[0].sum(), 0.0)
    hebei = (cities["province"] == "河北省").to_numpy()
    np.testing.assert_allclose(weights.matrix[hebei][:, hebei], (1 - np.eye(hebei.sum())) / (hebei.sum() - 1))


def test_distances_and_gaps_are_those_of_the_formulas(panel, cities, shared):
    places = np.radians(pd.read_csv(shared / "data" / "cities.csv").set_index("code").loc[cities.index, ["lat", "lon"]])
    lat, lon = places["lat"].to_numpy(), places["lon"].to_numpy()
    cosine = np.sin(lat)[:, None] * np.sin(lat) + np.cos(lat)[:, None] * np.cos(lat) * np.cos(lon[:, None] - lon)
    kilometres = 6371.0088 * np.arccos(np.clip(cosine, -1, 1)) + np.diag(np.full(291, np.inf))
    expected = 1 / kilometres
    weights = builders.distance(panel)
    np.testing.assert_allclose(weights.matrix, expected / expected.sum(1, keepdims=True), rtol=1e-7)
    assert weights.islands == ()
    # Far more negative than -1: the interval of rho is not (-1, 1).
    assert weights.bounds[0] < -5
    raw = pd.read_csv(shared / "data" / "china_cities_2004_2020.csv").set_index("code").loc[cities.index]
    means = (raw["gdp"] / raw["population"]).groupby(level=0).mean().to_numpy()
    gaps = 1 / np.where(np.eye(291) > 0, np.inf, np.abs(means[:, None] - means))
    economic = builders.economic(panel, column="pgdp")
    np.testing.assert_allclose(economic.matrix, gaps / gaps.sum(1, keepdims=True), rtol=1e-9)


def test_income_is_dependent_on_that_of_neighbours_in_every_year(panel, shared):
    weights = builders.contiguity(panel, path=str(shared / "data" / "contiguity.csv"), islands="nearest")
    found = moran(panel, "pgdp", weights, draws=199)
    table = found.details["dependence"]
    assert table["period"].tolist() == list(range(2004, 2021))
    assert (table["units"] == 291).all()
    assert (table["moran_p_permutation"] == 1 / 200).all()
    local = found.details["local"]
    assert len(local) == 291 * 17
    suzhou = local[(local["label"].str.endswith("苏州市")) & (local["period"] == 2015)]
    assert suzhou["quadrant"].tolist() == ["HH"]
