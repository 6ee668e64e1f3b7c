"""Fixed effects, and 2SLS with one endogenous variable, estimated again by pyfixest, a program that we did not write.

An event study is such a regression on dummies of event time; of a resampling scheme or a family the fits inside are audited,
not the draws. pyfixest is given the rows of the panel as they are, so it leaves out missing values, singletons and collinear
regressors by itself. Two things are mended in its standard errors, and said so: pyfixest 0.60 pairs effects with their names
through a set, so the ``K`` that it counts depends on the process's hash seed; and it does not know every small-sample rule. Its
own ``K`` is read from it and replaced by the one of the rule, counted here on the rows that it used.

It cannot do the covariances that adjust for leverage with absorbed effects, clustering in three ways, White's covariance for an
intersection, dependence by distance, and the mending of a covariance that is not positive semi-definite: the audit then says so
in one word.
"""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from syneff.models.base import Audit, Estimate, Estimator, Spec
from syneff.panel.panel import Panel
from syneff.typing import HostUnitPeriod

DEMEANED_TO = 1e-12
"""Tolerance of its alternating projections, which leaves about 1e-10 of the solution."""
INSIDE = "the fit inside, not its draws"
NUMBERS = ("coef", "std_error", "other_coef", "other_std_error")
# Rule -> (whether pyfixest's K counts, which K, whether G/(G-1) counts).
RULES = {
    "reghdfe": (True, "nonnested", True),
    "xtscc": (True, "nonnested", True),
    "plm": (True, "none", True),
    "lsdv": (True, "full", True),
    "linearmodels": (True, "full", False),
    "group": (False, "none", True),
    "none": (False, "none", False),
}


def audit_fixed_effects(
    panel: Panel,
    spec: Spec,
    estimate: Estimate,
    regressors: Mapping[str, HostUnitPeriod] | None = None,
    *,
    instrumented: bool = False,
) -> Audit:
    """Estimate a specification with pyfixest and put it beside an estimate.

    Parameters
    ----------
    panel
        The data.
    spec
        The specification.
    estimate
        Ours.
    regressors
        ``[unit period]`` by name, where they are not the columns that the specification names.
    instrumented
        Whether the treatment is instrumented by the specification's instruments (2SLS).
    """
    if word := _cannot(spec):
        return Audit(remark=word)
    columns = {name: panel.column(name) for name in spec.regressors} if regressors is None else regressors
    frame = _frame(panel, spec, columns)
    try:
        fit = _feols(frame, spec, estimate, instrumented=instrumented)
    except Exception as error:  # An outside program may fail in any way; the cell's own result stands.
        return Audit(remark=f"failed ({type(error).__name__}: {error})")
    parameters = _parameters(fit, spec)
    factor, remark = _mend(fit, spec, parameters)
    if float(estimate.stats.get("negative_eigenvalues", 0.0)) > 0:
        return Audit(remark="indefinite")
    names = {f"x{number}": name for number, name in enumerate(columns)} | {"Intercept": "constant"}
    theirs = pd.DataFrame({"coef": fit.coef(), "error": fit.se() * np.sqrt(factor)}).rename(index=names)
    ours = pd.DataFrame({"coef": estimate.coef, "error": estimate.std_error}, index=list(estimate.names)).dropna()
    terms = [name for name in estimate.names if name in columns or name in theirs.index]
    ours, theirs = ours.reindex(terms), theirs.reindex(terms)
    both = ours["coef"].notna() | theirs["coef"].notna()
    return Audit(
        program=f"pyfixest {version('pyfixest')}",
        terms=tuple(both.index[both]),
        coef=tuple(ours["coef"][both]),
        std_error=tuple(ours["error"][both]),
        other_coef=tuple(theirs["coef"][both]),
        other_std_error=tuple(theirs["error"][both]),
        rows=int(estimate.nobs),
        other_rows=int(fit._N),
        remark=remark,
    )


def audit_inside(model: Estimator, panel: Panel) -> Audit | None:
    """Audit the fit that a scheme draws around.

    Parameters
    ----------
    model
        The estimator inside.
    panel
        The data.

    Returns
    -------
    Audit or None
        With the remark that draws are not part of it; None where no program does what the model does.
    """
    found = model.audit(panel, model.estimate(panel))
    if found is None or not found.program:
        return found
    return replace(found, remark="; ".join(filter(None, (INSIDE, found.remark))))


def join_audits(audits: Mapping[str, Audit]) -> Audit:
    """Put the audits of several fits into one, terms after the names of fits; what cannot be done for one is said for all.

    Parameters
    ----------
    audits
        By the name of the fit.
    """
    for name, audit in audits.items():
        if not audit.program:
            return Audit(remark=f"{name}: {audit.remark}")
    each = list(audits.values())
    return Audit(
        program=each[0].program,
        terms=tuple(f"{name}:{term}" for name, audit in audits.items() for term in audit.terms),
        **{field: tuple(value for audit in each for value in getattr(audit, field)) for field in NUMBERS},
        rows=sum(audit.rows for audit in each),
        other_rows=sum(audit.other_rows for audit in each),
        remark="; ".join(dict.fromkeys(audit.remark for audit in each if audit.remark)),
    )


