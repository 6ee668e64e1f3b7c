"""The page: every exhibit of a run on one self-contained HTML page.

`build` writes the files of all tables and figures and, last, ``index.html``: styles and figures stand inside it, so it can be
mailed, archived, and read without a network. It says loudly where results come from a synthetic panel, what is missing, what
the steps did to the data, and how every number was made.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from syneff.report.exhibits import EVERYTHING, Exhibit, several
from syneff.report.export import environment, figure_files, inline_svg, table_files, write
from syneff.report.tables import Table, heads, partial_columns
from syneff.report.tidy import PAPER, Cell, collect


@dataclass(frozen=True)
class Section:
    """What the page says about one exhibit.

    Attributes
    ----------
    name
        Name of the exhibit, which is also that of its files.
    exhibit, cells, table
        The exhibit, what it shows, and its numbers laid out.
    figures
        Its figures: that of all cells, and one a cell that has one.
    links
        Files by what they are, relative to the page.
    missing
        Columns that are not stored.
    """

    name: str
    exhibit: Exhibit
    cells: tuple[Cell, ...]
    table: Table
    figures: Sequence[Markup]
    links: Mapping[str, str]
    missing: Sequence[str]

    @property
    def synthetic(self) -> bool:
        """Whether any of it comes from a synthetic panel."""
        return any(cell.synthetic for cell in self.cells)

    @property
    def heads(self) -> tuple[str, ...]:
        """What tells its cells apart: their numbers or names."""
        return heads(self.cells)

    @property
    def truth_notes(self) -> list[str]:
        """Where the true values come from, and which columns need not cover them."""
        notes = list(dict.fromkeys(cell.truth_note for cell in self.cells if cell.truth_note))
        if partial := partial_columns(self.cells):
            notes.append(
                f"Columns that omit controls with a true effect need not cover the truth: {', '.join(partial)}."
            )
        return notes

    def notes(self, common: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Return the notes of the run that are not common to all exhibits, each with its columns unless all have it."""
        columns: dict[str, list[str]] = {}
        for cell, head in zip(self.cells, self.heads, strict=True):
            for note in _notes(cell):
                columns.setdefault(note, []).append(head)
        own = {note: found for note, found in columns.items() if note not in common}
        return [(note, "" if len(found) == len(self.cells) else ", ".join(found)) for note, found in own.items()]

    @property
    def diagnostics(self) -> list[tuple[str, list[str]]]:
        """Tests, clusters and other scalars that the table does not show, a text a cell."""
        names = dict.fromkeys(str(term) for cell in self.cells for term in cell.tests["term"])
        tests = [(name.replace("_", " "), [_test(cell, name) for cell in self.cells]) for name in names]
        counts = [(label, _scalars(self.cells, name)) for name, label in _SCALARS.items()]
        found = [(label, texts) for label, texts in tests + counts if any(texts)]
        return [(label, texts[:1] if len(set(texts)) == 1 else texts) for label, texts in found]

    @property
    def audits(self) -> list[str]:
        """What other programs said of the estimates, a sentence each; nothing where nobody asked."""
        return [f"{text} {columns}".strip() for text, columns in self._audits()]

    def _audits(self) -> list[tuple[str, str]]:
        groups: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells:
            if audit := cell.manifest.get("audit"):
                groups.setdefault((audit["program"], audit["remark"]), []).append(cell)
        return [
            (
                _audit(*key, cells),
                "" if len(cells) == len(self.cells) else ", ".join(f"({each.column})" for each in cells),
            )
            for key, cells in groups.items()
        ]

    def shows(self, kind: str) -> bool:
        """Whether the table has lines of a kind."""
        return any(line.kind == kind for line in self.table.lines)


MANY = 12
"""Cells or notes from which on they are not told one by one."""
_SCALARS = {"n_clusters": "clusters", "draws_failed": "draws that failed"}


def build(
    tidy: pd.DataFrame,
    manifests: Mapping[str, Mapping[str, Any]],
    draws: Mapping[str, pd.DataFrame],
    exhibits: Mapping[str, Exhibit],
    folder: Path,
    *,
    details: Mapping[str, Mapping[str, pd.DataFrame]] | None = None,
) -> Path:
    """Write all tables and figures, then the page.

    Parameters
    ----------
    tidy
        All tidy rows, with columns experiment, column, outcome, term, estimate, ... as stored.
    manifests, draws, details
        By name of the cell.
    exhibits
        By name, in the order of the page. Experiments that no exhibit claims follow as plain tables; an exhibit of the
        experiment `EVERYTHING` shows all cells, and is left out where its table has nothing to say.
    folder
        Where ``report/`` goes.

    Returns
    -------
    pathlib.Path
        The page, ``folder/report/index.html``.
    """
    groups = collect(tidy, manifests, draws, details)
    claimed = {exhibit.experiment for exhibit in exhibits.values()}
    others = {name: Exhibit(name, f"Experiment {name}") for name in groups if name not in claimed}
    wanted = {**exhibits, **others}
    # A run that asked for none of the exhibits misses none.
    asked = any(exhibit.experiment in groups for exhibit in exhibits.values())
    cells = [cell for name in wanted.values() for cell in groups.get(name.experiment, ())]
    groups[EVERYTHING] = tuple(cells)
    absent = [exhibit for exhibit in exhibits.values() if exhibit.experiment not in groups] if asked else []
    target = folder / "report"
    made = [
        _section(name, exhibit, groups[exhibit.experiment], target)
        for name, exhibit in wanted.items()
        if exhibit.experiment in groups
    ]
    sections = [section for section in made if section is not None]
    page = (
        environment()
        .get_template("page.html.j2")
        .render(
            sections=sections,
            absent=absent,
            common=_common_notes(sections),
            paper=PAPER,
            synthetic=any(cell.synthetic for cell in cells),
            facts=provenance(cells),
            words=words,
            many=MANY,
            config_text=config_text,
        )
    )
    return write(target / "index.html", page)


