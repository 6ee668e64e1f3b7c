"""Rows that are alone in their unit or period."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from syneff.numerics.imputation import without_singletons


def test_a_chain_falls_row_by_row():
    # Every row but the first is alone only once the one before it is gone; the square below stays.
    weights = np.zeros((7, 7))
    for at in range(4):
        weights[at, at] = weights[at, at + 1] = 1.0
    weights[5:, 5:] = 2.0
    left = np.asarray(without_singletons(jnp.asarray(weights)))
    assert left[:5].sum() == 0
    assert left[5:] == pytest.approx(weights[5:])


@pytest.mark.parametrize("share", [0.15, 0.2, 0.3])
def test_what_is_left_is_what_dropping_one_row_at_a_time_leaves(share):
    drawn = (np.random.default_rng(int(100 * share)).random((6, 14, 9)) < share).astype(float)
    found = np.asarray(jax.vmap(without_singletons)(jnp.asarray(drawn)))
    for weights, left in zip(drawn, found, strict=True):
        rows = set(zip(*map(list, np.nonzero(weights)), strict=True))
        while single := [
            row for row in rows if any(sum(row[axis] == each[axis] for each in rows) == 1 for axis in (0, 1))
        ]:
            rows.remove(single[0])
        assert rows == set(zip(*map(list, np.nonzero(left)), strict=True))
