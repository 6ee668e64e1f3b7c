"""Draw again: resampling schemes around any estimator.

The placebo test draws treatments at random and estimates each time. Under the sharp null hypothesis that the policy did
nothing, the estimate is one more draw of that distribution, so with ``n`` draws

    p = (1 + number of draws with |b*| >= |b|) / (1 + n)

is valid in finite samples. Two rules of assignment are offered, because papers rarely say which one they use: ``cohorts``
permutes which units hold the real adoption periods (the cohorts keep their sizes), ``years`` picks as many units at random
and gives each any of the real adoption periods.

The key of draw *d* is derived from (seed, name, d): a draw is the same under any chunk size, device or number of draws.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import track
from scipy import special

from syneff.errors import SpecError, one_of
from syneff.models.base import Design, Estimate, Estimator, Test
from syneff.models.design import treatment_path
from syneff.models.event_study import adoption
from syneff.panel.panel import Panel
from syneff.runtime import draw_keys, key_for
from syneff.typing import Array, Int, Key, Shaped, UnitPeriod

ASSIGN = ("cohorts", "years")
PROGRESS_FROM = 20_000
"""Draws from which on a bar is shown: fewer take less than two seconds."""


@dataclass(frozen=True)
class Placebo:
    """Estimate under randomly assigned treatments.

    Attributes
    ----------
    model
        The estimator; its treatment is 0 before and 1 from adoption on.
    draws
        Number of draws.
    assign
        "cohorts" permutes the real adoption periods over the units; "years" draws units and periods.
    chunk
        Draws at a time; without effect on the results.
    """

    model: Estimator
    draws: int = 1000
    assign: str = "cohorts"
    chunk: int = 32

    def __post_init__(self) -> None:
        one_of("estimator.assign", self.assign, ASSIGN)
        if self.draws < 1 or self.chunk < 1:
            raise SpecError(f"Placebo: draws={self.draws} and chunk={self.chunk} must be 1 or more.")

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the model, and again under each placebo treatment.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key.

        Returns
        -------
        Estimate
            The model's own estimate with `draws` (coefficient, standard error and p-value of each), the test
            ``randomization`` and the moments of the placebo distribution in `stats`.
        """
        actual = self.model.estimate(panel, seed=seed, name=name)
        if self.model.spec.treatment not in actual.names:
            raise SpecError(
                f"Placebo: {type(self.model).__name__} has no coefficient of {self.model.spec.treatment!r}. "
                "Use a model that has one, e.g. FixedEffects."
            )
        treatment = treatment_path(panel, self.model.spec)
        design = self.model.design(panel)
        units = jnp.asarray(np.flatnonzero((np.asarray(design.weights) > 0).any(1)))
        keys = draw_keys(key_for(seed, name), jnp.arange(self.draws))
        drawn = self._fit_draws(design, sample_cohorts(treatment, design.weights), units, keys)
        test, stats = randomisation(actual, drawn, self.model.spec.treatment)
        return replace(actual, draws=drawn, tests=(*actual.tests, test), stats={**actual.stats, **stats})

    def _fit_draws(
        self, design: Design, cohorts: Int[Array, " unit"], units: Int[Array, " sampled"], keys: Shaped[Array, " draw"]
    ) -> Estimate:
        """Fit chunks of one shape, so that one program is compiled; the last is padded and cut."""
        chunk = min(self.chunk, self.draws)
        starts = range(0, self.draws, chunk)
        parts = []
        for start in track(starts, "placebo draws", transient=True, disable=self.draws < PROGRESS_FROM):
            taken = np.minimum(np.arange(start, start + chunk), self.draws - 1)
            parts.append(_fit_chunk(self.model, self.assign, design, cohorts, (units, keys[taken])))
        # Joined on the host: there, shapes that occur once need no compilation.
        joined = jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate(leaves)[: self.draws]), *parts)
        return cast(Estimate, joined)


@jax.jit
def sample_cohorts(treatment: UnitPeriod, weights: UnitPeriod) -> Int[Array, " unit"]:
    """Return each unit's adoption period; who adopts after the last period of the sample counts as never treated."""
    cohorts, periods = adoption(treatment), treatment.shape[1]
    last = periods - 1 - jnp.argmax((weights > 0).any(0)[::-1])
    return jnp.where(cohorts > last, periods, cohorts)


def assign_cohorts(key: Key, cohorts: Int[Array, " unit"], units: Int[Array, " sampled"]) -> Int[Array, " unit"]:
    """Permute which sampled units hold the real adoption periods.

    Parameters
    ----------
    key
        The key of the draw.
    cohorts
        ``[unit]``: index of the adoption period; the number of periods for the never treated.
    units
        ``[sampled]``: units in the sample.
    """
    return cohorts.at[units].set(jax.random.permutation(key, cohorts[units]))


