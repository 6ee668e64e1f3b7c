r"""Entropy balancing: weights of the controls that give them the moments of the treated.

.. math::

    \min_w \sum_j w_j \log (w_j / q_j) \quad \text{s.t.} \quad \sum_j w_j z_j = m, \; \sum_j w_j = 1
    \qquad\Longleftrightarrow\qquad
    \min_\lambda \; \log \sum_j q_j e^{\lambda'(z_j - m)}, \quad w_j \propto q_j e^{\lambda'(z_j - m)} .

The dual is smooth and convex, of the size of the moments; Newton's method with halving solves it. It has no minimum where ``m``
is outside the convex hull of the controls: then no weights balance, and the fit says so.

References
----------
Hainmueller, J. (2012). Entropy balancing for causal effects. Political Analysis 20, 25-46. https://doi.org/10.1093/pan/mpr025
"""

import jax
import jax.numpy as jnp

from syneff.numerics.least_squares import RCOND, sweep
from syneff.typing import Array, Bool, Float, Int

MOST_ITERATIONS = 200
BALANCED_BELOW = 1e-9
"""Largest difference of a scaled moment that counts as balanced."""
FINISHED_BELOW = 1e-14
"""Largest difference under which another step is lost in rounding."""

State = tuple[
    Float[Array, " k"], Float[Array, " k"], Float[Array, " k"], Float[Array, ""], Float[Array, ""], Int[Array, ""]
]


def moments_of(covariates: Float[Array, "row k"], moments: int) -> Float[Array, "row moment"]:
    """Return the covariates, and with `moments` of 2 their squares as well."""
    return jnp.concatenate([covariates**power for power in range(1, moments + 1)], axis=1)


def entropy_balance(
    values: Float[Array, "row k"], treated: Bool[Array, " row"], controls: Bool[Array, " row"]
) -> tuple[Float[Array, " row"], Bool[Array, ""]]:
    """Return weights of the controls, as many in sum as there are treated, and whether they balance.

    Parameters
    ----------
    values
        ``[row k]``: what is balanced; a column that does not vary among the controls is fitted as well as it can be.
    treated, controls
        ``[row]``.
    """
    count = treated.sum().astype(float)
    total = jnp.where(count > 0, count, 1.0)
    target = jnp.where(treated[:, None], values, 0.0).sum(0) / total
    scale = jnp.sqrt((jnp.where(controls[:, None], values - target[None, :], 0.0) ** 2).sum(0))
    scale = jnp.where(scale > 0, scale, 1.0) / jnp.sqrt(jnp.maximum(controls.sum().astype(float), 1.0))
    distance = jnp.where(controls[:, None], (values - target[None, :]) / scale[None, :], 0.0)

    def weigh(dual: Float[Array, " k"]) -> tuple[Float[Array, ""], Float[Array, " row"]]:
        log = jnp.where(controls, distance @ dual, -jnp.inf)
        value = jax.nn.logsumexp(log)
        return value, jnp.exp(log - value)

    def advance(state: State) -> State:
        trial, best, step, lowest, gap, iterations = state
        value, weights = weigh(trial)
        better = value <= lowest + 1e-14
        gradient = weights @ distance
        centred = distance - gradient[None, :]
        hessian = (centred * weights[:, None]).T @ centred
        newton = -sweep(hessian, RCOND)[0] @ gradient
        step = jnp.where(better, newton, 0.5 * step)
        best = jnp.where(better, trial, best)
        gap = jnp.where(better, jnp.abs(gradient).max(), gap)
        return best + step, best, step, jnp.minimum(value, lowest), gap, iterations + 1

    def unfinished(state: State) -> Bool[Array, ""]:
        return (state[4] > FINISHED_BELOW) & (state[5] < MOST_ITERATIONS)

    nothing = jnp.zeros(values.shape[1])
    start = (nothing, nothing, nothing, jnp.asarray(jnp.inf), jnp.asarray(jnp.inf), jnp.asarray(0))
    _, best, _, _, gap, _ = jax.lax.while_loop(unfinished, advance, start)
    weights = jnp.where(controls, weigh(best)[1], 0.0)
    return weights * count, gap <= BALANCED_BELOW
