"""The weights that a two-way fixed-effects coefficient gives to the effects of treated rows, some of them negative.

===================  ==================================================================================================
term                 what
===================  ==================================================================================================
the treatment        the coefficient of the regression
``share_negative``   share of treated rows whose effect has a negative weight
``sum_negative``     sum of the negative weights; all weights sum to 1
``sigma_fe``         smallest standard deviation of effects under which their average can be zero
``sigma_fe_sign``    smallest under which all effects can have the other sign; NaN where no weight is negative
===================  ==================================================================================================

The weights are those of ``twowayfeweights`` (type feTR) with units as groups; controls and gaps are allowed. See
`syneff.numerics.decomposition` for the algebra and its source.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

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
from syneff.numerics.decomposition import effect_weights, robustness
from syneff.numerics.least_squares import absorb, absorption, centred_squares, least_squares
from syneff.panel.panel import Panel
from syneff.typing import UnitPeriod

TERMS = ("share_negative", "sum_negative", "sigma_fe", "sigma_fe_sign")


@dataclass(frozen=True)
class TwoWayWeights(Estimator):
    """Weigh the effects behind a two-way fixed-effects coefficient.

    Attributes
    ----------
    spec
        The specification; its treatment is 0 before and 1 from adoption on, its effects are unit and period.
    """

    spec: Spec

    def __post_init__(self) -> None:
        check_two_way("TwoWayWeights", self.spec)

    def design(self, panel: Panel) -> StaggeredDesign:
        """Turn names into arrays; see `syneff.models.staggered.cohorts.cohorts_of` for what is checked."""
        return staggered_design(panel, self.spec, cohorts_of(panel, self.spec))

    def with_treatment(self, design: Design, treatment: UnitPeriod) -> StaggeredDesign:
        """Return the design with another treatment path ``[unit period]``."""
        return with_path(cast(StaggeredDesign, design), treatment)

    def fit(self, design: Design) -> Estimate:
        """Estimate the regression, and what its weights say."""
        inside = _inside(design)
        whole = FixedEffects(self.spec).fit(inside)
        effects, shares = _weights(self, design)
        negative = effects < -1e-12 * jnp.abs(effects).max()
        zero, sign = robustness(whole.coef[0], effects, shares)
        values = [jnp.where(negative, shares, 0.0).sum(), jnp.where(negative, effects, 0.0).sum(), zero, sign]
        terms = 1 + len(TERMS)
        return replace(
            whole,
            coef=jnp.concatenate([whole.coef[:1], jnp.stack(values)]),
            cov=jnp.full((terms, terms), jnp.nan).at[0, 0].set(whole.cov[0, 0]),
            dof=jnp.broadcast_to(whole.term_dof[0], (terms,)),
            names=(self.spec.treatment, *TERMS),
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
            `details` has the weights summed by cohort and period (``two_way_weights``).
        """
        estimate = super().estimate(panel, seed=seed, name=name)
        design = replace(self.design(panel), balanced=False)
        effects, shares = (np.asarray(each) for each in _weights(self, design))
        cohorts = np.asarray(adoption_in_sample(design.regressors[:, :, 0], design.weights))
        unit, period = np.nonzero(shares)
        rows = pd.DataFrame(
            {
                "cohort": np.asarray([*panel.periods, 0])[cohorts[unit]],
                "period": np.asarray(panel.periods)[period],
                "event": period - cohorts[unit],
                "weight": effects[unit, period],
                "share": shares[unit, period],
            }
        )
        frame = rows.groupby(["cohort", "period", "event"], as_index=False).sum()
        return replace(estimate, details={**estimate.details, "two_way_weights": frame})

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say which rows were left out."""
        return sample_of(panel, self.spec).notes() + super().notes(panel, estimate.of_terms((self.spec.treatment,)))


def _inside(design: Design) -> Design:
    return replace(design, regressors=jnp.where(design.weights[:, :, None] > 0, design.regressors, 0.0))


@partial(jax.jit, static_argnums=0)
def _weights(model: TwoWayWeights, design: Design) -> tuple[UnitPeriod, UnitPeriod]:
    inside = _inside(design)
    absorbed = absorption(design.weights, model.spec.effects)
    net = absorb(inside.regressors, absorbed)
    size = centred_squares(inside.regressors[:, :, 1:], design.weights)
    residual = least_squares(net[:, :, 0], net[:, :, 1:], design.weights, size).residuals
    return effect_weights(residual, design.weights, inside.regressors[:, :, 0] > 0)
