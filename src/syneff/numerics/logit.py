r"""Logistic regression by Newton's method, for whole batches of samples that share their covariates.

.. math::

    \ell(\beta) = \sum_i w_i \{ d_i x_i'\beta - \log(1 + e^{x_i'\beta}) \}, \qquad
    \beta \leftarrow \beta + \Big(\sum_i w_i p_i (1 - p_i) x_i x_i'\Big)^{-1} \sum_i w_i (d_i - p_i) x_i .

A step that lowers the likelihood is halved. Under ``vmap`` over weights the products ``x x'`` are formed once, and a batch of
draws costs one matrix product an iteration. Covariates that are collinear with those before them are left out, as Stata does.

Where a hyperplane separates the treated from the others the likelihood has no maximum. Then the information in some direction
dies out as the coefficients grow, which is how a fit is found out: a pivot of the information falls below `SEPARATED_BELOW` of
what it was at ``p = 1/2``.

References
----------
Albert, A. and Anderson, J. A. (1984). On the existence of maximum likelihood estimates in logistic regression models.
Biometrika 71, 1-10. https://doi.org/10.1093/biomet/71.1.1
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from syneff.numerics.least_squares import sweep
from syneff.typing import Array, Bool, Float, Int

MOST_ITERATIONS = 100
CONVERGED_BELOW = 1e-16
"""Newton decrement of a row under which the step is the last one: the error after it is its square."""
COLLINEAR_BELOW = 1e-8
"""Pivot of a scaled covariate, net of those before it, under which it is left out."""
SEPARATED_BELOW = 1e-10
"""Share of the information that is left where the sample is separated."""


class LogitStatus(IntEnum):
    """How a fit ended."""

    OK = 0
    SEPARATED = 1
    NOT_CONVERGED = 2


@partial(
    jax.tree_util.register_dataclass, data_fields=["coef", "log_odds", "score", "status", "iterations"], meta_fields=[]
)
@dataclass(frozen=True)
class LogitFit:
    """A logistic regression.

    Attributes
    ----------
    coef
        ``[k]``, and the constant as the last; 0 where a covariate is left out.
    log_odds, score
        ``[row]``: ``x'b`` and ``1 / (1 + exp(-x'b))``, of rows of weight 0 too.
    status
        A `LogitStatus`.
    iterations
        Steps taken.
    """

    coef: Float[Array, " k_and_one"]
    log_odds: Float[Array, " row"]
    score: Float[Array, " row"]
    status: Int[Array, ""]
    iterations: Int[Array, ""]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["trial", "best", "step", "likelihood", "status", "done", "iterations"],
    meta_fields=[],
)
@dataclass(frozen=True)
class _State:
    trial: Float[Array, " k"]
    best: Float[Array, " k"]
    step: Float[Array, " k"]
    likelihood: Float[Array, ""]
    status: Int[Array, ""]
    done: Bool[Array, ""]
    iterations: Int[Array, ""]


def fit_logit(
    covariates: Float[Array, "row k"], treated: Bool[Array, " row"], weights: Float[Array, " row"]
) -> LogitFit:
    """Fit a logistic regression with a constant; pure array code, safe under ``jit`` and ``vmap``.

    Parameters
    ----------
    covariates
        ``[row k]``, finite, best centred and scaled.
    treated
        ``[row]``: the outcome.
    weights
        ``[row]``: how often each row counts; 0 takes it out.
    """
    # The constant comes first: a covariate that does not vary is then the one that is left out.
    design = jnp.concatenate([jnp.ones((covariates.shape[0], 1)), covariates], axis=1)
    size = design.shape[1]
    above, right = np.triu_indices(size)
    place = np.zeros((size, size), int)
    place[above, right] = place[right, above] = np.arange(above.size)
    products = design[:, above] * design[:, right]
    flat = ((0.25 * weights) @ products)[place]
    scale = jnp.sqrt(jnp.where(jnp.diagonal(flat) > 0, jnp.diagonal(flat), 1.0))
    kept = _inverse(flat, scale, COLLINEAR_BELOW)[1]
    outcome = treated.astype(float)

    def advance(state: _State) -> _State:
        odds = design @ state.trial
        likelihood = (weights * (outcome * odds - jnp.logaddexp(0.0, odds))).sum()
        better = likelihood >= state.likelihood - 1e-14 * jnp.abs(state.likelihood)
        best = jnp.where(better, state.trial, state.best)
        score = jax.nn.sigmoid(odds)
        inverse, informed = _inverse(((weights * score * (1.0 - score)) @ products)[place], scale, SEPARATED_BELOW)
        gradient = (weights * (outcome - score)) @ design
        step = jnp.where(better, inverse @ gradient, 0.5 * state.step)
        lost = better & (kept & ~informed).any()
        converged = better & ((gradient * step).sum() <= CONVERGED_BELOW * weights.sum())
        status = jnp.where(lost, int(LogitStatus.SEPARATED), jnp.where(converged, 0, int(LogitStatus.NOT_CONVERGED)))
        trial = jnp.where(lost, best, best + step)
        return _State(
            trial, best, step, jnp.maximum(likelihood, state.likelihood), status, lost | converged, state.iterations + 1
        )

    nothing = jnp.zeros(size)
    start = _State(nothing, nothing, nothing, jnp.asarray(-jnp.inf), jnp.asarray(2), jnp.asarray(False), jnp.asarray(0))
    end = jax.lax.while_loop(lambda state: ~state.done & (state.iterations < MOST_ITERATIONS), advance, start)
    odds = design @ end.trial
    return LogitFit(jnp.roll(end.trial, -1), odds, jax.nn.sigmoid(odds), end.status, end.iterations)


def _inverse(
    matrix: Float[Array, "k k"], scale: Float[Array, " k"], tolerance: float
) -> tuple[Float[Array, "k k"], Bool[Array, " k"]]:
    """Invert, leaving out pivots that are small beside `scale`."""
    inverse, kept = sweep(matrix / scale[:, None] / scale[None, :], tolerance)
    return inverse / scale[:, None] / scale[None, :], kept


def separating(covariates: np.ndarray, treated: np.ndarray) -> list[int]:
    """Return the covariates that separate the treated from the others: those that do alone, else those of a hyperplane.

    Parameters
    ----------
    covariates
        ``[row k]``.
    treated
        ``[row]`` boolean.

    Returns
    -------
    list of int
        Columns; none if the sample is not separated.
    """
    one, other = covariates[treated], covariates[~treated]
    alone = (one.min(0) >= other.max(0)) | (one.max(0) <= other.min(0))
    if alone.any():
        return [int(each) for each in np.flatnonzero(alone)]
    spread = covariates.std(0)
    scaled = (covariates - covariates.mean(0)) / np.where(spread > 0, spread, 1.0)
    signed = np.where(treated, 1.0, -1.0)[:, None] * np.column_stack([scaled, np.ones(len(scaled))])
    # Konis: the largest sum of margins, none of them negative, is above 0 just where a hyperplane separates.
    found = optimize.linprog(-signed.sum(0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs")
    if found.status != 0 or -found.fun <= 1e-9 * len(signed):
        return []
    return [int(each) for each in np.flatnonzero(np.abs(found.x[:-1]) > 1e-9)]
