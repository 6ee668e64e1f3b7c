"""Outside programs that score the same units one at a time, with one good output.

Each solves a sample, and its time for all units is extrapolated from that.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter, process_time
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from syneff.measure.efficiency import EFFICIENT, Technology

TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
WARM, COLD = 200, 15  # units in a sample: of a model that is used again, of one that is not
Score = Callable[[int], float]


@dataclass(frozen=True)
class Peer:
    """Seconds and CPU seconds that a program takes for all units, and its scores of a sample."""

    seconds: float
    cpu: float
    rows: np.ndarray
    score: np.ndarray


def time_peers(units: Technology) -> dict[str, Peer | None]:
    """Time each peer; None where it is not installed."""
    rows, reference = units.groups[0]
    blocks = [np.asarray(each)[reference] for each in (units.inputs, units.good, units.bad)]
    # Groups have the same size: one stands for all. A unit's number in its own group is its place there.
    group = Technology(*blocks, returns=units.returns)
    highs = find_spec("highspy") is not None
    if highs:
        import_module("highspy")  # the time of the import is nobody's
    times = len(units.groups)
    return {
        "highspy, warm": sampled(lambda: two_stages(group), rows, WARM, times) if highs else None,
        "highspy, cold": sampled(lambda: rebuilt(group), rows, COLD, times) if highs else None,
        "linprog": sampled(lambda: lambda row: linprog_score(group, row), rows, COLD, times),
        "DEAPack": deapack(group, rows, times) if find_spec("deapack") else None,
    }


def sampled(build: Callable[[], Score], rows: np.ndarray, count: int, times: int) -> Peer:
    """Time the building once and the scores of a sample, spread evenly; extrapolate to all rows, and to all groups."""
    began, cpu = perf_counter(), process_time()
    score = build()
    built, built_cpu = perf_counter() - began, process_time() - cpu
    sample = np.unique(np.linspace(0, rows.size - 1, count).astype(int))
    began, cpu = perf_counter(), process_time()
    found = np.array([score(row) for row in sample])
    share = rows.size / sample.size
    seconds = built + share * (perf_counter() - began)
    return Peer(times * seconds, times * (built_cpu + share * (process_time() - cpu)), rows[sample], found)


def two_stages(units: Technology) -> Score:
    """Return a scorer that keeps one `HighsModel` for each stage."""
    plain, beyond = HighsModel(units, super_efficiency=False), HighsModel(units, super_efficiency=True)

    def score(row: int) -> float:
        first = plain.score(row)
        return first if first < EFFICIENT else beyond.score(row)

    return score


def rebuilt(units: Technology) -> Score:
    """Return a scorer that builds each model anew."""

    def score(row: int) -> float:
        first = HighsModel(units, super_efficiency=False).score(row)
        return first if first < EFFICIENT else HighsModel(units, super_efficiency=True).score(row)

    return score


class HighsModel:
    """One stage as a `highspy` model that is changed from unit to unit where it must be; HiGHS starts from its last basis.

    The columns are t, the slacks divided by the unit's own values, and the intensities, scaled by their units' sizes.
    """

    def __init__(self, units: Technology, *, super_efficiency: bool) -> None:
        import highspy

        data = np.concatenate([np.asarray(each) for each in (units.inputs, units.good, units.bad)], axis=1)
        self.inputs, self.data, self.units = units.inputs.shape[1], data.shape[1], data.shape[0]
        self.size = np.exp(np.log(data).mean(axis=1))
        self.own = data / self.size[:, None]
        self.side = np.where(np.arange(self.data) == self.inputs, -1.0, 1.0)  # which way a row is bounded
        self.sign = -1.0 if super_efficiency else 1.0
        self.vrs, self.super_efficiency, self.last = units.returns == "vrs", super_efficiency, 0
        self.solver, self.optimal = highspy.Highs(), highspy.HighsModelStatus.kOptimal
        for name, value in {"output_flag": False, "threads": 1, **TIGHT}.items():
            self.solver.setOptionValue(name, value)
        self.solver.passModel(self._program(highspy))

    def _rows(self) -> np.ndarray:
        """Return the rows: one a datum, the normalisation, the good output not below 0 (second stage), returns (variable)."""
        k, n = self.data, self.units
        rows = np.hstack([-np.ones((k, 1)), np.diag(self.sign * self.side), self.own.T])
        share = np.where(np.arange(k) < self.inputs, 0.0, self.sign / (k - self.inputs))
        last = [np.concatenate([[1.0], share, np.zeros(n)])]
        if self.super_efficiency:
            last.append(np.concatenate([[-1.0], np.eye(k)[self.inputs], np.zeros(n)]))
        if self.vrs:
            last.append(np.concatenate([[-1.0], np.zeros(k), 1.0 / self.size]))
        return np.vstack([rows, *last])

    def _program(self, highspy: Any) -> Any:
        """Return the model as HiGHS takes it."""
        matrix = self._rows()
        height, width = matrix.shape
        bound = np.zeros(height)
        if self.super_efficiency:
            bound[: self.data], bound[self.data + 1] = self.side, 1.0
        right = np.eye(height)[self.data]
        cost = np.concatenate(
            [[1.0], np.full(self.inputs, -self.sign / self.inputs), np.zeros(width - 1 - self.inputs)]
        )
        program = highspy.HighsLp()
        program.num_col_, program.num_row_, program.col_cost_ = width, height, cost
        program.col_lower_, program.col_upper_ = np.zeros(width), np.full(width, np.inf)
        program.row_lower_, program.row_upper_ = (
            np.where(bound > 0, -np.inf, right),
            np.where(bound < 0, np.inf, right),
        )
        column, row = np.nonzero(matrix.T)
        program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        program.a_matrix_.start_ = np.searchsorted(column, np.arange(width + 1)).astype(np.int32)
        program.a_matrix_.index_, program.a_matrix_.value_ = row.astype(np.int32), matrix.T[column, row]
        return program

    def score(self, row: int) -> float:
        """Solve the program of a unit; NaN where it has no optimum."""
        for at, value in enumerate(self.own[row]):
            self.solver.changeCoeff(at, 0, -value)
            self.solver.changeCoeff(at, 1 + at, self.sign * self.side[at] * value)
        if self.vrs:
            self.solver.changeCoeff(self.solver.getNumRow() - 1, 0, -1.0 / self.size[row])
        if self.super_efficiency:
            self.solver.changeColBounds(1 + self.data + self.last, 0.0, np.inf)
            self.solver.changeColBounds(1 + self.data + row, 0.0, 0.0)
            self.last = row
        self.solver.run()
        optimal = self.solver.getModelStatus() == self.optimal
        return float(self.solver.getInfo().objective_function_value) if optimal else float("nan")


class Enough(Exception):
    """Raised when the sample is solved."""


def deapack(units: Technology, rows: np.ndarray, times: int) -> Peer:
    """Time the SBM of DEAPack, which has no Super-SBM with bad outputs: its solver stops it after the first units."""
    from deapack import DEAData, UndesirableSBM
    from deapack.solvers import SciPyHiGHSSolver

    class Sampler(SciPyHiGHSSolver):
        score: ClassVar[list[float]] = []
        clock: ClassVar[list[tuple[float, float]]] = []

        def solve(self, problem: Any) -> Any:
            self.clock.append((perf_counter(), process_time()))
            if len(self.score) == COLD:
                raise Enough
            solution = super().solve(problem)
            self.score.append(float("nan") if solution.objective is None else solution.objective)
            return solution

    blocks = {name: np.asarray(getattr(units, name)) for name in ("inputs", "good", "bad")}
    columns = {name: [f"{name}{at}" for at in range(block.shape[1])] for name, block in blocks.items()}
    frame = pd.DataFrame(
        {name: value for key in blocks for name, value in zip(columns[key], blocks[key].T, strict=True)}
    )
    data = DEAData.from_frame(frame, inputs=columns["inputs"], outputs=columns["good"], bad_outputs=columns["bad"])
    with suppress(Enough):
        UndesirableSBM(returns_to_scale=units.returns, solver=Sampler()).fit(data)
    seconds, cpu = (times * units.rows / COLD) * (np.array(Sampler.clock[-1]) - Sampler.clock[0])
    return Peer(float(seconds), float(cpu), rows[:COLD], np.array(Sampler.score))


def linprog_score(units: Technology, row: int) -> float:
    """Score one unit in two stages by HiGHS; NaN where the program is infeasible."""
    plain = linprog_program(units, row, super_efficiency=False)
    return plain if plain < EFFICIENT else linprog_program(units, row, super_efficiency=True)


def linprog_program(units: Technology, row: int, *, super_efficiency: bool) -> float:
    """Solve one program in t, the slacks of x, y and b, and the intensities, which are scaled by their unit's size."""
    data = np.concatenate([np.asarray(each) for each in (units.inputs, units.good, units.bad)], axis=1)
    m, k = units.inputs.shape[1], data.shape[1]
    size = np.exp(np.log(data).mean(axis=1))
    ratio = (data / size[:, None]).T * (size[row] / data[row])[:, None]
    sign = -1.0 if super_efficiency else 1.0
    slacks = np.eye(k) * np.where(np.arange(k) == m, -sign, sign)
    rows = np.hstack([-np.ones((k, 1)), slacks, ratio])
    # Super-SBM bounds inputs and the bad output from above and the good output from below.
    below = np.vstack([np.where(np.arange(k) == m, -1.0, 1.0)[:, None] * rows, np.zeros(rows.shape[1])])
    below[-1, [0, 1 + m]] = -1.0, 1.0
    norm = np.concatenate([[1.0], np.zeros(m), np.full(k - m, sign / (k - m)), np.zeros(size.size)])
    cost = np.concatenate([[1.0], np.full(m, -sign / m), np.zeros(k - m + size.size)])
    scale = np.concatenate([[-1.0], np.zeros(k), size[row] / size])[None, :]
    equal = [norm[None, :], *([scale] if units.returns == "vrs" else []), *([] if super_efficiency else [rows])]
    matrix = np.vstack(equal)
    bounds = [(0, None)] * cost.size
    if super_efficiency:
        bounds[1 + k + row] = (0, 0)
    more = {"A_ub": below, "b_ub": np.zeros(k + 1)} if super_efficiency else {}
    answer = linprog(cost, A_eq=matrix, b_eq=np.eye(len(matrix))[0], bounds=bounds, options=TIGHT, **more)
    return float(answer.fun) if answer.status == 0 else float("nan")
