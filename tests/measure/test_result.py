"""Targets, outliers and remarks: what a reader of the scores should know."""

import numpy as np
import pytest

from syneff.errors import SpecError
from syneff.measure.efficiency import slacks_based
from syneff.measure.technology import Technology
from tests.frontiers import EFFICIENT, draw


@pytest.mark.parametrize("bads", ["outputs", "inputs"])
def test_targets_are_on_the_frontier(bads: str) -> None:
    data = draw(np.random.default_rng(0))
    result = slacks_based(Technology(**data), bads=bads, solver="simplex")
    np.testing.assert_allclose(result.targets.bad, data["bad"] - result.slack_bad, rtol=1e-15)
    under = result.score < EFFICIENT
    moved = {
        name: np.where(under[:, None], getattr(result.targets, name), data[name]) for name in ("inputs", "good", "bad")
    }
    # Beside the efficient units, a projected unit has nothing left to improve.
    again = slacks_based(Technology(**moved), super_efficiency=False, bads=bads, solver="simplex")
    assert 0 < under.sum() < 40
    np.testing.assert_allclose(again.score, 1.0, atol=1e-9)


def dominating(factors: list[float], bad: int = 1) -> dict[str, np.ndarray]:
    """Return equal units, of which the first ones use and emit a part of what the others do."""
    data = {"inputs": np.ones((9, 2)), "good": np.ones((9, 1)), "bad": np.ones((9, bad))}
    for row, factor in enumerate(factors):
        data["inputs"][row] *= factor
        data["bad"][row] *= factor
    return data


def test_outliers_are_counted() -> None:
    # With the others k times as large, the score is 2 / (1 + 1/k): 1.6 at k = 4, and the cap but for 1e-9 at k = 1e9.
    result = slacks_based(Technology(**dominating([0.25])), solver="simplex")
    np.testing.assert_allclose(result.score[0], 1.6, rtol=1e-13)
    assert (result.outliers.high, result.outliers.capped, result.outliers.cap) == (1, 0, 2.0)
    assert result.outliers.share == 1 / 9
    assert "1 of 9 scores (11.1%) are above 1.5" in result.summary()
    assert "cap" not in result.summary()
    extreme = slacks_based(Technology(**dominating([1e-9])), solver="simplex")
    assert "1 of 9 scores (11.1%) are above 1.5; 1 of 9 scores are at the cap of 2" in extreme.summary()


def test_nothing_is_said_of_ordinary_scores() -> None:
    summary = slacks_based(Technology(**dominating([0.8])), super_efficiency=False, solver="simplex").summary()
    assert "above" not in summary
    assert "cap" not in summary


# The cap is 1 over the weight of the bad outputs; without lambda = 0 in the technology, or without bad outputs in the
# denominator, there is none.
CAPS = [
    ({}, {}, 2.0),
    ({"returns": "nirs"}, {}, 2.0),
    ({"returns": "vrs"}, {}, np.inf),
    ({"returns": "ndrs"}, {}, np.inf),
    ({}, {"bads": "inputs"}, np.inf),
    ({}, {"orientation": "output"}, 2.0),
    ({}, {"weights": {"good": [1.0], "bad": [3.0]}}, 4 / 3),
]


@pytest.mark.parametrize(("technology", "options", "cap"), CAPS)
def test_the_cap(technology: dict, options: dict, cap: float) -> None:
    result = slacks_based(Technology(**dominating([1e-4]), **technology), solver="simplex", **options)
    assert result.outliers.cap == pytest.approx(cap, rel=1e-15)
    if np.isfinite(cap):
        np.testing.assert_allclose(result.score[0], cap, rtol=1e-3)
    assert not (result.score > cap).any()


def test_two_bad_outputs_cap_at_one_and_a_half() -> None:
    assert slacks_based(Technology(**dominating([0.5], bad=2)), solver="simplex").outliers.cap == 1.5


def test_constant_and_proportional_columns_are_remarked() -> None:
    inputs = np.column_stack([np.full(6, 3.0), np.arange(1.0, 7.0), 2.5 * np.arange(1.0, 7.0)])
    good = np.array([[1.0], [3.0], [2.0], [5.0], [4.0], [6.0]])
    units = Technology(inputs, good, variables=["land", "men", "wages", "gdp"])
    assert units.remarks == ("land is constant", "wages is proportional to men: one variable, counted twice")
    assert "land is constant" in slacks_based(units, solver="simplex").summary()
    energy = Technology(inputs[:, 1:2], good, 2 * inputs[:, 1:2], variables=["energy", "gdp", "co2"])
    assert energy.remarks == ("co2 is proportional to energy: one variable, counted twice",)
    assert Technology(inputs[:, :2], good).remarks == ("inputs column 0 is constant",)
    with pytest.raises(SpecError, match="variables has 1 names for 4 inputs, good and bad outputs"):
        Technology(inputs, good, variables=["land"])


def test_a_proportional_column_counts_twice() -> None:
    data = draw(np.random.default_rng(1), rows=12)
    first, second = data["inputs"].T
    twice = slacks_based(
        Technology(np.column_stack([first, second, 7 * second]), data["good"]), super_efficiency=False, solver="simplex"
    )
    weighted = slacks_based(
        Technology(data["inputs"], data["good"]),
        super_efficiency=False,
        solver="simplex",
        weights={"inputs": [1.0, 2.0]},
    )
    np.testing.assert_allclose(twice.score, weighted.score, atol=1e-12)


def test_fewer_units_than_variables_are_remarked() -> None:
    data = draw(np.random.default_rng(2), rows=12)
    assert Technology(**data).remarks == ()
    year = np.array([2004] * 9 + [2005] * 3)
    units = Technology(**data, period=year, reference="contemporaneous")
    assert units.remarks == ("a frontier is spanned by 3 units in 4 variables (e.g. of row 9)",)
