"""The raw columns give the accounts back, by formulas written here by hand, and agree with each other."""

import numpy as np
import pytest

from syneff.panel.synthetic import Options, draw_country, synthetic

YEARS = np.arange(2004, 2021)
# 10^4 t of CO2 per 10^4 m3 of gas (GJ x kg/GJ), t of LPG (GJ x kg/GJ), 10^4 kWh at 0.6101 t/MWh, and 10^4 GJ at 0.11 t/GJ.
FACTORS = {"gas": 389.31 * 56.1e-7, "lpg": 50.179 * 63.1e-7, "electricity": 6.101e-4, "heat": 0.11}


@pytest.fixture(scope="module")
def panel():
    return synthetic(units=60, seed=9)


def level(index):
    """Chain an index with the preceding year = 100; 1 in the first year."""
    chained = np.ones_like(index)
    for t in range(1, index.shape[1]):
        chained[:, t] = chained[:, t - 1] * index[:, t] / 100
    return chained


def in_province(panel, name):
    """Sum a column over the cities of each city's province."""
    values, province = panel.columns[name], panel.traits["province"]
    return np.stack([values[province == own].sum(axis=0) for own in province])


def test_labour_is_the_sum_of_its_kinds(panel):
    both = panel.columns["employed"] + panel.columns["self_employed"]
    np.testing.assert_allclose(both, panel.columns["labour"], rtol=1e-12)


def test_capital_is_perpetual_inventory(panel):
    columns = panel.columns
    real = columns["investment"] / level(columns["investment_price"])
    capital = np.empty_like(real)
    capital[:, 0] = real[:, 0] / 0.10
    for t in range(1, real.shape[1]):
        capital[:, t] = real[:, t] + (1 - 0.096) * capital[:, t - 1]
    np.testing.assert_allclose(capital, columns["capital"], rtol=1e-10)
    assert (columns["investment"] > 0).all()


def test_gdp_is_deflated(panel):
    columns = panel.columns
    np.testing.assert_allclose(columns["gdp_nominal"] / level(columns["gdp_price"]), columns["gdp"], rtol=1e-12)


def test_energy_is_the_province_s_by_lights(panel):
    columns = panel.columns
    by_lights = columns["province_energy"] * columns["lights"] / in_province(panel, "lights")
    np.testing.assert_allclose(by_lights, columns["energy"], rtol=1e-12)
    np.testing.assert_allclose(in_province(panel, "energy"), columns["province_energy"], rtol=1e-12)


def test_lights_break_with_the_sensor_and_may_be_measured_with_error():
    exact, noisy = (synthetic(units=60, seed=9, lights_noise=noise) for noise in (0.0, 0.3))
    growth = np.diff(np.log(exact.columns["lights"] / exact.columns["energy"]), axis=1)
    assert np.abs(growth).mean(axis=0).argmax() == list(YEARS).index(2013) - 1
    error = np.log(noisy.columns["lights"] / exact.columns["lights"])
    assert error.std() == pytest.approx(0.3, rel=0.1)
    np.testing.assert_array_equal(noisy.columns["energy"], exact.columns["energy"])


def test_carbon_is_the_sum_of_carriers(panel):
    columns = panel.columns
    total = sum(columns[name] * factor for name, factor in FACTORS.items())
    np.testing.assert_allclose(total, columns["co2"], rtol=1e-5)  # factors are printed with six digits
    shares = np.stack([columns[name] * factor / columns["co2"] for name, factor in FACTORS.items()])
    assert (shares.std(axis=(1, 2)) > 0.1 * shares.mean(axis=(1, 2))).all()  # they differ between cities and years


def test_agglomeration_is_made_of_employees(panel):
    columns = panel.columns
    national = columns["employed_services"].sum(axis=0) / columns["employed"].sum(axis=0)
    sagg = columns["employed_services"] / columns["employed"] / national
    np.testing.assert_allclose(sagg, columns["sagg"], rtol=1e-12)
    first = [list(panel.traits["province"]).index(name) for name in np.unique(panel.traits["province"])]
    at_large, industry = columns["province_manufacturing"], columns["province_industry"]
    quotient = at_large / industry / (at_large[first].sum(axis=0) / industry[first].sum(axis=0))
    magg = quotient * columns["science"]
    np.testing.assert_allclose(magg, columns["magg"], rtol=1e-12)
    coag = 1 - np.abs(magg - sagg) / (magg + sagg) + magg + sagg
    np.testing.assert_allclose(coag, columns["coag"], rtol=1e-12)
    np.testing.assert_allclose(in_province(panel, "employed_manufacturing"), at_large, rtol=1e-12)
    parts = columns["employed_manufacturing"] + columns["employed_services"] + columns["employed_other"]
    np.testing.assert_allclose(parts, columns["employed"], rtol=1e-12)


def test_structure_is_the_ratio_of_sectors(panel):
    columns = panel.columns
    np.testing.assert_allclose(columns["tertiary_share"] / columns["secondary_share"], columns["is"], rtol=1e-12)


def test_controls_are_ratios(panel):
    """Yuan a head of 10^8 yuan and 10^4 persons; students a million persons; shares in per cent."""
    columns = panel.columns
    ratios = {
        "lnpgdp": np.log(columns["gdp"] * 1e8 / (columns["population"] * 1e4)),
        "hc": np.log(columns["students"] / (columns["population"] * 1e4 / 1e6)),
        "gov": 100 * columns["fiscal_expenditure"] / columns["gdp_nominal"],
        "fdi": 100 * columns["foreign_investment"] / columns["gdp_nominal"],
        "science": 100 * columns["science_expenditure"] / columns["fiscal_expenditure"],
    }
    for name, values in ratios.items():
        np.testing.assert_allclose(values, columns[name], rtol=1e-12, err_msg=name)
    area = columns["population"] / columns["pop"]
    steady = (np.abs(area / area[:, :1] - 1) < 1e-9).all(axis=1)
    assert (~steady).sum() <= 1  # that of the best city is revised, as its GDP must not fall


def test_the_policy_cleans_the_air_of_the_neighbours_too():
    """The same seed without a policy: pilots' PM2.5 falls by it, and a little that of never treated cities near them."""
    with_policy, without = (
        draw_country(284, YEARS, seed=2, options=Options(effect=effect, spillover=0.0)) for effect in (0.042, 0.0)
    )
    treated = with_policy.policy.treat > 0
    near = (with_policy.policy.nearby > 0.5) & ~(treated.any(axis=1)[:, None])
    change = np.log(with_policy.columns["pm25"] / without.columns["pm25"])
    pinned = np.abs(change) > 0.2  # the benchmarks' pollution follows from all others'
    assert pinned.sum() < 20
    assert change[treated & ~pinned].mean() == pytest.approx(-1.5 * 0.042 * 0.45, rel=0.4)
    assert change[near & ~pinned].mean() < -0.002
    far = (with_policy.policy.path == 0).all(axis=0)
    np.testing.assert_allclose(change[:, far], 0.0, atol=1e-9)
