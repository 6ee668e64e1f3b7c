"""Lagrange multiplier tests of a regression for a spatial lag and spatial errors.

The statistics are those of `syneff.numerics.spatial_tests`; here names, effects and degrees of freedom join them.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import SpecError, one_of
from syneff.models.base import Estimate, Spec, Status, Test
from syneff.numerics.spatial_tests import LM_NAMES, lagrange_multipliers
from syneff.panel.panel import Panel
from syneff.runtime import require_float64
from syneff.spatial.design import SpatialDesign, cube_of, network_in, spatial_design
from syneff.spatial.durbin import EFFECTS
from syneff.spatial.hypotheses import chi_squared
from syneff.spatial.layout import Layout
from syneff.spatial.weights import MakeWeights, Weights, weights_of
from syneff.typing import Array, Float

CORRECTIONS = ("none", "debarsy_ertur")
DOF = (1.0, 1.0, 1.0, 1.0, 2.0)


def lm_tests(panel: Panel, spec: Spec, weights: Weights | MakeWeights, *, correction: str = "none") -> Estimate:
    """Test a regression for a spatial lag and spatial errors.

    Parameters
    ----------
    panel
        The data: a balanced sample.
    spec
        The specification; its effects are taken out, a constant if it has none.
    weights
        W.
    correction
        "debarsy_ertur" counts T - 1 periods, for unit effects alone.

    Returns
    -------
    Estimate
        The regression without spatial terms, its standard errors for independent errors, with the tests ``lm_lag``,
        ``lm_error``, ``robust_lm_lag``, ``robust_lm_error`` and ``lm_joint``.

    Raises
    ------
    DataError
        As `SpatialDurbin.design`.
    SpecError
        If the correction does not belong to the effects.
    """
    require_float64()
    one_of("correction", correction, CORRECTIONS)
    effects = tuple(each for each in EFFECTS if each in spec.effects)
    if correction == "debarsy_ertur" and effects != ("unit",):
        raise SpecError(
            f"correction=debarsy_ertur is for unit effects alone, not for {list(effects)}. "
            "Set spec.effects=[unit], or correction=none."
        )
    design = spatial_design(panel, spec, weights_of(panel, weights))
    return _regress(design, spec.outcome, effects, correction == "debarsy_ertur")


@partial(jax.jit, static_argnums=(1, 2, 3))
def _lm(design: SpatialDesign, layout: Layout, effects: tuple[str, ...], transformed: bool) -> tuple[Array, ...]:
    cube = cube_of(design, layout)
    found = lagrange_multipliers(cube, network_in(design), effects, transformed=transformed)
    return found.fit.coef, found.fit.inverse, found.fit.residuals, found.fit.kept, found.statistics


def _regress(design: SpatialDesign, outcome: str, effects: tuple[str, ...], transformed: bool) -> Estimate:
    layout = Layout("sem", outcome, design.names, ())
    coef, inverse, residuals, kept, statistics = _lm(design, layout, effects, transformed)
    inside = np.asarray(design.weights) > 0
    units, periods = float(inside.any(1).sum()), float(inside.any(0).sum())
    absorbed = {(): 1.0, ("unit",): units, ("period",): periods}.get(effects, units + periods - 1.0)
    dof = units * periods - absorbed - float(kept.sum())
    cov = inverse * (residuals**2).sum() / dof
    return Estimate(
        coef=jnp.where(kept, coef, jnp.nan),
        cov=jnp.where(kept[:, None] & kept[None, :], cov, jnp.nan),
        nobs=jnp.asarray(units * periods),
        n_units=jnp.asarray(units),
        n_periods=jnp.asarray(periods),
        dof=jnp.asarray(dof),
        stats={"rss": (residuals**2).sum()},
        status=jnp.asarray(int(Status.OK if bool(kept.all()) else Status.COLLINEAR)),
        names=design.names,
        outcome=outcome,
        tests=lm_rows(np.asarray(statistics)),
    )


def lm_rows(statistics: Float[np.ndarray, "5"], prefix: str = "") -> tuple[Test, ...]:
    """Return the tests of Lagrange multipliers."""
    return tuple(
        chi_squared(prefix + name, float(value), dof)
        for name, value, dof in zip(LM_NAMES, statistics, DOF, strict=True)
    )
