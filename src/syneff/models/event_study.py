r"""Event study: the effect by years since adoption.

.. math::

    y_{it} = \sum_{b \ne b_0} \beta_b\, 1\{t - a_i = b\} + \gamma' x_{it} + \mu_i + \lambda_t + e_{it}

with ``a_i`` the period of adoption. The ends of the window are pooled: the first bin holds all earlier event times, the last
all later ones, so a pooled end mixes cohorts. Each bin's support, the number of treated units in it, is reported with it. The
coefficients before the base period are tested jointly (``pre_trend``).
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc

from syneff.errors import SpecError
from syneff.models.audit import audit_fixed_effects
from syneff.models.base import Audit, Design, Estimate, Estimator, Spec, Test
from syneff.models.design import build_design, sample_of, treatment_path
from syneff.models.fixed_effects import FixedEffects
from syneff.models.staggered.events import cohort_rows, pooled_events
from syneff.numerics.symmetric import eigh
from syneff.panel.panel import Panel
from syneff.typing import Array, Float, Int, UnitPeriod, UnitPeriodK


@dataclass(frozen=True)
class EventStudy(Estimator):
    """Fixed-effects regression on dummies of event time.

    Attributes
    ----------
    spec
        The specification; its treatment is 0 before and 1 from adoption on.
    window
        First and last event time; both ends are pooled.
    base
        The event time left out.
    """

    spec: Spec
    window: tuple[int, int] = (-5, 6)
    base: int = -1

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", tuple(self.window))
        first, last = self.window
        if not first <= self.base <= last or last - first < 1:
            raise SpecError(
                f"EventStudy: base={self.base} is not in window=({first}, {last}). "
                "The window runs from the first to the last event time and holds the base, e.g. window=(-5, 6), base=-1."
            )

    @property
    def bins(self) -> tuple[int, ...]:
        """Event times that have a dummy."""
        return tuple(bin for bin in range(self.window[0], self.window[1] + 1) if bin != self.base)

    def design(self, panel: Panel) -> Design:
        """Replace the treatment by dummies of event time.

        Raises
        ------
        SpecError
            If no treated unit is seen in the base period.
        """
        path, design = treatment_path(panel, self.spec), build_design(panel, self.spec)
        event = np.asarray(jax.jit(event_time)(path))
        binned = np.clip(event, *self.window)
        inside = np.asarray(design.weights) > 0
        if not (inside & (binned == self.base) & np.isfinite(event)).any():
            seen = sorted({int(each) for each in event[inside & np.isfinite(event)]})
            raise SpecError(
                f"EventStudy: no treated unit is seen at event time {self.base}, the base. "
                f"Event times in the sample: {seen}. Choose another base."
            )
        dummies = event_dummies(path, design.weights, self.window, self.bins)
        names = tuple(f"event[{bin}]" for bin in self.bins)
        regressors = jnp.concatenate([dummies, design.regressors[:, :, 1:]], axis=2)
        return replace(design, regressors=regressors, names=(*names, *design.names[1:]))

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate on a panel.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect.

        Returns
        -------
        Estimate
            `details` has which cohorts make up each event time (``event_support``).
        """
        estimate = super().estimate(panel, seed=seed, name=name)
        cohorts = np.asarray(adoption(treatment_path(panel, self.spec)))
        rows = cohort_rows(cohorts, sample_of(panel, self.spec).weights, tuple(panel.periods))
        support = pooled_events(rows, self.window, self.base)
        return replace(estimate, details={**estimate.details, "event_support": support})

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say which rows were left out, what was omitted, and whose adoption is not seen."""
        said = sample_of(panel, self.spec).notes() + super().notes(panel, estimate)
        early = np.flatnonzero(np.asarray(treatment_path(panel, self.spec))[:, 0] > 0)
        if early.size:
            names = ", ".join(panel.names[unit] for unit in early[:5]) + (", ..." if early.size > 5 else "")
            said += (
                f"{early.size} units are treated from the first period on, so their event time is a lower bound: {names}",
            )
        return said

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Estimate with pyfixest on explicit dummies of event time; see `syneff.models.audit`."""
        dummies = event_dummies(treatment_path(panel, self.spec), jnp.asarray(panel.weights), self.window, self.bins)
        named = {f"event[{bin}]": np.asarray(dummies[:, :, place]) for place, bin in enumerate(self.bins)}
        controls = {name: panel.column(name) for name in self.spec.controls}
        return audit_fixed_effects(panel, self.spec, estimate, {**named, **controls})

    def with_treatment(self, design: Design, treatment: UnitPeriod) -> Design:
        """Return the design with the event dummies of another treatment path ``[unit period]``."""
        dummies = event_dummies(treatment, design.weights, self.window, self.bins)
        return replace(design, regressors=design.regressors.at[:, :, : len(self.bins)].set(dummies))

    def fit(self, design: Design) -> Estimate:
        """Estimate the coefficients of all bins, their support, and the joint test of those before the base."""
        estimate = FixedEffects(self.spec).fit(design)
        before = np.asarray([bin < self.base for bin in self.bins] + [False] * (len(estimate.names) - len(self.bins)))
        seen = (design.regressors * (design.weights > 0).astype(float)[:, :, None]).sum(1) > 0
        in_bins = jnp.arange(len(estimate.names)) < len(self.bins)
        padding = jnp.zeros(len(estimate.names) - len(design.names))
        support = jnp.where(in_bins, jnp.concatenate([seen.sum(0).astype(float), padding]), jnp.nan)
        tests = (wald_test("pre_trend", estimate, np.flatnonzero(before)),) if before.any() else ()
        return replace(estimate, stats={**estimate.stats, "support_units": support}, tests=tests)


