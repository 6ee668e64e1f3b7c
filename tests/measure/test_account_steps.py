"""The step groups of the configuration, run: on a country written out by hand, and on the real panel."""

import numpy as np
import pandas as pd
import pytest
import yaml

from syneff import nodes
from syneff.command import conf_directory
from syneff.errors import DataError
from syneff.measure.accounts import deflate, growth, per_head, perpetual_inventory, share_out
from syneff.measure.agglomeration import coagglomeration, location_quotient
from syneff.measure.energy import spread_energy
from syneff.measure.lights import breaks
from syneff.panel import interactions, policies, sources, steps
from syneff.panel.panel import Panel

YEARS = tuple(range(2004, 2012))
MANUFACTURING = (
    "petroleum",
    "chemicals",
    "pharmaceuticals",
    "general_machinery",
    "special_machinery",
    "transport_equipment",
    "electrical_machinery",
    "electronics",
    "instruments",
)
SERVICES = ("information", "finance", "business_services", "research_services")


def run(panel: Panel, group: str) -> Panel:
    """Apply a group of steps as a run does."""
    for name, node in yaml.safe_load(
        (conf_directory() / "steps" / f"{group}.yaml").read_text(encoding="utf-8")
    ).items():
        nodes.check(node, name, free=1)
        panel = nodes.make(node, partial=True)(panel)
    return panel


@pytest.fixture(scope="module")
def yearbook() -> Panel:
    """Six cities of two provinces, with every raw column that the groups need."""
    rng = np.random.default_rng(0)
    shape = (6, len(YEARS))

    def draw(centre: float) -> np.ndarray:
        return centre * rng.lognormal(0.0, 0.2, shape)

    def repeat(centre: float) -> np.ndarray:
        return np.repeat(centre * rng.lognormal(0.0, 0.2, (2, len(YEARS))), 3, axis=0)

    columns = {
        **{name: draw(centre) for name, centre in (("employed", 60), ("self_employed", 40), ("investment", 300))},
        **{name: draw(centre) for name, centre in (("gas", 2e4), ("lpg", 3e4), ("electricity", 5e5), ("heat", 900))},
        **{name: draw(1.0) for name in SERVICES},
        "gdp_nominal": draw(900),
        "gdp": draw(800),
        "population": draw(400),
        "value_added": draw(700),
        "province_investment": repeat(900),
        "province_investment_price": repeat(100),
        "lights": draw(5e4),
        "science": draw(2.0),
        "investment_price": 100 + rng.normal(3, 1, shape),
        "gdp_price": 100 + rng.normal(3, 1, shape),
        **{name: repeat(5) for name in MANUFACTURING},
        "province_industry": repeat(200),
        "rd_lagged": np.repeat(np.linspace(2e3, 9e3, len(YEARS))[None, :], 6, axis=0),
    }
    sums = columns["lights"].reshape(2, 3, -1).sum(axis=1)
    columns["province_energy"] = np.repeat(500 + 0.02 * sums, 3, axis=0)
    early, late = columns["lights"].copy(), 3.0 * columns["lights"] ** 1.1
    early[:, 6:], late[:, :3] = np.nan, np.nan
    columns |= {"lights_early": early, "lights_late": late}
    traits = {
        "province": np.repeat(np.array(["Hubei", "Hebei"], dtype=object), 3),
        "grid": np.repeat(np.array(["Central", "North"], dtype=object), 3),
        **{name: np.array([1.0, 0, 1, 0, 0, 1]) for name in ("coastal", "northern", "eastern", "two_control_zone")},
        "lat": np.array([29.0, 30.0, 31.0, 37.0, 38.0, 39.0]),
        "port": np.array([1.0, 0, 0, 1, 0, 0]),
        "rail1933": np.array([1.0, 1, 0, 1, 0, 1]),
        "municipality": np.zeros(6),
        "sub_provincial": np.array([1.0, 0, 0, 0, 0, 0]),
        "prov_capital": np.array([1.0, 0, 0, 1, 0, 0]),
        **{
            f"{name}_year": np.array([2006.0, np.nan, np.nan, 2008, np.nan, np.nan])
            for name in ("low_carbon", "smart_city", "civilised_city", "carbon_market")
        },
    }
    return Panel(tuple("ABCDEF"), YEARS, columns, traits, np.ones(shape))


