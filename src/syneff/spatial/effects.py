r"""Effects of a spatial model beyond their averages: by order of neighbour, by unit, by distance; simulated errors.

The effects of regressor *r* are a matrix, :math:`S = R (\beta_r I + \theta_r W)` with
:math:`R = I + \rho W + \rho^2 W^2 + ...`: element *ij* is what a unit more in *j* does to the outcome
of *i*. Its average diagonal is the direct effect and its average off-diagonal row sum the indirect one
(`syneff.numerics.spatial_effects`); here the same matrix is cut in other ways.

The partition by order takes the series apart; it converges slowly where :math:`|\rho|` is large, so the last row holds what is
left. Feedback through neighbours is part of the direct effects of orders 2 and more.

References
----------
LeSage, J. and Pace, R. K. (2009). Introduction to Spatial Econometrics. CRC Press. https://doi.org/10.1201/9781420064254
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import stats

from syneff.models.base import Estimate
from syneff.numerics.dependence import great_circle
from syneff.numerics.network import Network
from syneff.numerics.spatial_effects import KINDS, average_effects, multipliers
from syneff.panel.panel import Panel
from syneff.spatial.layout import Layout
from syneff.spatial.weights import Weights
from syneff.typing import Array, Float, Key

ORDERS = 10
"""Orders of neighbours shown one by one."""
BANDS = 25
"""Bands of distance at most."""
NORMAL = float(stats.norm.ppf(0.975))


def details_of(
    estimate: Estimate, layout: Layout, weights: Weights, panel: Panel, coordinates: tuple[str, str]
) -> dict[str, pd.DataFrame]:
    """Return the frames that belong to a single fit: ``effects_by_order``, ``effects_by_unit``, ``effects_by_distance``.

    Parameters
    ----------
    estimate, layout
        The fit, and its terms.
    weights, panel
        W, and the panel that it belongs to.
    coordinates
        The traits that hold latitude and longitude; without them there is no frame by distance.
    """
    treatment = layout.regressors[0]
    if not layout.has_effects or not np.isfinite(float(estimate.coef[estimate.names.index(f"total:{treatment}")])):
        return {}
    frames = {
        "effects_by_order": effects_by_order(estimate, layout, weights),
        "effects_by_unit": effects_by_unit(estimate, layout, weights, treatment),
    }
    if all(name in panel.traits for name in coordinates):
        rows = weights.rows(panel)
        latitude, longitude = (panel.traits[name][rows].astype(float) for name in coordinates)
        if np.isfinite(latitude).all() and np.isfinite(longitude).all():
            distances = np.asarray(great_circle(jnp.asarray(latitude), jnp.asarray(longitude)))
            frames["effects_by_distance"] = effects_by_distance(estimate, layout, weights, distances, treatment)
    return frames


def effects_by_order(estimate: Estimate, layout: Layout, weights: Weights, orders: int = ORDERS) -> pd.DataFrame:
    r"""Take the effects of each regressor apart by order of neighbour.

    .. math:: S = \sum_q \rho^q (\beta W^q + \theta W^{q+1})

    Parameters
    ----------
    estimate, layout, weights
        The fit, its terms and W.
    orders
        Orders shown, from 0.

    Returns
    -------
    pandas.DataFrame
        Columns term, order ("0", "1", ..., then "rest"), kind, estimate, std_error (delta method); a row a kind of effect.
    """
    traces, sums = _powers(weights, orders)
    rho, order = _parameters(estimate, layout, layout.regressors[0])[0][2], np.arange(orders)
    power, slope = rho**order, order * rho ** np.maximum(order - 1, 0)
    # Direct and total; by order, of R and RW and of their slopes.
    series = np.stack([np.stack([each[:-1], each[1:]]) for each in (traces, sums)], axis=-1)
    shown = np.concatenate([power[None, :, None] * series, slope[None, :, None] * series])
    whole = _Kernels.of(rho, weights).cut(lambda matrix: np.stack([np.trace(matrix), matrix.sum()]))
    pieces = np.concatenate([shown, (whole - shown.sum(1))[:, None]], axis=1)
    pieces = np.stack([pieces[..., 0], pieces[..., 1] - pieces[..., 0], pieces[..., 1]], axis=-1)
    labels = [*map(str, range(orders)), "rest"]
    frames = []
    for name in layout.regressors:
        values, cov = _parameters(estimate, layout, name)
        found = _with_slopes(values, pieces)
        frames.append(
            pd.DataFrame(
                {
                    "term": name,
                    "order": np.repeat(labels, len(KINDS)),
                    "kind": np.tile(KINDS, len(labels)),
                    "estimate": found[0].ravel(),
                    "std_error": _errors(found[1:], cov).ravel(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def effects_by_unit(estimate: Estimate, layout: Layout, weights: Weights, name: str) -> pd.DataFrame:
    """Return each unit's own effect of a regressor, what it receives from all others, and what it sends to them.

    Returns
    -------
    pandas.DataFrame
        Columns unit, own, received, sent.
    """
    effects = effect_matrix(_parameters(estimate, layout, name)[0], weights)
    own = np.diagonal(effects)
    received, sent = effects.sum(1) - own, effects.sum(0) - own
    return pd.DataFrame({"unit": [str(unit) for unit in weights.units], "own": own, "received": received, "sent": sent})


def effects_by_distance(
    estimate: Estimate, layout: Layout, weights: Weights, distances: Float[np.ndarray, "unit unit"], name: str
) -> pd.DataFrame:
    """Return the indirect effect that comes from within each distance, cumulated.

    Parameters
    ----------
    estimate, layout, weights
        The fit, its terms and W.
    distances
        ``[unit unit]``: kilometres, in the order of W.
    name
        The regressor.

    Returns
    -------
    pandas.DataFrame
        Columns term, distance_km, estimate, std_error (delta method), conf_low, conf_high, share of the indirect effect.
    """
    values, cov = _parameters(estimate, layout, name)
    edges = _edges(float(distances.max()))
    band = np.minimum(np.searchsorted(edges, distances), len(edges) - 1)
    others = ~np.eye(len(distances), dtype=bool)

    def cumulated(matrix: np.ndarray) -> np.ndarray:
        return np.cumsum(np.bincount(band[others], weights=matrix[others], minlength=len(edges)))

    found = _with_slopes(values, _Kernels.of(values[2], weights).cut(cumulated))
    effect, error = found[0], _errors(found[1:], cov)
    return pd.DataFrame(
        {
            "term": name,
            "distance_km": edges,
            "estimate": effect,
            "std_error": error,
            "conf_low": effect - NORMAL * error,
            "conf_high": effect + NORMAL * error,
            "share": effect / effect[-1],
        }
    )


def effect_matrix(values: Float[np.ndarray, "3"], weights: Weights) -> Float[np.ndarray, "unit unit"]:
    """Return S of a regressor, given its beta, theta and rho."""
    beta, theta, rho = values
    identity = np.eye(len(weights.matrix))
    return np.linalg.solve(identity - rho * weights.matrix, beta * identity + theta * weights.matrix)


def simulated(estimate: Estimate, layout: Layout, network: Network, *, draws: int, key: Key) -> Estimate:
    """Replace the covariance of effects by that of effects at parameters drawn from their normal distribution.

    Draws of rho outside the bounds are left out, and counted in ``simulations_failed``.

    Parameters
    ----------
    estimate, layout, network
        The fit, its terms and W.
    draws
        How many to draw.
    key
        Random key.
    """
    drawn_names = [
        name for name in (*layout.coefficients, "rho") if np.isfinite(estimate.coef[estimate.names.index(name)])
    ]
    places = np.asarray([estimate.names.index(name) for name in drawn_names])
    mean, cov = estimate.coef[places], estimate.cov[places[:, None], places[None, :]]
    sample = jax.random.multivariate_normal(key, mean, cov, (draws,))
    rho = sample[:, -1]
    usable = np.asarray((rho > network.lower) & (rho < network.upper))
    where = np.asarray([layout.coefficients.index(name) for name in drawn_names[:-1]])
    coef = jnp.zeros((draws, len(layout.coefficients))).at[:, where].set(sample[:, :-1])
    own, lags = layout.places(layout.regressors)

    def each(pair: tuple[Array, Array]) -> Array:
        return average_effects(pair[0], own, lags, multipliers(network, pair[1]))[0]

    effects = np.asarray(jax.lax.map(each, (coef, jnp.where(jnp.asarray(usable), rho, 0.0))))
    first = len(layout.coefficients) + len(layout.spatial)
    joint = np.cov(np.concatenate([np.asarray(sample), effects], axis=1)[usable], rowvar=False)
    columns = [*places.tolist(), *range(first, first + effects.shape[1])]
    changed = np.array(estimate.cov)
    for i, row in enumerate(columns):
        for j, column in enumerate(columns):
            if (row >= first or column >= first) and np.isfinite(changed[row, column]):
                changed[row, column] = joint[i, j]
    failed = jnp.asarray(float(draws - usable.sum()))
    return replace(estimate, cov=jnp.asarray(changed), stats={**estimate.stats, "simulations_failed": failed})


def _parameters(estimate: Estimate, layout: Layout, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return beta, theta and rho of a regressor, 0 where the model has none, and their covariance."""
    values, cov = np.zeros(3), np.zeros((3, 3))
    found = [
        (place, estimate.names.index(term))
        for place, term in enumerate((name, f"W_{name}", "rho"))
        if term in (*layout.coefficients, *layout.spatial)
    ]
    for row, i in found:
        values[row] = float(estimate.coef[i])
        for column, j in found:
            cov[row, column] = float(estimate.cov[i, j])
    return values, cov


