"""Many regressions of one shape as one batch: outcomes, controls and samples differ, effects and clusters agree.

Rows are weights and effects are axes, so what is left to make shapes equal is the number of controls: those of a member are
padded with zeros to the widest. A column of zeros has no pivot and is dropped by the solver without a trace in coefficients,
degrees of freedom or R2.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp

from syneff.errors import DataError, SpecError
from syneff.models.base import Design, Estimate, Estimator, Status
from syneff.models.fixed_effects import FixedEffects
from syneff.panel.panel import Panel

Models = Mapping[str, Estimator] | Sequence[Estimator]
Samples = Mapping[str, Callable[[Panel], Panel] | None]

AGREE = ("effects", "cluster", "covariance", "small_sample")
"""What all members of a batch have in common."""


@dataclass(frozen=True)
class Member:
    """A regression of the batch.

    Attributes
    ----------
    name
        Name of the model and, where there are any, of the sample: ``syeff/inland``.
    model
        The estimator.
    panel
        The panel that its sample makes.
    design
        Its arrays.
    """

    name: str
    model: FixedEffects
    panel: Panel
    design: Design

    @property
    def term(self) -> str:
        """Its treatment among those of the others: ``syeff/inland:treat``."""
        return f"{self.name}:{self.model.spec.treatment}"


def named(models: Models) -> dict[str, FixedEffects]:
    """Name models by their outcomes where they have no names, and check that they make one batch.

    Raises
    ------
    SpecError
        If there are none, two share a name, one is no `FixedEffects`, or they disagree in `AGREE`.
    """
    each = list(models.values()) if isinstance(models, Mapping) else list(models)
    names = list(models) if isinstance(models, Mapping) else [model.spec.outcome for model in each]
    if not each:
        raise SpecError("Family has no models. Give one or more, e.g. models={'syeff': FixedEffects(spec)}.")
    shared = [name for name, count in Counter(names).items() if count > 1]
    if shared:
        raise SpecError(
            f"Family: {Counter(names)[shared[0]]} models are called {shared[0]!r}. "
            "Give each its own name: models={'first': ..., 'second': ...}."
        )
    found: dict[str, FixedEffects] = {}
    for name, model in zip(names, each, strict=True):
        if type(model) is not FixedEffects:  # A subclass would lose what it overrides.
            raise SpecError(f"Family: model {name!r} is {type(model).__name__}, but only FixedEffects can be stacked.")
        for field in AGREE:
            first, own = getattr(each[0].spec, field), getattr(model.spec, field)
            if own != first:
                raise SpecError(
                    f"Family: models cannot be stacked, spec.{field} is {first!r} in {names[0]!r} and {own!r} in {name!r}. "
                    "Give all the same, or make two families."
                )
        found[name] = model
    return found


def members_of(models: Models, samples: Samples, panel: Panel) -> tuple[Member, ...]:
    """Design every model on every sample.

    Parameters
    ----------
    models
        By name, or a list named by outcomes.
    samples
        Steps by name, each of which chooses or weights the rows of the panel; None is the panel as it is. Without any
        there is that one, and members are called as their models.
    panel
        The data.

    Raises
    ------
    SpecError
        If a step changes units or periods, or clusters.
    DataError
        Whatever a design finds wrong, with the member's name before it.
    """
    members: list[Member] = []
    for sample, step in (samples or {"": None}).items():
        made = panel if step is None else step(panel)
        if made.units != panel.units or made.periods != panel.periods:
            raise SpecError(
                f"Family: sample {sample!r} changes the units or periods of the panel. Take rows out by weights, e.g. by "
                "syneff.panel.samples.where."
            )
        for name, model in named(models).items():
            called = f"{name}/{sample}" if sample else name
            try:
                members.append(Member(called, model, made, model.design(made)))
            except DataError as error:
                raise DataError(f"{called}: {error}") from error
    crossing = [each.name for each in members if (each.design.cluster != members[0].design.cluster).any()]
    if crossing:
        raise SpecError(
            f"Family: clusters of {crossing[0]!r} are not those of {members[0].name!r}; samples must keep them."
        )
    return tuple(members)


def stack(members: Sequence[Member]) -> tuple[FixedEffects, Design]:
    """Return the model that fits any member, and the designs of all, with leading axis ``member``."""
    width = max(member.design.regressors.shape[2] for member in members)
    spec = replace(
        members[0].model.spec,
        outcome="outcome",
        treatment="treatment",
        controls=tuple(f"control {number}" for number in range(1, width)),
        instruments=(),
    )
    balanced = all(member.design.balanced for member in members)
    alike = [_pad(member.design, spec.regressors, balanced) for member in members]
    return FixedEffects(spec), cast(Design, jax.tree.map(lambda *leaves: jnp.stack(leaves), *alike))


def fit_members(members: Sequence[Member]) -> tuple[Estimate, ...]:
    """Fit all members in one compiled call; each estimate is the one that the member's model gives by itself."""
    model, designs = stack(members)
    fitted = _fit(model, designs)
    return tuple(
        _own_terms(member, jax.tree.map(lambda leaf, at=at: leaf[at], fitted), len(model.spec.regressors))
        for at, member in enumerate(members)
    )


@partial(jax.jit, static_argnums=0)
def _fit(model: FixedEffects, designs: Design) -> Estimate:
    return jax.vmap(model.fit)(designs)


def _pad(design: Design, names: tuple[str, ...], balanced: bool) -> Design:
    missing = len(names) - design.regressors.shape[2]
    padded = jnp.pad(design.regressors, ((0, 0), (0, 0), (0, missing)))
    nothing = jnp.zeros((*design.weights.shape, 0))
    return replace(design, regressors=padded, names=names, instruments=nothing, balanced=balanced)


def _own_terms(member: Member, fitted: Estimate, width: int) -> Estimate:
    """Return a member's terms under its own names, without the padding; the constants follow `width` regressors."""
    own = member.design.names
    kept = fitted.of_terms((*fitted.names[: len(own)], *fitted.names[width:]))
    status = int(kept.status)
    if status == Status.COLLINEAR and bool(jnp.isfinite(kept.coef).all()):
        status = int(Status.OK)
    narrowed = replace(
        kept,
        status=jnp.asarray(status),
        names=(*own, *fitted.names[width:]),
        outcome=member.model.spec.outcome,
    )
    return replace(narrowed, notes=member.model.notes(member.panel, narrowed))
