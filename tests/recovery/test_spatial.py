"""Spatial Durbin models recover rho, theta and the indirect effect under each kind of W; the direct likelihood does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from syneff.models.base import Spec
from syneff.panel.panel import Panel
from syneff.spatial.durbin import SpatialDurbin
from syneff.spatial.weights import Weights

pytestmark = pytest.mark.slow

UNITS, PERIODS, DRAWS = 100, 8, 300
RHO, BETA, THETA = 0.3, 1.0, -0.5
RNG = np.random.default_rng(11)
PLACES = RNG.uniform(size=(UNITS, 2))
GAPS = np.linalg.norm(PLACES[:, None] - PLACES[None], axis=2) + np.diag(np.full(UNITS, np.inf))
REACH = max(0.16, GAPS.min(axis=1).max())  # nobody is an island
WEALTH = np.exp(RNG.normal(size=UNITS))
LINKS = {
    "contiguity": (REACH >= GAPS).astype(float),
    "province": np.kron(np.eye(UNITS // 10), np.ones((10, 10))) - np.eye(UNITS),
    "distance": 1 / GAPS,
    "economic": 1 / (np.abs(np.subtract.outer(WEALTH, WEALTH)) + np.diag(np.full(UNITS, np.inf))),
}


def draws(weights: Weights) -> tuple[Panel, np.ndarray]:
    """Return a panel and its outcome in each draw."""
    rng = np.random.default_rng(2)
    first = rng.integers(2, 2 * PERIODS, UNITS)
    treat = (np.arange(PERIODS) >= first[:, None]).astype(float)
    fixed = BETA * treat + THETA * weights.matrix @ treat + rng.normal(size=(UNITS, 1)) + rng.normal(size=PERIODS)
    shocks = 0.5 * rng.normal(size=(DRAWS, UNITS, PERIODS))
    outcomes = np.linalg.solve(np.eye(UNITS) - RHO * weights.matrix, fixed + shocks)
    columns = {"y": outcomes[0], "treat": treat}
    return Panel(weights.units, tuple(range(2000, 2000 + PERIODS)), columns, {}, np.ones_like(treat)), outcomes


@pytest.mark.parametrize("kind", LINKS)
def test_lee_yu_recovers_the_truth(kind):
    weights = Weights.from_dense(LINKS[kind], ids=[f"c{unit}" for unit in range(UNITS)], islands="error")
    panel, outcomes = draws(weights)
    inverse = np.linalg.inv(np.eye(UNITS) - RHO * weights.matrix)
    effects = inverse @ (BETA * np.eye(UNITS) + THETA * weights.matrix)
    indirect = (effects.sum() - np.trace(effects)) / UNITS
    means = {}
    for method in ("lee_yu", "direct"):
        model = SpatialDurbin(Spec("y", "treat"), weights=weights, method=method)
        found = jax.jit(model.fit_outcomes)(model.design(panel), jnp.asarray(outcomes))
        for term, truth in {"rho": RHO, "W_treat": THETA, "indirect:treat": indirect}.items():
            place = found.names.index(term)
            coef, error = np.asarray(found.coef[:, place]), np.asarray(found.std_error[:, place])
            means[method, term] = (coef.mean() - truth) / (coef.std() / np.sqrt(DRAWS))
            if method == "lee_yu":
                covered = (np.abs(coef - truth) < 1.96 * error).mean()
                assert covered > 0.90, f"{term}: {covered:.3f} of intervals hold the truth"
    assert abs(means["lee_yu", "rho"]) < 6
    assert means["direct", "rho"] < -6
    assert abs(means["lee_yu", "rho"]) < abs(means["direct", "rho"]) / 2
