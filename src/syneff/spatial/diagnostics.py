r"""Which spatial model do the data support? Lagrange multipliers, likelihood ratios, Wald, Hausman, dependence.

=====================  ==============================================================================================
name                   null hypothesis, and how it is tested
=====================  ==============================================================================================
``lm_lag lm_error``    no spatial lag, or error, in the regression net of its effects; ``robust_`` allow for the
                       other, ``lm_joint`` tests both. ``pooled:`` before them: without effects, with a constant
``lr_both_unit``       no period effects beside unit effects, in the SDM; T - 1 degrees of freedom
``lr_both_period``     no unit effects beside period effects, in the SDM; N - 1 degrees of freedom
``lr_sdm_sar``         theta = 0; also ``wald_sdm_sar`` and, robust to dependence within units, ``wald_sdm_sar_clustered``
``lr_sdm_sem``         theta + rho beta = 0, so that the SDM is a spatial error model; also ``wald_sdm_sem``
``hausman``            random unit effects are consistent: coefficients and rho with fixed effects are those with random
                       ones. The covariance is that of both scores together, as it should be with errors of any kind;
                       "classic" takes the difference of covariances, which need not be one
``mundlak``            the same, tested as zero coefficients of the unit means of regressors and lags
``pesaran_cd``         residuals of the regression are independent between units; ``pesaran_cd_sdm``: those of the SDM
=====================  ==============================================================================================

Likelihood ratios compare direct likelihoods, whatever the model's own method. Of period effects the residuals of two units are
correlated by construction, so Pesaran's statistic is biased towards minus with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from syneff.errors import SpecError, one_of
from syneff.models.base import Estimate, Test, jit_fit
from syneff.numerics.network import Network
from syneff.numerics.spatial_comparisons import contrast, error_log_likelihood, lag_log_likelihoods
from syneff.numerics.spatial_effects import KINDS
from syneff.numerics.spatial_fit import Cube, Fitted, Form, fit_cube, sandwich
from syneff.numerics.spatial_random import fit_random
from syneff.numerics.spatial_tests import lagrange_multipliers, pesaran_cd
from syneff.panel.panel import Panel
from syneff.spatial.choice import supported
from syneff.spatial.design import SpatialDesign, cube_of, network_in
from syneff.spatial.durbin import EFFECTS, METHODS, SpatialDurbin
from syneff.spatial.hypotheses import chi_squared, standard_normal, wald
from syneff.spatial.lagrange import lm_rows
from syneff.spatial.layout import Layout
from syneff.spatial.weights import Weights
from syneff.typing import Array

HAUSMAN = ("robust", "classic")
Found = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class SpatialDiagnostics:
    """Estimate a spatial model, and test which one the data support.

    Attributes
    ----------
    model
        The model that is estimated; the tests are of the Durbin model with its lags and its regression.
    hausman
        "robust" (default) or "classic".
    level
        Level of the tests in the choice of a model that the notes explain.
    """

    model: SpatialDurbin
    hausman: str = "robust"
    level: float = 0.05

    def __post_init__(self) -> None:
        one_of("estimator.hausman", self.hausman, HAUSMAN)
        if not 0.0 < self.level < 1.0:
            raise SpecError(f"estimator.level={self.level} must be between 0 and 1, e.g. 0.05.")

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the model, and test.

        Parameters
        ----------
        panel
            The data.
        seed, name
            As for the model.

        Returns
        -------
        Estimate
            The model's own, with the tests of this module, the direct log-likelihoods of all models compared in `stats`, the
            treatment's terms by every method in the detail ``methods``, and in its notes the model that the tests support.
        """
        weights = self.model.weights_for(panel)
        model = replace(self.model, weights=weights)
        actual = model.estimate(panel, seed=seed, name=name)
        found = jax.tree.map(np.asarray, _diagnose(model, model.design_with(panel, weights)))
        tests, notes = self._tests(model, found, actual)
        likelihoods = {name: jnp.asarray(value) for name, value in found.items() if name.startswith("log_likelihood_")}
        frames = {**actual.details, "methods": self._methods(panel, model, weights, actual)}
        said = supported({test.name: test for test in tests}, model.form.effects, self.level)
        return replace(
            actual,
            tests=(*actual.tests, *tests),
            stats={**actual.stats, **likelihoods},
            details=frames,
            notes=(*actual.notes, *notes, *said),
        )

    def _methods(self, panel: Panel, model: SpatialDurbin, weights: Weights, actual: Estimate) -> pd.DataFrame:
        """Return the treatment's terms and rho by every method that the weights allow."""
        name = model.spec.treatment
        frames = []
        for method in METHODS:
            if method == model.method:
                estimate = actual
            elif method == "direct" or "period" not in model.spec.effects or weights.row_standardised:
                other = replace(model, method=method)
                estimate = jit_fit(other, other.design_with(panel, weights))
            else:
                continue
            wanted = [name, f"W_{name}", "rho", "lambda", *(f"{kind}:{name}" for kind in KINDS)]
            rows = estimate.frame()
            frames.append(rows.loc[rows["term"].isin(wanted), ["term", "estimate", "std_error"]].assign(method=method))
        return pd.concat(frames, ignore_index=True)

    def _tests(self, model: SpatialDurbin, found: Found, actual: Estimate) -> tuple[tuple[Test, ...], tuple[str, ...]]:
        units, periods = float(actual.n_units), float(actual.n_periods)
        layout = sdm_layout(model)
        nested = set(layout.lags) == set(layout.regressors)
        tests = [*lm_rows(found["lm"]), *lm_rows(found["lm_pooled"], "pooled:")]
        tests += _ratios(found, model.form.effects, (units, periods), nested=nested)
        tests += _durbin_walds(layout, found, nested=nested)
        notes = (
            [] if nested else ["the error model is no special case of a Durbin model that lags some regressors only"]
        )
        if "unit" in model.form.effects:
            test, said = hausman_test(found, self.hausman)
            tests += [test, wald("mundlak", found["means"], found["means_cov"])]
            notes += said
        tests += [standard_normal(label, float(found[label])) for label in ("pesaran_cd", "pesaran_cd_sdm")]
        return tuple(tests), tuple(notes)


