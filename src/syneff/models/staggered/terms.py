"""The terms of group-time effects: which averages a design has, what they are called, and their estimates."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial

import jax
import numpy as np

from syneff.models.staggered.aggregation import AGGREGATES, Averages, aggregate, join
from syneff.models.staggered.cohorts import StaggeredDesign
from syneff.models.staggered.group_time import GroupTime

ATT = "att"
ASKED = (*AGGREGATES, ATT)
LABELS = {"dynamic": "event", "group": "group", "calendar": "calendar", ATT: ATT}


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["outcome", "regressors", "weights", "cluster", "instruments", "ways", "distances"],
    meta_fields=["names", "n_clusters", "nested", "balanced", "periods", "adopted", "cells"],
)
@dataclass(frozen=True, kw_only=True)
class GroupTimeDesign(StaggeredDesign):
    """A staggered design that knows which comparisons it has.

    Attributes
    ----------
    cells
        Indices of group and period of all comparisons with treated and untreated units.
    """

    cells: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Terms:
    """Which averages are reported.

    Attributes
    ----------
    treatment
        Name of the treatment: the first average that is asked for.
    asked
        Some of `ASKED`; with several averages each has a term of its own too.
    design
        Whose cells and periods there are.
    """

    treatment: str
    asked: tuple[str, ...]
    design: GroupTimeDesign

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of averages, the one called as the treatment first."""
        return tuple(each for each in self.asked if each != ATT) or AGGREGATES[:1]

    def places(self, kind: str) -> list[int]:
        """Return event times, or indices of groups or periods, at which there is an effect of a kind."""
        if kind == "dynamic":
            return sorted({period - group for group, period in self.design.cells})
        if kind == "simple":
            return []
        return sorted(
            {(group if kind == "group" else period) for group, period in self.design.cells if period >= group}
        )

    def leads(self, lead: int) -> list[int]:
        """Return the event times before a lead that have a term."""
        return [each for each in self.places("dynamic") if each < lead] if "dynamic" in self.kinds else []

    @property
    def overall(self) -> tuple[str, ...]:
        """Names of the averages over everything."""
        return (self.treatment, *(self.kinds if len(self.kinds) > 1 else ()))

    def members(self, kind: str) -> list[str]:
        """Return the names of the terms of a kind."""
        labels = self.design.periods
        if kind == ATT:
            return [f"{ATT}[{labels[group]},{labels[period]}]" for group, period in self.design.cells]
        shown = self.places(kind) if kind == "dynamic" else [labels[each] for each in self.places(kind)]
        return [f"{LABELS[kind]}[{each}]" for each in shown]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all terms, in order."""
        kinds = [*self.kinds, *([ATT] if ATT in self.asked else [])]
        return (*self.overall, *(name for kind in kinds if kind != "simple" for name in self.members(kind)))

    def averages(self, found: GroupTime) -> Averages:
        """Return the estimates of all terms, in order."""
        families = {kind: aggregate(found, kind) for kind in self.kinds}
        whole = [family.whole for family in families.values()]
        members = [
            family.members.taken(np.asarray([family.places.index(each) for each in self.places(kind)], dtype=int))
            for kind, family in families.items()
        ]
        effects = [cell_effects(found, self.design.cells)] if ATT in self.asked else []
        return join([whole[0], *(whole if len(whole) > 1 else ()), *members, *effects])


def cell_effects(found: GroupTime, cells: Sequence[tuple[int, int]]) -> Averages:
    """Return the effects of some cells, side by side."""
    group, period = np.asarray(cells, dtype=int).reshape(-1, 2).T
    return Averages(found.effect[group, period], found.influence[:, group, period], found.treated[group, period])


def with_cells(design: StaggeredDesign, cells: Sequence[tuple[int, int]]) -> GroupTimeDesign:
    """Return the design with its comparisons ``(group, period)``."""
    given = {field.name: getattr(design, field.name) for field in fields(design)}
    return GroupTimeDesign(**given, cells=tuple(cells))
