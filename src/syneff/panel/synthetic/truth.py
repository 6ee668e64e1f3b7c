r"""What is true of the country, term by term.

The policy adds tau_it to the outcome: a city's own effect and what its neighbours' policy does to it. No regression estimates
tau_it; each converges to an average of its own. Because controls and city and year effects enter the outcome linearly, what
an estimator of the pilot's effect converges to is what it gives when tau_it stands in the place of the outcome:

    b = (X~' X~)^-1 X~' tau~,     X = (treat, controls),

~ taking city and year means out; a control's own coefficient is gamma plus its entry of b. So the truth of a term belongs to a
specification, and differs from the mean of tau_it over treated city-years, which stands beside it.
"""

from collections.abc import Mapping

import numpy as np

from syneff.panel.panel import Truth
from syneff.panel.synthetic.controls import CONTROLS
from syneff.panel.synthetic.country import Country
from syneff.panel.synthetic.mediators import SLOPES
from syneff.panel.synthetic.policy import GAPS
from syneff.typing import Bool, HostUnitPeriod

LEADS, LAGS = 5, 6  # the event study's pooled ends
PAST = ("port", "rail1933")
PART_OF = {"ingrvg": "invg", "indivg": "invg", "magg": "coag", "sagg": "coag"}


def truth_of(country: Country) -> Truth:
    """Return what is true of the country: coefficients of regressions, and the parts of the effect."""
    treat, effects = country.policy.treat, country.effects
    controls = {name: country.columns[name] for name in CONTROLS}
    moved = country.mediators.moved
    found = project({"syeff": effects.felt, **moved}, {"treat": treat, **controls})
    base = found["syeff"]
    coefficients = {"treat": base["treat"], **_event_path(country, controls)}
    coefficients |= {name: control.effect + base[name] for name, control in CONTROLS.items()}
    return Truth(
        coefficients=coefficients,
        note=(
            "Synthetic panel: what a regression with all controls converges to, of syeff measured by global Super-SBM under "
            f"constant returns. The effect on treated city-years is {_mean(effects.own, treat > 0):.4f} on average; "
            f"two-way fixed effects weight the rising path otherwise, feel spillovers, and converge to {base['treat']:.4f}."
        ),
        outcome="syeff",
        outcomes={name: {"treat": found[name]["treat"]} for name in moved},
        given=_given_mediators(country, controls),
        parts={**_parts(country), **_specifications(country, controls)},
    )


def _given_mediators(country: Country, controls: Mapping[str, HostUnitPeriod]) -> dict[str, dict[str, float]]:
    """Return the coefficients of the treatment and of each mediator that joins the controls.

    The mediator that has a slope takes its own part of the effect along. One that is part of it, as green patents are of all
    patents, stands in for it as well as it can.
    """
    found = {}
    for name, whole in {**dict.fromkeys(SLOPES), **PART_OF}.items():
        origin = whole or name
        rest = country.effects.felt - country.effects.through[origin]
        tau = np.asarray(rest + SLOPES[origin] * country.columns[origin])
        regressors = {"treat": country.policy.treat, name: country.columns[name], **controls}
        both = project({"tau": tau}, regressors)["tau"]
        found[name] = {"treat": both["treat"], name: both[name]}
    return found


def project(
    outcomes: Mapping[str, HostUnitPeriod],
    regressors: Mapping[str, HostUnitPeriod],
    units: Bool[np.ndarray, " unit"] | None = None,
) -> dict[str, dict[str, float]]:
    """Return two-way fixed-effects coefficients by outcome and regressor, of all units or of those chosen."""
    rows = slice(None) if units is None else units
    x, y = (np.stack([within(values[rows]).ravel() for values in each.values()]) for each in (regressors, outcomes))
    scale = np.sqrt((x**2).sum(axis=1))
    scale[scale == 0.0] = 1.0
    x /= scale[:, None]
    # Not `@`: the threads of BLAS wait for each other on a busy machine, and the products are short.
    gram, moments = np.einsum("kn,ln->kl", x, x), np.einsum("kn,yn->ky", x, y)
    coef = np.linalg.lstsq(gram, moments, rcond=1e-10)[0] / scale[:, None]
    return {name: dict(zip(regressors, map(float, coef[:, k]), strict=True)) for k, name in enumerate(outcomes)}