def _cannot(spec: Spec) -> str:
    """Name in one word what pyfixest lacks; empty if it lacks nothing."""
    if spec.covariance not in ("iid", "HC1", "CR0", "CR1", "driscoll_kraay"):
        return str(spec.covariance)
    if spec.clustered and len(spec.cluster_names) > 2:
        return "three-way"
    return str(spec.multiway) if spec.multiway == "white" else ""


def _frame(panel: Panel, spec: Spec, regressors: Mapping[str, HostUnitPeriod]) -> pd.DataFrame:
    """Return the rows of the sample under names that a formula can hold."""
    unit, period = np.indices(panel.shape)
    columns = {"y": panel.column(spec.outcome), "unit": unit, "period": period, "w": panel.weights}
    columns |= {f"x{number}": values for number, values in enumerate(regressors.values())}
    columns |= {f"z{number}": panel.column(name) for number, name in enumerate(spec.instruments)}
    for number, name in enumerate(spec.cluster_names if spec.clustered else ()):
        if name in ("unit", "period"):
            columns[f"c{number}"] = columns[name]
        else:
            values = panel.columns.get(name, np.asarray(panel.traits.get(name, []))[:, None])
            columns[f"c{number}"] = np.broadcast_to(values, panel.shape).astype(str)
    return pd.DataFrame({name: values[panel.sample] for name, values in columns.items()})


def _formula(frame: pd.DataFrame, spec: Spec, *, instrumented: bool) -> str:
    effects = f" | {' + '.join(spec.effects)}" if spec.effects else ""
    regressors = [name for name in map(str, frame) if name.startswith("x")]
    if not instrumented:
        return f"y ~ {' + '.join(regressors)}{effects}"
    instruments = " + ".join(f"z{number}" for number in range(len(spec.instruments)))
    return f"y ~ {' + '.join(regressors[1:]) or '1'}{effects} | x0 ~ {instruments}"


def _feols(frame: pd.DataFrame, spec: Spec, estimate: Estimate, *, instrumented: bool) -> Any:
    import pyfixest

    counts, which, groups = _rule(spec)
    options: dict[str, Any] = {"vcov": {"iid": "iid", "HC1": "hetero"}.get(str(spec.covariance))}
    if spec.clustered:
        options["vcov"] = {"CRV1": " + ".join(f"c{number}" for number in range(len(spec.cluster_names)))}
    if spec.covariance == "driscoll_kraay":
        # Its own default lag is another one.
        lag = int(estimate.stats["lags"])
        options |= {"vcov": "DK", "vcov_kwargs": {"time_id": "period", "panel_id": "unit", "lag": lag}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pyfixest.feols(
            _formula(frame, spec, instrumented=instrumented),
            frame,
            weights=None if (frame["w"] == 1).all() else "w",
            ssc=pyfixest.ssc(k_adj=counts, k_fixef=which, G_adj=groups, G_df=spec.multiway or "min"),
            demeaner=pyfixest.MapDemeaner(fixef_tol=DEMEANED_TO),
            **options,
        )


def _parameters(fit: Any, spec: Spec) -> int:
    """Count the parameters of the rule on the rows that pyfixest used."""
    data: pd.DataFrame = fit._data
    levels = {effect: int(data[effect].nunique()) for effect in spec.effects}
    slopes = int(fit._k) - (0 if spec.effects else 1)
    everything = slopes + sum(levels.values()) - max(len(levels) - 1, 0) + (0 if levels else 1)
    if spec.rule == "plm":
        return slopes
    ways = [f"c{number}" for number in range(len(spec.cluster_names))] if spec.clustered else ["period"]
    nested = {effect for effect in levels for way in ways if (data.groupby(effect)[way].nunique() == 1).all()}
    if spec.rule == "xtscc":
        nested = {"unit"} & set(levels)
    elif spec.rule != "reghdfe":
        nested = set()
    return everything - sum(levels[effect] - 1 for effect in nested)


def _mend(fit: Any, spec: Spec, parameters: int) -> tuple[float, str]:
    """Return by what to multiply its covariance so that it counts the rule's parameters, and a remark if that changes it."""
    rows, counted = int(fit._N), int(fit._df_k)
    if not _rule(spec)[0]:
        return 1.0, ""
    factor = (rows - counted) / (rows - parameters)
    if spec.rule == "linearmodels":
        factor *= rows / (rows - 1)
    return factor, "" if counted == parameters else f"its K of {counted} replaced by {parameters}"


def _rule(spec: Spec) -> tuple[bool, str, bool]:
    """Return how pyfixest is told of the rule; homoskedastic and White's covariance have the rule of the regression."""
    return RULES["lsdv" if spec.covariance in ("iid", "HC1") else spec.rule]
