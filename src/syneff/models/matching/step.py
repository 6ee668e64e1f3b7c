"""The step: match the rows of a panel, and leave weights, scores, frames and notes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError
from syneff.models.matching.balance import balance_frame, group_frame, overlap_frame, pairs_frame, score_model_frame
from syneff.models.matching.options import Matching
from syneff.models.matching.problem import Problem, Rows, build_rows
from syneff.models.matching.solve import (
    Bounds,
    Match,
    MatchStatus,
    Scores,
    fit_scores,
    match_groups,
    no_scores,
    weights_in_force,
)
from syneff.numerics.logit import separating
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.runtime import require_float64

SCORE = "propensity_score"
"""The column that the scores are put in."""
BALANCE = "matching_balance"
"""The frame that every match leaves."""

CAUSES = {
    MatchStatus.NO_TREATED: "has no treated row",
    MatchStatus.NO_CONTROLS: "has no row that is not treated",
    MatchStatus.SEPARATED: "is separated: {covariates} tell treated from others without error, so the logit has no maximum",
    MatchStatus.NOT_CONVERGED: "has a logit that does not converge",
    MatchStatus.NO_SUPPORT: "has no treated row on the support",
    MatchStatus.TOO_FEW_CONTROLS: "has {controls} controls, fewer than the {neighbours} neighbours asked for",
    MatchStatus.NO_MATCH: "has no match within {reach}",
    MatchStatus.NOT_BALANCED: "cannot be balanced: the means of the treated are beyond all weighted means of the controls",
}
REMEDIES = {
    MatchStatus.NO_TREATED: "With treated=now years before the first adoption have none: use treated=ever.",
    MatchStatus.NO_CONTROLS: "Widen the sample.",
    MatchStatus.SEPARATED: "Take covariates out, or use by=pooled or treated=ever, which have more treated rows.",
    MatchStatus.NOT_CONVERGED: "Take covariates out.",
    MatchStatus.NO_SUPPORT: "Use support=none or a smaller trim.",
    MatchStatus.TOO_FEW_CONTROLS: "Ask for fewer neighbours.",
    MatchStatus.NO_MATCH: "Widen it, or take covariates out.",
    MatchStatus.NOT_BALANCED: "Balance fewer covariates, or moments=1.",
}


def matched(panel: Panel, *, matching: Matching) -> Panel:
    """Match treated rows with controls; rows without a match get weight 0.

    Matching year by year, as the paper does, uses covariates measured after adoption, which treatment may have changed, and
    keeps cities in some of their years only, so N is no multiple of the number of years. ``by="pre_treatment"`` avoids both.

    Parameters
    ----------
    panel
        The panel.
    matching
        What to match on, and how: see `syneff.models.matching.options`.

    Returns
    -------
    Panel
        With new weights; the column ``propensity_score``; notes; and the details ``matching_balance`` (means, standardised
        differences and variance ratios before and after, by year and covariate), ``matching_overlap`` (histograms of the
        scores), ``matching_pairs`` (who is matched with whom, distance and share), ``matching_groups`` (counts a year) and
        ``matching_logit`` (coefficients).

    Raises
    ------
    DataError
        If a column is unknown, or a year cannot be matched and ``unmatched`` is "raise": the year and the cause are named.
    """
    require_float64()
    rows = build_rows(panel, matching)
    scores, match = solve(matching, rows.problem, bounds_of(matching, rows))
    _raise_unmatched(matching, rows, match)
    given = np.asarray(panel.weights, dtype=float)
    weights = back(rows, weights_in_force(matching, rows.problem, match, jnp.asarray(given[rows.order])))
    frames = {
        BALANCE: balance_frame(panel, matching, rows, match, weights),
        "matching_groups": group_frame(rows, match),
        **(
            {}
            if matching.method == "entropy"
            else {"matching_pairs": pairs_frame(panel, rows, match, bounds_of(matching, rows))}
        ),
    }
    result = panel.reweight(weights)
    if matching.needs_score:
        frames |= {
            "matching_overlap": overlap_frame(rows, scores, match),
            "matching_logit": score_model_frame(matching, rows, scores),
        }
        value = np.where(np.asarray(rows.problem.present), np.asarray(scores.score), np.nan)
        column = back(rows, rows.problem.cells(jnp.asarray(value)))
        variable = Variable("Propensity score", "倾向得分", "-")
        result = result.assign({SCORE: column}, {} if SCORE in panel.variables else {SCORE: variable})
    said = _notes(panel, matching, rows, match, weights)
    return replace(result, notes=(*result.notes, *said)).detail(frames)


def bounds_of(matching: Matching, rows: Rows) -> Bounds:
    """Return where treated rows and controls of a problem can be."""
    times, count = rows.problem.periods if matching.by == "pooled" else 1, rows.problem.present.shape[1]
    if matching.treated == "now":
        return Bounds(count, 0)
    return Bounds.around(rows.treatable * times, rows.treatable * times, count)


def solve(matching: Matching, problem: Problem, bounds: Bounds) -> tuple[Scores, Match]:
    """Match every row of a problem; the logits are one program for all options."""
    counts = jnp.ones(problem.present.shape[1])
    scores: Scores = _fit_scores(problem, counts) if matching.needs_score else no_scores(problem)
    match: Match = _match_groups(matching, bounds, problem, scores)
    return scores, match


_fit_scores = jax.jit(fit_scores)
_match_groups = jax.jit(match_groups, static_argnums=(0, 1))


def back(rows: Rows, cells: jax.Array) -> np.ndarray:
    """Return cells ``[slot period]`` in the panel's own order of units."""
    result = np.empty(cells.shape)
    result[rows.order] = np.asarray(cells)
    return result


