r"""Spatial panel models with fixed effects, by maximum likelihood.

.. math::

    y_t = \rho W y_t + X_t \beta + W X_t \theta + \mu + \lambda_t + u_t, \qquad u_t = \lambda W u_t + e_t

=========  ======  =======  ========
model      rho     theta    lambda
=========  ======  =======  ========
``slx``            x
``sar``    x
``sem``                     x
``sdm``    x       x
``sdem``           x        x
``sac``    x                x
=========  ======  =======  ========

The *direct* likelihood has a dummy for each effect. Its estimate of rho is biased with period effects, badly so where W is
dense; Lee and Yu's transformation, the default, removes that, and ``bias_corrected`` corrects it to the first order. Both need
rows of W that sum to 1 where there are period effects. theta is not the spillover: the indirect effects are.

Standard errors come from the information matrix of the likelihood; `spec.covariance` belongs to least squares and has no part
in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError, one_of, unknown_name
from syneff.models.base import Design, Estimate, Estimator, Spec, Status, jit_fit
from syneff.models.design import sample_of
from syneff.numerics.batching import map_in_chunks
from syneff.numerics.spatial_draws import fit_treatment, prepare
from syneff.numerics.spatial_effects import KINDS
from syneff.numerics.spatial_fit import Form, fit_cube
from syneff.numerics.spatial_statistics import fit_statistics
from syneff.panel.panel import Panel
from syneff.runtime import key_for, require_float64
from syneff.spatial.checks import check_clusters, check_transformation
from syneff.spatial.design import SpatialDesign, cube_of, network_in, spatial_design
from syneff.spatial.effects import details_of, simulated
from syneff.spatial.layout import MODELS, Layout
from syneff.spatial.networks import network_of
from syneff.spatial.weights import MakeWeights, Weights, weights_of
from syneff.typing import Array, Draws, Float

EFFECTS = ("unit", "period")
METHODS = ("direct", "lee_yu", "bias_corrected")
COVARIANCES = ("expected", "observed", "cluster")
DRAWS_AT_A_TIME = 64


@dataclass(frozen=True)
class SpatialDurbin(Estimator):
    """A spatial panel model.

    Attributes
    ----------
    spec
        The specification, by names; its effects are "unit", "period", both or none.
    weights
        W, or a function that makes it from the panel; one for each period is refused, with the reason. Estimators that differ
        in W alone are equal, and share a compilation: W travels with the design.
    model
        One of `MODELS`.
    method
        "lee_yu" (default), "direct" or "bias_corrected".
    durbin
        The regressors that enter lagged too; all if None.
    covariance
        "expected" information (default), "observed" information, or the sandwich of scores by "cluster", with the spec's
        clusters and the factor G/(G-1).
    simulations
        Draws from which standard errors of effects are simulated; 0 for the delta method.
    """

    spec: Spec
    weights: Weights | MakeWeights | Sequence[Weights] = field(compare=False)
    model: str = "sdm"
    method: str = "lee_yu"
    durbin: tuple[str, ...] | None = None
    covariance: str = "expected"
    simulations: int = field(default=0, compare=False)
    linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        one_of("estimator.model", self.model, MODELS)
        one_of("estimator.method", self.method, METHODS)
        one_of("estimator.covariance", self.covariance, COVARIANCES)
        if self.durbin is not None:
            object.__setattr__(self, "durbin", tuple(self.durbin))
        self._check_weights()
        self._check_durbin()
        if self.spec.covariance not in ("CR1", "CR0", "iid"):
            raise SpecError(
                f"spec.covariance={self.spec.covariance} belongs to least squares. Leave it out: the standard errors of "
                f"SpatialDurbin are chosen by covariance={', '.join(COVARIANCES)}."
            )
        if self.spec.instruments:
            raise SpecError("SpatialDurbin takes no instruments. Leave spec.instruments out.")
        if self.simulations < 0 or self.simulations == 1:
            raise SpecError(
                f"SpatialDurbin: simulations={self.simulations} must be 0, or draws by the hundred, e.g. 1000."
            )

    def _check_weights(self) -> None:
        given: object = self.weights
        if not isinstance(given, Weights) and not callable(given):
            several = isinstance(given, Sequence | Mapping) or np.asarray(given).ndim > 2
            reason = (
                "W that changes over time is refused: demeaning would no longer commute with it, and the likelihood's "
                "determinant, effects and tests hold for one W. "
                if several
                else ""
            )
            raise SpecError(
                f"SpatialDurbin: weights are a {type(given).__name__}. {reason}Give one Weights, e.g. "
                "Weights.from_dense(matrix, ids=units)."
            )

    def _check_durbin(self) -> None:
        twice = [name for name in self.layout.coefficients if self.layout.coefficients.count(name) > 1]
        if twice:
            raise SpecError(
                f"the lag of a regressor would be called {twice[0]!r}, which is a regressor too. Rename that one."
            )
        if self.durbin is None:
            return
        if not MODELS[self.model][1]:
            raise SpecError(
                f"durbin={list(self.durbin)} belongs to slx, sdm and sdem, not to {self.model}. Leave it out."
            )
        for name in self.durbin:
            if name not in self.spec.regressors:
                raise SpecError(unknown_name("regressor in durbin:", name, self.spec.regressors))
        if not self.durbin or len(set(self.durbin)) < len(self.durbin):
            raise SpecError(f"durbin={list(self.durbin)} must name some regressors, each once.")

    @property
    def lags(self) -> tuple[str, ...]:
        """The regressors that enter lagged too."""
        if not MODELS[self.model][1]:
            return ()
        return tuple(name for name in self.spec.regressors if self.durbin is None or name in self.durbin)

    @property
    def layout(self) -> Layout:
        """The terms."""
        return Layout(self.model, self.spec.outcome, self.spec.regressors, self.lags)

    @property
    def form(self) -> Form:
        """What kind of model it is, for the numerics."""
        lagged, _, filtered = MODELS[self.model]
        # Effects in another order are the same effects.
        effects = tuple(each for each in EFFECTS if each in self.spec.effects)
        return Form(lagged, filtered, effects, self.method, self.covariance)

    def weights_for(self, panel: Panel) -> Weights:
        """Return W for a panel's sample."""
        return weights_of(panel, cast(Weights | MakeWeights, self.weights))

    def design(self, panel: Panel) -> SpatialDesign:
        """Turn names into arrays, and place W on them.

        Raises
        ------
        DataError
            If the sample is not balanced (units are named), W lacks a unit of it, or a column is unknown.
        SpecError
            If Lee and Yu's transformation is asked for and W does not allow it (units are named).
        """
        return self.design_with(panel, self.weights_for(panel))

    def design_with(self, panel: Panel, weights: Weights) -> SpatialDesign:
        """Turn names into arrays, with weights that belong to the panel."""
        check_transformation(weights, self.method, self.spec.effects)
        design = spatial_design(panel, self.spec, weights)
        if self.covariance == "cluster":
            check_clusters(panel, self.spec, design)
        return design

    def fit(self, design: Design) -> Estimate:
        """Estimate coefficients, spatial parameters and effects with their joint covariance."""
        cube, network = cube_of(design, self.layout), network_in(design)
        fitted = fit_cube(cube, network, design.cluster[:, 0], self.form, design.n_clusters)
        estimate = self.layout.estimate(fitted.fit, fitted.inverse, network, design, self.spec.regressors)
        return replace(estimate, stats={**estimate.stats, **fit_statistics(cube, fitted, network, self.form)})

    def fit_treatments(self, design: Design, treatments: Draws) -> Estimate:
        """Estimate under each treatment ``[draw unit period]``; terms are those of the treatment, rho and its effects."""
        if self.form.filtered or self.covariance != "expected" or self.method == "bias_corrected":
            return super().fit_treatments(design, treatments)
        cube, network, name = cube_of(design, self.layout), network_in(design), self.spec.treatment
        own = self.layout.columns_of(name)
        rest = prepare(cube, network, own, self.form)

        def each(treatment: Array) -> Estimate:
            fit, inverse = fit_treatment(rest, network, treatment * cube.inside, self.form, len(own))
            return self.layout.estimate(fit, inverse, network, design, (name,))

        found: Estimate = map_in_chunks(jax.vmap(each), treatments, DRAWS_AT_A_TIME)
        return found

    def fit_weights(self, design: Design, weights: Float[Array, "draw unit"]) -> Estimate:
        """Refuse: see the message."""
        raise SpecError(
            "SpatialDurbin: units cannot be resampled or reweighted. W links each unit to others, so a sample of units has no "
            "W of its own, and a unit drawn twice no neighbours. Use Placebo, or covariance=cluster."
        )

    def fit_copies(self, design: Design, copies: Float[Array, "draw unit"]) -> Estimate:
        """Refuse: see `fit_weights`."""
        return self.fit_weights(design, copies)

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate on a panel.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key of simulated standard errors.

        Returns
        -------
        Estimate
            With effects by order of neighbour, by unit and, where units have coordinates, by distance in `details`.
        """
        require_float64()
        weights = self.weights_for(panel)
        estimate = jit_fit(self, self.design_with(panel, weights))
        return self.finish(panel, weights, estimate, seed=seed, name=name)

    def estimate_each(
        self, panel: Panel, weights: Sequence[Weights], *, seed: int = 0, name: str = ""
    ) -> tuple[Estimate, ...]:
        """Estimate with each of several weights, in one compiled call.

        Parameters
        ----------
        panel
            The data.
        weights
            Several W over the same units. Those that are similar to a symmetric matrix and those that are not cannot be mixed.
        seed, name
            As for `estimate`.
        """
        require_float64()
        owned = [weights_of(panel, each) for each in weights]
        designs = [self.design_with(panel, each) for each in owned]
        if len({jax.tree.structure(design) for design in designs}) > 1:
            raise SpecError(
                "SpatialDurbin: weights whose eigenvalues are real by symmetry and others cannot be stacked. "
                "Estimate them one by one."
            )
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *designs)
        found = _fit_stacked(self, stacked)
        each_one = [jax.tree.map(lambda leaf, at=at: leaf[at], found) for at in range(len(owned))]
        return tuple(
            self.finish(panel, own, one, seed=seed, name=name) for own, one in zip(owned, each_one, strict=True)
        )

    def finish(self, panel: Panel, weights: Weights, estimate: Estimate, *, seed: int, name: str) -> Estimate:
        """Add on the host what no array holds: simulated errors, frames of effects, and notes."""
        if self.simulations and self.model in ("sar", "sdm", "sac"):
            network = network_of(weights, panel)
            estimate = simulated(estimate, self.layout, network, draws=self.simulations, key=key_for(seed, name))
        frames = details_of(estimate, self.layout, weights, panel, self.spec.coordinates)
        notes = (*weights.notes, *self.notes(panel, estimate))
        return replace(estimate, details=frames, notes=tuple(dict.fromkeys(notes)))

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say how errors were found, what was omitted, and where a parameter is at its bound."""
        kind = "sandwich of scores by cluster" if self.covariance == "cluster" else f"{self.covariance} information"
        effects = (
            f"of effects from {self.simulations:,} draws" if self.simulations else "of effects by the delta method"
        )
        said = [f"{self.model} by {self.method}; standard errors from the {kind}, {effects}"]
        if int(estimate.status) == Status.AT_BOUND:
            low, high = (float(estimate.stats[each]) for each in ("bound_low", "bound_high"))
            said.append(
                f"a spatial parameter is at its bound ({low:.4g} to {high:.4g}): it has no standard error, effects no value. "
                "Compare other weights, or drop them where every unit is nearly everyone's neighbour"
            )
        omitted = [name for name, coef in zip(estimate.names, np.asarray(estimate.coef), strict=True) if np.isnan(coef)]
        coefficients = [name for name in omitted if not name.startswith(tuple(f"{kind}:" for kind in KINDS))]
        if coefficients:
            said.append(f"omitted because of collinearity: {', '.join(coefficients)}")
        known = np.isfinite(np.asarray(estimate.coef))
        told = int(estimate.status) == Status.AT_BOUND or np.isfinite(np.asarray(estimate.std_error)[known]).all()
        if not told:
            said.append(
                "no standard errors: the information is singular, so these weights and effects do not identify the model "
                "(every unit of a group being everyone's neighbour is such a case)"
            )
        return (*sample_of(panel, self.spec).notes(), *said)


@partial(jax.jit, static_argnums=0)
def _fit_stacked(model: SpatialDurbin, designs: SpatialDesign) -> Estimate:
    return jax.vmap(model.fit)(designs)
