"""Shapley shares: known variances, and what holds for any numbers."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syneff.pipeline.decomposition import shapley_shares

AXES = ("a", "b", "c")


def grid(values=None):
    frame = pd.DataFrame(list(product("xy", "pqr", "uv")), columns=list(AXES))
    return frame if values is None else frame.assign(value=values)


def test_additive_effects_have_the_shares_of_their_variances():
    frame = grid()
    parts = {"a": {"x": 0.0, "y": 2.0}, "b": {"p": 0.0, "q": 3.0, "r": 6.0}}
    frame["value"] = sum(frame[axis].map(effect) for axis, effect in parts.items())
    shares = shapley_shares(frame, AXES, "value")
    assert shares == pytest.approx({"a": 1.0 / 7.0, "b": 6.0 / 7.0, "c": 0.0})


def test_a_pure_interaction_is_shared_equally():
    frame = grid()
    frame["value"] = np.where(frame["a"] == "x", 1.0, -1.0) * np.where(frame["c"] == "u", 1.0, -1.0)
    assert shapley_shares(frame, AXES, "value") == pytest.approx({"a": 0.5, "b": 0.0, "c": 0.5})


@given(st.lists(st.floats(-10, 10), min_size=12, max_size=12).filter(lambda values: np.ptp(values) > 1e-3))
def test_shares_are_nonnegative_and_add_up_to_one(values):
    shares = shapley_shares(grid(values), AXES, "value")
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares.values()) >= 0.0


@given(st.lists(st.floats(-10, 10), min_size=12, max_size=12).filter(lambda values: np.ptp(values) > 1e-3))
def test_neither_scale_nor_order_of_rows_matters(values):
    shares = shapley_shares(grid(values), AXES, "value")
    moved = grid([3.0 - 2.0 * value for value in values]).sample(frac=1.0, random_state=0)
    assert shapley_shares(moved, AXES, "value") == pytest.approx(shares, abs=1e-9)


def test_holes_and_constants():
    frame = grid(np.arange(12.0))
    frame.loc[3, "value"] = np.nan
    assert sum(shapley_shares(frame, AXES, "value").values()) == pytest.approx(1.0)
    assert np.isnan(shapley_shares(grid(np.ones(12)), AXES, "value")["a"])
