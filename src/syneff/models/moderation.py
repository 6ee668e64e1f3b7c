r"""An effect that varies with a continuous variable: linear, by bins, and by a kernel.

The linear interaction ``d (alpha + beta x)`` is what papers print, and it is right only if the effect is linear in ``x`` and if
``x`` is seen among the treated and the others alike. So beside it stand

* *bins*: the effect at the median of each third of ``x``, with a slope of its own in each, and the Wald test of the linear
  model against this one (row ``linearity``);
* a *kernel*: the effect at each value of ``x`` from rows near it, its bandwidth chosen by cross-validation over units, with
  pointwise intervals of a cluster bootstrap;
* the distribution of ``x`` among treated and other rows.

The terms are ``treat`` and ``treat:<x>`` of the linear model, its other terms, and ``treat[<x>=<median>]`` of the bins; the
curves are in `details`. Effects of units and periods are in common, as in a regression with an interaction; `Contrast` lets
them differ by group. A moderator that does not change within units has no slope of its own beside unit effects.

References
----------
Hainmueller, J., Mummolo, J. and Xu, Y. (2019). Political Analysis 27, 163-192. https://doi.org/10.1017/pan.2018.46
"""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import special

from syneff.errors import DataError, SpecError
from syneff.models.base import Design, Estimate, Estimator, jit_fit
from syneff.models.design import build_design
from syneff.models.fixed_effects import FixedEffects
from syneff.models.moderator_bins import bin_effects, binned_design, linearity
from syneff.models.resampling.bootstrap import draw_copies
from syneff.models.resampling.draws import check_draws, resampled_clusters, run_draws
from syneff.models.resampling.intervals import LEVEL, TAILS
from syneff.numerics.local import Local, local_effects, prediction_error
from syneff.panel.panel import Panel
from syneff.runtime import draw_keys, key_for, require_float64
from syneff.typing import Array, Int

BANDWIDTHS = 10
"""Bandwidths that cross-validation tries, from a thirtieth of the range of the moderator to all of it."""
ENDS = (2.5, 97.5)
"""Percentiles of the moderator between which the curve is drawn: beyond them there is little to see."""
COLUMNS = 24
"""Columns of the histogram of the moderator."""


