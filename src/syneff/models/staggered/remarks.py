"""What the user should know of a sample of cohorts and its group-time effects, and what there must be for any."""

from collections.abc import Sequence

import numpy as np

from syneff.errors import DataError, SpecError
from syneff.models.base import FEW_CLUSTERS, Estimate, Spec
from syneff.models.design import sample_of
from syneff.models.staggered.cohorts import adoption_in_sample
from syneff.models.staggered.group_time import Plan, Rule, plan_of
from syneff.models.staggered.terms import GroupTimeDesign
from syneff.panel.panel import Panel
from syneff.panel.rules import listed

FEW_BEYOND_CONTROLS = 5
"""Units that a cohort should have beyond the number of controls, as did asks."""
FAILURES = {
    "few_controls": "the untreated do not identify the regression on the controls",
    "separated": "the controls separate the treated from the untreated",
    "no_overlap": "a propensity score reaches 0.999",
    "not_converged": "the logit does not converge",
}


def check_weights(panel: Panel, weights: np.ndarray) -> None:
    """Raise a `SpecError` where the weight of a unit changes over its periods, other than to 0."""
    inside = weights > 0
    most = weights.max(1)
    changing = np.flatnonzero((inside & ~np.isclose(weights, most[:, None], rtol=1e-12)).any(1))
    if changing.size:
        raise SpecError(
            f"CallawaySantAnna: the weight of {panel.names[changing[0]]} changes over its periods ({changing.size} units in "
            "all), but a change between two periods has one weight. Give each unit one weight; 0 takes rows out."
        )


def check_cells(panel: Panel, cells: Sequence[tuple[int, int]], control_group: str) -> None:
    """Raise a `DataError` where no treated period can be compared with anything."""
    if not any(period >= group for group, period in cells):
        raise DataError(
            "CallawaySantAnna: no cohort has a base period, a treated period and units to compare with "
            f"(control_group={control_group}). Check anticipation, the rows that steps and missing values leave, or use "
            "gaps=pairs."
        )


def remarks(panel: Panel, spec: Spec, rule: Rule, design: GroupTimeDesign, estimate: Estimate) -> tuple[str, ...]:
    """Say which units were left out, which effects are missing or rest on few units, and what was drawn."""
    plan: Plan = plan_of(design, rule)[0]
    cohort, weights, seen = (np.asarray(each) for each in (plan.cohort, plan.weights, plan.seen))
    said = list(sample_of(panel, spec).notes())
    first = int(np.argmax(seen.any(0)))
    early = seen.any(1) & (cohort <= first + rule.anticipation)
    if early.any():
        years = f" or within {rule.anticipation} periods after it" if rule.anticipation else ""
        said.append(
            f"{early.sum()} units left out: treated from the first period on{years}, so they have no base: "
            f"{listed(panel.names[each] for each in np.flatnonzero(early))}"
        )
    gaps = seen.any(1) & ~early & (weights == 0)
    if gaps.any():
        said.append(
            f"{gaps.sum()} units left out: some of their periods are missing: "
            f"{listed(panel.names[each] for each in np.flatnonzero(gaps))}; gaps=pairs keeps what can be compared"
        )
    adopted = np.asarray(adoption_in_sample(design.regressors[:, :, 0], design.weights))
    said += _of_comparisons(panel, rule, adopted[weights > 0])
    said += _of_groups(panel, spec, cohort[weights > 0])
    said += _of_cells(estimate)
    return (*said, *_of_inference(estimate))


def _of_comparisons(panel: Panel, rule: Rule, adopted: np.ndarray) -> list[str]:
    last = int(adopted.max())
    if rule.control_group == "never" or last == len(panel.periods):
        return []
    return [
        f"no unit is never treated: those that adopt last, in {panel.periods[last]}, stand for them; their effects and all "
        f"periods from {panel.periods[last - rule.anticipation]} on are left out"
    ]


def _of_groups(panel: Panel, spec: Spec, cohort: np.ndarray) -> list[str]:
    said, never = [], len(panel.periods)
    wanted = len(spec.controls) + FEW_BEYOND_CONTROLS
    sizes = {int(each): int((cohort == each).sum()) for each in np.unique(cohort)}
    small = [f"{panel.periods[each]} ({size})" for each, size in sizes.items() if each < never and size < wanted]
    if small:
        said.append(
            f"few units adopt in {listed(small)}: with fewer than {wanted} their standard errors are too "
            "small, and pre_trend rejects too often"
        )
    if sizes.get(never, wanted) < wanted:
        said.append(f"only {sizes[never]} units are never treated: fewer than {wanted} to compare with")
    return said


def _of_cells(estimate: Estimate) -> list[str]:
    cells = estimate.details["group_time"]
    failed = cells[cells["status"] != "ok"]
    if not len(failed):
        return []
    causes = []
    for status, rows in failed.groupby("status", sort=False):
        named = listed(f"{group} in {period}" for group, period in zip(rows["group"], rows["period"], strict=True))
        causes.append(f"{named} ({FAILURES[str(status)]})")
    return [
        f"{len(failed)} of {len(cells)} group-time effects cannot be estimated and are left out of all averages, cohort in "
        f"period: {'; '.join(causes)}"
    ]


def _of_inference(estimate: Estimate) -> list[str]:
    said = []
    clusters = float(estimate.stats["n_clusters"])
    if clusters < FEW_CLUSTERS:
        said.append(f"only {clusters:g} clusters: with fewer than {FEW_CLUSTERS} standard errors can be far too small")
    untested = [test.name for test in estimate.tests if np.isnan(float(test.pvalue))]
    if untested:
        said.append(
            f"no {' and no '.join(untested)}: the effects before adoption are linearly dependent, as with more of them than "
            "clusters, or a cohort of fewer units than periods before it"
        )
    critical = {
        name.partition(":")[2]: float(value)
        for name, value in estimate.stats.items()
        if name.startswith("critical_value:")
    }
    if critical:
        values = ", ".join(f"{value:.3f} ({family})" for family, value in critical.items())
        draws = int(estimate.stats["multiplier_draws"])
        said.append(f"uniform 95 % bands from {draws:,} multiplier draws, critical values: {values}")
    return said
