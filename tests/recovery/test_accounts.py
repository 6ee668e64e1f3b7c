"""The configured steps make of the synthetic country's yearbooks what its columns hold."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from syneff import nodes
from syneff.command import conf_directory
from syneff.panel.synthetic import synthetic

MADE = {
    "accounts": ("labour", "capital", "energy", "gdp", "co2"),
    "agglomeration": ("magg", "sagg", "coag"),
}


@pytest.fixture(scope="module")
def panel():
    return synthetic(units=60, seed=4)


def run(panel, group):
    """Apply a group of steps as a run does."""
    for name, node in yaml.safe_load(
        (conf_directory() / "steps" / f"{group}.yaml").read_text(encoding="utf-8")
    ).items():
        nodes.check(node, name, free=1)
        panel = nodes.make(node, partial=True)(panel)
    return panel


@pytest.mark.parametrize("group", ["accounts", "agglomeration"])
def test_steps_make_the_columns_of_the_yearbook(panel, group):
    raw = replace(panel, columns={name: each for name, each in panel.columns.items() if name not in MADE[group]})
    made = run(raw, group)
    for name in MADE[group]:
        np.testing.assert_allclose(made.columns[name], panel.columns[name], rtol=1e-11, err_msg=name)
    warnings = [note.split("WARNING: ", 1)[1] for note in made.notes if "WARNING: " in note]
    assert all(text.startswith("lights has breaks") and "2013" in text for text in warnings), warnings
    assert len(warnings) == (group == "accounts")  # of the sensor: nothing else is odd


def test_lights_measured_with_error_cost_energy_and_not_the_province():
    noisy = synthetic(units=60, seed=4, lights_noise=0.3)
    made = run(noisy, "accounts").columns["energy"]
    error = np.log(made / noisy.columns["energy"])
    assert 0.1 < error.std() < 0.4
    province = noisy.traits["province"]
    for name in np.unique(province):
        own = province == name
        np.testing.assert_allclose(made[own].sum(axis=0), noisy.columns["province_energy"][own][0], rtol=1e-10)


def test_gdp_per_head_is_the_control(panel):
    made = run(panel, "per_head")
    np.testing.assert_allclose(np.log(made.columns["pgdp"]), panel.columns["lnpgdp"], rtol=1e-12)


@pytest.mark.parametrize("group", ["instruments", "pilots", "trends", "trait_years"])
def test_the_country_has_what_other_steps_take(panel, group):
    made = run(panel, group)
    new = set(made.columns) - set(panel.columns)
    assert new
    for name in new:
        assert np.isfinite(made.columns[name]).all(), name
        assert made.columns[name].std() > 0, name
