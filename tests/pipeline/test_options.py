"""Options of the measurement as axes: the same specifications as measures written out, each shared step taken once."""

from functools import partial

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.measure.coupling import coupling
from syneff.measure.efficiency import super_sbm
from syneff.models.fixed_effects import FixedEffects
from syneff.models.spec import Spec
from syneff.panel.synthetic import synthetic
from syneff.pipeline import Multiverse
from tests.panels import staggered

SPEC = Spec("index")
COMMON = {"controls": {"none": ()}}
AXES = ["measure", "alpha", "power", "last.shift"]


class Steps:
    """Steps that write down what they were called with."""

    def __init__(self):
        self.calls = []

    def first(self, panel, *, power=1.0, shift=0.0):
        self.calls.append(("first", power, shift))
        return panel.assign({"one": np.abs(panel.column("a")) ** power + shift})

    def last(self, panel, *, shift=0.0, scale=1.0):
        self.calls.append(("last", shift, scale))
        return panel.assign({"two": scale * np.abs(panel.column("b") + shift)})

    def measures(self, **options):
        first = {name: value for name, value in options.items() if name == "power"}
        last = {name: value for name, value in options.items() if name == "shift"}
        alpha = {name: value for name, value in options.items() if name == "alpha"}
        return {
            "first": partial(self.first, **first),
            "skipped": None,
            "last": partial(self.last, **last),
            "index": partial(coupling, name="index", first="one", second="two", **alpha),
        }


OPTIONS = {"alpha": [0.5, 0.2], "power": {"plain": 1.0, "squared": 2.0}, "last.shift": {0: 0.0, "one": 1.0}}


@pytest.fixture(scope="module")
def steps():
    return Steps()


@pytest.fixture(scope="module")
def found(steps):
    given = {"mine": steps.measures(), "as it is": None}
    panel = staggered(3)
    panel = panel.assign({"index": panel.column("y")})
    return Multiverse(SPEC, measures=given, options=OPTIONS, **COMMON).estimate(panel)


def test_options_are_the_measures_written_out(found):
    frame = found.details["specifications"]
    written = {
        f"{alpha} {power} {shift}": Steps().measures(alpha=alpha, power=power, shift=shift)
        for alpha in (0.5, 0.2)
        for power in (1.0, 2.0)
        for shift in (0.0, 1.0)
    }
    whole = Multiverse(SPEC, measures=written, **COMMON).estimate(staggered(3)).details["specifications"]
    own = frame[frame["measure"] == "mine"]
    np.testing.assert_array_equal(own[["estimate", "std_error", "sd"]], whole[["estimate", "std_error", "sd"]])
    assert own["estimate"].nunique() == 8


def test_every_option_is_an_axis_after_the_measure_and_the_first_choices_are_the_default(found):
    frame = found.details["specifications"]
    assert list(frame.columns[:6]) == [*AXES, "transform", "sample"]
    assert list(frame["last.shift"].unique()) == ["0", "one", "-"]
    (default,) = frame[frame["default"]].to_dict("records")
    assert [default[axis] for axis in AXES] == ["mine", "0.5", "plain", "0"]


def test_a_measure_that_takes_no_option_has_one_specification(found):
    frame = found.details["specifications"]
    bare = frame[frame["measure"] == "as it is"]
    assert len(bare) == 1
    assert list(bare[AXES].iloc[0]) == ["as it is", "-", "-", "-"]


def test_shares_of_the_options_add_up_to_all(found):
    terms = found.frame().set_index("term")["estimate"]
    shares = terms[terms.index.str.startswith("shapley:")]
    assert shares.sum() == pytest.approx(1.0)
    assert (shares[[f"shapley:{axis}" for axis in AXES]] > 0).all()
    assert shares[[f"shapley:{axis}" for axis in AXES]].sum() == pytest.approx(1.0)


def test_what_choices_share_is_measured_once(steps, found):
    calls = [each for each in steps.calls if each[0] == "first"]
    # A shift that is aimed at the other step leaves this one alone, and alpha belongs to a later one.
    assert sorted(calls) == [("first", 1.0, 0.0), ("first", 2.0, 0.0)]
    assert len([each for each in steps.calls if each[0] == "last"]) == 2 * 2


