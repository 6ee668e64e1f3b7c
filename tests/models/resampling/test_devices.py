"""Draws are the same on one, two and eight devices, to the last bit."""

import os
import subprocess
import sys

import pytest

DRAWS = """
import hashlib, jax, numpy as np
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import PairsBootstrap, Placebo, WildClusterBootstrap
from tests.panels import staggered
assert len(jax.devices()) == {devices}, jax.devices()
model = FixedEffects(Spec("y", "treat", ("a",)))
wild = WildClusterBootstrap(model, draws=1001, chunk=128)
for scheme in (Placebo(model, draws=1001), PairsBootstrap(model, draws=1001), wild):
    draws = scheme.estimate(staggered(3), seed=1, name="p").draws
    assert draws.coef.shape[0] == 1001
    print(hashlib.sha256(np.asarray(draws.coef).tobytes() + np.asarray(draws.cov).tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_draws_do_not_depend_on_the_number_of_devices():
    said = set()
    for devices in (1, 2, 8):
        flags = f"--xla_force_host_platform_device_count={devices}"
        path = os.pathsep.join([os.getcwd(), *sys.path])
        environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": path}
        code = DRAWS.format(devices=devices)
        answer = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        said.add(answer.stdout)
    assert len(said) == 1
    assert len(said.pop().split()) == 3
