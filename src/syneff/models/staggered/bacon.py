"""Goodman-Bacon's decomposition of the two-way fixed-effects coefficient.

=====================  ===============================================================================
term                   average of the comparisons of
=====================  ===============================================================================
the treatment          all: the coefficient of the regression, with its standard error
``treated_vs_never``   a cohort with the never treated
``earlier_vs_later``   a cohort with one that adopts later, before it does
``later_vs_earlier``   a cohort with one that has adopted before: biased where effects grow
``treated_vs_always``  a cohort with units treated from the first period on: biased where effects grow
``weight:<type>``      the weight of the type; the four sum to 1
=====================  ===============================================================================

The algebra is that of a balanced panel without controls (`syneff.numerics.decomposition`): weights of cells must be a unit's
times a period's.
"""

from dataclasses import dataclass, replace
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError
from syneff.models.base import Design, Estimate, Estimator, Spec
from syneff.models.design import sample_of
from syneff.models.fixed_effects import FixedEffects
from syneff.models.staggered.cohorts import (
    StaggeredDesign,
    adoption_in_sample,
    cohorts_of,
    staggered_design,
    with_path,
)
from syneff.models.staggered.events import check_two_way
from syneff.numerics.decomposition import Comparisons, compare_cohorts
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.typing import Array, Bool, UnitPeriod

TYPES = ("treated_vs_never", "earlier_vs_later", "later_vs_earlier", "treated_vs_always")


@dataclass(frozen=True)
class Bacon(Estimator):
    """Take the two-way fixed-effects coefficient apart into comparisons of two cohorts.

    Attributes
    ----------
    spec
        The specification, without controls; its treatment is 0 before and 1 from adoption on, its effects are unit and period.
    """

    spec: Spec

    def __post_init__(self) -> None:
        check_two_way("Bacon", self.spec)

    def design(self, panel: Panel) -> StaggeredDesign:
        """Turn names into arrays.

        Raises
        ------
        SpecError
            If there are controls.
        DataError
            If the panel is not balanced, or whatever `syneff.models.staggered.cohorts.cohorts_of` finds.
        """
        if self.spec.controls:
            raise SpecError(
                f"Bacon: spec.controls={list(self.spec.controls)}: the decomposition into comparisons of two cohorts holds "
                "without controls. Set spec.controls=[]; TwoWayWeights takes controls."
            )
        design = staggered_design(panel, self.spec, cohorts_of(panel, self.spec))
        if not design.balanced:
            inside = np.asarray(design.weights) > 0
            gaps = np.argwhere(~inside & np.any(inside, axis=1, keepdims=True) & np.any(inside, axis=0, keepdims=True))
            what = "rows are missing: " + listed(
                f"{panel.names[unit]} {panel.periods[period]}" for unit, period in gaps
            )
            if not gaps.size:
                what = "weights change over a unit's periods otherwise than over another's"
            raise DataError(
                f"Bacon: the decomposition is that of a balanced panel, but {what}. Fill the rows or leave their units out."
            )
        return design

    def with_treatment(self, design: Design, treatment: UnitPeriod) -> StaggeredDesign:
        """Return the design with another treatment path ``[unit period]``."""
        return with_path(cast(StaggeredDesign, design), treatment)

    def fit(self, design: Design) -> Estimate:
        """Estimate the regression, and the average and the weight of each type of comparison."""
        treatment = jnp.where(design.weights[:, :, None] > 0, design.regressors, 0.0)
        whole = FixedEffects(self.spec).fit(replace(design, regressors=treatment))
        pairs = _comparisons(design)
        hit = _types(pairs, design)
        weights = jnp.where(hit, pairs.weight[None], 0.0)
        totals = weights.sum(1)
        averages = (weights * pairs.estimate[None]).sum(1) / jnp.where(totals > 0, totals, jnp.nan)
        terms = 1 + 2 * len(TYPES)
        return replace(
            whole,
            coef=jnp.concatenate([whole.coef[:1], averages, totals]),
            cov=jnp.full((terms, terms), jnp.nan).at[0, 0].set(whole.cov[0, 0]),
            dof=jnp.broadcast_to(whole.term_dof[0], (terms,)),
            names=(self.spec.treatment, *TYPES, *(f"weight:{each}" for each in TYPES)),
        )

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate on a panel.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect.

        Returns
        -------
        Estimate
            `details` has every comparison (``bacon``).
        """
        estimate = super().estimate(panel, seed=seed, name=name)
        return replace(estimate, details={**estimate.details, "bacon": _frame(self.design(panel))})

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say which rows were left out, and how much weight rests on units that are treated already."""
        sample, weights = sample_of(panel, self.spec), np.asarray(estimate.coef)[1 + len(TYPES) :]
        # A type without a comparison has no average, which is no collinearity.
        said = sample.notes() + super().notes(panel, estimate.of_terms((self.spec.treatment,)))
        already = weights[TYPES.index("later_vs_earlier")] + weights[TYPES.index("treated_vs_always")]
        return (*said, f"{already:.1%} of the weight rests on comparisons with units that are treated already")


def bacon_decomposition(panel: Panel, spec: Spec) -> pd.DataFrame:
    """Return every comparison of two cohorts behind a two-way fixed-effects coefficient.

    Parameters
    ----------
    panel
        The data, balanced.
    spec
        The specification, without controls.

    Returns
    -------
    pandas.DataFrame
        One row a comparison: ``type``, ``treated`` and ``control`` (adoption period; NaN for the never treated), the
        ``estimate`` and its ``weight``, and the numbers of units. The sum of estimate times weight is the coefficient.

    Raises
    ------
    DataError
        If the panel is not balanced, or no unit is seen both untreated and treated.
    SpecError
        If there are controls, or other effects than unit and period.
    """
    return _frame(Bacon(spec).design(panel))


@jax.jit
def _comparisons(design: Design) -> Comparisons:
    weights = design.weights
    start = jnp.argmax((weights > 0).any(0))
    return compare_cohorts(
        design.outcome, weights, jnp.maximum(adoption_in_sample(design.regressors[:, :, 0], weights), start)
    )


def _types(pairs: Comparisons, design: Design) -> Bool[Array, "type pair"]:
    periods = design.weights.shape[1]
    never = pairs.control == periods
    always = pairs.control == jnp.argmax((design.weights > 0).any(0))
    later = (pairs.control > pairs.treated) & ~never
    earlier = (pairs.control < pairs.treated) & ~always
    return jnp.stack([never, later, earlier, always])


def _frame(design: StaggeredDesign) -> pd.DataFrame:
    plain = replace(design, balanced=False)
    pairs = _comparisons(plain)
    kinds = np.asarray(_types(pairs, plain)).argmax(0)
    weight = np.asarray(pairs.weight)
    labels = np.asarray([*design.periods, np.nan], dtype=float)
    frame = pd.DataFrame(
        {
            "type": np.asarray(TYPES, dtype=object)[kinds],
            "treated": labels[np.asarray(pairs.treated)],
            "control": labels[np.asarray(pairs.control)],
            "estimate": np.asarray(pairs.estimate),
            "weight": weight,
            "treated_units": np.asarray(pairs.units)[:, 0].astype(int),
            "control_units": np.asarray(pairs.units)[:, 1].astype(int),
        }
    )
    return pd.DataFrame(frame[weight > 0].reset_index(drop=True))
