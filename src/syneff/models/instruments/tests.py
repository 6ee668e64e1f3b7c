r"""The tests that a model with instruments is read with.

==============================  =========================================================================================
name                            what, under the covariance and the small-sample rule of the specification
==============================  =========================================================================================
``first_stage_f``               Wald F of the instruments in the first stage; ``first_stage_f:<variable>`` with several
``kleibergen_paap_lm``          rk LM, underidentification; chi2(l - p + 1); Anderson's canonical correlation LM with iid
``kleibergen_paap_f``           rk Wald F: `first_stage_f` with one endogenous variable, Cragg and Donald's with iid
``cragg_donald_f``              the F that Stock and Yogo tabulate, whatever the covariance
``effective_f``                 Montiel Olea and Pflueger's, of one endogenous variable; its p-value is that of a bias of
                                more than 10 % of the worst, its critical values are in ``effective_f_critical[tau]``
``sanderson_windmeijer_f``      ``:<variable>``, what a variable has beyond the others; l - p + 1 degrees of freedom
``hansen_j``                    overidentification, two-step GMM; Sargan's with iid; no p-value if just identified
``difference_in_sargan``        Hansen's J less that of the instruments that are not suspect, under the same weight
``wu_hausman``                  exogeneity of the endogenous variables, by regression (Durbin, Wu, Hausman)
``anderson_rubin``              Wald F of the instruments in the reduced form: no effect; ``conf_low``, ``conf_high`` are the
                                hull of the set of effects, infinite where it is unbounded, NaN where it is empty
==============================  =========================================================================================

References
----------
Montiel Olea, J. L. and Pflueger, C. (2013). Journal of Business & Economic Statistics 31, 358-369.
https://doi.org/10.1080/00401706.2013.806694
Sanderson, E. and Windmeijer, F. (2016). Journal of Econometrics 190, 212-221. https://doi.org/10.1016/j.jeconom.2015.06.004
"""

from collections.abc import Mapping
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import special, stats

from syneff.models.base import Spec, Test
from syneff.models.event_study import wald_test
from syneff.models.instruments.anderson_rubin import ReducedForm, anderson_rubin_set
from syneff.models.instruments.diagnostics import Diagnostics
from syneff.models.instruments.equations import of_stage, positions
from syneff.typing import Array, Float

LEVEL = 0.95
BIASES = (0.05, 0.10, 0.20, 0.30)
"""Shares of the worst-case bias that effective F has critical values for."""
REMARKED = 0.10
"""The one that decides whether instruments are called weak."""
RULE_OF_THUMB = 10.0
"""Staiger and Stock's, where several endogenous variables leave no effective F."""

Found = tuple[tuple[Test, ...], dict[str, Array], Mapping[str, pd.DataFrame], tuple[str, ...]]


def tests_of(spec: Spec, endogenous: tuple[str, ...], suspects: int, found: Diagnostics) -> Found:
    """Return the tests, statistics, frames and notes of a model with instruments.

    Parameters
    ----------
    spec
        The specification.
    endogenous
        Names of the endogenous variables.
    suspects
        How many instruments the difference-in-Sargan test questions.
    found
        What the tests are made of.
    """
    kept, p = int(np.asarray(found.kept).sum()), len(endogenous)
    where = positions(found.stages, spec.instruments)
    tests = [*_first_stage(endogenous, found, where), *_rank(found, kept - p + 1)]
    weak: dict[str, Array] = {}
    details: dict[str, pd.DataFrame] = {}
    said: list[str] = []
    if p == 1:
        effective, weak = _effective(found, where)
        interval, details, remark = _anderson_rubin(found, where, kept)
        tests += [effective, interval]
        said += [*_weak_note(effective, weak, interval), *remark]
    else:
        conditional = [_conditional(found, where, place, name, kept - p + 1) for place, name in enumerate(endogenous)]
        joint = _wald("anderson_rubin", found, p, where)
        tests += [*conditional, joint]
        said += _weak_several(conditional, joint)
    tests += _overidentification(found, kept - p, suspects)
    return (*tests, found.exogeneity), weak, details, tuple(said)


