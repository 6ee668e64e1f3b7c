"""Exact scores against printed tables, closed forms, all bases of tiny programs, and the scores in floating point."""

from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.errors import SpecError
from syneff.measure.efficiency import Technology, slacks_based
from syneff.measure.proof import prove
from syneff.numerics.linear_program import Status
from tests.frontiers import draw, highs_scores

ROUNDING = 1e-12  # of a score in floating point


def table(shared: Path) -> Technology:
    frame = pd.read_csv(shared / "oracles" / "dea" / "tone2002_table1" / "data_expected.csv")
    return Technology(frame[["x1", "x2"]].to_numpy(dtype=float), frame[["y"]].to_numpy(dtype=float))


# Printed as .8333 .6191 1 1 1 .9 .8333, and 1.125 1.25 1.5 for the efficient units.
PLAIN = ["5/6", "13/21", "1", "1", "1", "9/10", "5/6"]
SUPER = ["5/6", "13/21", "9/8", "5/4", "3/2", "9/10", "5/6"]


@pytest.mark.parametrize("solver", ["interior_point", "simplex"])
def test_tone_2002(shared: Path, solver: str) -> None:
    proofs = prove(table(shared), range(7), solver=solver)
    assert [proof.score for proof in proofs] == [Fraction(each) for each in SUPER]
    assert [proof.sbm for proof in proofs] == [Fraction(each) for each in PLAIN]
    assert max(abs(proof.error) for proof in proofs) <= 1e-15
    assert all(proof.certified and proof.status == Status.OPTIMAL for proof in proofs)
    plain = prove(table(shared), [6, 1], super_efficiency=False, solver=solver)
    assert [(proof.row, proof.score) for proof in plain] == [(6, Fraction(5, 6)), (1, Fraction(13, 21))]


def one_shape(factor: float, bads: int = 1) -> dict[str, np.ndarray]:
    """Equal units, but the first one uses and emits a part of what the others do for the same output."""
    data = {"inputs": np.full((6, 2), [3.0, 70.0]), "good": np.full((6, 1), 0.2), "bad": np.full((6, bads), 11.0)}
    data["inputs"][0] *= factor
    data["bad"][0] *= factor
    return data


# The closed forms are derived in test_efficiency.py. Data such as 0.2 are no decimals, but every ratio of them is exact.
@pytest.mark.parametrize(
    ("returns", "first"), [("crs", Fraction(4, 3)), ("nirs", Fraction(4, 3)), ("vrs", 4), ("ndrs", 4)]
)
def test_one_dominating_unit(returns: str, first: Fraction) -> None:
    proofs = prove(Technology(**one_shape(0.5), returns=returns), range(6), solver="simplex")
    assert [proof.score for proof in proofs] == [first] + 5 * [Fraction(2, 5)]


def test_two_bad_outputs_have_weights_of_a_third() -> None:
    # 1 / (1 - (1 - 1/2)/3): a third is no float. The others: (1 - 1/2) / (1 + (0 + 1/2 + 1/2)/3).
    proofs = prove(Technology(**one_shape(0.5, bads=2)), [0, 1], solver="simplex")
    assert [proof.score for proof in proofs] == [Fraction(6, 5), Fraction(3, 8)]


def test_weights() -> None:
    # Weights 1 : 3 of good and bad: (1 - 1/2) / (1 + 3/4 * 1/2).
    proof = prove(Technology(**one_shape(0.5)), [3], solver="simplex", weights={"good": [1.0], "bad": [3.0]})[0]
    assert proof.score == Fraction(4, 11)


def test_infeasible_program() -> None:
    # A bad output 1000 times the unit's own would make the denominator 1 - 999/2.
    data = one_shape(0.5)
    data["bad"][0] = 0.011
    first, second = prove(Technology(**data, returns="vrs"), [0, 1], solver="simplex")
    assert (first.status, first.score, first.sbm, first.error) == (Status.INFEASIBLE, None, 1, 0.0)
    assert second.status == Status.OPTIMAL


@pytest.mark.parametrize(
    ("returns", "orientation"), [("crs", "none"), ("vrs", "none"), ("ndrs", "none"), ("crs", "input"), ("vrs", "input")]
)
def test_nobody_to_compare_with(returns: str, orientation: str) -> None:
    data = {name: block[:1] for name, block in one_shape(0.5).items()}
    proof = prove(Technology(**data, returns=returns), [0], orientation=orientation, solver="simplex")[0]
    assert proof.sbm == 1
    assert proof.error == 0.0
    infeasible = returns in ("vrs", "ndrs") or orientation == "input"
    assert proof.score == (None if infeasible else 2)


