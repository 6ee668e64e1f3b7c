"""Errors that a user can mend.

Every message says *what* is wrong, *which value* (city, year, column), *what is allowed* and *how to mend it*. The command
line prints the message alone and exits with status 2. Numerical failure is no error: it is a status that travels with the
result (see `syneff.models.base` and `syneff.numerics.linear_program`).
"""

from collections.abc import Iterable
from difflib import get_close_matches


class SyneffError(Exception):
    """Base of every error that the user's input can cause."""


class DataError(SyneffError):
    """The data are not a panel that the experiment can use."""


class SpecError(SyneffError):
    """An option, a name or a combination of options is not allowed."""


class DeviceError(SyneffError):
    """The device or the precision that was asked for is not there."""


class StorageError(SyneffError):
    """Results cannot be written where they should go."""


def unknown_name(kind: str, name: object, allowed: Iterable[object], remedy: str = "") -> str:
    """Word the message for a name that is not among the allowed ones, with the nearest one.

    Parameters
    ----------
    kind
        What the name should be, e.g. "column".
    name
        The name that was given.
    allowed
        The names that exist.
    remedy
        A closing sentence.
    """
    names = [str(each) for each in allowed]
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    return f"unknown {kind} {name!r}.{hint} Allowed: {shown}.{' ' + remedy if remedy else ''}"


def one_of(option: str, value: object, allowed: Iterable[object]) -> None:
    """Raise a `SpecError` unless `value` is one of `allowed`."""
    names = list(allowed)
    if value not in names:
        raise SpecError(unknown_name(f"value for {option}:", value, names))
