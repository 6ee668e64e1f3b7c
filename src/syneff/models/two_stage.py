r"""Instrumental variables with absorbed unit and period effects: 2SLS, LIML and two-step GMM.

.. math::

    y_{it} = \beta' d_{it} + \gamma' x_{it} + \mu_i + \lambda_t + e_{it}, \qquad
    d_{it} = \pi' z_{it} + \delta' x_{it} + m_i + l_t + v_{it}

The treatment of the specification is endogenous, its ``instruments`` are excluded from the first equation, and ``endogenous``
names controls that are endogenous too. Residuals are those of the actual endogenous variables, never of fitted ones, so R2 is
at most that of least squares and may be negative.

Conventions. Coefficients, LIML's covariance (``D'(I - kappa M)D`` inverted, scores of the projected regressors) and GMM's
(first-step weight, scores of the final residuals) are those of ivreg2 and linearmodels. The small-sample rule is the
specification's: ``reghdfe`` (ivreghdfe, fixest), ``lsdv`` (linearmodels' IV models on explicit dummies with ``debiased=True``),
``none`` (linearmodels without it), ``linearmodels`` (its panel models). The weight of GMM, Hansen's J and the
Kleibergen-Paap LM statistic have no small-sample factor, every F has that of its first stage.

References
----------
Baum, C. F., Schaffer, M. E. and Stillman, S. (2007). Stata Journal 7, 465-506. https://doi.org/10.1177/1536867X0800700402
"""

from dataclasses import dataclass, replace
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import one_of
from syneff.models import closed_forms
from syneff.models.audit import audit_fixed_effects
from syneff.models.base import FITS_AT_A_TIME, Audit, Design, Estimate, Estimator, Spec, Status, jit_fit
from syneff.models.covariances import Fit, uncertainty
from syneff.models.design import build_design, sample_of
from syneff.models.fixed_effects import constants_of, goodness_of_fit, with_constants
from syneff.models.instruments.checks import check_count, check_instruments, check_names, exogenous_names
from syneff.models.instruments.diagnostics import diagnose, instrumented, moment_covariance
from syneff.models.instruments.equations import REDUCED, with_first_stages
from syneff.models.instruments.tests import tests_of
from syneff.numerics.batching import map_in_chunks
from syneff.numerics.least_squares import Absorption, absorb, absorption
from syneff.numerics.moment_conditions import moments_fit
from syneff.numerics.two_stage import (
    Instrumented,
    InstrumentFit,
    all_coef,
    all_projections,
    cross_moments,
    drawn_outcomes,
    influence,
    k_class,
    liml_kappa,
)
from syneff.panel.panel import Panel
from syneff.runtime import require_float64
from syneff.typing import Array, Bool, Draws, Float, UnitPeriod

ESTIMATORS = ("2sls", "liml", "gmm")


