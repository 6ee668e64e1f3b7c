"""Tables and figures of groups, omitted variables and moderators: from numbers that were chosen."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report.exhibits import Exhibit
from syneff.report.figures import Figure, render
from syneff.report.heterogeneity import contrasts
from syneff.report.robustness import left_out, moderation, omitted_contours, omitted_variables
from syneff.report.tables import plain
from syneff.report.tidy import Cell, collect
from tests.report import results

NO_PAPER = pd.DataFrame(columns=["cell", "table", "column", "outcome", "term", "estimate", "t", "stars", "n", "adj_r2"])


def cell_of(
    rows: list[dict[str, Any]], details: dict[str, pd.DataFrame], estimator: dict[str, Any] | None = None, **facts: Any
) -> Cell:
    manifest = results.manifest("made", "1", **facts)
    config = {**manifest["config"], "estimator": {**manifest["config"]["estimator"], **(estimator or {})}}
    variables = {**results.LABELS, "key": {"label": "Key city", "label_zh": "", "unit": "-"}}
    made = {**manifest, "config": config, "variables": variables}
    stored = results.stored((results.tidy("made", "1", rows), made))
    return collect(*stored, {"made_1": details})["made"][0]


def of_group(group: str, estimate: float, p_value: float) -> pd.DataFrame:
    rows = [
        results.row("treat", estimate, 0.01, p_value),
        results.row("pop", 0.02, 0.005, 0.0),
        results.row("constant[xtreg]", 0.4, 0.1, 0.0),
    ]
    return pd.DataFrame(rows).assign(group=group)


@pytest.fixture
def split() -> Cell:
    rows = [
        results.row("treat[key=1]", 0.05, 0.01, 0.0001),
        results.row("treat[key=0]", 0.02, 0.01, 0.06),
        results.row("difference:1-0", 0.03, 0.0141, 0.034),
        results.check_row("wald_difference", 0.034),
        results.check_row("z_difference", 0.0335),
        results.check_row("fisher_permutation", 0.051),
    ]
    fits = pd.DataFrame(
        {"group": ["1", "0"], "nobs": [1462.0, 3366.0], "n_units": [86.0, 198.0], "r2_xtreg_adjusted": [0.3, 0.2]}
    )
    details = {"groups": pd.concat([of_group("1", 0.05, 0.0001), of_group("0", 0.02, 0.06)]), "fits": fits}
    truth = {"coefficients": {"treat": 0.04}, "note": "", "parts": {"treat[key=1]": 0.046, "treat[key=0]": 0.031}}
    return cell_of(rows, details, truth=truth)


def line(table: Any, term: str, kind: str) -> tuple[str, ...]:
    found = [each.cells for each in table.lines if each.term == term and each.kind == kind]
    assert len(found) == 1, (term, kind)
    return tuple(found[0])


def test_groups_stand_side_by_side_with_truth_and_paper(split: Cell) -> None:
    values = ["made_1", "table11", "1", "syeff", "treat[key=1]", 0.022, 2.474, 2, 1456, 0.316]
    paper = pd.DataFrame([values], columns=NO_PAPER.columns)
    table = contrasts([split], title="Table 11", paper=paper)
    assert table.header == ("Key city = 1", "Key city = 0")
    assert line(table, "treat", "estimate") == ("0.050***", "0.020*")
    assert line(table, "treat", "t") == ("(5.000)", "(2.000)")
    assert line(table, "treat", "truth") == ("0.046", "0.031")
    assert line(table, "treat", "paper") == ("0.022**", "")
    assert line(table, "treat", "paper_t") == ("(2.474)", "")
    assert line(table, "pop", "estimate") == ("0.020***", "0.020***")
    assert line(table, "nobs", "statistic") == ("1,462", "3,366")
    assert line(table, "n", "paper") == ("1,456", "")
    assert line(table, "r2_xtreg_adjusted", "statistic") == ("0.300", "0.200")
    assert line(table, "difference_estimate", "estimate") == ("0.030**", "")
    assert line(table, "difference_wald_difference", "statistic") == ("0.034", "")
    assert line(table, "difference_fisher_permutation", "statistic") == ("0.051", "")
    assert not {"truth", "paper", "paper_t"} & {each.kind for each in plain(table).lines}


def test_several_groups_have_a_block_a_pair_and_one_for_all() -> None:
    names = ("2", "1", "0")
    pairs = ("2-1", "2-0", "1-0")
    rows = [results.row(f"treat[key={name}]", 0.01 * int(name), 0.01, 0.2) for name in names]
    rows += [results.row(f"difference:{pair}", 0.01, 0.01, 0.2) for pair in pairs]
    rows += [results.check_row("wald_difference", 0.31), results.check_row("fisher_permutation", 0.32)]
    rows += [results.check_row(f"{test}:{pair}", 0.4) for pair in pairs for test in ("wald_difference", "z_difference")]
    fits = pd.DataFrame({"group": names, "nobs": 10.0, "n_units": 5.0})
    cell = cell_of(rows, {"groups": pd.concat([of_group(name, 0.01, 0.2) for name in names]), "fits": fits})
    table = contrasts([cell], title="", paper=NO_PAPER)
    labels = [each.label for each in table.lines if each.term == "difference_estimate"]
    assert labels == [f"Difference {pair}" for pair in pairs]
    waldlines = [each.cells for each in table.lines if each.term == "difference_wald_difference"]
    assert waldlines == [("0.400", "", "")] * 3 + [("0.310", "", "")]


def test_the_interaction_form_shows_its_one_regression() -> None:
    rows = [
        results.row("treat[key=1]", 0.05, 0.01, 0.0001),
        results.row("treat[key=0]", 0.02, 0.01, 0.06),
        results.row("difference:1-0", 0.03, 0.0141, 0.034),
        results.row("pop", 0.02, 0.005, 0.0),
        results.check_row("wald_difference", 0.034),
    ]
    table = contrasts([cell_of(rows, {})], title="", paper=NO_PAPER)
    assert table.header == ("Key city = 1 (interaction)", "Key city = 0 (interaction)")
    assert line(table, "treat", "estimate") == ("0.050***", "0.020*")
    assert line(table, "pop", "estimate") == ("0.020***", "")
    assert "z_difference" not in {each.term for each in table.lines}


@pytest.fixture
def omitted() -> Cell:
    rows = [
        results.row("treat", 0.04, 0.01, 0.0001),
        results.row("treat[1x pop]", 0.03, 0.01, 0.003),
        results.row("treat[2x pop]", 0.02, 0.01, 0.06),
        {**results.omitted("treat[uncontrolled]"), "estimate": 0.07},
        {**results.omitted("treat[oster]"), "estimate": 0.024},
        results.check_row("partial_r2", np.nan, 0.0264),
        results.check_row("robustness_value", np.nan, 0.15),
        results.check_row("robustness_value_alpha", np.nan, 0.09),
        results.check_row("oster_delta", np.nan, 2.03),
    ]
    axis = np.linspace(0, 0.3, 5)
    across, up = (each.ravel() for each in np.meshgrid(axis, axis))
    grid = pd.DataFrame({"r2_treatment": across, "r2_outcome": up, "estimate": 0.04 - across * up, "statistic": 1.0})
    bounds = pd.DataFrame({"benchmark": "pop", "multiple": [1.0, 2.0], "r2_treatment": [0.05, 0.1]})
    bounds = bounds.assign(r2_outcome=[0.05, np.nan], estimate=[0.03, 0.02])
    return cell_of(rows, {"contours": grid, "bounds": bounds}, stats={"robustness_value": 0.15})


def test_omitted_variables_are_laid_out(omitted: Cell) -> None:
    table = omitted_variables([omitted], title="", paper=NO_PAPER)
    assert line(table, "", "estimate") == ("0.040***",)
    assert line(table, "[oster]", "estimate") == ("0.024",)
    assert line(table, "[2x pop]", "estimate") == ("0.020*",)
    assert line(table, "robustness_value", "statistic") == ("15.00%",)
    assert line(table, "oster_delta", "statistic") == ("2.030",)


def test_contours_show_estimate_value_and_benchmarks_within_reach(omitted: Cell) -> None:
    made = omitted_contours(omitted)
    assert made is not None
    axes = made.axes[0]
    drawn = {each.get_label(): (list(each.get_xdata()), list(each.get_ydata())) for each in axes.lines}
    assert drawn["As estimated: 0.040"] == ([0], [0])
    assert drawn["Robustness value: 15.0%"] == ([0.15], [0.15])
    assert drawn["Multiples of a control"] == ([0.05], [0.05])
    assert [text.get_text() for text in axes.texts if "pop" in text.get_text()] == ["1x pop (0.03)"]
    assert render(made, "svg")


def test_groups_left_out_are_drawn_in_order() -> None:
    frame = pd.DataFrame({"group": ["A", "B", "C"], "estimate": [0.05, np.nan, 0.03]})
    frame = frame.assign(conf_low=frame["estimate"] - 0.02, conf_high=frame["estimate"] + 0.02)
    cell = cell_of([results.row("treat", 0.04, 0.01, 0.0001)], {"left_out": frame}, {"by": "province"})
    made = left_out(cell)
    assert isinstance(made, Figure)
    axes = made.axes[0]
    (container,) = axes.containers
    np.testing.assert_allclose(container[0].get_xdata().astype(float), [0.03, 0.05])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["C", "A"]
    assert "1 without an estimate" in axes.get_title(loc="right")
    assert axes.get_xlabel() == "Estimate without the province on the left"
    assert left_out(cell_of([results.row("treat", 0.04, 0.01, 0.0001)], {})) is None


def test_a_moderator_shows_kernel_line_bins_and_support() -> None:
    x = np.linspace(0.0, 1.0, 5)
    curve = pd.DataFrame({"moderator": x, "kernel": x**2, "kernel_low": x**2 - 0.1, "kernel_high": x**2 + 0.1})
    curve = curve.assign(linear=x, linear_low=x - 0.2, linear_high=x + 0.2)
    bins = pd.DataFrame({"median": [0.2, 0.8], "estimate": [0.1, 0.6], "conf_low": [0.0, 0.5], "conf_high": [0.2, 0.7]})
    support = pd.DataFrame({"low": [0.0, 0.5], "high": [0.5, 1.0], "treated": [1.0, 3.0], "others": [4.0, 4.0]})
    rows = [results.row("treat", 0.04, 0.01, 0.0001), results.check_row("linearity", 0.0123)]
    cell = cell_of(rows, {"curve": curve, "bins": bins, "support": support}, {"by": "pop"})
    made = moderation(cell)
    assert isinstance(made, Figure)
    top, bottom = made.axes
    lines = {each.get_label(): list(each.get_ydata()) for each in top.lines}
    np.testing.assert_allclose(lines["Kernel, 95 % bootstrap interval"], x**2)
    np.testing.assert_allclose(lines["Linear, 95 % interval"], x)
    np.testing.assert_allclose([bar.get_height() for bar in bottom.patches], [0.25, 0.75, -0.5, -0.5])
    assert bottom.get_xlabel() == "Population density"
    assert "test of linearity: p = 0.012" in top.get_title(loc="right")
    assert moderation(cell_of(rows, {})) is None


def test_cells_of_other_estimators_are_refused(omitted: Cell, split: Cell) -> None:
    with pytest.raises(SpecError, match="Use estimator=contrast"):
        Exhibit("made", "Table 11", table=contrasts).make_table([omitted])
    with pytest.raises(SpecError, match="Use estimator=omitted_variables"):
        Exhibit("made", "Sensitivity", table=omitted_variables).make_table([split])
