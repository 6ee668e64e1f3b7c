r"""Where a linear program has many optima, the one in their middle.

An optimal value is unique; the point that has it need not be. A simplex method ends at a vertex of the optimal face, and which
one depends on the order of the columns. The *analytic centre* of the face does not,

.. math:: x^* = \arg\max \sum_{j \in P} \log x_j \quad\text{s.t.}\quad A_P x_P = b, \qquad
          P = \{j : x_j > 0 \text{ at some optimum}\},

and it is where an interior-point method on all columns converges to (Monteiro and Zhou 1998, doi:10.1007/BF02614323). By
complementary slackness every optimum lives on the columns that price at zero at *one* optimal dual point, a handful, which are
known from the certificate. So the face is a tiny polytope, and few problems have one that is more than a point:

1. one linear program finds ``P``: maximise the number of positive variables;
2. Newton's method centres. Its direction relative to the point, ``dx/x``, is the residual of a regression of 1 on the rows of
   ``A_P diag(x)``, which takes dependent rows in its stride.

The dual point is unique where the columns of ``P`` span all rows.
"""

from typing import NamedTuple

import numpy as np
from rich.progress import track
from scipy.optimize import linprog

from syneff.numerics.linear_program import TIGHT, LinearPrograms, Solution, Status, usable_by
from syneff.typing import Float, Int

PROGRESS_FROM = 400  # faces from which on a bar is shown
POSITIVE = 1e-9  # a smaller basic variable is zero
_SPAN = 1e-9  # relative; a smaller singular value is zero
_STEPS = 100  # of Newton's method; about ten are needed
_CENTRED = 1e-11
_RESIDUAL = 1e-9  # of rows that are scaled to 1


class Centre(NamedTuple):
    """The analytic centre of an optimal face.

    Attributes
    ----------
    place
        ``[positive]``: places, among the given columns, of those that are positive at some optimum.
    value
        ``[positive]``: their values at the centre.
    y
        ``[row]``: the dual point, NaN unless there is only one.
    """

    place: Int[np.ndarray, " positive"]
    value: Float[np.ndarray, " positive"]
    y: Float[np.ndarray, " row"]


class Optimum(NamedTuple):
    """Optima of a batch that do not depend on the order of columns.

    Attributes
    ----------
    number, value
        ``[problem positive]``: numbers of columns, private first and -1 for none, and their values; other variables are 0.
    y
        ``[problem row]``: the dual point, NaN unless it is unique.
    solution
        The vertices, with status and certificate.
    """

    number: Int[np.ndarray, "problem positive"]
    value: Float[np.ndarray, "problem positive"]
    y: Float[np.ndarray, "problem row"]
    solution: Solution


def vertices(solution: Solution) -> Optimum:
    """Return the optima at which the solver ended, whether or not there are others."""
    number, value, y = (np.array(each) for each in (solution.basis, solution.value, solution.y))
    unique = (np.asarray(solution.status) == Status.OPTIMAL) & (value > POSITIVE).all(axis=1)
    y[~unique] = np.nan
    return Optimum(number, value, y, solution)


def central_optimum(problems: LinearPrograms, solution: Solution) -> Optimum:
    """Return the vertices where they are the only optima, else the centres of the optimal faces.

    Parameters
    ----------
    problems, solution
        A batch and its solutions.

    Returns
    -------
    Optimum
        Vertices also where no optimum is certified or a face cannot be centred; a dual point only where it is unique.
    """
    number, value, y, _ = vertices(solution)
    optimal = np.asarray(solution.status) == Status.OPTIMAL
    faces: list[int] = np.flatnonzero(optimal & (np.asarray(solution.tight) > number.shape[1])).tolist()
    watched = faces if len(faces) < PROGRESS_FROM else track(faces, "optimal faces", transient=True)
    centres = [(row, *_centre(problems, row, np.asarray(solution.y)[row])) for row in watched]
    width = max([number.shape[1], *(place.size for _, place, _ in centres)])
    number, value = (
        np.pad(each, ((0, 0), (0, width - each.shape[1])), constant_values=fill)
        for each, fill in ((number, -1), (value, 0.0))
    )
    for row, place, centre in centres:
        y[row] = np.nan if centre is None else centre.y
        if centre is not None:
            number[row], value[row] = -1, 0.0
            number[row, : place.size], value[row, : place.size] = place, centre.value
    return Optimum(number, value, y, solution)


