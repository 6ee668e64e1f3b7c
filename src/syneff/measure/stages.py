"""One stage of a slacks-based measure: solve the programs of all groups of units and read the answers back."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from syneff.measure.programs import Model, PrivateBlock, private_block, programs, unit_size
from syneff.measure.reference import Groups
from syneff.numerics import interior_point, simplex
from syneff.numerics.batching import chunk_for, round_size, side_by_side
from syneff.numerics.linear_program import Solution, Status
from syneff.numerics.optimal_face import Optimum, central_optimum, vertices
from syneff.typing import Bool, Float, Int

SOLVERS: dict[str, Callable[..., Solution]] = {
    "interior_point": interior_point.solve,
    "simplex": simplex.solve,
}
_SIGN = {"sbm": 1.0, "super": -1.0}


@dataclass(frozen=True)
class Stage:
    """Answers of a stage, by unit.

    Attributes
    ----------
    score, status, gap
        ``[dmu]``; a unit that the stage did not solve has NaN and the status not certified.
    resolved
        ``[dmu]``: whether the answer is that of another attempt.
    slacks
        ``[dmu data]``, in the units of `values`: what to subtract from inputs and bad outputs, and to add to good outputs.
    prices
        ``[dmu data]``: dual variables per unit of `values`; NaN where they are not unique.
    peers, intensity
        ``[dmu peer]``: row numbers of the reference units, -1 for none, and their multipliers.
    """

    score: Float[np.ndarray, " dmu"]
    status: Int[np.ndarray, " dmu"]
    gap: Float[np.ndarray, " dmu"]
    resolved: Bool[np.ndarray, " dmu"]
    slacks: Float[np.ndarray, "dmu data"]
    prices: Float[np.ndarray, "dmu data"]
    peers: Int[np.ndarray, "dmu peer"]
    intensity: Float[np.ndarray, "dmu peer"]


def run_stage(
    values: Float[np.ndarray, "dmu data"],
    groups: Groups,
    chosen: Bool[np.ndarray, " dmu"],
    model: Model,
    *,
    solver: str,
    centred: bool = True,
) -> Stage:
    """Solve the programs of the chosen units.

    Parameters
    ----------
    values
        Inputs, good and bad outputs, each of order 1; positive in the rows to evaluate.
    groups
        Pairs of the row numbers to evaluate and those of their reference set.
    chosen
        Which units to evaluate at all.
    model
        The options; `own` is set here, by whether a unit is in its reference set.
    solver
        A name in `SOLVERS`.
    centred
        Whether slacks, prices and peers are those of the middle of all optima; where only scores are read, whose value does
        not depend on it, a vertex is enough and most of the time is saved.
    """
    padded = round_size(max(reference.size for _, reference in groups))
    parts = []
    for rows, reference in groups:
        inside = np.bincount(reference, minlength=values.shape[0])[rows] > 0
        for own in (True, False):
            part = rows[chosen[rows] & (inside == own)]
            if part.size:
                parts.append((part, reference, replace(model, own=own and model.stage == "sbm")))
    # Not the number of chosen units: with chunks of one size, the stages share what is compiled.
    chunk = chunk_for(max(rows.size for rows, _ in groups), padded)

    def solve(job: tuple[np.ndarray, np.ndarray, Model]) -> Stage:
        part, reference, each = job
        return _solve(values, part, reference, each, solver=solver, padded=padded, chunk=chunk, centred=centred)

    stage = empty_stage(*values.shape)
    for (part, _, _), answer in zip(parts, side_by_side(solve, parts), strict=True):
        stage = write(stage, part, answer)
    return stage


def choose(first: Stage, second: Stage, use_second: Bool[np.ndarray, " dmu"]) -> Stage:
    """Return the second stage's answers where asked, else the first's."""
    rows = np.flatnonzero(use_second)
    return write(first, rows, take(second, rows))


def take(stage: Stage, rows: np.ndarray) -> Stage:
    """Return the answers of some units."""
    return Stage(**{each.name: getattr(stage, each.name)[rows] for each in fields(Stage)})


def widen(stage: Stage, kept: np.ndarray, n_data: int) -> Stage:
    """Return the answers in a model of more variables: the added ones have no slack and no price."""
    slacks, prices = np.zeros((stage.score.size, n_data)), np.full((stage.score.size, n_data), np.nan)
    slacks[:, kept], prices[:, kept] = stage.slacks, stage.prices
    return replace(stage, slacks=slacks, prices=prices)


def empty_stage(n_units: int, n_data: int) -> Stage:
    """Return a stage in which nothing is solved."""
    return Stage(
        score=np.full(n_units, np.nan),
        status=np.full(n_units, int(Status.NOT_CERTIFIED)),
        gap=np.full(n_units, np.nan),
        resolved=np.zeros(n_units, dtype=bool),
        slacks=np.full((n_units, n_data), np.nan),
        prices=np.full((n_units, n_data), np.nan),
        peers=np.full((n_units, 1), -1),
        intensity=np.zeros((n_units, 1)),
    )


def write(stage: Stage, rows: np.ndarray, answer: Stage) -> Stage:
    """Return a stage with the answers of some units put in."""
    width = max(stage.peers.shape[1], answer.peers.shape[1])

    def put(name: str) -> np.ndarray:
        before, after = getattr(stage, name), getattr(answer, name)
        if name in ("peers", "intensity"):
            before, after = (_pad(each, width, -1 if name == "peers" else 0) for each in (before, after))
        array: np.ndarray = before.copy()
        array[rows] = after
        return array

    return Stage(**{each.name: put(each.name) for each in fields(Stage)})


def _pad(array: np.ndarray, width: int, fill: int) -> np.ndarray:
    """Return a matrix with columns added up to a width."""
    return np.pad(array, ((0, 0), (0, width - array.shape[1])), constant_values=fill)


def _solve(
    values: np.ndarray,
    rows: np.ndarray,
    reference: np.ndarray,
    model: Model,
    *,
    solver: str,
    padded: int,
    chunk: int,
    centred: bool,
) -> Stage:
    """Solve the programs of a few units against one reference set."""
    problems, start = programs(model, values, rows, reference, padded=padded)
    solution = SOLVERS[solver](problems, start, chunk=chunk)
    optimum = central_optimum(problems, solution) if centred else vertices(solution)
    stage = _read(optimum, model, values, rows, reference)
    if model.stage == "sbm" or model.returns != "vrs":
        return stage
    # With nobody left to compare with, variable returns have no feasible point; there is not even a basis to prove it by.
    alone = reference.size - (np.bincount(reference, minlength=values.shape[0])[rows] > 0) == 0
    status = np.where(alone, int(Status.INFEASIBLE), stage.status)
    return replace(stage, status=status, score=np.where(alone, np.nan, stage.score))


def _read(optimum: Optimum, model: Model, values: np.ndarray, rows: np.ndarray, reference: np.ndarray) -> Stage:
    """Turn optima into scores, slacks, prices and peers."""
    block, solution = private_block(model), optimum.solution
    n_private, n_data = block.cost.size, values.shape[1]
    private = np.zeros((rows.size, n_private + 1))  # the last column takes what is not private
    place = np.where(optimum.number < 0, n_private, np.minimum(optimum.number, n_private))
    private[np.arange(rows.size)[:, None], place] = optimum.value
    failed = (np.asarray(solution.status) == Status.INFEASIBLE)[:, None]
    expansion = np.where(failed, np.nan, private[:, block.slices["t"]])
    slacks = np.zeros((rows.size, n_data))
    edges = np.cumsum((0, *model.sizes))
    for at, name in enumerate(("input", "good", "bad")):
        if name in block.slices:
            slacks[:, edges[at] : edges[at + 1]] = private[:, block.slices[name]] / expansion
    member = _members(optimum.number, block, rows, reference)
    own_size, size = unit_size(values[rows]), unit_size(values[np.maximum(member, 0)].reshape(-1, n_data))
    # Shared columns are divided by their unit's size and multiplied by the evaluated unit's.
    intensity = np.where(member >= 0, optimum.value / expansion * own_size[:, None] / size.reshape(member.shape), 0.0)
    intensity = np.nan_to_num(intensity)
    order = np.argsort(~(intensity > 0), axis=1, kind="stable")[:, : max(1, (intensity > 0).sum(axis=1).max())]
    intensity = np.take_along_axis(intensity, order, axis=1)
    return Stage(
        score=np.asarray(solution.objective),
        status=np.asarray(solution.status),
        gap=np.asarray(solution.gap),
        resolved=np.asarray(solution.resolved),
        slacks=_SIGN[model.stage] * slacks * values[rows],
        # Inputs and bad outputs cost, good outputs earn; below 0 there is but rounding.
        prices=np.maximum(optimum.y[:, :n_data] * np.repeat((-1.0, 1.0, -1.0), model.sizes), 0.0) / values[rows],
        peers=np.where(intensity > 0, np.take_along_axis(member, order, axis=1), -1),
        intensity=intensity,
    )


def _members(number: np.ndarray, block: PrivateBlock, rows: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the row number of the unit that each column stands for; -1 where it is no unit."""
    shared = number - block.cost.size
    member = np.where(shared >= 0, reference[np.clip(shared, 0, reference.size - 1)], -1)
    if "own" in block.slices:
        member = np.where(number == block.slices["own"].start, rows[:, None], member)
    return member
