r"""Energy of cities from energy of provinces, by night lights.

Yearbooks have energy by province. Over provinces *p* (pooled, or year by year) energy is fitted on the sum of the lights of the
province's cities,

.. math:: E_{pt} = \alpha + \beta L_{pt} + u_{pt}, \qquad \hat E_{it} = \alpha / n_{pt} + \beta L_{it},

with ``alpha = 0`` through the origin; a province's intercept is divided equally among its ``n_pt`` cities, so that the fitted
values of cities add up to the fitted value of their province. Under the constraint cities add up to what the yearbook says,

.. math:: E_{it} = E_{pt} \hat E_{it} / \sum_{j \in p} \hat E_{jt} .

Two things to know. Under the constraint and through the origin ``beta`` cancels: a city's energy is its share of the lights of
its province, and the fit only says how well lights follow energy. Energy per unit of light is then one number a province and
year, so efficiency scores that use it as an input see lights, with all their breaks.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from syneff.errors import DataError
from syneff.measure.groups import Groups, groups_of
from syneff.measure.lights import break_note, breaks, r_squared
from syneff.panel.checks import mixed_units, refuse, unit_of
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.steps import undeclared
from syneff.typing import Float

GroupPeriod = Float[np.ndarray, "group period"]


def spread_energy(
    panel: Panel,
    *,
    name: str = "energy",
    total: str = "province_energy",
    lights: str = "lights",
    group: str = "province",
    intercept: bool = False,
    by_year: bool = False,
    constrain: bool = True,
) -> Panel:
    """Add a column with the energy of cities.

    Parameters
    ----------
    panel
        The panel. A city that is out of the sample, but has lights, keeps its share. A province's energy goes to the cities
        that the panel has: if it lacks some, the others get theirs.
    name
        The new column.
    total
        Energy of the province, repeated in its cities.
    lights
        Night lights of the city, at least 0.
    group
        The trait that says which province a city belongs to.
    intercept
        Fit with an intercept; else through the origin.
    by_year
        One fit a year; else one for all years.
    constrain
        Rescale, so that the cities of a province add up to its total in every year.

    Returns
    -------
    Panel
        With the column, a note with slope, R2, F and the breaks of the lights, and two frames: ``<name>_fit`` (a row a fit) and
        ``<name>_breaks`` (see `syneff.measure.lights.breaks`).

    Raises
    ------
    DataError
        If a name is unknown, a total differs between cities of a province, is negative or missing, lights are negative, missing
        or all 0 in a province, or a fitted value is negative; province or city and year are named.
    """
    groups, radiance = groups_of(panel, group), panel.column(lights)
    energy, shine = _provinces(panel, groups, name, total, lights)
    used = groups.any(panel.sample) & ~np.isnan(energy)
    fits = _fits(energy, shine, used, panel.periods, intercept=intercept, by_year=by_year)
    members = groups.sum((~np.isnan(radiance)).astype(float))
    fitted = (
        fits["intercept"].to_numpy() / groups.spread(np.maximum(members, 1.0)) + fits["slope"].to_numpy() * radiance
    )
    remedy = "Set intercept=false: a city with few lights then has little energy, and none has less than nothing."
    refuse(panel, fitted < 0, f"{name}: the fitted energy is negative in", remedy)
    sums = groups.sum(fitted)
    apart = np.where(used, sums / np.where(used, energy, 1.0) - 1.0, 0.0)
    if constrain:
        fitted = fitted * groups.spread(energy / np.where(sums > 0, sums, np.nan))
    note = f"{name}: {total} of {len(groups.names)} groups ({group}) spread to cities by {lights}; {_fit_note(fits, by_year)}; "
    note += _sum_note(groups, apart, constrain=constrain)
    found = breaks(panel, lights)
    warnings = [each for each in (break_note(found, lights), _mixed(panel, (total, lights))) if each]
    variable = Variable("Energy use", "能源消费量", unit_of(panel, total))
    made = panel.assign({name: fitted}, undeclared(panel, {name: variable}), ". ".join([note, *warnings]) + ".")
    return made.detail(
        {f"{name}_fit": fits if by_year else fits.iloc[:1].drop(columns="period"), f"{name}_breaks": found}
    )


def _mixed(panel: Panel, columns: Sequence[str]) -> str:
    odd = mixed_units(panel, columns)
    return f"WARNING: {odd}" if odd else ""


def _provinces(panel: Panel, groups: Groups, name: str, total: str, lights: str) -> tuple[GroupPeriod, GroupPeriod]:
    """Return energy and lights of provinces, checked."""
    radiance = panel.column(lights)
    refuse(panel, radiance < 0, f"{name}: {lights!r} is negative in", "Radiance is at least 0.", everywhere=True)
    remedy = "A city without lights would have no energy: fill it with interpolate, or take the city out with where."
    refuse(panel, np.isnan(radiance), f"{name}: {lights!r} is missing in", remedy)
    energy, shine = groups.value(total), groups.sum(radiance)
    active = groups.any(panel.sample)
    for wrong, what, mend in (
        (np.isnan(energy), f"{total!r} is missing for", "Fill it in, or see that the names of provinces match."),
        (energy < 0, f"{total!r} is negative for", "Mend the cells."),
        (
            (shine <= 0) & (energy > 0),
            f"{lights!r} is 0 in every city of",
            "Energy cannot be spread by nothing: mend the lights, or take the year out with drop_periods.",
        ),
    ):
        if (wrong & active).any():
            raise DataError(f"{name}: {what} {listed(groups.cells(wrong & active))}. {mend}")
    return energy, shine


def fit_line(x: Float[np.ndarray, " cell"], y: Float[np.ndarray, " cell"], intercept: bool) -> dict[str, float]:
    """Fit a line by least squares, with or without an intercept.

    Parameters
    ----------
    x, y
        Values.
    intercept
        Whether the line has one. Without it R2 and F are around zero, not around the mean, and not comparable with the other.

    Returns
    -------
    dict
        ``intercept``, ``slope``, ``std_error`` (of the slope, classical), ``r2``, ``f``, ``nobs``; NaN where there are too few
        values.
    """
    design = np.stack([np.ones_like(x), x], axis=1) if intercept else x[:, None]
    dof = len(x) - design.shape[1]
    coef = np.linalg.lstsq(design, y, rcond=None)[0]
    rest = float(np.sum((y - design @ coef) ** 2))
    spread = float(np.sum((x - (x.mean() if intercept else 0.0)) ** 2))
    error = np.sqrt(rest / dof / spread) if dof > 0 and spread > 0 else float("nan")
    return {
        "intercept": float(coef[0]) if intercept else 0.0,
        "slope": float(coef[-1]),
        "std_error": float(error),
        "r2": r_squared(y, design @ coef, centred=intercept),
        "f": float((coef[-1] / error) ** 2) if error > 0 else float("nan"),
        "nobs": float(len(x)),
    }


def _fits(
    energy: GroupPeriod,
    shine: GroupPeriod,
    used: np.ndarray,
    periods: Sequence[int],
    *,
    intercept: bool,
    by_year: bool,
) -> pd.DataFrame:
    """Fit one line, or one a year; a row a year either way."""
    empty = {key: float("nan") for key in ("intercept", "slope", "std_error", "r2", "f", "nobs")}
    fewest = 2 if intercept else 1
    if by_year:
        rows = [
            fit_line(shine[here, t], energy[here, t], intercept) if here.sum() >= fewest else empty
            for t, here in enumerate(used.T)
        ]
    else:
        rows = [fit_line(shine[used], energy[used], intercept)] * len(periods)
    return pd.DataFrame({"period": list(periods), **{key: [row[key] for row in rows] for key in empty}})


def _fit_note(fits: pd.DataFrame, by_year: bool) -> str:
    line = "through the origin" if (fits["intercept"].fillna(0.0) == 0).all() else "with an intercept"
    if by_year:
        low, high = fits["r2"].min(), fits["r2"].max()
        slopes = f"slope {fits['slope'].min():.4g} to {fits['slope'].max():.4g}"
        return f"one line a year {line}: {slopes}, R2 {low:.3f} to {high:.3f}, F at least {fits['f'].min():.1f}"
    row = fits.iloc[0]
    return (
        f"one line {line}: slope {row['slope']:.4g} (s.e. {row['std_error']:.2g}), R2 {row['r2']:.3f}, F {row['f']:.1f}, "
        f"{row['nobs']:.0f} group-years"
    )


def _sum_note(groups: Groups, apart: GroupPeriod, *, constrain: bool) -> str:
    g, t = np.unravel_index(int(np.argmax(np.abs(apart))), apart.shape)
    worst = f"{groups.names[int(g)]} {groups.panel.periods[int(t)]} by {apart[g, t]:+.0%}"
    if constrain:
        return f"cities add up to their group's total (the fit alone would miss it most in {worst})"
    return f"WARNING: cities do not add up to their group's total, farthest in {worst}; constrain=true makes them"