def effective_f(
    coef: Float[np.ndarray, " l"], cov: Float[np.ndarray, "l l"], moments: Float[np.ndarray, "l l"]
) -> tuple[float, dict[float, float], float]:
    r"""Return the effective F of a first stage, its critical values, and its p-value at a bias of 10 %.

    .. math::

        F_{eff} = \frac{\hat\pi' Q \hat\pi}{\operatorname{tr} W}, \qquad W = Q^{1/2} V Q^{1/2}, \qquad
        K = \frac{(\operatorname{tr} W)^2 (1 + 2 x)}{\operatorname{tr} W'W + 2 x \operatorname{tr} W \max \operatorname{eval} W}

    with the critical value ``chi2_K(x K) / K`` at 95 %, Patnaik's approximation, and ``x = 1 / tau``: the simplified procedure,
    which bounds the bias of 2SLS relative to the worst one by ``tau`` whatever the errors of the second stage are.

    Parameters
    ----------
    coef, cov
        ``[l]``, ``[l l]``: first-stage coefficients of the instruments and their robust covariance.
    moments
        ``[l l]``: moments of the instruments net of all else.
    """
    root = np.linalg.cholesky(moments)
    weight = root.T @ cov @ root
    values = np.linalg.eigvalsh(weight)
    total, squares, largest = values.sum(), (values**2).sum(), values.max()
    statistic = float(coef @ moments @ coef / total)

    def freedom(x: float) -> float:
        return float(total**2 * (1.0 + 2.0 * x) / (squares + 2.0 * x * total * largest))

    critical = {}
    for bias in BIASES:
        k = freedom(1.0 / bias)
        critical[bias] = float(stats.ncx2.ppf(LEVEL, k, k / bias)) / k
    k = freedom(1.0 / REMARKED)
    return statistic, critical, float(stats.ncx2.sf(statistic * k, k, k / REMARKED))


def _first_stage(endogenous: tuple[str, ...], found: Diagnostics, where: np.ndarray) -> list[Test]:
    names = ["first_stage_f"] if len(endogenous) == 1 else [f"first_stage_f:{name}" for name in endogenous]
    return [_wald(name, found, place, where) for place, name in enumerate(names)]


def _wald(name: str, found: Diagnostics, place: int, where: np.ndarray) -> Test:
    return wald_test(name, of_stage(found.stages, place), where)


def _rank(found: Diagnostics, free: int) -> list[Test]:
    lm = float(found.rank_lm)
    tests = [_test("kleibergen_paap_lm", lm, free, float(special.chdtrc(free, lm)))]
    for name, value in (("kleibergen_paap_f", found.rank_f), ("cragg_donald_f", found.cragg_donald)):
        tests.append(_test(name, float(value), np.nan, np.nan))
    return tests


def _effective(found: Diagnostics, where: np.ndarray) -> tuple[Test, dict[str, Array]]:
    stage, kept = of_stage(found.stages, 0), np.asarray(found.kept)
    own = where[kept]
    coef, cov = np.asarray(stage.coef)[own], np.asarray(stage.cov)[np.ix_(own, own)]
    moments = np.asarray(found.moments)[np.ix_(kept, kept)]
    if not np.isfinite(cov).all() or np.trace(cov) <= 0:
        return _test("effective_f", np.nan, np.nan, np.nan), {}
    statistic, critical, pvalue = effective_f(coef, cov, moments)
    weak = {f"effective_f_critical[{bias:g}]": jnp.asarray(value) for bias, value in critical.items()}
    return _test("effective_f", statistic, np.nan, pvalue), weak


