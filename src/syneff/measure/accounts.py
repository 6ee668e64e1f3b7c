r"""Measurement accounts: from yearbook columns at current prices to the real quantities that a technology is made of.

Deflating to a base year *b*, with ``P_b = 1`` and either a chained index (preceding year = 100) or a fixed-base one,

.. math:: P_t = P_{t-1} \frac{p_t}{100} \quad \text{or} \quad P_t = \frac{p_t}{p_b}, \qquad x^{real}_t = x_t / P_t ;

or, where the yearbook has an index of volume (growth at constant prices), ``x^{real}_t = x_b V_t`` with ``V`` chained likewise.

Sharing a province's total ``T_pt`` out to its cities by a key ``k_it``: ``x_it = T_pt k_it / sum_{j in p} k_jt``, which adds up
exactly. The perpetual inventory of capital stands in `syneff.measure.capital`.
"""

from collections.abc import Sequence

import numpy as np

from syneff.errors import DataError, SpecError, one_of
from syneff.measure.capital import perpetual_inventory as perpetual_inventory
from syneff.measure.groups import groups_of
from syneff.measure.prices import level_of
from syneff.panel.checks import cells, mixed_units, position, refuse, unit_of
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.steps import lag, ratio, undeclared

GROWTH = ("log", "percent")


def add_up(
    panel: Panel, *, name: str, columns: Sequence[str], label: str = "", label_zh: str = "", unit: str | None = None
) -> Panel:
    """Add the sum of columns, e.g. labour as the employed of urban units and the self-employed; missing where one of them is.

    Parameters
    ----------
    panel
        The panel.
    name
        The new column.
    columns
        Columns in one unit.
    label, label_zh, unit
        What the sum is; the columns' labels joined, and their unit, if not given.

    Raises
    ------
    DataError
        If a column is unknown, or two columns are declared in different units.
    """
    if not columns:
        raise SpecError(f"{name}: columns is empty. Name the columns to add up.")
    units = dict.fromkeys(unit_of(panel, each) for each in columns if unit_of(panel, each))
    if len(units) > 1:
        raise DataError(
            f"{name}: the columns {', '.join(columns)} are in different units: {', '.join(units)}. Rescale them."
        )
    english, chinese = (" + ".join(panel.label(each, language) for each in columns) for language in ("en", "zh"))
    variable = Variable(label or english, label_zh or chinese, next(iter(units), "") if unit is None else unit)
    total = np.sum([panel.column(each) for each in columns], axis=0)
    odd = mixed_units(panel, columns)
    note = f"{name}: {' + '.join(columns)}" + (f". WARNING: {odd}." if odd else ".")
    return panel.assign({name: total}, undeclared(panel, {name: variable}), note)


def deflate(
    panel: Panel,
    *,
    name: str,
    column: str,
    base: int | None = None,
    index: str | None = None,
    growth: str | None = None,
    kind: str = "chained",
    measures: str = "price",
) -> Panel:
    """Add a column at the prices of a base year.

    Parameters
    ----------
    panel
        The panel.
    name
        The new column.
    column
        The column at current prices.
    base
        The year whose prices count, the panel's first if None; the new column equals the old one there.
    index, growth
        A column with an index, or one with growth rates in per cent: one of the two.
    kind
        What the index is relative to: "chained" (preceding year = 100) or "fixed" (any fixed year = 100). Growth rates are
        always over the preceding year.
    measures
        What index or growth is of: "price", or "volume" (growth at constant prices, as yearbooks print it for GDP).

    Returns
    -------
    Panel
        With the column, at "<base> prices", and a note.

    Raises
    ------
    DataError
        If a column is unknown, the index is not positive or seems to be no index, or it is missing where it is needed; cities
        and years are named.
    SpecError
        If the base year is not in the panel, or an option is not allowed.
    """
    one_of("deflate.measures", measures, ("price", "volume"))
    base = panel.periods[0] if base is None else base
    at = position(panel, base, f"{name}.base")
    level, said = level_of(panel, at, index=index, growth=growth, kind=kind, needed=panel.column(column))
    nominal = panel.column(column)
    if measures == "volume":
        lost = np.isnan(nominal[:, [at]]) & ~np.isnan(nominal)
        refuse(panel, lost, f"{name}: {column!r} of {base} is needed, and missing, for", "Fill it in.")
    real = nominal / level if measures == "price" else nominal[:, [at]] * level
    active = np.flatnonzero((~np.isnan(real) & panel.sample).any(axis=0))
    if not active.size:
        raise DataError(f"{name}: {column!r} has no value in the sample.")
    last = int(active[-1])
    rise = np.nanmedian(level[:, last]) - 1.0
    note = (
        f"{name}: {column} at {base} prices by {said}; {'prices' if measures == 'price' else 'volumes'} "
        f"{'rise' if rise >= 0 else 'fall'} by {abs(rise):.1%} from {base} to {panel.periods[last]} in the median city"
    )
    odd = mixed_units(panel, [column])
    variable = Variable(f"Real {panel.label(column)}", f"实际{panel.label(column, 'zh')}", _real(panel, column, base))
    return panel.assign(
        {name: real}, undeclared(panel, {name: variable}), note + (f". WARNING: {odd}." if odd else ".")
    )


