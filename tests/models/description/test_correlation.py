"""Correlations: SciPy's, pandas', and residuals of explicit dummies."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from syneff.errors import DataError, SpecError
from syneff.models.description import Correlate
from tests.panels import staggered

NAMES = ("y", "treat", "a", "b")


def frame_of(panel, **options):
    return Correlate(NAMES, **options).estimate(panel).frame().set_index("term")


def test_plain_correlations_and_their_p_values_are_scipys():
    panel = staggered(2, missing=0.2)
    rows = panel.to_frame(sample_only=True)
    found = frame_of(panel)
    for one, other in itertools.combinations(NAMES, 2):
        expected = stats.pearsonr(rows[one], rows[other])
        assert found.loc[f"corr:{one}:{other}", "estimate"] == pytest.approx(expected.statistic, abs=1e-13)
        assert found.loc[f"corr:{one}:{other}", "p_value"] == pytest.approx(expected.pvalue, rel=1e-8)
    assert (found["nobs"] == len(rows)).all()


def test_within_correlations_are_those_of_residuals_of_dummies():
    panel = staggered(3, missing=0.15)
    rows = panel.to_frame(sample_only=True)
    dummies = pd.get_dummies(rows[["unit", "period"]].astype(str), dtype=float).to_numpy()
    values = rows[list(NAMES)].to_numpy()
    residuals = values - dummies @ np.linalg.lstsq(dummies, values, rcond=None)[0]
    expected = np.corrcoef(residuals.T)
    found = frame_of(panel)
    for (i, one), (j, other) in itertools.combinations(enumerate(NAMES), 2):
        assert found.loc[f"within:{one}:{other}", "estimate"] == pytest.approx(expected[i, j], abs=1e-11)
        assert np.isnan(found.loc[f"within:{one}:{other}", "p_value"])


def test_weights_that_repeat_rows_are_repeated_rows():
    panel = staggered(1)
    weights = np.random.default_rng(0).integers(1, 4, panel.shape).astype(float)
    expected = np.corrcoef(*(np.repeat(panel.column(each).ravel(), weights.ravel().astype(int)) for each in ("y", "a")))
    assert frame_of(panel.reweight(weights)).loc["corr:y:a", "estimate"] == pytest.approx(expected[0, 1], abs=1e-13)


def test_rows_without_all_variables_are_left_out():
    panel = staggered(4)
    gaps = panel.column("b").copy()
    gaps[:5] = np.nan
    found = frame_of(panel.assign({"b": gaps}))
    rest = panel.to_frame().query("unit >= 5")
    assert found.loc["corr:y:a", "estimate"] == pytest.approx(rest["y"].corr(rest["a"]), abs=1e-13)


def test_what_effects_explain_whole_has_no_within_correlation():
    panel = staggered(4)
    fixed = np.repeat(np.arange(30.0)[:, None], 8, axis=1)
    found = frame_of(panel.assign({"b": fixed}))
    assert np.isnan(found.loc["within:y:b", "estimate"])
    assert np.isfinite(found.loc["corr:y:b", "estimate"])


def test_mistakes_are_told():
    with pytest.raises(SpecError, match="two different columns"):
        Correlate(("y", "y"))
    with pytest.raises(SpecError, match=r"estimator\.effects: 'city'"):
        Correlate(("y", "a"), effects=("city",))
    panel = staggered(1)
    none = np.where(panel.column("treat") > 0, np.nan, 1.0), np.where(panel.column("treat") > 0, 1.0, np.nan)
    with pytest.raises(DataError, match="only 0 rows"):
        Correlate(("one", "other")).estimate(panel.assign(dict(zip(("one", "other"), none, strict=True))))
