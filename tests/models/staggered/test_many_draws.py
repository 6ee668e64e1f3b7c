"""Draws beyond one chunk, at the size of the paper's panel: programs whose parts must not wait for each other."""

import subprocess
import sys

import pytest

# Before its eigenvalues were found one matrix after another, this hung on two cores.
PLACEBO = """
import numpy as np
import syneff as se
from syneff.panel.synthetic import synthetic

panel = synthetic()
panel = panel.assign({"y": np.random.default_rng(0).normal(size=panel.shape)})
estimate = se.Placebo(se.SunAbraham(se.Spec("y", "treat")), draws=128).estimate(panel)
print(np.isfinite(np.asarray(estimate.draws.coef)).sum() > 0)
"""


@pytest.mark.slow
def test_a_placebo_of_several_chunks_ends():
    run = subprocess.run([sys.executable, "-c", PLACEBO], capture_output=True, text=True, timeout=300, check=True)
    assert run.stdout.strip() == "True"
