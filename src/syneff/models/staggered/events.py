"""Event times of estimators whose effects differ by cohort: which have a term, and which cohorts make up each."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy import special

from syneff.errors import SpecError
from syneff.models.base import Estimate, Spec


def check_window(who: str, window: tuple[int, int], base: int) -> None:
    """Raise a `SpecError` unless the window runs from before adoption to adoption or later and holds the base."""
    first, last = window
    if not first <= base < 0 <= last:
        raise SpecError(
            f"{who}: window=({first}, {last}) must run from the base or earlier to event time 0 or later, and base={base} must "
            "lie before adoption, e.g. window=(-5, 6), base=-1."
        )


def check_two_way(who: str, spec: Spec) -> None:
    """Raise a `SpecError` unless unit and period effects are absorbed."""
    if set(spec.effects) != {"unit", "period"}:
        raise SpecError(f"{who}: spec.effects={list(spec.effects)} must be [unit, period]. Set both.")


def event_bins(window: tuple[int, int], base: int) -> tuple[int, ...]:
    """Return the event times that have a term."""
    return tuple(each for each in range(window[0], window[1] + 1) if each != base)


def event_terms(treatment: str, bins: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the treatment's term and of those by event time."""
    return (treatment, *(f"event[{each}]" for each in bins))


def empty_events(estimate: Estimate) -> tuple[Estimate, tuple[str, ...]]:
    """Take event times without an effect out of what counts as omitted, and say in a note of its own which they are."""
    coef = np.asarray(estimate.coef)
    empty = np.asarray([name.startswith("event[") for name in estimate.names]) & np.isnan(coef)
    if not empty.any():
        return estimate, ()
    names = ", ".join(name for name, lacks in zip(estimate.names, empty, strict=True) if lacks)
    return replace(estimate, coef=jnp.asarray(np.where(empty, 0.0, coef))), (f"no effect to estimate at {names}",)


def cohort_frame(periods: tuple[int, ...], effects: tuple[np.ndarray, ...]) -> pd.DataFrame:
    """Return one row a cohort and period that has an effect.

    Parameters
    ----------
    periods
        Labels of the periods.
    effects
        Cohort and period (indices), estimate, standard error, rows, units and degrees of freedom; NaN where there is none.
    """
    group, period, estimate, error, rows, units, dof = effects
    half = special.stdtrit(dof, 0.975) * error
    frame = pd.DataFrame(
        {
            "cohort": np.asarray(periods)[group],
            "period": np.asarray(periods)[period],
            "event": period - group,
            "estimate": estimate,
            "std_error": error,
            "conf_low": estimate - half,
            "conf_high": estimate + half,
            "units": units,
            "rows": rows,
        }
    )
    frame = pd.DataFrame(frame[np.isfinite(estimate)].reset_index(drop=True))
    treated = frame["rows"].where(frame["event"] >= 0, 0.0)
    frame["weight"] = treated / treated.sum()
    return frame


def cohort_rows(cohorts: np.ndarray, weights: np.ndarray, periods: tuple[int, ...]) -> pd.DataFrame:
    """Return one row a cohort and event time: its units, and its rows, weighted.

    Parameters
    ----------
    cohorts
        ``[unit]``: index of the adoption period; the number of periods for the never treated, who are left out.
    weights
        ``[unit period]``.
    periods
        Labels of the periods.
    """
    unit, period = np.nonzero(weights)
    cells = pd.DataFrame({"cohort": cohorts[unit], "event": period - cohorts[unit], "rows": weights[unit, period]})
    cells = cells[cells["cohort"] < len(periods)]
    counted = cells.groupby(["cohort", "event"], as_index=False).agg(units=("rows", "size"), rows=("rows", "sum"))
    counted["cohort"] = np.asarray(periods)[counted["cohort"].to_numpy(dtype=int)]
    return counted


def pooled_events(cells: pd.DataFrame, window: tuple[int, int], base: int | None) -> pd.DataFrame:
    """Return one row an event time of the window and cohort: its units, rows, and share of the rows.

    Parameters
    ----------
    cells
        One row a cohort and event time, with ``units`` and ``rows``.
    window
        First and last event time, which hold all beyond them.
    base
        The event time that has no term, left out; None for none.
    """
    binned = cells.assign(event=cells["event"].clip(*window))
    binned = binned[binned["event"] != base]
    found = binned.groupby(["event", "cohort"], as_index=False).agg(units=("units", "max"), rows=("rows", "sum"))
    found["share"] = found["rows"] / found.groupby("event")["rows"].transform("sum")
    return found
