"""Store: whole or not there, found again by its key, independent of the order of the runs."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from syneff import store

CONFIG = {
    "name": "a",
    "seed": 1,
    "source": {"_target_": "x.csv", "path": "none.csv"},
    "steps": {"lag": {"by": 1}, "log": {}},
}


def rows(experiment="table", column=1, estimate=0.5):
    return pd.DataFrame(
        {"experiment": [experiment], "column": [column], "outcome": ["y"], "term": ["treat"], "estimate": [estimate]}
    )


def put(folder, name, *, column=1, key="k", draws=None, estimate=0.5, details=None):
    manifest = {"key": key, "name": name, "experiment": "table", "column": column}
    frame = rows(column=column, estimate=estimate)
    store.save(folder / name, frame, draws, manifest=manifest, config={"seed": 1}, details=details)


def test_what_is_saved_is_read(tmp_path):
    draws = pd.DataFrame({"draw": [0, 1], "term": ["treat", "treat"], "estimate": [0.1, 0.2]})
    put(tmp_path, "a", draws=draws)
    results = store.read(tmp_path)
    pd.testing.assert_frame_equal(results.tidy.drop(columns="cell"), rows(), check_dtype=False)
    pd.testing.assert_frame_equal(results.draws["a"], draws, check_dtype=False)
    assert list(results.tidy["cell"]) == ["a"]
    assert (tmp_path / "a" / "config.yaml").read_text() == "seed: 1\n"


def test_frames_for_tables_and_figures_travel_with_the_cell(tmp_path):
    balance = pd.DataFrame({"control": ["pop", "hc"], "difference": [0.3, np.nan]})
    put(tmp_path, "a", details={"balance": balance, "overlap": rows()})
    put(tmp_path, "b")
    found = store.read(tmp_path).details
    assert list(found) == ["a"]
    assert list(found["a"]) == ["balance", "overlap"]
    pd.testing.assert_frame_equal(found["a"]["balance"], balance)
    put(tmp_path, "a")
    assert store.read(tmp_path).details == {}


def test_results_do_not_depend_on_the_order_of_the_runs(tmp_path):
    for folder, order in ((tmp_path / "one", "abc"), (tmp_path / "two", "cab")):
        for name in order:
            put(folder, name, column="cab".index(name), estimate=float("abc".index(name)))
    first, second = store.read(tmp_path / "one"), store.read(tmp_path / "two")
    pd.testing.assert_frame_equal(first.tidy, second.tidy)
    assert list(first.manifests) == list(second.manifests) == ["c", "a", "b"]


@pytest.mark.parametrize(
    "broken", ["config.yaml", "tidy.parquet", "draws.parquet", "detail.d.parquet", "manifest.json"]
)
def test_a_cell_killed_while_it_is_written_is_not_there(tmp_path, monkeypatch, broken):
    put(tmp_path, "a", draws=rows(), details={"d": rows()})
    real = store.write

    def killed(path, content):
        if path.name == broken:
            path.with_name(f".{path.name}.1.tmp").write_bytes(content[: len(content) // 2])
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(store, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path, "a", draws=rows(), details={"d": rows()}, estimate=9.0)
    assert not store.is_finished(tmp_path / "a", "k")
    assert store.read(tmp_path).tidy.empty
    monkeypatch.setattr(store, "write", real)
    put(tmp_path, "a", estimate=7.0)
    assert store.read(tmp_path).tidy["estimate"].tolist() == [7.0]
    assert not list((tmp_path / "a").glob(".*"))


def test_draws_of_an_older_result_do_not_survive(tmp_path):
    put(tmp_path, "a", draws=rows())
    put(tmp_path, "a")
    assert store.read(tmp_path).draws == {}


def test_a_failure_takes_the_result_away(tmp_path):
    put(tmp_path, "a")
    store.save_failure(tmp_path / "a", "Traceback ...")
    assert not store.is_finished(tmp_path / "a", "k")
    assert (tmp_path / "a" / store.FAILURE).read_text() == "Traceback ..."


def test_only_the_named_cells_are_read(tmp_path):
    put(tmp_path, "a")
    put(tmp_path, "b", column=2)
    assert list(store.read(tmp_path, ["b", "never run"]).manifests) == ["b"]


def test_a_cell_is_finished_only_under_its_key(tmp_path):
    put(tmp_path, "a", key="one")
    assert store.is_finished(tmp_path / "a", "one")
    assert not store.is_finished(tmp_path / "a", "two")
    assert not store.is_finished(tmp_path / "b", "one")


def test_manifest_is_strict_json(tmp_path):
    stats = {"r2": np.float64(0.25), "f": math.nan, "support": np.array([1, 2]), "ok": True}
    manifest = {"key": "k", "experiment": "t", "column": 1, "stats": stats}
    store.save(tmp_path / "a", rows(), None, manifest=manifest, config={})
    text = (tmp_path / "a" / "manifest.json").read_text()
    read = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert read["stats"] == {"r2": 0.25, "f": None, "support": [1, 2], "ok": True}


def test_key_follows_configuration_data_version_and_order_of_steps():
    base = store.key(CONFIG, "data", "1")
    swapped = {**CONFIG, "steps": dict(reversed(CONFIG["steps"].items()))}
    others = [
        store.key({**CONFIG, "seed": 2}, "data", "1"),
        store.key(swapped, "data", "1"),
        store.key(CONFIG, "other data", "1"),
        store.key(CONFIG, "data", "2"),
    ]
    assert len({base, *others}) == 5
    assert store.key(dict(reversed(CONFIG.items())), "data", "1") == base


def test_data_hash_sees_a_changed_byte_and_every_named_file(tmp_path):
    panel, units = tmp_path / "panel.csv", tmp_path / "units.csv"
    panel.write_text("a")
    units.write_text("b")
    config = {"source": {"path": str(panel), "units_path": str(units)}, "name": "x"}
    first = store.data_hash(config)
    units.write_text("c")
    second = store.data_hash(config)
    panel.write_text("d")
    assert len({first, second, store.data_hash(config)}) == 3
    assert store.data_hash({"source": {"units": 3}}) == ""
