"""Nodes: a misspelt name or a wrong type is found from the callable's own signature; what is right is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import pytest

from syneff import nodes
from syneff.errors import SpecError


class More(TypedDict, total=False):
    columns: Sequence[str]


def step(panel: object, *, columns: Sequence[str], by: int = 1, rule: Literal["a", "b"] = "a") -> object:
    return panel, columns, by, rule


def source(path: str | Path | None, **more: Unpack[More]) -> object:
    return path, more


def anything(**rest: Any) -> object:
    return rest


@dataclass(frozen=True)
class Spec:
    names: tuple[str, ...] | None
    inner: Any = None
    plain: Sequence[str] = ()


HERE = __name__


def node(name, **given):
    return {"_target_": f"{HERE}.{name}", **given}


@pytest.mark.parametrize(
    ("value", "hint", "fitting"),
    [
        (1, int, True),
        (True, int, False),
        ("abc", int, False),
        (1, float, True),
        ("1", float, False),
        (None, int | None, True),
        ("x", int | None, False),
        (["a"], tuple[str, ...], True),
        ("a", tuple[str, ...], False),
        ([1], tuple[str, ...], False),
        ([-5, 6], tuple[int, int], True),
        ([-5], tuple[int, int], False),
        ({"a": "b"}, Mapping[str, str], True),
        ({"a": 1}, Mapping[str, str], False),
        ("a.csv", Path, True),
        ("c", Literal["a", "b"], False),
        ({"_target_": "x"}, object, True),
    ],
)
def test_values_fit_their_types(value, hint, fitting):
    assert nodes.fits(value, hint) is fitting


def test_what_is_right_passes():
    nodes.check(node("step", columns=["a"], by=2), "steps.lag", free=1)
    nodes.check(node("source", path=None, columns=["a"]), "source", free=0)
    nodes.check(node("anything", x=1), "report")
    nodes.check({"exhibits": [node("step", _partial_=True)]}, "report")


@pytest.mark.parametrize(
    ("given", "free", "message"),
    [
        (node("step", columns=["a"], byy=2), 1, "unknown option of k .* 'byy'. Did you mean 'by'"),
        (node("step", columns=["a"], by="abc"), 1, "k.by must be int, not 'abc'"),
        (node("step", columns="a"), 1, r"k.columns must be a list \[...\] of str, not 'a'"),
        (node("step", columns=["a"], rule="c"), 1, "k.rule must be 'a' or 'b', not 'c'"),
        (node("step"), 1, "k.columns is not set"),
        ({"late": node("step", columns=["a"])}, None, "k.late is a step, .* write _partial_: true"),
        (node("source", path="x", colums=["a"]), 0, "'colums'. Did you mean 'columns'"),
        (node("nothing"), 0, "cannot be imported"),
        (node("HERE"), 0, "no function and no class"),
        ({"inner": [node("step", panel=1, columns=["a"], by=0.5)]}, None, r"k.inner\[0\].by must be int"),
    ],
)
def test_what_is_wrong_is_named(given, free, message):
    with pytest.raises(SpecError, match=message):
        nodes.check(given, "k", free=free)


def test_what_a_node_describes_is_made():
    made = nodes.make(node("Spec", names=["a", "b"], inner=node("Spec", names=[]), plain=["x"]))
    assert made == Spec(("a", "b"), Spec(()), ["x"])
    assert nodes.make(node("step", columns=["a"]), partial=True)("panel") == ("panel", ["a"], 1, "a")
    assert nodes.make({"exhibits": [node("anything", x=[1], _partial_=True)]})["exhibits"][0](y=2) == {"x": [1], "y": 2}