def _real(panel: Panel, column: str, base: int) -> str:
    unit = unit_of(panel, column)
    return f"{unit.removesuffix(', current prices')}, {base} prices" if unit else ""


def share_out(panel: Panel, *, name: str, total: str, by: str, group: str = "province") -> Panel:
    """Add a column that shares the total of a group of cities out by a key; it adds up to the total in every year.

    Parameters
    ----------
    panel
        The panel.
    name
        The new column.
    total
        The group's total, repeated in its cities.
    by
        The key, at least 0, e.g. value added of secondary and tertiary industry. Cities out of the sample keep their share.
    group
        The trait that says which group a city belongs to.

    Returns
    -------
    Panel

    Raises
    ------
    DataError
        If a column or trait is unknown, the total differs between cities of a group, the key is negative or missing, or it is 0
        in a whole group that has something to share; city or group and year are named.
    """
    groups, key = groups_of(panel, group), panel.column(by)
    refuse(panel, key < 0, f"{name}: the key {by!r} is negative in", "A share must be at least 0.", everywhere=True)
    totals, sums = groups.value(total), groups.sum(key)
    refuse(
        panel,
        np.isnan(key) & ~np.isnan(groups.spread(totals)),
        f"{name}: the key {by!r} is missing in",
        "Without it no city of the group has a share: fill it with interpolate, or take the city out with where.",
    )
    stuck = (sums <= 0) & ~np.isnan(totals) & (totals != 0) & groups.any(panel.sample)
    if stuck.any():
        raise DataError(
            f"{name}: the key {by!r} is 0 in every city of {listed(groups.cells(stuck))}, so {total!r} cannot be shared out. "
            "Mend the key, or take the year out with drop_periods."
        )
    missing = np.isnan(groups.spread(totals)) & panel.sample
    nothing = np.where(totals == 0, 1.0, np.nan)  # where the keys are all 0, a total of 0 is 0 for every city
    shared = groups.spread(totals) * key / groups.spread(np.where(sums > 0, sums, nothing))
    note = f"{name}: {total} of {len(groups.names)} groups ({group}) shared out by {by}"
    note += f"; the total is missing in {cells(panel, missing)}." if missing.any() else "."
    variable = Variable(f"{panel.label(total)}, shared out", f"{panel.label(total, 'zh')}分摊", unit_of(panel, total))
    return panel.assign({name: shared}, undeclared(panel, {name: variable}), note)


