r"""Correlations of the variables, plain and within.

The terms are ``corr:a:b``, Pearson's correlation over the rows that have all variables, and ``within:a:b``, that of what is
left of the variables when city and year effects are taken out of each: the part that a two-way regression sees.

.. math:: t = r \sqrt{(n - 2) / (1 - r^2)}

is the statistic of the plain one, with n - 2 degrees of freedom, as Stata's ``pwcorr, sig`` prints it. It takes city-years for
independent, so it is generous; the within correlations are without one.
"""

import itertools
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError, SpecError, one_of
from syneff.models.base import Estimate
from syneff.models.description.moments import described, known
from syneff.models.spec import EFFECTS
from syneff.numerics.least_squares import absorb, absorption
from syneff.panel.panel import Panel


@dataclass(frozen=True)
class Correlate:
    """Correlate columns over the rows of the sample that have all of them, weighted as the sample is.

    Attributes
    ----------
    variables
        Names of the columns, in the order of the matrix; at least two.
    effects
        The effects that the within correlations are net of.
    """

    variables: tuple[str, ...]
    effects: tuple[str, ...] = ("unit", "period")

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", tuple(self.variables))
        object.__setattr__(self, "effects", tuple(self.effects))
        if len(set(self.variables)) < max(2, len(self.variables)):
            raise SpecError(f"variables={list(self.variables)}: name two different columns or more to correlate.")
        for effect in self.effects:
            one_of("estimator.effects", effect, EFFECTS)

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Return both correlations of each pair as terms.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Without effect: nothing is drawn.

        Raises
        ------
        DataError
            If a column is unknown or has no value in the sample, or no row has them all.
        """
        inside = np.all([known(panel, each) for each in self.variables], axis=0)
        if inside.sum() < 3:
            raise DataError(
                f"only {int(inside.sum())} rows of the sample have all of {', '.join(self.variables)}. "
                "Leave the column with most gaps out of estimator.variables."
            )
        weights = np.where(inside, panel.weights, 0.0)
        values = np.stack([np.where(inside, panel.column(each), 0.0) for each in self.variables], axis=2)
        plain, within = self._matrix(values, weights, ()), self._matrix(values, weights, self.effects)
        pairs = list(itertools.combinations(range(len(self.variables)), 2))
        names = [f"{self.variables[one]}:{self.variables[other]}" for one, other in pairs]
        found = {f"corr:{pair}": plain[at] for pair, at in zip(names, pairs, strict=True)}
        found |= {f"within:{pair}": within[at] for pair, at in zip(names, pairs, strict=True)}
        free = float(inside.sum()) - 2.0
        variance = np.append((1.0 - np.array([plain[at] for at in pairs]) ** 2) / free, np.full(len(pairs), np.nan))
        estimate = described(panel.reweight(weights), found)
        return replace(estimate, cov=jnp.diag(jnp.asarray(variance)), dof=jnp.asarray(free))

    def _matrix(self, values: np.ndarray, weights: np.ndarray, effects: tuple[str, ...]) -> np.ndarray:
        """Return weighted correlations net of effects; NaN for a variable that they explain whole."""
        net = np.asarray(absorb(jnp.asarray(values), absorption(jnp.asarray(weights), effects)))
        moments = np.einsum("it,itk,itl->kl", weights, net, net)
        raw = np.einsum("it,itk->k", weights, values**2)
        size = np.where(np.diag(moments) > 1e-20 * raw, np.diag(moments), np.nan)
        return np.asarray(np.clip(moments / np.sqrt(np.outer(size, size)), -1.0, 1.0))
