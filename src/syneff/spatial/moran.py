r"""Spatial dependence of a variable, period by period: Moran's I or Geary's C, and local Moran's I with quadrants.

The formulas are those of `syneff.spatial.autocorrelation`. Three p-values stand side by side, of the variance under
randomisation (the test `moran`), of that under normality (`moran_normal`) and of permutations (`moran_permutation`); the mean
of the statistic over all periods has a permutation p-value too (`moran_pooled`), for which a unit keeps its whole history,
so that the periods need not be independent. The local statistics are those of `syneff.spatial.local`.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import DataError, SpecError, one_of
from syneff.models.base import Estimate, Status, Test
from syneff.panel.panel import Panel
from syneff.runtime import key_for, require_float64
from syneff.spatial.autocorrelation import ALTERNATIVES, Null, deviations, geary
from syneff.spatial.autocorrelation import moran as moran_of
from syneff.spatial.local import local_table
from syneff.spatial.permutation import Permuted, permutation_p, permute
from syneff.spatial.weights import MakeWeights, Weights, weights_of
from syneff.typing import Key

STATISTICS = ("moran", "geary")
LEVEL = 0.05
FEWEST = 4
"""Units that the variance under randomisation needs at least."""


@dataclass(frozen=True)
class SpatialDependence:
    """Measure and test the spatial dependence of a variable in every period.

    Attributes
    ----------
    variable
        Name of the column.
    weights
        The weights, or a function that makes them of the panel.
    statistic
        "moran" or "geary".
    draws
        Permutations; 0 for none.
    alternative
        "two_sided", or "positive" autocorrelation alone.
    local
        Whether to keep the local statistics of every unit and period.
    """

    variable: str
    weights: Weights | MakeWeights
    statistic: str = "moran"
    draws: int = 9999
    alternative: str = "two_sided"
    local: bool = True

    def __post_init__(self) -> None:
        one_of("estimator.statistic", self.statistic, STATISTICS)
        one_of("estimator.alternative", self.alternative, ALTERNATIVES)
        if self.draws < 0:
            raise SpecError(f"estimator.draws={self.draws} is negative. Give 0 for no permutations, or e.g. 9999.")

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Return the statistic of each period.

        Parameters
        ----------
        panel
            The data. A period's units are those in its sample that have a value; W is standardised among them.
        seed, name
            Derive the random key of the permutations.

        Returns
        -------
        Estimate
            Terms ``moran[2004]``, ... without standard errors, because the null is not zero; tests of each term; details
            ``dependence`` (all statistics by period) and ``local`` (by unit and period: value, standardised value and lag,
            which are the Moran scatter, local I, p-values, quadrant).

        Raises
        ------
        DataError
            If the column is unknown, has no value, or the weights do not fit the panel.
        """
        require_float64()
        weights = weights_of(panel, self.weights)
        key = key_for(seed, f"{name} permutations")
        alike = _alike(panel, self.variable, weights)
        sections = [self._section(panel, part, columns, key) for part, columns in alike]
        table = pd.concat([section.table for section in sections], ignore_index=True).sort_values("period")
        details = {"dependence": table.reset_index(drop=True)}
        if self.local:
            places = pd.concat([section.local for section in sections], ignore_index=True)
            details["local"] = places.sort_values("period", kind="stable", ignore_index=True)
        pooled = sections[0].pooled if len(sections) == 1 and self.draws else None
        notes = dict.fromkeys(note for part, _ in alike for note in part.notes)
        said = (*notes, *_said(panel, table, self.variable), *self._resolution(table))
        return self._result(table, details, pooled, said)

    def _section(self, panel: Panel, weights: Weights, columns: np.ndarray, key: Key) -> "_Section":
        """Measure the periods that have the same units."""
        values = panel.column(self.variable)[np.ix_(weights.rows(panel), columns)]
        z, matrix = deviations(values), weights.matrix
        drawn = permute(z, matrix, key, self.draws) if self.draws else None
        periods = np.asarray(panel.periods)[columns]
        table = pd.DataFrame({"period": periods, "units": len(matrix)})
        for name, measure in (("moran", moran_of), ("geary", geary)):
            own = None if drawn is None else getattr(drawn, name)
            table = table.assign(**_columns(name, measure(values, matrix), own, self.alternative))
            null = measure(values, matrix, normal=True)
            table[f"{name}_sd_normal"] = np.sqrt(null.variance)
            table[f"{name}_z_normal"] = null.z
            table[f"{name}_p_normal"] = null.p_value(self.alternative, falling=name == "geary")
        pooled = None if drawn is None else _pooled(table, self.statistic, drawn, self.alternative)
        return _Section(table, local_table(weights, values, periods, drawn, alternative=self.alternative), pooled)

    def _resolution(self, table: pd.DataFrame) -> tuple[str, ...]:
        """Warn where so few draws are compared that no single place can be significant after adjustment."""
        units = int(table["units"].max())
        if not (self.local and self.draws) or units / (1 + self.draws) < LEVEL:
            return ()
        return (
            f"{self.draws} draws are few: adjusted for {units} units a single place cannot have a p-value below "
            f"{units / (1 + self.draws):.2g}; estimator.draws={int(units / LEVEL)} or more can show it at {LEVEL:g}",
        )

    def _result(
        self, table: pd.DataFrame, details: dict[str, pd.DataFrame], pooled: Test | None, notes: tuple[str, ...]
    ) -> Estimate:
        own, terms = self.statistic, len(table)
        tests = [_test(own, table, "z", "p"), _test(f"{own}_normal", table, "z_normal", "p_normal", own)]
        if self.draws:
            error = np.sqrt(table[f"{own}_p_permutation"] * (1.0 - table[f"{own}_p_permutation"]) / self.draws)
            tests.append(_test(f"{own}_permutation", table, None, "p_permutation", own, error=error.to_numpy()))
        units = jnp.asarray(table["units"].to_numpy(float))
        return Estimate(
            coef=jnp.asarray(table[own].to_numpy()),
            cov=jnp.full((terms, terms), jnp.nan),
            nobs=units,
            n_units=units,
            n_periods=jnp.ones(terms),
            dof=jnp.full(terms, jnp.nan),
            stats={f"{own}_sd": jnp.asarray(table[f"{own}_sd"].to_numpy())},
            status=jnp.asarray(int(Status.OK)),
            names=tuple(f"{own}[{period}]" for period in table["period"]),
            outcome=self.variable,
            tests=(*tests, *([pooled] if pooled else [])),
            notes=notes,
            details=details,
        )