def test_the_accounts_make_what_the_technology_takes(yearbook):
    panel = run(yearbook, "accounts")
    for name in ("labour", "capital", "energy", "gdp", "co2"):
        assert (panel.columns[name] > 0).all(), name
        assert panel.variables[name].label_zh, name
    c = yearbook.columns
    np.testing.assert_allclose(panel.columns["labour"], c["employed"] + c["self_employed"])
    np.testing.assert_allclose(panel.columns["gdp"][:, 0], c["gdp_nominal"][:, 0])
    np.testing.assert_allclose(panel.columns["capital"][:, 0], c["investment"][:, 0] / 0.1)
    for province in (slice(0, 3), slice(3, 6)):
        np.testing.assert_allclose(panel.columns["energy"][province].sum(axis=0), c["province_energy"][province][0])
    assert len(panel.notes) == 5
    assert {"energy_fit", "energy_breaks", "co2_factors"} <= set(panel.details)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["carbon"], ["co2", "co2_heat"]),
        (["energy"], ["energy"]),
        (["industries", "agglomeration"], ["magg", "sagg", "coag"]),
        (["pilots"], ["low_carbon", "smart_city", "civilised_city", "carbon_market"]),
        (["trends", "trait_years"], ["coastal_trend", "two_control_zone_trend2", "coastal_2005"]),
        (["instruments"], ["port_rd", "rail_rd"]),
        (["province_capital"], ["capital"]),
        (["per_head"], ["pgdp", "lnpgdp"]),
    ],
)
def test_every_group_of_steps_runs(yearbook, groups, expected):
    panel = yearbook
    for group in groups:
        panel = run(panel, group)
    for name in expected:
        assert np.isfinite(panel.columns[name]).all(), name
        assert panel.columns[name].std() > 0, name


def test_groups_and_ranks_come_from_a_table_of_cities(yearbook):
    panel = run(yearbook, "groups")
    np.testing.assert_array_equal(panel.traits["northern"], [0, 0, 0, 1, 1, 1])
    assert panel.traits["rank"].tolist() == [
        "sub-provincial",
        "ordinary",
        "ordinary",
        "capital",
        "ordinary",
        "ordinary",
    ]


def test_the_accounts_do_not_depend_on_the_order_of_cities(yearbook):
    order = np.array([4, 1, 5, 0, 3, 2])
    mixed = Panel(
        tuple(np.array(yearbook.units)[order]),
        yearbook.periods,
        {name: values[order] for name, values in yearbook.columns.items()},
        {name: values[order] for name, values in yearbook.traits.items()},
        yearbook.weights[order],
    )
    one, other = run(yearbook, "accounts"), run(mixed, "accounts")
    for name in ("labour", "capital", "energy", "gdp", "co2"):
        np.testing.assert_allclose(other.columns[name], one.columns[name][order], rtol=1e-12)


@pytest.fixture(scope="module")
def china(shared) -> Panel:
    data = shared / "data"
    return sources.csv(data / "china_cities_2004_2020.csv", "code", "year", units_path=data / "cities.csv")


def test_the_real_lights_break_in_2013_as_their_description_says(china):
    found = breaks(china, "lights").set_index("period")
    assert found.loc[2013, "absolute"] == 165
    assert found["absolute"].idxmax() == 2013


def test_real_lights_spread_what_provinces_have(china):
    """No provincial energy is in the data: the provinces' sums of CO2 (Tibet's cities have lights too) stand in for it."""
    codes = pd.factorize(china.traits["province"])[0]
    sums = np.zeros((codes.max() + 1, 17))
    np.add.at(sums, codes, np.nan_to_num(china.columns["co2"]) / 1e4)
    panel = china.assign({"province_energy": sums[codes]})
    after = spread_energy(panel, by_year=True)
    spread = np.zeros_like(sums)
    np.add.at(spread, codes, after.columns["energy"])
    np.testing.assert_allclose(spread, sums, rtol=1e-10)
    assert after.details["energy_fit"]["r2"].between(0.5, 1.0).all()
    assert "lights has breaks of more than 0.5 log points" in after.notes[-1]
    assert "2013" in after.notes[-1]