def test_an_option_is_set_in_every_step_that_takes_it_and_an_aim_goes_before():
    steps = Steps()
    options = {"shift": {"no": 0.0, "yes": 3.0}, "first.shift": [1.0]}
    Multiverse(SPEC, measures={"mine": steps.measures()}, options=options, **COMMON).estimate(staggered(3))
    assert set(steps.calls) == {("first", 1.0, 1.0), ("last", 0.0, 1.0), ("last", 3.0, 1.0)}


def test_combinations_that_cannot_be_measured_are_told_and_the_rest_goes_on():
    def picky(panel, *, kind="a", sign=1.0):
        if kind == "b" and sign < 0:
            raise SpecError("kind b has no negative sign.")
        if kind == "c" and sign < 0:
            raise DataError("Sanya 2009 is negative.")
        return panel.assign({"index": sign * panel.column("y") + panel.column("a") * (kind == "b")})

    options = {"kind": ["a", "b", "c"], "sign": {"plus": 1, "minus": -1}}
    found = Multiverse(SPEC, measures={"mine": partial(picky)}, options=options, **COMMON).estimate(staggered(3))
    frame = found.details["specifications"].set_index(["kind", "sign"])
    assert frame.loc[("b", "minus"), "message"] == "kind b has no negative sign."
    assert frame.loc[("c", "minus"), "message"] == "Sanya 2009 is negative."
    assert np.isfinite(frame["estimate"]).sum() == 4
    assert frame.loc[("a", "plus"), "estimate"] == pytest.approx(-frame.loc[("a", "minus"), "estimate"])


def test_a_choice_that_is_never_allowed_is_one_message():
    given = {"mine": Steps().measures()}
    with pytest.raises(SpecError, match=r"alpha '5\.0' cannot be measured: alpha=5\.0 is no weight"):
        Multiverse(SPEC, measures=given, options={"alpha": [0.5, 5.0]}, **COMMON).estimate(staggered(3))
    given = {"good": Steps().measures(), "bad": Steps().measures(alpha=7.0)}
    with pytest.raises(SpecError, match="measure 'bad' cannot be measured: alpha=7"):
        Multiverse(SPEC, measures=given, **COMMON).estimate(staggered(3))


def test_an_option_without_choices_is_left_out():
    one = Multiverse(SPEC, measures={"mine": Steps().measures()}, options={"alpha": None, "power": [1]}, **COMMON)
    assert [axis for axis in one.sizes if axis in AXES] == ["measure", "power"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pwer": [1, 2]}, "unknown option 'pwer'. Did you mean 'power'\\? Allowed: power, shift, scale, name"),
        ({"last.power": [1, 2]}, "unknown option 'last.power'. .*Allowed: shift, scale"),
        ({"lst.shift": [1, 2]}, "unknown step of option 'lst.shift': 'lst'. Did you mean 'last'"),
        ({"alpha": 0.5}, "options\\['alpha'\\] is 0.5, where its choices belong. Write a list, e.g. \\[0.5\\]"),
        ({"alpha": []}, "no choice of alpha"),
        ({"sample": [1]}, "cannot be called 'sample'.* e.g. creff.sample"),
    ],
)
def test_mistakes_are_told(options, message):
    with pytest.raises(SpecError, match=message):
        Multiverse(SPEC, measures={"mine": Steps().measures()}, options=options)


@pytest.mark.slow
def test_technologies_are_those_of_the_step_alone():
    panel = synthetic(units=20)
    step = partial(super_sbm, name="creff", inputs=["labour", "capital", "energy"], good=["gdp"], bad=["co2"])
    options = {
        "returns": ["crs", "vrs"],
        "inputs": {"three": ["labour", "capital", "energy"], "two": ["labour", "energy"]},
    }
    spec = Spec("creff", controls=("pop",))
    grid = Multiverse(spec, measures={"sbm": {"creff": step}}, options=options, controls={"pop": ("pop",)})
    for row in grid.estimate(panel).details["specifications"].to_dict("records"):
        measured = step(panel, returns=row["returns"], inputs=options["inputs"][row["inputs"]])
        expected = FixedEffects(spec).estimate(measured).frame().set_index("term").loc["treat"]
        assert row["estimate"] == pytest.approx(expected["estimate"], rel=1e-9)
        assert row["std_error"] == pytest.approx(expected["std_error"], rel=1e-9)


def test_options_need_steps():
    with pytest.raises(SpecError, match="option 'returns' has no step to be set in"):
        Multiverse(SPEC, options={"returns": ["crs", "vrs"]})
