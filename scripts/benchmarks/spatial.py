"""Spatial Durbin models beside spreg, which fits one at a time; its time for all draws is extrapolated.

spreg runs in the interpreter that SYNEFF_PEERS names, or in this one. Its maximum likelihood has unit effects, so the fits
beside it have those alone; everything else is two-way by Lee and Yu. Times are medians after compilation.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.result import Result, table, timed
from syneff.models.base import Spec, jit_fit
from syneff.models.resampling import Placebo
from syneff.panel.panel import Panel
from syneff.panel.synthetic import synthetic
from syneff.runtime import computing_devices
from syneff.spatial.diagnostics import SpatialDiagnostics
from syneff.spatial.durbin import SpatialDurbin
from syneff.spatial.lagrange import lm_tests
from syneff.spatial.weights import Weights

CONTROLS = ("pop", "lnpgdp", "gov", "hc", "er", "fdi")
SPEC = Spec("y", "treat", CONTROLS)
DRAWS = 1000
REPEATS = 5
NAN = float("nan")
PEER = """
import sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
from libpysal.weights import full2W
from spreg import ML_LagFE, panel_LMlag
parts = np.load(sys.argv[1])
w = full2W(parts["w"])
times = []
for _ in range(3):
    began = time.perf_counter()
    fit = ML_LagFE(parts["y"], parts["x"], w, slx_lags=1)
    times.append(time.perf_counter() - began)
began = time.perf_counter()
panel_LMlag(parts["y"], parts["x"], w)
print(np.median(times), time.perf_counter() - began, float(fit.rho), float(fit.std_err[-1]))
"""


def time_spatial() -> list[Table]:
    """Fit spatial Durbin models with 6 controls on 284 x 17 cells with dense weights; then grow units and periods."""
    panel, weights = _panel(284, 17), _dense(284)
    model = SpatialDurbin(SPEC, weights=weights)
    results = [_one_fit(model, panel)]
    fit, lm, error = _spreg(panel, weights)
    results.append(
        replace(_one_fit(_with_units(weights), panel, "one fit, unit effects, direct"), peer=fit, error=error)
    )
    results.append(_timed("one estimate with details and notes", lambda: model.estimate(panel)))
    results.append(replace(_timed("LM tests", lambda: lm_tests(panel, SPEC, weights)), peer=lm))
    results.append(replace(_batch(model, panel), peer=fit * DRAWS))
    placebo = Placebo(model, draws=DRAWS)
    results.append(
        replace(_timed(f"{DRAWS:,} placebo fits, drawn and tested", lambda: placebo.estimate(panel)), peer=fit * DRAWS)
    )
    results.append(_timed("Table 12: 4 W, all tests, all methods", lambda: _table12(panel)))
    device = computing_devices()[0].device_kind
    return [table(results, f"spreg ({device})"), table(list(_growth()), "growth: no peer")]


def _one_fit(model: SpatialDurbin, panel: Panel, job: str = "one fit, two-way, Lee-Yu") -> Result:
    design = model.design(panel)
    return _timed(f"{job}, with standard errors", lambda: jax.block_until_ready(jit_fit(model, design)))


def _with_units(weights: Weights) -> SpatialDurbin:
    return SpatialDurbin(replace(SPEC, effects=("unit",)), weights=weights, method="direct")


def _batch(model: SpatialDurbin, panel: Panel) -> Result:
    design, rng = model.design(panel), np.random.default_rng(1)
    first = rng.permuted(np.tile(np.arange(284), (DRAWS, 1)), axis=1)
    treatments = jnp.asarray((first[:, :, None] < 75) * (np.arange(17) > 8) * 1.0)
    fit = jax.jit(model.fit_treatments)
    return _timed(f"{DRAWS:,} fits of placebo treatments", lambda: jax.block_until_ready(fit(design, treatments)))


def _table12(panel: Panel) -> Any:
    rng, found = np.random.default_rng(2), []
    for power in (0.5, 1.0, 1.5, 2.0):
        weights = _dense(284, power, rng)
        found.append(SpatialDiagnostics(SpatialDurbin(SPEC, weights=weights)).estimate(panel))
    return found


def _growth() -> Iterator[Result]:
    """Yield decomposition and fit as units, then periods, grow."""
    for units, periods in ((46, 17), (284, 17), (1000, 17), (3000, 17), (284, 5), (284, 50), (284, 100)):
        panel = _panel(units, periods)
        seconds, weights = timed(lambda units=units: _decomposed(units))
        model = SpatialDurbin(Spec("y", "treat", ("x",)), weights=weights)
        design = model.design(panel)
        job = f"N = {units:,}, T = {periods}: fit (decomposition once a W: {seconds:.2f} s)"
        yield _timed(job, lambda model=model, design=design: jax.block_until_ready(jit_fit(model, design)))


def _decomposed(units: int) -> Weights:
    weights = _dense(units)
    assert weights.spectrum.is_real
    return weights


def _panel(units: int, periods: int) -> Panel:
    """Return a panel of noise: the country of the tests at its own size, plain columns at others."""
    rng = np.random.default_rng(0)
    if (units, periods) == (284, 17):
        panel = synthetic()
        return panel.assign({"y": rng.normal(size=panel.shape), "x": rng.normal(size=panel.shape)})
    treat = np.zeros((units, periods))
    treat[: units // 4, periods // 2 :] = 1.0
    columns = {"y": rng.normal(size=treat.shape), "treat": treat, "x": rng.normal(size=treat.shape)}
    return Panel(_names(units), tuple(range(2004, 2004 + periods)), columns, {}, np.ones_like(treat))


def _dense(units: int, power: float = 1.0, rng: np.random.Generator | None = None) -> Weights:
    """Return inverse distances of random places."""
    places = (rng or np.random.default_rng(3)).uniform(size=(units, 2))
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    return Weights.from_dense(1.0 / gaps**power, ids=_names(units))


def _names(units: int) -> tuple[object, ...]:
    """Return the names of the synthetic cities where there are as many, numbers elsewhere."""
    return synthetic().units if units == 284 else tuple(range(units))


def _spreg(panel: Panel, weights: Weights) -> tuple[float, float, float]:
    """Return spreg's seconds of a fit and of a test, and the largest difference in rho and its error."""
    estimate = _with_units(weights).estimate(panel)
    place = estimate.names.index("rho")
    ours = (float(estimate.coef[place]), float(estimate.std_error[place]))
    columns = np.stack([panel.column(name).T.ravel() for name in SPEC.regressors], axis=1)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "parts.npz"
        np.savez(path, y=panel.column("y").T.reshape(-1, 1), x=columns, w=weights.matrix)
        command = [os.environ.get("SYNEFF_PEERS", sys.executable), "-c", PEER, str(path)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        Console(stderr=True).print(f"spreg: {done.stderr.strip().splitlines()[-1]}")
        return NAN, NAN, NAN
    fit, lm, rho, error = (float(each) for each in done.stdout.split()[-4:])
    return fit, lm, max(abs(ours[0] - rho), abs(ours[1] - error))


def _timed(job: str, call: Callable[[], Any]) -> Result:
    cold, _ = timed(call)
    warm = float(np.median([timed(call)[0] for _ in range(REPEATS)]))
    return Result(job, warm, cold - warm, NAN, NAN)
