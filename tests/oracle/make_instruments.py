"""Make `instruments.json`: what linearmodels and R's AER find on a simulated panel, effects being explicit dummies.

Run by hand, in an environment that has linearmodels 7.1, with Rscript and the R packages AER and sandwich on the path:

    python tests/oracle/make_instruments.py

The simulated panel uses NumPy alone, so the tests make the same one.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

UNITS, PERIODS = 30, 8
FILE = Path(__file__).with_name("instruments.json")
EXOGENOUS = ["a", "b"]
INSTRUMENTS = ["z1", "z2", "z3"]
R_SCRIPT = """
suppressMessages({library(AER); library(sandwich)})
data <- read.csv(commandArgs(TRUE)[1])
fit <- ivreg(y ~ d + a + b + factor(unit) + factor(period) | z1 + z2 + z3 + a + b + factor(unit) + factor(period), data = data)
by_unit <- function(x) vcovCL(x, cluster = data$unit, type = "HC0", cadjust = FALSE)
robust <- function(x) vcovHC(x, type = "HC1")
for (kind in c("iid", "CR0", "HC1")) {
  use <- switch(kind, iid = NULL, CR0 = by_unit, HC1 = robust)
  # summary() would also test all coefficients jointly, dummies included: singular with so few clusters.
  found <- AER:::ivdiag(fit, vcov. = use)
  for (row in rownames(found)) cat(kind, "|", row, "|", paste(format(found[row, ], digits = 17), collapse = " "), "\\n")
}
"""


def simulate() -> pd.DataFrame:
    """Draw an unbalanced panel with two endogenous variables, three instruments and weights, one row a unit and period."""
    rng = np.random.default_rng(20240607)
    shape = (UNITS, PERIODS)
    z, x = rng.normal(size=(*shape, 3)), rng.normal(size=(*shape, 2))
    v, w, e = (rng.normal(size=shape) for _ in range(3))
    unit, period = rng.normal(size=(UNITS, 1)), rng.normal(size=(1, PERIODS))
    scale = np.exp(0.3 * z[:, :, 0])
    d = 0.5 * z[:, :, 0] + 0.3 * z[:, :, 1] + 0.2 * z[:, :, 2] + 0.3 * x[:, :, 0] + unit + v
    f = 0.4 * z[:, :, 1] - 0.5 * z[:, :, 2] + 0.2 * x[:, :, 1] + period + w
    y = 0.7 * d + 0.4 * x[:, :, 0] + unit + period + scale * (0.6 * v + 0.3 * w + e)
    weight = rng.uniform(0.5, 2.0, size=shape)
    present = rng.uniform(size=shape) > 0.1
    columns = {"y": y, "d": d, "f": f, "a": x[:, :, 0], "b": x[:, :, 1], "weight": weight}
    columns |= {f"z{number + 1}": z[:, :, number] for number in range(3)}
    rows, years = np.indices(shape)
    frame = pd.DataFrame({"unit": rows.ravel(), "period": years.ravel()})
    frame = frame.assign(**{name: values.ravel() for name, values in columns.items()})
    return frame[present.ravel()].reset_index(drop=True)


def exogenous(frame: pd.DataFrame) -> pd.DataFrame:
    """Return exogenous regressors and dummies of all units and of all periods but one."""
    units = pd.get_dummies(frame["unit"], prefix="u", dtype=float)
    periods = pd.get_dummies(frame["period"], prefix="t", drop_first=True, dtype=float)
    return pd.concat([frame[EXOGENOUS], units, periods], axis=1)


def within(frame: pd.DataFrame) -> pd.DataFrame:
    """Return all columns net of dummies."""
    basis = exogenous(frame).drop(columns=EXOGENOUS).to_numpy()
    columns = frame[["y", "d", "f", *EXOGENOUS, *INSTRUMENTS]]
    return columns - basis @ np.linalg.lstsq(basis, columns.to_numpy(), rcond=None)[0]


def of_fit(fit: object, names: list[str]) -> dict[str, list[float]]:
    return {"coef": fit.params[names].tolist(), "error": fit.std_errors[names].tolist()}


def linear_models(frame: pd.DataFrame) -> dict[str, object]:
    from linearmodels.iv import IV2SLS, IVGMM, IVLIML

    both = np.column_stack([frame["unit"], frame["period"]])
    covariances = {
        "iid": {"cov_type": "unadjusted", "debiased": True},
        "HC1": {"cov_type": "robust", "debiased": True},
        "CR0": {"cov_type": "clustered", "clusters": frame["unit"]},
        "lsdv": {"cov_type": "clustered", "clusters": frame["unit"], "debiased": True},
        "two-way": {"cov_type": "clustered", "clusters": both},
    }
    found: dict[str, object] = {}
    base, x = frame["y"], exogenous(frame)
    for variables in (["d"], ["d", "f"]):
        key = "+".join(variables)
        for kind, model in {"2sls": IV2SLS, "liml": IVLIML}.items():
            for name, options in covariances.items():
                fit = model(base, x, frame[variables], frame[INSTRUMENTS]).fit(**options)
                found[f"{kind} {key} {name}"] = of_fit(fit, [*variables, *EXOGENOUS])
                if kind == "2sls" and name != "two-way":
                    stage = fit.first_stage
                    found[f"rank {key} {name}"] = {
                        "lm": float(stage.kleibergen_paap.stat),
                        "df": int(stage.kleibergen_paap.df),
                        "f": float(stage.kleibergen_paap_f),
                        "cragg_donald": float(stage.cragg_donald_f),
                    }
        fit = IV2SLS(base, x, frame[variables], frame[INSTRUMENTS]).fit(cov_type="unadjusted", debiased=True)
        tests = {"sargan": fit.sargan, "wu_hausman": fit.wu_hausman()}
        found[f"tests {key}"] = {name: [float(test.stat), float(test.pval)] for name, test in tests.items()}
        found[f"kappa {key}"] = float(IVLIML(base, x, frame[variables], frame[INSTRUMENTS]).fit().kappa)
        robust = IVGMM(base, x, frame[variables], frame[INSTRUMENTS], weight_type="robust").fit(cov_type="robust")
        found[f"gmm {key} robust"] = {**of_fit(robust, [*variables, *EXOGENOUS]), "j": float(robust.j_stat.stat)}
        # With as many dummies as clusters the weight of all moments is singular, so dummies are partialled out.
        net = within(frame)
        for name, options in {"clustered": {"clusters": frame["unit"]}, "within": {}}.items():
            kind = {"clustered": "clustered", "within": "robust"}[name]
            model = IVGMM(net["y"], net[EXOGENOUS], net[variables], net[INSTRUMENTS], weight_type=kind, **options)
            fit = model.fit(cov_type=kind, **options)
            found[f"gmm {key} {name}"] = {**of_fit(fit, [*variables, *EXOGENOUS]), "j": float(fit.j_stat.stat)}
    weighted = IV2SLS(base, x, frame[["d"]], frame[INSTRUMENTS], weights=frame["weight"])
    fit = weighted.fit(cov_type="clustered", clusters=frame["unit"])
    found["weighted"] = of_fit(fit, ["d", *EXOGENOUS])
    found["weighted rank"] = {
        "lm": float(fit.first_stage.kleibergen_paap.stat),
        "f": float(fit.first_stage.kleibergen_paap_f),
    }
    return found


def aer(frame: pd.DataFrame) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder) / "panel.csv", Path(folder) / "script.R"
        frame.to_csv(data, index=False, float_format="%.17g")
        script.write_text(R_SCRIPT)
        printed = subprocess.run(["Rscript", str(script), str(data)], capture_output=True, text=True, check=False)
    if printed.returncode:
        raise RuntimeError(printed.stderr)
    rows = [line.split("|") for line in printed.stdout.splitlines()]
    return {
        f"{kind.strip()} {name.strip()}": [None if each == "NA" else float(each) for each in numbers.split()]
        for kind, name, numbers in rows
    }


if __name__ == "__main__":
    panel = simulate()
    FILE.write_text(json.dumps({"linearmodels": linear_models(panel), "AER": aer(panel)}, indent=1) + "\n")
