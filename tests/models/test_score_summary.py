"""The summary against pandas and SciPy on the panel's own rows, and the estimate against the model alone."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from syneff.errors import DataError
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.score_summary import ScoreSummary, rank_correlation
from tests.panels import staggered

MODEL = FixedEffects(Spec(outcome="index", controls=("a",)))
SUMMARY = ScoreSummary(MODEL, ("first", "second"), "other")


def scored():
    """A panel with two scores, one with gaps and ties at its highest value, an index of both, and another index."""
    panel = staggered(3, missing=0.1)
    rng = np.random.default_rng(3)
    first, second = rng.lognormal(-0.7, 0.6, panel.shape), rng.lognormal(-0.7, 0.6, panel.shape)
    second = np.where(rng.uniform(size=panel.shape) < 0.2, np.nan, np.minimum(second, 1.2))
    columns = {"first": first, "second": second, "index": np.sqrt(first * second), "other": np.round(first, 1)}
    return panel.assign(columns)


def test_moments_gaps_and_extremes_are_those_of_the_rows():
    panel = scored()
    frame = panel.to_frame(sample_only=True)
    found = {key: float(value) for key, value in SUMMARY.estimate(panel).stats.items()}
    for name in ("first", "second", "index"):
        described = frame[name].describe()
        for ours, theirs in {"mean": "mean", "sd": "std", "n": "count", "max": "max"}.items():
            assert found[f"{ours}:{name}"] == pytest.approx(described[theirs], rel=1e-12)
        assert found[f"missing:{name}"] == frame[name].isna().sum()
    assert found["missing:index"] == found["missing:second"] > 0
    for name in ("first", "second"):
        assert found[f"high:{name}"] == (frame[name] > 1.5).sum()
        assert found[f"tied:{name}"] == (frame[name] == frame[name].max()).sum()
    assert found["tied:second"] > 1
    assert found["top:second"] == 0.0
    assert "high:index" not in found


def test_the_top_takes_the_rest_of_the_range():
    """Of 240 scores 0 .. 239 the third highest is raised to the highest 3: 1 % are three scores, and the next is 236."""
    panel = staggered(1)
    values = np.arange(240.0)
    values[-1] = 472.0
    found = ScoreSummary(MODEL, ("first",), "first").estimate(
        panel.assign({"first": values.reshape(panel.shape), "index": panel.column("y")})
    )
    assert float(found.stats["top:first"]) == pytest.approx((472 - 236) / 472)


def test_rank_correlation_is_spearmans():
    panel = scored()
    frame = panel.to_frame(sample_only=True)[["index", "other"]].dropna()
    by_hand = np.corrcoef(stats.rankdata(frame["index"]), stats.rankdata(frame["other"]))[0, 1]
    found = float(SUMMARY.estimate(panel).stats["rank_correlation"])
    assert found == pytest.approx(by_hand, abs=1e-12)
    assert found == pytest.approx(frame.corr(method="spearman").iloc[0, 1], abs=1e-12)
    assert 0 < found < 1


def test_rank_correlation_knows_order_alone():
    values = np.array([3.0, 1.0, np.nan, 2.0])
    assert rank_correlation(values, np.exp(values)) == pytest.approx(1.0)
    assert rank_correlation(values, -values) == pytest.approx(-1.0)
    assert np.isnan(rank_correlation(values, np.ones(4)))
    assert np.isnan(rank_correlation(values, np.full(4, np.nan)))


def test_the_estimate_is_the_models_own():
    panel = scored()
    ours, alone = SUMMARY.estimate(panel), MODEL.estimate(panel)
    pd.testing.assert_frame_equal(ours.frame(), alone.frame())
    assert ours.notes == alone.notes
    assert {"r2", "n_clusters"} <= set(ours.stats)


def test_unknown_columns_are_named():
    with pytest.raises(DataError, match="unknown column 'third'"):
        ScoreSummary(MODEL, ("third",), "other").estimate(scored())
    with pytest.raises(DataError, match="unknown column 'another'"):
        ScoreSummary(MODEL, ("first",), "another").estimate(scored())