@dataclass(frozen=True)
class TwoStage(Estimator):
    """Regression with endogenous variables and instruments, effects absorbed.

    Attributes
    ----------
    spec
        The specification, by names: ``treatment`` is endogenous, ``instruments`` are the excluded ones. Its covariance is
        iid, HC1, CR0 or CR1.
    estimator
        "2sls", "liml" or "gmm" (two steps, the weight robust as the covariance is).
    endogenous
        Controls that are endogenous too.
    suspect
        Instruments whose exogeneity the difference-in-Sargan test questions, given that the others are exogenous.
    """

    spec: Spec
    estimator: str = "2sls"
    endogenous: tuple[str, ...] = ()
    suspect: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("endogenous", "suspect"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        one_of("estimator.estimator", self.estimator, ESTIMATORS)
        check_names(self.spec, self.endogenous, self.suspect)

    @property
    def instrumented(self) -> tuple[str, ...]:
        """The endogenous variables, the treatment first."""
        return (self.spec.treatment, *self.endogenous)

    def design(self, panel: Panel) -> Design:
        """Turn names into arrays, endogenous variables first.

        Raises
        ------
        SpecError
            If there are no instruments.
        DataError
            If effects absorb an instrument or an endogenous variable, an instrument is a copy of another variable, or fewer
            instruments are left than there are endogenous variables.
        """
        check_count(self.spec, self.instrumented)
        design = build_design(panel, self.spec)
        names = (*self.instrumented, *exogenous_names(self.spec, self.endogenous))
        order = np.asarray([design.names.index(name) for name in names])
        design = replace(design, regressors=design.regressors[:, :, order], names=names)
        check_instruments(self.spec, design, len(self.instrumented))
        return design

    def fit(self, design: Design) -> Estimate:
        """Estimate the second stage: coefficients, both constants, their covariance and every R2."""
        absorbed = absorption(design.weights, self.spec.effects)
        parts = self._parts(design, absorbed)
        fit, stats = self._solve(design, parts, absorbed)
        counts = closed_forms.counts_of(design, absorbed, self._kept(parts, fit).sum().astype(float))
        constants = constants_of(design.weights, absorbed)
        coef, shares = with_constants(design, all_coef(parts, fit), influence(parts, fit), list(constants.values()))
        kept = jnp.concatenate([self._kept(parts, fit), jnp.ones(len(constants), bool)])
        status = closed_forms.fit_status(kept, counts, self.spec.clustered)
        regressors = jnp.concatenate([fit.fitted, parts.exogenous], axis=2)
        inverse = all_projections(parts, fit.projection)
        uncertain = uncertainty(self.spec, design, Fit(shares, fit.residuals, regressors, inverse, absorbed), counts)
        cov = uncertain.cov
        if self.estimator == "liml" and self.spec.covariance == "iid":
            variance = (design.weights * fit.residuals**2).sum() / (counts.rows - counts.parameters)
            cov = cov + variance * _homoskedastic_gap(design, parts, fit, list(constants.values()))
        cov = jnp.where(status == int(Status.NO_DEGREES_OF_FREEDOM), jnp.nan, cov)
        within = absorb(design.outcome[:, :, None], absorbed)[:, :, 0]
        return Estimate(
            coef=jnp.where(kept, coef, jnp.nan),
            cov=jnp.where(kept[:, None] & kept[None, :], cov, jnp.nan),
            nobs=counts.rows,
            n_units=absorbed.n_units,
            n_periods=absorbed.n_periods,
            dof=uncertain.dof,
            stats=goodness_of_fit(design, within, fit.residuals, absorbed, counts) | uncertain.stats | stats,
            status=status,
            names=(*design.names, *constants),
            outcome=self.spec.outcome,
        )

    def fit_outcomes(self, design: Design, outcomes: Draws) -> Estimate:
        """Estimate all regressors for each outcome ``[draw unit period]``; 2SLS projects the endogenous variables once."""
        if self.estimator != "2sls" or len(self.spec.cluster_names) > 1:
            return super().fit_outcomes(design, outcomes)
        absorbed = absorption(design.weights, self.spec.effects)
        parts = self._parts(design, absorbed)
        fit = k_class(parts, 1.0)
        counts = closed_forms.counts_of(design, absorbed, self._kept(parts, fit).sum().astype(float))
        rest, fits = drawn_outcomes(parts, fit, outcomes, absorbed)
        return closed_forms.of_outcomes(self.spec, design, rest, fits, counts)

    def fit_instruments(self, design: Design, instruments: Draws) -> Estimate:
        """Estimate with each placebo ``[draw unit period]`` in the place of the first instrument."""

        def one(each: Array) -> Estimate:
            placed = jnp.where(design.weights > 0, each, 0.0)
            return self.fit(replace(design, instruments=design.instruments.at[:, :, 0].set(placed)))

        return cast(Estimate, map_in_chunks(jax.vmap(one), instruments, FITS_AT_A_TIME))

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate second stage, first stages and reduced form, with their tests.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect.

        Returns
        -------
        Estimate
            The second stage; then the first stage of each endogenous variable, in rows whose outcome is that variable; then
            the reduced form as ``reduced_form:<instrument>``. Covariances between equations are NaN.
        """
        require_float64()
        design = self.design(panel)
        second = jit_fit(self, design)
        questioned = tuple(self.spec.instruments.index(each) for each in self.suspect)
        found = diagnose(self.spec, replace(design, balanced=False), len(self.instrumented), questioned)
        tests, weak, details, said = tests_of(self.spec, self.instrumented, len(set(self.suspect)), found)
        ols = {f"ols:{each}": found.ols[place] for place, each in enumerate(self.instrumented)}
        partial = {f"partial_r2:{each}": found.partial_r2[place] for place, each in enumerate(self.instrumented)}
        joined = with_first_stages(second, found.stages, self.instrumented, self.spec.instruments)
        estimate = replace(
            joined,
            tests=tests,
            details=details,
            stats={**second.stats, **ols, **partial, **weak},
        )
        return replace(estimate, notes=(*self.notes(panel, estimate), *said))

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Estimate 2SLS of one endogenous variable with pyfixest, which knows no other; see `syneff.models.audit`."""
        if self.estimator != "2sls" or self.endogenous:
            return Audit(remark=self.estimator if self.estimator != "2sls" else "several-endogenous")
        outcomes = zip(estimate.names, estimate.outcome, strict=True)
        own = tuple(name for name, of in outcomes if of == self.spec.outcome and not name.startswith(REDUCED))
        return audit_fixed_effects(panel, self.spec, estimate.of_terms(own), instrumented=True)

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say which rows were left out and which regressors or instruments omitted."""
        return sample_of(panel, self.spec).notes() + super().notes(panel, estimate)

    def _parts(self, design: Design, absorbed: Absorption) -> Instrumented:
        return instrumented(design, len(self.instrumented), absorbed)

    def _kept(self, parts: Instrumented, fit: InstrumentFit) -> Bool[Array, " k"]:
        return jnp.concatenate([fit.kept, parts.exogenous_kept])

    def _solve(
        self, design: Design, parts: Instrumented, absorbed: Absorption
    ) -> tuple[InstrumentFit, dict[str, Array]]:
        if self.estimator == "liml":
            kappa = liml_kappa(parts)
            return k_class(parts, kappa), {"kappa": kappa}
        first = k_class(parts, 1.0)
        if self.estimator == "2sls":
            return first, {}
        moments = jnp.concatenate([parts.instruments, parts.exogenous], axis=2)
        covariance = moment_covariance(self.spec, design, moments, first.residuals, absorbed=absorbed)
        own = parts.instruments.shape[2]
        return moments_fit(parts, covariance[:own, :own], covariance[own:, :own]), {}


def _homoskedastic_gap(
    design: Design, parts: Instrumented, fit: InstrumentFit, means: list[UnitPeriod]
) -> Float[Array, "term term"]:
    """Return by how much the inverse of ``D'(I - kappa M)D``, the covariance of LIML, exceeds that of projected regressors."""
    projected = cross_moments(fit.fitted, fit.fitted, parts.weights)
    gap = fit.projection - fit.projection @ projected @ fit.projection
    slopes = jnp.concatenate([jnp.eye(gap.shape[0]), -parts.loadings[:, 1:]])
    averages = jnp.stack([jnp.einsum("it,itk->k", mean, design.regressors) for mean in means])
    onto = jnp.concatenate([slopes, -averages @ slopes])
    return onto @ gap @ onto.T
