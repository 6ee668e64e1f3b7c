"""Slacks-based programs one at a time by HiGHS, written down from the papers, and data to try them on."""

from typing import Any

import numpy as np
from scipy.optimize import linprog

from syneff.measure.efficiency import Technology

TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
INPUTS, GOOD, BAD = 2, 1, 1  # of every small technology: few shapes are compiled
EFFICIENT = 1 - 1e-7


def draw(rng: np.random.Generator, rows: int = 40, bad: int = BAD, spread: float = 0.5) -> dict[str, np.ndarray]:
    """Draw units of different size and efficiency."""
    size = rng.lognormal(sigma=1.0, size=(rows, 1))
    blocks = {"inputs": INPUTS, "good": GOOD, "bad": bad}
    return {name: size * rng.lognormal(sigma=spread, size=(rows, width)) for name, width in blocks.items()}


def highs_scores(technology: Technology, rows: Any = None, **options: Any) -> np.ndarray:
    """Score rows in two stages by HiGHS; NaN where a program is infeasible."""
    rows = range(technology.rows) if rows is None else rows
    return np.array([_score(technology, row, **options) for row in rows])


def _score(
    technology: Technology, row: int, super_efficiency: bool = True, orientation: str = "none", bads: str = "outputs"
) -> float:
    reference = _reference(technology, row)
    plain = _program(technology, row, reference, "sbm", orientation=orientation, bads=bads)
    if not super_efficiency or plain < EFFICIENT:
        return plain
    return _program(technology, row, reference[reference != row], "super", orientation=orientation, bads=bads)


def _reference(technology: Technology, row: int) -> np.ndarray:
    everyone = np.arange(technology.rows)
    if technology.group is not None:
        everyone = everyone[np.asarray(technology.group) == np.asarray(technology.group)[row]]
    if not isinstance(technology.reference, str):
        return everyone[np.asarray(technology.reference)[everyone]]
    if technology.reference == "global":
        return everyone
    period = np.asarray(technology.period)
    years = sorted(set(period))
    allowed = years_of(technology.reference, years, years.index(period[row]), technology.window)
    return everyone[np.isin(period[everyone], allowed)]


def years_of(reference: str, years: list[Any], at: int, window: int | None) -> list[Any]:
    """List the years that a row of the year number `at` is compared with."""
    if reference == "contemporaneous":
        return years[at : at + 1]
    if reference == "sequential":
        return years[: at + 1]
    if reference == "biennial":
        return years[at : at + 2] if at + 1 < len(years) else years[-2:]
    # The run of `window` years whose middle is nearest to the row's year; of two, the later one.
    runs = [range(start, start + window) for start in range(len(years) - window + 1)]
    best = min(runs, key=lambda run: (abs(run[0] + run[-1] - 2 * at), -run[0]))
    return [years[each] for each in best]


def _program(
    technology: Technology, row: int, reference: np.ndarray, stage: str, *, orientation: str, bads: str
) -> float:
    """Solve one program in the variables t, S- (inputs), S+ (good), Sb (bad), Lambda."""
    x, y, b = (np.asarray(each) for each in (technology.inputs, technology.good, technology.bad))
    size = np.exp(np.log(np.concatenate([x, y, b], axis=1)).mean(axis=1))
    # Ratios to the evaluated unit, and columns of order 1: on raw data HiGHS itself is wrong.
    ratio = [(each / size[:, None])[reference].T / (each[row] / size[row])[:, None] for each in (x, y, b)]
    m, s, q = (each.shape[0] for each in ratio)
    n = reference.size
    t, slack_x, slack_y, slack_b, units = np.split(np.eye(1 + m + s + q + n), np.cumsum([1, m, s, q]))
    numerator = [slack_x] if bads == "outputs" else [slack_x, slack_b]
    denominator = [slack_y, slack_b] if bads == "outputs" else [slack_y]
    inner = np.concatenate(numerator).mean(axis=0) if orientation != "output" else 0 * t[0]
    outer = np.concatenate(denominator).mean(axis=0) if orientation != "input" else 0 * t[0]
    equal, below = [t[0] + outer], []
    if stage == "sbm":
        cost = t[0] - inner
        equal += [
            *(ratio[0] @ units + slack_x - t),
            *(ratio[1] @ units - slack_y - t),
            *(ratio[2] @ units + slack_b - t),
        ]
    else:
        cost = t[0] + inner
        equal = [t[0] - outer]
        below += [
            *(ratio[0] @ units - slack_x - t),
            *(t - slack_y - ratio[1] @ units),
            *(ratio[2] @ units - slack_b - t),
            *(slack_y - t),
        ]
        frozen = (slack_x, slack_y, slack_b)
        equal += [each for at, each in enumerate(np.concatenate(frozen)) if not (inner + outer)[1 + at]]
    sums = (size[row] / size[reference]) @ units - t[0]
    equal += [sums] if technology.returns == "vrs" else []
    below += {"nirs": [sums], "ndrs": [-sums]}.get(technology.returns, [])
    answer = linprog(
        cost,
        A_ub=np.reshape(below, (-1, t.shape[1])),
        b_ub=np.zeros(len(below)),
        A_eq=np.array(equal),
        b_eq=np.eye(len(equal))[0],
        method="highs",
        options=TIGHT,
    )
    return float(answer.fun) if answer.status == 0 else np.nan
