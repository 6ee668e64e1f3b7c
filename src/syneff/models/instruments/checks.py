"""What can be wrong with instruments, found before anything is estimated."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from syneff.errors import DataError, SpecError, unknown_name
from syneff.models.base import Design, Spec
from syneff.numerics.least_squares import RCOND, absorb, absorption, centred_squares
from syneff.numerics.two_stage import partial_out
from syneff.typing import Array, Bool, Float

COVARIANCES = ("CR1", "CR0", "HC1", "iid")


def exogenous_names(spec: Spec, endogenous: tuple[str, ...]) -> tuple[str, ...]:
    """Return the controls that are exogenous."""
    return tuple(name for name in spec.controls if name not in endogenous)


def check_names(spec: Spec, endogenous: tuple[str, ...], suspect: tuple[str, ...]) -> None:
    """Raise a `SpecError` unless the names make a model that instruments can identify.

    Parameters
    ----------
    spec
        The specification.
    endogenous
        Controls that are endogenous.
    suspect
        Instruments to question.
    """
    for name in endogenous:
        if name not in spec.controls:
            raise SpecError(
                unknown_name(
                    "name in estimator.endogenous", name, spec.controls, "It lists controls that are endogenous too."
                )
            )
    variables = (spec.treatment, *endogenous)
    if spec.instruments:  # A specification without any is told when it meets a panel: others may still add some.
        check_count(spec, variables)
    for name in spec.instruments:
        if name in (spec.outcome, *spec.regressors) or spec.instruments.count(name) > 1:
            raise SpecError(
                f"spec.instruments: {name!r} stands more than once among outcome, regressors and instruments. "
                "An instrument is left out of the second stage: take it out of the controls or of the instruments."
            )
    if spec.covariance not in COVARIANCES:
        raise SpecError(
            f"spec.covariance={spec.covariance} is not available with instruments: neither their leverage nor dependence over "
            f"distance or time is. Allowed: {', '.join(COVARIANCES)}, the clustered ones by up to three names."
        )
    _check_suspects(spec, len(variables), suspect)


def check_count(spec: Spec, variables: tuple[str, ...]) -> None:
    """Raise a `SpecError` unless there are as many instruments as endogenous variables."""
    if len(spec.instruments) < len(variables):
        names = f" ({', '.join(spec.instruments)})" if spec.instruments else ""
        raise SpecError(
            f"{len(spec.instruments)} instruments{names} for {len(variables)} endogenous variables ({', '.join(variables)}). "
            "Name as many in spec.instruments at least."
        )


def _check_suspects(spec: Spec, needed: int, suspect: tuple[str, ...]) -> None:
    for name in suspect:
        if name not in spec.instruments:
            raise SpecError(unknown_name("name in estimator.suspect", name, spec.instruments))
    trusted = len(spec.instruments) - len(set(suspect))
    if suspect and trusted < needed:
        raise SpecError(
            f"estimator.suspect={list(suspect)} leaves {trusted} of {len(spec.instruments)} instruments for {needed} "
            "endogenous variables. The difference-in-Sargan test needs as many that are trusted."
        )


def check_instruments(spec: Spec, design: Design, count: int) -> None:
    """Raise a `DataError` where the data leave fewer instruments than endogenous variables, or one that says nothing.

    Parameters
    ----------
    spec, design
        The specification and its arrays, the endogenous variables first.
    count
        Number of endogenous variables.
    """
    inside = np.asarray(design.weights) > 0
    instruments, regressors = np.asarray(design.instruments)[inside], np.asarray(design.regressors)[inside]
    others = np.column_stack([np.asarray(design.outcome)[inside], regressors])
    for name, values in zip(spec.instruments, instruments.T, strict=True):
        same = (others == values[:, None]).all(0)
        if same.any():
            copied = (spec.outcome, *design.names)[int(np.flatnonzero(same)[0])]
            raise DataError(
                f"instrument {name!r} equals {copied!r} on all {values.size} rows. An instrument must not stand in the second "
                "stage: name another, or take the copy out."
            )
    varies, kept, left = (np.asarray(each) for each in _support(design, spec.effects, count))
    for name, moves, values in zip(
        spec.instruments, varies, np.moveaxis(np.asarray(design.instruments), -1, 0), strict=True
    ):
        if not moves:
            raise DataError(f"instrument {name!r} {_absorbed(values, inside, spec)}")
    for name, remains in zip(design.names[:count], left, strict=True):
        if not remains:
            raise DataError(
                f"endogenous variable {name!r} is explained by effects and exogenous regressors: nothing is left to "
                "instrument. Leave it, or what explains it, out."
            )
    dropped = [name for name, stays in zip(spec.instruments, kept, strict=True) if not stays]
    if kept.sum() < count:
        raise DataError(
            f"{int(kept.sum())} instruments are left for {count} endogenous variables ({', '.join(design.names[:count])}): "
            f"{', '.join(dropped)} {'is' if len(dropped) == 1 else 'are'} collinear with exogenous regressors or other "
            "instruments. Name others."
        )


def _absorbed(values: np.ndarray, inside: np.ndarray, spec: Spec) -> str:
    """Say which effects leave nothing of an instrument, and what to do."""
    constant = {
        effect: all(np.ptp(row[seen]) == 0 for row, seen in zip(cells, there, strict=True) if seen.any())
        for effect, cells, there in (("unit", values, inside), ("period", values.T, inside.T))
    }
    for effect, other in (("unit", "a series that moves over time"), ("period", "a trait of the units")):
        if effect in spec.effects and constant[effect]:
            return (
                f"is constant within every {effect}, so the {effect} effects absorb it. Multiply it by {other} "
                "(a trait times a lagged national series), or leave it out."
            )
    return "is absorbed by the effects. Leave it out, or name one that moves within units and periods."


@partial(jax.jit, static_argnums=(1, 2))
def _support(
    design: Design, effects: tuple[str, ...], count: int
) -> tuple[Bool[Array, " l"], Bool[Array, " l"], Bool[Array, " p"]]:
    """Tell which instruments vary beyond the effects, which are kept, and which endogenous variables are left over."""
    absorbed = absorption(design.weights, effects)
    parts = partial_out(
        design.outcome,
        design.regressors[:, :, :count],
        design.regressors[:, :, count:],
        design.instruments,
        absorbed=absorbed,
    )
    varies = _remaining(
        absorb(design.instruments, absorbed), centred_squares(design.instruments, design.weights), design
    )
    return varies, parts.kept, _remaining(parts.endogenous, parts.size, design)


def _remaining(net: Float[Array, "unit period k"], size: Float[Array, " k"], design: Design) -> Bool[Array, " k"]:
    return jnp.einsum("it,itk->k", design.weights, net**2) > RCOND * size
