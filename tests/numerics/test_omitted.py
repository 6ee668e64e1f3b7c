"""Omitted variables: published values, explicit regressions with an artificial confounder, and exact proportional selection."""

import numpy as np
import pytest
from scipy import optimize, stats

from syneff.numerics.omitted import Selection, Unadjusted, benchmark_bounds

# Cinelli and Hazlett (2020), section 5: exposure to violence and attitudes towards peace in Darfur, as sensemakr prints it.
DARFUR = Unadjusted(0.09731582, 0.02325654, 0.02325654, 783.0, float(stats.t.ppf(0.975, 782)))
FEMALE = {
    "r2_treatment": (0.00916428667504862, 0.0183285733500972, 0.0274928600251459),
    "r2_outcome": (0.12464092303637, 0.249324064199975, 0.374050471038094),
    "estimate": (0.0752202698486415, 0.0529151689180575, 0.0303960178770157),
    "std_error": (0.0218733298036818, 0.0203500639944344, 0.0186700665753491),
    "statistic": (3.43890347394571, 2.60024582392121, 1.62806156873318),
}
N = 300


def test_robustness_values_are_the_published_ones():
    assert DARFUR.partial_r2 == pytest.approx(0.02187309, abs=1e-8)
    assert DARFUR.robustness_value() == pytest.approx(0.138776, abs=1e-6)
    assert DARFUR.robustness_value(significant=True) == pytest.approx(0.07625797, abs=1e-7)


def test_bounds_and_adjusted_estimates_are_the_published_ones():
    # Once as strong as female tells what female explains; twice and three times are then to be found.
    with_treatment = FEMALE["r2_treatment"][0] / (1 + FEMALE["r2_treatment"][0])
    with_outcome = optimize.brentq(
        lambda each: benchmark_bounds(with_treatment, each, 1.0)[1] - FEMALE["r2_outcome"][0], 1e-6, 0.5, xtol=1e-14
    )
    for at, multiple in enumerate((1.0, 2.0, 3.0)):
        bounds = benchmark_bounds(with_treatment, with_outcome, multiple)
        np.testing.assert_allclose(bounds, [FEMALE["r2_treatment"][at], FEMALE["r2_outcome"][at]], rtol=1e-7)
        found = DARFUR.adjusted(*(np.asarray(each) for each in bounds))
        np.testing.assert_allclose(
            found, [FEMALE[name][at] for name in ("estimate", "std_error", "statistic")], rtol=1e-7
        )


def test_a_negative_effect_mirrors_a_positive_one():
    negative = Unadjusted(-0.09731582, 0.02325654, 0.02325654, 783.0, DARFUR.critical)
    one, other = (each.adjusted(np.asarray(0.02), np.asarray(0.2)) for each in (DARFUR, negative))
    assert float(other[0]) == -float(one[0])
    assert negative.robustness_value(0.5, significant=True) == DARFUR.robustness_value(0.5, significant=True)


@pytest.mark.parametrize(("t", "free"), [(4.2, 783.0), (2.1, 50.0), (30.0, 40.0), (1.5, 60.0)])
def test_the_robustness_value_is_the_least_strength_that_overturns(t, free):
    """Of all pairs of partial R2 up to the value, none overturns with less; found by search, not by the formula."""
    given = Unadjusted(t, 1.0, 1.0, free, float(stats.t.ppf(0.975, free - 1)))

    def worst(strength):
        other = np.linspace(0.0, strength, 4001)
        return float(np.min(given.adjusted(np.full_like(other, strength), other)[2]))

    value = given.robustness_value(significant=True)
    if worst(0.0) < given.critical:
        assert value == 0.0
        return
    searched = optimize.brentq(lambda each: worst(each) - given.critical, 0.0, 1 - 1e-9)
    assert value == pytest.approx(searched, abs=2e-4)
    zero = given.robustness_value()
    assert float(given.adjusted(np.asarray(zero), np.asarray(zero))[0]) == pytest.approx(0.0, abs=1e-10)


def residual(column, given):
    return column - given @ np.linalg.lstsq(given, column, rcond=None)[0]


def ols(y, x):
    b = np.linalg.lstsq(x, y, rcond=None)[0]
    e = y - x @ b
    return b, np.sqrt(e @ e / (len(y) - x.shape[1]) * np.diag(np.linalg.inv(x.T @ x))), e


def r2_of(column, other, given):
    return float(np.corrcoef(residual(column, given), residual(other, given))[0, 1] ** 2)


