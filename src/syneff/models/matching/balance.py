r"""Frames that say how good a match is: balance, overlap, pairs, counts.

.. math::

    b = 100 \frac{\bar x_1 - \bar x_0}{\sqrt{(s_1^2 + s_0^2) / 2}}, \qquad r = s_1^2 / s_0^2,

the variances in ``b`` those of the rows before matching, so that the difference cannot shrink because a spread grows (Rosenbaum
and Rubin 1985; Stata's ``pstest``). Here ``b`` is a number, not a percentage.

References
----------
Rosenbaum, P. R. and Rubin, D. B. (1985). The American Statistician 39, 33-38. https://doi.org/10.2307/2683903
"""

from typing import Any

import numpy as np
import pandas as pd

from syneff.models.matching.options import Matching
from syneff.models.matching.problem import Rows
from syneff.models.matching.solve import Bounds, Match, MatchStatus, Scores
from syneff.panel.panel import Panel

BINS = 20
"""Bins of the histogram of scores from 0 to 1."""
ALL = "all"
"""The period of rows that pool all years."""


def balance_frame(panel: Panel, matching: Matching, rows: Rows, match: Match, weights: np.ndarray) -> pd.DataFrame:
    """Return means, standardised differences and variance ratios, by year and covariate.

    Returns
    -------
    pandas.DataFrame
        period (a year, or "all"), covariate, label, and for the rows ``before`` matching, ``matched`` (every control counting
        by its shares: what the match achieves) and ``after`` (the weights in force: what the regression uses):
        mean_treated_, mean_control_, difference_ (standardised) and variance_ratio_.
    """
    problem = rows.problem
    present, treated = np.asarray(problem.present), np.asarray(problem.treated)
    given = _as_groups(rows, panel.weights)
    force = {
        "before": np.where(present, given, 0.0),
        "matched": np.where(np.asarray(match.status)[:, None] == 0, np.asarray(match.weights) * (given > 0), 0.0),
        "after": np.where(present, _as_groups(rows, weights), 0.0),
    }
    found = []
    parts: list[tuple[str, Any]] = [(label, [group]) for group, label in enumerate(rows.labels)]
    for label, groups in parts if parts[0][0] == ALL else [*parts, (ALL, slice(None))]:
        inside, values = treated[groups].ravel(), rows.raw[groups].reshape(-1, rows.raw.shape[2])
        weighed = {key: each[groups].ravel() for key, each in force.items()}
        if not (weighed["before"] > 0).any():
            continue
        for k, name in enumerate(matching.covariates):
            found.append(
                {"period": label, "covariate": name, "label": panel.label(name), **_row(values[:, k], inside, weighed)}
            )
    return pd.DataFrame(found)


def _row(values: np.ndarray, treated: np.ndarray, weighed: dict[str, np.ndarray]) -> dict[str, float]:
    moments = {
        key: [_moments(values, weight * group) for group in (treated, ~treated)] for key, weight in weighed.items()
    }
    scale = np.sqrt((moments["before"][0][1] + moments["before"][1][1]) / 2)
    result: dict[str, float] = {}
    for key, ((one, spread), (other, other_spread)) in moments.items():
        result |= {f"mean_treated_{key}": one, f"mean_control_{key}": other}
        result[f"difference_{key}"] = (one - other) / scale if scale > 0 else np.nan
        result[f"variance_ratio_{key}"] = spread / other_spread if other_spread > 0 else np.nan
    return result


