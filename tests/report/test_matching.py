"""Table and figures of a match, from frames whose numbers were chosen."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report import figures
from syneff.report.matching import balance, matching_figures
from syneff.report.tidy import Cell, collect, published
from tests.report import results

STAGES = ("before", "matched", "after")


def balance_rows() -> pd.DataFrame:
    rows = []
    for period, factor in (("2004", 1.5), ("2005", 0.5), ("all", 1.0)):
        for covariate, label, sizes in (
            ("pop", "Density", (0.6, -0.05, 0.3)),
            ("gov", "Government", (-0.8, 0.02, -0.1)),
        ):
            differences = {f"difference_{stage}": factor * size for stage, size in zip(STAGES, sizes, strict=True)}
            ratios = {f"variance_ratio_{stage}": 1.0 + number for number, stage in enumerate(STAGES)}
            rows.append({"period": period, "covariate": covariate, "label": label, **differences, **ratios})
    return pd.DataFrame(rows)


def overlap_rows() -> pd.DataFrame:
    edges = [0.0, 0.5]
    shares = {"treated": (0.25, 0.75), "control": (0.9, 0.1), "matched": (0.3, 0.7)}
    return pd.DataFrame(
        [
            {"period": period, "group": group, "left": left, "right": left + 0.5, "rows": 4, "share": share}
            for period in ("2004", "2005")
            for group, both in shares.items()
            for left, share in zip(edges, both, strict=True)
        ]
    )


def cell() -> Cell:
    groups = pd.DataFrame(
        {
            "period": ["2004", "2005"],
            "matched_treated": [75, 74],
            "matched_controls": [100, 90],
            "effective_controls": [41.5, 40.0],
        }
    )
    details = {"matching_balance": balance_rows(), "matching_overlap": overlap_rows(), "matching_groups": groups}
    return replace(collect(*results.stored(results.table03("1")))["table03"][0], details=details)


def test_the_table_has_differences_ratios_and_counts() -> None:
    table = balance([cell()], title="Balance", paper=published(None, [cell()]))
    assert table.header == ("(1) before", "(1) matched", "(1) regression")
    lines = {line.term: line for line in table.lines}
    assert lines["difference:pop"].label == "Density"
    assert lines["difference:pop"].cells == ("0.600", "-0.050", "0.300")
    assert lines["variance_ratio:gov"].cells == ("1.000", "2.000", "3.000")
    assert lines["matched_treated"].cells == ("", "149", "")
    assert lines["effective_controls"].cells == ("", "82", "")
    assert "Synthetic panel" in " ".join(table.notes)
    assert len(table.numbers) == 6


def test_a_cell_that_was_not_matched_has_no_balance_and_no_figure() -> None:
    plain = replace(cell(), details={})
    assert matching_figures(plain) is None
    with pytest.raises(SpecError, match=r"'table03_1' was not matched. Add the step"):
        balance([plain], title="", paper=published(None, [plain]))


def test_the_love_plot_draws_every_stage_of_all_years_and_each_year_faintly() -> None:
    love, _ = matching_figures(cell()) or ()
    (axes,) = love.axes
    # From below: the covariate that differs least before matching.
    assert [text.get_text() for text in axes.get_yticklabels()] == ["Density", "Government"]
    drawn = {line.get_label(): line for line in axes.lines}
    assert list(drawn["Before matching"].get_xdata()) == pytest.approx([0.6, 0.8])
    assert list(drawn["Matched, by shares"].get_xdata()) == pytest.approx([0.05, 0.02])
    assert list(drawn["In the regression"].get_xdata()) == pytest.approx([0.3, 0.1])
    faint = [sorted(line.get_xdata()) for line in axes.lines if line.get_marker() == "|"]
    assert faint[0] == pytest.approx([0.3, 0.4, 0.9, 1.2])
    assert "synthetic panel · dashed: 0.1" in axes.get_title(loc="right")


def test_the_overlap_plot_mirrors_the_groups_year_by_year() -> None:
    _, overlap = matching_figures(cell()) or ()
    shown = [axes for axes in overlap.axes if axes.get_title()]
    assert [axes.get_title() for axes in shown] == ["2004", "2005"]
    heights = [[bar.get_height() for bar in bars] for bars in shown[0].containers]
    np.testing.assert_allclose(heights, [[0.25, 0.75], [-0.9, -0.1], [-0.3, -0.7]])
    assert "synthetic" in overlap.get_supxlabel()


def test_a_match_without_scores_has_no_overlap_and_equal_figures_have_equal_bytes() -> None:
    details = {name: frame for name, frame in cell().details.items() if name != "matching_overlap"}
    drawn = matching_figures(replace(cell(), details=details))
    assert drawn is not None
    assert len(drawn) == 1
    assert figures.render(drawn[0], "svg") == figures.render((matching_figures(cell()) or ())[0], "svg")
