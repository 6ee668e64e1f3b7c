r"""The wild cluster bootstrap: multiply the residuals of each cluster by a random weight, and compare t statistics.

.. math:: y^* = \hat y + v_g \hat u, \qquad p = \frac{1 + \#\{|t^*| \ge |t|\}}{1 + n}

``impose_null`` takes fitted values and residuals from the regression with the coefficient fixed at the null value (WCR, which
keeps its size best), or from the full one (WCU). With Rademacher signs and up to 12 clusters all sign vectors are enumerated:
then ``p`` is exact, and ties with the actual sample (all signs alike) count half, as in Stata's ``boottest``.

Clustered in several ways, the variance in every t statistic is that of all ways and their intersections, and weights are drawn
for the clusters of one name (`syneff.models.resampling.multiway`). Such a variance need not be positive: draws in which it is
not have no statistic, and are left out and counted.

References
----------
Cameron, A. C., Gelbach, J. B. and Miller, D. L. (2008). https://doi.org/10.1162/rest.90.3.414
MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023). https://doi.org/10.1002/jae.2969
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError, one_of
from syneff.models.audit import audit_inside
from syneff.models.base import Audit, Design, Estimate, Estimator, Test
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling.draws import check_draws, crossing_units, few_draws, resampled_clusters, run_draws
from syneff.models.resampling.inversion import WildTest
from syneff.models.resampling.multiway import bootstrap_clusters, check_variant, variance_terms
from syneff.numerics.multiway_wild import MultiwayForms, actual_variance, multiway_forms, multiway_statistics
from syneff.numerics.wild import WildForms, wild_forms, wild_statistics
from syneff.panel.panel import Panel
from syneff.runtime import draw_keys, key_for
from syneff.typing import Array, Float, Int, Key

WEIGHTS = ("rademacher", "webb", "mammen", "normal")
VARIANTS = ("11", "13", "31", "33")
ENUMERATED = 12
"""Clusters up to which all sign vectors are enumerated: 4,096."""
CHUNK = 1024


@dataclass(frozen=True)
class WildClusterBootstrap:
    """Test the treatment's coefficient by the wild cluster bootstrap.

    Attributes
    ----------
    model
        A regression with absorbed effects.
    draws
        Number of draws; without effect where all sign vectors are enumerated.
    impose_null
        WCR if true, WCU if not.
    weights
        "rademacher" (signs), "webb" (six points, for few clusters), "mammen" (two points, skewed) or "normal".
    variant
        "11" (raw residuals, CV1 variance), "31" (residuals that leave the cluster out), "13" (CV3 variance) or "33" (both);
        the last two for clusters by one name that hold whole units.
    null_value
        The value that the hypothesis gives the coefficient.
    enumerate
        Use all sign vectors: None where there are at most 2^12, False never, True always.
    bootstrap_cluster
        The name whose clusters get one weight each, or several for their intersection; by default the name in `spec.cluster`
        with the fewest.
    chunk
        Draws at a time; without effect on the results.
    """

    model: Estimator
    draws: int = 9999
    impose_null: bool = True
    weights: str = "rademacher"
    variant: str | int = "11"
    null_value: float = 0.0
    enumerate: bool | None = None
    bootstrap_cluster: str | tuple[str, ...] | None = None
    chunk: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "variant", str(self.variant))  # a command line has numbers
        if not isinstance(self.bootstrap_cluster, str | None):  # yaml has lists
            object.__setattr__(self, "bootstrap_cluster", tuple(self.bootstrap_cluster))
        one_of("estimator.weights", self.weights, WEIGHTS)
        one_of("estimator.variant", self.variant, VARIANTS)
        check_draws("WildClusterBootstrap", self.draws, self.chunk)
        if not isinstance(self.model, FixedEffects):
            raise SpecError(
                f"WildClusterBootstrap: {type(self.model).__name__} has no residuals to draw from. Use FixedEffects."
            )
        if self.enumerate and self.weights != "rademacher":
            raise SpecError(
                f"WildClusterBootstrap: weights={self.weights} cannot be enumerated. Use rademacher, or enumerate=null."
            )

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the model, and test its treatment.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key.

        Returns
        -------
        Estimate
            The model's own estimate with the test ``wild_cluster``, whose interval inverts it, one-sided p-values in `stats`,
            and `draws`: the deviation of each from the value that holds in it, with its standard error.

        Raises
        ------
        SpecError
            If the variant is not defined for these clusters, or there are too many sign vectors to enumerate.
        """
        actual = self.model.estimate(panel, seed=seed, name=name)
        plan = self._plan(panel, self.model.design(panel), actual)
        exact = self._enumerates(plan.count)
        rule = "enumerated" if exact else self.weights
        total = 2**plan.count if exact else self.draws
        step = partial(_step, rule, plan.count)
        parts = run_draws(step, (plan.forms, key_for(seed, name)), total, chunk=self.chunk or CHUNK, of="wild draws")
        error = float(np.sqrt(plan.variance)) if plan.variance > 0 else np.nan
        found = WildTest(np.asarray(parts), float(actual.coef[0]), error, plan.factor, self.null_value, exact)
        test, stats = found.test()
        said = self._notes(test, plan, (total, total - int(stats["wild_draws"])), exact=exact)
        return replace(
            actual,
            draws=_draws(actual, parts, plan.factor),
            tests=(*actual.tests, test),
            stats={**actual.stats, **stats},
            notes=(*actual.notes, *(() if exact else (*plan.notes, *few_draws(total))), *said),
        )

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Audit the fit inside; see `syneff.models.audit`."""
        return audit_inside(self.model, panel)

    def _notes(self, test: Test, plan: "_Plan", draws: tuple[int, int], *, exact: bool) -> tuple[str, ...]:
        """Say what was drawn, the p-value with its Monte-Carlo error, and how many draws were lost."""
        total, lost = draws
        name = f"{'WCR' if self.impose_null else 'WCU'}-{self.variant}"
        drawn = f"{total:,} sign vectors, all there are" if exact else f"{total:,} draws of {self.weights} weights"
        error = "" if exact else f", Monte-Carlo error {float(test.error):.2g}"
        said = f"wild cluster bootstrap ({name}, {plan.groups}, {drawn}): p = {float(test.pvalue):.4g}{error}"
        if not plan.variance > 0:
            why = "the estimate's own clustered variance is not positive"
            if str(self.variant)[1] == "3":
                why = "without one of the clusters the effect cannot be estimated; use variant=11 or 31"
            return (f"wild cluster bootstrap ({name}, {plan.groups}): no statistic, {why}",)
        left_out = f"{lost:,} of {total:,} wild draws left out: their variance is not positive"
        return (said, left_out) if lost else (said,)

    def _plan(self, panel: Panel, design: Design, actual: Estimate) -> "_Plan":
        spec = self.model.spec
        if len(design.ways) > 1 or self.bootstrap_cluster not in (None, spec.cluster) or crossing_units(design):
            return self._multiway_plan(panel, design, actual)
        clusters = resampled_clusters("WildClusterBootstrap", panel, design, spec)
        count = len(clusters.names)
        forms: WildForms = wild_forms(
            design.outcome - self.null_value * design.regressors[:, :, 0],
            design.regressors,
            design.weights,
            jnp.asarray(clusters.codes),
            n_clusters=count,
            effects=spec.effects,
            impose_null=self.impose_null,
            variant=str(self.variant),
        )
        squares = float((np.asarray(forms.actual) ** 2).sum())
        factor = self._factor(actual, squares, count)
        return _Plan(forms, count, f"{count} clusters", factor, factor * squares, clusters.notes)

    def _multiway_plan(self, panel: Panel, design: Design, actual: Estimate) -> "_Plan":
        spec = self.model.spec
        groups = bootstrap_clusters(panel, design, spec, self.bootstrap_cluster)
        check_variant(str(self.variant), groups, spec.effects)
        ways, factors = variance_terms(spec, design, actual)
        outcome = design.outcome - self.null_value * design.regressors[:, :, 0]
        forms: MultiwayForms = multiway_forms(
            (outcome, design.regressors, design.weights),
            jnp.asarray(groups.codes),
            ways,
            factors,
            n_groups=groups.count,
            effects=spec.effects,
            impose_null=self.impose_null,
            leave_out=str(self.variant)[0] == "3",
        )
        variance = float(actual_variance(forms))
        said = (
            f"clustered by {' and '.join(spec.cluster_names or ('unit',))}, drawn for {groups.count} by {groups.name}"
        )
        return _Plan(forms, groups.count, said, 1.0, variance, groups.notes)

    def _enumerates(self, count: int) -> bool:
        if self.enumerate is not None and self.enumerate and count > ENUMERATED:
            raise SpecError(
                f"WildClusterBootstrap: {count} clusters have 2^{count} sign vectors; at most 2^{ENUMERATED} are enumerated. "
                "Set enumerate=null, and draws=9999."
            )
        return self.weights == "rademacher" and count <= ENUMERATED and self.enumerate is not False

    def _factor(self, actual: Estimate, squares: float, count: int) -> float:
        """Return the factor of the sum of squares: the jackknife's, or the small-sample rule of the model.

        The rule is read off the model's own clustered standard error; where that is of another kind, G/(G-1) stands for it.
        It multiplies the actual and all drawn variances, so the p-value does not depend on it.
        """
        if str(self.variant)[1] == "3":
            return (count - 1.0) / count
        clustered = self.model.spec.covariance in ("CR1", "CR0")
        return float(actual.cov[0, 0]) / squares if clustered else count / (count - 1.0)


@dataclass(frozen=True)
class _Plan:
    """What the draws are made of: forms, number and name of the clusters that are drawn, the variance and its factor, notes."""

    forms: WildForms | MultiwayForms
    count: int
    groups: str
    factor: float
    variance: float
    notes: tuple[str, ...]


def draw_weights(key: Key, count: int, rule: str) -> Float[Array, " cluster"]:
    """Draw a weight of mean 0 and variance 1 for each cluster.

    Parameters
    ----------
    key
        The key of the draw.
    count
        Number of clusters.
    rule
        One of `WEIGHTS`.
    """
    if rule == "rademacher":
        words = jax.random.bits(key, (-(-count // 32),), jnp.uint32)
        bits = (words[:, None] >> jnp.arange(32, dtype=jnp.uint32)[None, :]) & jnp.uint32(1)
        return jnp.asarray(1.0 - 2.0 * bits.ravel()[:count].astype(float))
    if rule == "webb":
        points = jnp.sqrt(jnp.asarray([1.5, 1.0, 0.5]))
        return jnp.concatenate([-points, points])[jax.random.randint(key, (count,), 0, 6)]
    if rule == "mammen":
        root = np.sqrt(5.0)
        low = jax.random.uniform(key, (count,)) < (root + 1.0) / (2.0 * root)
        return jnp.where(low, (1.0 - root) / 2.0, (1.0 + root) / 2.0)
    return jax.random.normal(key, (count,))


@partial(jax.jit, static_argnums=(0, 1))
def _step(
    rule: str, count: int, common: tuple[WildForms | MultiwayForms, Any], numbers: Int[Array, " draw"]
) -> Float[Array, "draw 5"]:
    forms, key = common
    if rule == "enumerated":
        drawn = 1.0 - 2.0 * ((numbers[:, None] >> jnp.arange(count)[None, :]) & 1).astype(float)
    else:
        drawn = jax.vmap(lambda each: draw_weights(each, count, rule))(draw_keys(key, numbers))
    return wild_statistics(forms, drawn) if isinstance(forms, WildForms) else multiway_statistics(forms, drawn)


def _draws(actual: Estimate, parts: Array, factor: float) -> Estimate:
    """Return deviation and standard error of each draw at the null value."""

    def each(value: Array) -> Array:
        return jnp.broadcast_to(value, parts.shape[:1])

    return replace(
        actual,
        coef=parts[:, :1],
        cov=(factor * parts[:, 2])[:, None, None],
        nobs=each(actual.nobs),
        n_units=each(actual.n_units),
        n_periods=each(actual.n_periods),
        dof=each(actual.term_dof[0]),
        status=each(actual.status),
        names=actual.names[:1],
        stats={},
        tests=(),
        notes=(),
    )