def adds_up(panel: Panel, *, column: str, total: str, group: str = "province", tolerance: int | float = 0.01) -> Panel:
    """Check that the cities of a group add up to its total; the panel comes back with a note.

    Parameters
    ----------
    panel
        The panel. Cities out of the sample count; where one has no value the group and year are not judged.
    column
        What the cities have, e.g. their own energy statistics.
    total
        What the group has, repeated in its cities.
    group
        The trait that says which group a city belongs to.
    tolerance
        Largest difference allowed, relative to the total.

    Raises
    ------
    DataError
        If a name is unknown, the total differs between cities of a group, or the cities do not add up to it: groups and years
        are named, with the largest difference.
    """
    groups = groups_of(panel, group)
    totals, values = groups.value(total), panel.column(column)
    judged = ~groups.any(np.isnan(values)) & (totals > 0)
    apart = np.where(judged, groups.sum(values) / np.where(judged, totals, 1.0) - 1.0, 0.0)
    wrong = np.abs(apart) > tolerance
    if wrong.any():
        g, t = np.unravel_index(int(np.argmax(np.abs(apart))), apart.shape)
        raise DataError(
            f"{column!r} of cities does not add up to {total!r} in {listed(groups.cells(wrong))}: farthest in "
            f"{groups.names[g]} {panel.periods[t]}, by {apart[g, t]:+.1%}; at most {tolerance:.1%} is allowed. Look for "
            "missing cities and for units that differ, or share the total out with share_out."
        )
    said = f"in {int(judged.sum())} groups and years, within {np.abs(apart).max():.2%}"
    return panel.assign({}, note=f"{column} of cities adds up to {total} of their {group} {said}.")


def per_head(panel: Panel, *, name: str, column: str, population: str, scale: int | float = 1) -> Panel:
    """Add a column per head: `ratio` with the name of what it is.

    Parameters
    ----------
    panel
        The panel.
    name
        The new column.
    column, population
        What is divided, and by what.
    scale
        Factor, e.g. 10000 where ``10^8 yuan / 10^4 persons`` should be yuan per person.

    Raises
    ------
    DataError
        If a column is unknown, or the population is not positive in the sample: city and year are named.
    """
    refuse(panel, panel.column(population) <= 0, f"{name}: {population!r} is not positive in", "Mend the cells.")
    words = (f"{panel.label(column)} per head", f"人均{panel.label(column, 'zh')}")
    variable = Variable(*words, "" if scale != 1 else _quotient(panel, column, population))
    named = panel.assign({}, undeclared(panel, {name: variable}))
    odd = mixed_units(panel, [column, population])
    made = ratio(named, name=name, numerator=column, denominator=population, scale=scale)
    return made.assign({}, note=f"{name}: WARNING: {odd}.") if odd else made


def _quotient(panel: Panel, column: str, population: str) -> str:
    above, below = unit_of(panel, column), unit_of(panel, population)
    return f"{above} / {below}" if above and below else ""


def growth(panel: Panel, *, columns: Sequence[str], kind: str = "log") -> Panel:
    r"""Add growth over the preceding year, ``<name>_growth``, in per cent; missing in the first year.

    .. math:: 100 (\ln x_t - \ln x_{t-1}) \quad \text{or} \quad 100 (x_t / x_{t-1} - 1)

    Parameters
    ----------
    panel
        The panel.
    columns
        Columns, positive in the sample.
    kind
        "log" or "percent".

    Raises
    ------
    DataError
        If a column is unknown, or is not positive in the sample: city and year are named.
    SpecError
        If `kind` is not allowed.
    """
    one_of("growth.kind", kind, GROWTH)
    before, made, variables = lag(panel, columns=columns).columns, {}, {}
    for name in columns:
        values = panel.column(name)
        refuse(panel, values <= 0, f"growth: {name!r} is not positive in", "Take the rows out with where.")
        relative = np.where(values > 0, values, np.nan) / np.where(
            before[f"{name}_lag1"] > 0, before[f"{name}_lag1"], np.nan
        )
        made[f"{name}_growth"] = 100.0 * (np.log(relative) if kind == "log" else relative - 1.0)
        words = (f"Growth of {panel.label(name)}", f"{panel.label(name, 'zh')}增长率")
        variables[f"{name}_growth"] = Variable(*words, "log points x 100" if kind == "log" else "%")
    return panel.assign(made, undeclared(panel, variables))
