"""The exhibit of a multiverse: what all specifications say together, choice by choice, and their curve.

All cells of the experiment are one multiverse: a grid too large for one process may be swept over several.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from syneff.errors import SpecError
from syneff.report.figures import Figure, specification_curve
from syneff.report.tables import Line, Table, number, source_notes
from syneff.report.tidy import Cell

LABELS = {"measure": "Measurement", "cluster": "Clusters"}  # of axes that are not called by their own name
NONE = "-"  # the choice on an axis that a specification does not have
JOINT = {"joint_median": "Median effect (SD)", "joint_share": "Share significant at 5 %", "joint_t": "Mean t"}
HEADER = ("Specifications", "Median", "5 %", "95 %", "Positive", "Significant", "Share of variance")
MANY = 12  # choices of an axis up to which each has a line
SHOWN = 400  # specifications on the curve
NOTES = (
    "Effects in standard deviations of the outcome. Median, 5 % and 95 %: quantiles over specifications, no interval of any of "
    "them. Significant: at 5 %, either sign. Share of variance: Shapley's, of the effects over the grid.",
    "Joint tests: treatment assigned anew in all specifications at once, the whole grid estimated on each assignment. Which "
    "choices are admissible was declared in the configuration.",
)


def multiverse(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out the specifications of a multiverse, a line a choice.

    Parameters
    ----------
    cells
        Cells of `syneff.pipeline.Multiverse`.
    title
        Caption.
    paper
        Without effect: the paper has no multiverse.
    """
    rows = specifications(cells)
    known = rows[np.isfinite(rows["statistic"])]
    shares = _shares(cells)
    groups = [(_line("all", "All specifications", known, ""),), _joint(cells)]
    for axis, label in axes(rows).items():
        choices = list(known[axis].unique())
        if len(choices) > 1:
            share = f"{100 * shares[axis]:.1f} %" if math.isfinite(shares.get(axis, math.nan)) else ""
            head = Line(axis, label, "estimate", (*[""] * (len(HEADER) - 1), share))
            own = [_line(f"{axis}={each}", f"  {each}", known[known[axis] == each], "") for each in choices]
            groups.append((head, *own))
    lost = len(rows) - len(known)
    failed = (f"{lost:,} of {len(rows):,} specifications could not be estimated.",) if lost else ()
    return Table(title, HEADER, tuple(groups), (*NOTES, *failed, *source_notes(cells)), rows)


def curve(cells: Sequence[Cell]) -> Figure | None:
    """Draw the specification curve; of a large multiverse, specifications evenly spaced by rank, and the default."""
    rows = specifications(cells)
    rows = rows[np.isfinite(rows["standardised"])].sort_values("standardised", kind="stable", ignore_index=True)
    if len(rows) < 2:
        return None
    kept = np.unique(np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).round().astype(int))
    shown = rows.iloc[np.union1d(kept, np.flatnonzero(rows["default"]))]
    ends = {name: shown[name] / shown["sd"] for name in ("conf_low", "conf_high")}
    return specification_curve(
        shown.assign(estimate=shown["standardised"], **ends),
        options={axis: label for axis, label in axes(rows).items() if rows[axis].nunique() > 1},
        effect="Effect (SD of outcome)",
        total=len(rows) if len(shown) < len(rows) else None,
        synthetic=any(cell.synthetic for cell in cells),
    )


def axes(rows: pd.DataFrame) -> dict[str, str]:
    """Return the label of each axis by its column: those before the estimate; ``creff.returns`` is "Creff: returns"."""
    names = [str(name) for name in rows.columns[: rows.columns.get_loc("estimate")]]
    return {name: LABELS.get(name, (name[:1].upper() + name[1:]).replace(".", ": ")) for name in names}


def specifications(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return the specifications of all cells, the default being that of the first; many subsets of controls by their number.

    Raises
    ------
    SpecError
        If a cell has none.
    """
    frames: list[pd.DataFrame] = []
    for cell in cells:
        if "specifications" not in cell.details:
            raise SpecError(f"cell {cell.name!r} has no specifications. Use estimator=multiverse for its experiment.")
        frame = cell.details["specifications"]
        frames.append(frame.assign(default=frame["default"] & (not frames), cell=cell.name))
    rows = pd.concat(frames, ignore_index=True)
    chosen = list(dict.fromkeys(name for frame in frames for name in axes(frame)))
    rows = rows[[*chosen, *(name for name in rows.columns if name not in chosen)]].fillna(dict.fromkeys(chosen, NONE))
    # Labels of the user's own are no lists of names.
    subsets = all(cell.manifest["config"]["estimator"].get("controls") is None for cell in cells)
    if subsets and rows["controls"].nunique() > MANY:
        counts = rows["controls"].map(lambda words: 0 if words == "none" else len(words.split()))
        rows = rows.assign(controls=counts.map(lambda count: f"{count} control" + ("" if count == 1 else "s")))
    return rows


def _line(term: str, label: str, rows: pd.DataFrame, share: str) -> Line:
    effects = rows["standardised"]
    numbers = [number(float(effects.quantile(at))) for at in (0.5, 0.05, 0.95)]
    shares = [f"{100 * value:.0f} %" for value in ((effects > 0).mean(), (rows["p_value"] < 0.05).mean())]
    return Line(term, label, "statistic", (f"{len(rows):,}", *numbers, *shares, share))


def _joint(cells: Sequence[Cell]) -> tuple[Line, ...]:
    """Return a line a joint test and cell."""
    lines = []
    for cell in cells:
        found = cell.tests.set_index("term")
        for name in [each for each in JOINT if each in found.index]:
            statistic, pvalue, error = (float(found[key][name]) for key in ("statistic", "p_value", "std_error"))
            words = f"p = {pvalue:.3f} (Monte-Carlo error {error:.3f})" if math.isfinite(pvalue) else ""
            label = JOINT[name] if len(cells) == 1 else f"{JOINT[name]}, {cell.name}"
            lines.append(Line(name, label, "statistic", ("", number(statistic), "", "", "", words, "")))
    return tuple(lines)


def _shares(cells: Sequence[Cell]) -> dict[str, float]:
    """Return the Shapley shares of the one cell; several are grids of their own."""
    if len(cells) != 1:
        return {}
    found = cells[0].estimates.set_index("term")["estimate"]
    return {term.removeprefix("shapley:"): float(found[term]) for term in found.index if term.startswith("shapley:")}
