"""Truth and estimates: what is known stands beside what was found, and only where it is the truth of that cell."""

from typing import Any

import pandas as pd
import pytest

from syneff.report.exhibits import EVERYTHING, Exhibit
from syneff.report.page import build
from syneff.report.tidy import Cell, collect, compare, published
from syneff.report.truth import comparable, part_label, truth_and_estimates
from tests.report import results

TRUTH = {
    "coefficients": {"treat": 0.04, "pop": 0.02},
    "note": "Everything was set.",
    "outcome": "syeff",
    "outcomes": {"invg": {"treat": 1.6}},
    "given": {"invg": {"treat": 0.025, "invg": 0.009}, "is": {"treat": 0.037, "is": 0.022}},
    "parts": {"total": 0.042, "indirect:invg": 0.015, "total[resource=0]": 0.04, "path[3]": 0.0445},
}


def spec(*controls: str, **more: Any) -> dict[str, Any]:
    fitted = {
        "treatment": "treat",
        "controls": list(controls),
        "effects": ["unit", "period"],
        "cluster": "unit",
        **more,
    }
    return {"estimator": {"spec": fitted}}


def cell(name: str, rows: list[dict[str, Any]], *, outcome: str = "syeff", **facts: Any) -> Cell:
    facts = {"truth": TRUTH, "config": spec("pop"), **facts}
    manifest = results.manifest("any", "1", **facts) | {"name": name}
    return collect(*results.stored((results.tidy("any", "1", rows, outcome), manifest)))["any"][0]


def both(name: str = "whole", **facts: Any) -> Cell:
    return cell(name, [results.row("treat", 0.05, 0.008, 0.0), results.row("pop", 0.03, 0.002, 0.0)], **facts)


def laid_out(*cells: Cell) -> dict[str, tuple[str, ...]]:
    table = truth_and_estimates(cells, title="Truth", paper=pd.DataFrame())
    return {line.term: line.cells for line in table.lines}


def test_estimate_and_truth_stand_side_by_side_with_their_difference_in_standard_errors() -> None:
    lines = laid_out(both())
    assert lines["treat"] == ("whole", "syeff", "0.050 (0.008)", "0.040", "1.25", "covers")
    assert lines["pop"] == ("whole", "syeff", "0.030 (0.002)", "0.020", "5.00", "misses")
    table = truth_and_estimates([both()], title="Truth", paper=pd.DataFrame())
    assert table.notes[0] == "1 of 2 intervals cover the truth."
    assert "Everything was set." in table.notes
    assert table.numbers["standardised"].tolist() == pytest.approx([1.25, 5.0])


def test_parts_of_the_effect_have_words_and_no_estimate() -> None:
    lines = laid_out(both())
    assert lines["total"] == ("", "", "", "0.042", "", "")
    labels = [line.label for line in truth_and_estimates([both()], title="", paper=pd.DataFrame()).lines][-4:]
    assert labels == [
        "Mean effect on treated city-years",
        "Indirect effect through invg",
        "Mean effect where not resource",
        "Mean effect 3 years after adoption",
    ]
    assert part_label("something else") == "something else"


def test_cells_of_several_panels_have_no_common_parts() -> None:
    other = both("other", truth={**TRUTH, "parts": {"total": 0.03}})
    table = truth_and_estimates([both(), other], title="", paper=pd.DataFrame())
    assert {line.term for line in table.lines} == {"treat", "pop"}
    assert any("several synthetic panels" in note for note in table.notes)


def test_a_resampling_scheme_does_not_tell_its_model_s_estimates_again() -> None:
    table = truth_and_estimates([both(), both("placebo")], title="", paper=pd.DataFrame())
    assert [line.cells[0] for line in table.lines if line.kind == "estimate"] == ["whole", "whole"]


