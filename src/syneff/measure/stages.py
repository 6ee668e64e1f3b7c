"""One stage of a slacks-based measure: solve the programs of all groups of units and read the answers back."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from syneff.measure.programs import Model, PrivateBlock, private_block, programs, unit_size
from syneff.measure.reference import Groups
from syneff.numerics import interior_point, simplex
from syneff.numerics.batching import round_size
from syneff.numerics.linear_program import LinearPrograms, Solution, Status
from syneff.typing import Bool, Float, Int

SOLVERS: dict[str, Callable[[LinearPrograms, np.ndarray], Solution]] = {
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
    peers, intensity
        ``[dmu peer]``: row numbers of the reference units, -1 for none, and their multipliers.
    """

    score: Float[np.ndarray, " dmu"]
    status: Int[np.ndarray, " dmu"]
    gap: Float[np.ndarray, " dmu"]
    resolved: Bool[np.ndarray, " dmu"]
    slacks: Float[np.ndarray, "dmu data"]
    peers: Int[np.ndarray, "dmu peer"]
    intensity: Float[np.ndarray, "dmu peer"]


def run_stage(
    values: Float[np.ndarray, "dmu data"],
    groups: Groups,
    chosen: Bool[np.ndarray, " dmu"],
    model: Model,
    *,
    solver: str,
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
    """
    n_units, n_data = values.shape
    # A vertex has as many basic variables as rows, and t is one of them.
    stage = empty_stage(n_units, n_data)
    padded = round_size(max(reference.size for _, reference in groups))
    for rows, reference in groups:
        inside = np.isin(rows, reference)
        for own in (True, False):
            part = rows[chosen[rows] & (inside == own)]
            if part.size:
                answer = _solve(
                    values,
                    part,
                    reference,
                    replace(model, own=own and model.stage == "sbm"),
                    solver=solver,
                    padded=padded,
                )
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
    """Return the answers in a model of more variables: the added ones have no slack and no peer."""
    slacks = np.zeros((stage.score.size, n_data))
    slacks[:, kept] = stage.slacks
    more = ((0, 0), (0, n_data - kept.size))
    return replace(
        stage,
        slacks=slacks,
        peers=np.pad(stage.peers, more, constant_values=-1),
        intensity=np.pad(stage.intensity, more),
    )


def empty_stage(n_units: int, n_data: int) -> Stage:
    """Return a stage in which nothing is solved."""
    return Stage(
        score=np.full(n_units, np.nan),
        status=np.full(n_units, int(Status.NOT_CERTIFIED)),
        gap=np.full(n_units, np.nan),
        resolved=np.zeros(n_units, dtype=bool),
        slacks=np.full((n_units, n_data), np.nan),
        peers=np.full((n_units, n_data + 1), -1),
        intensity=np.zeros((n_units, n_data + 1)),
    )


def write(stage: Stage, rows: np.ndarray, answer: Stage) -> Stage:
    """Return a stage with the answers of some units put in."""

    def put(name: str) -> np.ndarray:
        array: np.ndarray = getattr(stage, name).copy()
        array[rows] = getattr(answer, name)
        return array

    return Stage(**{each.name: put(each.name) for each in fields(Stage)})


def _solve(
    values: np.ndarray, rows: np.ndarray, reference: np.ndarray, model: Model, *, solver: str, padded: int
) -> Stage:
    """Solve the programs of a few units against one reference set."""
    problems, start = programs(model, values, rows, reference, padded=padded)
    stage = _read(SOLVERS[solver](problems, start), model, values, rows, reference)
    if model.stage == "sbm" or model.returns != "vrs":
        return stage
    # With nobody left to compare with, variable returns have no feasible point; there is not even a basis to prove it by.
    alone = reference.size - np.isin(rows, reference) == 0
    status = np.where(alone, int(Status.INFEASIBLE), stage.status)
    return replace(stage, status=status, score=np.where(alone, np.nan, stage.score))


def _read(solution: Solution, model: Model, values: np.ndarray, rows: np.ndarray, reference: np.ndarray) -> Stage:
    """Turn vertices into scores, slacks and peers."""
    block = private_block(model)
    basis, value = np.asarray(solution.basis), np.asarray(solution.value)
    n_private = block.cost.size
    private = np.zeros((rows.size, n_private + 1))  # the last column takes what is not private
    private[np.arange(rows.size)[:, None], np.minimum(basis, n_private)] = value
    failed = (np.asarray(solution.status) == Status.INFEASIBLE)[:, None]
    expansion = np.where(failed, np.nan, private[:, block.slices["t"]])
    slacks = np.zeros((rows.size, values.shape[1]))
    edges = np.cumsum((0, *model.sizes))
    for at, name in enumerate(("input", "good", "bad")):
        if name in block.slices:
            slacks[:, edges[at] : edges[at + 1]] = private[:, block.slices[name]] / expansion
    member = _members(basis, block, rows, reference)
    own_size, size = unit_size(values[rows]), unit_size(values[np.maximum(member, 0)].reshape(-1, values.shape[1]))
    # Shared columns are divided by their unit's size and multiplied by the evaluated unit's.
    intensity = np.where(member >= 0, value / expansion * own_size[:, None] / size.reshape(member.shape), 0.0)
    order = np.argsort(~(intensity > 0), axis=1, kind="stable")[:, : values.shape[1] + 1]
    intensity = np.take_along_axis(np.nan_to_num(intensity), order, axis=1)
    return Stage(
        score=np.asarray(solution.objective),
        status=np.asarray(solution.status),
        gap=np.asarray(solution.gap),
        resolved=np.asarray(solution.resolved),
        slacks=_SIGN[model.stage] * slacks * values[rows],
        peers=np.where(intensity > 0, np.take_along_axis(member, order, axis=1), -1),
        intensity=intensity,
    )


def _members(basis: np.ndarray, block: PrivateBlock, rows: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the row number of the unit that each basic column stands for; -1 where it is no unit."""
    shared = basis - block.cost.size
    member = np.where(shared >= 0, reference[np.clip(shared, 0, reference.size - 1)], -1)
    if "own" in block.slices:
        member = np.where(basis == block.slices["own"].start, rows[:, None], member)
    return member
