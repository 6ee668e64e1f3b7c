"""Three-line tables: descriptive statistics and regressions, as journals print them.

A `Table` is words in a grid, no more: every number is already rounded. Three decimals as in the paper, more where three would
print zero; stars mark 1 % (***), 5 % (**) and 10 % (*); the t statistic stands in brackets below its estimate. Lines of the
kinds `BESIDE` hold the true value of a synthetic panel and the published value; they are for the page, and `plain` takes them
out for the table that goes into a manuscript.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from syneff.errors import SpecError
from syneff.report.tidy import Cell, compare, event_time
from syneff.report.tidy import specification as specification

STARS = ((0.01, "***"), (0.05, "**"), (0.10, "*"))
OMITTED = "omitted"
BESIDE = ("truth", "paper", "paper_t")
CONSTANTS = {"constant[xtreg]": "Constant (xtreg)", "constant": "Constant (reghdfe)"}
STATISTICS = {
    "r2_xtreg_adjusted": "Adj. R² (xtreg)",
    "r2_xtreg": "Within R² (xtreg)",
    "r2_within": "Within R² (absorbed)",
    "r2_within_adjusted": "Adj. within R² (absorbed)",
    "r2_within_plm": "Adj. within R² (plm)",
    "r2": "R² (overall)",
    "r2_adjusted": "Adj. R² (overall)",
}
CONVENTIONS = (
    "R² and constants: xtreg counts period dummies as regressors, as the paper does; absorbed leaves all fixed effects out; "
    "overall counts them in; reghdfe's constant is the mean outcome less the fitted regressors."
)
OTHER_ERRORS = {
    **dict.fromkeys(("HC1", "HC2", "HC3"), "robust to heteroskedasticity"),
    "iid": "for independent, homoskedastic errors",
    "driscoll_kraay": "of Driscoll and Kraay",
    "conley": "of Conley",
}
ERROR_OPTIONS = {
    "small_sample": "{}",
    "multiway": "G: {}",
    "jackknife": "jackknife around the {}",
    "lags": "lags: {}",
    "cutoff_km": "cut-off: {} km",
    "kernel": "{} kernel",
}
CLUSTERS = {"unit": "city", "period": "year"}
ADJUSTED = {
    "holm": "Holm p",
    "unadjusted": "p of draws",
    "romano_wolf": "Romano-Wolf p",
    "westfall_young": "Westfall-Young p",
}
MOMENTS = {"n": "N", "mean": "Mean", "sd": "SD", "min": "Min", "max": "Max"}


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes
    ----------
    term
        What it is about, for programs: a term or the name of a statistic.
    label
        What it is about, for readers.
    kind
        "estimate", "t", "statistic"; or, beside an estimate, "truth", "paper" or "paper_t".
    cells
        One text a column.
    """

    term: str
    label: str
    kind: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A three-line table.

    Attributes
    ----------
    title
        Caption.
    header
        Heads of the columns, without that of the labels.
    groups
        Groups of lines, set apart by space.
    notes
        Sentences below the table.
    numbers
        The numbers behind it, at full precision: see `syneff.report.tidy.compare`.
    """

    title: str
    header: tuple[str, ...]
    groups: tuple[tuple[Line, ...], ...]
    notes: tuple[str, ...]
    numbers: pd.DataFrame

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines, from the top."""
        return tuple(line for group in self.groups for line in group)


def plain(table: Table) -> Table:
    """Return the table without the lines of truth and of the paper."""
    kept = (tuple(line for line in group if line.kind not in BESIDE) for group in table.groups)
    return replace(table, groups=tuple(group for group in kept if group))


def number(value: float) -> str:
    """Print with three decimals, with two significant digits where three decimals would print zero; NaN prints nothing."""
    if not math.isfinite(value):
        return "" if math.isnan(value) else str(value)
    if value == 0 or abs(value) >= 0.001:
        return f"{value:.3f}"
    return f"{value:.2g}"


def stars(p_value: float) -> str:
    """Return the stars of a p-value: *** below 1 %, ** below 5 %, * below 10 %."""
    return next((mark for level, mark in STARS if p_value < level), "")


