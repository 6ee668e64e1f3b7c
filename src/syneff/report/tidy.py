"""Stored results, shaped for reading: cells, and every estimate beside the truth and the published value.

A *cell* is one column of one table: the rows of ``tidy.parquet`` that belong to it, its manifest, and its draws where it has
any. `compare` joins three numbers that a reader wants to see together and must never confuse: what this run estimated, what is
true of the synthetic panel (known only because we made it), and what the paper printed (from data that are not public).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

PAPER = (
    "Yang Xiaojun and Xue Hongchang, The impact of innovation-driven policy on synergizing the reduction of pollution and "
    "carbon emissions: Empirical evidence from national innovative city pilot"
)
SYNTHETIC = "synthetic"
MEAN_EFFECTS = ("SunAbraham", "Imputation", "Stacked")
"""Estimators of the mean effect on the treated, not of the coefficient of a two-way regression."""
CONTROLS_AT_BASE = ("CallawaySantAnna",)
"""Estimators whose effect includes what the treatment does to the controls: no known truth is theirs."""
_SHOWN = ["cell", "experiment", "column", "term", "estimate", "std_error", "t", "p_value", "conf_low", "conf_high"]
_EVENT = re.compile(r"event\[(-?\d+)\]")


@dataclass(frozen=True)
class Cell:
    """One estimated column.

    Attributes
    ----------
    name, experiment, column
        Name of the cell, of its experiment (an exhibit), and of the column within it.
    frame
        Its rows of the tidy frame, one a term or test.
    manifest
        How it was made: config, versions, notes, statistics, labels, truth, source.
    draws
        One row a draw and term, for a resampling scheme.
    details
        Further frames by name, e.g. the balance of a matched sample.
    """

    name: str
    experiment: str
    column: str
    frame: pd.DataFrame
    manifest: Mapping[str, Any]
    draws: pd.DataFrame | None = None
    details: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Whether the panel was simulated."""
        return str(self.manifest.get("source", "")) == SYNTHETIC

    @property
    def truth(self) -> dict[str, float]:
        """True coefficients by term, of its first outcome; empty where nobody knows them."""
        return self.truth_of(str(self.frame["outcome"].iloc[0]))

    def truth_of(self, outcome: str) -> dict[str, float]:
        """Return the true coefficients by term of an outcome: those of the treatment and the controls that the cell has."""
        if self._truth.get("outcome", "") not in ("", outcome):
            return _known(self._truth.get("outcomes", {}).get(outcome, {}))
        known = dict(self._truth.get("coefficients", {}))
        estimator = str((self.manifest.get("config", {}).get("estimator") or {}).get("_target_", "")).rpartition(".")[2]
        if estimator in CONTROLS_AT_BASE:
            return {}
        spec, given = specification(self.manifest.get("config", {})), self._truth.get("given", {})
        if estimator in MEAN_EFFECTS:
            known[str(spec.get("treatment"))] = self.parts.get("total", math.nan)
        mediators = [name for name in spec.get("controls") or () if name in given]
        if len(mediators) == 1:
            known |= given[mediators[0]]
        elif mediators or spec.get("instruments"):
            known.pop(str(spec.get("treatment")), None)
        return _known(known)

    @property
    def parts(self) -> dict[str, float]:
        """What else is true of the panel, by name: the parts of the effect, and what other estimators converge to."""
        return _known(self._truth.get("parts", {}))

    @property
    def truth_note(self) -> str:
        """Where the true coefficients come from."""
        return str(self._truth.get("note", ""))

    @property
    def _truth(self) -> Mapping[str, Any]:
        return self.manifest.get("truth") or {}

    def statistic(self, name: str) -> float:
        """Return a scalar of the fit; NaN where there is none."""
        value = self.manifest.get("stats", {}).get(name)
        return float(value) if isinstance(value, int | float) else math.nan

    def by_term(self, name: str) -> dict[str, float]:
        """Return a statistic that the fit has for each term, stored as a list in the order of the terms."""
        values = self.manifest.get("stats", {}).get(name)
        return {} if values is None else _known(dict(zip(self.estimates["term"], values, strict=True)))

    @property
    def estimates(self) -> pd.DataFrame:
        """The rows of terms; a term that is collinear with others has no estimate and no statistic."""
        return self.frame[~is_test(self.frame)]

    @property
    def tests(self) -> pd.DataFrame:
        """The rows of tests."""
        return self.frame[is_test(self.frame)]

    def label(self, term: str) -> str:
        """Return the label of a term: that of its variable, or its own name."""
        event = event_time(term)
        if event is not None:
            return f"Event time {event}"
        variable = self.manifest.get("variables", {}).get(term, {})
        return str(variable.get("label") or term)

    def unit(self, term: str) -> str:
        """Return the physical unit of a variable."""
        return str(self.manifest.get("variables", {}).get(term, {}).get("unit") or "")


