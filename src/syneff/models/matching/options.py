r"""What to match on, and how.

The semantics are psmatch2's (Leuven and Sianesi 2003), named here with what differs:

===================  ================================================================================================
what                 semantics
===================  ================================================================================================
rows used            rows in the sample with all covariates (and `outcome`, if named); others get weight 0
score                logit, not psmatch2's default probit; an observation weight of the panel does not enter it
nearest              with replacement unless `replacement=False`; a treated row shares itself equally among those found
order, ties          equal distances go to the lower identifier, whatever the order of rows (psmatch2: order of the data);
                     `ties=True` takes all as far as the k-th (psmatch2: as far as the first)
used once            the treated choose by ascending score, as in psmatch2; but each takes the nearest control that is
                     left, as MatchIt does, whereas psmatch2 never looks back; more than one neighbour is allowed, all
                     choosing a first one before any chooses a second (MatchIt)
caliper              distances up to it count (psmatch2's nearest: below it); in standard deviations of the score over all
                     rows matched (MatchIt)
radius, kernel       psmatch2's: all controls in the caliper equally; Epanechnikov's kernel, bandwidth .06
Mahalanobis          covariance within the two groups, over n - 2; the distance itself (MatchIt), not its square
common, trim         psmatch2's: treated rows outside the range of the controls' scores, or where they are least dense
===================  ================================================================================================

References
----------
Leuven, E. and Sianesi, B. (2003). PSMATCH2. Statistical Software Components S432001, Boston College.
Rosenbaum, P. R. and Rubin, D. B. (1983). Biometrika 70, 41-55. https://doi.org/10.1093/biomet/70.1.41
Ho, D., Imai, K., King, G. and Stuart, E. (2011). MatchIt. Journal of Statistical Software 42(8).
https://doi.org/10.18637/jss.v042.i08
"""

from dataclasses import dataclass
from typing import Any

from syneff.errors import SpecError, one_of
from syneff.numerics.matching import KERNELS

METHODS = ("nearest", "radius", "kernel", "entropy")
BY = ("period", "pooled", "pre_treatment")
TREATED = ("ever", "now")
DISTANCES = ("score", "index", "mahalanobis", "mahalanobis_score")
SUPPORT = ("none", "common", "trim")
WEIGHTING = ("sample", "frequency")
UNMATCHED = ("raise", "drop", "keep")
ORDERS = ("ascending", "descending", "identifier")
CALIPER_UNITS = ("absolute", "sd")

# Option -> the methods it belongs to, and its default there.
OPTIONS: dict[str, tuple[tuple[str, ...], Any]] = {
    "distance": (("nearest", "radius", "kernel"), "score"),
    "neighbours": (("nearest",), 1),
    "replacement": (("nearest",), True),
    "ties": (("nearest",), False),
    "order": (("nearest",), None),
    "caliper": (("nearest", "radius"), None),
    "caliper_unit": (("nearest", "radius"), "absolute"),
    "kernel": (("kernel",), "epanechnikov"),
    "bandwidth": (("kernel",), 0.06),
    "moments": (("entropy",), 1),
}


