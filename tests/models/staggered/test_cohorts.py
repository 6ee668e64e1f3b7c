"""Cohorts: who counts as what, and what is said where there is nothing to compare."""

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import DataError
from syneff.models.base import Spec
from syneff.models.staggered.cohorts import (
    adoption_in_sample,
    check_never,
    check_several,
    cohorts_of,
    seen_untreated,
    staggered_design,
)
from syneff.panel.panel import Panel

SPEC = Spec("y", "treat")


def panel_of(first, weights=None):
    first = np.asarray(first)
    treat = (np.arange(6)[None, :] >= first[:, None]).astype(float)
    y = np.random.default_rng(0).normal(size=treat.shape)
    weights = np.ones(treat.shape) if weights is None else weights
    return Panel(tuple(range(len(first))), tuple(range(2000, 2006)), {"y": y, "treat": treat}, {}, weights)


def test_units_are_told_apart():
    weights = np.ones((5, 6))
    weights[:, 5] = 0.0
    weights[4, :3] = 0.0
    found = cohorts_of(panel_of([2, 9, 0, 5, 3], weights), SPEC)
    # The fourth adopts after the last year of the sample, the fifth is first seen when it is treated.
    np.testing.assert_array_equal(found.adoption, [2, 6, 0, 6, 3])
    np.testing.assert_array_equal(found.never, [False, True, False, True, False])
    np.testing.assert_array_equal(found.always, [False, False, True, False, True])
    assert found.adopted == (2,)
    assert found.notes() == (
        "2 units left out: treated in all their rows, so they have no base to be compared with: 2, 4",
    )


def test_inside_a_fit_the_same_is_found():
    weights = np.ones((5, 6))
    weights[:, 5] = 0.0
    weights[4, :3] = 0.0
    panel = panel_of([2, 9, 0, 5, 3], weights)
    found = cohorts_of(panel, SPEC)
    design = staggered_design(panel, SPEC, found)
    path = design.regressors[:, :, 0]
    np.testing.assert_array_equal(path, panel.column("treat"))
    np.testing.assert_array_equal(adoption_in_sample(path, design.weights), found.adoption)
    np.testing.assert_array_equal(seen_untreated(path, design.weights), ~found.always)
    np.testing.assert_array_equal(adoption_in_sample(path, jnp.ones((5, 6))), [2, 6, 0, 5, 3])


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match=r"switches off in 1 2004"):
        cohorts_of(switched_off(), SPEC)
    with pytest.raises(
        DataError, match=r"no unit of the sample is seen both before and after .*1 are treated .* 2 never"
    ):
        cohorts_of(panel_of([0, 9, 9]), SPEC)
    everyone = cohorts_of(panel_of([2, 3, 3]), SPEC)
    check_several(everyone, "Imputation")
    with pytest.raises(DataError, match=r"SunAbraham: no unit .* adoption in 2002 \(1 units\), 2003 \(2 units\). Use"):
        check_never(everyone, "SunAbraham", "Use control_cohort=last.")
    with pytest.raises(DataError, match=r"Imputation: all units adopt in 2003 \(3 units\)"):
        check_several(cohorts_of(panel_of([3, 3, 3]), SPEC), "Imputation")


def switched_off():
    panel = panel_of([2, 3, 9])
    treat = panel.column("treat").copy()
    treat[1, 4] = 0.0
    return panel.assign({"treat": treat})
