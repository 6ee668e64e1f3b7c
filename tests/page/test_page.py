"""The page as a browser reads it: parsed, not searched for strings that the template happens to hold."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from syneff.report import page
from syneff.report.exhibits import Exhibit, event_study, placebo, specification_curve
from syneff.report.tables import Line, Table, descriptive
from syneff.report.technologies import technologies
from tests.report import results

EXHIBITS = {
    "table02": Exhibit("table02", "Table 2. Moments", table=descriptive, paper="table02", paper_column="1"),
    "table03": Exhibit("table03", "Table 3. Effects", columns=("1", "2", "3"), paper="table03"),
    "figure01": Exhibit("figure01", "Figure 1. Event study", figure=event_study),
    "figure02": Exhibit("figure02", "Figure 2. Placebo", figure=placebo, paper="table03", paper_column="7"),
}


class Reader(HTMLParser):
    """Collects tags with their attributes, and text by the nearest section."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._where = [""]
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self._where.append(dict(attrs).get("id") or "")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self._where.pop()

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._where[-1], []).append(data)

    def text(self, section: str) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts.get(section, [])))


def everything() -> results.Stored:
    return results.stored(
        results.table02(),
        *(results.table03(column) for column in ("1", "2", "3")),
        results.figure01(),
        results.figure02(),
        draws={"figure02_1": results.placebo_draws()},
    )


