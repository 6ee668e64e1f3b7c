"""The command line before Hydra sees it: what `syneff experiment=table03` means.

Hydra knows jobs and sweeps; a user knows tables. This module turns the second into the first: a table is a file of the group
`sweep`, a column a file of the group `experiment`, and no word at all is the whole paper. It reads file names only, so that the
help and the message for an unknown experiment come at once.
"""

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from syneff.errors import SpecError, unknown_name

DEFAULT_SWEEP = "paper"
_HELP = ("--help", "-h")
_SHOWS = (*_HELP, "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")
_MULTIRUN = {"-m", "--multirun"}
NODES = ("experiment", "source", "steps", "measure", "spec", "weights", "estimator")
"""Groups of the configuration whose options differ from cell to cell."""
_OVERRIDE = re.compile(r"(?P<key>[+~]*\w[\w./@-]*)=(?P<value>.*)", re.DOTALL)

_USAGE = """\
syneff: batch estimation of policy effects on city panels

  syneff                                   the whole paper on the embedded synthetic panel (sweep=paper)
  syneff experiment=table03                one table, figure or column
  syneff -m 'experiment=glob(*)'           every experiment there is
  syneff experiment=baseline seed=1,2,3    several values of any option: a cell for each
  syneff source=csv source.path=panel.csv source.unit=code source.period=year
                                           the same on your own panel (also parquet, stata, excel)
  syneff experiment=baseline spec.controls=[pop,fdi] seed=1
                                           any option of the configuration; --cfg job shows them all
  syneff --config-dir my_conf experiment=mine
                                           your own experiments, sources and steps, as yaml files
  syneff force=true                        do finished cells again (they are skipped otherwise)
  syneff sweep=technology only=failed      only the cells that have no result
  syneff sweep=technology launcher=slurm launcher.detach=true hydra.launcher.partition=gpu
                                           as a job array; then: syneff collect=outputs/technology
  syneff compact=outputs/technology        many cells into few files

Results: outputs/<run>/report/index.html, and a folder a cell with tidy.parquet, config.yaml and manifest.json.
Exit status: 0 all cells done; 1 some cell failed, the others are kept; 2 the input is wrong: one message says how to mend it.

A value with Chinese letters, ~, blanks or a comma needs quotes of its own: source.unit="'城市'". Renaming columns from Chinese
(source.rename) needs a yaml file in your --config-dir.

Choices (group=option):
"""


def conf_directory() -> Path:
    """Return the folder of the configuration: inside an installed package, else beside `src`."""
    packaged = Path(__file__).resolve().parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "conf"


def wants_help(argv: Sequence[str]) -> bool:
    """Say whether the user asks for help."""
    return any(word in _HELP for word in argv)


def shows_only(argv: Sequence[str]) -> bool:
    """Say whether the user asks to see something (help, version, configuration) instead of running."""
    return any(word.split("=")[0] in _SHOWS for word in argv)


def help_text(argv: Sequence[str]) -> str:
    """Return what the command does, with every choice of every group."""
    groups: dict[str, list[str]] = {}
    for folder in _folders(argv):
        for group in sorted(path for path in folder.iterdir() if path.is_dir()):
            groups.setdefault(group.name, []).extend(_options(folder, group.name))
    width = max((len(group) for group in groups), default=0)
    lines = (f"  {group:<{width}}  {', '.join(options)}" for group, options in groups.items() if options)
    return _USAGE + "\n".join(lines)


def overrides(argv: Sequence[str]) -> dict[str, str]:
    """Return the `key=value` words of a command line."""
    matches = (_OVERRIDE.fullmatch(word) for word in argv)
    return {match["key"]: match["value"] for match in matches if match}


def arguments(argv: Sequence[str], run: str) -> list[str]:
    """Translate the user's words into Hydra's.

    Parameters
    ----------
    argv
        The words after the program's name.
    run
        A name for this run, by which the cells report back.

    Returns
    -------
    list of str
        The same words, with the sweep spelled out and the swept keys and the run named.

    Raises
    ------
    SpecError
        If an experiment or sweep is unknown, or both are given.
    """
    given = overrides(argv)
    if "experiment" in given and "sweep" in given:
        raise SpecError(
            f"experiment={given['experiment']} and sweep={given['sweep']} exclude each other: a sweep names its own "
            "experiments. Leave one of the two out."
        )
    for key, value in given.items():
        options = [name for folder in _folders(argv) for name in _options(folder, key)]
        if value in ("null", "") and options:  # Hydra would answer with a traceback
            raise SpecError(unknown_name(key, value, options))
    words = list(argv)
    if "experiment" in given:
        words = _with_experiment(words, given)
    elif "sweep" not in given and not shows_only(argv):
        words.append(f"sweep={DEFAULT_SWEEP}")
    if not shows_only(argv):
        # Hydra computes a run of one cell here, whatever the launcher.
        several = given.get("launcher", "local") != "local" or "sweep" in overrides(words)
        words += ["--multirun"] if several and not _MULTIRUN & set(words) else []
        swept = [key for key, value in overrides(words).items() if is_sweep(value)]
        words += ["--multirun"] if swept and not _MULTIRUN & set(words) else []
        words += [f"run={run}", f"swept=[{','.join(swept)}]"]
    # Hydra's parser wants all overrides together, wherever the user put -m.
    return sorted(words, key=lambda word: not _is_override(word))