def _moments(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return mean and variance; the variance is scaled so that weights of 1 give that over n - 1."""
    inside = weights > 0
    held, x = weights[inside], values[inside]
    if not inside.any():
        return np.nan, np.nan
    mean = float((held * x).sum() / held.sum())
    if inside.sum() < 2:
        return mean, np.nan
    # Reliability weights: unbiased whatever their scale, and equal to n - 1 where all are equal.
    free = held.sum() - (held**2).sum() / held.sum()
    return mean, float((held * (x - mean) ** 2).sum() / free)


def overlap_frame(rows: Rows, scores: Scores, match: Match) -> pd.DataFrame:
    """Return histograms of the scores of treated, controls and matched controls, by year.

    Returns
    -------
    pandas.DataFrame
        period, group ("treated", "control", "matched"), left, right, rows, share (of the group; matched controls by their
        weights).
    """
    edges = np.linspace(0.0, 1.0, BINS + 1)
    present, treated = np.asarray(rows.problem.present), np.asarray(rows.problem.treated)
    weights, score = np.asarray(match.weights), np.asarray(scores.score)
    found = []
    for group, label in enumerate(rows.labels):
        one, other = present[group] & treated[group], present[group] & ~treated[group]
        if not (one.any() and other.any()):
            continue
        for name, inside, weight in (
            ("treated", one, np.ones(one.size)),
            ("control", other, np.ones(one.size)),
            ("matched", other, weights[group]),
        ):
            count = np.histogram(score[group][inside & (weight > 0)], edges)[0]
            height = np.histogram(score[group][inside], edges, weights=weight[inside])[0]
            frame = pd.DataFrame({"left": edges[:-1], "right": edges[1:], "rows": count})
            share = height / height.sum() if height.sum() > 0 else np.full(BINS, np.nan)
            found.append(frame.assign(period=label, group=name, share=share))
    columns = ["period", "group", "left", "right", "rows", "share"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def pairs_frame(panel: Panel, rows: Rows, match: Match, bounds: Bounds) -> pd.DataFrame:
    """Return who is matched with whom.

    Returns
    -------
    pandas.DataFrame
        period, treated, control (names of the units), control_period (another year with by=pooled), distance, share.
    """
    shares, distance = np.asarray(match.shares), np.asarray(match.distance)
    shares = np.where((np.asarray(match.status) == 0)[:, None, None], shares, 0.0)
    group, control, treated = np.nonzero(shares > 0)
    order = np.lexsort((control, distance[group, control, treated], treated, group))
    group, control, treated = group[order], control[order] + bounds.controls, treated[order]
    units = np.asarray(panel.names, dtype=object)[rows.order]
    periods, by = rows.problem.periods, rows.problem.by

    def named(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if by == "pooled":
            return units[row // periods], np.asarray([str(year) for year in panel.periods], dtype=object)[row % periods]
        return units[row], np.asarray(rows.labels, dtype=object)[group]

    (one, year), (other, other_year) = named(treated), named(control)
    return pd.DataFrame(
        {
            "period": year,
            "treated": one,
            "control": other,
            "control_period": other_year,
            "distance": distance[group, control - bounds.controls, treated],
            "share": shares[group, control - bounds.controls, treated],
        }
    )


def group_frame(rows: Rows, match: Match) -> pd.DataFrame:
    """Return counts by year.

    Returns
    -------
    pandas.DataFrame
        period, status, treated, controls, matched_treated, matched_controls, effective_controls: (sum w)^2 / sum w^2.
    """
    present, treated = np.asarray(rows.problem.present), np.asarray(rows.problem.treated)
    weights = np.where((np.asarray(match.status) == 0)[:, None], np.asarray(match.weights), 0.0)
    control = np.where(present & ~treated, weights, 0.0)
    squares = (control**2).sum(axis=1)
    return pd.DataFrame(
        {
            "period": rows.labels,
            "status": [MatchStatus(int(each)).name.lower() for each in np.asarray(match.status)],
            "treated": (present & treated).sum(axis=1),
            "controls": (present & ~treated).sum(axis=1),
            "matched_treated": (treated & (weights > 0)).sum(axis=1),
            "matched_controls": (control > 0).sum(axis=1),
            "effective_controls": np.where(
                squares > 0, control.sum(axis=1) ** 2 / np.where(squares > 0, squares, 1.0), 0.0
            ),
        }
    )


def score_model_frame(matching: Matching, rows: Rows, scores: Scores) -> pd.DataFrame:
    """Return the coefficients of the logits in the covariates' own units: period, term, estimate."""
    coef, present = np.asarray(scores.coef), np.asarray(rows.problem.present)
    count = np.maximum(present.sum(axis=1), 1)[:, None]
    filled = np.where(present[:, :, None], rows.raw, 0.0)
    mean = filled.sum(axis=1) / count
    scaled = np.asarray(rows.problem.covariates)
    # Spread of the raw over that of the scaled, which is 1, or 0 for a constant.
    spread = np.sqrt((np.where(present[:, :, None], filled - mean[:, None], 0.0) ** 2).sum(axis=1) / count)
    slopes = np.where((scaled != 0).any(axis=1), coef[:, :-1] / np.where(spread > 0, spread, 1.0), 0.0)
    constant = coef[:, -1] - (slopes * mean).sum(axis=1)
    terms = [*matching.covariates, "constant"]
    return pd.DataFrame(
        {
            "period": np.repeat(np.asarray(rows.labels, dtype=object), len(terms)),
            "term": terms * len(rows.labels),
            "estimate": np.column_stack([slopes, constant]).ravel(),
        }
    )


def _as_groups(rows: Rows, cells: np.ndarray) -> np.ndarray:
    """Return cells ``[unit period]`` as rows ``[group row]``; of a city matched once, its largest."""
    ordered: np.ndarray = np.asarray(cells)[rows.order]
    if rows.problem.by == "period":
        return ordered.T
    return ordered.reshape(1, -1) if rows.problem.by == "pooled" else ordered.max(axis=1)[None]
