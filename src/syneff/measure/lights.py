r"""Night lights: breaks in a series, and two sensors made one.

The sensors of 1992-2013 and of 2012 on measure on different scales. In the years that both have, a power function joins them,

.. math:: y_{it} = a \, x_{it}^{b} ,

fitted in logarithms or, as part of the literature does, in levels by non-linear least squares. What is joined so has a change
of sensor inside: `breaks` says in which year how many cities jump.
"""

import numpy as np
import pandas as pd

from syneff.errors import DataError, one_of
from syneff.panel.checks import refuse, unit_of
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.steps import undeclared
from syneff.typing import Float

FORMS = ("log", "power")
JUMP = 0.5  # log points in one year
FEWEST = 10  # cells of the overlap that a curve of two parameters needs


def breaks(panel: Panel, lights: str, threshold: float = JUMP) -> pd.DataFrame:
    """Find years in which cities jump: by more than `threshold` log points beyond the year's median, or at all.

    Parameters
    ----------
    panel
        The panel.
    lights
        The column.
    threshold
        Log points in one year.

    Returns
    -------
    pandas.DataFrame
        One row a year in which any city jumps: ``period``, ``median`` (of the log change), ``beyond`` (cities that jump beyond
        the median), ``absolute`` (cities that jump at all), ``largest`` (the city farthest from the median).
    """
    values = np.where((panel.column(lights) > 0) & panel.sample, panel.column(lights), np.nan)
    change = np.diff(np.log(values), axis=1)
    rows = []
    for t, moves in enumerate(change.T, start=1):
        if np.isnan(moves).all() or panel.periods[t] - panel.periods[t - 1] != 1:
            continue
        median = float(np.nanmedian(moves))
        beyond, absolute = np.abs(moves - median) > threshold, np.abs(moves) > threshold
        if beyond.any() or absolute.any():
            largest = panel.names[int(np.nanargmax(np.abs(moves - median)))]
            rows.append((panel.periods[t], median, int(beyond.sum()), int(absolute.sum()), largest))
    return pd.DataFrame(rows, columns=["period", "median", "beyond", "absolute", "largest"])


def break_note(found: pd.DataFrame, lights: str) -> str:
    """Word the breaks of a series, the worst years first; "" if there is none."""
    if found.empty:
        return ""
    worst = found.sort_values(["absolute", "beyond"], ascending=False, kind="stable")
    said = listed(
        (
            f"{row.period} ({row.beyond} cities beyond the year's median of {row.median:+.2f}, "
            f"{row.absolute} at all; farthest {row.largest})"
            for row in worst.itertuples()
        ),
        shown=3,
    )
    return f"WARNING: {lights} has breaks of more than {JUMP:g} log points in {len(found)} years: {said}"


def harmonise_lights(panel: Panel, *, name: str, early: str, late: str, form: str = "log") -> Panel:
    """Add one series of lights from two sensors: the early one where it has a value, else the late one on its scale.

    Parameters
    ----------
    panel
        The panel.
    name
        The new column.
    early, late
        Columns of the two sensors; empty in the years that a sensor does not have. The years of both join them.
    form
        The power function is fitted in logarithms ("log", ordinary least squares) or in levels ("power", non-linear least
        squares). A city whose late lights are 0 has 0.

    Returns
    -------
    Panel
        With the column, a note with the curve, its R2 and the breaks that are left, and the frame ``<name>_breaks``.

    Raises
    ------
    DataError
        If a column is unknown, lights are negative, or fewer than 10 city-years have both.
    SpecError
        If `form` is not allowed.
    """
    one_of("harmonise_lights.form", form, FORMS)
    first, second = panel.column(early), panel.column(late)
    for each, values in ((early, first), (late, second)):
        refuse(panel, values < 0, f"{name}: {each!r} is negative in", "Radiance is at least 0.", everywhere=True)
    both = panel.sample & (first > 0) & (second > 0)
    years = [str(panel.periods[t]) for t in np.unique(np.nonzero(both)[1])]
    if both.sum() < FEWEST:
        raise DataError(
            f"{name}: {early!r} and {late!r} are both positive in {int(both.sum())} city-years, too few to join them "
            f"(at least {FEWEST}). Give both sensors the years that they share."
        )
    scale, power, fit = join(second[both], first[both], form)
    joined = np.where(np.isnan(first), scale * np.power(second, power), first)
    made = panel.assign({name: joined})
    found = breaks(made, name)
    where = "logarithms" if form == "log" else "levels"
    note = (
        f"{name}: {early} where known, else {scale:.4g} x {late}^{power:.4g}, fitted in {where} on {int(both.sum())} "
        f"city-years of {listed(years)}, R2 {fit:.3f}"
    )
    said = break_note(found, name)
    variable = Variable("Night lights", "夜间灯光", unit_of(panel, early))
    made = panel.assign({name: joined}, undeclared(panel, {name: variable}), note + (f". {said}." if said else "."))
    return made.detail({f"{name}_breaks": found})


def join(x: Float[np.ndarray, " cell"], y: Float[np.ndarray, " cell"], form: str) -> tuple[float, float, float]:
    """Return a and b of ``y = a x^b`` and the R2 of the fit, in logarithms or in levels.

    Parameters
    ----------
    x, y
        Positive values.
    form
        "log" or "power".
    """
    slope, level = np.polyfit(np.log(x), np.log(y), 1)
    if form == "log":
        return float(np.exp(level)), float(slope), r_squared(np.log(y), level + slope * np.log(x))
    from scipy.optimize import curve_fit

    # In units of the means both parameters are near 1, whatever the sensors' units.
    (scale, power), _ = curve_fit(lambda z, a, b: a * np.power(z, b), x / x.mean(), y / y.mean(), p0=(1.0, slope))
    fitted = y.mean() * scale * np.power(x / x.mean(), power)
    return float(y.mean() * scale / x.mean() ** power), float(power), r_squared(y, fitted)


def r_squared(y: np.ndarray, fitted: np.ndarray, centred: bool = True) -> float:
    """Return 1 - SSR / SST, around the mean or around zero; NaN if the values do not vary."""
    total = float(np.sum((y - (y.mean() if centred else 0.0)) ** 2))
    return 1.0 - float(np.sum((y - fitted) ** 2)) / total if total > 0 else float("nan")
