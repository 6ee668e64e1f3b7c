"""The wheel: it carries its configuration and works outside the repository."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a folder into which the wheel of this checkout is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def syneff(installed, folder, *words):
    """Run the installed package; the checkout is not on its path."""
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); import syneff; "
        f"assert syneff.__file__.startswith({str(installed)!r}), syneff.__file__; "
        "from syneff.app import main; sys.exit(main())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_wheel_works_outside_the_repository(installed, tmp_path):
    assert (installed / "syneff" / "conf" / "config.yaml").is_file()
    assert (installed / "syneff" / "py.typed").is_file()
    assert (installed / "syneff" / "report" / "published.csv").is_file()
    assert (installed / "syneff" / "measure" / "factors.csv").is_file()
    assert (installed / "syneff" / "measure" / "grids.csv").is_file()
    help_text = syneff(installed, tmp_path, "--help")
    assert help_text.returncode == 0
    assert "table03_7" in help_text.stdout
    job = syneff(installed, tmp_path, "--cfg", "job")
    assert job.returncode == 0, job.stderr
    assert "name: baseline" in job.stdout
    run = syneff(installed, tmp_path, "experiment=baseline", "compute=test")
    assert (run.returncode, run.stderr) == (0, ""), run
    assert (tmp_path / "outputs" / "baseline" / "baseline" / "manifest.json").is_file()


def test_the_lock_has_hashes_and_no_addresses():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^[A-Za-z0-9_.-]+==.*$", text, re.MULTILINE)
    assert pins
    assert text.count("--hash=sha256:") >= len(pins)
    assert not re.search(r"https?://|--(extra-)?index|file:", text)


def test_the_version_is_told_once():
    declared = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    import syneff

    assert declared[1] == cited[1] == syneff.__version__
