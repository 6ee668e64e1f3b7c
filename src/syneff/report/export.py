"""Files of the report: csv, tex and html of a table; svg, pdf and png of a figure.

Every file is written beside its place and moved there in one step, so that a reader never meets half a file.
"""

import html
import os
import re
from functools import cache
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from syneff.report import figures
from syneff.report.tables import Table, plain

_NUMBER = re.compile(r"^(Table|Figure) \d+\. ")
_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "[": r"{[}",
        "]": r"{]}",
    }
)


def write(path: Path, content: str | bytes) -> Path:
    """Write a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return path


def table_files(table: Table, folder: Path, name: str) -> dict[str, Path]:
    """Write a table as csv, tex and html, and the numbers behind it as csv; return the paths by kind.

    The html is a template's, not `maketables`': its tables have random identifiers and styles that leak into the page.
    """
    return {
        "csv": write(folder / f"{name}.csv", to_frame(table).to_csv(index=False)),
        "tex": write(folder / f"{name}.tex", to_tex(table, name)),
        "html": write(
            folder / f"{name}.html", environment().get_template("table_page.html.j2").render(table=plain(table))
        ),
        "numbers": write(folder / f"{name}_numbers.csv", table.numbers.to_csv(index=False)),
    }


def figure_files(figure: figures.Figure, folder: Path, name: str) -> dict[str, Path]:
    """Write a figure as svg, pdf and png; return the paths by kind."""
    return {kind: write(folder / f"{name}.{kind}", figures.render(figure, kind)) for kind in figures.KINDS}


def to_frame(table: Table) -> pd.DataFrame:
    """Return the table as it is printed, with the columns term, label and line before those of the table."""
    rows = [(line.term, line.label, line.kind, *line.cells) for line in plain(table).lines]
    return pd.DataFrame(rows, columns=["term", "label", "line", *table.header])


def to_tex(table: Table, name: str) -> str:
    r"""Return the table in LaTeX, with the three rules of booktabs.

    The preamble needs ``booktabs``, ``threeparttable``, ``makecell`` and ``array``. `maketables` sets the table; it takes text
    for LaTeX as it is, so it is escaped here. LaTeX numbers tables itself: the caption leaves the number out.
    """
    from maketables import MTable

    shown = plain(table)
    groups = [(str(place), _tex(line.label)) for place, group in enumerate(shown.groups) for line in group]
    frame = pd.DataFrame(
        [[_tex(text) for text in line.cells] for line in shown.lines],
        index=pd.MultiIndex.from_tuples(groups),
        columns=[_tex(head) for head in shown.header],
    )
    style = {"tab_width": None, "group_intro": r"\footnotesize", "tabcolsep": "4pt", "data_addlinespace": None}
    style |= {"first_row_addlinespace": None, "rgroup_addlinespace": "0.6ex"}
    made = MTable(
        frame,
        notes=_tex(" ".join(shown.notes)),
        caption=_tex(_NUMBER.sub("", shown.title)),
        tab_label=name,
        rgroup_sep="",
        rgroup_display=False,
    )
    return str(made.make("tex", tex_style=style)) + "\n"


def _tex(text: str) -> str:
    escaped = text.translate(_TEX)
    return re.sub(r"^(\(?)-(?=\d)", r"\1$-$", escaped)


def inline_svg(content: bytes, name: str, label: str) -> str:
    """Return an svg to stand inside a page: named for those who cannot see it, its identifiers its own.

    Parameters
    ----------
    content
        The file, as matplotlib wrote it.
    name
        Prefix of the identifiers, so that two figures on one page do not share any.
    label
        What the figure shows, in words.
    """
    text = content.decode()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box, "matplotlib writes a viewBox"
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", body).replace("xlink:href", "href")
    return f'<svg viewBox="{box[1]}" role="img" aria-label="{html.escape(label)}">{body}'


@cache
def environment() -> jinja2.Environment:
    """Return the templates; whatever is not marked as safe is escaped."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    made = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.filters["typeset"] = typeset
    return made


def typeset(text: str) -> Markup:
    """Set a printed number for a page: a true minus, and stars that do not push the number off the middle of its column."""
    signed = re.sub(r"(?<![\w.])-(?=\d)", figures.MINUS, text)
    found = re.fullmatch(r"(.*\d)(\*+)", signed)
    return Markup('{}<span class="stars">{}</span>').format(*found.groups()) if found else escape(signed)