def test_duplicates_score_exactly_one() -> None:
    data = draw(np.random.default_rng(3), rows=12)
    twice = {name: np.concatenate([block, block, 3 * block]) for name, block in data.items()}
    technology = Technology(**twice)
    proofs = prove(technology, range(24), solver="simplex")
    assert [proof.sbm for proof in proofs[:12]] == [proof.sbm for proof in proofs[12:]]
    assert {proof.score for proof in proofs if proof.sbm == 1} == {Fraction(1)}
    assert max(abs(proof.error) for proof in proofs) <= ROUNDING


def test_next_to_efficient_is_not_efficient() -> None:
    # The second unit uses 2^-40 more of its only input: below the tolerance of the stages in floating point.
    more = 1.0 + 2.0**-40
    first, second = prove(Technology(np.array([[1.0], [more], [4.0]]), np.ones((3, 1))), [0, 1], solver="simplex")
    assert first.score == Fraction(more)
    assert second.score == second.sbm == 1 / Fraction(more)
    assert second.error == float(1 - 1 / Fraction(more))


def options(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a technology's options and a measure's, so that all seeds together try all of them."""
    mask = np.arange(40) % 3 > 0
    return {
        "returns": ("crs", "vrs", "nirs", "ndrs")[seed % 4],
        "reference": ("global", "contemporaneous", mask)[seed % 3],
        "period": np.repeat([2004, 2005], [19, 21])[np.random.default_rng(seed).permutation(40)],
    }, {"orientation": ("none", "input", "output")[(seed // 2) % 3], "bads": ("outputs", "inputs")[seed // 4 % 2]}


@pytest.mark.parametrize("seed", range(12))
def test_all_options_against_floats(seed: int) -> None:
    technology_options, measure_options = options(seed)
    data = draw(np.random.default_rng(seed))
    data["inputs"][[0, 3]] *= 0.1
    technology = Technology(**data, **technology_options)
    proofs = prove(technology, range(40), **measure_options, solver="simplex")
    assert all(proof.certified for proof in proofs)
    assert max(abs(proof.error) for proof in proofs) <= ROUNDING
    expected = highs_scores(technology, **measure_options)
    exact = [float("nan") if proof.score is None else float(proof.score) for proof in proofs]
    np.testing.assert_allclose(exact, expected, atol=1e-9)


@given(
    data=st.lists(st.lists(st.integers(1, 4), min_size=2, max_size=2), min_size=5, max_size=5),
    returns=st.sampled_from(["crs", "vrs"]),
)
@settings(deadline=None, max_examples=25)
def test_small_integers_against_all_pairs(data: list[list[int]], returns: str) -> None:
    values = np.array(data, dtype=float)
    technology = Technology(values[:, :1], values[:, 1:], returns=returns)
    for proof in prove(technology, range(len(data)), super_efficiency=False, solver="simplex"):
        assert proof.score == best_pair(data, proof.row, returns)
        assert abs(proof.error) <= ROUNDING


def best_pair(data: list[list[int]], row: int, returns: str) -> Fraction:
    """Return the SBM score with one input and one good output, at the vertices of what is produced with no more for no less.

    Targets (x, y) with x <= x_o and y >= y_o: the score (x/x_o) / (y/y_o) is lowest where y/x is highest.
    """
    x_o, y_o = data[row]
    if returns == "crs":
        return Fraction(y_o, x_o) / max(Fraction(y, x) for x, y in data)
    targets = [(Fraction(x), Fraction(y)) for x, y in data]
    for (x1, y1), (x2, y2) in combinations(data, 2):  # where a segment crosses x = x_o or y = y_o
        for at, (low, high) in ((x_o, (x1, x2)), (y_o, (y1, y2))):
            if low != high and min(low, high) <= at <= max(low, high):
                share = Fraction(at - low, high - low)
                targets.append((x1 + share * (x2 - x1), y1 + share * (y2 - y1)))
    return min(Fraction(x) / x_o * y_o / y for x, y in targets if x <= x_o and y >= y_o)


def test_rows_must_exist() -> None:
    technology = Technology(**one_shape(0.5))
    for rows in ([6], [-1]):
        with pytest.raises(SpecError, match="rows must be row numbers from 0 to 5"):
            prove(technology, rows)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["interior_point", "simplex"])
@pytest.mark.parametrize(("returns", "count"), [("crs", 200), ("vrs", 50)])
def test_national_panel(returns: str, count: int, solver: str) -> None:
    rng = np.random.default_rng(0)
    size = rng.lognormal(size=(4828, 1))
    blocks = [size * rng.lognormal(sigma=0.5, size=(4828, width)) for width in (3, 1, 1)]
    technology = Technology(*blocks, returns=returns)
    efficient = np.flatnonzero(~(slacks_based(technology, solver=solver).score < 1))
    rows = np.union1d(efficient, rng.choice(4828, count, replace=False))
    proofs = prove(technology, rows, solver=solver)
    assert all(proof.certified for proof in proofs)
    assert max(abs(proof.error) for proof in proofs) <= ROUNDING
    assert [proof.row for proof in proofs if proof.sbm == 1] == efficient.tolist()
