r"""An effect by bins of a moderator: at the median of each, with a slope of its own.

.. math::

    y_{it} = \sum_j G_{j,it} \{\alpha_j d_{it} + \beta_j d_{it} (x_{it} - \bar x_j) + \mu_j + \eta_j (x_{it} - \bar x_j)\}
    + \gamma' z_{it} + \mu_i + \lambda_t + e_{it}

The linear interaction is the case in which all bins lie on one line: ``alpha_j = alpha_1 + beta_1 (xbar_j - xbar_1)`` and
``beta_j = beta_1``, and likewise of the moderator's own part, which unit effects take away if it does not change within units.
See `syneff.models.moderation` for the source.
"""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import special

from syneff.errors import DataError
from syneff.models.base import Design, Estimate, Test
from syneff.models.event_study import wald_test
from syneff.models.resampling.intervals import LEVEL


def binned_design(design: Design, x: np.ndarray, count: int, *, by: str, own: bool) -> tuple[Design, pd.DataFrame]:
    """Replace the treatment by its effects and slopes in bins.

    Parameters
    ----------
    design
        Arrays of the specification, the treatment first.
    x
        ``[unit period]``: the moderator.
    count
        Number of bins, of equal size.
    by
        Name of the moderator.
    own
        Whether the moderator has a part of its own.

    Returns
    -------
    tuple
        The design, its regressors being ``count`` effects, ``count`` slopes, with `own` ``count - 1`` levels and ``count``
        slopes of the moderator, then the controls; and the ends, the median and the rows of each bin.

    Raises
    ------
    DataError
        If bins of equal size cannot be formed.
    """
    inside = np.asarray(design.weights) > 0
    edges = np.quantile(x[inside], np.linspace(0.0, 1.0, count + 1))
    if np.unique(edges).size < count + 1:
        raise DataError(
            f"Moderation by={by}: too many rows share a value for {count} bins of equal size. Give fewer bins, or use Contrast "
            "for groups."
        )
    code = np.clip(np.searchsorted(edges, x, side="left") - 1, 0, count - 1)
    medians = np.asarray([np.median(x[inside & (code == each)]) for each in range(count)])
    hit = (code[:, :, None] == np.arange(count)) * inside[:, :, None].astype(float)
    gap = hit * (x[:, :, None] - medians[None, None, :])
    treatment = np.asarray(design.regressors[:, :, :1])
    columns = [treatment * hit, treatment * gap, *([hit[:, :, 1:], gap] if own else [])]
    regressors = jnp.concatenate([jnp.asarray(np.concatenate(columns, axis=2)), design.regressors[:, :, 1:]], axis=2)
    names = tuple(f"column {each}" for each in range(regressors.shape[2] - len(design.names) + 1))
    treated = (treatment != 0) & (hit > 0)
    bins = pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "median": medians,
            "rows": hit.sum((0, 1)),
            "treated_rows": treated.sum((0, 1)).astype(float),
        }
    )
    return replace(design, regressors=regressors, names=(*names, *design.names[1:])), bins


def bin_effects(bins: pd.DataFrame, steps: Estimate) -> pd.DataFrame:
    """Add the effect of each bin, its standard error and its interval."""
    count = len(bins)
    value, error = np.asarray(steps.coef[:count]), np.asarray(steps.std_error[:count])
    half = special.stdtrit(np.asarray(steps.term_dof[:count]), 0.5 + LEVEL / 2.0) * error
    return bins.assign(estimate=value, std_error=error, conf_low=value - half, conf_high=value + half)


def linearity(steps: Estimate, medians: np.ndarray, *, own: bool) -> Test:
    """Test that all bins lie on one line, in the effect and in the moderator's own part.

    Parameters
    ----------
    steps
        The fit of `binned_design`.
    medians
        ``[bin]``.
    own
        As there.
    """
    count, size = len(medians), steps.coef.size
    gaps = medians - medians[0]
    restrictions: list[dict[int, float]] = []
    for each in range(1, count):
        restrictions += [{each: 1.0, 0: -1.0, count: -gaps[each]}, {count + each: 1.0, count: -1.0}]
        if own:
            slope = 3 * count - 1
            restrictions += [{2 * count + each - 1: 1.0, slope: -gaps[each]}, {slope + each: 1.0, slope: -1.0}]
    rows = np.zeros((len(restrictions), size))
    for row, restriction in zip(rows, restrictions, strict=True):
        row[list(restriction)] = list(restriction.values())
    turn = jnp.asarray(rows)
    # A bin without an effect leaves the restrictions that it is part of untested.
    lost = (jnp.abs(turn) @ jnp.isnan(steps.coef).astype(float)) > 0
    restricted = replace(
        steps,
        coef=jnp.where(lost, jnp.nan, turn @ jnp.nan_to_num(steps.coef)),
        cov=turn @ jnp.nan_to_num(steps.cov) @ turn.T,
        dof=jnp.min(steps.term_dof),
        names=tuple(str(each) for each in range(len(rows))),
    )
    return wald_test("linearity", restricted, np.arange(len(rows)))
