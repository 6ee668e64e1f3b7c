"""Claims: one process at a time works on a cell, and a killed one holds nothing."""

import os
import signal
import subprocess
import sys
import time

from syneff.claims import claim, claim_all

# Says when it holds the cell, and holds it until it is told to go, or killed.
HOLD = """
import sys
from pathlib import Path
from syneff.claims import claim
with claim(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.readline()
"""
# Each launch does the cells that it does not find done; the time that a cell takes makes them meet.
LAUNCH = """
import sys, time
from pathlib import Path
import pandas as pd
from syneff import store
from syneff.claims import claim
folder, done = Path(sys.argv[1]), 0
for number in range(40):
    cell = f"cell{number}"
    with claim(folder, cell):
        if not store.is_finished(folder / cell, "k"):
            time.sleep(0.01)
            frame = pd.DataFrame({"experiment": ["e"], "column": [1], "estimate": [float(number)]})
            store.save(folder / cell, frame, None, manifest={"key": "k", "experiment": "e", "column": 1}, config={})
            done += 1
print(done)
"""


def holder(folder, cell):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), cell], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_claim_is_waited_for_and_ends_with_its_process(tmp_path):
    process = holder(tmp_path, "a")
    with claim(tmp_path, "b"):  # another cell is free
        pass
    with claim_all(tmp_path) as alone:
        assert not alone
    began = time.monotonic()
    os.kill(process.pid, signal.SIGSTOP)  # it still holds the cell while it is halted
    waiting = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "a"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    time.sleep(0.5)
    assert waiting.poll() is None
    process.kill()
    process.wait()
    assert waiting.stdout.readline() == "held\n"
    assert time.monotonic() - began >= 0.5
    waiting.communicate("\n")
    with claim_all(tmp_path) as alone:
        assert alone


def test_two_launches_at_once_do_every_cell_once(tmp_path):
    words = [sys.executable, "-c", LAUNCH, str(tmp_path)]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    done = [int(each.communicate()[0]) for each in both]
    assert sum(done) == 40
    from syneff import store

    assert sorted(store.read(tmp_path).tidy["estimate"]) == list(range(40))
