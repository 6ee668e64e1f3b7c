r"""Spillovers by distance: rings around the treated as regressors.

.. math::

    y_{it} = \tau D_{it} + \sum_k \delta_k (1 - D_{it})\, R^k_{it} + \gamma' x_{it} + \mu_i + \lambda_t + e_{it}, \qquad
    R^k_{it} = 1[r_{k-1} < \min_{j \ne i, D_{jt} = 1} d_{ij} \le r_k]

with *d* the great circle in kilometres: :math:`\delta_k` is the spillover on untreated units whose nearest treated unit is in
ring *k*, against untreated units with none up to the last edge, and :math:`\tau` the effect on the treated against those same
units. With ``whose=both`` treated units have rings of their own, :math:`D_{it} R^k_{it}`, and :math:`\tau` is the effect on
treated units that are alone. What is beyond the last edge is taken as unexposed: choose it so that the last ring is zero.

Under a placebo treatment the rings are those of the placebo.

References
----------
Butts, K. (2021). Difference-in-differences estimation with spatial spillovers. https://doi.org/10.48550/arXiv.2105.03737
"""

from dataclasses import dataclass, replace
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, one_of, unknown_name
from syneff.models.base import Audit, Design, Estimate, Estimator, Spec
from syneff.numerics.dependence import great_circle
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.schema import check_treatment
from syneff.panel.steps import undeclared
from syneff.spatial.spillovers import treatment_everywhere
from syneff.typing import Array, Draws, Float, UnitPeriod

WHOSE = ("untreated", "both")


