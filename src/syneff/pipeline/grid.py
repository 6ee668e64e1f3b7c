"""The grid of a multiverse: its choices, and the designs that they make.

Controls differ inside a *block*: same panel, outcome, treatment, effects and clusters, so one design with all controls serves
every subset of them by a mask of columns, and one compiled call fits the block. Subsets that leave out a control with gaps may
use more rows, and are a block of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, product

import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError
from syneff.models.base import Design, Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.panel.panel import Panel
from syneff.pipeline.measurement import Step
from syneff.typing import Float

PANEL_AXES = ("measure", "transform", "sample")
SPEC_AXES = ("outcome", "treatment", "effects", "cluster")
AXES = (*PANEL_AXES, *SPEC_AXES, "controls")
"""What may be chosen, in the order of the labels."""

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """Specifications of one design.

    Attributes
    ----------
    labels
        The choice on each axis but the controls.
    model
        With all controls.
    design
        Its arrays, with a column for every control.
    masks
        ``[subset k]``: 1 for the regressors that each specification has, the treatment always, else 0.
    controls
        The label of each subset.
    """

    labels: Labels
    model: FixedEffects
    design: Design
    masks: Float[np.ndarray, "subset k"]
    controls: Labels

    @property
    def spread(self) -> float:
        """The standard deviation of the outcome."""
        weights, outcome = np.asarray(self.design.weights), np.asarray(self.design.outcome)
        mean = np.average(outcome, weights=weights)
        return float(np.sqrt(np.average((outcome - mean) ** 2, weights=weights)))


def subsets(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return all subsets of some controls by label, the whole first."""
    chosen = chain.from_iterable(combinations(names, size) for size in range(len(names), -1, -1))
    return {" ".join(each) or "none": each for each in chosen}


def panels(
    panel: Panel, choices: Sequence[Mapping[str, Step | Mapping[str, Step | None] | None]]
) -> Iterator[tuple[Labels, Panel | str]]:
    """Yield every panel of the grid with its labels, or why it cannot be made; each prefix of steps is applied once.

    Parameters
    ----------
    panel
        The data.
    choices
        An axis each, in order: steps by label, a dictionary of several in order, or None for the panel as it is. A step that is
        None is left out.
    """
    first, *rest = choices
    for label, change in first.items():
        steps = list(change.values()) if isinstance(change, Mapping) else [change]
        made = panel
        try:
            for step in filter(None, steps):
                made = step(made)
        except DataError as error:
            yield from (((label, *labels), str(error)) for labels in product(*rest))
            continue
        if rest:
            yield from (((label, *labels), each) for labels, each in panels(made, rest))
        else:
            yield (label,), made


def blocks(
    panel: Panel, spec: Spec, controls: Mapping[str, tuple[str, ...]], labels: Labels
) -> Iterator[Block | tuple[Labels, Labels, str]]:
    """Yield the blocks of one specification and all subsets of its controls; labels, controls and why where there is none.

    Parameters
    ----------
    panel
        The data.
    spec
        With all controls.
    controls
        Subsets by label.
    labels
        The choice on each axis but the controls.
    """
    gaps = {name for name in spec.controls if np.isnan(panel.column(name)[panel.sample]).any()}
    groups: dict[frozenset[str], list[str]] = {}
    for label, chosen in controls.items():
        groups.setdefault(frozenset(gaps & set(chosen)), []).append(label)
    for own in groups.values():
        used = tuple(name for name in spec.controls if any(name in controls[label] for label in own))
        model = FixedEffects(replace(spec, controls=used))
        try:
            design = model.design(panel)
        except DataError as error:
            yield labels, tuple(own), str(error)
            continue
        regressors = (spec.treatment, *spec.controls)
        masks = np.array(
            [[name == spec.treatment or name in controls[label] for name in regressors] for label in own], float
        )
        yield Block(labels, *_anonymous(spec, design, regressors), masks, tuple(own))


def _anonymous(spec: Spec, design: Design, names: tuple[str, ...]) -> tuple[FixedEffects, Design]:
    """Return model and design with a column for every name, 0 where there is none, under names that all blocks have.

    Names are part of what is compiled: with their own, every outcome would be compiled anew.
    """
    empty = jnp.zeros_like(design.outcome)
    columns = [design.regressors[:, :, design.names.index(name)] if name in design.names else empty for name in names]
    treatment, *controls = (f"x{at}" for at in range(len(names)))
    alike = replace(spec, outcome="y", treatment=treatment, controls=tuple(controls))
    widened = replace(design, regressors=jnp.stack(columns, axis=2), names=(treatment, *controls))
    return FixedEffects(alike), widened
