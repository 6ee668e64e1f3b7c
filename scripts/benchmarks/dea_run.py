"""One job of ours in a process of its own: time, CPU time, compilation, memory."""

import os
import resource
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import jax.numpy as jnp
import numpy as np

from syneff.measure.efficiency import slacks_based
from syneff.measure.technology import Technology

RUNS = 3
SCRIPTS = Path(__file__).resolve().parents[1]
COLD = """
from benchmarks.dea import draw_units
from syneff.measure.efficiency import slacks_based
from syneff.runtime import configure
configure()
slacks_based(draw_units(4828, "crs"), solver={solver!r})
"""


@dataclass(frozen=True)
class Run:
    """What a job of ours took: seconds, and megabytes of the whole process and of the job alone."""

    warm: float
    cpu: float
    compile: float
    peak: float
    growth: float
    score: np.ndarray
    status: np.ndarray


def run_alone(units: Technology, solver: str) -> Run:
    """Measure a job in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, units, solver).result()


def run(units: Technology, solver: str) -> Run:
    """Score the units once with compilation, then a few times without; the medians count."""
    jnp.ones(1).block_until_ready()  # JAX's own start is no part of the job
    before = peak_memory()
    seconds, cpu, results = [], [], []
    for _ in range(1 + RUNS):
        began, used = perf_counter(), process_time()
        results.append(slacks_based(units, solver=solver))
        seconds.append(perf_counter() - began)
        cpu.append(process_time() - used)
    warm, peak = float(np.median(seconds[1:])), peak_memory()
    last = results[-1]
    return Run(warm, float(np.median(cpu[1:])), seconds[0] - warm, peak, peak - before, last.score, last.status)


def peak_memory() -> float:
    """Return the largest resident memory of this process so far, in megabytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # what `resource` says may be the parent's
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return float(lines["VmHWM"].split()[0]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024**2 if sys.platform == "darwin" else peak / 1024


def cold_process(solver: str) -> tuple[float, float]:
    """Return the seconds of a process that imports, compiles and scores 4,828 units: without a compilation cache, and with."""
    times = []
    with TemporaryDirectory() as folder:
        paths = os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "XDG_CACHE_HOME": folder, "PYTHONPATH": paths}
        for _ in range(2):
            began = perf_counter()
            subprocess.run([sys.executable, "-c", COLD.format(solver=solver)], env=environment, check=True)
            times.append(perf_counter() - began)
    return times[0], times[1]
