"""Experiments: stages in order, a shared panel measured once, and what is kept of a run."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

import syneff
from syneff import experiment, record
from syneff.experiment import Experiment
from syneff.models.base import Spec
from syneff.models.description import Describe
from syneff.models.fixed_effects import FixedEffects
from syneff.numerics.batching import default_chunk
from syneff.panel.panel import Truth, Variable
from syneff.panel.synthetic import synthetic

from .panels import staggered

MODEL = FixedEffects(Spec(outcome="y", treatment="treat", controls=("a",), cluster="unit"))


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(experiment, "_measured", type(experiment._measured)())


class Counted:
    """A stage that counts its calls."""

    def __init__(self, call):
        self.call, self.calls = call, 0

    def __call__(self, *arguments):
        self.calls += 1
        return self.call(*arguments)


def add(name, values):
    return Counted(lambda panel: panel.assign({name: values(panel)}))


def config(*steps, seed=0):
    return {"source": {"seed": seed}, "steps": {name: {"option": option} for name, option in steps}}


def test_steps_run_in_order_before_the_estimate():
    heard = []
    steps = {
        "double": add("b", lambda panel: 2 * panel.column("b")),
        "shift": add("b", lambda panel: panel.column("b") + 1),
    }
    run = experiment.run(Experiment("x", staggered, MODEL, steps), listen=heard.append)
    assert heard == ["source", "double", "shift", "estimate"]
    np.testing.assert_array_equal(run.panel.column("b"), 2 * staggered().column("b") + 1)
    assert list(run.seconds) == ["source", "double", "shift", "estimate", "compile"]
    assert run.shared == ()


def test_cells_share_source_and_the_common_prefix_of_their_steps():
    source, measure = Counted(staggered), add("m", lambda panel: panel.column("a"))
    own = add("m", lambda panel: panel.column("m") * 2)
    first = Experiment("one", source, MODEL, {"measure": measure}, config=config(("measure", 1)))
    second = Experiment(
        "two", source, MODEL, {"measure": measure, "own": own}, config=config(("measure", 1), ("own", 1))
    )
    experiment.run(first)
    run = experiment.run(second)
    again = experiment.run(first)
    assert (source.calls, measure.calls, own.calls) == (1, 1, 1)
    assert run.shared == ("source", "measure")
    assert again.shared == ("source", "measure")
    np.testing.assert_array_equal(run.panel.column("m"), 2 * again.panel.column("m"))


@pytest.mark.parametrize(
    ("changed", "data", "calls"),
    [
        (config(("measure", 2)), "", (1, 2)),
        (config(("measure", 1), seed=1), "", (2, 2)),
        (config(("measure", 1)), "new", (2, 2)),
    ],
)
def test_what_differs_is_computed_again(changed, data, calls):
    source, measure = Counted(staggered), add("m", lambda panel: panel.column("a"))
    experiment.run(Experiment("one", source, MODEL, {"measure": measure}, config=config(("measure", 1))))
    experiment.run(Experiment("two", source, MODEL, {"measure": measure}, config=changed, data=data))
    assert (source.calls, measure.calls) == calls


def test_kept_panels_are_bounded():
    for seed in range(experiment.KEPT_PANELS + 3):
        experiment.run(Experiment("x", staggered, MODEL, config=config(seed=seed)))
    assert len(experiment._measured) == experiment.KEPT_PANELS


def test_record_says_where_the_numbers_come_from(monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")

    def source():
        panel = staggered(missing=0.1)
        known = panel.assign({}, variables={"a": Variable("A", "甲", "%")}, note="a note")
        return type(panel)(**{**vars(known), "truth": Truth({"treat": 1.0}, "made up")})

    given = {"source": {"_target_": "syneff.panel.sources.csv", "path": "cities.csv"}, "steps": {}}
    cell = Experiment("x", source, MODEL, seed=5, experiment="table09", column=2, config=given)
    run = experiment.run(cell)
    manifest, frame = record.manifest(cell, run), record.tidy(cell, run)
    rows = int(source().sample.sum())
    assert manifest["sample"]["panel_rows"] == manifest["sample"]["rows"] == rows
    assert manifest["sample"]["rows_of_weight_zero"] == 30 * 8 - rows
    assert manifest["truth"] == {"coefficients": {"treat": 1.0}, "note": "made up"}
    assert manifest["variables"]["a"] == {"label": "A", "label_zh": "甲", "unit": "%"}
    assert (manifest["source"], manifest["job"], manifest["seed"]) == ("csv: cities.csv", "7_3", 5)
    assert "a note" in manifest["warnings"]
    assert manifest["versions"]["syneff"] == syneff.__version__
    assert set(zip(frame["experiment"], frame["column"], strict=True)) == {("table09", 2)}
    assert " ".join(frame.columns[:6]) == "experiment column outcome term estimate std_error"
    assert " ".join(frame.columns[6:]) == "statistic p_value conf_low conf_high nobs n_units n_periods dof"
    assert record.draws(cell, run) is None
    assert record.has_result(run)


class Wrong(FixedEffects):
    """An estimator with an error in it."""

    def estimate(self, panel, **options):
        estimate = super().estimate(panel, **options)
        return replace(estimate, coef=estimate.coef * 1.001)


@pytest.mark.slow
def test_an_audited_cell_says_how_far_the_other_program_is_apart():
    right, wrong = (Experiment("x", staggered, model, audit=True) for model in (MODEL, Wrong(MODEL.spec)))
    run = experiment.run(right)
    manifest = record.manifest(right, run)
    assert manifest["audit"]["program"].startswith("pyfixest ")
    assert manifest["audit"]["coef"] == pytest.approx(manifest["audit"]["other_coef"], rel=1e-9)
    assert manifest["audit"]["std_error"] == pytest.approx(manifest["audit"]["other_std_error"], rel=1e-9)
    assert manifest["audit"]["agrees"]
    assert "audit" in manifest["seconds"]
    assert not any("audit" in warning for warning in manifest["warnings"])
    manifest = record.manifest(wrong, experiment.run(wrong))
    assert not manifest["audit"]["agrees"]
    assert manifest["audit"]["coef_difference"] == pytest.approx(0.001, rel=1e-5)
    assert "gives other numbers: coefficients differ by 0.001" in manifest["warnings"][-1]


def test_what_no_program_estimates_is_not_audited():
    described = Experiment("x", staggered, Describe(("a",)), audit=True)
    assert record.manifest(described, experiment.run(described))["audit"] == {"program": "", "remark": "unavailable"}
    unasked = Experiment("x", staggered, MODEL)
    assert record.manifest(unasked, experiment.run(unasked))["audit"] is None


def test_a_source_is_named_by_its_function():
    assert record.source_name({}) == "python"
    assert record.source_name({"_target_": "syneff.panel.synthetic.synthetic", "units": 3}) == record.SYNTHETIC


class Hungry:
    """An estimator that runs out of memory unless its chunks are small enough."""

    def __init__(self, error, fits):
        self.error, self.fits, self.chunks = error, fits, []

    def estimate(self, panel, *, seed=0, name=""):
        self.chunks.append(default_chunk())
        if self.chunks[-1] > self.fits:
            raise self.error
        return Describe(variables=("pop",)).estimate(panel, seed=seed, name=name)


@pytest.mark.parametrize(
    "error", [MemoryError(), jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")]
)
def test_out_of_memory_is_tried_once_in_smaller_chunks_and_then_said(error):
    source = partial(synthetic, units=20, periods=(2008, 2012))
    enough, never = Hungry(error, 8), Hungry(error, 0)
    run = experiment.run_in_memory(experiment.Experiment("a", source, enough))
    assert enough.chunks == [64, 8]
    assert "memory did not suffice: computed again in chunks of 1/8" in run.estimate.notes[-1]
    with pytest.raises(MemoryError, match="nor for chunks of 1/8"):
        experiment.run_in_memory(experiment.Experiment("a", source, never))
    assert never.chunks == [64, 8]
    assert default_chunk() == 64
    with pytest.raises(ValueError, match="nothing to do with memory"):
        experiment.run_in_memory(experiment.Experiment("a", source, Hungry(ValueError("nothing to do with memory"), 0)))


LIMITED = """
import resource, jax, jax.numpy as jnp, numpy as np
from functools import partial
from syneff import experiment
from syneff.models.description import Describe
from syneff.numerics.batching import default_chunk, map_over_devices
from syneff.panel.synthetic import synthetic

