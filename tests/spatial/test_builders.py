"""Weights of a panel and of files: what conf/weights names."""

import numpy as np
import pandas as pd
import pytest
import yaml

from syneff import nodes
from syneff.command import conf_directory
from syneff.errors import DataError, SpecError
from syneff.panel.panel import Panel
from syneff.panel.synthetic import synthetic
from syneff.spatial import builders
from syneff.spatial.connectivity import Connectivity, links, neighbours
from syneff.spatial.files import read_weights
from syneff.spatial.weights import Weights, weights_of

CONF = conf_directory()
CHOICES = sorted(path.stem for path in (CONF / "weights").glob("*.yaml"))


@pytest.fixture(scope="module")
def country() -> Panel:
    return synthetic(units=24, periods=(2004, 2009))


@pytest.fixture
def panel() -> Panel:
    """Four cities with codes, of which the third is never in the sample; GDP per head in logs."""
    gdp = np.array([[1.0, 3.0], [2.0, 2.0], [9.0, 9.0], [5.0, 7.0]])
    weights = np.ones((4, 2))
    weights[2] = 0.0
    traits = {
        "city": np.array(["北京", "天津", "上海", "重庆"], dtype=object),
        "province": np.array(["x", "y", "x", "x"], dtype=object),
        "lat": np.array([40.0, 39.0, 31.0, 29.5]),
        "lon": np.array([116.4, 117.3, 121.5, 106.5]),
    }
    return Panel((11, 12, 31, 50), (2004, 2005), {"gdp": gdp, "lngdp": np.log(gdp)}, traits, weights)


@pytest.mark.parametrize("choice", CHOICES)
def test_every_file_of_conf_makes_weights_of_the_synthetic_panel(choice, country, tmp_path):
    config = yaml.safe_load((CONF / "weights" / f"{choice}.yaml").read_text(encoding="utf-8"))
    if "path" in config:
        path = tmp_path / "pairs.csv"
        units = country.units
        pairs = [(a, b) for at, a in enumerate(units) for b in (units[at - 1], units[(at + 1) % len(units)])]
        pd.DataFrame(pairs, columns=["focal", "neighbor"]).to_csv(path, index=False)
        config["path"] = str(path)
    nodes.check(config, "weights", free=1)
    weights = weights_of(country, nodes.make(config))
    assert weights.units == country.units
    assert weights.name == config["name"]
    assert weights.coordinates is not None
    linked = weights.matrix.sum(1) > 0
    np.testing.assert_allclose(weights.matrix.sum(1)[linked], 1.0, rtol=1e-12)
    assert weights_of(country, weights) is weights


def test_a_misspelt_option_is_named():
    with pytest.raises(SpecError, match="cutoff_miles"):
        nodes.check({"_target_": "syneff.spatial.builders.distance", "cutoff_miles": 3}, "weights", free=1)


def test_means_are_of_the_sample_or_of_given_periods(panel):
    whole = builders.economic(panel, column="gdp", standardise="none")
    assert whole.units == (11, 12, 50)
    assert whole.labels == ("11 北京", "12 天津", "50 重庆")
    # Means 2, 2 and 6: the tie counts as the other gap, 4.
    np.testing.assert_allclose(whole.matrix, (1 - np.eye(3)) / 4)
    assert "1 pairs have a gap below 4" in whole.notes[0]
    early = builders.economic(panel, column="lngdp", logged=True, periods=[2004], standardise="none")
    np.testing.assert_allclose(early.matrix, [[0, 1, 1 / 4], [1, 0, 1 / 3], [1 / 4, 1 / 3, 0]], rtol=1e-12)
    with pytest.raises(SpecError, match=r"weights\.periods.*2006"):
        builders.economic(panel, column="gdp", periods=[2006])
    gone = panel.assign({"gdp": np.where(np.arange(4)[:, None] == 1, np.nan, panel.column("gdp"))})
    with pytest.raises(DataError, match="1 units have no 'gdp' in the periods of its mean: 12 天津"):
        builders.economic(gone, column="gdp")


def test_a_unit_out_of_the_sample_is_nobodys_neighbour(panel):
    found = builders.province(panel)
    assert found.matrix.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert found.islands == (12,)
    assert found.notes == ("weights province: 1 islands kept with a row of zeros: 12 天津",)
    assert builders.province(panel, islands="nearest").matrix.tolist() == [[0, 0.5, 0.5], [1, 0, 0], [1, 0, 0]]
    with pytest.raises(DataError, match="prefecture"):
        builders.province(panel, trait="prefecture")


