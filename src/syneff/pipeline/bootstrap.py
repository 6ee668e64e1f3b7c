r"""The end-to-end bootstrap: resample cities, measure everything again, estimate again.

The usual interval of a coefficient takes the outcome as data. But an efficiency score is itself an estimate, relative to a
frontier that a few cities span, and an index of two scores is standardised by the extremes of the sample. Each draw here
resamples cities, whole, with replacement; measures the drawn ones against the frontier of the drawn ones; standardises them;
and estimates. What is left out is told: a scheme that resamples cities sees the frontier move, not the noise in the data of a
city.

``pairs`` draws as many clusters as there are. A frontier is a boundary, for which this is known to be inconsistent; and

``subsampling`` draws ``m = n^kappa`` of them without replacement, which is consistent under weak conditions, with

.. math:: \hat\beta - (q_{1 - a} (\beta^*_m) - \hat\beta) \sqrt{m / (n - m)} , \dots ,

if the coefficient converges at the rate of root n. The factor is ``sqrt(m/n)`` with the correction for draws from n clusters
that are not infinitely many, under which the standard error of a mean is exact (Shao and Wu 1989).

``smoothed`` draws clusters as ``pairs`` does, and scores against a frontier of pseudo-data (`syneff.measure.smoothed`), which
also shows how far the estimated frontier lies inside the true one. It takes both measurements of every draw in full.

References
----------
Simar, L. and Wilson, P. W. (2011). Inference by the m out of n bootstrap in nonparametric frontier models. Journal of
Productivity Analysis 36, 33-53. https://doi.org/10.1007/s11123-010-0200-4
Politis, D. N. and Romano, J. P. (1994). Annals of Statistics 22, 2031-2050. https://doi.org/10.1214/aos/1176325770
Shao, J. and Wu, C. F. J. (1989). Annals of Statistics 17, 1176-1197. https://doi.org/10.1214/aos/1176347263
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError, SpecError, one_of
from syneff.models.base import Design, Estimate, Estimator, Test
from syneff.models.resampling import intervals
from syneff.models.resampling.bootstrap import draw_copies
from syneff.models.resampling.draws import check_draws, few_draws, resampled_clusters, run_draws
from syneff.panel.panel import Panel
from syneff.pipeline.influence import influence, influence_notes
from syneff.pipeline.measurement import Step, measure_smoothed, measure_subsets
from syneff.runtime import draw_keys, key_for, require_float64
from syneff.typing import Array, Float, Int, Key

SCHEMES = ("pairs", "subsampling", "smoothed")
DRAWN = ("outcome", "regressors", "weights", "instruments")  # of a design, what a draw may change
AT_A_TIME = 64  # fits: bounds memory
SAME = 1e-6  # how far the outcome that the steps make of the whole panel may be from the one that is there


@dataclass(frozen=True)
class PipelineBootstrap:
    """Estimate on clusters drawn anew, their outcome measured anew each time.

    Attributes
    ----------
    model
        The estimator; its clusters (units, if none) are resampled whole.
    steps
        The steps that make its outcome from columns of the panel, by name and in order: from the first that measures
        something relative to the sample to the last. One that is None is left out.
    draws
        Number of draws.
    scheme
        "pairs", "subsampling" or "smoothed".
    exponent
        Subsampling draws ``n^exponent`` clusters; without effect on pairs.
    """

    model: Estimator
    steps: Mapping[str, Step | None]
    draws: int = 1000
    scheme: str = "pairs"
    exponent: float = 0.7

    def __post_init__(self) -> None:
        check_draws("PipelineBootstrap", self.draws, None)
        one_of("PipelineBootstrap scheme", self.scheme, SCHEMES)
        if not 0.0 < self.exponent < 1.0:
            raise SpecError(
                f"PipelineBootstrap: exponent={self.exponent:g} must lie between 0 and 1: n^exponent of n clusters are drawn."
            )

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the model, and again on each draw, measured anew.

        Parameters
        ----------
        panel
            The data, measured.
        seed, name
            Derive the random key; the clusters drawn are those of `PairsBootstrap`.

        Returns
        -------
        Estimate
            With the covariance of the draws, `draws`, and intervals of the treatment as tests: ``percentile:``, ``basic:`` and
            ``bca:<treatment>`` of pairs, ``subsampling:``, or ``basic:`` alone if smoothed; beside the naive interval of the
            same draws with the outcome taken as data. The detail ``influence`` is what each cluster does to the estimate and to
            the outcome of the others.

        Raises
        ------
        SpecError
            If a cluster is not constant within units, subsamples would be the whole, or the steps do not make the outcome
            that the panel has.
        """
        require_float64()
        actual, design = self.model.estimate(panel, seed=seed, name=name), self.model.design(panel)
        clusters = resampled_clusters("PipelineBootstrap", panel, design, self.model.spec)
        count = len(clusters.names)
        # All clusters, to check the steps; all but one; the draws.
        fixed = np.concatenate([np.ones((1, count)), 1.0 - np.eye(count)])
        copies = np.concatenate([fixed, self._draw(key_for(seed, name), count)])[:, clusters.codes]
        # Units without a row to estimate have no cluster. They may span the frontier all the same.
        outside = np.asarray(design.weights).max(axis=1) <= 0
        present, copies = (copies > 0) | outside, np.where(outside, 0.0, copies)
        if self.scheme == "smoothed":
            panels, programs = measure_subsets(panel, self.steps, present[: count + 1])
            redrawn = measure_smoothed(panel, self.steps, _generators(key_for(seed, f"{name}:scores"), self.draws))
            fits, outcomes = _fit(self.model, design, chain(panels, redrawn), copies, kept=count + 1)
        else:
            panels, programs = measure_subsets(panel, self.steps, present)
            fits, outcomes = _fit(self.model, design, panels, copies, kept=count + 1)
        self._check(panel, outcomes[0])
        left_out, redone = _some(fits, slice(1, 1 + count)), _some(fits, slice(1 + count, None))
        naive = _naive(self.model, design, copies[1 + count :])
        found = influence(clusters, outcomes[0], outcomes[1:], np.asarray(left_out.coef[:, 0]))
        made = f"outcome measured anew in {self.draws:,} draws, and without each of {count} clusters: {programs:,} programs"
        scale = self.variance_factor(count)
        estimate = _summary(actual, redone, scale=scale)
        tests = _tests(self.scheme, estimate, (redone, left_out, naive), scale=scale)
        return replace(
            estimate,
            tests=(*estimate.tests, *tests),
            notes=(
                *(*estimate.notes, *clusters.notes, *few_draws(self.draws), made),
                *(*_always_there(panel, outside), *influence_notes(found, float(estimate.coef[0]))),
            ),
            details={"influence": found},
        )

    def _draw(self, key: Key, count: int) -> Float[np.ndarray, "draw cluster"]:
        keys = draw_keys(key, jnp.arange(self.draws))
        if self.scheme != "subsampling":
            return np.asarray(jax.vmap(partial(draw_copies, count=count))(keys))
        order = np.asarray(jax.vmap(lambda each: jax.random.permutation(each, count))(keys))
        return (order < self._subsample_size(count)).astype(float)

    def _subsample_size(self, count: int) -> int:
        size = max(2, int(np.round(count**self.exponent)))
        if size >= count:
            raise SpecError(
                f"PipelineBootstrap: exponent={self.exponent:g} makes subsamples of {size} of {count} clusters, which are the "
                "whole. Choose a lower exponent, or scheme=pairs."
            )
        return size

    def variance_factor(self, count: int) -> float:
        """Return what makes the variance of the draws that of the estimate."""
        if self.scheme != "subsampling":
            return 1.0
        size = self._subsample_size(count)
        return size / (count - size)

    def _check(self, panel: Panel, outcome: np.ndarray) -> None:
        """Raise unless the steps make of the whole panel the outcome that is there."""
        name = self.model.spec.outcome
        there = panel.column(name)
        both = panel.sample & np.isfinite(there) & np.isfinite(outcome)
        apart = np.abs(np.where(both, there - outcome, 0.0)).max()
        if apart > SAME or (panel.sample & (np.isfinite(there) != np.isfinite(outcome))).any():
            raise SpecError(
                f"PipelineBootstrap: the steps {', '.join(self.steps)} make another {name!r} of the panel than the one that is "
                f"there (largest difference {apart:.2g}). Name the steps that made it, all of them and in order: "
                "estimator.steps={...}; and let steps that leave rows out come before them."
            )


