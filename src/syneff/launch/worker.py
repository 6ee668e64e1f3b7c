"""``python -m syneff.launch.worker``: the process that computes the cells of a pack, which it reads from its input."""

import os
import sys

from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import open_dict, read_write

from syneff import app, command
from syneff.errors import DeviceError
from syneff.launch import pack


def main() -> None:
    """Compute the cells; how each of them ended is in the ledger."""
    given = pack.from_json(sys.stdin.read())
    if given.configuration:
        search_also(given.configuration)
    if given.distributed:
        join()
    with initialize_config_dir(str(command.conf_directory()), version_base="1.3"):
        for job in given.jobs:
            try:
                config = compose("config", list(job.words), return_hydra_config=True)
            except Exception as error:
                app.refuse(given.ledger, job.cell, error)
                continue
            HydraConfig.instance().set_config(config)
            with read_write(config), open_dict(config):
                del config["hydra"]
            app.cell(config)


def search_also(folder: str) -> None:
    """Look for yaml files in the user's own folder, at the place that ``--config-dir`` gives it."""

    class Own(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            query = SearchPathQuery(provider="schema")
            search_path.prepend(provider="command-line", path=f"file://{folder}", anchor=query)

    Plugins.instance().register(Own)


def join() -> None:
    """Compute together with the other tasks of the job; the first one alone stores what comes of it."""
    if int(os.environ.get("SLURM_NTASKS", 1)) < 2:
        raise DeviceError(
            "launcher.distributed=true needs several tasks a job. Set hydra.launcher.tasks_per_node or .nodes."
        )
    from syneff import runtime

    app.write_results(runtime.join_processes() == 0)


if __name__ == "__main__":
    main()
