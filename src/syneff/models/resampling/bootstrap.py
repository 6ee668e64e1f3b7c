"""Bootstraps that resample clusters whole: pairs, and their smooth Bayesian version.

The pairs bootstrap draws as many clusters as there are, with replacement, each copy a cluster of its own; effects, controls and
standard errors are estimated again in every draw. The Bayesian bootstrap gives each cluster an exponential weight of mean 1
instead of a number of copies, so no cluster is ever lost.

References
----------
Cameron, A. C., Gelbach, J. B. and Miller, D. L. (2008). Review of Economics and Statistics 90, 414-427.
https://doi.org/10.1162/rest.90.3.414
Rubin, D. B. (1981). Annals of Statistics 9, 130-134. https://doi.org/10.1214/aos/1176345338
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from syneff.models.audit import audit_inside
from syneff.models.base import Audit, Design, Estimate, Estimator, Test
from syneff.models.resampling import intervals
from syneff.models.resampling.draws import (
    Resampled,
    check_draws,
    few_draws,
    resampled_clusters,
    run_draws,
)
from syneff.models.resampling.intervals import Interval, monte_carlo_error
from syneff.models.resampling.jackknife import leave_one_out
from syneff.panel.panel import Panel
from syneff.runtime import draw_keys, key_for
from syneff.typing import Array, Float, Int, Key


@dataclass(frozen=True)
class PairsBootstrap:
    """Estimate on clusters drawn with replacement.

    Attributes
    ----------
    model
        The estimator; its clusters (units, if none) are resampled whole.
    draws
        Number of draws.
    chunk
        Draws at a time; without effect on the results. What suits the device if None.
    """

    model: Estimator
    draws: int = 999
    chunk: int | None = None

    def __post_init__(self) -> None:
        check_draws("PairsBootstrap", self.draws, self.chunk)

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the model, and again on each resample.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key.

        Returns
        -------
        Estimate
            With the covariance of the draws, `draws`, and one test a term and interval: ``percentile:treat``,
            ``basic:treat``, ``bca:treat``, and ``bootstrap_t:treat`` where draws have standard errors.

        Raises
        ------
        SpecError
            If a cluster is not constant within units.
        """
        actual, design, clusters = _prepare("PairsBootstrap", self.model, panel, seed=seed, name=name)
        common = (design, jnp.asarray(clusters.codes), key_for(seed, name))
        step = partial(_pairs, self.model, len(clusters.names))
        drawn = run_draws(step, common, self.draws, chunk=self.chunk, of="bootstrap draws")
        left_out = leave_one_out(self.model, design, clusters, chunk=self.chunk)
        tests = pairs_tests(actual, drawn, left_out)
        return summarise_draws(actual, drawn, tests, clusters)

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Audit the fit inside; see `syneff.models.audit`."""
        return audit_inside(self.model, panel)


@dataclass(frozen=True)
class BayesianBootstrap:
    """Estimate with exponential weights on the clusters.

    Attributes
    ----------
    model, draws, chunk
        As for `PairsBootstrap`.
    """

    model: Estimator
    draws: int = 999
    chunk: int | None = None

    def __post_init__(self) -> None:
        check_draws("BayesianBootstrap", self.draws, self.chunk)

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the model, and again under each vector of weights.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key.

        Returns
        -------
        Estimate
            With the covariance of the draws, `draws`, and the credible interval of each term as ``percentile:treat``.

        Raises
        ------
        SpecError
            If a cluster is not constant within units.
        """
        actual, design, clusters = _prepare("BayesianBootstrap", self.model, panel, seed=seed, name=name)
        common = (design, jnp.asarray(clusters.codes), key_for(seed, name))
        step = partial(_bayesian, self.model, len(clusters.names))
        drawn = run_draws(step, common, self.draws, chunk=self.chunk, of="bootstrap draws")
        tests = []
        for place, term in enumerate(drawn.names):
            draws = np.asarray(drawn.coef[:, place])
            draws = draws[np.isfinite(draws)]
            if draws.size > 1:
                tests.append(_test("percentile", term, intervals.percentile(draws), draws.size))
        return summarise_draws(actual, drawn, tuple(tests), clusters)

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Audit the fit inside; see `syneff.models.audit`."""
        return audit_inside(self.model, panel)


def draw_copies(key: Key, count: int) -> Float[Array, " cluster"]:
    """Return how often each of `count` clusters is among as many drawn with replacement."""
    return jnp.zeros(count).at[jax.random.randint(key, (count,), 0, count)].add(1.0)


def draw_weights(key: Key, count: int) -> Float[Array, " cluster"]:
    """Return exponential weights whose mean is 1."""
    weights = jax.random.exponential(key, (count,))
    return weights / weights.mean()


Common = tuple[Design, Int[Array, " unit"], Any]


@partial(jax.jit, static_argnums=(0, 1))
def _pairs(model: Estimator, count: int, common: Common, numbers: Int[Array, " draw"]) -> Estimate:
    design, codes, key = common
    copies = jax.vmap(partial(draw_copies, count=count))(draw_keys(key, numbers))
    return replace(model.fit_copies(design, copies[:, codes]), tests=())


@partial(jax.jit, static_argnums=(0, 1))
def _bayesian(model: Estimator, count: int, common: Common, numbers: Int[Array, " draw"]) -> Estimate:
    design, codes, key = common
    weights = jax.vmap(partial(draw_weights, count=count))(draw_keys(key, numbers))
    return replace(model.fit_weights(design, weights[:, codes]), tests=())


def _prepare(
    scheme: str, model: Estimator, panel: Panel, *, seed: int, name: str
) -> tuple[Estimate, Design, Resampled]:
    actual = model.estimate(panel, seed=seed, name=name)
    design = model.design(panel)
    return actual, design, resampled_clusters(scheme, panel, design, model.spec)


def pairs_tests(actual: Estimate, drawn: Estimate, left_out: Estimate) -> tuple[Test, ...]:
    """Return all intervals of all terms that have draws."""
    tests = []
    coefs, errors, left = np.asarray(drawn.coef), np.asarray(drawn.std_error), np.asarray(left_out.coef)
    values, standard = np.asarray(actual.coef), np.asarray(actual.std_error)
    for place, term in enumerate(drawn.names):
        which = actual.names.index(term)
        value, error = float(values[which]), float(standard[which])
        draws, without = coefs[:, place], left[:, place]
        found = np.isfinite(draws)
        count = int(found.sum())
        if not np.isfinite(value) or count < 2:
            continue
        tests.append(_test("percentile", term, intervals.percentile(draws[found]), count))
        tests.append(_test("basic", term, intervals.basic(value, draws[found]), count))
        if np.isfinite(without).all():
            tests.append(_test("bca", term, intervals.bca(value, draws[found], without), count))
        found &= np.isfinite(errors[:, place]) & (errors[:, place] > 0)
        count = int(found.sum())
        if count > 1 and error > 0:
            interval = intervals.bootstrap_t(value, error, draws[found], errors[found, place])
            tests.append(_test("bootstrap_t", term, interval, count, statistic=value / error))
    return tuple(tests)


def _test(method: str, term: str, interval: Interval, draws: int, *, statistic: float = np.nan) -> Test:
    # The p-value is twice the share of one tail.
    error = 2.0 * monte_carlo_error(interval.pvalue / 2.0, draws)
    numbers = (statistic, np.nan, interval.pvalue, interval.low, interval.high, error)
    # They stay on the host: a bootstrap has dozens of tests, and a transfer takes longer than an interval.
    value, nothing, pvalue, low, high, error_of_p = (np.asarray(each, dtype=float) for each in numbers)
    name = f"{method}:{term}"
    return Test(value, nothing, nothing, pvalue, name, low=low, high=high, error=error_of_p)


def summarise_draws(actual: Estimate, drawn: Estimate, tests: tuple[Test, ...], clusters: Resampled) -> Estimate:
    """Give the estimate the covariance of its draws, and say how many draws were lost."""
    estimate = actual.of_terms(drawn.names)
    coef, kept = np.asarray(drawn.coef), np.isfinite(np.asarray(estimate.coef))
    complete = np.isfinite(coef[:, kept]).all(1)
    cov = np.full((kept.size, kept.size), np.nan)
    if complete.sum() > 1:
        cov[np.ix_(kept, kept)] = np.atleast_2d(np.cov(coef[complete][:, kept], rowvar=False))
    failed = int((~complete).sum())
    total = coef.shape[0]
    gone = np.asarray(drawn.names)[kept & ~np.isfinite(coef).all(0)]
    lost = (f"{failed} of {total:,} draws left out: they have no {' or '.join(gone)} to estimate",) if failed else ()
    spread = (f"intervals and standard errors from {total - failed:,} draws of {len(clusters.names)} clusters",)
    return replace(
        estimate,
        cov=jnp.asarray(cov),
        draws=drawn,
        tests=(*estimate.tests, *tests),
        stats={
            **estimate.stats,
            "bootstrap_draws": jnp.asarray(float(total - failed)),
            "draws_failed": jnp.asarray(float(failed)),
        },
        notes=(*estimate.notes, *clusters.notes, *few_draws(total), *spread, *lost),
    )
