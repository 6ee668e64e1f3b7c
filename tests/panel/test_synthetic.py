"""The synthetic panel has the moments and cohorts it promises, and its closed forms are those of the linear programs."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from syneff.errors import SpecError
from syneff.panel.synthetic import VARIABLES, Options, draw_country, synthetic, technology
from syneff.panel.synthetic.capital import follow
from syneff.panel.synthetic.controls import CONTROLS
from syneff.panel.synthetic.outcome import BOUNDS
from syneff.panel.synthetic.technology import CEILING, KAPPA, choose_benchmarks, invert

INPUTS = ["labour", "capital", "energy"]
YEARS = np.arange(2004, 2021)
SMALL = np.arange(2010, 2018)
DEFAULT_SEED = 2027


@pytest.fixture(scope="module")
def panel():
    return synthetic()


@pytest.fixture(scope="module")
def country():
    return draw_country(284, YEARS, seed=DEFAULT_SEED)


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
    pd.testing.assert_frame_equal(first.details["neighbours"], again.details["neighbours"])
    assert first.truth == again.truth
    for name in set(first.columns) - {"treat", "rd", "rd_lagged"}:
        assert not np.allclose(first.columns[name], other.columns[name]), name


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


def test_outcome_has_the_published_moments(country):
    outcome = country.outcome
    assert outcome.mean() == pytest.approx(0.462, abs=0.002)
    assert outcome.std() == pytest.approx(0.102, rel=0.06)
    assert (outcome.min(), outcome.max()) == (0.0, 1.0)
    assert not np.isin(outcome, BOUNDS).any()  # no error was cut


def test_levels_are_plausible(panel):
    columns = panel.columns
    assert columns["pm25"].min() > 4
    assert columns["pm25"].max() < 150
    assert 30 < np.median(columns["pm25"]) < 55
    assert 500 < np.median(columns["gdp"]) < 1500
    medians = (
        ("labour", 15, 90),
        ("capital", 1000, 5000),
        ("energy", 400, 2500),
        ("co2", 1000, 5000),
        ("secondary_share", 35, 55),
        ("tertiary_share", 35, 55),
        ("invg", 0.3, 1.5),
        ("science", 0.5, 2.0),
        ("coag", 2.0, 4.0),
    )
    for name, low, high in medians:
        assert low < np.median(columns[name]) < high, name
    np.testing.assert_array_less(73.0, panel.traits["lon"])
    np.testing.assert_array_less(panel.traits["lon"], 135.0)
    np.testing.assert_array_less(18.0, panel.traits["lat"])
    np.testing.assert_array_less(panel.traits["lat"], 53.5)
    assert 25 <= np.unique(panel.traits["province"]).size <= 34


def test_ranks_and_groups_have_the_sizes_of_the_paper(panel):
    """N of Table 7, column 5, and of Table 11 over 17 years; sizes are skewed as those of real cities."""
    ranks, counts = np.unique(panel.traits["rank"].astype(str), return_counts=True)
    named = dict(zip(ranks, counts, strict=True))
    assert named["ordinary"] == 4233 / 17
    assert (named["municipality"], named["sub-provincial"]) == (4, 15)
    assert panel.traits["key_environment"].sum() == pytest.approx(1456 / 17, abs=1)
    assert panel.traits["resource"].sum() == 867 / 17
    assert panel.traits["high_pressure"].sum() == pytest.approx(1615 / 17, rel=0.15)
    capitals = pd.Series(panel.traits["rank"] != "ordinary").groupby(panel.traits["province"]).sum()
    assert (capitals >= 1).all()
    logs = np.log(panel.columns["gdp"].mean(axis=1))
    assert ((logs - logs.mean()) ** 3).mean() > 0


def test_traits_of_selection_go_with_adoption(panel):
    """Ports, railways, key cities and other pilots are more common among adopters; high rank too."""
    adopter = np.isfinite(panel.traits["adoption_year"])
    for name in ("port", "rail1933", "key_environment"):
        assert panel.traits[name][adopter].mean() > panel.traits[name][~adopter].mean() + 0.1, name
    for name in ("low_carbon_year", "smart_city_year", "civilised_city_year"):
        joined = np.isfinite(panel.traits[name])
        assert joined[adopter].mean() > joined[~adopter].mean() + 0.1, name
        assert np.isin(panel.traits[name][joined], YEARS).all()
    market = pd.Series(panel.traits["carbon_market_year"]).groupby(panel.traits["province"]).nunique(dropna=False)
    assert (market == 1).all()
    assert (panel.traits["rank"][adopter] != "ordinary").mean() > 2 * (
        panel.traits["rank"][~adopter] != "ordinary"
    ).mean()


def test_everything_has_a_name_in_two_languages_and_a_unit(panel):
    assert set(VARIABLES) == {*panel.columns, *panel.traits}
    assert all(each.label and each.label_zh and each.unit for each in panel.variables.values())
    assert "synthetic" in panel.notes[0]
    assert "Synthetic" in panel.truth.note


@pytest.mark.parametrize(("units", "periods"), [(40, (2010, 2017)), (20, (2004, 2008)), (3000, (2001, 2020))])
def test_other_sizes_keep_cohorts_inside_the_window(units, periods):
    panel = synthetic(units=units, periods=periods, seed=3)
    adopted = panel.traits["adoption_year"]
    assert panel.shape == (units, periods[1] - periods[0] + 1)
    assert np.nanmin(adopted) > periods[0]
    assert np.nanmax(adopted) <= periods[1]
    expected = sum(max(1, round(size * units / 284)) for size in (1, 38, 7, 3, 10, 16))
    assert np.isfinite(adopted).sum() == pytest.approx(expected, abs=1)
    assert len(set(panel.units)) == units
    assert_possible(panel)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "options",
    [
        {"effect": 0.1, "noise": 1.5, "spillover": -0.1},
        {"effect": 0.0, "noise": 0.0, "confounding": 0.1},
        {"noise": 1.5, "confounding": -0.1, "lights_noise": 1.0, "spillover": 0.1},
    ],
)
def test_options_at_their_ends_make_possible_panels(options, seed):
    assert_possible(synthetic(units=60, periods=(2004, 2013), seed=seed, **options))


def assert_possible(panel):
    """Assert that everything is finite and positive, patents but not the others perhaps 0, and subsets inside their sets."""
    for name, values in panel.columns.items():
        assert np.isfinite(values).all(), name
        assert (values >= 0).all() if name in ("treat", "invg", "ingrvg", "indivg") else (values > 0).all(), name
    columns = panel.columns
    assert (np.maximum(columns["ingrvg"], columns["indivg"]) <= columns["invg"]).all()
    assert (columns["secondary_share"] + columns["tertiary_share"] < 100).all()
    assert (columns["province_manufacturing"] < columns["province_industry"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 12}, "units=12"),
        ({"periods": (2010, 2012)}, "periods"),
        ({"seed": -1}, "seed=-1"),
        ({"effect": -0.04}, "source.effect=-0.04 is out of range. Allowed: 0 to 0.1."),
        ({"noise": float("nan")}, "source.noise=nan"),
        ({"spillover": 1.0}, "source.spillover=1.0"),
        ({"confounding": 0.5}, "source.confounding=0.5"),
        ({"lights_noise": -0.1}, "source.lights_noise=-0.1"),
    ],
)
def test_what_cannot_be_drawn_is_named(options, message):
    with pytest.raises(SpecError, match=message.replace(".", r"\.")):
        synthetic(**options)


def test_a_country_without_possible_capital_is_refused(monkeypatch):
    """Bounds that no path can keep, in every city and however calm its outcome."""
    monkeypatch.setattr(technology, "follow", lambda wanted, low, high: np.full(wanted.shape, np.nan))
    with pytest.raises(SpecError, match="no positive investment"):
        synthetic(units=20, periods=(2004, 2008))


def test_capital_keeps_its_bounds_and_wears_out_no_faster_than_it_can():
    rng = np.random.default_rng(3)
    low = rng.lognormal(0.0, 0.5, (200, 12))
    high = low * rng.lognormal(1.0, 0.4, low.shape).clip(1.0)
    wanted = low + (high - low) * rng.uniform(-0.5, 1.5, low.shape)
    path = follow(wanted, low, high)
    made = np.isfinite(path).all(axis=1)
    kept = 1 - 0.096 + 0.02
    # A path exists where no bound from below, worn out since, is above a later bound from above.
    possible = [
        all(low[i, s] * kept ** (t - s) <= high[i, t] for t in range(12) for s in range(t + 1)) for i in range(200)
    ]
    np.testing.assert_array_equal(made, possible)
    assert 20 < made.sum() < 180
    path, low, high = path[made], low[made], high[made]
    assert (path >= low * (1 - 1e-12)).all()
    assert (path <= high * (1 + 1e-12)).all()
    assert (path[:, 1:] >= kept * path[:, :-1] * (1 - 1e-12)).all()
    rising = np.cumsum(rng.uniform(1.0, 2.0, (5, 12)), axis=1)
    np.testing.assert_array_equal(follow(rising, low=0.5 * rising, high=2.0 * rising), rising)


def test_the_outcome_is_its_equation(country):
    """Without error, the outcome less controls, mediators, direct effect and spillover is a city's and a year's effect."""
    quiet = draw_country(60, YEARS, seed=4, options=Options(noise=0.0))
    columns = quiet.columns
    rest = quiet.outcome - quiet.effects.direct - quiet.effects.spillover
    rest -= 0.009 * columns["invg"] + 0.022 * columns["is"] + 0.009 * columns["coag"]
    rest -= sum(control.effect * columns[name] for name, control in CONTROLS.items())
    given = (quiet.outcome == 0) | (quiet.outcome > 0.9)  # the three city-years whose outcome is set
    whole = rest[~(given | np.isin(quiet.outcome, BOUNDS)).any(axis=1)]
    assert len(whole) >= 55
    left = whole - whole.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(left, np.broadcast_to(left[0], left.shape), atol=1e-12)
    assert (country.outcome - country.technology).std() > 0.05  # by default there is an error


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
    outcome = draw_country(284, YEARS, seed=DEFAULT_SEED).outcome.ravel()
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
    wanted = np.clip(rng.uniform(0.01, 0.92, (60, 1)) + 0.01 * rng.standard_normal((60, 6)), 0.01, 0.92)
    gdp = rng.lognormal(7, 1, (60, 1)) * 1.05 ** np.arange(6)
    treat = np.zeros((60, 6))
    treat[:10, 3:] = 1.0
    bads = {"pm25": rng.lognormal(3.7, 0.4, (60, 6)), "co2": gdp * rng.lognormal(1, 0.5, (60, 6))}
    benchmarks = choose_benchmarks(wanted, treat)
    inversion = invert(wanted, gdp, bads, rng.uniform(-1, 1, 60), benchmarks=benchmarks)
    columns = {**inversion.columns, "gdp": gdp}
    capital = columns["capital"]
    assert (capital[:, 1:] > (1 - 0.096) * capital[:, :-1]).all()
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
