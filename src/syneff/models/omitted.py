"""Sensitivity to omitted variables: how strong one must be to overturn the effect, and what selection on controls suggests.

Two answers to the same question, each with its rows:

======================  ============================================================================================
row                     what
======================  ============================================================================================
``partial_r2``          partial R2 of treatment with outcome: what an omitted variable that explains all of the rest of the
                        outcome must explain of the treatment to leave nothing of the effect
``robustness_value``    what it must explain of both alike to do so; ``robustness_value_alpha``: to make it insignificant
``treat[2x gov]``       the effect beside an omitted variable twice as strong as the control ``gov``
``oster_delta``         how much more selected the unobserved must be than the controls for the effect to be zero
``treat[oster]``        the effect if it is `delta` times as much selected; with the controlled effect it makes the bounds
======================  ============================================================================================

All R2 are net of the absorbed effects. The algebra of estimates is exact whatever the errors are; standard errors are scaled as
homoskedastic ones are, so those of another covariance suppose that an omitted variable changes both alike (as ``sensemakr``
does). See `syneff.numerics.omitted` for the algebra and its sources.
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import special

from syneff.errors import SpecError, unknown_name
from syneff.models.base import Design, Estimate, Estimator, Test
from syneff.models.fixed_effects import FixedEffects
from syneff.numerics.least_squares import absorb, absorption
from syneff.numerics.omitted import Selection, Unadjusted, benchmark_bounds
from syneff.panel.panel import Panel
from syneff.typing import Array, Float

STRETCH = 1.3
"""Oster's multiple of the controlled R2 that everything together may explain."""
GRID = 41
"""Points of the contour plot along each axis."""


