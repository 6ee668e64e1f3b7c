"""Architecture: arrows point down, modules stay small, heavy packages wait until they are needed."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import syneff

SOURCE = Path(syneff.__file__).parent
MODULES = {
    ".".join(("syneff", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
FOUNDATIONS = ("syneff.typing", "syneff.errors", "syneff.runtime")

# What the modules whose names begin so may import, besides their own kind. The longest beginning counts.
ARROWS = {
    "syneff": (),
    "syneff.typing": (),
    "syneff.errors": (),
    "syneff.runtime": ("syneff.errors", "syneff.typing"),
    "syneff.command": ("syneff.errors",),
    "syneff.nodes": ("syneff.errors",),
    "syneff.progress": (),
    "syneff.ledger": (),
    "syneff.journal": ("syneff.errors", "syneff.ledger"),
    "syneff.claims": (),
    "syneff.compaction": (),
    "syneff.store": (
        "syneff.claims",
        "syneff.compaction",
        "syneff.errors",
        "syneff.journal",
        "syneff.ledger",
        "syneff.nodes",
    ),
    "syneff.experiment": ("syneff.nodes", "syneff.panel", "syneff.models.base", *FOUNDATIONS),
    "syneff.record": ("syneff.experiment", "syneff.panel", "syneff.models.base", *FOUNDATIONS),
    "syneff.panel": FOUNDATIONS,
    "syneff.numerics": FOUNDATIONS,
    "syneff.measure": ("syneff.numerics", "syneff.panel", *FOUNDATIONS),
    "syneff.models": ("syneff.numerics", "syneff.panel", *FOUNDATIONS),
    "syneff.spatial": ("syneff.models.base", "syneff.models.design", "syneff.numerics", "syneff.panel", *FOUNDATIONS),
    # Adjusting p-values reads results; nothing is estimated again.
    "syneff.report.multiplicity": ("syneff.report", "syneff.numerics.multiple_testing", *FOUNDATIONS),
    "syneff.pipeline": ("syneff.measure", "syneff.models", "syneff.panel", *FOUNDATIONS),
    "syneff.report": ("syneff.models.base", *FOUNDATIONS),
    "syneff.messages": ("syneff.command", "syneff.configuration", "syneff.errors", "syneff.ledger", "syneff.nodes"),
    "syneff.launch": ("syneff.claims", "syneff.command", "syneff.errors", "syneff.ledger", "syneff.nodes"),
    "syneff.launch.worker": ("syneff.app", "syneff.command", "syneff.errors", "syneff.launch.pack", "syneff.runtime"),
    "syneff.closing": (
        "syneff.claims",
        "syneff.errors",
        "syneff.journal",
        "syneff.launch",
        "syneff.nodes",
        "syneff.report",
        "syneff.store",
    ),
    "syneff.app": ("syneff",),
    "syneff.configuration": (),
    "syneff.__main__": ("syneff.app",),
}
# Beginnings of the modules that may import a package, by package; every other package is free.
CONFIGURED = ("syneff.app", "syneff.closing", "syneff.launch", "syneff.messages")
HOMES = {"hydra": CONFIGURED, "omegaconf": CONFIGURED, "matplotlib": ("syneff.report.figures",)}
# Imported inside functions only, wherever they are used.
LAZY = ("submitit", "pyfixest", "libpysal", "pandera", "duckdb", "maketables", "geopandas")

LINES_OF_A_MODULE = 350
LINES_OF_A_FUNCTION = 40
# Solver loops, whose pieces share too many arrays to be cut apart.
LONG_FUNCTIONS: set[str] = set()
POSITIONAL = 5


def tree(name):
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imported(name, node):
    """Return (module, name or None) of an import statement; relative imports are resolved."""
    if isinstance(node, ast.Import):
        return [(alias.name, None) for alias in node.names]
    base = node.module or ""
    if node.level:
        package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parents, *([node.module] if node.module else [])])
    return [
        (f"{base}.{alias.name}", None) if f"{base}.{alias.name}" in MODULES else (base, alias.name)
        for alias in node.names
    ]


def imports(name):
    return [
        pair
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for pair in imported(name, node)
    ]


def internal(name):
    return sorted({module for module, _ in imports(name) if module.split(".")[0] == "syneff"} - {name})


def begins(name, beginning):
    return name == beginning or name.startswith(beginning + ".")


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"syneff"}))
def test_arrows_point_down(name):
    # The package itself is exempt: it lists the public names, and loads them on first use.
    kind = max((beginning for beginning in ARROWS if begins(name, beginning)), key=len)
    assert kind != "syneff", f"{name} has no place in the architecture: add it to ARROWS"
    wrong = [
        module
        for module in internal(name)
        if not any(begins(module, allowed) for allowed in (kind, *ARROWS[kind])) and module != "syneff"
    ]
    assert not wrong, f"{name} must not import {wrong}"


def test_there_is_no_circle():
    graph = {name: [module for module in internal(name) if module != "syneff"] for name in MODULES if name != "syneff"}
    done, path = set(), []

    def visit(name):
        assert name not in path, f"circle: {' -> '.join([*path[path.index(name) :], name])}"
        if name not in done:
            path.append(name)
            for module in graph.get(name, []):
                visit(module)
            done.add(path.pop())

    for name in graph:
        visit(name)


@pytest.mark.parametrize("name", MODULES)
def test_imports_are_named_and_public(name):
    for module, what in imports(name):
        assert what != "*", f"{name} imports * from {module}"
        private = [part for part in (*module.split(".")[1:], what or "") if re.match(r"_(?!_)", part)]
        if module.split(".")[0] == "syneff":
            assert not private, f"{name} imports the private {private[0]} of {module}"


@pytest.mark.parametrize("name", MODULES)
def test_packages_stay_where_they_belong(name):
    for module, _ in imports(name):
        homes = HOMES.get(module.split(".")[0])
        assert homes is None or any(begins(name, home) for home in homes), (
            f"{name} imports {module}, which belongs to {homes}"
        )


@pytest.mark.parametrize("name", MODULES)
def test_heavy_packages_are_imported_inside_functions(name):
    for node in tree(name).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for module, _ in imported(name, node):
                assert module.split(".")[0] not in LAZY, f"{name} imports {module} at its top"


@pytest.mark.parametrize("name", MODULES)
def test_modules_and_functions_are_small(name):
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES_OF_A_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            where = f"{name}.{node.name}"
            body = node.body[1:] if ast.get_docstring(node) else node.body
            code = node.end_lineno - body[0].lineno + 1 if body else 0
            assert code <= LINES_OF_A_FUNCTION or where in LONG_FUNCTIONS, f"{where} has {code} lines"
            named = [each.arg for each in (*node.args.posonlyargs, *node.args.args) if each.arg not in ("self", "cls")]
            assert len(named) <= POSITIONAL, f"{where} takes {len(named)} positional arguments"


def test_scripts_are_thin():
    for path in (SOURCE.parents[1] / "scripts").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 40, path.name


def test_public_names_load_and_are_listed_once():
    listed = {
        alias.asname
        for node in ast.walk(tree("syneff"))
        if isinstance(node, ast.If)
        for each in node.body
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }
    assert listed == set(syneff._HOMES)
    for name in listed:
        assert getattr(syneff, name).__name__ == name
        assert name in dir(syneff)
    with pytest.raises(AttributeError, match="nonsense"):
        syneff.nonsense  # noqa: B018


def test_help_and_import_wait_for_neither_jax_nor_pandas():
    code = (
        "import sys; sys.argv = ['syneff', '--help']\n"
        "import syneff\n"
        "from syneff.app import main\n"
        "assert main() == 0\n"
        "print('loaded:', sorted({'jax', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.endswith("loaded: []\n")
    assert "syneff experiment=table03" in answer.stdout