def measured(**options: str) -> dict[str, Any]:
    made = {"returns": "crs", "reference": "global", "orientation": "none", "bads": "outputs", **options}
    steps = {"preff": {"name": "preff", "bad": ["pm25"], **made}, "syeff": {"name": "syeff", "first": "preff"}}
    return {"config": {**spec("pop"), "steps": steps}}


@pytest.mark.parametrize(
    ("facts", "own"),
    [
        ({}, True),
        ({"config": spec()}, False),
        ({"sample": {"rows_of_weight_zero": 17}}, False),
        ({"sample": {"rows_of_weight_zero": 0}}, True),
        (measured(), True),
        (measured(returns="vrs"), False),
        (measured(bads="inputs"), False),
    ],
)
def test_the_truth_is_that_of_one_sample_specification_and_technology(facts: dict[str, Any], own: bool) -> None:
    it = both(**facts)
    assert comparable(it) is own
    table = truth_and_estimates([it], title="", paper=pd.DataFrame())
    assert any("Not held against the truth" in note and "whole" in note for note in table.notes) is not own
    assert ("treat" in {line.term for line in table.lines}) is own


def test_the_truth_of_treat_changes_with_the_mediators_that_join_the_controls() -> None:
    rows = [results.row(term, 0.03, 0.01, 0.0) for term in ("treat", "invg", "pop")]
    one = cell("one", rows, config=spec("pop", "invg"))
    assert one.truth == {"treat": 0.025, "invg": 0.009, "pop": 0.02}
    two = cell("two", rows, config=spec("pop", "invg", "is"))
    assert two.truth == {"pop": 0.02}
    instrumented = cell("iv", rows, config=spec("pop", instruments=["port_rd"]))
    assert instrumented.truth == {"pop": 0.02}


def test_every_row_has_the_truth_of_its_own_outcome() -> None:
    """A family, or a first stage, has rows of several outcomes."""
    it = cell("family", [results.row("treat", 0.05, 0.01, 0.0)])
    more = results.tidy("any", "1", [results.row("treat", 1.5, 0.3, 0.0)], "invg").assign(cell="family")
    unknown = results.tidy("any", "1", [results.row("treat", 2.0, 0.3, 0.0)], "gdp").assign(cell="family")
    it = Cell(it.name, it.experiment, it.column, pd.concat([it.frame, more, unknown], ignore_index=True), it.manifest)
    truth = compare([it], published(None, [it]))["truth"]
    assert truth[:2].tolist() == [0.04, 1.6]
    assert pd.isna(truth[2])
    assert it.truth_of("invg") == {"treat": 1.6}


def test_a_run_on_real_data_has_no_such_section(tmp_path: Any) -> None:
    exhibits = {"truth": Exhibit(EVERYTHING, "Truth and estimates", table=truth_and_estimates)}
    for truth, shown in ((TRUTH, True), (None, False)):
        frame, facts = results.table03("2")
        stored = results.stored((frame, {**facts, "truth": truth, "config": spec("pop")}))
        page = build(*stored, exhibits, tmp_path / str(shown)).read_text(encoding="utf-8")
        assert ('id="truth"' in page) is shown
        assert ("Indirect effect through invg" in page) is shown
        assert page.count("How it was made") == 1  # that of the cell; the overview has none of its own


def test_controls_are_told_once_and_what_is_told_already_is_left_out() -> None:
    other = cell("other", [results.row("treat", 0.045, 0.009, 0.0), results.row("pop", 0.031, 0.002, 0.0)])
    lines = truth_and_estimates([both("first"), both("again"), other], title="Truth", paper=pd.DataFrame()).lines
    told = [(line.cells[0], line.term) for line in lines if line.kind == "estimate"]
    assert told == [("first", "treat"), ("first", "pop"), ("other", "treat")]


def test_the_main_effect_beside_an_interaction_is_not_the_effect() -> None:
    crossed = cell("crossed", [results.row("treat", 0.02, 0.01, 0.1), results.row("treat:pressure", 0.01, 0.005, 0.04)])
    assert not comparable(crossed)
