r"""The linear programs of the epsilon-based measure; the equations are in `syneff.measure.epsilon_based`.

The oriented ones are linear as they stand. The other, with the Charnes-Cooper variables ``t``, ``Lambda = t lambda``,
``S = t s`` and the changes ``F = t (1 - theta)`` and ``G = t (eta - 1)``, both nonnegative, is

.. math::

    \min\; t - F - \epsilon_x \sum_i w_i S^-_i \quad\text{s.t.}\quad
    t + G + \epsilon_y (\sum_r w_r S^+_r + \sum_h w_h S^b_h) = 1, \\
    \sum_j \tfrac{x_{ij}}{x_{io}} \Lambda_j + S^-_i + F = t, \quad
    \sum_j \tfrac{y_{rj}}{y_{ro}} \Lambda_j - S^+_r - G = t, \quad
    \sum_j \tfrac{b_{hj}}{b_{ho}} \Lambda_j + S^b_h + G = t,

which is SBM with two more columns, and needs no rows for ``theta <= 1 <= eta``.
"""

from collections.abc import Callable, Sequence

import numpy as np

from syneff.measure.envelopment import Program, returns_slack, slack_basis

Sizes = tuple[int, int, int]


def _slacks(sizes: Sizes, rows: int) -> np.ndarray:
    """Return the columns of the slacks of inputs, good and bad outputs."""
    return np.asarray(np.eye(rows)[:, : sum(sizes)] * np.repeat([1.0, -1.0, 1.0], sizes)[None, :])


def _moves(sizes: Sizes, rows: int, bads: str) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows move with the inputs' factor, and how the others move with the outputs'."""
    m, s, q = sizes
    with_inputs, with_outputs = np.zeros(rows), np.zeros(rows)
    with_inputs[:m] = 1.0
    with_outputs[m : m + s] = -1.0
    (with_inputs if bads == "inputs" else with_outputs)[m + s : m + s + q] = 1.0
    return with_inputs, with_outputs


def _input(sizes: Sizes, costs: Sequence[np.ndarray], returns: str, bads: str) -> Program:
    """Write down the programme that shrinks inputs."""
    rows = sum(sizes) + (returns != "crs")
    moves, _ = _moves(sizes, rows, bads)
    scored = np.concatenate([costs[0], 0.0 * costs[1], costs[2] if bads == "inputs" else 0.0 * costs[2]])
    columns = {"theta": (-moves[:, None], np.ones(1)), "slack": (_slacks(sizes, rows), -scored)}
    columns |= returns_slack(returns, rows)
    # The factor's cost pays for what the direction takes from it.
    return Program(sizes, columns, 1.0 - moves, slack_basis(columns), moves, 1.0 + moves.sum(), returns)


def _output(sizes: Sizes, costs: Sequence[np.ndarray], returns: str, bads: str) -> Program:
    """Write down the programme that raises good outputs; its objective is minus the inverse of the score."""
    rows = sum(sizes) + (returns != "crs")
    _, moves = _moves(sizes, rows, bads)
    scored = np.concatenate([0.0 * costs[0], costs[1], costs[2] if bads == "outputs" else 0.0 * costs[2]])
    columns = {"eta": (moves[:, None], -np.ones(1)), "slack": (_slacks(sizes, rows), -scored)}
    columns |= returns_slack(returns, rows)
    falling = np.maximum(moves, 0.0)
    direction = falling + (np.arange(rows) < sizes[0])
    rhs = np.where(moves < 0.0, 0.0, 1.0 + falling)
    return Program(sizes, columns, rhs, slack_basis(columns), direction, 0.0 if falling.any() else -1.0, returns)


def _both(sizes: Sizes, costs: Sequence[np.ndarray], returns: str, bads: str) -> Program:
    """Write down the programme that does both at once."""
    n_data = sum(sizes)
    rows = n_data + 1 + (returns != "crs")
    with_inputs, with_outputs = _moves(sizes, rows, bads)
    norm = np.eye(rows)[:, n_data]
    scored = np.concatenate(costs)
    inner = with_inputs[:n_data] > 0.0
    columns = {
        "t": (np.where(np.arange(rows) == n_data, 1.0, -1.0)[:, None], np.ones(1)),
        "slack": (_slacks(sizes, rows) + norm[:, None] * np.where(inner, 0.0, scored), np.where(inner, -scored, 0.0)),
        "fall": (with_inputs[:, None], -np.ones(1)),
        "rise": ((with_outputs + norm)[:, None], np.zeros(1)),
    } | returns_slack(returns, rows)
    # If nothing falls with the outputs' factor, t and the slacks alone are singular at epsilon = 1: a unit's good output helps.
    open_rows = [] if (with_outputs > 0.0).any() else [sizes[0]]
    basic = [0, *(1 + at for at in range(n_data) if at not in open_rows)]
    if returns == "vrs":
        open_rows.append(rows - 1)
    elif returns != "crs":
        basic.append(n_data + 3)
    direction = with_inputs + norm * (1.0 + with_inputs.sum())
    return Program(sizes, columns, norm, (basic, open_rows), direction, 0.0, returns)


PROGRAMS: dict[str, Callable[[Sizes, Sequence[np.ndarray], str, str], Program]] = {
    "input": _input,
    "output": _output,
    "none": _both,
}
