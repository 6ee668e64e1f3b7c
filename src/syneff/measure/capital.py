r"""Capital by perpetual inventory.

.. math:: K_t = I_t / P_t + (1 - \delta) K_{t-1}

with the first stock one of the usual three: ``K_0 = I_0 / 10 %``; ``K_0 = I_0 / (g + delta)`` with *g* the growth of real
investment, the stock of a steady state; or given. The further the years, the less the first stock matters: the note says how
much of the last year's stock is still the first one's.

References
----------
Zhang, J., Wu, G. and Zhang, J. (2004), The estimation of China's provincial capital stock, Economic Research Journal 10
(delta = 9.6 %, K_0 = I_0 / 10 %). Harberger, A. (1978), Perspectives on capital and technology in less developed countries
(K_0 = I_0 / (g + delta)).
"""

import numpy as np

from syneff.errors import DataError, SpecError, one_of, unknown_name
from syneff.measure.prices import level_of
from syneff.panel.checks import cells, consecutive, mixed_units, position, refuse, unit_of
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.steps import undeclared
from syneff.typing import Float, HostUnitPeriod, Int

GAPS = ("error", "missing")
RULES = ("ratio", "growth")


def perpetual_inventory(
    panel: Panel,
    *,
    name: str,
    investment: str,
    price: str | None = None,
    price_kind: str = "chained",
    base: int | None = None,
    depreciation: int | float | str = 0.096,
    initial: str = "ratio",
    ratio: int | float = 0.10,
    growth: int | float | None = None,
    growth_years: int = 5,
    gaps: str = "error",
) -> Panel:
    """Add the capital stock that investment has made.

    Parameters
    ----------
    panel
        The panel. Rows out of the sample count too, so that the stock does not depend on where a sample begins.
    name
        The new column.
    investment
        Investment in a year; at current prices if `price` is given.
    price, price_kind
        A price index of investment, "chained" (preceding year = 100) or "fixed". Without it investment is real already.
    base
        The year whose prices count; the panel's first if None.
    depreciation
        A rate from 0 to 1, or the name of a trait or column with rates.
    initial
        The stock at the end of a city's first year of investment: "ratio" (I_0 / `ratio`), "growth" (I_0 / (g + delta)), or
        the name of a trait or column that has it, at prices of the base year.
    ratio
        See `initial`.
    growth
        g, as 0.05; if None, the mean yearly growth of a city's real investment over its first `growth_years` years.
    growth_years
        See `growth`.
    gaps
        What a year without investment after a city's first means: "error", or "missing" (the stock is missing from there on).

    Returns
    -------
    Panel
        With the column and a note.

    Raises
    ------
    DataError
        If investment is negative or has a gap, a price is not positive or is missing, or a first stock cannot be had; cities
        and years are named.
    SpecError
        If an option is not allowed.
    """
    one_of("perpetual_inventory.gaps", gaps, GAPS)
    consecutive(panel, f"{name}: the perpetual inventory")
    base = panel.periods[0] if base is None else base
    nominal = panel.column(investment)
    refuse(
        panel, nominal < 0, f"{name}: {investment!r} is negative in", "Gross investment is at least 0.", everywhere=True
    )
    first = np.where(np.isnan(nominal).all(axis=1), len(panel.periods), np.argmin(np.isnan(nominal), axis=1))
    _check_gaps(panel, name, investment, first, gaps=gaps)
    real, priced = nominal, "as it stands"
    if price is not None:
        level, said = level_of(
            panel, position(panel, base, f"{name}.base"), index=price, kind=price_kind, needed=nominal
        )
        real, priced = nominal / level, f"at {base} prices by {said}"
    rates = _rates(panel, name, depreciation)
    start, rule = _initial(panel, name, real, first, rates, initial=initial, ratio=ratio, growth=(growth, growth_years))
    stock = accumulate(real, first, start, rates)
    note = f"{name}: perpetual inventory of {investment} {priced}; {rule}; {_spelt(panel, depreciation)}"
    note += _remaining(panel, stock, first, start, rates) + _late(panel, first)
    odd = mixed_units(panel, [investment])
    unit = unit_of(panel, investment).removesuffix(", current prices")
    variable = Variable("Capital stock", "资本存量", f"{unit}, {base} prices" if unit and price else unit)
    return panel.assign(
        {name: stock}, undeclared(panel, {name: variable}), note + (f". WARNING: {odd}." if odd else ".")
    )


def accumulate(
    investment: HostUnitPeriod,
    first: Int[np.ndarray, " unit"],
    start: Float[np.ndarray, " unit"],
    depreciation: HostUnitPeriod,
) -> HostUnitPeriod:
    r"""Return ``K_t = I_t + (1 - delta_t) K_{t-1}`` after the first year, the given stock in it, NaN before.

    Parameters
    ----------
    investment
        Real investment.
    first
        Position of each unit's first year.
    start
        Stock at the end of that year.
    depreciation
        Rate in each year.
    """
    stock = np.full(investment.shape, np.nan)
    for t in range(investment.shape[1]):
        grown = investment[:, t] + (1.0 - depreciation[:, t]) * stock[:, t - 1] if t else start
        stock[:, t] = np.where(t == first, start, grown)
        stock[:, t] = np.where(t < first, np.nan, stock[:, t])
    return stock


