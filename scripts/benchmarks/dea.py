"""Super-SBM beside `scipy.optimize.linprog` (HiGHS), given the same programs one at a time.

The peer solves a sample of the units, spread evenly; its time for all of them is extrapolated from that.
"""

from time import perf_counter

import jax
import numpy as np
from scipy.optimize import linprog

from benchmarks.result import Result, timed
from syneff.measure.efficiency import EFFICIENT, Technology, slacks_based
from syneff.numerics.linear_program import Status

TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
SAMPLE = 40  # units that linprog measures


def time_dea() -> list[Result]:
    """Measure two-stage Super-SBM of city-years: 3 inputs, 1 good and 1 bad output, lognormal, global frontier."""
    results = []
    for rows in (284, 4828):
        for returns in ("crs", "vrs"):
            units = draw_units(rows, returns)
            sample = np.linspace(0, rows - 1, SAMPLE).astype(int)
            began = perf_counter()
            expected = np.array([peer_score(units, row) for row in sample])
            peer = (perf_counter() - began) * rows / SAMPLE
            for solver in ("interior_point", "simplex"):
                jax.clear_caches()
                cold, _ = timed(lambda units=units, solver=solver: slacks_based(units, solver=solver))
                warm, ours = timed(lambda units=units, solver=solver: slacks_based(units, solver=solver))
                error = float(np.nanmax(np.abs(ours.score[sample] - expected)))
                share = float(np.isin(ours.status, (Status.OPTIMAL, Status.INFEASIBLE)).mean())
                results.append(Result(f"{rows} units, {returns}, {solver}", warm, cold - warm, peer, error, share))
    return results


def draw_units(rows: int, returns: str) -> Technology:
    """Draw units of different size and efficiency."""
    rng = np.random.default_rng(0)
    size = rng.lognormal(size=(rows, 1))
    blocks = [size * rng.lognormal(sigma=0.5, size=(rows, width)) for width in (3, 1, 1)]
    return Technology(blocks[0], blocks[1], blocks[2], returns=returns)


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
