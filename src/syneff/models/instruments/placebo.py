r"""Placebo instruments: units exchange their instruments, and the first stage and the reduced form are estimated again.

Under the hypothesis that it does not matter which unit has which instrument path, the real assignment is one more draw, so

.. math:: p = (1 + \#\{F^* \ge F\}) / (1 + n)

is valid in finite samples: of the first stage for relevance, of the reduced form for the absence of any effect, however weak
the instruments are. An instrument that is a trait times a national series is exchanged as the trait is; several instruments are
exchanged together.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError
from syneff.models.base import Estimate, Test
from syneff.models.event_study import wald_test
from syneff.models.fixed_effects import FixedEffects
from syneff.models.instruments.diagnostics import first_stage
from syneff.models.instruments.equations import of_stage, positions
from syneff.models.resampling.draws import check_draws, run_draws
from syneff.models.resampling.intervals import monte_carlo_error
from syneff.models.two_stage import TwoStage
from syneff.panel.panel import Panel
from syneff.panel.rules import listed
from syneff.runtime import draw_keys, key_for
from syneff.typing import Array, Float, Int

SLACK = 1e-12
"""Relative difference up to which a draw is the real assignment again."""


@dataclass(frozen=True)
class PlaceboInstruments:
    """Estimate under instruments that are exchanged between units at random.

    Attributes
    ----------
    model
        The estimator.
    draws
        Number of draws.
    chunk
        Draws at a time; without effect on the results. What suits the device if None.
    """

    model: TwoStage
    draws: int = 1000
    chunk: int | None = None

    def __post_init__(self) -> None:
        check_draws("PlaceboInstruments", self.draws, self.chunk)

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the model, and again under each exchange of instruments.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key.

        Returns
        -------
        Estimate
            The model's own, with `draws` of the second stage, and the tests ``randomization:<endogenous variable>`` of each
            first stage and ``randomization:reduced_form``, whose statistics are those of the real instruments.

        Raises
        ------
        DataError
            If an instrument is missing on a row of a sampled unit, where another unit would need it.
        """
        actual = self.model.estimate(panel, seed=seed, name=name)
        design = replace(self.model.design(panel), balanced=False)
        sampled = np.flatnonzero(np.asarray(design.weights > 0).any(1))
        paths = np.stack([panel.column(each) for each in self.model.spec.instruments], axis=-1)
        self._check(panel, paths, sampled)
        common = (design, jnp.asarray(np.nan_to_num(paths)), jnp.asarray(sampled))
        real = np.asarray(_statistics(self.model, design))
        step = partial(_step, self.model)
        drawn, statistics = run_draws(
            step, (*common, key_for(seed, name)), self.draws, chunk=self.chunk, of="placebo instruments"
        )
        labels = (*self.model.instrumented, "reduced_form")
        tests = tuple(
            _randomisation(label, value, np.asarray(column))
            for label, value, column in zip(labels, real, np.asarray(statistics).T, strict=True)
        )
        return replace(actual, draws=drawn, tests=(*actual.tests, *tests))

    def _check(self, panel: Panel, paths: np.ndarray, sampled: np.ndarray) -> None:
        missing = np.argwhere(np.isnan(paths[sampled]))
        if missing.size:
            cells = listed(f"{panel.names[sampled[unit]]} {panel.periods[period]}" for unit, period, _ in missing)
            raise DataError(
                f"PlaceboInstruments: instrument {self.model.spec.instruments[missing[0, 2]]!r} is missing on {len(missing)} "
                f"rows of sampled units: {cells}. Units exchange whole paths: fill it, or take the units or periods out."
            )


@partial(jax.jit, static_argnums=0)
def _step(
    model: TwoStage, common: tuple[Any, ...], numbers: Int[Array, " draw"]
) -> tuple[Estimate, Float[Array, "draw f"]]:
    design, paths, sampled, key = common

    def one(key: Array) -> tuple[Estimate, Array]:
        exchanged = paths.at[sampled].set(paths[jax.random.permutation(key, sampled)])
        placed = replace(design, instruments=jnp.where((design.weights > 0)[:, :, None], exchanged, 0.0))
        return model.fit(placed), _statistics(model, placed)

    return jax.vmap(one)(draw_keys(key, numbers))


@partial(jax.jit, static_argnums=0)
def _statistics(model: TwoStage, design: Any) -> Float[Array, " f"]:
    """Return the Wald F of the instruments in each first stage and in the reduced form."""
    count = len(model.instrumented)
    stage_design, spec = first_stage(model.spec, design, count)
    outcomes = jnp.concatenate([design.regressors[:, :, :count], design.outcome[:, :, None]], axis=2)
    stages = jax.vmap(lambda y: FixedEffects(spec).fit(replace(stage_design, outcome=y)), in_axes=2)(outcomes)
    where = positions(stages, model.spec.instruments)
    return jnp.stack([wald_test("f", of_stage(stages, place), where).statistic for place in range(count + 1)])


def _randomisation(label: str, value: float, draws: np.ndarray) -> Test:
    found = draws[np.isfinite(draws)]
    pvalue = float((1 + (found >= value * (1.0 - SLACK)).sum()) / (1 + found.size)) if np.isfinite(value) else np.nan
    numbers = (float(value), np.nan, np.nan, pvalue, monte_carlo_error(pvalue, found.size))
    statistic, dof, denominator, p, error = (jnp.asarray(each) for each in numbers)
    return Test(statistic, dof, denominator, p, f"randomization:{label}", error=error)
