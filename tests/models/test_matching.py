"""The step and its options: weights, notes, frames and messages."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.errors import DataError, SpecError
from syneff.models.matching import Matching, matched
from syneff.panel.panel import Panel
from tests.panels import staggered

BOTH = ("a", "b")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return staggered(5, units=40, periods=4)


def of(panel: Panel, **options) -> Panel:
    return matched(panel, matching=Matching(**{"covariates": BOTH, **options}))


def scores_of(sample: Panel, year: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of a year, and who is ever treated."""
    return sample.columns["propensity_score"][:, year], sample.columns["treat"].max(axis=1) > 0


def test_sample_weights_are_the_support_of_frequency_weights(panel):
    frequency, sample = (of(panel, neighbours=2, weighting=each) for each in ("frequency", "sample"))
    np.testing.assert_array_equal(sample.weights, frequency.weights > 0)
    score, ever = scores_of(sample, 1)
    expected = ever.astype(float)
    for one in np.flatnonzero(ever):
        others = np.flatnonzero(~ever)
        expected[others[np.argsort(np.abs(score[others] - score[one]), kind="stable")[:2]]] += 0.5
    np.testing.assert_allclose(frequency.weights[:, 1], expected)
    # Every treated city is matched, and the controls together count as much.
    np.testing.assert_allclose(frequency.weights[~ever].sum(axis=0), ever.sum())
    assert f"N = {int((sample.weights > 0).sum())} of 160 rows, each counts 1" in sample.notes[0]
    assert "less balanced than the match" in " ".join(sample.notes)
    assert "by=pre_treatment avoids both" in " ".join(sample.notes)


def test_weights_of_the_panel_stay_factors_and_rows_out_of_it_are_not_matched(panel):
    weights = np.where(np.arange(40) == 7, 0.0, 2.0)[:, None] * panel.weights
    sample = of(panel.reweight(weights), neighbours=2)
    assert set(np.unique(sample.weights)) == {0.0, 2.0}
    gone = of(
        replace(panel, columns={**panel.columns, "a": np.where(weights == 0, np.nan, panel.columns["a"])}), neighbours=2
    )
    np.testing.assert_array_equal(gone.weights > 0, sample.weights > 0)
    assert "4 rows lack a covariate of the match" in " ".join(gone.notes)
    assert np.isnan(gone.columns["propensity_score"][7]).all()
    without = of(panel.assign({"y": np.where(weights == 0, np.nan, panel.columns["y"])}), neighbours=2, outcome="y")
    np.testing.assert_array_equal(without.weights, gone.weights)


def test_kernel_weights_sum_over_the_treated(panel):
    sample = of(panel, method="kernel", kernel="gaussian", bandwidth=0.1, weighting="frequency")
    score, ever = scores_of(sample, 2)
    height = np.exp(-0.5 * ((score[~ever][:, None] - score[ever][None, :]) / 0.1) ** 2)
    np.testing.assert_allclose(sample.weights[~ever, 2], (height / height.sum(axis=0)).sum(axis=1), rtol=1e-9)


def test_a_caliper_in_sd_is_that_of_all_rows(panel):
    sample = of(panel, method="radius", caliper=0.2, caliper_unit="sd", weighting="frequency")
    score, ever = scores_of(sample, 0)
    inside = np.abs(score[~ever][:, None] - score[ever][None, :]) <= 0.2 * score.std(ddof=1)
    expected = (inside / np.maximum(inside.sum(axis=0), 1)).sum(axis=1)
    np.testing.assert_allclose(sample.weights[~ever, 0], expected, rtol=1e-12)
    np.testing.assert_array_equal(sample.weights[ever, 0], inside.any(axis=0))


def test_before_adoption_a_city_is_matched_once_on_what_came_before(panel):
    sample = of(panel, by="pre_treatment", neighbours=2)
    assert (sample.weights == sample.weights[:, :1]).all()
    # The first adoption is in the third year.
    later = np.where(np.arange(4) >= 2, 9.0, panel.columns["a"])
    again = of(panel.assign({"a": later}), by="pre_treatment", neighbours=2)
    np.testing.assert_array_equal(again.weights, sample.weights)
    assert "by=pre_treatment avoids both" not in " ".join(sample.notes)
    assert set(sample.details["matching_balance"]["period"]) == {"all"}


def test_pooled_matches_are_from_any_year(panel):
    sample = of(panel, by="pooled")
    pairs = sample.details["matching_pairs"]
    assert (pairs["period"] != pairs["control_period"]).any()
    score = sample.columns["propensity_score"]
    ever = panel.columns["treat"].max(axis=1) > 0
    nearest = np.abs(score[~ever].ravel()[None, :] - score[ever].ravel()[:, None]).min(axis=1)
    np.testing.assert_allclose(np.sort(pairs["distance"]), np.sort(nearest), atol=1e-12)


