"""Table and figure of sensitivity to trends that are not parallel: from numbers that were chosen."""

import numpy as np
import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report.figures import render
from syneff.report.figures.sensitivity import sensitivity as drawing
from syneff.report.tidy import Cell
from syneff.report.trends import bounds, sensitivity
from tests.report import results

NO_PAPER = pd.DataFrame(columns=["cell", "table", "column", "outcome", "term", "estimate", "t", "stars", "n", "adj_r2"])
ROWS = [
    ("original", "first", np.nan, "normal", 0.01, 0.03, 0.02, 0.02),
    ("relative_magnitudes", "first", 0.0, "C-LF", 0.01, 0.03, 0.02, 0.02),
    ("relative_magnitudes", "first", 1.0, "C-LF", -0.004, 0.044, 0.005, 0.035),
    ("relative_magnitudes", "first", 2.0, "C-LF", np.nan, np.nan, -0.01, 0.05),
    ("smoothness", "first", 0.0, "FLCI", 0.012, 0.03, np.nan, np.nan),
    ("smoothness", "first", 0.0125, "FLCI", -0.002, 0.05, 0.01, 0.04),
]
CURVE = ["kind", "target", "bound", "method", "conf_low", "conf_high", "identified_low", "identified_high"]


def cell(details: bool = True) -> Cell:
    rows = [
        results.row("event[-2]", 0.001, 0.004, 0.8),
        results.row("event[0]", 0.02, 0.005, 0.0001),
        results.check_row("pre_trend", 0.78),
        results.check_row("breakdown:relative_magnitudes:first", np.nan, statistic=0.85),
        results.check_row("breakdown:smoothness:first", np.nan, statistic=0.0112),
        results.check_row("slope_detected[0.8]", np.nan, statistic=0.0051),
        {**results.check_row("equivalence_max", np.nan, statistic=0.004), "conf_low": -0.0156, "conf_high": 0.0156},
    ]
    frames = {
        "sensitivity": pd.DataFrame(ROWS, columns=CURVE),
        "breakdown": pd.DataFrame(
            [("relative_magnitudes", "first", 0.85, 1.3), ("smoothness", "first", 0.0112, 0.02)],
            columns=["kind", "target", "breakdown", "breakdown_identified"],
        ),
    }
    frame = results.tidy("made", "1", rows)
    return Cell("made_1", "made", "1", frame, results.manifest("made", "1"), None, frames if details else {})


def test_a_line_a_bound():
    table = bounds([cell()], title="Sensitivity", paper=NO_PAPER)
    found = {line.label: line.cells[0] for line in table.lines}
    assert found == {
        "First period: parallel trends": "[0.010, 0.030]",
        "Relative magnitudes, 0": "[0.010, 0.030]",
        "Relative magnitudes, 1": "[-0.004, 0.044]",
        "Relative magnitudes, 2": "",
        "Relative magnitudes, breakdown": "0.850",
        "Smoothness, 0": "[0.012, 0.030]",
        "Smoothness, 0.0125": "[-0.002, 0.050]",
        "Smoothness, breakdown": "0.011",
        "Joint pre-trend test, p": "0.780",
        "Pre-trends are within (equivalence)": "0.016",
        "Their mean is within (equivalence)": "",
        "Slope detected with power 0.8": "0.005",
    }


def test_other_cells_are_refused():
    with pytest.raises(SpecError, match=r"cell .made_1. has no robust intervals\. Use estimator=sensitivity"):
        bounds([cell(details=False)], title="Sensitivity", paper=NO_PAPER)
    assert sensitivity(cell(details=False)) is None


def test_each_interval_is_drawn_where_its_bound_is():
    figure = sensitivity(cell())
    assert figure is not None
    relative, smooth = figure.axes
    assert "$\\bar{M}$" in relative.get_xlabel()
    sets, robust, original = relative.collections
    np.testing.assert_allclose([path.vertices[:, 0] for path in sets.get_paths()], [[0, 0], [1, 1], [2, 2]])
    np.testing.assert_allclose([path.vertices[:, 1] for path in robust.get_paths()], [[0.01, 0.03], [-0.004, 0.044]])
    np.testing.assert_allclose(original.get_paths()[0].vertices[:, 1], [0.01, 0.03])
    assert original.get_paths()[0].vertices[0, 0] < 0
    assert relative.get_title(loc="right") == "synthetic panel · breakdown value 0.85"
    assert smooth.get_title(loc="right") == "breakdown value 0.0112"
    assert render(figure, "svg") == render(sensitivity(cell()), "svg")


def test_breakdown_values_that_are_not_numbers_are_worded():
    made = cell()
    broken = made.details["breakdown"].assign(breakdown=[0.0, np.inf])
    figure = drawing(made.details["sensitivity"], broken, targets={"first": "First period"})
    said = [axes.get_title(loc="right") for axes in figure.axes]
    assert said == ["not significant under parallel trends", "no breakdown value found"]
