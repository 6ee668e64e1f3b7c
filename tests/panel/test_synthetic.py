"""The synthetic panel has the moments and cohorts it promises, and its closed forms are those of the linear programs."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from syneff.errors import SpecError
from syneff.panel.synthetic import BOUNDS, VARIABLES, draw_country, synthetic
from syneff.panel.synthetic_country import CONTROLS
from syneff.panel.synthetic_technology import CEILING, KAPPA, choose_benchmarks, invert

INPUTS = ["labour", "capital", "energy"]
YEARS = np.arange(2004, 2021)
SMALL = np.arange(2010, 2018)


@pytest.fixture(scope="module")
def panel():
    return synthetic()


def solve(cost, equations, equal, inequalities=None, below=None):
    """Minimise cost x over x >= 0 with HiGHS at its tightest tolerance."""
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    solution = linprog(cost, inequalities, below, equations, equal, method="highs-ds", options=tight)
    assert solution.status == 0, solution.message
    return solution.fun


def in_units_of(ratios, o):
    """Inputs, bad and good output as ``[5 dmu]``, each divided by its value in row `o`."""
    data = np.column_stack([ratios, np.ones(len(ratios))])
    return (data / data[o]).T


def sbm(ratios, o):
    """SBM of row `o`; `ratios` are three inputs and the bad output per unit of the good one, ``[dmu 4]``.

    Variables: t, Lambda, S- (3), Sb, S+, slacks in units of row o.
    """
    data = in_units_of(ratios, o)
    free = np.zeros(data.shape[1])
    balance = np.hstack([-np.ones((5, 1)), data, np.diag([1.0, 1.0, 1.0, 1.0, -1.0])])
    denominator = np.r_[1.0, free, 0.0, 0.0, 0.0, 0.5, 0.5]
    cost = np.r_[1.0, free, np.full(3, -1 / 3), 0.0, 0.0]
    return solve(cost, np.vstack([balance, denominator]), np.r_[np.zeros(5), 1.0])


def super_sbm(ratios, o):
    """Super-SBM of row `o`, bad outputs scored with the good one; variables as in `sbm`, Lambda without row o."""
    data = np.delete(in_units_of(ratios, o), o, axis=1)
    free = np.zeros(data.shape[1])
    sign = np.array([1.0, 1.0, 1.0, 1.0, -1.0])[:, None]
    balance = np.hstack([-sign, sign * data, -np.eye(5)])
    cap = np.r_[-1.0, free, 0.0, 0.0, 0.0, 0.0, 1.0]
    denominator = np.r_[1.0, free, 0.0, 0.0, 0.0, -0.5, -0.5][None, :]
    cost = np.r_[1.0, free, np.full(3, 1 / 3), 0.0, 0.0]
    return solve(cost, denominator, np.ones(1), np.vstack([balance, cap]), np.zeros(6))


def intensities(columns, bad):
    return np.column_stack([(columns[name] / columns["gdp"]).ravel() for name in [*INPUTS, bad]])


def test_same_seed_same_panel_and_another_seed_another():
    first, again, other = synthetic(units=40, seed=7), synthetic(units=40, seed=7), synthetic(units=40, seed=8)
    pd.testing.assert_frame_equal(first.to_frame(), again.to_frame(), check_exact=True)
    assert not np.allclose(first.columns["energy"], other.columns["energy"])


def test_cohorts_are_those_of_the_paper(panel):
    adopted = panel.traits["adoption_year"]
    years, sizes = np.unique(adopted[~np.isnan(adopted)], return_counts=True)
    assert dict(zip(years, sizes, strict=True)) == {2008: 1, 2010: 38, 2011: 7, 2012: 3, 2013: 10, 2018: 16}
    np.testing.assert_array_equal(panel.columns["treat"], adopted[:, None] <= YEARS)
    assert panel.columns["treat"].sum() == 13 * 1 + 11 * 38 + 10 * 7 + 9 * 3 + 8 * 10 + 3 * 16


def test_controls_have_the_moments_of_table_2(panel, shared):
    published = pd.read_csv(shared / "paper" / "table02.csv").set_index("variable")
    for name, control in CONTROLS.items():
        row, values = published.loc[name], panel.columns[name]
        assert (control.mean, control.sd, control.low, control.high) == tuple(row[["mean", "sd", "min", "max"]])
        np.testing.assert_allclose([values.min(), values.max()], row[["min", "max"]].astype(float), rtol=1e-12)
        np.testing.assert_allclose(values.mean(), row["mean"], rtol=0.03)
        np.testing.assert_allclose(values.std(ddof=1), row["sd"], rtol=0.04)
        assert np.unique(values).size == values.size  # nothing is clumped at the ends


def test_coefficients_are_those_of_table_3(panel, shared):
    published = pd.read_csv(shared / "paper" / "published.csv", dtype={"column": str})
    last = published.query("table == 'table03' and column == '7' and term != 'const'").set_index("term")["estimate"]
    for term, value in last.items():
        assert panel.truth.coefficients[term] == value


def test_truth_of_the_bins_is_the_mean_effect_of_their_rows(panel):
    country = draw_country(284, YEARS, seed=2026)
    event = YEARS - country.adopted[:, None]
    truth = panel.truth.coefficients
    for k in range(6):
        np.testing.assert_allclose(country.effect[event == k], truth[f"event[{k}]"], rtol=1e-12)
    assert truth["event[6]"] == pytest.approx(country.effect[event >= 6].mean(), rel=1e-12)
    assert country.effect[event >= 0].mean() == pytest.approx(0.040, rel=1e-12)
    assert not country.effect[~(event >= 0)].any()
    assert [truth[f"event[{k}]"] for k in range(-5, 0)] == [0.0] * 5


def test_outcome_has_the_published_moments(panel):
    outcome = draw_country(284, YEARS, seed=2026).outcome
    assert outcome.mean() == pytest.approx(0.462, abs=0.002)
    assert outcome.std() == pytest.approx(0.102, rel=0.05)
    assert (outcome.min(), outcome.max()) == (0.0, 1.0)
    assert not np.isin(outcome, BOUNDS).any()  # no error was cut


def test_levels_are_plausible(panel):
    columns = panel.columns
    assert columns["pm25"].min() > 4
    assert columns["pm25"].max() < 150
    assert 30 < np.median(columns["pm25"]) < 55
    assert 500 < np.median(columns["gdp"]) < 1500
    for name, low, high in (("labour", 15, 90), ("capital", 1000, 5000), ("energy", 400, 2500), ("co2", 1000, 5000)):
        assert low < np.median(columns[name]) < high
    np.testing.assert_array_less(73.0, panel.traits["lon"])
    np.testing.assert_array_less(panel.traits["lon"], 135.0)
    np.testing.assert_array_less(18.0, panel.traits["lat"])
    np.testing.assert_array_less(panel.traits["lat"], 53.5)
    assert 25 <= np.unique(panel.traits["province"]).size <= 34


def test_everything_has_a_name_in_two_languages_and_a_unit(panel):
    assert set(VARIABLES) == {*panel.columns, *panel.traits}
    assert all(each.label and each.label_zh and each.unit for each in panel.variables.values())
    assert "synthetic" in panel.notes[0]
    assert "Synthetic" in panel.truth.note


@pytest.mark.parametrize(("units", "periods"), [(40, (2010, 2017)), (20, (2004, 2008)), (3000, (2004, 2020))])
def test_other_sizes_keep_cohorts_inside_the_window(units, periods):
    panel = synthetic(units=units, periods=periods, seed=3)
    adopted = panel.traits["adoption_year"]
    assert panel.shape == (units, periods[1] - periods[0] + 1)
    assert np.nanmin(adopted) > periods[0]
    assert np.nanmax(adopted) <= periods[1]
    expected = sum(max(1, round(size * units / 284)) for size in (1, 38, 7, 3, 10, 16))
    assert np.isfinite(adopted).sum() == pytest.approx(expected, abs=1)
    assert len(set(panel.units)) == units
    assert all(np.isfinite(values).all() for values in panel.columns.values())
    assert all((panel.columns[name] > 0).all() for name in [*INPUTS, "gdp", "pm25", "co2"])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"units": 12}, "units=12"), ({"periods": (2010, 2012)}, "periods"), ({"seed": -1}, "seed=-1")],
)
def test_sizes_that_cannot_be_drawn_are_named(options, message):
    with pytest.raises(SpecError, match=message):
        synthetic(**options)


@pytest.mark.parametrize("bad", ["pm25", "co2"])
def test_linear_programs_of_the_small_panel_give_the_outcome_s_scores(bad):
    """Every program of 40 cities x 8 years by HiGHS: extremes, closed forms, and the product of both scores."""
    country = draw_country(40, SMALL, seed=5)
    ratios = intensities(country.columns, bad)
    scores = np.array([sbm(ratios, o) for o in range(len(ratios))])
    best, worst = int(country.outcome.argmax()), int(country.outcome.argmin())
    assert np.flatnonzero(scores > 1 - 1e-7).tolist() == [best]
    relative = ratios[best] / ratios
    closed = 2.0 * relative[:, :3].mean(axis=1) / (3.0 - relative[:, 3])
    np.testing.assert_allclose(scores, closed, atol=1e-9)
    assert scores.argmin() == worst
    assert super_sbm(ratios, best) == pytest.approx(2 * KAPPA / (KAPPA + 1), abs=1e-9)


def test_scores_from_linear_programs_make_the_outcome(panel):
    """On the default panel, a sample of rows: eq. (2) of HiGHS's scores is the outcome."""
    outcome = draw_country(284, YEARS, seed=2026).outcome.ravel()
    best, worst = int(outcome.argmax()), int(outcome.argmin())
    rows = [*np.random.default_rng(0).choice(outcome.size, 12, replace=False), int(outcome.argsort()[-2])]
    scaled = []
    for bad in ("pm25", "co2"):
        ratios = intensities(panel.columns, bad)
        low, high = sbm(ratios, worst), super_sbm(ratios, best)
        scaled.append((np.array([sbm(ratios, o) for o in rows]) - low) / (high - low))
    first, second = scaled
    coupling = 2 * np.sqrt(first * second) / (first + second)
    np.testing.assert_allclose(np.sqrt(coupling * (first + second) / 2), outcome[rows], atol=1e-8)


