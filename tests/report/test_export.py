import io
import os
import re
from pathlib import Path

import pandas as pd
import pytest

from syneff.report import export
from syneff.report.tables import Table, regression
from syneff.report.tidy import collect, published
from tests.report import results


@pytest.fixture
def table() -> Table:
    nasty = {"pop": {"label": r"R&D_{x} 5 % <b>\cost$ #1 ~^", "label_zh": "", "unit": ""}}
    cells = [(frame, {**facts, "variables": nasty}) for frame, facts in map(results.table03, ("1", "2"))]
    stored = collect(*results.stored(*cells))["table03"]
    return regression(stored, title="Table 3. Effects & more", paper=published("table03", stored))


def test_csv_holds_the_table_as_printed(table: Table, tmp_path: Path) -> None:
    files = export.table_files(table, tmp_path, "table03")
    read = pd.read_csv(files["csv"], dtype=str, keep_default_na=False).set_index(["term", "line"])
    assert list(read.columns) == ["label", "(1)", "(2)"]
    assert read.loc[("treat", "estimate"), "(1)"] == "0.051***"
    assert read.loc[("treat", "t"), "(2)"] == "(8.000)"
    assert read.loc[("pop", "estimate"), "(1)"] == ""
    assert read.loc[("pop", "estimate"), "label"] == r"R&D_{x} 5 % <b>\cost$ #1 ~^"
    assert not {"truth", "paper"} & set(read.index.get_level_values("line"))


def test_numbers_keep_full_precision(table: Table, tmp_path: Path) -> None:
    files = export.table_files(table, tmp_path, "table03")
    read = pd.read_csv(files["numbers"], dtype={"column": str}).set_index(["column", "term"])
    assert read["estimate"]["2", "pop"] == -0.000421
    assert read["t"]["1", "treat"] == 0.0512 / 0.0064
    assert read["truth"]["1", "treat"] == 0.04
    assert read["published"]["2", "treat"] == 0.067


def test_tex_has_the_three_rules_of_booktabs(table: Table) -> None:
    tex = export.to_tex(table, "table03")
    assert [tex.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert r"\hline" not in tex
    assert r"\caption{Effects \& more}" in tex
    assert r"\label{table03}" in tex


def test_tex_is_escaped_and_every_row_has_all_columns(table: Table) -> None:
    tex = export.to_tex(table, "table03")
    body = tex[tex.index(r"\toprule") : tex.index(r"\bottomrule")]
    label = r"R\&D\_\{x\} 5 \% \textless{}b\textgreater{}\textbackslash{}cost\$ \#1 \textasciitilde{}\textasciicircum{}"
    assert label in body
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {2}
    assert "$-$0.00042*" in body


def test_html_is_escaped_and_has_scopes(table: Table, tmp_path: Path) -> None:
    page = export.table_files(table, tmp_path, "table03")["html"].read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert page.count('scope="col"') == 3
    assert 'scope="row"' in page
    assert "published (paper)" not in page


def test_minus_and_stars_are_typeset() -> None:
    assert export.typeset("-0.250") == "\N{MINUS SIGN}0.250"
    assert export.typeset("(-1.560)") == "(\N{MINUS SIGN}1.560)"
    assert export.typeset("0.040***") == '0.040<span class="stars">***</span>'
    assert export.typeset("two-way <b>") == "two-way &lt;b&gt;"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export.write(tmp_path / "a.txt", "old")

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError):  # noqa: PT011
        export.write(path, "new")
    assert path.read_text() == "old"


def test_inline_svg_keeps_identifiers_apart() -> None:
    body = b'<metadata>http://y</metadata><g id="a"/><use xlink:href="#a"/></svg>'
    drawn = b'<?xml?><!DOCTYPE svg><svg xmlns="http://x" viewBox="0 0 4 2">' + body
    text = export.inline_svg(drawn, "one", 'Figure <1> "x"')
    assert 'id="one-a"' in text
    assert 'href="#one-a"' in text
    assert 'aria-label="Figure &lt;1&gt; &quot;x&quot;"' in text
    assert "http" not in text


def test_files_are_deterministic(table: Table, tmp_path: Path) -> None:
    first = {kind: path.read_bytes() for kind, path in export.table_files(table, tmp_path / "a", "t").items()}
    second = {kind: path.read_bytes() for kind, path in export.table_files(table, tmp_path / "b", "t").items()}
    assert first == second
    assert io.BytesIO(first["csv"]).readline().startswith(b"term,label,line")
