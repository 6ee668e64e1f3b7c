import math

import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report.tables import Table, descriptive, family, number, plain, regression, specification, stars
from syneff.report.tidy import Cell, collect, published
from tests.report import results


def lay_out(*columns: str, paper: str | None = "table03") -> Table:
    cells = collect(*results.stored(*(results.table03(column) for column in columns)))["table03"]
    return regression(cells, title="Table 3. Title", paper=published(paper, cells))


def texts(table: Table, term: str) -> dict[str, tuple[str, ...]]:
    return {line.kind: line.cells for line in table.lines if line.term == term}


@pytest.mark.parametrize(
    ("p_value", "marks"),
    [
        (0.0, "***"),
        (0.00999, "***"),
        (0.01, "**"),
        (0.0499, "**"),
        (0.05, "*"),
        (0.0999, "*"),
        (0.1, ""),
        (math.nan, ""),
    ],
)
def test_stars(p_value: float, marks: str) -> None:
    assert stars(p_value) == marks


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0512, "0.051"),
        (-0.005, "-0.005"),
        (0.0, "0.000"),
        (-0.000421, "-0.00042"),
        (12.3456, "12.346"),
        (math.nan, ""),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_estimate_t_truth_and_paper_are_lines_of_their_own() -> None:
    treat = texts(lay_out("1", "2"), "treat")
    assert treat == {
        "estimate": ("0.051***", "0.051***"),
        "t": ("(8.000)", "(8.000)"),
        "truth": ("0.040", "0.040"),
        "paper": ("0.073***", "0.067***"),
        "paper_t": ("(8.124)", "(7.917)"),
    }


def test_a_term_is_blank_where_it_does_not_belong_and_omitted_where_collinear() -> None:
    table = lay_out("1", "3")
    assert texts(table, "pop")["estimate"] == ("", "-0.00042*")
    assert texts(table, "gov")["estimate"] == ("", "omitted")


def test_both_constants_are_labelled_and_only_xtreg_s_is_published() -> None:
    table = lay_out("1")
    labels = {line.term: line.label for line in table.lines if line.kind == "estimate"}
    assert "xtreg" in labels["constant[xtreg]"]
    assert "reghdfe" in labels["constant"]
    assert texts(table, "constant[xtreg]")["paper"] == ("0.445***",)
    assert "paper" not in texts(table, "constant")


def test_bottom_of_the_table() -> None:
    table = lay_out("1", "2")
    assert texts(table, "nobs")["statistic"] == ("4,828", "4,828")
    assert texts(table, "n")["paper"] == ("4,828", "4,828")
    assert texts(table, "n_units")["statistic"] == ("284", "284")
    assert texts(table, "r2_xtreg_adjusted")["statistic"] == ("0.162", "0.162")
    assert texts(table, "adj_r2")["paper"] == ("0.085", "0.106")
    assert texts(table, "effect:unit")["statistic"] == ("Yes", "Yes")
    assert "clustered by city (CR1)" in " ".join(table.notes)
    labels = {line.label for line in table.lines}
    assert {"Adj. R² (xtreg)", "Within R² (xtreg)", "Within R² (absorbed)"} <= labels


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"cluster": ["unit", "province"]}, "clustered by city and province (CR1)."),
        ({"covariance": "HC3"}, "robust to heteroskedasticity (HC3)."),
        (
            {"covariance": "conley", "cutoff_km": 200, "lags": 2, "kernel": None},
            "of Conley (conley, lags: 2, cut-off: 200 km).",
        ),
        ({"covariance": "CR3", "small_sample": "none"}, "clustered by city (CR3, none)."),
    ],
)
def test_the_covariance_and_its_options_are_named(options, note) -> None:
    frame, facts = results.table03("2")
    facts["config"]["estimator"]["spec"] = facts["config"]["estimator"]["spec"] | {"covariance": None} | options
    cells = collect(*results.stored((frame, facts)))["table03"]
    assert f"Standard errors {note}" in " ".join(regression(cells, title="T", paper=published(None, cells)).notes)


def test_effects_that_differ_are_told_apart() -> None:
    frame, facts = results.table03("2")
    pooled = (
        frame,
        {**facts, "config": {"estimator": {"spec": {"effects": [], "cluster": None, "covariance": "HC1"}}}},
    )
    cells = collect(*results.stored(results.table03("1"), pooled))["table03"]
    table = regression(cells, title="", paper=published(None, cells))
    assert texts(table, "effect:unit")["statistic"] == ("Yes", "No")
    assert "Standard errors robust to heteroskedasticity (HC1)." in table.notes