def cause(matching: Matching, rows: Rows, group: int, status: MatchStatus) -> str:
    """Word why a group could not be matched."""
    covariates = "the covariates together"
    if status == MatchStatus.SEPARATED:
        present, treated = (np.asarray(each)[group] for each in (rows.problem.present, rows.problem.treated))
        found = separating(rows.raw[group][present], treated[present])
        covariates = " and ".join(matching.covariates[each] for each in found) or covariates
    controls = int((np.asarray(rows.problem.present) & ~np.asarray(rows.problem.treated))[group].sum())
    reach = (
        f"the caliper of {matching.caliper:g}" if matching.caliper else f"a bandwidth of {matching.bandwidth or 0:g}"
    )
    said = CAUSES[status].format(covariates=covariates, controls=controls, neighbours=matching.neighbours, reach=reach)
    return f"{rows.labels[group] if matching.by == 'period' else 'the sample'} {said}"


def _raise_unmatched(matching: Matching, rows: Rows, match: Match) -> None:
    failed = np.flatnonzero(np.asarray(match.status))
    # A year that the sample does not have is nobody's fault.
    failed = failed[np.asarray(rows.problem.present)[failed].any(axis=1)]
    if matching.unmatched != "raise" and failed.size < np.asarray(rows.problem.present).any(axis=1).sum():
        return
    if failed.size:
        status = MatchStatus(int(match.status[int(failed[0])]))
        more = f" ({failed.size - 1} more years cannot be matched)" if failed.size > 1 else ""
        remedy = REMEDIES[status] + (" Or set unmatched=drop or keep." if matching.by == "period" else "")
        raise DataError(f"matching: {cause(matching, rows, int(failed[0]), status)}{more}. {remedy}")


def describe(matching: Matching) -> str:
    """Word what is done to match."""
    on = {
        "score": "the propensity score",
        "index": "the log odds of the propensity score",
        "mahalanobis": "the Mahalanobis distance",
        "mahalanobis_score": "the Mahalanobis distance of covariates and propensity score",
    }.get(str(matching.distance), "")
    caliper = (
        f" within {matching.caliper:g}{' sd' if matching.caliper_unit == 'sd' else ''}" if matching.caliper else ""
    )
    once = "with" + ("" if matching.replacement else "out") + " replacement" + (" and ties" if matching.ties else "")
    method = {
        "nearest": f"nearest 1:{matching.neighbours} {once} on {on}{caliper}",
        "radius": f"all controls{caliper} of {on}",
        "kernel": f"{matching.kernel} kernel of {on}, bandwidth {matching.bandwidth or 0:g}",
        "entropy": f"entropy balancing of {'means' if matching.moments == 1 else 'means and variances'}",
    }[matching.method]
    how = {
        "period": "year by year",
        "pooled": "pooled over all years",
        "pre_treatment": "on means before the first adoption",
    }
    support = {"none": "", "common": ", common support", "trim": f", {matching.trim or 0:g} % trimmed"}[
        matching.support
    ]
    return f"{how[matching.by]} on {', '.join(matching.covariates)}: {method}{support}"


def _notes(panel: Panel, matching: Matching, rows: Rows, match: Match, weights: np.ndarray) -> tuple[str, ...]:
    kept, before = weights > 0, panel.sample
    treated = back(rows, rows.problem.cells(rows.problem.treated.astype(float))) > 0
    counted = "each counts 1" if matching.weighting == "sample" else "controls count by their matches"
    said = [
        f"matched {describe(matching)}; N = {int(kept.sum()):,} of {int(before.sum()):,} rows, {counted}: "
        f"{int((kept & treated).sum()):,} of {int((before & treated).sum()):,} treated, "
        f"{int((kept & ~treated).sum()):,} of {int((before & ~treated).sum()):,} others."
    ]
    off = int(
        (
            np.asarray(rows.problem.treated)
            & (np.asarray(match.status) == 0)[:, None]
            & ~(np.asarray(match.weights) > 0)
        ).sum()
    )
    if off:
        said.append(f"{off} treated rows are off the support or have no match, and are left out.")
    said += _unmatched_note(matching, rows, match)
    if rows.incomplete:
        said.append(f"{rows.incomplete} rows lack a covariate of the match and are left out.")
    some, every = (kept & before).any(axis=1), (kept == before).all(axis=1)
    said += _caveats(matching, int((some & ~every).sum()))
    return tuple(said)


def _unmatched_note(matching: Matching, rows: Rows, match: Match) -> list[str]:
    failed = [each for each in np.flatnonzero(np.asarray(match.status)) if np.asarray(rows.problem.present)[each].any()]
    if not failed:
        return []
    causes = [cause(matching, rows, int(each), MatchStatus(int(match.status[int(each)]))) for each in failed]
    done = "left out" if matching.unmatched == "drop" else "kept as they are"
    return [f"years that cannot be matched are {done}: {listed(causes, shown=17)}."]


def _caveats(matching: Matching, partly: int) -> list[str]:
    """Say what a careful reader asks of such a match."""
    said = []
    if matching.by != "pre_treatment":
        said.append(
            "matched on covariates of years after adoption too, which treatment may have changed"
            + (
                f"; and {partly} cities are kept in some of their years only, so N is no count of cities times years: "
                "by=pre_treatment avoids both."
                if partly
                else ": by=pre_treatment avoids it."
            )
        )
    if matching.treated == "now":
        said.append("treated=now: the earlier years of treated cities are among the controls, and serve as matches.")
    if matching.weighting == "sample" and not (matching.method == "nearest" and not matching.replacement):
        said.append(
            "weighting=sample: controls count 1 however often they are matched, so the regression's sample is less balanced "
            "than the match; see the balance table."
        )
    if matching.by == "pooled":
        said.append("by=pooled: a match may be from another year.")
    return said
