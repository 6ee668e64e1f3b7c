r"""The linear programs of directional distances; the equations are in `syneff.measure.directional`.

The radial one, in the factor ``f = 1 + beta`` where good outputs move, is

.. math::

    \max\; f \quad\text{s.t.}\quad
    \sum_j \tfrac{x_{ij}}{x_{io}} \lambda_j + g_x f + s_i = 1 + g_x, \quad
    \sum_j \tfrac{y_{rj}}{y_{ro}} \lambda_j - f - s_r = 0, \quad
    \sum_j \tfrac{b_{hj}}{b_{ho}} \lambda_j + g_b f\; [+ s_h] = 1 + g_b ,

and in ``f = 1 - beta`` where they do not,

.. math::

    \min\; f \quad\text{s.t.}\quad
    \sum_j \tfrac{x_{ij}}{x_{io}} \lambda_j - g_x f + s_i = 1 - g_x, \quad
    \sum_j \tfrac{y_{rj}}{y_{ro}} \lambda_j - s_r = 1, \quad
    \sum_j \tfrac{b_{hj}}{b_{ho}} \lambda_j - g_b f\; [+ s_h] = 1 - g_b ,

with the slack in brackets under strong disposability alone. A nonnegative factor lets a distance be negative, for a row beyond
a frontier that is not its own, while a dual point can still be repaired; a free variable would fix a dual equality.
"""

import numpy as np

from syneff.measure.envelopment import Program, returns_slack, row_vectors, slack_basis


def radial_program(sizes: tuple[int, int, int], moved: np.ndarray, returns: str, disposability: str) -> Program:
    """Write down the program of the radial distance.

    Its variable is the factor ``1 + beta`` if good outputs move, else ``1 - beta``: nonnegative either way, so that a distance
    may be negative and the dual point still be repaired.
    """
    m, s, q = sizes
    rows = m + s + q + (returns != "crs")
    inputs, good, bad, _ = row_vectors(sizes, rows)
    sign = np.repeat([1.0, -1.0, 1.0], sizes)
    rises = bool(moved[m])
    column, rhs, direction = np.zeros(rows), np.ones(rows), np.zeros(rows)
    column[: m + s + q] = (sign if rises else -np.abs(sign)) * moved
    rhs[: m + s + q] += sign * moved if rises else -moved
    direction[:m] = 1.0
    if rises:
        direction[m + s : m + s + q] = moved[m + s :]
        # The gain of the factor; if only good outputs move, its cost has to give it.
        repair_cost = 0.0 if direction @ column > 0.0 else -1.0
    else:
        repair_cost = 1.0 + moved[:m].sum()
    columns = {
        "factor": (column[:, None], np.array([-1.0 if rises else 1.0])),
        "surplus": (np.concatenate([inputs, -good], axis=1), np.zeros(m + s)),
    }
    if disposability == "strong":
        columns["bad"] = (bad, np.zeros(q))
    columns |= returns_slack(returns, rows)
    return Program(
        sizes, columns, rhs, slack_basis(columns), direction, repair_cost, returns, abatement=disposability == "weak"
    )


def nonradial_program(sizes: tuple[int, int, int], weights: np.ndarray, returns: str, disposability: str) -> Program:
    """Write down the program of the non-radial distance: a factor is the slack of its row, and pays its weight."""
    m, s, q = sizes
    rows = m + s + q + (returns != "crs")
    vectors = np.eye(rows)[:, : m + s + q] * np.repeat([1.0, -1.0, 1.0], sizes)[None, :]
    moved = weights > 0.0
    free = ~moved & ((disposability == "strong") | (np.arange(m + s + q) < m + s))
    columns = {
        "beta": (vectors[:, moved], -weights[moved]),
        "surplus": (vectors[:, free], np.zeros(int(free.sum()))),
    } | returns_slack(returns, rows)
    direction = (np.arange(rows) < m).astype(float)
    return Program(
        sizes, columns, np.ones(rows), slack_basis(columns), direction, 0.0, returns, abatement=disposability == "weak"
    )
