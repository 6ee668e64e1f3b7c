import math

import numpy as np
import pandas as pd
import pytest

from syneff.report.tidy import collect, compare, event_time, published
from tests.report import results


def test_cells_come_by_experiment_in_natural_order() -> None:
    stored = results.stored(*(results.table03(column) for column in ("10", "2", "1")), results.figure02())
    cells = collect(*stored)
    assert [cell.column for cell in cells["table03"]] == ["1", "2", "10"]
    assert set(cells) == {"table03", "figure02"}


def test_cells_of_one_column_are_told_apart_by_name() -> None:
    first, second = (
        results.table03("1")[0].assign(cell="a,seed=1"),
        results.table03("1")[0].assign(cell="a,seed=2", estimate=0.5),
    )
    facts = results.manifest("table03", "1")
    cells = collect(pd.concat([first, second]), {"a,seed=1": facts, "a,seed=2": facts}, {})["table03"]
    assert [cell.name for cell in cells] == ["a,seed=1", "a,seed=2"]
    assert [len(cell.frame) for cell in cells] == [3, 3]
    assert set(cells[1].frame["estimate"]) == {0.5}


def test_columns_stored_as_numbers_are_matched() -> None:
    frame, facts = results.table03("2")
    cells = collect(frame.assign(column=2, cell="x"), {"x": {**facts, "column": 2}}, {})["table03"]
    assert cells[0].column == "2"
    numbers = compare(cells, published("table03", cells))
    assert numbers.set_index("term")["published"]["treat"] == 0.067


def test_manifest_without_rows_is_no_cell() -> None:
    frame, facts = results.table03("1")
    cells = collect(
        frame.assign(cell="table03_1"), {"table03_1": facts, "table03_2": results.manifest("table03", "2")}, {}
    )
    assert [cell.name for cell in cells["table03"]] == ["table03_1"]


def test_collinear_terms_are_no_tests() -> None:
    cell = collect(*results.stored(results.table03("3"), results.figure01()))["table03"][0]
    assert "gov" in set(cell.estimates["term"])
    assert cell.tests.empty
    event = collect(*results.stored(results.figure01()))["figure01"][0]
    assert list(event.tests["term"]) == ["pre_trend"]


def test_truth_and_published_value_stand_beside_the_estimate() -> None:
    cells = collect(*results.stored(results.table03("1"), results.table03("2")))["table03"]
    numbers = compare(cells, published("table03", cells)).set_index(["column", "term"])
    assert numbers["truth"]["1", "treat"] == 0.04
    assert numbers["published"]["1", "treat"] == 0.073
    assert numbers["published"]["2", "treat"] == 0.067
    assert numbers["published_t"]["2", "pop"] == 4.833
    assert math.isnan(numbers["truth"]["2", "pop"])
    assert math.isnan(numbers["published"]["1", "constant"])
    assert numbers["published"]["1", "constant[xtreg]"] == 0.445


@pytest.mark.parametrize(("truth", "inside"), [(0.0512 + 0.0127, True), (0.0512 + 0.0129, False)])
def test_truth_in_interval(truth: float, inside: bool) -> None:
    frame, facts = results.table03("1")
    cells = collect(*results.stored((frame, {**facts, "truth": {"coefficients": {"treat": truth}}})))["table03"]
    numbers = compare(cells, published(None, cells)).set_index("term")
    assert bool(numbers["truth_in_interval"]["treat"]) is inside
    assert pd.isna(numbers["truth_in_interval"]["constant"])


def test_published_holds_what_the_paper_prints(shared) -> None:  # type: ignore[no-untyped-def]
    printed = pd.read_csv(shared / "paper" / "published.csv", dtype={"column": str}).query("table == 'table03'")
    cells = collect(*results.stored(*(results.table03(str(column)) for column in range(1, 8))))["table03"]
    ours = published("table03", cells).replace({"term": {"constant[xtreg]": "const"}}).set_index(["column", "term"])
    theirs = printed.set_index(["column", "term"])
    assert len(ours) == len(theirs) == 35
    for name in ("estimate", "t", "stars", "n", "adj_r2"):
        np.testing.assert_array_equal(ours[name].loc[theirs.index].astype(float), theirs[name].astype(float))


def test_published_moments_are_those_of_the_paper(shared) -> None:  # type: ignore[no-untyped-def]
    printed = pd.read_csv(shared / "paper" / "table02.csv").set_index("variable")
    cells = collect(*results.stored(results.table02()))["table02"]
    ours = published("table02", cells).set_index("term")["estimate"]
    assert len(ours) == 4 * len(printed)
    for variable, row in printed.iterrows():
        for moment in ("mean", "sd", "min", "max"):
            assert ours[f"{moment}:{variable}"] == float(row[moment])


def test_one_published_column_can_serve_all_cells() -> None:
    cells = collect(*results.stored(results.figure02()))["figure02"]
    numbers = compare(cells, published("table03", cells, "7")).set_index("term")
    assert numbers["published"]["treat"] == 0.040


def test_statistics_by_term_may_have_gaps() -> None:
    frame, facts = results.figure01()
    count = len(frame) - 1  # the last row is the test
    support = [float(10 + place) for place in range(count - 1)] + [None]
    cell = collect(*results.stored((frame, {**facts, "stats": {"support_units": support}})))["figure01"][0]
    by_term = cell.by_term("support_units")
    assert by_term["event[-5]"] == 10
    assert by_term["event[6]"] == 20
    assert "pop" not in by_term


@pytest.mark.parametrize(("term", "time"), [("event[-5]", -5), ("event[0]", 0), ("pop", None), ("W_event[1]", None)])
def test_event_time(term: str, time: int | None) -> None:
    assert event_time(term) == time
