r"""The path of an event study: its coefficients in order of event time, with the base period as a zero among them.

.. math:: \hat\beta_t = \tau_t + \delta_t + \text{error}, \quad \tau_t = 0 \text{ before the effect can begin}

``delta`` is the difference in trends that treated and untreated units would have had anyway, zero in the base period. What the
periods before adoption say of it is what every sensitivity analysis starts from.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from syneff.errors import SpecError
from syneff.models.base import Estimate
from syneff.typing import Float, Int

_EVENT = re.compile(r"event\[(-?\d+)\]")
FIRST, AVERAGE = "first", "average"
"""Names of the targets that are asked for by default: the first period of the effect, and the mean of all."""


@dataclass(frozen=True)
class EventPath:
    """Coefficients by event time, one a period without gaps.

    Attributes
    ----------
    times
        ``[time]``: event times, consecutive.
    coef, cov
        ``[time]`` and ``[time time]``; zero in the base period.
    base
        Position of the base period.
    first
        Position of the first period that may have an effect; those before it show the difference in trends.
    places
        ``[time]``: position of each coefficient in the estimate; -1 for the base.
    dropped
        Event times of the estimate that are not in the path, because a gap parts them from the base.
    """

    times: Int[np.ndarray, " time"]
    coef: Float[np.ndarray, " time"]
    cov: Float[np.ndarray, "time time"]
    base: int
    first: int
    places: Int[np.ndarray, " time"]
    dropped: tuple[int, ...] = ()

    @property
    def pre(self) -> Int[np.ndarray, " pre"]:
        """Positions of the estimated periods before the effect can begin."""
        return np.asarray([place for place in range(self.first) if place != self.base], dtype=int)

    @property
    def posts(self) -> int:
        """Number of periods that may have an effect."""
        return self.times.size - self.first

    @property
    def differences(self) -> Float[np.ndarray, "step time"]:
        """First differences of the path, as rows; the first `first` - 1 lie before the effect."""
        return np.diff(np.eye(self.times.size), axis=0)

    def weights(self, targets: Mapping[str, Sequence[float]]) -> dict[str, Float[np.ndarray, " post"]]:
        """Return the weights of each target on the periods that may have an effect.

        Parameters
        ----------
        targets
            Weights by name, in order of event time; missing ones are 0. Without any, the first period and the average.

        Raises
        ------
        SpecError
            If a target has more weights than there are periods, or none that is not 0.
        """
        if not targets:
            first = np.zeros(self.posts)
            first[0] = 1.0
            return {FIRST: first, AVERAGE: np.full(self.posts, 1.0 / self.posts)}
        found = {}
        for name, given in targets.items():
            row = np.zeros(self.posts)
            if len(given) > self.posts or not np.any(given):
                raise SpecError(
                    f"Sensitivity: targets.{name}={list(given)} must be weights, not all 0, of at most the {self.posts} "
                    f"event times {self.times[self.first]} to {self.times[-1]}."
                )
            row[: len(given)] = given
            found[name] = row
        return found


def event_path(estimate: Estimate, window: tuple[int, int] | None = None, anticipation: int = 0) -> EventPath:
    """Read the path of an event study from its terms ``event[...]``.

    Parameters
    ----------
    estimate
        A single estimate with a covariance between its terms.
    window
        First and last event time to read; all of them if None.
    anticipation
        Periods before adoption in which there may be an effect already.

    Raises
    ------
    SpecError
        If there are no such terms, no base period among them, or too few periods before the effect.
    """
    named = {int(found[1]): place for place, name in enumerate(estimate.names) if (found := _EVENT.fullmatch(name))}
    inside = {time: place for time, place in named.items() if window is None or window[0] <= time <= window[1]}
    if not inside or estimate.coef.ndim != 1:
        raise SpecError(
            "Sensitivity needs the terms event[...] of one event study; the model has "
            f"{', '.join(estimate.names[:8])}{', ...' if len(estimate.names) > 8 else ''}. "
            "Use a model such as EventStudy, and a window that holds its event times."
        )
    base = _base(named)
    coef = np.asarray(estimate.coef)
    seen = sorted(time for time, place in inside.items() if np.isfinite(coef[place]))
    low = high = base
    while low - 1 in seen:
        low -= 1
    while high + 1 in seen:
        high += 1
    times = np.arange(low, high + 1)
    first = int(np.searchsorted(times, -anticipation))
    if not (base < -anticipation <= high and first >= 2):
        raise SpecError(
            f"Sensitivity: event times {low} to {high} with the base {base} and anticipation={anticipation} leave "
            "no period before the effect beside the base, or none after it. Widen the window of the model."
        )
    places = np.asarray([named.get(int(time), -1) for time in times])
    known = places >= 0
    cov = np.where(known[:, None] & known[None, :], np.asarray(estimate.cov)[places[:, None], places[None, :]], 0.0)
    if not np.isfinite(cov).all():
        raise SpecError(
            "Sensitivity needs the covariance between event times, which the model does not report. "
            "Use an estimator of all event times together, such as EventStudy."
        )
    dropped = tuple(time for time in seen if not low <= time <= high)
    return EventPath(times, np.where(known, coef[places], 0.0), cov, int(base - low), first, places, dropped)


def _base(named: Mapping[int, int]) -> int:
    """Return the one event time without a coefficient."""
    missing = [time for time in range(min(named), max(named) + 1) if time not in named]
    if len(missing) != 1:
        raise SpecError(
            f"Sensitivity: the event times {sorted(named)} must be consecutive but for one, the base that all are relative "
            f"to; missing are {missing or 'none'}. Choose a base inside the window; base_period=universal for CallawaySantAnna."
        )
    return missing[0]