def test_under_treatment_now_years_without_treated_rows_are_dropped_or_kept(panel):
    with pytest.raises(DataError, match=r"2000 has no treated row .1 more years cannot be matched.*treated=ever"):
        of(panel, treated="now")
    dropped, kept = (of(panel, treated="now", unmatched=each) for each in ("drop", "keep"))
    assert not dropped.weights[:, :2].any()
    np.testing.assert_array_equal(kept.weights[:, :2], panel.weights[:, :2])
    np.testing.assert_array_equal(kept.weights[:, 2:], dropped.weights[:, 2:])
    now = panel.columns["treat"] > 0
    assert (dropped.weights[now] == 1).all()
    said = " ".join(dropped.notes)
    assert "left out: 2000 has no treated row, 2001 has no treated row" in said
    assert "earlier years of treated cities are among the controls" in said


def test_balance_is_that_of_the_weights(panel):
    sample = of(panel, neighbours=2)
    frame = sample.details["matching_balance"].set_index(["period", "covariate"])
    ever = panel.columns["treat"].max(axis=1) > 0
    value, held = panel.columns["a"][:, 1], sample.weights[:, 1] > 0
    scale = np.sqrt((value[ever].var(ddof=1) + value[~ever].var(ddof=1)) / 2)
    row = frame.loc[("2001", "a")]
    assert row["difference_before"] == pytest.approx((value[ever].mean() - value[~ever].mean()) / scale)
    assert row["difference_after"] == pytest.approx((value[ever].mean() - value[~ever & held].mean()) / scale)
    assert row["variance_ratio_after"] == pytest.approx(value[ever].var(ddof=1) / value[~ever & held].var(ddof=1))
    frequency = of(panel, neighbours=2, weighting="frequency").weights[:, 1]
    mean = np.average(value[~ever], weights=frequency[~ever])
    assert row["difference_matched"] == pytest.approx((value[ever].mean() - mean) / scale)
    assert len(frame) == 2 * 5


def test_entropy_balancing_leaves_no_difference_of_means(panel):
    sample = of(panel, covariates=("a",), method="entropy", weighting="frequency")
    frame = sample.details["matching_balance"]
    np.testing.assert_allclose(frame["difference_after"], 0.0, atol=1e-9)
    assert abs(frame["difference_before"]).max() > 0.1
    assert "propensity_score" not in sample.columns


def test_frames_say_who_is_matched_and_how_far_scores_overlap(panel):
    sample = of(panel, neighbours=2, caliper=0.02)
    groups = sample.details["matching_groups"].set_index("period")
    pairs = sample.details["matching_pairs"]
    assert pairs["distance"].max() <= 0.02
    np.testing.assert_allclose(pairs.groupby(["period", "treated"])["share"].sum(), 1.0)
    assert groups["matched_treated"].to_dict() == pairs.groupby("period")["treated"].nunique().to_dict()
    assert groups["matched_controls"].to_dict() == pairs.groupby("period")["control"].nunique().to_dict()
    overlap = sample.details["matching_overlap"]
    np.testing.assert_allclose(overlap.groupby(["period", "group"])["share"].sum(), 1.0)
    score, ever = scores_of(sample, 3)
    rows = overlap[(overlap["period"] == "2003") & (overlap["group"] == "control")]
    np.testing.assert_array_equal(rows["rows"], np.histogram(score[~ever], np.linspace(0, 1, 21))[0])
    off = int((ever[:, None] & (sample.weights == 0)).sum())
    assert f"{off} treated rows are off the support or have no match" in " ".join(sample.notes)


def test_separation_names_year_and_covariates(panel):
    ever = panel.columns["treat"].max(axis=1) > 0
    apart = panel.columns["a"].copy()
    apart[:, 2] = np.where(ever, 10.0, -10.0) + apart[:, 2]
    with pytest.raises(DataError, match=r"matching: 2002 is separated: a tell .* unmatched=drop"):
        of(panel.assign({"a": apart}))
    # A line of both separates where neither does alone.
    line = panel.columns["b"].copy()
    line[:, 3] = np.where(ever, 0.4, -0.4) - panel.columns["a"][:, 3]
    with pytest.raises(DataError, match="2003 is separated: a and b tell"):
        of(panel.assign({"b": line}))
    left = of(panel.assign({"a": apart}), unmatched="drop")
    assert not left.weights[:, 2].any()
    assert left.details["matching_groups"]["status"].tolist() == ["ok", "ok", "separated", "ok"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"caliper": 1e-9}, "2000 has no match within the caliper of 1e-09 .3 more years cannot be matched.*Widen it"),
        ({"neighbours": 39}, r"2000 has \d+ controls, fewer than the 39 neighbours asked for"),
        ({"covariates": ("a", "nonsense")}, "unknown column 'nonsense'"),
        ({"covariates": ("a", "gone")}, "column gone has no value in the sample"),
        ({"treatment": "nobody"}, "no city is treated .nobody. in the sample"),
        ({"treatment": "all"}, "every city is treated .all. in the sample"),
        (
            {"treatment": "early", "by": "pre_treatment"},
            "needs years before the first adoption, .* treated cities in 2000",
        ),
    ],
)
def test_data_that_cannot_be_matched_are_one_message(panel, options, message):
    shape, treat = panel.shape, panel.columns["treat"]
    more = {"gone": np.full(shape, np.nan), "nobody": np.zeros(shape), "all": np.ones(shape)}
    early = np.repeat(treat.max(axis=1, keepdims=True), shape[1], axis=1)
    with pytest.raises(DataError, match=message):
        of(panel.assign({**more, "early": early}), **options)


