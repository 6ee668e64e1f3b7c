r"""Heterogeneity: the effect in each group, and three tests of whether the groups differ.

That an effect is significant in one group and not in another says nothing of the difference, which is what is claimed. Three
tests of it, each with the name of its row:

======================  ============================================================================================
``wald_difference``     of the regression with everything interacted, clustered: ``F = d' V^{-1} d / q`` (suest)
``fisher_permutation``  labels of the units permuted, group sizes kept: ``p = (1 + #{|d*| >= |d|}) / (1 + n)``
``z_difference``        ``(b_1 - b_2) / sqrt(s_1^2 + s_2^2)`` of two independent fits, normal
======================  ============================================================================================

With more than two groups the first two are joint, and each pair has all three under ``<test>:<first>-<second>``; the joint
statistic of the permutation is the largest difference of a pair. The permutation of ``|d| / s`` besides, which stays valid in
large samples where groups differ in more than the effect (Chung and Romano), is ``fisher_p_t`` in the statistics.

References
----------
Cleary, S. (1999). Journal of Finance 54, 673-692 (permuted groups). https://doi.org/10.1111/0022-1082.00121
Clogg, C. C., Petkova, E. and Haritou, A. (1995). American Journal of Sociology 100, 1261-1293 (z).
https://doi.org/10.1086/230638
Chung, E. and Romano, J. P. (2013). Annals of Statistics 41, 484-507. https://doi.org/10.1214/13-AOS1090
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, one_of
from syneff.models.base import FEW_CLUSTERS, Design, Estimate, Estimator, Spec, jit_fit
from syneff.models.contrast_tests import (
    Pairs,
    contrast_tests,
    differences,
    fisher_tests,
    pair_dof,
    pair_name,
    share_beyond,
)
from syneff.models.design import build_design, sample_of
from syneff.models.fixed_effects import FixedEffects
from syneff.models.groups import Groups, groups_of
from syneff.models.interacted import (
    LEVERAGE,
    by_unit,
    independent_covariance,
    interacted_covariance,
    joined_design,
    permute_groups,
    permute_interactions,
)
from syneff.models.resampling.draws import check_draws, run_draws
from syneff.models.stacking import Member, fit_members
from syneff.panel.panel import Panel
from syneff.runtime import key_for, require_float64
from syneff.typing import Array

FORMS = ("separate", "interaction")


@dataclass(frozen=True)
class Contrast:
    """Estimate by group, and test the differences.

    Attributes
    ----------
    model
        A `FixedEffects`.
    by
        The trait that groups units, or a column that is constant within them.
    form
        "separate" fits each group by itself: its own controls and period effects. "interaction" is one regression with the
        treatment times each group, controls and effects in common.
    draws
        Permutations of the labels.
    switching
        Whether units may change group: their rows are then split, with unit effects of each group, and nothing is permuted.
    chunk
        Permutations at a time; without effect on the results. What suits the device if None.
    """

    model: Estimator
    by: str
    form: str = "separate"
    draws: int = 1000
    switching: bool = False
    chunk: int | None = None

    def __post_init__(self) -> None:
        one_of("Contrast form", self.form, FORMS)
        check_draws("Contrast", self.draws, self.chunk)
        if type(self.model) is not FixedEffects:
            raise SpecError(
                f"Contrast: the model is {type(self.model).__name__}, but only FixedEffects can be contrasted."
            )

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the treatment in each group and the differences, and test them.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key.

        Returns
        -------
        Estimate
            Terms ``treat[<by>=<group>]`` and ``difference:<first>-<second>`` (in the interaction form the others too), the
            tests, and the permuted differences as draws. Of separate fits, `details` has all rows of each (``groups``) and
            what each has once (``fits``).

        Raises
        ------
        DataError
            If there are no two groups, units switch, or a group cannot be estimated.
        SpecError
            If the groups are too many, or the covariance needs groups that share no cluster.
        """
        require_float64()
        spec = self.model.spec
        inside = sample_of(panel, spec).weights > 0
        groups = groups_of(panel, self.by, inside, option="Contrast by", switching=self.switching)
        panel = panel.reweight(np.where(groups.codes >= 0, panel.weights, 0.0))
        pairs = list(combinations(range(len(groups.names)), 2))
        if self.form == "interaction":
            estimate, design = _interaction(self, panel, groups, pairs)
        else:
            estimate, design = _separate(self, panel, groups, pairs)
        estimate = replace(estimate, notes=(*groups.notes, *estimate.notes, *_few_treated(self, panel, groups)))
        return estimate if groups.switching else _permuted(self, estimate, design, groups, seed=seed, name=name)


