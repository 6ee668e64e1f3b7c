r"""Group-time effects: the effect on those who adopt in ``g``, in period ``t``, from one comparison of two periods each.

.. math:: ATT(g, t) = E[Y_t(g) - Y_t(\infty) \mid G = g]

Period ``t`` is compared with a base ``b``: with ``a`` periods of anticipation the last period before ``g - a``; before
adoption, under a *varying* base, the period before ``t`` (a pre-test of one step), under a *universal* one the same base as
afterwards. The comparison group is never treated, or not yet treated by the later of both periods. Every possible adoption
period is a group, so all designs of a panel have one shape; a group without units has no weight.

References
----------
Callaway, B. and Sant'Anna, P. H. C. (2021). Journal of Econometrics 225, 200-230.
https://doi.org/10.1016/j.jeconom.2020.12.001
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from syneff.models.base import Design
from syneff.models.staggered.cohorts import adoption_in_sample
from syneff.numerics.doubly_robust import CellStatus, Comparison, compare, standardised
from syneff.typing import Array, Bool, Float, Int, UnitPeriod

CONTROL_GROUPS = ("never", "not_yet")
BASE_PERIODS = ("varying", "universal")
GAPS = ("drop", "pairs")


@dataclass(frozen=True)
class Rule:
    """Who is compared with whom, and when.

    Attributes
    ----------
    control_group
        One of `CONTROL_GROUPS`.
    base_period
        One of `BASE_PERIODS`.
    anticipation
        Periods before adoption in which the treatment may already work.
    gaps
        "drop" leaves out a unit that lacks any period of the sample, "pairs" only from comparisons whose periods it lacks.
    """

    control_group: str
    base_period: str
    anticipation: int
    gaps: str


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["cohort", "weights", "seen", "base", "defined"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Plan:
    """All comparisons of a sample.

    Attributes
    ----------
    cohort
        ``[unit]``: index of the adoption period; the number of periods for the never treated.
    weights
        ``[unit]``: 0 for units outside the sample, with gaps, or treated too early to have a base.
    seen
        ``[unit period]``: rows of the sample.
    base
        ``[group period]``: index of the base; -1 for none.
    defined
        ``[group period]``: whether there is a base other than the period itself.
    """

    cohort: Int[Array, " unit"]
    weights: Float[Array, " unit"]
    seen: Bool[Array, "unit period"]
    base: Int[Array, "group period"]
    defined: Bool[Array, "group period"]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["plan", "effect", "influence", "status", "treated", "controls"],
    meta_fields=[],
)
@dataclass(frozen=True)
class GroupTime:
    """All group-time effects.

    Attributes
    ----------
    plan
        What was compared.
    effect
        ``[group period]``; NaN unless the status is OK.
    influence
        ``[unit group period]``: what each unit adds to the error of each effect.
    status
        ``[group period]``: a `CellStatus` each.
    treated, controls
        ``[group period]``: numbers of units compared.
    """

    plan: Plan
    effect: Float[Array, "group period"]
    influence: Float[Array, "unit group period"]
    status: Int[Array, "group period"]
    treated: Float[Array, "group period"]
    controls: Float[Array, "group period"]

    @property
    def known(self) -> Bool[Array, "group period"]:
        """Which effects are estimated."""
        return self.status == int(CellStatus.OK)


def plan_comparisons(path: UnitPeriod, weights: UnitPeriod, rule: Rule) -> Plan:
    """Find cohorts, bases, and the units that can be used.

    Without a never treated unit, "not_yet" lets the last cohort stand for them, and ends where it is treated.

    Parameters
    ----------
    path
        ``[unit period]``: the treatment, 0 before and 1 from adoption on, outside the sample too.
    weights
        ``[unit period]``: those of a unit are alike, or 0.
    rule
        Who is compared with whom.
    """
    periods = weights.shape[1]
    order = jnp.arange(periods)
    seen = weights > 0
    there = seen.any(0)
    cohort = adoption_in_sample(path, weights)
    own = jnp.where(cohort <= jnp.argmax(there) + rule.anticipation, 0.0, weights.max(1))
    if rule.gaps == "drop":
        own = jnp.where((seen | ~there[None, :]).all(1), own, 0.0)
    usable = there
    if rule.control_group == "not_yet":
        last = jnp.where(own > 0, cohort, -1).max()
        cohort = jnp.where(cohort == last, periods, cohort)
        usable = there & ((last == periods) | (order < last - rule.anticipation))
    latest = jax.lax.cummax(jnp.where(there, order, -1))
    before = jnp.concatenate([jnp.full(1, -1, latest.dtype), latest[:-1]])  # of each period, the one before it
    long = jnp.where(order < rule.anticipation, -1, before[jnp.maximum(order - rule.anticipation, 0)])
    after = (order[None, :] >= order[:, None]) | (rule.base_period == "universal")
    base = jnp.where(after, long[:, None], before[None, :])
    defined = usable[None, :] & (base >= 0) & (base != order[None, :])
    return Plan(cohort, own, seen, base, defined)


def compared(plan: Plan, rule: Rule, group: Int[Array, ""], period: Int[Array, ""]) -> tuple[Array, Array]:
    """Return which units are treated in a comparison, and the weights ``[unit]`` of all that are compared."""
    never = plan.cohort == plan.seen.shape[1]
    base = jnp.maximum(plan.base[group, period], 0)
    control = never
    if rule.control_group == "not_yet":
        later = plan.cohort > jnp.maximum(period, base) + rule.anticipation
        control = never | (later & (plan.cohort != group))
    treated = plan.cohort == group
    inside = (treated | control) & plan.seen[:, period] & plan.seen[:, base] & plan.defined[group, period]
    return treated, jnp.where(inside, plan.weights, 0.0)


def comparison_sizes(plan: Plan, rule: Rule) -> tuple[Float[Array, "group period"], Float[Array, "group period"]]:
    """Return the numbers of treated and untreated units of all comparisons."""

    def sizes(group: Array, period: Array) -> tuple[Array, Array]:
        treated, weights = compared(plan, rule, group, period)
        inside = weights > 0
        return (inside & treated).sum().astype(float), (inside & ~treated).sum().astype(float)

    order = jnp.arange(plan.seen.shape[1])
    return jax.vmap(lambda group: jax.vmap(lambda period: sizes(group, period))(order))(order)


def plan_of(design: Design, rule: Rule) -> tuple[Plan, Array, Array]:
    """Return the comparisons of a design, and the numbers of treated and untreated units ``[group period]`` in each."""
    planned: tuple[Plan, Array, Array] = _plan_of(design.regressors[:, :, 0], design.weights, rule)
    return planned


@partial(jax.jit, static_argnums=2)
def _plan_of(path: UnitPeriod, weights: UnitPeriod, rule: Rule) -> tuple[Plan, Array, Array]:
    plan = plan_comparisons(path, weights, rule)
    return plan, *comparison_sizes(plan, rule)


def group_time_effects(design: Design, rule: Rule, method: str) -> GroupTime:
    """Estimate all group-time effects; pure array code, safe under ``jit`` and ``vmap``.

    Parameters
    ----------
    design
        Whose first regressor is the whole path of the treatment, the others being the covariates, taken at the base.
    rule, method
        Who is compared with whom, and how; see `syneff.numerics.doubly_robust`.
    """
    plan = plan_comparisons(design.regressors[:, :, 0], design.weights, rule)
    order = jnp.arange(design.weights.shape[1])
    columns = standardised(design.regressors[:, :, 1:], plan.seen)

    def cell(group: Array, period: Array) -> Comparison:
        base = jnp.maximum(plan.base[group, period], 0)
        treated, weights = compared(plan, rule, group, period)
        change = design.outcome[:, period] - design.outcome[:, base]
        return compare(change, columns[base], treated, weights, method)

    # Groups one after another: their arrays stay in the cache, also of a batch of draws.
    found = jax.lax.map(lambda group: jax.vmap(lambda period: cell(group, period))(order), order)
    treated, controls = comparison_sizes(plan, rule)
    influence = jnp.moveaxis(found.influence, 2, 0)
    return GroupTime(plan, found.effect, influence, found.status, treated, controls)