def sdm_layout(model: SpatialDurbin) -> Layout:
    """Return the layout of the Durbin model that a model is compared with."""
    lags = model.lags or model.spec.regressors
    return Layout("sdm", model.spec.outcome, model.spec.regressors, lags)


@partial(jax.jit, static_argnums=0)
def _diagnose(model: SpatialDurbin, design: SpatialDesign) -> dict[str, Array]:
    """Compute what all tests need."""
    layout, network, effects = sdm_layout(model), network_in(design), model.form.effects
    cube, plain = cube_of(design, layout), cube_of(design, replace(layout, lags=()))
    k, count = len(layout.coefficients), len(layout.regressors)
    net = lagrange_multipliers(plain, network, effects, transformed=False)
    cases = [(effects, k), (effects, count)]
    if effects == EFFECTS:
        cases += [(("unit",), k), (("period",), k)]
    likelihoods = lag_log_likelihoods(cube, network, tuple(cases))
    names = ("sdm", "sar", "sdm_unit", "sdm_period")
    method = "lee_yu" if model.method == "lee_yu" else "direct"
    whole = "unit" in design.ways[0].whole
    units = design.cluster[:, 0] if whole else jnp.arange(design.cluster.shape[0])
    form = Form(True, False, effects, method, "cluster")
    fixed = fit_cube(cube, network, units, form, design.n_clusters if whole else design.cluster.shape[0])
    parameters = jnp.concatenate([fixed.fit.coef, fixed.fit.rho[None]])
    found = {
        "lm": net.statistics,
        "lm_pooled": lagrange_multipliers(plain, network, (), transformed=False).statistics,
        **{f"log_likelihood_{names[place]}": likelihoods[place] for place in range(len(cases))},
        "log_likelihood_sem": error_log_likelihood(plain, network, effects),
        "kept_lags": fixed.fit.kept[count:].sum(),
        "parameters": jnp.where(jnp.concatenate([fixed.fit.kept, jnp.ones(1, bool)]), parameters, jnp.nan),
        "expected": fixed.expected[: k + 1, : k + 1],
        "clustered": fixed.inverse[: k + 1, : k + 1],
        "pesaran_cd": pesaran_cd(net.fit.residuals, cube.inside),
        "pesaran_cd_sdm": pesaran_cd(fixed.residuals, cube.inside),
    }
    if "unit" in effects:
        found |= _against_random(cube, network, fixed, form)
    return found


