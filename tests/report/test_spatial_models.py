"""The table of spatial models and its figure, from results whose numbers were chosen."""

from dataclasses import replace

import pandas as pd
import pytest

from syneff.report.figures import render
from syneff.report.spatial_models import effects_figure, spatial_models
from syneff.report.tidy import Cell, collect, published
from tests.report import results

METHODS = pd.DataFrame(
    {"method": ["direct", "lee_yu"], "term": ["rho", "rho"], "estimate": [0.1234, 0.2], "std_error": [0.04, 0.05]}
)
BANDS = pd.DataFrame(
    {
        "term": "treat",
        "distance_km": [100.0, 200.0],
        "estimate": [0.01, 0.02],
        "conf_low": [-0.01, 0.0],
        "conf_high": [0.03, 0.04],
    }
)


def cell(column: str = "1") -> Cell:
    rows = [
        results.row("treat", 0.04, 0.01, 0.0001),
        results.row("pop", 0.02, 0.01, 0.05),
        results.row("W_treat", -0.02, 0.02, 0.3),
        results.row("rho", 0.2, 0.05, 0.0001),
        *(results.row(f"{kind}:treat", 0.03, 0.01, 0.02) for kind in ("direct", "indirect", "total")),
        results.check_row("lm_lag", 0.004, statistic=8.25),
        results.check_row("wald_sdm_sar_clustered", float("nan"), statistic=float("nan")),
    ]
    spec = {"treatment": "treat", "effects": ["unit", "period"], "cluster": "unit", "covariance": "CR1"}
    model = {"spec": spec, "weights": {"name": "province"}, "covariance": "expected"}
    facts = results.manifest("table12", column, config={"estimator": {"model": model}}, stats={"r2_within": 0.3})
    found = collect(*results.stored((results.tidy("table12", column, rows), facts)))["table12"][0]
    return replace(found, details={"methods": METHODS, "effects_by_distance": BANDS})


def test_the_table_has_effects_methods_tests_and_published_values() -> None:
    cells = [cell()]
    table = spatial_models(cells, title="Table 12", paper=published("table12", cells))
    shown = {(line.term, line.kind): line for line in table.lines}
    assert shown["weights", "statistic"].cells == ("province",)
    assert shown["treat", "estimate"].cells == ("0.040***",)
    assert shown["treat", "paper"].cells == ("0.043***",)
    assert shown["W_treat", "paper_t"].cells == ("(-1.307)",)
    assert shown["rho", "paper"].cells == ("0.196***",)
    assert shown["indirect:treat", "estimate"].label == "Indirect effect"
    assert shown["rho:direct", "statistic"].cells == ("0.123 [0.040]",)
    assert shown["rho:lee_yu", "statistic"].label == "rho, Lee and Yu [standard error]"
    assert shown["lm_lag", "statistic"].cells == ("8.25***",)
    assert shown["lm_lag", "paper"].cells == ("77.48",)
    assert ("pop", "estimate") not in shown
    assert not any(term == "wald_sdm_sar_clustered" for term, _ in shown)
    assert any("expected information" in note for note in table.notes)
    assert not any("CR1" in note for note in table.notes)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_figure_is_the_same_every_time(kind: str) -> None:
    drawn, again = effects_figure(cell()), effects_figure(cell())
    assert drawn is not None
    assert again is not None
    assert render(drawn, kind) == render(again, kind)
    axes = drawn.axes[0]
    assert axes.get_ylabel() == "Indirect effect of innovative-city pilot"
    assert list(axes.lines[1].get_ydata()) == [0.01, 0.02]
    assert effects_figure(replace(cell(), details={})) is None