def _separate(contrast: Contrast, panel: Panel, groups: Groups, pairs: Pairs) -> tuple[Estimate, Design]:
    spec, members = contrast.model.spec, _members(contrast, panel, groups)
    weights = jnp.stack([member.design.weights for member in members])
    design = joined_design(contrast.model.design(panel), weights)
    if spec.covariance in LEVERAGE:
        _check_blocks(spec, weights, design)
    fits = fit_members(members)
    if spec.covariance in LEVERAGE:
        cov, dof = independent_covariance(fits)
    else:
        together, common = interacted_covariance(spec, replace(design, balanced=False), weights)
        cov, dof = np.asarray(together), np.asarray(common)
    coef = np.asarray([float(fit.coef[0]) for fit in fits])
    gaps = differences(pairs, len(fits))
    # The standard error of a group is that of its own fit, the one that a split prints.
    variances = np.concatenate([[float(fit.cov[0, 0]) for fit in fits], np.diag(gaps @ cov @ gaps.T)])
    estimate = Estimate(
        coef=jnp.asarray(np.concatenate([coef, gaps @ coef])),
        cov=jnp.asarray(np.where(np.eye(variances.size, dtype=bool), variances, np.nan)),
        nobs=_sizes(fits, "nobs", pairs),
        n_units=_sizes(fits, "n_units", pairs),
        n_periods=_sizes(fits, "n_periods", pairs),
        dof=jnp.asarray(np.concatenate([[float(fit.term_dof[0]) for fit in fits], pair_dof(pairs, cov, dof)])),
        stats={"groups": jnp.asarray(float(len(fits)))},
        status=jnp.asarray(max(int(fit.status) for fit in fits)),
        names=(*_terms(contrast, groups), *_pair_terms(groups, pairs)),
        outcome=(spec.outcome,) * variances.size,
        tests=contrast_tests(groups.names, pairs, coef, cov, dof, separate=fits),
        notes=tuple(f"{member.name}: {note}" for member, fit in zip(members, fits, strict=True) for note in fit.notes),
        details=_details(groups, fits),
    )
    return estimate, design


def _members(contrast: Contrast, panel: Panel, groups: Groups) -> tuple[Member, ...]:
    found = []
    for number, name in enumerate(groups.names):
        own = panel.reweight(np.where(groups.codes == number, panel.weights, 0.0))
        called = f"{contrast.by}={name}"
        try:
            found.append(Member(called, FixedEffects(contrast.model.spec), own, contrast.model.design(own)))
        except DataError as error:
            raise DataError(f"group {called}: {error}") from error
    return tuple(found)


def _check_blocks(spec: Spec, weights: Array, design: Design) -> None:
    """Refuse clusters that lie in two groups, whose hat matrix has no blocks."""
    if not spec.clustered:
        return
    held = [set(np.asarray(design.cluster)[np.asarray(each) > 0].tolist()) for each in weights]
    if any(first & second for first, second in combinations(held, 2)):
        raise SpecError(
            f"Contrast: clusters of spec.cluster={spec.cluster} lie in several groups, so fits are not independent under "
            f"spec.covariance={spec.covariance}. Use CR1, or cluster by unit."
        )


def _interaction(contrast: Contrast, panel: Panel, groups: Groups, pairs: Pairs) -> tuple[Estimate, Design]:
    """Fit the treatment times each group, everything else in common."""
    model, count = contrast.model, len(groups.names)
    design = build_design(panel, model.spec)
    hit = (groups.codes[:, :, None] == np.arange(count)[None, None, :]).astype(float) * panel.sample[:, :, None]
    treatment, terms = np.asarray(design.regressors[:, :, :1]), _terms(contrast, groups)
    for number, term in enumerate(terms):
        if not (treatment[:, :, 0] * hit[:, :, number]).any():
            raise DataError(f"group {term}: no row of it is treated. Merge groups, or leave this one out.")
    own = hit[:, :, 1:] * np.asarray(design.weights > 0)[:, :, None] if groups.switching else hit[:, :, :0]
    effects = tuple(f"{contrast.by}={name}" for name in groups.names[1:]) if groups.switching else ()
    columns = [treatment * hit, np.asarray(design.regressors[:, :, 1:]), own]
    crossed = replace(
        design, regressors=jnp.asarray(np.concatenate(columns, axis=2)), names=(*terms, *design.names[1:], *effects)
    )
    fit = jit_fit(model, crossed)
    coef, cov = np.asarray(fit.coef), np.asarray(fit.cov)
    dof = np.asarray(fit.term_dof)
    least = np.asarray(dof[:count].min())
    gaps = differences(pairs, count)
    turn = np.zeros((len(pairs) + coef.size, coef.size))
    turn[:count, :count], turn[count : count + len(pairs), :count] = np.eye(count), gaps
    turn[count + len(pairs) :, count:] = np.eye(coef.size - count)
    known = np.nan_to_num(coef), np.nan_to_num(cov)
    lost = (np.abs(turn) @ np.isnan(coef)) > 0
    turned = turn @ known[1] @ turn.T
    estimate = replace(
        fit,
        coef=jnp.asarray(np.where(lost, np.nan, turn @ known[0])),
        cov=jnp.asarray(np.where(lost[:, None] | lost[None, :], np.nan, turned)),
        dof=jnp.asarray(np.concatenate([dof[:count], pair_dof(pairs, cov[:count, :count], least), dof[count:]])),
        names=(*terms, *_pair_terms(groups, pairs), *fit.names[count:]),
        outcome=model.spec.outcome,
        tests=contrast_tests(groups.names, pairs, coef[:count], cov[:count, :count], least, separate=()),
    )
    return replace(estimate, notes=model.notes(panel, estimate)), design


