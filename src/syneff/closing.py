"""What a run leaves when it ends: the report, the memory of what it was made of, and no folder where nothing was stored."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from syneff import claims, nodes
from syneff.launch import memory


def remember(folder: Path, finished: Sequence[str], fingerprint: str) -> None:
    """Let the next run of the same command find out at once that nothing is left to do."""
    from syneff import store

    manifests = store.manifests(folder, finished)
    files = store.data_files(manifest["config"] for manifest in manifests.values())
    memory.remember(folder, fingerprint, manifests, files, len(finished))


def report(config: DictConfig, folder: Path, finished: list[str]) -> Path | None:
    """Build the page of the finished cells; None if the configuration has no exhibits."""
    plain: dict[str, Any] = OmegaConf.to_container(config.report, resolve=True)  # type: ignore[assignment]
    if not plain.get("exhibits"):
        return None
    nodes.check(plain, "report")
    from syneff import store
    from syneff.report import page

    results = store.read(folder, finished)
    exhibits = {name: nodes.make(node) for name, node in plain["exhibits"].items()}
    return page.build(results.tidy, results.manifests, results.draws, exhibits, folder, details=results.details)


def tidy_away(folder: Path) -> None:
    """Remove what Hydra made for a run that stored nothing."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {"multirun.yaml", claims.LOCKS, memory.RECORD}:
        shutil.rmtree(folder)
