"""The same spatial model under many treatments: what the treatments leave alone is found once.

Only the treatment and its lag change between draws, so their cross products with the other columns are one matrix product for
all draws, the determinant's grid is common, and a draw costs the lag of its treatment and the signal of its information.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.numerics.network import Network
from syneff.numerics.spatial_fit import Cube, Form, column_sizes, demean, information_of, kept_parameters, method_counts
from syneff.numerics.spatial_information import invert
from syneff.numerics.spatial_likelihood import SpatialFit, maximise
from syneff.numerics.spatial_moments import Moments, kept_columns
from syneff.typing import Array, Float, Int, UnitPeriod, UnitPeriodK


@partial(jax.tree_util.register_dataclass, data_fields=["fixed", "gram", "size", "inside", "place"], meta_fields=[])
@dataclass(frozen=True)
class Rest:
    """What all draws share.

    Attributes
    ----------
    fixed
        ``[unit period column]``: columns other than the treatment's, the outcome and its lag, net of effects.
    gram
        ``[column column]``: their cross products.
    size
        ``[k]``: sizes of the columns, those of the treatment's to be filled in.
    inside
        ``[unit period]``.
    place
        ``[k]``: where each column stands in the model among the treatment's own followed by the fixed ones.
    """

    fixed: UnitPeriodK
    gram: Float[Array, "column column"]
    size: Float[Array, " other"]
    inside: UnitPeriod
    place: Int[Array, " k"]


def prepare(cube: Cube, network: Network, own: tuple[int, ...], form: Form) -> Rest:
    """Take the columns of the treatment out of a model.

    Parameters
    ----------
    cube, network, form
        The model.
    own
        Places of the treatment, and of its lag if the model has one, among the columns.
    """
    k = cube.columns.shape[2]
    others = [place for place in range(k) if place not in own]
    order = [*own, *others]
    lag = network.lag(cube.outcome)
    raw = jnp.concatenate(
        [cube.columns[:, :, jnp.asarray(others, dtype=int)], cube.outcome[:, :, None], lag[:, :, None]], axis=2
    )
    fixed = demean(raw, cube.inside, form.effects)
    return Rest(
        fixed=fixed,
        gram=jnp.einsum("itk,itl->kl", fixed, fixed),
        size=cube.size[jnp.asarray(others, dtype=int)],
        inside=cube.inside,
        place=jnp.asarray([order.index(place) for place in range(k)], dtype=int),
    )


def fit_treatment(
    rest: Rest, network: Network, treatment: UnitPeriod, form: Form, own: int
) -> tuple[SpatialFit, Array]:
    """Fit the model with another treatment.

    Parameters
    ----------
    rest, network, form
        What all draws share.
    treatment
        ``[unit period]``: 0 outside the sample.
    own
        How many columns the treatment has: 1, or 2 with its lag.

    Returns
    -------
    tuple
        The fit, and the covariance of beta, rho, lambda and sigma2 from the expected information.
    """
    columns = treatment[:, :, None]
    if own > 1:
        columns = jnp.concatenate([columns, network.lag(treatment)[:, :, None]], axis=2)
    net = demean(columns, rest.inside, form.effects)
    place = jnp.concatenate([rest.place, jnp.arange(2) + rest.place.shape[0]])
    across = jnp.einsum("ite,itf->ef", net, rest.fixed)
    top = jnp.concatenate([jnp.einsum("ite,itf->ef", net, net), across], axis=1)
    whole = jnp.concatenate([top, jnp.concatenate([across.T, rest.gram], axis=1)])
    size = jnp.concatenate([column_sizes(columns, rest.inside), rest.size])[rest.place]
    base = whole[place[:, None], place[None, :]]
    moments = Moments(base, None, None, kept_columns(base, size))
    counts = method_counts(rest.inside, form)
    fit = maximise(moments, network, counts, lagged=form.lagged, filtered=False)
    signal = (jnp.zeros_like(fit.coef), jnp.zeros(()))
    if form.lagged:
        signal = _signal(rest, network, fit, net, form)
    information = information_of(fit, moments, network, counts, signal)
    return fit, invert(information, kept_parameters(fit, form))


def _signal(rest: Rest, network: Network, fit: SpatialFit, net: UnitPeriodK, form: Form) -> tuple[Array, Array]:
    """Return cross products of the signal with the columns, and with itself."""
    own, k = net.shape[2], fit.coef.shape[0]
    coef = jnp.zeros(k).at[rest.place].set(fit.coef)
    fitted = jnp.einsum("itk,k->it", net, coef[:own]) + jnp.einsum("itk,k->it", rest.fixed[:, :, : k - own], coef[own:])
    signal = network.resolvent(fit.rho).times(fitted)
    signal = demean(signal[:, :, None], rest.inside, form.effects)[:, :, 0]
    slopes = jnp.concatenate(
        [jnp.einsum("itk,it->k", net, signal), jnp.einsum("itk,it->k", rest.fixed[:, :, : k - own], signal)]
    )
    return slopes[rest.place], (signal**2).sum()
