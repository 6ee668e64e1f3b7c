"""Fixed effects and placebo beside `pyfixest`, fitted draw by draw; its time for all draws is extrapolated from a few fits."""

import numpy as np
from rich.table import Table

from benchmarks.result import Result, table, timed
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import ASSIGN, Placebo
from syneff.panel.synthetic import synthetic

PEER_FITS = 5  # of pyfixest; the median counts


def time_did() -> list[Table]:
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
    return [table(results, "pyfixest")]
