"""The truth of the synthetic panel is what regressions and the pipeline's own measurement find."""

import numpy as np
import pytest

from syneff.measure.coupling import coupling_coordination
from syneff.measure.efficiency import Technology, slacks_based
from syneff.panel.synthetic import draw_country, synthetic
from syneff.panel.synthetic_country import CONTROLS

YEARS = np.arange(2004, 2021)
DRAWS = 40
EXACT = 1e-8


def demean(values):
    """Take city and year means out of a balanced panel ``[unit period ...]``."""
    return values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + values.mean(axis=(0, 1))


def least_squares(outcome, *regressors):
    """Two-way fixed effects and their city-clustered standard errors, by plain NumPy."""
    x, y = demean(np.stack(regressors, axis=2)), demean(outcome)
    bread = np.linalg.inv(np.einsum("itk,itl->kl", x, x))
    coef = bread @ np.einsum("itk,it->k", x, y)
    scores = np.einsum("itk,it->ik", x, y - x @ coef)
    return coef, np.sqrt(np.diag(bread @ scores.T @ scores @ bread))


@pytest.fixture(scope="module")
def countries():
    return [draw_country(284, YEARS, seed=seed) for seed in range(DRAWS)]


@pytest.fixture(scope="module")
def estimates(countries):
    """Coefficients [draw, column of Table 3 and then controls], treat's standard error, and treat's weighted truth."""
    drawn = []
    for country in countries:
        treat = country.columns["treat"]
        controls = [country.columns[name] for name in CONTROLS]
        columns = [least_squares(country.outcome, treat, *controls[:k]) for k in range(7)]
        projected, _ = least_squares(country.effect, treat)
        drawn.append([*(coef[0] for coef, _ in columns), *columns[-1][0][1:], columns[-1][1][0], projected[0]])
    return np.array(drawn)


def test_controls_are_recovered(estimates):
    for k, control in enumerate(CONTROLS.values(), start=7):
        error = estimates[:, k] - control.effect
        assert abs(error.mean()) < 3.5 * error.std(ddof=1) / np.sqrt(DRAWS)


def test_treat_is_recovered_and_two_way_weights_cost_little(estimates):
    error = estimates[:, 6] - estimates[:, -1]
    assert abs(error.mean()) < 3.5 * error.std(ddof=1) / np.sqrt(DRAWS)
    np.testing.assert_allclose(estimates[:, -1], 0.040, atol=0.002)


def test_event_study_is_centred_on_the_truth(countries):
    truth = synthetic().truth.coefficients
    bins = [k for k in range(-5, 7) if k != -1]
    errors = []
    for country in countries:
        event = np.clip(YEARS - country.adopted[:, None], -5, 6)
        dummies = [(event == k).astype(float) for k in bins]
        coef, _ = least_squares(country.outcome, *dummies, *(country.columns[name] for name in CONTROLS))
        errors.append(coef[: len(bins)] - [truth[f"event[{k}]"] for k in bins])
    error = np.array(errors)
    assert (abs(error.mean(axis=0)) < 4.0 * error.std(axis=0, ddof=1) / np.sqrt(DRAWS)).all()
    assert error.std(axis=0).max() < 0.02  # tight enough for the line above to fail where an effect is missing


def test_standard_error_is_near_the_published(estimates):
    assert estimates[:, -2].mean() == pytest.approx(0.040 / 5.243, rel=0.1)
    assert estimates[:, 6].std(ddof=1) == pytest.approx(estimates[:, -2].mean(), rel=0.35)


def test_treat_falls_as_controls_enter_as_published(estimates):
    published = np.array([0.073, 0.067, 0.064, 0.047, 0.042, 0.042, 0.040])
    np.testing.assert_allclose(estimates[:, :7].mean(axis=0), published, atol=0.006)


def test_without_error_least_squares_is_exact():
    """Take out what was drawn: the coefficients are the outcome's own, and the effect is linear in event time's dummies."""
    country = draw_country(60, YEARS, seed=1)
    event = YEARS - country.adopted[:, None]
    dummies = [(event == k).astype(float) for k in range(int(np.nanmax(event)) + 1)]
    controls = [country.columns[name] for name in CONTROLS]
    outcome = country.effect + sum(
        control.effect * values for control, values in zip(CONTROLS.values(), controls, strict=True)
    )
    coef, _ = least_squares(outcome, *dummies, *controls)
    truth = synthetic(units=60, seed=1).truth.coefficients
    np.testing.assert_allclose(coef[:6], [truth[f"event[{k}]"] for k in range(6)], atol=1e-10)
    np.testing.assert_allclose(coef[len(dummies) :], [control.effect for control in CONTROLS.values()], atol=1e-10)


@pytest.mark.parametrize(
    ("units", "years"), [(40, np.arange(2010, 2018)), pytest.param(284, YEARS, marks=pytest.mark.slow)]
)
def test_the_pipeline_measures_the_outcome(units, years):
    country = draw_country(units, years, seed=2026)
    columns = {name: values.ravel() for name, values in country.columns.items()}
    scores = []
    for bad in ("pm25", "co2"):
        technology = Technology(
            inputs=np.column_stack([columns[name] for name in ("labour", "capital", "energy")]),
            good=columns["gdp"][:, None],
            bad=columns[bad][:, None],
            period=np.tile(years, units),
            returns="crs",
            reference="global",
        )
        result = slacks_based(technology, super_efficiency=True, orientation="none", bads="outputs")
        scores.append(np.asarray(result.score))
    measured = np.asarray(coupling_coordination(*scores, alpha=0.5))
    np.testing.assert_allclose(measured.reshape(country.outcome.shape), country.outcome, atol=EXACT)
