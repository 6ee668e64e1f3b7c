r"""Traits times time: trends by trait, traits by period, and instruments that a national series moves.

A trait that does not change is absorbed by the city effect; times time it is not. ``trait x t`` and ``trait x t^2`` let
cities of a kind have their own smooth path (Table 5 of the paper), ``trait x period`` any path at all. An instrument
``trait x series`` is a shift-share design with one shift a year: what identifies is the trait, and the series only gives
it a path, so inference rests on few shifts and standard errors clustered by city may be too small.

References
----------
Borusyak, K., Hull, P. and Jaravel, X. (2022), Quasi-experimental shift-share research designs, Review of Economic Studies
89(1), doi:10.1093/restud/rdab030. Christian, P. and Barrett, C. (2024), Spurious regressions and panel IV estimation,
Economic Journal 134(659), doi:10.1093/ej/uead091.
"""

from collections.abc import Sequence

import numpy as np

from syneff.errors import DataError, SpecError, unknown_name
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.steps import lag, undeclared
from syneff.typing import Float, HostTrait


def trait_trend(panel: Panel, *, traits: Sequence[str], powers: Sequence[int] = (1, 2)) -> Panel:
    r"""Add traits times powers of time, ``<trait>_trend``, ``<trait>_trend2``, ...

    .. math:: z_i (t - t_0)^p, \qquad t_0 \text{ the year before the panel's first}

    Parameters
    ----------
    panel
        The panel.
    traits
        Numeric traits.
    powers
        Powers of time, at least 1.

    Returns
    -------
    Panel
        Missing for cities whose trait is; a note names them.

    Raises
    ------
    DataError
        If a trait is unknown or text.
    SpecError
        If a power is below 1.
    """
    if not powers or min(powers) < 1:
        raise SpecError(
            f"trait_trend: powers={list(powers)} must be whole numbers of at least 1: the city effect is power 0."
        )
    time = np.asarray(panel.periods, dtype=float) - panel.periods[0] + 1.0
    columns, variables = {}, {}
    for trait in traits:
        values = _numeric(panel, trait)
        for power in powers:
            name = f"{trait}_trend" + (str(power) if power > 1 else "")
            columns[name] = values[:, None] * time**power
            raised = "" if power == 1 else f"^{power}"
            words = f"{panel.label(trait)} x trend{raised}", f"{panel.label(trait, 'zh')}与时间趋势{raised}的交互项"
            variables[name] = Variable(*words, "-")
    note = f"trait_trend: {', '.join(columns)}, t = 1 in {panel.periods[0]}" + _lacking(panel, traits)
    return panel.assign(columns, undeclared(panel, variables), note + ".")


def trait_periods(
    panel: Panel, *, traits: Sequence[str], base: int | None = None, years: Sequence[int] | None = None
) -> Panel:
    """Add traits times a dummy of each year but one, ``<trait>_<year>``.

    Parameters
    ----------
    panel
        The panel.
    traits
        Numeric traits.
    base
        The year left out; the first of the sample if None.
    years
        The years to make columns for, in place of those of the sample but the base: so a list of controls that names them all
        serves other samples too. The columns of a year that the sample does not have are 0, and a regression omits them.

    Returns
    -------
    Panel

    Raises
    ------
    DataError
        If a trait is unknown or text, or the base is no year of the sample.
    SpecError
        If both a base and years are given.
    """
    if base is not None and years is not None:
        raise SpecError(f"trait_periods: base={base} is the year that years= leaves out. Give one of them.")
    active = [panel.periods[t] for t in np.unique(np.nonzero(panel.sample)[1])]
    chosen = active[0] if base is None else base
    if chosen not in active:
        raise DataError(unknown_name("year for trait_periods.base:", chosen, active))
    named = [year for year in active if year != chosen] if years is None else list(years)
    columns, variables = {}, {}
    for trait in traits:
        values = _numeric(panel, trait)
        for year in named:
            columns[f"{trait}_{year}"] = values[:, None] * (np.asarray(panel.periods) == year)
            words = f"{panel.label(trait)} x {year}", f"{panel.label(trait, 'zh')}与{year}年的交互项"
            variables[f"{trait}_{year}"] = Variable(*words, "-")
    note = (
        f"trait_periods: {', '.join(traits)} x {len(named)} years{f', base {chosen}' if years is None else ''}"
        + _lacking(panel, traits)
    )
    return panel.assign(columns, undeclared(panel, variables), note + ".")


