import numpy as np
import pandas as pd
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.description import Describe
from tests.panels import staggered


def test_agrees_with_pandas():
    panel = staggered(1, missing=0.2)
    frame = Describe(("y", "a")).estimate(panel).frame().set_index("term")["estimate"]
    described = panel.to_frame(sample_only=True)[["y", "a"]].describe()
    for name in ("y", "a"):
        for ours, theirs in {"mean": "mean", "sd": "std", "min": "min", "max": "max", "n": "count"}.items():
            assert frame[f"{ours}:{name}"] == pytest.approx(described.loc[theirs, name], rel=1e-12)


def test_weights_that_repeat_rows_repeat_the_mean():
    panel = staggered(1)
    weights = np.random.default_rng(0).integers(1, 4, panel.shape).astype(float)
    frame = Describe(("y",)).estimate(panel.reweight(weights)).frame().set_index("term")["estimate"]
    repeated = pd.Series(np.repeat(panel.column("y").ravel(), weights.ravel().astype(int)))
    assert frame["mean:y"] == pytest.approx(repeated.mean(), rel=1e-12)
    assert frame["sd:y"] * np.sqrt(239 / 240) == pytest.approx(repeated.std(ddof=0), rel=1e-12)


def test_unknown_and_empty_columns():
    panel = staggered(1).assign({"empty": np.full((30, 8), np.nan)})
    with pytest.raises(DataError, match="unknown column 'yy'"):
        Describe(("yy",)).estimate(panel)
    with pytest.raises(DataError, match="'empty' has no value"):
        Describe(("empty",)).estimate(panel)
    with pytest.raises(DataError, match="trait 'region' is no number"):
        Describe(("region",)).estimate(panel)
    with pytest.raises(SpecError, match="variables is empty"):
        Describe(())
