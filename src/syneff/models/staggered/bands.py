"""What tables and figures of group-time effects need: all cells, and uniform bands of cells and averages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import special

from syneff.models.base import Estimate
from syneff.models.staggered.group_time import GroupTime
from syneff.models.staggered.multiplier import POINTWISE, bootstrap_errors, multiplier_draws, uniform_bands
from syneff.models.staggered.terms import ATT, LABELS, Terms
from syneff.numerics.doubly_robust import CellStatus
from syneff.typing import Array, Float, Int, Key


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["effect", "base", "status", "treated", "controls"],
    meta_fields=[],
)
@dataclass(frozen=True)
class CellTable:
    """What is known of each comparison, ``[cell]``: effect, index of the base, `CellStatus`, units on both sides."""

    effect: Float[Array, " cell"]
    base: Int[Array, " cell"]
    status: Int[Array, " cell"]
    treated: Float[Array, " cell"]
    controls: Float[Array, " cell"]


@dataclass(frozen=True)
class Reported:
    """Uniform bands.

    Attributes
    ----------
    frame
        One row a term: with ``bootstrap_error``, and ``band_low``, ``band_high`` of the members of a family.
    stats
        Critical values by family, ``critical_value:<family>``, and the number of draws.
    error, half
        ``[cell]``: bootstrap standard errors of the cells, and half of their band's width.
    """

    frame: pd.DataFrame
    stats: Mapping[str, Array]
    error: Float[np.ndarray, " cell"]
    half: Float[np.ndarray, " cell"]


def cell_table(found: GroupTime, cells: Sequence[tuple[int, int]]) -> CellTable:
    """Pick the cells of a design."""
    group, period = np.asarray(cells, dtype=int).reshape(-1, 2).T
    each = (found.effect, found.plan.base, found.status, found.treated, found.controls)
    return CellTable(*(values[group, period] for values in each))


def bands_of(terms: Terms, estimate: Estimate, sums: Float[Array, "cluster effect"], key: Key, draws: int) -> Reported:
    """Draw, and find the bands of each family; without draws all of them are NaN.

    Parameters
    ----------
    terms, estimate
        The averages.
    sums
        ``[cluster effect]``: influence functions of all terms, then of all cells, summed within clusters.
    key, draws
        Of the multiplier bootstrap.
    """
    names, count = list(terms.names), len(terms.names)
    width = sums.shape[1]
    error, half, critical = np.full(width, np.nan), np.full(width, np.nan), np.full(width, np.nan)
    family = np.full(width, "", dtype=object)
    family[count:] = ATT
    for kind in LABELS:
        family[[place for place, name in enumerate(names) if name.startswith(f"{LABELS[kind]}[")]] = kind
    stats = {}
    if draws:
        drawn = multiplier_draws(key, sums, draws)
        error = bootstrap_errors(drawn)
        for kind in dict.fromkeys(each for each in family if each):
            members = family == kind
            found = uniform_bands(drawn[:, members], error[members])
            half[members], critical[members] = found.half, found.critical
            stats[f"critical_value:{kind}"] = jnp.asarray(found.critical)
        stats["multiplier_draws"] = jnp.asarray(float(draws))
    coef = np.asarray(estimate.coef)
    columns = {
        "term": names,
        "family": family[:count],
        "estimate": coef,
        "std_error": np.asarray(estimate.std_error),
        "bootstrap_error": error[:count],
        "critical_value": critical[:count],
        "band_low": coef - half[:count],
        "band_high": coef + half[:count],
        "units": np.asarray(estimate.stats["support_units"]),
    }
    return Reported(pd.DataFrame(columns), stats, error[count:], half[count:])


def cell_frame(terms: Terms, found: CellTable, sums: Float[Array, "cluster effect"], bands: Reported) -> pd.DataFrame:
    """Return one row a group-time effect, those that failed among them.

    Parameters
    ----------
    terms
        Whose design has the cells.
    found
        The cells.
    sums
        As for `bands_of`.
    bands
        From `bands_of`.
    """
    labels = np.asarray(terms.design.periods)
    group, period = np.asarray(terms.design.cells, dtype=int).reshape(-1, 2).T
    effect = np.asarray(found.effect)
    error = np.sqrt((np.asarray(sums)[:, len(terms.names) :] ** 2).sum(0))
    error = np.where(np.isfinite(effect) & (error > 0), error, np.nan)
    statistic = effect / error
    columns = {
        "group": labels[group],
        "period": labels[period],
        "base": labels[np.asarray(found.base)],
        "event": period - group,
        "estimate": effect,
        "std_error": error,
        "statistic": statistic,
        "p_value": 2.0 * special.ndtr(-np.abs(statistic)),
        "conf_low": effect - POINTWISE * error,
        "conf_high": effect + POINTWISE * error,
        "bootstrap_error": bands.error,
        "band_low": effect - bands.half,
        "band_high": effect + bands.half,
        "treated_units": np.asarray(found.treated).astype(int),
        "control_units": np.asarray(found.controls).astype(int),
        "status": [CellStatus(int(each)).name.lower() for each in np.asarray(found.status)],
    }
    return pd.DataFrame(columns)
