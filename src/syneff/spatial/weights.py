r"""Spatial weights: who is whose neighbour, always by name and never by position.

A `Weights` holds the links as they were given and the matrix *W* that they standardise to; `for_panel` brings both into the
order of a panel's units, standardising anew among those of its sample.

=============  ==============================================  =============================================
standardise    W                                               use
=============  ==============================================  =============================================
``row``        links over their row's sum: averages            the default; what Lee and Yu's transformation
                                                               needs under period effects
``spectral``   links over their largest eigenvalue             keeps symmetry and relative size
``none``       the links                                       when their unit means something
=============  ==============================================  =============================================

Units without a link are islands, and a choice of `syneff.spatial.islands` says what becomes of them.

References
----------
Anselin, L. (1988). Spatial Econometrics. Springer. https://doi.org/10.1007/978-94-015-7799-1
Kelejian, H. H. and Prucha, I. R. (2010). Journal of Econometrics 157, 53-67. https://doi.org/10.1016/j.jeconom.2009.10.025
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

import numpy as np
import pandas as pd

from syneff.errors import DataError, one_of
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.spatial.islands import EMPTY_COLUMNS, ISLANDS, nobodys, settle
from syneff.spatial.links import (
    Degrees,
    Links,
    check_links,
    distance_links,
    distances_km,
    gap_links,
    group_links,
    named,
    nearest_links,
    pair_links,
)
from syneff.spatial.options import STANDARDISE, Options, joined
from syneff.spatial.spectrum import Spectrum, spectrum_of, standardised
from syneff.typing import Float, HostTrait

if TYPE_CHECKING:
    from libpysal.graph import Graph

ROW_SUM = 1e-10
"""Distance from 1 up to which a row's sum counts as 1."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A weight matrix over named units.

    Attributes
    ----------
    links
        ``[unit unit]``: from row to column, before standardising; not negative, zero diagonal.
    matrix
        ``[unit unit]``: W, standardised.
    units, labels
        Identifiers, in the order of both axes, and names for a reader.
    islands, island_labels
        Identifiers and names of the units without a link: kept with a row of zeros, or dropped and then not in `units`.
    name, standardise, policy
        What the weights are, for tables; how W is standardised; what became of islands.
    coordinates
        ``[unit 2]``: latitude and longitude in degrees, or None.
    remarks
        What was done to the links, in sentences.
    """

    links: Links
    matrix: Links
    units: tuple[object, ...]
    labels: tuple[str, ...]
    islands: tuple[object, ...]
    island_labels: tuple[str, ...]
    name: str
    standardise: str
    policy: str = "keep"
    coordinates: Float[np.ndarray, "unit 2"] | None = None
    remarks: tuple[str, ...] = ()

    @cached_property
    def spectrum(self) -> Spectrum:
        """Eigenvalues of W, and A and its inverse where W is similar to a symmetric matrix; found once."""
        return spectrum_of(self.matrix)

    @property
    def bounds(self) -> tuple[float, float]:
        """The values of rho between which I - rho W can be inverted: 1/omega_min to 1/omega_max."""
        return self.spectrum.bounds

    @property
    def row_standardised(self) -> bool:
        """Whether every row sums to 1; an island that is kept makes it False."""
        return bool(np.allclose(self.matrix.sum(axis=1), 1.0, rtol=0.0, atol=ROW_SUM))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the links and which units are islands, in sentences that begin with the weights' name."""
        said = self.remarks
        if self.islands:
            did = "left out" if self.policy == "drop" else "kept with a row of zeros"
            said += (f"{len(self.islands)} islands {did}: {', '.join(self.island_labels)}",)
        return tuple(f"weights {self.name}: {each}" for each in said)

    @property
    def options(self) -> Options:
        """The options that weights of the same kind are made with."""
        return Options(
            standardise=self.standardise,
            islands=self.policy,
            name=self.name,
            labels=self.labels,
            coordinates=self.coordinates,
            empty_columns="keep",
            remarks=self.remarks,
        )

    @classmethod
    def from_dense(
        cls, matrix: np.ndarray | pd.DataFrame, *, ids: Sequence[object] | None = None, **options: Unpack[Options]
    ) -> "Weights":
        """Make weights of a square matrix of links.

        Parameters
        ----------
        matrix
            ``[unit unit]``: how much the column's unit matters to the row's. A frame with identifiers as index and as
            columns, in whatever order, needs no `ids`.
        ids
            Identifiers of the rows and columns.
        options
            See `Options`.

        Raises
        ------
        DataError
            If the matrix is not square, does not fit the ids, or has a missing, infinite or negative entry, a diagonal
            other than zero, or an empty column; or if there are islands and they are refused. Units are named.
        SpecError
            If an option is not allowed.
        """
        links, units = named(matrix, ids)
        return _checked(links, units, **options)

    @classmethod
    def from_graph(cls, graph: "Graph", **options: Unpack[Options]) -> "Weights":
        """Make weights of a `libpysal.graph.Graph`, its own weights being the links."""
        return cls.from_dense(np.asarray(graph.sparse.todense()), ids=graph.unique_ids.tolist(), **options)

    @classmethod
    def from_polygons(cls, frame: pd.DataFrame, *, rook: bool = False, **options: Unpack[Options]) -> "Weights":
        """Make contiguity weights of a `geopandas.GeoDataFrame` whose index identifies the units.

        Polygons are neighbours that share a point (queen) or an edge (`rook`), up to the precision of the map.
        """
        from libpysal.graph import Graph

        return cls.from_graph(Graph.build_contiguity(frame, rook=rook), **options)

    @classmethod
    def from_pairs(
        cls,
        focal: Sequence[object],
        neighbour: Sequence[object],
        weight: Sequence[float] | np.ndarray | None = None,
        *,
        ids: Sequence[object] | None = None,
        one_way: str = "refuse",
        **options: Unpack[Options],
    ) -> "Weights":
        """Make weights of listed pairs; see `syneff.spatial.links.pair_links`.

        Parameters
        ----------
        focal, neighbour, weight, one_way
            The pairs, the weight of each, and what to do with pairs that are listed in one direction.
        ids
            All units, so that those without a pair are islands; those of the pairs, sorted, if None.
        options
            See `Options`.
        """
        units = sorted({*focal, *neighbour}, key=str) if ids is None else list(ids)
        return cls.from_dense(pair_links(focal, neighbour, weight, units, one_way=one_way), ids=units, **options)

    @classmethod
    def by_distance(
        cls,
        lat: Degrees,
        lon: Degrees,
        *,
        ids: Sequence[object],
        power: int | float = 1,
        cutoff_km: int | float | None = None,
        **options: Unpack[Options],
    ) -> "Weights":
        """Make weights ``1 / d^power`` of great-circle kilometres, up to a cut-off; power 0 counts near units alike."""
        labels = options.get("labels") or [str(unit) for unit in ids]
        links = distance_links(distances_km(lat, lon, labels), labels, power=power, cutoff_km=cutoff_km)
        return cls.from_dense(links, ids=ids, **joined(Options(coordinates=np.column_stack([lat, lon])), options))

    @classmethod
    def by_nearest(
        cls, lat: Degrees, lon: Degrees, *, ids: Sequence[object], k: int, **options: Unpack[Options]
    ) -> "Weights":
        """Make weights of the *k* nearest units; they need not be mutual, and a unit may be nobody's: it is noted."""
        labels = options.get("labels") or [str(unit) for unit in ids]
        links = nearest_links(distances_km(lat, lon, labels), ids, k)
        own = Options(coordinates=np.column_stack([lat, lon]), empty_columns="keep")
        return cls.from_dense(links, ids=ids, **joined(own, options))

    @classmethod
    def by_group(cls, groups: HostTrait, *, ids: Sequence[object], **options: Unpack[Options]) -> "Weights":
        """Make weights of units that share a group, e.g. a province."""
        labels = options.get("labels") or [str(unit) for unit in ids]
        return cls.from_dense(group_links(groups, ids, labels), ids=ids, **options)

    @classmethod
    def by_gap(
        cls,
        values: Float[np.ndarray, " unit"],
        *,
        ids: Sequence[object],
        floor: int | float | None = None,
        **options: Unpack[Options],
    ) -> "Weights":
        """Make weights ``1 / |x_i - x_j|``, e.g. of GDP per head; a gap below `floor` counts as it, and is noted."""
        labels = options.get("labels") or [str(unit) for unit in ids]
        links, said = gap_links(np.asarray(values, dtype=float), labels, floor)
        remarks = (*options.get("remarks", ()), *([said] if said else []))
        return cls.from_dense(links, ids=ids, **joined(options, Options(remarks=remarks)))

    def ordered(self, units: Sequence[object]) -> "Weights":
        """Return the weights of some of the units in the given order, standardised among them.

        Raises
        ------
        DataError
            If a unit is not among those of W: it is named.
        """
        wanted = tuple(units)
        if wanted == self.units:
            return self
        if wanted not in self._orders:
            self._orders[wanted] = self._reordered(wanted)
        return self._orders[wanted]

    @cached_property
    def _orders(self) -> dict[tuple[object, ...], "Weights"]:
        """Weights in other orders: panels of one order share one spectrum."""
        return {}

    def _reordered(self, wanted: tuple[object, ...]) -> "Weights":
        place = {unit: number for number, unit in enumerate(self.units)}
        absent = [str(unit) for unit in wanted if unit not in place]
        if absent:
            raise DataError(
                f"weights {self.name}: {len(absent)} of {len(wanted)} units have no row: {listed(absent)}. The "
                f"identifiers begin {listed(str(unit) for unit in self.units)}. Use the same in weights and data, or take "
                "the units out of the sample."
            )
        order = np.asarray([place[unit] for unit in wanted], dtype=int)
        options = self.options
        options["labels"] = [self.labels[at] for at in order.tolist()]
        options["coordinates"] = None if self.coordinates is None else self.coordinates[order]
        found = _checked(self.links[np.ix_(order, order)], wanted, **options)
        if self.policy != "drop":
            return found
        return replace(
            found, islands=self.islands + found.islands, island_labels=self.island_labels + found.island_labels
        )

    def for_panel(self, panel: Panel) -> "Weights":
        """Return the weights of the units in a panel's sample, in the panel's order, standardised among them.

        Units that are out of the sample in every period do not enter; neither do those that W has and the panel lacks, nor
        islands that were dropped. `rows` finds the others in the panel.

        Raises
        ------
        DataError
            If a unit of the sample is not among those of W: it is named.
        """
        dropped = set(self.islands) if self.policy == "drop" else set()
        entered = np.flatnonzero(panel.sample.any(axis=1))
        return self.ordered([panel.units[at] for at in entered if panel.units[at] not in dropped])

    def rows(self, panel: Panel) -> np.ndarray:
        """Return the place of each unit of W in a panel, ``[unit]``."""
        place = {unit: number for number, unit in enumerate(panel.units)}
        return np.asarray([place[unit] for unit in self.units], dtype=int)


