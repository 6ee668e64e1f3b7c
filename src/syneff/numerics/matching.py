r"""Matching as algebra: distances, and the share that each control has in the counterfactual of each treated row.

With ``d_ij`` the distance of control *i* to treated *j*, infinite where the two may not be matched, every method is a matrix of
shares ``s_ij`` whose columns sum to 1, or to 0 for a treated row without a match:

=========================  =======================================================================================
nearest                    1 / n for the *n* controls with ``d_ij`` up to the k-th smallest; each is used again
nearest, used once         the same, chosen greedily, one treated row after another
radius                     1 / n for all controls with ``d_ij`` up to the radius
kernel                     ``K(d_ij / h)`` over its sum
=========================  =======================================================================================

Where distances are compared they are rounded to a `QUANTUM`, so that what is equally far is so in spite of rounding errors;
controls equally far are told apart by their position, the lower first.

Arrays are ``[control treated]``: reductions over controls are then reductions over the leading axis, which a CPU vectorises.
"""

import math

import jax
import jax.numpy as jnp

from syneff.numerics.symmetric import eigh
from syneff.typing import Array, Bool, Float, Int

QUANTUM = 2.0**-36
KERNELS = ("epanechnikov", "gaussian", "biweight", "uniform", "tricube")

Pairs = Float[Array, "control treated"]


