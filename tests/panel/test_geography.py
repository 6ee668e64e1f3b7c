"""Neighbours and dispersal of the synthetic country, against brute force on a small one."""

import numpy as np
import pytest

from syneff.panel.synthetic.geography import NEAREST, draw_geography, find_neighbours


@pytest.fixture(scope="module")
def geography():
    return draw_geography(np.random.default_rng(5), 60)


def kilometres(geography, i, j):
    """Great-circle distance by the spherical law of cosines."""
    lon, lat = np.radians(geography.lon), np.radians(geography.lat)
    cosine = np.sin(lat[i]) * np.sin(lat[j]) + np.cos(lat[i]) * np.cos(lat[j]) * np.cos(lon[i] - lon[j])
    return 6371.0 * np.arccos(np.clip(cosine, -1.0, 1.0))


def test_neighbours_are_the_nearest_either_way(geography):
    units = range(60)
    nearest = {
        i: sorted((j for j in units if j != i), key=lambda j: kilometres(geography, i, j))[:NEAREST] for i in units
    }
    expected = sorted((i, j) for i in units for j in units if i != j and (j in nearest[i] or i in nearest[j]))
    assert [tuple(pair) for pair in geography.pairs.tolist()] == expected


def test_neighbours_are_mutual_and_nobody_has_none(geography):
    pairs = {tuple(pair) for pair in geography.pairs.tolist()}
    assert all((j, i) in pairs and i != j for i, j in pairs)
    assert set(geography.pairs[:, 0]) == set(range(60))
    named = geography.neighbours(tuple(f"City {i}" for i in range(60)))
    assert list(named.columns) == ["focal", "neighbor"]
    assert len(named) == len(pairs)
    assert (named["focal"].iloc[0], named["neighbor"].iloc[0]) == tuple(f"City {i}" for i in geography.pairs[0])


def test_cities_of_one_place_are_neighbours_and_not_their_own():
    pairs = find_neighbours(np.array([100.0, 100.0, 101.0, 120.0]), np.array([30.0, 30.0, 30.0, 40.0]), nearest=1)
    assert {(0, 1), (1, 0)} <= {tuple(pair) for pair in pairs.tolist()}
    assert (pairs[:, 0] != pairs[:, 1]).all()


def test_the_lag_is_the_mean_of_the_neighbours(geography):
    values = np.random.default_rng(0).normal(size=(60, 3))
    lagged = geography.lag(values)
    for i in range(60):
        own = [j for focal, j in geography.pairs.tolist() if focal == i]
        np.testing.assert_allclose(lagged[i], values[own].mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("persistence", [0.0, 0.6, 0.9])
def test_dispersal_solves_the_spatial_autoregression(geography, persistence):
    values = np.random.default_rng(1).normal(size=(60, 2))
    dense = np.zeros((60, 60))
    dense[geography.pairs[:, 0], geography.pairs[:, 1]] = 1.0
    dense /= dense.sum(axis=1, keepdims=True)
    expected = np.linalg.solve(np.eye(60) - persistence * dense, values)
    np.testing.assert_allclose(geography.disperse(values, persistence), expected, atol=1e-10)
