"""Slacks-based efficiency: SBM, Super-SBM, and the panel step that makes a column of scores.

Two stages, as Tone (2002, doi:10.1016/S0377-2217(01)00324-1) defines them: SBM for every unit; then, for the units that SBM
scores 1, the super-efficiency programme, which leaves out the unit's own row (that city-year, not the city). The equations and
their sources are in `syneff.measure.programs`. A score comes with its status and its gap; a programme without a feasible point
(possible under variable returns) is a status, never a silent 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from syneff.errors import DataError, SpecError, one_of
from syneff.measure.programs import Model
from syneff.measure.stages import SOLVERS, Groups, Stage, choose, run_stage
from syneff.measure.technology import Efficiency, Peers, Technology
from syneff.numerics.linear_program import Status
from syneff.panel.panel import Panel, Variable
from syneff.runtime import require_float64

ORIENTATIONS = ("none", "input", "output")
BADS = ("outputs", "inputs")
EFFICIENT = 1.0 - 1e-7  # an SBM score from here on goes to the super-efficiency stage

Weights = Mapping[str, Sequence[float]]


def slacks_based(
    technology: Technology,
    super_efficiency: bool = True,
    orientation: str = "none",
    bads: str = "outputs",
    solver: str = "interior_point",
    *,
    weights: Weights | None = None,
) -> Efficiency:
    """Measure slacks-based efficiency, SBM or Super-SBM, of every unit.

    Parameters
    ----------
    technology
        Data, returns to scale and reference set.
    super_efficiency
        Score the units that SBM finds efficient by Super-SBM; otherwise they score 1.
    orientation
        "none" (input and output slacks are scored), "input" or "output".
    bads
        "outputs": bad outputs are scored with the good ones, in the denominator; "inputs": with the inputs.
    solver
        "interior_point" or "simplex"; both end in the same certificate.
    weights
        Relative weights of the slacks, by "inputs", "good", "bad"; equal if left out. They are divided by their sums: over the
        inputs, and over good and bad outputs together (Tone 2004, GRIPS I-2003-0005).

    Returns
    -------
    Efficiency
        Scores, statuses, gaps, slacks and peers.

    Raises
    ------
    SpecError
        If an option or a weight is not allowed.
    """
    require_float64()
    one_of("orientation", orientation, ORIENTATIONS)
    one_of("bads", bads, BADS)
    one_of("solver", solver, SOLVERS)
    blocks = (np.asarray(technology.inputs), np.asarray(technology.good), np.asarray(technology.bad))
    relative = _relative_weights(weights or {}, blocks)
    if bads == "inputs":
        relative = (np.concatenate([relative[0], relative[2]]), relative[1], np.empty(0))
    outputs = relative[1].sum() + relative[2].sum()
    scaled = (relative[0] / relative[0].sum(), relative[1] / outputs, relative[2] / outputs)
    model = Model(scaled, technology.returns, orientation, "sbm", True)
    # The solver sees inputs, good outputs, bad outputs, in this order.
    order = (blocks[0], blocks[2], blocks[1]) if bads == "inputs" else blocks
    result = _measure(technology, np.concatenate(order, axis=1), model, super_efficiency, solver)
    edges = np.cumsum([block.shape[1] for block in order])[:-1]
    inputs, *rest = np.split(result.slacks, edges, axis=1)
    bad, good = rest if bads == "inputs" else rest[::-1]
    return Efficiency(
        score=result.score,
        status=result.status,
        gap=result.gap,
        slack_inputs=inputs,
        slack_good=good,
        slack_bad=bad,
        peers=Peers(result.peers, result.intensity),
        returns=technology.returns,
        orientation=orientation,
    )


def _relative_weights(weights: Weights, blocks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the weights of the inputs, good and bad outputs, before they are divided by their sums."""
    names = ("inputs", "good", "bad")
    for name in weights:
        one_of("weights", name, names)
    found = []
    for name, block in zip(names, blocks, strict=True):
        weight = np.asarray(weights.get(name, np.ones(block.shape[1])), dtype=float)
        if weight.shape != block.shape[1:] or not np.all(np.isfinite(weight) & (weight > 0)):
            raise SpecError(
                f"weights[{name!r}] must be {block.shape[1]} positive numbers, one a variable, not {weight}."
            )
        found.append(weight)
    return found[0], found[1], found[2]