def of_cells(words: Sequence[str]) -> list[str]:
    """Return those of Hydra's words that only the cells of a sweep can be given: options of its experiments.

    Hydra would first set them in the configuration of the whole run, whose experiment is none of the sweep's.
    """
    if shows_only(words) or not _MULTIRUN & set(words):
        return []
    return [word for word in words if any(map(is_option_of_node, overrides([word])))]


def is_option_of_node(key: str) -> bool:
    """Say whether a key is an option of what an experiment chooses, e.g. ``estimator.draws``."""
    node, dot, _ = key.partition(".")
    return bool(dot) and node in NODES


def is_sweep(value: str) -> bool:
    """Say whether a value is several in Hydra's syntax: `a,b`, `glob(*)`, `range(1,4)`, `choice(a,b)`."""
    if re.match(r"(glob|range|choice|interval|shuffle|sort|tag)\(", value):
        return True
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", value)
    while re.search(r"[\[({][^\[\](){}]*[\])}]", bare):
        bare = re.sub(r"[\[({][^\[\](){}]*[\])}]", "", bare)
    return "," in bare


def unreadable(word: str) -> str:
    """Word the message for an override that Hydra's grammar cannot read: nearly always a value that needs quotes."""
    key, _, value = word.partition("=")
    if not key.isascii():
        return f"{word}: {key!r} is no option: names of options are plain letters. syneff --cfg job shows all."
    if value.startswith("{"):
        return f"{word}: names in braces must be plain letters. Write the mapping in a yaml file of your --config-dir."
    if re.match(r"\[|[a-z]+\(", value):
        hint = "Close its bracket, and quote text that is not plain: [a,'城市'], glob('table[0-9]')."
        return f"{word}: this value cannot be read. {hint}"
    quoted = "'" + value.strip("'\"") + "'"
    return f'{word}: this value cannot be read. Put it in quotes of its own: {key}="{quoted}".'


def _is_override(word: str) -> bool:
    return bool(_OVERRIDE.fullmatch(word)) or word.startswith("~")


def _with_experiment(words: list[str], given: dict[str, str]) -> list[str]:
    """Replace tables by their columns, and make several choices a multirun."""
    value = given["experiment"]
    if value.startswith("glob("):
        choices = [value]
        pattern = value[len("glob(") :].split(",")[0].rstrip(")").lstrip("[").rstrip("]").strip("'\"")
        options = [name for folder in _folders(words) for name in _options(folder, "experiment")]
        if not fnmatch.filter(options, pattern):
            raise SpecError(unknown_name("experiment", value, options))
    else:
        asked = [choice.strip() for choice in value.split(",")]
        choices = [cell for choice in asked for cell in _cells(words, choice, alone=len(asked) == 1)]
        choices = list(dict.fromkeys(choices))
    if len(choices) == 1 and choices[0].startswith("sweep="):
        return [choices[0] if word == f"experiment={value}" else word for word in words]
    changed = [f"experiment={','.join(choices)}" if word == f"experiment={value}" else word for word in words]
    several = len(choices) > 1 or any(map(is_sweep, given.values()))
    if "batch" not in given and (several or _MULTIRUN & set(words)):
        changed.append(f"batch={re.sub(r'[^A-Za-z0-9_-]+', '_', value).strip('_')}")
    return changed


def _cells(words: Sequence[str], choice: str, *, alone: bool) -> list[str]:
    """Return the experiments that a choice stands for."""
    folders = _folders(words)
    experiments = [name for folder in folders for name in _options(folder, "experiment")]
    sweeps = {name: folder / "sweep" / f"{name}.yaml" for folder in folders for name in _options(folder, "sweep")}
    if choice in experiments:
        return [choice]
    if choice not in sweeps:
        names = list(dict.fromkeys([*experiments, *sweeps]))
        raise SpecError(
            unknown_name(
                "experiment", choice, names, "Your own go into <folder>/experiment, with --config-dir <folder>."
            )
        )
    if alone:
        return [f"sweep={choice}"]
    return _swept_experiments(sweeps[choice])


def _swept_experiments(path: Path) -> list[str]:
    """Return the experiments that a sweep file lists."""
    parameters = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("hydra", {}).get("sweeper", {})
    parameters = parameters.get("params", {})
    if list(parameters) != ["experiment"]:
        raise SpecError(
            f"sweep {path.stem!r} sweeps {', '.join(parameters) or 'nothing'}: run it alone, with sweep={path.stem}."
        )
    return [name.strip() for name in str(parameters["experiment"]).split(",")]


def _folders(argv: Sequence[str]) -> list[Path]:
    """Return the folders of configuration: the user's own first, then the package's."""
    own = []
    for number, word in enumerate(argv):
        if word in ("--config-dir", "-cd") and number + 1 < len(argv):
            own.append(Path(argv[number + 1]))
        elif word.startswith("--config-dir="):
            own.append(Path(word.split("=", 1)[1]))
    for folder in own:
        if not folder.is_dir():
            raise SpecError(
                f"--config-dir {folder}: no such folder. Give the folder that holds experiment/, source/ and so on."
            )
    return [*own, conf_directory()]


def _options(folder: Path, group: str) -> list[str]:
    """Return the options of a group, sorted."""
    return sorted(path.stem for path in (folder / group).glob("*.yaml"))
