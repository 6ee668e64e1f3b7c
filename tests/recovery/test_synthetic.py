"""The truth of the synthetic panel is what regressions and the pipeline's own measurement find."""

import numpy as np
import pytest
from scipy import stats

from syneff.measure.coupling import coupling_coordination
from syneff.measure.efficiency import Technology, slacks_based
from syneff.panel.synthetic import Options, draw_country
from syneff.panel.synthetic.controls import CONTROLS
from syneff.panel.synthetic.truth import truth_of

YEARS = np.arange(2004, 2021)
SMALL = np.arange(2010, 2018)
SEEDS = range(200, 240)
EXACT = 1e-8
GROUPS = ("key_environment", "resource", "high_pressure")
MEDIATORS = ("invg", "ingrvg", "indivg", "is", "magg", "sagg", "coag")


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


def controls_of(country):
    return [country.columns[name] for name in CONTROLS]


def centred(errors, width=3.5):
    """Say whether errors ``[draw ...]`` have mean 0, within standard errors of their mean."""
    errors = np.asarray(errors)
    return np.abs(errors.mean(axis=0)) < width * errors.std(axis=0, ddof=1) / np.sqrt(len(errors))


@pytest.fixture(scope="module")
def countries():
    return [draw_country(284, YEARS, seed=seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def truths(countries):
    return [truth_of(country) for country in countries]


@pytest.fixture(scope="module")
def estimates(countries):
    """Coefficients [draw, column of Table 3 and then controls] and treat's standard error."""
    drawn = []
    for country in countries:
        treat, controls = country.columns["treat"], controls_of(country)
        columns = [least_squares(country.outcome, treat, *controls[:k]) for k in range(7)]
        drawn.append([*(coef[0] for coef, _ in columns), *columns[-1][0][1:], columns[-1][1][0]])
    return np.array(drawn)


def test_treat_and_controls_are_recovered(estimates, truths):
    names = ["treat", *CONTROLS]
    assert centred(
        [row[6:13] - [truth.coefficients[name] for name in names] for row, truth in zip(estimates, truths, strict=True)]
    ).all()


def test_truth_is_near_the_published(truths):
    """Table 3, column 7: what it converges to is the paper's, for the treatment and every control."""
    published = {
        "treat": 0.040,
        "pop": 0.020,
        "lnpgdp": 0.105,
        "gov": -0.005,
        "hc": -0.035,
        "er": -0.003,
        "fdi": -0.002,
    }
    for name, value in published.items():
        known = np.mean([truth.coefficients[name] for truth in truths])
        assert known == pytest.approx(value, abs=0.0015), name


def test_standard_error_is_near_the_published(estimates):
    assert estimates[:, -1].mean() == pytest.approx(0.040 / 5.243, rel=0.1)
    assert estimates[:, 6].std(ddof=1) == pytest.approx(estimates[:, -1].mean(), rel=0.35)


def test_treat_falls_as_controls_enter_as_published(estimates):
    published = np.array([0.073, 0.067, 0.064, 0.047, 0.042, 0.042, 0.040])
    np.testing.assert_allclose(estimates[:, :7].mean(axis=0), published, atol=0.006)


def test_the_default_panel_reads_as_table_3():
    """Its seed was chosen so: within half a standard error of what the paper prints, in every column; and no trend before."""
    country = draw_country(284, YEARS, seed=2027)
    treat, controls = country.columns["treat"], controls_of(country)
    found = [least_squares(country.outcome, treat, *controls[:k])[0][0] for k in range(7)]
    np.testing.assert_allclose(found, [0.073, 0.067, 0.064, 0.047, 0.042, 0.042, 0.040], atol=0.004)
    event = np.clip(YEARS - country.cities.adopted[:, None], -5, 6)
    dummies = [(event == k).astype(float) for k in range(-5, 7) if k != -1]
    coef, error = least_squares(country.outcome, *dummies, *controls)
    assert (np.abs(coef / error)[:4] < 1.5).all()
    assert (coef / error)[4:11].min() > 2


def test_event_study_is_centred_on_the_truth(countries, truths):
    bins = [k for k in range(-5, 7) if k != -1]
    errors = []
    for country, truth in zip(countries, truths, strict=True):
        event = np.clip(YEARS - country.cities.adopted[:, None], -5, 6)
        dummies = [(event == k).astype(float) for k in bins]
        coef, _ = least_squares(country.outcome, *dummies, *controls_of(country))
        errors.append(coef[: len(bins)] - [truth.coefficients[f"event[{k}]"] for k in bins])
    assert centred(errors, 4.0).all()
    assert np.std(errors, axis=0).max() < 0.02  # tight enough for the line above to fail where an effect is missing


def test_the_policy_moves_mediators_and_mediators_the_outcome(countries, truths):
    """Equations (3) and (4): regress each mediator, and the outcome on it; the share that it takes from treat is known."""
    for name in MEDIATORS:
        errors = []
        for country, truth in zip(countries, truths, strict=True):
            treat, mediator, controls = country.columns["treat"], country.columns[name], controls_of(country)
            first = least_squares(mediator, treat, *controls)[0][0]
            second = least_squares(country.outcome, treat, mediator, *controls)[0][:2]
            given = truth.given[name]
            errors.append(np.array([first, *second]) - [truth.outcomes[name]["treat"], given["treat"], given[name]])
        assert centred(errors).all(), name


def test_the_indirect_effects_are_those_stated(countries, truths):
    """Tables 8 to 10: shift times slope; the rest is direct, and all of it is the total."""
    stated = {"invg": 1.655 * 0.009, "is": 0.146 * 0.022, "coag": 0.717 * 0.009}
    for name, value in stated.items():
        assert np.mean([truth.parts[f"indirect:{name}"] for truth in truths]) == pytest.approx(value, rel=0.05)
    for country, truth in zip(countries, truths, strict=True):
        ways = sum(truth.parts[f"indirect:{name}"] for name in stated)
        assert truth.parts["direct"] + ways == pytest.approx(truth.parts["total"], rel=1e-12)
        assert truth.parts["total"] == pytest.approx(0.042, rel=1e-12)
        assert country.effects.own[country.policy.treat == 0].any() == 0


def test_groups_differ_as_stated(countries, truths):
    errors = []
    for country, truth in zip(countries, truths, strict=True):
        row = []
        for name in GROUPS:
            for value in (1, 0):
                own = country.cities.traits[name] == value
                controls = [values[own] for values in controls_of(country)]
                coef, _ = least_squares(country.outcome[own], country.columns["treat"][own], *controls)
                row.append(coef[0] - truth.parts[f"treat[{name}={value}]"])
        errors.append(row)
        # Direct effects over the path are a level and three gaps, exactly.
        treated = country.policy.treat > 0
        level = country.effects.direct[treated] / country.policy.path[treated]
        members = [np.broadcast_to(country.cities.traits[name][:, None], treated.shape)[treated] for name in GROUPS]
        gaps = np.linalg.lstsq(np.column_stack([np.ones(level.size), *members]), level, rcond=None)[0][1:]
        np.testing.assert_allclose(gaps, 0.014, rtol=1e-9)
    assert centred(errors).all()
    means = {
        name: [np.mean([truth.parts[f"treat[{name}={value}]"] for truth in truths]) for value in (1, 0)]
        for name in GROUPS
    }
    assert all(inside > outside + 0.005 for inside, outside in means.values())


def test_the_effect_builds_up_and_settles(countries):
    country = countries[0]
    path = country.policy.path / country.policy.path[country.policy.event == 0].mean()
    for k in range(13):
        expected = (1 - 0.4 * np.exp(-k / 1.2)) / 0.6
        np.testing.assert_allclose(path[country.policy.event == k], expected, rtol=1e-12)
    assert not path[~(country.policy.event >= 0)].any()


def test_neighbours_feel_what_is_stated(countries, truths):
    """A spatial regression finds the spillover, which is -0.010 where all neighbours are pilots."""
    errors = []
    for country, truth in zip(countries, truths, strict=True):
        lag = country.geography.lag
        treat, controls = country.columns["treat"], controls_of(country)
        coef, _ = least_squares(country.outcome, treat, lag(treat), *controls, *map(lag, controls))
        errors.append(coef[:2] - [truth.parts["treat[spatial]"], truth.parts["W_treat[spatial]"]])
    assert centred(errors).all()
    assert np.mean([truth.parts["W_treat[spatial]"] for truth in truths]) == pytest.approx(-0.010, abs=0.002)
    moved = [
        least_squares(each.effects.spillover, each.columns["treat"], *controls_of(each))[0][0] for each in countries
    ]
    assert -0.001 < np.mean(moved) < 0
    country = countries[0]
    for i in (0, 50, 200):
        own = country.geography.pairs[country.geography.pairs[:, 0] == i, 1]
        np.testing.assert_allclose(
            country.effects.spillover[i], -0.010 * country.policy.path[own].mean(axis=0), atol=1e-15
        )
    positive = draw_country(284, YEARS, seed=SEEDS.start, options=Options(spillover=0.02))
    np.testing.assert_allclose(positive.effects.spillover, -2.0 * country.effects.spillover, rtol=1e-12)


def test_instruments_find_what_least_squares_misses():
    """With confounding: least squares is off by more than a third of the effect, 2SLS is centred on its truth."""
    squares, stages, strength = [], [], []
    for seed in SEEDS:
        country = draw_country(284, YEARS, seed=seed, options=Options(confounding=0.06))
        truth, treat, controls = truth_of(country), country.columns["treat"], controls_of(country)
        past = [
            country.cities.traits[name][:, None] * country.columns["rd_lagged"] / 1e4 for name in ("port", "rail1933")
        ]
        first, spread = least_squares(treat, *past, *controls)
        fitted = demean(np.stack([*past, *controls], axis=2)) @ first
        squares.append(least_squares(country.outcome, treat, *controls)[0][0] - truth.coefficients["treat"])
        stages.append(least_squares(country.outcome, fitted, *controls)[0][0] - truth.parts["treat[instruments]"])
        strength.append((first[:2] / spread[:2]) ** 2)
    assert np.mean(squares) > 0.04 / 3
    assert centred(stages)
    assert np.mean(strength) > 10
    assert (np.array(strength).min(axis=0) > 2).all()


def test_truth_is_least_squares_on_what_the_policy_added():
    """On a small country, with all dummies of cities and years written out."""
    country = draw_country(40, SMALL, seed=3)
    units, periods = country.outcome.shape
    dummies = np.column_stack(
        [np.kron(np.eye(units), np.ones((periods, 1))), np.kron(np.ones((units, 1)), np.eye(periods))]
    )
    truth, felt = truth_of(country), country.effects.felt.ravel()
    controls = [values.ravel() for values in controls_of(country)]

    def fit(*regressors):
        return np.linalg.lstsq(np.column_stack([*regressors, *controls, dummies]), felt, rcond=None)[0]

    coef = fit(country.columns["treat"].ravel())
    assert coef[0] == pytest.approx(truth.coefficients["treat"], abs=1e-10)
    known = [truth.coefficients[name] - control.effect for name, control in CONTROLS.items()]
    np.testing.assert_allclose(coef[1:7], known, atol=1e-10)
    event = np.clip(SMALL - country.cities.adopted[:, None], -5, 6).ravel()
    bins = [k for k in range(-5, 7) if k != -1 and (event == k).any()]
    coef = fit(*[(event == k).astype(float) for k in bins])
    np.testing.assert_allclose(coef[: len(bins)], [truth.coefficients[f"event[{k}]"] for k in bins], atol=1e-10)
    assert truth.coefficients["event[-1]"] == 0
    assert {name for name in truth.coefficients if name.startswith("event")} == {f"event[{k}]" for k in [*bins, -1]}


def test_no_effect_is_no_effect():
    """Nothing differs at adoption: neither outcome nor mediators nor controls, and every truth of treat is 0."""
    country = draw_country(60, YEARS, seed=1, options=Options(effect=0.0))
    truth = truth_of(country)
    assert not country.effects.felt.any()
    assert not any(added.any() for added in country.mediators.moved.values())
    assert truth.coefficients["treat"] == 0
    assert {name: truth.coefficients[name] for name in CONTROLS} == {
        name: each.effect for name, each in CONTROLS.items()
    }
    assert not any(truth.parts.values())


@pytest.mark.parametrize("effect", [0.02, 0.08])
def test_everything_is_proportional_to_the_effect(effect):
    country = draw_country(60, YEARS, seed=1, options=Options(effect=effect))
    default = draw_country(60, YEARS, seed=1)
    assert country.effects.own[country.policy.treat > 0].mean() == pytest.approx(effect, rel=1e-12)
    ratio = effect / 0.042
    np.testing.assert_allclose(country.effects.spillover, ratio * default.effects.spillover, rtol=1e-10)
    for name in ("invg", "is", "science"):
        np.testing.assert_allclose(country.mediators.moved[name], ratio * default.mediators.moved[name], rtol=1e-10)


def test_neighbours_resemble_each_other(countries):
    """Moran's I of the outcome's means over time is positive, as the paper finds, and not by chance."""
    values = []
    for country in countries:
        z = country.outcome.mean(axis=1) - country.outcome.mean()
        values.append(z @ country.geography.lag(z[:, None])[:, 0] / (z @ z))
    assert np.mean(values) > 0.1
    assert np.mean(values) > 5 * np.std(values) / np.sqrt(len(values))


@pytest.mark.slow
def test_without_effect_one_difference_in_twenty_is_significant():
    """200 countries of 120 cities and 8 years: how often |t| of treat is beyond its 5 % bound; 99.9 % of a fair test's counts.

    With controls: they trend apart between cities that adopt and cities that do not, as levels do.
    """
    rejected = 0
    for seed in SEEDS.start + np.arange(200):
        country = draw_country(120, SMALL, seed=int(seed), options=Options(effect=0.0))
        coef, error = least_squares(country.outcome, country.columns["treat"], *controls_of(country))
        scale = np.sqrt(120 / 119 * (960 - 1) / (960 - 8 - 7))
        rejected += abs(coef[0] / (scale * error[0])) > stats.t.ppf(0.975, 119)
    low, high = stats.binom.ppf([0.0005, 0.9995], 200, 0.05)
    assert low <= rejected <= high


def by_accounts(country):
    """Return inputs and outputs ``[city-year]`` by name, made of the yearbook's columns alone."""
    columns = country.columns
    price, deflator = (
        np.cumprod(columns[name] / columns[name][:, :1], axis=1) for name in ("investment_price", "gdp_price")
    )
    for level, name in ((price, "investment_price"), (deflator, "gdp_price")):
        level[:, 1:] = np.cumprod(columns[name][:, 1:] / 100, axis=1)
    capital = columns["investment"] / price
    capital[:, 0] /= 0.10
    for t in range(1, capital.shape[1]):
        capital[:, t] += (1 - 0.096) * capital[:, t - 1]
    same = country.geography.province[:, None] == country.geography.province
    carbon = {"gas": 21.8403e-4, "lpg": 3.16629e-4, "electricity": 6.101e-4, "heat": 0.11}
    made = {
        "labour": columns["employed"] + columns["self_employed"],
        "capital": capital,
        "energy": columns["province_energy"] * columns["lights"] / (same @ columns["lights"]),
        "gdp": columns["gdp_nominal"] / deflator,
        "co2": sum(factor * columns[name] for name, factor in carbon.items()),
        "pm25": columns["pm25"],
    }
    return {name: values.ravel() for name, values in made.items()}


def measure(country):
    """Measure preff, creff and syeff from the yearbook's columns, as the default pipeline does."""
    columns, shape = by_accounts(country), country.outcome.shape
    scores = []
    for bad in ("pm25", "co2"):
        technology = Technology(
            inputs=np.column_stack([columns[name] for name in ("labour", "capital", "energy")]),
            good=columns["gdp"][:, None],
            bad=columns[bad][:, None],
            period=np.tile(np.arange(shape[1]), shape[0]),
            returns="crs",
            reference="global",
        )
        result = slacks_based(technology, super_efficiency=True, orientation="none", bads="outputs")
        scores.append(np.asarray(result.score))
    return *(score.reshape(shape) for score in scores), np.asarray(coupling_coordination(*scores, alpha=0.5)).reshape(
        shape
    )


@pytest.mark.parametrize(("units", "years"), [(40, SMALL), pytest.param(284, YEARS, marks=pytest.mark.slow)])
def test_accounts_and_pipeline_measure_the_outcome(units, years):
    country = draw_country(units, years, seed=2027)
    *_, syeff = measure(country)
    np.testing.assert_allclose(syeff, country.outcome, atol=EXACT)


def test_scores_rank_the_technology_where_there_is_no_noise():
    """The coupled score, and each of the two that it is made of; with noise the ranks are others."""
    quiet, noisy = (draw_country(40, SMALL, seed=6, options=Options(noise=noise)) for noise in (0.0, 1.0))
    ranks = [stats.spearmanr(score.ravel(), quiet.technology.ravel()).statistic for score in measure(quiet)]
    assert min(ranks) > 0.95
    assert stats.spearmanr(measure(noisy)[2].ravel(), noisy.technology.ravel()).statistic < 0.95
