"""Slacks-based efficiency: SBM, Super-SBM, and the panel step that makes a column of scores.

Two stages, as Tone (2002, doi:10.1016/S0377-2217(01)00324-1) defines them: SBM for every unit; then, for the units that SBM
scores 1, the super-efficiency programme, which leaves out the unit's own row (that city-year, not the city). A unit outside its
reference set, for which SBM has no feasible point, is beyond that frontier: the second programme scores it too. The equations
and their sources are in `syneff.measure.programs`, reference sets in `syneff.measure.reference`. A score comes with its status
and its gap; a programme without a feasible point (possible under variable returns) is a status, never a silent 1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from syneff.errors import SpecError, one_of
from syneff.measure.programs import Model
from syneff.measure.reference import Groups
from syneff.measure.result import Efficiency, Peers, ShadowPrices, Targets
from syneff.measure.rows import panel_technology
from syneff.measure.stages import SOLVERS, Stage, choose, empty_stage, run_stage, take, widen, write
from syneff.measure.technology import Technology
from syneff.measure.zeros import zero_patterns
from syneff.numerics.linear_program import Status
from syneff.panel.panel import Panel, Variable
from syneff.runtime import require_float64
from syneff.typing import Float

ORIENTATIONS = ("none", "input", "output")
BADS = ("outputs", "inputs")
MAX_ROWS = 20  # of a programme; the batched solvers hold a square of it for every unit
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
    centred: bool = True,
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
    centred
        Whether slacks, prices and peers that are not unique are those of the middle of all optima. Scores are unique: where
        they alone are wanted, False saves most of the time.

    Returns
    -------
    Efficiency
        Scores, statuses, gaps, slacks, targets, peers and shadow prices.

    Raises
    ------
    DataError
        If zeros are dropped, and no reference row shares those of some unit.
    SpecError
        If an option or a weight is not allowed, or there are too many variables.
    """
    require_float64()
    one_of("solver", solver, SOLVERS)
    data, model = program_data(technology, orientation, bads, weights=weights)
    run = partial(two_stages, super_efficiency=super_efficiency, solver=solver, centred=centred)
    stage, cap = _measure(technology.groups, data, model, run)
    return _efficiency(technology, stage, cap, orientation, bads)


def program_data(
    technology: Technology, orientation: str, bads: str, *, weights: Weights | None = None
) -> tuple[Float[np.ndarray, "dmu data"], Model]:
    """Return the data in the order that the programs see, inputs, good and bad outputs, and the model of the first stage.

    Parameters
    ----------
    technology, orientation, bads, weights
        See `slacks_based`; bad outputs that are scored with the inputs stand among these.

    Raises
    ------
    SpecError
        If an option or a weight is not allowed, or there are too many variables.
    """
    one_of("orientation", orientation, ORIENTATIONS)
    one_of("bads", bads, BADS)
    blocks = (np.asarray(technology.inputs), np.asarray(technology.good), np.asarray(technology.bad))
    relative = _relative_weights(weights or {}, blocks)
    if bads == "inputs":
        blocks = (np.concatenate([blocks[0], blocks[2]], axis=1), blocks[1], np.empty((technology.rows, 0)))
        relative = (np.concatenate([relative[0], relative[2]]), relative[1], np.empty(0))
    model = _scaled(Model(relative, technology.returns, orientation, "sbm", True))
    _check_rows(model)
    return np.concatenate(blocks, axis=1), model


def centre(data: Float[np.ndarray, "dmu data"]) -> Float[np.ndarray, " data"]:
    """Return the geometric mean of each variable's positive values: divided by it, data are of order 1."""
    center: np.ndarray = np.exp(np.log(np.where(data > 0, data, 1.0)).sum(axis=0) / (data > 0).sum(axis=0))
    return center


def _scaled(model: Model) -> Model:
    """Divide the weights by their sums: over the inputs, and over good and bad outputs together."""
    inputs, good, bad = model.weights
    outputs = good.sum() + bad.sum()
    return replace(model, weights=(inputs / inputs.sum(), good / outputs, bad / outputs))


