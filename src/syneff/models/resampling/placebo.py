r"""The placebo test, or randomisation inference: estimate under treatments that are assigned at random.

Under the sharp null hypothesis that the policy did nothing, the estimate is one more draw of that distribution, so with ``n``
draws

.. math:: p = (1 + \#\{|b^*| \ge |b|\}) / (1 + n)

is valid in finite samples. Papers rarely say how they assign, so the rules have names: ``cohorts`` permutes which units hold
the real adoption periods (the cohorts keep their sizes), ``years`` picks as many units at random and gives each any of the
real adoption periods, ``mixed`` any period of the sample after the first.

Under an effect of ``tau`` everywhere the draw would have been ``b* - tau c*``, with ``c*`` its coefficient on the real
treatment, beside an estimate of ``b - tau``: the values of ``tau`` that the test does not reject are the interval.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import special

from syneff.errors import DataError, SpecError, one_of, unknown_name
from syneff.models.audit import audit_inside
from syneff.models.base import Audit, Estimate, Estimator, Test
from syneff.models.design import treatment_path
from syneff.models.resampling.assignment import (
    ASSIGN,
    Assignment,
    adoption_paths,
    assign,
    assignment,
    sample_cohorts,
)
from syneff.models.resampling.draws import check_draws, few_draws, run_draws
from syneff.models.resampling.intervals import LEVEL, monte_carlo_error
from syneff.panel.panel import Panel
from syneff.runtime import draw_keys, key_for
from syneff.typing import Array, Int


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
        "cohorts" permutes the real adoption periods over the units, "years" draws units and real periods, "mixed" units and
        any periods.
    strata
        A trait to permute within, e.g. the province: each keeps its number of treated units.
    chunk
        Draws at a time; without effect on the results. What suits the device if None.
    """

    model: Estimator
    draws: int = 1000
    assign: str = "cohorts"
    strata: str | None = None
    chunk: int | None = None

    def __post_init__(self) -> None:
        one_of("estimator.assign", self.assign, ASSIGN)
        check_draws("Placebo", self.draws, self.chunk)

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
            ``randomization`` with its interval, and the moments of the placebo distribution in `stats`.

        Raises
        ------
        DataError
            If no other assignment can be drawn, or a unit has no stratum.
        SpecError
            If the model has no coefficient of its treatment, or there is no such stratum.
        """
        actual = self.model.estimate(panel, seed=seed, name=name)
        term = self.model.spec.treatment
        if term not in actual.names:
            raise SpecError(
                f"Placebo: {type(self.model).__name__} has no coefficient of {term!r}. "
                "Use a model that has one, e.g. FixedEffects."
            )
        design = self.model.design(panel)
        weights = np.asarray(design.weights)
        strata, said = strata_codes(panel, self.strata, np.any(weights > 0, axis=1))
        source = assignment(
            sample_cohorts(treatment_path(panel, self.model.spec), design.weights), weights, strata, self.assign
        )
        check_assignment(panel, source, self.assign)
        step = partial(_step, self.model, self.assign)
        common = (design, source, key_for(seed, name))
        found = run_draws(step, common, self.draws, chunk=self.chunk, of="placebo draws")
        drawn, onto = found[0], np.asarray(found[1])
        test, stats = randomisation(actual, drawn, onto, term)
        said += (p_value_note(test, self.draws), *few_draws(self.draws))
        notes = (*actual.notes, *said)
        return replace(actual, draws=drawn, tests=(*actual.tests, test), stats={**actual.stats, **stats}, notes=notes)

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Audit the fit inside; see `syneff.models.audit`."""
        return audit_inside(self.model, panel)


@partial(jax.jit, static_argnums=(0, 1))
def _step(
    model: Estimator, rule: str, common: tuple[Any, Assignment, Any], numbers: Int[Array, " draw"]
) -> tuple[Estimate, Array]:
    """Fit a chunk of draws; the coefficients on the real treatment share all work with those on the outcome.

    Of a model that is not linear in the outcome the test cannot be inverted that way, so it gets no interval.
    """
    design, source, key = common
    keys = draw_keys(key, numbers)
    drawn = jax.vmap(lambda each: assign(each, source, rule))(keys)
    paths = adoption_paths(design.weights.shape[1])
    fitted = model.fit_paths(design, paths, drawn)
    if not model.linear:
        return replace(fitted, tests=()), jnp.full(drawn.shape[0], jnp.nan)
    onto = model.fit_paths(replace(design, outcome=design.regressors[:, :, 0]), paths, drawn)
    return replace(fitted, tests=()), onto.coef[:, onto.names.index(model.spec.treatment)]


