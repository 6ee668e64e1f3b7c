r"""Agglomeration of industries: location quotients and co-agglomeration.

The location quotient of a group of industries *j* in city *i* and year *t* is its share of the city's employment relative
to its share of the nation's,

.. math:: LQ_{ijt} = \frac{L_{ijt} / L_{it}}{L_{jt} / L_t} ,

and two groups *m* and *s* that are high and close to each other co-agglomerate,

.. math:: C_{it} = 1 - \frac{|m_{it} - s_{it}|}{m_{it} + s_{it}} + (m_{it} + s_{it}) .

The index has no bounds: its second part grows with the quotients themselves, so it moves mostly with whichever is larger.
Where an industry's employment is known by province only, the province's quotient is scaled by a city's share of something, as
the share of science in its fiscal spending. The scaled quotient is then no quotient any more: its mean is that of the share.

References
----------
Ellison, G. and Glaeser, E. (1997), Geographic concentration in U.S. manufacturing industries, Journal of Political
Economy 105(5), doi:10.1086/262098 (concentration relative to all employment).
"""

from collections.abc import Sequence

import numpy as np

from syneff.errors import DataError, SpecError
from syneff.measure.groups import Groups, groups_of
from syneff.panel.checks import cells, mixed_units, refuse
from syneff.panel.interactions import national as national_series
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.steps import undeclared
from syneff.typing import Float, HostUnitPeriod

Names = str | Sequence[str]


def location_quotient(
    panel: Panel,
    *,
    name: str,
    employment: Names,
    total: str,
    national: Names | None = None,
    national_total: str | None = None,
    group: str | None = None,
    label: str = "Location quotient",
    label_zh: str = "区位熵",
) -> Panel:
    """Add the location quotient of a group of industries.

    Parameters
    ----------
    panel
        The panel.
    name
        The new column.
    employment
        Columns with the employment of the group's industries, added up; a single name may stand for itself.
    total
        Employment in all industries.
    national, national_total
        Columns with the nation's employment in the same industries and in all, repeated in all cities; if None, the sums over
        the rows of the sample that have all of them.
    group
        A trait, e.g. province, if employment is known by group and repeated in its cities; the quotient is then the group's.
    label, label_zh
        What the column means.

    Returns
    -------
    Panel
        With the column, missing where an industry is, and a note.

    Raises
    ------
    DataError
        If a name is unknown, employment is negative, the total is not positive, or nobody works in the industries; the message
        names city and year.
    SpecError
        If one national column is given without the other.
    """
    if (national is None) != (national_total is None):
        raise SpecError(f"{name}: give both national= and national_total=, or neither.")
    columns = _names(employment)
    for each in columns:
        refuse(panel, panel.column(each) < 0, f"{name}: {each!r} is negative in", "Employment is at least 0.")
    refuse(panel, panel.column(total) <= 0, f"{name}: total employment {total!r} is not positive in", "Mend the cells.")
    part, whole = np.sum([panel.column(each) for each in columns], axis=0), panel.column(total)
    if national is None:
        share = _sums(panel, part, whole, columns=[*columns, total], group=group)
    else:
        share = _national(panel, name, _names(national)) / _national(panel, name, [str(national_total)])
    if not (share[panel.sample.any(axis=0)] > 0).all():
        years = [panel.periods[t] for t in np.flatnonzero(~(share > 0) & panel.sample.any(axis=0))]
        raise DataError(
            f"{name}: the nation's employment in {', '.join(columns)} is 0 or missing in {listed(map(str, years))}. "
            "Fill it in, or take the years out with drop_periods."
        )
    quotient = part / np.where(whole > 0, whole, np.nan) / np.where(share > 0, share, np.nan)
    note = f"{name}: location quotient of {' + '.join(columns)} in {total}"
    note += f", by {group}" if group else ""
    note += ", relative to " + ("the sums of the sample" if national is None else f"{national_total} of the nation")
    note += "".join(f". WARNING: {each}" for each in _doubts(panel, part, whole, quotient, columns=[*columns, total]))
    return panel.assign({name: quotient}, undeclared(panel, {name: Variable(label, label_zh, "-")}), note + ".")


