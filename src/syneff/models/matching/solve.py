"""Match the rows of a problem: scores, support, distances, shares; pure array code, safe under ``jit`` and ``vmap``."""

from dataclasses import dataclass
from enum import IntEnum
from functools import partial

import jax
import jax.numpy as jnp

from syneff.models.matching.options import Matching
from syneff.models.matching.problem import Problem
from syneff.numerics import matching as algebra
from syneff.numerics.entropy_balance import entropy_balance, moments_of
from syneff.numerics.logit import LogitStatus, fit_logit
from syneff.typing import Array, Bool, Float, Int

ROUND = 16
"""Bounds are multiples of it."""


class MatchStatus(IntEnum):
    """How the match of a group ended."""

    OK = 0
    NO_TREATED = 1
    NO_CONTROLS = 2
    SEPARATED = 3
    NOT_CONVERGED = 4
    NO_SUPPORT = 5
    TOO_FEW_CONTROLS = 6
    NO_MATCH = 7
    NOT_BALANCED = 8


@partial(jax.tree_util.register_dataclass, data_fields=["coef", "log_odds", "score", "status"], meta_fields=[])
@dataclass(frozen=True)
class Scores:
    """The propensity scores of the rows of each group.

    Attributes
    ----------
    coef
        ``[group k]`` of the scaled covariates, the constant last.
    log_odds, score
        ``[group row]``.
    status
        ``[group]``: a `LogitStatus`.
    """

    coef: Float[Array, "*batch k_and_one"]
    log_odds: Float[Array, "*batch row"]
    score: Float[Array, "*batch row"]
    status: Int[Array, "*batch"]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["weights", "status", "on_support", "shares", "distance"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Match:
    """A match of each group.

    Attributes
    ----------
    weights
        ``[group row]``: 1 for matched treated rows, and what the controls' shares sum to.
    status
        ``[group]``: a `MatchStatus`.
    on_support
        ``[group row]``.
    shares, distance
        ``[group control treated]``: which rows these are says `Bounds`; none for entropy balancing.
    """

    weights: Float[Array, "*batch row"]
    status: Int[Array, "*batch"]
    on_support: Bool[Array, "*batch row"]
    shares: Float[Array, "*batch control treated"]
    distance: Float[Array, "*batch control treated"]


@dataclass(frozen=True)
class Bounds:
    """Where treated rows and controls can be.

    Attributes
    ----------
    treated
        Treated rows are among so many first ones.
    controls
        Controls begin here.
    """

    treated: int
    controls: int

    @classmethod
    def around(cls, treated: int, controls: int, rows: int) -> "Bounds":
        """Return bounds a little wider and rounder, so that few shapes are compiled."""
        return cls(min(rows, -(-treated // ROUND) * ROUND), controls // ROUND * ROUND)


def fit_scores(problem: Problem, counts: Float[Array, " row"]) -> Scores:
    """Fit the logit of each group, rows counting as often as `counts` says."""

    def one(covariates: Array, treated: Array, present: Array) -> Scores:
        fit = fit_logit(covariates, treated, jnp.where(present, counts, 0.0))
        return Scores(fit.coef, fit.log_odds, fit.score, fit.status)

    found: Scores = jax.vmap(one)(problem.covariates, problem.treated, problem.present)
    return found


def no_scores(problem: Problem) -> Scores:
    """Return what stands for scores where none are needed."""
    groups, rows, size = problem.covariates.shape
    nothing = jnp.zeros((groups, rows))
    return Scores(jnp.zeros((groups, size + 1)), nothing, nothing, jnp.zeros(groups, int))


def match_groups(matching: Matching, bounds: Bounds, problem: Problem, scores: Scores) -> Match:
    """Match each group by itself.

    Parameters
    ----------
    matching
        The options.
    bounds
        Where treated rows and controls can be.
    problem
        The rows; those of a bootstrap sample are copies.
    scores
        Of these rows.
    """
    found: Match = jax.vmap(partial(_match, matching, bounds))(
        (problem.covariates, problem.treated, problem.present), scores
    )
    return found


def _match(matching: Matching, bounds: Bounds, rows: tuple[Array, Array, Array], scores: Scores) -> Match:
    covariates, treated, present = rows
    treated, controls = present & treated, present & ~treated
    supported = jnp.ones_like(present)
    if matching.support == "common":
        supported = algebra.in_common_support(scores.score, treated, controls)
    elif matching.support == "trim":
        supported = algebra.in_dense_support(scores.score, treated, controls, float(matching.trim or 0.0))
    used = treated & supported
    if matching.method == "entropy":
        values = moments_of(covariates, int(matching.moments or 1))
        weights, balanced = entropy_balance(values, used, controls)
        matched, nothing = used.astype(float), jnp.zeros((0, 0))
        status = _status(matching, treated, controls, used, scores.status)
        status = jnp.where((status == 0) & ~balanced, int(MatchStatus.NOT_BALANCED), status)
        return Match(jnp.where(used, matched, weights), status, supported, nothing, nothing)
    distance = _distances(matching, bounds, covariates, (treated, controls, used), scores)
    shares = _shares(matching, bounds, distance, scores)
    count = present.shape[0]
    weights = jnp.pad((shares.sum(0) > 0).astype(float), (0, count - bounds.treated))
    weights = weights + jnp.pad(shares.sum(1), (bounds.controls, 0))
    status = _status(matching, treated, controls, used, scores.status)
    status = jnp.where((status == 0) & ~(weights > 0).any(), int(MatchStatus.NO_MATCH), status)
    return Match(weights, status, supported, shares, distance)


def _distances(
    matching: Matching, bounds: Bounds, covariates: Array, groups: tuple[Array, Array, Array], scores: Scores
) -> Float[Array, "control treated"]:
    """Return the distances, infinite where two rows may not be matched."""
    treated, controls, used = groups
    first, rest = slice(None, bounds.treated), slice(bounds.controls, None)
    if matching.distance in ("score", "index"):
        position = scores.score if matching.distance == "score" else scores.log_odds
        distance = algebra.score_distance(position[rest], position[first])
    else:
        position = covariates
        if matching.distance == "mahalanobis_score":
            position = jnp.concatenate([covariates, scores.score[:, None]], axis=1)
        spread = algebra.pooled_covariance(position, treated, controls)
        distance = algebra.mahalanobis_distance(position[rest], position[first], spread)
    allowed = controls[rest][:, None] & used[first][None, :]
    if matching.caliper is not None:
        limit = jnp.asarray(float(matching.caliper))
        if matching.caliper_unit == "sd":
            limit = limit * _spread(position, treated | controls)
        allowed = allowed & (algebra.rounded(distance) <= algebra.rounded(limit))
    return jnp.where(allowed, distance, jnp.inf)


def _shares(
    matching: Matching, bounds: Bounds, distance: Float[Array, "control treated"], scores: Scores
) -> Float[Array, "control treated"]:
    if matching.method == "radius":
        return algebra.all_within(distance)
    if matching.method == "kernel":
        return algebra.kernel_shares(distance, str(matching.kernel), float(matching.bandwidth or 0.0))
    neighbours = int(matching.neighbours or 1)
    if matching.replacement:
        return algebra.nearest(distance, neighbours, ties=bool(matching.ties))
    chooser = algebra.rounded(scores.score[: bounds.treated])
    order = {
        "ascending": lambda: jnp.argsort(chooser, stable=True),
        "descending": lambda: jnp.argsort(-chooser, stable=True),
        "identifier": lambda: jnp.arange(bounds.treated),
    }[str(matching.order)]()
    return algebra.nearest_once(distance, order, neighbours)


def _status(matching: Matching, treated: Array, controls: Array, used: Array, logit: Int[Array, ""]) -> Int[Array, ""]:
    """Return the first thing that is wrong."""
    logit = logit if matching.needs_score else jnp.zeros_like(logit)
    wrong = {
        MatchStatus.NO_TREATED: ~treated.any(),
        MatchStatus.NO_CONTROLS: ~controls.any(),
        MatchStatus.SEPARATED: logit == int(LogitStatus.SEPARATED),
        MatchStatus.NOT_CONVERGED: logit == int(LogitStatus.NOT_CONVERGED),
        MatchStatus.NO_SUPPORT: ~used.any(),
        MatchStatus.TOO_FEW_CONTROLS: controls.sum() < (matching.neighbours or 1),
    }
    status = jnp.zeros((), int)
    for code, holds in reversed(wrong.items()):
        status = jnp.where(holds, int(code), status)
    return status


def _spread(values: Float[Array, " row"], inside: Bool[Array, " row"]) -> Float[Array, ""]:
    """Return the standard deviation of the rows inside, over n - 1."""
    count = inside.sum().astype(float)
    mean = jnp.where(inside, values, 0.0).sum() / jnp.maximum(count, 1.0)
    squares = jnp.where(inside, (values - mean) ** 2, 0.0).sum()
    return jnp.sqrt(squares / jnp.maximum(count - 1.0, 1.0))


def weights_in_force(
    matching: Matching, problem: Problem, match: Match, given: Float[Array, "slot period"]
) -> Float[Array, "slot period"]:
    """Return the weights of the cells after matching.

    Parameters
    ----------
    matching, problem, match
        What was matched, and how.
    given
        ``[slot period]``: the weights before. Those of groups that could not be matched stay where `unmatched` is "keep".
    """
    value = (match.weights > 0).astype(float) if matching.weighting == "sample" else match.weights
    failed = match.status != 0
    # A row that cannot be matched for want of a covariate is out even where its group is kept.
    instead = problem.present.astype(float) if matching.unmatched == "keep" else jnp.zeros_like(value)
    return given * problem.cells(jnp.where(failed[:, None], instead, value))
