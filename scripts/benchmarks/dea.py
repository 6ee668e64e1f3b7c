"""Super-SBM beside `scipy.optimize.linprog` (HiGHS), given the same programs one at a time.

The peer solves a sample of the units, spread evenly; its time for all of them is extrapolated from that.
"""

from dataclasses import replace
from time import perf_counter

import jax
import numpy as np
from scipy.optimize import linprog

from benchmarks.result import Result, timed
from syneff.measure.efficiency import EFFICIENT, Technology, slacks_based
from syneff.numerics.linear_program import Status

TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
SAMPLE = 40  # units that linprog measures
YEAR = np.arange(4828) % 17
SOLVERS = ("interior_point", "simplex")


def time_dea() -> list[Result]:
    """Measure two-stage Super-SBM of city-years: 3 inputs, 1 good and 1 or 2 bad outputs, lognormal."""
    jobs = {
        "284 units, crs": draw_units(284, "crs"),
        "4,828 units, crs": draw_units(4828, "crs"),
        "4,828 units, vrs": draw_units(4828, "vrs"),
        "4,828, crs, 2 bad outputs": draw_units(4828, "crs", bads=2),
        "4,828, crs, dense frontier": draw_units(4828, "crs", dense=True),
        "17 years of 284, crs": replace(draw_units(4828, "crs"), period=YEAR, reference="contemporaneous"),
    }
    results = []
    for job, units in jobs.items():
        sample = np.linspace(0, units.rows - 1, SAMPLE).astype(int)
        began = perf_counter()
        expected = np.array([peer_score(*alone(units, row)) for row in sample])
        peer = (perf_counter() - began) * units.rows / SAMPLE
        for solver in SOLVERS:
            jax.clear_caches()
            cold, _ = timed(lambda units=units, solver=solver: slacks_based(units, solver=solver))
            runs = [timed(lambda units=units, solver=solver: slacks_based(units, solver=solver)) for _ in range(3)]
            warm, ours = float(np.median([seconds for seconds, _ in runs])), runs[0][1]
            error = float(np.nanmax(np.abs(ours.score[sample] - expected)))
            share = float(np.isin(ours.status, (Status.OPTIMAL, Status.INFEASIBLE)).mean())
            results.append(Result(f"{job}, {solver}", warm, cold - warm, peer, error, share))
    return results


def draw_units(rows: int, returns: str, *, bads: int = 1, dense: bool = False) -> Technology:
    """Draw units of different size and efficiency; on a dense frontier, inefficiency is a fraction of a percent."""
    rng = np.random.default_rng(0)
    size = rng.lognormal(size=(rows, 1))
    inputs, good, bad = (size * rng.lognormal(sigma=0.5, size=(rows, width)) for width in (3, 1, bads))
    if dense:
        good = (inputs.prod(axis=1) ** 0.3 * bad[:, 0] ** 0.1)[:, None] * np.exp(
            -np.abs(rng.normal(0, 2e-3, (rows, 1)))
        )
    return Technology(inputs, good, bad, returns=returns)


def alone(units: Technology, row: int) -> tuple[Technology, int]:
    """Return the rows of a unit's own reference set as a technology, and its number there."""
    if units.period is None:
        return units, row
    rows = np.flatnonzero(units.period == units.period[row])
    blocks = [np.asarray(each)[rows] for each in (units.inputs, units.good, units.bad)]
    return Technology(blocks[0], blocks[1], blocks[2], returns=units.returns), int(np.searchsorted(rows, row))


def peer_score(units: Technology, row: int) -> float:
    """Score one unit in two stages by HiGHS; NaN where the program is infeasible."""
    plain = peer_program(units, row, super_efficiency=False)
    return plain if plain < EFFICIENT else peer_program(units, row, super_efficiency=True)


def peer_program(units: Technology, row: int, *, super_efficiency: bool) -> float:
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
