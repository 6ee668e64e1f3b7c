"""Directional and epsilon-based programs one at a time by HiGHS, written down from the papers in the data's own variables."""

from typing import Any

import numpy as np
from scipy.optimize import linprog

from syneff.measure.technology import Technology
from tests.frontiers import TIGHT

FREE, POSITIVE = (None, None), (0, None)


def blocks(technology: Technology) -> list[np.ndarray]:
    return [np.asarray(each) for each in (technology.inputs, technology.good, technology.bad)]


def reference(technology: Technology, row: int) -> np.ndarray:
    if not isinstance(technology.reference, str):
        return np.flatnonzero(technology.reference)
    if technology.reference == "global":
        return np.arange(technology.rows)
    return np.flatnonzero(np.asarray(technology.period) == np.asarray(technology.period)[row])


def minimise(cost: np.ndarray, below: list, equal: list, bounds: list) -> Any:
    """Solve; each constraint is a pair of coefficients and bound. Return None where there is no feasible point."""
    answer = linprog(
        cost,
        A_ub=np.array([each for each, _ in below]) if below else None,
        b_ub=np.array([bound for _, bound in below]) if below else None,
        A_eq=np.array([each for each, _ in equal]) if equal else None,
        b_eq=np.array([bound for _, bound in equal]) if equal else None,
        bounds=bounds,
        method="highs",
        options=TIGHT,
    )
    assert answer.status in (0, 2), answer.message
    return answer if answer.status == 0 else None


def returns_rows(technology: Technology, total: np.ndarray) -> tuple[list, list]:
    """Return the inequalities and equalities on the sum of intensities."""
    below = {"nirs": [(total, 1.0)], "ndrs": [(-total, -1.0)]}.get(technology.returns, [])
    return below, [(total, 1.0)] if technology.returns == "vrs" else []


def distance(
    technology: Technology, row: int, disposability: str, direction: Any = None, weights: np.ndarray | None = None
) -> float:
    """Return the directional distance of a row, radial along `direction` or non-radial with `weights`.

    Variables: factors, intensities, and the abated intensities of Kuosmanen, which exist under weak disposability whatever the
    returns to scale.
    """
    who = reference(technology, row)
    ratio = [(each[who] / each[row]).T for each in blocks(technology)]
    sizes = [each.shape[0] for each in ratio]
    if weights is None:
        moved = np.repeat([float(name in direction) for name in ("inputs", "good", "bad")], sizes)
        # A target with less than no good output means nothing.
        factors, gain, low = moved[:, None], np.ones(1), (-1, None) if "good" in direction else FREE
    else:
        factors, gain, low = np.diag(weights > 0).astype(float), weights, POSITIVE
    n, k = who.size, gain.size
    weak = disposability == "weak"
    on_inputs = np.hstack([np.zeros((n, k)), np.eye(n), np.eye(n) * weak])
    on_outputs = np.hstack([np.zeros((n, k)), np.eye(n), np.zeros((n, n))])
    factor = np.hstack([factors, np.zeros((sum(sizes), 2 * n))])
    inputs, good, bad = np.split(factor, np.cumsum(sizes)[:-1])
    below, equal = returns_rows(technology, on_inputs.sum(axis=0))
    below += [(each, 1.0) for each in ratio[0] @ on_inputs + inputs]
    below += [(each, -1.0) for each in good - ratio[1] @ on_outputs]
    (equal if weak else below).extend((each, 1.0) for each in ratio[2] @ on_outputs + bad)
    answer = minimise(np.r_[-gain, np.zeros(2 * n)], below, equal, [low] * k + [POSITIVE] * 2 * n)
    return float("nan") if answer is None else -answer.fun


def ebm(
    technology: Technology, row: int, orientation: str, bads: str, *, epsilon: Any, weights: dict[str, np.ndarray]
) -> float:
    """Return the epsilon-based measure of a row.

    Variables: theta, eta, slacks, intensities; the non-oriented fraction is solved by Dinkelbach's iteration,
    not by the transformation of Charnes and Cooper.
    """
    who = reference(technology, row)
    ratio = [(each[who] / each[row]).T for each in blocks(technology)]
    m, s, q = (each.shape[0] for each in ratio)
    variables = np.eye(2 + m + s + q + who.size)
    theta, eta, slack_x, slack_y, slack_b, units = np.split(variables, np.cumsum([1, 1, m, s, q]))
    theta, eta = theta[0], eta[0]
    below, equal = returns_rows(technology, units.sum(axis=0))
    equal += [(each, 0.0) for each in ratio[0] @ units + slack_x - theta]
    equal += [(each, 0.0) for each in ratio[1] @ units - slack_y - eta]
    if bads == "inputs":
        equal += [(each, 0.0) for each in ratio[2] @ units + slack_b - theta]
    else:
        equal += [(each, 2.0) for each in ratio[2] @ units + slack_b + eta]
    in_side = np.concatenate([slack_x, slack_b]) if bads == "inputs" else slack_x
    in_weight = np.concatenate([weights["inputs"], weights["bad"]]) if bads == "inputs" else weights["inputs"]
    out_side = slack_y if bads == "inputs" else np.concatenate([slack_y, slack_b])
    out_weight = weights["good"] if bads == "inputs" else np.concatenate([weights["good"], weights["bad"]])
    numerator = theta - epsilon[0] * in_weight @ in_side
    denominator = eta + epsilon[1] * out_weight @ out_side
    rest = [POSITIVE] * (variables.shape[1] - 2)
    if orientation == "input":
        return float(minimise(numerator, below, equal, [FREE, (1, 1), *rest]).fun)
    if orientation == "output":
        return -1.0 / float(minimise(-denominator, below, equal, [(1, 1), FREE, *rest]).fun)
    return _lowest_ratio(numerator, denominator, below, equal, [(None, 1), (1, None), *rest])


def _lowest_ratio(numerator: np.ndarray, denominator: np.ndarray, below: list, equal: list, bounds: list) -> float:
    """Minimise a ratio by Dinkelbach's iteration: the value is right when the best numerator - value x denominator is 0."""
    value = 1.0
    for _ in range(60):
        point = minimise(numerator - value * denominator, below, equal, bounds).x
        better = float(numerator @ point / (denominator @ point))
        if abs(better - value) < 1e-14:
            break
        value = better
    return better
