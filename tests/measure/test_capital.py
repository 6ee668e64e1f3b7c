"""Perpetual inventory: worked by hand, against the closed form, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from syneff.errors import DataError, SpecError
from syneff.measure.accounts import perpetual_inventory
from tests.provinces import NAN, country

few = settings(deadline=None, max_examples=30)


def stock(panel, **options):
    return perpetual_inventory(panel, name="k", investment="i", **options).columns["k"]


def test_the_paper_s_rule_worked_by_hand():
    # K_0 = 10 / 10 % = 100; K_1 = 22 / 1.10 + .904 x 100 = 110.4; K_2 = 13.2 / 1.32 + .904 x 110.4 = 109.8016.
    panel = country(i=[[10, 22, 13.2]], p=[[NAN, 110, 120]], units={"i": "10^8 yuan, current prices"})
    after = perpetual_inventory(panel, name="k", investment="i", price="p")
    np.testing.assert_allclose(after.columns["k"], [[100, 110.4, 109.8016]], rtol=1e-14)
    assert after.variables["k"].unit == "10^8 yuan, 2004 prices"
    # .904^2 x 100 = 81.7216 of 109.8016
    assert "depreciation 9.60%; of the stock of 2006 74% is still the first one's (median)" in after.notes[-1]


def test_the_steady_state_rule():
    # Growth of 10 % a year: 100 to 121 in two years; K_0 = 100 / (.1 + .05), and the stock then grows at 10 % for ever.
    growing = 100 * 1.1 ** np.arange(5)
    steady = stock(country(i=[growing]), initial="growth", growth_years=2, depreciation=0.05)
    np.testing.assert_allclose(steady[0, 0], 100 / 0.15, rtol=1e-12)
    assert stock(country(i=[growing]), initial="growth", growth=0.2, depreciation=0.05)[0, 0] == pytest.approx(400)


def test_the_first_stock_and_depreciation_by_city():
    panel = country(i=[[10, 10], [10, 10]], traits={"k0": np.array([50.0, 80.0]), "delta": np.array([0.1, 0.2])})
    np.testing.assert_allclose(stock(panel, initial="k0", depreciation="delta"), [[50, 55], [80, 74]], rtol=1e-14)


def test_a_city_that_begins_later_starts_there():
    panel = country(i=[[10, 10, 10], [NAN, 20, 20], [NAN, NAN, NAN]])
    after = perpetual_inventory(panel, name="k", investment="i", depreciation=0.1)
    np.testing.assert_allclose(after.columns["k"], [[100, 100, 100], [NAN, 200, 200], [NAN, NAN, NAN]])
    assert "investment begins after 2004 in Hefei, Wuhan" in after.notes[-1]


@few
@given(arrays.arrays(float, (2, 7), elements=st.floats(0.1, 1e5)), st.floats(0.0, 0.5), st.floats(1e-4, 1e4))
def test_the_stock_is_the_sum_of_what_is_left_and_has_the_unit_of_investment(investment, delta, factor):
    ours = stock(country(i=investment), depreciation=delta)
    years = np.arange(7)
    left = np.where(years[:, None] >= years, (1 - delta) ** np.maximum(years[:, None] - years, 0), 0.0)
    closed = np.concatenate([investment[:, :1] / 0.1, investment[:, 1:]], axis=1) @ left.T
    np.testing.assert_allclose(ours, closed, rtol=1e-10)
    np.testing.assert_allclose(stock(country(i=investment * factor), depreciation=delta), ours * factor, rtol=1e-10)


@few
@given(
    arrays.arrays(float, (2, 5), elements=st.floats(1.0, 1e4)),
    arrays.arrays(float, (2, 5), elements=st.floats(90, 120)),
)
def test_another_base_year_only_changes_the_unit(investment, price):
    panel = country(i=investment, p=price)
    first, last = (stock(panel, price="p", base=base) for base in (2004, 2008))
    np.testing.assert_allclose(last / first, np.broadcast_to(last[:, :1] / first[:, :1], (2, 5)), rtol=1e-10)
    np.testing.assert_allclose(last[:, 0] / first[:, 0], np.prod(price[:, 1:] / 100, axis=1), rtol=1e-10)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"i": [[1, -2, 3]]}, {}, "'i' is negative in Anqing 2005. Gross investment"),
        ({"i": [[1, NAN, 3]]}, {}, "'i' is missing in Anqing 2005, after the city's first year. Fill short gaps"),
        ({"i": [[1, 2, NAN]]}, {}, "'i' is missing in Anqing 2006"),
        ({"i": [[0, 2, 3]]}, {}, "the first stock is 0 or missing for Anqing"),
        ({"i": [[1, 2, 3]], "p": [[100, 0, 100]]}, {"price": "p"}, "index 'p' is not positive in Anqing 2005"),
        ({"i": [[1, 2, 3]]}, {"initial": "stock"}, "unknown rule or column for initial: 'stock'"),
        ({"i": [[100, 1, 1]]}, {"initial": "growth", "growth_years": 2}, "g \\+ delta is not positive for Anqing"),
        ({"i": [[100, 1, 0]]}, {"initial": "growth", "growth_years": 2}, "needs positive investment at both ends"),
        (
            {"i": [[1, 2, 3]], "d": [[0.1, 9.6, 0.1]]},
            {"depreciation": "d"},
            "'d' is no rate from 0 to 1 in Anqing 2005",
        ),
    ],
)
def test_it_names_what_is_wrong(columns, options, message):
    with pytest.raises(DataError, match=message):
        stock(country(**columns), **options)


def test_options_out_of_range():
    panel = country(i=[[1, 2, 3]])
    for options, message in (
        ({"depreciation": 9.6}, "depreciation=9.6 is no rate from 0 to 1. Write 9.6 % as 0.096"),
        ({"ratio": 10}, "ratio=10 must be above 0 and at most 1"),
        ({"gaps": "zero"}, "unknown value for perpetual_inventory.gaps: 'zero'"),
        ({"initial": "growth", "growth_years": 3}, "growth_years=3 must be from 1 to 2"),
    ):
        with pytest.raises(SpecError, match=message):
            stock(panel, **options)


def test_a_gap_may_end_the_stock():
    ours = stock(country(i=[[10, NAN, 10, 10]]), gaps="missing", depreciation=0.1)
    np.testing.assert_array_equal(ours, [[100, NAN, NAN, NAN]])


def test_a_row_out_of_the_sample_counts_in_the_stock_but_needs_no_value_at_the_end():
    panel = country(i=[[10, 10, NAN]], weights=[[0, 1, 0]])
    np.testing.assert_allclose(stock(panel, depreciation=0.1), [[100, 100, NAN]])