@pytest.mark.parametrize("seed", range(3))
def test_an_artificial_confounder_moves_estimate_and_error_as_said(seed):
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(N), rng.normal(size=(N, 2))])
    d = x @ [0.2, 0.5, -0.3] + rng.normal(size=N)
    z = 0.4 * d + 0.6 * x[:, 1] + rng.normal(size=N)
    y = 0.8 * d + x @ [1.0, 0.5, 0.2] + 0.7 * z + rng.normal(size=N)
    short, errors, _ = ols(y, np.column_stack([d, x]))
    long, long_errors, _ = ols(y, np.column_stack([d, x, z]))
    given = Unadjusted(short[0], errors[0], errors[0], N - 4.0, 1.97)
    strong = r2_of(d, z, x), r2_of(y, z, np.column_stack([d, x]))
    estimate, error, statistic = given.adjusted(*(np.asarray(each) for each in strong))
    assert float(estimate) == pytest.approx(long[0], rel=1e-9)
    assert float(error) == pytest.approx(long_errors[0], rel=1e-9)
    assert float(statistic) == pytest.approx(long[0] / long_errors[0], rel=1e-9)


def test_a_variable_as_strong_as_a_benchmark_attains_the_bound():
    """A confounder orthogonal to the benchmark, with its strength once over, has the partial R2 that the bound allows."""
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(np.column_stack([np.ones(N), rng.normal(size=(N, 4))]))[0]
    one, j, z, u, v = (basis[:, each] for each in range(5))
    d = 0.5 * j + 0.5 * z + u
    # The confounder's effect on the outcome goes the same way as that on the treatment, the benchmark's too.
    y = d + 0.7 * j + 0.7 * z + v
    bounds = benchmark_bounds(r2_of(d, j, one[:, None]), r2_of(y, j, np.column_stack([one, d])), 1.0)
    given_j = np.column_stack([one, j])
    assert bounds[0] == pytest.approx(r2_of(d, z, given_j), rel=1e-10)
    assert bounds[1] >= r2_of(y, z, np.column_stack([d, given_j])) - 1e-12


def test_out_of_reach_is_none():
    assert np.isnan(benchmark_bounds(0.4, 0.1, 3.0)).all()


@pytest.fixture(scope="module")
def selected():
    """Columns with exact moments: selection on the unobserved 1.7 times that on the observed, coefficient .3."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(np.column_stack([np.ones(N), rng.normal(size=(N, 4))]))[0] * np.sqrt(N)
    seen, hidden, e, v = basis[:, 1], 0.8 * basis[:, 2], basis[:, 3], basis[:, 4]
    d = 0.5 * seen + 0.5 * 1.7 * hidden + e
    y = 0.3 * d + seen + hidden + v
    one = np.ones((N, 1))

    def r2(*columns):
        return 1 - (residual(y, np.column_stack([one, *columns])) ** 2).sum() / ((y - y.mean()) ** 2).sum()

    short = ols(y, np.column_stack([d, one]))[0][0]
    long = ols(y, np.column_stack([d, seen, one]))[0][0]
    tau = residual(d, np.column_stack([one, seen])).var()
    return Selection(short, long, r2(d), r2(d, seen), y.var(), d.var(), tau), r2(d, seen, hidden)


def test_exact_proportional_selection_is_recovered(selected):
    selection, everything = selected
    assert selection.delta(0.3, everything) == pytest.approx(1.7, rel=1e-9)
    assert selection.coefficients(1.7, everything)[0] == pytest.approx(0.3, rel=1e-9)


@pytest.mark.parametrize("delta", [-0.5, 0.3, 1.0, 2.0])
def test_delta_and_coefficient_are_each_others_inverse(delta):
    """Of several controls: one alone has a root in common for all delta, where it is not selected at all."""
    selection = Selection(0.9, 0.67, 0.41, 0.56, 2.1, 1.7, 1.3)
    found = selection.coefficients(delta, 0.7)
    assert found.size >= 1
    for beta in found:
        assert selection.delta(float(beta), 0.7) == pytest.approx(delta, rel=1e-8)


def test_without_selection_or_hidden_variance_nothing_moves(selected):
    selection, everything = selected
    assert selection.coefficients(0.0, everything)[0] == pytest.approx(selection.long, rel=1e-12)
    assert selection.coefficients(1.0, selection.long_r2)[0] == pytest.approx(selection.long, rel=1e-12)


def test_little_bias_is_the_rule_of_thumb():
    """Where controls hardly move the estimate, beta = long - (short - long)(Rmax - R)/(R - R0), Oster's approximation."""
    selection = Selection(0.5001, 0.5, 0.2, 0.4, 1.0, 1.0, 1.0 - 1e-4)
    rule = 0.5 - 0.0001 * (0.52 - 0.4) / (0.4 - 0.2)
    assert selection.coefficients(1.0, 0.52)[0] == pytest.approx(rule, abs=1e-7)
