"""Sweeps: cells a second beside a loop with pyfixest, processes, caches, the pipeline bootstrap, and what the store costs.

A process of its own is started where processes, or a cold cache, are timed: its seconds contain the imports.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table

from benchmarks.result import timed
from syneff import store
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.panel.panel import Panel
from syneff.panel.synthetic import synthetic
from syneff.pipeline import Multiverse, PipelineBootstrap

CONTROLS = ("pop", "lnpgdp", "gov", "hc", "er", "fdi")
SIZES = (100, 1_000, 10_000, 100_000)
SUBSETS = 64  # of the controls: the cells of one block
PEER_FITS = 20  # of the loop; the rest is extrapolated
BOOTSTRAP_DRAWS = 1_000
STORED = 200
LISTED = 10_000


def time_sweep() -> list[Table]:
    """Time the multiverse, bare and measured, the bootstrap of the whole pipeline and the store, on 284 x 17 cells."""
    return [_cells(), _processes(), _measured(), _bootstrap(), _store()]


def grid(cells: int) -> tuple[Multiverse, Panel]:
    """Return a multiverse of so many cells, rounded up to whole blocks: outcomes x subsets of the controls."""
    count = -(-cells // SUBSETS)
    panel = synthetic()
    noise = np.random.default_rng(0).normal(size=(count, *panel.shape))
    panel = panel.assign({f"y{at}": each for at, each in enumerate(noise)})
    outcomes = tuple(f"y{at}" for at in range(count))
    return Multiverse(Spec("y0", "treat", CONTROLS), outcomes=outcomes), panel


def _cells() -> Table:
    table = _table(
        "cells of two-way fixed effects, clustered", "cells", "seconds", "cells a second", "pyfixest loop", "x"
    )
    peer = _peer_seconds()
    grid_one, panel = grid(SIZES[0])
    grid_one.estimate(panel)  # compiles
    for size in SIZES:
        multiverse, panel = grid(size)
        seconds, _ = timed(lambda multiverse=multiverse, panel=panel: multiverse.estimate(panel))
        done = SUBSETS * (-(-size // SUBSETS))
        rate = done / seconds
        table.add_row(f"{done:,}", f"{seconds:.1f}", f"{rate:,.0f}", f"{peer * done:,.0f} s", f"{rate * peer:.0f}")
    return table


def _peer_seconds() -> float:
    """Return the seconds that pyfixest takes for one of the cells."""
    import pyfixest

    _, panel = grid(SUBSETS)
    frame = panel.to_frame(sample_only=True)
    subsets = [names for size in range(1, 4) for names in combinations(CONTROLS, size)][:PEER_FITS]

    def loop() -> None:
        for names in subsets:
            pyfixest.feols(f"y0 ~ treat + {' + '.join(names)} | unit + period", frame, vcov={"CRV1": "unit"})

    timed(loop)
    return timed(loop)[0] / len(subsets)


CHILD = (
    "import sys; from benchmarks.sweep import grid; from syneff import runtime; "
    "runtime.configure('cpu', True); multiverse, panel = grid(int(sys.argv[1])); multiverse.estimate(panel)"
)


def _processes() -> Table:
    table = _table(
        "10,000 cells in processes of their own, imports and all", "processes", "cold cache, s", "warm cache, s"
    )
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as cache:
            cold, warm = (timed(lambda: _children(count, cache))[0] for _ in range(2))  # noqa: B023
        table.add_row(str(count), f"{cold:.1f}", f"{warm:.1f}")
    return table


def _children(count: int, cache: str) -> None:
    words = [sys.executable, "-c", CHILD, str(10_000 // count)]
    environment = {**os.environ, "XDG_CACHE_HOME": cache, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for child in [subprocess.Popen(words, env=environment) for _ in range(count)]:
        if child.wait():
            raise subprocess.CalledProcessError(child.returncode, words)


def _measured() -> Table:
    """Time the multiverse of the configuration as a user starts it: technologies measured, everything stored, page written."""
    table = _table(
        "syneff experiment=multiverse, one process", "specifications", "joint draws", "cold cache, s", "warm cache, s"
    )
    for draws in (0, 99):
        with tempfile.TemporaryDirectory() as place:
            seconds = []
            for at in ("cold", "warm"):
                words = [f"output={place}/{at}", "experiment=multiverse", f"estimator.draws={draws}"]
                environment = {"XDG_CACHE_HOME": place, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
                run = partial(
                    subprocess.run,
                    [sys.executable, "-m", "syneff", *words],
                    env={**os.environ, **environment},
                    check=True,
                    capture_output=True,
                )
                seconds.append(timed(run)[0])
            tidy = store.read(next((Path(place) / "warm").iterdir())).tidy
            count = tidy.loc[tidy["term"] == "specifications", "estimate"].iloc[0]
        table.add_row(f"{count:,.0f}", str(draws), *(f"{each:.1f}" for each in seconds))
    return table


def _bootstrap() -> Table:
    from syneff.measure.coupling import coupling
    from syneff.measure.efficiency import super_sbm

    common = {"inputs": ["labour", "capital", "energy"], "good": ["gdp"]}
    steps = {
        "preff": partial(super_sbm, name="preff", bad=["pm25"], **common),
        "creff": partial(super_sbm, name="creff", bad=["co2"], **common),
        "syeff": partial(coupling, name="syeff"),
    }
    panel = synthetic()
    for step in steps.values():
        panel = step(panel)
    model = FixedEffects(Spec("syeff", "treat", CONTROLS))

    def once() -> float:
        return timed(lambda: PipelineBootstrap(model, steps, draws=BOOTSTRAP_DRAWS).estimate(panel))[0]

    table = _table("bootstrap of the whole pipeline, global frontier", "draws", "first, s", "again, s")
    table.add_row(f"{BOOTSTRAP_DRAWS:,}", f"{once():.1f}", f"{once():.1f}")
    return table


def _store() -> Table:
    table = _table("the store", "job", "seconds", "a cell, ms")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tidy = FixedEffects(Spec("pop", "treat", CONTROLS[1:])).estimate(synthetic(units=40)).frame()
        tidy = tidy.assign(experiment="e", column=1)
        manifest = {"key": "k", "experiment": "e", "column": 1, "stats": {f"s{at}": float(at) for at in range(200)}}
        for job, count, seconds in _stored(folder, tidy, manifest):
            table.add_row(job, f"{seconds:.2f}", f"{seconds / count * 1000:.2f}")
    return table


def _stored(folder: Path, tidy: pd.DataFrame, manifest: dict[str, object]) -> Iterator[tuple[str, int, float]]:
    """Yield each job of the store with the number of its cells and its seconds."""

    def save(name: str) -> None:
        store.save(folder / name, tidy, None, manifest=manifest, config=json.loads(json.dumps(manifest)))

    save("first")
    yield f"save {STORED} cells", STORED, timed(lambda: [save(f"c{at}") for at in range(STORED)])[0]
    done = timed(lambda: [store.is_finished(folder / f"c{at}", "k") for at in range(STORED)])
    yield f"know {STORED} finished cells", STORED, done[0]
    for at in range(STORED, LISTED):
        (folder / f"c{at}").mkdir()
        for file in (folder / "first").iterdir():
            os.link(file, folder / f"c{at}" / file.name)
    yield f"list {LISTED:,} cells", LISTED, timed(lambda: store.listing(folder))[0]
    yield f"read {LISTED:,} cells", LISTED, timed(lambda: store.read(folder))[0]
    yield f"compact {LISTED:,} cells", LISTED, timed(lambda: store.compact(folder))[0]
    yield f"list {LISTED:,} compacted cells", LISTED, timed(lambda: store.listing(folder))[0]
    yield f"read {LISTED:,} compacted cells", LISTED, timed(lambda: store.read(folder))[0]


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left")
