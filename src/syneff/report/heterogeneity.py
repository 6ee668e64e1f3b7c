"""The table of groups: both sides of each split, and below them whether they differ.

A cell of `syneff.models.contrasts.Contrast` takes one column a group. Its rows are those of separate regressions (`details`)
or, in the interaction form, the terms of one. The difference and its p-values stand in the first column of the cell.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from syneff.errors import SpecError
from syneff.report.robustness import by_term
from syneff.report.tables import (
    CONSTANTS,
    OMITTED,
    Line,
    Table,
    error_notes,
    number,
    source_notes,
    specification,
    stars,
)
from syneff.report.tidy import Cell, compare

TESTS = {
    "wald_difference": "p, all interacted (Wald)",
    "fisher_permutation": "p, permuted groups (Fisher)",
    "z_difference": "p, two fits (z)",
}
FITS = {"r2_xtreg_adjusted": "Adj. R² (xtreg)", "r2_within": "Within R² (absorbed)"}
NOTE = (
    "Each group with controls and year effects of its own, unless the column says interaction. The difference is tested in the "
    "regression with everything interacted with the group (Wald, F), by permuting which cities are in which group (Fisher), "
    "and by the two standard errors (z). That one estimate is significant and the other is not is no evidence that they differ."
)


def contrasts(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out groups side by side, with the tests of their difference.

    Parameters
    ----------
    cells
        Cells of `syneff.models.contrasts.Contrast`.
    title
        Caption.
    paper
        Published values to hold it against: rows of `syneff.report.tidy.published`, possibly none.
    """
    if any("wald_difference" not in set(cell.tests["term"]) for cell in cells):
        raise SpecError(f"{title}: a cell has no groups to compare. Use estimator=contrast for its experiment.")
    sides = [side for cell in cells for side in _sides(cell, paper)]
    terms = list(dict.fromkeys(term for side in sides for term in side["rows"].index))
    ordered = [term for term in terms if term not in CONSTANTS] + [term for term in CONSTANTS if term in terms]
    labels = {term: label for cell in cells for term in terms if (label := cell.label(term)) != term} | CONSTANTS
    groups = [_coefficient(term, labels.get(term, term), sides) for term in ordered]
    notes = (
        "t statistics in brackets. *** p < 1 %, ** p < 5 %, * p < 10 %.",
        NOTE,
        *error_notes(cells),
        *source_notes(cells),
    )
    groups += [_fit(sides), *_difference(sides)]
    header = tuple(side["head"] for side in sides)
    return Table(title, header, tuple(group for group in groups if group), notes, compare(cells, paper))