def instrument(
    panel: Panel, *, name: str, trait: str, series: str, lag_by: int = 1, label: str = "", label_zh: str = ""
) -> Panel:
    r"""Add a trait times a lagged national series.

    .. math:: z_{it} = z_i \, s_{t - l}

    Parameters
    ----------
    panel
        The panel.
    name
        The new column.
    trait
        Numeric trait, e.g. 1 for a former treaty port.
    series
        A column that has the same value in all cities in a year, e.g. national spending on research.
    lag_by
        Years back, at least 0.
    label, label_zh
        What the column means.

    Returns
    -------
    Panel
        Missing where the series of `lag_by` years before is: at the panel's beginning. A note says which years.

    Raises
    ------
    DataError
        If a name is unknown, the trait is text, or the series differs between cities in a year, which is named.
    SpecError
        If `lag_by` is negative.
    """
    if lag_by < 0:
        raise SpecError(f"{name}: lag_by={lag_by} must be at least 0.")
    values, path = _numeric(panel, trait), national(panel, series, name)
    moved = panel.assign({series: np.repeat(path[None, :], len(panel.units), axis=0)})
    shifted = (
        lag(moved, columns=[series], periods=lag_by).columns[f"{series}_lag{lag_by}"]
        if lag_by
        else moved.columns[series]
    )
    lost = [str(panel.periods[t]) for t in np.flatnonzero(np.isnan(shifted[0]) & panel.sample.any(axis=0))]
    note = f"{name}: {trait} x {series}" + (f" of {lag_by} years before" if lag_by else "") + _lacking(panel, [trait])
    note += f"; missing in {listed(lost)}, for want of the series" if lost else ""
    english, chinese = ([panel.label(each, language) for each in (trait, series)] for language in ("en", "zh"))
    variable = Variable(label or " x ".join(english), label_zh or f"{'与'.join(chinese)}的交互项")
    return panel.assign({name: values[:, None] * shifted}, undeclared(panel, {name: variable}), note + ".")


def national(panel: Panel, column: str, name: str) -> Float[np.ndarray, " period"]:
    """Return the one value that a national series has in each year; NaN where no row has it.

    Parameters
    ----------
    panel
        The panel.
    column
        A column that repeats the series in all units.
    name
        What it is wanted for, for the message.

    Raises
    ------
    DataError
        If units have different values in a year, which is named.
    """
    values = panel.column(column)
    known = ~np.isnan(values)
    low, high = (sign * np.where(known, sign * values, -np.inf).max(axis=0) for sign in (-1.0, 1.0))
    apart = known.any(axis=0) & (high - low > 1e-9 * np.maximum(np.abs(high), np.abs(low)))
    if apart.any():
        t = int(np.flatnonzero(apart)[0])
        raise DataError(
            f"{name}: {column!r} must be one national series, but has values from {low[t]:g} to {high[t]:g} in "
            f"{listed(str(panel.periods[each]) for each in np.flatnonzero(apart))}. Give a column that all cities share."
        )
    return np.where(known.any(axis=0), high, np.nan)


def _numeric(panel: Panel, trait: str) -> HostTrait:
    if trait not in panel.traits:
        remedy = "Join it with source.units_path, or make it with group_dummy."
        raise DataError(unknown_name("trait", trait, panel.traits, remedy))
    values = panel.traits[trait]
    if not np.issubdtype(values.dtype, np.number):
        raise DataError(
            f"trait {trait!r} is text. Make a group of it first: group_dummy with trait={trait}, values=[...]."
        )
    return values.astype(float)


def _lacking(panel: Panel, traits: Sequence[str]) -> str:
    gone = np.any([np.isnan(_numeric(panel, trait)) for trait in traits], axis=0) & panel.sample.any(axis=1)
    return f"; missing for {listed(panel.names[i] for i in np.flatnonzero(gone))}" if gone.any() else ""
