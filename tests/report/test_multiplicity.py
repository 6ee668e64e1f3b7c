"""Adjusted p-values of exhibits, from results whose numbers were chosen."""

import numpy as np
import pandas as pd
import pytest

from syneff.report.multiplicity import ADJUSTED, adjusted_pvalues, multiplicity
from syneff.report.tidy import Cell, collect
from tests.report import results

PVALUES = {"1": 0.011, "2": 0.04, "3": 0.002, "4": 0.04, "5": 0.7}


def cells(*more: tuple[pd.DataFrame, dict]) -> tuple[Cell, ...]:
    columns = [
        (results.tidy("table03", column, [results.row("treat", 0.05, 0.01, p)]), results.manifest("table03", column))
        for column, p in PVALUES.items()
    ]
    groups = collect(*results.stored(*columns, *more))
    return tuple(cell for group in groups.values() for cell in group)


def test_adjustments_by_hand() -> None:
    """Sorted .002, .011, .04, .04, .7, five tests: Holm multiplies by 5, 4, 3, ..; Hochberg by 5/1, 5/2, .. from above."""
    numbers = adjusted_pvalues(cells())
    hochberg = np.asarray([0.0275, 0.05, 0.01, 0.05, 0.7])
    np.testing.assert_allclose(numbers["holm"], [0.044, 0.12, 0.01, 0.12, 0.7], rtol=1e-12)
    np.testing.assert_allclose(numbers["benjamini_hochberg"], hochberg, rtol=1e-12)
    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5
    np.testing.assert_allclose(numbers["benjamini_yekutieli"], np.minimum(hochberg * harmonic, 1.0), rtol=1e-12)
    assert (numbers["tests"] == 5).all()


def test_exhibits_are_families_of_their_own() -> None:
    """One with a single test is left out, as are cells that do not estimate the policy; a cell claimed twice counts once."""
    other = [
        (results.tidy("table05", column, [results.row("treat", 0.05, 0.01, p)]), results.manifest("table05", column))
        for column, p in (("1", 0.03), ("2", 0.5))
    ]
    found = cells(*other, results.table02(), results.figure01(), results.figure02())
    table = multiplicity((*found, *found), title="Many tests", paper=pd.DataFrame())
    assert [[line.label for line in group] for group in table.groups] == [
        [f"table03 ({column})" for column in PVALUES],
        ["table05 (1)", "table05 (2)"],
    ]
    assert table.header[-3:] == tuple(ADJUSTED.values())
    holm = table.numbers.set_index("cell")["holm"]
    assert holm["table05_1"] == pytest.approx(0.06)
    assert table.groups[1][0].cells == ("Synergy", "0.050**", "(5.000)", "0.030", "0.060", "0.060", "0.090")


def test_columns_of_one_number_are_called_by_their_cells() -> None:
    same = [
        (
            results.tidy("table05", "1", [results.row("treat", 0.05, 0.01, 0.03)]),
            results.manifest("table05", "1") | {"name": name},
        )
        for name in ("first", "second")
    ]
    table = multiplicity(cells(*same), title="Many tests", paper=pd.DataFrame())
    assert [line.label for line in table.groups[1]] == ["first", "second"]


def test_without_several_tests_there_is_no_table() -> None:
    single = collect(*results.stored(results.table02(), results.figure02()))
    found = tuple(cell for group in single.values() for cell in group)
    assert multiplicity(found, title="Many tests", paper=pd.DataFrame()).lines == ()


def test_a_collinear_policy_is_no_test() -> None:
    gone = (results.tidy("table03", "6", [results.omitted("treat")]), results.manifest("table03", "6"))
    assert len(adjusted_pvalues(cells(gone))) == 5