def _notes(cell: Cell) -> list[str]:
    return list(dict.fromkeys(str(note) for note in cell.manifest.get("warnings") or ()))


def _common_notes(sections: Sequence[Section]) -> list[str]:
    """Return the notes that every cell of several exhibits has: they are said once, at the top."""
    if sum(bool(section.cells) for section in sections) < 2:
        return []
    cells = [cell for section in sections for cell in section.cells]
    return [note for note in _notes(cells[0]) if all(note in _notes(cell) for cell in cells)]


def _section(name: str, exhibit: Exhibit, cells: tuple[Cell, ...], target: Path) -> Section | None:
    """Write the files of an exhibit; None for an overview of all cells that has nothing to say."""
    table = exhibit.make_table(cells)
    overview = exhibit.experiment == EVERYTHING
    if overview and not table.lines:
        return None
    drawn, links = _figures(name, exhibit, cells, target)
    links |= {kind: _link(path, target) for kind, path in table_files(table, target / "tables", name).items()}
    # Notes and diagnostics of the cells stand in their own sections.
    return Section(name, exhibit, () if overview else cells, table, drawn, links, exhibit.missing(cells))


def _figures(name: str, exhibit: Exhibit, cells: tuple[Cell, ...], target: Path) -> tuple[list[Markup], dict[str, str]]:
    """Write the figures of all cells and those of every cell; return them for the page, and the links to their files."""
    made = [("", figure) for figure in several(exhibit.overview(cells) if exhibit.overview else None)]
    for cell in cells:
        own = several(exhibit.figure(cell) if exhibit.figure else None)
        made += [("" if len(cells) == 1 else cell.name, figure) for figure in own]
    drawn: list[Markup] = []
    links: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    for of_cell, figure in made:
        numbers[of_cell] += 1
        part = " ".join(filter(None, [of_cell, str(numbers[of_cell]) if numbers[of_cell] > 1 else ""]))
        files = figure_files(figure, target / "figures", "-".join([name, *part.split()]))
        label = f"{exhibit.title} ({part})" if part else exhibit.title
        drawn.append(Markup(inline_svg(files["svg"].read_bytes(), f"{name}-{len(drawn)}" if drawn else name, label)))
        links |= {f"{kind} ({part})" if part else kind: _link(path, target) for kind, path in files.items()}
    return drawn, links


def _link(path: Path, target: Path) -> str:
    return quote(path.relative_to(target).as_posix())


def _test(cell: Cell, name: str) -> str:
    rows = cell.tests[cell.tests["term"] == name]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    parts = {"statistic": "{:.3f}", "dof": "df {:g}", "p_value": "p = {:.4f}"}
    return ", ".join(form.format(row[part]) for part, form in parts.items() if pd.notna(row[part]))


def _scalars(cells: Sequence[Cell], name: str) -> list[str]:
    """Write a scalar of each cell; of many cells, how many have which value."""
    values = [cell.statistic(name) for cell in cells]
    texts = ["" if math.isnan(value) else f"{value:g}" for value in values]
    if len(cells) <= MANY or not any(texts):
        return texts
    found = Counter(sorted(filter(None, texts), reverse=True))
    return [", ".join(f"{text} ({count} cells)" for text, count in found.items())]


def _audit(program: str, remark: str, cells: Sequence[Cell]) -> str:
    """Word the audits of some cells: how far the worst of them is from the other program."""
    if not program:
        return f"Not audited: {remark}."
    largest = {
        name: max(math.inf if (found := cell.manifest["audit"][name]) is None else found for cell in cells)
        for name in ("coef_difference", "std_error_difference")
    }
    return (
        f"Audited with {program}: largest difference of a coefficient {largest['coef_difference']:.0e}, "
        f"of a standard error {largest['std_error_difference']:.0e}{f' ({remark})' if remark else ''}."
    )


def provenance(cells: Sequence[Cell]) -> list[tuple[str, list[str]]]:
    """Return what the cells were made with, by heading; cells that agree share a line."""
    kinds = {
        "Source": "source",
        "Sample": "sample",
        "Seed": "seed",
        "Devices": "devices",
        "Versions": "versions",
        "Git": "git",
    }
    found = {
        head: list(
            dict.fromkeys(words(cell.manifest[key]) for cell in cells if cell.manifest.get(key) not in (None, {}, []))
        )
        for head, key in kinds.items()
    }
    return [(head, texts) for head, texts in found.items() if texts]


def words(value: Any) -> str:
    """Write a stored value in a line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{str(name).replace('_', ' ')} {words(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(words, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def config_text(config: Any) -> str:
    """Write a config so that it can be read."""
    return json.dumps(config, indent=2, ensure_ascii=False, default=str)
