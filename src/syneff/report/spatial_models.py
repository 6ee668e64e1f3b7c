"""The table of spatial models: coefficients, effects, methods side by side, and the tests that choose a model.

A cell of this exhibit comes from `syneff.spatial.diagnostics.SpatialDiagnostics`. Controls are in the cell and not in the
table, as in the paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from syneff.report.figures import Figure, spillover
from syneff.report.tables import Line, Table, number, regression, source_notes, specification, stars
from syneff.report.tidy import Cell

KINDS = {"direct": "Direct effect", "indirect": "Indirect effect", "total": "Total effect"}
METHODS = {"direct": "direct", "lee_yu": "Lee and Yu", "bias_corrected": "bias-corrected"}
TESTS = {
    "lm_error": "LM error",
    "robust_lm_error": "Robust LM error",
    "lm_lag": "LM lag",
    "robust_lm_lag": "Robust LM lag",
    "pooled:lm_error": "LM error (pooled)",
    "pooled:robust_lm_error": "Robust LM error (pooled)",
    "pooled:lm_lag": "LM lag (pooled)",
    "pooled:robust_lm_lag": "Robust LM lag (pooled)",
    "hausman": "Hausman",
    "mundlak": "Mundlak",
    "lr_both_unit": "LR both/unit",
    "lr_both_period": "LR both/period",
    "lr_sdm_sem": "LR SDM/SEM",
    "lr_sdm_sar": "LR SDM/SAR",
    "wald_sdm_sem_clustered": "Wald SDM/SEM (clustered)",
    "wald_sdm_sar_clustered": "Wald SDM/SAR (clustered)",
}
ERRORS = {
    "expected": "from the expected information",
    "observed": "from the observed information",
    "cluster": "clustered, from the scores of the likelihood",
}
NOTE = (
    "Statistics of tests: chi-squared, with stars. LM tests are of the regression net of effects; pooled ones, of the "
    "regression without effects, are what many programs print. LR tests compare direct likelihoods."
)


def spatial_models(cells: Sequence[Cell], *, title: str, paper: pd.DataFrame) -> Table:
    """Lay out spatial models, a column a cell.

    Parameters
    ----------
    cells
        The columns, in order.
    title
        Caption.
    paper
        Published values to hold it against: rows of `syneff.report.tidy.published`, possibly none.
    """
    base = regression(cells, title=title, paper=paper)
    treatments = dict.fromkeys(str(specification(_config(cell)).get("treatment", "treat")) for cell in cells)
    shown = _labels(cells[0], list(treatments))
    kept = [
        tuple(replace(line, label=shown[line.term] if line.kind == "estimate" else "") for line in group)
        for group in base.groups
        if group and group[0].term in shown
    ]
    rest = [group for group in base.groups if group and group[0].kind == "statistic"]
    names = ("Weights", *(_weights(cell) for cell in cells))
    head = (Line("weights", names[0], "statistic", names[1:]),)
    groups = (head, *kept, _methods(cells), *rest, _tests(cells, paper))
    marks = "z statistics in brackets. *** p < 1 %, ** p < 5 %, * p < 10 %."
    kinds = dict.fromkeys(ERRORS.get(str(_option(cell, "covariance")), "") for cell in cells)
    errors = f"Standard errors {' or '.join(kinds)}; of effects by the delta method or draws."
    notes = (marks, errors, NOTE, *source_notes(cells))
    return Table(title, base.header, tuple(group for group in groups if group), notes, base.numbers)


def effects_figure(cell: Cell) -> Figure | None:
    """Draw where the indirect effect comes from; None without the details."""
    if "effects_by_distance" not in cell.details:
        return None
    frame = cell.details["effects_by_distance"]
    remarks = [*(["synthetic panel"] if cell.synthetic else []), f"weights: {_weights(cell)}"]
    effect = f"Indirect effect of {cell.label(str(frame['term'].iloc[0])).lower()}"
    return spillover.cumulated_effect(frame, effect=effect, remarks=remarks)


def _labels(cell: Cell, treatments: Sequence[str]) -> dict[str, str]:
    labels = {"rho": "rho", "lambda": "lambda"}
    for name in treatments:
        labels |= {name: cell.label(name), f"W_{name}": f"W {cell.label(name)}"}
        labels |= {f"{kind}:{name}": word for kind, word in KINDS.items()}
    return labels


def _methods(cells: Sequence[Cell]) -> tuple[Line, ...]:
    """Return rho by every method that the cells have."""
    lines = []
    for method, word in METHODS.items():
        texts = []
        for cell in cells:
            frame = cell.details.get("methods", pd.DataFrame(columns=["method", "term", "estimate", "std_error"]))
            row = frame[(frame["method"] == method) & (frame["term"] == "rho")]
            texts.append(f"{number(row['estimate'].iloc[0])} [{row['std_error'].iloc[0]:.3f}]" if len(row) else "")
        if any(texts):
            lines.append(Line(f"rho:{method}", f"rho, {word} [standard error]", "statistic", tuple(texts)))
    return tuple(lines)


def _tests(cells: Sequence[Cell], paper: pd.DataFrame) -> tuple[Line, ...]:
    lines = []
    for name, label in TESTS.items():
        rows = [cell.tests[cell.tests["term"] == name] for cell in cells]
        texts = tuple(
            f"{row['statistic'].iloc[0]:.2f}{stars(row['p_value'].iloc[0])}" if row["statistic"].notna().any() else ""
            for row in rows
        )
        if any(texts):
            lines.append(Line(name, label, "statistic", texts))
            printed = [paper[(paper["cell"] == cell.name) & (paper["term"] == name)]["estimate"] for cell in cells]
            values = tuple(f"{value.iloc[0]:.2f}" if len(value) else "" for value in printed)
            lines += [Line(name, "", "paper", values)] if any(values) else []
    return tuple(lines)


def _config(cell: Cell) -> Mapping[str, Any]:
    found: Mapping[str, Any] = cell.manifest.get("config", {})
    return found


def _option(cell: Cell, name: str) -> Any:
    estimator = _config(cell).get("estimator", {})
    return (
        estimator.get("model", estimator).get(name, "")
        if isinstance(estimator.get("model"), Mapping)
        else estimator.get(name, "")
    )


def _weights(cell: Cell) -> str:
    """Return the name of a cell's weights, as its configuration has it."""
    weights = _option(cell, "weights")
    return str(weights.get("name", "W")) if isinstance(weights, Mapping) else "W"
