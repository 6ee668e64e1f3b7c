"""Period effects by group: the regression on explicit dummies, whatever the clusters."""

from dataclasses import replace

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.group_effects import GroupPeriodEffects
from syneff.models.resampling import Placebo
from tests.panels import staggered

SPEC = Spec("y", controls=("a", "b"))


@pytest.fixture(scope="module")
def panel():
    return staggered(6, units=36, missing=0.1)


def dummies(codes):
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


def explicit(panel, clusters, *, nested_cells):
    """Coefficients and clustered covariance on dummies of units and of region x period."""
    inside = panel.sample
    unit, period = (each[inside] for each in np.indices(panel.shape))
    region = np.unique(panel.traits["region"].astype(str), return_inverse=True)[1][unit]
    of_units, cells = dummies(unit), dummies(region * 100 + period)
    x = np.column_stack([*(panel.column(name)[inside] for name in ("treat", "a", "b")), of_units, cells])
    y = panel.column("y")[inside]
    inverse = np.linalg.pinv(x.T @ x, rcond=1e-12)
    b = inverse @ x.T @ y
    e = y - x @ b
    codes = {"unit": unit, "region": region}[clusters]
    scores = dummies(codes).T @ (x * e[:, None])
    g, n = len(scores), y.size
    rank = np.linalg.matrix_rank(np.column_stack([of_units, cells]))
    # Levels nested in the clusters do not count, but for one constant; a second nested effect gives one back.
    nested = of_units.shape[1] + (cells.shape[1] - 1 if nested_cells else 0)
    factor = g / (g - 1) * (n - 1) / (n - (3 + rank - nested + 1))
    return b[:3], (inverse @ scores.T @ scores @ inverse)[:3, :3] * factor


@pytest.mark.parametrize("cluster", ["unit", "region"])
def test_is_the_regression_on_explicit_dummies(panel, cluster):
    estimate = GroupPeriodEffects(replace(SPEC, cluster=cluster), by="region").estimate(panel)
    b, cov = explicit(panel, cluster, nested_cells=cluster == "region")
    np.testing.assert_allclose(estimate.coef, b, rtol=1e-9)
    np.testing.assert_allclose(estimate.cov, cov, rtol=1e-8, atol=1e-14)
    assert int(estimate.nobs) == panel.sample.sum()


def test_one_group_is_plain_fixed_effects(panel):
    alike = replace(panel, traits={"all": np.array(["one"] * 36, dtype=object)})
    estimate, plain = GroupPeriodEffects(SPEC, by="all").estimate(alike), FixedEffects(SPEC).estimate(panel)
    np.testing.assert_allclose(estimate.coef, plain.coef[:3], rtol=1e-10)
    np.testing.assert_allclose(estimate.cov, plain.cov[:3, :3], rtol=1e-9)
    assert float(estimate.stats["r2_within"]) == pytest.approx(float(plain.stats["r2_within"]), rel=1e-10)


def test_shocks_of_a_group_are_taken_out(panel):
    """A shock that hits the regions with more pilots biases two-way effects, and not these."""
    rng = np.random.default_rng(3)
    region = np.unique(panel.traits["region"].astype(str), return_inverse=True)[1]
    shocks = rng.normal(scale=5.0, size=(6, panel.shape[1]))[region]
    moved = panel.assign({"y": panel.column("y") + shocks})
    model = GroupPeriodEffects(SPEC, by="region")
    assert float(model.estimate(moved).coef[0]) == pytest.approx(float(model.estimate(panel).coef[0]), rel=1e-9)
    assert abs(float(FixedEffects(SPEC).estimate(moved).coef[0] - FixedEffects(SPEC).estimate(panel).coef[0])) > 0.05


def test_groups_that_are_treated_alike_are_named(panel):
    treat = np.where((panel.traits["region"] == "region 2")[:, None], 0.0, panel.column("treat"))
    alike = [
        region
        for region in np.unique(panel.traits["region"].astype(str))
        if np.ptp(treat[panel.traits["region"] == region], axis=0).max() == 0
    ]
    notes = " ".join(GroupPeriodEffects(SPEC, by="region").estimate(panel.assign({"treat": treat})).notes)
    assert "region 2" in alike
    assert f"{len(alike)} of 6 region groups are treated alike and tell nothing: {', '.join(alike)}" in notes


def test_draws_are_refits(panel):
    model = GroupPeriodEffects(SPEC, by="region")
    placebo = Placebo(model, draws=3).estimate(panel, seed=1)
    assert np.isfinite(np.asarray(placebo.draws.coef)).all()
    assert float(placebo.coef[0]) == float(model.estimate(panel).coef[0])


def test_bad_input_is_told(panel):
    with pytest.raises(SpecError, match="has no period effects"):
        GroupPeriodEffects(replace(SPEC, effects=("unit",)), by="region")
    with pytest.raises(SpecError, match="adjusts for leverage"):
        GroupPeriodEffects(replace(SPEC, covariance="CR2"), by="region")
    with pytest.raises(SpecError, match="Did you mean 'region'"):
        GroupPeriodEffects(SPEC, by="regions").design(panel)
    lacking = np.array([None, *panel.traits["region"][1:]], dtype=object)
    with pytest.raises(DataError, match="1 units have no value: 0"):
        GroupPeriodEffects(SPEC, by="region").design(replace(panel, traits={"region": lacking}))