def test_synthetic_is_called_synthetic_and_real_names_its_source() -> None:
    assert any("Synthetic" in note for note in lay_out("1").notes)
    frame, facts = results.table03("1")
    cells = collect(*results.stored((frame, {**facts, "source": "csv: cities.csv", "truth": None})))["table03"]
    table = regression(cells, title="", paper=published(None, cells))
    assert "Source: csv: cities.csv." in table.notes
    assert not any("ynthetic" in note for note in table.notes)
    assert {line.kind for line in table.lines} == {"estimate", "t", "statistic"}


def test_plain_leaves_truth_and_paper_out() -> None:
    kinds = {line.kind for line in plain(lay_out("1", "2")).lines}
    assert kinds == {"estimate", "t", "statistic"}


def test_equal_columns_are_headed_by_the_names_of_their_cells() -> None:
    frame, facts = results.table03("1")
    tidy = pd.concat([frame.assign(cell=name) for name in ("seed=1", "seed=2")])
    cells = collect(tidy, {"seed=1": facts, "seed=2": facts}, {})["table03"]
    assert regression(cells, title="", paper=published(None, cells)).header == ("seed=1", "seed=2")
    assert lay_out("1", "2").header == ("(1)", "(2)")


def test_null_statistics_are_left_out() -> None:
    frame, facts = results.table03("1")
    cells = collect(*results.stored((frame, {**facts, "stats": {"r2": None, "r2_within": 0.25}})))["table03"]
    terms = {line.term for line in regression(cells, title="", paper=published(None, cells)).lines}
    assert "r2_within" in terms
    assert "r2" not in terms


def describe(cell: tuple[pd.DataFrame, dict[str, object]]) -> Table:
    cells: tuple[Cell, ...] = next(iter(collect(*results.stored(cell)).values()))
    return descriptive(cells, title="Table 2. Title", paper=published("table02", cells, "1"))


def test_descriptive_has_a_line_a_variable_and_the_paper_s_below() -> None:
    table = describe(results.table02())
    assert table.header == ("Unit", "N", "Mean", "SD", "Min", "Max")
    assert texts(table, "pop") == {
        "estimate": ("100 persons/km2", "4,828", "4.300", "3.400", "0.050", "29.000"),
        "paper": ("", "", "4.291", "3.354", "0.047", "29.273"),
    }
    assert texts(table, "syeff")["estimate"] == ("", "4,828", "0.460", "0.100", "0.002", "0.980")
    assert [line.label for line in plain(table).lines] == ["Synergy", "Population density"]


def test_descriptive_of_a_regression_is_refused_in_words() -> None:
    with pytest.raises(SpecError, match="estimator=describe"):
        describe(results.table03("1"))


def test_specification_is_found_where_it_stands() -> None:
    spec = {"effects": ["unit"], "cluster": None}
    assert specification({"estimator": {"draws": 3, "model": {"spec": spec}}}) == spec
    assert specification({"estimator": {"draws": 3}}) == {}
    assert specification(None) == {}


def test_a_family_has_a_line_a_member_with_its_own_size_and_adjusted_p_values() -> None:
    frame = results.tidy(
        "family",
        "1",
        [
            results.row("y/all:treat", 0.05, 0.01, 0.0004),
            results.row("y/late:treat", -0.02, 0.01, 0.03),
            results.check_row("holm:y/all:treat", 0.0008),
            results.check_row("holm:y/late:treat", 0.03),
            results.check_row("romano_wolf:y/all:treat", 0.001),
        ],
    )
    frame["nobs"] = [4828.0, 3692.0, 4828.0, 3692.0, 4828.0]
    made = {"family_1": results.manifest("family", "1")}
    cells = collect(frame.assign(cell="family_1"), made, {})["family"]
    table = family(cells, title="Family", paper=published(None, cells))
    assert table.header[-4:] == ("Holm p", "p of draws", "Romano-Wolf p", "Westfall-Young p")
    assert [line.cells for line in table.lines] == [
        ("Synergy", "4,828", "0.050", "(5.000)", "0.0004", "0.0008", "", "0.001", ""),
        ("Synergy", "3,692", "-0.020", "(-2.000)", "0.030", "0.030", "", "", ""),
    ]
    assert table.numbers["holm"].tolist() == [0.0008, 0.03]


def test_a_family_needs_adjusted_p_values() -> None:
    cells = collect(*results.stored(results.table03("1")))["table03"]
    with pytest.raises(SpecError, match="no adjusted p-values"):
        family(cells, title="Family", paper=published(None, cells))
