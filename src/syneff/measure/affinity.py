r"""Affinity of variables: how far they keep their proportions, and what that says about radial factor and slacks.

For two positive variables ``a`` and ``b`` of *n* rows let ``c_j = ln(b_j / a_j)``. Tone and Tsutsui (2010,
doi:10.1016/j.ejor.2010.07.014) call

.. math:: S(a, b) = 1 - 2 D(a, b), \qquad D(a, b) = \frac{\sum_j |c_j - \bar c|}{n (c_{\max} - c_{\min})},
          \qquad D = 0 \text{ if } c \text{ is constant,}

their affinity: 1 if they are proportional, 0 if half the rows have one proportion and half another. It is symmetric and free of
units. With ``rho`` the largest eigenvalue of the matrix of affinities among *m* variables, from 1 to *m*, and ``v`` its
eigenvector,

.. math:: \epsilon = \frac{m - \rho}{m - 1}, \qquad w = \frac{v}{\sum_k v_k} .

Variables that keep their proportions leave only a radial factor (``epsilon = 0``), unrelated ones only slacks (1).
"""

import numpy as np

from syneff.typing import Float

_CONSTANT = 1e-9  # log proportions that differ by no more are equal: what is left is rounding
_EQUAL = 1e-9  # eigenvalues closer than this, relative, count as one


def affinity(variables: Float[np.ndarray, "dmu data"]) -> tuple[float, Float[np.ndarray, " data"]]:
    """Return epsilon and the weights of a side from the affinities of its variables.

    Parameters
    ----------
    variables
        ``[dmu data]``: positive, in any units of measurement.

    Returns
    -------
    tuple
        ``(m - rho) / (m - 1)`` and weights ``[data]`` that sum to 1.
    """
    count = variables.shape[1]
    if count < 2:
        return 0.0, np.ones(count)
    ratio = np.log(variables)[:, :, None] - np.log(variables)[:, None, :]
    spread = ratio.max(axis=0) - ratio.min(axis=0)
    deviation = np.abs(ratio - ratio.mean(axis=0)).mean(axis=0)
    constant = spread <= _CONSTANT
    matrix = np.where(constant, 1.0, 1.0 - 2.0 * deviation / np.where(constant, 1.0, spread))
    values, vectors = np.linalg.eigh(matrix)
    # Where the largest eigenvalue is not alone, the projection of equal weights on its space is the natural vector.
    top = vectors[:, values >= values[-1] * (1.0 - _EQUAL)]
    vector = np.maximum(top @ top.sum(axis=0), 0.0)
    return float(np.clip((count - values[-1]) / (count - 1), 0.0, 1.0)), vector / vector.sum()
