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
from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from rich.progress import track
from scipy import special

from syneff.errors import SpecError, SyneffError, one_of
from syneff.models.base import Estimate, Spec, Status, Test
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling.assignment import ASSIGN
from syneff.panel.panel import Panel
from syneff.pipeline.blocks import NUMBERS, Block, Refused, Single, blocks, check_estimator, of_one_panel, spread
from syneff.pipeline.chance import LEVEL, Chances, joint_tests, statistics
from syneff.pipeline.decomposition import shapley_shares
from syneff.pipeline.grid import (
    AXES,
    PANEL_AXES,
    SPEC_AXES,
    Labels,
    check_lists,
    check_steps,
    panels,
    subsets,
    worded,
)
from syneff.pipeline.options import check_options, first_labels, measured_panels, option_choices
from syneff.runtime import key_for, require_float64

REASONS = 3  # of failures that a message tells
COLUMNS = ("estimate", "std_error", "dof", "nobs", "sd", "message")
IMPLIED = ("statistic", "p_value", "conf_low", "conf_high", "standardised", "default", "cell")
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
    options
        Options of the measures: for each by name, values by label, or a list of values. Each is an axis of its own, crossed
        with the measures: ``returns`` is set in every step that takes it, ``creff.returns`` in the step *creff* alone.
    transforms
        A step each, after the measurement, e.g. winsorising; or None.
    samples
        A step each, which chooses rows; or None for all.
    outcomes, treatments
        Names of columns.
    estimators
        By label, what makes an estimator of a specification: fixed effects if left out. The effect is the term that has the
        treatment's name or, of a model with spillovers, its direct effect.
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
    options: Choices = field(default_factory=dict)
    transforms: Choices = field(default_factory=dict)
    samples: Choices = field(default_factory=dict)
    outcomes: tuple[str, ...] = ()
    treatments: tuple[str, ...] = ()
    estimators: Choices = field(default_factory=dict)
    controls: Choices | None = None
    effects: Choices = field(default_factory=dict)
    clusters: tuple[str, ...] = ()
    draws: int = 0
    assign: str = "cohorts"

    def __post_init__(self) -> None:
        one_of("Multiverse assign", self.assign, ASSIGN)
        for axis in ("measures", "transforms", "samples"):
            check_steps(axis, getattr(self, axis))
        check_lists("controls", self.controls or {})
        check_lists("effects", self.effects)
        for label, make in self.estimators.items():
            check_estimator(str(label), make)
        if self.draws < 0:
            raise SpecError(f"Multiverse: draws={self.draws} must be 0 (no joint test) or more, e.g. draws=199.")
        check_options(worded(self.measures), option_choices(self.options), (*AXES, *COLUMNS, *IMPLIED))
        for axis, count in self.sizes.items():
            if not count:
                raise SpecError(
                    f"Multiverse: no choice of {axis}, so the grid is empty. Leave it out, or name a choice."
                )

    @property
    def sizes(self) -> dict[str, int]:
        """How many choices each axis has."""
        return {axis: len(choices) for axis, choices in self._axes().items()}

    def _axes(self) -> dict[str, Mapping[str, Any]]:
        spec = self.spec
        effects = {name: tuple(each) for name, each in worded(self.effects).items()}
        given = {name: tuple(each) for name, each in worded(self.controls or {}).items()}
        return {
            "measure": worded(self.measures) or {"as it is": None},
            **option_choices(self.options),
            "transform": worded(self.transforms) or {"none": None},
            "sample": worded(self.samples) or {"all": None},
            "outcome": {name: name for name in self.outcomes or (spec.outcome,)},
            "treatment": {name: name for name in self.treatments or (spec.treatment,)},
            "estimator": worded(self.estimators) or {"fixed effects": FixedEffects},
            "effects": effects or {" ".join(spec.effects) or "none": spec.effects},
            "cluster": {name: name for name in self.clusters} or {str(spec.cluster): spec.cluster},
            "controls": subsets(spec.controls) if self.controls is None else given,
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
        measured = measured_panels(panel, self._axes()["measure"], option_choices(self.options))
        each = np.prod([count for axis, count in self.sizes.items() if axis in (*PANEL_AXES, *SPEC_AXES)])
        for block in track(self._blocks(measured), "specifications", total=len(measured) * int(each), transient=True):
            parts.append(_rows(block))
            drawn += [] if chances is None else [chances.fit(block)]
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

    def _blocks(self, measured: Sequence[tuple[Labels, Panel | SyneffError]]) -> Iterator[Block | Single | Refused]:
        """Yield the blocks of the grid."""
        axes = self._axes()
        controls: Mapping[str, tuple[str, ...]] = axes["controls"]
        every = tuple(dict.fromkeys(name for chosen in controls.values() for name in chosen))
        for labels, panel in measured:
            for words, made in _changed(panel, [axes[axis] for axis in PANEL_AXES]):
                estimators = {label: of_one_panel(make) for label, make in axes["estimator"].items()}
                for own in product(*({**axes, "estimator": estimators}[axis].items() for axis in SPEC_AXES)):
                    chosen = dict(zip(SPEC_AXES, own, strict=True))
                    said = {**labels, **dict(zip(PANEL_AXES, words, strict=True))}
                    said |= {axis: label for axis, (label, _) in chosen.items()}
                    if isinstance(made, str):
                        yield Refused(said, tuple(controls), made)
                        continue
                    values = {axis: value for axis, (_, value) in chosen.items()}
                    make = values.pop("estimator")
                    yield from blocks(made, replace(self.spec, controls=every, **values), controls, said, make)

    def _told(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Put the columns in order, add what each row implies, and mark the default."""
        axes = self._axes()
        frame = frame.reindex(columns=[*axes, *COLUMNS])
        frame["message"] = frame["message"].astype(object).where(frame["message"].notna(), "")
        statistic = frame["estimate"] / frame["std_error"]
        half = special.stdtrit(frame["dof"].astype(float), 1.0 - LEVEL / 2.0) * frame["std_error"]
        first = {axis: next(iter(choices)) for axis, choices in axes.items()}
        first |= first_labels(axes["measure"], option_choices(self.options))
        return frame.assign(
            statistic=statistic,
            p_value=2.0 * special.stdtr(frame["dof"].astype(float), -statistic.abs()),
            conf_low=frame["estimate"] - half,
            conf_high=frame["estimate"] + half,
            standardised=frame["estimate"] / frame["sd"],
            default=(frame[list(axes)] == pd.Series(first)).all(axis=1),
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
        found |= {
            f"shapley:{axis}": share for axis, share in shapley_shares(known, list(self.sizes), "standardised").items()
        }
        chosen = ", ".join(f"{axis} {count}" for axis, count in self.sizes.items() if count > 1)
        failed = frame[~np.isfinite(frame["statistic"])]
        lost = [f"{len(failed)} specifications have no estimate: {_reasons(failed)}"] if len(failed) else []
        tests: tuple[Test, ...] = ()
        if drawn is not None:
            tests, said_of_draws = _tested(known, drawn)
            lost += said_of_draws
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
            tests=tests,
            notes=(f"{len(frame):,} specifications, all that the configuration declares admissible: {chosen}", *lost),
            details={"specifications": frame},
        )


def _changed(panel: Panel | SyneffError, choices: Sequence[Choices]) -> Iterator[tuple[tuple[str, ...], Panel | str]]:
    """Yield every panel that transforms and samples make of a measured one, or why there is none."""
    if isinstance(panel, Panel):
        yield from panels(panel, choices)
    else:
        yield from ((labels, str(panel)) for labels in product(*choices))


def _rows(block: Block | Single | Refused) -> pd.DataFrame:
    """Return one row a specification."""
    shared = {**block.labels, "controls": block.controls}
    if isinstance(block, Refused):
        return pd.DataFrame({**shared, "message": block.message})
    try:
        numbers = dict(zip(NUMBERS, block.fit(), strict=True))
    except SpecError as error:
        return pd.DataFrame({**shared, "message": str(error)})
    return pd.DataFrame({**shared, **numbers, "sd": spread(block.design)})


def _tested(known: pd.DataFrame, drawn: np.ndarray) -> tuple[tuple[Test, ...], list[str]]:
    """Return the joint tests of the specifications that can be drawn, and what is left out."""
    finite = np.isfinite(drawn[1][:, known.index])
    some = finite.any(axis=0)
    own = known[some] if some.any() else known
    said = statistics(own["standardised"].to_numpy(), own["statistic"].to_numpy(), own["dof"].to_numpy())
    empty, bare = int((~finite.any(axis=1)).sum()), len(known) - len(own)
    lost = [f"{empty} of {drawn.shape[1]} placebo draws left out: no specification has an estimate"] * (empty > 0)
    lost += [f"{bare:,} specifications left out of the joint tests: no placebo draw has an estimate"] * (bare > 0)
    return joint_tests(said, drawn, own), lost


def _reasons(failed: pd.DataFrame) -> str:
    """Say why specifications have no estimate, the most frequent reasons first."""
    counts = failed["message"].replace("", "the treatment is collinear, or has no standard error").value_counts()
    said = [f"{message} ({count})" if len(counts) > 1 else str(message) for message, count in counts.items()]
    return "; ".join(said[:REASONS]) + ("; ..." if len(said) > REASONS else "")
