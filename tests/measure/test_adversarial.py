"""Both solvers on data that break others: every unit is certified, and every score is within 1e-9 of the exact one."""

from functools import cache

import numpy as np
import pytest

from syneff.measure.efficiency import slacks_based
from syneff.measure.proof import prove
from syneff.measure.technology import Technology
from syneff.numerics.linear_program import Status
from tests.frontiers import BAD, GOOD, INPUTS, draw, highs_scores

ERROR = 1e-9  # of a score on adversarial data, relative where it is above 1
ORDINARY = 1e-10  # on ordinary data
SOLVERS = ("interior_point", "simplex")
ROWS, SEED = 60, 10
SHAPES = {"inputs": (ROWS, INPUTS), "good": (ROWS, GOOD), "bad": (ROWS, BAD)}
Data = dict[str, np.ndarray]


def repeated(factors: list[float]) -> Data:
    """Draw units and repeat them, each time multiplied by a factor."""
    data = draw(np.random.default_rng(SEED), rows=ROWS // len(factors))
    return {name: np.concatenate([factor * block for factor in factors]) for name, block in data.items()}


def in_units(scale: dict[str, list[float]]) -> Data:
    return {name: block * scale[name] for name, block in draw(np.random.default_rng(SEED), rows=ROWS).items()}


def of_sizes(exponent: float) -> Data:
    rng = np.random.default_rng(SEED)
    size = 10.0 ** rng.uniform(-exponent, exponent, size=(ROWS, 1))
    return {name: block * size for name, block in draw(rng, rows=ROWS).items()}


def lognormal(sigma: float) -> Data:
    rng = np.random.default_rng(SEED)
    return {name: rng.lognormal(sigma=sigma, size=shape) for name, shape in SHAPES.items()}


def integers(high: int) -> Data:
    rng = np.random.default_rng(SEED)
    return {name: rng.integers(1, high + 1, size=shape).astype(float) for name, shape in SHAPES.items()}


def on_a_sphere(efficient: int) -> Data:
    """Put units on a sphere of inputs, with one output: none of them dominates another. The rest use half as much again."""
    angle = np.linspace(0.05, np.pi / 2 - 0.05, efficient)
    inputs = 2.0 - np.column_stack([np.cos(angle), np.sin(angle)])
    waste = np.where(np.arange(ROWS) < efficient, 1.0, 1.5)[:, None]
    return {"inputs": waste * np.resize(inputs, (ROWS, INPUTS)), "good": np.ones((ROWS, GOOD)), "bad": waste}


def first(rows: int) -> Data:
    return {name: block[:rows] for name, block in draw(np.random.default_rng(SEED), rows=ROWS).items()}


def all_equal() -> Data:
    return {name: np.full(shape, 0.1) for name, shape in SHAPES.items()}


KINDS = {
    "duplicates": repeated([1.0, 1.0, 1.0]),
    "scaled duplicates": repeated([1.0, 1e-3, 7.0]),
    "units of measurement": in_units({"inputs": [1e-9, 1e9], "good": [1e9], "bad": [1e-9]}),
    "sizes": of_sizes(9.0),
    "lognormal": lognormal(4.0),
    "integers": integers(3),
    "23% efficient": on_a_sphere(14),
    "100% efficient": on_a_sphere(ROWS),
    "fewer units than rows": first(3),
    "one unit": first(1),
    "all equal": all_equal(),
}


# HiGHS calls an SBM program infeasible there, which no SBM program is that has its own unit among the references.
HIGHS_IS_WRONG = [("sizes", "vrs")]


@cache
def highs(kind: str, returns: str) -> tuple[np.ndarray, np.ndarray]:
    """Score a few rows by HiGHS, as a second opinion on the programs themselves."""
    technology = Technology(**KINDS[kind], returns=returns)
    rows = np.unique(np.linspace(0, technology.rows - 1, 8).astype(int))
    return rows, highs_scores(technology, rows)


def check_exactly(technology: Technology, solver: str, error: float) -> np.ndarray:
    """Compare every score with its proof in rational numbers; return the scores."""
    result = slacks_based(technology, solver=solver)
    assert set(result.status) <= {Status.OPTIMAL, Status.INFEASIBLE}, result.summary()
    np.testing.assert_array_equal(np.isnan(result.score), result.status == Status.INFEASIBLE)
    optimal = result.status == Status.OPTIMAL
    bar = error * np.maximum(1.0, result.score[optimal])
    assert (np.abs(result.gap[optimal]) <= bar).all()
    proofs = prove(technology, range(technology.rows), solver=solver)
    np.testing.assert_array_equal([proof.status for proof in proofs], result.status)
    errors = np.array([proof.error for proof in proofs])
    assert (errors[~optimal] == 0.0).all()
    assert (np.abs(errors[optimal]) <= bar).all()
    return result.score


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("returns", ["crs", "vrs"])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_certified_and_exact(kind: str, returns: str, solver: str) -> None:
    score = check_exactly(Technology(**KINDS[kind], returns=returns), solver, ERROR)
    if (kind, returns) in HIGHS_IS_WRONG:
        return
    rows, expected = highs(kind, returns)
    np.testing.assert_allclose(score[rows], expected, rtol=ERROR, atol=ERROR)


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_algebra_says_of_them(solver: str) -> None:
    def score(kind: str, returns: str = "crs") -> np.ndarray:
        return slacks_based(Technology(**KINDS[kind], returns=returns), solver=solver).score

    alone = slacks_based(
        Technology(**{name: block[: ROWS // 3] for name, block in KINDS["duplicates"].items()}),
        super_efficiency=False,
        solver=solver,
    ).score
    for kind in ("duplicates", "scaled duplicates"):  # an efficient unit's copy is what it is compared with
        np.testing.assert_allclose(score(kind), np.tile(alone, 3), rtol=0, atol=1e-12, err_msg=kind)
    for returns in ("crs", "vrs"):
        np.testing.assert_allclose(score("all equal", returns), 1.0, rtol=0, atol=1e-13)
        assert (score("100% efficient", returns) >= 1.0).all()
        quarter = score("23% efficient", returns)
        np.testing.assert_array_equal(quarter >= 1.0, np.arange(ROWS) < 14)
        # Two thirds of inputs and bad output are enough: (1 - 1/3) / (1 + (0 + 1/3)/2) is feasible, and nothing better
        # is known of the frontier than that the score is at most that.
        assert (quarter[14:] <= 4 / 7 + 1e-12).all()
    # With nobody to be compared with, the good output falls to 0; under variable returns there must be somebody.
    np.testing.assert_allclose(score("one unit"), [2.0], rtol=1e-13)
    assert np.isnan(score("one unit", "vrs")).all()


def large(sigma: float) -> list[np.ndarray]:
    """Draw 48 units with 8 inputs, 3 good and 2 bad outputs."""
    rng = np.random.default_rng(0)
    size = rng.lognormal(size=(48, 1))
    return [size * rng.lognormal(sigma=sigma, size=(48, width)) for width in (8, 3, 2)]


# Many variables take long to compile: 9 s for each pair here, or 40 s.
MANY = [
    ("vrs", "simplex"),
    ("ndrs", "simplex"),
    ("vrs", "interior_point"),
    pytest.param("ndrs", "interior_point", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("returns", "solver"), MANY)
def test_many_variables(returns: str, solver: str) -> None:
    technology = Technology(*large(0.5), returns=returns)
    score = check_exactly(technology, solver, ORDINARY)
    assert np.isnan(score).sum() == 1, "one unit must be infeasible"
    assert np.nanmin(score) < 1.0
    rows = np.arange(0, 48, 8)
    np.testing.assert_allclose(score[rows], highs_scores(technology, rows), rtol=ORDINARY, atol=ORDINARY)


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("returns", ["vrs", "ndrs"])
def test_many_variables_of_very_different_size(returns: str, solver: str) -> None:
    check_exactly(Technology(*large(4.0), returns=returns), solver, ERROR)
