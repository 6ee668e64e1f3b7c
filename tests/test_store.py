"""Store: whole or not there, found again by its key, independent of the order of the runs."""

import errno
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from syneff import journal, store
from syneff.errors import StorageError

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


FILES = ["config.yaml", "tidy.parquet", "draws.parquet", "detail.d.parquet", "manifest.json"]


@pytest.mark.parametrize("at", range(12))
def test_a_cell_killed_while_it_is_replaced_is_the_old_one_or_the_new_one(tmp_path, monkeypatch, at):
    """The process ends at each of the steps of a replacement in turn; the next one finishes what was begun."""
    put(tmp_path, "a", draws=rows(), details={"d": rows()}, key="old")
    steps = iter(range(100))

    def mortal(function):
        def call(*given, **options):
            if next(steps) == at:
                raise KeyboardInterrupt
            return function(*given, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", mortal(os.replace))
        patch.setattr(journal.Path, "write_bytes", mortal(Path.write_bytes))
        patch.setattr(journal.Path, "unlink", mortal(Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            put(tmp_path, "a", draws=rows(estimate=9.0), details={"d": rows(estimate=9.0)}, key="new", estimate=9.0)
    seen = store.read(tmp_path)
    assert seen.tidy.empty or set(seen.tidy["estimate"]) in ({0.5}, {9.0})
    new = store.is_finished(tmp_path / "a", "new")
    assert new is not store.is_finished(tmp_path / "a", "old")
    found, value = store.read(tmp_path), 9.0 if new else 0.5
    for frame in (found.tidy, found.draws["a"], found.details["a"]["d"]):
        assert set(frame["estimate"]) == {value}
    put(tmp_path, "a", estimate=7.0)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(FILES[:2] + FILES[-1:])


@pytest.mark.parametrize("name", FILES[:-1])
@pytest.mark.parametrize("damage", ["cut", "gone", "changed"])
def test_a_damaged_file_is_noticed(tmp_path, name, damage):
    put(tmp_path, "a", draws=rows(), details={"d": rows()})
    put(tmp_path, "b", column=2)
    file = tmp_path / "a" / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[:-4] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    assert not store.is_finished(tmp_path / "a", "k")
    if damage != "changed":  # digests are compared before a cell is skipped, not each time it is read
        found = store.read(tmp_path)
        assert list(found.manifests) == ["b"]
        assert found.damaged == ("a",)
    put(tmp_path, "a", draws=rows(), details={"d": rows()})
    assert store.is_finished(tmp_path / "a", "k")
    assert store.read(tmp_path).damaged == ()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"key": "k"}', bytes(10)])
def test_a_damaged_manifest_is_noticed(tmp_path, content):
    put(tmp_path, "a")
    (tmp_path / "a" / "manifest.json").write_bytes(content)
    assert not store.is_finished(tmp_path / "a", "k")
    assert store.read(tmp_path).tidy.empty
    put(tmp_path, "a")
    assert store.is_finished(tmp_path / "a", "k")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("after", range(4))
def test_a_refused_write_is_one_message_and_loses_nothing(tmp_path, monkeypatch, code, after):
    put(tmp_path, "a", draws=rows(), key="old")
    real, written = Path.write_bytes, []

    def full(path, content):
        written.append(path)
        if len(written) > after:
            real(path, content[: len(content) // 2])
            raise OSError(code, os.strerror(code))
        return real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(journal.Path, "write_bytes", full)
        with pytest.raises(StorageError, match=r"output=") as caught:
            put(tmp_path, "a", draws=rows(estimate=9.0), key="new", estimate=9.0)
    assert os.strerror(code) in str(caught.value)
    assert store.is_finished(tmp_path / "a", "old")
    assert store.read(tmp_path).tidy["estimate"].tolist() == [0.5]
    assert not list((tmp_path / "a").glob(".*"))


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="only root may mount a small disk")
def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        cells = iter(range(1000))
        with pytest.raises(StorageError, match="No space left on device"):
            all(put(disk, str(number)) is None for number in cells)
        found = store.read(disk)
        assert len(found.manifests) == len(found.tidy) > 3
        assert all(store.is_finished(disk / name, "k") for name in found.manifests)
        (disk / "0" / "tidy.parquet").unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StorageError, match="Read-only file system"):
            put(disk, "0")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


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


def test_key_follows_the_order_of_choices_but_not_of_options():
    def keyed(samples, **options):
        node = {"_target_": "syneff.pipeline.Multiverse", "samples": samples, **options}
        return store.key({**CONFIG, "estimator": node}, "data", "1")

    # The first choice is the default of a multiverse. A label may be a number.
    first = keyed({"all": None, 2010: {"_target_": "x", "a": 1, "b": 2}}, draws=9)
    assert keyed({2010: {"_target_": "x", "a": 1, "b": 2}, "all": None}, draws=9) != first
    assert keyed({"all": None, 2010: {"b": 2, "a": 1, "_target_": "x"}}, draws=9) == first


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


KILLS = """
import json, os, random, signal, sys, time
from pathlib import Path
import pandas as pd
from syneff import claims, store

folder, kills = Path(sys.argv[1]), int(sys.argv[2])

def write(announce):
    # Every cell again and again, each time with another value in all of its files.
    while True:
        for cell in "abcd":
            with claims.claim(folder, cell):
                value = float(time.monotonic_ns())  # later is larger
                frame = pd.DataFrame({"experiment": "e", "column": [1] * 50, "estimate": value})
                manifest = {"key": str(value), "experiment": "e", "column": 1}
                store.save(folder / cell, frame, frame, manifest=manifest, config={}, details={"d": frame})
                os.write(announce, f"{cell} {manifest['key']}\\n".encode())

rng, last, lost, mixed, seen = random.Random(0), {}, 0, 0, 0
for _ in range(kills):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        write(writing)
    os.close(writing)
    time.sleep(rng.uniform(0.02, 0.12))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading) as words:
        said = [line.split() for line in words.read().splitlines()]
    last.update(dict(said))
    seen += len(said)
    for cell in last:
        whole = store.read(folder, [cell])
        mixed += bool(len(whole.tidy)) and len({*whole.tidy["estimate"], *whole.draws[cell]["estimate"],
            *whole.details[cell]["d"]["estimate"], float(whole.manifests[cell]["key"])}) != 1
        store.is_finished(folder / cell, "")  # as the next run would, under its claim: finishes what was staged
        found = store.read(folder, [cell])
        lost += cell not in found.manifests or float(found.manifests[cell]["key"]) < float(last[cell])
    assert not store.read(folder).damaged
print(json.dumps({"lost": lost, "mixed": mixed, "seen": seen}))
"""


@pytest.mark.slow
def test_fifty_kills_lose_nothing(tmp_path):
    """A process that writes cells over and over is killed 50 times, at random instants."""
    answer = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path), "50"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert (told["lost"], told["mixed"]) == (0, 0)
    assert told["seen"] > 50
