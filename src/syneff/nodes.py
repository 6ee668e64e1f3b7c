"""Nodes of the configuration: check them against the signature of their target, and make what they describe.

Every noun of the configuration names a Python callable as `_target_`; its parameters are the options. So a misspelt option or a
word where a number belongs is caught here, before any data is read, with the names and types that the callable itself declares,
and a new source, step or estimator needs no schema of its own. `_partial_: true` makes a function of what is left open.
"""

import functools
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from syneff.errors import SpecError, unknown_name

RESERVED = ("_target_", "_partial_", "_convert_")
"""Keys of a node that are no options."""
_REST = "**"


def check(node: object, where: str, free: int | None = None) -> None:
    """Check a node and every node inside it.

    Parameters
    ----------
    node
        A resolved part of the configuration.
    where
        Its key, for messages, e.g. ``"estimator"``.
    free
        How many leading parameters the call fills: 0 for a source, 1 for a step, which is given the panel.
        None where nobody can know: what a `_partial_` leaves open is then not called missing.

    Raises
    ------
    SpecError
        If the target does not exist, an option is unknown or missing, or a value is of the wrong type.
    """
    if isinstance(node, Mapping):
        if "_target_" in node:
            _check_target(node, where, free)
        for key, value in node.items():
            check(value, f"{where}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            check(value, f"{where}[{number}]")


def make(node: Any, partial: bool = False) -> Any:
    """Make what a node describes, and what is inside it first.

    Parameters
    ----------
    node
        A part of the configuration that `check` has passed.
    partial
        Return the function with its options filled in, whatever the node says.

    Returns
    -------
    Any
        What the target returns; the node itself where it has no target. A list becomes a tuple where the target asks for one.
    """
    if isinstance(node, list):
        return [make(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    made = {key: make(value) for key, value in node.items() if key not in RESERVED}
    if "_target_" not in node:
        return made
    target = locate(str(node["_target_"]), "configuration")
    hints, _ = _parameters(target, free=0)
    made = {key: tuple(value) if _asks_for_tuple(value, hints.get(key)) else value for key, value in made.items()}
    return functools.partial(target, **made) if partial or node.get("_partial_") else target(**made)


def in_order(node: object) -> object:
    """Return a node as lists that are equal where nodes mean the same.

    The options of a target may come in any order. In a mapping without one, of steps or of choices, order is meaning.

    Parameters
    ----------
    node
        A resolved part of the configuration.
    """
    if isinstance(node, list | tuple):
        return [in_order(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    pairs = [(str(key), in_order(value)) for key, value in node.items()]
    return sorted(pairs, key=lambda pair: pair[0]) if "_target_" in node else pairs


def _asks_for_tuple(value: object, hint: Any) -> bool:
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return isinstance(value, list) and any((typing.get_origin(kind) or kind) is tuple for kind in kinds)


def _check_target(node: Mapping[str, Any], where: str, free: int | None) -> None:
    target = locate(str(node["_target_"]), where)
    allowed, required = _parameters(target, free or 0)
    for key, value in node.items():
        if key in RESERVED:
            continue
        if key not in allowed and _REST not in allowed:
            raise SpecError(unknown_name(f"option of {where} ({node['_target_']})", key, allowed))
        if not fits(value, allowed.get(key, Any)):
            raise SpecError(f"{where}.{key} must be {_spell(allowed[key])}, not {value!r}.")
    missing = [name for name in required if name not in node]
    if missing and not (free is None and node.get("_partial_")):
        if missing[0] == "panel":
            raise SpecError(f"{where} is a step, which is given the panel later: write _partial_: true in it.")
        raise SpecError(f"{where}.{missing[0]} is not set. Give it: {where}.{missing[0]}=...")


def _parameters(target: Callable[..., Any], free: int) -> tuple[dict[str, Any], list[str]]:
    """Return the type of each option by name, with those of ``**options: Unpack[...]``, and the names that must be given."""
    hints = _hints(target)
    allowed: dict[str, Any] = {}
    required: list[str] = []
    for each in list(inspect.signature(target).parameters.values())[free:]:
        hint = hints.get(each.name, Any)
        if each.kind is each.VAR_KEYWORD:
            typed = typing.get_origin(hint) is typing.Unpack
            allowed |= typing.get_type_hints(typing.get_args(hint)[0]) if typed else {_REST: Any}
        elif each.kind is not each.VAR_POSITIONAL:
            allowed[each.name] = hint
            required += [each.name] if each.default is each.empty else []
    return allowed, required


def locate(path: str, where: str) -> Callable[..., Any]:
    """Import the callable at a dotted path."""
    module, _, name = path.rpartition(".")
    try:
        target = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SpecError(
            f"{where}: _target_ {path!r} cannot be imported ({error}). Give package.module.name."
        ) from error
    if not callable(target):
        raise SpecError(f"{where}: _target_ {path!r} is no function and no class.")
    return typing.cast(Callable[..., Any], target)


def fits(value: object, hint: Any) -> bool:
    """Say whether a plain value can be meant for a parameter of a type; types that yaml cannot spell are let through."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return fits(value, inner[0])
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is typing.Literal:
        return value in inner
    if hint is None or hint is type(None):
        return value is None
    if hint in (str, Path):
        return isinstance(value, str)
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if _is_collection(origin or hint):
        return _fits_collection(value, origin or hint, inner)
    return True


def _is_collection(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, typing.Collection)


def _fits_collection(value: object, kind: type, inner: tuple[Any, ...]) -> bool:
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping) and (
            len(inner) != 2 or "_target_" in value or all(fits(each, inner[1]) for each in value.values())
        )
    if not isinstance(value, list | tuple):
        return False
    if issubclass(kind, tuple) and inner and inner[-1] is not Ellipsis:
        return len(value) == len(inner) and all(fits(each, hint) for each, hint in zip(value, inner, strict=True))
    return not inner or all(fits(each, inner[0]) for each in value)


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    owner = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(owner)
    except (NameError, TypeError):  # names that exist for type checkers only
        return {}


def _spell(hint: Any) -> str:
    """Word a type as a reader of yaml would."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_spell(each) for each in inner)
    if origin is typing.Literal:
        return " or ".join(map(repr, inner))
    if hint is type(None):
        return "null"
    if _is_collection(origin) and issubclass(origin, Mapping):
        return "a mapping {name: value}"
    if _is_collection(origin) and inner:
        fixed = issubclass(origin, tuple) and inner[-1] is not Ellipsis
        return f"a list of {len(inner)} {_spell(inner[0])}" if fixed else f"a list [...] of {_spell(inner[0])}"
    return hint.__name__ if inspect.isclass(hint) else str(hint)
