r"""Instruments that are only nearly excluded: bounds under a small direct effect.

.. math:: y_{it} = \beta d_{it} + \gamma' z_{it} + \delta' x_{it} + \mu_i + \lambda_t + e_{it}

2SLS takes ``gamma`` for zero. Under a given ``gamma`` it is the regression of ``y - gamma' z``, so its estimate is linear in
``gamma`` and its standard error convex:

- *union of intervals*: ``gamma`` lies in a box. An upper end, linear plus convex, is largest at a corner of the box, a lower
  end smallest, so the corners give the union exactly and nothing is searched on a grid. It covers at least as often as it says.
- *local to zero*: ``gamma`` is normal with mean ``mu`` and variance ``Omega``. Then ``beta`` is normal around
  ``b - A mu`` with variance ``V + A Omega A'``, ``A`` being the 2SLS coefficients of the instruments themselves.

References
----------
Conley, T. G., Hansen, C. B. and Rossi, P. E. (2012). Review of Economics and Statistics 94, 260-272.
https://doi.org/10.1162/REST_a_00139
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import special

from syneff.errors import SpecError, unknown_name
from syneff.models.base import Design, Estimate, Test
from syneff.models.two_stage import TwoStage
from syneff.panel.panel import Panel
from syneff.runtime import require_float64
from syneff.typing import Array, Float

LEVEL = 0.95
SHARES = np.linspace(0.0, 1.0, 11)
"""Shares of the direct effects, for the curve of intervals."""


@dataclass(frozen=True)
class PlausiblyExogenous:
    """2SLS with bounds for direct effects of the instruments.

    Attributes
    ----------
    model
        The estimator, "2sls".
    support
        Lowest and highest direct effect of an instrument, by name; 0 for the others. In units of the outcome per unit of it.
    prior
        Mean and standard deviation of a direct effect, by name; 0 and 0 for the others.
    """

    model: TwoStage
    support: Mapping[str, Sequence[float]] = field(default_factory=dict)
    prior: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.model.estimator != "2sls":
            raise SpecError(
                f"PlausiblyExogenous: estimator={self.model.estimator} is not linear in the outcome. Use estimator=2sls."
            )
        names = self.model.spec.instruments
        for option in ("support", "prior"):
            pairs = {str(name): tuple(map(float, pair)) for name, pair in getattr(self, option).items()}
            for name, pair in pairs.items():
                if names and name not in names:
                    raise SpecError(unknown_name(f"instrument in estimator.{option}:", name, names))
                wrong = len(pair) != 2 or (pair[0] > pair[1] if option == "support" else pair[1] < 0)
                if wrong or not np.isfinite(pair).all():
                    what = "[lowest, highest]" if option == "support" else "[mean, standard deviation]"
                    raise SpecError(f"estimator.{option}.{name}={list(pair)} must be {what}, e.g. [0, 0.01].")
            object.__setattr__(self, option, pairs)

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the model and the bounds.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect.

        Returns
        -------
        Estimate
            The model's own, with the tests ``union_of_intervals:<variable>`` (its statistic is the t closest to zero in the
            box, 0 if the estimate changes sign there) and ``local_to_zero:<variable>`` of each endogenous variable, whose
            ``conf_low`` and ``conf_high`` are the bounds; ``details["plausibly_exogenous"]`` has them for growing shares of
            the direct effects.

        Raises
        ------
        SpecError
            If neither support nor prior names an instrument.
        """
        require_float64()
        if not self.support and not self.prior:
            raise SpecError(
                "PlausiblyExogenous has no direct effect to allow for. Give estimator.support={instrument: [lowest, highest]} "
                "or estimator.prior={instrument: [mean, standard deviation]}."
            )
        actual = self.model.estimate(panel, seed=seed, name=name)
        bounds = self._bounds(panel, actual)
        curve = pd.concat(bounds, ignore_index=True)
        whole = curve[curve["share"] == 1.0]
        tests = tuple(_test(row) for row in whole.itertuples())
        return replace(actual, tests=(*actual.tests, *tests), details={**actual.details, "plausibly_exogenous": curve})

    def _bounds(self, panel: Panel, actual: Estimate) -> list[pd.DataFrame]:
        frames = []
        design = replace(self.model.design(panel), balanced=False)
        names = self.model.spec.instruments
        corners = np.array(list(product(*(sorted(set(self.support.get(each, (0.0, 0.0)))) for each in names))))
        effects = np.concatenate([*(share * corners for share in SHARES), np.eye(len(names))])
        fits = _refit(self.model, design, jnp.asarray(effects))
        count = len(self.model.instrumented)
        coef, error = np.asarray(fits.coef)[:, :count], np.asarray(fits.std_error)[:, :count]
        dof, rows = np.asarray(fits.term_dof)[0, :count], len(SHARES) * len(corners)
        shape = (len(SHARES), len(corners), count)
        if self.support:
            frames += _union(self.model.instrumented, coef[:rows].reshape(shape), error[:rows].reshape(shape), dof)
        if self.prior:
            own, variance = np.asarray(actual.coef)[:count], np.diagonal(np.asarray(actual.cov))[:count]
            mean, sd = np.array([self.prior.get(each, (0.0, 0.0)) for each in names]).T
            onto = own[None] - coef[rows:]
            frames += _local_to_zero(self.model.instrumented, own, variance, (onto.T @ mean, (onto.T**2) @ sd**2))
        return frames


