"""The exhibit of a multiverse, of hand-made specifications."""

import numpy as np
import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report.multiverse import axes, curve, multiverse, specifications
from syneff.report.tidy import collect
from tests.report import results

AXES = ("measure", "creff.returns", "transform", "sample", "outcome", "controls")


def cell(count=8, controls=("a", "none")):
    number = np.arange(count)
    frame = pd.DataFrame(dict.fromkeys(AXES, "one"), index=number)
    frame["sample"] = np.where(number % 2 == 0, "all", "late")
    frame["controls"] = [controls[at % len(controls)] for at in number]
    frame = frame.assign(estimate=0.2 * number - 0.3, std_error=0.1, sd=2.0, default=number == 3, message="")
    frame = frame.assign(statistic=frame["estimate"] / 0.1, p_value=np.where(number > 5, 0.01, 0.5))
    frame = frame.assign(
        standardised=frame["estimate"] / 2, conf_low=frame["estimate"] - 0.2, conf_high=frame["estimate"] + 0.2
    )
    rows = [{**results.BLANK, "term": "shapley:sample", "estimate": 0.25}, results.check_row("joint_median", 0.02, 0.2)]
    stored = results.stored((results.tidy("multiverse", "1", rows), results.manifest("multiverse", "1")))
    return collect(*stored, {"multiverse_1": {"specifications": frame}})["multiverse"][0]


def lines(table):
    return {line.term: line.cells for line in table.lines}


def test_a_line_a_choice_and_the_joint_tests():
    found = lines(multiverse([cell()], title="T", paper=pd.DataFrame()))
    # Standardised effects are -0.15, -0.05, ..., 0.55.
    assert found["all"][:2] == ("8", "0.200")
    assert found["all"][4:6] == ("75 %", "25 %")
    assert found["sample=all"][:2] == ("4", "0.150")
    assert found["sample=late"][:2] == ("4", "0.250")
    assert found["sample"][-1] == "25.0 %"
    assert "p = 0.020" in found["joint_median"][5]
    assert "outcome" not in found


def test_many_sets_of_controls_are_told_by_their_number():
    words = ["none", *(" ".join("abcdefghijklm"[:size]) for size in range(1, 14))]
    rows = specifications([cell(28, tuple(words))])
    assert {"0 controls", "1 control", "13 controls"} <= set(rows["controls"])


def test_an_option_is_an_axis_of_the_table_and_the_figure_and_cells_may_have_different_ones():
    one, two = cell(), cell()
    frame = two.details["specifications"]
    frame.insert(1, "returns", np.where(frame.index < 4, "crs", "vrs"))
    del frame["creff.returns"]
    rows = specifications([one, two])
    assert list(rows.columns[:3]) == ["measure", "creff.returns", "transform"]
    assert axes(rows)["creff.returns"] == "Creff: returns"
    assert list(rows["returns"].unique()) == ["-", "crs", "vrs"]
    assert list(rows["creff.returns"].unique()) == ["one", "-"]
    found = lines(multiverse([one, two], title="T", paper=pd.DataFrame()))
    assert [found[f"returns={each}"][0] for each in ("-", "crs", "vrs")] == ["8", "4", "4"]
    labels = [each.get_text() for each in curve([one, two]).axes[1].get_yticklabels()]
    assert {"Returns: crs", "Creff: returns: one"} <= set(labels)


def test_labels_of_the_users_own_are_no_lists_of_controls():
    own = cell(28, tuple(f"set no {at}" for at in range(14)))
    own.manifest["config"]["estimator"]["controls"] = {f"set no {at}": ["pop"] for at in range(14)}
    assert set(specifications([own])["controls"]) == {f"set no {at}" for at in range(14)}


def test_the_curve_shows_the_default_and_few_of_many():
    figure = curve([cell(1000)])
    marks = figure.axes[0].containers
    shown = sum(len(each.lines[0].get_xdata()) for each in marks)
    assert 400 <= shown <= 401
    assert "of 1,000 specifications" in figure.axes[0].get_title(loc="right")
    assert [each.get_label() for each in marks] == ["Estimate, 95 % interval", "The default"]


def test_other_cells_are_refused():
    with pytest.raises(SpecError, match="estimator=multiverse"):
        multiverse(collect(*results.stored(results.table03("1")))["table03"], title="T", paper=pd.DataFrame())
