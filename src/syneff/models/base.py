"""Nouns and verbs of every estimator.

An estimator is two functions: ``design`` (host code, where names become arrays and every user error is raised) and ``fit``
(pure array code, safe under ``jit`` and ``vmap``). A draw of a resampling scheme changes exactly one of three arrays of a
design, the treatment, the unit weights or the outcome, so there are three batch verbs, and two more for draws of a special
kind: treatments that follow a few paths, and weights that count copies. This module gives each a generic default,
``map_in_chunks(vmap(fit))``; an estimator overrides one only where algebra is faster.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from syneff.models.estimate import Audit as Audit
from syneff.models.estimate import Estimate as Estimate
from syneff.models.estimate import Status as Status
from syneff.models.estimate import Test as Test
from syneff.models.spec import Spec as Spec
from syneff.numerics.batching import map_in_chunks
from syneff.numerics.covariance import Clusters
from syneff.panel.panel import Panel
from syneff.runtime import require_float64
from syneff.typing import Array, Draws, Float, Int, UnitPeriod

FEW_CLUSTERS = 10
"""Clusters under which their number is remarked on."""
FITS_AT_A_TIME = 64
"""Fits in one chunk of a generic batch verb: bounds memory, and keeps the arrays of a chunk in the cache."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["outcome", "regressors", "weights", "cluster", "instruments", "ways", "distances"],
    meta_fields=["names", "n_clusters", "nested", "balanced"],
)
@dataclass(frozen=True)
class Design:
    """The arrays of a specification, the treatment being regressor 0; a batch is the same type with a leading axis.

    Attributes
    ----------
    outcome
        ``[unit period]``; 0 where the weight is 0.
    regressors
        ``[unit period k]``; 0 where the weight is 0.
    weights
        ``[unit period]``; 0 takes a row out.
    cluster
        ``[unit period]``: number of the cluster, from 0; with several cluster names, that of the first.
    instruments
        ``[unit period l]``, possibly none.
    names
        Names of the regressors.
    n_clusters
        Number of clusters, including any that weights empty.
    nested
        The absorbed effects whose levels never cross clusters.
    ways
        The terms of clustering: one, or with several names each of them and all their intersections.
    distances
        ``[unit unit]``: kilometres between units, where the covariance needs them.
    balanced
        Whether the weights are a product of a unit's and a period's, so that two-way effects are plain means.
    """

    outcome: Float[Array, "*batch unit period"]
    regressors: Float[Array, "*batch unit period k"]
    weights: Float[Array, "*batch unit period"]
    cluster: Int[Array, "*batch unit period"]
    instruments: Float[Array, "*batch unit period l"]
    names: tuple[str, ...]
    n_clusters: int
    nested: tuple[str, ...] = ()
    ways: tuple[Clusters, ...] = ()
    distances: Float[Array, "*batch unit unit"] | None = None
    balanced: bool = False


class Estimator(ABC):
    """What every estimator can do; `design` and `fit` are enough for the rest."""

    spec: Spec
    linear: ClassVar[bool] = True
    """Whether coefficients are linear in the outcome, so that tests by draws can be inverted to intervals."""

    @abstractmethod
    def design(self, panel: Panel) -> Design:
        """Turn names into arrays; raise every error that the user can mend."""

    @abstractmethod
    def fit(self, design: Design) -> Estimate:
        """Estimate; pure array code, safe under ``jit`` and ``vmap``."""

    def with_treatment(self, design: Design, treatment: UnitPeriod) -> Design:
        """Return the design with another treatment ``[unit period]`` in its first regressor."""
        return replace(
            design, regressors=design.regressors.at[:, :, 0].set(jnp.where(design.weights > 0, treatment, 0.0))
        )

    def fit_treatments(self, design: Design, treatments: Draws) -> Estimate:
        """Estimate under each treatment ``[draw unit period]``."""
        return _map_fits(lambda each: self.fit(self.with_treatment(design, each)), treatments)

    def fit_paths(
        self, design: Design, paths: Float[Array, "path period"], assigned: Int[Array, "draw unit"]
    ) -> Estimate:
        """Estimate under treatments that give each unit one of a few paths, by its number ``[draw unit]``."""
        return self.fit_treatments(design, paths[assigned])

    def fit_weights(self, design: Design, weights: Float[Array, "draw unit"]) -> Estimate:
        """Estimate with the design's weights times each vector of unit weights ``[draw unit]``."""
        return _map_fits(lambda each: self.fit(replace(design, weights=design.weights * each[:, None])), weights)

    def fit_copies(self, design: Design, copies: Float[Array, "draw unit"]) -> Estimate:
        """Estimate on as many copies of each unit ``[draw unit]``, every copy a unit and a cluster of its own.

        Coefficients are those of weights. Standard errors are not, since a weight of 2 is one cluster that counts twice, so
        here they are NaN; an estimator that knows those of copies overrides this.
        """
        weighted = self.fit_weights(design, copies)
        return replace(weighted, cov=jnp.full_like(weighted.cov, jnp.nan))

    def fit_outcomes(self, design: Design, outcomes: Draws) -> Estimate:
        """Estimate with each outcome ``[draw unit period]``."""
        return _map_fits(
            lambda each: self.fit(replace(design, outcome=jnp.where(design.weights > 0, each, 0.0))), outcomes
        )

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate on a panel.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key of estimators that draw; without effect on others.
        """
        require_float64()
        estimate = jit_fit(self, self.design(panel))
        return replace(estimate, notes=self.notes(panel, estimate))

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Estimate with a program that we did not write; None where no program does it."""
        return None

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say in sentences what the user should know of the fit."""
        omitted = [name for name, coef in zip(estimate.names, np.asarray(estimate.coef), strict=True) if np.isnan(coef)]
        said = [f"omitted because of collinearity: {', '.join(omitted)}"] if omitted else []
        if int(estimate.status) == Status.NO_DEGREES_OF_FREEDOM:
            said.append(
                f"no standard errors: {int(estimate.nobs)} rows of {int(estimate.n_units)} units leave no degrees of freedom"
            )
        clusters = float(estimate.stats.get("n_clusters", np.inf))
        if self.spec.covariance in ("CR0", "CR1", "CR3") and clusters < FEW_CLUSTERS:
            said.append(
                f"only {clusters:g} clusters: with fewer than {FEW_CLUSTERS} such standard errors can be far too small; use "
                "the wild cluster bootstrap, which then enumerates all draws, or spec.covariance=CR2"
            )
        negative = float(estimate.stats.get("negative_eigenvalues", 0.0))
        if negative > 0:
            said.append(
                f"the covariance was not positive semi-definite: its {negative:g} negative eigenvalues were set to zero"
            )
        return tuple(said)


def jit_fit(estimator: Estimator, design: Design) -> Estimate:
    """Compile and run `Estimator.fit`; equal estimators and shapes share one compilation."""
    # Whether the panel is balanced is of use to batch verbs alone, and as a static field it would compile twice.
    return cast(Estimate, _jit_fit(estimator, replace(design, balanced=False)))


@partial(jax.jit, static_argnums=0)
def _jit_fit(estimator: Estimator, design: Design) -> Estimate:
    return estimator.fit(design)


def _map_fits(fit: Callable[[Array], Estimate], draws: Array) -> Estimate:
    return cast(Estimate, map_in_chunks(jax.vmap(fit), draws, FITS_AT_A_TIME))
