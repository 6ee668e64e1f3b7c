"""Hand-made results: every number below was chosen, none was computed by the package."""

from typing import Any

import numpy as np
import pandas as pd

LABELS = {
    "treat": {"label": "Innovative-city pilot", "label_zh": "试点", "unit": "-"},
    "pop": {"label": "Population density", "label_zh": "人口密度", "unit": "100 persons/km2"},
    "syeff": {"label": "Synergy", "label_zh": "协同", "unit": "-"},
}
BLANK = dict.fromkeys(("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "dof"), np.nan)


def row(term: str, estimate: float, std_error: float, p_value: float, **more: Any) -> dict[str, Any]:
    """One tidy row of a term."""
    half = 2 * std_error
    return {
        "term": term,
        "estimate": estimate,
        "std_error": std_error,
        "statistic": estimate / std_error,
        "p_value": p_value,
        "conf_low": estimate - half,
        "conf_high": estimate + half,
        "dof": 283.0,
        **more,
    }


def check_row(term: str, p_value: float, statistic: float = 1.25, dof: float = 4.0) -> dict[str, Any]:
    """One tidy row of a test."""
    return {**BLANK, "term": term, "statistic": statistic, "p_value": p_value, "dof": dof}


def omitted(term: str) -> dict[str, Any]:
    """One tidy row of a collinear term."""
    return {**BLANK, "term": term, "dof": 283.0}


def tidy(experiment: str, column: str, rows: list[dict[str, Any]], outcome: str = "syeff") -> pd.DataFrame:
    """Tidy rows of one cell."""
    frame = pd.DataFrame(rows).assign(experiment=experiment, column=column, outcome=outcome)
    return frame.assign(nobs=4828.0, n_units=284.0, n_periods=17.0)


def manifest(experiment: str, column: str, **more: Any) -> dict[str, Any]:
    """The manifest of one cell."""
    return {
        "name": f"{experiment}_{column}",
        "experiment": experiment,
        "column": column,
        "key": "0f3a9c",
        "config": {
            "name": experiment,
            "estimator": {
                "spec": {"treatment": "treat", "effects": ["unit", "period"], "cluster": "unit", "covariance": "CR1"}
            },
        },
        "seed": 7,
        "versions": {"syneff": "0.1.0", "jax": "0.10.0"},
        "devices": ["cpu:cpu"],
        "seconds": {"fit": 0.0123},
        "warnings": [],
        "stats": {
            "r2": 0.7085,
            "r2_within": 0.0863,
            "r2_xtreg": 0.2152,
            "r2_xtreg_adjusted": 0.1621,
            "n_clusters": 284,
        },
        "variables": LABELS,
        "truth": {"coefficients": {"treat": 0.04}, "note": "The effect was set to 0.04."},
        "source": "synthetic",
        "sample": {"n_units": 284, "n_periods": 17, "rows": 4828},
        "git": {"sha": "abc1234", "dirty": False},
        **more,
    }


Stored = tuple[pd.DataFrame, dict[str, dict[str, Any]], dict[str, pd.DataFrame]]


def stored(*cells: tuple[pd.DataFrame, dict[str, Any]], draws: dict[str, pd.DataFrame] | None = None) -> Stored:
    """Put cells together as the store returns them."""
    return (
        pd.concat([frame.assign(cell=facts["name"]) for frame, facts in cells], ignore_index=True),
        {facts["name"]: facts for _, facts in cells},
        draws or {},
    )


def table02() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Moments of two variables."""
    moments = {"syeff": (4828, 0.46, 0.1, 0.002, 0.98), "pop": (4828, 4.3, 3.4, 0.05, 29.0)}
    rows = [
        {**BLANK, "term": f"{moment}:{name}", "estimate": value}
        for name, values in moments.items()
        for moment, value in zip(("n", "mean", "sd", "min", "max"), values, strict=True)
    ]
    return tidy("table02", "1", rows), manifest("table02", "1", truth=None, stats={})


def table03(column: str = "1") -> tuple[pd.DataFrame, dict[str, Any]]:
    """A regression column; from column 2 on with a control, in column 3 a collinear one."""
    rows = [
        row("treat", 0.0512, 0.0064, 0.0001),
        row("constant", 0.4521, 0.002, 0.0),
        row("constant[xtreg]", 0.4436, 0.005, 0.0),
    ]
    if column != "1":
        rows.insert(1, row("pop", -0.000421, 0.0003, 0.07))
    if column == "3":
        rows.insert(2, omitted("gov"))
    return tidy("table03", column, rows), manifest("table03", column)


def figure01() -> tuple[pd.DataFrame, dict[str, Any]]:
    """An event study with base -1 and ends -5 and 6."""
    times = [-5, -4, -3, -2, 0, 1, 2, 3, 4, 5, 6]
    effects = [0.004, -0.006, 0.002, -0.001, 0.021, 0.028, 0.035, 0.041, 0.044, 0.047, 0.052]
    rows = [row(f"event[{time}]", effect, 0.009, 0.04) for time, effect in zip(times, effects, strict=True)]
    truth = {f"event[{time}]": 0.0 if time < 0 else min(0.02 + 0.006 * time, 0.045) for time in times}
    facts = {
        "truth": {"coefficients": truth, "note": "The path of effects was set."},
        "stats": {
            "support_units": [75.0 - 5 * max(time, 0) for time in times] + [None],
            "n_clusters": 284,
        },
    }
    return tidy("figure01", "1", [*rows, row("pop", 0.02, 0.004, 0.0), check_row("pre_trend", 0.2913)]), manifest(
        "figure01", "1", **facts
    )


def figure02() -> tuple[pd.DataFrame, dict[str, Any]]:
    """A placebo test."""
    return tidy("figure02", "1", [row("treat", 0.0512, 0.0064, 0.0001), check_row("randomization", 0.001)]), manifest(
        "figure02", "1"
    )


def placebo_draws(draws: int = 500) -> pd.DataFrame:
    """Draws of a placebo test, from a generator with a fixed seed."""
    random = np.random.default_rng(3)
    estimates = random.normal(0, 0.008, draws)
    return pd.DataFrame(
        {
            "draw": np.arange(draws),
            "term": "treat",
            "estimate": estimates,
            "std_error": 0.008,
            "statistic": estimates / 0.008,
            "p_value": random.uniform(0, 1, draws),
        }
    )


def technology(name: str, number: int = 1, **options: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A cell of the technology sweep; `options` change its programme, its numbers grow with `number`."""
    outcome = "joint" if options.get("bad") else "syeff"
    default = {"returns": "crs", "reference": "global", "orientation": "none", "bads": "outputs", "bad": ["pm25"]}
    steps = {
        "default_preff": {"name": "default_preff", **default},
        "default_syeff": {"name": "default_syeff", "first": "default_preff", "second": "default_creff"},
        "preff": {"name": "preff", **default, **options},
        "syeff": {"name": "syeff", "first": "preff", "second": "creff"},
        "joint": {"name": "joint", **default, **options},
    }
    scores = ["joint"] if outcome == "joint" else ["preff", "creff"]
    moments = {f"{key}:{each}": 0.1 * number for key in ("mean", "sd") for each in dict.fromkeys((*scores, outcome))}
    extremes = {f"{key}:{each}": float(number) for key in ("high", "tied") for each in scores}
    extremes |= {f"top:{each}": 0.01 * number for each in scores} | {f"missing:{outcome}": 1000.0 * number}
    facts = manifest("technology", "1", stats={**moments, **extremes, "rank_correlation": 1 - 0.1 * number})
    config = {"steps": steps, "estimator": {**facts["config"]["estimator"], "benchmark": "default_syeff"}}
    frame = tidy("technology", "1", [row("treat", 0.01 * number, 0.004, 0.04), row("constant", 0.4, 0.1, 0.0)], outcome)
    return frame, {**facts, "name": name, "config": config}
