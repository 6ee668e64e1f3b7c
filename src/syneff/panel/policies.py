"""Traits of cities that designs are made of: groups, ranks, and policies other than the one studied.

A dummy of another pilot is `treat_from_year` under another name (``name: low_carbon, trait: low_carbon_year``), named here too.
A group is a trait that is 1 for some cities; heterogeneity, matching within groups and trends by group take it from there.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from syneff.errors import DataError, SpecError, unknown_name
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.samples import holds
from syneff.panel.samples import treat_from_year as treat_from_year
from syneff.panel.steps import undeclared
from syneff.typing import HostTrait

RANKS = {
    "municipality": "直辖市",
    "sub-provincial": "副省级城市",
    "capital": "省会城市",
    "ordinary": "普通地级市",
}


def group_dummy(
    panel: Panel,
    *,
    name: str,
    trait: str | None = None,
    values: Sequence[str | int | float] = (),
    condition: str | None = None,
    label: str = "",
    label_zh: str = "",
) -> Panel:
    """Add a trait that is 1 for the cities of a group and 0 for the others.

    Parameters
    ----------
    panel
        The panel.
    name
        The new trait.
    trait, values
        The group has one of these values of a trait. A city whose trait is missing has none.
    condition
        In place of them: an expression of columns and traits (see `where`) that does not change over a city's years in the
        sample, e.g. ``lat > 33`` or ``adoption_year == adoption_year``.
    label, label_zh
        What the trait means; its name if empty.

    Returns
    -------
    Panel
        With the trait, and a note of the sizes of both groups.

    Raises
    ------
    DataError
        If a name is unknown, no city has one of the values, or the condition changes within a city: cities are named.
    SpecError
        If neither or both of trait and condition are given.
    """
    if (trait is None) == (condition is None):
        raise SpecError(f"{name}: give either trait= and values=, or condition=.")
    _free(panel, name)
    if trait is not None:
        dummy, said = _member(panel, name, trait, values), f"{trait} is {' or '.join(map(str, values))}"
    else:
        dummy, said = _condition(panel, str(condition)), str(condition)
    inside = panel.sample.any(axis=1)
    ones, zeros = (int((inside & (dummy == each)).sum()) for each in (1.0, 0.0))
    unknown = np.isnan(dummy) & inside
    note = f"{name} = 1 where {said}: {ones} cities, and 0 for {zeros}"
    if unknown.any():
        note += f"; missing for {listed(panel.names[i] for i in np.flatnonzero(unknown))}"
    return _with_trait(panel, name, dummy, Variable(label or name, label_zh or name, "0/1"), note + ".")


def _free(panel: Panel, name: str) -> None:
    if name in panel.columns:
        raise DataError(f"{name!r} is a column of the panel already. Give the trait another name.")


def _member(panel: Panel, name: str, trait: str, values: Sequence[str | int | float]) -> HostTrait:
    if trait not in panel.traits:
        raise DataError(unknown_name("trait for group_dummy:", trait, panel.traits, "Join it with source.units_path."))
    if not values:
        raise SpecError(f"{name}: values is empty. Give the values of {trait!r} that make the group.")
    labels = panel.traits[trait].tolist()
    present = {each for each in labels if each is not None and each == each}
    for value in values:
        if value not in present:
            raise DataError(unknown_name(f"value of {trait!r}:", value, sorted(map(str, present))))
    return np.array([float(each in values) if each in present else np.nan for each in labels])


def _condition(panel: Panel, condition: str) -> HostTrait:
    held = holds(panel, condition, "condition")
    # A city without any row in the sample is judged by all its rows.
    used = panel.sample | ~panel.sample.any(axis=1, keepdims=True)
    share = np.where(used, held, 0.0).sum(axis=1) / used.sum(axis=1)
    moving = (share > 0.0) & (share < 1.0)
    if moving.any():
        raise DataError(
            f"condition {condition!r} changes over the years of {listed(panel.names[i] for i in np.flatnonzero(moving))}. "
            "A group must be one for all years: compare traits, or a column that does not change."
        )
    return np.asarray(share)


def rank(
    panel: Panel,
    *,
    name: str = "rank",
    municipality: str = "municipality",
    sub_provincial: str = "sub_provincial",
    capital: str = "prov_capital",
) -> Panel:
    """Add the administrative rank of cities as text: municipality, sub-provincial, capital or ordinary.

    A city that is several is the first of them in this order: Wuhan, a provincial capital and sub-provincial, is
    sub-provincial.

    Parameters
    ----------
    panel
        The panel.
    name
        The new trait.
    municipality, sub_provincial, capital
        Traits that are 1 for cities of the rank, and 0 or missing for the others.

    Returns
    -------
    Panel
        With the trait and a note that counts cities, and names the rule for those that are several.

    Raises
    ------
    DataError
        If a trait is unknown, or is not 0, 1 or missing.
    """
    _free(panel, name)
    dummies = [_dummy(panel, trait) for trait in (municipality, sub_provincial, capital)]
    labels = np.select(dummies, list(RANKS)[:3], "ordinary").astype(object)
    inside = panel.sample.any(axis=1)
    counts = ", ".join(f"{int((inside & (labels == each)).sum())} {each}" for each in RANKS)
    several = int((inside & (np.sum(dummies, axis=0) > 1)).sum())
    note = f"{name}: {counts}; {several} cities are several of these and count as the first"
    return _with_trait(panel, name, labels, Variable("Administrative rank", "行政等级", "-"), note + ".")


def _dummy(panel: Panel, trait: str) -> np.ndarray:
    if trait not in panel.traits:
        raise DataError(unknown_name("trait for rank:", trait, panel.traits, "Join it with source.units_path."))
    values = panel.traits[trait]
    numeric = np.issubdtype(values.dtype, np.number)
    wrong = [i for i in range(len(values)) if not numeric or (values[i] not in (0, 1) and not np.isnan(values[i]))]
    if wrong:
        raise DataError(
            f"trait {trait!r} must be 0, 1 or missing, but is {values[wrong[0]]!r} for {panel.names[wrong[0]]}."
        )
    return np.asarray(values == 1)


def _with_trait(panel: Panel, name: str, values: HostTrait, variable: Variable, note: str) -> Panel:
    made = panel.assign({}, undeclared(panel, {name: variable}), note)
    return replace(made, traits={**panel.traits, name: values})