def _permuted(
    contrast: Contrast, estimate: Estimate, design: Design, groups: Groups, *, seed: int, name: str
) -> Estimate:
    """Add the permutation test, pair by pair and joint."""
    count = len(groups.names)
    pairs = list(combinations(range(count), 2))
    plain, design = by_unit(contrast.model.spec, design)
    sampled = np.flatnonzero(np.asarray(design.weights > 0).any(1))
    common = (design, jnp.asarray(sampled), jnp.asarray(groups.of_units[sampled]), key_for(seed, name))
    permute = partial(permute_groups if contrast.form == "separate" else permute_interactions, plain, count)
    found = run_draws(permute, common, contrast.draws, chunk=contrast.chunk, of="permutations")
    drawn, errors = np.asarray(found[0]), np.asarray(found[1])
    gaps = differences(pairs, count)
    moved, spread = drawn @ gaps.T, np.sqrt(errors**2 @ np.abs(gaps.T))
    actual = np.asarray(estimate.coef)[count : count + len(pairs)]
    used = np.isfinite(moved).all(1)
    tests, stats = fisher_tests(groups.names, pairs, actual, moved[used])
    if contrast.form == "separate":
        own = np.asarray(estimate.cov).diagonal()[:count]
        largest = (np.abs(moved[used]) / spread[used]).max(1, initial=0.0)
        stats["fisher_p_t"] = share_beyond(largest, float((np.abs(actual) / np.sqrt(np.abs(gaps) @ own)).max()))
    lost = int((~used).sum())
    note = f"{lost} of {contrast.draws:,} permutations left out: a group had nothing to estimate in them"
    return replace(
        estimate,
        draws=_draws(estimate, moved, spread, count),
        tests=(*estimate.tests, *tests),
        stats={**estimate.stats, **{key: jnp.asarray(float(value)) for key, value in stats.items()}},
        notes=(*estimate.notes, *((note,) if lost else ())),
    )


def _draws(estimate: Estimate, moved: np.ndarray, spread: np.ndarray, count: int) -> Estimate:
    """Return the permuted differences as an estimate with leading axis ``draw``."""
    draws, pairs = moved.shape
    same = np.eye(pairs, dtype=bool)
    names = estimate.names[count : count + pairs]

    def alike(value: Array) -> Array:
        return jnp.full(draws, jnp.max(value))

    return Estimate(
        coef=jnp.asarray(moved),
        cov=jnp.asarray(np.where(same, spread[:, :, None] ** 2, np.nan)),
        nobs=alike(estimate.nobs),
        n_units=alike(estimate.n_units),
        n_periods=alike(estimate.n_periods),
        dof=alike(estimate.term_dof[count : count + pairs]),
        stats={},
        status=jnp.zeros(draws, dtype=int),
        names=names,
        outcome=(estimate.outcome if isinstance(estimate.outcome, str) else estimate.outcome[0]),
    )


def _terms(contrast: Contrast, groups: Groups) -> tuple[str, ...]:
    return tuple(f"{contrast.model.spec.treatment}[{contrast.by}={name}]" for name in groups.names)


def _pair_terms(groups: Groups, pairs: Pairs) -> tuple[str, ...]:
    return tuple(f"difference:{pair_name(groups.names, pair)}" for pair in pairs)


def _sizes(fits: tuple[Estimate, ...], size: str, pairs: Pairs) -> Array:
    """Return rows, units or periods behind each term: those of both groups behind a difference."""
    own = np.asarray([float(getattr(fit, size)) for fit in fits])
    joint = max if size == "n_periods" else sum
    return jnp.asarray([*own, *(float(joint((own[first], own[second]))) for first, second in pairs)])


def _details(groups: Groups, fits: tuple[Estimate, ...]) -> dict[str, pd.DataFrame]:
    """Return all rows of each group's fit, and what it has once."""
    rows = [fit.frame().assign(group=name) for name, fit in zip(groups.names, fits, strict=True)]
    once = [
        {
            "group": name,
            **{size: float(getattr(fit, size)) for size in ("nobs", "n_units", "n_periods")},
            **{key: float(value) for key, value in fit.stats.items() if np.ndim(value) == 0},
        }
        for name, fit in zip(groups.names, fits, strict=True)
    ]
    return {"groups": pd.concat(rows, ignore_index=True), "fits": pd.DataFrame(once)}


def _few_treated(contrast: Contrast, panel: Panel, groups: Groups) -> tuple[str, ...]:
    """Say which groups rest on few treated units."""
    treated = panel.sample & (np.nan_to_num(panel.column(contrast.model.spec.treatment)) != 0)
    said = []
    for number, name in enumerate(groups.names):
        units = int((treated & (groups.codes == number)).any(1).sum())
        if units < FEW_CLUSTERS:
            said.append(
                f"{contrast.by}={name} has only {units} treated units: its standard error can be far too small; prefer the "
                "p-value of fisher_permutation"
            )
    return tuple(said)
