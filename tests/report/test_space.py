"""Space: what the tables print and the figures draw, of hand-made results."""

import numpy as np
import pandas as pd
import pytest

from syneff.errors import SpecError
from syneff.report import space
from syneff.report.tidy import collect, published
from tests.report import results

NOTHING = pd.DataFrame(columns=["cell", "term", "estimate", "t", "stars"])
CONFIG = {"estimator": {"weights": {"name": "contiguity"}}}


def cell_of(rows, details=None, **facts):
    facts = {"config": CONFIG, **facts}
    stored = results.stored((results.tidy("space", "1", rows), results.manifest("space", "1", **facts)))
    return collect(*stored, {"space_1": details or {}})["space"][0]


def by_period() -> pd.DataFrame:
    frame = pd.DataFrame({"period": [2004, 2005], "units": [284, 280]})
    for name, values, mean in (("moran", [0.25, 0.01], -0.004), ("geary", [0.7, 0.99], 1.0)):
        frame[name], frame[f"{name}_mean"], frame[f"{name}_sd"] = values, mean, 0.04
        frame[f"{name}_z"], frame[f"{name}_p"] = [6.35, 0.35], [2e-10, 0.73]
        frame[f"{name}_p_permutation"] = [0.0001, 0.7]
    return frame


def places() -> pd.DataFrame:
    """Four cities in five periods, of which the first is significant and the last an island."""
    own = pd.DataFrame(
        {
            "unit": list("abcd"),
            "lat": [30.0, 31.0, 32.0, 33.0],
            "lon": [110.0, 111.0, 112.0, 113.0],
            "standardised": [2.0, -1.0, -1.0, 0.5],
            "lag": [1.0, -0.5, 0.5, np.nan],
            "p_adjusted": [0.01, 0.5, 0.5, np.nan],
            "quadrant": ["HH", "LL", "LH", ""],
        }
    )
    return pd.concat([own.assign(period=2000 + at) for at in range(5)], ignore_index=True)


@pytest.fixture
def moran_cell():
    rows = [
        {**results.BLANK, "term": f"moran[{year}]", "estimate": value} for year, value in ((2004, 0.25), (2005, 0.01))
    ]
    return cell_of(rows, {"dependence": by_period(), "local": places()})


def test_dependence_is_a_line_a_period_with_stars_of_permutations(moran_cell):
    table = space.dependence([moran_cell], title="T", paper=NOTHING)
    assert [line.label for line in table.lines] == ["2004", "2005"]
    assert table.lines[0].cells == (
        *("0.250***", "-0.004", "0.040", "6.350", "2e-10", "0.0001"),
        *("0.700***", "6.350", "2e-10", "0.0001", "284"),
    )
    assert table.lines[1].cells[0] == "0.010"
    assert len(table.header) == len(table.lines[0].cells)
    assert "Weights: contiguity." in table.notes
    plain = by_period().drop(columns=["moran_p_permutation", "geary_p_permutation"])
    cell = cell_of([{**results.BLANK, "term": "moran[2004]", "estimate": 0.25}], {"dependence": plain})
    assert space.dependence([cell], title="T", paper=NOTHING).lines[0].cells[0] == "0.250***"


def test_dependence_is_drawn_by_period_as_a_scatter_and_on_a_map(moran_cell):
    line, scatter, mapped = space.dependence_figures(moran_cell)
    (axes,) = line.axes
    marks = {each.get_label(): each.get_xdata().tolist() for each in axes.lines if "p " in str(each.get_label())}
    assert marks == {"p < 0.05": [2004], "p ≥ 0.05": [2005]}
    assert [each.get_title() for each in scatter.axes] == [f"{year}: slope 0.333" for year in (2000, 2002, 2004)]
    assert [each.get_title() for each in mapped.axes] == [f"{year}: 1 of 4" for year in (2000, 2002, 2004)]
    marked = [each for each in mapped.axes[1].lines[1:] if len(each.get_xdata())]
    assert [(each.get_marker(), each.get_xdata().tolist()) for each in marked] == [("o", [110.0])]


