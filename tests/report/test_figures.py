"""What is drawn is read back from the marks, not from pictures."""

import math

import numpy as np
import pytest
from matplotlib.axes import Axes

from syneff.report import figures
from syneff.report.exhibits import event_study, placebo
from syneff.report.figures import Figure
from syneff.report.tidy import Cell, collect
from tests.report import results


def cell_of(stored: results.Stored) -> Cell:
    return next(iter(collect(*stored).values()))[0]


@pytest.fixture
def event_figure() -> Figure:
    made = event_study(cell_of(results.stored(results.figure01())))
    assert made is not None
    return made


@pytest.fixture
def placebo_figure() -> Figure:
    made = placebo(cell_of(results.stored(results.figure02(), draws={"figure02_1": results.placebo_draws()})))
    assert made is not None
    return made


def words(figure: Figure) -> str:
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return " | ".join(texts + [axes.get_title(loc="right") for axes in figure.axes])


def marks(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    lines = [line for line in axes.lines if line.get_label() == label]
    assert len(lines) == 1
    return list(lines[0].get_xdata()), list(lines[0].get_ydata())


def test_event_study_draws_every_estimate_with_its_interval(event_figure: Figure) -> None:
    frame = results.figure01()[0].iloc[:11]
    (container,) = event_figure.axes[0].containers
    points, _, (bars,) = container
    np.testing.assert_allclose(points.get_ydata().astype(float), frame["estimate"])
    assert list(points.get_xdata()) == [-5, -4, -3, -2, 0, 1, 2, 3, 4, 5, 6]
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, frame[["conf_low", "conf_high"]])


def test_event_study_draws_the_base_at_zero_without_interval(event_figure: Figure) -> None:
    assert marks(event_figure.axes[0], "Base period") == ([-1], [0.0])


def test_event_study_draws_the_truth_as_hollow_marks(event_figure: Figure) -> None:
    axes = event_figure.axes[0]
    times, values = marks(axes, "Truth of the synthetic panel")
    assert [round(time) for time in times] == [-5, -4, -3, -2, 0, 1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(values[4:], [0.02, 0.026, 0.032, 0.038, 0.044, 0.045, 0.045])
    (line,) = [line for line in axes.lines if line.get_label() == "Truth of the synthetic panel"]
    assert line.get_markerfacecolor() == "none"


def test_event_study_says_pooled_ends_support_and_pre_trend(event_figure: Figure) -> None:
    ticks = [label.get_text() for label in event_figure.axes[0].get_xticklabels()]
    assert ticks[0] == "≤ \N{MINUS SIGN}5"
    assert ticks[-1] == "≥ 6"
    assert "75 | 75" in words(event_figure)
    assert "45" in words(event_figure)
    assert "p = 0.291" in words(event_figure)
    assert "synthetic panel" in words(event_figure)
    assert event_figure.axes[0].get_ylabel() == "Effect on Synergy"


def test_event_study_of_a_real_panel_has_no_truth_and_is_not_called_synthetic() -> None:
    frame, facts = results.figure01()
    made = event_study(cell_of(results.stored((frame, {**facts, "truth": None, "source": "csv: a.csv", "stats": {}}))))
    assert made is not None
    assert "synthetic" not in words(made)
    assert "Truth of the synthetic panel" not in made.axes[0].get_legend_handles_labels()[1]


def test_placebo_draws_density_points_and_the_real_estimate(placebo_figure: Figure) -> None:
    draws = results.placebo_draws()
    top, bottom = placebo_figure.axes
    grid, height = marks(top, "Density of placebo estimates")
    assert np.trapezoid(height, grid) == pytest.approx(1, abs=0.01)
    points = next(line for line in bottom.lines if len(line.get_xdata()) == len(draws))
    np.testing.assert_array_equal(points.get_xdata(), draws["estimate"])
    np.testing.assert_array_equal(points.get_ydata(), draws["p_value"])
    assert marks(top, "Real estimate: 0.051")[0] == [0.0512, 0.0512]
    assert marks(bottom, "Real estimate: 0.051")[0] == [0.0512, 0.0512]
    assert "p = 0.001" in words(placebo_figure)
    assert "500 draws" in words(placebo_figure)
    assert "synthetic panel" in words(placebo_figure)


def test_placebo_counts_draws_that_failed() -> None:
    draws = results.placebo_draws(10)
    draws.loc[3, "estimate"] = math.nan
    assert "9 draws (1 failed)" in words(figures.placebo(draws, estimate=0.05))


def test_placebo_without_spread_has_no_density() -> None:
    made = figures.placebo(results.placebo_draws(10).assign(estimate=0.01), estimate=0.05)
    assert "Density of placebo estimates" not in [line.get_label() for line in made.axes[0].lines]
    assert figures.render(made, "svg")


def test_a_cell_without_events_or_draws_has_no_figure() -> None:
    cell = cell_of(results.stored(results.table03("1")))
    assert event_study(cell) is None
    assert placebo(cell) is None


@pytest.mark.parametrize("kind", figures.KINDS)
def test_equal_figures_have_equal_bytes(kind: str) -> None:
    stored = results.stored(results.figure02(), draws={"figure02_1": results.placebo_draws()})
    first, second = (placebo(cell_of(stored)) for _ in range(2))
    assert first is not None
    assert second is not None
    content = figures.render(first, kind)
    assert content == figures.render(second, kind)
    assert content.startswith({"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[kind])
