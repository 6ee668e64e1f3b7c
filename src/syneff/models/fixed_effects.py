r"""Linear regression with absorbed unit and period effects.

.. math::

    y_{it} = \beta\, d_{it} + \gamma' x_{it} + \mu_i + \lambda_t + e_{it}

Effects are absorbed exactly on the weighted cube (`syneff.numerics.least_squares`). Programs report different constants and
R2 for one and the same fit, so all are reported, each under its own name:

======================  ==============================================================================
name                    what
======================  ==============================================================================
``constant``            mean(y) - mean(x)'b (reghdfe)
``constant[xtreg]``     net of period effects relative to the first period (``xtreg, fe i.year``)
``r2``                  1 - rss / total sum of squares, effects included (reghdfe, fixest)
``r2_adjusted``         the same with all parameters counted
``r2_within``           1 - rss / sum of squares net of all effects (reghdfe, fixest)
``r2_within_adjusted``  fixest's adjustment of it
``r2_within_plm``       plm's adjustment of it, which can be negative
``r2_xtreg``            1 - rss / sum of squares net of unit effects: period dummies explain (xtreg)
``r2_xtreg_adjusted``   xtreg's adjusted R2: what the paper's Table 3 prints
======================  ==============================================================================
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from syneff.models import closed_forms
from syneff.models.audit import audit_fixed_effects
from syneff.models.base import Audit, Design, Estimate, Estimator, Spec, Status
from syneff.models.covariances import Fit, has_closed_form, uncertainty
from syneff.models.design import build_design, sample_of
from syneff.numerics import partialled
from syneff.numerics.covariance import Counts
from syneff.numerics.least_squares import (
    Absorption,
    absorb,
    absorption,
    centred_squares,
    least_squares,
    period_effect_weights,
)
from syneff.numerics.treatment_paths import fit_paths, path_tables
from syneff.numerics.unbalanced_paths import fit_unbalanced, unbalanced_tables
from syneff.numerics.unit_weights import fit_weights, unit_moments
from syneff.panel.panel import Panel
from syneff.typing import Array, Draws, Float, Int, UnitPeriod, UnitPeriodK


@dataclass(frozen=True)
class FixedEffects(Estimator):
    """Least squares with absorbed effects.

    Attributes
    ----------
    spec
        The specification, by names.
    """

    spec: Spec

    def design(self, panel: Panel) -> Design:
        """Turn names into arrays; see `syneff.models.design.build_design` for what is checked."""
        return build_design(panel, self.spec)

    def fit(self, design: Design) -> Estimate:
        """Estimate coefficients, both constants, their covariance and every R2."""
        absorbed = absorption(design.weights, self.spec.effects)
        outcome = absorb(design.outcome[:, :, None], absorbed)[:, :, 0]
        regressors = absorb(design.regressors, absorbed)
        fit = least_squares(outcome, regressors, design.weights, _size(design))
        counts = closed_forms.counts_of(design, absorbed, fit.kept.sum().astype(float))
        constants = constants_of(design.weights, absorbed)
        slopes = jnp.einsum("kl,itl->itk", fit.inverse, regressors * design.weights[:, :, None])
        coef, influence = with_constants(design, fit.coef, slopes, list(constants.values()))
        kept = jnp.concatenate([fit.kept, jnp.ones(len(constants), bool)])
        status = closed_forms.fit_status(kept, counts, self.spec.clustered)
        uncertain = uncertainty(
            self.spec, design, Fit(influence, fit.residuals, regressors, fit.inverse, absorbed), counts
        )
        # A saturated fit has residuals of rounding size: its standard errors would be machine zeros with stars.
        cov = jnp.where(status == int(Status.NO_DEGREES_OF_FREEDOM), jnp.nan, uncertain.cov)
        return Estimate(
            coef=jnp.where(kept, coef, jnp.nan),
            cov=jnp.where(kept[:, None] & kept[None, :], cov, jnp.nan),
            nobs=counts.rows,
            n_units=absorbed.n_units,
            n_periods=absorbed.n_periods,
            dof=uncertain.dof,
            stats=goodness_of_fit(design, outcome, fit.residuals, absorbed, counts) | uncertain.stats,
            status=status,
            names=(*design.names, *constants),
            outcome=self.spec.outcome,
        )

    def fit_treatments(self, design: Design, treatments: Draws) -> Estimate:
        """Estimate the treatment's coefficient under each treatment, partialling out effects and controls once.

        Parameters
        ----------
        design
            Arrays of the specification.
        treatments
            ``[draw unit period]``.

        Returns
        -------
        Estimate
            With leading axis ``draw`` and the treatment as its only term; NaN where effects and controls explain it.
        """
        if not has_closed_form(self.spec):
            return super().fit_treatments(design, treatments)
        rest, counts = self._partial_out_controls(design)
        fits = partialled.fit_treatments(rest, treatments)
        return closed_forms.of_treatments(self.spec, design, fits, rest.absorbed, counts)

    def fit_paths(
        self, design: Design, paths: Float[Array, "path period"], assigned: Int[Array, "draw unit"]
    ) -> Estimate:
        """Estimate the treatment's coefficient under each assignment of paths; with two-way effects by gathering.

        See `syneff.numerics.treatment_paths` for the algebra of balanced panels, `syneff.numerics.unbalanced_paths` for that
        of others, and `fit_treatments` for what is returned.
        """
        tabled = self.spec.effects == ("unit", "period") and self.spec.covariance != "HC1"
        if not (tabled and has_closed_form(self.spec) and closed_forms.clusters_hold_units(self.spec, design)):
            return super().fit_paths(design, paths, assigned)
        rest, counts = self._partial_out_controls(design)
        fit = rest.outcome_fit
        if design.balanced:
            fits = fit_paths(path_tables(fit.residuals, rest.controls, fit.inverse, design.weights, paths), assigned)
        else:
            tables = unbalanced_tables(fit.residuals, rest.controls, fit.inverse, rest.absorbed, paths)
            fits = fit_unbalanced(tables, assigned)
        return closed_forms.of_paths(self.spec, design, fits, rest.absorbed, counts)

    def fit_weights(self, design: Design, weights: Float[Array, "draw unit"]) -> Estimate:
        """Estimate all regressors under each vector of unit weights ``[draw unit]``.

        See `syneff.numerics.unit_weights` for the algebra.
        """
        if not (has_closed_form(self.spec) and closed_forms.clusters_hold_units(self.spec, design)):
            return super().fit_weights(design, weights)
        return self._fit_units(design, weights, copies=False)

    def fit_copies(self, design: Design, copies: Float[Array, "draw unit"]) -> Estimate:
        """Estimate all regressors on as many copies of each unit ``[draw unit]``, each a unit and a cluster of its own."""
        if not (has_closed_form(self.spec) and closed_forms.clusters_hold_units(self.spec, design)):
            return super().fit_copies(design, copies)
        return self._fit_units(design, copies, copies=True)

    def fit_outcomes(self, design: Design, outcomes: Draws) -> Estimate:
        """Estimate all regressors for each outcome ``[draw unit period]``, inverting their moments once."""
        if not has_closed_form(self.spec):
            return super().fit_outcomes(design, outcomes)
        absorbed = absorption(design.weights, self.spec.effects)
        rest = partialled.partial_out(design.outcome, design.regressors, absorbed)
        counts = closed_forms.counts_of(design, absorbed, rest.outcome_fit.kept.sum().astype(float))
        fits = partialled.fit_outcomes(rest, outcomes)
        return closed_forms.of_outcomes(self.spec, design, rest, fits, counts)

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Estimate with pyfixest; see `syneff.models.audit`."""
        return audit_fixed_effects(panel, self.spec, estimate)

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say which rows were left out, which regressors omitted, and what has no standard error."""
        said = sample_of(panel, self.spec).notes() + super().notes(panel, estimate)
        coef, error = np.asarray(estimate.coef), np.asarray(estimate.std_error)
        if self.spec.treatment in estimate.names and np.isnan(coef[estimate.names.index(self.spec.treatment)]):
            said += (
                f"{self.spec.treatment} has no effect to estimate: effects and controls explain it, as where all units are "
                "treated at the same time, or from the first period on",
            )
        bare = [name for name, lost in zip(estimate.names, np.isfinite(coef) & np.isnan(error), strict=True) if lost]
        if bare and int(estimate.status) != Status.NO_DEGREES_OF_FREEDOM:
            said += (
                f"no standard error of {', '.join(bare)}: its scores cancel within clusters; cluster by more groups",
            )
        return said

    def _partial_out_controls(self, design: Design) -> tuple[partialled.Partialled, Counts]:
        absorbed = absorption(design.weights, self.spec.effects)
        rest = partialled.partial_out(design.outcome, design.regressors[:, :, 1:], absorbed)
        return rest, closed_forms.counts_of(design, absorbed, rest.outcome_fit.kept.sum().astype(float) + 1.0)

    def _fit_units(self, design: Design, drawn: Float[Array, "draw unit"], *, copies: bool) -> Estimate:
        moments = unit_moments(
            design.outcome, design.regressors, design.weights, self.spec.effects, balanced=design.balanced
        )
        fits = fit_weights(moments, drawn)
        return closed_forms.of_weights(self.spec, design, moments, fits, drawn, copies=copies)


def constants_of(weights: UnitPeriod, absorbed: Absorption) -> dict[str, UnitPeriod]:
    """Return, for each constant by name, the ``g`` that makes it ``g'(y - X b)``."""
    constants = {"constant": weights / weights.sum()}
    if absorbed.effects == ("unit", "period"):
        constants["constant[xtreg]"] = period_effect_weights(absorbed)
    return constants