@dataclass(frozen=True)
class Moderation:
    """Let the treatment's effect vary with a continuous variable.

    Attributes
    ----------
    model
        A `FixedEffects`.
    by
        The moderator: a numeric trait or a column.
    bins
        Number of bins, of equal size.
    points
        Points of the curve.
    bandwidth
        Standard deviation of the kernel, in units of the moderator; by cross-validation if None.
    folds
        Parts that units are split into for cross-validation.
    draws
        Draws of the bootstrap.
    chunk
        Draws at a time; without effect on the results. What suits the device if None.
    """

    model: Estimator
    by: str
    bins: int = 3
    points: int = 25
    bandwidth: int | float | None = None
    folds: int = 10
    draws: int = 200
    chunk: int | None = None

    def __post_init__(self) -> None:
        check_draws("Moderation", self.draws, self.chunk)
        if type(self.model) is not FixedEffects:
            raise SpecError(
                f"Moderation: the model is {type(self.model).__name__}, but only FixedEffects can be moderated."
            )
        if self.bins < 2 or self.points < 2 or self.folds < 2:
            raise SpecError(
                f"Moderation: bins={self.bins}, points={self.points} and folds={self.folds} must be 2 or more each."
            )
        if self.bandwidth is not None and not self.bandwidth > 0:
            raise SpecError(f"Moderation: bandwidth={self.bandwidth:g} must be above 0, or null for cross-validation.")

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the three, and test the linear one.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random keys of folds and draws.

        Returns
        -------
        Estimate
            See the module; `details` has ``curve``, ``bins``, ``support`` and, unless it was given, ``bandwidths``.

        Raises
        ------
        DataError
            If the moderator has too few values, or whatever the design finds.
        SpecError
            If a cluster is not constant within units.
        """
        require_float64()
        values = panel.column(self.by)
        panel = panel.reweight(np.where(np.isfinite(values), panel.weights, 0.0))
        design, spec = build_design(panel, self.model.spec), self.model.spec
        inside = np.asarray(design.weights) > 0
        x = np.where(inside, values, 0.0)
        varies = self._own_slope(x, inside)
        own = self.by not in spec.controls and varies
        linear = jit_fit(self.model, self._linear(design, x, own))
        binned, bins = binned_design(design, x, self.bins, by=self.by, own=own)
        steps = jit_fit(self.model, binned)
        local = Local(
            outcome=design.outcome,
            treatment=design.regressors[:, :, 0],
            moderator=jnp.asarray(x),
            controls=design.regressors[:, :, 1:],
            weights=design.weights,
            effects=spec.effects,
            varies=own,
            balanced=design.balanced and not varies,
        )
        curve, tried, bandwidth = self._curve(panel, design, local, key_for(seed, name))
        bins = bin_effects(bins, steps)
        estimate = _beside(linear, steps, [f"{spec.treatment}[{self.by}={each:.4g}]" for each in bins["median"]])
        details = {"curve": _with_linear(curve, linear), "bins": bins, "support": _support(local, x[inside], inside)}
        return replace(
            estimate,
            tests=(linearity(steps, bins["median"].to_numpy(), own=own),),
            stats={**linear.stats, "bandwidth": jnp.asarray(bandwidth)},
            details={**details, **({"bandwidths": tried} if tried is not None else {})},
            notes=(*self.model.notes(panel, linear), *self._notes(bins, curve, varies)),
        )

    def _own_slope(self, x: np.ndarray, inside: np.ndarray) -> bool:
        """Say whether the moderator changes within units, or there are no unit effects that hold its slope."""
        if np.unique(x[inside]).size <= self.bins:
            raise DataError(
                f"Moderation by={self.by} has {np.unique(x[inside]).size} values in the sample, too few for {self.bins} bins. "
                "Use Contrast for groups."
            )
        low, high = (np.where(inside, x, sign * np.inf) for sign in (1, -1))
        changes = bool((high.max(1) - low.min(1) > 0).any())
        return changes or "unit" not in self.model.spec.effects

    def _linear(self, design: Design, x: np.ndarray, own: bool) -> Design:
        treatment, moderator = design.regressors[:, :, :1], jnp.asarray(x)[:, :, None]
        crossed = [treatment, treatment * moderator, *([moderator] if own else [])]
        names = (design.names[0], f"{design.names[0]}:{self.by}", *((self.by,) if own else ()))
        return replace(
            design,
            regressors=jnp.concatenate([*crossed, design.regressors[:, :, 1:]], axis=2),
            names=(*names, *design.names[1:]),
        )

    def _curve(
        self, panel: Panel, design: Design, local: Local, key: Array
    ) -> tuple[pd.DataFrame, pd.DataFrame | None, float]:
        """Return the effect along the moderator with its intervals, the bandwidths that were tried, and the one taken."""
        x = np.asarray(local.moderator)[np.asarray(local.weights) > 0]
        first, last = (float(each) for each in np.percentile(x, ENDS))
        grid = jnp.linspace(first, last, self.points)
        if not first < last:
            raise DataError(f"Moderation by={self.by} hardly varies: nineteen rows in twenty are {first:g}.")
        fold_key, draw_key = jax.random.split(key)
        tried = None if self.bandwidth else self._bandwidths(local, grid, fold_key)
        if tried is None:
            bandwidth = float(self.bandwidth or 0.0)
        elif np.isfinite(tried["error"]).any():
            bandwidth = float(tried["bandwidth"].to_numpy()[int(tried["error"].to_numpy().argmin())])
        else:
            raise DataError(f"Moderation by={self.by}: no bandwidth can be cross-validated. Give one, or fewer folds.")
        width, units = jnp.asarray(bandwidth), local.weights.shape[0]
        effect = local_effects(local, grid, width, jnp.ones((1, units)))[0]
        clusters = resampled_clusters("Moderation", panel, design, self.model.spec)
        common = (local, grid, width, jnp.asarray(clusters.codes), draw_key)
        step = partial(_resampled, len(clusters.names))
        drawn = np.asarray(run_draws(step, common, self.draws, chunk=self.chunk, of="bootstrap draws"))
        with np.errstate(invalid="ignore"):
            ends = np.nanquantile(drawn, TAILS, axis=0)
        curve = pd.DataFrame(
            {
                "moderator": np.asarray(grid),
                "kernel": np.asarray(effect),
                "kernel_error": np.nanstd(drawn, axis=0, ddof=1),
                "kernel_low": ends[0],
                "kernel_high": ends[1],
                "draws": np.isfinite(drawn).sum(0).astype(float),
            }
        )
        return curve, tried, bandwidth

    def _bandwidths(self, local: Local, grid: Array, key: Array) -> pd.DataFrame:
        """Return the error of prediction of each bandwidth."""
        units = np.flatnonzero(np.asarray(np.any(local.weights > 0, axis=1)))
        folds = min(self.folds, units.size)
        own = np.zeros(local.weights.shape[0], dtype=int)
        own[units[np.asarray(jax.random.permutation(key, units.size))]] = np.arange(units.size) % folds
        span = float(np.ptp(np.asarray(local.moderator)[np.asarray(local.weights) > 0]))
        tried = np.geomspace(span / 30.0, span, BANDWIDTHS)
        given = (jnp.asarray(own), jnp.arange(folds))
        errors = [float(prediction_error(local, grid, jnp.asarray(each), given)) for each in tried]
        return pd.DataFrame({"bandwidth": tried, "error": errors})

    def _notes(self, bins: pd.DataFrame, curve: pd.DataFrame, varies: bool) -> tuple[str, ...]:
        said = []
        if varies and "unit" in self.model.spec.effects:
            said.append(
                f"{self.by} changes within units: after adoption it can be an effect of the treatment; prefer its value before"
            )
        empty = bins.loc[bins["treated_rows"] == 0, "median"]
        if len(empty):
            said.append(f"no treated row in the bins around {', '.join(f'{each:.4g}' for each in empty)}")
        lost = int((curve["draws"] < self.draws).sum())
        if lost:
            said.append(f"at {lost} of {len(curve)} points of the curve some draws identify no effect")
        return tuple(said)


@partial(jax.jit, static_argnums=0)
def _resampled(count: int, common: tuple[Local, Array, Array, Array, Array], numbers: Int[Array, " draw"]) -> Array:
    """Return the effects along the moderator in samples of clusters."""
    local, grid, bandwidth, codes, key = common
    copies = jax.vmap(partial(draw_copies, count=count))(draw_keys(key, numbers))[:, codes]
    return jnp.asarray(local_effects(local, grid, bandwidth, copies))


def _with_linear(curve: pd.DataFrame, linear: Estimate) -> pd.DataFrame:
    """Add the line of the linear model, and its intervals."""
    x = curve["moderator"].to_numpy()
    (level, slope), cov = np.asarray(linear.coef[:2]), np.asarray(linear.cov[:2, :2])
    value = level + slope * x
    error = np.sqrt(cov[0, 0] + 2.0 * x * cov[0, 1] + x**2 * cov[1, 1])
    half = special.stdtrit(float(linear.term_dof[:2].min()), 0.5 + LEVEL / 2.0) * error
    return curve.assign(linear=value, linear_error=error, linear_low=value - half, linear_high=value + half)


def _support(local: Local, x: np.ndarray, inside: np.ndarray) -> pd.DataFrame:
    """Return the histogram of the moderator among treated and other rows."""
    treated = np.asarray(local.treatment)[inside] != 0
    counts, edges = np.histogram(x[treated], bins=COLUMNS, range=(float(x.min()), float(x.max())))
    others = np.histogram(x[~treated], bins=edges)[0]
    columns = {"low": edges[:-1], "high": edges[1:], "treated": counts, "others": others}
    return pd.DataFrame(columns).astype(float)


def _beside(linear: Estimate, steps: Estimate, names: list[str]) -> Estimate:
    """Append the effects of the bins, which come from another fit, to the linear model."""
    count = len(names)
    variances = np.concatenate([np.diagonal(linear.cov), np.diagonal(steps.cov)[:count]])
    blank = np.full((variances.size, variances.size), np.nan)
    kept = linear.coef.size
    blank[:kept, :kept] = np.asarray(linear.cov)
    np.fill_diagonal(blank, variances)
    return replace(
        linear,
        coef=jnp.concatenate([linear.coef, steps.coef[:count]]),
        cov=jnp.asarray(blank),
        dof=jnp.concatenate([linear.term_dof, steps.term_dof[:count]]),
        names=(*linear.names, *names),
    )