def test_any_outcome_can_be_inverted():
    """Outcomes spread over (0, 0.92], far wider than the panel's: closed forms still give them back."""
    rng = np.random.default_rng(11)
    wanted, gdp = rng.uniform(0.01, 0.92, (60, 6)), rng.lognormal(7, 1, (60, 6))
    treat = np.zeros((60, 6))
    treat[:10, 3:] = 1.0
    bads = {"pm25": rng.lognormal(3.7, 0.4, (60, 6)), "co2": gdp * rng.lognormal(1, 0.5, (60, 6))}
    benchmarks = choose_benchmarks(wanted, treat)
    inversion = invert(wanted, gdp, bads, rng.uniform(-1, 1, (60, 6, 3)), benchmarks=benchmarks)
    columns = {**inversion.columns, "gdp": gdp}
    scaled = []
    for bad in bads:
        ratios = intensities(columns, bad)
        relative = ratios[np.ravel_multi_index(benchmarks.best, gdp.shape)] / ratios
        second = np.ravel_multi_index(benchmarks.second, gdp.shape)
        others = np.delete(relative, [second, np.ravel_multi_index(benchmarks.best, gdp.shape)], axis=0)
        np.testing.assert_allclose(relative[second], 1 / KAPPA, rtol=1e-12)
        assert others.max() < 1 / KAPPA
        score = (2 * relative[:, :3].mean(axis=1) / (3 - relative[:, 3])).reshape(gdp.shape)
        score[benchmarks.best] = CEILING
        scaled.append((score - score.min()) / (score.max() - score.min()))
    np.testing.assert_allclose((scaled[0] * scaled[1]) ** 0.25, inversion.outcome, atol=1e-9)
    drawn = np.ones(gdp.shape, dtype=bool)
    for row in (benchmarks.best, benchmarks.second, benchmarks.worst):
        drawn[row] = False
    np.testing.assert_array_equal(inversion.outcome[drawn], wanted[drawn])
