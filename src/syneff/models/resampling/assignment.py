"""Who is treated in a draw, and from when on.

An assignment gives every unit the index of its adoption period, or the number of periods if it is never treated: the number of
a path in the short list ``path[c, t] = 1{t >= c}``. All rules permute within strata; without strata there is one.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.typing import Float, Int, Key, UnitPeriod

ASSIGN = ("cohorts", "years", "mixed")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["cohorts", "units", "slots", "strata", "years"],
    meta_fields=["never"],
)
@dataclass(frozen=True)
class Assignment:
    """What the rules draw from.

    Attributes
    ----------
    cohorts
        ``[unit]``: index of the real adoption period.
    units
        ``[sampled]``: units in the sample, sorted by stratum; the others keep what they have.
    slots
        ``[unit]``: place of each unit in `units`, or -1.
    strata
        ``[sampled]``: number of the stratum, ascending.
    years
        ``[year]``: adoption periods to choose from.
    never
        The code of the never treated.
    """

    cohorts: Int[jax.Array, " unit"]
    units: Int[jax.Array, " sampled"]
    slots: Int[jax.Array, " unit"]
    strata: Int[jax.Array, " sampled"]
    years: Int[jax.Array, " year"]
    never: int


def assignment(
    cohorts: Int[np.ndarray, " unit"],
    weights: Float[np.ndarray, "unit period"],
    strata: Int[np.ndarray, " unit"],
    rule: str,
) -> Assignment:
    """Collect what a rule draws from.

    Parameters
    ----------
    cohorts
        ``[unit]``, from `sample_cohorts`.
    weights
        ``[unit period]``.
    strata
        ``[unit]``: number of the stratum.
    rule
        One of `ASSIGN`: "mixed" draws from all periods of the sample after the first, the others from the real ones.
    """
    never = weights.shape[1]
    sampled = np.flatnonzero((weights > 0).any(1))
    units = sampled[np.argsort(strata[sampled], kind="stable")]
    slots = np.full(cohorts.size, -1)
    slots[units] = np.arange(units.size)
    seen = np.flatnonzero((weights > 0).any(0))
    years = seen[1:] if rule == "mixed" else np.unique(cohorts[units][cohorts[units] < never])
    codes = np.unique(strata[units], return_inverse=True)[1]
    arrays = {"cohorts": cohorts, "units": units, "slots": slots, "strata": codes, "years": years}
    return Assignment(**{name: jnp.asarray(each, dtype=jnp.int32) for name, each in arrays.items()}, never=never)


def sample_cohorts(treatment: UnitPeriod, weights: UnitPeriod) -> Int[np.ndarray, " unit"]:
    """Return each unit's adoption period; who adopts after the last period of the sample counts as never treated."""
    treated, periods = np.asarray(treatment) > 0, treatment.shape[1]
    cohorts = np.where(treated.any(1), treated.argmax(1), periods)
    return np.where(cohorts > np.flatnonzero((np.asarray(weights) > 0).any(0))[-1], periods, cohorts)


def permutation_within(key: Key, strata: Int[jax.Array, " sampled"]) -> Int[jax.Array, " sampled"]:
    """Permute places within strata, all permutations alike.

    One sort of integers does it, stratum in the high bits, randomness in the middle, the place itself in the low bits: that
    is several times faster than sorting places by random keys.
    """
    count = strata.shape[0]
    low = jnp.uint64((1 << max(count - 1, 1).bit_length()) - 1)
    middle = jax.random.bits(key, (count,), jnp.uint64) >> jnp.uint64(16)
    packed = (strata.astype(jnp.uint64) << jnp.uint64(48)) | (middle & ~low) | jnp.arange(count, dtype=jnp.uint64)
    return jnp.asarray(jnp.sort(packed) & low, dtype=jnp.int32)


def assign(key: Key, source: Assignment, rule: str) -> Int[jax.Array, " unit"]:
    """Draw an assignment.

    Parameters
    ----------
    key
        The key of the draw.
    source
        What is drawn from.
    rule
        "cohorts" permutes which units hold the real adoption periods. "years" and "mixed" permute which units are treated
        and give each any of the periods to choose from, with equal probability.
    """
    held = source.cohorts[source.units]
    if rule == "cohorts":
        drawn = held[permutation_within(key, source.strata)]
    else:
        which, when = jax.random.split(key)
        treated = (held < source.never)[permutation_within(which, source.strata)]
        years = source.years[jax.random.randint(when, held.shape, 0, source.years.shape[0])]
        drawn = jnp.where(treated, years, source.never)
    return jnp.where(source.slots >= 0, drawn[source.slots], source.cohorts)


def adoption_paths(periods: int) -> Float[jax.Array, "path period"]:
    """Return the treatment path of each adoption period, and of the never treated last."""
    return (jnp.arange(periods)[None, :] >= jnp.arange(periods + 1)[:, None]).astype(float)
