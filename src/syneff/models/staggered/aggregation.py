r"""Averages of group-time effects, with the uncertainty of the cohorts' shares.

Each average runs over some cells, weighted by the shares ``p_g`` of their groups,

.. math:: \theta = \sum_{gt} m_{gt}\, p_g\, ATT(g, t) \Big/ \sum_{gt} m_{gt}\, p_g , \qquad m_{gt} \in \{0, 1\},

over all treated cells (*simple*), those of one event time (*dynamic*), one group, or one calendar period. What is averaged over
event times, or over calendar periods, counts each of them alike; over groups, by their shares. As shares are estimated, a unit
adds to the error of ``theta`` through the effects and through the shares,

.. math:: \psi_i(\theta) = \sum_{gt} \omega_{gt}\, \psi_i(g, t) + w_i h_{G_i}, \qquad
    h_g = \sum_t m_{gt} (ATT(g, t) - \theta) \Big/ \sum_{gt} m_{gt}\, p_g .

References
----------
Callaway, B. and Sant'Anna, P. H. C. (2021). Journal of Econometrics 225, 200-230.
https://doi.org/10.1016/j.jeconom.2020.12.001
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.models.staggered.group_time import GroupTime
from syneff.typing import Array, Bool, Float, Int

AGGREGATES = ("simple", "dynamic", "group", "calendar")


@partial(jax.tree_util.register_dataclass, data_fields=["effect", "influence", "units"], meta_fields=[])
@dataclass(frozen=True)
class Averages:
    """Averages of group-time effects.

    Attributes
    ----------
    effect
        ``[average]``; NaN where no effect is known.
    influence
        ``[unit average]``.
    units
        ``[average]``: treated units of the groups that are averaged.
    """

    effect: Float[Array, " average"]
    influence: Float[Array, "unit average"]
    units: Float[Array, " average"]

    def taken(self, places: Int[Array | np.ndarray, " chosen"]) -> "Averages":
        """Return some of the averages."""
        return Averages(self.effect[places], self.influence[:, places], self.units[places])


def average(found: GroupTime, cells: Bool[Array | np.ndarray, "average group period"]) -> Averages:
    """Average the known effects of some cells, by the shares of their groups.

    Parameters
    ----------
    found
        The effects.
    cells
        ``[average group period]``: which cells each average runs over.
    """
    count, groups, periods = cells.shape
    member, share = _shares(found)
    chosen = (jnp.asarray(cells) & found.known[None]).astype(float)
    total = jnp.einsum("kgt,g->k", chosen, share)
    safe = jnp.where(total > 0, total, 1.0)
    weights = chosen * share[None, :, None] / safe[:, None, None]
    effects = jnp.where(found.known, found.effect, 0.0)
    effect = jnp.einsum("kgt,gt->k", weights, effects)
    through_effects = found.influence.reshape(-1, groups * periods) @ weights.reshape(count, -1).T
    slopes = (chosen * (effects[None] - effect[:, None, None])).sum(2) / safe[:, None]
    influence = through_effects + member @ slopes.T
    adopters = ((member > 0) & (found.plan.weights > 0)[:, None]).sum(0).astype(float)
    units = (chosen.max(2) * adopters[None, :]).sum(1)
    return Averages(jnp.where(total > 0, effect, jnp.nan), influence, units)


def plain_mean(averages: Averages) -> Averages:
    """Return the mean of averages that counts each known one alike."""
    known = jnp.isfinite(averages.effect).astype(float)
    weights = known / jnp.maximum(known.sum(), 1.0)
    effect = jnp.where(known.sum() > 0, weights @ jnp.nan_to_num(averages.effect), jnp.nan)
    influence = jnp.where(jnp.isfinite(averages.effect)[None, :], averages.influence, 0.0) @ weights
    return Averages(effect[None], influence[:, None], averages.units.max()[None])


def mean_of_groups(found: GroupTime, groups: Averages) -> Averages:
    """Return the mean of the groups' averages by their shares, which are estimated."""
    member, share = _shares(found)
    known = jnp.isfinite(groups.effect).astype(float)
    total = known @ share
    safe = jnp.where(total > 0, total, 1.0)
    effects = jnp.nan_to_num(groups.effect)
    effect = (known * share) @ effects / safe
    influence = groups.influence @ (known * share / safe) + member @ (known * (effects - effect) / safe)
    return Averages(jnp.where(total > 0, effect, jnp.nan)[None], influence[:, None], (known @ groups.units)[None])


@dataclass(frozen=True)
class Family:
    """The averages of one kind.

    Attributes
    ----------
    places
        Event times, or indices of the groups or periods, of the members.
    members
        Their averages.
    whole
        The average over the members, or of a simple average the only one.
    """

    places: tuple[int, ...]
    members: Averages
    whole: Averages


def aggregate(found: GroupTime, kind: str) -> Family:
    """Return the averages of one kind.

    Parameters
    ----------
    found
        The effects.
    kind
        One of `AGGREGATES`.
    """
    periods = found.effect.shape[1]
    group, period = np.meshgrid(np.arange(periods), np.arange(periods), indexing="ij")
    treated = period >= group
    if kind == "simple":
        whole = average(found, treated[None])
        return Family((), whole.taken(np.arange(0)), whole)
    if kind == "dynamic":
        places = tuple(range(1 - periods, periods))
        members = average(found, np.stack([period - group == each for each in places]))
        return Family(places, members, plain_mean(members.taken(np.flatnonzero(np.asarray(places) >= 0))))
    places = tuple(range(periods))
    axis = group if kind == "group" else period
    members = average(found, np.stack([(axis == each) & treated for each in places]))
    return Family(places, members, mean_of_groups(found, members) if kind == "group" else plain_mean(members))


def join(averages: Sequence[Averages]) -> Averages:
    """Put averages side by side."""
    return Averages(
        jnp.concatenate([each.effect for each in averages]),
        jnp.concatenate([each.influence for each in averages], axis=1),
        jnp.concatenate([each.units for each in averages]),
    )


def _shares(found: GroupTime) -> tuple[Float[Array, "unit group"], Float[Array, " group"]]:
    """Return each unit's part of its group's share, and the shares of all groups."""
    weights, groups = found.plan.weights, found.effect.shape[0]
    total = jnp.where(weights.sum() > 0, weights.sum(), 1.0)
    hit = found.plan.cohort[:, None] == jnp.arange(groups)[None, :]
    member = jnp.where(hit, (weights / total)[:, None], 0.0)
    return member, member.sum(0)