def _always_there(panel: Panel, outside: np.ndarray) -> tuple[str, ...]:
    """Say how many units are measured but not estimated, if any."""
    count = int((panel.sample.any(axis=1) & outside).sum())
    return (f"{count} units have rows to measure but none to estimate: they are there in every draw",) if count else ()


def _generators(key: Key, draws: int) -> list[np.random.Generator]:
    """Return a generator a draw, by its number."""
    seeds = np.asarray(jax.random.key_data(draw_keys(key, jnp.arange(draws))))
    return [np.random.default_rng(each) for each in seeds]


def _fit(
    model: Estimator,
    design: Design,
    panels: Iterable[Panel | None],
    copies: Float[np.ndarray, "draw unit"],
    *,
    kept: int,
) -> tuple[Estimate, Float[np.ndarray, "kept unit period"]]:
    """Fit every draw; return the fits with leading axis ``draw``, NaN where nothing could be measured, and some outcomes."""
    outcomes, failed, fitted = np.full((kept, *design.outcome.shape), np.nan), np.zeros(len(copies), bool), []
    each = iter(panels)
    for start in range(0, len(copies), AT_A_TIME):
        part = copies[start : start + AT_A_TIME]
        designs = []
        for at in range(start, start + len(part)):
            drawn = next(each)
            own = None if drawn is None else _design(model, drawn)
            failed[at] = own is None
            designs.append(design if own is None else own)
            if drawn is not None and at < kept:
                outcomes[at] = np.where(drawn.sample, drawn.column(model.spec.outcome), np.nan)
        # The last chunk is filled up, so that one shape is compiled.
        fill = min(AT_A_TIME, len(copies)) - len(part)
        filled = (*designs, *designs[:1] * fill)
        arrays = tuple(jnp.stack([getattr(own, name) for own in filled]) for name in DRAWN)
        weights = jnp.asarray(np.concatenate([part, np.repeat(part[:1], fill, axis=0)]))
        fits = _fit_drawn(model, replace(design, balanced=False), arrays, weights)
        fitted.append(_some(fits, slice(0, len(part))))
    joined: Estimate = jax.tree.map(lambda *parts: jnp.concatenate(parts), *fitted)
    lost = jnp.asarray(failed)[:, None]
    coef, cov = jnp.where(lost, jnp.nan, joined.coef), jnp.where(lost[:, :, None], jnp.nan, joined.cov)
    return replace(joined, coef=coef, cov=cov), outcomes


