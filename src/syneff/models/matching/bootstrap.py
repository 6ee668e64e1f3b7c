"""A pairs bootstrap that goes through the match: cities drawn, matched and estimated again in every draw.

Standard errors of a regression on a matched sample take the match for given. Here clusters are drawn with replacement, with all
their years; each draw fits its own logits, makes its own match and estimates on its own matched sample, every copy of a city
being a row, a unit and a cluster of its own.

The estimator must be a smooth function of the data for this to be right. Kernel and radius weights and entropy balancing are.
Nearest-neighbour matching with a fixed number of neighbours is not: Abadie and Imbens (2008) show that the bootstrap of its
simple treatment effect does not converge to the right distribution. The note of the estimate says so.

References
----------
Abadie, A. and Imbens, G. W. (2008). On the failure of the bootstrap for matching estimators. Econometrica 76, 1537-1557.
https://doi.org/10.3982/ECTA6474
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError
from syneff.models.base import Design, Estimate, Estimator
from syneff.models.matching.options import Matching
from syneff.models.matching.problem import Problem, Rows, build_rows
from syneff.models.matching.solve import (
    Bounds,
    MatchStatus,
    Scores,
    fit_scores,
    match_groups,
    no_scores,
    weights_in_force,
)
from syneff.models.matching.step import BALANCE, matched
from syneff.models.resampling.bootstrap import draw_copies, pairs_tests, summarise_draws
from syneff.models.resampling.draws import Resampled, check_draws, resampled_clusters, run_draws
from syneff.panel.panel import Panel
from syneff.runtime import computing_devices, draw_keys, key_for
from syneff.typing import Array, Bool, Float, Int

NOT_SMOOTH = (
    "nearest-neighbour matching is no smooth function of the data, so its bootstrap need not be right (Abadie and Imbens "
    "2008); kernel matching or entropy balancing is."
)


@dataclass(frozen=True)
class MatchedBootstrap:
    """Match and estimate on clusters drawn with replacement.

    Attributes
    ----------
    model
        The estimator; its clusters (units, if none) are resampled whole.
    matching
        The match; the panel that is given is the one before matching.
    draws
        Number of draws.
    chunk
        Draws at a time; without effect on the results. What suits the device if None.
    """

    model: Estimator
    matching: Matching
    draws: int = 999
    chunk: int | None = None

    def __post_init__(self) -> None:
        check_draws("MatchedBootstrap", self.draws, self.chunk)
        if self.model.spec.covariance == "conley":
            raise SpecError(
                "MatchedBootstrap: copies of a city have no place of their own, so covariance conley has no meaning in a draw. "
                "Use spec.covariance=CR1."
            )

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Match and estimate, and again on each resample.

        Parameters
        ----------
        panel
            The data, not matched yet.
        seed, name
            Derive the random key.

        Returns
        -------
        Estimate
            As of `PairsBootstrap`, with the frames of `matched` in `details`. A draw in which a year cannot be matched is left
            out if ``matching.unmatched`` is "raise"; otherwise it does what the match itself does.

        Raises
        ------
        DataError
            What `matched` and the model find wrong with the data.
        SpecError
            If a cluster is not constant within units, or the panel was matched before.
        """
        if BALANCE in panel.details:
            raise SpecError(
                "MatchedBootstrap matches the panel itself, but a step has matched it already. Take that step out."
            )
        sample = matched(panel, matching=self.matching)
        actual = self.model.estimate(sample, seed=seed, name=name)
        rows, design = build_rows(panel, self.matching), self.model.design(panel)
        clusters = resampled_clusters("MatchedBootstrap", panel, design, self.model.spec)
        count = len(clusters.names)
        keys = draw_keys(key_for(seed, name), jnp.arange(self.draws))
        copies = np.asarray(jax.vmap(partial(draw_copies, count=count))(keys)).astype(int)
        # The samples that leave one cluster out, for the acceleration of BCa, are run along: one program for all.
        every = np.concatenate([copies, 1 - np.eye(count, dtype=int)])
        fits, status = self._refit(rows, design, clusters, every)
        cuts = slice(None, self.draws), slice(self.draws, None)
        drawn, left_out = (jax.tree.map(lambda each, cut=cut: each[cut], fits) for cut in cuts)
        estimate = summarise_draws(actual, drawn, pairs_tests(actual, drawn, left_out), clusters)
        before = len(panel.notes)
        said = (*sample.notes[before:], *estimate.notes, *_failures(status[: self.draws], self.matching))
        if self.matching.method == "nearest":
            said = (*said, NOT_SMOOTH)
        new = {key: frame for key, frame in sample.details.items() if key not in panel.details}
        return replace(estimate, notes=said, details={**estimate.details, **new})

    def _refit(
        self, rows: Rows, design: Design, clusters: Resampled, copies: np.ndarray
    ) -> tuple[Estimate, Int[Array, "draw group"]]:
        """Match and estimate with the copies ``[draw cluster]``."""
        samples = _samples(rows, design, clusters, copies)
        bounds = _bounds(self.matching, rows, samples.slots, samples.held)
        ordered = jax.tree.map(jnp.asarray, (rows.order, samples.counts, samples.slots, samples.codes, samples.held))
        common = (design, rows.problem, ordered)
        step = partial(_draws, self.model, self.matching, bounds, int(samples.codes.max()) + 1)
        found: tuple[Estimate, Array] = run_draws(
            step, common, copies.shape[0], chunk=self.chunk or _chunk(), of="matched bootstrap draws"
        )
        return found