def assign_years(
    key: Key, cohorts: Int[Array, " unit"], units: Int[Array, " sampled"], never: int
) -> Int[Array, " unit"]:
    """Draw as many units as are treated, and for each any of the adoption periods that occur, with equal probability.

    Parameters
    ----------
    key, cohorts, units
        As for `assign_cohorts`.
    never
        The code of the never treated.
    """
    which, when = jax.random.split(key)
    sampled = cohorts[units]
    treated = (sampled < never).sum()
    occurs = (jnp.zeros(never + 1).at[sampled].add(1.0) > 0)[:never]
    years = jax.random.categorical(when, jnp.where(occurs, 0.0, -jnp.inf), shape=sampled.shape)
    rank = jax.random.permutation(which, sampled.shape[0])
    return cohorts.at[units].set(jnp.where(rank < treated, years, never).astype(cohorts.dtype))


def randomisation(actual: Estimate, drawn: Estimate, term: str) -> tuple[Test, dict[str, Array]]:
    """Compare an estimate with its placebo distribution.

    Parameters
    ----------
    actual
        The estimate.
    drawn
        The draws, with leading axis ``draw``.
    term
        The coefficient to compare.

    Returns
    -------
    tuple
        The two-sided test ``randomization``, and: one-sided p-values, the p-value of the t statistic, the Monte-Carlo
        error of the p-value, the share of draws with p < .1, mean, standard deviation and quantiles of the draws. Draws
        without an estimate are left out and counted (``draws_failed``); without an estimate to compare, all is NaN.
    """
    which, place = actual.names.index(term), drawn.names.index(term)
    value, t_value = float(actual.coef[which]), float(actual.coef[which] / actual.std_error[which])
    estimated = np.isfinite(np.asarray(drawn.std_error[:, place]))
    draws, errors = np.asarray(drawn.coef[:, place])[estimated], np.asarray(drawn.std_error[:, place])[estimated]
    n, t_draws, dof = draws.size, draws / errors, np.asarray(drawn.term_dof[:, place])[estimated]
    # A draw equal to the estimate up to rounding counts as a tie: such draws occur in small samples.
    slack = abs(value) * 1e-12

    def pvalue(extreme: np.ndarray) -> float:
        return float((1 + extreme.sum()) / (1 + n)) if n and np.isfinite(t_value) else np.nan

    two_sided = pvalue(np.abs(draws) >= abs(value) - slack)
    lower, median, upper = np.quantile(draws, [0.025, 0.5, 0.975]) if n else (np.nan,) * 3
    stats = {
        "randomization_p_greater": pvalue(draws >= value - slack),
        "randomization_p_less": pvalue(draws <= value + slack),
        "randomization_p_t": pvalue(np.abs(t_draws) >= abs(t_value) * (1 - 1e-12)),
        "randomization_p_error": np.sqrt(two_sided * (1 - two_sided) / max(n, 1)),
        "placebo_mean": draws.mean() if n else np.nan,
        "placebo_sd": draws.std(ddof=1) if n > 1 else np.nan,
        "placebo_q025": lower,
        "placebo_q500": median,
        "placebo_q975": upper,
        "placebo_share_p10": (2 * special.stdtr(dof, -np.abs(t_draws)) < 0.1).mean() if n else np.nan,
        "placebo_draws": n,
        "draws_failed": estimated.size - n,
    }
    scalars = {name: jnp.asarray(float(number)) for name, number in stats.items()}
    nothing = jnp.asarray(np.nan)
    return Test(jnp.asarray(value), nothing, nothing, jnp.asarray(two_sided), "randomization"), scalars


@partial(jax.jit, static_argnums=(0, 1))
def _fit_chunk(
    model: Estimator,
    assign: str,
    design: Design,
    cohorts: Int[Array, " unit"],
    drawing: tuple[Int[Array, " sampled"], Shaped[Array, " draw"]],
) -> Estimate:
    units, keys = drawing
    periods = design.weights.shape[1]
    rules = {
        "cohorts": partial(assign_cohorts, cohorts=cohorts, units=units),
        "years": partial(assign_years, cohorts=cohorts, units=units, never=periods),
    }
    drawn = jax.vmap(rules[assign])(keys)
    treatments = (drawn[:, :, None] <= jnp.arange(periods)[None, None, :]).astype(float)
    return model.fit_treatments(design, treatments)