def strata_codes(panel: Panel, trait: str | None, sampled: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the number of each unit's stratum, and say which have only one unit, so that nothing is permuted there."""
    if trait is None:
        return np.zeros(panel.shape[0], dtype=int), ()
    if trait not in panel.traits:
        raise SpecError(unknown_name("estimator.strata", trait, panel.traits, "Strata are a trait of the units."))
    values = panel.traits[trait]
    empty = np.flatnonzero(pd.isna(values) & sampled)
    if empty.size:
        raise DataError(
            f"estimator.strata={trait}: {panel.names[empty[0]]} has no value ({empty.size} units in all). "
            "Fill the trait, or leave strata out."
        )
    levels, codes = np.unique(values.astype(str), return_inverse=True)
    alone = levels[np.bincount(codes[sampled], minlength=levels.size) == 1]
    shown = ", ".join(alone[:5]) + (", ..." if alone.size > 5 else "")
    said = (f"{alone.size} strata of {trait} have one unit, whose treatment never changes: {shown}",)
    return codes, said if alone.size else ()


def check_assignment(panel: Panel, source: Assignment, rule: str) -> None:
    """Raise a `DataError` where every draw would be the real assignment."""
    held, strata = np.asarray(source.cohorts)[np.asarray(source.units)], np.asarray(source.strata)
    fixed = held if rule == "cohorts" else held < source.never
    alike = all(np.unique(fixed[strata == each]).size == 1 for each in np.unique(strata))
    if not alike or (rule != "cohorts" and source.years.size > 1 and (held < source.never).any()):
        return
    if (held < source.never).all() and np.unique(held).size == 1:
        year = panel.periods[int(held[0])]
        what = f"all {held.size} units are treated from {year} on"
    else:
        what = "the units of each stratum are treated alike"
    raise DataError(
        f"Placebo: {what}, so no other assignment can be drawn. Add units that are treated later or never, "
        "or use assign=mixed, whose years are random."
    )


def randomisation(actual: Estimate, drawn: Estimate, onto: np.ndarray, term: str) -> tuple[Test, dict[str, Array]]:
    """Compare an estimate with its placebo distribution.

    Parameters
    ----------
    actual
        The estimate.
    drawn
        The draws, with leading axis ``draw``.
    onto
        ``[draw]``: coefficient of each drawn treatment when the real one is the outcome.
    term
        The coefficient to compare.

    Returns
    -------
    tuple
        The two-sided test ``randomization`` with its interval, and: one-sided p-values, the p-value of the t statistic, the
        Monte-Carlo error of the p-value, the share of draws with p < .1, mean, standard deviation and quantiles of the
        draws. Draws without an estimate are left out and counted (``draws_failed``); without an estimate to compare, all
        is NaN.
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
    error = monte_carlo_error(two_sided, n)
    stats = {
        "randomization_p_greater": pvalue(draws >= value - slack),
        "randomization_p_less": pvalue(draws <= value + slack),
        "randomization_p_t": pvalue(np.abs(t_draws) >= abs(t_value) * (1 - 1e-12)),
        "randomization_p_error": error,
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
    invertible = np.isfinite(two_sided) and np.isfinite(onto[estimated]).all()
    ends = inverted_interval(value, draws, onto[estimated]) if invertible else (np.nan, np.nan)
    low, high, p_value, p_error = (jnp.asarray(float(each)) for each in (*ends, two_sided, error))
    nothing = jnp.asarray(np.nan)
    test = Test(jnp.asarray(value), nothing, nothing, p_value, "randomization", low=low, high=high, error=p_error)
    return test, scalars


def inverted_interval(value: float, draws: np.ndarray, onto: np.ndarray) -> tuple[float, float]:
    r"""Return the effects that the randomisation test does not reject.

    A draw is as extreme as the estimate where :math:`|b^* - \tau c^*| \ge |b - \tau|`, which for ``|c*| < 1`` is the interval
    between :math:`(b - b^*) / (1 - c^*)` and :math:`(b + b^*) / (1 + c^*)`, and holds the estimate. A draw with ``|c*| >= 1``
    (the real assignment itself, for one) counts as extreme everywhere, which can only widen the interval.

    Parameters
    ----------
    value
        The estimate ``b``.
    draws, onto
        ``[draw]``: ``b*`` and ``c*``.
    """
    n = draws.size
    inside = np.abs(onto) < 1.0 - 1e-10
    slope = np.where(inside, onto, 0.0)
    roots = np.stack([(value - draws) / (1.0 - slope), (value + draws) / (1.0 + slope)])
    low = np.sort(np.where(inside, roots.min(0), -np.inf))
    high = np.sort(np.where(inside, roots.max(0), np.inf))
    # Not rejected where 1 + (number extreme) > (1 - LEVEL)(1 + n).
    needed = int(np.floor((1.0 - LEVEL) * (1 + n) + 1e-9))
    return (float(low[needed - 1]), float(high[n - needed])) if needed >= 1 else (-np.inf, np.inf)


def p_value_note(test: Test, draws: int) -> str:
    """Say a p-value of random draws with its Monte-Carlo error; or that there is none."""
    if np.isnan(test.pvalue):
        return f"{test.name}: no p-value of {draws:,} draws, since the estimate or every draw lacks a standard error"
    return f"{test.name}: p = {float(test.pvalue):.4g}, Monte-Carlo error {float(test.error):.2g} of {draws:,} draws"