def _design(model: Estimator, panel: Panel) -> Design | None:
    """Return the arrays of a draw; None where it has nothing to estimate."""
    try:
        return model.design(panel)
    except DataError:
        return None


@partial(jax.jit, static_argnums=0)
def _fit_drawn(
    model: Estimator, design: Design, arrays: tuple[Array, ...], copies: Float[Array, "draw unit"]
) -> Estimate:
    def one(own: tuple[Array, ...], copied: Array) -> Estimate:
        drawn = replace(design, outcome=own[0], regressors=own[1], weights=own[2], instruments=own[3])
        fitted: Estimate = jax.tree.map(lambda leaf: leaf[0], model.fit_copies(drawn, copied[None]))
        return replace(fitted, tests=())

    fits: Estimate = jax.vmap(one)(arrays, copies)
    return fits


def _naive(model: Estimator, design: Design, copies: np.ndarray) -> Estimate:
    """Fit the same draws with the outcome as data."""
    step = partial(_fit_copies, model)
    found: Estimate = run_draws(step, (design, jnp.asarray(copies)), len(copies), chunk=None, of="naive draws")
    return found


@partial(jax.jit, static_argnums=0)
def _fit_copies(model: Estimator, common: tuple[Design, Array], numbers: Int[Array, " draw"]) -> Estimate:
    design, copies = common
    return replace(model.fit_copies(design, copies[numbers]), tests=())


