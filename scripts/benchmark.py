"""Time the main computations here, beside outside programs in one run: `benchmark.py [dea] [did] [spatial] [sweep]`."""

import argparse

from rich.console import Console

from benchmarks import dea, did, spatial, sweep

SUBJECTS = {"dea": dea.time_dea, "did": did.time_did, "spatial": spatial.time_spatial, "sweep": sweep.time_sweep}


def main() -> None:
    """Time the subjects that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"any of {', '.join(SUBJECTS)}; all if none")
    asked = parser.parse_args().subjects or list(SUBJECTS)
    for name in asked:
        if name not in SUBJECTS:
            parser.error(f"unknown subject {name!r}; allowed: {', '.join(SUBJECTS)}")
        for table in SUBJECTS[name]():
            Console(width=170).print(table)


if __name__ == "__main__":
    main()
