"""Make `group_time.json`: what moderndid and csdid, two ports of the R package did, find on `mpdta.csv`.

Run by hand, in an environment that has moderndid 0.2.0 and csdid 0.4.3, with the folder of oracles:

    python tests/oracle/make_group_time.py ../shared/oracles/did

Where both programs do a case they must agree before anything is written. moderndid averages without the weights of units, so
the weighted case is csdid's.
"""

import json
import sys
import warnings
from pathlib import Path

import moderndid
import numpy as np
import pandas as pd
from csdid.att_gt import ATTgt

FILE = Path(__file__).with_name("group_time.json")
AVERAGES = ("simple", "dynamic", "group", "calendar")
METHODS = {"regression": "reg", "ipw": "ipw", "dr": "dr"}
GROUPS = {"never": "nevertreated", "not_yet": "notyettreated"}
# Name -> (options of CallawaySantAnna, whether lpop is a covariate, whether the never treated are there).
CASES = {
    "plain": ({}, False, True),
    **{
        f"{group} {method}": ({"control_group": group, "method": method}, True, True)
        for group in GROUPS
        for method in METHODS
    },
    "universal": ({"method": "dr", "base_period": "universal"}, True, True),
    "anticipation": ({"method": "dr", "control_group": "not_yet", "anticipation": 1}, True, True),
    "anticipation universal": ({"anticipation": 1, "base_period": "universal"}, True, True),
    "last cohort": ({"method": "dr", "control_group": "not_yet"}, True, False),
}


def number(value: float) -> float | None:
    """Return a number, None for none."""
    return float(value) if np.isfinite(value) else None


def by_moderndid(data: pd.DataFrame, options: dict, *, covariate: bool) -> dict:
    """Return cells, averages and the pre-test."""
    found = moderndid.att_gt(
        data,
        "lemp",
        "year",
        "countyreal",
        "g",
        xformla="~lpop" if covariate else "~1",
        est_method=METHODS[options.get("method", "regression")],
        control_group=GROUPS[options.get("control_group", "never")],
        base_period=options.get("base_period", "varying"),
        anticipation=options.get("anticipation", 0),
    )
    cells = {
        f"{int(group)},{int(year)}": [number(effect), number(error)]
        for group, year, effect, error in zip(found.groups, found.times, found.att_gt, found.se_gt, strict=True)
    }
    terms = {}
    for kind in AVERAGES:
        each = moderndid.aggte(found, type=kind)
        terms[kind] = [number(each.overall_att), number(each.overall_se)]
        if kind != "simple":
            label = "event" if kind == "dynamic" else kind
            for place, effect, error in zip(each.event_times, each.att_by_event, each.se_by_event, strict=True):
                terms[f"{label}[{int(place)}]"] = [number(effect), number(error)]
    return {"cells": cells, "terms": terms, "wald": number(found.wald_stat)}


def by_csdid(data: pd.DataFrame, options: dict, *, covariate: bool, weights: str | None = None) -> ATTgt:
    """Return csdid's group-time effects."""
    return ATTgt(
        yname="lemp",
        gname="g",
        idname="countyreal",
        tname="year",
        xformla="lemp~lpop" if covariate else "lemp~1",
        data=data,
        control_group=GROUPS[options.get("control_group", "never")],
        anticipation=options.get("anticipation", 0),
        weights_name=weights,
    ).fit(
        est_method=METHODS[options.get("method", "regression")],
        base_period=options.get("base_period", "varying"),
        bstrap=False,
    )


def cells_of(fit: ATTgt) -> dict:
    """Return csdid's effects by cell."""
    found = fit.results
    return {
        f"{int(group)},{int(year)}": float(effect)
        for group, year, effect in zip(found["group"], found["year"], found["att"], strict=True)
    }


def main() -> None:
    """Run all cases and write them."""
    warnings.simplefilter("ignore")
    frame = pd.read_csv(Path(sys.argv[1]) / "mpdta.csv").rename(columns={"first.treat": "g"})
    made = {}
    for name, (options, covariate, never) in CASES.items():
        data = frame if never else frame[frame["g"] > 0]
        found = by_moderndid(data, options, covariate=covariate)
        if never:
            other = cells_of(by_csdid(data, options, covariate=covariate))
            shared = [cell for cell in found["cells"] if cell in other]
            gaps = [abs(found["cells"][cell][0] - other[cell]) for cell in shared]
            print(name, len(shared), "cells of both, apart by", max(gaps))
            assert max(gaps) < 1e-8
        made[name] = {"options": options, "covariate": covariate, "never": never, **found}
    made["weights"] = weighted(frame)
    FILE.write_text(json.dumps(made, indent=1) + "\n")


def weighted(frame: pd.DataFrame) -> dict:
    """Return csdid's doubly robust effects and averages where units count by their size."""
    data = frame.assign(w=frame["lpop"] - frame["lpop"].min() + 0.5)
    options = {"method": "dr"}
    fit = by_csdid(data, options, covariate=True, weights="w")
    terms = {}
    for kind in AVERAGES:
        each = fit.aggte(typec=kind, bstrap=False, cband=False).atte
        terms[kind] = [float(each["overall_att"]), float(each["overall_se"])]
    cells = {cell: [effect, None] for cell, effect in cells_of(fit).items()}
    return {"options": options, "covariate": True, "never": True, "cells": cells, "terms": terms, "wald": None}


if __name__ == "__main__":
    main()
