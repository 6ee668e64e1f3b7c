"""What a multiverse says as a whole, against chance.

Each placebo draw assigns the treatment anew, the same in every specification, and the statistics of the whole grid under it are
what chance would give. The arrays of a block are those of its fits: only the treatment changes.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import special

from syneff.errors import SpecError
from syneff.models.base import Spec, Test
from syneff.models.design import treatment_path
from syneff.models.resampling.assignment import adoption_paths, assign, assignment, sample_cohorts
from syneff.models.resampling.intervals import monte_carlo_error
from syneff.panel.panel import Panel
from syneff.pipeline.blocks import Block, Refused, Single, spread
from syneff.runtime import draw_keys
from syneff.typing import Array, Float, Key

LEVEL = 0.05  # of significance
STATISTICS = ("joint_median", "joint_share", "joint_t")


class Chances:
    """The joint placebo draws: one assignment of each treatment, the same in every specification."""

    def __init__(self, panel: Panel, specs: Sequence[Spec], key: Key, *, draws: int, rule: str) -> None:
        keys = draw_keys(key, jnp.arange(draws))
        self.paths = adoption_paths(panel.shape[1])
        self.assigned: dict[str, Array] = {}
        strata = np.zeros(panel.shape[0], dtype=int)
        for spec in specs:
            cohorts = sample_cohorts(treatment_path(panel, spec), jnp.asarray(panel.weights))
            source = assignment(cohorts, panel.weights, strata, rule)
            self.assigned[spec.treatment] = jax.vmap(partial(assign, source=source, rule=rule))(keys)

    def fit(self, block: Block | Single | Refused) -> Float[np.ndarray, "2 draw subset"]:
        """Return effect in standard deviations, and t, of every draw and specification; NaN where there are none."""
        assigned = self.assigned[block.labels["treatment"]]
        nothing = np.full((2, assigned.shape[0], len(block.controls)), np.nan)
        if isinstance(block, Refused):
            return nothing
        try:
            coef, ratio = block.draw(self.paths, assigned)
        except SpecError:  # an estimator that fits, but whose treatment cannot be drawn anew
            return nothing
        return np.stack([coef.T / spread(block.design), ratio.T])


def statistics(effects: np.ndarray, ratios: np.ndarray, dof: np.ndarray) -> np.ndarray:
    """Return median effect, share of significant ones and mean t over the last axis, of the fits that have a t."""
    known = np.isfinite(ratios)
    effects, ratios = np.where(known, effects, np.nan), np.where(known, ratios, np.nan)
    significant = np.abs(ratios) > special.stdtrit(dof, 1.0 - LEVEL / 2.0)
    share = significant.sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)
    return np.stack([np.nanmedian(effects, axis=-1), share, np.nanmean(ratios, axis=-1)], axis=-1)


def joint_tests(said: np.ndarray, drawn: np.ndarray, known: pd.DataFrame) -> tuple[Test, ...]:
    """Return the tests of the three statistics against their placebo distribution; draws without any estimate are left out.

    Parameters
    ----------
    said
        The statistics of the data.
    drawn
        ``[2 draw specification]``: effects and t of all specifications.
    known
        The specifications that have an estimate, by number, with their ``dof``.
    """
    effects, ratios = drawn[:, :, known.index]
    some = np.isfinite(ratios).any(axis=1)
    chance = statistics(effects[some], ratios[some], known["dof"].to_numpy())
    count = len(chance)
    beyond = (np.abs(chance) >= np.abs(said) * (1.0 - 1e-12)).sum(axis=0)
    tests = []
    for name, value, each in zip(STATISTICS, said, beyond, strict=True):
        pvalue = float((1 + each) / (1 + count)) if count else np.nan
        numbers = (float(value), np.nan, pvalue, monte_carlo_error(pvalue, count))
        statistic, nothing, p_value, error = (jnp.asarray(number) for number in numbers)
        tests.append(Test(statistic, nothing, nothing, p_value, name, error=error))
    return tuple(tests)
