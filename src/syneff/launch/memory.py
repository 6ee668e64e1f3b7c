"""What a finished run was made of, so that the same command finds out at once that nothing is left to do.

Composing the configuration of a cell takes a tenth of a second, reading its manifest a ten-thousandth. A run whose cells all
ended well leaves the fingerprint of its words, of every yaml file it could have read and of the program, with the keys of its
cells and the digests of its data. While they are the same, so is every key.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from syneff.ledger import write

RECORD = ".finished.json"
OUTSIDE = re.compile(r"\$\{\s*(oc\.env|env|now|random)\b")
"""What makes a configuration depend on more than words and files."""


def fingerprint(config: DictConfig, program: Path) -> str:
    """Return sha256 of what the cells of a run follow from; "" where it is more than words and files.

    Parameters
    ----------
    config
        Of the whole run.
    program
        The folder of its modules.
    """
    words = [
        word for word in (*config.hydra.overrides.task, *config.hydra.overrides.hydra) if not word.startswith("run=")
    ]
    digest = hashlib.sha256(json.dumps(words).encode())
    for source in config.hydra.runtime.config_sources:
        for path in sorted(Path(source.path).rglob("*.yaml")) if source["schema"] == "file" else ():
            text = path.read_text(encoding="utf-8")
            if OUTSIDE.search(text):
                return ""
            digest.update(f"{path}\0{text}\0".encode())
    for path in sorted(program.rglob("*.py")):
        known = path.stat()
        digest.update(f"{path}\0{known.st_mtime_ns}\0{known.st_size}\0".encode())
    return "" if any(map(OUTSIDE.search, words)) else digest.hexdigest()


def remember(
    run: Path, sign: str, manifests: Mapping[str, Mapping[str, Any]], files: Iterable[str], cells: int
) -> None:
    """Write down that a run is finished, if it is."""
    if sign and len(manifests) == cells:
        keys = {name: manifest["key"] for name, manifest in manifests.items()}
        data = {file: _digest(file) for file in files}
        write(run / RECORD, json.dumps({"fingerprint": sign, "keys": keys, "data": data}).encode())


def unchanged(run: Path, sign: str) -> dict[str, str] | None:
    """Return the keys that the cells of a run must have, if words, files and program are those that it is finished for."""
    try:
        found = json.loads((run / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    same = bool(sign) and found["fingerprint"] == sign
    return found["keys"] if same and all(_digest(file) == digest for file, digest in found["data"].items()) else None


def _digest(file: str) -> str:
    path = Path(file).expanduser()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
