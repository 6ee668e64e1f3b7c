"""Spillovers without a spatial model: who is exposed to the treatment of others, and the comparison without the exposed.

A control city beside a treated one may be treated in part, and then the two-way estimate compares treated with half treated.
`exposure` adds the column that says who is; as a control it moves the comparison to cities out of reach, and
`drop_exposed_controls` takes the exposed out of the comparison altogether. `syneff.spatial.rings` estimates the spillover by
distance.
"""

import numpy as np
import pandas as pd

from syneff.errors import DataError, one_of
from syneff.panel.panel import Panel, Variable
from syneff.panel.rules import listed
from syneff.panel.steps import undeclared
from syneff.spatial.weights import MakeWeights, Weights, weights_of
from syneff.typing import HostUnitPeriod

KINDS = ("share", "any")


def exposure(
    panel: Panel,
    *,
    weights: Weights | MakeWeights,
    treatment: str = "treat",
    name: str = "exposure",
    kind: str = "share",
) -> Panel:
    r"""Add a unit's exposure to the treatment of its neighbours.

    .. math:: \text{share: } \sum_j w_{ij} D_{jt}, \qquad \text{any: } 1[\sum_j w_{ij} D_{jt} > 0]

    With row-standardised contiguity the share is that of treated neighbours; with distances up to a cut-off, "any" is "treated
    within so many kilometres". Only units of the sample count as neighbours. A unit that W leaves out, such as a dropped
    island, has no exposure (missing); an island that W keeps has 0.

    Parameters
    ----------
    panel
        The panel.
    weights
        The weights, or a function that makes them of the panel.
    treatment
        Column of the treatment. Where a unit out of the sample lacks it, its last known value counts, 0 before the first.
    name
        The new column.
    kind
        "share" or "any".

    Returns
    -------
    Panel
        With a note of the rows exposed, and the notes of the weights.

    Raises
    ------
    DataError
        If the treatment is unknown or missing in the sample, or the weights do not fit the panel.
    SpecError
        If `kind` is not allowed.
    """
    one_of("exposure.kind", kind, KINDS)
    found = weights_of(panel, weights)
    rows = found.rows(panel)
    lag = found.matrix @ treatment_everywhere(panel, treatment)[rows]
    column = np.full(panel.shape, np.nan)
    column[rows] = lag if kind == "share" else (lag > 0).astype(float)
    exposed = panel.sample & (column > 0)
    untreated = panel.sample & (panel.column(treatment) == 0)
    said = (
        f"exposure: {name} ({kind}, weights {found.name}) is above 0 in {exposed.sum()} of {panel.sample.sum()} rows, "
        f"{(exposed & untreated).sum()} of {untreated.sum()} untreated ones"
    )
    word, word_zh = (
        ("Share of neighbours treated", "受处理邻近城市比重")
        if kind == "share"
        else (
            "A neighbour is treated",
            "邻近城市受处理",
        )
    )
    variable = Variable(f"{word} ({found.name})", f"{word_zh} ({found.name})", "-" if kind == "share" else "0/1")
    alone = int((~(found.links > 0).any(axis=1)).sum())
    said += f"; {alone} units have no neighbour" if alone else ""
    return panel.assign(
        {name: column}, undeclared(panel, {name: variable}), note=". ".join([said, *_left_out(found)]) + "."
    )


def _left_out(weights: Weights) -> tuple[str, ...]:
    """Say what was done to the links; that an island kept has exposure 0 is no news, and they may be many."""
    return weights.notes if weights.policy == "drop" else weights.remarks


def drop_exposed_controls(
    panel: Panel, *, exposure: str = "exposure", treatment: str = "treat", whole_units: bool = False
) -> Panel:
    """Take untreated rows that are exposed out of the sample.

    A city that adopts later loses its exposed years before adoption; its treated years stay, exposed or not, so that the
    effect is that on cities as they are, compared with cities out of reach.

    Parameters
    ----------
    panel
        The panel.
    exposure
        Column of the exposure; rows above 0 are exposed, and rows without a value count as exposed.
    treatment
        Column of the treatment.
    whole_units
        Take never-treated units that are ever exposed out in all years.

    Returns
    -------
    Panel
        With a note of the rows and units taken out.

    Raises
    ------
    DataError
        If a column is unknown, or no untreated row is left.
    """
    treated = treatment_everywhere(panel, treatment) > 0
    hit = ~(panel.column(exposure) <= 0) & ~treated
    if whole_units:
        never = ~(treated & panel.sample).any(axis=1)
        hit |= (never & (hit & panel.sample).any(axis=1))[:, None]
    out = panel.sample & hit
    left = panel.sample & ~hit
    if not (left & ~treated).any():
        raise DataError(
            f"drop_exposed_controls: all {out.sum()} untreated rows are exposed ({exposure} > 0), so nothing is left to "
            "compare with. Use weights of shorter reach."
        )
    gone = panel.sample.any(axis=1) & ~left.any(axis=1)
    named = listed(panel.names[at] for at in np.flatnonzero(gone).tolist())
    said = (
        f"drop_exposed_controls: {out.sum()} exposed untreated rows of {out.any(axis=1).sum()} units left out; "
        f"{(left & ~treated).sum()} untreated rows are left"
    )
    return panel.reweight(
        np.where(hit, 0.0, panel.weights), note=said + (f"; units without any row: {named}." if named else ".")
    )


def treatment_everywhere(panel: Panel, treatment: str) -> HostUnitPeriod:
    """Return the treatment of every cell: where it is missing out of the sample, the last known value, 0 before the first.

    Raises
    ------
    DataError
        If the treatment is unknown, or missing in the sample: cities and years are named.
    """
    values = panel.column(treatment)
    missing = panel.sample & np.isnan(values)
    if missing.any():
        cells = listed(f"{panel.names[i]} {panel.periods[t]}" for i, t in np.argwhere(missing).tolist())
        raise DataError(f"column {treatment!r} is missing in {missing.sum()} rows of the sample: {cells}. Fill it.")
    return np.asarray(pd.DataFrame(values).ffill(axis=1).fillna(0.0).to_numpy(dtype=float))