def moran(
    panel: Panel,
    variable: str,
    weights: Weights | MakeWeights,
    *,
    draws: int = 9999,
    alternative: str = "two_sided",
    seed: int = 0,
) -> Estimate:
    """Return Moran's I of a variable in every period; see `SpatialDependence`.

    Parameters
    ----------
    panel
        The data.
    variable
        Name of the column.
    weights
        The weights, or a function that makes them of the panel.
    draws, alternative
        See `SpatialDependence`.
    seed
        Of the permutations.
    """
    model = SpatialDependence(variable, weights, draws=draws, alternative=alternative)
    return model.estimate(panel, seed=seed, name="moran")


@dataclass(frozen=True)
class _Section:
    """Periods with the same units."""

    table: pd.DataFrame
    local: pd.DataFrame
    pooled: Test | None


def _alike(panel: Panel, variable: str, weights: Weights) -> list[tuple[Weights, np.ndarray]]:
    """Group the periods by their units, those in the sample with a value; leave out periods with too few."""
    known = (panel.sample & np.isfinite(panel.column(variable)))[weights.rows(panel)]
    columns = np.flatnonzero(known.sum(axis=0) >= FEWEST)
    if not columns.size:
        raise DataError(
            f"column {variable!r} has values of fewer than {FEWEST} units of weights {weights.name!r} in every period. "
            "Choose another variable, or fill it."
        )
    groups: dict[bytes, list[int]] = {}
    for at in columns.tolist():
        groups.setdefault(known[:, at].tobytes(), []).append(at)
    units = np.asarray(weights.units, dtype=object)
    return [(weights.ordered(units[known[:, own[0]]].tolist()), np.asarray(own)) for own in groups.values()]


def _columns(name: str, null: Null, drawn: np.ndarray | None, alternative: str) -> dict[str, np.ndarray]:
    falling = name == "geary"
    found = {
        name: null.value,
        f"{name}_mean": null.mean,
        f"{name}_sd": np.sqrt(null.variance),
        f"{name}_z": null.z,
        f"{name}_p": null.p_value(alternative, falling=falling),
    }
    if drawn is not None:
        found[f"{name}_p_permutation"] = permutation_p(null.value, drawn, null.mean, alternative, falling=falling)
    return found


def _pooled(table: pd.DataFrame, statistic: str, drawn: Permuted, alternative: str) -> Test:
    """Test the mean over all periods that have the statistic."""
    known = np.isfinite(table[statistic].to_numpy())
    draws = getattr(drawn, statistic)[:, known].mean(axis=1, keepdims=True) if known.any() else np.full((1, 1), np.nan)
    value, mean = (np.array([table.loc[known, name].mean()]) for name in (statistic, f"{statistic}_mean"))
    p = permutation_p(value, draws, mean, alternative, falling=statistic == "geary")
    error = np.sqrt(p * (1.0 - p) / len(draws))
    return _made(f"{statistic}_pooled", value.reshape(()), p.reshape(()), error.reshape(()))


def _test(
    name: str,
    table: pd.DataFrame,
    z: str | None,
    p: str,
    statistic: str | None = None,
    *,
    error: np.ndarray | None = None,
) -> Test:
    own = statistic or name
    values = table[own if z is None else f"{own}_{z}"].to_numpy()
    return _made(name, values, table[f"{own}_{p}"].to_numpy(), error)


def _made(name: str, statistic: np.ndarray, pvalue: np.ndarray, error: np.ndarray | None) -> Test:
    missing = jnp.full(statistic.shape, jnp.nan)
    return Test(
        statistic=jnp.asarray(statistic, dtype=float),
        dof=missing,
        dof_denominator=missing,
        pvalue=jnp.asarray(pvalue, dtype=float),
        name=name,
        error=missing if error is None else jnp.asarray(error, dtype=float),
    )


def _said(panel: Panel, table: pd.DataFrame, variable: str) -> tuple[str, ...]:
    """Name the periods without a statistic."""
    found = set(table.loc[np.isfinite(table["moran"]), "period"])
    absent = [str(period) for period in panel.periods if period not in found]
    if not absent:
        return ()
    return (
        f"no autocorrelation of {variable} in {', '.join(absent)}: fewer than {FEWEST} units have a value, or all the same",
    )