def with_constants(
    design: Design, coef: Float[Array, " k"], influence: UnitPeriodK, means: list[UnitPeriod]
) -> tuple[Float[Array, " term"], Float[Array, "unit period term"]]:
    """Append constants ``g'(y - X b)`` to coefficients, and their derivatives to the influence ``[unit period k]``."""
    coefs, parts = [coef], [influence]
    for mean in means:
        averages = jnp.einsum("it,itk->k", mean, design.regressors)
        coefs.append(((mean * design.outcome).sum() - averages @ coef)[None])
        parts.append((mean - influence @ averages)[:, :, None])
    return jnp.concatenate(coefs), jnp.concatenate(parts, axis=-1)


def _size(design: Design) -> Float[Array, " k"]:
    return centred_squares(design.regressors, design.weights)


def goodness_of_fit(
    design: Design, within: UnitPeriod, residuals: UnitPeriod, absorbed: Absorption, counts: Counts
) -> dict[str, Array]:
    """Every R2, and the sums of squares that they are made of."""

    def squares(effects: tuple[str, ...]) -> Float[Array, ""]:
        net = absorb(design.outcome[:, :, None], replace(absorbed, effects=effects))[:, :, 0]
        return (design.weights * net**2).sum()

    rss = (design.weights * residuals**2).sum()
    tss, unit_tss, within_tss = squares(()), squares(("unit",)), (design.weights * within**2).sum()
    n, free = counts.rows, counts.rows - counts.parameters
    stats = {
        "rss": rss,
        "tss": tss,
        "r2": 1.0 - rss / tss,
        "r2_adjusted": 1.0 - (rss / free) / (tss / (n - 1.0)),
        "r2_within": 1.0 - rss / within_tss,
        "r2_within_adjusted": 1.0 - (rss / free) / (within_tss / (n - counts.dummies)),
        "r2_within_plm": 1.0 - (rss / free) / (within_tss / (n - 1.0)),
        "n_clusters": counts.clusters,
    }
    if "unit" in absorbed.effects:
        stats["r2_xtreg"] = 1.0 - rss / unit_tss
        stats["r2_xtreg_adjusted"] = 1.0 - (rss / free) / (unit_tss / (n - 1.0))
    return stats