def _some(fits: Estimate, rows: slice) -> Estimate:
    found: Estimate = jax.tree.map(lambda leaf: leaf[rows], fits)
    return found


def _summary(actual: Estimate, drawn: Estimate, *, scale: float) -> Estimate:
    """Give the estimate the covariance of its draws, and say how many draws were lost."""
    estimate = actual.of_terms(drawn.names)
    kept = np.isfinite(np.asarray(estimate.coef))
    complete = np.isfinite(np.asarray(drawn.coef)[:, kept]).all(axis=1)
    cov = np.full((kept.size, kept.size), np.nan)
    if complete.sum() > 1:
        cov[np.ix_(kept, kept)] = scale * np.atleast_2d(np.cov(np.asarray(drawn.coef)[complete][:, kept], rowvar=False))
    failed = int((~complete).sum())
    said = f"{failed} of {complete.size:,} draws left out: too little was in them to measure or to estimate"
    counts = {"bootstrap_draws": float(complete.sum()), "draws_failed": float(failed)}
    return replace(
        estimate,
        cov=jnp.asarray(cov),
        draws=drawn,
        stats={**estimate.stats, **{name: jnp.asarray(value) for name, value in counts.items()}},
        notes=(*estimate.notes, *((said,) if failed else ())),
    )


def _tests(
    scheme: str, estimate: Estimate, fits: tuple[Estimate, Estimate, Estimate], *, scale: float
) -> tuple[Test, ...]:
    """Return the intervals of the treatment: of the whole pipeline, and of the same draws with the outcome as data."""
    value, term = float(estimate.coef[0]), estimate.names[0]
    redone, left_out, naive = (np.asarray(each.coef)[:, 0] for each in fits)
    redone, naive = (value + np.sqrt(scale) * (each[np.isfinite(each)] - value) for each in (redone, naive))
    if min(redone.size, naive.size) < 2:
        return ()
    if scheme == "subsampling":
        return (
            _test("subsampling", term, intervals.basic(value, redone), redone.size),
            _test("naive_subsampling", term, intervals.basic(value, naive), naive.size),
        )
    if scheme == "smoothed":
        return (
            _test("basic", term, intervals.basic(value, redone), redone.size),
            _test("naive_percentile", term, intervals.percentile(naive), naive.size),
        )
    found = [
        _test("percentile", term, intervals.percentile(redone), redone.size),
        _test("basic", term, intervals.basic(value, redone), redone.size),
    ]
    if np.isfinite(left_out).all():
        found.append(_test("bca", term, intervals.bca(value, redone, left_out), redone.size))
    return (*found, _test("naive_percentile", term, intervals.percentile(naive), naive.size))


def _test(method: str, term: str, interval: intervals.Interval, draws: int) -> Test:
    error = 2.0 * intervals.monte_carlo_error(interval.pvalue / 2.0, draws)
    numbers = (np.nan, np.nan, interval.pvalue, interval.low, interval.high, error)
    statistic, dof, pvalue, low, high, error_of_p = (jnp.asarray(each) for each in numbers)
    return Test(statistic, dof, dof, pvalue, f"{method}:{term}", low=low, high=high, error=error_of_p)
