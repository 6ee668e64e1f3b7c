"""Fixed effects and resampling beside outside programs, which fit draw by draw; their time for all draws is extrapolated.

Peers that are not installed are named and left out. pyfixest pairs the columns of its effects with names through a set, so its
standard errors depend on the process's hash seed: set PYTHONHASHSEED to compare them; coefficients are compared here.
"""

import contextlib
import importlib
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.result import Result, table, timed
from syneff.models.base import Spec
from syneff.models.contrasts import Contrast
from syneff.models.fixed_effects import FixedEffects
from syneff.models.matching import MatchedBootstrap, Matching
from syneff.models.resampling import PairsBootstrap, Placebo, WildClusterBootstrap
from syneff.models.staggered.callaway_santanna import CallawaySantAnna
from syneff.panel.panel import Panel
from syneff.panel.synthetic import synthetic

PEER_FITS = 5  # of each program; the median counts
WILD_DRAWS = 9999
MULTIPLIER_DRAWS = 999
MISSING = 0.1  # share of the rows
CONTROLS = ("pop", "lnpgdp", "gov", "hc", "er", "fdi")
BACKENDS = ("rust", "numba", "jax", "within", "torch")
NAN = float("nan")


def time_did() -> list[Table]:
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
    for job, scheme, draws, sample in _schemes(model, panel):
        cold, warm, _ = _time(
            lambda scheme=scheme, sample=sample: scheme.estimate(sample), repeats=5 if draws <= 10_000 else 1
        )
        results.append(Result(f"{job}, pyfixest's best", warm, cold - warm, fits[0] * draws, NAN))
    return [table([*results, *_wild(panel, model), *_group_time(panel)], "peer")]


def _schemes(model: FixedEffects, panel: Panel) -> Iterator[tuple[str, Any, int, Panel]]:
    for draws in (1_000, 10_000, 100_000, 1_000_000):
        yield f"{draws:,} placebo draws", Placebo(model, draws=draws), draws, panel
    gaps = panel.reweight(panel.weights * (np.random.default_rng(1).uniform(size=panel.shape) >= MISSING))
    yield "1,000 placebo draws, a tenth of the rows missing", Placebo(model, draws=1000), 1000, gaps
    yield "1,000 placebo draws of years", Placebo(model, draws=1000, assign="years"), 1000, panel
    yield "1,000 pairs bootstrap draws", PairsBootstrap(model, draws=1000), 1000, panel
    yield "1,000 permutations of a split, two fits each", Contrast(model, "key_environment", draws=1000), 2000, panel
    matched = MatchedBootstrap(model, Matching(CONTROLS), draws=1000)
    yield "1,000 bootstrap draws through matching, 17 logits each", matched, 1000, panel


def _wild(panel: Panel, model: FixedEffects) -> list[Result]:
    """Time the wild cluster bootstrap beside wildboottest on the panel net of unit means, with dummies of the years."""
    scheme = WildClusterBootstrap(model, draws=WILD_DRAWS)
    cold, warm, estimate = _time(lambda: scheme.estimate(panel))
    job = f"{WILD_DRAWS:,} wild cluster draws"
    two_way = WildClusterBootstrap(FixedEffects(replace(model.spec, cluster=("unit", "period"))), draws=WILD_DRAWS)
    cold_two, warm_two, _ = _time(lambda: two_way.estimate(panel))
    others = [Result(f"{job}, two-way clusters", warm_two, cold_two - warm_two, NAN, NAN)]
    if not (_installed("wildboottest") and _installed("statsmodels")):
        return [Result(job, warm, cold - warm, NAN, NAN), *others]
    from statsmodels.api import OLS
    from wildboottest.wildboottest import wildboottest

    frame = panel.to_frame(sample_only=True)
    years = pd.get_dummies(frame["period"], prefix="year", dtype=float, drop_first=True)
    columns = pd.concat([frame[["y", "treat", *CONTROLS]], years], axis=1)
    units = pd.factorize(frame["unit"])[0]  # it takes numbers only
    within = columns - columns.groupby(frame["unit"]).transform("mean")
    ols = OLS(within["y"], within.drop(columns="y"))

    def call() -> Any:
        return wildboottest(ols, WILD_DRAWS, cluster=units, param="treat", show=False)

    timed(call)  # numba compiles
    seconds, theirs = timed(call)
    # The regressors that it sees are as many as reghdfe counts, less one.
    factor = np.sqrt((len(frame) - within.shape[1]) / (len(frame) - within.shape[1] + 1))
    found = float(np.asarray(theirs["statistic"].iloc[0]).ravel()[0])
    error = abs(float(estimate.tests[0].statistic) - found * factor)
    return [Result(f"{job}, wildboottest", warm, cold - warm, seconds, error), *others]


def _group_time(panel: Panel) -> list[Result]:
    """Time group-time effects, all averages and the multiplier bootstrap beside two programs that do the same."""
    model = CallawaySantAnna(Spec("y", "treat"), draws=MULTIPLIER_DRAWS)
    cold, warm, estimate = _time(lambda: model.estimate(panel))
    simple = float(estimate.coef[0])
    job = f"Callaway-Sant'Anna, {MULTIPLIER_DRAWS} multiplier draws"
    frame = panel.to_frame(sample_only=True)[["unit", "period", "y", "treat"]]
    treated = frame[frame["treat"] > 0].groupby("unit")["period"].min()
    frame["cohort"] = frame["unit"].map(treated).fillna(0).astype(int)
    frame["unit"] = pd.factorize(frame["unit"])[0]
    results = []
    for name, package, call in (("diff-diff", "diff_diff", _diff_diff), ("csdid", "csdid", _csdid)):
        if _installed(package):
            call(frame)  # numba compiles
            seconds, theirs = _median(lambda call=call: call(frame), PEER_FITS)
            results.append(Result(f"{job}, {name}", warm, cold - warm, seconds, abs(theirs - simple)))
    covariates = replace(model, spec=Spec("y", "treat", CONTROLS), method="dr")
    cold_dr, warm_dr, _ = _time(lambda: covariates.estimate(panel))
    plain = [] if results else [Result(job, warm, cold - warm, NAN, NAN)]
    return [*plain, *results, Result(f"{job}, doubly robust with 6 controls", warm_dr, cold_dr - warm_dr, NAN, NAN)]


def _diff_diff(frame: pd.DataFrame) -> float:
    from diff_diff import CallawaySantAnna as Peer

    peer = Peer(estimation_method="reg", n_bootstrap=MULTIPLIER_DRAWS, seed=0)
    return float(peer.fit(frame, "y", "unit", "period", "cohort", aggregate="all").overall_att)


def _csdid(frame: pd.DataFrame) -> float:
    from csdid.att_gt import ATTgt

    with contextlib.redirect_stdout(io.StringIO()):
        names = {"yname": "y", "gname": "cohort", "idname": "unit", "tname": "period", "xformla": "y~1"}
        fit = ATTgt(**names, data=frame, biters=MULTIPLIER_DRAWS).fit(est_method="reg", bstrap=True)
        for kind in ("dynamic", "group", "calendar", "simple"):
            fit = fit.aggte(typec=kind, bstrap=True, biters=MULTIPLIER_DRAWS)
    return float(fit.atte["overall_att"])


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
