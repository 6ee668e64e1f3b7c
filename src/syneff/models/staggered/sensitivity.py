r"""How far a violation of parallel trends could change an event study.

Any estimator whose estimate has terms ``event[...]`` and their covariance can be asked. The answers:

=====================================  =============================================================================
row or frame                           what
=====================================  =============================================================================
``sensitivity`` (frame)                robust confidence sets and identified sets of each target, along the bound
``breakdown:relative_magnitudes:...``  bound, relative to the largest step before adoption, from which on the target
                                       is no longer significant
``breakdown:smoothness:...``           change of slope a period from which on it no longer is
``breakdown`` (frame)                  both, and where the identified set first holds zero
``slope_detected[0.5]``                slope of a linear violation that the pre-test detects so often
``pre_test`` (frame)                   the bias that such a violation leaves, and leaves where the pre-test passes
``equivalence_max``, ``..._tost``,     tests whose null is that pre-trends are not negligible; ``conf_high`` is the
``..._mean``                           smallest threshold that they stay within, at the level
``pre_trend``                          joint test that all coefficients before the effect are zero
=====================================  =============================================================================

All treat the coefficients as normal with a known covariance, as the papers and HonestDiD do, whatever the degrees of freedom.
See `relative_magnitudes`, `smoothness` and `pre_test` for the algebra and the sources.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.special import ndtri

from syneff.errors import SpecError, one_of
from syneff.models.base import Audit, Estimate, Estimator, Test
from syneff.models.event_study import EventStudy, wald_test
from syneff.models.staggered.event_path import EventPath, event_path
from syneff.models.staggered.pre_test import detectable_slopes, equivalence
from syneff.models.staggered.relative_magnitudes import METHODS, RelativeMagnitudes
from syneff.models.staggered.smoothness import Smoothness, largest_bend
from syneff.panel.panel import Panel
from syneff.runtime import key_for
from syneff.typing import Float

DRAWS = 20_000
"""Draws for the least favourable critical value."""
BENDS = 9
"""Bounds of the default grid under smoothness."""


@dataclass(frozen=True)
class Sensitivity:
    """Ask how far trends may differ until the effect is gone.

    Attributes
    ----------
    model
        An estimator with terms ``event[...]``, all relative to one base period.
    targets
        Effects to ask of, by name: weights on the event times from the first one with an effect on, missing ones 0. Without
        any, the first period (``first``) and the mean of all (``average``).
    relative_magnitudes
        Bounds on a step after adoption, relative to the largest one before it.
    smoothness
        Bounds on the change of slope a period, in units of the outcome; up to the largest that the periods before adoption
        do not exclude, if None.
    method
        Test that is inverted under relative magnitudes: "C-LF" (hybrid with a least favourable first stage) or "conditional".
    powers
        Chances of detection at which the pre-test is judged.
    threshold
        Pre-trend that counts as negligible, in units of the outcome, for the tests of equivalence; None for no p-value.
    window
        First and last event time to use; all if None.
    anticipation
        Periods before adoption in which there may be an effect already.
    alpha
        One less the level of all intervals and tests.
    """

    model: Estimator
    targets: Mapping[str, Sequence[int | float]] = field(default_factory=dict)
    relative_magnitudes: tuple[int | float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    smoothness: tuple[int | float, ...] | None = None
    method: str = "C-LF"
    powers: tuple[int | float, ...] = (0.5, 0.8)
    threshold: int | float | None = None
    window: tuple[int, int] | None = None
    anticipation: int = 0
    alpha: int | float = 0.05

    def __post_init__(self) -> None:
        for name in ("relative_magnitudes", "smoothness", "powers"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else tuple(float(each) for each in given))
        object.__setattr__(self, "threshold", None if self.threshold is None else float(self.threshold))
        object.__setattr__(self, "alpha", float(self.alpha))
        targets = {str(name): tuple(map(float, given)) for name, given in self.targets.items()}
        object.__setattr__(self, "targets", targets)
        object.__setattr__(self, "window", None if self.window is None else tuple(self.window))
        one_of("Sensitivity method", self.method, METHODS)
        for name in ("relative_magnitudes", "smoothness"):
            wrong = [each for each in getattr(self, name) or () if not 0 <= each < np.inf]
            if wrong:
                raise SpecError(
                    f"Sensitivity: {name} holds {wrong[0]:g}. Bounds are numbers from 0 on, e.g. [0, 0.5, 1]."
                )
        wrong = [each for each in (*self.powers, self.alpha) if not 0 < each < 1]
        if wrong:
            raise SpecError(f"Sensitivity: powers and alpha must lie between 0 and 1, not {wrong[0]:g}.")
        if self.anticipation < 0 or not (self.threshold is None or self.threshold > 0):
            raise SpecError(
                f"Sensitivity: anticipation={self.anticipation} must be 0 or more periods, and threshold={self.threshold} "
                "above 0 or null."
            )

    def estimate(self, panel: Panel, *, seed: int = 0, name: str = "") -> Estimate:
        """Estimate the model, and measure its sensitivity.

        Parameters
        ----------
        panel
            The data.
        seed, name
            Derive the random key of the least favourable critical value, and that of models that draw.

        Returns
        -------
        Estimate
            The model's own, with the tests and details of the table above.

        Raises
        ------
        SpecError
            If the model is no event study, or too few periods lie before the effect.
        """
        actual = self.model.estimate(panel, seed=seed, name=name)
        path = event_path(actual, self.window, self.anticipation)
        targets = path.weights(self.targets)
        curves, breakdowns, said = self._robust(path, targets, seed=seed, name=name)
        rows = {name: np.concatenate([np.zeros(path.first), weights]) for name, weights in targets.items()}
        slopes = detectable_slopes(path, rows, self.powers, self.alpha)
        negligible = equivalence(path, self.alpha, self.threshold)
        details = {
            "sensitivity": pd.concat([self._original(path, rows), curves], ignore_index=True),
            "breakdown": breakdowns,
            "pre_test": slopes,
            "equivalence": negligible,
        }
        return replace(
            actual,
            tests=(*actual.tests, *_tests(details), *self._pre_trend(actual, path)),
            notes=(*actual.notes, *self._notes(path), *said),
            details={**actual.details, **details},
        )

    def _pre_trend(self, actual: Estimate, path: EventPath) -> tuple[Test, ...]:
        """Return the joint test of the periods before the effect, unless the model has one."""
        if "pre_trend" in {test.name for test in actual.tests}:
            return ()
        return (wald_test("pre_trend", actual, path.places[path.pre]),)

    def audit(self, panel: Panel, estimate: Estimate) -> Audit | None:
        """Audit the fit of the model; see `syneff.models.audit`."""
        return self.model.audit(panel, estimate)

    def _robust(
        self, path: EventPath, targets: Mapping[str, Float[np.ndarray, " post"]], *, seed: int, name: str
    ) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
        """Return the robust sets along the bounds, their breakdown values, and what to know of them."""
        bends = self.smoothness
        if bends is None:
            bends = tuple(np.linspace(0.0, largest_bend(path, self.alpha), BENDS))
        draws = _errors(path, seed, name)
        curves, breakdowns, said = [], [], []
        for target, weights in targets.items():
            relative = RelativeMagnitudes(path, weights, self.alpha, self.method, draws)
            smooth = Smoothness(path, weights, self.alpha)
            for bound in self.relative_magnitudes:
                low, high, whole = relative.interval(bound)
                ends = (low, high, *relative.identified(bound))
                curves.append(("relative_magnitudes", target, bound, self.method, *ends))
                if not whole:
                    said.append(f"the robust set of {target} at {bound:g} is {_shape(low)}")
            for bound in bends:
                ends = (*smooth.interval(bound), *smooth.identified(bound))
                curves.append(("smoothness", target, bound, "FLCI", *ends))
            for kind, each in (("relative_magnitudes", relative), ("smoothness", smooth)):
                breakdowns.append((kind, target, each.breakdown(), each.identified_breakdown()))
        columns = ["kind", "target", "breakdown", "breakdown_identified"]
        return pd.DataFrame(curves, columns=list(_CURVE)), pd.DataFrame(breakdowns, columns=columns), tuple(said)

    def _original(self, path: EventPath, rows: Mapping[str, Float[np.ndarray, " time"]]) -> pd.DataFrame:
        """Return the intervals that suppose parallel trends."""
        found = []
        for target, row in rows.items():
            value = float(row @ path.coef)
            half = float(ndtri(1.0 - self.alpha / 2.0) * np.sqrt(row @ path.cov @ row))
            found.append(("original", target, np.nan, "normal", value - half, value + half, value, value))
        return pd.DataFrame(found, columns=list(_CURVE))

    def _notes(self, path: EventPath) -> tuple[str, ...]:
        said = []
        if path.dropped:
            times = ", ".join(map(str, path.dropped))
            said.append(f"event times beyond a gap are not part of the sensitivity analysis: {times}")
        window = self.model.window if isinstance(self.model, EventStudy) else None
        pooled = [time for time in window or () if time in (path.times[0], path.times[-1])]
        if window and pooled:
            first, last = window[0] + 1, window[1] - 1
            said.append(
                f"event times {' and '.join(map(str, pooled))} pool all beyond them, and count as single periods in the "
                f"sensitivity analysis; window=[{first}, {last}] leaves pooled ends out"
            )
        return tuple(said)


_CURVE = ("kind", "target", "bound", "method", "conf_low", "conf_high", "identified_low", "identified_high")


def _shape(low: float) -> str:
    return (
        "not to be found: nothing is accepted, or everything" if np.isnan(low) else "no interval; its hull is reported"
    )


def _errors(path: EventPath, seed: int, name: str) -> Float[np.ndarray, "time draw"]:
    """Draw errors of the path."""
    values, vectors = np.linalg.eigh(path.cov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(root @ np.asarray(jax.random.normal(key_for(seed, name), (path.times.size, DRAWS))))


def _tests(details: Mapping[str, pd.DataFrame]) -> list[Test]:
    """Return the rows of the tidy frame that the details have."""
    tests = [
        _test(f"breakdown:{row['kind']}:{row['target']}", float(row["breakdown"]))
        for _, row in details["breakdown"].iterrows()
    ]
    slopes = details["pre_test"].drop_duplicates("power")
    tests += [_test(f"slope_detected[{row['power']:g}]", float(row["slope"])) for _, row in slopes.iterrows()]
    for _, row in details["equivalence"].iterrows():
        numbers = (float(row[name]) for name in ("statistic", "p_value", "smallest_threshold"))
        tests.append(_test(str(row["test"]), *numbers))
    return tests


def _test(name: str, statistic: float, pvalue: float = np.nan, reach: float = np.nan) -> Test:
    """Return a test; where it has a threshold, its interval is that far around zero."""
    nothing = jnp.asarray(np.nan)
    return Test(
        jnp.asarray(float(statistic)),
        nothing,
        nothing,
        jnp.asarray(float(pvalue)),
        name,
        low=jnp.asarray(-float(reach)),
        high=jnp.asarray(float(reach)),
    )
