r"""Scores against the frontiers of subsets of the units, for thousands of subsets at once.

A bootstrap of cities measures every drawn city against the frontier of those drawn. Solving all programs again for each draw is
not needed. Let a program that may use all units but those of a set *R* have an optimum whose peers are the units *P*. Then the
optimum is that of every subset that holds *P* and nothing of *R*: its reference set is smaller, so nothing can be better, and
the optimum is still there. So each program starts from ``R = {}``; the subsets that lack some of its peers go on with these in
*R*, and so down a tree whose nodes many subsets share,

.. math:: R \to R \cup (P \setminus \text{present}) ,

until the peers are all present. Nothing is approximate: the scores are those of `slacks_based` with the subset as reference.

A row that is not efficient among the rows of its own unit is never needed, because whatever it contributes, these contribute
better, and a unit is present or absent with all its rows. So it is no column, but where the evaluated unit is its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from rich.progress import Progress

from syneff.measure.efficiency import EFFICIENT, Weights, centre, program_data
from syneff.measure.programs import Model, programs
from syneff.measure.technology import Technology
from syneff.numerics import simplex
from syneff.numerics.batching import chunk_for, round_size
from syneff.numerics.linear_program import Status
from syneff.typing import Bool, Float, Int

SCREEN = 1.0 - 1e-6  # a row below this score among its own unit's rows is no column
PEER = 1e-10  # a multiplier below this is none
NODES = 2**14  # programs whose columns are marked at a time: bounds memory

Removed = frozenset[int]
Node = tuple[int, Removed]


@dataclass(frozen=True)
class _Frontier:
    """The programs of one stage against one reference set, and those that are solved.

    Attributes
    ----------
    values, unit, inside
        ``[dmu data]`` and ``[dmu]``: data of order 1, the number of each row's unit, and whether it is in the reference set.
    model
        The model of the stage.
    columns
        Row numbers that may be columns.
    screened
        ``[column]``: whether units other than the column's own have a use for it.
    chunk
        Programs at a time.
    solved
        Score, status and peers by row and set of removed units.
    """

    values: Float[np.ndarray, "dmu data"]
    unit: Int[np.ndarray, " dmu"]
    inside: Bool[np.ndarray, " dmu"]
    model: Model
    columns: Int[np.ndarray, " column"]
    screened: Bool[np.ndarray, " column"]
    chunk: int
    solved: dict[Node, tuple[float, int, np.ndarray]] = field(default_factory=dict)


def subset_scores(
    technology: Technology,
    unit: Int[np.ndarray, " dmu"],
    present: Bool[np.ndarray, "draw unit"],
    super_efficiency: bool = True,
    orientation: str = "none",
    *,
    bads: str = "outputs",
    weights: Weights | None = None,
) -> tuple[Float[np.ndarray, "draw dmu"], int]:
    """Measure slacks-based efficiency of the rows of the present units against the frontier of these, subset by subset.

    Parameters
    ----------
    technology
        Data, returns to scale and reference set, which each subset narrows down.
    unit
        ``[dmu]``: number of the unit of each row.
    present
        ``[draw unit]``: which units each subset holds.
    super_efficiency, orientation, bads, weights
        See `slacks_based`. The super-efficiency programme leaves out the row itself: a city that is drawn twice has no twin.

    Returns
    -------
    tuple
        Scores ``[draw dmu]``, NaN for rows of absent units, of programs that are infeasible or not certified, and of subsets
        that `slacks_based` refuses, because present rows have no present reference at all; and the number of programs that
        had to be solved.

    Raises
    ------
    SpecError
        If an option is not allowed.
    """
    data, model = program_data(technology, orientation, bads, weights=weights)
    values = data / centre(data)
    scores = np.full((present.shape[0], values.shape[0]), np.nan)
    present = present & _served(technology, unit, present)[:, None]
    count = 0
    with Progress(transient=True) as bar:
        task = bar.add_task("frontiers of subsets", total=int(present[:, unit].sum()))
        for evaluated, reference in technology.groups:
            chunk = chunk_for(evaluated.size, round_size(reference.size))
            needed = reference[_efficient_at_home(values, unit, reference, model, chunk=chunk)]
            inside = np.bincount(reference, minlength=unit.size) > 0
            first = _Frontier(values, unit, inside, model, needed, np.ones(needed.size, dtype=bool), chunk)
            again: list[tuple[int, np.ndarray]] = []
            work = [(int(row), np.flatnonzero(present[:, unit[row]])) for row in evaluated]
            for row, draws, score, status in _descend(first, work, present):
                if super_efficiency and (score >= EFFICIENT or status == Status.INFEASIBLE):
                    again.append((row, draws))
                else:
                    scores[draws, row] = score
                    bar.advance(task, draws.size)
            second = _second_stage(first, reference, needed, {row for row, _ in again})
            for row, draws, score, _ in _descend(second, again, present):
                scores[draws, row] = score
                bar.advance(task, draws.size)
            count += len(first.solved) + len(second.solved)
    return scores, count


def _served(
    technology: Technology, unit: Int[np.ndarray, " dmu"], present: Bool[np.ndarray, "draw unit"]
) -> Bool[np.ndarray, " draw"]:
    """Return which subsets hold a reference row for whomever they hold: a mask may be absent as a whole."""
    served = np.ones(present.shape[0], dtype=bool)
    for evaluated, reference in technology.groups:
        asks, answers = (present[:, np.unique(unit[rows])].any(axis=1) for rows in (evaluated, reference))
        served &= ~asks | answers
    return served


def _second_stage(first: _Frontier, reference: np.ndarray, needed: np.ndarray, rows: set[int]) -> _Frontier:
    """Return the super-efficiency programs: a row that is left out may have hidden others of its unit."""
    homes = np.unique(first.unit[list(rows)]) if rows else np.empty(0, dtype=int)
    columns = np.union1d(needed, reference[np.isin(first.unit[reference], homes)])
    model = replace(first.model, stage="super")
    return replace(first, model=model, columns=columns, screened=np.isin(columns, needed), solved={})


def _descend(
    frontier: _Frontier, work: Iterable[tuple[int, np.ndarray]], present: np.ndarray
) -> Iterable[tuple[int, np.ndarray, float, int]]:
    """Yield row, draws, score and status as programs are found whose peers these draws have."""
    level: dict[Node, list[np.ndarray]] = {}
    for row, draws in work:
        level.setdefault((row, frozenset()), []).append(draws)
    while level:
        _solve(frontier, [node for node in level if node not in frontier.solved])
        below: dict[Node, list[np.ndarray]] = {}
        for (row, removed), parts in level.items():
            draws = np.concatenate(parts)
            score, status, peers = frontier.solved[row, removed]
            absent = ~present[draws][:, peers]
            done = ~absent.any(axis=1)
            yield row, draws[done], score, status
            codes = absent @ (1 << np.arange(peers.size))
            for code in np.unique(codes[~done]):
                lost = peers[(code >> np.arange(peers.size)) & 1 == 1].tolist()
                below.setdefault((row, removed.union(lost)), []).append(draws[codes == code])
        level = below


def _solve(frontier: _Frontier, nodes: list[Node]) -> None:
    """Solve programs, each without the units that it lacks, and keep what they give."""
    home = frontier.unit[frontier.columns]
    for start in range(0, len(nodes), NODES):
        part = nodes[start : start + NODES]
        rows = np.array([row for row, _ in part])
        removed = np.zeros((len(part), int(frontier.unit.max()) + 1), dtype=bool)
        for at, (_, lost) in enumerate(part):
            removed[at, list(lost)] = True
        usable = (frontier.screened | (home == frontier.unit[rows][:, None])) & ~removed[:, home]
        for own in (True, False):
            same = np.flatnonzero((frontier.inside[rows] & (frontier.model.stage == "sbm")) == own)
            if same.size:
                found = _optima(frontier, replace(frontier.model, own=own), rows[same], usable[same])
                frontier.solved.update(zip([part[at] for at in same], found, strict=True))


def _optima(
    frontier: _Frontier, model: Model, rows: np.ndarray, usable: Bool[np.ndarray, "problem column"]
) -> Iterable[tuple[float, int, np.ndarray]]:
    """Return score, status and the units of the peers of each program."""
    width = round_size(frontier.columns.size)
    problems, start = programs(model, frontier.values, rows, frontier.columns, padded=width)
    mask = np.zeros((rows.size, width), dtype=bool)
    mask[:, : frontier.columns.size] = usable
    left_out = np.asarray(problems.left_out)
    left = np.flatnonzero((left_out >= 0) & (model.stage == "super"))
    mask[left, left_out[left]] = False
    # A starting basis may hold a reference unit: one that this program has.
    n_private = problems.private.shape[1]
    start = np.where(start >= n_private, n_private + mask.argmax(axis=1)[:, None], start)
    solution = simplex.solve(replace(problems, usable=mask), start, chunk=frontier.chunk)
    score, status = np.asarray(solution.objective), np.asarray(solution.status)
    # With nobody left to compare with there is no feasible point under variable returns, and no basis to prove it by.
    alone = ~mask.any(axis=1) & (model.returns == "vrs") & (not model.own)
    status = np.where(alone, int(Status.INFEASIBLE), status)
    score = np.where(status == Status.OPTIMAL, score, np.nan)
    basis = np.asarray(solution.basis)
    member = (basis >= n_private) & (np.asarray(solution.value) > PEER) & (status == Status.OPTIMAL)[:, None]
    homes = frontier.unit[frontier.columns[np.clip(basis - n_private, 0, frontier.columns.size - 1)]]
    peers = [
        np.unique(units[chosen & (units != home)])
        for units, chosen, home in zip(homes, member, frontier.unit[rows], strict=True)
    ]
    return zip(score.tolist(), status.tolist(), peers, strict=True)


def _efficient_at_home(
    values: np.ndarray, unit: np.ndarray, reference: np.ndarray, model: Model, *, chunk: int
) -> Bool[np.ndarray, " reference"]:
    """Return which reference rows are efficient among those of their own unit, whatever slacks the model scores."""
    if np.unique(unit[reference]).size == reference.size:
        return np.ones(reference.size, dtype=bool)
    everyone = np.zeros(unit.size, dtype=bool)
    everyone[reference] = True
    nobody = np.zeros(reference.size, dtype=bool)
    home = _Frontier(values, unit, everyone, replace(model, orientation="none"), reference, nobody, chunk)
    _solve(home, [(int(row), frozenset()) for row in reference])
    found = [home.solved[int(row), frozenset()] for row in reference]
    return np.array([score >= SCREEN or status != Status.OPTIMAL for score, status, _ in found])
