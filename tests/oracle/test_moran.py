"""Moran's I, Geary's C and local Moran's I against spdep (R) on the Cigar panel, and against esda (Python) on odd weights."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from syneff.spatial import autocorrelation
from syneff.spatial.moran import SpatialDependence, moran
from syneff.spatial.weights import Weights
from tests.panels import cube

PRINTED = 1e-11
"""Relative; spdep's values are printed with 12 to 14 digits."""
EXACT = 1e-13
"""esda's values are stored in full precision: only rounding separates us."""

ESDA = json.loads(Path(__file__).with_name("esda.json").read_text())["cases"]


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "oracles" / "spatial"


@pytest.fixture(scope="module")
def cigar(folder):
    return cube(pd.read_csv(folder / "cigar.csv"), "state", "year")


@pytest.fixture(scope="module")
def weights(folder, cigar):
    return Weights.from_dense(pd.read_csv(folder / "usa46_W.csv", header=None).to_numpy(float), ids=cigar.units)


def test_every_column_of_spdep(folder, cigar, weights):
    printed = pd.read_csv(folder / "moran_cigar.csv")
    found = moran(cigar, "logc", weights, draws=0)
    table = found.details["dependence"]
    columns = {
        "moran": "I",
        "moran_mean": "EI",
        "moran_z": "z_rand",
        "moran_p": "p_rand",
        "moran_z_normal": "z_norm",
        "geary": "geary_C",
    }
    for ours, theirs in columns.items():
        np.testing.assert_allclose(table[ours], printed[theirs], rtol=PRINTED, err_msg=ours)
    np.testing.assert_allclose(table["moran_sd"] ** 2, printed["VI_rand"], rtol=PRINTED)
    np.testing.assert_allclose(table["moran_sd_normal"] ** 2, printed["VI_norm"], rtol=PRINTED)
    frame = found.frame().set_index("term")
    for year in (63, 92):
        line = printed.set_index("year").loc[year]
        assert frame["estimate"][f"moran[{year}]"] == pytest.approx(line["I"], rel=PRINTED)
        row = frame.loc[f"moran:moran[{year}]"]
        assert row["statistic"] == pytest.approx(line["z_rand"], rel=PRINTED)
        assert row["p_value"] == pytest.approx(line["p_rand"], rel=PRINTED)
        assert frame["statistic"][f"moran_normal:moran[{year}]"] == pytest.approx(line["z_norm"], rel=PRINTED)


def test_every_place_of_spdep(folder, cigar, weights):
    printed = pd.read_csv(folder / "local_moran_cigar63.csv")
    found = SpatialDependence("logc", weights, draws=0).estimate(cigar).details["local"]
    ours = found[found["period"] == 63]
    assert ours["unit"].tolist() == [str(unit) for unit in cigar.units]
    theirs = printed.set_axis(["local", "mean", "variance", "z", "p"], axis=1).astype(float)
    for name in ("local", "mean", "z", "p"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(ours["sd"] ** 2, theirs["variance"], rtol=1e-9)


@pytest.mark.parametrize("case", ESDA, ids=lambda case: f"{case['standardise']}, {np.sum(case['links']):.1f} in all")
def test_weights_that_run_one_way_are_not_standardised_or_have_an_island(case):
    links, values = np.asarray(case["links"]), np.asarray(case["values"])
    matrix = Weights.from_dense(links, ids=range(len(links)), standardise=case["standardise"]).matrix
    for name, measure in (("moran", autocorrelation.moran), ("geary", autocorrelation.geary)):
        random, normal = measure(values, matrix), measure(values, matrix, normal=True)
        found = {
            name: random.value,
            f"{name}_mean": random.mean,
            f"{name}_sd": np.sqrt(random.variance),
            f"{name}_z": random.z,
            f"{name}_p": random.p_value("two_sided"),
            f"{name}_sd_normal": np.sqrt(normal.variance),
            f"{name}_z_normal": normal.z,
            f"{name}_p_normal": normal.p_value("two_sided"),
        }
        known = [key for key in found if key in case["expected"][0]]
        assert len(known) >= 6
        for key in known:
            theirs = [period[key] for period in case["expected"]]
            np.testing.assert_allclose(found[key], theirs, rtol=EXACT, atol=EXACT, err_msg=key)
