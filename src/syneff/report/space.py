"""Tables of space, and what draws its pictures: dependence by period, connectivity, rings."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from syneff.errors import SpecError
from syneff.report.figures import Figure
from syneff.report.figures import spatial as drawing
from syneff.report.tables import Line, Table, number, regression, source_notes, stars
from syneff.report.tidy import Cell, compare

DRAWN = 3
"""Periods of a scatter or map: the first, the last and those between, evenly spaced."""
COUNTS = {
    "units": "Cities",
    "links": "Links",
    "neighbours_mean": "Neighbours, mean",
    "neighbours_min": "Fewest",
    "neighbours_max": "Most",
    "islands": "Islands",
    "components": "Components",
    "largest_component": "Largest",
    "rho_min": "rho from",
    "rho_max": "rho to",
}
FRACTIONS = ("neighbours_mean", "rho_min", "rho_max")
HEADS = (
    *("Moran's I", "E(I)", "SD(I)", "z(I)", "p(I)", "p(I), permutation"),
    *("Geary's C", "z(C)", "p(C)", "p(C), permutation", "Cities"),
)
DEPENDENCE_NOTE = (
    "I: Moran's; C: Geary's, below its mean of 1 where dependence is positive. SD, z and p under randomisation; stars by the "
    "permutation p-value where there is one: *** p < 1 %, ** p < 5 %, * p < 10 %."
)


def dependence(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out Moran's I and Geary's C by period, a group of lines a cell.

    Parameters
    ----------
    cells
        Cells of `syneff.spatial.moran.SpatialDependence`.
    title
        Caption.
    paper
        Without effect: the published values stand in the table of the paper's own weights.
    """
    groups, frames = [], []
    for cell in cells:
        if "dependence" not in cell.details:
            raise SpecError(f"cell {cell.name!r} has no spatial dependence. Use estimator=moran for its experiment.")
        frame = cell.details["dependence"].assign(cell=cell.name, weights=_weights(cell))
        frames.append(frame)
        head = f"{_weights(cell)}: " if len(cells) > 1 else ""
        groups.append(
            tuple(
                Line(f"moran[{row['period']:g}]", f"{head}{row['period']:g}", "estimate", _row(row))
                for _, row in frame.iterrows()
            )
        )
    used = dict.fromkeys(_weights(cell) for cell in cells)
    notes = (f"Weights: {', '.join(used)}.", DEPENDENCE_NOTE, *source_notes(cells))
    return Table(title, HEADS, tuple(groups), notes, pd.concat(frames, ignore_index=True))


def _row(row: pd.Series) -> tuple[str, ...]:
    texts = []
    for name in ("moran", "geary"):
        permuted = float(row.get(f"{name}_p_permutation", math.nan))
        marks = stars(permuted if math.isfinite(permuted) else row[f"{name}_p"])
        own = [number(row[name]) + marks, number(row[f"{name}_mean"]), number(row[f"{name}_sd"])]
        texts += own if name == "moran" else own[:1]
        texts += [number(row[f"{name}_z"]), number(row[f"{name}_p"]), number(permuted)]
    return (*texts, f"{row['units']:.0f}")


def connectivity(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out what weights connect, a line a cell; see `dependence` for the parameters."""
    numbers = compare(cells, paper)
    lines = []
    for cell in cells:
        found = numbers[numbers["cell"] == cell.name].set_index("term")["estimate"]
        if "links" not in found:
            raise SpecError(f"cell {cell.name!r} has no connectivity. Use estimator=connectivity for its experiment.")
        texts = tuple(number(found[term]) if term in FRACTIONS else f"{found[term]:,.0f}" for term in COUNTS)
        lines.append(Line(cell.name, _weights(cell), "statistic", texts))
    note = "rho: the interval in which I - rho W can be inverted, by the eigenvalues of W."
    return Table(title, tuple(COUNTS.values()), (tuple(lines),), (note, *source_notes(cells)), numbers)


def rings(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out estimates with the rings' own labels; see `dependence` for the parameters."""
    table = regression(cells, title=title, paper=paper)
    note = (
        "Rings: kilometres to the nearest treated city; the comparison is with untreated cities beyond the last ring."
    )
    return Table(table.title, table.header, table.groups, (note, *table.notes), table.numbers)


def dependence_figures(cell: Cell) -> Sequence[Figure]:
    """Draw the statistic by period, the Moran scatter and the map of clusters; nothing without the details."""
    if "dependence" not in cell.details:
        return ()
    remarks = _remarks(cell)
    drawn = [drawing.dependence(cell.details["dependence"], statistic=_statistic(cell), remarks=remarks)]
    local = cell.details.get("local")
    if local is not None and len(local):
        periods = np.sort(local.loc[np.isfinite(local["lag"]), "period"].unique())
        chosen = periods[np.unique(np.linspace(0, len(periods) - 1, DRAWN).round().astype(int))]
        shown = local[local["period"].isin(chosen)]
        label = cell.label(str(cell.frame["outcome"].iloc[0]))
        drawn.append(drawing.moran_scatter(shown, label=label, remarks=remarks))
        mapped = drawing.cluster_map(shown, remarks=remarks)
        drawn += [mapped] if mapped is not None else []
    return drawn


def links_figure(cell: Cell) -> Figure | None:
    """Draw links on a map; None without the details or coordinates."""
    if "links" not in cell.details:
        return None
    return drawing.links_map(cell.details["links"], cell.details["neighbours"], remarks=_remarks(cell))


def rings_figure(cell: Cell) -> Figure | None:
    """Draw effects by distance; None without the details."""
    if "rings" not in cell.details:
        return None
    outcome = cell.label(str(cell.frame["outcome"].iloc[0]))
    remarks = [*(["synthetic panel"] if cell.synthetic else []), f"outcome: {outcome}"]
    return drawing.by_distance(cell.details["rings"], effect="Effect", remarks=remarks)


def _remarks(cell: Cell) -> list[str]:
    return [*(["synthetic panel"] if cell.synthetic else []), f"weights: {_weights(cell)}"]


def _weights(cell: Cell) -> str:
    """Return the name of a cell's weights, as its configuration has it."""
    estimator = cell.manifest.get("config", {}).get("estimator", {})
    return str(estimator.get("weights", {}).get("name", "W"))


def _statistic(cell: Cell) -> str:
    return str(cell.frame["term"].iloc[0]).partition("[")[0]
