"""What the terms of a spatial model are called, and how a fit becomes an estimate of them."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from syneff.models.base import Design, Estimate, Status
from syneff.numerics.network import Network
from syneff.numerics.spatial_effects import KINDS, average_effects, multipliers
from syneff.numerics.spatial_information import parameters
from syneff.numerics.spatial_likelihood import SpatialFit
from syneff.typing import Array

MODELS = {
    "slx": (False, True, False),
    "sar": (True, False, False),
    "sem": (False, False, True),
    "sdm": (True, True, False),
    "sdem": (False, True, True),
    "sac": (True, False, True),
}
"""Model -> whether it has rho, theta and lambda."""


@dataclass(frozen=True)
class Layout:
    """The terms of a model.

    Attributes
    ----------
    model
        One of `MODELS`.
    outcome, regressors
        Names.
    lags
        The regressors that enter lagged too.
    constant
        Whether there is a constant, after the lags.
    """

    model: str
    outcome: str
    regressors: tuple[str, ...]
    lags: tuple[str, ...]
    constant: bool = False

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of the coefficients: regressors, then their lags, then the constant."""
        constant = ("constant",) if self.constant else ()
        return (*self.regressors, *(f"W_{name}" for name in self.lags), *constant)

    @property
    def spatial(self) -> tuple[str, ...]:
        """Names of the spatial parameters."""
        lagged, _, filtered = MODELS[self.model]
        return (*(("rho",) if lagged else ()), *(("lambda",) if filtered else ()))

    @property
    def has_effects(self) -> bool:
        """Whether effects differ from coefficients: those of a regressor reach other units."""
        return self.model != "sem"

    def columns_of(self, name: str) -> tuple[int, ...]:
        """Return the places of a regressor and of its lag, if it has one, among the coefficients."""
        return tuple(self.coefficients.index(each) for each in (name, f"W_{name}") if each in self.coefficients)

    def places(self, shown: tuple[str, ...]) -> tuple[Array, Array]:
        """Return which coefficient is that of each regressor, and which of its lag: ``[p k]`` each."""
        own, lags = np.zeros((2, len(shown), len(self.coefficients)))
        for row, name in enumerate(shown):
            for matrix, place in zip((own, lags), self.columns_of(name), strict=False):
                matrix[row, place] = 1.0
        return jnp.asarray(own), jnp.asarray(lags)

    def estimate(
        self, fit: SpatialFit, inverse: Array, network: Network, design: Design, shown: tuple[str, ...]
    ) -> Estimate:
        """Name parameters and effects, and give them their joint covariance.

        Parameters
        ----------
        fit, inverse
            The fit, and the covariance of beta, rho, lambda and sigma2.
        network, design
            The data.
        shown
            The regressors (all, or some) whose coefficients and effects are wanted.
        """
        lagged, _, filtered = MODELS[self.model]
        k, (own, lags) = fit.coef.shape[0], self.places(shown)
        places = sorted(place for name in shown for place in self.columns_of(name))
        if self.constant and shown == self.regressors:
            places.append(k - 1)
        coefficients = [self.coefficients[place] for place in places]
        places += parameters(k, lagged=lagged, filtered=filtered)[k:-1]
        values = jnp.concatenate([fit.coef, jnp.stack([fit.rho, fit.lam])])
        told = fit.identified if lagged else jnp.ones((), bool)
        kept = jnp.concatenate([fit.kept, jnp.stack([told, jnp.ones((), bool)])])
        slopes, names = jnp.eye(k + 2), (*coefficients, *self.spatial)
        if self.has_effects:
            # At a bound of rho effects have no finite value.
            effects, by = average_effects(fit.coef, own, lags, multipliers(network, fit.rho))
            places += range(k + 2, k + 2 + effects.shape[0])
            values, slopes = (
                jnp.concatenate([values, effects]),
                jnp.concatenate([slopes, jnp.pad(by, ((0, 0), (0, 1)))]),
            )
            known = (own + lags) @ (~fit.kept).astype(float) == 0
            kept = jnp.concatenate([kept, jnp.tile(known & told & ~fit.at_bound, len(KINDS))])
            names = (*names, *(f"{kind}:{name}" for kind in KINDS for name in shown))
        chosen = np.asarray(places)
        values, slopes, kept = values[chosen], slopes[chosen], kept[chosen]
        cov = slopes @ inverse[: k + 2, : k + 2] @ slopes.T
        inside = design.weights > 0
        complete = jnp.where(fit.kept.all() & told, int(Status.OK), int(Status.COLLINEAR))
        return Estimate(
            coef=jnp.where(kept, values, jnp.nan),
            cov=jnp.where(kept[:, None] & kept[None, :], cov, jnp.nan),
            nobs=inside.sum().astype(float),
            n_units=inside.any(1).sum().astype(float),
            n_periods=inside.any(0).sum().astype(float),
            dof=jnp.asarray(jnp.inf),
            stats={"sigma2": fit.sigma2, "log_likelihood": fit.log_likelihood},
            status=jnp.where(fit.at_bound, int(Status.AT_BOUND), complete),
            names=names,
            outcome=self.outcome,
        )
