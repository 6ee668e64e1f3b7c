"""Compaction: what is read is the same before and after, whatever instant the process is killed at."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest

from syneff import compaction, store
from syneff.errors import StorageError
from tests.test_claims import holder


def put(folder, name, value, *, key="k", draws=False, **details):
    frame = pd.DataFrame(
        {"experiment": "e", "column": 1, "term": ["a", "b"], "estimate": [value, np.nan], "nobs": [3, 4]}
    )
    drawn = pd.DataFrame({"draw": np.arange(3), "estimate": value + np.arange(3.0)}) if draws else None
    manifest = {"key": key, "experiment": "e", "column": 1, "stats": {"r2": value}}
    store.save(folder / name, frame, drawn, manifest=manifest, config={"name": name}, details=details)


def filled(folder):
    put(folder, "a", 1.0, draws=True)
    put(folder, "b", 2.0, balance=pd.DataFrame({"city": ["x", "y"], "gap": [1.5, None]}))
    # Of the same name, with other columns; and none that a table without rows could be told by.
    put(folder, "c", 3.0, draws=True, balance=pd.DataFrame({"year": [2010, 2011]}), empty=pd.DataFrame({"z": []}))
    put(folder, "d", 4.0)


def same(one, two):
    pd.testing.assert_frame_equal(one.tidy, two.tidy)
    assert one.manifests == two.manifests
    assert list(one.manifests) == list(two.manifests)
    for name in ("draws", "details"):
        assert getattr(one, name).keys() == getattr(two, name).keys()
    for cell in one.draws:
        pd.testing.assert_frame_equal(one.draws[cell], two.draws[cell])
    for cell, frames in one.details.items():
        assert frames.keys() == two.details[cell].keys()
        for name in frames:
            pd.testing.assert_frame_equal(frames[name], two.details[cell][name])


def test_reading_does_not_see_it(tmp_path):
    filled(tmp_path)
    before, part = store.read(tmp_path), store.read(tmp_path, ["b", "d", "never run"])
    assert store.compact(tmp_path) == 3
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["c"]
    same(before, store.read(tmp_path))
    same(part, store.read(tmp_path, ["b", "d", "never run"]))
    assert store.listing(tmp_path) == ["a", "b", "c", "d"]
    assert all(store.is_finished(tmp_path / name, "k") for name in "abcd")
    assert not store.is_finished(tmp_path / "a", "other")
    assert store.compact(tmp_path) == 3
    same(before, store.read(tmp_path))


def test_a_newer_result_or_failure_hides_the_compacted_one(tmp_path):
    filled(tmp_path)
    store.compact(tmp_path)
    put(tmp_path, "a", 9.0, key="new")
    store.save_failure(tmp_path / "b", "Traceback ...")
    assert store.is_finished(tmp_path / "a", "new")
    assert not store.is_finished(tmp_path / "a", "k")
    assert not store.is_finished(tmp_path / "b", "k")
    found = store.read(tmp_path)
    assert list(found.manifests) == ["a", "c", "d"]
    assert found.tidy.loc[found.tidy["cell"] == "a", "estimate"].iloc[0] == 9.0
    assert "a" not in found.draws
    store.compact(tmp_path)
    same(found, store.read(tmp_path))
    assert (tmp_path / "b" / store.FAILURE).is_file()


@pytest.mark.parametrize("at", range(12))
def test_killed_at_any_step_every_cell_is_there(tmp_path, monkeypatch, at):
    filled(tmp_path)
    before = store.read(tmp_path)
    steps = iter(range(100))

    def mortal(function):
        def call(*given, **options):
            if next(steps) == at:
                raise KeyboardInterrupt
            return function(*given, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", mortal(os.replace))
        patch.setattr(shutil, "rmtree", mortal(shutil.rmtree))
        patch.setattr(pd.DataFrame, "to_parquet", mortal(pd.DataFrame.to_parquet))
        for _ in range(3):
            try:
                store.compact(tmp_path)
            except KeyboardInterrupt:
                break
    same(before, store.read(tmp_path))
    store.compact(tmp_path)
    same(before, store.read(tmp_path))


def test_nothing_is_compacted_while_a_cell_is_written(tmp_path):
    filled(tmp_path)
    process = holder(tmp_path, "a")
    with pytest.raises(StorageError, match="at work"):
        store.compact(tmp_path)
    process.communicate("\n")
    assert compaction.newest(tmp_path) is None
    assert store.compact(tmp_path) == 3