def test_places_without_coordinates_have_no_map(moran_cell):
    nowhere = {"dependence": by_period(), "local": places().assign(lat=np.nan, lon=np.nan)}
    rows = [{**results.BLANK, "term": "moran[2004]", "estimate": 0.25}]
    assert len(space.dependence_figures(cell_of(rows, nowhere))) == 2
    assert len(space.dependence_figures(cell_of(rows, {"dependence": by_period()}))) == 1


def test_connectivity_is_a_line_a_matrix():
    values = {
        "units": 291.0,
        "links": 1458.0,
        "neighbours_mean": 5.01,
        "neighbours_min": 0.0,
        "neighbours_max": 12.0,
        "islands": 5.0,
        "components": 9.0,
        "largest_component": 280.0,
        "rho_min": -1.25,
        "rho_max": 1.0,
    }
    rows = [{**results.BLANK, "term": term, "estimate": value} for term, value in values.items()]
    (line,) = space.connectivity([cell_of(rows)], title="T", paper=NOTHING).lines
    assert line.label == "contiguity"
    assert line.cells == ("291", "1,458", "5.010", "0", "12", "5", "9", "280", "-1.250", "1.000")


def test_links_are_segments_and_islands_crosses():
    neighbours = pd.DataFrame({"lat": [30.0, 31.0, 40.0], "lon": [110.0, 111.0, 120.0], "island": [False, False, True]})
    links = pd.DataFrame({"lon": [110.0], "lat": [30.0], "neighbour_lon": [111.0], "neighbour_lat": [31.0]})
    rows = [{**results.BLANK, "term": "links", "estimate": 1.0}]
    (axes,) = space.links_figure(cell_of(rows, {"links": links, "neighbours": neighbours})).axes
    assert axes.collections[0].get_segments()[0].tolist() == [[110.0, 30.0], [111.0, 31.0]]
    assert [each.get_xdata().tolist() for each in axes.lines if each.get_label() == "island"] == [[120.0]]
    nowhere = {"links": links, "neighbours": neighbours.assign(lat=np.nan)}
    assert space.links_figure(cell_of(rows, nowhere)) is None


def test_rings_are_intervals_at_their_middle():
    rings = pd.DataFrame(
        {
            "term": ["ring[0-50]", "ring[50-100]", "treated_ring[0-50]", "treated_ring[50-100]"],
            "treated": [False, False, True, True],
            "low": [0.0, 50.0, 0.0, 50.0],
            "high": [50.0, 100.0, 50.0, 100.0],
            "estimate": [0.02, 0.01, -0.01, np.nan],
            "conf_low": [0.01, -0.01, -0.02, np.nan],
            "conf_high": [0.03, 0.03, 0.0, np.nan],
            "units": [10, 20, 3, 0],
        }
    )
    rows = [results.row("treat", 0.04, 0.01, 0.001), results.row("ring[0-50]", 0.02, 0.005, 0.001)]
    cell = cell_of(rows, {"rings": rings}, config=results.manifest("space", "1")["config"])
    (axes,) = space.rings_figure(cell).axes
    untreated, treated = (each.lines[0] for each in axes.containers)
    assert untreated.get_xdata().tolist() == [25.0, 75.0]
    assert treated.get_ydata().tolist() == [-0.01]
    assert {"10", "20"} <= {text.get_text() for text in axes.texts}
    table = space.rings([cell], title="T", paper=published(None, [cell]))
    assert table.lines[0].cells[0] == "0.040***"
    assert "beyond the last ring" in table.notes[0]


def test_other_cells_are_refused_or_draw_nothing():
    cell = cell_of([results.row("treat", 0.04, 0.01, 0.001)])
    with pytest.raises(SpecError, match="estimator=moran"):
        space.dependence([cell], title="T", paper=NOTHING)
    with pytest.raises(SpecError, match="estimator=connectivity"):
        space.connectivity([cell], title="T", paper=NOTHING)
    assert space.dependence_figures(cell) == ()
    assert space.links_figure(cell) is None
    assert space.rings_figure(cell) is None