def test_nested_weights_combine_distance_and_economy(panel):
    near = builders.distance(panel, power=2).matrix
    alike = builders.economic(panel, column="gdp", floor=1).matrix
    mixed = builders.nested(panel, column="gdp", floor=1, power=2, share=0.25).matrix
    np.testing.assert_allclose(mixed, 0.25 * near + 0.75 * alike, rtol=1e-12)
    product = builders.nested(panel, column="gdp", floor=1, power=2, combine="product").matrix
    expected = near * np.array([[0, 1, 1 / 4], [1, 0, 1 / 4], [1 / 4, 1 / 4, 0]])
    np.testing.assert_allclose(product, expected / expected.sum(1, keepdims=True), rtol=1e-12)
    towards = builders.nested(panel, column="gdp", power=2, combine="towards").matrix
    expected = near * [2.0, 2.0, 6.0]
    np.testing.assert_allclose(towards, expected / expected.sum(1, keepdims=True), rtol=1e-12)
    with pytest.raises(SpecError, match="combine"):
        builders.nested(panel, column="gdp", combine="sum")


def test_files_of_pairs_are_matched_by_identifier(panel, tmp_path):
    path = tmp_path / "pairs.csv"
    pairs = [(50, 11), (11, 50), (31, 11), (11, 31), (99, 50), (50, 99)]
    pd.DataFrame(pairs, columns=["focal", "neighbor"]).to_csv(path, index=False)
    found = builders.contiguity(panel, path=str(path))
    assert found.matrix.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert found.notes == (
        "weights contiguity: 2 units of the file are not in the sample: 31, 99",
        "weights contiguity: 1 islands kept with a row of zeros: 12 天津",
    )
    pd.DataFrame([("北京", "重庆"), ("重庆", "北京")], columns=["focal", "neighbor"]).to_csv(path, index=False)
    with pytest.raises(
        DataError, match=r"no identifier of the file is a unit: the file has 北京, 重庆; the units are 11, 12"
    ):
        builders.contiguity(panel, path=str(path))
    pd.DataFrame([(11, 50), (50, None)], columns=["focal", "neighbor"]).to_csv(path, index=False)
    with pytest.raises(DataError, match="1 pairs lack an identifier: rows 3"):
        builders.contiguity(panel, path=str(path))
    with pytest.raises(DataError, match=r"weights\.path is not set"):
        builders.contiguity(panel, path=None)
    with pytest.raises(DataError, match="no such file"):
        builders.contiguity(panel, path=str(tmp_path / "none.gal"))


def test_matrices_gal_and_gwt_say_the_same(panel, tmp_path):
    matrix = pd.DataFrame([[0, 2, 0], [2, 0, 1], [0, 1, 0]], index=[50, 11, 12], columns=[50, 11, 12], dtype=float)
    matrix.to_csv(tmp_path / "matrix.csv", index_label="city")
    (tmp_path / "w.gwt").write_text("0 3 file city\n50 11 2.0\n11 50 2.0\n11 12 1.0\n12 11 1.0\n")
    (tmp_path / "w.gal").write_text("0 3 file city\n50 1\n11\n11 2\n50 12\n12 1\n11\n")
    expected = {"csv": [[0, 1, 2], [1, 0, 0], [2, 0, 0]], "gal": [[0, 1, 1], [1, 0, 0], [1, 0, 0]]}
    for name, kind in (("matrix.csv", "csv"), ("w.gwt", "csv"), ("w.gal", "gal")):
        found = builders.contiguity(panel, path=str(tmp_path / name), standardise="none")
        assert found.units == (11, 12, 50)
        assert found.matrix.tolist() == expected[kind], name
        assert read_weights(tmp_path / name, standardise="none").matrix.sum() == found.matrix.sum()
    matrix.drop(index=12, columns=12).to_csv(tmp_path / "matrix.csv", index_label="city")
    with pytest.raises(DataError, match=r"1 of 3 units have no row in the matrix: 12\. Its units begin 50, 11"):
        builders.contiguity(panel, path=str(tmp_path / "matrix.csv"))
    matrix.to_csv(tmp_path / "matrix.csv", index=False, header=False)
    with pytest.raises(DataError, match="neither pairs nor a matrix with names"):
        builders.contiguity(panel, path=str(tmp_path / "matrix.csv"))