def descriptive(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out means, standard deviations and ranges, a line a variable.

    Parameters
    ----------
    cells
        One cell with the terms ``mean:<name>``, ``sd:<name>``, ``min:<name>``, ``max:<name>`` and ``n:<name>``.
    title
        Caption.
    paper
        Published values to hold it against: rows of `syneff.report.tidy.published`, possibly none.
    """
    cell = cells[0]
    numbers = compare(cells[:1], paper)
    if not numbers["term"].str.contains(":").all():
        raise SpecError(f"cell {cell.name!r} has no moments to describe. Use estimator=describe for its experiment.")
    split = numbers["term"].str.split(":", n=1, expand=True).set_axis(["moment", "name"], axis=1)
    numbers = numbers.assign(**split, label=split["name"].map(cell.label))
    groups = []
    for name, rows in numbers.groupby("name", sort=False):
        variable = str(name)
        own = rows.set_index("moment")
        unit = cell.unit(variable)
        ours = (f"{own['estimate'].get('n', math.nan):,.0f}", *_moments(own["estimate"]))
        theirs = ("", *_moments(own["published"]))
        lines = [Line(variable, cell.label(variable), "estimate", ("" if unit == "-" else unit, *ours))]
        if any(theirs):
            lines.append(Line(variable, "", "paper", ("", *theirs)))
        groups.append(tuple(lines))
    return Table(title, ("Unit", *MOMENTS.values()), tuple(groups), source_notes(cells), numbers)


def _moments(values: pd.Series) -> tuple[str, ...]:
    return tuple(number(values.get(moment, math.nan)) for moment in list(MOMENTS)[1:])


def regression(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out estimates, a column a cell.

    Parameters
    ----------
    cells
        The columns, in order.
    title
        Caption.
    paper
        Published values to hold it against: rows of `syneff.report.tidy.published`, possibly none.
    """
    numbers = compare(cells, paper)
    terms = [term for term in dict.fromkeys(numbers["term"]) if term not in CONSTANTS]
    constants = [term for term in CONSTANTS if term in set(numbers["term"])]
    labels = {**dict(zip(numbers["term"], numbers["label"], strict=True)), **CONSTANTS}
    indexed = [numbers[numbers["cell"] == cell.name].set_index("term") for cell in cells]
    coefficients = [_coefficient(term, labels[term], indexed) for term in [*terms, *constants]]
    groups = (*coefficients, _design(cells), _fit(cells, paper))
    marks = "t statistics in brackets. *** p < 1 %, ** p < 5 %, * p < 10 %."
    notes = (marks, *error_notes(cells), CONVENTIONS, *source_notes(cells))
    return Table(title, heads(cells), tuple(group for group in groups if group), notes, numbers)


def family(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out families of regressions, a line a member, with the p-values adjusted for their number.

    Parameters
    ----------
    cells
        Cells with the tests ``holm:<term>`` of every term, and those of joint draws if they were drawn.
    title
        Caption.
    paper
        Published values to hold it against: rows of `syneff.report.tidy.published`, possibly none.
    """
    numbers = compare(cells, paper)
    for test in ADJUSTED:
        numbers[test] = math.nan
    groups = []
    for cell in cells:
        pvalues, own = cell.tests.set_index("term")["p_value"], cell.estimates.set_index("term")
        lines = []
        for term, row in own.iterrows():
            adjusted = {test: float(pvalues.get(f"{test}:{term}", math.nan)) for test in ADJUSTED}
            numbers.loc[(numbers["cell"] == cell.name) & (numbers["term"] == term), list(adjusted)] = list(
                adjusted.values()
            )
            fitted = (
                f"{row['nobs']:,.0f}",
                number(row["estimate"]),
                f"({row['statistic']:.3f})",
                number(row["p_value"]),
            )
            texts = (cell.label(str(row["outcome"])), *fitted, *map(number, adjusted.values()))
            lines.append(Line(str(term), str(term), "estimate", texts))
        groups.append(tuple(lines))
    if numbers["holm"].isna().all():
        raise SpecError(f"cell {cells[0].name!r} has no adjusted p-values. Use estimator=family for its experiment.")
    header = ("Outcome", "N", "Estimate", "t", "p", *ADJUSTED.values())
    return Table(title, header, tuple(groups), (*error_notes(cells), *source_notes(cells)), numbers)


def heads(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Head columns by their number, or by the name of the cell where cells of one number stand side by side."""
    numbered = tuple(f"({cell.column})" for cell in cells)
    return numbered if len(set(numbered)) == len(cells) else tuple(cell.name for cell in cells)


def _coefficient(term: str, label: str, columns: Sequence[pd.DataFrame]) -> tuple[Line, ...]:
    """Estimate, t, truth and published value of one term, a text a column."""
    texts = [_texts(column.loc[[term]].iloc[0]) if term in column.index else {} for column in columns]
    kinds = ["estimate", *(kind for kind in ("t", *BESIDE) if any(text.get(kind) for text in texts))]
    return tuple(
        Line(term, label if kind == "estimate" else "", kind, tuple(text.get(kind, "") for text in texts))
        for kind in kinds
    )


def _texts(row: pd.Series) -> dict[str, str]:
    known = math.isfinite(row["estimate"])
    printed = math.isfinite(row["published"])
    return {
        "estimate": number(row["estimate"]) + stars(row["p_value"]) if known else OMITTED,
        "t": f"({row['t']:.3f})" if math.isfinite(row["t"]) else "",
        "truth": number(row["truth"]),
        "paper": number(row["published"]) + "*" * int(row["published_stars"]) if printed else "",
        "paper_t": f"({row['published_t']:.3f})" if printed else "",
    }


def _design(cells: Sequence[Cell]) -> tuple[Line, ...]:
    specs = [specification(cell.manifest.get("config", {})) for cell in cells]
    effects = list(dict.fromkeys(effect for spec in specs for effect in spec.get("effects") or ()))
    words = {"unit": "City fixed effects", "period": "Year fixed effects"}
    return tuple(
        Line(
            f"effect:{effect}",
            words.get(effect, f"{effect} fixed effects"),
            "statistic",
            tuple("Yes" if effect in (spec.get("effects") or ()) else "No" for spec in specs),
        )
        for effect in effects
    )


def _fit(cells: Sequence[Cell], paper: pd.DataFrame) -> tuple[Line, ...]:
    printed = [paper[paper["cell"] == cell.name] for cell in cells]
    lines = [_count("nobs", "N", cells), *_paper_line("n", printed, "{:,.0f}")]
    lines += [_count("n_units", "Cities", cells), _count("n_periods", "Years", cells)]
    for name, label in STATISTICS.items():
        values = [cell.statistic(name) for cell in cells]
        if any(map(math.isfinite, values)):
            lines.append(Line(name, label, "statistic", tuple(number(value) for value in values)))
            lines += _paper_line("adj_r2", printed, "{:.3f}") if name == "r2_xtreg_adjusted" else []
    return tuple(lines)


def _count(name: str, label: str, cells: Sequence[Cell]) -> Line:
    values = [cell.frame[name].dropna() for cell in cells]
    return Line(name, label, "statistic", tuple(f"{value.iloc[0]:,.0f}" if len(value) else "" for value in values))


def _paper_line(name: str, printed: Sequence[pd.DataFrame], form: str) -> list[Line]:
    values = [rows[name].dropna() for rows in printed]
    texts = tuple(form.format(value.iloc[0]) if len(value) else "" for value in values)
    return [Line(name, "", "paper", texts)] if any(texts) else []


def error_notes(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Say which standard errors the cells have."""
    notes = []
    for cell in cells:
        spec = specification(cell.manifest.get("config", {}))
        if spec:
            covariance = spec.get("covariance") or ("CR1" if spec.get("cluster") else "iid")
            kind = OTHER_ERRORS.get(covariance, "")
            if covariance.startswith("CR"):
                names = [spec["cluster"]] if isinstance(spec["cluster"], str) else spec["cluster"]
                kind = f"clustered by {' and '.join(CLUSTERS.get(name, name) for name in names)}"
            options = [form.format(spec[key]) for key, form in ERROR_OPTIONS.items() if spec.get(key) is not None]
            notes.append(f"Standard errors {kind} ({', '.join([covariance, *options])}).")
    return tuple(dict.fromkeys(notes))


def source_notes(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Say where the data come from."""
    if any(cell.synthetic for cell in cells):
        return ("Synthetic panel: simulated data, no evidence about real cities.",)
    return tuple(dict.fromkeys(f"Source: {cell.manifest['source']}." for cell in cells if cell.manifest.get("source")))


def partial_columns(cells: Sequence[Cell]) -> list[str]:
    """Return the columns that leave out a control with a true effect: what they estimate is not the truth of the panel."""
    found = []
    for cell in cells:
        spec = specification(cell.manifest.get("config", {}))
        controls = {term for term in cell.truth if term != spec.get("treatment") and event_time(term) is None}
        if spec and not controls <= set(spec.get("controls") or ()):
            found.append(f"({cell.column})")
    return list(dict.fromkeys(found))
