"""Results: one frozen type for every estimator, and its tidy frame.

A batch of fits is the same type with a leading axis. Failure is data: a regressor that is collinear with those before it has
the coefficient NaN and the fit says so in its status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import special

from syneff.typing import Array, Float, Int

OfFit = Float[Array, "*batch"] | Float[Array, "*batch k"]
"""What a fit has once: a scalar, or of a family of fits a vector over terms."""


def _nothing() -> Array:
    return jnp.asarray(jnp.nan)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["statistic", "dof", "dof_denominator", "pvalue", "low", "high", "error"],
    meta_fields=["name"],
)
@dataclass(frozen=True)
class Test:
    """A test of a hypothesis.

    Attributes
    ----------
    statistic, dof, pvalue
        Scalars; a batch has a leading axis, and a test of each term of a family is a vector over terms.
    dof_denominator
        Denominator degrees of freedom of an F test; infinite for chi-squared, NaN for none.
    name
        One of the names of tests.
    low, high
        The 95 % interval that the test implies; NaN for none.
    error
        Monte-Carlo standard error of the p-value, where it comes from random draws; NaN elsewhere.
    """

    statistic: Float[Array | np.ndarray, "..."]
    dof: Float[Array | np.ndarray, "..."]
    dof_denominator: Float[Array | np.ndarray, "..."]
    pvalue: Float[Array | np.ndarray, "..."]
    name: str
    low: Float[Array | np.ndarray, "..."] = field(default_factory=_nothing)
    high: Float[Array | np.ndarray, "..."] = field(default_factory=_nothing)
    error: Float[Array | np.ndarray, "..."] = field(default_factory=_nothing)

    __test__ = False


AUDIT_TOLERANCE = 1e-8
"""Relative difference from which on an audit disagrees."""


class Status(IntEnum):
    """How a fit ended."""

    OK = 0
    COLLINEAR = 1
    NO_DEGREES_OF_FREEDOM = 2
    AT_BOUND = 3
    INCOMPLETE = 4


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["coef", "cov", "nobs", "n_units", "n_periods", "dof", "stats", "tests", "status", "draws", "details"],
    meta_fields=["names", "outcome", "notes"],
)
@dataclass(frozen=True)
class Estimate:
    """Coefficients and what belongs to them; a batch is the same type with a leading axis.

    A family of regressions is one estimate whose terms come from different fits: what a fit has once (`nobs`, `n_units`,
    `n_periods`, `dof`, the outcome and a test) is then a vector over terms, and `cov` is NaN off the diagonal.

    Attributes
    ----------
    coef
        ``[k]``; NaN where a regressor is collinear with those before it.
    cov
        ``[k k]``.
    nobs, n_units, n_periods
        Rows, units and periods of positive weight.
    dof
        Degrees of freedom of the t statistics: one number, or one a term ``[k]``; see `term_dof`.
    stats
        Scalars, or vectors over terms, by name: R2 variants, sums of squares, support.
    status
        A `Status` code.
    names
        Names of the terms.
    outcome
        Name of the outcome; of a family, one a term.
    tests
        Tests that came with the fit.
    draws
        For resampling: the estimate of each draw (leading axis ``draw``).
    notes
        What the user should know of the sample and the fit, in sentences.
    details
        Frames by name that tables and figures need beyond the terms; put there on the host, never inside a batch.
    """

    coef: Float[Array, "*batch k"]
    cov: Float[Array, "*batch k k"]
    nobs: OfFit
    n_units: OfFit
    n_periods: OfFit
    dof: OfFit
    stats: Mapping[str, Array]
    status: Int[Array, "*batch"]
    names: tuple[str, ...]
    outcome: str | tuple[str, ...] = ""
    tests: tuple[Test, ...] = ()
    draws: "Estimate | None" = None
    notes: tuple[str, ...] = ()
    details: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def std_error(self) -> Float[Array, "*batch k"]:
        """Square roots of the diagonal of `cov`."""
        return jnp.sqrt(jnp.diagonal(self.cov, axis1=-2, axis2=-1))

    @property
    def term_dof(self) -> Float[Array, "*batch k"]:
        """Degrees of freedom of each term."""
        dof = self.dof if self.dof.ndim == self.coef.ndim else self.dof[..., None]
        return jnp.broadcast_to(dof, self.coef.shape)

    def of_terms(self, names: tuple[str, ...]) -> "Estimate":
        """Return the estimate of some of its terms; what is a vector over terms is cut with them."""
        place = np.asarray([self.names.index(name) for name in names])

        def cut(value: Array) -> Array:
            return value[place] if jnp.shape(value)[:1] == (len(self.names),) else value

        return replace(
            self,
            coef=self.coef[place],
            cov=self.cov[place[:, None], place[None, :]],
            dof=cut(self.dof),
            stats={name: cut(value) for name, value in self.stats.items()},
            names=names,
            outcome=self.outcome if isinstance(self.outcome, str) else tuple(self.outcome[each] for each in place),
        )

    def frame(self, confidence: float = 0.95) -> pd.DataFrame:
        """Return one row a term and one row a test, whose ``std_error`` is the Monte-Carlo error of its p-value.

        Parameters
        ----------
        confidence
            Level of the intervals, which use the t distribution with `dof` degrees of freedom.
        """
        estimate, error, dof = np.asarray(self.coef), np.asarray(self.std_error), np.asarray(self.term_dof)
        statistic, pvalue = _t_test(estimate, error, dof)
        half = special.stdtrit(dof, 0.5 + confidence / 2) * error
        terms = pd.DataFrame(
            {
                "outcome": self._outcomes,
                "term": list(self.names),
                "estimate": estimate,
                "std_error": error,
                "statistic": statistic,
                "p_value": pvalue,
                "conf_low": estimate - half,
                "conf_high": estimate + half,
                **self._sizes,
                "dof": dof,
            }
        )
        return pd.concat([terms, *(self._test_rows(test) for test in self.tests)], ignore_index=True)

    def draws_frame(self) -> pd.DataFrame | None:
        """Return one row a draw and term, or None where nothing was resampled."""
        if self.draws is None:
            return None
        estimate, error = np.asarray(self.draws.coef), np.asarray(self.draws.std_error)
        statistic, pvalue = _t_test(estimate, error, np.asarray(self.draws.term_dof))
        draws, terms = estimate.shape
        return pd.DataFrame(
            {
                "draw": np.repeat(np.arange(draws), terms),
                "term": np.tile(np.asarray(self.draws.names, dtype=object), draws),
                "estimate": estimate.ravel(),
                "std_error": error.ravel(),
                "statistic": statistic.ravel(),
                "p_value": pvalue.ravel(),
            }
        )

    @property
    def _outcomes(self) -> list[str]:
        return [self.outcome] * len(self.names) if isinstance(self.outcome, str) else list(self.outcome)

    @property
    def _sizes(self) -> dict[str, np.ndarray]:
        sizes = {"nobs": self.nobs, "n_units": self.n_units, "n_periods": self.n_periods}
        return {name: _spread(size, len(self.names)).astype(int) for name, size in sizes.items()}

    def _test_rows(self, test: Test) -> pd.DataFrame:
        """Return the row of a test, or one a term of a test of each."""
        each = np.ndim(test.pvalue) > 0
        count = len(self.names) if each else 1
        return pd.DataFrame(
            {
                "outcome": self._outcomes[:count],
                "term": [f"{test.name}:{term}" for term in self.names] if each else [test.name],
                "estimate": np.nan,
                "std_error": _spread(test.error, count),
                "statistic": _spread(test.statistic, count),
                "p_value": _spread(test.pvalue, count),
                "conf_low": _spread(test.low, count),
                "conf_high": _spread(test.high, count),
                **{name: size if each else size.max(keepdims=True) for name, size in self._sizes.items()},
                "dof": _spread(test.dof, count),
            }
        )


@dataclass(frozen=True)
class Audit:
    """An estimate beside that of a program that we did not write.

    Attributes
    ----------
    program
        Name and version of the program; empty if nothing could be compared.
    terms
        The terms that both report.
    coef, std_error
        Ours.
    other_coef, other_std_error
        Theirs.
    rows, other_rows
        Rows of the sample, ours and theirs.
    remark
        What was done to their numbers; or in one word what they cannot do.
    """

    program: str = ""
    terms: tuple[str, ...] = ()
    coef: tuple[float, ...] = ()
    std_error: tuple[float, ...] = ()
    other_coef: tuple[float, ...] = ()
    other_std_error: tuple[float, ...] = ()
    rows: int = 0
    other_rows: int = 0
    remark: str = ""

    @property
    def coef_difference(self) -> float:
        """Largest difference of a coefficient, relative to it or to its standard error, whichever is larger."""
        scale = np.maximum(np.abs(self.other_coef), self.other_std_error)
        return _largest(np.asarray(self.coef) - np.asarray(self.other_coef), scale)

    @property
    def std_error_difference(self) -> float:
        """Largest relative difference of a standard error."""
        return _largest(np.asarray(self.std_error) - np.asarray(self.other_std_error), np.asarray(self.other_std_error))

    @property
    def agrees(self) -> bool:
        """Whether rows, coefficients and standard errors are the same up to `AUDIT_TOLERANCE`."""
        differences = (self.coef_difference, self.std_error_difference)
        return self.rows == self.other_rows and max(differences) <= AUDIT_TOLERANCE


def _largest(difference: np.ndarray, scale: np.ndarray) -> float:
    """Return the largest ratio; a number beside none is infinitely different, two that are none agree."""
    if difference.size == 0:
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(difference == 0, 0.0, np.abs(difference) / scale)
    return float(np.nan_to_num(ratio, nan=np.inf).max())


def _spread(value: object, count: int) -> np.ndarray:
    """Return a number, or a vector of as many, as a column."""
    return np.broadcast_to(np.asarray(value, dtype=float), (count,))


def _t_test(estimate: np.ndarray, error: np.ndarray, dof: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / error
    return statistic, 2.0 * special.stdtr(dof, -np.abs(statistic))