def _check_rows(model: Model) -> None:
    """Raise unless the solvers can take the programmes."""
    rows = model.rows
    if rows > MAX_ROWS:
        m, s, q = model.sizes
        raise SpecError(
            f"{m} inputs, {s} good and {q} bad outputs make programs of {rows} rows; at most {MAX_ROWS} are allowed. "
            "Add variables up, or leave some out."
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


def _measure(
    groups: Groups, data: np.ndarray, model: Model, run: Callable[[np.ndarray, Groups, Model], Stage]
) -> tuple[Stage, np.ndarray]:
    """Run both stages over all groups; return the answers and the upper bound of every score.

    Units without zeros are one batch; those with zeros in the same places are another one, in fewer variables.
    """
    center = centre(data)
    values = data / center
    m, s, _ = model.sizes
    stage, cap = empty_stage(*data.shape), np.empty(data.shape[0])
    for kept, rows, own in zero_patterns(values, groups, slice(m, m + s)):
        part = _keep(model, kept)
        found = run(values[:, kept], own, part)
        stage = write(stage, rows, take(widen(found, kept, data.shape[1]), rows))
        cap[rows] = _cap(part)
    return replace(stage, slacks=stage.slacks * center, prices=stage.prices / center), cap


def _keep(model: Model, kept: np.ndarray) -> Model:
    """Return the model of some of the variables, its weights divided by their sums again."""
    edges = np.cumsum(model.sizes)
    weights = [
        block[kept[(kept >= end - block.size) & (kept < end)] - (end - block.size)]
        for block, end in zip(model.weights, edges, strict=True)
    ]
    return _scaled(replace(model, weights=(weights[0], weights[1], weights[2])))


def two_stages(
    values: np.ndarray, groups: Groups, model: Model, *, super_efficiency: bool, solver: str, centred: bool = True
) -> Stage:
    """Run SBM, then the super-efficiency programme of the units that need it.

    Parameters
    ----------
    values
        ``[dmu data]``, of order 1, in the order of `program_data`.
    groups
        Pairs of the row numbers to evaluate and those of their reference set.
    model
        That of the first stage.
    super_efficiency, solver, centred
        See `slacks_based`.
    """
    run = partial(run_stage, values, groups, solver=solver, centred=centred)
    stage = run(np.ones(values.shape[0], dtype=bool), model)
    again = (stage.score >= EFFICIENT) | (stage.status == Status.INFEASIBLE)
    if not super_efficiency or not again.any():
        return stage
    return choose(stage, run(again, replace(model, stage="super")), again)


def _cap(model: Model) -> float:
    """Return the upper bound of a score: with lambda = 0 only good outputs fall, to 0, where bad ones are scored too."""
    bounded = model.returns in ("crs", "nirs") and model.orientation != "input" and model.weights[2].size
    return float(1.0 / model.weights[2].sum()) if bounded else float("inf")


def _efficiency(technology: Technology, stage: Stage, cap: np.ndarray, orientation: str, bads: str) -> Efficiency:
    """Name the columns of slacks and prices, and add the targets that the slacks lead to."""
    x, y, b = (np.asarray(block) for block in (technology.inputs, technology.good, technology.bad))
    order = (x, b, y) if bads == "inputs" else (x, y, b)
    edges = np.cumsum([block.shape[1] for block in order])[:-1]

    def named(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inputs, *rest = np.split(columns, edges, axis=1)
        bad, good = rest if bads == "inputs" else rest[::-1]
        return inputs, good, bad

    inputs, good, bad = named(stage.slacks)
    return Efficiency(
        score=stage.score,
        status=stage.status,
        gap=stage.gap,
        resolved=stage.resolved,
        slack_inputs=inputs,
        slack_good=good,
        slack_bad=bad,
        targets=Targets(x - inputs, y + good, b - bad),
        peers=Peers(stage.peers, stage.intensity),
        prices=ShadowPrices(*named(stage.prices)),
        cap=cap,
        returns=technology.returns,
        orientation=orientation,
        remarks=technology.remarks,
    )


def super_sbm(
    panel: Panel,
    *,
    name: str,
    inputs: Sequence[str],
    good: str | Sequence[str],
    bad: str | Sequence[str] = (),
    returns: str = "crs",
    reference: str = "global",
    reference_where: str | None = None,
    window: int | None = None,
    group: str | None = None,
    zeros: str = "error",
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
    returns, reference, window, zeros, super_efficiency, orientation, bads, solver, weights
        See `Technology` and `slacks_based`.
    reference_where
        A condition on columns and traits, as in the step `where`: the rows in which it holds span the frontier of all, e.g.
        ``adoption_year != adoption_year`` (no year: cities that were never treated). In place of a `reference`.
    group
        Name of a trait or column: each row is compared with the rows of its own group alone.
    label, label_zh
        What the column means.

    Returns
    -------
    Panel
        With the column, NaN where a row was not measured or its programme is infeasible, and a note with the counts.

    Raises
    ------
    DataError
        If a column is missing, no row is complete or may span the frontier, or a value is not positive; the message names
        city, year and column.
    SpecError
        If an option is not allowed.
    """
    technology, measured = panel_technology(
        panel,
        {"inputs": inputs, "good": good, "bad": bad},
        returns=returns,
        reference=reference,
        reference_where=reference_where,
        window=window,
        group=group,
        zeros=zeros,
    )
    result = slacks_based(technology, super_efficiency, orientation, bads, solver, weights=weights, centred=False)
    said = f"{measured.note}; {result.summary(measured.names)}"
    column = {name: measured.cube(result.score)}
    return panel.assign(column, {name: Variable(label, label_zh, "-")}, f"{name}: {said}")
