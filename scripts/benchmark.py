"""Time the main computations on this machine, beside an outside program in the same run: `benchmark.py [dea] [did]`."""

import argparse

from rich.console import Console

from benchmarks import dea, did
from benchmarks.result import table

SUBJECTS = {"dea": (dea.time_dea, "linprog"), "did": (did.time_did, "pyfixest")}


def main() -> None:
    """Time the subjects that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"any of {', '.join(SUBJECTS)}; all if none")
    asked = parser.parse_args().subjects or list(SUBJECTS)
    for name in asked:
        if name not in SUBJECTS:
            parser.error(f"unknown subject {name!r}; allowed: {', '.join(SUBJECTS)}")
        measure, peer = SUBJECTS[name]
        Console(width=120).print(table(measure(), peer))


if __name__ == "__main__":
    main()
