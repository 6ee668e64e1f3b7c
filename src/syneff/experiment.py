"""One experiment: a source, steps in order, an estimator; one column of one table.

    source() -> steps in order -> estimate

The panel that source and steps make is computed once a process for all experiments that share them: a sweep of seven columns
measures its frontier once. What is shared is found by the hash of the configuration, prefix by prefix, so an experiment that
adds one step of its own starts from the panel that the others have measured.
"""

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax.monitoring

from syneff import nodes
from syneff.models.base import Audit, Estimate
from syneff.panel.panel import Panel
from syneff.runtime import is_out_of_memory, smaller_chunks

Step = Callable[[Panel], Panel]
T = TypeVar("T")

KEPT_PANELS = 16
"""Panels that a process keeps: more than the distinct prefixes of the paper's sweep; a panel of 284 x 17 takes about 1 MB."""


@runtime_checkable
class Estimating(Protocol):
    """What an experiment needs of an estimator."""

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate on a panel."""


@runtime_checkable
class Auditing(Protocol):
    """An estimator whose estimates another program can check."""

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Estimate with a program that we did not write; None where no program does it."""


@dataclass(frozen=True)
class Experiment:
    """A source, steps and an estimator with a name.

    Attributes
    ----------
    name
        Name of the cell; with `seed` it fixes every random draw.
    source
        Makes the panel.
    estimator
        Estimates on the panel that the steps have made.
    steps
        Panel -> Panel by name, applied in order.
    seed
        The user's seed.
    experiment, column
        The exhibit that the cell belongs to, and its column there.
    config
        The resolved configuration ``{"source": ..., "steps": {name: ...}}``; without it nothing is shared between experiments.
    data
        Hash of the files that source and steps read; part of what identifies a shared panel.
    audit
        Whether to estimate again with a program that we did not write.
    """

    name: str
    source: Callable[[], Panel]
    estimator: Estimating
    steps: Mapping[str, Step] = field(default_factory=dict)
    seed: int = 0
    experiment: str = ""
    column: int = 1
    config: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    audit: bool = False


@dataclass(frozen=True)
class Run:
    """What an experiment gave.

    Attributes
    ----------
    estimate
        The result.
    panel
        The panel that it was estimated on, with notes, variables and truth.
    seconds
        Wall-clock seconds by stage: ``source``, each step, ``estimate``; ``compile`` is the part of ``estimate`` spent in XLA.
    shared
        Stages that an earlier experiment of this process had computed; their seconds are those of that time.
    audit
        The estimate beside that of another program, if it was asked for and one can do it.
    """

    estimate: Estimate
    panel: Panel
    seconds: Mapping[str, float]
    shared: tuple[str, ...] = ()
    audit: Audit | None = None


@dataclass(frozen=True)
class _Measured:
    panel: Panel
    seconds: Mapping[str, float]


_measured: OrderedDict[str, _Measured] = OrderedDict()
_compiled: list[float] = []


def from_config(config: Mapping[str, Any], data: str = "") -> Experiment:
    """Make an experiment from a resolved configuration; every option is checked before anything is read.

    Parameters
    ----------
    config
        Plain dictionaries and lists: ``name``, ``experiment``, ``column``, ``seed``, ``audit``, and the nodes ``source``,
        ``steps`` and ``estimator``. A step that is null is left out.
    data
        Hash of the files that it names.

    Raises
    ------
    SpecError
        If an option is unknown, missing, of the wrong type, or not allowed by what it is given to.
    """
    steps = {name: node for name, node in config["steps"].items() if node is not None}
    nodes.check(config["source"], "source", free=0)
    nodes.check(config["estimator"], "estimator")
    for name, node in steps.items():
        nodes.check(node, f"steps.{name}", free=1)
    return Experiment(
        name=config["name"],
        source=nodes.make(config["source"], partial=True),
        estimator=nodes.make(config["estimator"]),
        steps={name: nodes.make(node, partial=True) for name, node in steps.items()},
        seed=config["seed"],
        experiment=config["experiment"],
        column=config["column"],
        config={"source": config["source"], "steps": steps},
        data=data,
        audit=config["audit"],
    )


