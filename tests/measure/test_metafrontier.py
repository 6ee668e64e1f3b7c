"""The technology gap ratio: by hand, against HiGHS, and as a step of a panel."""

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.measure.metafrontier import metafrontier, technology_gap
from syneff.measure.technology import Technology
from syneff.panel.panel import Panel
from tests.frontiers import draw, highs_scores

COLUMNS = {"inputs": ["labour", "capital"], "good": "gdp", "bad": "co2"}


def test_the_gap_by_hand() -> None:
    # The same output for more of both inputs, under constant returns: SBM is 1 - the share of the inputs to save, which is
    # the productivity over the best one's. West's best is half of east's.
    inputs = np.array([[1.0], [2.0], [2.0], [4.0]]) * [1.0, 3.0]
    units = Technology(inputs, np.ones((4, 1)), np.ones((4, 1)), group=["east", "east", "west", "west"])
    result = metafrontier(units, solver="simplex")
    np.testing.assert_allclose(result.meta.score, [1, 1 / 2, 1 / 2, 1 / 4], rtol=1e-13)
    np.testing.assert_allclose(result.group.score, [1, 1 / 2, 1, 1 / 2], rtol=1e-13)
    np.testing.assert_allclose(result.ratio, [1, 1, 1 / 2, 1 / 2], rtol=1e-13)


@pytest.mark.parametrize("reference", ["global", "contemporaneous"])
def test_the_gap_is_a_ratio_of_two_plain_scores(reference: str) -> None:
    data = draw(np.random.default_rng(0), rows=32)
    year, region = np.repeat([2004, 2005], 16), np.arange(32) % 2
    units = Technology(**data, period=year, group=region, reference=reference)
    everybody = Technology(**data, period=year, reference=reference)
    meta, own = (highs_scores(each, super_efficiency=False) for each in (everybody, units))
    ratio = metafrontier(units, solver="simplex").ratio
    np.testing.assert_allclose(ratio, meta / own, atol=1e-10)
    assert ratio.max() <= 1 + 1e-10
    assert ratio.min() < 1 - 1e-3


def panel() -> Panel:
    labour = np.array([[1.0, 2.0], [2.0, 4.0]])
    columns = {"labour": labour, "capital": 3 * labour, "gdp": np.ones((2, 2)), "co2": np.ones((2, 2))}
    traits = {"region": np.array(["east", "west"], dtype=object)}
    return Panel(("Wuhan", "Yulin"), (2004, 2005), columns, traits, np.ones((2, 2)))


def test_the_step_adds_the_ratio_and_its_parts() -> None:
    after = technology_gap(panel(), name="gap", group="region", solver="simplex", **COLUMNS)
    np.testing.assert_allclose(after.columns["gap"], [[1, 1], [1 / 2, 1 / 2]], rtol=1e-13)
    np.testing.assert_allclose(after.columns["gap_meta"], [[1, 1 / 2], [1 / 2, 1 / 4]], rtol=1e-13)
    np.testing.assert_allclose(after.columns["gap_group"], [[1, 1 / 2], [1, 1 / 2]], rtol=1e-13)
    assert after.notes[0].startswith(
        "gap: 4 rows measured, 0 left out for missing values; each is compared with its own"
    )
    assert "mean ratio: east 1.0000, west 0.5000" in after.notes[0]


def test_missing_groups_are_named() -> None:
    with pytest.raises(SpecError, match=r"needs the group of each row. Give Technology\(group=...\)"):
        metafrontier(Technology(np.ones((2, 1)), np.ones((2, 1))))
    with pytest.raises(DataError, match=r"unknown group 'regoin'. Did you mean 'region'"):
        technology_gap(panel(), name="gap", group="regoin", **COLUMNS)
    traits = {"region": np.array(["east", None], dtype=object)}
    unlabelled = Panel(("Wuhan", "Yulin"), (2004, 2005), panel().columns, traits, np.ones((2, 2)))
    with pytest.raises(DataError, match="group 'region' is missing in Yulin 2004, Yulin 2005"):
        technology_gap(unlabelled, name="gap", group="region", **COLUMNS)
