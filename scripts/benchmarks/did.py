"""Fixed effects and resampling beside outside programs, which fit draw by draw; their time for all draws is extrapolated.

Peers that are not installed are named and left out. pyfixest pairs the columns of its effects with names through a set, so its
standard errors depend on the process's hash seed: set PYTHONHASHSEED to compare them; coefficients are compared here.
"""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from benchmarks.result import Result, timed
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import PairsBootstrap, Placebo, WildClusterBootstrap
from syneff.panel.panel import Panel
from syneff.panel.synthetic import synthetic

PEER_FITS = 5  # of each program; the median counts
WILD_DRAWS = 9999
CONTROLS = ("pop", "lnpgdp", "gov", "hc", "er", "fdi")
BACKENDS = ("rust", "numba", "jax", "within", "torch")
NAN = float("nan")


def time_did() -> list[Result]:
    """Fit two-way fixed effects with 6 controls on 284 x 17 cells: once, and under every kind of draw, errors clustered."""
    panel = synthetic()
    panel = panel.assign({"y": np.random.default_rng(0).normal(size=panel.shape)})
    model = FixedEffects(Spec("y", "treat", CONTROLS))
    cold, warm, fitted = _time(lambda: model.estimate(panel))
    coef, results, fits = float(fitted.coef[0]), [], []
    for name, fit in _peers(panel):
        seconds, peer = _median(fit, PEER_FITS)
        fits.append(seconds)
        results.append(Result(f"one fit beside {name}", warm, cold - warm, seconds, abs(peer - coef)))
    for job, scheme, draws in _schemes(model):
        cold, warm, _ = _time(lambda scheme=scheme: scheme.estimate(panel), repeats=5 if draws <= 10_000 else 1)
        results.append(Result(f"{job}, pyfixest's best", warm, cold - warm, fits[0] * draws, NAN))
    return [*results, *_wild(panel, model)]


def _schemes(model: FixedEffects) -> Iterator[tuple[str, Any, int]]:
    for draws in (1_000, 10_000, 100_000, 1_000_000):
        yield f"{draws:,} placebo draws", Placebo(model, draws=draws), draws
    yield "1,000 placebo draws of years", Placebo(model, draws=1000, assign="years"), 1000
    yield "1,000 pairs bootstrap draws", PairsBootstrap(model, draws=1000), 1000


def _wild(panel: Panel, model: FixedEffects) -> list[Result]:
    """Time the wild cluster bootstrap beside wildboottest on the panel net of unit means, with dummies of the years."""
    scheme = WildClusterBootstrap(model, draws=WILD_DRAWS)
    cold, warm, estimate = _time(lambda: scheme.estimate(panel))
    job = f"{WILD_DRAWS:,} wild cluster draws"
    if not (_installed("wildboottest") and _installed("statsmodels")):
        return [Result(job, warm, cold - warm, NAN, NAN)]
    from statsmodels.api import OLS
    from wildboottest.wildboottest import wildboottest

    frame = panel.to_frame(sample_only=True)
    years = pd.get_dummies(frame["period"], prefix="year", dtype=float, drop_first=True)
    columns = pd.concat([frame[["y", "treat", *CONTROLS]], years], axis=1)
    within = columns - columns.groupby(frame["unit"]).transform("mean")
    ols = OLS(within["y"], within.drop(columns="y"))

    def call() -> Any:
        return wildboottest(ols, WILD_DRAWS, cluster=frame["unit"], param="treat", show=False)

    timed(call)  # numba compiles
    seconds, theirs = timed(call)
    # The regressors that it sees are as many as reghdfe counts, less one.
    factor = np.sqrt((len(frame) - within.shape[1]) / (len(frame) - within.shape[1] + 1))
    found = float(np.asarray(theirs["statistic"].iloc[0]).ravel()[0])
    error = abs(float(estimate.tests[0].statistic) - found * factor)
    return [Result(f"{job}, wildboottest", warm, cold - warm, seconds, error)]


def _peers(panel: Panel) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yield each program with a function that fits once and returns the coefficient, pyfixest's quickest first."""
    import pyfixest

    frame = panel.to_frame(sample_only=True)
    formula = f"y ~ treat + {' + '.join(CONTROLS)} | period + unit"
    found = []
    for backend in BACKENDS:
        kind = pyfixest.LsmrDemeaner if backend in ("within", "torch") else pyfixest.MapDemeaner
        if backend in ("numba", "jax", "torch") and not _installed(backend):
            continue
        demeaner = kind(backend=backend)

        def fit(demeaner: Any = demeaner) -> float:
            return float(pyfixest.feols(formula, frame, vcov={"CRV1": "unit"}, demeaner=demeaner).coef()["treat"])

        try:
            fit()
        except Exception as error:  # a backend may need a package that only it knows
            Console(stderr=True).print(f"pyfixest ({backend}): {type(error).__name__}: {error}")
            continue
        found.append((_median(fit, PEER_FITS)[0], f"pyfixest ({backend})", fit))
    yield from ((name, fit) for _, name, fit in sorted(found, key=lambda each: each[0]))
    if _installed("linearmodels"):
        from linearmodels import PanelOLS

        indexed = frame.set_index(["unit", "period"])

        def panel_ols() -> float:
            effects = PanelOLS(indexed["y"], indexed[["treat", *CONTROLS]], entity_effects=True, time_effects=True)
            return float(effects.fit(cov_type="clustered", cluster_entity=True).params["treat"])

        yield "linearmodels", panel_ols


def _installed(package: str) -> bool:
    """Say whether a peer is there, and tell if not."""
    try:
        importlib.import_module(package)
    except ImportError:
        Console(stderr=True).print(f"{package}: not installed")
        return False
    return True


def _time(call: Callable[[], Any], repeats: int = 5) -> tuple[float, float, Any]:
    """Return the seconds of the first call, the median of later ones, and the result."""
    cold, found = timed(call)
    return cold, _median(call, repeats)[0], found


def _median(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    seconds, found = zip(*(timed(call) for _ in range(repeats)), strict=True)
    return float(np.median(seconds)), found[-1]
