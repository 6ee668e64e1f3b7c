"""Omitted variables of a fixed-effects regression: leave a control out, and say what it does."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from syneff.errors import SpecError
from syneff.models.base import Spec
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from syneff.models.omitted import OmittedVariables
from tests.panels import staggered

LONG = FixedEffects(Spec("y", controls=("a", "b"), cluster=None))
SHORT = FixedEffects(Spec("y", controls=("a",), cluster=None))


@pytest.fixture(scope="module")
def panel():
    """A panel whose control b goes with treatment and outcome, so that leaving it out biases."""
    drawn = staggered(4, missing=0.1)
    b = drawn.column("b") + 0.6 * drawn.column("treat")
    return drawn.assign({"b": b, "y": drawn.column("y") + 0.8 * b})


def rows_of(estimate):
    return estimate.frame().set_index("term")


def net(panel, names, given):
    """Residuals of columns on explicit dummies and other columns, rows of the sample."""
    inside = panel.sample
    unit, period = (each[inside] for each in np.indices(panel.shape))
    dummies = [(codes[:, None] == np.unique(codes)[None, :]).astype(float) for codes in (unit, period)]
    x = np.column_stack([*dummies, *(panel.column(name)[inside] for name in given)])
    columns = np.column_stack([panel.column(name)[inside] for name in names])
    return columns - x @ np.linalg.lstsq(x, columns, rcond=None)[0]


def partial_r2(panel, one, other, given):
    columns = net(panel, (one, other), given)
    return float(np.corrcoef(columns.T)[0, 1] ** 2)


def test_the_algebra_gives_back_the_regression_with_the_variable(panel):
    short, long = SHORT.estimate(panel), LONG.estimate(panel)
    estimate = OmittedVariables(SHORT, multiples=(1,)).estimate(panel)
    contours = estimate.details["contours"]
    assert contours.iloc[0]["estimate"] == pytest.approx(float(short.coef[0]), rel=1e-10)
    strong = partial_r2(panel, "treat", "b", ("a",)), partial_r2(panel, "y", "b", ("treat", "a"))
    free = float(short.term_dof[0])
    bias = float(short.std_error[0]) * np.sqrt(free * strong[1] * strong[0] / (1 - strong[0]))
    assert float(short.coef[0]) - bias == pytest.approx(float(long.coef[0]), rel=1e-9)
    error = float(short.std_error[0]) * np.sqrt((1 - strong[1]) / (1 - strong[0]) * free / (free - 1))
    assert error == pytest.approx(float(long.std_error[0]), rel=1e-9)
    # The grid holds the same function.
    row = contours.iloc[700]
    slope = np.sqrt(free * row["r2_outcome"] * row["r2_treatment"] / (1 - row["r2_treatment"]))
    assert row["estimate"] == pytest.approx(float(short.coef[0]) - float(short.std_error[0]) * slope, rel=1e-9)


def test_partial_r2_and_robustness_value_come_from_the_t_statistic(panel):
    long = LONG.estimate(panel)
    rows = rows_of(OmittedVariables(LONG).estimate(panel))
    t, free = float(long.coef[0] / long.std_error[0]), float(long.term_dof[0])
    f = abs(t) / np.sqrt(free)
    assert rows.loc["partial_r2", "statistic"] == pytest.approx(t**2 / (t**2 + free), rel=1e-9)
    assert rows.loc["partial_r2", "statistic"] == pytest.approx(partial_r2(panel, "y", "treat", ("a", "b")), rel=1e-8)
    assert rows.loc["robustness_value", "statistic"] == pytest.approx((np.sqrt(f**4 + 4 * f**2) - f**2) / 2, rel=1e-9)
    less = f - stats.t.ppf(0.975, free - 1) / np.sqrt(free - 1)
    assert rows.loc["robustness_value_alpha", "statistic"] == pytest.approx(
        (np.sqrt(less**4 + 4 * less**2) - less**2) / 2, rel=1e-8
    )


def test_benchmarks_are_measured_by_explicit_regressions(panel):
    bounds = OmittedVariables(LONG, benchmarks=("b",), multiples=(1, 2)).estimate(panel).details["bounds"]
    d = partial_r2(panel, "treat", "b", ("a",))
    y = partial_r2(panel, "y", "b", ("treat", "a"))
    for row in bounds.itertuples():
        k = row.multiple
        assert row.r2_treatment == pytest.approx(k * d / (1 - d), rel=1e-8)
        shared = k * d**2 / ((1 - k * d) * (1 - d))
        outcome = (np.sqrt(k) + np.sqrt(shared)) ** 2 / (1 - shared) * y / (1 - y)
        assert row.r2_outcome == pytest.approx(min(1.0, outcome), rel=1e-8)


def test_clustered_errors_are_scaled_as_homoskedastic_ones(panel):
    plain = OmittedVariables(LONG, multiples=(2,)).estimate(panel)
    clustered = FixedEffects(replace(LONG.spec, cluster="unit", covariance=None))
    scaled = OmittedVariables(clustered, multiples=(2,)).estimate(panel)
    one, other = (each.details["bounds"].set_index("benchmark").loc["b"] for each in (plain, scaled))
    assert one["estimate"] == pytest.approx(other["estimate"], rel=1e-10)
    errors = [float(each.std_error[0]) for each in (plain, scaled)]
    assert other["std_error"] / one["std_error"] == pytest.approx(errors[1] / errors[0], rel=1e-9)
    assert rows_of(plain).loc["robustness_value", "statistic"] == pytest.approx(
        rows_of(scaled).loc["robustness_value", "statistic"], rel=1e-9
    )
    half = stats.t.ppf(0.975, 29) * other["std_error"]
    assert other["conf_high"] - other["estimate"] == pytest.approx(half, rel=1e-8)


def test_selection_uses_what_is_left_net_of_effects(panel):
    """Oster's inputs by explicit dummies, and her delta by the ratio written out."""
    estimate = OmittedVariables(LONG).estimate(panel)
    y, d = net(panel, ("y", "treat"), ()).T
    tau, rest = net(panel, ("treat",), ("a", "b"))[:, 0], net(panel, ("y",), ("treat", "a", "b"))[:, 0]
    syy, sxx, t = y @ y, d @ d, tau @ tau
    short, long = d @ y / sxx, float(LONG.estimate(panel).coef[0])
    r0, r1 = (d @ y) ** 2 / sxx / syy, 1 - rest @ rest / syy
    most = min(1.3 * r1, 1.0)
    above = long * (r1 - r0) * syy * t + long * sxx * t * (short - long) ** 2
    above += 2 * long**2 * t * (short - long) * sxx + long**3 * (t * sxx - t**2)
    below = (most - r1) * syy * (short - long) * sxx + long * (most - r1) * syy * (sxx - t)
    below += long**2 * t * (short - long) * sxx + long**3 * (t * sxx - t**2)
    rows = rows_of(estimate)
    assert rows.loc["oster_delta", "statistic"] == pytest.approx(above / below, rel=1e-8)
    assert rows.loc["treat[uncontrolled]", "estimate"] == pytest.approx(short, rel=1e-9)
    # The quadratic of delta = 1 holds at the coefficient.
    v = long - rows.loc["treat[oster]", "estimate"]
    theta = (most - r1) * syy * (sxx - t) - (r1 - r0) * syy * t - sxx * t * (short - long) ** 2
    quadratic = -t * (short - long) * sxx * v**2 + theta * v + (most - r1) * syy * (short - long) * sxx
    assert quadratic == pytest.approx(0.0, abs=1e-8 * abs(theta * v))
    path = estimate.details["selection"]
    assert path["r2_max"].iloc[-1] == 1.0
    assert np.isfinite(path["coefficient"]).all()


def test_without_controls_there_is_the_robustness_value_alone(panel):
    estimate = OmittedVariables(FixedEffects(Spec("y"))).estimate(panel)
    assert estimate.names == ("treat",)
    assert [test.name for test in estimate.tests] == ["partial_r2", "robustness_value", "robustness_value_alpha"]
    assert estimate.notes[-1].startswith("no controls")


def test_bad_options_are_told(panel):
    with pytest.raises(SpecError, match="Did you mean 'a'"):
        OmittedVariables(LONG, benchmarks=("aa",))
    with pytest.raises(SpecError, match="must be above 0"):
        OmittedVariables(LONG, multiples=(0,))
    with pytest.raises(SpecError, match="EventStudy, but the algebra is that of FixedEffects"):
        OmittedVariables(EventStudy(LONG.spec))
    with pytest.raises(SpecError, match="must lie between the R2 with controls"):
        OmittedVariables(LONG, r2_max=0.01).estimate(panel)
