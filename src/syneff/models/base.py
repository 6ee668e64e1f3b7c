"""Nouns and verbs of every estimator.

An estimator is two functions: ``design`` (host code, where names become arrays and every user error is raised) and ``fit``
(pure array code, safe under ``jit`` and ``vmap``). A draw of a resampling scheme changes exactly one of three arrays of a
design, the treatment, the unit weights or the outcome, so there are three batch verbs. This module gives each a generic
default, ``map_in_chunks(vmap(fit))``; an estimator overrides one only where algebra is faster.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError, one_of
from syneff.numerics.batching import map_in_chunks
from syneff.numerics.covariance import SMALL_SAMPLE
from syneff.panel.panel import Panel
from syneff.runtime import require_float64
from syneff.typing import Array, Draws, Float, Int, UnitPeriod, UnitPeriodK

COVARIANCES = ("CR1", "CR0", "HC1", "iid")
EFFECTS = ("unit", "period")


@dataclass(frozen=True)
class Spec:
    """A regression specification, by names.

    Attributes
    ----------
    outcome, treatment
        Columns of the panel.
    controls
        Further regressors, in order.
    instruments
        Excluded instruments, for two-stage estimators.
    effects
        Absorbed effects: any of "unit", "period".
    cluster
        "unit", "period" or a trait of the units; None for no clusters.
    covariance
        "CR1" (default with clusters), "CR0", "HC1" or "iid" (default without).
    small_sample
        The named small-sample rule; see `syneff.numerics.covariance.SMALL_SAMPLE`.
    """

    outcome: str
    treatment: str = "treat"
    controls: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    effects: tuple[str, ...] = EFFECTS
    cluster: str | None = "unit"
    covariance: str | None = None
    small_sample: str = "reghdfe"

    def __post_init__(self) -> None:
        for name in ("controls", "instruments", "effects"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for effect in self.effects:
            one_of("spec.effects", effect, EFFECTS)
        if self.covariance is None:
            object.__setattr__(self, "covariance", "CR1" if self.cluster else "iid")
        one_of("spec.covariance", self.covariance, COVARIANCES)
        one_of("spec.small_sample", self.small_sample, SMALL_SAMPLE)
        if str(self.covariance).startswith("CR") and not self.cluster:
            raise SpecError(f"spec.covariance={self.covariance} needs clusters. Set spec.cluster=unit, or use HC1 or iid.")
        repeated = [name for name in self.regressors if self.regressors.count(name) > 1 or name == self.outcome]
        if repeated:
            raise SpecError(
                f"{repeated[0]!r} stands more than once among outcome, treatment and controls. "
                "Name every variable once: change spec.treatment or spec.controls."
            )

    @property
    def regressors(self) -> tuple[str, ...]:
        """Treatment, then controls."""
        return (self.treatment, *self.controls)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["outcome", "regressors", "weights", "cluster", "instruments"],
    meta_fields=["names", "n_clusters"],
)
@dataclass(frozen=True)
class Design:
    """The arrays of a specification; the treatment is regressor 0.

    Attributes
    ----------
    outcome
        ``[unit period]``; 0 where the weight is 0.
    regressors
        ``[unit period k]``; 0 where the weight is 0.
    weights
        ``[unit period]``; 0 takes a row out.
    cluster
        ``[unit period]``: number of the cluster, from 0.
    instruments
        ``[unit period l]``, possibly none.
    names
        Names of the regressors.
    n_clusters
        Number of clusters, including any that weights empty.
    """

    outcome: UnitPeriod
    regressors: UnitPeriodK
    weights: UnitPeriod
    cluster: Int[Array, "unit period"]
    instruments: Float[Array, "unit period l"]
    names: tuple[str, ...]
    n_clusters: int


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["statistic", "dof", "dof_denominator", "pvalue"],
    meta_fields=["name"],
)
@dataclass(frozen=True)
class Test:
    """A test of a hypothesis.

    Attributes
    ----------
    statistic, dof, pvalue
        Scalars; a batch has a leading axis.
    dof_denominator
        Denominator degrees of freedom of an F test; infinite for chi-squared, NaN for none.
    name
        One of the names of tests.
    """

    statistic: Float[Array, "..."]
    dof: Float[Array, "..."]
    dof_denominator: Float[Array, "..."]
    pvalue: Float[Array, "..."]
    name: str

    __test__ = False


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["coef", "cov", "nobs", "n_units", "n_periods", "dof", "stats", "tests", "status", "draws"],
    meta_fields=["names", "outcome"],
)
@dataclass(frozen=True)
class Estimate:
    """Coefficients and what belongs to them; a batch is the same type with a leading axis.

    Attributes
    ----------
    coef
        ``[k]``; NaN where a regressor is collinear with those before it.
    cov
        ``[k k]``.
    nobs, n_units, n_periods
        Rows, units and periods of positive weight.
    dof
        Degrees of freedom of the t statistics.
    stats
        Scalars (or vectors over terms) by name: R2 variants, sums of squares, support.
    tests
        Tests that came with the fit.
    status
        A `Status` code.
    draws
        For resampling: the estimate of each draw (leading axis ``draw``).
    names
        Names of the terms.
    outcome
        Name of the outcome.
    """

    coef: Float[Array, "*batch k"]
    cov: Float[Array, "*batch k k"]
    nobs: Float[Array, "*batch"]
    n_units: Float[Array, "*batch"]
    n_periods: Float[Array, "*batch"]
    dof: Float[Array, "*batch"]
    stats: Mapping[str, Array]
    status: Int[Array, "*batch"]
    names: tuple[str, ...]
    outcome: str = ""
    tests: tuple[Test, ...] = ()
    draws: "Estimate | None" = None
