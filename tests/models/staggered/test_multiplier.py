"""The multiplier bootstrap: order statistics, bands, and draws that do not depend on how they are computed."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from syneff.models.staggered import multiplier
from syneff.models.staggered.multiplier import bootstrap_errors, multiplier_draws, uniform_bands
from syneff.runtime import key_for


@pytest.fixture(scope="module")
def influence():
    drawn = np.random.default_rng(0).normal(size=(40, 5))
    drawn[:, 3] = 0.0  # an effect that does not vary
    return jnp.asarray(drawn)


@pytest.fixture(scope="module")
def drawn(influence):
    return multiplier_draws(key_for(0, "bands"), influence, 999)


def test_draws_do_not_depend_on_the_chunk(influence, drawn, monkeypatch):
    monkeypatch.setattr(multiplier, "CHUNK", 100)
    again = multiplier_draws(key_for(0, "bands"), influence, 250)
    np.testing.assert_allclose(again, drawn[:250], rtol=1e-12, atol=1e-14)
    assert np.abs(multiplier_draws(key_for(0, "others"), influence, 250) - again).max() > 1


def test_weights_have_two_points(influence, drawn):
    """Mammen's: each draw is the influence functions weighted by one of two numbers."""
    weights = multiplier_draws(key_for(0, "bands"), jnp.eye(40), 999)
    root = np.sqrt(5.0)
    low = np.isclose(weights, (1 - root) / 2)
    assert (low | np.isclose(weights, (1 + root) / 2)).all()
    assert low.mean() == pytest.approx((root + 1) / (2 * root), abs=0.01)
    np.testing.assert_allclose(drawn, weights @ np.asarray(influence), atol=1e-12)


def test_errors_and_bands_are_order_statistics(influence, drawn):
    error = bootstrap_errors(drawn)
    quartiles = np.quantile(drawn, [0.25, 0.75], axis=0, method="inverted_cdf")
    wanted = (quartiles[1] - quartiles[0]) / (special.ndtri(0.75) - special.ndtri(0.25))
    varies = np.arange(5) != 3
    np.testing.assert_allclose(error[varies], wanted[varies], rtol=1e-14)
    assert np.isnan(error[3])
    assert np.abs(error[varies] / np.sqrt((np.asarray(influence)[:, varies] ** 2).sum(0)) - 1).max() < 0.15
    bands = uniform_bands(drawn, error)
    largest = np.nanmax(np.abs(drawn[:, varies]) / error[varies], axis=1)
    assert bands.critical == np.quantile(largest, 0.95, method="inverted_cdf")
    np.testing.assert_allclose(bands.half[varies], bands.critical * error[varies])
    inside = (np.abs(drawn[:, varies]) <= bands.half[varies]).all(1)
    assert inside.mean() == pytest.approx(0.95, abs=0.002)


def test_a_band_is_not_narrower_than_an_interval(drawn):
    assert uniform_bands(drawn[:, :1] * 1e-3, np.ones(1)).critical == pytest.approx(special.ndtri(0.975))
    assert np.isnan(uniform_bands(drawn, np.full(5, np.nan)).critical)
