"""Blocks of a multiverse: specifications that share arrays, and how they are fitted.

Of fixed effects, controls differ inside a *block*: same panel, outcome, treatment, effects and clusters, so one design with
all controls serves every subset of them by a mask of columns, and one compiled call fits the block. Subsets that leave out a
control with gaps may use more rows, and are a block of their own. Any other estimator may see more in a column of zeros than
its absence, so each of its specifications has a design of its own. Names are part of what is compiled; all have the same.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError, SpecError
from syneff.models.base import Design, Estimate, Estimator, Spec, jit_fit
from syneff.models.fixed_effects import FixedEffects
from syneff.panel.panel import Panel
from syneff.pipeline.grid import Labels
from syneff.typing import Array, Float, Int

AT_A_TIME = 16  # subsets of controls: what the cache holds
NUMBERS = ("estimate", "std_error", "dof", "nobs")
Numbers = tuple[np.ndarray, ...]
Draws = tuple[np.ndarray, np.ndarray]
MakeEstimator = Callable[[Spec], Estimator]


@dataclass(frozen=True)
class Block:
    """Specifications of fixed effects that differ in controls.

    Attributes
    ----------
    labels
        The choice on each axis but the controls.
    controls
        The label of each subset.
    model
        With all controls.
    design
        Its arrays, with a column for every control.
    masks
        ``[subset k]``: 1 for the regressors that each specification has, the treatment always, else 0.
    """

    labels: Labels
    controls: tuple[str, ...]
    model: FixedEffects
    design: Design
    masks: Float[np.ndarray, "subset k"]

    def fit(self) -> Numbers:
        """Return `NUMBERS` of the treatment in each subset."""
        return tuple(np.asarray(each) for each in _fit_masked(self.model, self.design, jnp.asarray(self.masks)))

    def draw(self, paths: Float[Array, "path period"], assigned: Int[Array, "draw unit"]) -> Draws:
        """Return coefficient and t ``[subset draw]`` under each assignment of paths."""
        coef, ratio = _draw_masked(self.model, self.design, jnp.asarray(self.masks), paths, assigned)
        return np.asarray(coef), np.asarray(ratio)


@dataclass(frozen=True)
class Single:
    """One specification of any estimator.

    Attributes
    ----------
    labels, controls
        As of a `Block`.
    model, design
        The estimator, and its arrays.
    """

    labels: Labels
    controls: tuple[str]
    model: Estimator
    design: Design

    def fit(self) -> Numbers:
        """Return `NUMBERS` of the treatment.

        Raises
        ------
        SpecError
            If the estimator has no one effect of it.
        """
        estimate = jit_fit(self.model, self.design)
        at = effect_of(self.model, estimate)
        found = (
            estimate.coef,
            estimate.std_error,
            estimate.term_dof,
            jnp.broadcast_to(estimate.nobs, estimate.coef.shape),
        )
        return tuple(np.asarray(each)[at : at + 1] for each in found)

    def draw(self, paths: Float[Array, "path period"], assigned: Int[Array, "draw unit"]) -> Draws:
        """Return coefficient and t ``[1 draw]`` under each assignment of paths."""
        coef, ratio = _draw_single(self.model, self.design, paths, assigned)
        return np.asarray(coef)[None], np.asarray(ratio)[None]


@dataclass(frozen=True)
class Refused:
    """Specifications that cannot be estimated, and why."""

    labels: Labels
    controls: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class _Once:
    """A function of a panel, e.g. to weights, whose results are kept by the sample: of one panel they do not change."""

    make: Callable[..., Any]
    made: dict[bytes, Any] = field(default_factory=dict, compare=False)

    def __call__(self, *given: Any, **options: Any) -> Any:
        if options or len(given) != 1 or not isinstance(given[0], Panel):
            return self.make(*given, **options)
        key = given[0].weights.tobytes()
        if key not in self.made:
            self.made[key] = self.make(given[0])
        return self.made[key]


def of_one_panel(make: MakeEstimator) -> MakeEstimator:
    """Return what makes the same estimators, but for one panel, so that what they make of it, as weights, is made once."""
    if not isinstance(make, partial):
        return make
    kept = {
        name: _Once(each) if callable(each) and not isinstance(each, type) else each
        for name, each in make.keywords.items()
    }
    return partial(make.func, *make.args, **kept)


def spread(design: Design) -> float:
    """Return the standard deviation of the outcome."""
    weights, outcome = np.asarray(design.weights), np.asarray(design.outcome)
    mean = np.average(outcome, weights=weights)
    return float(np.sqrt(np.average((outcome - mean) ** 2, weights=weights)))


def effect_of(model: Estimator, estimate: Estimate) -> int:
    """Return the place of the effect of the treatment among the terms: the direct one, where there are spillovers.

    Raises
    ------
    SpecError
        If there is none.
    """
    for name in (f"direct:{model.spec.treatment}", model.spec.treatment):
        if name in estimate.names:
            return estimate.names.index(name)
    raise SpecError(
        f"{type(model).__name__} has no one effect of the treatment, so it has no place in a multiverse. Use an estimator that "
        "names its overall effect by the treatment."
    )


def check_estimator(label: str, make: object) -> None:
    """Raise unless a choice makes an estimator of a specification."""
    example = "{_target_: syneff.models.fixed_effects.FixedEffects, _partial_: true}"
    if not callable(make):
        given = f"a {type(make).__name__} of one specification" if isinstance(make, Estimator) else repr(make)
        raise SpecError(
            f"Multiverse: estimators[{label!r}] is {given}, which makes no estimator of others. Write e.g. {example}, without "
            "its spec."
        )
    try:
        inspect.signature(make).bind(None)
    except TypeError as error:
        raise SpecError(
            f"Multiverse: estimators[{label!r}] cannot be made of a specification alone: {error}. Leave spec out, and give all "
            f"else that it needs; e.g. {example}."
        ) from error


def blocks(
    panel: Panel,
    spec: Spec,
    controls: Mapping[str, tuple[str, ...]],
    labels: Labels,
    make: MakeEstimator = FixedEffects,
) -> Iterator[Block | Single | Refused]:
    """Yield the blocks of one specification and all subsets of its controls.

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
    make
        Makes the estimator of a specification.

    Raises
    ------
    SpecError
        If no estimator is made.
    """
    try:
        model = make(spec)
    except SpecError:
        model = None  # Perhaps one of other controls can be made.
    if type(model) is FixedEffects:
        yield from _masked(panel, spec, controls, labels)
        return
    if not isinstance(model, Estimator | None):
        raise SpecError(
            f"Multiverse: estimators[{labels['estimator']!r}] is {type(model).__name__}, which does not estimate one "
            "specification. Use an estimator, e.g. FixedEffects."
        )
    for label, chosen in controls.items():
        yield _single(panel, replace(spec, controls=chosen), make, labels, label)


def _masked(
    panel: Panel, spec: Spec, controls: Mapping[str, tuple[str, ...]], labels: Labels
) -> Iterator[Block | Refused]:
    gaps = {name for name in spec.controls if np.isnan(panel.column(name)[panel.sample]).any()}
    groups: dict[frozenset[str], list[str]] = {}
    for label, chosen in controls.items():
        groups.setdefault(frozenset(gaps & set(chosen)), []).append(label)
    for own in groups.values():
        used = tuple(name for name in spec.controls if any(name in controls[label] for label in own))
        try:
            design = FixedEffects(replace(spec, controls=used)).design(panel)
        except DataError as error:
            yield Refused(labels, tuple(own), str(error))
            continue
        regressors = (spec.treatment, *spec.controls)
        masks = np.array(
            [[name == spec.treatment or name in controls[label] for name in regressors] for label in own], float
        )
        yield Block(labels, tuple(own), *_widened(spec, design, regressors), masks)


def _widened(spec: Spec, design: Design, names: tuple[str, ...]) -> tuple[FixedEffects, Design]:
    """Return model and design with a column for every name, 0 where there is none, under names that all blocks have."""
    empty = jnp.zeros_like(design.outcome)
    columns = [design.regressors[:, :, design.names.index(name)] if name in design.names else empty for name in names]
    alike = _anonymous(spec)
    return FixedEffects(alike), replace(design, regressors=jnp.stack(columns, axis=2), names=alike.regressors)


def _single(panel: Panel, spec: Spec, make: MakeEstimator, labels: Labels, label: str) -> Single | Refused:
    """Return one specification, under names that all have if its estimator does not know its own."""
    alike = _anonymous(spec)
    own, others = (spec.outcome, *spec.regressors), (alike.outcome, *alike.regressors)
    try:
        renamed = panel.assign({other: panel.column(name) for name, other in zip(own, others, strict=True)})
        model = make(alike)
        return Single(labels, (label,), model, model.design(renamed))
    except (DataError, SpecError):
        pass  # A message should have the user's names, and an option may name a regressor.
    try:
        model = make(spec)
        return Single(labels, (label,), model, model.design(panel))
    except (DataError, SpecError) as error:
        return Refused(labels, (label,), str(error))


def _anonymous(spec: Spec) -> Spec:
    """Return the specification under names that no column has."""
    controls = tuple(f"(control {at})" for at in range(len(spec.controls)))
    return replace(spec, outcome="(outcome)", treatment="(treatment)", controls=controls)


@partial(jax.jit, static_argnums=0)
def _fit_masked(model: FixedEffects, design: Design, masks: Float[Array, "subset k"]) -> tuple[Array, ...]:
    """Return coefficient, standard error, degrees of freedom and rows of the treatment in each subset of regressors."""
    whole = jnp.ones((1, design.weights.shape[0]))

    def one(mask: Array) -> tuple[Array, ...]:
        fit = model.fit_weights(replace(design, regressors=design.regressors * mask[None, None, :]), whole)
        return fit.coef[0, 0], fit.std_error[0, 0], fit.term_dof[0, 0], fit.nobs[0]

    found: tuple[Array, ...] = jax.lax.map(one, masks, batch_size=AT_A_TIME)
    return found


@partial(jax.jit, static_argnums=0)
def _draw_masked(
    model: FixedEffects, design: Design, masks: Array, paths: Array, assigned: Array
) -> tuple[Array, Array]:
    def one(mask: Array) -> tuple[Array, Array]:
        fits = model.fit_paths(replace(design, regressors=design.regressors * mask[None, None, :]), paths, assigned)
        return fits.coef[:, 0], fits.coef[:, 0] / fits.std_error[:, 0]

    found: tuple[Array, Array] = jax.lax.map(one, masks)
    return found


@partial(jax.jit, static_argnums=0)
def _draw_single(model: Estimator, design: Design, paths: Array, assigned: Array) -> tuple[Array, Array]:
    fits = model.fit_paths(design, paths, assigned)
    at = effect_of(model, fits)
    return fits.coef[:, at], fits.coef[:, at] / fits.std_error[:, at]