def _names(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _sums(
    panel: Panel, part: HostUnitPeriod, whole: HostUnitPeriod, *, columns: Sequence[str], group: str | None
) -> Float[np.ndarray, " period"]:
    """Return the share of the industries in the employment of all that the sample has."""
    known = panel.sample & ~np.isnan(part) & ~np.isnan(whole)
    if group is not None:
        groups = groups_of(panel, group)
        for column in columns:
            groups.value(column)  # one value a group, or an error that names the cities
        known = _first_of_each(groups, known)
    sums = [np.where(known, values, 0.0).sum(axis=0) for values in (part, whole)]
    return np.asarray(sums[0] / np.where(sums[1] > 0, sums[1], np.nan))


def _first_of_each(groups: Groups, known: np.ndarray) -> np.ndarray:
    """Keep one row a group and year, so that what its cities repeat counts once."""
    kept = np.zeros_like(known)
    for code in range(len(groups.names)):
        own = np.flatnonzero(groups.codes == code)
        first = own[known[own].argmax(axis=0)]
        kept[first, np.arange(known.shape[1])] = known[own].any(axis=0)
    return kept


def _national(panel: Panel, name: str, columns: Sequence[str]) -> Float[np.ndarray, " period"]:
    """Return the nation's value in each year, which all rows that have one must share."""
    return np.asarray(np.sum([national_series(panel, column, name) for column in columns], axis=0))


def _doubts(
    panel: Panel, part: HostUnitPeriod, whole: HostUnitPeriod, quotient: HostUnitPeriod, *, columns: Sequence[str]
) -> list[str]:
    more = panel.sample & (part > whole)
    gone = panel.sample & np.isnan(quotient)
    said = (
        [f"the industries employ more than all together in {cells(panel, more)}: units differ?"] if more.any() else []
    )
    said += [odd for odd in [mixed_units(panel, columns)] if odd]
    return said + ([f"missing in {int(gone.sum())} city-years ({cells(panel, gone)})"] if gone.any() else [])


def scaled_quotient(
    panel: Panel,
    *,
    name: str,
    quotient: str,
    share: str,
    group: str | None = None,
    label: str = "Location quotient, scaled to the city",
    label_zh: str = "区位熵(调整到城市)",
) -> Panel:
    """Add a group's quotient times a city's share of something.

    Parameters
    ----------
    panel
        The panel.
    name
        The new column.
    quotient
        The quotient of the province, repeated in its cities.
    share
        The city's share, at least 0, e.g. of science in fiscal spending.
    group
        A trait: the share is then relative to the mean of its group in the year, so that the mean of a province's cities is the
        province's quotient. If None the share itself multiplies, as the paper does.
    label, label_zh
        What the column means.

    Raises
    ------
    DataError
        If a name is unknown, a share is negative, or 0 in all cities of a group; city or group and year are named.
    """
    values = panel.column(share)
    refuse(panel, values < 0, f"{name}: {share!r} is negative in", "A share must be at least 0.")
    factor, relative = values, "as it is"
    if group is not None:
        groups = groups_of(panel, group)
        used = np.where(panel.sample, values, np.nan)
        mean = groups.sum(used) / np.maximum(groups.sum((~np.isnan(used)).astype(float)), 1.0)
        stuck = (mean <= 0) & groups.any(~np.isnan(used))
        if stuck.any():
            raise DataError(
                f"{name}: {share!r} is 0 in every city of {listed(groups.cells(stuck))}. Mend it, or set group=null."
            )
        factor, relative = (
            values / groups.spread(np.where(mean > 0, mean, np.nan)),
            f"relative to the mean of its {group}",
        )
    note = f"{name}: {quotient} times {share}, {relative}."
    variable = Variable(label, label_zh, "-")
    return panel.assign({name: panel.column(quotient) * factor}, undeclared(panel, {name: variable}), note)


def coagglomeration(
    panel: Panel,
    *,
    name: str,
    first: str,
    second: str,
    label: str = "Co-agglomeration",
    label_zh: str = "产业协同集聚",
) -> Panel:
    """Add the co-agglomeration index of two location quotients; missing where both are 0.

    Parameters
    ----------
    panel
        The panel.
    name
        The new column.
    first, second
        Location quotients, at least 0.
    label, label_zh
        What the column means.

    Raises
    ------
    DataError
        If a column is unknown, or a quotient is negative: city and year are named.
    """
    for each in (first, second):
        refuse(panel, panel.column(each) < 0, f"{name}: quotient {each!r} is negative in", "It must be at least 0.")
    index = coagglomeration_index(panel.column(first), panel.column(second))
    empty = panel.sample & (panel.column(first) == 0) & (panel.column(second) == 0)
    note = f"{name}: co-agglomeration of {first} and {second}"
    note += f"; missing where both are 0: {cells(panel, empty)}." if empty.any() else "."
    return panel.assign({name: index}, undeclared(panel, {name: Variable(label, label_zh, "-")}), note)


def coagglomeration_index(first: HostUnitPeriod, second: HostUnitPeriod) -> HostUnitPeriod:
    r"""Return ``1 - |m - s| / (m + s) + (m + s)``; NaN where both quotients are 0."""
    both = first + second
    return np.asarray(1.0 - np.abs(first - second) / np.where(both > 0, both, np.nan) + both)
