"""Table and figure of sensitivity to trends that are not parallel."""

import math
from collections.abc import Sequence

import pandas as pd

from syneff.errors import SpecError
from syneff.report.figures import Figure
from syneff.report.figures import sensitivity as drawing
from syneff.report.tables import Line, Table, heads, number, source_notes
from syneff.report.tidy import Cell, compare

TARGETS = {"first": "First period", "average": "Average of all periods"}
KINDS = {"relative_magnitudes": "Relative magnitudes", "smoothness": "Smoothness"}
NOTE = (
    "Robust intervals of Rambachan and Roth: relative magnitudes bounds the steps of the difference in trends after adoption "
    "by so many times the largest one before (conditional test with a least favourable first stage), smoothness the change of "
    "its slope a period (shortest interval of fixed length). Breakdown: the bound from which on the effect is not significant."
)
PRE_TESTS = {
    "pre_trend": "Joint pre-trend test, p",
    "equivalence_max": "Pre-trends are within (equivalence)",
    "equivalence_mean": "Their mean is within (equivalence)",
}


def bounds(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out the intervals under parallel trends and along the bounds, a column a cell.

    Parameters
    ----------
    cells
        Cells of `syneff.models.staggered.sensitivity.Sensitivity`.
    title
        Caption.
    paper
        Without effect: the paper has no such table.
    """
    for cell in cells:
        if "sensitivity" not in cell.details:
            raise SpecError(f"{title}: cell {cell.name!r} has no robust intervals. Use estimator=sensitivity for it.")
    frames = [cell.details["sensitivity"] for cell in cells]
    groups = []
    for target in dict.fromkeys(name for frame in frames for name in frame["target"]):
        own = [frame[frame["target"] == target] for frame in frames]
        label = TARGETS.get(target, target)
        lines = [Line(f"original:{target}", f"{label}: parallel trends", "statistic", _intervals(own, "original"))]
        for kind, word in KINDS.items():
            for bound in sorted({value for frame in own for value in frame[frame["kind"] == kind]["bound"]}):
                texts = _intervals(own, kind, bound)
                lines.append(Line(f"{kind}:{target}", f"{word}, {bound:.4g}", "statistic", texts))
            name = f"breakdown:{kind}:{target}"
            lines.append(Line(name, f"{word}, breakdown", "statistic", tuple(_statistic(cell, name) for cell in cells)))
        groups.append(tuple(lines))
    groups.append(_pre_tests(cells))
    return Table(title, heads(cells), tuple(groups), (NOTE, *source_notes(cells)), compare(cells, paper))


def sensitivity(cell: Cell) -> Figure | None:
    """Draw the robust intervals along the bounds; None of a cell without them."""
    if not {"sensitivity", "breakdown"} <= set(cell.details):
        return None
    frame = cell.details["sensitivity"]
    alpha = cell.manifest.get("config", {}).get("estimator", {}).get("alpha", 0.05)
    return drawing.sensitivity(
        frame,
        cell.details["breakdown"],
        targets={name: TARGETS.get(name, name) for name in dict.fromkeys(frame["target"])},
        outcome=cell.label(str(cell.frame["outcome"].iloc[0])),
        level=1.0 - float(alpha),
        synthetic=cell.synthetic,
    )


def _intervals(frames: Sequence[pd.DataFrame], kind: str, bound: float | None = None) -> tuple[str, ...]:
    """Return the interval of each frame as text; empty where it has none."""
    texts = []
    for frame in frames:
        rows = frame[(frame["kind"] == kind) & ((frame["bound"] == bound) | (bound is None))]
        ends = [(float(row["conf_low"]), float(row["conf_high"])) for _, row in rows.iterrows()]
        texts.append(f"[{number(ends[0][0])}, {number(ends[0][1])}]" if ends and math.isfinite(ends[0][0]) else "")
    return tuple(texts)


def _statistic(cell: Cell, name: str) -> str:
    found = cell.tests.set_index("term")["statistic"]
    return number(float(found[name])) if name in found else ""


def _pre_tests(cells: Sequence[Cell]) -> tuple[Line, ...]:
    """Return lines of the pre-tests: a p-value, the smallest thresholds, and slopes that a pre-test detects."""
    found = [cell.tests.set_index("term") for cell in cells]
    slopes = dict.fromkeys(name for frame in found for name in frame.index if name.startswith("slope_detected["))
    words = {**PRE_TESTS, **{name: f"Slope detected with power {name[15:-1]}" for name in slopes}}
    columns = {"pre_trend": "p_value", **dict.fromkeys(slopes, "statistic")}
    lines = []
    for name, label in words.items():
        column = columns.get(name, "conf_high")
        texts = tuple(number(float(frame.loc[name, column])) if name in frame.index else "" for frame in found)
        lines.append(Line(name, label, "statistic", texts))
    return tuple(lines)