@dataclass(frozen=True)
class _Kernels:
    """R = (I - rho W)^-1 and RW, and their derivatives with respect to rho: one system is solved for all regressors."""

    inverse: Float[np.ndarray, "unit unit"]
    lag: Float[np.ndarray, "unit unit"]
    inverse_slope: Float[np.ndarray, "unit unit"]
    lag_slope: Float[np.ndarray, "unit unit"]

    @classmethod
    def of(cls, rho: float, weights: Weights) -> "_Kernels":
        identity = np.eye(len(weights.matrix))
        lag = np.linalg.solve(identity - rho * weights.matrix, weights.matrix)
        square = lag @ lag
        return cls(identity + rho * lag, lag, lag + rho * square, square)

    def cut(self, take: Callable[[np.ndarray], np.ndarray]) -> Float[np.ndarray, "4 *piece"]:
        """Return pieces of the four matrices, per unit."""
        matrices = (self.inverse, self.lag, self.inverse_slope, self.lag_slope)
        return np.stack([take(matrix) for matrix in matrices]) / len(self.lag)


def _with_slopes(
    values: Float[np.ndarray, "3"], pieces: Float[np.ndarray, "4 *piece"]
) -> Float[np.ndarray, "4 *piece"]:
    """Return pieces of S, and their derivatives with respect to beta, theta and rho."""
    beta, theta, _ = values
    inverse, lag, inverse_slope, lag_slope = pieces
    return np.stack([beta * inverse + theta * lag, inverse, lag, beta * inverse_slope + theta * lag_slope])


def _errors(slopes: Float[np.ndarray, "3 *piece"], cov: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "*piece"]:
    return np.asarray(np.sqrt(np.maximum(np.einsum("i...,ij,j...->...", slopes, cov, slopes), 0.0)))


def _powers(weights: Weights, highest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``tr W^q / N`` and ``1'W^q 1 / N`` for q from 0."""
    units, reached = len(weights.matrix), np.ones(len(weights.matrix))
    traces = [float((weights.spectrum.values**power).sum().real) / units for power in range(highest + 1)]
    sums = []
    for _ in range(highest + 1):
        sums.append(float(reached.sum()) / units)
        reached = weights.matrix @ reached
    return np.asarray(traces), np.asarray(sums)


def _edges(farthest: float) -> np.ndarray:
    """Return round upper ends of bands, the last one beyond the farthest pair."""
    least = farthest / BANDS
    power = 10.0 ** np.floor(np.log10(least))
    step = next(power * each for each in (1.0, 2.0, 5.0, 10.0) if power * each >= least)
    return np.asarray(step * np.arange(1, int(np.ceil(farthest / step)) + 1))
