r"""The wild cluster bootstrap: multiply the residuals of each cluster by a random weight, and compare t statistics.

.. math:: y^* = \hat y + v_g \hat u, \qquad p = \frac{1 + \#\{|t^*| \ge |t|\}}{1 + n}

``impose_null`` takes fitted values and residuals from the regression with the coefficient fixed at the null value (WCR, which
keeps its size best), or from the full one (WCU). With Rademacher signs and up to 12 clusters all sign vectors are enumerated:
then ``p`` is exact, and ties with the actual sample (all signs alike) count half, as in Stata's ``boottest``.

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
from syneff.models.base import Design, Estimate, Estimator, Test
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling.draws import Resampled, check_draws, resampled_clusters, run_draws
from syneff.models.resampling.intervals import LEVEL, monte_carlo_error
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
        "11" (raw residuals, CV1 variance), "31" (residuals that leave the cluster out), "13" (CV3 variance) or "33" (both).
    null_value
        The value that the hypothesis gives the coefficient.
    enumerate
        Use all sign vectors: None where there are at most 2^12, False never, True always.
    chunk
        Draws at a time; without effect on the results.
    """

    model: Estimator
    draws: int = 9999
    impose_null: bool = True
    weights: str = "rademacher"
    variant: str = "11"
    null_value: float = 0.0
    enumerate: bool | None = None
    chunk: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "variant", str(self.variant))
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
            If a cluster is not constant within units, or there are too many sign vectors to enumerate.
        """
        spec = self.model.spec
        actual = self.model.estimate(panel, seed=seed, name=name)
        design = self.model.design(panel)
        clusters = resampled_clusters("WildClusterBootstrap", panel, design, spec)
        count = len(clusters.names)
        exact = self._enumerates(count)
        forms = self._forms(design, clusters)
        rule = "enumerated" if exact else self.weights
        total = 2**count if exact else self.draws
        step = partial(_step, rule, count)
        parts = run_draws(step, (forms, key_for(seed, name)), total, chunk=self.chunk or CHUNK, of="wild draws")
        deviations = np.asarray(forms.actual)
        factor = self._factor(actual, deviations, count)
        error = float(np.sqrt(factor * (deviations**2).sum()))
        bootstrap = _Bootstrap(np.asarray(parts), float(actual.coef[0]), error, factor, self.null_value, exact)
        test, stats = bootstrap.test()
        said = self._note(test, count, total, exact=exact)
        warned = () if exact else clusters.notes
        return replace(
            actual,
            draws=_draws(actual, parts, factor),
            tests=(*actual.tests, test),
            stats={**actual.stats, **stats},
            notes=(*actual.notes, *warned, said),
        )

    def _note(self, test: Test, count: int, draws: int, *, exact: bool) -> str:
        """Say what was drawn, and the p-value with its Monte-Carlo error."""
        name = f"{'WCR' if self.impose_null else 'WCU'}-{self.variant}"
        drawn = f"{draws:,} sign vectors, all there are" if exact else f"{draws:,} draws of {self.weights} weights"
        error = "" if exact else f", Monte-Carlo error {float(test.error):.2g}"
        return f"wild cluster bootstrap ({name}, {count} clusters, {drawn}): p = {float(test.pvalue):.4g}{error}"

    def _forms(self, design: Design, clusters: Resampled) -> WildForms:
        forms: WildForms = wild_forms(
            design.outcome - self.null_value * design.regressors[:, :, 0],
            design.regressors,
            design.weights,
            jnp.asarray(clusters.codes),
            n_clusters=len(clusters.names),
            effects=self.model.spec.effects,
            impose_null=self.impose_null,
            variant=self.variant,
        )
        return forms

    def _enumerates(self, count: int) -> bool:
        if self.enumerate is not None and self.enumerate and count > ENUMERATED:
            raise SpecError(
                f"WildClusterBootstrap: {count} clusters have 2^{count} sign vectors; at most 2^{ENUMERATED} are enumerated. "
                "Set enumerate=null, and draws=9999."
            )
        return self.weights == "rademacher" and count <= ENUMERATED and self.enumerate is not False

    def _factor(self, actual: Estimate, deviations: np.ndarray, count: int) -> float:
        """Return the factor of the sum of squares: the jackknife's, or the small-sample rule of the model.

        The rule is read off the model's own clustered standard error; where that is of another kind, G/(G-1) stands for it.
        It multiplies the actual and all drawn variances, so the p-value does not depend on it.
        """
        if self.variant[1] == "3":
            return (count - 1.0) / count
        clustered = self.model.spec.covariance in ("CR1", "CR0")
        return float(actual.cov[0, 0]) / float((deviations**2).sum()) if clustered else count / (count - 1.0)


@dataclass(frozen=True)
class _Bootstrap:
    """The statistics of all draws, as functions of the null value."""

    parts: np.ndarray
    value: float
    error: float
    factor: float
    null: float
    exact: bool

    def statistics(self, null: float) -> np.ndarray:
        effect, slope, square, cross, curve = self.parts.T
        x = null - self.null
        variance = self.factor * (square + 2.0 * cross * x + curve * x**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((effect + slope * x) / np.sqrt(np.maximum(variance, 0.0)))

    def pvalue(self, null: float, side: int = 0) -> float:
        """Return the p-value: two-sided (0), of a greater (1) or a smaller (-1) coefficient."""
        drawn, statistic = self.statistics(null), (self.value - null) / self.error
        drawn = drawn[np.isfinite(drawn)]
        drawn, statistic = (np.abs(drawn), abs(statistic)) if side == 0 else (side * drawn, side * statistic)
        slack = 1e-9 * max(abs(statistic), 1.0)
        beyond, ties = (drawn > statistic + slack).sum(), (np.abs(drawn - statistic) <= slack).sum()
        if self.exact:
            return float((beyond + ties / 2.0) / drawn.size)
        return float((1 + beyond + ties) / (1 + drawn.size))

    def end(self, side: int) -> float:
        """Return where the p-value falls to 1 - LEVEL, searching from the estimate to one side."""
        inner, step = self.value, self.error
        for _ in range(40):
            outer = self.value + side * step
            if self.pvalue(outer) <= 1.0 - LEVEL:
                break
            inner, step = outer, 2.0 * step
        else:
            return side * np.inf
        for _ in range(50):
            middle = 0.5 * (inner + outer)
            inner, outer = (middle, outer) if self.pvalue(middle) > 1.0 - LEVEL else (inner, middle)
        return 0.5 * (inner + outer)

    def test(self) -> tuple[Test, dict[str, Array]]:
        two_sided, greater, less = (self.pvalue(self.null, side) for side in (0, 1, -1))
        found = np.isfinite(self.error) and np.isfinite(self.value)
        drawn = int(np.isfinite(self.statistics(self.null)).sum())
        low, high = (self.end(-1), self.end(1)) if found and drawn else (np.nan, np.nan)
        error = 0.0 if self.exact else monte_carlo_error(two_sided, drawn)
        numbers = ((self.value - self.null) / self.error, two_sided if found else np.nan, low, high, error)
        statistic, pvalue, low_end, high_end, error_of_p = (jnp.asarray(float(each)) for each in numbers)
        nothing = jnp.asarray(np.nan)
        test = Test(statistic, nothing, nothing, pvalue, "wild_cluster", low=low_end, high=high_end, error=error_of_p)
        stats = {"wild_p_greater": greater, "wild_p_less": less, "wild_draws": drawn}
        return test, {name: jnp.asarray(float(number)) for name, number in stats.items()}


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
def _step(rule: str, count: int, common: tuple[WildForms, Any], numbers: Int[Array, " draw"]) -> Float[Array, "draw 5"]:
    forms, key = common
    if rule == "enumerated":
        drawn = 1.0 - 2.0 * ((numbers[:, None] >> jnp.arange(count)[None, :]) & 1).astype(float)
    else:
        drawn = jax.vmap(lambda each: draw_weights(each, count, rule))(draw_keys(key, numbers))
    return wild_statistics(forms, drawn)


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
        dof=each(actual.dof),
        status=each(actual.status),
        names=actual.names[:1],
        stats={},
        tests=(),
        notes=(),
    )
