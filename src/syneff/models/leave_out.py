"""Leave one group out at a time, a province or a cohort, to see which of them carries the estimate.

A sample without a group is a vector of unit weights, so all refits are one batch of `fit_weights`.
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, unknown_name
from syneff.models.base import Design, Estimate, Estimator
from syneff.models.design import treatment_path
from syneff.models.resampling.assignment import sample_cohorts
from syneff.models.resampling.draws import run_draws
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.typing import Array, Float, Int

COHORT = "cohort"
"""Name of the groups that adopt in the same period."""
NEVER = "never"
LEVEL = 0.05


@dataclass(frozen=True)
class LeaveOneOut:
    """Estimate the treatment again without each group.

    Attributes
    ----------
    model
        The estimator.
    by
        A trait of the units, "unit", or "cohort": the period in which the treatment is adopted.
    chunk
        Fits at a time; without effect on the results. What suits the device if None.
    """

    model: Estimator
    by: str = "province"
    chunk: int | None = None

    def __post_init__(self) -> None:
        if self.chunk is not None and self.chunk < 1:
            raise SpecError(f"LeaveOneOut: chunk={self.chunk} must be 1 or more, or null for what suits the device.")

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate with all groups, and without each.

        Parameters
        ----------
        panel
            The data.
        seed, name
            For models that draw.

        Returns
        -------
        Estimate
            Terms ``treat`` and ``treat[without <group>]``; `details` has a row a group (``left_out``), with its units and how
            far the estimate moves, in standard errors of the full sample.

        Raises
        ------
        SpecError
            If there is no such trait, or the model has no coefficient of its treatment.
        DataError
            If a unit of the sample has no group, or there is one group.
        """
        actual, term = self.model.estimate(panel, seed=seed, name=name), self.model.spec.treatment
        if term not in actual.names:
            raise SpecError(f"LeaveOneOut: {type(self.model).__name__} has no coefficient of {term!r}.")
        design = self.model.design(panel)
        sampled = np.asarray(np.any(design.weights > 0, axis=1))
        names, codes = self._groups(panel, design, sampled)
        common = (design, jnp.asarray(codes))
        found = run_draws(partial(_without, self.model), common, len(names), chunk=self.chunk, of="groups left out")
        place = found.names.index(term)
        own = actual.of_terms((term,))

        def beside(whole: Array, without: Array) -> Array:
            return jnp.concatenate([jnp.reshape(whole, 1), without])

        variances = beside(own.cov[0, 0], found.cov[:, place, place])
        estimate = replace(
            own,
            coef=beside(own.coef[0], found.coef[:, place]),
            cov=jnp.where(jnp.eye(variances.shape[0], dtype=bool), variances[None, :], jnp.nan),
            nobs=beside(own.nobs, found.nobs),
            n_units=beside(own.n_units, found.n_units),
            n_periods=beside(own.n_periods, found.n_periods),
            dof=beside(own.term_dof[0], found.term_dof[:, place]),
            stats={key: value for key, value in actual.stats.items() if jnp.ndim(value) == 0},
            names=(term, *(f"{term}[without {each}]" for each in names)),
            tests=actual.tests,
        )
        frame = _frame(estimate, names, np.bincount(codes[sampled], minlength=len(names)))
        return replace(estimate, details={"left_out": frame}, notes=(*actual.notes, *_notes(frame, estimate)))

    def _groups(self, panel: Panel, design: Design, sampled: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        """Return the names of the groups in the sample, and the number of each unit's."""
        if self.by == COHORT:
            cohorts = sample_cohorts(treatment_path(panel, self.model.spec), design.weights)
            values = np.asarray([*(str(period) for period in panel.periods), NEVER], dtype=object)[cohorts]
        elif self.by == "unit":
            values = np.asarray(panel.names, dtype=object)
        elif self.by in panel.traits:
            values = np.asarray(panel.traits[self.by])
        else:
            raise SpecError(unknown_name("trait for LeaveOneOut by:", self.by, ["unit", COHORT, *panel.traits]))
        missing = np.flatnonzero(np.asarray(pd.isna(values)) & sampled)
        if missing.size:
            lacking = listed(panel.names[each] for each in missing)
            raise DataError(f"LeaveOneOut by={self.by}: {missing.size} units have no value: {lacking}. Fill the trait.")
        names, codes = np.unique([_word(each) for each in values[sampled]], return_inverse=True)
        if names.size < 2:
            raise DataError(f"LeaveOneOut by={self.by}: there is one group, {names[0]}; nothing is left without it.")
        filled = np.zeros(values.size, dtype=int)
        filled[sampled] = codes
        return tuple(str(each) for each in names), filled


@partial(jax.jit, static_argnums=0)
def _without(model: Estimator, common: tuple[Design, Int[Array, " unit"]], numbers: Int[Array, " group"]) -> Estimate:
    design, codes = common
    weights: Float[Array, "group unit"] = (codes[None, :] != numbers[:, None]).astype(float)
    return replace(model.fit_weights(design, weights), tests=(), stats={})


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _frame(estimate: Estimate, names: tuple[str, ...], units: np.ndarray) -> pd.DataFrame:
    rows = estimate.frame().iloc[: len(estimate.names)]
    full, without = rows.iloc[0], rows.iloc[1:].reset_index(drop=True)
    return pd.DataFrame(
        {
            "group": list(names),
            "units_left_out": units,
            **{
                column: without[column]
                for column in ("estimate", "std_error", "p_value", "conf_low", "conf_high", "nobs")
            },
            "moved": (without["estimate"] - full["estimate"]) / full["std_error"],
        }
    )


def _notes(frame: pd.DataFrame, estimate: Estimate) -> tuple[str, ...]:
    """Say between which values the estimate lies, and without whom sign or significance is lost."""
    rows = estimate.frame()
    full, known = rows.iloc[0], frame.dropna(subset=["estimate"])
    said = []
    if len(known):
        least, most = (known.loc[known["estimate"].agg(which)] for which in ("idxmin", "idxmax"))
        said.append(
            f"left out one at a time, the estimate lies between {least['estimate']:.4g} (without {least['group']}) and "
            f"{most['estimate']:.4g} (without {most['group']})"
        )
    turned = known[np.sign(known["estimate"]) != np.sign(full["estimate"])]
    if len(turned):
        said.append(f"the sign changes without {listed(turned['group'])}")
    if full["p_value"] < LEVEL and (known["p_value"] >= LEVEL).any():
        said.append(f"no longer significant at 5 % without {listed(known.loc[known['p_value'] >= LEVEL, 'group'])}")
    lost = frame.loc[frame["estimate"].isna(), "group"]
    if len(lost):
        said.append(f"nothing to estimate without {listed(lost)}")
    return tuple(said)
