"""The table of technologies: scores and effect, a line a technology.

A cell of this exhibit holds one estimate and, in the statistics of its fit, the summary of the scores behind its outcome that
`syneff.models.score_summary` makes. The technology itself is read from the steps of the cell's own configuration: those that
made its outcome.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from syneff.errors import SpecError
from syneff.report.tables import Line, Table, error_notes, number, source_notes, specification, stars
from syneff.report.tidy import Cell

OPTIONS = {"returns": "Returns", "reference": "Reference set", "orientation": "Orientation", "bads": "Bad outputs"}
HEADS = ("Effect (SE)", "p", "Effect / SD", "N", "Rank correlation", "Outcome")
EXTREMES = ("No score", "Above 1.5", "Tied with highest", "Top 1 %")
NOTES = (
    "Scores: mean (standard deviation). Above 1.5, tied with the highest, top 1 %: of each efficiency that the outcome is made "
    "of. Several scores tied with the highest stand at an upper bound. Top 1 %: the part of the range from the lowest to the "
    "highest score that the highest 1 % of the scores take; min-max standardising leaves the rest to all others.",
    "No score: city-years whose programme is infeasible, or whose data are incomplete; the estimate leaves them out.",
    "Rank correlation: Spearman's, of the outcome with that of the default technology. Effect / SD: in standard deviations of "
    "the outcome. *** p < 1 %, ** p < 5 %, * p < 10 %.",
)
TRUTH = "The effect that is known of the synthetic panel is that on the outcome of the default technology."


def technologies(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out scores and effect, a line a technology.

    Parameters
    ----------
    cells
        Cells of `syneff.models.score_summary.ScoreSummary`.
    title
        Caption.
    paper
        Without effect: the paper has one technology, which it does not state.
    """
    numbers = compare_technologies(cells)
    outcomes = list(dict.fromkeys(numbers["outcome"]))
    scores = [name[5:] for name in numbers.columns if name.startswith("mean:") and name[5:] not in outcomes]
    header = (*HEADS, *scores, *EXTREMES)
    groups = [
        tuple(Line(str(row["cell"]), _label(row), "statistic", _texts(row, scores)) for _, row in rows.iterrows())
        for _, rows in numbers.groupby("bads", sort=False)
    ]
    labels = {name: label for cell in cells for name in (*outcomes, *scores) if (label := cell.label(name)) != name}
    words = f"Outcome: {' or '.join(outcomes)}." + "".join(f" {name}: {label}." for name, label in labels.items())
    truth = (TRUTH,) if any(cell.synthetic for cell in cells) else ()
    return Table(
        title,
        header,
        tuple(groups),
        (words, *NOTES, *truth, *error_notes(cells), *source_notes(cells)),
        numbers,
    )


def compare_technologies(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return one row a cell: its technology, the summary of its scores, and its estimate.

    Returns
    -------
    pandas.DataFrame
        Columns cell, `OPTIONS`, default (whether it is the technology that the others are compared with), outcome, term,
        estimate, std_error, statistic, p_value, conf_low, conf_high, nobs; estimate and interval in standard deviations of the
        outcome: standardised, standardised_low, standardised_high; and the statistics of `ScoreSummary`, by name, NaN where a
        technology has no such score.

    Raises
    ------
    SpecError
        If a cell has no summary of scores.
    """
    return pd.DataFrame([_row(cell) for cell in sorted(cells, key=_order)])


def _order(cell: Cell) -> list[tuple[bool, str]]:
    """Sort technologies by bad outputs, then by the other options; what the default has comes first."""
    own, default = _technologies(cell)
    return [
        (own[option] != default[option], own[option]) for option in sorted(OPTIONS, key=lambda name: name != "bads")
    ]


def _technologies(cell: Cell) -> tuple[dict[str, str], dict[str, str]]:
    """Return the technology of a cell and the default one that it is compared with."""
    config = cell.manifest.get("config", {})
    steps, benchmark = config.get("steps", {}), config.get("estimator", {}).get("benchmark", "")
    return technology(steps, str(cell.frame["outcome"].iloc[0])), technology(steps, str(benchmark))


def _row(cell: Cell) -> dict[str, Any]:
    config = cell.manifest.get("config", {})
    outcome, term = str(cell.frame["outcome"].iloc[0]), str(specification(config).get("treatment"))
    summary = {name: cell.statistic(name) for name in cell.manifest.get("stats", {}) if ":" in name}
    if f"sd:{outcome}" not in summary:
        raise SpecError(f"cell {cell.name!r} has no summary of scores. Use estimator=score_summary for its experiment.")
    found = cell.estimates.set_index("term").loc[term].to_dict()
    spread = summary[f"sd:{outcome}"]
    own, default = _technologies(cell)
    shown = ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "nobs")
    return {
        "cell": cell.name,
        **own,
        "default": own == default,
        "outcome": outcome,
        "term": term,
        **{name: float(found[name]) for name in shown},
        "standardised": found["estimate"] / spread,
        "standardised_low": found["conf_low"] / spread,
        "standardised_high": found["conf_high"] / spread,
        "rank_correlation": cell.statistic("rank_correlation"),
        **summary,
    }


def technology(steps: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, str]:
    """Return the options of the programme that made a column, found in the steps of a cell's configuration.

    Parameters
    ----------
    steps
        Nodes by name of the step.
    name
        A column of scores, or an index that names its scores as ``first`` and ``second``.
    """
    made = {str(node.get("name", key)): node for key, node in steps.items() if node}
    node = made.get(name, {})
    node = made.get(str(node["first"]), {}) if "first" in node else node
    options = {option: str(node.get(option, "")) for option in OPTIONS}
    joint = not isinstance(node.get("bad"), str) and len(node.get("bad", ())) > 1
    return {**options, "bads": f"as {options['bads']}" + (", jointly" if joint else "")}


def _label(row: pd.Series) -> str:
    return ", ".join(str(row[option]) for option in OPTIONS) + (" (default)" if row["default"] else "")


def _texts(row: pd.Series, scores: Sequence[str]) -> tuple[str, ...]:
    outcome = str(row["outcome"])
    made_of = [name for name in (*scores, outcome) if math.isfinite(row.get(f"top:{name}", math.nan))]

    def each(key: str, form: str, scale: float = 1.0) -> str:
        return " / ".join(form.format(scale * row[f"{key}:{name}"]) for name in made_of)

    return (
        f"{number(row['estimate'])}{stars(row['p_value'])} ({number(row['std_error'])})",
        f"{row['p_value']:.3f}" if row["p_value"] >= 0.001 else "<0.001",
        number(row["standardised"]),
        f"{row['nobs']:,.0f}",
        number(row["rank_correlation"]),
        _moments(row, outcome),
        *(_moments(row, name) for name in scores),
        f"{row[f'missing:{outcome}']:,.0f}",
        each("high", "{:,.0f}"),
        each("tied", "{:,.0f}"),
        each("top", "{:.0f} %", 100.0),
    )


def _moments(row: pd.Series, name: str) -> str:
    known = math.isfinite(row[f"mean:{name}"])
    return f"{number(row[f'mean:{name}'])} ({number(row[f'sd:{name}'])})" if known else ""
