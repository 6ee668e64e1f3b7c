"""Weights: who is linked to whom, how W is standardised, its spectrum, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syneff.errors import DataError, SpecError
from syneff.spatial.combinations import mixture, product, towards
from syneff.spatial.weights import Weights, weights_of
from tests.panels import staggered

# A ring of four with a fifth unit beside the first, and an island.
NAMES = ("a", "b", "c", "d", "e", "island")
LINKS = np.zeros((6, 6))
for _i, _j in ((0, 1), (1, 2), (2, 3), (3, 0), (0, 4)):
    LINKS[_i, _j] = LINKS[_j, _i] = 1.0
# Degrees on the equator: one is 111.195 km there.
LON = np.array([0.0, 1.0, 2.0, 3.0, 0.5, 30.0])
LAT = np.zeros(6)
DEGREE = np.pi / 180.0 * 6371.0088


def dense(matrix=LINKS, **options) -> Weights:
    return Weights.from_dense(matrix, ids=NAMES[: len(matrix)], **options)


@st.composite
def symmetric(draw, most=9):
    """Draw symmetric links in which every unit has a neighbour, and a permutation of the units."""
    units = draw(st.integers(3, most))
    size = units * (units - 1) // 2
    upper = draw(st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.0]), min_size=size, max_size=size))
    links = np.zeros((units, units))
    links[np.triu_indices(units, 1)] = upper
    links += links.T
    for i in np.flatnonzero(links.sum(1) == 0):
        links[i, (i + 1) % units] = links[(i + 1) % units, i] = 2.0
    return links, draw(st.permutations(range(units)))


@settings(max_examples=40, deadline=None)
@given(symmetric(), st.sampled_from(["row", "spectral", "none"]))
def test_permuting_units_permutes_w_and_leaves_its_spectrum(drawn, standardise):
    links, order = drawn
    order = np.asarray(order)
    first = Weights.from_dense(links, ids=range(len(links)), standardise=standardise)
    second = Weights.from_dense(links[np.ix_(order, order)], ids=order.tolist(), standardise=standardise)
    back = second.ordered(first.units)
    np.testing.assert_allclose(back.matrix, first.matrix, atol=1e-12)
    np.testing.assert_allclose(second.spectrum.values, first.spectrum.values, atol=1e-10)
    np.testing.assert_allclose(second.bounds, first.bounds, rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(symmetric(), st.sampled_from(["row", "spectral", "none"]), st.booleans())
def test_the_spectrum_is_that_of_lapack_and_diagonalises_w(drawn, standardise, sized):
    links = drawn[0] * (np.arange(1.0, len(drawn[0]) + 1) if sized else 1.0)
    weights = Weights.from_dense(links, ids=range(len(links)), standardise=standardise)
    spectrum, theirs = weights.spectrum, np.linalg.eigvals(weights.matrix)
    assert np.abs(theirs.imag).max() < 1e-6
    np.testing.assert_allclose(spectrum.values, np.sort(theirs.real), atol=1e-6)
    np.testing.assert_allclose(spectrum.vectors * spectrum.values @ spectrum.inverse, weights.matrix, atol=1e-10)
    np.testing.assert_allclose(spectrum.vectors @ spectrum.inverse, np.eye(len(links)), atol=1e-10)
    flow = spectrum.scale[:, None] * weights.matrix
    np.testing.assert_allclose(flow, flow.T, atol=1e-10)
    low, high = weights.bounds
    assert low == pytest.approx(1 / theirs.real.min(), rel=1e-6)
    assert high == pytest.approx(1 / theirs.real.max(), rel=1e-6)
    if standardise == "row":
        np.testing.assert_allclose(weights.matrix.sum(1), 1.0, atol=1e-14)
        assert weights.row_standardised
        assert high == pytest.approx(1.0, abs=1e-10)
    if standardise == "spectral":
        assert np.abs(theirs).max() == pytest.approx(1.0, abs=1e-8)


def test_a_matrix_that_was_row_standardised_before_has_the_same_spectrum():
    links = LINKS[:5, :5]
    once = dense(links)
    again = dense(once.matrix)
    assert again.spectrum.vectors is not None
    np.testing.assert_allclose(again.matrix, once.matrix, atol=1e-15)
    np.testing.assert_allclose(again.spectrum.values, once.spectrum.values, atol=1e-12)


def test_links_in_a_circle_one_way_have_complex_eigenvalues():
    circle = np.roll(np.eye(5), 1, axis=1)
    spectrum = dense(circle).spectrum
    assert not spectrum.is_real
    assert spectrum.vectors is None
    np.testing.assert_allclose(np.sort_complex(spectrum.values), np.sort_complex(np.linalg.eigvals(circle)), atol=1e-12)
    assert spectrum.bounds == (-np.inf, pytest.approx(1.0))


def test_a_chain_one_way_bounds_rho_nowhere():
    chain = np.diag(np.ones(4), 1)
    assert dense(chain, empty_columns="keep").bounds == (-np.inf, np.inf)


def test_islands_are_kept_dropped_linked_or_refused_by_name():
    kept = dense(labels=["A", "B", "C", "D", "E", "Hainan"])
    assert kept.islands == ("island",)
    assert not kept.row_standardised
    assert kept.matrix[5].sum() == 0
    assert "1 islands kept with a row of zeros: Hainan" in kept.notes[0]

    dropped = dense(islands="drop")
    assert dropped.units == NAMES[:5]
    assert dropped.row_standardised
    assert "left out: island" in dropped.notes[0]

    linked = dense(islands="nearest", coordinates=np.column_stack([LAT, LON]))
    assert linked.islands == ()
    assert linked.matrix[5].tolist() == [0, 0, 0, 1, 0, 0]
    assert linked.links[3, 5] == 1
    assert "island to d" in linked.notes[0]

    with pytest.raises(DataError, match="1 units have no neighbour: island"):
        dense(islands="error")
    with pytest.raises(SpecError, match="needs coordinates"):
        dense(islands="nearest")
    with pytest.raises(DataError, match="none is left"):
        dense(np.zeros((3, 3)), islands="drop")


def test_dropping_repeats_where_links_run_one_way():
    """c looks to b and b to a, who looks to nobody: without a, b is alone, and then c."""
    links = np.zeros((5, 5))
    links[2, 1] = links[1, 0] = links[3, 4] = links[4, 3] = 1
    found = dense(links, islands="drop", empty_columns="keep")
    assert found.units == ("d", "e")
    assert found.islands == ("a", "b", "c")


def test_a_panel_gets_its_units_in_its_order_standardised_among_its_sample():
    panel = staggered(units=6, periods=3)
    shuffled = [4, 2, 0, 5, 1, 3, 99]
    rng = np.random.default_rng(0)
    links = rng.uniform(size=(7, 7)) * (1 - np.eye(7))
    weights = Weights.from_dense(links, ids=shuffled)
    found = weights.for_panel(panel)
    assert found.units == panel.units
    place = [shuffled.index(unit) for unit in panel.units]
    expected = links[np.ix_(place, place)]
    np.testing.assert_allclose(found.matrix, expected / expected.sum(1, keepdims=True), rtol=1e-14)
    assert weights.for_panel(panel) is found, "its spectrum is found once"

    out = panel.weights.copy()
    out[3] = 0.0
    smaller = weights_of(panel.reweight(out), weights)
    assert smaller.units == (0, 1, 2, 4, 5)
    assert smaller.rows(panel).tolist() == [0, 1, 2, 4, 5]
    np.testing.assert_allclose(smaller.matrix.sum(1), 1.0, rtol=1e-14)


def test_a_dropped_island_is_no_missing_unit_and_a_missing_unit_is_named():
    panel = staggered(units=6, periods=3)
    links = np.zeros((6, 6))
    links[:5, :5] = LINKS[:5, :5]
    found = Weights.from_dense(links, ids=panel.units, islands="drop").for_panel(panel)
    assert found.units == (0, 1, 2, 3, 4)
    assert found.islands == (5,)
    with pytest.raises(DataError, match=r"1 of 6 units have no row: 5\. The identifiers begin 0, 1"):
        Weights.from_dense(LINKS[:5, :5], ids=range(5)).for_panel(panel)
    with pytest.raises(DataError, match=r"6 of 6 units have no row: 0, 1"):
        dense().for_panel(panel)


def test_a_frame_is_matched_by_its_names():
    frame = pd.DataFrame(LINKS, index=NAMES, columns=NAMES)
    other = frame.loc[::-1, list(NAMES[3:]) + list(NAMES[:3])]
    found = Weights.from_dense(other).ordered(NAMES)
    np.testing.assert_array_equal(found.links, LINKS)
    with pytest.raises(DataError, match="rows and columns name different units: island, other"):
        Weights.from_dense(frame.rename(columns={"island": "other"}))


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        ((0, 1), np.nan, r"1 entries are missing or infinite: a to b \(nan\)"),
        ((2, 1), np.inf, r"1 entries are missing or infinite: c to b \(inf\)"),
        ((3, 2), -2.0, r"1 entries are negative: d to c \(-2\)"),
        ((4, 4), 1.0, r"1 units are their own neighbours: e to e \(1\)"),
        ((5, 1), 1.0, r"1 units have neighbours but are nobody's: island"),
    ],
)
def test_entries_that_are_no_weights_are_named(at, value, message):
    links = LINKS.copy()
    links[at] = value
    with pytest.raises(DataError, match=message):
        dense(links)


def test_other_input_that_is_no_matrix_is_refused():
    with pytest.raises(DataError, match="must be square"):
        dense(LINKS[:5])
    with pytest.raises(SpecError, match="One W must hold for all periods"):
        Weights.from_dense(np.stack([LINKS, LINKS]), ids=NAMES)
    with pytest.raises(DataError, match="5 ids for a matrix of 6 rows"):
        Weights.from_dense(LINKS, ids=range(5))
    with pytest.raises(DataError, match="more than once: a"):
        Weights.from_dense(LINKS, ids=["a", "b", "a", "d", "e", "f"])
    with pytest.raises(SpecError, match="needs ids"):
        Weights.from_dense(LINKS)
    with pytest.raises(SpecError, match=r"weights\.standardise.*rows"):
        dense(standardise="rows")


def test_pairs_are_mutual_unless_said_otherwise():
    both = Weights.from_pairs(["a", "b", "b", "c"], ["b", "a", "c", "b"], ids=["c", "b", "a", "z"])
    assert both.islands == ("z",)
    assert both.links.tolist() == [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    once = Weights.from_pairs(["a", "b"], ["b", "c"], one_way="mirror")
    assert once.units == ("a", "b", "c")
    np.testing.assert_array_equal(once.links, once.links.T)
    with pytest.raises(DataError, match=r"differ from those of the other direction: a to b \(1, back 0\), b to a"):
        Weights.from_pairs(["a", "b", "c"], ["b", "c", "b"])
    with pytest.raises(DataError, match=r"a to b \(2, back 3\)"):
        Weights.from_pairs(["a", "b"], ["b", "a"], [2.0, 3.0], one_way="mirror")
    kept = Weights.from_pairs(["a", "b", "c"], ["b", "c", "b"], [1.0, 2.0, 4.0], one_way="keep", empty_columns="keep")
    assert kept.links[0, 1] == 1
    assert kept.links[1, 0] == 0
    with pytest.raises(DataError, match=r"1 pairs are listed more than once: a to b"):
        Weights.from_pairs(["a", "a", "b"], ["b", "b", "a"])
    with pytest.raises(DataError, match="1 identifiers of the pairs are no units: q"):
        Weights.from_pairs(["a", "q"], ["q", "a"], ids=["a", "b"])


def test_distances_on_the_equator():
    found = Weights.by_distance(LAT, LON, ids=NAMES, power=2, cutoff_km=2.2 * DEGREE, standardise="none", name="near")
    expected = np.zeros((6, 6))
    for i in range(6):
        for j in range(6):
            gap = abs(LON[i] - LON[j])
            if i != j and gap <= 2.2:
                expected[i, j] = (gap * DEGREE) ** -2
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-10)
    assert found.islands == ("island",)
    alike = Weights.by_distance(LAT, LON, ids=NAMES, power=0, cutoff_km=1.01 * DEGREE, standardise="none")
    assert alike.matrix[1].tolist() == [1, 0, 1, 0, 1, 0]
    with pytest.raises(DataError, match="a and e"):
        Weights.by_distance(LAT, np.where(np.arange(6) == 4, 0.0, LON), ids=NAMES)
    with pytest.raises(DataError, match=r"1 units have no latitude from -90 to 90 degrees: b \(116\)"):
        Weights.by_distance(np.array([0, 116.0, 0, 0, 0, 0]), LON, ids=NAMES)
    with pytest.raises(SpecError, match="power=-1"):
        Weights.by_distance(LAT, LON, ids=NAMES, power=-1)
    with pytest.raises(SpecError, match="cutoff_km=0"):
        Weights.by_distance(LAT, LON, ids=NAMES, cutoff_km=0)


def test_nearest_units_and_ties_do_not_depend_on_the_order():
    found = Weights.by_nearest(LAT, LON, ids=NAMES, k=2)
    assert found.links.tolist() == [
        [0, 1, 0, 0, 1, 0],  # a at 0: e at .5, b at 1
        [1, 0, 0, 0, 1, 0],  # b at 1: e at .5, and of a and c at the same distance the first by name
        [0, 1, 0, 1, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
    ]
    assert "1 units have neighbours but are nobody's: island" in found.notes[0]
    order = [3, 5, 1, 0, 4, 2]
    other = Weights.by_nearest(LAT[order], LON[order], ids=[NAMES[at] for at in order], k=2).ordered(NAMES)
    np.testing.assert_array_equal(other.links, found.links)
    with pytest.raises(SpecError, match=r"k=6 must be 1 to 5"):
        Weights.by_nearest(LAT, LON, ids=NAMES, k=6)


def test_groups_and_gaps_by_hand():
    groups = np.array(["x", "y", "x", "y", "x", "z"], dtype=object)
    found = Weights.by_group(groups, ids=NAMES)
    assert found.islands == ("island",)
    half, third = 0.5, 1.0
    assert found.matrix[0].tolist() == [0, 0, half, 0, half, 0]
    assert found.matrix[1].tolist() == [0, 0, 0, third, 0, 0]
    with pytest.raises(DataError, match="1 units have no group: c"):
        Weights.by_group(np.array(["x", "y", None, "y", "x", "x"], dtype=object), ids=NAMES)

    gaps = Weights.by_gap(np.array([1.0, 2.0, 4.0]), ids="abc", standardise="none")
    np.testing.assert_allclose(gaps.matrix, [[0, 1, 1 / 3], [1, 0, 1 / 2], [1 / 3, 1 / 2, 0]], rtol=1e-15)
    assert gaps.notes == ()
    tied = Weights.by_gap(np.array([1.0, 3.0, 1.0]), ids="abc", standardise="none")
    np.testing.assert_allclose(tied.matrix, np.full((3, 3), 0.5) - 0.5 * np.eye(3), rtol=1e-15)
    assert "1 pairs have a gap below 2, which counts as 2: a and c" in tied.notes[0]
    floored = Weights.by_gap(np.array([1.0, 2.0, 4.0]), ids="abc", standardise="none", floor=2.5)
    np.testing.assert_allclose(floored.matrix, [[0, 0.4, 1 / 3], [0.4, 0, 0.4], [1 / 3, 0.4, 0]], rtol=1e-15)
    with pytest.raises(DataError, match="all 3 units have the value 2"):
        Weights.by_gap(np.full(3, 2.0), ids="abc")
    with pytest.raises(DataError, match="1 units have no value to take gaps of: b"):
        Weights.by_gap(np.array([1.0, np.nan, 4.0]), ids="abc")


def test_combinations_by_hand():
    near = dense(LINKS[:5, :5], name="near")
    alike = Weights.by_gap(np.array([1.0, 2.0, 4.0, 8.0, 16.0]), ids=NAMES[4::-1], name="alike")
    values = np.array([16.0, 8.0, 4.0, 2.0, 1.0])
    gaps = 1 / np.where(np.eye(5) > 0, np.inf, np.abs(values[:, None] - values))
    both = product(near, alike, name="both")
    expected = LINKS[:5, :5] * gaps
    np.testing.assert_allclose(both.matrix, expected / expected.sum(1, keepdims=True), rtol=1e-12)
    assert both.spectrum.vectors is not None
    mixed = mixture(near, alike, share=0.3)
    np.testing.assert_allclose(mixed.matrix, 0.3 * near.matrix + 0.7 * gaps / gaps.sum(1, keepdims=True), rtol=1e-12)
    sized = towards(near, values, standardise="none")
    np.testing.assert_allclose(sized.matrix, LINKS[:5, :5] * values / values.mean(), rtol=1e-15)
    assert sized.spectrum.vectors is not None
    with pytest.raises(DataError, match=r"1 units have no size above 0: b \(0\)"):
        towards(near, values * (np.arange(5) != 1))
    with pytest.raises(SpecError, match=r"share=1\.5"):
        mixture(near, alike, share=1.5)
