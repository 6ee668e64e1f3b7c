"""The table of technologies and its figure, from results whose numbers were chosen."""

import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report.exhibits import specification_curve
from syneff.report.technologies import compare_technologies, technologies, technology
from syneff.report.tidy import Cell, collect, published
from tests.report import results


def cells() -> tuple[Cell, ...]:
    return collect(
        *results.stored(
            results.technology("a", 1),
            results.technology("b", 3, returns="vrs", orientation="output"),
            results.technology("c", 2, bads="inputs"),
            results.technology("d", 4, bad=["pm25", "co2"]),
        )
    )["technology"]


def test_a_line_has_scores_and_effect() -> None:
    table = technologies(cells(), title="Technologies", paper=published(None, cells()))
    assert table.header == (
        *("Effect (SE)", "p", "Effect / SD", "N", "Rank correlation", "Outcome"),
        *("preff", "creff", "No score", "Above 1.5", "Tied with highest", "Top 1 %"),
    )
    default, other, _, joint = table.lines
    assert default.label == "crs, global, none, as outputs (default)"
    assert default.cells == (
        *("0.010** (0.004)", "0.040", "0.100", "4,828", "0.900", "0.100 (0.100)"),
        *("0.100 (0.100)", "0.100 (0.100)", "1,000", "1 / 1", "1 / 1", "1 % / 1 %"),
    )
    assert other.label == "vrs, global, output, as outputs"
    assert other.cells[8:10] == ("3,000", "3 / 3")
    assert joint.label == "crs, global, none, as outputs, jointly"
    assert joint.cells[5:10] == ("0.400 (0.400)", "", "", "4,000", "4")
    assert [len(group) for group in table.groups] == [2, 1, 1]
    assert "Outcome: syeff or joint. syeff: Synergy." in " ".join(table.notes)
    assert "clustered by city" in " ".join(table.notes)
    assert "known of the synthetic panel" in " ".join(table.notes)


def test_numbers_are_there_in_full() -> None:
    numbers = compare_technologies(cells()).set_index("cell")
    assert list(numbers.index[numbers["default"]]) == ["a"]
    assert numbers["standardised"].to_dict() == pytest.approx({"a": 0.1, "b": 0.1, "c": 0.1, "d": 0.1})
    assert numbers.loc["b", "standardised_low"] == pytest.approx((0.03 - 0.008) / 0.3)
    assert numbers.loc["d", "outcome"] == "joint"
    assert pd.isna(numbers.loc["d", "mean:preff"])
    assert numbers.loc["b", "nobs"] == 4828


def test_the_technology_is_that_of_the_steps_behind_the_outcome() -> None:
    options = {"returns": "vrs", "reference": "global", "orientation": "none", "bads": "inputs"}
    steps = {"one": {"name": "p", **options, "bad": "pm25"}, "two": {"first": "p", "second": "q"}, "three": {}}
    assert technology(steps, "p") == {**options, "bads": "as inputs"} == technology(steps, "two")
    assert technology({"p": {**options, "bad": ["a", "b"]}}, "p")["bads"] == "as inputs, jointly"


def test_lines_stand_by_bad_outputs_and_what_the_default_has_comes_first() -> None:
    stored = results.stored(
        results.technology("a", bads="inputs"),
        results.technology("b", reference="contemporaneous"),
        results.technology("c", returns="vrs"),
        results.technology("d"),
        results.technology("e", orientation="input"),
    )
    numbers = compare_technologies(collect(*stored)["technology"])
    assert list(numbers["cell"]) == ["d", "e", "b", "c", "a"]


def test_a_cell_without_a_summary_is_told_which_estimator_makes_one() -> None:
    plain = collect(*results.stored(results.table03("1")))["table03"]
    with pytest.raises(SpecError, match="estimator=score_summary"):
        technologies(plain, title="", paper=published(None, plain))


def test_the_curve_draws_effects_in_order_above_their_options() -> None:
    stored = cells()
    figure = specification_curve(stored)
    assert figure is not None
    top, bottom = figure.axes
    drawn = {container.get_label(): container[0] for container in top.containers}
    assert list(drawn["The default"].get_ydata()) == pytest.approx([0.1])
    assert len(drawn["Estimate, 95 % interval"].get_ydata()) == 3
    ticks = [text.get_text() for text in bottom.get_yticklabels()]
    assert ticks == [
        *("Returns: crs", "Returns: vrs", "Orientation: none", "Orientation: output"),
        *("Bad outputs: as outputs", "Bad outputs: as inputs", "Bad outputs: as outputs, jointly"),
    ]
    marked = {label: set() for label in ("returns=vrs", "bads=as inputs", "bads=as outputs")}
    for line in bottom.lines:
        if line.get_label() in marked:
            marked[line.get_label()] |= set(line.get_xdata())
    assert {label: len(places) for label, places in marked.items()} == {
        **{"returns=vrs": 1, "bads=as inputs": 1},
        "bads=as outputs": 2,
    }
    assert "4 specifications" in top.get_title(loc="right")
    assert specification_curve(stored[:1]) is None