def _anderson_rubin(
    found: Diagnostics, where: np.ndarray, kept: int
) -> tuple[Test, dict[str, pd.DataFrame], tuple[str, ...]]:
    """Return the test of no effect with the hull of the set, the intervals of the set, and what is unusual about it."""
    test = _wald("anderson_rubin", found, 1, where)
    own = where[np.asarray(found.kept)]
    coef = [np.asarray(of_stage(found.stages, place).coef)[own] for place in range(3)]
    covs = [np.asarray(of_stage(found.stages, place).cov)[np.ix_(own, own)] for place in range(3)]
    if not np.isfinite(covs[1]).all() or np.trace(covs[0]) <= 0 or np.trace(covs[1]) <= 0:
        return test, {}, ()
    multiple = float(found.multiple)
    cross = (covs[1] + multiple**2 * covs[0] - covs[2]) / multiple
    form = ReducedForm(coef[1], coef[0], covs[1], covs[0], cross)
    critical = kept * float(special.fdtri(kept, float(test.dof_denominator), LEVEL))
    intervals = anderson_rubin_set(form, critical)
    frame = pd.DataFrame(intervals, columns=["low", "high"])
    low, high = (intervals[0][0], intervals[-1][1]) if intervals else (np.nan, np.nan)
    named = replace(test, low=jnp.asarray(low), high=jnp.asarray(high))
    return named, {"anderson_rubin_set": frame}, _unusual(intervals)


def _unusual(intervals: tuple[tuple[float, float], ...]) -> tuple[str, ...]:
    if not intervals:
        return (
            "the Anderson-Rubin set is empty: no effect is compatible with the instruments, so they are not all valid",
        )
    if len(intervals) == 1 and np.isfinite(intervals[0]).all():
        return ()
    shown = " and ".join(f"[{low:.4g}, {high:.4g}]" for low, high in intervals)
    kind = "unbounded" if not np.isfinite([intervals[0][0], intervals[-1][1]]).all() else "disjoint"
    return (f"the Anderson-Rubin set is {kind}, as weak instruments make it: {shown}",)


def _weak_note(effective: Test, weak: Mapping[str, Array], interval: Test) -> tuple[str, ...]:
    """Say that instruments are weak, by which number, and what holds all the same."""
    limit = float(weak.get(f"effective_f_critical[{REMARKED:g}]", np.nan))
    if not float(effective.statistic) < limit:
        return ()
    return (
        f"weak instruments: effective F = {float(effective.statistic):.4g} is below {limit:.4g}, its critical value for a bias "
        f"of {REMARKED:.0%} of the worst; the t statistic and its interval cannot be trusted, the Anderson-Rubin interval can: "
        f"[{float(interval.low):.4g}, {float(interval.high):.4g}]",
    )


def _conditional(found: Diagnostics, where: np.ndarray, place: int, name: str, free: int) -> Test:
    """Return Sanderson and Windmeijer's F: the Wald statistic of what a variable has beyond the others, per free instrument."""
    count = (found.stages.coef.shape[0] - 1) // 2
    whole = _wald(f"sanderson_windmeijer_f:{name}", found, count + 1 + place, where)
    statistic = float(whole.statistic) * float(whole.dof) / free
    pvalue = float(special.fdtrc(free, float(whole.dof_denominator), statistic))
    return replace(whole, statistic=jnp.asarray(statistic), dof=jnp.asarray(float(free)), pvalue=jnp.asarray(pvalue))


def _weak_several(conditional: list[Test], joint: Test) -> tuple[str, ...]:
    low = [test for test in conditional if float(test.statistic) < RULE_OF_THUMB]
    if not low:
        return ()
    shown = ", ".join(f"{test.name.partition(':')[2]} {float(test.statistic):.4g}" for test in low)
    return (
        f"weak instruments: Sanderson-Windmeijer F below {RULE_OF_THUMB:g} ({shown}); t statistics cannot be trusted, the "
        f"Anderson-Rubin test that all effects are zero can: p = {float(joint.pvalue):.4g}",
    )


def _overidentification(found: Diagnostics, free: int, suspects: int) -> list[Test]:
    j = float(found.overidentification)
    tests = [_test("hansen_j", j, free, float(special.chdtrc(free, j)) if free > 0 else np.nan)]
    if suspects:
        c = max(j - float(found.without_suspects), 0.0)
        tests.append(_test("difference_in_sargan", c, suspects, float(special.chdtrc(suspects, c))))
    return tests


def _test(name: str, statistic: float, dof: float | int, pvalue: float) -> Test:
    numbers = (jnp.asarray(float(each)) for each in (statistic, dof, np.inf, pvalue))
    value, free, denominator, p = numbers
    return Test(value, free, denominator, p, name)
