r"""Mediation: how much of an effect passes through what it changes on its way.

With unit and period effects in each, the total effect, equation (3) and equation (4) are

.. math::

    y_{it} = c\, d_{it} + \ldots, \qquad
    m_{it} = a\, d_{it} + \ldots, \qquad
    y_{it} = c' d_{it} + b\, m_{it} + \ldots

On one sample ``a b = c - c'`` holds whatever the data are: it checks arithmetic and is no evidence. The indirect effect ``a b``
has Sobel's standard error ``sqrt(a^2 se_b^2 + b^2 se_a^2)`` and intervals from clusters drawn whole, the same draws for all
equations. Several mediators enter together, and alone as well (``_alone``): together ``b`` is the effect of one given the
others.

A mediator is an outcome of the policy, so in the last equation it is a bad control: ``b`` is causal only if nothing that is
left out moves it and the outcome. With ``rho`` the correlation of the errors of mediator and outcome, ``s`` the standard
deviations of the residuals of total effect (1) and mediator (2), and ``r`` their correlation, the indirect effect would be

.. math:: \frac{a\, s_1}{s_2} \Big(r - \rho \sqrt{(1 - r^2) / (1 - \rho^2)}\Big) ,

which is ``a b`` at ``rho = 0`` and nothing at ``rho = r``: the reported ``rho:<mediator>``. How little confounding that is, is
the reader's to judge. This formula takes one mediator at a time.

References
----------
Sobel, M. E. (1982). Sociological Methodology 13, 290-312. https://doi.org/10.2307/270723
Imai, K., Keele, L. and Yamamoto, T. (2010). Statistical Science 25, 51-71. https://doi.org/10.1214/10-STS321
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import SpecError
from syneff.models.base import Design, Estimate, Estimator, Spec
from syneff.models.design import build_design, sample_of
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling.bootstrap import PairsBootstrap
from syneff.models.resampling.intervals import TAILS
from syneff.panel.panel import Panel
from syneff.typing import Array, Float

RHOS = np.round(np.linspace(-0.95, 0.95, 39), 2)
"""Correlations of errors that the indirect effect is reported under."""
WARNING = (
    "the mediator is an outcome of the policy and a bad control where it stands beside it: its coefficient and the direct "
    "effect are causal only if nothing left out moves mediator and outcome; a b = c - c' is algebra, no evidence"
)

FitEquation = Callable[[FixedEffects, Design], Estimate]


@dataclass(frozen=True)
class Mediation(Estimator):
    """Total, direct and indirect effect of a treatment through mediators.

    Attributes
    ----------
    spec
        The specification of the total effect; mediators are no controls of it.
    mediators
        Columns that the treatment may change on its way to the outcome.
    draws
        Bootstrap draws of whole clusters behind the intervals; 0 for none.
    """

    spec: Spec
    mediators: tuple[str, ...]
    draws: int = 999

    def __post_init__(self) -> None:
        object.__setattr__(self, "mediators", tuple(self.mediators))
        if not self.mediators:
            raise SpecError("Mediation has no mediator. Name one or more, e.g. estimator.mediators=[patents].")
        for name in self.mediators:
            if name in (self.spec.outcome, *self.spec.regressors) or self.mediators.count(name) > 1:
                raise SpecError(
                    f"Mediation: {name!r} stands more than once among outcome, treatment, controls and mediators. "
                    "A mediator is no control of the total effect: change spec.controls or estimator.mediators."
                )
        if self.draws < 0:
            raise SpecError(f"Mediation: draws={self.draws} must be 0 or more, e.g. draws=999.")

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms, in order."""
        treatment = self.spec.treatment
        names = [f"total:{treatment}", f"direct:{treatment}"]
        for mediator in self.mediators:
            names += [f"{kind}:{mediator}" for kind in ("a", "b", "indirect", "share", "rho")]
        if len(self.mediators) > 1:
            names += [f"indirect:{treatment}", f"share:{treatment}"]
            for mediator in self.mediators:
                names += [f"{kind}:{mediator}" for kind in ("direct_alone", "b_alone", "indirect_alone", "share_alone")]
        return tuple(names)

    def design(self, panel: Panel) -> Design:
        """Turn names into arrays, the mediators after the treatment: all equations have one sample."""
        return build_design(panel, replace(self.spec, controls=(*self.mediators, *self.spec.controls)))

    def fit(self, design: Design) -> Estimate:
        """Estimate all equations and what they imply."""
        return self._fit(design, lambda model, equation: model.fit(equation))

    def fit_weights(self, design: Design, weights: Float[Array, "draw unit"]) -> Estimate:
        """Estimate all equations under each vector of unit weights ``[draw unit]``."""
        return self._fit(design, lambda model, equation: model.fit_weights(equation, weights))

    def fit_copies(self, design: Design, copies: Float[Array, "draw unit"]) -> Estimate:
        """Estimate all equations on as many copies of each unit ``[draw unit]``."""
        return self._fit(design, lambda model, equation: model.fit_copies(equation, copies))

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate all equations, with intervals from bootstrap draws that they share.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key of the draws.

        Returns
        -------
        Estimate
            Terms ``total:<treatment>``, ``direct:<treatment>`` and, by mediator, ``a:``, ``b:``, ``indirect:``, ``share:``
            and ``rho:``; several mediators have ``indirect:<treatment>`` and ``share:<treatment>`` too, their sums, and
            ``direct_alone:``, ``b_alone:``, ``indirect_alone:``, ``share_alone:`` by mediator. Shares, sums and rho have no
            standard error, but the intervals of all terms: ``percentile:``, ``basic:``, ``bca:``. ``details["sensitivity"]``
            has the indirect effect under each correlation of the errors. ``stats["identity_residual"]`` is the largest gap
            between ``a b`` and ``c - c'``.
        """
        core = replace(self, draws=0)
        if not self.draws:
            actual = super().estimate(panel, seed=seed, name=name)
        else:
            drawn = PairsBootstrap(core, draws=self.draws).estimate(panel, seed=seed, name=name)
            actual = super().estimate(panel, seed=seed, name=name)
            actual = replace(actual, tests=drawn.tests, draws=drawn.draws, notes=drawn.notes, stats=drawn.stats)
        return replace(actual, details={**actual.details, "sensitivity": self._sensitivity(actual)})

    def notes(self, panel: Panel, estimate: Estimate) -> tuple[str, ...]:
        """Say which rows were left out, and what a mediator is."""
        whole = replace(self.spec, controls=(*self.mediators, *self.spec.controls))
        said = super().notes(panel, estimate)
        total = float(estimate.coef[0])
        opposite = [
            each
            for each, value in zip(estimate.names, np.asarray(estimate.coef), strict=True)
            if each.startswith("indirect:") and value * total < 0
        ]
        signs = (f"of the other sign than the total effect, so its share is no share: {', '.join(opposite)}",)
        return sample_of(panel, whole).notes() + said + (WARNING,) + (signs if opposite else ())

    def _fit(self, design: Design, fit: FitEquation) -> Estimate:
        count, controls = len(self.mediators), self.spec.controls
        short = replace(
            design,
            regressors=jnp.delete(design.regressors, np.arange(1, count + 1), axis=2, assume_unique_indices=True),
            names=(self.spec.treatment, *controls),
        )
        first = jax.vmap(lambda y: fit(FixedEffects(self.spec), replace(short, outcome=y)), in_axes=2)(
            jnp.concatenate([design.outcome[:, :, None], design.regressors[:, :, 1 : count + 1]], axis=2)
        )
        second = self._with_one_more(design, short, fit)
        whole = replace(self.spec, controls=(*self.mediators, *controls))
        joint = fit(FixedEffects(whole), design) if count > 1 else None
        return self._assemble(first, second, joint)

    def _with_one_more(self, design: Design, short: Design, fit: FitEquation) -> Estimate:
        """Regress the outcome with each mediator beside the treatment, and then each mediator with the outcome there."""
        count = len(self.mediators)
        own = design.regressors[:, :, 1 : count + 1]
        outcome = jnp.broadcast_to(design.outcome[:, :, None], own.shape)
        left, right = jnp.concatenate([outcome, own], axis=2), jnp.concatenate([own, outcome], axis=2)
        model = FixedEffects(replace(self.spec, controls=(self.mediators[0], *self.spec.controls)))
        names = model.spec.regressors

        def one(outcome: Array, beside: Array) -> Estimate:
            parts = [short.regressors[:, :, :1], beside[:, :, None], short.regressors[:, :, 1:]]
            return fit(model, replace(short, outcome=outcome, regressors=jnp.concatenate(parts, axis=2), names=names))

        return jax.vmap(one, in_axes=(2, 2))(left, right)

    def _assemble(self, first: Estimate, second: Estimate, joint: Estimate | None) -> Estimate:
        """Put terms together; a batch of draws has its axis after that of the equations."""
        count = len(self.mediators)
        alone = [_term(second, place, 1) for place in range(count)]
        reverse = [_term(second, count + place, 1).value for place in range(count)]
        direct_alone = [_term(second, place, 0) for place in range(count)]
        total, paths = _term(first, 0, 0), [_term(first, place + 1, 0) for place in range(count)]
        direct, effects = direct_alone[0], alone
        if joint is not None:
            direct = _Term(joint.coef[..., 0], joint.std_error[..., 0], joint.term_dof[..., 0])
            effects = [
                _Term(joint.coef[..., each], joint.std_error[..., each], joint.term_dof[..., each])
                for each in range(1, count + 1)
            ]
        found = [total, direct]
        indirect = [_sobel(a, b) for a, b in zip(paths, effects, strict=True)]
        for place in range(count):
            root = jnp.sqrt(jnp.maximum(alone[place].value * reverse[place], 0.0))
            rho = total.bare(jnp.sign(alone[place].value) * root)
            share = total.bare(indirect[place].value / total.value)
            found += [paths[place], effects[place], indirect[place], share, rho]
        through = jnp.stack([each.value for each in indirect]).sum(0)
        gaps = [total.value - direct.value - through]
        if joint is not None:
            found += [total.bare(through), total.bare(through / total.value)]
            for a, b, rest in zip(paths, alone, direct_alone, strict=True):
                product = _sobel(a, b)
                found += [rest, b, product, total.bare(product.value / total.value)]
                gaps.append(total.value - rest.value - product.value)
        return self._estimate(first, second, found, jnp.abs(jnp.stack(gaps)).max(0))

    def _estimate(self, first: Estimate, second: Estimate, found: "list[_Term]", gap: Array) -> Estimate:
        variance = jnp.stack([each.error for each in found], axis=-1) ** 2
        own = jnp.eye(len(found), dtype=bool)
        clusters = {"n_clusters": first.stats["n_clusters"][0]} if "n_clusters" in first.stats else {}
        of_mediators = {f"a:{each}": each for each in self.mediators}
        return Estimate(
            coef=jnp.stack([each.value for each in found], axis=-1),
            cov=jnp.where(own, variance[..., None], jnp.nan),
            nobs=first.nobs[0],
            n_units=first.n_units[0],
            n_periods=first.n_periods[0],
            dof=jnp.stack([each.dof for each in found], axis=-1),
            stats={"identity_residual": gap, **clusters},
            status=jnp.maximum(first.status.max(0), second.status.max(0)),
            names=self.terms,
            outcome=tuple(of_mediators.get(name, self.spec.outcome) for name in self.terms),
        )

    def _sensitivity(self, estimate: Estimate) -> pd.DataFrame:
        """Return the indirect effect of each mediator alone under each correlation of the errors, with percentiles."""
        suffix = "_alone" if len(self.mediators) > 1 else ""
        frames = []
        for mediator in self.mediators:
            terms = [f"a:{mediator}", f"b{suffix}:{mediator}", f"rho:{mediator}"]
            curve = indirect_effects(*_columns(estimate, terms)[:, 0])
            frame = pd.DataFrame({"mediator": mediator, "rho": RHOS, "indirect": curve, "low": np.nan, "high": np.nan})
            if estimate.draws is not None:
                drawn = np.array([indirect_effects(*each) for each in _columns(estimate.draws, terms).T])
                frame["low"], frame["high"] = np.nanquantile(drawn, TAILS, axis=0)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class _Term:
    """A coefficient, its standard error and its degrees of freedom, with any leading axes."""

    value: Array
    error: Array
    dof: Array

    def bare(self, value: Array) -> "_Term":
        """Return another value without a standard error."""
        return _Term(value, jnp.full_like(value, jnp.nan), self.dof)


def indirect_effects(path: float, effect: float, correlation: float) -> Float[np.ndarray, " rho"]:
    """Return the indirect effect under each of `RHOS`.

    Parameters
    ----------
    path, effect
        ``a`` and ``b`` of one mediator.
    correlation
        Of the residuals of total effect and mediator; the ratio of their standard deviations is ``effect / correlation``.
    """
    if correlation == 0:
        return np.full(RHOS.size, np.nan)
    moved = correlation - RHOS * np.sqrt((1.0 - correlation**2) / (1.0 - RHOS**2))
    return np.asarray(path * effect / correlation * moved)


def _term(estimate: Estimate, equation: int, place: int) -> _Term:
    return _Term(
        estimate.coef[equation, ..., place],
        estimate.std_error[equation, ..., place],
        estimate.term_dof[equation, ..., place],
    )


def _sobel(path: _Term, effect: _Term) -> _Term:
    error = jnp.sqrt(path.value**2 * effect.error**2 + effect.value**2 * path.error**2)
    return _Term(path.value * effect.value, error, jnp.minimum(path.dof, effect.dof))


def _columns(estimate: Estimate, terms: list[str]) -> Float[np.ndarray, "term draw"]:
    coef = np.atleast_2d(np.asarray(estimate.coef))
    return np.stack([coef[:, estimate.names.index(term)] for term in terms])
