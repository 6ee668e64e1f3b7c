"""Event studies for tests of sensitivity, built without the code under test."""

import numpy as np

from syneff.models.staggered.event_path import EventPath

# The event study of Benzarti and Carloni (2019) as the R package HonestDiD ships it, to ten digits: four periods before the
# base, four after it.
COEF = np.array(
    [
        0.006696351804,
        0.02934503369,
        -0.006472972222,
        0.0730149895,
        0.1959611177,
        0.3120639026,
        0.2395415455,
        0.1260425001,
    ]
)
_LOWER = """
0.0008428358124
0.0004768686777 0.0006425420288
0.0002618051076 0.0003987425007 0.0005229949602
0.0002354220342 0.0002435515198 0.000211768609 0.0003089595411
0.0001676371467 0.0002201960306 0.0001840722252 0.0001197866077 0.000359970436
0.0001128707663 0.0001804591157 0.000145852784 0.0001334081317 0.0002478818642 0.0004263949813
1.992816215e-05 3.84376508e-05 7.005197403e-05 0.0001016335009 0.0001749579242 0.0002171437809 0.0004886697861
-0.0001368265366 -2.960421989e-05 5.952994979e-05 0.0001079051726 0.0001654256921 0.0002892747871 0.0003805322049 0.000761739444
"""
_LOWER_PART = np.zeros((8, 8))
_LOWER_PART[np.tril_indices(8)] = [float(each) for each in _LOWER.split()]
COV = _LOWER_PART + np.tril(_LOWER_PART, -1).T


def path_of(coef: np.ndarray, cov: np.ndarray, pre: int) -> EventPath:
    """Put the base, at event time -1, between `pre` coefficients and the others."""
    count = coef.size + 1
    kept = np.delete(np.arange(count), pre)
    whole, wide = np.zeros(count), np.zeros((count, count))
    whole[kept], wide[np.ix_(kept, kept)] = coef, cov
    places = np.insert(np.arange(coef.size), pre, -1)
    return EventPath(np.arange(count) - pre - 1, whole, wide, pre, pre + 1, places)


def random_path(seed: int, pre: int, post: int) -> EventPath:
    """Draw an event study with correlated errors."""
    rng = np.random.default_rng(seed)
    count = pre + post
    root = rng.normal(size=(count, count)) + np.eye(count)
    cov = root @ root.T / count * 0.02
    return path_of(rng.normal(size=count) * 0.2 + np.repeat([0.0, 0.5], [pre, post]), cov, pre)


def errors(path: EventPath, draws: int = 20_000, seed: int = 0) -> np.ndarray:
    """Draw the errors of a path, a column a draw."""
    drawn = np.random.default_rng(seed).multivariate_normal(np.zeros(path.times.size), path.cov, size=draws)
    return np.ascontiguousarray(drawn.T)


def second_differences(count: int) -> np.ndarray:
    """Return the second differences of a path, row by row."""
    rows = np.zeros((count - 2, count))
    for row in range(count - 2):
        rows[row, row : row + 3] = 1.0, -2.0, 1.0
    return rows