@dataclass(frozen=True)
class OmittedVariables:
    """Ask what an omitted variable would have to be like.

    Attributes
    ----------
    model
        A `FixedEffects`.
    benchmarks
        Controls to measure an omitted variable against; all of them if None.
    multiples
        How many times as strong as a benchmark.
    q
        Share of the effect that is to be explained away.
    alpha
        Level of significance.
    r2_max
        R2, net of effects, of a regression with everything in it; 1.3 times that with the controls, at most 1, if None.
    delta
        Selection on the unobserved relative to that on the controls, for ``treat[oster]``.
    """

    model: Estimator
    benchmarks: tuple[str, ...] | None = None
    multiples: tuple[int | float, ...] = (1.0, 2.0, 3.0)
    q: int | float = 1
    alpha: int | float = 0.05
    r2_max: int | float | None = None
    delta: int | float = 1

    def __post_init__(self) -> None:
        if type(self.model) is not FixedEffects:
            raise SpecError(
                f"OmittedVariables: the model is {type(self.model).__name__}, but the algebra is that of FixedEffects."
            )
        controls = self.model.spec.controls
        object.__setattr__(self, "benchmarks", controls if self.benchmarks is None else tuple(self.benchmarks))
        object.__setattr__(self, "multiples", tuple(float(each) for each in self.multiples))
        for option in ("q", "alpha", "r2_max", "delta"):
            given = getattr(self, option)
            object.__setattr__(self, option, None if given is None else float(given))
        for name in self.benchmarks or ():
            if name not in controls:
                raise SpecError(unknown_name("control in OmittedVariables benchmarks:", name, controls))
        wrong = [each for each in self.multiples if not each > 0]
        if wrong or not self.q > 0 or not 0 < self.alpha < 1:
            raise SpecError(
                f"OmittedVariables: multiples={list(self.multiples)} and q={self.q:g} must be above 0, alpha={self.alpha:g} "
                "between 0 and 1."
            )

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate, and measure the sensitivity.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect.

        Returns
        -------
        Estimate
            The terms and tests of the table above; `details` has the benchmarks (``bounds``), the grid of the contour plot
            (``contours``), and delta and coefficient along R2 (``selection``).

        Raises
        ------
        SpecError
            If effects and controls explain the treatment, or `r2_max` is below the R2 with controls.
        """
        spec = self.model.spec
        actual = self.model.estimate(panel, seed=seed, name=name)
        fit = _moments(self.model, self.model.design(panel))
        moments, rank = np.asarray(fit[0]), float(fit[1])
        kept = np.flatnonzero(np.isfinite(np.asarray(actual.coef[: moments.shape[0] - 1]))).tolist()
        if 0 not in kept:
            raise SpecError(
                f"OmittedVariables: effects explain {spec.treatment!r}, so there is no effect to be overturned."
            )
        unadjusted = _unadjusted(self, actual, moments, kept, float(actual.nobs) - len(kept) - rank)
        bounds = self._bounds(unadjusted, moments, kept)
        estimate = self._with_bounds(actual, unadjusted, bounds)
        details = {"bounds": bounds, "contours": _contours(unadjusted, bounds, self.q)}
        estimate = replace(estimate, details=details)
        if len(kept) < 2:
            said = "no controls: nothing to measure an omitted variable against, and no selection on them"
            return replace(estimate, notes=(*estimate.notes, said))
        return self._with_selection(estimate, _selection(moments, kept))

    def _bounds(self, unadjusted: Unadjusted, moments: np.ndarray, kept: list[int]) -> pd.DataFrame:
        """Return a row a benchmark and multiple."""
        outcome, rows = moments.shape[0] - 1, []
        for control in self.benchmarks or ():
            place = 1 + self.model.spec.controls.index(control)
            others = [each for each in kept if each not in (0, place)]
            if place not in kept:
                continue
            with_treatment = _partial_r2(moments, 0, place, others)
            with_outcome = _partial_r2(moments, outcome, place, [0, *others])
            for multiple in self.multiples:
                strong = benchmark_bounds(with_treatment, with_outcome, multiple)
                found = unadjusted.adjusted(np.asarray(strong[0]), np.asarray(strong[1]), q=self.q)
                value, error, statistic = (float(each) for each in found)
                half = unadjusted.critical * error
                columns = (control, multiple, *strong, value, error, statistic, value - half, value + half)
                rows.append(dict(zip(BOUNDS, columns, strict=True)))
        return pd.DataFrame(rows, columns=list(BOUNDS)).astype(dict.fromkeys(BOUNDS[1:], float))

    def _with_bounds(self, actual: Estimate, unadjusted: Unadjusted, bounds: pd.DataFrame) -> Estimate:
        """Return the treatment, then its estimates beside the benchmarks; and the values of robustness."""
        treatment = self.model.spec.treatment
        names = [f"{treatment}[{row.multiple:g}x {row.benchmark}]" for row in bounds.itertuples()]
        out_of_reach = bounds[bounds["r2_outcome"].isna()]
        said = tuple(
            f"no variable can be {row.multiple:g} times as strong as {row.benchmark}"
            for row in out_of_reach.itertuples()
        )
        stats = {
            "partial_r2": unadjusted.partial_r2,
            "robustness_value": unadjusted.robustness_value(self.q),
            "robustness_value_alpha": unadjusted.robustness_value(self.q, significant=True),
        }
        own = actual.of_terms((treatment,))
        estimate = _append(own, names, bounds["estimate"].to_numpy(), bounds["std_error"].to_numpy())
        return replace(
            estimate,
            tests=(*actual.tests, *(_test(name, value) for name, value in stats.items())),
            stats={**actual.stats, **{name: jnp.asarray(value) for name, value in stats.items()}},
            notes=(*actual.notes, *said),
        )

    def _with_selection(self, estimate: Estimate, selection: Selection) -> Estimate:
        """Append the uncontrolled and the bias-adjusted estimate, and the degree of selection for zero."""
        treatment = self.model.spec.treatment
        most = min(STRETCH * selection.long_r2, 1.0) if self.r2_max is None else self.r2_max
        if not selection.long_r2 <= most <= 1.0:
            raise SpecError(
                f"OmittedVariables: r2_max={most:g} must lie between the R2 with controls, {selection.long_r2:.4g}, and 1."
            )
        adjusted = selection.coefficients(self.delta, most)
        delta = selection.delta((1.0 - self.q) * selection.long, most)
        stats = {"oster_delta": delta, "oster_r2_max": most, "oster_roots": float(adjusted.size)}
        grid = np.linspace(selection.long_r2, 1.0, GRID)[1:]
        path = {
            "r2_max": grid,
            "delta": [selection.delta((1.0 - self.q) * selection.long, each) for each in grid],
            "coefficient": [selection.coefficients(self.delta, each)[0] for each in grid],
        }
        others = ", ".join(f"{each:.4g}" for each in adjusted[1:])
        said = (f"selection allows other coefficients too: {others}",) if others else ()
        estimate = _append(
            estimate,
            [f"{treatment}[uncontrolled]", f"{treatment}[oster]"],
            np.asarray([selection.short, adjusted[0]]),
            np.full(2, np.nan),
        )
        return replace(
            estimate,
            tests=(*estimate.tests, _test("oster_delta", delta)),
            stats={**estimate.stats, **{name: jnp.asarray(value) for name, value in stats.items()}},
            notes=(*estimate.notes, *said),
            details={**estimate.details, "selection": pd.DataFrame(path)},
        )


BOUNDS = (
    "benchmark",
    "multiple",
    "r2_treatment",
    "r2_outcome",
    "estimate",
    "std_error",
    "statistic",
    "conf_low",
    "conf_high",
)


@partial(jax.jit, static_argnums=0)
def _moments(model: FixedEffects, design: Design) -> tuple[Float[Array, "column column"], Float[Array, ""]]:
    """Return the moments of regressors and outcome, the last, net of effects; and the rank of the effects."""
    absorbed = absorption(design.weights, model.spec.effects)
    columns = absorb(jnp.concatenate([design.regressors, design.outcome[:, :, None]], axis=2), absorbed)
    return jnp.einsum("it,itk,itl->kl", design.weights, columns, columns), absorbed.rank


def _rss(moments: np.ndarray, target: int, given: list[int]) -> float:
    """Return the residual sum of squares of one column on others."""
    if not given:
        return float(moments[target, target])
    cross = moments[given, target]
    return float(moments[target, target] - cross @ np.linalg.solve(moments[np.ix_(given, given)], cross))


def _partial_r2(moments: np.ndarray, target: int, place: int, others: list[int]) -> float:
    return 1.0 - _rss(moments, target, [place, *others]) / _rss(moments, target, others)


def _unadjusted(
    asked: OmittedVariables, actual: Estimate, moments: np.ndarray, kept: list[int], free: float
) -> Unadjusted:
    controls = [each for each in kept if each]
    rss = _rss(moments, moments.shape[0] - 1, [0, *controls])
    # One more regressor takes a degree of freedom where rows count, none where clusters do.
    dof = float(actual.term_dof[0]) - (0.0 if float(actual.term_dof[0]) < free else 1.0)
    return Unadjusted(
        estimate=float(actual.coef[0]),
        classical=float(np.sqrt(rss / free / _rss(moments, 0, controls))),
        error=float(actual.std_error[0]),
        free=free,
        critical=float(special.stdtrit(dof, 1.0 - asked.alpha / 2.0)),
    )


def _selection(moments: np.ndarray, kept: list[int]) -> Selection:
    """Return what proportional selection needs; sums of squares do as variances, since only ratios count."""
    outcome, controls = moments.shape[0] - 1, [each for each in kept if each]
    total, own = moments[outcome, outcome], moments[0, 0]
    inside = [0, *controls]
    return Selection(
        short=float(moments[0, outcome] / own),
        long=float(np.linalg.solve(moments[np.ix_(inside, inside)], moments[inside, outcome])[0]),
        short_r2=1.0 - _rss(moments, outcome, [0]) / total,
        long_r2=1.0 - _rss(moments, outcome, inside) / total,
        outcome_variance=float(total),
        treatment_variance=float(own),
        residual_variance=_rss(moments, 0, controls),
    )


def _contours(unadjusted: Unadjusted, bounds: pd.DataFrame, q: float) -> pd.DataFrame:
    """Return estimate and t statistic on a grid that holds the benchmarks and the robustness value."""

    def axis(name: str) -> np.ndarray:
        reach = np.nanmax([unadjusted.robustness_value(q), *bounds[name].dropna()])
        return np.linspace(0.0, min(0.95, max(1.3 * reach, 0.05)), GRID)

    treatment, outcome = np.meshgrid(axis("r2_treatment"), axis("r2_outcome"), indexing="ij")
    value, _, statistic = unadjusted.adjusted(treatment.ravel(), outcome.ravel(), q=q)
    columns = {
        "r2_treatment": treatment.ravel(),
        "r2_outcome": outcome.ravel(),
        "estimate": value,
        "statistic": statistic,
    }
    return pd.DataFrame(columns)


def _append(estimate: Estimate, names: list[str], values: np.ndarray, errors: np.ndarray) -> Estimate:
    variances = np.concatenate([np.asarray(jnp.diagonal(estimate.cov)), errors**2])
    return replace(
        estimate,
        coef=jnp.asarray(np.concatenate([np.asarray(estimate.coef), values])),
        cov=jnp.asarray(np.where(np.eye(variances.size, dtype=bool), variances, np.nan)),
        dof=jnp.full(variances.size, estimate.term_dof[0]),
        names=(*estimate.names, *names),
    )


def _test(name: str, value: float) -> Test:
    nothing = jnp.asarray(np.nan)
    return Test(jnp.asarray(float(value)), nothing, nothing, nothing, name)