@dataclass(frozen=True)
class _Samples:
    """Units drawn; a slot is a copy, in the problem's order of units.

    Attributes
    ----------
    counts
        ``[draw unit]``: copies of each unit, in the problem's order.
    slots
        ``[draw slot]``: position of the unit in that order.
    codes
        ``[draw slot]``: number of the cluster's copy.
    held
        ``[draw slot]``: whether there is a copy.
    """

    counts: Float[np.ndarray, "draw unit"]
    slots: Int[np.ndarray, "draw slot"]
    codes: Int[np.ndarray, "draw slot"]
    held: Bool[np.ndarray, "draw slot"]


def _samples(rows: Rows, design: Design, clusters: Resampled, copies: np.ndarray) -> _Samples:
    inside: np.ndarray = np.any(np.asarray(design.weights) > 0, axis=1)
    inside = inside[rows.order]
    codes = clusters.codes[rows.order]
    counts = np.asarray(np.where(inside[None, :], copies[:, codes], 0))
    width = int(counts.sum(axis=1).max())
    slots, numbers = np.zeros((len(counts), width), int), np.zeros((len(counts), width), int)
    held = np.arange(width)[None, :] < counts.sum(axis=1)[:, None]
    first = np.cumsum(copies, axis=1) - copies
    for draw, count in enumerate(counts):
        unit = np.repeat(np.arange(count.size), count)
        turn = np.arange(unit.size) - np.repeat(np.cumsum(count) - count, count)
        slots[draw, : unit.size], numbers[draw, : unit.size] = unit, first[draw, codes[unit]] + turn
    # Slots without a copy weigh nothing; a number beyond all others keeps them out of every cluster.
    numbers = np.where(held, numbers, copies.sum(axis=1).max())
    return _Samples(counts.astype(float), slots, numbers, held)


def _bounds(matching: Matching, rows: Rows, slots: np.ndarray, held: np.ndarray) -> Bounds:
    """Return where treated rows and controls can be in any draw."""
    times = rows.problem.periods if matching.by == "pooled" else 1
    count = slots.shape[1] * times
    if matching.treated == "now":
        return Bounds(count, 0)
    treatable = (held & (slots < rows.treatable)).sum(axis=1)
    return Bounds.around(int(treatable.max()) * times, int(treatable.min()) * times, count)


def _chunk() -> int:
    """Return how many draws to match at a time: few, so that the cores of a CPU share them."""
    return 32 if computing_devices()[0].platform == "cpu" else 256


Ordered = tuple[Array, Array, Array, Array, Array]


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _draws(
    model: Estimator, matching: Matching, bounds: Bounds, count: int, *given: Any
) -> tuple[Estimate, Int[Array, "draw group"]]:
    (design, problem, (order, *drawn)), numbers = given
    counts, slots, codes, held = (each[numbers] for each in drawn)
    scores = jax.vmap(partial(_scores, matching, problem))(counts)

    def one(sample: tuple[Scores, Array, Array, Array]) -> tuple[Estimate, Array]:
        own, slot, code, there = sample
        return _fit_draw(model, matching, bounds, count, (design, problem, order[slot]), (own, slot, code, there))

    # One draw at a time: its distances stay in the cache.
    found: tuple[Estimate, Array] = jax.lax.map(one, (scores, slots, codes, held))
    return found


