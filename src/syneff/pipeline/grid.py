"""The grid of a multiverse: its axes, and the panels that its choices make."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations, product
from typing import Any, TypeVar

from syneff.errors import DataError, SpecError
from syneff.panel.panel import Panel
from syneff.pipeline.measurement import Step

T = TypeVar("T")

PANEL_AXES = ("transform", "sample")
SPEC_AXES = ("outcome", "treatment", "estimator", "effects", "cluster")
AXES = ("measure", *PANEL_AXES, *SPEC_AXES, "controls")
"""What may be chosen, in the order of the labels; options of the measurement come after the measure."""

Labels = Mapping[str, str]


def worded(choices: Mapping[Any, T]) -> dict[str, T]:
    """Return choices with labels that are text: a year, say, is a number in yaml."""
    return {str(label): choice for label, choice in choices.items()}


def subsets(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return all subsets of some controls by label, the whole first."""
    chosen = chain.from_iterable(combinations(names, size) for size in range(len(names), -1, -1))
    return {" ".join(each) or "none": each for each in chosen}


def panels(
    panel: Panel, choices: Sequence[Mapping[str, Step | Mapping[str, Step | None] | None]]
) -> Iterator[tuple[tuple[str, ...], Panel | str]]:
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


def check_steps(axis: str, choices: Mapping[Any, object]) -> None:
    """Raise unless every choice is steps."""
    for label, choice in choices.items():
        for step in choice.values() if isinstance(choice, Mapping) else (choice,):
            if step is not None and not callable(step):
                raise SpecError(
                    f"Multiverse: {axis}[{str(label)!r}] is {step!r}, which is no step. Write null, or e.g. "
                    "{_target_: syneff.panel.steps.where, _partial_: true, condition: period >= 2010}."
                )


def check_lists(axis: str, choices: Mapping[Any, object]) -> None:
    """Raise unless every choice is a list of names."""
    for label, names in choices.items():
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            mended = names if isinstance(names, str) else "..."
            raise SpecError(
                f"Multiverse: {axis}[{str(label)!r}] is {names!r}, where a list of names belongs. Write e.g. "
                f"{axis}={{{label}: [{mended}]}}; [] is none."
            )
