r"""The meta-frontier and its gap: how far a group's technology is from everybody's.

Groups (regions, income classes) may work under different technologies. A unit *o* of group *g* is scored by plain SBM twice:
against its own group's frontier and against the meta-frontier, which all groups span together. The technology gap ratio

.. math:: \mathrm{TGR}_o = \frac{\rho^{\mathrm{meta}}_o}{\rho^{g}_o} \in (0, 1]

is 1 where the group's frontier touches the meta-frontier (Battese, Rao and O'Donnell 2004,
doi:10.1023/B:PROD.0000012454.06094.29; O'Donnell, Rao and Battese 2008, doi:10.1007/s00181-007-0119-4). It is at most 1
because the group's rows are among the meta-frontier's; super-efficiency would break that, as it leaves out a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from syneff.errors import SpecError
from syneff.measure.efficiency import Weights, slacks_based
from syneff.measure.result import Efficiency
from syneff.measure.rows import panel_technology
from syneff.measure.technology import Technology
from syneff.panel.panel import Panel, Variable
from syneff.typing import Float


@dataclass(frozen=True, eq=False)
class Metafrontier:
    """Scores under both frontiers.

    Attributes
    ----------
    ratio
        ``[dmu]``: technology gap ratio; NaN where one of the scores is.
    meta, group
        Plain SBM against everybody and against the own group.
    """

    ratio: Float[np.ndarray, " dmu"]
    meta: Efficiency
    group: Efficiency


def metafrontier(
    technology: Technology,
    orientation: str = "none",
    bads: str = "outputs",
    solver: str = "interior_point",
    *,
    weights: Weights | None = None,
) -> Metafrontier:
    """Measure the technology gap ratio of every unit.

    Parameters
    ----------
    technology
        Data with the label of each row in `group`. Any reference set will do: under "contemporaneous" both frontiers are
        those of the row's period.
    orientation, bads, solver, weights
        See `slacks_based`.

    Returns
    -------
    Metafrontier

    Raises
    ------
    SpecError
        If the technology has no groups, or an option is not allowed.
    """
    if technology.group is None:
        raise SpecError("a meta-frontier needs the group of each row. Give Technology(group=...).")
    everybody = replace(technology, group=None)
    meta, group = (
        slacks_based(each, False, orientation, bads, solver, weights=weights) for each in (everybody, technology)
    )
    return Metafrontier(meta.score / group.score, meta, group)


def technology_gap(
    panel: Panel,
    *,
    name: str,
    inputs: Sequence[str],
    good: str | Sequence[str],
    group: str,
    bad: str | Sequence[str] = (),
    returns: str = "crs",
    reference: str = "global",
    window: int | None = None,
    zeros: str = "error",
    orientation: str = "none",
    bads: str = "outputs",
    solver: str = "interior_point",
    weights: Weights | None = None,
) -> Panel:
    """Add the technology gap ratio and the two scores that it is made of.

    Parameters
    ----------
    panel
        The panel.
    name
        Name of the ratio; the scores become ``<name>_meta`` and ``<name>_group``.
    inputs, good, bad
        Names of columns; a single name may stand for itself.
    group
        Name of the trait or column with the groups.
    returns, reference, window, zeros, orientation, bads, solver, weights
        See `Technology` and `slacks_based`.

    Returns
    -------
    Panel
        With three columns, NaN where a row was not measured, and a note with the mean ratio of every group.

    Raises
    ------
    DataError
        If a column is missing, no row is complete, a label is missing, or a value is not positive.
    SpecError
        If an option is not allowed.
    """
    technology, measured = panel_technology(
        panel,
        {"inputs": inputs, "good": good, "bad": bad},
        returns=returns,
        reference=reference,
        window=window,
        group=group,
        zeros=zeros,
    )
    result = metafrontier(technology, orientation, bads, solver, weights=weights)
    columns = {name: result.ratio, f"{name}_meta": result.meta.score, f"{name}_group": result.group.score}
    labels = np.asarray(technology.group)
    means = ", ".join(f"{each} {np.nanmean(result.ratio[labels == each]):.4f}" for each in np.unique(labels))
    ends = [each.summary(measured.names) for each in (result.meta, result.group)]
    said = f"{measured.note}; mean ratio: {means}; meta-frontier: {ends[0]}; group frontiers: {ends[1]}"
    return panel.assign(
        {each: measured.cube(values) for each, values in columns.items()},
        {
            name: Variable(f"Technology gap ratio by {group}", "技术落差比", "-"),
            f"{name}_meta": Variable("Efficiency under the meta-frontier", "共同前沿效率", "-"),
            f"{name}_group": Variable(f"Efficiency under the frontier of the own {group}", "群组前沿效率", "-"),
        },
        f"{name}: {said}",
    )