def _check_gaps(panel: Panel, name: str, investment: str, first: Int[np.ndarray, " unit"], *, gaps: str) -> None:
    known = ~np.isnan(panel.column(investment))
    after = np.arange(len(panel.periods)) > first[:, None]
    # After a city's last value a row counts as a gap only if the sample has it.
    later = np.flip(np.maximum.accumulate(np.flip(known, axis=1), axis=1), axis=1)
    broken = after & ~known & (later | panel.sample)
    if gaps == "error" and broken.any():
        raise DataError(
            f"{name}: {investment!r} is missing in {cells(panel, broken)}, after the city's first year. Fill short gaps with "
            "interpolate, or set gaps=missing: the stock is then missing from the gap on."
        )


def _rates(panel: Panel, name: str, depreciation: int | float | str) -> HostUnitPeriod:
    """Return the depreciation rate of each city and year."""
    if isinstance(depreciation, str):
        rates = panel.column(depreciation)
        what = f"{name}: depreciation {depreciation!r} is no rate from 0 to 1 in"
        refuse(panel, ~((rates >= 0) & (rates < 1)), what, "Write 9.6 % as 0.096.")
        return rates
    if not 0 <= depreciation < 1:
        raise SpecError(f"{name}: depreciation={depreciation:g} is no rate from 0 to 1. Write 9.6 % as 0.096.")
    return np.full(panel.shape, float(depreciation))


def _initial(
    panel: Panel,
    name: str,
    real: HostUnitPeriod,
    first: Int[np.ndarray, " unit"],
    rates: HostUnitPeriod,
    *,
    initial: str,
    ratio: int | float,
    growth: tuple[int | float | None, int],
) -> tuple[Float[np.ndarray, " unit"], str]:
    """Return the stock at the end of each city's first year, and the rule in words."""
    rows, present = np.arange(len(panel.units)), first < len(panel.periods)
    at = np.minimum(first, len(panel.periods) - 1)
    if initial not in RULES:
        if initial not in panel.columns and initial not in panel.traits:
            raise DataError(
                unknown_name("rule or column for initial:", initial, [*RULES, *panel.columns, *panel.traits])
            )
        start, rule = panel.column(initial)[rows, at], f"first stock from {initial}"
    elif initial == "ratio":
        if not 0 < ratio <= 1:
            raise SpecError(f"{name}: ratio={ratio:g} must be above 0 and at most 1. Write 10 % as 0.1.")
        start, rule = real[rows, at] / ratio, f"first stock = first investment / {ratio:.3g}"
    else:
        rate, rule = _growth_rates(panel, name, real, first, growth=growth)
        pace = rate + rates[rows, at]
        _refuse_units(
            panel, present & ~(pace > 0), f"{name}: g + delta is not positive for", "Set growth=, or initial=ratio."
        )
        start = real[rows, at] / pace
    _refuse_units(
        panel, present & ~(start > 0), f"{name}: the first stock is 0 or missing for", "Give it by initial=<trait>."
    )
    return np.where(present, start, np.nan), rule


def _growth_rates(
    panel: Panel,
    name: str,
    real: HostUnitPeriod,
    first: Int[np.ndarray, " unit"],
    *,
    growth: tuple[int | float | None, int],
) -> tuple[Float[np.ndarray, " unit"], str]:
    given, years = growth
    if given is not None:
        return np.full(len(first), given), f"first stock = first investment / (g + delta), g = {given:.3g}"
    if not 1 <= years < len(panel.periods):
        raise SpecError(
            f"{name}: growth_years={years} must be from 1 to {len(panel.periods) - 1}, the panel's years less one."
        )
    last = len(panel.periods) - 1
    rows, present = np.arange(len(first)), first + years <= last
    begin, end = real[rows, np.minimum(first, last)], real[rows, np.minimum(first + years, last)]
    usable = present & (begin > 0) & (end > 0)
    _refuse_units(
        panel,
        (first <= last) & ~usable,
        f"{name}: growth over the first {years} years needs positive investment at both ends, and lacks it for",
        "Set growth= or a smaller growth_years.",
    )
    rate = np.where(usable, np.where(usable, end, 1.0) / np.where(usable, begin, 1.0), np.nan) ** (1.0 / years) - 1.0
    said = f"g over the first {years} years, median {np.nanmedian(rate):.1%}"
    return rate, f"first stock = first investment / (g + delta), {said}"


def _refuse_units(panel: Panel, wrong: np.ndarray, what: str, remedy: str) -> None:
    if wrong.any():
        raise DataError(f"{what} {listed(panel.names[i] for i in np.flatnonzero(wrong))}. {remedy}")


def _spelt(panel: Panel, depreciation: int | float | str) -> str:
    return f"depreciation {depreciation}" if isinstance(depreciation, str) else f"depreciation {depreciation:.2%}"


def _remaining(
    panel: Panel,
    stock: HostUnitPeriod,
    first: Int[np.ndarray, " unit"],
    start: Float[np.ndarray, " unit"],
    rates: HostUnitPeriod,
) -> str:
    """Say how much of the last stock is what depreciation has left of the first."""
    after = np.arange(stock.shape[1]) > first[:, None]
    left = start * np.prod(np.where(after, 1.0 - rates, 1.0), axis=1) / stock[:, -1]
    if np.isnan(left).all():
        return ""
    return f"; of the stock of {panel.periods[-1]} {np.nanmedian(left):.0%} is still the first one's (median)"


def _late(panel: Panel, first: Int[np.ndarray, " unit"]) -> str:
    late = np.flatnonzero((first > 0) & panel.sample.any(axis=1))
    return (
        f"; investment begins after {panel.periods[0]} in {listed(panel.names[i] for i in late)}" if late.size else ""
    )