class Wide:
    # 64 rows of 32 MB take 2 GB and more, 8 of them an eighth of it
    def estimate(self, panel, *, seed=0, name=""):
        print(default_chunk())
        last = jax.jit(lambda common, rows: jnp.cumsum(rows[:, None] + jnp.ones(4_000_000)[None], axis=1)[:, -1])
        found = map_over_devices(last, 0.0, np.arange(64.0))
        assert (found == 4e6 * np.arange(1.0, 65.0)).all()
        return Describe(variables=("pop",)).estimate(panel, seed=seed, name=name)

panel = synthetic(units=20, periods=(2008, 2012))
Describe(variables=("pop",)).estimate(panel)
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + 1_500_000_000
resource.setrlimit(resource.RLIMIT_AS, (most, most))
print(experiment.run_in_memory(experiment.Experiment("a", lambda: panel, Wide())).estimate.notes[-1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_what_xla_says_when_memory_is_out_is_understood():
    environment = {**os.environ, "PYTHONPATH": str(Path(syneff.__file__).parents[1]), "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-c", LIMITED]
    process = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert process.returncode == 0, process.stderr
    *chunks, note = process.stdout.splitlines()
    assert chunks == ["64", "8"]
    assert note.startswith("memory did not suffice: computed again in chunks of 1/8")
