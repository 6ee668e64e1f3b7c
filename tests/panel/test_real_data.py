"""The real city panel, with the counts that its own description gives."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from syneff.panel import sources, steps
from syneff.panel.panel import Panel

CORE = ["population", "capital", "lights", "gdp", "co2"]


@pytest.fixture(scope="module")
def cities(shared: Path) -> Panel:
    data = shared / "data"
    return sources.csv(data / "china_cities_2004_2020.csv", "code", "year", units_path=data / "cities.csv")


def units(panel: Panel) -> int:
    return int(panel.sample.any(axis=1).sum())


def test_cells_are_those_of_the_file(cities: Panel, shared: Path) -> None:
    rows = pd.read_csv(shared / "data" / "china_cities_2004_2020.csv").sort_values(["code", "year"])
    assert cities.shape == (298, 17)
    assert cities.sample.all()
    assert cities.traits["city"].tolist() == rows["city"].tolist()[::17]
    for name in ("gdp", "co2_ceads", "pm25", "fdi"):
        np.testing.assert_array_equal(cities.columns[name].ravel(), rows[name])
    assert cities.names[0] == "110000 北京市"


def test_whole_years_are_missing_where_the_description_says(cities: Panel) -> None:
    missing = np.isnan(cities.columns["pm25"]).all(axis=0)
    assert [year for year, gone in zip(cities.periods, missing, strict=True) if not gone] == list(range(2010, 2020))


def test_traits_come_from_the_table_of_cities(cities: Panel, shared: Path) -> None:
    table = pd.read_csv(shared / "data" / "cities.csv").sort_values("code")
    np.testing.assert_array_equal(cities.traits["low_carbon_year"], table["low_carbon_year"])
    np.testing.assert_array_equal(cities.traits["lon"], table["lon"])
    assert (
        cities.traits["innov_year_how"].tolist()
        == table["innov_year_how"].astype(object).where(table["innov_year_how"].notna(), None).tolist()
    )


@pytest.mark.parametrize(
    ("columns", "condition", "gap", "expected"),
    [
        (CORE, "period >= 2004", 0, 291),
        (CORE, "period >= 2004", 2, 291),
        ([*CORE, "pm25"], "period >= 2010 and period <= 2019", 0, 292),
        ([*CORE, "pm25", "density", "tertiary_share", "fiscal_revenue"], "period >= 2010 and period <= 2019", 0, 282),
        ([*CORE, "fdi"], "period >= 2004", 0, 204),
        ([*CORE, "fdi"], "period >= 2004", 2, 224),
    ],
)
def test_complete_cities(cities: Panel, columns: list[str], condition: str, gap: int, expected: int) -> None:
    panel = steps.interpolate(cities, columns=columns, max_gap=gap) if gap else cities
    balanced = steps.balance(steps.where(panel, condition=condition), columns=columns)
    assert units(balanced) == expected
    assert balanced.sample.sum() == expected * steps.where(panel, condition=condition).sample.any(axis=0).sum()
    assert f"{expected} of 298 units kept" in balanced.notes[-1]


def test_the_cities_left_out_are_named(cities: Panel) -> None:
    note = steps.balance(cities, columns=CORE).notes[-1]
    assert "630200 海东市 (capital missing 1)" in note
    assert "7 left out" in note


def test_the_cohort_of_2010_is_always_treated_from_2010_on(cities: Panel, shared: Path) -> None:
    table = pd.read_csv(shared / "data" / "cities.csv")
    first = int((table["low_carbon_year"] == 2010).sum())
    window = steps.where(cities, condition="period >= 2010 and period <= 2019")
    kept = steps.treat_from_year(window, trait="low_carbon_year")
    assert f"{first} are treated from 2010 on or before and are kept: 120000 天津市" in kept.notes[-1]
    dropped = steps.treat_from_year(window, trait="low_carbon_year", always="drop")
    assert units(dropped) == 298 - first
    assert kept.columns["treat"].sum() == sum((2021 - table["low_carbon_year"].dropna()).astype(int))


def test_parquet_and_stata_copies_give_the_same_panel(cities: Panel, shared: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(shared / "data" / "china_cities_2004_2020.csv")
    rows.to_parquet(tmp_path / "cities.parquet")
    rows.to_stata(tmp_path / "cities.dta", version=118, write_index=False)
    for panel in (
        sources.parquet(tmp_path / "cities.parquet", "code", "year"),
        sources.stata(tmp_path / "cities.dta", "code", "year"),
    ):
        assert panel.units == cities.units
        for name, values in panel.columns.items():
            np.testing.assert_array_equal(values, cities.columns[name])