@dataclass(frozen=True)
class RingRegression(Estimator):
    """Estimate a model with rings around the treated among its regressors.

    Attributes
    ----------
    model
        The estimator, e.g. `FixedEffects`; its specification gets the rings as controls.
    edges
        Outer edges of the rings in kilometres, rising.
    whose
        Whose exposure has rings: "untreated" units alone, or "both".
    coordinates
        Traits of latitude and longitude.
    """

    model: Estimator
    edges: tuple[int | float, ...] = (50.0, 100.0, 150.0, 200.0)
    whose: str = "untreated"
    coordinates: tuple[str, str] = ("lat", "lon")

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", tuple(float(edge) for edge in self.edges))
        object.__setattr__(self, "coordinates", tuple(self.coordinates))
        one_of("estimator.whose", self.whose, WHOSE)
        steps = np.diff([0.0, *self.edges])
        if not self.edges or (steps <= 0).any() or not np.isfinite(steps).all():
            raise SpecError(
                f"estimator.edges={list(self.edges)} must be rising distances above 0, e.g. [50, 100, 150, 200] kilometres."
            )

    @property
    def spec(self) -> Spec:  # type: ignore[override]
        """The specification of the model, without the rings."""
        return self.model.spec

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the rings: of untreated units, then of treated ones if they have some."""
        bands = [f"{low:g}-{high:g}" for low, high in zip((0.0, *self.edges), self.edges, strict=False)]
        return tuple(
            f"{kind}[{band}]" for kind in ("ring", "treated_ring")[: 1 + (self.whose == "both")] for band in bands
        )

    def design(self, panel: Panel) -> Design:
        """Turn names into arrays, rings after the treatment.

        Raises
        ------
        DataError
            If the treatment is missing, is not 0 or 1 or switches off, a unit of the sample has no coordinates, or all
            untreated units are exposed.
        """
        check_treatment(panel, self.spec.treatment)
        distances = self._distances(panel)
        model, ringed = self._ringed(panel, distances)
        return replace(model.design(ringed), distances=distances)

    def fit(self, design: Design) -> Estimate:
        """Estimate the model."""
        return self.model.fit(design)

    def with_treatment(self, design: Design, treatment: UnitPeriod) -> Design:
        """Return the design with another treatment ``[unit period]``, and with its rings."""
        treated = self.model.with_treatment(design, treatment)
        rings = jnp.where(design.weights[:, :, None] > 0, self._rings(treatment, self._distances_of(design)), 0.0)
        return replace(treated, regressors=treated.regressors.at[:, :, 1 : 1 + len(self.names)].set(rings))

    def fit_weights(self, design: Design, weights: Float[Array, "draw unit"]) -> Estimate:
        """Estimate with weights; the rings stay."""
        return self.model.fit_weights(design, weights)

    def fit_copies(self, design: Design, copies: Float[Array, "draw unit"]) -> Estimate:
        """Estimate on copies of units; the rings stay."""
        return self.model.fit_copies(design, copies)

    def fit_outcomes(self, design: Design, outcomes: Draws) -> Estimate:
        """Estimate with other outcomes."""
        return self.model.fit_outcomes(design, outcomes)

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate; the frame of rings is a detail, ``rings``."""
        estimate = super().estimate(panel, seed=seed, name=name)
        return replace(estimate, details={**estimate.details, "rings": self._table(panel, estimate)})

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say how many rows are exposed, and what the model says."""
        model, ringed = self._ringed(panel, self._distances(panel))
        untreated = panel.sample & (panel.column(self.spec.treatment) == 0)
        exposed = untreated & np.any([ringed.column(each) > 0 for each in self.names[: len(self.edges)]], axis=0)
        said = (
            f"rings: {exposed.sum()} of {untreated.sum()} untreated rows have a treated unit within {self.edges[-1]:g} km; "
            f"the comparison is with the other {(untreated & ~exposed).sum()}"
        )
        return (said, *model.notes(ringed, estimate))

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Estimate the model with its rings by another program."""
        model, ringed = self._ringed(panel, self._distances(panel))
        return model.audit(ringed, estimate)

    def _ringed(self, panel: Panel, distances: Float[Array, "unit unit"]) -> tuple[Estimator, Panel]:
        """Return the model with rings as its first controls, and the panel with their columns."""
        rings = np.asarray(self._rings(jnp.asarray(treatment_everywhere(panel, self.spec.treatment)), distances))
        untreated = panel.sample & (panel.column(self.spec.treatment) == 0)
        if untreated.any() and rings[untreated].any(axis=1).all():
            raise DataError(
                f"rings: every untreated row has a treated unit within {self.edges[-1]:g} km, so nothing is left to compare "
                "with. Give shorter estimator.edges."
            )
        meaning = {
            each: Variable(
                f"{'Treated, another treated' if each.startswith('treated') else 'Nearest treated'} within {_band(each)} km",
                f"最近处理城市{_band(each)}公里" + ("(自身已处理)" if each.startswith("treated") else ""),
                "0/1",
            )
            for each in self.names
        }
        columns = {each: rings[:, :, at] for at, each in enumerate(self.names)}
        spec = replace(self.spec, controls=(*self.names, *self.spec.controls))
        # The checker cannot know that every estimator with a specification is a dataclass.
        model = cast(Estimator, replace(cast(Any, self.model), spec=spec))
        return model, panel.assign(columns, undeclared(panel, meaning))

    def _rings(self, treatment: UnitPeriod, distances: Float[Array, "unit unit"]) -> Float[Array, "unit period ring"]:
        """Return the rings of a treatment: the last edges within which another treated unit is."""
        others = ~jnp.eye(distances.shape[0], dtype=bool)
        within = [((distances <= edge) & others).astype(float) @ treatment > 0 for edge in self.edges]
        nearest = [inner if at == 0 else inner & ~within[at - 1] for at, inner in enumerate(within)]
        states = [treatment == 0, treatment > 0][: 1 + (self.whose == "both")]
        return jnp.stack([(ring & state).astype(float) for state in states for ring in nearest], axis=-1)

    def _distances(self, panel: Panel) -> Float[Array, "unit unit"]:
        """Return kilometres between all units; infinite for a unit out of the sample that has no coordinates."""
        found = []
        for name in self.coordinates:
            if name not in panel.traits:
                raise SpecError(
                    unknown_name("trait in estimator.coordinates (latitude, longitude):", name, panel.traits)
                )
            found.append(pd.to_numeric(pd.Series(panel.traits[name]), errors="coerce").to_numpy(float))
        absent = np.asarray(np.isnan(found).any(axis=0))
        lost = np.flatnonzero(absent & panel.sample.any(axis=1)).tolist()
        if lost:
            raise DataError(
                f"rings: {len(lost)} units of the sample have no coordinates: {listed(panel.names[at] for at in lost)}. "
                "Fill them, or take the units out of the sample."
            )
        lat, lon = (jnp.asarray(np.where(absent, 0.0, each)) for each in found)
        away = jnp.asarray(absent[:, None] | absent[None, :])
        return jnp.where(away, jnp.inf, great_circle(lat, lon))

    def _distances_of(self, design: Design) -> Float[Array, "unit unit"]:
        assert design.distances is not None
        return design.distances

    def _table(self, panel: Panel, estimate: Estimate) -> pd.DataFrame:
        """Return a row a ring, with its edges, its estimate and its support."""
        rows = estimate.frame().set_index("term").loc[list(self.names)].reset_index()
        _, ringed = self._ringed(panel, self._distances(panel))
        inside = [panel.sample & (ringed.column(each) > 0) for each in self.names]
        bands = list(zip((0.0, *self.edges), self.edges, strict=False)) * (len(self.names) // len(self.edges))
        return pd.DataFrame(
            {
                "term": rows["term"],
                "treated": [each.startswith("treated") for each in self.names],
                "low": [low for low, _ in bands],
                "high": [high for _, high in bands],
                **{name: rows[name] for name in ("estimate", "std_error", "p_value", "conf_low", "conf_high")},
                "rows": [int(each.sum()) for each in inside],
                "units": [int(each.any(axis=1).sum()) for each in inside],
            }
        )


def _band(name: str) -> str:
    return name.partition("[")[2].rstrip("]")
