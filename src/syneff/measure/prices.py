r"""Levels of prices and volumes: what yearbooks print as an index or as growth rates, with 1 in a base year."""

import numpy as np

from syneff.errors import DataError, SpecError, one_of
from syneff.panel.checks import cells, refuse
from syneff.panel.panel import Panel
from syneff.typing import HostUnitPeriod

KINDS = ("chained", "fixed")
PLAUSIBLE = (50.0, 200.0)  # of the median of an index whose preceding year is 100


def chain(relatives: HostUnitPeriod, base: int) -> HostUnitPeriod:
    r"""Return the level that relatives over the preceding period make, 1 in the base period.

    .. math:: L_b = 1, \qquad L_t = L_{t-1} r_t

    Parameters
    ----------
    relatives
        ``x_t / x_{t-1}``, ``[unit period]``; the first period's is never used.
    base
        Position of the base period.
    """
    level = np.ones_like(relatives)
    level[:, base + 1 :] = np.cumprod(relatives[:, base + 1 :], axis=1)
    level[:, :base] = 1.0 / np.cumprod(relatives[:, base:0:-1], axis=1)[:, ::-1]
    return level


def level_of(
    panel: Panel,
    base: int,
    *,
    index: str | None = None,
    growth: str | None = None,
    kind: str = "chained",
    needed: HostUnitPeriod,
) -> tuple[HostUnitPeriod, str]:
    """Return the level of an index or of growth rates, 1 in the base period, and what it was made of.

    Parameters
    ----------
    panel
        The panel.
    base
        Position of the base period.
    index, growth
        A column with an index, or with growth rates in per cent: one of the two.
    kind
        "chained" (preceding year = 100) or "fixed".
    needed
        The level must be known where this has a value in the sample.

    Raises
    ------
    DataError
        If a value is not possible, or is missing where it is needed; cities and years are named.
    SpecError
        If both or neither of index and growth are given, or `kind` is not allowed.
    """
    one_of("kind", kind, KINDS)
    if (index is None) == (growth is None):
        raise SpecError("give either index= (a column with an index) or growth= (a column with rates in per cent).")
    source = str(index or growth)
    values = panel.column(source).copy()
    chained = growth is not None or kind == "chained"
    if chained:
        values[:, 0] = np.nan  # relative to a year that the panel does not have
    _check(panel, source, values, growth=growth is not None, chained=chained)
    if growth is not None:
        level, said = chain(1.0 + values / 100.0, base), f"growth rates {source} (% over the preceding year)"
    elif chained:
        level, said = chain(values / 100.0, base), f"{source} (preceding year = 100)"
    else:
        level, said = values / values[:, [base]], f"{source} (fixed base)"
    broken = np.isnan(level) & ~np.isnan(needed) & panel.sample
    if broken.any():
        gone = np.isnan(values) & broken.any(axis=1)[:, None]
        if chained:
            gone[:, 0] = False
        raise DataError(
            f"{source!r} is missing in {cells(panel, gone)}, and {cells(panel, broken)} cannot be deflated without it. "
            "Fill it in; for want of a city's own index the province's is the usual one."
        )
    return level, said


def _check(panel: Panel, source: str, values: HostUnitPeriod, *, growth: bool, chained: bool) -> None:
    """Raise if a value is not possible, or the whole column is something else than it is said to be."""
    if growth:
        refuse(
            panel, values <= -100, f"growth rates {source!r} are -100 % or less in", "Mend the cells.", everywhere=True
        )
        odd, expected = PLAUSIBLE[1] - 100.0, "growth rates in per cent, such as 3.2"
        centre = float(np.nanmedian(np.abs(values))) if np.isfinite(values).any() else 0.0
        wrong = centre > odd
    else:
        remedy = "An index must be positive: leave the cells empty where it is not known."
        refuse(panel, values <= 0, f"index {source!r} is not positive in", remedy, everywhere=True)
        centre = float(np.nanmedian(values)) if np.isfinite(values).any() else 100.0
        expected = "an index with preceding year = 100, such as 103.2"
        wrong = chained and not PLAUSIBLE[0] <= centre <= PLAUSIBLE[1]
    if wrong:
        raise DataError(
            f"{source!r} has the median {centre:g}, so it is not {expected}. "
            "Set kind=fixed for an index with a fixed base, give growth rates as growth=, or rescale the column."
        )
