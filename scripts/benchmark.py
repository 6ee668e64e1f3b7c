"""Time the main computations on this machine, beside an outside program in the same run: `benchmark.py [dea] [did]`.

The peers are `scipy.optimize.linprog` (HiGHS), given the same programs one at a time, and `pyfixest`, fitted draw by draw.
They do a sample of the work; their time for all of it is extrapolated from that, and the table says so.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import jax
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import linprog

from syneff.measure.efficiency import EFFICIENT, Technology, slacks_based
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import ASSIGN, Placebo
from syneff.numerics.linear_program import Status
from syneff.panel.synthetic import synthetic

T = TypeVar("T")
TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
SAMPLE = 40  # units that linprog measures
PEER_FITS = 5  # of pyfixest; the median counts


@dataclass(frozen=True)
class Result:
    """What one job took, and how far its scores are from the peer's."""

    job: str
    warm: float
    compile: float
    peer: float
    error: float
    certified: float | None = None


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


def time_did() -> list[Result]:
    """Fit two-way fixed effects with 6 controls on 284 x 17 cells, once and under 1,000 placebo treatments."""
    import pyfixest

    panel = synthetic()
    panel = panel.assign({"y": np.random.default_rng(0).normal(size=panel.shape)})
    controls = ("pop", "lnpgdp", "gov", "hc", "er", "fdi")
    model = FixedEffects(Spec("y", "treat", controls))
    formula = f"y ~ treat + {' + '.join(controls)} | period + unit"
    peers = []
    for _ in range(PEER_FITS):
        peer, fitted = timed(lambda: pyfixest.feols(formula, panel.to_frame(), vcov={"CRV1": "unit"}))
        peers.append(peer)
    jobs = {
        "one fit, panel to estimate": (model, 1),
        **{f"1,000 draws, {a}": (Placebo(model, assign=a), 1000) for a in ASSIGN},
    }
    results = []
    for job, (estimator, fits) in jobs.items():
        cold, estimate = timed(lambda estimator=estimator: estimator.estimate(panel))
        warm = float(np.median([timed(lambda estimator=estimator: estimator.estimate(panel))[0] for _ in range(5)]))
        error = abs(float(estimate.coef[0]) - float(fitted.coef()["treat"]))
        results.append(Result(job, warm, cold - warm, float(np.median(peers)) * fits, error))
    return results


def draw_units(rows: int, returns: str) -> Technology:
    """Draw units of different size and efficiency."""
    rng = np.random.default_rng(0)
    size = rng.lognormal(size=(rows, 1))
    blocks = [size * rng.lognormal(sigma=0.5, size=(rows, width)) for width in (3, 1, 1)]
    return Technology(blocks[0], blocks[1], blocks[2], returns=returns)


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that a call takes, with its result."""
    began = perf_counter()
    result = function()
    return perf_counter() - began, result


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


def table(results: list[Result], peer: str) -> Table:
    """Lay the results out."""
    names = ("job", "ours, s", "compile, s", f"{peer}, s", "ratio", "error", "certified")
    shown = Table(*names, title=f"{peer}: extrapolated from a sample; error: against it", title_justify="left")
    shown.columns[0].no_wrap = True
    for each in results:
        ratio = each.peer / each.warm
        cells = (f"{each.warm:.3f}", f"{each.compile:.1f}", f"{each.peer:.2f}", f"{ratio:.0f} x", f"{each.error:.0e}")
        shown.add_row(each.job, *cells, "" if each.certified is None else f"{each.certified:.1%}")
    return shown


SUBJECTS: dict[str, tuple[Callable[[], list[Result]], str]] = {
    "dea": (time_dea, "linprog"),
    "did": (time_did, "pyfixest"),
}


def main() -> None:
    """Time the subjects that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"any of {', '.join(SUBJECTS)}; all if none")
    asked = parser.parse_args().subjects or list(SUBJECTS)
    for name in asked:
        if name not in SUBJECTS:
            parser.error(f"unknown subject {name!r}; allowed: {', '.join(SUBJECTS)}")
        measure, peer = SUBJECTS[name]
        Console(width=120).print(table(measure(), peer))


if __name__ == "__main__":
    main()
