"""``python -m syneff.launch.worker``: the process that computes the cells of a pack, which it reads from its input."""

import os
import sys

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import open_dict, read_write

from syneff import app, command
from syneff.errors import DeviceError
from syneff.launch import pack


def main() -> None:
    """Compute the cells; how each of them ended is in the ledger."""
    given = pack.from_json(sys.stdin.read())
    own = given.configuration
    first, second = (own, str(command.conf_directory())) if own else (str(command.conf_directory()), "")
    behind = [f"hydra.searchpath=[file://{second}]"] if second else []
    if given.distributed:
        join()
    with initialize_config_dir(os.path.abspath(first), version_base="1.3"):
        for job in given.jobs:
            try:
                config = compose("config", [*job.words, *behind], return_hydra_config=True)
            except Exception as error:
                app.refuse(given.ledger, job.cell, error)
                continue
            HydraConfig.instance().set_config(config)
            with read_write(config), open_dict(config):
                del config["hydra"]
            app.cell(config)


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