def _centre(
    problems: LinearPrograms, row: int, y: Float[np.ndarray, " row"]
) -> tuple[Int[np.ndarray, " positive"], "Centre | None"]:
    """Return the numbers of the positive columns of one problem, and the centre."""
    number, matrix, cost = tight_columns(problems, row, y)
    centre = analytic_centre(matrix, cost, np.asarray(problems.rhs))
    return (number[:0] if centre is None else number[centre.place]), centre


def tight_columns(
    problems: LinearPrograms, row: int, y: Float[np.ndarray, " row"]
) -> tuple[Int[np.ndarray, " tight"], Float[np.ndarray, "row tight"], Float[np.ndarray, " tight"]]:
    """Find the columns of one problem that price at zero.

    Parameters
    ----------
    problems, row
        The batch, and the number of the problem in it.
    y
        ``[row]``: an optimal dual point.

    Returns
    -------
    tuple
        Their numbers, private first, their coefficients and their costs.
    """
    private, scale = np.asarray(problems.private), np.asarray(problems.row_scale)[row]
    cost = np.concatenate([np.asarray(problems.cost_private), np.asarray(problems.cost_shared)])
    price = np.concatenate([y @ private, (y * scale) @ np.asarray(problems.shared)])
    tight = cost - price <= TIGHT
    tight[private.shape[1] :] &= usable_by(problems, row)
    if problems.left_out[row] >= 0:
        tight[private.shape[1] + problems.left_out[row]] = False
    number = np.flatnonzero(tight)
    own, common = number[number < private.shape[1]], number[number >= private.shape[1]] - private.shape[1]
    matrix = np.concatenate([private[:, own], scale[:, None] * np.asarray(problems.shared)[:, common]], axis=1)
    return number, matrix, cost[number]


def analytic_centre(
    matrix: Float[np.ndarray, "row tight"], cost: Float[np.ndarray, " tight"], rhs: Float[np.ndarray, " row"]
) -> Centre | None:
    """Centre the optimal face of one linear program.

    Parameters
    ----------
    matrix, cost
        ``[row tight]``, ``[tight]``: all columns that price at zero at an optimal dual point, and their costs.
    rhs
        ``[row]``: right-hand side.

    Returns
    -------
    Centre or None
        None if rounding hides the face, as it may where columns nearly price at zero.
    """
    start = _positive_point(matrix, rhs)
    place = np.flatnonzero(start > 0.0)
    columns, value = matrix[:, place], start[place]
    if not place.size:
        return None
    for _ in range(_STEPS):
        scaled = (columns * value).T
        direction = 1.0 - scaled @ np.linalg.lstsq(scaled, np.ones(place.size), rcond=_SPAN)[0]
        length = float(np.linalg.norm(direction))
        value = value * (1.0 + direction / (1.0 + length if length > 0.25 else 1.0))
        if length < _CENTRED:
            break
    if np.abs(columns @ value - rhs).max() > _RESIDUAL:
        return None
    return Centre(place, value, _dual(columns, cost[place]))


def _positive_point(matrix: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Return a point of the face with as many positive variables as any has; zeros if there is none.

    ``max sum(u)`` with ``A (u + v) = tau b``, ``0 <= u <= 1``, ``v >= 0``, ``tau >= 1`` makes 1 of every ``u`` that can be
    positive.
    """
    n = matrix.shape[1]
    answer = linprog(
        np.concatenate([-np.ones(n), np.zeros(n + 1)]),
        A_eq=np.concatenate([matrix, matrix, -rhs[:, None]], axis=1),
        b_eq=np.zeros(rhs.size),
        bounds=[(0, 1)] * n + [(0, None)] * n + [(1, None)],
    )
    if answer.status != 0:
        return np.zeros(n)
    u, v, tau = np.split(answer.x, [n, 2 * n])
    point: np.ndarray = np.where(u > 0.5, (u + v) / tau, 0.0)
    return point


def _dual(columns: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Return the dual point that prices columns at zero; NaN if there are several."""
    y, _, rank, _ = np.linalg.lstsq(columns.T, cost, rcond=_SPAN)
    return y if rank == columns.shape[0] else np.full(columns.shape[0], np.nan)
