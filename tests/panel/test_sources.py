"""Reading panels from files: encodings, labels, kinds of files, a table of cities, and every message."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from syneff.errors import DataError
from syneff.panel import sources
from syneff.panel.panel import Panel

CONF = Path(__file__).resolve().parents[2] / "conf" / "source"


def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "城市": ["武汉市", "武汉市", "安庆市", "安庆市"],
            "year": [2004, 2005, 2004, 2005],
            "gdp": [3.5, 4.5, 1.25, np.nan],
            "co2": [1, 2, 3, 4],
        }
    )


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "panel.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    return write(tmp_path, rows().to_csv(index=False))


def check(panel: Panel) -> None:
    assert panel.units == ("安庆市", "武汉市")
    assert panel.periods == (2004, 2005)
    np.testing.assert_array_equal(panel.columns["gdp"], [[1.25, np.nan], [3.5, 4.5]])
    np.testing.assert_array_equal(panel.columns["co2"], [[3.0, 4.0], [1.0, 2.0]])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
def test_csv_in_each_encoding(tmp_path: Path, encoding: str) -> None:
    check(sources.csv(write(tmp_path, rows().to_csv(index=False), encoding), "城市", "year"))


def test_an_encoding_that_is_not_known_names_file_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    path.write_bytes(b"city,year,gdp\nWuhan,2004,1\nWu\xffhan,2005,2\n")
    with pytest.raises(
        DataError, match=r"panel\.csv is neither UTF-8 nor GB 18030: utf-8-sig stops at byte 29 \(line 3\), gb18030"
    ):
        sources.csv(path, "city", "year")


def test_parquet(tmp_path: Path) -> None:
    rows().to_parquet(tmp_path / "panel.parquet")
    check(sources.parquet(tmp_path / "panel.parquet", "城市", "year"))
    rows().set_index(["城市", "year"]).to_parquet(tmp_path / "indexed.parquet")
    check(sources.parquet(tmp_path / "indexed.parquet", "城市", "year"))


def test_excel_sheets(tmp_path: Path) -> None:
    path = tmp_path / "panel.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"about": ["nothing"]}).to_excel(book, sheet_name="说明", index=False)
        rows().to_excel(book, sheet_name="数据", index=False)
    check(sources.excel(path, "城市", "year", sheet="数据"))
    check(sources.excel(path, "城市", "year", sheet=1))
    with pytest.raises(DataError, match=r"unknown sheet for source\.sheet: '数剧'\. Did you mean '数据'\?"):
        sources.excel(path, "城市", "year", sheet="数剧")


def test_stata_keeps_labels_of_variables_and_text_of_value_labels(tmp_path: Path) -> None:
    frame = rows().assign(
        province=pd.Categorical(["湖北省", "湖北省", "安徽省", "安徽省"]),
        pilot=pd.Categorical(["no", "yes", "no", "no"]),
    )
    frame["城市"] = pd.Categorical(frame["城市"])
    frame = frame.rename(columns={"城市": "city"})
    labels = {"gdp": "地区生产总值", "co2": "CO2 emissions"}
    frame.to_stata(tmp_path / "panel.dta", version=118, write_index=False, variable_labels=labels)
    panel = sources.stata(tmp_path / "panel.dta", "id", "year", rename={"city": "id"}, traits=["province"])
    check(panel)
    assert (panel.label("gdp"), panel.label("co2"), panel.label("pilot")) == ("地区生产总值", "CO2 emissions", "pilot")
    assert panel.traits["province"].tolist() == ["安徽省", "湖北省"]
    np.testing.assert_array_equal(panel.columns["pilot"], [[0.0, 0.0], [0.0, 1.0]])


def test_stata_files_of_before_unicode_keep_chinese_and_accents(tmp_path: Path) -> None:
    def stored(text: str) -> str:
        return text.encode("gb2312").decode("latin-1")

    frame = pd.DataFrame({"city": [stored("武汉市"), "Málaga"], "year": [2004, 2004], "gdp": [1.0, 2.0]})
    frame.to_stata(tmp_path / "old.dta", version=114, write_index=False, variable_labels={"gdp": stored("生产总值")})
    panel = sources.stata(tmp_path / "old.dta", "city", "year")
    assert panel.units == ("Málaga", "武汉市")
    assert panel.label("gdp") == "生产总值"
    modern = frame.assign(city=["Þórshöfn", "Málaga"])
    modern.to_stata(tmp_path / "new.dta", version=118, write_index=False)
    assert sources.stata(tmp_path / "new.dta", "city", "year").units == ("Málaga", "Þórshöfn")


def test_stata_years_stay_numbers(tmp_path: Path) -> None:
    frame = rows().rename(columns={"城市": "city"}).assign(year=lambda f: pd.to_datetime(f["year"].astype(str)))
    frame.to_stata(tmp_path / "panel.dta", version=118, write_index=False, convert_dates={"year": "ty"})
    check(sources.stata(tmp_path / "panel.dta", "city", "year"))


def test_rename_columns_traits_and_labels(csv_file: Path) -> None:
    panel = sources.csv(
        csv_file,
        "city",
        "year",
        rename={"城市": "city", "gdp": "output"},
        columns=["output"],
        variables={"output": {"label": "GDP", "label_zh": "生产总值", "unit": "yuan"}},
    )
    assert list(panel.columns) == ["output"]
    assert (panel.label("output"), panel.label("output", "zh")) == ("GDP", "生产总值")
    assert panel.notes == ("read panel.csv: 4 rows, 2 units x 2 periods (2004-2005); 0 city-years have no row.",)


def test_missing_cells_and_missing_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "city,year,gdp\nA,2004,NA\nA,2005,.\nA,2006,1\nB,2004,--\nB,2006,\n")
    panel = sources.csv(path, "city", "year")
    np.testing.assert_array_equal(panel.columns["gdp"], [[np.nan, np.nan, 1.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(panel.weights, [[1, 1, 1], [1, 0, 1]])
    assert "5 rows, 2 units x 3 periods (2004-2006); 1 city-years have no row." in panel.notes[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('city,year,gdp\nA,2004,"1,234"\nA,2005,12\n', r"panel\.csv: column 'gdp' has text.*A 2004 \('1,234'\)"),
        ("city,year,gdp\nA,2004,1\nA,2005,1,234\n", r"source\.path=.*cannot be read as a csv table.*line 3, saw 4"),
        ("city,year,gdp\nA,2004,1,234\nA,2005,1,235\n", r"source\.path=.*cannot be read as a csv table"),
        ("city,year,gdp\nA,2004,1\nA,2004,2\n", r"panel\.csv: more than one row for A 2004"),
        ("", r"source\.path=.*cannot be read as a csv table: No columns"),
        ("city,year,gdp\n", r"panel\.csv: the table has no rows"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        sources.csv(write(tmp_path, text), "city", "year")


def test_a_path_that_does_not_exist_or_is_not_given(csv_file: Path) -> None:
    with pytest.raises(
        DataError, match=r"source\.path=.*panle\.csv: there is no such file\. Did you mean '.*panel\.csv'\?"
    ):
        sources.csv(csv_file.with_name("panle.csv"), "city", "year")
    with pytest.raises(DataError, match=r"source\.path=.* is a folder"):
        sources.csv(csv_file.parent, "city", "year")
    with pytest.raises(DataError, match=r"source\.path is not set"):
        sources.csv(None, "city", "year")
    with pytest.raises(DataError, match=r"source\.units_path=nowhere\.csv: there is no such file"):
        sources.csv(csv_file, "城市", "year", units_path="nowhere.csv")


@pytest.mark.parametrize("kind", ["parquet", "stata", "excel"])
def test_a_file_of_another_kind(csv_file: Path, kind: str) -> None:
    with pytest.raises(DataError, match=rf"source\.path=.*cannot be read as a {kind} table"):
        getattr(sources, kind)(csv_file, "城市", "year")


def test_a_table_of_units_must_say_its_kind(csv_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cities.txt").write_text("city,lon\n")
    with pytest.raises(DataError, match=r"cities\.txt: the file must end in \.csv, \.parquet, \.dta, \.xlsx"):
        sources.csv(csv_file, "城市", "year", units_path=tmp_path / "cities.txt")


def test_unknown_names_in_options(csv_file: Path) -> None:
    with pytest.raises(DataError, match=r"unknown column for source\.unit: 'citty'"):
        sources.csv(csv_file, "citty", "year")
    with pytest.raises(DataError, match=r"source\.columns: unknown column 'gpd'\. Did you mean 'gdp'\?"):
        sources.csv(csv_file, "城市", "year", columns=["gpd"])
    with pytest.raises(DataError, match=r"unknown column in source\.rename: 'gpd'\. Did you mean 'gdp'\?"):
        sources.csv(csv_file, "城市", "year", rename={"gpd": "output"})
    with pytest.raises(DataError, match=r"more than one column is called 'co2'"):
        sources.csv(csv_file, "城市", "year", rename={"gdp": "co2"})
    with pytest.raises(DataError, match=r"unknown entry of source\.variables\.gdp: 'lable'\. Did you mean 'label'\?"):
        sources.csv(csv_file, "城市", "year", variables={"gdp": {"lable": "GDP"}})
    with pytest.raises(DataError, match="unknown column 'treat'"):
        sources.csv(csv_file, "城市", "year", treatment="treat", columns=["gdp"])


def test_a_table_of_cities_gives_traits(csv_file: Path, tmp_path: Path) -> None:
    cities = pd.DataFrame(
        {
            "城市": ["武汉市", "安庆市", "黄山市"],
            "lon": [114.3, 117.0, 118.3],
            "province": ["湖北省", "安徽省", "安徽省"],
            "gdp": 0,
        }
    )
    cities.to_csv(tmp_path / "cities.csv", index=False)
    panel = sources.csv(csv_file, "城市", "year", units_path=tmp_path / "cities.csv")
    assert panel.traits["lon"].tolist() == [117.0, 114.3]
    assert panel.traits["province"].tolist() == ["安徽省", "湖北省"]
    assert panel.notes[1] == "joined 2 traits from cities.csv."
    some = sources.csv(csv_file, "城市", "year", units_path=tmp_path / "cities.csv", units_columns=["lon"])
    assert list(some.traits) == ["lon"]
    with pytest.raises(
        DataError, match=r"cities\.csv: source\.units_columns: unknown column 'lno'\. Did you mean 'lon'\?"
    ):
        sources.csv(csv_file, "城市", "year", units_path=tmp_path / "cities.csv", units_columns=["lno"])
    with pytest.raises(DataError, match="column 'gdp' is in the first table too"):
        sources.csv(csv_file, "城市", "year", units_path=tmp_path / "cities.csv", units_columns=["gdp"])


def test_units_without_a_row_are_named(csv_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cities.csv"
    pd.DataFrame({"城市": ["武汉市"], "lon": [114.3], "province": ["湖北省"]}).to_csv(path, index=False)
    panel = sources.csv(csv_file, "城市", "year", units_path=path)
    assert panel.notes[1].endswith("1 units have no row there, so their traits are missing: 安庆市.")
    np.testing.assert_array_equal(panel.traits["lon"], [np.nan, 114.3])
    assert panel.traits["province"].tolist() == [None, "湖北省"]
    pd.DataFrame({"城市": ["武汉"], "lon": [114.3]}).to_csv(path, index=False)
    with pytest.raises(
        DataError, match="no unit of the panel has a row: '城市' is 武汉 here, but 安庆市, 武汉市 in the panel"
    ):
        sources.csv(csv_file, "城市", "year", units_path=path)


def test_a_text_code_meets_a_number_code(tmp_path: Path) -> None:
    path = write(tmp_path, "code,year,gdp\n110000,2004,1\n120000,2004,2\n")
    pd.DataFrame({"code": ["120000", "110000"], "lon": [2.0, 1.0]}).to_excel(tmp_path / "cities.xlsx", index=False)
    panel = sources.csv(path, "code", "year", units_path=tmp_path / "cities.xlsx")
    assert panel.units == (110000, 120000)
    assert panel.traits["lon"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("kind", ["csv", "parquet", "stata", "excel"])
def test_each_yaml_makes_its_source(tmp_path: Path, kind: str) -> None:
    frame = rows().rename(columns={"城市": "city"})
    path = tmp_path / f"panel.{ {'stata': 'dta', 'excel': 'xlsx'}.get(kind, kind) }"
    match kind:
        case "csv":
            frame.to_csv(path, index=False)
        case "parquet":
            frame.to_parquet(path)
        case "stata":
            frame.to_stata(path, version=118, write_index=False)
        case "excel":
            frame.to_excel(path, index=False)
    config = OmegaConf.load(CONF / f"{kind}.yaml")
    with pytest.raises(DataError, match=r"source\.path is not set"):
        instantiate(config)()
    config.path = str(path)
    config.variables = {"gdp": {"label": "GDP"}}
    panel = instantiate(config)()
    check(panel)
    assert panel.label("gdp") == "GDP"


def test_options_from_the_command_line(csv_file: Path) -> None:
    overrides = [
        "+source=csv",
        f"source.path='{csv_file}'",
        "source.unit='城市'",
        "source.rename={gdp: output}",
        "source.columns=[output]",
        "source.variables={output: {label: GDP}}",
    ]
    with initialize_config_dir(str(CONF.parent), version_base="1.3"):
        config = compose(overrides=overrides)
    panel = instantiate(config.source)()
    assert list(panel.columns) == ["output"]
    assert panel.label("output") == "GDP"
