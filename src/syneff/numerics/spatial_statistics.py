r"""What describes a spatial fit: R2 variants, information criteria, Moran's I of the errors.

==================  ===============================================================================
name                what
==================  ===============================================================================
``r2``              1 - e'e / total sum of squares, effects included (Elhorst)
``r2_within``       1 - e'e / sum of squares net of all effects
``r2_correlation``  squared correlation of the outcome, net of effects, with :math:`(I - \rho W)^{-1} Z \beta`
==================  ===============================================================================
"""

import jax.numpy as jnp

from syneff.numerics.network import Network
from syneff.numerics.spatial_fit import Cube, Fitted, Form, demean
from syneff.typing import Array


def fit_statistics(cube: Cube, fitted: Fitted, network: Network, form: Form) -> dict[str, Array]:
    """Describe a fit.

    Parameters
    ----------
    cube, network, form
        The data and the kind of model.
    fitted
        The fit.
    """
    fit, inside = fitted.fit, cube.inside
    outcome = cube.outcome[:, :, None]
    within = demean(outcome, inside, form.effects)[:, :, 0]
    total = (demean(outcome, inside, ()) ** 2).sum()
    explained = demean((cube.columns @ fit.coef)[:, :, None], inside, form.effects)[:, :, 0]
    if form.lagged:
        explained = explained + fit.rho * network.resolvent(fit.rho).times(explained)
        explained = demean(explained[:, :, None], inside, form.effects)[:, :, 0]
    rss = (fitted.residuals**2).sum()
    spread = (explained**2).sum() * (within**2).sum()
    links = network.matrix.sum() / network.present.sum()
    count = fit.kept.sum().astype(float) + 1.0 + float(form.lagged) + float(form.filtered)
    return {
        "rss": rss,
        "r2": 1.0 - rss / total,
        "r2_within": 1.0 - rss / (within**2).sum(),
        "r2_correlation": (explained * within).sum() ** 2 / jnp.where(spread > 0, spread, jnp.nan),
        "residual_moran": (fitted.residuals * network.lag(fitted.residuals)).sum() / rss / links,
        "aic": 2.0 * count - 2.0 * fit.log_likelihood,
        "bic": count * jnp.log(inside.sum()) - 2.0 * fit.log_likelihood,
        "bound_low": network.lower,
        "bound_high": network.upper,
    }