def within(values: HostUnitPeriod) -> HostUnitPeriod:
    """Take city and year means out."""
    return np.asarray(values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean())


def _mean(values: HostUnitPeriod, rows: np.ndarray) -> float:
    return float(values[rows].mean()) if rows.any() else float("nan")


def _event_path(country: Country, controls: Mapping[str, HostUnitPeriod]) -> dict[str, float]:
    """Return the event study's coefficients by event time, the base period's 0 among them."""
    event = np.clip(country.policy.event, -LEADS, LAGS)
    bins = {f"event[{k}]": (event == k).astype(float) for k in range(-LEADS, LAGS + 1) if k != -1}
    shown = {name: rows for name, rows in bins.items() if rows.any()}
    found = project({"tau": country.effects.felt}, {**shown, **controls})["tau"]
    known = {**found, "event[-1]": 0.0}
    return {name: known[name] for k in range(-LEADS, LAGS + 1) if (name := f"event[{k}]") in known}


def _parts(country: Country) -> dict[str, float]:
    """Return means over treated city-years of the effect and of its parts, by way, by group and by event time."""
    effects, event = country.effects, country.policy.event
    treated = event >= 0
    parts = {"total": _mean(effects.own, treated), "direct": _mean(effects.direct, treated)}
    parts |= {f"indirect:{name}": _mean(added, treated) for name, added in effects.through.items()}
    for name in GAPS:
        member = country.cities.traits[name][:, None] > 0
        parts[f"total[{name}=1]"] = _mean(effects.own, treated & member)
        parts[f"total[{name}=0]"] = _mean(effects.own, treated & ~member)
    exposed = country.policy.nearby > 0
    parts["spillover"] = _mean(effects.spillover, exposed)
    parts |= {f"path[{k:.0f}]": _mean(effects.own, event == k) for k in np.unique(event[treated])}
    return {name: value for name, value in parts.items() if np.isfinite(value)}


def _specifications(country: Country, controls: Mapping[str, HostUnitPeriod]) -> dict[str, float]:
    """Return what `treat` converges to in split samples, in a spatial regression, and by the instruments of the past."""
    treat, tau = country.policy.treat, {"tau": country.effects.felt}
    found = {}
    for name in GAPS:
        for value in (1, 0):
            member = country.cities.traits[name] == value
            # A group without adopters, or all of them, has no effect to compare.
            if treat[member].any() and not treat[member].any(axis=1).all():
                found[f"treat[{name}={value}]"] = project(tau, {"treat": treat, **controls}, member)["tau"]["treat"]
    lag = country.geography.lag
    lagged = {f"W_{name}": lag(values) for name, values in controls.items()}
    spatial = project(tau, {"treat": treat, "W_treat": lag(treat), **controls, **lagged})["tau"]
    found |= {"treat[spatial]": spatial["treat"], "W_treat[spatial]": spatial["W_treat"]}
    return {**found, "treat[instruments]": _two_stages(country, controls)}


def _two_stages(country: Country, controls: Mapping[str, HostUnitPeriod]) -> float:
    """Return the 2SLS coefficient of `treat` with the past times last year's national R&D as instruments."""
    past = {f"z_{name}": country.cities.traits[name][:, None] * country.columns["rd_lagged"] for name in PAST}
    regressors = {**past, **controls}
    first = project({"treat": country.policy.treat}, regressors)["treat"]
    fitted = sum((coef * regressors[name] for name, coef in first.items()), np.zeros(country.policy.treat.shape))
    return project({"tau": country.effects.felt}, {"treat": fitted, **controls})["tau"]["treat"]
