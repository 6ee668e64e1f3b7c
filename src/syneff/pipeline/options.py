"""Options of the measurement as axes of a multiverse: each is crossed with the measures, and set in every step that takes it.

A measure is a list of steps. The option ``returns`` sets that keyword in all of its steps that have one, ``creff.returns`` in
the step *creff* alone. A measure none of whose steps takes an option has one choice there, `NOT_TAKEN`: crossing it would only
repeat its specifications. Panels are kept by the steps applied so far, so what two choices share is measured once.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

from syneff.errors import DataError, SpecError, unknown_name
from syneff.panel.panel import Panel
from syneff.pipeline.measurement import Step

NOT_TAKEN = "-"
"""The label on the axis of an option that a measure does not take."""

Measure = Mapping[str, Step | None] | Step | None
Choices = Mapping[str, Mapping[str, Any]]
Labels = Mapping[str, str]


def option_choices(options: Mapping[Any, Any]) -> dict[str, dict[str, Any]]:
    """Return the choices of each option by label.

    Parameters
    ----------
    options
        Values by label, or a list of values that are their own labels, for each option by name; None leaves it out.

    Raises
    ------
    SpecError
        If the choices of an option are neither.
    """
    given = {str(name): choices for name, choices in options.items() if choices is not None}
    return {name: _by_label(name, choices) for name, choices in given.items()}


def check_options(measures: Mapping[str, Measure], options: Choices, taken: tuple[str, ...]) -> None:
    """Raise unless every option is taken by a step, and has a name of its own.

    Parameters
    ----------
    measures
        Steps by label.
    options
        Values by label, for each option.
    taken
        Names that axes and results have already.
    """
    steps = [pair for measure in measures.values() for pair in _named(measure).items()]
    for name in options:
        if name in taken:
            raise SpecError(
                f"Multiverse: an option cannot be called {name!r}, which is a column of the specifications. Aim it at a step, "
                f"e.g. creff.{name}."
            )
        aim, _, keyword = name.rpartition(".")
        if not steps:
            raise SpecError(f"Multiverse: option {name!r} has no step to be set in. Give measures that have steps.")
        if aim and aim not in dict(steps):
            raise SpecError(f"Multiverse: {unknown_name(f'step of option {name!r}:', aim, dict(steps))}")
        allowed = dict.fromkeys(each for step, made in steps if aim in ("", step) for each in _keywords(made))
        if keyword not in allowed:
            remedy = "An option is a keyword of a step in measures; creff.returns is that of the step creff alone."
            raise SpecError(f"Multiverse: {unknown_name('option', name, allowed, remedy)}")


def measured_panels(
    panel: Panel, measures: Mapping[str, Measure], options: Choices
) -> list[tuple[Labels, Panel | DataError | SpecError]]:
    """Return the panel of every measure and choice of its options with the labels, or why it cannot be measured.

    Parameters
    ----------
    panel
        The data.
    measures
        Steps by label.
    options
        Values by label, for each option.

    Raises
    ------
    SpecError
        If a measure without options, or a choice whatever the others, is not allowed.
    """
    made = _Applied(panel)
    found: list[tuple[Labels, Panel | DataError | SpecError]]
    found = [(labels, made.after(steps)) for labels, steps in _measurements(measures, options)]
    for axis in ("measure", *options):
        for label in dict.fromkeys(labels[axis] for labels, _ in found):
            own = [each for labels, each in found if labels[axis] == label]
            if all(isinstance(each, SpecError) for each in own):
                raise SpecError(f"Multiverse: {axis} {label!r} cannot be measured: {own[0]}")
    return found


def first_labels(measures: Mapping[str, Measure], options: Choices) -> Labels:
    """Return the labels of the default."""
    return next(labels for labels, _ in _measurements(measures, options))


def _measurements(
    measures: Mapping[str, Measure], options: Choices
) -> Iterator[tuple[dict[str, str], tuple[Step, ...]]]:
    """Yield labels and steps, the last option changing fastest."""
    for measure, change in measures.items():
        steps = _named(change)
        taken = [
            choices if any(_aims(name, step, made) for step, made in steps.items()) else {NOT_TAKEN: None}
            for name, choices in options.items()
        ]
        for chosen in product(*taken):
            labels = dict(zip(options, chosen, strict=True))
            values = {name: options[name][label] for name, label in labels.items() if label in options[name]}
            # What is aimed at one step goes before what is meant for all.
            ordered = sorted(values, key=lambda name: "." in name)
            yield (
                {"measure": measure, **labels},
                tuple(_set(step, made, {name: values[name] for name in ordered}) for step, made in steps.items()),
            )


def _set(name: str, step: Step, values: Mapping[str, Any]) -> Step:
    own = {option.rpartition(".")[2]: value for option, value in values.items() if _aims(option, name, step)}
    return partial(step, **own) if own else step


def _aims(option: str, name: str, step: Step) -> bool:
    """Say whether an option is set in a step."""
    aim, _, keyword = option.rpartition(".")
    return aim in ("", name) and keyword in _keywords(step)


def _named(measure: Measure) -> dict[str, Step]:
    steps = measure if isinstance(measure, Mapping) else {"": measure}
    return {str(name): step for name, step in steps.items() if step is not None}


def _keywords(step: Step) -> list[str]:
    """Return the options of a step: its parameters but the panel."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in list(inspect.signature(step).parameters.values())[1:] if each.kind in kinds]


def _by_label(option: str, choices: object) -> dict[str, Any]:
    if isinstance(choices, Mapping):
        return {str(label): value for label, value in choices.items()}
    if isinstance(choices, list | tuple):
        return {" ".join(map(str, each)) if isinstance(each, list | tuple) else str(each): each for each in choices}
    raise SpecError(
        f"Multiverse: options[{option!r}] is {choices!r}, where its choices belong. Write a list, e.g. [{choices}], or values "
        f"by label, e.g. {{mine: {choices}}}."
    )


class _Applied:
    """Panels by the steps applied so far, or why there is none."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.made: dict[tuple[object, ...], Panel | DataError | SpecError] = {}

    def after(self, steps: tuple[Step, ...]) -> Panel | DataError | SpecError:
        if not steps:
            return self.panel
        key = tuple(_identity(step) for step in steps)
        if key not in self.made:
            before = self.after(steps[:-1])
            self.made[key] = _applied(steps[-1], before) if isinstance(before, Panel) else before
        return self.made[key]


def _applied(step: Callable[[Panel], Panel], panel: Panel) -> Panel | DataError | SpecError:
    try:
        return step(panel)
    except (DataError, SpecError) as error:
        return error


def _identity(value: object) -> object:
    """Return what is equal for steps that do the same: functions with equal options."""
    if isinstance(value, partial):
        return value.func, _identity(value.args), _identity(value.keywords)
    if isinstance(value, Mapping):
        return frozenset((key, _identity(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return tuple(_identity(each) for each in value)
    try:
        hash(value)
    except TypeError:  # an array, say
        return id(value)
    return value