def test_no_support_and_no_balance_are_said(panel):
    ever = panel.columns["treat"].max(axis=1) > 0
    # Treated lie on both sides of the controls, so the logit exists but means of a square cannot be balanced.
    far = np.where(ever[:, None], np.where(np.arange(40) % 2, 5.0, 6.0)[:, None], 0.1 * panel.columns["a"])
    with pytest.raises(DataError, match="2000 cannot be balanced: the means of the treated are beyond"):
        of(panel.assign({"a": far}), method="entropy", weighting="frequency")
    # All controls have one score, above those of the treated.
    flat = np.where(ever[:, None], np.arange(40)[:, None] % 3 - 1.0, np.zeros((40, 4)))
    with pytest.raises(DataError, match="2000 has no treated row on the support"):
        of(panel.assign({"a": np.where(ever[:, None] & (flat == 0), 1.0, flat)}), covariates=("a",), support="common")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "neerest"}, "unknown value for matching.method: 'neerest'. Did you mean 'nearest'"),
        ({"method": "kernel", "neighbours": 4}, "neighbours=4 belongs to method nearest, not to kernel"),
        ({"bandwidth": 0.1}, "bandwidth=0.1 belongs to method kernel"),
        ({"method": "radius"}, "radius needs a caliper"),
        ({"caliper": -1.0}, "caliper=-1.0 must be above 0"),
        ({"neighbours": 0}, "neighbours=0 must be 1 or more"),
        ({"ties": True, "replacement": False}, "ties=true needs replacement"),
        ({"order": "descending"}, "set replacement=false"),
        ({"order": "descending", "replacement": False, "distance": "mahalanobis"}, "needs a score"),
        ({"distance": "mahalanobis", "caliper": 1.0, "caliper_unit": "sd"}, "a Mahalanobis distance has none"),
        ({"caliper_unit": "sd"}, "caliper_unit=sd needs a caliper"),
        ({"method": "entropy"}, "weighting=sample would change nothing"),
        ({"method": "entropy", "weighting": "frequency", "moments": 3}, "unknown value for matching.moments: 3"),
        ({"by": "pre_treatment", "treated": "now"}, "matches cities, not years"),
        ({"support": "trim"}, "needs matching.trim"),
        ({"trim": 5.0}, "trim=5.0 needs matching.support=trim"),
        ({"support": "trim", "trim": 100.0}, "trim=100.0 must be a percentage"),
        ({"covariates": ("a", "a")}, "must be one or more different columns"),
        ({"covariates": ("a", "treat")}, "holds the treatment 'treat'"),
        ({"weighting": "weights"}, "unknown value for matching.weighting"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        Matching(**{"covariates": BOTH, **options})


def permuted(panel: Panel, order: list[int]) -> Panel:
    return replace(
        panel,
        units=tuple(panel.units[each] for each in order),
        columns={name: values[order] for name, values in panel.columns.items()},
        traits={name: values[order] for name, values in panel.traits.items()},
        weights=panel.weights[order],
    )


@pytest.mark.parametrize(
    "options",
    [{"neighbours": 2}, {"neighbours": 2, "replacement": False}, {"ties": True}, {"method": "radius", "caliper": 0.1}],
)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_the_order_of_units_does_not_matter(options, data):
    """Covariates of few values, so that ties abound."""
    few = st.lists(st.integers(0, 2), min_size=32, max_size=32)
    columns = {name: np.reshape(data.draw(few, name), (16, 2)).astype(float) for name in BOTH}
    treat = np.repeat((np.arange(16) % 3 == 0).astype(float)[:, None], 2, axis=1)
    panel = Panel(
        tuple(f"c{each:02d}" for each in range(16)), (2000, 2001), {**columns, "treat": treat}, {}, np.ones((16, 2))
    )
    order = data.draw(st.permutations(range(16)), "order")
    chosen = Matching(BOTH, weighting="frequency", unmatched="drop", **options)
    try:
        expected = matched(panel, matching=chosen).weights
    except DataError:
        return
    np.testing.assert_allclose(matched(permuted(panel, order), matching=chosen).weights, expected[order], atol=1e-13)


def test_the_frames_can_be_stored(panel, tmp_path):
    for name, frame in of(panel, by="pooled").details.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), frame, check_dtype=False)