def _sides(cell: Cell, paper: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what each column of a cell shows: its rows by term, published values, truth, and what it has once."""
    treatment = str(specification(cell.manifest.get("config", {})).get("treatment"))
    own = cell.estimates.set_index("term")
    terms = [term for term in own.index if str(term).startswith(f"{treatment}[")]
    printed = paper[paper["cell"] == cell.name].set_index("term")
    truth = (cell.manifest.get("truth") or {}).get("parts", {})
    found = []
    for number_of, term in enumerate(terms):
        by, group = str(term)[len(treatment) + 1 : -1].split("=", 1)
        if "groups" in cell.details:
            rows = cell.details["groups"]
            rows = rows[rows["group"] == group].set_index("term")
            fits = cell.details["fits"].set_index("group").loc[group].to_dict()
        else:
            rest = [each for each in own.index if each not in terms and not str(each).startswith("difference:")]
            rows = own.loc[[term, *(rest if number_of == 0 else [])]].rename({term: treatment})
            fits = {"nobs": own.loc[term, "nobs"], "n_units": own.loc[term, "n_units"]} if number_of == 0 else {}
        found.append(
            {
                "head": f"{cell.label(by)} = {group}" + ("" if "groups" in cell.details else " (interaction)"),
                "rows": rows,
                "treatment": treatment,
                "printed": printed.loc[term] if term in printed.index else None,
                "truth": truth.get(term),
                "fits": fits,
                "tests": cell if number_of == 0 else None,
            }
        )
    return found


def _coefficient(term: str, label: str, sides: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    texts = [_texts(term, side) for side in sides]
    kinds = [kind for kind in ("estimate", "t", "truth", "paper", "paper_t") if any(text.get(kind) for text in texts)]
    return tuple(
        Line(term, label if kind == "estimate" else "", kind, tuple(text.get(kind, "") for text in texts))
        for kind in kinds
    )


def _texts(term: str, side: Mapping[str, Any]) -> dict[str, str]:
    if term not in side["rows"].index:
        return {}
    row, printed = side["rows"].loc[term], side["printed"]
    known = math.isfinite(row["estimate"])
    found = {
        "estimate": number(row["estimate"]) + stars(row["p_value"]) if known else OMITTED,
        "t": f"({row['statistic']:.3f})" if math.isfinite(row["statistic"]) else "",
    }
    if term == side["treatment"]:
        found["truth"] = number(math.nan if side["truth"] is None else float(side["truth"]))
        if printed is not None:
            found["paper"] = number(printed["estimate"]) + "*" * int(printed["stars"])
            found["paper_t"] = f"({printed['t']:.3f})"
    return found


def _fit(sides: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    def texts(name: str, form: str) -> tuple[str, ...]:
        return tuple(form.format(side["fits"][name]) if name in side["fits"] else "" for side in sides)

    def theirs(name: str, form: str) -> list[Line]:
        each = ("" if side["printed"] is None else form.format(side["printed"][name]) for side in sides)
        line = Line(name, "", "paper", tuple(each))
        return [line] if any(line.cells) else []

    lines = [Line("nobs", "N", "statistic", texts("nobs", "{:,.0f}")), *theirs("n", "{:,.0f}")]
    lines.append(Line("n_units", "Cities", "statistic", texts("n_units", "{:,.0f}")))
    for name, label in FITS.items():
        line = Line(name, label, "statistic", texts(name, "{:.3f}"))
        lines += [line] if any(line.cells) else []
        lines += theirs("adj_r2", "{:.3f}") if name == "r2_xtreg_adjusted" else []
    return tuple(lines)


def _difference(sides: Sequence[Mapping[str, Any]]) -> list[tuple[Line, ...]]:
    """Return a group of lines a difference: those of one pair share lines over the cells."""
    tables = [None if side["tests"] is None else _pairs(side["tests"]) for side in sides]
    most = max(len(each) for each in tables if each is not None)
    found = []
    for at in range(most):
        shown = [each[at] if each is not None and at < len(each) else {} for each in tables]
        words = list(dict.fromkeys(each["label"] for each in shown if each))
        labels = {"estimate": f"Difference {' or '.join(words)}", "error": "Standard error", **TESTS}
        lines = []
        for name, label in labels.items():
            texts = tuple(each.get(name, "") for each in shown)
            kind = "estimate" if name == "estimate" else "statistic"
            lines += [Line(f"difference_{name}", label, kind, texts)] if any(texts) else []
        found.append(tuple(lines))
    return found


def _pairs(cell: Cell) -> list[dict[str, str]]:
    """Return the texts of each difference of a cell; with several pairs, those of all together last."""
    own, tests = by_term(cell), {name: row["p_value"] for name, row in by_term(cell, tests=True).items()}
    terms = [term for term in own if term.startswith("difference:")]
    found = []
    for term in terms:
        pair, row = term.split(":", 1)[1], own[term]
        tail = f":{pair}" if len(terms) > 1 else ""
        texts = {
            "label": pair,
            "estimate": number(row["estimate"]) + stars(row["p_value"]),
            "error": number(row["std_error"]),
        }
        found.append({**texts, **{test: _p(tests, f"{test}{tail}") for test in TESTS}})
    if len(terms) > 1:
        found.append({"label": "of any pair", **{test: _p(tests, test) for test in TESTS}})
    return found


def _p(tests: Mapping[str, float], name: str) -> str:
    return f"{tests[name]:.3f}" if name in tests and math.isfinite(tests[name]) else ""
