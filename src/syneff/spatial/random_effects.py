r"""Spatial panel models with random unit effects.

.. math::

    y_t = \rho W y_t + X_t \beta + W X_t \theta + \alpha + \mu + e_t, \qquad \mu_i \sim N(0, \sigma_\mu^2)

Random effects are for models without filtered errors (slx, sar, sdm): with a spatial error the likelihood depends on what
exactly is filtered, the unit effects or the errors alone, and programs differ. Period effects, if the specification has them,
are fixed; otherwise there is a constant. What tells random from fixed effects is Hausman's test (`syneff.spatial.diagnostics`).
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import jax.numpy as jnp

from syneff.errors import SpecError, one_of
from syneff.models.base import Design, Estimate, Estimator, Spec, Status, jit_fit
from syneff.models.design import sample_of
from syneff.numerics.spatial_fit import Form, sandwich
from syneff.numerics.spatial_random import fit_random
from syneff.panel.panel import Panel
from syneff.runtime import require_float64
from syneff.spatial.checks import check_clusters, check_transformation
from syneff.spatial.design import SpatialDesign, cube_of, network_in, spatial_design
from syneff.spatial.durbin import METHODS, SpatialDurbin
from syneff.spatial.effects import details_of
from syneff.spatial.layout import MODELS, Layout
from syneff.spatial.weights import MakeWeights, Weights, weights_of
from syneff.typing import Array, Float

COVARIANCES = ("observed", "cluster")
SOUGHT = ("slx", "sar", "sdm")


@dataclass(frozen=True)
class SpatialRandomEffects(Estimator):
    """A spatial panel model whose unit effects are random.

    Attributes
    ----------
    spec
        The specification, by names; its unit effects are random, its period effects fixed.
    weights
        W, or a function that makes it from the panel; see `SpatialDurbin`.
    model
        "slx", "sar" or "sdm".
    method
        "direct", or "lee_yu" for the transformation of period effects.
    durbin
        The regressors that enter lagged too; all if None.
    covariance
        "observed" information (default), or the sandwich of scores by "cluster".
    """

    spec: Spec
    weights: Weights | MakeWeights = field(compare=False)
    model: str = "sdm"
    method: str = "direct"
    durbin: tuple[str, ...] | None = None
    covariance: str = "observed"
    linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        one_of("estimator.model", self.model, SOUGHT)
        one_of("estimator.method", self.method, METHODS[:2])
        one_of("estimator.covariance", self.covariance, COVARIANCES)
        fixed = SpatialDurbin(self.spec, self.weights, self.model, durbin=self.durbin)
        object.__setattr__(self, "durbin", fixed.durbin)
        if "constant" in self.spec.regressors:
            raise SpecError("SpatialRandomEffects has a constant of its own. Leave 'constant' out of spec.controls.")

    @property
    def layout(self) -> Layout:
        """The terms."""
        own = SpatialDurbin(self.spec, self.weights, self.model, durbin=self.durbin).layout
        return replace(own, constant="period" not in self.spec.effects)

    @property
    def form(self) -> Form:
        """What kind of model it is, for the numerics; its effects are those that are fixed."""
        effects = ("period",) if "period" in self.spec.effects else ()
        return Form(MODELS[self.model][0], False, effects, self.method, self.covariance)

    def design(self, panel: Panel) -> SpatialDesign:
        """Turn names into arrays, and place W on them; see `SpatialDurbin.design`."""
        return self._design(panel, weights_of(panel, self.weights))

    def _design(self, panel: Panel, weights: Weights) -> SpatialDesign:
        check_transformation(weights, self.method, self.form.effects)
        design = spatial_design(panel, self.spec, weights)
        if self.covariance == "cluster":
            check_clusters(panel, self.spec, design)
        return design

    def fit(self, design: Design) -> Estimate:
        """Estimate coefficients, rho and effects with their joint covariance, and the variance of the unit effects."""
        network, cube = network_in(design), cube_of(design, self.layout)
        found = fit_random(cube, network, self.form)
        cov = found.bread
        if self.covariance == "cluster":
            cov = sandwich(found.scores, found.bread, cube.inside, design.cluster[:, 0], design.n_clusters)
        estimate = self.layout.estimate(found.fit, cov, network, design, self.spec.regressors)
        between = found.fit.sigma2 * (1.0 / found.phi**2 - 1.0) / estimate.n_periods
        own = {"phi": found.phi, "sigma2_unit": between, "bound_low": network.lower, "bound_high": network.upper}
        return replace(estimate, stats={**estimate.stats, **own})

    def fit_weights(self, design: Design, weights: Float[Array, "draw unit"]) -> Estimate:
        """Refuse: see `SpatialDurbin.fit_weights`."""
        return SpatialDurbin(self.spec, self.weights).fit_weights(design, weights)

    def fit_copies(self, design: Design, copies: Float[Array, "draw unit"]) -> Estimate:
        """Refuse: see `SpatialDurbin.fit_weights`."""
        return self.fit_weights(design, copies)

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate on a panel; see `SpatialDurbin.estimate`."""
        require_float64()
        weights = weights_of(panel, self.weights)
        estimate = jit_fit(self, self._design(panel, weights))
        frames = details_of(estimate, self.layout, weights, panel, self.spec.coordinates)
        notes = dict.fromkeys((*weights.notes, *self.notes(panel, estimate)))
        return replace(estimate, details=frames, notes=tuple(notes))

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say what is random, what was omitted, and where a parameter is at its bound."""
        kind = "sandwich of scores by cluster" if self.covariance == "cluster" else "observed information"
        said = [f"{self.model} with random unit effects; standard errors from the {kind}"]
        if int(estimate.status) == Status.AT_BOUND:
            phi = float(estimate.stats["phi"])
            said.append(
                "units do not differ beyond their errors (phi is 1): random effects are none"
                if phi > 0.999
                else "a spatial parameter is at its bound: it has no standard error, effects no value"
            )
        omitted = [term for term in self.layout.coefficients if jnp.isnan(estimate.coef[estimate.names.index(term)])]
        if omitted:
            said.append(f"omitted because of collinearity: {', '.join(omitted)}")
        return (*sample_of(panel, self.spec).notes(), *said)