MakeWeights = Callable[[Panel], Weights]
"""``panel -> Weights``: what a file of conf/weights makes."""


def weights_of(panel: Panel, weights: Weights | MakeWeights) -> Weights:
    """Return weights for a panel's sample: those given, matched by name, or those that a function makes of the panel."""
    return (weights if isinstance(weights, Weights) else weights(panel)).for_panel(panel)


def _checked(links: Links, units: tuple[object, ...], **options: Unpack[Options]) -> Weights:
    """Check links, settle islands, and standardise."""
    standardise, policy = options.get("standardise", "row"), options.get("islands", "keep")
    empty_columns, coordinates = options.get("empty_columns", "refuse"), options.get("coordinates")
    one_of("weights.standardise", standardise, STANDARDISE)
    one_of("weights.islands", policy, ISLANDS)
    one_of("weights.empty_columns", empty_columns, EMPTY_COLUMNS)
    labels = tuple(options.get("labels") or (str(unit) for unit in units))
    check_links(links, labels)
    settled = settle(links, policy, units, labels, coordinates=coordinates)
    left, alone = settled.left.tolist(), settled.islands.tolist()
    links = settled.links
    said = nobodys(links, [labels[at] for at in left], empty_columns)
    return Weights(
        links=links,
        matrix=standardised(links, standardise),
        units=tuple(units[at] for at in left),
        labels=tuple(labels[at] for at in left),
        islands=tuple(units[at] for at in alone),
        island_labels=tuple(labels[at] for at in alone),
        name=options.get("name", "W"),
        standardise=standardise,
        policy=policy,
        coordinates=None if coordinates is None else coordinates[left],
        remarks=tuple(dict.fromkeys((*options.get("remarks", ()), *said, *settled.remarks))),
    )
