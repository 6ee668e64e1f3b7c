"""The table of truth and estimates: what is known of a synthetic panel beside what the cells of a run found.

A cell is held against the truth only where the truth is its own: all rows of the panel, all controls, and the technology under
which the panel's outcome is what was drawn. Differences are told in standard errors, and how many intervals cover. Below stand
the parts of the effect, which no single regression of the table estimates.
"""

import math
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from syneff.report.tables import Line, Table, number, partial_columns, source_notes
from syneff.report.technologies import technology
from syneff.report.tidy import Cell, compare, published, specification

HEADER = ("Cell", "Outcome", "Estimate (SE)", "Truth", "Difference / SE", "95 % interval")
OWN = {"returns": "crs", "reference": "global", "orientation": "none", "bads": "as outputs"}
"""The technology under which the outcome of a synthetic panel is what was drawn."""
PARTS = {
    r"total": "Mean effect on treated city-years",
    r"direct": "Direct effect",
    r"indirect:(.+)": "Indirect effect through {0}",
    r"total\[(.+)=1\]": "Mean effect where {0}",
    r"total\[(.+)=0\]": "Mean effect where not {0}",
    r"spillover": "Mean spillover on city-years with a pilot nearby",
    r"path\[(\d+)\]": "Mean effect {0} years after adoption",
    r"treat\[(.+)=1\]": "treat, regression where {0}",
    r"treat\[(.+)=0\]": "treat, regression where not {0}",
    r"treat\[spatial\]": "treat, beside spatial lags of treatment and controls",
    r"W_treat\[spatial\]": "W treat, beside spatial lags of treatment and controls",
    r"treat\[instruments\]": "treat, 2SLS with port and rail1933 times lagged R&D",
}


def truth_and_estimates(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out the estimates whose truth is known, a line a term, controls once, and then the parts of the effect.

    Parameters
    ----------
    cells
        All cells of a run; without a known truth the table has no lines.
    title
        Caption.
    paper
        Without effect: the paper's truth is not known.
    """
    known = [cell for cell in cells if cell.truth or cell.parts]
    compared = [cell for cell in known if comparable(cell)]
    rows = [
        compare([cell], published(None, [cell])).assign(
            outcome=list(cell.estimates["outcome"]), control=_controls(cell)
        )
        for cell in compared
    ]
    numbers = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    if rows:
        numbers = numbers[numbers["truth"].notna()].drop(columns=["published", "published_t", "published_stars"])
        numbers = _once(numbers).drop(columns="control")
        numbers["difference"] = numbers["estimate"] - numbers["truth"]
        numbers["standardised"] = numbers["difference"] / numbers["std_error"]
    groups = [
        tuple(_line(row) for _, row in own.iterrows())
        for _, own in (numbers.groupby("cell", sort=False) if len(numbers) else [])
    ]
    parts = _common_parts(known)
    groups.append(tuple(Line(name, part_label(name), "statistic", _known(value)) for name, value in parts.items()))
    return Table(title, HEADER, tuple(filter(None, groups)), _notes(known, compared, numbers), numbers)


def _controls(cell: Cell) -> list[bool]:
    controls = specification(cell.manifest.get("config", {})).get("controls") or ()
    return [term in controls for term in cell.estimates["term"]]


def _once(numbers: pd.DataFrame) -> pd.DataFrame:
    """Leave out estimates that are told already: those of the model that a resampling scheme repeats, and later controls."""
    rounded = numbers.assign(**{name: numbers[name].round(10) for name in ("estimate", "std_error")})
    again = rounded.duplicated(["outcome", "term", "estimate", "std_error"])
    later = numbers["control"] & numbers.duplicated(["outcome", "term"])
    return numbers[~again & ~later]


def comparable(cell: Cell) -> bool:
    """Say whether the truth is that of the cell: its sample, its controls, one effect for all, and its technology."""
    treatment = specification(cell.manifest.get("config", {})).get("treatment")
    if cell.estimates["term"].str.startswith(f"{treatment}:").any():
        return False
    whole = not cell.manifest.get("sample", {}).get("rows_of_weight_zero", 0)
    steps = cell.manifest.get("config", {}).get("steps") or {}
    own = technology(steps, str(cell.frame["outcome"].iloc[0]))
    measured = any(own[option] for option in ("returns", "reference"))
    return whole and not partial_columns([cell]) and (not measured or own == OWN)


def part_label(name: str) -> str:
    """Return the words for a part of the truth."""
    for pattern, words in PARTS.items():
        if found := re.fullmatch(pattern, name):
            return words.format(*found.groups())
    return name


def _line(row: pd.Series) -> Line:
    spread = math.isfinite(row["std_error"])
    inside = "" if pd.isna(row["truth_in_interval"]) else "covers" if row["truth_in_interval"] else "misses"
    texts = (
        str(row["cell"]),
        str(row["outcome"]),
        f"{number(row['estimate'])} ({number(row['std_error'])})" if spread else number(row["estimate"]),
        number(row["truth"]),
        f"{row['standardised']:.2f}" if spread else "",
        inside,
    )
    return Line(str(row["term"]), str(row["label"]), "estimate", texts)


def _known(value: float) -> tuple[str, ...]:
    return ("", "", "", number(value), "", "")


def _common_parts(cells: Sequence[Cell]) -> Mapping[str, float]:
    """Return the parts if all cells have the same; cells of several synthetic panels have no common truth."""
    parts = [cell.parts for cell in cells]
    return parts[0] if parts and all(each == parts[0] for each in parts) else {}


def _notes(known: Sequence[Cell], compared: Sequence[Cell], numbers: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    covered = numbers["truth_in_interval"].dropna().astype(bool) if len(numbers) else pd.Series(dtype=bool)
    if len(covered):
        notes.append(f"{covered.sum()} of {len(covered)} intervals cover the truth.")
    if left := [cell.name for cell in known if cell not in compared]:
        notes.append(
            f"Not held against the truth, which is that of another sample, specification or technology: {', '.join(left)}."
        )
    if len({tuple(cell.parts.items()) for cell in known}) > 1:
        notes.append("The cells come from several synthetic panels, whose effects have other parts each.")
    return (*notes, *dict.fromkeys(cell.truth_note for cell in known if cell.truth_note), *source_notes(known))
