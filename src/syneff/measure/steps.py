"""Panel steps of the neighbours of slacks-based efficiency: directional distances, productivity change, epsilon-based measure.

Each measures the rows of positive weight that have all values and adds its columns, NaN elsewhere, with a note that counts
the rows and says how the programs ended. The measures themselves are functions of a `Technology`.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from syneff.errors import SpecError, one_of
from syneff.measure.directional import directional_distance, nonradial_distance
from syneff.measure.epsilon_based import epsilon_based
from syneff.measure.productivity import Measure, luenberger, malmquist_luenberger
from syneff.measure.rows import panel_technology
from syneff.panel.panel import Panel, Variable

INDICES = {
    "malmquist_luenberger": ("Global Malmquist-Luenberger index", "全局Malmquist-Luenberger指数"),
    "luenberger": ("Global Luenberger indicator", "全局Luenberger生产率指标"),
}
_PARTS = {"ec": ("Efficiency change", "技术效率变化"), "bpc": ("Best-practice change", "最佳实践变化")}

Names = str | Sequence[str]
Weights = Mapping[str, Sequence[float]]


def directional(
    panel: Panel,
    *,
    name: str,
    inputs: Names,
    good: Names,
    bad: Names = (),
    returns: str = "crs",
    reference: str = "global",
    nonradial: bool = False,
    direction: Sequence[str] | None = None,
    weights: Weights | None = None,
    disposability: str = "weak",
    solver: str = "interior_point",
    label: str = "Directional distance",
    label_zh: str = "方向性距离函数值",
) -> Panel:
    """Add a column of directional distances: 0 on the frontier, larger farther from it.

    Parameters
    ----------
    panel
        The panel.
    name
        Name of the new column. A non-radial distance also brings ``<name>_beta_<column>``, the factor of each variable.
    inputs, good, bad
        Names of columns; a single name may stand for itself.
    returns, reference
        See `Technology`.
    nonradial, direction, weights, disposability, solver
        See `directional_distance` and, if `nonradial`, `nonradial_distance`, which has weights instead of a direction.
    label, label_zh
        What the column means.

    Returns
    -------
    Panel
        With the columns and a note.

    Raises
    ------
    DataError
        If a column is missing, no row is complete, or a value is not positive; the message names city, year and column.
    SpecError
        If an option is not allowed, or belongs to the other distance.
    """
    distance = _distance(nonradial, direction, weights, disposability, solver=solver)
    variables = {"inputs": inputs, "good": good, "bad": bad}
    technology, rows = panel_technology(panel, variables, returns=returns, reference=reference)
    result = distance(technology)
    columns, meanings = {name: rows.cube(result.distance)}, {name: Variable(label, label_zh, "-")}
    if nonradial:
        betas = np.concatenate([result.beta_inputs, result.beta_good, result.beta_bad], axis=1)
        for column, beta in zip(technology.variables or (), betas.T, strict=True):
            columns[f"{name}_beta_{column}"] = rows.cube(beta)
            words = (f"{label}: {panel.label(column)}", f"{label_zh}:{panel.label(column, 'zh')}")
            meanings[f"{name}_beta_{column}"] = Variable(*words, "-")
    return panel.assign(columns, meanings, f"{name}: {rows.note}; {result.summary(rows.names)}")


def productivity(
    panel: Panel,
    *,
    name: str,
    inputs: Names,
    good: Names,
    bad: Names = (),
    index: str = "malmquist_luenberger",
    returns: str = "crs",
    nonradial: bool = False,
    direction: Sequence[str] | None = None,
    weights: Weights | None = None,
    disposability: str = "weak",
    solver: str = "interior_point",
    label: str = "",
    label_zh: str = "",
) -> Panel:
    """Add a productivity index and its parts, from each period to the next.

    Parameters
    ----------
    panel
        The panel.
    name
        Name of the index; its parts become ``<name>_ec`` and ``<name>_bpc``.
    inputs, good, bad
        Names of columns; a single name may stand for itself.
    index
        "malmquist_luenberger" (radial distances alone) or "luenberger".
    returns, nonradial, direction, weights, disposability, solver
        See `directional`; both indices take the global and the contemporaneous frontier.
    label, label_zh
        What the index means; its name if empty.

    Returns
    -------
    Panel
        With three columns, NaN where a row was not measured or its unit not in the period before, and a note.

    Raises
    ------
    DataError
        If a column is missing, no row is complete, or a value is not positive; the message names city, year and column.
    SpecError
        If an option is not allowed.
    """
    one_of("index", index, INDICES)
    if nonradial and index == "malmquist_luenberger":
        raise SpecError(
            "index='malmquist_luenberger' is made of radial distances. Use index='luenberger', or nonradial=false."
        )
    distance = _distance(nonradial, direction, weights, disposability, solver=solver)
    technology, rows = panel_technology(panel, {"inputs": inputs, "good": good, "bad": bad}, returns=returns)
    measure = luenberger if index == "luenberger" else malmquist_luenberger
    result = measure(technology, np.nonzero(rows.where)[0], distance)
    words = (label or INDICES[index][0], label_zh or INDICES[index][1])
    return panel.assign(
        {
            name: rows.cube(result.change),
            f"{name}_ec": rows.cube(result.efficiency_change),
            f"{name}_bpc": rows.cube(result.best_practice_change),
        },
        {name: Variable(*words, "-")}
        | {
            f"{name}_{part}": Variable(f"{words[0]}: {english.lower()}", f"{words[1]}:{chinese}", "-")
            for part, (english, chinese) in _PARTS.items()
        },
        f"{name}: {rows.note}; {result.summary(rows.names)}",
    )


def epsilon_measure(
    panel: Panel,
    *,
    name: str,
    inputs: Names,
    good: Names,
    bad: Names = (),
    returns: str = "crs",
    reference: str = "global",
    orientation: str = "none",
    bads: str = "outputs",
    solver: str = "interior_point",
    epsilon: Sequence[float] | None = None,
    weights: Weights | None = None,
    label: str = "Epsilon-based efficiency",
    label_zh: str = "EBM效率",
) -> Panel:
    """Add a column of epsilon-based efficiency.

    Parameters
    ----------
    panel
        The panel.
    name
        Name of the new column.
    inputs, good, bad
        Names of columns; a single name may stand for itself.
    returns, reference, orientation, bads, solver, epsilon, weights
        See `Technology` and `epsilon_based`.
    label, label_zh
        What the column means.

    Returns
    -------
    Panel
        With the column and a note that also gives both epsilons.

    Raises
    ------
    DataError
        If a column is missing, no row is complete, or a value is not positive; the message names city, year and column.
    SpecError
        If an option is not allowed.
    """
    variables = {"inputs": inputs, "good": good, "bad": bad}
    technology, rows = panel_technology(panel, variables, returns=returns, reference=reference)
    result = epsilon_based(technology, orientation, bads, solver, epsilon=epsilon, weights=weights)
    note = f"{name}: {rows.note}; {result.summary(rows.names)}"
    return panel.assign({name: rows.cube(result.score)}, {name: Variable(label, label_zh, "-")}, note)


def _distance(
    nonradial: bool, direction: Sequence[str] | None, weights: Weights | None, disposability: str, *, solver: str
) -> Measure:
    """Return the distance that the options name, a function of a technology."""
    other = {"direction": direction} if nonradial else {"weights": weights}
    for option, value in other.items():
        if value is not None:
            raise SpecError(
                f"{option}= belongs to nonradial={'false' if nonradial else 'true'}. Leave it out, or change that."
            )
    if nonradial:
        return partial(nonradial_distance, weights=weights, disposability=disposability, solver=solver)
    chosen = ("good", "bad") if direction is None else tuple(direction)
    return partial(directional_distance, direction=chosen, disposability=disposability, solver=solver)
