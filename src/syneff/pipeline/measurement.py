"""Measure again on subsets of the units: every step that follows the data, frontiers included.

A subset is a panel in which the absent units have weight 0. The steps are applied to it as they stand, so they see which units
were drawn, not how often. Those that measure slacks-based efficiency take nearly all the time and need not be repeated:
`syneff.measure.subset` finds their scores for all subsets at once, and they are the same. That holds of data as given; a step
that measures what an earlier one has made of the sample, or whose zeros depend on it, is repeated like any other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from syneff.errors import DataError, SpecError
from syneff.measure.efficiency import super_sbm
from syneff.measure.rows import panel_technology
from syneff.measure.smoothed import smoothed_scores
from syneff.measure.subset import subset_scores
from syneff.measure.technology import Technology
from syneff.panel.panel import Panel
from syneff.typing import Bool, Float

Step = Callable[[Panel], Panel]

DATA = ("returns", "reference", "reference_where", "window", "group", "zeros")
SCORING = ("super_efficiency", "orientation", "bads", "weights")


def measure_subsets(
    panel: Panel, steps: Mapping[str, Step | None], present: Bool[np.ndarray, "draw unit"]
) -> tuple[Iterator[Panel | None], int]:
    """Apply steps to each subset of the units.

    Parameters
    ----------
    panel
        The data, with every column that the steps read.
    steps
        Panel -> Panel by name, in order; one that is None is left out.
    present
        ``[draw unit]``: which units each subset holds.

    Returns
    -------
    tuple
        A panel a subset, in which absent units have weight 0, or None where a step finds too little to work with; and how many
        programs had to be solved for all of them.

    Raises
    ------
    DataError, SpecError
        If a step cannot be applied to the whole panel.
    """
    repeated = {name: step for name, step in steps.items() if step is not None}
    if not repeated:
        raise SpecError(
            "no step to repeat in each draw. Name the steps that measure the outcome: estimator.steps={...}"
        )
    scores: dict[str, tuple[str, np.ndarray]] = {}
    programs = 0
    now = panel
    for name, step in repeated.items():
        if measures(step) and _is_shared(step.keywords, panel, now):  # type: ignore[attr-defined]
            scores[name], solved = _scores(now, step.keywords, present)  # type: ignore[attr-defined]
            programs += solved
        # Also a check: what cannot be measured on the whole panel raises here.
        now = step(now)
    return (_apply(panel, repeated, scores, draw, own) for draw, own in enumerate(present)), programs


def measure_smoothed(
    panel: Panel, steps: Mapping[str, Step | None], generators: Sequence[np.random.Generator]
) -> Iterator[Panel | None]:
    """Apply steps to the whole panel, draw by draw, scores being those against a frontier of pseudo-data.

    Parameters
    ----------
    panel, steps
        As for `measure_subsets`.
    generators
        One a draw; steps that measure take from it in their order.

    Returns
    -------
    Iterator
        A panel a draw.

    Raises
    ------
    SpecError
        If no step measures slacks-based efficiency, or one drops zeros.
    """
    repeated = {name: step for name, step in steps.items() if step is not None}
    scores: dict[str, tuple[str, np.ndarray]] = {}
    now = panel
    for name, step in repeated.items():
        if measures(step):
            options = step.keywords  # type: ignore[attr-defined]
            if options.get("zeros") == "drop":
                raise SpecError(
                    f"scheme=smoothed moves rows by one factor, which programs that drop zeros do not share: step {name!r} "
                    "has zeros=drop. Use zeros=replace, or scheme=pairs."
                )
            technology, where, scoring = _technology(now, options)
            cubes = np.full((len(generators), *panel.shape), np.nan)
            cubes[:, where] = smoothed_scores(technology, generators, **scoring)
            scores[name] = (str(options["name"]), cubes)
        now = step(now)
    if not scores:
        raise SpecError("scheme=smoothed redraws slacks-based scores, but no step measures any. Use scheme=pairs.")
    everyone = np.ones(panel.shape[0], dtype=bool)
    return (_apply(panel, repeated, scores, draw, everyone) for draw in range(len(generators)))


def measures(step: Step) -> bool:
    """Say whether a step measures slacks-based efficiency."""
    return isinstance(step, partial) and step.func is super_sbm


def _is_shared(options: Mapping[str, Any], panel: Panel, now: Panel) -> bool:
    """Say whether a step's scores can be had for all subsets at once: if nothing that it reads depends on the sample."""
    if options.get("zeros", "error") != "error" or now.weights is not panel.weights:
        return False
    made = {name for name, column in now.columns.items() if column is not panel.columns.get(name)}
    made |= {name for name, trait in now.traits.items() if trait is not panel.traits.get(name)}
    blocks = [options.get(key) or () for key in ("inputs", "good", "bad", "group")]
    read = {name for block in blocks for name in ([block] if isinstance(block, str) else block)}
    condition = options.get("reference_where") or ""
    return not (made & read or any(name in condition for name in made))


def _scores(
    panel: Panel, options: Mapping[str, Any], present: Bool[np.ndarray, "draw unit"]
) -> tuple[tuple[str, Float[np.ndarray, "draw unit period"]], int]:
    technology, where, scoring = _technology(panel, options)
    unit = np.repeat(np.arange(panel.shape[0])[:, None], panel.shape[1], axis=1)[where]
    found, programs = subset_scores(technology, unit, present, **scoring)
    cubes = np.full((present.shape[0], *panel.shape), np.nan)
    cubes[:, where] = found
    return (str(options["name"]), cubes), programs


def _technology(
    panel: Panel, options: Mapping[str, Any]
) -> tuple[Technology, Bool[np.ndarray, "unit period"], dict[str, Any]]:
    """Return the technology of a step, the rows that it measures, and its options of scoring."""
    variables = {key: options.get(key, ()) for key in ("inputs", "good", "bad")}
    technology, measured = panel_technology(panel, variables, **{key: options[key] for key in DATA if key in options})
    return technology, measured.where, {key: options[key] for key in SCORING if key in options}


def _apply(
    panel: Panel,
    steps: Mapping[str, Step],
    scores: Mapping[str, tuple[str, Float[np.ndarray, "draw unit period"]]],
    draw: int,
    present: Bool[np.ndarray, " unit"],
) -> Panel | None:
    subset = panel.reweight(np.where(present[:, None], panel.weights, 0.0))
    try:
        for name, step in steps.items():
            if name in scores:
                column, cubes = scores[name]
                subset = subset.assign({column: cubes[draw]})
            else:
                subset = step(subset)
    except DataError:
        return None
    return subset
