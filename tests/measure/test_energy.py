"""Energy by night lights: shares by hand, fits against SciPy, sums that must hold, two sensors made one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from syneff.errors import DataError
from syneff.measure.energy import fit_line, spread_energy
from syneff.measure.lights import breaks, harmonise_lights
from syneff.panel.panel import Panel
from tests.provinces import NAN, country

few = settings(deadline=None, max_examples=25)


def nation(seed: int = 0, cities: int = 24, periods: int = 6) -> Panel:
    """Six provinces whose energy is nearly 3 x their lights + 40."""
    rng = np.random.default_rng(seed)
    province = np.repeat([f"P{number}" for number in range(6)], cities // 6).astype(object)
    lights = rng.lognormal(3.0, 0.6, (cities, periods))
    sums = np.stack([lights[province == name].sum(axis=0) for name in dict.fromkeys(province)])
    energy = np.repeat(40 + 3 * sums + rng.normal(0, 5, sums.shape), cities // 6, axis=0)
    columns = {"lights": lights, "province_energy": energy}
    years = tuple(range(2010, 2010 + periods))
    return Panel(tuple(range(cities)), years, columns, {"province": province}, np.ones(lights.shape))


def provinces(panel: Panel, name: str) -> np.ndarray:
    labels = panel.traits["province"]
    return np.stack([panel.columns[name][labels == each].sum(axis=0) for each in dict.fromkeys(labels)])


def test_through_the_origin_a_city_has_its_share_of_the_lights():
    panel = country(province_energy=[[90, 60], [90, 60], [50, 40]], lights=[[1, 1], [2, 1], [7, 8]])
    after = spread_energy(panel)
    np.testing.assert_allclose(after.columns["energy"], [[30, 30], [60, 30], [50, 40]], rtol=1e-14)


def test_the_fit_is_what_scipy_finds():
    panel = nation()
    x, y = (provinces(panel, name) for name in ("lights", "province_energy"))
    y = y / 4  # four cities repeat it
    ours = spread_energy(panel, intercept=True).details["energy_fit"].iloc[0]
    theirs = stats.linregress(x.ravel(), y.ravel())
    assert ours["slope"] == pytest.approx(theirs.slope, rel=1e-10)
    assert ours["intercept"] == pytest.approx(theirs.intercept, rel=1e-10)
    assert ours["std_error"] == pytest.approx(theirs.stderr, rel=1e-10)
    assert ours["r2"] == pytest.approx(theirs.rvalue**2, rel=1e-10)
    assert ours["f"] == pytest.approx((theirs.slope / theirs.stderr) ** 2, rel=1e-10)
    assert ours["nobs"] == 36
    yearly = spread_energy(panel, intercept=True, by_year=True).details["energy_fit"]
    assert yearly["period"].tolist() == list(panel.periods)
    for t, row in yearly.iterrows():
        assert row["slope"] == pytest.approx(stats.linregress(x[:, t], y[:, t]).slope, rel=1e-10)


def test_a_line_through_the_origin_minimises_the_squares():
    x, y = np.array([1.0, 2.0, 4.0]), np.array([2.0, 3.0, 9.0])
    fit = fit_line(x, y, intercept=False)
    # Sum xy / sum xx = 44 / 21; 1 - SSR / sum yy with SSR = 94 - 44^2 / 21; F = slope^2 sum xx / (SSR / 2).
    rest = 94 - 44**2 / 21
    assert fit["slope"] == pytest.approx(44 / 21)
    assert fit["r2"] == pytest.approx(1 - rest / 94)
    assert fit["f"] == pytest.approx((44 / 21) ** 2 * 21 / (rest / 2))


def test_an_intercept_is_divided_among_the_cities_of_a_province():
    panel = country(province_energy=[[70, 130], [70, 130], [40, 70]], lights=[[1, 2], [2, 4], [1, 3]])
    # 10 + 20 L holds for Anhui (3, 6) but 70, 130; Hubei (1, 3): 40, 70 is 25 + 15 L. Fit: by NumPy.
    slope, level = np.polyfit([3, 6, 1, 3], [70, 130, 40, 70], 1)
    free = spread_energy(panel, intercept=True, constrain=False)
    np.testing.assert_allclose(free.columns["energy"][0], level / 2 + slope * np.array([1, 2]), rtol=1e-12)
    np.testing.assert_allclose(free.columns["energy"][2], level + slope * np.array([1, 3]), rtol=1e-12)
    assert "WARNING: cities do not add up to their group's total, farthest in Hubei 2004" in free.notes[-1]


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("by_year", [False, True])
def test_cities_add_up_to_their_province(intercept, by_year):
    panel = spread_energy(nation(), intercept=intercept, by_year=by_year)
    np.testing.assert_allclose(provinces(panel, "energy"), provinces(panel, "province_energy") / 4, rtol=1e-12)
    assert (panel.columns["energy"] > 0).all()


@few
@given(arrays.arrays(float, (3, 4), elements=st.floats(0.1, 1e4)), st.floats(1e-4, 1e4), st.floats(1e-4, 1e4))
def test_neither_unit_matters(lights, of_lights, of_energy):
    energy = np.array([[9.0, 8, 7, 6], [9, 8, 7, 6], [3, 4, 5, 6]])

    def spread(a, b):
        return spread_energy(country(province_energy=energy * b, lights=lights * a), by_year=True).columns["energy"]

    np.testing.assert_allclose(spread(of_lights, of_energy), spread(1.0, 1.0) * of_energy, rtol=1e-9)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"lights": [[0, 1], [0, 1], [1, 1]]},
            "'lights' is 0 in every city of Anhui 2004. Energy cannot be spread by nothing",
        ),
        ({"lights": [[1, 1], [-1, 1], [1, 1]]}, "'lights' is negative in Hefei 2004"),
        ({"lights": [[1, 1], [NAN, 1], [1, 1]]}, "'lights' is missing in Hefei 2004"),
        (
            {"province_energy": [[9, 9], [8, 9], [1, 1]]},
            "'province_energy' must have one value a province .* Anqing has 9 and",
        ),
        ({"province_energy": [[9, 9], [9, 9], [NAN, NAN]]}, "'province_energy' is missing for Hubei 2004, Hubei 2005"),
        ({"province_energy": [[9, 9], [9, 9], [-1, 1]]}, "'province_energy' is negative for Hubei 2004"),
    ],
)
def test_it_names_what_is_wrong(columns, message):
    good = {"province_energy": [[9, 9], [9, 9], [5, 5]], "lights": [[1, 1], [1, 1], [1, 1]]}
    with pytest.raises(DataError, match=message):
        spread_energy(country(**good | columns))


def test_a_negative_fit_is_refused():
    panel = country(province_energy=[[10, 10], [10, 10], [100, 100]], lights=[[1, 1], [30, 30], [80, 80]])
    with pytest.raises(DataError, match=r"the fitted energy is negative in Anqing 2004.* Set intercept=false"):
        spread_energy(panel, intercept=True)


def test_breaks_are_counted_beyond_the_median_and_at_all():
    # In 2005 all rise by e^.6 but Wuhan by e^2; in 2006 nobody moves but Hefei, by e^-.7.
    logs = np.array([[0.0, 0.6, 0.6], [1.0, 1.6, 0.9], [2.0, 4.0, 4.0]])
    found = breaks(country(lights=np.exp(logs)), "lights")
    assert found["period"].tolist() == [2005, 2006]
    assert found["beyond"].tolist() == [1, 1]
    assert found["absolute"].tolist() == [3, 1]
    assert found["largest"].tolist() == ["Wuhan", "Hefei"]
    note = spread_energy(country(lights=np.exp(logs), province_energy=[[1, 1, 1]] * 3)).notes[-1]
    assert "WARNING: lights has breaks of more than 0.5 log points in 2 years: 2005 (1 cities beyond" in note


@pytest.mark.parametrize("form", ["log", "power"])
def test_two_sensors_that_follow_a_power_function_are_joined_exactly(form):
    rng = np.random.default_rng(1)
    late = rng.lognormal(2, 1, (3, 12))
    early = 2.5 * late**0.7
    first, second = early.copy(), late.copy()
    first[:, 8:], second[:, :4] = NAN, NAN
    after = harmonise_lights(country(dmsp=first, viirs=second), name="lights", early="dmsp", late="viirs", form=form)
    np.testing.assert_allclose(after.columns["lights"], early, rtol=1e-6)
    assert "else 2.5 x viirs^0.7" in after.notes[-1]
    assert "on 12 city-years of 2008, 2009, 2010, 2011, R2 1.000" in after.notes[-1]


def test_the_joined_series_has_the_early_sensor_s_unit_and_ignores_the_late_one_s():
    rng = np.random.default_rng(2)
    late = rng.lognormal(2, 1, (3, 9))
    early = late**0.8 * rng.lognormal(0, 0.1, late.shape)
    early[:, 6:] = NAN
    for form in ("log", "power"):
        one, other = (
            harmonise_lights(country(a=early, b=late * scale), name="c", early="a", late="b", form=form).columns["c"]
            for scale in (1.0, 1e3)
        )
        np.testing.assert_allclose(other, one, rtol=1e-6)


def test_too_small_an_overlap_is_refused():
    panel = country(a=[[1, 2, NAN]] * 3, b=[[NAN, 2, 3]] * 3)
    with pytest.raises(DataError, match=r"both positive in 3 city-years, too few to join them \(at least 10\)"):
        harmonise_lights(panel, name="lights", early="a", late="b")
