"""Event study: dummies, support and the joint test, against explicit constructions."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec, jit_fit
from syneff.models.event_study import EventStudy, f_survival
from syneff.models.fixed_effects import FixedEffects
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a",))


def explicit(panel, window, base):
    """Event dummies by a plain loop over units and periods."""
    treat = panel.column("treat")
    columns = {f"event{each}": np.zeros(panel.shape) for each in range(window[0], window[1] + 1) if each != base}
    for i, path in enumerate(treat):
        if path.any():
            first = int(np.flatnonzero(path)[0])
            for t in range(panel.shape[1]):
                each = min(max(t - first, window[0]), window[1])
                if each != base:
                    columns[f"event{each}"][i, t] = 1.0
    return columns


@pytest.mark.parametrize(("window", "base"), [((-3, 3), -1), ((-2, 1), -2), ((-5, 6), -1)])
def test_is_a_regression_on_event_dummies(window, base):
    panel = staggered(2, missing=0.1)
    columns = explicit(panel, window, base)
    names = tuple(columns)
    plain = FixedEffects(Spec("y", names[0], (*names[1:], "a"))).estimate(panel.assign(columns))
    event = EventStudy(SPEC, window=window, base=base).estimate(panel)
    np.testing.assert_allclose(event.coef, plain.coef, rtol=1e-11)
    np.testing.assert_allclose(event.cov, plain.cov, rtol=1e-10)
    support = [(values * panel.sample).any(1).sum() for values in columns.values()]
    np.testing.assert_array_equal(event.stats["support_units"][: len(names)], support)


def test_cohorts_behind_each_event_time_are_counted():
    panel = staggered(2, missing=0.1)
    found = EventStudy(SPEC, window=(-3, 3)).estimate(panel)
    treat = panel.column("treat")
    first = np.where(treat.any(1), treat.argmax(1), 99)
    event = np.clip(np.arange(8)[None, :] - first[:, None], -3, 3)
    support = found.details["event_support"]
    assert set(support["event"]) == {-3, -2, 0, 1, 2, 3}
    for row in support.itertuples():
        hit = panel.sample & (event == row.event) & (first == row.cohort - 2000)[:, None]
        assert row.rows == hit.sum()
        assert row.share == pytest.approx(
            hit.sum() / (panel.sample & (event == row.event) & (first < 99)[:, None]).sum()
        )


def test_pre_trend_is_the_clustered_f_test():
    event = EventStudy(SPEC, window=(-4, 3)).estimate(staggered(2))
    b, v = np.asarray(event.coef[:3]), np.asarray(event.cov[:3, :3])
    statistic = b @ np.linalg.solve(v, b) / 3
    row = event.frame().set_index("term").loc["pre_trend"]
    assert row["statistic"] == pytest.approx(statistic, rel=1e-9)
    assert row["p_value"] == pytest.approx(stats.f.sf(statistic, 3, 29), rel=1e-9)
    assert row["dof"] == 3


def test_f_survival_is_scipys():
    f, q, dof = (jnp.asarray(each) for each in ([0.1, 1.0, 4.2, 30.0], [1.0, 3.0, 4.0, 2.0], [7.0, 29.0, 283.0, 5.0]))
    np.testing.assert_allclose(f_survival(f, q, dof), stats.f.sf(f, q, dof), rtol=1e-11)


def test_empty_bins_are_omitted_not_zero():
    estimate = EventStudy(SPEC, window=(-7, 6)).estimate(staggered(2))
    frame = estimate.frame().set_index("term")["estimate"]
    assert np.isnan(frame["event[-7]"])
    assert np.isfinite(frame["event[-5]"])


def test_missing_cells_do_not_move_adoption():
    """A city whose first treated year has no outcome is still one year after adoption in the next."""
    panel = staggered(2)
    y = panel.column("y").copy()
    unit = int(np.flatnonzero(panel.column("treat")[:, 2] > panel.column("treat")[:, 1])[0])
    y[unit, 2] = np.nan
    design = EventStudy(SPEC, window=(-3, 3)).design(panel.assign({"y": y}))
    assert float(design.regressors[unit, 3, design.names.index("event[1]")]) == 1.0


def test_other_treatments_rebuild_the_dummies():
    panel = staggered(2)
    model = EventStudy(SPEC, window=(-3, 3))
    other = np.random.default_rng(0).permutation(panel.column("treat"))
    changed = model.with_treatment(model.design(panel), jnp.asarray(other))
    fresh = model.design(panel.assign({"treat": other}))
    np.testing.assert_array_equal(changed.regressors, fresh.regressors)


def test_bad_windows_and_treatments():
    with pytest.raises(SpecError, match="base=3 is not in window"):
        EventStudy(SPEC, window=(-2, 2), base=3)
    panel = staggered(2)
    with pytest.raises(SpecError, match="no treated unit is seen at event time -9"):
        EventStudy(SPEC, window=(-9, 2), base=-9).design(panel)
    off = panel.column("treat").copy()
    unit = int(np.flatnonzero(off.any(1))[0])
    off[unit, -1] = 0
    with pytest.raises(DataError, match="2007"):
        EventStudy(SPEC).design(panel.assign({"treat": off}))


def test_recovers_a_dynamic_path():
    """Known truth, no noise: every bin of a path that is common to all cohorts is exact."""
    panel = staggered(2)
    treat = panel.column("treat")
    event = np.cumsum(treat, axis=1)
    rng = np.random.default_rng(0)
    y = rng.normal(size=(30, 1)) + rng.normal(size=(1, 8)) + np.minimum(event, 4) * 0.5 + 0.3 * panel.column("a")
    frame = EventStudy(SPEC, window=(-5, 3)).estimate(panel.assign({"y": y})).frame().set_index("term")["estimate"]
    np.testing.assert_allclose([frame[f"event[{each}]"] for each in range(4)], [0.5, 1.0, 1.5, 2.0], atol=1e-10)
    np.testing.assert_allclose([frame[f"event[{each}]"] for each in (-5, -4, -3, -2)], 0.0, atol=1e-10)


def test_vmap_over_outcomes_equals_single_fits():
    panel = staggered(2)
    model = EventStudy(replace(SPEC, controls=()), window=(-3, 3))
    design = model.design(panel)
    outcomes = jnp.asarray(np.random.default_rng(1).normal(size=(3, *panel.shape)))
    batch = jax.jit(model.fit_outcomes)(design, outcomes)
    single = jit_fit(model, replace(design, outcome=outcomes[1]))
    np.testing.assert_allclose(batch.coef[1], single.coef, rtol=1e-10)
    np.testing.assert_allclose(batch.tests[0].pvalue[1], single.tests[0].pvalue, rtol=1e-8)


def test_sample_and_unseen_adoption_are_noted():
    panel = staggered(2, missing=0.0)
    treat, y = panel.column("treat").copy(), panel.column("y").copy()
    treat[0], y[1, 3] = 1.0, np.nan
    notes = " ".join(EventStudy(SPEC, window=(-3, 3)).estimate(panel.assign({"treat": treat, "y": y})).notes)
    assert "1 rows left out" in notes
    assert "1 units are treated from the first period on, so their event time is a lower bound: 0" in notes