def test_graphs_and_polygons():
    geopandas = pytest.importorskip("geopandas")
    shapely = pytest.importorskip("shapely")
    from libpysal.graph import Graph

    boxes = [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1), shapely.box(2, 1, 3, 2), shapely.box(9, 9, 10, 10)]
    frame = geopandas.GeoDataFrame(geometry=boxes, index=["p", "q", "r", "alone"])
    queen = Weights.from_polygons(frame)
    assert queen.ordered(["alone", "r", "q", "p"]).links.tolist() == [
        [0, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 1, 0, 1],
        [0, 0, 1, 0],
    ]
    assert queen.islands == ("alone",)
    assert set(Weights.from_polygons(frame, rook=True).islands) == {"r", "alone"}
    graph = Graph.from_arrays(["u", "v", "v", "w"], ["v", "u", "w", "v"], [1.0, 2.0, 0.5, 3.0])
    found = Weights.from_graph(graph, standardise="none").ordered(["u", "v", "w"])
    assert found.matrix.tolist() == [[0, 1, 0], [2, 0, 0.5], [0, 3, 0]]


def test_a_map_is_matched_by_its_identifier_and_parts_of_a_unit_are_one(panel, tmp_path):
    geopandas = pytest.importorskip("geopandas")
    shapely = pytest.importorskip("shapely")
    boxes = [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1), shapely.box(7, 0, 8, 1), shapely.box(8, 0, 9, 1)]
    frame = geopandas.GeoDataFrame({"code": [50, 11, 50, 12]}, geometry=boxes, crs="EPSG:4326")
    path = tmp_path / "map.geojson"
    frame.to_file(path)
    found = builders.contiguity(panel, path=str(path), columns=("code", "neighbor", "weight"), standardise="none")
    assert found.matrix.tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    frame.iloc[:2].to_file(path)
    with pytest.raises(DataError, match="1 of 3 units have no row in the matrix: 12"):
        builders.contiguity(panel, path=str(path), columns=("code", "neighbor", "weight"))
    (tmp_path / "broken.geojson").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        builders.contiguity(panel, path=str(tmp_path / "broken.geojson"))
    with pytest.raises(DataError, match=r"unknown column of the map: 'focal'.*weights\.columns"):
        builders.contiguity(panel, path=str(path))


def test_connectivity_counts_what_networks_of_hand_have(panel):
    matrix = np.zeros((6, 6))
    for i, j in ((0, 1), (1, 2), (2, 0), (3, 4)):
        matrix[i, j] = matrix[j, i] = 1
    weights = Weights.from_dense(matrix, ids=list("abcdef"), coordinates=np.arange(12.0).reshape(6, 2), name="two")
    six = Panel(tuple("abcdef"), (2004,), {}, {}, np.ones((6, 1)))
    found = Connectivity(weights).estimate(six)
    terms = dict(zip(found.names, np.asarray(found.coef).tolist(), strict=True))
    assert terms == pytest.approx(
        {
            "units": 6,
            "links": 8,
            "density": 8 / 30,
            "one_way_links": 0,
            "islands": 1,
            "components": 3,
            "largest_component": 3,
            "neighbours_min": 0,
            "neighbours_mean": 8 / 6,
            "neighbours_median": 1.5,
            "neighbours_max": 2,
            "rho_min": -1,
            "rho_max": 1,
        }
    )
    table = neighbours(weights).set_index("unit")
    assert table["component"].tolist() == [0, 0, 0, 1, 1, 2]
    assert table["island"].tolist() == [False] * 5 + [True]
    assert "f" in found.notes[0]
    sparse = np.zeros((12, 12))
    sparse[0, 3] = sparse[3, 0] = 2.0
    drawn = links(Weights.from_dense(sparse, ids=list("abcdefghijkl"), coordinates=np.arange(24.0).reshape(12, 2)))
    assert drawn.to_dict("records") == [
        {"unit": "a", "neighbour": "d", "weight": 1, "lat": 0, "lon": 1, "neighbour_lat": 6, "neighbour_lon": 7},
        {"unit": "d", "neighbour": "a", "weight": 1, "lat": 6, "lon": 7, "neighbour_lat": 0, "neighbour_lon": 1},
    ]
    dense = links(builders.distance(synthetic(units=24, periods=(2004, 2009))))
    assert (dense.groupby("unit").size() == 4).all()


def test_connectivity_warns_of_complex_eigenvalues():
    circle = Weights.from_dense(np.roll(np.eye(5), 1, axis=1), ids=range(5))
    found = Connectivity(circle).estimate(Panel(tuple(range(5)), (2004,), {}, {}, np.ones((5, 1))))
    assert any("complex" in note for note in found.notes)
