"""Command line: tables become sweeps, and a wrong name is one message with the nearest right one."""

import pytest

from syneff import command
from syneff.errors import SpecError

TABLE03 = "experiment=" + ",".join(f"table03_{column}" for column in range(1, 8))


def translated(*words):
    """Return the words without those that name the run."""
    return [word for word in command.arguments(words, "r") if not word.startswith(("run=", "swept="))]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["sweep=paper", "--multirun"]),
        (["source=csv", "source.path=a.csv"], ["source=csv", "source.path=a.csv", "sweep=paper", "--multirun"]),
        (["experiment=baseline"], ["experiment=baseline"]),
        (["experiment=table03"], ["sweep=table03", "--multirun"]),
        (["sweep=table03", "seed=2"], ["sweep=table03", "seed=2", "--multirun"]),
        (["experiment=table03,figure01"], [TABLE03 + ",figure01", "batch=table03_figure01", "--multirun"]),
        (["-m", "experiment=glob(*)"], ["experiment=glob(*)", "batch=glob", "-m"]),
        (["-m", "experiment=glob('table0[2-3]*')"], ["experiment=glob('table0[2-3]*')", "batch=glob_table0_2-3", "-m"]),
        (["-m", "experiment=glob(['table0*',f*])"], ["experiment=glob(['table0*',f*])", "batch=glob_table0_f", "-m"]),
        (["experiment=baseline", "-m", "seed=1,2"], ["experiment=baseline", "seed=1,2", "batch=baseline", "-m"]),
        (["experiment=baseline", "seed=1,2"], ["experiment=baseline", "seed=1,2", "batch=baseline", "--multirun"]),
        (["seed=1,2"], ["seed=1,2", "sweep=paper", "--multirun"]),
        (["--cfg", "job", "seed=1,2"], ["seed=1,2", "--cfg", "job"]),
        (["experiment=table02,figure01", "batch=mine"], ["experiment=table02,figure01", "batch=mine", "--multirun"]),
        (["--cfg", "job"], ["--cfg", "job"]),
        (["--cfg", "job", "experiment=figure01"], ["experiment=figure01", "--cfg", "job"]),
    ],
)
def test_words_are_translated(words, expected):
    assert translated(*words) == expected


def test_the_run_and_the_swept_keys_are_named():
    words = command.arguments(["-m", "experiment=glob(table03_*)", "seed=1,2", "spec.controls=[pop,fdi]"], "r7")
    assert "run=r7" in words
    assert "swept=[experiment,seed]" in words


def test_options_of_experiments_wait_for_the_cells_of_a_sweep():
    given = [
        "sweep=paper",
        "seed=1",
        "estimator.draws=50",
        "report.name=x",
        "measure=none",
        "+spec.more=1",
        "--multirun",
    ]
    assert command.of_cells(given) == ["estimator.draws=50"]
    assert command.of_cells(given[:-1]) == []
    assert command.of_cells([*given, "--cfg", "job"]) == []


@pytest.mark.parametrize(
    "value", ["a,b", "1,2", "[pop],[pop,fdi]", "range(1,4)", "glob(*)", "choice(a,b)", "{a:1},{a:2}"]
)
def test_several_values_are_a_sweep(value):
    assert command.is_sweep(value)


@pytest.mark.parametrize("value", ["a", "[pop,fdi]", "'a,b'", "{a:1,b:2}", "[[1,2],[3,4]]", ""])
def test_one_value_is_no_sweep(value):
    assert not command.is_sweep(value)


def test_unknown_experiment_names_the_nearest():
    with pytest.raises(SpecError, match=r"unknown experiment 'tabel03'\. Did you mean 'table03'"):
        command.arguments(["experiment=tabel03"], "r")


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("source.unit=城市", "source.unit=\"'城市'\""),
        ("source.path='~/a.csv", "source.path=\"'~/a.csv'\""),
        ("source.rename={城市: city}", "yaml file of your --config-dir"),
        ("spec.controls=[pop", "Close its bracket"),
        ("experiment=glob(a[1])", "glob('table[0-9]')"),
        ("城市=1", "is no option"),
    ],
)
def test_a_word_that_cannot_be_read_says_how_to_write_it(word, remedy):
    assert command.unreadable(word).startswith(f"{word}: ")
    assert remedy in command.unreadable(word)


def test_sweep_and_experiment_exclude_each_other():
    with pytest.raises(SpecError, match="exclude each other"):
        command.arguments(["sweep=paper", "experiment=baseline"], "r")


def test_missing_folder_of_configuration_is_named(tmp_path):
    with pytest.raises(SpecError, match="no such folder"):
        command.arguments(["--config-dir", str(tmp_path / "nowhere"), "experiment=baseline"], "r")


def test_own_folder_adds_experiments_and_sweeps(tmp_path):
    for group, name, text in (
        ("experiment", "mine", ""),
        ("sweep", "ours", "hydra: {sweeper: {params: {experiment: 'mine,baseline'}}}"),
        ("sweep", "grid", "hydra: {sweeper: {params: {experiment: mine, seed: '1,2'}}}"),
    ):
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / f"{name}.yaml").write_text(text)
    folder = ("--config-dir", str(tmp_path))
    assert translated(*folder, "experiment=mine")[0] == "experiment=mine"
    assert translated(*folder, "experiment=ours")[0] == "sweep=ours"
    assert translated(*folder, "experiment=ours,table02")[0] == "experiment=mine,baseline,table02"
    with pytest.raises(SpecError, match="run it alone, with sweep=grid"):
        translated(*folder, "experiment=grid,table02")
    assert "baseline" in command.help_text([*folder])
    assert "mine" in command.help_text([*folder])