def _against_random(cube: Cube, network: Network, fixed: Fitted, form: Form) -> dict[str, Array]:
    """Fit random effects, and again with unit means of the columns (Mundlak)."""
    inside, k = cube.inside, cube.columns.shape[2]
    own = replace(form, effects=tuple(each for each in form.effects if each == "period"))
    means = cube.columns.sum(1, keepdims=True) / inside.max(0).sum() * inside[:, :, None]
    constant = [] if own.effects else [inside[:, :, None]]
    columns = jnp.concatenate([cube.columns, *constant, means], axis=2)
    added = (columns[:, :, k:] ** 2).sum((0, 1))
    first = k + len(constant)
    has = np.stack([np.arange(columns.shape[2]) < first, np.ones(columns.shape[2], bool)])
    both = jax.vmap(
        lambda each: fit_random(
            replace(cube, columns=columns, size=jnp.concatenate([cube.size, added])), network, own, each
        )
    )(jnp.asarray(has))
    random, augmented = (jax.tree.map(lambda leaf, at=at: leaf[at], both) for at in (0, 1))
    compared = contrast(fixed, random)
    clusters = jnp.arange(inside.shape[0])
    cov = sandwich(augmented.scores, augmented.bread, inside, clusters, inside.shape[0])
    return {
        "contrast": jnp.where(compared.kept, compared.difference, jnp.nan),
        "robust": compared.robust,
        "classic": compared.classic,
        "means": jnp.where(augmented.fit.kept[first:], augmented.fit.coef[first:], jnp.nan),
        "means_cov": cov[first : first + k, first : first + k],
        "log_likelihood_random": random.fit.log_likelihood,
    }


def _ratios(found: Found, effects: tuple[str, ...], size: tuple[float, float], *, nested: bool) -> list[Test]:
    """Return the likelihood ratios against the Durbin model, whose degrees of freedom are those of what the null leaves out."""
    (units, periods), lags = size, float(found["kept_lags"])
    dof = {"sdm_unit": periods - 1.0, "sdm_period": units - 1.0, "sar": lags, "sem": lags}
    names = {"sdm_unit": "lr_both_unit", "sdm_period": "lr_both_period", "sar": "lr_sdm_sar"}
    if nested:
        names["sem"] = "lr_sdm_sem"
    if effects != EFFECTS:
        names = {null: name for null, name in names.items() if not null.startswith("sdm_")}
    whole = float(found["log_likelihood_sdm"])
    return [
        chi_squared(name, 2.0 * (whole - float(found[f"log_likelihood_{null}"])), dof[null])
        for null, name in names.items()
    ]


def _durbin_walds(layout: Layout, found: Found, *, nested: bool) -> list[Test]:
    """Return Wald's tests that the Durbin model is a lag model, or an error model."""
    values, k, tests = np.asarray(found["parameters"]), len(layout.coefficients), []
    own = np.asarray([layout.columns_of(name) for name in layout.lags])
    beta, theta, rho = values[own[:, 0]], values[own[:, 1]], values[k]
    lag, error = np.zeros((len(own), k + 1)), np.zeros((len(own), k + 1))
    rows = np.arange(len(own))
    lag[rows, own[:, 1]] = error[rows, own[:, 1]] = 1.0
    error[rows, own[:, 0]], error[:, k] = rho, beta
    for kind, suffix in (("expected", ""), ("clustered", "_clustered")):
        cov = np.nan_to_num(np.asarray(found[kind]))
        tests.append(wald(f"wald_sdm_sar{suffix}", theta, cov, lag))
        if nested:
            tests.append(wald(f"wald_sdm_sem{suffix}", theta + rho * beta, cov, np.nan_to_num(error)))
    return tests


def hausman_test(found: Found, kind: str) -> tuple[Test, list[str]]:
    """Return Hausman's test, and a warning where the classic difference of covariances is none."""
    difference, cov = np.asarray(found["contrast"]), np.asarray(found[kind])
    known = np.isfinite(difference)
    cov = cov[np.ix_(known, known)]
    scale = np.sqrt(np.abs(np.diagonal(cov)))
    negative = int((np.linalg.eigvalsh(cov / scale[:, None] / scale[None, :]) < 0).sum()) if kind == "classic" else 0
    said = []
    if negative:
        said.append(
            f"hausman (classic): V_FE - V_RE is not positive definite ({negative} of {known.sum()} eigenvalues are negative), "
            "so its statistic means nothing. Use hausman=robust"
        )
    return wald("hausman", difference, np.asarray(found[kind])), said