@partial(jax.jit, static_argnums=(2, 3))
def event_dummies(
    treatment: UnitPeriod, weights: UnitPeriod, window: tuple[int, int], bins: tuple[int, ...]
) -> UnitPeriodK:
    """Return one dummy a bin ``[unit period bin]`` of event time, its ends pooled; 0 where the weight is 0."""
    binned = jnp.clip(event_time(treatment), *(float(end) for end in window))
    hit = (binned[:, :, None] == jnp.asarray(bins, dtype=float)[None, None, :]) & (weights > 0)[:, :, None]
    return hit.astype(float)


def adoption(treatment: UnitPeriod) -> Int[Array, " unit"]:
    """Return the index of each unit's first treated period; the number of periods where there is none."""
    treated = treatment > 0
    return jnp.where(treated.any(1), jnp.argmax(treated, axis=1), treatment.shape[1])


def event_time(treatment: UnitPeriod) -> UnitPeriod:
    """Return periods since adoption ``[unit period]``; NaN for the never treated."""
    first = adoption(treatment)[:, None]
    since = jnp.arange(treatment.shape[1])[None, :] - first
    return jnp.where(first < treatment.shape[1], since.astype(float), jnp.nan)


def wald_test(name: str, estimate: Estimate, terms: Int[np.ndarray, " term"]) -> Test:
    r"""Test that some coefficients are all zero.

    .. math:: F = b' V^{+} b / q \sim F(q, \text{dof})

    Collinear terms (NaN) do not count; ``q`` is the rank of ``V``. Where each term has degrees of freedom of its own, the
    fewest are taken.

    Parameters
    ----------
    name
        Name of the test.
    estimate
        The fit; a single one, not a batch.
    terms
        ``[term]``: positions of the coefficients.
    """
    coef, cov = estimate.coef[terms], estimate.cov[terms[:, None], terms[None, :]]
    kept = jnp.isfinite(coef)
    coef = jnp.where(kept, coef, 0.0)
    cov = jnp.where(kept[:, None] & kept[None, :], cov, 0.0)
    scale = jnp.sqrt(jnp.where(jnp.diagonal(cov) > 0, jnp.diagonal(cov), 1.0))
    values, vectors = eigh(cov / scale[:, None] / scale[None, :])
    positive = values > 1e-10
    rank = positive.sum().astype(float)
    projected = vectors.T @ (coef / scale)
    quadratic = jnp.where(positive, projected**2 / jnp.where(positive, values, 1.0), 0.0).sum()
    statistic = quadratic / jnp.maximum(rank, 1.0)
    dof = jnp.nanmin(estimate.term_dof[terms])
    pvalue = f_survival(statistic, rank, dof)
    return Test(jnp.where(rank > 0, statistic, jnp.nan), rank, dof, pvalue, name)


def f_survival(
    statistic: Float[Array, "*batch"], dof: Float[Array, "*batch"], dof_denominator: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Return the upper tail of the F distribution."""
    return betainc(dof_denominator / 2.0, dof / 2.0, dof_denominator / (dof_denominator + dof * statistic))
