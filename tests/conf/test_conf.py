"""Configuration: every yaml file composes, its options exist, and what it names can be made."""

import itertools

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from syneff import app, nodes
from syneff.command import conf_directory
from syneff.experiment import Experiment, from_config

CONF = conf_directory()
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
SWEEPS = sorted(path.stem for path in (CONF / "sweep").glob("*.yaml"))
# What a file cannot know and every user gives.
GIVEN = {f"source={kind}": [f"source.path=panel.{kind}"] for kind in ("csv", "parquet", "stata", "excel")}
# Launchers whose Hydra plugin is an extra of its own.
EXTRA = {
    "launcher=slurm": "hydra_plugins.hydra_submitit_launcher",
    "launcher=joblib": "hydra_plugins.hydra_joblib_launcher",
}
CHOICES = sorted(
    f"{path.parent.name}={path.stem}"
    for path in CONF.glob("*/*.yaml")
    if path.parent.name not in ("experiment", "sweep")
)


def composed(*words):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(words))


def plain(config):
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_can_be_made(name):
    config = plain(composed(f"experiment={name}"))
    built = from_config(config)
    assert isinstance(built, Experiment)
    assert config["name"] == name, "an experiment is called as its file"
    assert name.startswith(config["experiment"]), "a column is called <exhibit>_<column>"
    assert name == config["experiment"] or name == f"{config['experiment']}_{config['column']}"


@pytest.mark.parametrize("choice", CHOICES)
def test_choices_can_be_made(choice):
    if choice in EXTRA:
        pytest.importorskip(EXTRA[choice], reason="needs the extra that brings the launcher")
    config = plain(composed(choice, *GIVEN.get(choice, [])))
    assert from_config(config).name == "baseline"
    nodes.check(config["report"], "report")


@pytest.mark.parametrize("name", SWEEPS)
def test_sweeps_name_experiments(name):
    config = composed(f"sweep={name}")
    assert config.batch == name
    with initialize_config_dir(str(CONF), version_base="1.3"):
        params = compose("config", overrides=[f"sweep={name}"], return_hydra_config=True).hydra.sweeper.params
    cells = params.experiment.split(",")
    assert set(cells) <= set(EXPERIMENTS)
    assert len(set(cells)) == len(cells)


def test_the_technologies_differ_from_each_other_and_are_compared_with_the_default():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        params = compose("config", overrides=["sweep=technology"], return_hydra_config=True).hydra.sweeper.params
        choices = [[f"{key}={value}" for value in values.split(",")] for key, values in params.items()]
        cells = [plain(compose("config", overrides=list(words))) for words in itertools.product(*choices)]
    found = set()
    for cell in cells:
        assert isinstance(from_config(cell), Experiment)
        assert list(cell["steps"])[:3] == ["default_preff", "default_creff", "default_syeff"]
        assert cell["steps"]["default_preff"] == cells[0]["steps"]["default_preff"]
        own = [node for name, node in cell["steps"].items() if name in ("preff", "creff", "joint")]
        outcome = cell["spec"]["outcome"]
        assert (outcome, len(own)) in (("syeff", 2), ("joint", 1))
        assert cell["estimator"]["model"]["spec"]["outcome"] == outcome
        technologies = {tuple(node[key] for key in ("returns", "reference", "orientation", "bads")) for node in own}
        assert len(technologies) == 1
        found.add((outcome, *technologies.pop()))
    assert len(found) == len(cells) == 54
    assert ("syeff", "crs", "global", "none", "outputs") in found
    assert {each[-1] for each in found if each[0] == "joint"} == {"outputs"}


def test_controls_enter_table_3_one_by_one():
    columns = [plain(composed(f"experiment=table03_{column}"))["spec"]["controls"] for column in range(1, 8)]
    assert columns[6] == ["pop", "lnpgdp", "gov", "hc", "er", "fdi"]
    assert columns == [columns[6][:number] for number in range(7)]


def test_draws_reach_the_resampling_scheme():
    assert plain(composed("experiment=figure02", "draws=7"))["estimator"]["draws"] == 7
    assert plain(composed("experiment=figure02", "compute=test"))["estimator"]["draws"] < 100


@pytest.mark.parametrize("word", ["sed=1", "seed=abc", "spec.outcom=y", "force=7.5"])
def test_a_misspelt_key_or_a_wrong_type_is_one_message(word):
    with pytest.raises(ConfigCompositionException) as caught:
        composed(word)
    message = app.explain(caught.value)
    assert message
    assert "\n" not in message
    assert word.split("=")[0].rpartition(".")[2] in message
