"""Zeros: replaced by rule, or dropped as a plain HiGHS program on the data as they are says; what no rule allows."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from syneff.errors import DataError, SpecError
from syneff.measure.efficiency import slacks_based
from syneff.measure.technology import Technology
from tests.frontiers import EFFICIENT, TIGHT, draw

ROWS = 24


def with_zeros(everywhere: bool = True) -> dict[str, np.ndarray]:
    """Draw units of like size, some with zeros in an input, a good or a bad output, or in a bad output alone."""
    rng = np.random.default_rng(5)
    data = {name: rng.lognormal(sigma=0.4, size=(ROWS, 2)) for name in ("inputs", "good", "bad")}
    data["bad"][[4, 5, 6, 7], 0] = 0.0
    if everywhere:
        data["bad"][7] = 0.0
        data["inputs"][[0, 1, 2], 0] = 0.0
        data["good"][3, 1] = 0.0
    return data


def test_replaced_zeros_are_a_hundredth_of_the_smallest() -> None:
    data = with_zeros()
    filled = {name: block.copy() for name, block in data.items()}
    for block in filled.values():
        for column in block.T:
            column[column == 0] = min(value for value in column if value > 0) / 100
    result = slacks_based(Technology(**data, zeros="replace"), solver="simplex")
    np.testing.assert_array_equal(result.score, slacks_based(Technology(**filled), solver="simplex").score)
    assert "9 zeros are replaced by the smallest positive / 100" in result.summary()
    assert (data["bad"][7] == 0).all(), "the data given stay as they are"


@pytest.mark.parametrize(("bads", "returns"), [("outputs", "crs"), ("inputs", "vrs")])
def test_dropped_terms(bads: str, returns: str) -> None:
    data = with_zeros(everywhere=bads == "outputs")
    result = slacks_based(Technology(**data, returns=returns, zeros="drop"), bads=bads, solver="simplex")
    expected = np.array([drop_score(data, row, bads, returns) for row in range(ROWS)])
    np.testing.assert_allclose(result.score, expected, atol=1e-10)
    assert (expected[:8] > 1 + 1e-3).any()
    assert (expected[:8] < 1 - 1e-3).any()
    assert f"{9 if bads == 'outputs' else 4} zeros are dropped" in result.summary()
    for slack, name in ((result.slack_inputs, "inputs"), (result.slack_good, "good"), (result.slack_bad, "bad")):
        assert (slack[data[name] == 0] == 0).all()
    peers = result.peers.index[4:7]
    assert set(peers[peers >= 0]) <= {4, 5, 6, 7}, "who emits nothing is compared with those who emit nothing"


def drop_score(data: dict[str, np.ndarray], row: int, bads: str, returns: str) -> float:
    plain = drop_program(data, row, np.arange(ROWS), 1.0, bads=bads, returns=returns)
    if plain < EFFICIENT:
        return plain
    return drop_program(data, row, np.delete(np.arange(ROWS), row), -1.0, bads=bads, returns=returns)


def drop_program(
    data: dict[str, np.ndarray], row: int, reference: np.ndarray, sign: float, *, bads: str, returns: str
) -> float:
    """Solve SBM (sign 1) or Super-SBM (-1) in t, the slacks of all variables and the intensities."""
    values = np.concatenate(list(data.values()), axis=1)
    kind = np.repeat(["x", "y", "b"], 2)
    own, n = values[row], reference.size
    above = np.isin(kind, ["x", "b"] if bads == "inputs" else ["x"]) & (own > 0)
    below = np.isin(kind, ["y"] if bads == "inputs" else ["y", "b"]) & (own > 0)
    share = [np.where(each, 1 / np.where(own > 0, own, 1.0), 0.0) / each.sum() for each in (above, below)]
    cost = np.concatenate([[1.0], -sign * share[0], np.zeros(n)])
    norm = np.concatenate([[1.0], sign * share[1], np.zeros(n)])
    out = np.where(kind == "y", -1.0, 1.0)
    # Inputs and bad outputs of the references at most the target's, good outputs at least: equal in SBM.
    rows = np.hstack([-own[:, None], np.diag(sign * out), values[reference].T])
    scale = np.concatenate([[-1.0], np.zeros(6), np.ones(n)])
    more = [scale] if returns == "vrs" else []
    falls = np.hstack([-own[:, None], np.eye(6), np.zeros((6, n))])[kind == "y"]
    # A slack of an input or a bad output that is 0 has no price; it may not be used.
    bounds = [(0, None)] + [(0, 0 if own[at] == 0 and kind[at] != "y" else None) for at in range(6)] + [(0, None)] * n
    equal = [norm, *more, *(rows if sign > 0 else [])]
    unequal = {} if sign > 0 else {"A_ub": np.vstack([out[:, None] * rows, falls]), "b_ub": np.zeros(6 + len(falls))}
    answer = linprog(cost, A_eq=np.array(equal), b_eq=np.eye(len(equal))[0], bounds=bounds, options=TIGHT, **unequal)
    return float(answer.fun) if answer.status == 0 else np.nan


def test_dropping_changes_nothing_where_there_are_no_zeros() -> None:
    data = draw(np.random.default_rng(6))
    one, other = (slacks_based(Technology(**data, zeros=each), solver="simplex") for each in ("error", "drop"))
    np.testing.assert_array_equal(one.score, other.score)


FINE = {"inputs": np.ones((3, 2)), "good": np.ones((3, 1)), "bad": np.ones((3, 1))}
COLUMN = np.array([[1.0], [0.0], [2.0]])
REFUSED = [
    ({"good": COLUMN}, DataError, r"good: 1 values .*row 1 column 0: 0.*see the option zeros: replace or drop"),
    ({"good": COLUMN, "zeros": "drop"}, DataError, r"1 rows have no positive good output \(first: row 1\)"),
    ({"inputs": COLUMN, "zeros": "replace"}, DataError, r"1 rows have no positive input \(first: row 1\)"),
    ({"bad": 0 * COLUMN, "zeros": "drop"}, DataError, r"bad column 0 is 0 in every row. Leave the column out"),
    ({"bad": COLUMN - 1, "zeros": "drop"}, DataError, r"bad: 1 values are not positive.*row 1 column 0: -1\)"),
    ({"bad": COLUMN + np.nan, "zeros": "replace"}, DataError, r"bad: 3 values .*row 0 column 0: nan"),
    ({"inputs": COLUMN + np.inf, "zeros": "replace"}, DataError, r"inputs: 3 values .*row 0 column 0: inf"),
    ({"zeros": "ignore"}, SpecError, r"unknown value for zeros: 'ignore'.*Allowed: error, drop, replace"),
]


@pytest.mark.parametrize(("change", "error", "message"), REFUSED)
def test_what_no_rule_allows(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Technology(**{**FINE, **change})


def test_a_zero_that_no_reference_shares_is_named() -> None:
    units = Technology(**{**FINE, "bad": COLUMN}, zeros="drop", reference=np.array([True, False, True]))
    with pytest.raises(DataError, match=r"no reference row has the zeros of row 1"):
        slacks_based(units)
