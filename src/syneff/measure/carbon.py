r"""Carbon: an inventory of CO2 from the carriers that a city uses.

.. math:: CO2_{it} = \sum_k Q_{ikt} F_{kgt}

with ``Q`` the use of carrier *k* and ``F`` its emission factor, which for electricity is that of the regional grid *g* in
year *t*. City yearbooks print natural gas, liquefied petroleum gas, electricity and heat, and papers on Chinese cities
add up these four; coal and oil products enter where they are known. What is added up is the final use of the carriers
given, so emissions of industry that burns coal itself are missing unless coal is among them.

References
----------
Han, F. and Xie, R. (2017), Does the agglomeration of producer services reduce carbon emissions?, Journal of Quantitative and
Technical Economics 34(3) (the four carriers). IPCC (2006), Guidelines for National Greenhouse Gas Inventories, volume 2.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, one_of, unknown_name
from syneff.measure import factors as factor_table
from syneff.measure.factors import Applied
from syneff.panel.checks import cells, mixed_units, refuse, unit_of
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.steps import undeclared
from syneff.typing import HostUnitPeriod

TONNES = {"t": 1.0, "10^4 t": 1e4, "10^6 t": 1e6}
PER_HEAD = (0.05, 200.0)  # t CO2 a person and year; no city is beyond
MISSING = ("error", "zero")
LABELS = {
    "natural_gas": ("natural gas", "天然气"),
    "lpg": ("liquefied petroleum gas", "液化石油气"),
    "electricity": ("electricity", "电力"),
    "heat": ("heat", "热力"),
    "coal": ("coal", "煤炭"),
}


def carbon_inventory(
    panel: Panel,
    *,
    carriers: Mapping[str, str],
    name: str = "co2",
    grid: str | None = None,
    province: str | None = None,
    basis: Mapping[str, str] | None = None,
    scale: Mapping[str, int | float] | None = None,
    factors_path: str | None = None,
    missing: str = "error",
    unit: str = "10^4 t",
    population: str | None = None,
) -> Panel:
    """Add a column with CO2 emissions, and one a carrier, ``<name>_<carrier>``, that add up to it.

    Parameters
    ----------
    panel
        The panel.
    carriers
        Column of the use, by carrier: natural_gas (10^4 m3), lpg (t), electricity (10^4 kWh), heat (10^4 GJ), coal, coke,
        crude_oil, gasoline, kerosene, diesel, fuel_oil (t), or whatever `factors_path` has.
    name
        The new column.
    grid, province
        Electricity needs one of them, unless its basis is "national": a trait with regional grids (North, Northeast, East,
        Central, Northwest, South, Hainan), or one with provinces, in English or Chinese.
    basis
        Whose factors, by carrier, if not the first ones of the table: "ipcc" or "provincial" for fuels, "average",
        "operating_margin" or "national" for electricity, "guideline" or "boiler" for heat.
    scale
        By carrier, what the column must be multiplied by to be in the factor's unit.
    factors_path
        A table of one's own; see `syneff.measure.factors`.
    missing
        A missing use is an "error" or "zero": yearbooks leave cells empty where a city has no gas or no heating.
    unit
        "t", "10^4 t" or "10^6 t".
    population
        A column in 10^4 persons, to warn where emissions a head are out of any range.

    Returns
    -------
    Panel
        With the columns, a note, and the frame ``<name>_factors`` of the factors used.

    Raises
    ------
    DataError
        If a carrier, a column or a grid is unknown, or a use is negative or missing; cities and years are named.
    SpecError
        If an option is not allowed.
    """
    one_of("carbon_inventory.missing", missing, MISSING)
    one_of("carbon_inventory.unit", unit, TONNES)
    _check_keys(carriers, {"basis": basis, "scale": scale})
    factors, warning = factor_table.table(factors_path)
    found = _grids(panel, grid, province)
    uses, used, warnings = {}, {}, [warning] if warning else []
    for carrier, column in carriers.items():
        kind = (basis or {}).get(carrier)
        used[carrier] = factor_table.applied(factors, panel, carrier, basis=kind, grids_of_units=found)
        uses[carrier], said = _use(panel, name, column, missing=missing)
        warnings += said
    scales = {carrier: (scale or {}).get(carrier, 1.0) / TONNES[unit] for carrier in carriers}
    parts = {carrier: uses[carrier] * used[carrier].values * scales[carrier] for carrier in carriers}
    total = sum(parts.values(), np.zeros(panel.shape))
    warnings += _unit_note(panel, carriers, used, scale or {})
    warnings += [odd for odd in [mixed_units(panel, list(carriers.values()))] if odd]
    warnings += _per_head(panel, name, total * TONNES[unit], population)
    columns = {name: total, **{f"{name}_{carrier}": part for carrier, part in parts.items()}}
    note = f"{name}: {_shares(panel, parts, total)}; {_sources(used)}" + "".join(
        f". WARNING: {each}" for each in warnings
    )
    made = panel.assign(columns, undeclared(panel, _variables(name, carriers, unit)), note + ".")
    return made.detail({f"{name}_factors": pd.concat([each.rows for each in used.values()], ignore_index=True)})


def _check_keys(carriers: Mapping[str, str], options: Mapping[str, Mapping[str, object] | None]) -> None:
    if not carriers:
        raise SpecError("carriers is empty. Give {carrier: column}, e.g. {natural_gas: gas}.")
    for option, given in options.items():
        for carrier in given or {}:
            if carrier not in carriers:
                raise SpecError(unknown_name(f"carrier in {option}:", carrier, carriers))


def _grids(panel: Panel, grid: str | None, province: str | None) -> Sequence[str | None] | None:
    """Return the grid of each unit; None if neither trait is given."""
    trait = grid or province
    if trait is None:
        return None
    if trait not in panel.traits:
        raise DataError(unknown_name("trait for grid or province:", trait, panel.traits))
    labels = panel.traits[trait]
    if grid is not None:
        return [None if each is None else str(each) for each in labels]
    return [factor_table.grid_of(each) or (None if each is None else str(each)) for each in labels]


def _use(panel: Panel, name: str, column: str, *, missing: str) -> tuple[HostUnitPeriod, list[str]]:
    """Return the use of a carrier, checked, and what a reader should know of it."""
    use = panel.column(column)
    refuse(panel, use < 0, f"{name}: {column!r} is negative in", "Use is at least 0.")
    gone = np.isnan(use) & panel.sample
    if missing == "error":
        remedy = "Fill gaps with interpolate, or set missing=zero if an empty cell means that nothing is used."
        refuse(panel, gone, f"{name}: {column!r} is missing in", remedy)
    if missing == "zero" and gone.any():
        said = f"{column} is missing in {int(gone.sum())} city-years and counted as 0 there ({cells(panel, gone)})"
        return np.where(gone, 0.0, use), [said]
    return use, []


def _unit_note(
    panel: Panel, carriers: Mapping[str, str], used: Mapping[str, Applied], scale: Mapping[str, int | float]
) -> list[str]:
    """Say which columns are declared in another unit than their factor is for, and not rescaled."""
    wrong = [
        f"{column} is declared in {unit_of(panel, column)!r}, and the factor of {carrier} is for {used[carrier].unit!r}"
        for carrier, column in carriers.items()
        if unit_of(panel, column) not in ("", used[carrier].unit) and carrier not in scale
    ]
    return [f"{'; '.join(wrong)}: rescale with scale={{carrier: factor}}"] if wrong else []


def _per_head(panel: Panel, name: str, tonnes: HostUnitPeriod, population: str | None) -> list[str]:
    """Warn where emissions a head are so far out that a unit must be wrong."""
    if population is None:
        return []
    people = panel.column(population)
    head = tonnes / np.where(people > 0, people * 1e4, np.nan)
    odd = panel.sample & ~np.isnan(head) & ((head < PER_HEAD[0]) | (head > PER_HEAD[1]))
    if not odd.any():
        return []
    median = float(np.nanmedian(np.where(panel.sample, head, np.nan)))
    return [
        f"{name} a head is outside {PER_HEAD[0]:g} to {PER_HEAD[1]:g} t in {int(odd.sum())} city-years ({cells(panel, odd)}; "
        f"median of all {median:.3g} t): units seem mixed by a factor of a thousand"
    ]


def _shares(panel: Panel, parts: Mapping[str, HostUnitPeriod], total: HostUnitPeriod) -> str:
    """Say what part of all emissions each carrier has."""
    whole = float(np.nansum(np.where(panel.sample, total, 0.0)))
    if whole <= 0:
        return "no emissions"
    shares = {carrier: float(np.nansum(np.where(panel.sample, part, 0.0))) / whole for carrier, part in parts.items()}
    return "CO2 of " + ", ".join(f"{carrier} {share:.1%}" for carrier, share in shares.items())


def _sources(used: Mapping[str, Applied]) -> str:
    """Say whose factors they are, which years borrow another's, and which are not checked against their publication."""
    said = [f"{carrier} ({each.rows['basis'].iloc[0] or 'own'})" for carrier, each in used.items()]
    borrowed = [f"{carrier}: {each.note}" for carrier, each in used.items() if each.note]
    doubtful = [
        f"{carrier} {listed(str(int(year)) for year in open_rows['year'].dropna())}".strip()
        for carrier, each in used.items()
        if len(open_rows := each.rows[each.rows["checked"] == "no"])
    ]
    parts = [f"factors of {', '.join(said)}", *borrowed]
    if doubtful:
        parts.append(f"factors entered without the publication at hand, to be compared with it: {', '.join(doubtful)}")
    return "; ".join(parts)


def _variables(name: str, carriers: Mapping[str, str], unit: str) -> dict[str, Variable]:
    variables = {name: Variable("CO2 emissions", "二氧化碳排放量", unit)}
    for carrier in carriers:
        words = LABELS.get(carrier, (carrier, carrier))
        variables[f"{name}_{carrier}"] = Variable(f"CO2 of {words[0]}", f"{words[1]}二氧化碳排放量", unit)
    return variables