def run(experiment: Experiment, listen: Callable[[str], None] = lambda stage: None) -> Run:
    """Run an experiment.

    Parameters
    ----------
    experiment
        What to run.
    listen
        Called with the name of each stage as it begins.

    Returns
    -------
    Run
        Estimate, panel and seconds.

    Raises
    ------
    SyneffError
        Whatever source, steps and design find wrong with the input.
    """
    measured, shared = _measure(experiment, listen)
    listen("estimate")
    before = sum(_compiled)
    estimate, seconds = _timed(
        lambda: experiment.estimator.estimate(measured.panel, seed=experiment.seed, name=experiment.name)
    )
    spent = {**measured.seconds, "estimate": seconds, "compile": sum(_compiled) - before}
    if not experiment.audit or not isinstance(experiment.estimator, Auditing):
        return Run(estimate, measured.panel, spent, shared)
    listen("audit")
    audit, seconds = _timed(partial(experiment.estimator.audit, measured.panel, estimate))
    return Run(estimate, measured.panel, {**spent, "audit": seconds}, shared, audit)


SMALLER = 8
"""What chunks are divided by where memory did not suffice."""


def run_in_memory(experiment: Experiment, listen: Callable[[str], None] = lambda stage: None) -> Run:
    """Run an experiment; where memory does not suffice, once more in smaller chunks, which is told in a note.

    Raises
    ------
    MemoryError
        If it does not suffice for smaller chunks either.
    """
    try:
        return run(experiment, listen)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    try:
        with smaller_chunks(SMALLER):
            done = run(experiment, listen)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(
            f"memory does not suffice, nor for chunks of 1/{SMALLER} of the size. Give the job more, or take fewer draws"
        ) from error
    note = f"memory did not suffice: computed again in chunks of 1/{SMALLER} of the size, which changes no result"
    return replace(done, estimate=replace(done.estimate, notes=(*done.estimate.notes, note)))


def _measure(experiment: Experiment, listen: Callable[[str], None]) -> tuple[_Measured, tuple[str, ...]]:
    """Apply source and steps, from the longest prefix that this process has computed."""
    keys = _prefix_keys(experiment)
    stages: list[tuple[str, Step]] = list(experiment.steps.items())
    done = max((number for number, key in enumerate(keys) if key in _measured), default=-1)
    if done >= 0:
        _measured.move_to_end(keys[done])
        measured = _measured[keys[done]]
    else:
        listen("source")
        panel, seconds = _timed(experiment.source)
        measured = _remember(keys, 0, _Measured(panel, {"source": seconds}))
    for number, (name, step) in enumerate(stages[max(done, 0) :], start=max(done, 0) + 1):
        listen(name)
        panel, seconds = _timed(lambda step=step, panel=measured.panel: step(panel))  # type: ignore[misc]
        measured = _remember(keys, number, _Measured(panel, {**measured.seconds, name: seconds}))
    return measured, ("source", *experiment.steps)[: done + 1]


def _prefix_keys(experiment: Experiment) -> list[str]:
    """Return one key for the source and one for each step after it; none without a configuration."""
    if not experiment.config:
        return []
    digest = hashlib.sha256(json.dumps([experiment.config["source"], experiment.data], default=str).encode())
    keys = [digest.hexdigest()]
    for name in experiment.steps:
        digest.update(json.dumps([name, experiment.config["steps"][name]], default=str).encode())
        keys.append(digest.hexdigest())
    return keys


def _remember(keys: list[str], number: int, measured: _Measured) -> _Measured:
    if number < len(keys):
        _measured[keys[number]] = measured
        while len(_measured) > KEPT_PANELS:
            _measured.popitem(last=False)
    return measured


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def _note_compilation(event: str, duration_secs: float, **_: str | int) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _compiled.append(duration_secs)


jax.monitoring.register_event_duration_secs_listener(_note_compilation)
