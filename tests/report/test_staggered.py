"""The exhibit of estimators under staggered adoption, of hand-made results."""

import pandas as pd
import pytest

from syneff.report.figures import MINUS
from syneff.report.staggered import event_studies, overall_effects
from syneff.report.tidy import collect
from tests.report import results


def cell(column, estimator, rows, **options):
    manifest = results.manifest("staggered", column)
    spec = manifest["config"]["estimator"]["spec"]
    manifest["config"]["estimator"] = {"_target_": f"syneff.models.x.{estimator}", "spec": spec, **options}
    manifest["truth"] = {"coefficients": {"treat": 0.04, "event[0]": 0.05}, "parts": {"total": 0.042}}
    return results.tidy("staggered", column, rows), manifest


def events(shift=0.0):
    return [results.row(f"event[{time}]", 0.01 * time + shift, 0.02, 0.5) for time in (-2, 0, 1)]


def cells():
    early = results.row("event[-3]", 0.1, 0.1, 0.3)
    found = [
        cell("1", "FixedEffects", [results.row("treat", 0.05, 0.01, 0.001)]),
        cell("2", "CallawaySantAnna", [results.row("treat", 0.03, 0.02, 0.2), early, *events()], control_group="never"),
        cell("3", "CallawaySantAnna", [results.row("treat", 0.02, 0.02, 0.3)], control_group="not_yet"),
        cell("4", "EventStudy", [*events(0.1), results.check_row("pre_trend", 0.321)]),
        cell("5", "SunAbraham", [results.row("treat", 0.07, 0.02, 0.3)]),
    ]
    return collect(*results.stored(*found))["staggered"]


def test_a_line_an_estimator_under_its_name_and_what_tells_it_apart():
    table = overall_effects(cells(), title="T", paper=pd.DataFrame(columns=["cell", "term", "estimate", "t", "stars"]))
    labels = [line.label for line in table.lines]
    assert labels == [
        "Two-way fixed effects",
        "Callaway and Sant'Anna (never treated)",
        "Callaway and Sant'Anna (not yet treated)",
        "Two-way event study",
        "Sun and Abraham",
    ]
    assert [line.cells[0] for line in table.lines] == ["0.050***", "0.030", "0.020", "", "0.070"]
    assert table.lines[0].cells[2] == "[0.030, 0.070]"
    assert [line.cells[4] for line in table.lines] == ["", "", "", "0.321", ""]
    assert table.lines[0].cells[5:] == ("284", "4,828")


def test_a_regression_and_a_mean_effect_have_a_truth_each_an_effect_through_controls_none():
    table = overall_effects(cells(), title="T", paper=pd.DataFrame(columns=["cell", "term", "estimate", "t", "stars"]))
    assert [line.cells[3] for line in table.lines] == ["0.040", "", "", "", "0.042"]


def test_event_studies_stand_side_by_side():
    figure = event_studies(cells())
    axes = figure.axes[0]
    marks = {container.get_label(): container.lines[0].get_xdata() for container in axes.containers}
    assert set(marks) == {"Callaway and Sant'Anna (never treated)", "Two-way event study"}
    left, right = marks.values()
    # Event time -3, which the other does not reach, is not drawn.
    assert [round(float(each)) for each in left] == [-2, 0, 1]
    assert (left != right).all()
    assert [text.get_text() for text in axes.get_xticklabels()][:2] == [f"{MINUS}2", f"{MINUS}1"]


def test_without_event_times_nothing_is_drawn():
    assert event_studies(cells()[:1]) is None


@pytest.mark.parametrize("count", [1, 9])
def test_any_number_of_estimators_is_drawn(count):
    found = [cell(str(at), "EventStudy", events(at)) for at in range(count)]
    assert len(event_studies(collect(*results.stored(*found))["staggered"]).axes[0].containers) == count
