"""What is kept of a run: its tidy rows, its draws, and the manifest that says where every number comes from."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd

from syneff.experiment import Experiment, Run
from syneff.models.base import Audit
from syneff.panel.panel import Panel
from syneff.runtime import device_names

PACKAGES = ("syneff", "jax", "jaxlib", "numpy", "scipy", "pandas", "pyfixest", "libpysal", "hydra-core")
SYNTHETIC = "synthetic"
"""Name of the source whose panel is simulated; the report marks everything that comes from it."""


def tidy(experiment: Experiment, run: Run) -> pd.DataFrame:
    """Return the rows of `Estimate.frame` with the exhibit and the column that they belong to."""
    return _placed(experiment, run.estimate.frame())


def draws(experiment: Experiment, run: Run) -> pd.DataFrame | None:
    """Return the rows of `Estimate.draws_frame`, likewise; None where nothing was resampled."""
    frame = run.estimate.draws_frame()
    return None if frame is None else _placed(experiment, frame)


def details(run: Run) -> dict[str, pd.DataFrame]:
    """Return the frames that steps and estimator leave for tables and figures, by name."""
    return {**run.panel.details, **run.estimate.details}


def has_result(run: Run) -> bool:
    """Say whether anything was estimated: a fit without a single finite coefficient has failed."""
    return bool(np.isfinite(np.asarray(run.estimate.coef)).any())


def manifest(experiment: Experiment, run: Run) -> dict[str, Any]:
    """Return how a result was made: sample, notes, statistics, labels, truth, seconds, versions, devices, commit and job."""
    panel, estimate = run.panel, run.estimate
    return {
        "name": experiment.name,
        "experiment": experiment.experiment,
        "column": experiment.column,
        "seed": experiment.seed,
        "source": source_name(experiment.config.get("source", {})),
        "sample": _sample(panel, run),
        "status": int(estimate.status),
        "stats": {name: np.asarray(value).tolist() for name, value in estimate.stats.items()},
        "warnings": [*panel.notes, *estimate.notes, *_disagreement(run.audit)],
        "audit": _audit(run.audit) if experiment.audit else None,
        "variables": {
            name: {"label": variable.label, "label_zh": variable.label_zh, "unit": variable.unit}
            for name, variable in panel.variables.items()
        },
        "truth": None if panel.truth is None else {name: known for name, known in asdict(panel.truth).items() if known},
        "seconds": dict(run.seconds),
        "shared_stages": list(run.shared),
        "devices": device_names(),
        "versions": versions(),
        "git": commit(),
        "job": job(),
    }


def source_name(source: Mapping[str, Any]) -> str:
    """Return "synthetic", or the kind of the source and its file."""
    kind = str(source.get("_target_", "python")).rpartition(".")[2]
    return f"{kind}: {source['path']}" if source.get("path") else kind


@cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that a result depends on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def commit() -> dict[str, Any] | None:
    """Return the git commit of the working directory and whether it has uncommitted changes; None outside a checkout."""
    sha = _git("rev-parse", "HEAD")
    return None if sha is None else {"sha": sha, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def job() -> str | None:
    """Return the SLURM job that runs this process, as ``<array job>_<task>`` in an array; None outside SLURM."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")


def _placed(experiment: Experiment, frame: pd.DataFrame) -> pd.DataFrame:
    place = pd.DataFrame({"experiment": experiment.experiment, "column": experiment.column}, index=frame.index)
    return pd.concat([place, frame], axis=1)


def _audit(audit: Audit | None) -> dict[str, Any]:
    """Return both estimates and how far they are apart; in one word why there are not two."""
    if audit is None or not audit.program:
        return {"program": "", "remark": "unavailable" if audit is None else audit.remark}
    apart = {name: getattr(audit, name) for name in ("coef_difference", "std_error_difference", "agrees")}
    return {**asdict(audit), **apart}


def _disagreement(audit: Audit | None) -> list[str]:
    if audit is None or not audit.program or audit.agrees:
        return []
    return [
        f"audit: {audit.program} gives other numbers: coefficients differ by {audit.coef_difference:.1g}, standard errors by "
        f"{audit.std_error_difference:.1g} of their size, on {audit.other_rows} rows (here {audit.rows})"
    ]


def _sample(panel: Panel, run: Run) -> dict[str, int]:
    """Return the sizes of sample and panel; of a family of fits, the largest."""
    rows = int(panel.sample.sum())
    return {
        "n_units": int(np.max(run.estimate.n_units)),
        "n_periods": int(np.max(run.estimate.n_periods)),
        "rows": int(np.max(run.estimate.nobs)),
        "panel_units": panel.shape[0],
        "panel_periods": panel.shape[1],
        "panel_rows": rows,
        "rows_of_weight_zero": int(np.prod(panel.shape)) - rows,
    }


def _git(*words: str) -> str | None:
    try:
        answer = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