def rounded(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Round to the quantum."""
    return jnp.round(values / QUANTUM) * QUANTUM


def score_distance(controls: Float[Array, " control"], treated: Float[Array, " treated"]) -> Pairs:
    """Return ``|p_i - p_j|``."""
    return jnp.abs(controls[:, None] - treated[None, :])


def mahalanobis_distance(
    controls: Float[Array, "control k"], treated: Float[Array, "treated k"], covariance: Float[Array, "k k"]
) -> Pairs:
    """Return the root of ``(x_i - x_j)' S^+ (x_i - x_j)``; directions without variance do not count."""
    values, vectors = eigh(covariance)
    positive = values > 1e-12 * values[-1]
    root = vectors * jnp.where(positive, 1.0 / jnp.sqrt(jnp.where(positive, values, 1.0)), 0.0)[None, :]
    near, far = controls @ root, treated @ root
    squares = jnp.zeros((controls.shape[0], treated.shape[0]))
    for k in range(controls.shape[1]):
        squares = squares + (near[:, k, None] - far[None, :, k]) ** 2
    return jnp.sqrt(squares)


def pooled_covariance(
    values: Float[Array, "row k"], treated: Bool[Array, " row"], controls: Bool[Array, " row"]
) -> Float[Array, "k k"]:
    """Return the covariance within the two groups, over ``n - 2``."""
    total = jnp.zeros((values.shape[1], values.shape[1]))
    for group in (treated, controls):
        inside = group.astype(float)[:, None]
        mean = (values * inside).sum(0) / jnp.maximum(inside.sum(), 1.0)
        centred = (values - mean[None, :]) * inside
        total = total + centred.T @ centred
    return total / jnp.maximum((treated | controls).sum().astype(float) - 2.0, 1.0)


def nearest(distance: Pairs, neighbours: int, *, ties: bool) -> Pairs:
    """Share each treated row among its nearest controls.

    Parameters
    ----------
    distance
        ``[control treated]``.
    neighbours
        How many controls; fewer where fewer are there.
    ties
        Take all that are as far as the last of them too.
    """
    ordered = rounded(distance) if ties else _apart(distance)

    def reach(_: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        last, count = state
        further = jnp.where(ordered > last[None, :], ordered, jnp.inf).min(0)
        more = (count < neighbours) & jnp.isfinite(further)
        here = (ordered == further[None, :]).sum(0) if ties else jnp.ones_like(count)
        return jnp.where(more, further, last), count + jnp.where(more, here, 0)

    width = distance.shape[1]
    last, _ = jax.lax.fori_loop(0, neighbours, reach, (jnp.full(width, -1.0), jnp.zeros(width, int)))
    return _equal((ordered <= last[None, :]).astype(float))


def nearest_once(distance: Pairs, order: Int[Array, " treated"], neighbours: int) -> Pairs:
    """Share each treated row among its nearest controls, each of which is used once at most.

    Parameters
    ----------
    distance
        ``[control treated]``.
    order
        The treated rows, in the order in which they choose. All choose a first control before any chooses a second.
    neighbours
        How many controls.
    """
    apart = _apart(distance)
    rows = jnp.arange(distance.shape[0])

    def choose(free: Array, which: Array) -> tuple[Array, Array]:
        own = jnp.where(free, apart[:, which], jnp.inf)
        best = jnp.argmin(own)
        found = jnp.isfinite(own[best])
        return free & ~(found & (rows == best)), jnp.where(found, best, -1)

    _, chosen = jax.lax.scan(choose, jnp.ones(rows.size, bool), jnp.tile(order, neighbours))
    back = jnp.argsort(order)
    taken = jnp.zeros(distance.shape, bool)
    for turn in chosen.reshape(neighbours, order.size):
        taken = taken | (rows[:, None] == turn[back][None, :])
    return _equal(taken.astype(float))


def all_within(distance: Pairs) -> Pairs:
    """Share each treated row equally among all controls that it may be matched with."""
    return _equal(jnp.isfinite(distance).astype(float))


def kernel_shares(distance: Pairs, kernel: str, bandwidth: float) -> Pairs:
    """Share each treated row among the controls by a kernel of their distance."""
    reach = distance / bandwidth
    inside = jnp.where(reach <= 1.0, reach, 1.0)
    height = {
        "epanechnikov": lambda: 1.0 - inside**2,
        "biweight": lambda: (1.0 - inside**2) ** 2,
        "tricube": lambda: (1.0 - inside**3) ** 3,
        "uniform": lambda: (reach <= 1.0).astype(float),
        "gaussian": lambda: jnp.exp(-0.5 * reach**2),
    }[kernel]()
    total = height.sum(0)
    return height * jnp.where(total > 0, 1.0 / jnp.where(total > 0, total, 1.0), 0.0)[None, :]


def in_common_support(
    scores: Float[Array, " row"], treated: Bool[Array, " row"], controls: Bool[Array, " row"]
) -> Bool[Array, " row"]:
    """Take out the treated rows whose score is beyond those of all controls (psmatch2's ``common``)."""
    low = jnp.where(controls, scores, jnp.inf).min()
    high = jnp.where(controls, scores, -jnp.inf).max()
    return ~treated | ((scores >= low) & (scores <= high))


def in_dense_support(
    scores: Float[Array, " row"], treated: Bool[Array, " row"], controls: Bool[Array, " row"], percent: float
) -> Bool[Array, " row"]:
    """Take out the treated rows at which the controls are least dense (psmatch2's ``trim``).

    The density is Stata's ``kdensity``, with Epanechnikov's kernel and its own bandwidth; rows of density 0 go, and those below
    the percentile of the treated.
    """
    count = controls.sum()
    held = jnp.maximum(count.astype(float), 2.0)
    mean = jnp.where(controls, scores, 0.0).sum() / held
    sd = jnp.sqrt((jnp.where(controls, scores - mean, 0.0) ** 2).sum() / (held - 1.0))
    spread = _percentile(scores, controls, 75.0) - _percentile(scores, controls, 25.0)
    narrow = jnp.where(spread > 0, jnp.minimum(sd, spread / 1.349), sd)
    width = 0.9 * jnp.where(narrow > 0, narrow, 1.0) * held**-0.2
    gap = (scores[:, None] - scores[None, :]) / width
    height = jnp.where(controls[None, :] & (gap**2 < 5.0), 0.75 * (1.0 - gap**2 / 5.0) / math.sqrt(5.0), 0.0)
    density = height.sum(1) / (held * width)
    dense = (density > 0) & (density >= _percentile(density, treated, percent))
    return ~treated | dense


def _percentile(values: Float[Array, " row"], among: Bool[Array, " row"], percent: float) -> Float[Array, ""]:
    """Return a percentile as Stata does: the mean of two neighbours where the rank is whole, else the next value."""
    ordered = jnp.sort(jnp.where(among, values, jnp.inf))
    count = among.sum()
    rank = count.astype(float) * percent / 100.0
    below = jnp.floor(rank).astype(count.dtype)
    last = jnp.maximum(count - 1, 0)
    first = jnp.where(rank == jnp.floor(rank), jnp.maximum(below - 1, 0), below)
    return 0.5 * (ordered[jnp.minimum(first, last)] + ordered[jnp.minimum(below, last)])


def _apart(distance: Pairs) -> Pairs:
    """Tell equal distances apart by the position of the control, far below the quantum."""
    rows = distance.shape[0]
    return (
        rounded(distance) + (jnp.arange(rows, dtype=float) * (QUANTUM / 2.0 ** math.ceil(math.log2(rows + 1))))[:, None]
    )


def _equal(taken: Pairs) -> Pairs:
    """Share equally among those taken."""
    count = taken.sum(0)
    return taken * jnp.where(count > 0, 1.0 / jnp.where(count > 0, count, 1.0), 0.0)[None, :]