def build(stored: results.Stored, folder: Path, exhibits: dict[str, Exhibit] = EXHIBITS) -> Reader:
    return Reader(page.build(*stored, exhibits, folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reader, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return build(everything(), folder), folder / "report"


def test_the_page_needs_no_network(whole: tuple[Reader, Path]) -> None:
    reader, folder = whole
    assert not [tag for tag, _ in reader.tags if tag in {"script", "link", "iframe", "img", "object"}]
    for tag, attributes in reader.tags:
        for name in ("src", "href", "xlink:href"):
            target = attributes.get(name) or ""
            assert not re.match(r"[a-z]+:|//", target) or target.startswith("data:"), (tag, target)
    assert "http" not in (folder / "index.html").read_text(encoding="utf-8")


def test_every_link_leads_somewhere(whole: tuple[Reader, Path]) -> None:
    reader, folder = whole
    ids = {attributes["id"] for _, attributes in reader.tags if "id" in attributes}
    targets = [
        attributes["href"] or "" for tag, attributes in reader.tags if "href" in attributes and tag in {"a", "use"}
    ]
    assert len(targets) > 20
    for target in targets:
        assert target[1:] in ids if target.startswith("#") else (folder / target).is_file(), target


def test_identifiers_are_unique_and_tags_accessible(whole: tuple[Reader, Path]) -> None:
    reader, _ = whole
    ids = Counter(attributes["id"] for _, attributes in reader.tags if "id" in attributes)
    assert not [name for name, count in ids.items() if count > 1]
    assert dict(reader.tags)["html"] == {"lang": "en"}
    assert all(attributes.get("scope") for tag, attributes in reader.tags if tag == "th")
    pictures = [attributes for tag, attributes in reader.tags if tag == "svg"]
    assert [each["aria-label"] for each in pictures] == ["Figure 1. Event study", "Figure 2. Placebo"]
    labelled = {attributes.get("for") for tag, attributes in reader.tags if tag == "label"}
    assert all(attributes["id"] in labelled for tag, attributes in reader.tags if tag == "input")


def test_synthetic_is_said_at_the_top_and_at_every_exhibit(whole: tuple[Reader, Path]) -> None:
    reader, _ = whole
    assert "Synthetic panel" in reader.text("")
    for name in EXHIBITS:
        assert "synthetic panel" in reader.text(name)


def test_a_real_panel_is_never_called_synthetic(tmp_path: Path) -> None:
    frame, facts = results.table03("1")
    real = results.stored((frame, {**facts, "source": "csv: cities.csv", "truth": None}))
    reader = build(real, tmp_path)
    assert "ynthetic" not in reader.text("table03")
    assert not [attributes for _, attributes in reader.tags if attributes.get("class") in {"banner", "badge"}]
    assert "cities.csv" in reader.text("provenance")


def test_estimate_truth_and_published_value_are_beside_each_other(whole: tuple[Reader, Path]) -> None:
    reader, _ = whole
    table = reader.text("table03")
    assert re.search(
        r"Innovative-city pilot\s+0\.051 \*\*\* .*\(8\.000\) .*truth \(synthetic panel\) 0\.040 .*"
        r"published \(paper\) 0\.073 \*\*\* 0\.067",
        table,
    )
    assert "omitted" in table
    assert "0.040" in reader.text("figure02")
    assert "The effect was set to 0.04." in table


def test_all_files_are_there(whole: tuple[Reader, Path]) -> None:
    _, folder = whole
    tables = {f"{name}.{kind}" for name in EXHIBITS for kind in ("csv", "tex", "html")} | {
        f"{name}_numbers.csv" for name in EXHIBITS
    }
    assert {path.name for path in (folder / "tables").iterdir()} == tables
    drawn = {f"{name}.{kind}" for name in ("figure01", "figure02") for kind in ("svg", "pdf", "png")}
    assert {path.name for path in (folder / "figures").iterdir()} == drawn


def test_provenance_and_tests_are_shown(whole: tuple[Reader, Path]) -> None:
    reader, _ = whole
    made = reader.text("provenance")
    for word in ("syneff 0.1.0", "cpu:cpu", "abc1234", "rows 4828"):
        assert word in made
    assert "0f3a9c" in reader.text("table03")
    assert "p = 0.2913" in reader.text("figure01")


def test_missing_exhibits_and_columns_are_named(tmp_path: Path) -> None:
    reader = build(results.stored(results.table03("1"), results.table03("3")), tmp_path)
    top = reader.text("")
    assert "Figure 2. Placebo" in top
    assert "syneff experiment=figure02" in top
    assert "Not stored: column 2." in reader.text("table03")
    assert "figure02" not in reader.texts


def test_experiments_without_exhibit_become_plain_tables(tmp_path: Path) -> None:
    mine = (results.tidy("mine", "1", [results.row("treat", 0.031, 0.01, 0.002)]), results.manifest("mine", "1"))
    reader = build(results.stored(mine), tmp_path)
    assert "0.031" in reader.text("mine")
    assert (tmp_path / "report" / "tables" / "mine.tex").is_file()


@pytest.mark.parametrize("field", ["warnings", "label", "truth", "source", "column"])
def test_what_users_write_is_escaped(field: str, tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    frame, facts = results.table03("1")
    changes: dict[str, dict[str, Any]] = {
        "warnings": {"warnings": [bad]},
        "label": {"variables": {"treat": {"label": bad, "label_zh": "", "unit": ""}}},
        "truth": {"truth": {"coefficients": {"treat": 0.04}, "note": bad}},
        "source": {"source": bad},
        "column": {"column": bad},
    }
    column = bad if field == "column" else "1"
    reader = build(results.stored((frame.assign(column=column), {**facts, **changes[field]})), tmp_path)
    assert not [tag for tag, _ in reader.tags if tag == "script"]
    assert "alert(1)" in reader.text("table03")


def test_columns_without_all_controls_are_said_not_to_cover_the_truth(tmp_path: Path) -> None:
    spec = {"treatment": "treat", "effects": ["unit", "period"], "cluster": "unit"}
    truth = {"coefficients": {"treat": 0.04, "pop": -0.001, "event[0]": 0.03}, "note": "Set."}
    cells = []
    for column, controls in (("1", []), ("2", ["pop"])):
        frame, facts = results.table03(column)
        config = {"estimator": {"spec": {**spec, "controls": controls}}}
        cells.append((frame, {**facts, "config": config, "truth": truth}))
    said = "need not cover the truth: (1)."
    assert said in build(results.stored(*cells), tmp_path).text("table03")
    assert "need not cover" not in build(results.stored(cells[1]), tmp_path).text("table03")
    unknown = [(frame, {**facts, "truth": None}) for frame, facts in cells]
    assert "need not cover" not in build(results.stored(*unknown), tmp_path).text("table03")


def test_warnings_name_their_columns_unless_all_share_them(tmp_path: Path) -> None:
    first, second = results.table03("1"), results.table03("2")
    first[1]["warnings"] = ["Shared.", "Only here."]
    second[1]["warnings"] = ["Shared."]
    text = build(results.stored(first, second), tmp_path).text("table03")
    assert re.search(r"Shared\.\s+Only here\.\s+\(1\)", text)


def test_notes_of_every_exhibit_are_said_once_at_the_top(tmp_path: Path) -> None:
    first, second = results.table03("1"), results.figure01()
    first[1]["warnings"] = ["Everywhere.", "Table only."]
    second[1]["warnings"] = ["Everywhere."]
    reader = build(results.stored(first, second), tmp_path)
    assert "Everywhere." in reader.text("")
    assert "Everywhere." not in reader.text("table03") + reader.text("figure01")
    assert "Table only." in reader.text("table03")
    assert "Table only." not in reader.text("") + reader.text("figure01")


def test_every_cell_of_a_figure_is_drawn(tmp_path: Path) -> None:
    first, second = results.figure01(), results.figure01()
    second = (second[0].assign(column="2"), {**second[1], "column": "2", "name": "figure01_2"})
    reader = build(results.stored(first, second), tmp_path)
    assert len([tag for tag, _ in reader.tags if tag == "svg"]) == 2
    assert (tmp_path / "report" / "figures" / "figure01-figure01_2.pdf").is_file()


def sweep(count: int, tmp_path: Path) -> Reader:
    """A page of many cells of one column, drawn in one figure; each has a note of its own, two have other clusters."""
    cells = [results.technology(f"cell {place}", place + 1, returns=f"r{place:02}") for place in range(count)]
    for place, (_, facts) in enumerate(cells):
        facts["warnings"] = ["Shared.", f"Note {place}."]
        facts["stats"]["n_clusters"] = 283 if place in (1, 2) else 284
    exhibit = Exhibit("technology", "Technologies", table=technologies, overview=specification_curve)
    return build(results.stored(*cells), tmp_path, {"technology": exhibit})


def test_many_cells_are_drawn_in_one_figure_and_told_together(tmp_path: Path) -> None:
    reader = sweep(20, tmp_path)
    assert len([tag for tag, _ in reader.tags if tag == "svg"]) == 1
    assert (tmp_path / "report" / "figures" / "technology.pdf").is_file()
    text = reader.text("technology")
    assert "284 (18 cells), 283 (2 cells)" in text
    assert re.search(r"Shared\.\s+Notes of single cells\s+Note 0\.\s+cell 0", text)


def test_few_cells_of_one_column_are_told_apart_by_their_names(tmp_path: Path) -> None:
    text = sweep(3, tmp_path).text("technology")
    assert "Notes of single cells" not in text
    assert re.search(r"Note 1\.\s+cell 1", text)
    assert re.search(r"cell 0 284\s*; cell 1 283\s*; cell 2 283", text)


def test_the_page_is_deterministic(whole: tuple[Reader, Path], tmp_path: Path) -> None:
    _, folder = whole
    again = page.build(*everything(), EXHIBITS, tmp_path)
    assert again.read_bytes() == (folder / "index.html").read_bytes()


def test_audits_stand_under_the_table(tmp_path):
    found = {"program": "pyfixest 9.9", "remark": "", "coef_difference": 3e-16, "std_error_difference": None}
    cells = [results.table03(column) for column in ("1", "2", "3")]
    cells[0][1]["audit"] = found | {"std_error_difference": 1e-15}
    cells[1][1]["audit"] = found | {"std_error_difference": 2e-12}
    cells[2][1]["audit"] = {"program": "", "remark": "CR2"}
    target = page.build(*results.stored(*cells), {"table03": EXHIBITS["table03"]}, tmp_path)
    text = Reader(target.read_text(encoding="utf-8")).text("table03")
    assert (
        "Audited with pyfixest 9.9: largest difference of a coefficient 3e-16, of a standard error 2e-12. (1), (2)"
        in text
    )
    assert "Not audited: CR2. (3)" in text


def test_an_infinite_difference_is_told(tmp_path):
    """The store writes it as null."""
    facts = {
        "program": "p",
        "remark": "its K of 8 replaced by 24",
        "coef_difference": None,
        "std_error_difference": 0.0,
    }
    frame, manifest = results.table03("1")
    target = page.build(
        *results.stored((frame, manifest | {"audit": facts})), {"table03": EXHIBITS["table03"]}, tmp_path
    )
    text = Reader(target.read_text(encoding="utf-8")).text("table03")
    assert "of a coefficient inf, of a standard error 0e+00 (its K of 8 replaced by 24)." in text


def overview(lines: int):
    """A layout that prints how many cells it was given, in some lines."""

    def layout(cells, *, title, paper):
        group = tuple(
            Line(f"line {at}", f"Line {at}", "statistic", (f"{len(cells)} cells seen",)) for at in range(lines)
        )
        return Table(title, ("All",), (group,) if group else (), (), pd.DataFrame())

    return layout


def test_an_exhibit_of_everything_shows_all_cells_and_repeats_none_of_their_notes(tmp_path):
    frame, facts = results.table03("1")
    cells = (frame, {**facts, "warnings": ["Only here."]}), results.table03("2"), results.figure02()
    reader = build(results.stored(*cells), tmp_path, {**EXHIBITS, "all": Exhibit("*", "All of it", table=overview(1))})
    assert "3 cells seen" in reader.text("all")
    assert "Only here." in reader.text("table03")
    assert "Only here." not in reader.text("all")
    assert "All of it" not in " ".join(reader.texts.get("absent", []))


def test_an_exhibit_of_everything_that_has_nothing_to_say_is_left_out(tmp_path):
    reader = build(
        results.stored(results.table03("1")),
        tmp_path,
        {**EXHIBITS, "all": Exhibit("*", "All of it", table=overview(0))},
    )
    assert "all" not in reader.texts
    assert "All of it" not in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_a_cell_may_have_several_figures(tmp_path):
    def twice(cell):
        return [placebo(cell), placebo(cell)] if cell.draws is not None else None

    stored = results.stored(results.figure02(), draws={"figure02_1": results.placebo_draws()})
    reader = build(stored, tmp_path, {"figure02": Exhibit("figure02", "Twice", figure=twice)})
    assert len([tag for tag, _ in reader.tags if tag == "svg"]) == 2
    files = {path.name for path in (tmp_path / "report" / "figures").iterdir()}
    assert {"figure02.pdf", "figure02-2.pdf"} <= files


def test_details_reach_the_figures(tmp_path):
    seen = []
    exhibit = Exhibit("table03", "Details", figure=lambda cell: seen.append(dict(cell.details)))
    details = {"table03_1": {"balance": pd.DataFrame({"control": ["pop"]})}}
    page.build(*results.stored(results.table03("1")), {"table03": exhibit}, tmp_path, details=details)
    assert list(seen[0]) == ["balance"]
