"""Two-stage Super-SBM of city-years beside outside programs on the same data; see `dea_peers` for them, `dea_run` for ours."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from rich.progress import track
from rich.table import Table

from benchmarks.dea_peers import Peer, time_peers
from benchmarks.dea_run import Run, cold_process, run_alone
from syneff.measure.technology import Technology
from syneff.numerics.linear_program import Status

SOLVERS = ("interior_point", "simplex")
PEERS = ("highspy, warm", "highspy, cold", "linprog", "DEAPack")


def time_dea() -> list[Table]:
    """Measure 3 inputs, 1 good and 1 bad output unless stated, lognormal, against a global frontier unless stated."""
    jobs = {
        "284 units, crs": draw_units(284, "crs"),
        "1,000 units, crs": draw_units(1000, "crs"),
        "4,828 units, crs": draw_units(4828, "crs"),
        "20,000 units, crs": draw_units(20_000, "crs"),
        "4,828 units, vrs": draw_units(4828, "vrs"),
        "4,828, crs, 2 bads": draw_units(4828, "crs", bads=2),
        "4,828, vrs, 8 inputs, 2 bads": draw_units(4828, "vrs", inputs=8, bads=2),
        "4,828, crs, dense frontier": draw_units(4828, "crs", dense=True),
        "17 years of 284, crs": replace(
            draw_units(4828, "crs"), period=np.arange(4828) % 17, reference="contemporaneous"
        ),
    }
    times, proofs = _tables()
    for job, units in track(jobs.items(), "jobs", total=len(jobs), transient=True):
        peers = time_peers(units)
        for solver in SOLVERS:
            ours = run_alone(units, solver)
            times.add_row(job, solver, *_times(ours, peers))
            proofs.add_row(job, solver, *_proof(ours, peers))
    cold = Table("solver", "no cache, s", "cache, s", title="A whole process: 4,828 units, crs", title_justify="left")
    for solver in SOLVERS:
        cold.add_row(solver, *(f"{each:.1f}" for each in cold_process(solver)))
    return [times, proofs, cold]


def draw_units(rows: int, returns: str, *, inputs: int = 3, bads: int = 1, dense: bool = False) -> Technology:
    """Draw units of different size and efficiency; on a dense frontier, inefficiency is a fraction of a percent."""
    rng = np.random.default_rng(0)
    size = rng.lognormal(size=(rows, 1))
    x, good, bad = (size * rng.lognormal(sigma=0.5, size=(rows, width)) for width in (inputs, 1, bads))
    if dense:
        good = (x.prod(axis=1) ** 0.3 * bad[:, 0] ** 0.1)[:, None] * np.exp(-np.abs(rng.normal(0, 2e-3, (rows, 1))))
    return Technology(x, good, bad, returns=returns)


def _tables() -> tuple[Table, Table]:
    """Return the tables of times and of proofs, empty."""
    times = Table(
        *("job", "solver", "ours, s", "CPU, s", "compile, s", *(f"{name}, s" for name in PEERS)),
        *("CPU: warm / ours", "CPU: linprog / ours"),
        title="Super-SBM; the others' times are extrapolated from samples; DEAPack: SBM alone, its Super-SBM has no bads",
        title_justify="left",
    )
    proofs = Table(
        *("job", "solver", "certified", *(f"error, {name}" for name in PEERS[:3]), "peak, MB", "of which the job, MB"),
        title="Super-SBM; error: largest difference of a score from a peer's; peak: resident memory of the process",
        title_justify="left",
    )
    for each in (times, proofs):
        each.columns[0].no_wrap = each.columns[1].no_wrap = True
    return times, proofs


def _times(ours: Run, peers: Mapping[str, Peer | None]) -> list[str]:
    """Return the cells after job and solver."""

    def ratio(name: str) -> str:
        peer = peers[name]
        return "-" if peer is None else f"{peer.cpu / ours.cpu:.0f} x"

    theirs = ["not installed" if peers[name] is None else f"{peers[name].seconds:.2f}" for name in PEERS]
    return [f"{ours.warm:.3f}", f"{ours.cpu:.2f}", f"{ours.compile:.1f}", *theirs, ratio(PEERS[0]), ratio("linprog")]


def _proof(ours: Run, peers: Mapping[str, Peer | None]) -> list[str]:
    """Return the cells after job and solver."""
    share = np.isin(ours.status, (Status.OPTIMAL, Status.INFEASIBLE)).mean()
    errors = ["-" if peers[name] is None else f"{_error(ours, peers[name]):.0e}" for name in PEERS[:3]]
    return [f"{share:.1%}", *errors, f"{ours.peak:.0f}", f"{ours.growth:.0f}"]


def _error(ours: Run, peer: Peer) -> float:
    """Return the largest difference; infinite where only one of the two has a score."""
    score = ours.score[peer.rows]
    both = np.where(np.isnan(score) & np.isnan(peer.score), 0.0, np.abs(score - peer.score))
    return float(np.nan_to_num(both, nan=np.inf).max())