def test_real_accounts(china):
    nominal = per_head(china, name="head", column="gdp_nominal", population="population", scale=1e4)
    # 10^8 yuan by 10^4 persons, times 10^4: yuan a head.
    np.testing.assert_allclose(np.nanmedian(nominal.columns["head"][:, -1]), 53_000, rtol=0.2)
    grown = growth(steps.where(china, condition="gdp > 0"), columns=["gdp"], kind="percent")
    assert 5 < np.nanmedian(grown.columns["gdp_growth"]) < 15
    shared_out = share_out(china.assign({"total": np.ones(china.shape)}), name="part", total="total", by="population")
    np.testing.assert_allclose(shared_out.columns["part"].sum(axis=0), len(set(china.traits["province"])), rtol=1e-10)


def test_the_real_gdp_is_what_its_own_deflator_gives(china):
    # The file has both: gdp at 2000 prices, gdp_nominal, and the deflator between them, to six digits.
    deflator, real = china.columns["deflator"], china.columns["gdp"]
    chained = np.full(china.shape, np.nan)
    chained[:, 1:] = 100 * deflator[:, 1:] / deflator[:, :-1]
    panel = china.assign({"chained": chained})
    for options in ({"index": "deflator", "kind": "fixed"}, {"index": "chained"}):
        after = deflate(panel, name="real", column="gdp_nominal", base=2010, **options).columns["real"]
        np.testing.assert_allclose(after, real * deflator[:, [6]], rtol=3e-6)


def test_real_stocks_give_their_investment_and_are_given_back_by_it(china):
    stock = china.columns["capital"]
    investment = np.concatenate([0.1 * stock[:, :1], stock[:, 1:] - 0.904 * stock[:, :-1]], axis=1)
    usable = (investment > 0).all(axis=1)
    assert usable.sum() > 200
    panel = china.assign({"investment": np.where(usable[:, None], investment, np.nan)})
    again = perpetual_inventory(panel, name="again", investment="investment").columns["again"]
    np.testing.assert_allclose(again[usable], stock[usable], rtol=1e-9)
    gap = china.assign({"investment": investment})
    with pytest.raises(DataError, match="'investment' is negative in"):
        perpetual_inventory(gap, name="again", investment="investment")


def test_real_quotients_and_groups(china):
    with_output = china.assign(
        {
            "secondary": china.columns["secondary_share"] * china.columns["gdp_nominal"],
            "tertiary": china.columns["tertiary_share"] * china.columns["gdp_nominal"],
        }
    )
    panel = with_output
    for name in ("secondary", "tertiary"):
        panel = location_quotient(panel, name=f"lq_{name}", employment=name, total="gdp_nominal")
    panel = coagglomeration(panel, name="coag", first="lq_secondary", second="lq_tertiary")
    known = ~np.isnan(panel.columns["coag"])
    assert known.mean() > 0.95
    weights = np.where(known, china.columns["gdp_nominal"], 0.0)
    mean = np.nansum(weights * np.nan_to_num(panel.columns["lq_tertiary"]), axis=0) / weights.sum(axis=0)
    np.testing.assert_allclose(mean, 1.0, rtol=1e-2)
    ranked = policies.rank(china)
    labels = list(ranked.traits["rank"])
    assert (labels.count("municipality"), labels.count("sub-provincial")) == (4, 15)
    treated = policies.group_dummy(ranked, name="south", condition="lat < 33")
    trends = interactions.trait_trend(treated, traits=["south"])
    assert set(np.unique(trends.columns["south_trend2"])) == {0.0, *(float(t**2) for t in range(1, 18))}
