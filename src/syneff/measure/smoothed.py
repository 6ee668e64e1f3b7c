r"""Scores against frontiers of pseudo-data: the smoothed bootstrap of a frontier.

An estimated frontier lies inside the true one, so scores are too high, and resampling rows does not show by how much: the
frontier is a boundary. Simar and Wilson (1998, doi:10.1287/mnsc.44.1.49) draw scores from their smoothed distribution,

.. math:: \theta^* = \bar\beta + (\tilde\theta - \bar\beta) / \sqrt{1 + h^2 / \hat\sigma^2}, \quad
          \tilde\theta = \beta + h \varepsilon \text{ reflected at } 1,

with beta drawn from the scores, move every row to its new distance from the frontier, ``x* = x \hat\theta / \theta^*``, bad
outputs likewise, and measure the rows as they are against the frontier of the moved ones. How far those scores lie from the
first ones is taken for how far the first ones lie from the truth.

Two things are ours. Their scores are radial; a slacks-based score, a mean of the reductions that each variable allows, stands
in for them here. And super-efficient rows count as efficient when scores are drawn. The bandwidth is Silverman's for the scores
and their reflection.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from rich.progress import track

from syneff.measure.efficiency import Weights, centre, program_data, slacks_based, two_stages
from syneff.measure.technology import Technology
from syneff.typing import Float

LOWEST = 1e-3  # of a drawn score: a row a thousand times off is far enough


def smoothed_scores(
    technology: Technology,
    generators: Sequence[np.random.Generator],
    super_efficiency: bool = True,
    orientation: str = "none",
    *,
    bads: str = "outputs",
    solver: str = "interior_point",
    weights: Weights | None = None,
) -> Float[np.ndarray, "draw dmu"]:
    """Measure every row against the frontier of pseudo-data, draw by draw.

    Parameters
    ----------
    technology
        Data, returns to scale and reference set.
    generators
        One a draw.
    super_efficiency, orientation, bads, solver, weights
        See `slacks_based`.

    Returns
    -------
    np.ndarray
        Scores ``[draw dmu]``; above 1 where a row lies beyond the pseudo-frontier.

    Raises
    ------
    SpecError
        If an option is not allowed.
    """
    data, model = program_data(technology, orientation, bads, weights=weights)
    first = slacks_based(technology, super_efficiency, orientation, bads, solver, weights=weights, centred=False).score
    distance = np.minimum(np.where(np.isfinite(first), first, 1.0), 1.0)
    values, rows = data / centre(data), data.shape[0]
    inputs, good, _ = model.sizes
    groups = [(evaluated, reference + rows) for evaluated, reference in technology.groups]
    fixed = np.isin(np.arange(values.shape[1]), np.arange(inputs, inputs + good))
    run = partial(two_stages, super_efficiency=super_efficiency, solver=solver, centred=False)
    found = np.empty((len(generators), rows))
    for draw, generator in enumerate(track(generators, "pseudo-frontiers", transient=True)):
        shift = (distance / draw_distances(generator, distance))[:, None]
        both = np.concatenate([values, np.where(fixed, values, values * shift)])
        found[draw] = run(both, groups, model).score[:rows]
    return found


def draw_distances(generator: np.random.Generator, distance: Float[np.ndarray, " dmu"]) -> Float[np.ndarray, " dmu"]:
    """Draw scores in (0, 1] from the smoothed distribution of some.

    Parameters
    ----------
    generator
        Draws.
    distance
        ``[dmu]``: scores, at most 1.
    """
    size = distance.size
    reflected = np.concatenate([distance, 2.0 - distance])
    quartiles = np.quantile(reflected, [0.25, 0.75])
    spread = min(reflected.std(ddof=1), np.ptp(quartiles) / 1.34) or reflected.std(ddof=1)
    width = 0.9 * spread * (2 * size) ** -0.2
    drawn = generator.choice(distance, size)
    moved = drawn + width * generator.standard_normal(size)
    moved = np.where(moved > 1.0, 2.0 - moved, moved)
    variance = distance.var(ddof=1)
    shrunk = drawn.mean() + (moved - drawn.mean()) / np.sqrt(1.0 + width**2 / variance) if variance > 0 else drawn
    found: np.ndarray = np.clip(shrunk, LOWEST, 1.0)
    return found
