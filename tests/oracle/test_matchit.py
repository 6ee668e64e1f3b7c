"""Matching against MatchIt, glm, statsmodels and scikit-learn; matchit.R made the values of the first two."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from syneff.models.matching import Matching, matched
from syneff.panel.panel import Panel

COVARIATES = ("pop", "lnpgdp", "gov", "hc", "fdi")
PRINTED = 2e-14
"""R prints 15 digits."""
GLM = (
    -3.15446389384007,
    0.505840479765586,
    -0.357836907432274,
    0.0328112969724777,
    0.273696767112472,
    0.109102070366147,
)
SCORES = (
    0.664881406455352,
    0.193566154183798,
    0.136981366951976,
    0.0804960279852807,
    0.0587738106209364,
    0.689109025366444,
)
STATSMODELS = {
    "constant": 1.6499317659324217,
    "pop": -0.01933725335966284,
    "lnpgdp": -0.26154897037917973,
    "gov": 0.04052494039883623,
    "hc": -0.08080327824850066,
    "er": 0.20856810418096652,
    "fdi": 0.008266395399838389,
}
"""Logit of statsmodels 0.15.0 on the cities ever treated, 2012."""

# Options; treated rows that are matched; how often each control is, by number of the city.
MATCHIT: dict[str, tuple[dict[str, Any], int, str]] = {
    "nearest_1": (
        {},
        75,
        (
            "0: 10, 17: 1, 24: 1, 34: 1, 39: 1, 42: 1, 43: 1, 59: 2, 81: 1, 82: 2, 86: 1, 102: 16, 104: 1, 122: 1, 126: 1, "
            "133: 1, 138: 2, 147: 2, 150: 1, 152: 1, 155: 1, 169: 1, 172: 2, 196: 2, 201: 1, 210: 1, 211: 1, 222: 1, 226: "
            "10, 233: 1, 235: 1, 246: 1, 249: 1, 257: 2, 271: 1"
        ),
    ),
    "nearest_4": (
        {"neighbours": 4},
        75,
        (
            "0: 15, 3: 1, 4: 1, 6: 1, 7: 3, 16: 1, 17: 3, 18: 1, 21: 10, 24: 3, 28: 2, 34: 4, 37: 9, 38: 2, 39: 2, 42: 2, "
            "43: 1, 44: 10, 59: 5, 60: 1, 64: 2, 65: 1, 68: 1, 70: 1, 75: 1, 81: 4, 82: 6, 84: 1, 86: 1, 88: 2, 95: 2, 99: "
            "2, 102: 23, 104: 2, 110: 1, 122: 4, 125: 1, 126: 2, 133: 1, 134: 1, 138: 3, 147: 4, 150: 1, 152: 1, 155: 1, "
            "157: 1, 165: 5, 166: 1, 169: 2, 170: 1, 172: 2, 176: 1, 182: 2, 190: 1, 192: 2, 196: 4, 198: 1, 201: 1, 207: "
            "2, 210: 4, 211: 2, 212: 1, 215: 1, 216: 2, 219: 1, 222: 6, 226: 30, 233: 1, 235: 1, 236: 30, 238: 1, 240: 1, "
            "246: 4, 249: 1, 250: 1, 251: 1, 252: 1, 257: 28, 268: 5, 271: 4, 275: 1, 281: 1"
        ),
    ),
    "once_ascending": (
        {"replacement": False},
        75,
        (
            "0: 1, 1: 1, 6: 1, 17: 1, 18: 1, 21: 1, 24: 1, 28: 1, 34: 1, 37: 1, 39: 1, 42: 1, 43: 1, 44: 1, 48: 1, 50: 1, "
            "53: 1, 54: 1, 55: 1, 56: 1, 59: 1, 60: 1, 67: 1, 69: 1, 70: 1, 78: 1, 80: 1, 81: 1, 82: 1, 86: 1, 93: 1, 94: "
            "1, 100: 1, 102: 1, 104: 1, 114: 1, 122: 1, 126: 1, 133: 1, 134: 1, 138: 1, 147: 1, 149: 1, 150: 1, 152: 1, "
            "153: 1, 155: 1, 165: 1, 166: 1, 169: 1, 172: 1, 176: 1, 192: 1, 196: 1, 198: 1, 201: 1, 210: 1, 211: 1, 214: "
            "1, 219: 1, 222: 1, 223: 1, 226: 1, 233: 1, 235: 1, 236: 1, 246: 1, 249: 1, 257: 1, 258: 1, 263: 1, 264: 1, "
            "268: 1, 271: 1, 281: 1"
        ),
    ),
    "once_descending_2": (
        {"replacement": False, "order": "descending", "neighbours": 2},
        75,
        (
            "0: 1, 1: 1, 4: 1, 6: 1, 7: 1, 12: 1, 14: 1, 15: 1, 17: 1, 18: 1, 19: 1, 20: 1, 21: 1, 24: 1, 25: 1, 28: 1, 33: "
            "1, 34: 1, 37: 1, 38: 1, 39: 1, 42: 1, 43: 1, 44: 1, 47: 1, 48: 1, 50: 1, 51: 1, 53: 1, 54: 1, 55: 1, 56: 1, "
            "58: 1, 59: 1, 60: 1, 64: 1, 67: 1, 69: 1, 70: 1, 75: 1, 78: 1, 79: 1, 80: 1, 81: 1, 82: 1, 84: 1, 86: 1, 88: "
            "1, 89: 1, 92: 1, 93: 1, 94: 1, 95: 1, 99: 1, 100: 1, 101: 1, 102: 1, 104: 1, 105: 1, 107: 1, 108: 1, 110: 1, "
            "112: 1, 114: 1, 122: 1, 123: 1, 125: 1, 126: 1, 128: 1, 129: 1, 133: 1, 134: 1, 135: 1, 136: 1, 138: 1, 140: "
            "1, 147: 1, 149: 1, 150: 1, 151: 1, 152: 1, 153: 1, 155: 1, 157: 1, 161: 1, 164: 1, 165: 1, 166: 1, 169: 1, "
            "170: 1, 172: 1, 173: 1, 176: 1, 179: 1, 181: 1, 182: 1, 184: 1, 186: 1, 190: 1, 192: 1, 194: 1, 196: 1, 198: "
            "1, 199: 1, 200: 1, 201: 1, 204: 1, 207: 1, 210: 1, 211: 1, 212: 1, 214: 1, 215: 1, 216: 1, 219: 1, 220: 1, "
            "221: 1, 222: 1, 223: 1, 226: 1, 227: 1, 228: 1, 229: 1, 230: 1, 232: 1, 233: 1, 234: 1, 235: 1, 236: 1, 237: "
            "1, 238: 1, 241: 1, 242: 1, 246: 1, 249: 1, 250: 1, 252: 1, 255: 1, 257: 1, 258: 1, 262: 1, 263: 1, 264: 1, "
            "266: 1, 268: 1, 270: 1, 271: 1, 275: 1, 280: 1, 281: 1"
        ),
    ),
    "caliper": (
        {"caliper": 0.002},
        27,
        (
            "0: 1, 24: 1, 39: 1, 42: 1, 43: 1, 81: 1, 86: 1, 104: 1, 126: 1, 133: 1, 138: 2, 147: 1, 150: 1, 152: 1, 155: "
            "1, 169: 1, 172: 2, 201: 1, 226: 2, 233: 1, 235: 1, 246: 1, 249: 1, 271: 1"
        ),
    ),
    "caliper_3": (
        {"caliper": 0.005, "neighbours": 3},
        37,
        (
            "0: 4, 4: 1, 6: 1, 7: 2, 17: 1, 18: 1, 24: 1, 28: 2, 38: 1, 39: 2, 42: 2, 43: 1, 60: 1, 64: 1, 65: 1, 68: 1, "
            "75: 1, 81: 4, 86: 1, 88: 2, 95: 1, 99: 2, 102: 1, 104: 1, 110: 1, 122: 1, 125: 1, 126: 2, 133: 1, 138: 3, 147: "
            "2, 150: 1, 152: 1, 155: 1, 166: 1, 169: 1, 170: 1, 172: 2, 182: 2, 190: 1, 192: 2, 196: 1, 198: 1, 201: 1, "
            "210: 1, 211: 1, 216: 2, 219: 1, 222: 1, 226: 2, 233: 1, 235: 1, 238: 1, 240: 1, 246: 1, 249: 1, 250: 1, 268: "
            "1, 271: 2, 275: 1"
        ),
    ),
    "caliper_sd_index": (
        {"replacement": False, "order": "descending", "caliper": 0.2, "caliper_unit": "sd", "distance": "index"},
        46,
        (
            "0: 1, 17: 1, 21: 1, 24: 1, 28: 1, 34: 1, 37: 1, 39: 1, 42: 1, 43: 1, 44: 1, 59: 1, 70: 1, 81: 1, 82: 1, 86: 1, "
            "102: 1, 104: 1, 122: 1, 126: 1, 133: 1, 138: 1, 147: 1, 150: 1, 152: 1, 155: 1, 165: 1, 169: 1, 172: 1, 192: "
            "1, 196: 1, 201: 1, 210: 1, 211: 1, 214: 1, 222: 1, 223: 1, 226: 1, 233: 1, 235: 1, 236: 1, 246: 1, 249: 1, "
            "257: 1, 268: 1, 271: 1"
        ),
    ),
    "common": (
        {"support": "common"},
        60,
        (
            "0: 10, 17: 1, 24: 1, 34: 1, 39: 1, 42: 1, 43: 1, 59: 2, 81: 1, 82: 2, 86: 1, 102: 1, 104: 1, 122: 1, 126: 1, "
            "133: 1, 138: 2, 147: 2, 150: 1, 152: 1, 155: 1, 169: 1, 172: 2, 196: 2, 201: 1, 210: 1, 211: 1, 222: 1, 226: "
            "10, 233: 1, 235: 1, 246: 1, 249: 1, 257: 2, 271: 1"
        ),
    ),
    "mahalanobis_2": (
        {"distance": "mahalanobis", "neighbours": 2},
        75,
        (
            "0: 5, 6: 1, 15: 1, 17: 1, 18: 1, 19: 1, 20: 3, 21: 3, 24: 1, 29: 1, 37: 4, 38: 1, 40: 1, 43: 1, 44: 2, 47: 1, "
            "50: 2, 51: 1, 53: 1, 55: 3, 56: 1, 59: 3, 60: 1, 64: 1, 67: 1, 69: 4, 79: 1, 80: 1, 82: 1, 88: 1, 92: 1, 93: "
            "1, 100: 1, 102: 13, 105: 1, 107: 1, 108: 1, 112: 2, 114: 2, 121: 1, 122: 1, 126: 1, 128: 1, 133: 1, 140: 1, "
            "147: 4, 150: 1, 153: 2, 157: 1, 161: 1, 163: 1, 165: 1, 166: 1, 179: 1, 181: 1, 192: 1, 196: 1, 198: 1, 200: "
            "1, 201: 1, 204: 2, 214: 1, 215: 1, 216: 1, 219: 1, 221: 2, 222: 4, 223: 1, 226: 6, 228: 2, 234: 1, 235: 1, "
            "236: 3, 240: 1, 246: 4, 249: 2, 255: 1, 257: 14, 264: 1, 266: 1, 270: 1, 283: 1"
        ),
    ),
}


@pytest.fixture(scope="module")
def frame(shared: Path) -> pd.DataFrame:
    return pd.read_csv(shared / "oracles" / "did" / "panel_seed20240101.csv")


@pytest.fixture(scope="module")
def panel(frame: pd.DataFrame) -> Panel:
    year = frame[frame["year"] == 2005].sort_values("city")
    index = year["pop"] / year["pop"].std() + year["er"] / year["er"].std()
    return one_year(year, (index.rank(ascending=False) <= 75).to_numpy(float), COVARIATES)


def one_year(year: pd.DataFrame, treat: np.ndarray, names: tuple[str, ...]) -> Panel:
    columns = {name: year[[name]].to_numpy(float) for name in names}
    shape = (len(year), 1)
    return Panel(tuple(year["city"]), (2005,), {**columns, "treat": treat[:, None]}, {}, np.ones(shape))


@pytest.mark.parametrize("name", MATCHIT)
def test_controls_are_matched_as_often_as_in_matchit(panel: Panel, name: str) -> None:
    options, treated, times = MATCHIT[name]
    pairs = matched(panel, matching=Matching(COVARIATES, **options)).details["matching_pairs"]
    assert pairs["treated"].nunique() == treated
    found = pairs["control"].astype(int).value_counts().sort_index()
    assert ", ".join(f"{city}: {count}" for city, count in found.items()) == times


def test_scores_and_coefficients_are_those_of_glm(panel: Panel) -> None:
    sample = matched(panel, matching=Matching(COVARIATES))
    np.testing.assert_allclose(sample.columns["propensity_score"][:6, 0], SCORES, rtol=PRINTED)
    logit = sample.details["matching_logit"].set_index("term")["estimate"]
    np.testing.assert_allclose(logit[["constant", *COVARIATES]], GLM, rtol=50 * PRINTED)


def test_mahalanobis_distances_are_those_of_matchit(panel: Panel) -> None:
    """The distances of the first treated city to the first controls."""
    options = {"distance": "mahalanobis", "method": "radius", "caliper": 100.0}
    pairs = matched(panel, matching=Matching(COVARIATES, **options)).details["matching_pairs"]
    first = pairs[pairs["treated"] == pairs["treated"].iloc[0]].assign(city=lambda rows: rows["control"].astype(int))
    found = first.sort_values("city")["distance"].head(4)
    np.testing.assert_allclose(
        found, [2.41835193873568, 2.35845863497423, 1.35260758914189, 1.86544306999794], rtol=1e-10
    )


def test_the_logit_is_that_of_statsmodels(frame: pd.DataFrame) -> None:
    ever = frame.groupby("city")["treat"].transform("max")
    year = frame[frame["year"] == 2012]
    names = tuple(name for name in STATSMODELS if name != "constant")
    sample = matched(one_year(year, ever[year.index].to_numpy(float), names), matching=Matching(names, method="kernel"))
    found = sample.details["matching_logit"].set_index("term")["estimate"]
    np.testing.assert_allclose(found[list(STATSMODELS)], list(STATSMODELS.values()), rtol=1e-11)


def test_several_neighbours_are_those_of_scikit_learn(panel: Panel) -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    sample = matched(panel, matching=Matching(COVARIATES, neighbours=3, weighting="frequency"))
    score, treated = sample.columns["propensity_score"][:, 0], panel.columns["treat"][:, 0] > 0
    controls = np.flatnonzero(~treated)
    index = neighbors.NearestNeighbors(n_neighbors=3).fit(score[controls, None])
    chosen = controls[index.kneighbors(score[treated, None], return_distance=False)]
    expected = np.bincount(chosen.ravel(), minlength=score.size) / 3.0 + treated
    np.testing.assert_allclose(sample.weights[:, 0], expected, atol=1e-14)
