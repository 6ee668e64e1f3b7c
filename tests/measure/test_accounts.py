"""Deflating, sharing out, per head and growth: cases worked by hand, sums that must hold, units that must not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from syneff.errors import DataError, SpecError
from syneff.measure import accounts
from syneff.measure.prices import chain
from tests.provinces import NAN, country

few = settings(deadline=None, max_examples=30)
positive = st.floats(1e-3, 1e6)


def cells(shape, elements=positive):
    return arrays.arrays(float, shape, elements=elements)


def test_a_chained_index_deflates_to_the_first_year():
    # 110 / 1.10 = 100; 132 / (1.10 x 1.20) = 100.
    panel = country(x=[[100, 110, 132]], p=[[NAN, 110, 120]], units={"x": "10^8 yuan, current prices"})
    after = accounts.deflate(panel, name="real", column="x", index="p")
    np.testing.assert_allclose(after.columns["real"], [[100, 100, 100]], rtol=1e-15)
    assert after.variables["real"].unit == "10^8 yuan, 2004 prices"
    assert (
        "real: x at 2004 prices by p (preceding year = 100); prices rise by 32.0% from 2004 to 2006" in after.notes[-1]
    )


def test_a_base_year_in_the_middle_is_chained_both_ways():
    panel = country(x=[[100, 110, 132]], p=[[105, 110, 120]])
    after = accounts.deflate(panel, name="real", column="x", index="p", base=2005)
    np.testing.assert_allclose(after.columns["real"], [[110, 110, 110]], rtol=1e-15)


def test_a_fixed_base_index_and_growth_rates_say_the_same_as_the_chain():
    rows = {"x": [[100, 110, 132]], "chained": [[NAN, 110, 120]], "fixed": [[250, 275, 330]], "rates": [[NAN, 10, 20]]}
    panel = country(**rows)
    options = [{"index": "chained"}, {"index": "fixed", "kind": "fixed"}, {"growth": "rates"}]
    for option in options:
        after = accounts.deflate(panel, name="real", column="x", base=2006, **option)
        np.testing.assert_allclose(after.columns["real"], [[132, 132, 132]], rtol=1e-14)


def test_an_index_of_volume_carries_the_base_year_forward():
    # Real growth of 8 % and 5 %: 200, 216, 226.8, whatever nominal values do.
    panel = country(gdp=[[200, 250, 300]], growth=[[NAN, 8, 5]])
    after = accounts.deflate(panel, name="real", column="gdp", growth="growth", measures="volume")
    np.testing.assert_allclose(after.columns["real"], [[200, 216, 226.8]], rtol=1e-15)


@few
@given(cells((3, 6), st.floats(0.5, 2.0)), st.integers(0, 5))
def test_the_chain_undoes_itself(relatives, base):
    level = chain(relatives, base)
    np.testing.assert_allclose(level[:, 1:] / level[:, :-1], relatives[:, 1:], rtol=1e-12)
    np.testing.assert_array_equal(level[:, base], 1.0)


@few
@given(cells((2, 4)), cells((2, 4), st.floats(80.0, 130.0)), st.floats(1e-4, 1e4))
def test_deflating_does_not_care_about_units(x, p, factor):
    def real(values):
        return accounts.deflate(country(x=values, p=p), name="r", column="x", index="p", base=2005).columns["r"]

    np.testing.assert_allclose(real(x * factor), real(x) * factor, rtol=1e-12)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (
            {"p": [[100, 0, 101]]},
            {"index": "p"},
            r"index 'p' is not positive in Anqing 2005\. An index must be positive",
        ),
        (
            {"p": [[100, NAN, 101]]},
            {"index": "p"},
            r"'p' is missing in Anqing 2005, and Anqing 2005, Anqing 2006 cannot",
        ),
        (
            {"p": [[1.0, 1.03, 1.01]]},
            {"index": "p"},
            "'p' has the median 1.02, so it is not an index with preceding year",
        ),
        ({"p": [[1.0, -100, 1.0]]}, {"growth": "p"}, "growth rates 'p' are -100 % or less in Anqing 2005"),
        ({"p": [[100, 103, 101]]}, {"growth": "p"}, "'p' has the median 102, so it is not growth rates in per cent"),
        ({"p": [[NAN, 103, 101]]}, {"index": "p", "kind": "fixed"}, "'p' is missing in Anqing 2004"),
        ({"p": [[100, 103, 101]]}, {"index": "price"}, "unknown column 'price'"),
    ],
)
def test_deflate_names_what_is_wrong(columns, options, message):
    with pytest.raises(DataError, match=message):
        accounts.deflate(country(x=[[1, 2, 3]], **columns), name="real", column="x", **options)


def test_deflate_refuses_a_base_year_that_is_not_there_and_two_indices():
    panel = country(x=[[1, 2]], p=[[100, 101]])
    with pytest.raises(SpecError, match=r"unknown year for real\.base: 2000"):
        accounts.deflate(panel, name="real", column="x", index="p", base=2000)
    with pytest.raises(SpecError, match=r"either index= .* or growth="):
        accounts.deflate(panel, name="real", column="x", index="p", growth="p")


def test_a_thousand_too_much_is_said():
    panel = country(x=[[1, 1000, 1.1, 1.2], [5, 6, 7, 8]], p=[[100] * 4, [100] * 4])
    note = accounts.deflate(panel, name="real", column="x", index="p").notes[-1]
    assert "WARNING: column 'x' seems to mix units by a factor of a thousand: Anqing 2005 are over 300 times" in note
    assert (
        "WARNING"
        not in accounts.deflate(country(x=[[1, 9, 99]], p=[[100] * 3]), name="r", column="x", index="p").notes[-1]
    )


def test_a_province_is_shared_out_by_the_key():
    # Anhui has 90, and keys of 1 and 2; Hubei has 50 and one city.
    panel = country(total=[[90, 60], [90, 60], [50, NAN]], key=[[1, 0], [2, 3], [7, 7]], units={"total": "10^8 yuan"})
    after = accounts.share_out(panel, name="stock", total="total", by="key")
    np.testing.assert_array_equal(after.columns["stock"], [[30, 0], [60, 60], [50, NAN]])
    assert after.variables["stock"].unit == "10^8 yuan"
    assert "the total is missing in Wuhan 2005" in after.notes[-1]


@few
@given(cells((3, 4)), cells((3, 4)), st.floats(1e-6, 1e6))
def test_shares_add_up_and_do_not_care_about_the_key_s_unit(total, key, factor):
    total[1] = total[0]
    shared = [
        accounts.share_out(country(t=total, k=key * scale), name="s", total="t", by="k").columns["s"]
        for scale in (1.0, factor)
    ]
    np.testing.assert_allclose(shared[0][0] + shared[0][1], total[0], rtol=1e-12)
    np.testing.assert_allclose(shared[0][2], total[2], rtol=1e-12)
    np.testing.assert_allclose(shared[1], shared[0], rtol=1e-9)


def test_cities_out_of_the_sample_keep_their_share():
    panel = country(total=[[90], [90], [50]], key=[[1], [2], [7]], weights=[[1], [0], [1]])
    np.testing.assert_array_equal(
        accounts.share_out(panel, name="s", total="total", by="key").columns["s"], [[30], [60], [50]]
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"total": [[90], [80], [5]], "key": [[1], [2], [3]]}, "'total' must have one value a province .* Anhui 2004"),
        ({"total": [[90], [90], [5]], "key": [[1], [-2], [3]]}, "the key 'key' is negative in Hefei 2004"),
        ({"total": [[90], [90], [5]], "key": [[1], [NAN], [3]]}, "the key 'key' is missing in Hefei 2004"),
        ({"total": [[90], [90], [5]], "key": [[0], [0], [3]]}, "the key 'key' is 0 in every city of Anhui 2004"),
    ],
)
def test_share_out_names_what_is_wrong(columns, message):
    with pytest.raises(DataError, match=message):
        accounts.share_out(country(**columns), name="s", total="total", by="key")


def test_energy_that_does_not_add_up_is_named():
    panel = country(e=[[30, 30], [60, 61], [50, NAN]], total=[[90, 90], [90, 90], [50, 40]])
    message = (
        r"'e' of cities does not add up to 'total' in Anhui 2005: farthest in Anhui 2005, by \+1\.1%; at most 1\.0%"
    )
    with pytest.raises(DataError, match=message):
        accounts.adds_up(panel, column="e", total="total")
    note = accounts.adds_up(panel, column="e", total="total", tolerance=0.02).notes[-1]
    assert note == "e of cities adds up to total of their province in 3 groups and years, within 1.11%."
    thousand = country(e=[[30_000], [60_000], [50_000]], total=[[90], [90], [50]])
    with pytest.raises(DataError, match=r"Anhui 2004, Hubei 2004: farthest in .*, by \+99900\.0%"):
        accounts.adds_up(thousand, column="e", total="total")


def test_a_city_without_a_province_is_named():
    panel = country(
        total=[[1], [1], [1]], key=[[1], [1], [1]], traits={"land": np.array(["a", None, "b"], dtype=object)}
    )
    with pytest.raises(DataError, match="trait 'land' is missing for Hefei"):
        accounts.share_out(panel, name="s", total="total", by="key", group="land")
    with pytest.raises(DataError, match=r"unknown trait for group: 'provence'\. Did you mean 'province'"):
        accounts.share_out(panel, name="s", total="total", by="key", group="provence")


def test_labour_is_a_sum_in_one_unit():
    panel = country(a=[[1, 2]], b=[[10, NAN]], units={"a": "10^4 persons", "b": "10^4 persons"})
    after = accounts.add_up(panel, name="labour", columns=["a", "b"], label="Labour")
    np.testing.assert_array_equal(after.columns["labour"], [[11, NAN]])
    assert (after.variables["labour"].label, after.variables["labour"].unit) == ("Labour", "10^4 persons")
    other = country(a=[[1]], b=[[10]], units={"a": "10^4 persons", "b": "persons"})
    with pytest.raises(DataError, match=r"different units: 10\^4 persons, persons"):
        accounts.add_up(other, name="labour", columns=["a", "b"])


def test_per_head_has_the_name_and_the_unit_of_what_it_is():
    panel = country(gdp=[[30, 40]], pop=[[10, 20]], units={"gdp": "10^8 yuan", "pop": "10^4 persons"})
    after = accounts.per_head(panel, name="pgdp", column="gdp", population="pop")
    np.testing.assert_array_equal(after.columns["pgdp"], [[3, 2]])
    assert after.variables["pgdp"].unit == "10^8 yuan / 10^4 persons"
    assert after.variables["pgdp"].label == "gdp per head"
    with pytest.raises(DataError, match="'pop' is not positive in Anqing 2005"):
        accounts.per_head(country(gdp=[[1, 2]], pop=[[1, 0]]), name="pgdp", column="gdp", population="pop")


def test_growth_in_logs_and_in_per_cent():
    panel = country(x=[[100, 110, 99]])
    percent = accounts.growth(panel, columns=["x"], kind="percent").columns["x_growth"]
    np.testing.assert_allclose(percent, [[NAN, 10, -10]], rtol=1e-12)
    logs = accounts.growth(panel, columns=["x"]).columns["x_growth"]
    np.testing.assert_allclose(logs, 100 * np.log1p(percent / 100), rtol=1e-12)
    with pytest.raises(DataError, match="growth: 'x' is not positive in Anqing 2005"):
        accounts.growth(country(x=[[1, 0]]), columns=["x"])