def _scores(matching: Matching, problem: Problem, counts: Float[Array, " unit"]) -> Scores:
    if not matching.needs_score:
        return no_scores(problem)
    times = problem.periods if problem.by == "pooled" else 1
    return fit_scores(problem, jnp.repeat(counts, times))


def _fit_draw(
    model: Estimator,
    matching: Matching,
    bounds: Bounds,
    count: int,
    data: tuple[Design, Problem, Int[Array, " slot"]],
    *sample: tuple[Scores, Int[Array, " slot"], Int[Array, " slot"], Bool[Array, " slot"]],
) -> tuple[Estimate, Int[Array, " group"]]:
    """Match and estimate on one drawn sample."""
    (design, problem, units), ((scores, slots, codes, held),) = data, sample
    rows, times = problem.rows_of(slots), problem.periods if problem.by == "pooled" else 1
    there = jnp.repeat(held, times)
    drawn = replace(
        problem,
        covariates=problem.covariates[:, rows],
        treated=problem.treated[:, rows],
        present=problem.present[:, rows] & there[None, :],
    )
    own = replace(scores, log_odds=scores.log_odds[:, rows], score=scores.score[:, rows])
    match = match_groups(matching, bounds, drawn, own)
    weights = weights_in_force(matching, drawn, match, jnp.where(held[:, None], design.weights[units], 0.0))
    weights = without_singletons(weights, model.spec.effects)
    inside = weights > 0
    fit = model.fit(
        replace(
            design,
            outcome=jnp.where(inside, design.outcome[units], 0.0),
            regressors=jnp.where(inside[:, :, None], design.regressors[units], 0.0),
            instruments=jnp.where(inside[:, :, None], design.instruments[units], 0.0),
            weights=weights,
            cluster=jnp.broadcast_to(codes[:, None], weights.shape),
            ways=tuple(
                replace(way, codes=jnp.broadcast_to(codes[:, None], weights.shape), count=count) for way in design.ways
            ),
            n_clusters=count,
            balanced=False,
        )
    )
    # A year that the draw does not have is no failure.
    status = jnp.where(drawn.present.any(1), match.status, 0)
    lost = (status != 0).any() & (matching.unmatched == "raise")
    coef, cov = (jnp.where(lost, jnp.nan, each) for each in (fit.coef, fit.cov))
    return replace(fit, coef=coef, cov=cov, tests=()), status


def without_singletons(weights: Float[Array, "unit period"], effects: tuple[str, ...]) -> Float[Array, "unit period"]:
    """Give weight 0 to rows that are alone in an absorbed unit or period, until none is left, as for any sample."""

    def alone(weights: Array) -> Array:
        inside = weights > 0
        single = jnp.zeros_like(inside)
        if "unit" in effects:
            single = single | (inside & (inside.sum(1) == 1)[:, None])
        if "period" in effects:
            single = single | (inside & (inside.sum(0) == 1)[None, :])
        return single

    return jax.lax.while_loop(lambda held: alone(held).any(), lambda held: jnp.where(alone(held), 0.0, held), weights)


def _failures(status: Int[Array, "draw group"], matching: Matching) -> tuple[str, ...]:
    """Say how many draws had a year that could not be matched, and why."""
    failed = np.asarray(status)
    draws = int((failed != 0).any(axis=1).sum())
    if not draws:
        return ()
    codes, counts = np.unique(failed[failed != 0], return_counts=True)
    causes = ", ".join(
        f"{MatchStatus(int(code)).name.lower().replace('_', ' ')} {count}"
        for code, count in zip(codes, counts, strict=True)
    )
    done = {"raise": "are left out", "drop": "lose that year", "keep": "keep that year as it is"}[matching.unmatched]
    return (f"{draws} of {len(failed):,} draws have years that cannot be matched ({causes} year-draws), and {done}.",)