@partial(jax.jit, static_argnums=0)
def _refit(model: TwoStage, design: Design, effects: Float[Array, "draw l"]) -> Estimate:
    """Estimate on the outcome less each vector of direct effects."""
    return model.fit_outcomes(design, design.outcome[None] - jnp.einsum("itl,dl->dit", design.instruments, effects))


def _union(
    names: tuple[str, ...],
    coef: Float[np.ndarray, "share corner p"],
    error: Float[np.ndarray, "share corner p"],
    dof: Float[np.ndarray, " p"],
) -> list[pd.DataFrame]:
    half = special.stdtrit(dof, 0.5 + LEVEL / 2) * error
    t = coef / error
    least = np.where((t > 0).all(1) | (t < 0).all(1), np.abs(t).min(1), 0.0) * np.sign(t[:, 0])
    low, high = (coef - half).min(1), (coef + half).max(1)
    columns = {"low": low, "high": high, "statistic": least, "p_value": 2.0 * special.stdtr(dof, -np.abs(least))}
    return _frames("union_of_intervals", names, columns)


def _local_to_zero(
    names: tuple[str, ...],
    coef: Float[np.ndarray, " p"],
    variance: Float[np.ndarray, " p"],
    prior: tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]],
) -> list[pd.DataFrame]:
    mean, spread = prior
    centre = coef - SHARES[:, None] * mean
    error = np.sqrt(variance + SHARES[:, None] ** 2 * spread)
    half = special.ndtri(0.5 + LEVEL / 2) * error
    columns = {"low": centre - half, "high": centre + half, "statistic": centre / error}
    return _frames("local_to_zero", names, {**columns, "p_value": 2.0 * special.ndtr(-np.abs(centre / error))})


def _frames(kind: str, names: tuple[str, ...], columns: dict[str, np.ndarray]) -> list[pd.DataFrame]:
    return [
        pd.DataFrame(
            {"kind": kind, "term": name, "share": SHARES, **{key: each[:, place] for key, each in columns.items()}}
        )
        for place, name in enumerate(names)
    ]


def _test(row: Any) -> Test:
    numbers = (row.statistic, np.nan, np.nan, row.p_value, row.low, row.high)
    statistic, dof, denominator, pvalue, low, high = (jnp.asarray(float(each)) for each in numbers)
    return Test(statistic, dof, denominator, pvalue, f"{row.kind}:{row.term}", low=low, high=high)
