"""A regression specification by names, and the covariance that it asks for.

Which covariance, and what its options are:

==================  ==========================================================  =================================
covariance          what                                                        its options
==================  ==========================================================  =================================
``iid``             homoskedastic
``HC1 HC2 HC3``     heteroskedastic
``CR0 CR1``         clustered by up to three names                              `small_sample`, `multiway`
``CR2``             clustered, Bell and McCaffrey's adjustment, with
                    Satterthwaite degrees of freedom for each coefficient
``CR3``             clustered, jackknife                                        `small_sample`, `jackknife`
``driscoll_kraay``  dependence across units, and over `lags` periods            `small_sample`, `lags`
``conley``          dependence among units closer than `cutoff_km`, and over    `cutoff_km`, `kernel`, `lags`,
                    `lags` periods within each unit                             `coordinates`, `small_sample`
==================  ==========================================================  =================================

An option that belongs to another covariance is refused, so that none is set in vain.
"""

from dataclasses import dataclass

from syneff.errors import SpecError, one_of
from syneff.numerics.covariance import SMALL_SAMPLE

COVARIANCES = ("CR1", "CR0", "CR2", "CR3", "HC1", "HC2", "HC3", "iid", "driscoll_kraay", "conley")
EFFECTS = ("unit", "period")
MULTIWAY = ("min", "conventional", "white")
JACKKNIFE = ("estimate", "mean")
KERNELS = ("uniform", "bartlett")
WAYS = 3
"""Cluster variables at most."""

# Option -> the covariances it belongs to.
OPTIONS = {
    "small_sample": ("CR1", "CR3", "driscoll_kraay", "conley"),
    "multiway": ("CR1",),
    "jackknife": ("CR3",),
    "lags": ("driscoll_kraay", "conley"),
    "cutoff_km": ("conley",),
    "kernel": ("conley",),
}
# Covariance -> its small-sample rule unless another is named.
RULES = {"CR1": "reghdfe", "driscoll_kraay": "xtscc", "conley": "lsdv"}


@dataclass(frozen=True)
class Spec:
    """A regression specification, by names.

    Attributes
    ----------
    outcome, treatment
        Columns of the panel.
    controls
        Further regressors, in order.
    instruments
        Excluded instruments, for two-stage estimators.
    effects
        Absorbed effects: any of "unit", "period".
    cluster
        "unit", "period", a trait of the units or a column; several names for clustering in two or three ways; None for none.
    covariance
        One of `COVARIANCES`; "CR1" (default with clusters), "iid" (default without).
    small_sample
        The named small-sample rule, see `syneff.numerics.covariance`; by default that of `RULES`.
    multiway
        Factor G/(G-1) of clustering in several ways: "min" takes the smallest G for all terms (reghdfe, fixest; the default),
        "conventional" each term's own (sandwich), "white" too, with White's covariance for the last intersection (Petersen;
        sandwich with ``multi0``).
    jackknife
        What CR3 is: None for clubSandwich's, or the exact jackknife over clusters around the "estimate" (Stata's ``mse``) or
        around the "mean" of its replications.
    lags
        Lags of the Bartlett weights over periods: "driscoll_kraay" takes floor(4 (T/100)^(2/9)) by default, "conley" 0.
    cutoff_km
        Great-circle distance up to which errors of "conley" are dependent.
    kernel
        Weights of "conley" up to the cutoff: "uniform" (default) or "bartlett".
    coordinates
        The traits that hold latitude and longitude, in degrees.
    """

    outcome: str
    treatment: str = "treat"
    controls: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    effects: tuple[str, ...] = EFFECTS
    cluster: str | tuple[str, ...] | None = "unit"
    covariance: str | None = None
    small_sample: str | None = None
    multiway: str | None = None
    jackknife: str | None = None
    lags: int | None = None
    cutoff_km: float | None = None
    kernel: str | None = None
    coordinates: tuple[str, str] = ("lat", "lon")

    def __post_init__(self) -> None:
        for name in ("controls", "instruments", "effects", "coordinates"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if isinstance(self.cluster, list | tuple):
            several = tuple(self.cluster)
            object.__setattr__(self, "cluster", several if len(several) > 1 else (several or (None,))[0])
        for effect in self.effects:
            one_of("spec.effects", effect, EFFECTS)
        if self.covariance is None:
            object.__setattr__(self, "covariance", "CR1" if self.cluster else "iid")
        self._check_covariance()
        repeated = [name for name in self.regressors if self.regressors.count(name) > 1 or name == self.outcome]
        if repeated:
            raise SpecError(
                f"{repeated[0]!r} stands more than once among outcome, treatment and controls. "
                "Name every variable once: change spec.treatment or spec.controls."
            )

    def _check_covariance(self) -> None:
        one_of("spec.covariance", self.covariance, COVARIANCES)
        for option, allowed in {"multiway": MULTIWAY, "jackknife": JACKKNIFE, "kernel": KERNELS}.items():
            one_of(f"spec.{option}", getattr(self, option), (*allowed, None))
        one_of("spec.small_sample", self.small_sample, (*SMALL_SAMPLE, None))
        for option, owners in OPTIONS.items():
            if getattr(self, option) is not None and self.covariance not in owners:
                raise SpecError(
                    f"spec.{option}={getattr(self, option)} belongs to covariance {' or '.join(owners)}, "
                    f"not to {self.covariance}. Leave it out, or set spec.covariance={owners[0]}."
                )
        self._check_clusters()
        if self.lags is not None and self.lags < 0:
            raise SpecError(f"spec.lags={self.lags} is negative. Give a number of periods from 0 on.")
        if self.covariance == "conley" and not (self.cutoff_km and 0 < self.cutoff_km < float("inf")):
            raise SpecError(
                f"spec.cutoff_km={self.cutoff_km} must be a distance above 0 for covariance conley, e.g. spec.cutoff_km=200."
            )

    def _check_clusters(self) -> None:
        ways = self.cluster_names
        if self.clustered and not ways:
            raise SpecError(
                f"spec.covariance={self.covariance} needs clusters. Set spec.cluster=unit, or use HC1 or iid."
            )
        if len(set(ways)) < len(ways) or len(ways) > WAYS:
            raise SpecError(f"spec.cluster={list(ways)} must be one to {WAYS} different names.")
        if len(ways) > 1 and self.covariance in ("CR2", "CR3"):
            raise SpecError(
                f"spec.covariance={self.covariance} takes one cluster name, not {list(ways)}. "
                "Name one, or use CR1 for clustering in several ways."
            )
        if self.multiway is not None and len(ways) < 2:
            raise SpecError(f"spec.multiway={self.multiway} needs several names in spec.cluster, e.g. [unit, period].")

    @property
    def regressors(self) -> tuple[str, ...]:
        """Treatment, then controls."""
        return (self.treatment, *self.controls)

    @property
    def cluster_names(self) -> tuple[str, ...]:
        """The names that clusters are formed by, none to three."""
        return (self.cluster,) if isinstance(self.cluster, str) else self.cluster or ()

    @property
    def clustered(self) -> bool:
        """Whether the covariance is clustered, and the t distribution has one degree of freedom less than clusters."""
        return str(self.covariance).startswith("CR")

    @property
    def rule(self) -> str:
        """The small-sample rule in force."""
        default = "jackknife" if self.jackknife else RULES.get(str(self.covariance), "none")
        return self.small_sample or default
