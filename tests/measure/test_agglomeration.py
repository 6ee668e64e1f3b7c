"""Location quotients and co-agglomeration: by hand, what the weighted mean of quotients must be, units, and bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from syneff.errors import DataError, SpecError
from syneff.measure.agglomeration import coagglomeration, coagglomeration_index, location_quotient, scaled_quotient
from tests.provinces import NAN, country

few = settings(deadline=None, max_examples=30)
counts = arrays.arrays(float, (3, 3), elements=st.floats(1.0, 1e5))


def quotient(panel, **options):
    return location_quotient(panel, **{"name": "lq", "employment": "m", "total": "all"} | options)


def test_a_quotient_by_hand():
    # Shares .2, .1 and .3 of 100, 100 and 200; the nation's (20 + 10 + 60) / 400 = .225.
    after = quotient(country(m=[[20], [10], [60]], all=[[100], [100], [200]]))
    np.testing.assert_allclose(after.columns["lq"], np.array([[0.2], [0.1], [0.3]]) / 0.225)


def test_industries_of_a_group_are_added_up():
    panel = country(a=[[15], [4], [60]], b=[[5], [6], [0]], all=[[100], [100], [200]])
    after = quotient(panel, employment=["a", "b"])
    np.testing.assert_allclose(after.columns["lq"], np.array([[0.2], [0.1], [0.3]]) / 0.225)


@few
@given(counts, counts, st.floats(1e-3, 1e3))
def test_the_mean_quotient_weighted_by_employment_is_one_and_units_cancel(part, rest, factor):
    whole = part + rest
    values = quotient(country(m=part, all=whole)).columns["lq"]
    np.testing.assert_allclose((values * whole).sum(axis=0) / whole.sum(axis=0), 1.0, rtol=1e-10)
    scaled = quotient(country(m=part * factor, all=whole * factor)).columns["lq"]
    np.testing.assert_allclose(scaled, values, rtol=1e-9)


def test_national_totals_may_be_given():
    panel = country(m=[[20]], all=[[100]], nation_m=[[5000]], nation=[[50000]])
    after = quotient(panel, national="nation_m", national_total="nation")
    np.testing.assert_allclose(after.columns["lq"], [[2.0]])
    with pytest.raises(SpecError, match="give both national= and national_total="):
        quotient(panel, national="nation_m")
    wrong = country(m=[[20], [20]], all=[[100], [100]], nation_m=[[5], [6]], nation=[[9], [9]])
    with pytest.raises(DataError, match="'nation_m' must be one national series, but has values from 5 to 6 in 2004"):
        quotient(wrong, national="nation_m", national_total="nation")


def test_a_province_that_its_cities_repeat_counts_once():
    # Anhui 30 of 100, Hubei 10 of 100: the nation has .2.
    panel = country(m=[[30], [30], [10]], all=[[100], [100], [100]])
    np.testing.assert_allclose(quotient(panel, group="province").columns["lq"], [[1.5], [1.5], [0.5]])
    apart = country(m=[[30], [31], [10]], all=[[100], [100], [100]])
    with pytest.raises(DataError, match="column 'm' must have one value a province and year"):
        quotient(apart, group="province")


def test_rows_out_of_the_sample_or_incomplete_do_not_count_in_the_nation():
    panel = country(m=[[20], [NAN], [60]], all=[[100], [100], [200]], weights=[[1], [1], [0]])
    after = quotient(panel)
    np.testing.assert_allclose(after.columns["lq"], [[1.0], [NAN], [1.5]])
    assert "missing in 1 city-years (Hefei 2004)" in after.notes[-1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"m": [[-1]], "all": [[9]]}, "'m' is negative in Anqing 2004"),
        ({"m": [[1]], "all": [[0]]}, "total employment 'all' is not positive in Anqing 2004"),
        ({"m": [[0]], "all": [[9]]}, "the nation's employment in m is 0 or missing in 2004"),
    ],
)
def test_it_names_what_is_wrong(columns, message):
    with pytest.raises(DataError, match=message):
        quotient(country(**columns))


def test_an_industry_larger_than_all_is_warned_of():
    assert (
        "the industries employ more than all together in Anqing 2004" in quotient(country(m=[[9]], all=[[3]])).notes[-1]
    )


def test_a_provincial_quotient_is_scaled_by_the_city_s_share():
    panel = country(lq=[[1.5], [1.5], [0.5]], share=[[0.01], [0.03], [0.02]])
    plain = scaled_quotient(panel, name="x", quotient="lq", share="share").columns["x"]
    np.testing.assert_allclose(plain, [[0.015], [0.045], [0.01]])
    relative = scaled_quotient(panel, name="x", quotient="lq", share="share", group="province").columns["x"]
    np.testing.assert_allclose(relative, [[0.75], [2.25], [0.5]])
    assert relative[:2].mean() == pytest.approx(1.5)
    with pytest.raises(DataError, match="'share' is negative in Hefei 2004"):
        scaled_quotient(country(lq=[[1], [1]], share=[[1], [-1]]), name="x", quotient="lq", share="share")
    with pytest.raises(DataError, match="'share' is 0 in every city of Anhui 2004"):
        scaled_quotient(country(lq=[[1]], share=[[0]]), name="x", quotient="lq", share="share", group="province")


def test_co_agglomeration_by_hand():
    # 1 - |2 - 1| / 3 + 3 = 11/3; equal quotients of .5: 1 + 1 = 2; both 0: undefined.
    after = coagglomeration(country(m=[[2.0, 0.5, 0.0]], s=[[1.0, 0.5, 0.0]]), name="coag", first="m", second="s")
    np.testing.assert_allclose(after.columns["coag"], [[11 / 3, 2.0, NAN]])
    assert "missing where both are 0: Anqing 2006" in after.notes[-1]
    with pytest.raises(DataError, match="quotient 's' is negative in Anqing 2004"):
        coagglomeration(country(m=[[1]], s=[[-1]]), name="coag", first="m", second="s")


@few
@given(counts, counts)
def test_co_agglomeration_is_symmetric_and_largest_for_equal_quotients(first, second):
    index = coagglomeration_index(first, second)
    np.testing.assert_allclose(index, coagglomeration_index(second, first), rtol=1e-12)
    mean = (first + second) / 2
    assert (coagglomeration_index(mean, mean) >= index - 1e-9 * np.abs(index)).all()