def _known(values: Mapping[str, Any]) -> dict[str, float]:
    """Leave out what is not a finite number: the store writes NaN as null."""
    return {str(name): float(value) for name, value in values.items() if value is not None and math.isfinite(value)}


def specification(config: Any) -> Mapping[str, Any]:
    """Find the regression specification in a cell's config: the first mapping that names absorbed effects."""
    if not isinstance(config, Mapping):
        return {}
    if "effects" in config:
        return config
    return next((found for value in config.values() if (found := specification(value))), {})


def is_test(frame: pd.DataFrame) -> pd.Series:
    """Tell tests from terms: a test has a statistic or a p-value, and nothing estimated."""
    return frame["estimate"].isna() & (frame["statistic"].notna() | frame["p_value"].notna())


def event_time(term: str) -> int | None:
    """Return k of ``event[k]``, or None for any other term."""
    found = _EVENT.fullmatch(term)
    return int(found[1]) if found else None


def collect(
    tidy: pd.DataFrame,
    manifests: Mapping[str, Mapping[str, Any]],
    draws: Mapping[str, pd.DataFrame],
    details: Mapping[str, Mapping[str, pd.DataFrame]] | None = None,
) -> dict[str, tuple[Cell, ...]]:
    """Group stored results by experiment, columns in their natural order.

    Parameters
    ----------
    tidy
        All tidy rows; the cell of a row is in its column ``cell``.
    manifests
        Manifest by name of the cell. A cell without rows is left out.
    draws
        Draws by name of the cell.
    details
        Further frames by name of the cell and their own.
    """
    groups: dict[str, list[Cell]] = {}
    for name, manifest in manifests.items():
        own = tidy["cell"] == name
        if own.any():
            experiment, column = str(manifest["experiment"]), str(manifest["column"])
            rows, more = tidy[own].reset_index(drop=True), (details or {}).get(name, {})
            cell = Cell(name, experiment, column, rows, manifest, draws.get(name), more)
            groups.setdefault(experiment, []).append(cell)
    order = {name: sorted(cells, key=lambda cell: (_natural(cell.column), cell.name)) for name, cells in groups.items()}
    return {name: tuple(cells) for name, cells in order.items()}


def _natural(text: str) -> list[tuple[bool, int, str]]:
    pieces = re.findall(r"\d+|\D+", text)
    return [(not piece.isdigit(), int(piece) if piece.isdigit() else 0, piece) for piece in pieces]


@cache
def _paper() -> pd.DataFrame:
    path = Path(__file__).parent / "published.csv"
    return pd.read_csv(path, comment="#", dtype={"column": str})


def published(table: str | None, cells: Sequence[Cell], column: str | None = None) -> pd.DataFrame:
    """Return what the paper printed, for each cell.

    Parameters
    ----------
    table
        "table02" or "table03"; None, or a table that is not in the file, gives no rows.
    cells
        The cells to hold against it.
    column
        The one published column to hold every cell against; by default the one that the cell's own column names.

    Returns
    -------
    pandas.DataFrame
        Columns cell, table, column, outcome, term, estimate, t, stars, n, adj_r2.
    """
    paper = _paper()[_paper()["table"] == (table or "")]
    found = [paper[paper["column"] == (column or cell.column)].assign(cell=cell.name) for cell in cells]
    return pd.concat(found, ignore_index=True)


def compare(cells: Sequence[Cell], paper: pd.DataFrame) -> pd.DataFrame:
    """Put truth and published value beside every estimate.

    Parameters
    ----------
    cells
        Cells of one exhibit.
    paper
        Rows of `published`.

    Returns
    -------
    pandas.DataFrame
        One row a cell and term: cell, experiment, column, term, label, estimate, std_error, t, p_value, conf_low, conf_high,
        truth, truth_in_interval, published, published_t, published_stars. NaN where there is no such number.
    """
    frames = []
    for cell in cells:
        rows = cell.estimates.rename(columns={"statistic": "t"})
        rows = rows.assign(cell=cell.name)[_SHOWN]
        known = {outcome: cell.truth_of(str(outcome)) for outcome in cell.estimates["outcome"].unique()}
        places = zip(cell.estimates["outcome"], rows["term"], strict=True)
        truth = pd.Series([known[outcome].get(term, math.nan) for outcome, term in places], rows.index, dtype=float)
        covered = truth.between(rows["conf_low"], rows["conf_high"]).where(truth.notna() & rows["conf_low"].notna())
        printed = paper[paper["cell"] == cell.name].set_index("term")
        frames.append(
            rows.assign(
                label=rows["term"].map(cell.label),
                truth=truth,
                truth_in_interval=covered,
                published=rows["term"].map(printed["estimate"]),
                published_t=rows["term"].map(printed["t"]),
                published_stars=rows["term"].map(printed["stars"]),
            )
        )
    return pd.concat(frames, ignore_index=True)
