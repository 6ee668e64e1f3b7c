"""The coupling coordination index by hand, its bounds, and the step's columns."""

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.measure.coupling import coupling, coupling_coordination
from syneff.panel.panel import Panel

NAN = np.nan


def panel(first: list[list[float]], second: list[list[float]], weights: list[list[float]] | None = None) -> Panel:
    columns = {"preff": np.array(first), "creff": np.array(second)}
    shape = columns["preff"].shape
    return Panel(
        ("Anqing", "Wuhan"), (2004, 2005), columns, {}, np.ones(shape) if weights is None else np.array(weights)
    )


def test_the_index_by_hand() -> None:
    # Z_1 = 0, 1/4, 1, 1/2 and Z_2 = 0, 1, 1/4, 1/2. Second value: C = 2 sqrt(1/4) / (5/4) = 0.8, T = 5/8, D = sqrt(0.5).
    index = coupling_coordination(np.array([1.0, 2.0, 5.0, 3.0]), np.array([0.2, 1.0, 0.4, 0.6]))
    np.testing.assert_allclose(index, [0.0, 0.5**0.5, 0.5**0.5, 0.5**0.5], rtol=1e-14)


def test_alpha_weighs_the_first_measure() -> None:
    # As above, with T = 0.8/4 + 0.2 = 0.4 at the second value, and 0.8 + 0.2/4 = 0.85 at the third; C is 0.8 at both.
    index = coupling_coordination(np.array([1.0, 2.0, 5.0, 3.0]), np.array([0.2, 1.0, 0.4, 0.6]), alpha=0.8)
    np.testing.assert_allclose(index, [0.0, 0.32**0.5, 0.68**0.5, 0.5**0.5], rtol=1e-14)


def test_equal_weights_give_a_fourth_root() -> None:
    first, second = np.random.default_rng(0).lognormal(size=(2, 500))
    z_1, z_2 = ((each - each.min()) / (each.max() - each.min()) for each in (first, second))
    np.testing.assert_allclose(coupling_coordination(first, second), (z_1 * z_2) ** 0.25, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_bounds_and_symmetry(alpha: float) -> None:
    first, second = np.random.default_rng(1).standard_cauchy(size=(2, 300))
    index = coupling_coordination(first, second, alpha)
    assert index.min() >= 0.0
    assert index.max() <= 1.0
    np.testing.assert_allclose(coupling_coordination(second, first, 1 - alpha), index, rtol=1e-12)
    np.testing.assert_allclose(
        coupling_coordination(7 * first + 3, 0.1 * second - 5, alpha), index, rtol=1e-6, atol=1e-6
    )


def test_both_at_their_best_is_one_and_at_their_worst_zero() -> None:
    both = np.array([4.0, 1.0, 2.0])
    np.testing.assert_array_equal(coupling_coordination(both, both)[:2], [1.0, 0.0])


def test_missing_values_do_not_count() -> None:
    known = coupling_coordination(np.array([1.0, 2.0, 5.0]), np.array([0.2, 1.0, 0.4]))
    index = coupling_coordination(np.array([1.0, 2.0, 5.0, NAN]), np.array([0.2, 1.0, 0.4, 0.7]))
    np.testing.assert_array_equal(index, [*known, NAN])


def test_a_value_without_its_partner_still_counts_in_the_scale() -> None:
    # The first measure is known up to 9, where the second is missing: Z_1 = 0, 1/8, 1/2.
    index = coupling_coordination(np.array([1.0, 2.0, 5.0, 9.0]), np.array([0.2, 1.0, 0.4, NAN]))
    np.testing.assert_allclose(index, [0.0, 0.125**0.25, 0.125**0.25, NAN], rtol=1e-14)


def test_the_step_adds_three_columns() -> None:
    # Without the highest of preff, 5, Z_1 = 0, 1/2, 1 and Z_2 = 0, 1, 1/2 in the other three rows: C = sqrt(8)/3, T = 0.6 and
    # 0.9, mean D = (0 + 0.7521 + 0.9212)/3 = 0.5578; with it, these rows have (0 + sqrt(0.32) + sqrt(0.5))/3 = 0.4243.
    # Without the highest of creff, 1, it is the same with T = 0.9 and 0.6, instead of (0 + sqrt(0.68) + sqrt(0.5))/3 = 0.5106.
    before = panel([[1.0, 2.0], [5.0, 3.0]], [[0.2, 1.0], [0.4, 0.6]])
    after = coupling(before, alpha=0.8)
    np.testing.assert_allclose(after.columns["syeff_c"], [[0.0, 0.8], [0.8, 1.0]], rtol=1e-14)
    np.testing.assert_allclose(after.columns["syeff_t"], [[0.0, 0.4], [0.85, 0.5]], rtol=1e-14)
    np.testing.assert_allclose(after.columns["syeff"] ** 2, [[0.0, 0.32], [0.68, 0.5]], rtol=1e-14)
    assert after.notes == (
        "syeff: coupling coordination of 4 rows, alpha = 0.8; "
        "standardised on preff from 1.0000 to 5.0000, creff from 0.2000 to 1.0000; "
        "the top 1 of 4 values of preff take 50% of its range, and without the highest the mean index would be 0.5578, "
        "not 0.4243; "
        "the top 1 of 4 values of creff take 50% of its range, and without the highest the mean index would be 0.5578, "
        "not 0.5106",
    )
    assert after.label("syeff", "zh") == "减污降碳协同效率"
    assert "syeff" not in before.columns


def test_rows_of_weight_zero_do_not_set_the_scale() -> None:
    full = panel([[1.0, 2.0], [5.0, 999.0]], [[0.2, 1.0], [0.4, -7.0]], [[1, 2], [0.5, 0]])
    after = coupling(full, name="d")
    without = coupling(panel([[1.0, 2.0], [5.0, NAN]], [[0.2, 1.0], [0.4, NAN]]), name="d")
    np.testing.assert_array_equal(after.columns["d"], without.columns["d"])
    assert np.isnan(after.columns["d"][1, 1])
    assert "of 3 rows" in after.notes[0]


def test_bad_input_is_named() -> None:
    values = np.array([1.0, 2.0])
    with pytest.raises(DataError, match="the second measure has only the value 3 in the sample"):
        coupling_coordination(values, np.array([3.0, 3.0]))
    with pytest.raises(DataError, match="the first measure has no value"):
        coupling_coordination(np.array([NAN, NAN]), values)
    with pytest.raises(DataError, match=r"shapes \(2,\) and \(3,\)"):
        coupling_coordination(values, np.arange(3.0))
    with pytest.raises(SpecError, match=r"alpha=1.5 is no weight. Allowed: from 0 to 1"):
        coupling_coordination(values, values, 1.5)
    with pytest.raises(DataError, match=r"unknown column 'prefff'. Did you mean 'preff'"):
        coupling(panel([[1.0, 2.0], [5.0, 3.0]], [[0.2, 1.0], [0.4, 0.6]]), first="prefff")