@dataclass(frozen=True)
class Matching:
    """The options of a match; one that belongs to another method is refused, so that none is set in vain.

    Attributes
    ----------
    covariates
        Columns of the logit, of the Mahalanobis distance or of the moments.
    treatment
        The treatment, 0 or 1 and never switched off.
    treated
        Who is matched as treated: "ever", the cities treated in any year of the sample, in all years; or "now", the rows under
        treatment: then earlier years of the same cities are among the controls, and a year without treated rows cannot be
        matched, see `unmatched`.
    by
        "period": a logit and a match a year, as the paper does; "pooled": one for all rows, so that matches may be from other
        years; "pre_treatment": one on the means of the years before the first adoption, so that a city is matched once, in all
        its years, on what treatment cannot have changed.
    method
        "nearest", "radius", "kernel" or "entropy" (balancing).
    distance
        "score" (the probability), "index" (its log odds), "mahalanobis" of the covariates, or of covariates and score.
    neighbours, replacement, ties, order
        Of "nearest": how many; whether a control is used again; whether all as far as the last are taken; and, without
        replacement, who chooses first: by "ascending" or "descending" score or by "identifier".
    caliper, caliper_unit
        Largest distance, of "nearest" and "radius"; "absolute", or in "sd" of the score or index.
    kernel, bandwidth
        Of "kernel": "epanechnikov", "gaussian", "biweight", "uniform" or "tricube".
    moments
        Of "entropy": 1 for means, 2 for variances too.
    support
        "none"; "common" (psmatch2's min-max); or "trim".
    trim
        With support "trim": percentage of the treated to leave out.
    weighting
        "sample": matched rows count 1, the others 0; what the paper's N suggests. "frequency": controls count as much as their
        shares in all matches sum to.
    unmatched
        What becomes of a period that cannot be matched (no treated row, separated, no support, no match): "raise" a message,
        "drop" its rows, or "keep" their weights.
    outcome
        A column that rows must have as well, as psmatch2's ``outcome()`` asks.
    """

    covariates: tuple[str, ...]
    treatment: str = "treat"
    treated: str = "ever"
    by: str = "period"
    method: str = "nearest"
    distance: str | None = None
    neighbours: int | None = None
    replacement: bool | None = None
    ties: bool | None = None
    order: str | None = None
    caliper: int | float | None = None
    caliper_unit: str | None = None
    kernel: str | None = None
    bandwidth: int | float | None = None
    moments: int | None = None
    support: str = "none"
    trim: int | float | None = None
    weighting: str = "sample"
    unmatched: str = "raise"
    outcome: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariates", tuple(self.covariates))
        named = {"treated": TREATED, "by": BY, "method": METHODS, "support": SUPPORT, "weighting": WEIGHTING}
        for option, allowed in {**named, "unmatched": UNMATCHED}.items():
            one_of(f"matching.{option}", getattr(self, option), allowed)
        for option, (owners, default) in OPTIONS.items():
            if getattr(self, option) is None:
                object.__setattr__(self, option, default if self.method in owners else None)
            elif self.method not in owners:
                raise SpecError(
                    f"matching.{option}={getattr(self, option)} belongs to method {' or '.join(owners)}, not to "
                    f"{self.method}. Leave it out, or set matching.method={owners[0]}."
                )
        self._check_values()
        self._check_combinations()
        if self.method == "nearest" and not self.replacement and self.order is None:
            object.__setattr__(self, "order", "ascending" if self.needs_score else "identifier")

    @property
    def needs_score(self) -> bool:
        """Whether there is a propensity score to estimate."""
        return self.distance in ("score", "index", "mahalanobis_score") or self.support != "none"

    def _check_values(self) -> None:
        words = {
            "distance": DISTANCES,
            "kernel": KERNELS,
            "caliper_unit": CALIPER_UNITS,
            "order": ORDERS,
            "moments": (1, 2),
        }
        for option, allowed in words.items():
            one_of(f"matching.{option}", getattr(self, option), (*allowed, None))
        if not self.covariates or len(set(self.covariates)) < len(self.covariates):
            raise SpecError(f"matching.covariates={list(self.covariates)} must be one or more different columns.")
        if self.treatment in self.covariates:
            raise SpecError(f"matching.covariates holds the treatment {self.treatment!r}. Take it out.")
        if self.neighbours is not None and self.neighbours < 1:
            raise SpecError(f"matching.neighbours={self.neighbours} must be 1 or more, e.g. 4 for 1:4.")
        for option in ("caliper", "bandwidth"):
            value = getattr(self, option)
            if value is not None and not 0 < value < float("inf"):
                raise SpecError(f"matching.{option}={value} must be above 0, e.g. .05.")
        if self.trim is not None and not 0 <= self.trim < 100:
            raise SpecError(f"matching.trim={self.trim} must be a percentage from 0 to below 100.")

    def _check_combinations(self) -> None:
        wrong = {
            "matching.method=radius needs a caliper: the radius, e.g. matching.caliper=.05.": self.method == "radius"
            and self.caliper is None,
            "matching.support=trim needs matching.trim, a percentage, e.g. 5.": self.support == "trim"
            and self.trim is None,
            f"matching.trim={self.trim} needs matching.support=trim.": self.support != "trim" and self.trim is not None,
            "matching.ties=true needs replacement: without it a control is used once, so set replacement=true.": bool(
                self.ties
            )
            and self.replacement is False,
            f"matching.order={self.order} is who chooses first where controls are used once: set replacement=false.": bool(
                self.order and self.replacement
            ),
            f"matching.order={self.order} needs a score; with distance=mahalanobis set order=identifier.": self.order
            in ("ascending", "descending")
            and not self.needs_score,
            "matching.caliper_unit=sd needs distance score or index: a Mahalanobis distance has none.": self.caliper_unit
            == "sd"
            and str(self.distance).startswith("mahalanobis"),
            "matching.caliper_unit=sd needs a caliper, e.g. .2.": self.caliper_unit == "sd" and self.caliper is None,
            "matching.method=entropy keeps every control, so weighting=sample would change nothing: set "
            "weighting=frequency.": self.method == "entropy" and self.weighting == "sample",
            "matching.by=pre_treatment matches cities, not years: set treated=ever.": self.by == "pre_treatment"
            and self.treated == "now",
        }
        for message, holds in wrong.items():
            if holds:
                raise SpecError(message)
