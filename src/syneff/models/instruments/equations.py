"""The equations of a model with instruments side by side: second stage, first stages and reduced form in one estimate."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from syneff.models.base import Estimate
from syneff.typing import Array, Int

REDUCED = "reduced_form:"


def of_stage(stages: Estimate, place: int) -> Estimate:
    """Return one regression of a batch."""
    return replace(
        stages,
        coef=stages.coef[place],
        cov=stages.cov[place],
        nobs=stages.nobs[place],
        n_units=stages.n_units[place],
        n_periods=stages.n_periods[place],
        dof=stages.dof[place],
        stats={name: value[place] for name, value in stages.stats.items()},
        status=stages.status[place],
    )


def positions(stages: Estimate, names: tuple[str, ...]) -> Int[np.ndarray, " l"]:
    """Return the positions of some terms."""
    return np.asarray([stages.names.index(name) for name in names])


def with_first_stages(
    second: Estimate, stages: Estimate, endogenous: tuple[str, ...], instruments: tuple[str, ...]
) -> Estimate:
    """Append first stages (instruments, then exogenous regressors) and the reduced form of the instruments.

    Parameters
    ----------
    second
        The second stage.
    stages
        Regressions on exogenous regressors and instruments, with a leading axis: endogenous variables, then the outcome.
    endogenous, instruments
        Names. Covariances between equations are NaN.
    """
    exogenous = tuple(name for name in stages.names if name not in instruments and not name.startswith("constant"))
    parts = [second]
    for place in range(len(endogenous)):
        parts.append(of_stage(stages, place).of_terms((*instruments, *exogenous)))
    reduced = of_stage(stages, len(endogenous)).of_terms(instruments)
    parts.append(replace(reduced, names=tuple(f"{REDUCED}{name}" for name in instruments)))
    outcomes = (str(second.outcome), *endogenous, str(second.outcome))
    return replace(
        second,
        coef=jnp.concatenate([part.coef for part in parts]),
        cov=_beside([part.cov for part in parts]),
        dof=jnp.concatenate([part.term_dof for part in parts]),
        names=tuple(name for part in parts for name in part.names),
        outcome=tuple(outcome for part, outcome in zip(parts, outcomes, strict=True) for _ in part.names),
    )


def _beside(blocks: list[Array]) -> Array:
    """Put square matrices on a diagonal, NaN around them."""
    sizes = np.cumsum([0, *(block.shape[0] for block in blocks)])
    whole = jnp.full((int(sizes[-1]), int(sizes[-1])), jnp.nan)
    for start, end, block in zip(sizes[:-1], sizes[1:], blocks, strict=True):
        whole = whole.at[start:end, start:end].set(block)
    return whole
