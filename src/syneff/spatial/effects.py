r"""Effects of a spatial model beyond their averages: by order of neighbour, by unit, by distance; simulated errors.

The effects of regressor *r* are a matrix, :math:`S = R (\beta_r I + \theta_r W)` with :math:`R = I + \rho W + \rho^2 W^2 + \dots`:
element *ij* is what a unit more in *j* does to the outcome of *i*. Its average diagonal is the direct effect and its average
off-diagonal row sum the indirect one (`syneff.numerics.spatial_effects`); here the same matrix is cut in other ways.

The partition by order takes the series apart; it converges slowly where :math:`|\rho|` is large, so the last row holds what is
left. Feedback through neighbours is part of the direct effects of orders 2 and more.

References
----------
LeSage, J. and Pace, R. K. (2009). Introduction to Spatial Econometrics. CRC Press. https://doi.org/10.1201/9781420064254
"""

from collections.abc import Iterator
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

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
    if not layout.has_effects or not np.isfinite(_parameters(estimate, layout, layout.regressors[0])[0]).all():
        return {}
    treatment = layout.regressors[0]
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
    traces, sums = _powers(weights, orders + 1)
    frames = []
    for name in layout.regressors:
        values, cov = _parameters(estimate, layout, name)
        beta, theta, rho = values
        shown = np.zeros((orders, 3, 4))
        for order in range(orders):
            power, slope = rho**order, order * rho ** max(order - 1, 0)
            for place, series in ((0, traces), (2, sums)):
                own, lag = series[order], series[order + 1]
                shown[order, place] = (
                    power * (beta * own + theta * lag),
                    power * own,
                    power * lag,
                    slope * (beta * own + theta * lag),
                )
            shown[order, 1] = shown[order, 2] - shown[order, 0]
        whole = _whole(values, weights)
        pieces = np.concatenate([shown, (whole - shown.sum(0))[None]])
        errors = np.sqrt(np.maximum(np.einsum("oki,ij,okj->ok", pieces[:, :, 1:], cov, pieces[:, :, 1:]), 0.0))
        labels = [*map(str, range(orders)), "rest"]
        frames.append(
            pd.DataFrame(
                {
                    "term": name,
                    "order": np.repeat(labels, len(KINDS)),
                    "kind": np.tile(KINDS, len(labels)),
                    "estimate": pieces[:, :, 0].ravel(),
                    "std_error": errors.ravel(),
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
    units, others = len(distances), ~np.eye(len(distances), dtype=bool)
    edges = _edges(float(distances.max()))
    pieces = np.stack(
        [np.stack([matrix[others & (distances <= edge)].sum() / units for edge in edges]) for matrix in _slopes(values, weights)]
    )
    effect, slopes = pieces[0], pieces[1:]
    error = np.sqrt(np.maximum(np.einsum("ib,ij,jb->b", slopes, cov, slopes), 0.0))
    return pd.DataFrame(
        {
            "term": name,
            "distance_km": edges,
            "estimate": effect,
            "std_error": error,
            "conf_low": effect - 1.959963984540054 * error,
            "conf_high": effect + 1.959963984540054 * error,
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
    drawn_names = [name for name in (*layout.coefficients, "rho") if np.isfinite(estimate.coef[estimate.names.index(name)])]
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


def _slopes(values: np.ndarray, weights: Weights) -> Iterator[np.ndarray]:
    """Yield S and its derivatives with respect to beta, theta and rho."""
    identity = np.eye(len(weights.matrix))
    inverse = np.linalg.inv(identity - values[2] * weights.matrix)
    lag = inverse @ weights.matrix
    effects = values[0] * inverse + values[1] * lag
    yield from (effects, inverse, lag, lag @ effects)


def _whole(values: np.ndarray, weights: Weights) -> np.ndarray:
    """Return direct, indirect and total effects ``[3]``, each followed by its derivatives ``[3 4]``."""
    units, found = len(weights.matrix), np.zeros((3, 4))
    for column, matrix in enumerate(_slopes(values, weights)):
        direct, total = np.trace(matrix) / units, matrix.sum() / units
        found[:, column] = direct, total - direct, total
    return found


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
    return step * np.arange(1, int(np.ceil(farthest / step)) + 1)
