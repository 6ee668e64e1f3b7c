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

from syneff.models.audit import audit_fixed_effects
from syneff.models.base import Audit, Design, Estimate, Estimator, Spec, Status
from syneff.models.covariances import Fit, has_closed_form, uncertainty
from syneff.models.design import build_design, sample_of
from syneff.numerics.covariance import Counts, cluster_sums, small_sample_factor
from syneff.numerics.least_squares import (
    Absorption,
    LeastSquares,
    absorb,
    absorption,
    least_squares,
    period_effect_weights,
)
from syneff.panel.panel import Panel
from syneff.typing import Array, Draws, Float, UnitPeriod, UnitPeriodK


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
        counts = self._counts(design, absorbed, fit.kept.sum().astype(float))
        constants = {"constant": design.weights / design.weights.sum()}
        if self.spec.effects == ("unit", "period"):
            constants["constant[xtreg]"] = period_effect_weights(absorbed)
        coef, influence = _with_constants(design, regressors, fit, list(constants.values()))
        kept = jnp.concatenate([fit.kept, jnp.ones(len(constants), bool)])
        status = _status(kept, counts, self.spec.clustered)
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
            stats=_r2(design, outcome, fit.residuals, absorbed, counts) | uncertain.stats,
            status=status,
            names=(*design.names, *constants),
            outcome=self.spec.outcome,
        )

    def fit_treatments(self, design: Design, treatments: Draws) -> Estimate:
        r"""Estimate the treatment's coefficient under each treatment, partialling out effects and controls once.

        By Frisch, Waugh and Lovell, with residuals on effects and controls marked by a tilde,

        .. math::

            b = \tilde d' W \tilde y / \tilde d' W \tilde d, \qquad
            \operatorname{var}(b) = c \sum_g (\sum_{it \in g} w \tilde d e)^2 / (\tilde d' W \tilde d)^2 .

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
        weights = design.weights
        absorbed = absorption(weights, self.spec.effects)
        outcome = absorb(design.outcome[:, :, None], absorbed)[:, :, 0]
        controls = absorb(design.regressors[:, :, 1:], absorbed)
        size = _size(design)[1:]
        partial = least_squares(outcome, controls, weights, size)
        fake = jnp.where((weights > 0)[:, :, None], jnp.moveaxis(treatments, 0, -1), 0.0)
        total = _centred_squares(fake, weights)
        fake = absorb(fake, absorbed)
        cross = jnp.einsum("itk,itd->kd", controls * weights[:, :, None], fake)
        fake = fake - jnp.einsum("itk,kd->itd", controls, partial.inverse @ cross)
        norm = jnp.einsum("itd,it->d", fake**2, weights)
        kept = norm > 1e-10 * total
        safe = jnp.where(kept, norm, 1.0)
        coef = jnp.einsum("itd,it->d", fake, weights * partial.residuals) / safe
        residuals = partial.residuals[:, :, None] - fake * coef[None, None, :]
        counts = self._counts(design, absorbed, partial.kept.sum().astype(float) + 1.0)
        variance = self._variances(design, fake, residuals, counts) / safe**2
        short = _status(kept, counts, self.spec.clustered) == int(Status.NO_DEGREES_OF_FREEDOM)
        variance = jnp.where(short, jnp.nan, variance)
        return self._batch(coef, variance, kept, absorbed, counts)

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Estimate with pyfixest; see `syneff.models.audit`."""
        return audit_fixed_effects(panel, self.spec, estimate)

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say which rows were left out and which regressors omitted."""
        return sample_of(panel, self.spec).notes() + super().notes(panel, estimate)

    def _batch(
        self, coef: Float[Array, " draw"], variance: Array, kept: Array, absorbed: Absorption, counts: Counts
    ) -> Estimate:
        draws = coef.shape[0]

        def each(value: Array) -> Array:
            return jnp.broadcast_to(value, (draws,))

        return Estimate(
            coef=jnp.where(kept, coef, jnp.nan)[:, None],
            cov=jnp.where(kept, variance, jnp.nan)[:, None, None],
            nobs=each(counts.rows),
            n_units=each(absorbed.n_units),
            n_periods=each(absorbed.n_periods),
            dof=each(self._dof(counts)),
            stats={},
            status=jnp.where(kept, int(Status.OK), int(Status.COLLINEAR)),
            names=(self.spec.treatment,),
            outcome=self.spec.outcome,
        )

    def _counts(self, design: Design, absorbed: Absorption, regressors: Float[Array, ""]) -> Counts:
        inside = design.weights > 0
        clusters = jnp.stack([way.occupied(design.weights) for way in design.ways]).min()
        levels = {"unit": absorbed.n_units, "period": absorbed.n_periods}
        nested = sum((levels[effect] for effect in design.nested), start=jnp.zeros(()))
        nested = nested - jnp.asarray(max(len(design.nested) - 1.0, 0.0))
        return Counts(inside.sum().astype(float), clusters, regressors, absorbed.rank, nested)

    def _variances(
        self,
        design: Design,
        treatments: Float[Array, "unit period draw"],
        residuals: Float[Array, "unit period draw"],
        counts: Counts,
    ) -> Float[Array, " draw"]:
        """Meat of each draw, small-sample factor included."""
        weights = design.weights[:, :, None]
        free = counts.rows - counts.parameters
        if self.spec.covariance == "iid":
            return (weights * residuals**2).sum((0, 1)) / free * (weights * treatments**2).sum((0, 1))
        scores = weights * treatments * residuals
        if self.spec.covariance == "HC1":
            return (scores**2).sum((0, 1)) * counts.rows / free
        sums = cluster_sums(scores, design.cluster, design.n_clusters)
        return (sums**2).sum(0) * small_sample_factor(self.spec.rule, counts)

    def _dof(self, counts: Counts) -> Float[Array, ""]:
        return counts.clusters - 1.0 if self.spec.clustered else counts.rows - counts.parameters


def _with_constants(
    design: Design, regressors: UnitPeriodK, fit: LeastSquares, means: list[UnitPeriod]
) -> tuple[Float[Array, " term"], Float[Array, "unit period term"]]:
    """Append constants ``g'(y - X b)`` to the coefficients, and their derivatives to the influence."""
    influence = jnp.einsum("kl,itl->itk", fit.inverse, regressors * design.weights[:, :, None])
    coef, parts = [fit.coef], [influence]
    for mean in means:
        averages = jnp.einsum("it,itk->k", mean, design.regressors)
        coef.append(((mean * design.outcome).sum() - averages @ fit.coef)[None])
        parts.append((mean - influence @ averages)[:, :, None])
    return jnp.concatenate(coef), jnp.concatenate(parts, axis=-1)


def _centred_squares(values: UnitPeriodK, weights: UnitPeriod) -> Float[Array, " k"]:
    """Weighted sum of squares about the mean, kept above the rounding error of large means."""
    mean = jnp.einsum("it,itk->k", weights, values) / weights.sum()
    raw = jnp.einsum("it,itk->k", weights, values**2)
    return jnp.einsum("it,itk->k", weights, (values - mean[None, None, :]) ** 2) + 1e-10 * raw


def _size(design: Design) -> Float[Array, " k"]:
    return _centred_squares(design.regressors, design.weights)


def _r2(
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


def _status(kept: Array, counts: Counts, clustered: bool) -> Array:
    short = (counts.rows <= counts.parameters) | (clustered & (counts.clusters < 2))
    return jnp.where(
        short, int(Status.NO_DEGREES_OF_FREEDOM), jnp.where(kept.all(), int(Status.OK), int(Status.COLLINEAR))
    )
