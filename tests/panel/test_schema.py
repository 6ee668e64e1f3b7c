"""Every message of the validation: what, which city, year and column, and how to mend it."""

import numpy as np
import pandas as pd
import pytest

from syneff.errors import DataError
from syneff.panel.panel import Panel
from syneff.panel.schema import check_treatment, validate_traits


def rows() -> pd.DataFrame:
    """Three cities x 2004-2007, in no order."""
    cities, years = np.meshgrid(["Anqing", "Beijing", "Wuhan"], [2004, 2005, 2006, 2007], indexing="ij")
    return pd.DataFrame(
        {
            "city": cities.ravel(),
            "year": years.ravel(),
            "gdp": np.arange(12) + 1.0,
            "treat": [0.0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1],
            "province": np.repeat(["Anhui", "Beijing", "Hubei"], 4),
        }
    ).sample(frac=1, random_state=3)


def at(frame: pd.DataFrame, city: str, year: int) -> int:
    return int(frame.index[(frame["city"] == city) & (frame["year"] == year)][0])


def put(city: str, year: int, column: str, value: object) -> pd.DataFrame:
    frame = rows().astype(object)
    frame.loc[at(frame, city, year), column] = value
    return frame


def message(frame: pd.DataFrame, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        Panel.from_frame(frame, "city", "year", **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_sound_rows_pass() -> None:
    assert Panel.from_frame(rows(), "city", "year", treatment="treat").shape == (3, 4)


def test_a_duplicated_city_year() -> None:
    frame = rows()
    twice = pd.concat([frame, frame.loc[[at(frame, "Wuhan", 2006)]]])
    assert message(twice) == "more than one row for Wuhan 2006. Keep one row a city-year, or add them up."
    assert "Wuhan 2006. Keep" in message(twice.reset_index(drop=True))


@pytest.mark.parametrize("cell", ["n.a.", "1,234", "1\uff0c234", "5%", "12 yuan"])
def test_a_text_cell_among_numbers(cell: str) -> None:
    assert message(put("Beijing", 2005, "gdp", cell)) == (
        f"column 'gdp' has text among its numbers: Beijing 2005 ({cell!r}). "
        "Write numbers without thousands separators and units, and leave missing cells empty."
    )


def test_thousands_separators_in_every_cell_are_no_text_column() -> None:
    found = message(rows().assign(gdp=[f"{1000 + i:,}" for i in range(12)]))
    assert "column 'gdp' has text among its numbers" in found
    assert "and 7 more." in found


@pytest.mark.parametrize("cell", [np.inf, -np.inf, "inf"])
def test_an_infinite_cell(cell: object) -> None:
    found = message(put("Anqing", 2007, "gdp", cell))
    assert found.startswith("column 'gdp' is infinite in Anqing 2007 (")


def test_unknown_identifiers_name_the_nearest() -> None:
    with pytest.raises(DataError) as caught:
        Panel.from_frame(rows(), "ctiy", "yaer")
    found = str(caught.value)
    assert "2 problems" in found
    assert "unknown column for source.unit: 'ctiy'. Did you mean 'city'?" in found
    assert "unknown column for source.period: 'yaer'. Did you mean 'year'?" in found


def test_unknown_traits_weights_and_treatments_name_the_nearest() -> None:
    found = message(rows(), traits=["provnce"], treatment="treated")
    assert "unknown column 'provnce'. Did you mean 'province'?" in found
    assert "unknown column 'treated'. Did you mean 'treat'?" in found


@pytest.mark.parametrize("year", [2006.5, "2006年", None, np.inf])
def test_a_period_that_is_no_whole_year(year: object) -> None:
    found = message(put("Wuhan", 2006, "year", year))
    assert "column 'year' must hold whole years, but has Wuhan" in found


@pytest.mark.parametrize("year", [pd.Timestamp(2006, 1, 1), pd.Period("2006"), "2006-01-01", "2006/1"])
def test_a_period_that_is_a_date(year: object) -> None:
    found = message(put("Wuhan", 2006, "year", year))
    assert "column 'year' must hold whole years, but has dates: Wuhan" in found
    assert "Keep the year alone as a number, e.g. 2004." in found


@pytest.mark.parametrize("day", [pd.Timestamp(2006, 1, 2), "2006-01-02"])
def test_a_date_among_numbers_is_called_a_date(day: object) -> None:
    assert "column 'gdp' has dates among its numbers: Wuhan 2006" in message(put("Wuhan", 2006, "gdp", day))
    assert "has text among its numbers" in message(put("Wuhan", 2006, "gdp", "2006.05 yuan"))


def test_a_column_of_dates_is_a_trait_where_it_stays() -> None:
    rows = pd.DataFrame({"city": ["A", "A", "B"], "year": [2004, 2005, 2004]})
    start = pd.to_datetime(["2010-07-01", "2010-07-01", "2012-11-01"])
    assert Panel.from_frame(rows.assign(start=start), "city", "year").traits["start"][1].startswith("2012-11-01")
    with pytest.raises(DataError, match="column 'start' holds dates, so it must not change within a unit"):
        Panel.from_frame(rows.assign(start=start[[0, 2, 1]]), "city", "year")


def test_a_year_that_nobody_has() -> None:
    frame = rows()
    found = message(frame[frame["year"] != 2005])
    assert found.startswith("no unit has a row in 2005, between 2004 and 2007. Add the rows")


def test_a_year_that_one_city_lacks_is_no_gap() -> None:
    frame = rows()
    panel = Panel.from_frame(frame.drop(index=at(frame, "Wuhan", 2005)), "city", "year")
    assert panel.weights.sum() == 11


def test_a_row_without_a_city() -> None:
    frame = rows().reset_index(drop=True).astype({"city": object})
    frame.loc[4, "city"] = None
    assert f"no unit is given in row 5 of the table {frame.loc[4, 'year']}. Fill column 'city'." in message(frame)


def test_rows_without_a_city_are_not_called_duplicates() -> None:
    frame = rows().assign(city=lambda each: each["city"].where(each["year"] != 2006))
    found = message(frame)
    assert found.startswith("no unit is given in row")
    assert "more than one row" not in found


def test_text_that_changes_within_a_city() -> None:
    assert "column 'province' is text, so it must not change within a unit, but it differs" in message(
        put("Wuhan", 2006, "province", "Hunan")
    )
    assert "Wuhan 2006 ('Hunan')" in message(put("Wuhan", 2006, "province", "Hunan"))


def test_a_trait_that_changes_within_a_city() -> None:
    found = message(rows().assign(lon=lambda frame: (frame["gdp"] == 6.0) * 1.0), traits=["lon"])
    assert "column 'lon' is a trait" in found
    assert "Beijing 2005 (1.0)" in found


def test_names_that_the_panel_keeps_for_itself() -> None:
    assert "column 'weight' has a name that the panel keeps" in message(rows().rename(columns={"gdp": "weight"}))
    assert "source.rename={unit: other}" in message(rows().rename(columns={"gdp": "unit"}))


def test_columns_of_one_name() -> None:
    assert "more than one column is called 'gdp'" in message(rows().rename(columns={"treat": "gdp"}))


def test_an_empty_table() -> None:
    assert message(rows().iloc[:0]) == "the table has no rows."


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_weights_are_numbers_of_at_least_zero(value: float) -> None:
    assert "Anqing 2004" in message(put("Anqing", 2004, "gdp", value), weight="gdp")


def test_a_missing_treatment() -> None:
    found = message(put("Beijing", 2006, "treat", None), treatment="treat")
    assert found.startswith("treatment 'treat' is missing in Beijing 2006. ")


def test_a_treatment_that_is_neither_0_nor_1() -> None:
    assert message(put("Wuhan", 2007, "treat", 2), treatment="treat") == (
        "treatment 'treat' must be 0 or 1, but is not in Wuhan 2007 (2)."
    )


def test_a_treatment_that_switches_off() -> None:
    found = message(put("Beijing", 2006, "treat", 0), treatment="treat")
    assert found.startswith("treatment 'treat' switches off in Beijing 2006. Once treated")


def test_a_treatment_outside_the_sample_does_not_count() -> None:
    frame = put("Beijing", 2006, "treat", None).assign(w=1.0)
    frame.loc[at(frame, "Beijing", 2006), "w"] = 0.0
    Panel.from_frame(frame, "city", "year", weight="w", treatment="treat")
    early = put("Anqing", 2005, "treat", 1).assign(w=1.0)
    early.loc[at(early, "Anqing", 2005), "w"] = 0.0
    Panel.from_frame(early, "city", "year", weight="w", treatment="treat")


def test_all_errors_come_at_once() -> None:
    frame = put("Beijing", 2005, "gdp", "n.a.")
    frame.loc[at(frame, "Anqing", 2004), "gdp"] = np.inf
    frame.loc[at(frame, "Wuhan", 2007), "treat"] = 0
    frame.loc[at(frame, "Wuhan", 2006), "province"] = "Hunan"
    frame = pd.concat([frame, frame.loc[[at(frame, "Anqing", 2007)]]])
    found = message(frame, treatment="treat", traits=["lon"])
    assert found.startswith("the data have 6 problems:")
    for part in (
        "unknown column 'lon'",
        "more than one row for Anqing 2007",
        "Beijing 2005 ('n.a.')",
        "infinite in Anqing 2004",
        "Wuhan 2006 ('Hunan')",
        "switches off in Wuhan 2007",
    ):
        assert part in found


def test_numbers_identify_cities_by_their_names_too() -> None:
    frame = put("Beijing", 2005, "gdp", "n.a.")
    coded = frame.assign(code=frame["city"].map({"Anqing": 1, "Beijing": 2, "Wuhan": 3}))
    with pytest.raises(DataError, match=r"2 Beijing 2005 \('n\.a\.'\)"):
        Panel.from_frame(coded, "code", "year")


@pytest.mark.parametrize(
    ("city", "value", "expected"),
    [
        ("Beijing", np.nan, "treatment 'treat' is missing in Beijing 2006"),
        ("Beijing", 0.0, "treatment 'treat' switches off in Beijing 2006"),
        ("Wuhan", 0.5, "treatment 'treat' must be 0 or 1, but is not in Wuhan 2006 (0.5)"),
    ],
)
def test_check_treatment_of_a_panel(city: str, value: float, expected: str) -> None:
    panel = Panel.from_frame(rows(), "city", "year")
    check_treatment(panel, "treat")
    treat = panel.columns["treat"].copy()
    i = panel.units.index(city)
    treat[i, 2] = value
    wrong = panel.assign({"treat": treat})
    with pytest.raises(DataError) as caught:
        check_treatment(wrong, "treat")
    assert expected in str(caught.value)
    weights = wrong.weights.copy()
    weights[i, 2] = 0.0
    check_treatment(wrong.reweight(weights), "treat")


def test_traits_with_two_rows_a_unit() -> None:
    with pytest.raises(DataError, match=r"more than one row for Wuhan\. Keep one row a unit"):
        validate_traits(pd.DataFrame({"city": ["Wuhan", "Anqing", "Wuhan"], "lon": [1.0, 2.0, 3.0]}), "city")
