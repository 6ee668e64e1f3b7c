r"""The multiverse: every admissible specification, and what they say together.

A result that holds in one specification of many is weak evidence; so is a table of five. Here a grid is declared, all of it is
estimated, and three numbers are reported with p-values: the median effect, the share of significant ones, and the average t.
The p-values come from the placebo: treatment is assigned anew, the whole multiverse is estimated on each assignment, and

.. math:: p = \frac{1 + \#\{|s^*| \ge |s|\}}{1 + n} .

Specifications are far from independent; the same assignment in all of them keeps their dependence.

Effects are in standard deviations of their outcome, so that outcomes of different scale can stand on one curve. How much each
choice matters is its Shapley share of the variance of the effects (`syneff.pipeline.decomposition`). Which choices are
admissible is the user's to declare: no statistic makes up for a grid of bad specifications.

References
----------
Simonsohn, U., Simmons, J. P. and Nelson, L. D. (2020). Nature Human Behaviour 4, 1208-1214.
https://doi.org/10.1038/s41562-020-0912-z
Steegen, S., Tuerlinckx, F., Gelman, A. and Vanpaemel, W. (2016). Perspectives on Psychological Science 11, 702-712.
https://doi.org/10.1177/1745691616658637
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from rich.progress import track
from scipy import special

from syneff.errors import SpecError, one_of
from syneff.models.base import Design, Estimate, Spec, Status
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling.assignment import ASSIGN
from syneff.panel.panel import Panel
from syneff.pipeline.chance import LEVEL, Chances, joint_tests, statistics
from syneff.pipeline.decomposition import shapley_shares
from syneff.pipeline.grid import AXES, PANEL_AXES, SPEC_AXES, Block, Labels, blocks, panels, subsets
from syneff.runtime import key_for, require_float64
from syneff.typing import Array, Float

AT_A_TIME = 16  # subsets of controls: what the cache holds
REASONS = 3  # of failures that a message tells
T = TypeVar("T")
Choices = Mapping[Any, Any]  # what yaml gives: a step, steps by name, or None by label; checked


@dataclass(frozen=True)
class Multiverse:
    """Estimate every specification of a grid, and test what they say together.

    The first choice of every axis is the default. An axis that is left out has one choice: that of the spec, or the panel as it
    is.

    Attributes
    ----------
    spec
        What all specifications share, and the default of every choice.
    measures
        How the outcome is measured: steps by name for each label, or None for as it is.
    transforms
        A step each, after the measurement, e.g. winsorising; or None.
    samples
        A step each, which chooses rows; or None for all.
    outcomes, treatments
        Names of columns.
    controls
        Lists of controls by label; None for all subsets of those of the spec.
    effects
        Lists of absorbed effects by label.
    clusters
        Names to cluster by.
    draws
        Joint placebo draws; 0 for none.
    assign
        How a draw assigns treatment, as for `Placebo`.
    """

    spec: Spec
    measures: Choices = field(default_factory=dict)
    transforms: Choices = field(default_factory=dict)
    samples: Choices = field(default_factory=dict)
    outcomes: tuple[str, ...] = ()
    treatments: tuple[str, ...] = ()
    controls: Mapping[Any, Sequence[str]] | None = None
    effects: Mapping[Any, Sequence[str]] = field(default_factory=dict)
    clusters: tuple[str, ...] = ()
    draws: int = 0
    assign: str = "cohorts"

    def __post_init__(self) -> None:
        one_of("Multiverse assign", self.assign, ASSIGN)
        for axis in ("measures", "transforms", "samples"):
            _check_steps(axis, getattr(self, axis))
        if self.draws < 0:
            raise SpecError(f"Multiverse: draws={self.draws} must be 0 (no joint test) or more, e.g. draws=199.")
        for axis, count in self.sizes.items():
            if not count:
                raise SpecError(
                    f"Multiverse: no choice of {axis}, so the grid is empty. Leave it out, or name a choice."
                )

    @property
    def sizes(self) -> dict[str, int]:
        """How many choices each axis has."""
        return {axis: len(choices) for axis, choices in self._axes().items()}

    def _axes(self) -> dict[str, Mapping[str, object]]:
        spec = self.spec
        effects = {name: tuple(each) for name, each in _worded(self.effects).items()}
        given = {name: tuple(each) for name, each in _worded(self.controls or {}).items()}
        controls = subsets(spec.controls) if self.controls is None else given
        return {
            "measure": _worded(self.measures) or {"as it is": None},
            "transform": _worded(self.transforms) or {"none": None},
            "sample": _worded(self.samples) or {"all": None},
            "outcome": {name: name for name in self.outcomes or (spec.outcome,)},
            "treatment": {name: name for name in self.treatments or (spec.treatment,)},
            "effects": effects or {" ".join(spec.effects) or "none": spec.effects},
            "cluster": {name: name for name in self.clusters} or {str(spec.cluster): spec.cluster},
            "controls": controls,
        }

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the grid.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key.

        Returns
        -------
        Estimate
            Terms without standard errors: ``median``, ``lowest`` and ``highest`` effect in standard deviations of the outcome,
            ``share_positive``, ``share_significant``, ``mean_t``, ``specifications`` and ``shapley:<axis>``; with draws, the
            tests ``joint_median``, ``joint_share`` and ``joint_t``. The detail ``specifications`` has one row a
            specification: a label an axis, and estimate, std_error, dof, nobs, sd (of the outcome), statistic, p_value,
            conf_low, conf_high, standardised, default, message.

        Raises
        ------
        SpecError
            If no specification could be estimated.
        """
        require_float64()
        parts: list[pd.DataFrame] = []
        drawn: list[np.ndarray] = []
        chances = self._chances(panel, seed=seed, name=name)
        for block in track(self._blocks(panel), "specifications", total=self._calls(), transient=True):
            if isinstance(block, Block):
                parts.append(_rows(block, _fit(block.model, block.design, jnp.asarray(block.masks))))
                drawn += [] if chances is None else [chances.fit(block)]
            else:
                labels, controls, message = block
                shared = dict(zip(AXES, labels, strict=False))
                parts.append(pd.DataFrame({**shared, "controls": controls, "message": message}))
                drawn += [] if chances is None else [np.full((2, self.draws, len(controls)), np.nan)]
        specifications = self._told(pd.concat(parts, ignore_index=True))
        if not np.isfinite(specifications["statistic"]).any():
            raise SpecError(
                f"Multiverse: none of {len(specifications)} specifications can be estimated: {_reasons(specifications)}"
            )
        return self._estimate(panel, specifications, np.concatenate(drawn, axis=2) if drawn else None)

    def _chances(self, panel: Panel, *, seed: int, name: str) -> Chances | None:
        if not self.draws:
            return None
        specs = [replace(self.spec, treatment=each, controls=()) for each in self.treatments or (self.spec.treatment,)]
        return Chances(panel, specs, key_for(seed, name), draws=self.draws, rule=self.assign)

    def _calls(self) -> int:
        return int(np.prod([count for axis, count in self.sizes.items() if axis != "controls"]))

    def _blocks(self, panel: Panel) -> Iterator[Block | tuple[Labels, Labels, str]]:
        """Yield the blocks of the grid, or labels, controls and a message where there is none."""
        axes = self._axes()
        controls: Mapping[str, tuple[str, ...]] = axes["controls"]  # type: ignore[assignment]
        every = tuple(dict.fromkeys(name for chosen in controls.values() for name in chosen))
        for labels, made in panels(panel, [axes[axis] for axis in PANEL_AXES]):  # type: ignore[misc]
            for own in product(*(axes[axis].items() for axis in SPEC_AXES)):
                words = (*labels, *(label for label, _ in own))
                if isinstance(made, str):
                    yield words, tuple(controls), made
                    continue
                chosen = dict(zip(SPEC_AXES, (value for _, value in own), strict=True))
                yield from blocks(made, replace(self.spec, controls=every, **chosen), controls, words)  # type: ignore[arg-type]

    def _told(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Put the columns in order, add what each row implies, and mark the default."""
        frame = frame.reindex(columns=[*AXES, "estimate", "std_error", "dof", "nobs", "sd", "message"])
        frame["message"] = frame["message"].astype(object).where(frame["message"].notna(), "")
        statistic = frame["estimate"] / frame["std_error"]
        half = special.stdtrit(frame["dof"].astype(float), 1.0 - LEVEL / 2.0) * frame["std_error"]
        first = {axis: next(iter(choices)) for axis, choices in self._axes().items()}
        return frame.assign(
            statistic=statistic,
            p_value=2.0 * special.stdtr(frame["dof"].astype(float), -statistic.abs()),
            conf_low=frame["estimate"] - half,
            conf_high=frame["estimate"] + half,
            standardised=frame["estimate"] / frame["sd"],
            default=(frame[list(AXES)] == pd.Series(first)).all(axis=1),
        )

    def _estimate(self, panel: Panel, frame: pd.DataFrame, drawn: np.ndarray | None) -> Estimate:
        known = frame[np.isfinite(frame["statistic"])]
        effects = known["standardised"]
        said = statistics(effects.to_numpy(), known["statistic"].to_numpy(), known["dof"].to_numpy())
        found = {
            "median": said[0],
            "lowest": effects.min(),
            "highest": effects.max(),
            "share_positive": (effects > 0).mean(),
            "share_significant": said[1],
            "mean_t": said[2],
            "specifications": float(len(known)),
        }
        found |= {f"shapley:{axis}": share for axis, share in shapley_shares(known, AXES, "standardised").items()}
        chosen = ", ".join(f"{axis} {count}" for axis, count in self.sizes.items() if count > 1)
        failed = frame[~np.isfinite(frame["statistic"])]
        lost = [f"{len(failed)} specifications have no estimate: {_reasons(failed)}"] if len(failed) else []
        if drawn is not None:
            empty = int((~np.isfinite(drawn[1][:, known.index]).any(axis=1)).sum())
            lost += [f"{empty} of {drawn.shape[1]} placebo draws left out: no specification has an estimate"] * (
                empty > 0
            )
        return Estimate(
            coef=jnp.asarray(list(found.values())),
            cov=jnp.full((len(found), len(found)), jnp.nan),
            nobs=jnp.asarray(float(known["nobs"].max())),
            n_units=jnp.asarray(float(panel.sample.any(axis=1).sum())),
            n_periods=jnp.asarray(float(panel.sample.any(axis=0).sum())),
            dof=jnp.asarray(jnp.nan),
            stats={},
            status=jnp.asarray(int(Status.OK)),
            names=tuple(found),
            outcome=self.spec.outcome,
            tests=() if drawn is None else joint_tests(said, drawn, known),
            notes=(f"{len(frame):,} specifications, all that the configuration declares admissible: {chosen}", *lost),
            details={"specifications": frame},
        )


@partial(jax.jit, static_argnums=0)
def _fit(model: FixedEffects, design: Design, masks: Float[Array, "subset k"]) -> tuple[Array, ...]:
    """Return coefficient, standard error, degrees of freedom and rows of the treatment in each subset of regressors."""
    whole = jnp.ones((1, design.weights.shape[0]))

    def one(mask: Array) -> tuple[Array, ...]:
        fit = model.fit_weights(replace(design, regressors=design.regressors * mask[None, None, :]), whole)
        return fit.coef[0, 0], fit.std_error[0, 0], fit.term_dof[0, 0], fit.nobs[0]

    found: tuple[Array, ...] = jax.lax.map(one, masks, batch_size=AT_A_TIME)
    return found


def _rows(block: Block, fitted: tuple[Array, ...]) -> pd.DataFrame:
    """Return one row a subset of controls."""
    numbers = dict(zip(("estimate", "std_error", "dof", "nobs"), map(np.asarray, fitted), strict=True))
    labels = dict(zip(AXES, block.labels, strict=False))
    return pd.DataFrame({**labels, "controls": block.controls, **numbers, "sd": block.spread})


def _reasons(failed: pd.DataFrame) -> str:
    """Say why specifications have no estimate, the most frequent reasons first."""
    counts = failed["message"].replace("", "the treatment is collinear, or has no standard error").value_counts()
    said = [f"{message} ({count})" if len(counts) > 1 else str(message) for message, count in counts.items()]
    return "; ".join(said[:REASONS]) + ("; ..." if len(said) > REASONS else "")


def _worded(choices: Mapping[Any, T]) -> dict[str, T]:
    """Return choices with labels that are text: a year, say, is a number in yaml."""
    return {str(label): choice for label, choice in choices.items()}


def _check_steps(axis: str, choices: Mapping[Any, object]) -> None:
    """Raise unless every choice is steps."""
    for label, choice in choices.items():
        for step in choice.values() if isinstance(choice, Mapping) else (choice,):
            if step is not None and not callable(step):
                raise SpecError(
                    f"Multiverse: {axis}[{str(label)!r}] is {step!r}, which is no step. Write null, or e.g. "
                    "{_target_: syneff.panel.steps.where, _partial_: true, condition: period >= 2010}."
                )
