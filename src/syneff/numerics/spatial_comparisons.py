r"""Comparisons of spatial models on the same data: likelihoods, and fixed with random effects.

Models without filtered errors differ in the effects that are taken out and in the columns that are kept, so their maxima are
one computation on several matrices of moments.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.numerics.network import Network
from syneff.numerics.spatial_fit import Cube, Fitted, Form, demean, fit_cube
from syneff.numerics.spatial_likelihood import maximise
from syneff.numerics.spatial_moments import Moments, counts_of, kept_columns
from syneff.numerics.spatial_random import RandomFit
from syneff.typing import Array, Bool, Float

Case = tuple[tuple[str, ...], int]
"""The effects of a model, and how many of the columns it has, from the first."""


def lag_log_likelihoods(cube: Cube, network: Network, cases: tuple[Case, ...]) -> Float[Array, " case"]:
    """Return the direct log-likelihoods of models with a lag of the outcome.

    Parameters
    ----------
    cube, network
        The data.
    cases
        The models.
    """
    raw = jnp.concatenate([cube.columns, cube.outcome[:, :, None], network.lag(cube.outcome)[:, :, None]], axis=2)
    k, units, periods = cube.columns.shape[2], cube.inside.max(1).sum(), cube.inside.max(0).sum()
    net = [demean(raw, cube.inside, effects) for effects, _ in cases]
    bases = jnp.stack([jnp.einsum("itk,itl->kl", each, each) for each in net])
    has = jnp.asarray(np.stack([np.arange(k) < count for _, count in cases]))
    # The direct likelihood counts all rows, whatever the effects.
    counts = counts_of(units, periods, (), transformed=False)

    def each(base: Array, mask: Bool[Array, " k"]) -> Array:
        moments = Moments(base, None, None, kept_columns(base, cube.size) & mask)
        return maximise(moments, network, counts, lagged=True, filtered=False).log_likelihood

    return jax.vmap(each)(bases, has)


def error_log_likelihood(cube: Cube, network: Network, effects: tuple[str, ...]) -> Float[Array, ""]:
    """Return the direct log-likelihood of a model with spatial errors and no lag."""
    form = Form(False, True, effects, "direct", "expected")
    return fit_cube(cube, network, jnp.zeros(cube.inside.shape[0], int), form, 1).fit.log_likelihood


@partial(jax.tree_util.register_dataclass, data_fields=["difference", "robust", "classic", "kept"], meta_fields=[])
@dataclass(frozen=True)
class Contrast:
    """Fixed less random effects.

    Attributes
    ----------
    difference
        ``[parameter]``: coefficients, then rho.
    robust, classic
        ``[parameter parameter]``: its covariance, from the scores of both estimators together, or as the difference of their
        covariances.
    kept
        ``[parameter]``: those that both identify.
    """

    difference: Float[Array, " parameter"]
    robust: Float[Array, "parameter parameter"]
    classic: Float[Array, "parameter parameter"]
    kept: Bool[Array, " parameter"]


def contrast(fixed: Fitted, random: RandomFit) -> Contrast:
    """Compare a fit with fixed unit effects, scores known, with one with random effects and perhaps more columns.

    Parameters
    ----------
    fixed, random
        The fits.

    References
    ----------
    White, H. (1982). Econometrica 50, 1-25. https://doi.org/10.2307/1912526
    """
    assert fixed.bread is not None
    assert fixed.scores is not None
    k, columns = fixed.fit.coef.shape[0], random.fit.coef.shape[0]
    here, there = np.arange(k + 1), np.asarray([*range(k), columns])
    influence = (fixed.scores @ fixed.bread)[:, here] - (random.scores @ random.bread)[:, there]
    present = (jnp.abs(random.scores).sum(1) > 0).sum().astype(float)
    return Contrast(
        difference=jnp.concatenate([fixed.fit.coef - random.fit.coef[:k], (fixed.fit.rho - random.fit.rho)[None]]),
        robust=influence.T @ influence * (present / (present - 1.0)),
        classic=fixed.expected[here[:, None], here[None, :]] - random.bread[there[:, None], there[None, :]],
        kept=jnp.concatenate([fixed.fit.kept & random.fit.kept[:k], jnp.ones(1, bool)]),
    )