def _measure(technology: Technology, data: np.ndarray, model: Model, super_efficiency: bool, solver: str) -> Stage:
    """Run both stages over the groups of rows that share a reference set."""
    center = np.exp(np.log(data).mean(axis=0))
    values = data / center
    groups = _groups(technology)
    stage = run_stage(values, groups, np.ones(technology.rows, dtype=bool), model, solver=solver)
    again = (stage.score >= EFFICIENT) | (stage.status == Status.INFEASIBLE)
    if super_efficiency and again.any():
        stage = choose(stage, run_stage(values, groups, again, replace(model, stage="super"), solver=solver), again)
    return replace(stage, slacks=stage.slacks * center)


def _groups(technology: Technology) -> Groups:
    """Return the rows that share a reference set, with that set."""
    rows = np.arange(technology.rows)
    if not isinstance(technology.reference, str):
        return [(rows, np.flatnonzero(technology.reference))]
    if technology.reference == "global":
        return [(rows, rows)]
    period = np.asarray(technology.period)
    same = [np.flatnonzero(period == each) for each in np.unique(period)]
    return [(each, each) for each in same]


def super_sbm(
    panel: Panel,
    *,
    name: str,
    inputs: Sequence[str],
    good: str | Sequence[str],
    bad: str | Sequence[str] = (),
    returns: str = "crs",
    reference: str = "global",
    super_efficiency: bool = True,
    orientation: str = "none",
    bads: str = "outputs",
    solver: str = "interior_point",
    weights: Weights | None = None,
    label: str = "Efficiency",
    label_zh: str = "效率",
) -> Panel:
    """Add a column of slacks-based efficiency, measured on the rows of positive weight that have all values.

    Parameters
    ----------
    panel
        The panel.
    name
        Name of the new column.
    inputs, good, bad
        Names of columns; a single name may stand for itself.
    returns, reference, super_efficiency, orientation, bads, solver, weights
        See `Technology` and `slacks_based`.
    label, label_zh
        What the column means.

    Returns
    -------
    Panel
        With the column, NaN where a row was not measured or its programme is infeasible, and a note with the counts.

    Raises
    ------
    DataError
        If a column is missing, no row is complete, or a value is not positive; the message names city, year and column.
    """
    names = {
        key: [each] if isinstance(each, str) else list(each)
        for key, each in (("inputs", inputs), ("good", good), ("bad", bad))
    }
    columns = [column for group in names.values() for column in group]
    cube = np.stack([panel.column(column) for column in columns], axis=-1)
    measured = panel.sample & ~np.isnan(cube).any(axis=-1)
    _check_values(panel, columns, cube, measured)
    period = np.broadcast_to(np.asarray(panel.periods), panel.shape)[measured]
    edges = np.cumsum([len(group) for group in names.values()])
    data = np.split(cube[measured], edges[:-1], axis=1)
    technology = Technology(data[0], data[1], data[2] if names["bad"] else None, period, returns, reference)
    result = slacks_based(technology, super_efficiency, orientation, bads, solver, weights=weights)
    scores = np.full(panel.shape, np.nan)
    scores[measured] = result.score
    rows = [f"{panel.units[unit]} {panel.periods[time]}" for unit, time in np.argwhere(measured)]
    missing = int(panel.sample.sum()) - len(rows)
    note = f"{name}: {len(rows)} rows measured, {missing} left out for missing values; {result.summary(rows)}"
    return panel.assign({name: scores}, {name: Variable(label, label_zh, "-")}, note)


def _check_values(panel: Panel, columns: Sequence[str], cube: np.ndarray, measured: np.ndarray) -> None:
    """Raise unless there are rows to measure and all their values are positive and finite."""
    if not measured.any():
        raise DataError(f"no row has values of all of {', '.join(columns)}. Fill gaps, or choose other columns.")
    wrong = np.argwhere(measured[:, :, None] & ~((cube > 0) & np.isfinite(cube)))
    if wrong.size:
        shown = [
            f"{panel.units[unit]} {panel.periods[time]} {columns[at]} = {cube[unit, time, at]:g}"
            for unit, time, at in wrong[:5]
        ]
        raise DataError(
            f"{len(wrong)} values are not positive and finite ({'; '.join(shown)}{'; ...' if len(wrong) > 5 else ''}). "
            "Slacks-based efficiency divides by every value: give these rows the weight 0, or mend the values."
        )
