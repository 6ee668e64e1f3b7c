"""Spillovers: exposure and rings by hand on a line of cities, brute force, recovery, and what is refused."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import Placebo
from syneff.panel.panel import Panel
from syneff.spatial.builders import distance
from syneff.spatial.rings import RingRegression
from syneff.spatial.spillovers import drop_exposed_controls, exposure, treatment_everywhere
from syneff.spatial.weights import Weights

KM = 180.0 / (np.pi * 6371.0088)
"""Degrees of a kilometre along the equator."""


def line(places, treat, y=None, weights=None) -> Panel:
    """Put cities along the equator at so many kilometres."""
    treat = np.asarray(treat, dtype=float)
    y = np.arange(treat.size, dtype=float).reshape(treat.shape) ** 2 if y is None else y
    traits = {"lat": np.zeros(len(places)), "lon": np.asarray(places, dtype=float) * KM}
    weights = np.ones(treat.shape) if weights is None else weights
    return Panel(tuple("abcdefgh"[: len(places)]), (2001, 2002, 2003), {"y": y, "treat": treat}, traits, weights)


@pytest.fixture
def five() -> Panel:
    """a is treated from 2002 and b, 30 km on, from 2003; c, d and e are 80, 130 and 400 km from a."""
    return line([0, 30, 80, 130, 400], [[0, 1, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]])


def test_exposure_by_hand(five):
    def near(panel):
        return distance(panel, power=0, cutoff_km=60, standardise="row", name="near")

    share = exposure(five, weights=near, name="share")
    assert share.column("share").tolist() == [[0, 0, 1], [0, 0.5, 0.5], [0, 0, 0.5], [0, 0, 0], [0, 0, 0]]
    any_near = exposure(five, weights=near, name="near", kind="any")
    assert any_near.column("near").tolist() == [[0, 0, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert "above 0 in 4 of 15 rows, 2 of 12 untreated ones; 1 units have no neighbour" in any_near.notes[-1]
    assert any_near.variables["near"].unit == "0/1"


def test_exposure_is_w_times_treat_whatever_the_order_of_w(five):
    links = np.random.default_rng(0).uniform(size=(5, 5)) * (1 - np.eye(5))
    order = [3, 1, 4, 0, 2]
    weights = Weights.from_dense(links[np.ix_(order, order)], ids=[five.units[at] for at in order], standardise="none")
    found = exposure(five, weights=weights).column("exposure")
    np.testing.assert_allclose(found, links @ five.column("treat"), rtol=1e-14)


def test_units_out_of_the_sample_are_no_neighbours_and_have_no_exposure(five):
    out = five.weights.copy()
    out[0] = 0.0
    found = exposure(five.reweight(out), weights=lambda panel: distance(panel, power=0, cutoff_km=60), name="e")
    assert np.isnan(found.column("e")[0]).all()
    assert found.column("e")[1:].tolist() == [[0, 0, 0], [0, 0, 0.5], [0, 0, 0], [0, 0, 0]]
    with pytest.raises(SpecError, match="kind"):
        exposure(five, weights=distance, kind="sum")


def test_treatment_out_of_the_sample_is_carried_and_missing_in_it_is_named(five):
    treat, out = five.column("treat").copy(), five.weights.copy()
    treat[0, 2] = treat[3, 0] = np.nan
    out[0, 2] = out[3, 0] = 0.0
    assert treatment_everywhere(five.assign({"treat": treat}).reweight(out), "treat").tolist() == [
        *five.column("treat").tolist()
    ]
    with pytest.raises(DataError, match="missing in 2 rows of the sample: a 2003, d 2001"):
        treatment_everywhere(five.assign({"treat": treat}), "treat")


def test_exposed_controls_leave_and_the_treated_stay(five):
    exposed = exposure(five, weights=lambda panel: distance(panel, power=0, cutoff_km=60), kind="any")
    kept = drop_exposed_controls(exposed)
    assert (kept.weights > 0).tolist() == [[True] * 3, [True, False, True], [True, True, False], [True] * 3, [True] * 3]
    assert "2 exposed untreated rows of 2 units left out; 10 untreated rows are left" in kept.notes[-1]
    whole = drop_exposed_controls(exposed, whole_units=True)
    assert (whole.weights > 0).tolist() == [[True] * 3, [True, False, True], [False] * 3, [True] * 3, [True] * 3]
    assert "units without any row: c" in whole.notes[-1]
    with pytest.raises(DataError, match="nothing is left to compare"):
        drop_exposed_controls(five.assign({"exposure": np.ones((5, 3))}))


def test_rings_by_hand(five):
    model = RingRegression(FixedEffects(Spec("y", controls=())), edges=(40, 100), whose="both")
    design = model.design(five)
    assert design.names == ("treat", "ring[0-40]", "ring[40-100]", "treated_ring[0-40]", "treated_ring[40-100]")
    found = np.asarray(design.regressors)
    assert found[:, :, 1].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    # c is 80 km from a, and from 2003 on 50 km from b: in the second ring either way; d is 100 km from b.
    assert found[:, :, 2].tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert found[:, :, 3].tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert not found[:, :, 4].any()
    again = model.with_treatment(replace(design, regressors=design.regressors * 0), jnp.asarray(five.column("treat")))
    np.testing.assert_array_equal(np.asarray(again.regressors), found)


def country(seed: int = 0, units: int = 60, periods: int = 6, noise: float = 0.1):
    """Cities in a square of 700 km; 12 adopt at two dates; the true effect is 2, the spillover 3 up to 60 km."""
    rng = np.random.default_rng(seed)
    lat, lon = rng.uniform(0, 700 * KM, size=(2, units))
    start = np.full(units, np.inf)
    start[:12] = rng.choice([2, 4], size=12)
    treat = (np.arange(periods)[None, :] >= start[:, None]).astype(float)
    distances = np.asarray(Weights.by_distance(lat, lon, ids=range(units), power=1, standardise="none").links)
    near = np.where(distances > 0, 1 / np.where(distances > 0, distances, 1), np.inf) <= 60
    exposed = (near.astype(float) @ treat > 0) & (treat == 0)
    a = rng.normal(size=(units, periods))
    y = rng.normal(size=(units, 1)) + rng.normal(size=(1, periods)) + 2 * treat + 3 * exposed + 0.5 * a
    y += noise * rng.normal(size=y.shape)
    columns = {"y": y, "treat": treat, "a": a, "exposed": exposed.astype(float)}
    return Panel(
        tuple(range(units)), tuple(range(2001, 2001 + periods)), columns, {"lat": lat, "lon": lon}, np.ones(y.shape)
    )


@pytest.fixture(scope="module")
def panel() -> Panel:
    return country()


SPEC = Spec("y", controls=("a",))
RINGS = RingRegression(FixedEffects(SPEC), edges=(60, 120))


def test_rings_are_least_squares_with_explicit_dummies(panel):
    found = RINGS.estimate(panel)
    treat, rows = panel.column("treat"), panel.shape[0] * panel.shape[1]
    lat, lon = (np.radians(panel.traits[name]) for name in ("lat", "lon"))
    cosine = np.sin(lat)[:, None] * np.sin(lat) + np.cos(lat)[:, None] * np.cos(lat) * np.cos(lon[:, None] - lon)
    kilometres = 6371.0088 * np.arccos(np.clip(cosine, -1, 1)) + np.diag(np.full(len(lat), np.inf))
    nearest = np.array([[kilometres[i, treat[:, t] > 0].min(initial=np.inf) for t in range(6)] for i in range(60)])
    rings = [((nearest <= 60) & (treat == 0)), (nearest > 60) & (nearest <= 120) & (treat == 0)]
    units, periods = np.repeat(np.eye(60), 6, axis=0), np.tile(np.eye(6), (60, 1))
    columns = [treat, *rings, panel.column("a")]
    left = np.column_stack([*(np.asarray(each, float).reshape(rows) for each in columns), units, periods])
    beta = np.linalg.lstsq(left, panel.column("y").reshape(rows), rcond=None)[0]
    np.testing.assert_allclose(np.asarray(found.coef)[:4], beta[:4], rtol=1e-9)
    table = found.details["rings"]
    assert table["rows"].tolist() == [int(ring.sum()) for ring in rings]
    np.testing.assert_allclose(table["estimate"], beta[1:3], rtol=1e-9)
    assert any(f"{sum(int(ring.sum()) for ring in rings)} of {int((treat == 0).sum())}" in note for note in found.notes)


def test_the_truth_is_found_with_rings_and_without_the_exposed_and_not_by_twoway_effects(panel):
    twoway = FixedEffects(SPEC).estimate(panel)
    assert abs(float(twoway.coef[0]) - 2) > 2 * float(twoway.std_error[0])
    rings = RINGS.estimate(panel)
    for at, truth in ((0, 2.0), (1, 3.0), (2, 0.0)):
        assert abs(float(rings.coef[at]) - truth) < 3 * float(rings.std_error[at])

    def near(panel):
        return distance(panel, power=0, cutoff_km=60)

    exposed = exposure(panel, weights=near, kind="any")
    control = FixedEffects(Spec("y", controls=("exposure", "a"))).estimate(exposed)
    assert abs(float(control.coef[0]) - 2) < 3 * float(control.std_error[0])
    out = FixedEffects(SPEC).estimate(drop_exposed_controls(exposed))
    assert abs(float(out.coef[0]) - 2) < 3 * float(out.std_error[0])


def test_rings_follow_a_placebo_treatment(panel):
    drawn = Placebo(RINGS, draws=3).estimate(panel, seed=1, name="x")
    assert drawn.draws is not None
    assert drawn.draws.names[:3] == ("treat", "ring[0-60]", "ring[60-120]")
    order = np.random.default_rng(2).permutation(60)
    treat = panel.column("treat")[order]
    moved = RINGS.with_treatment(RINGS.design(panel), jnp.asarray(treat))
    fresh = RINGS.design(panel.assign({"treat": treat}))
    np.testing.assert_array_equal(np.asarray(moved.regressors), np.asarray(fresh.regressors))


def test_rings_have_errors_of_conley(panel):
    conley = replace(SPEC, cluster=None, covariance="conley", cutoff_km=100.0)
    rings = RingRegression(FixedEffects(conley), edges=(60, 120)).estimate(panel)
    ringed = RINGS.design(panel)
    columns = {name: np.asarray(ringed.regressors)[:, :, at] for at, name in enumerate(ringed.names)}
    plain = FixedEffects(replace(conley, controls=(*RINGS.names, "a"))).estimate(panel.assign(columns))
    np.testing.assert_allclose(np.asarray(rings.std_error)[:4], np.asarray(plain.std_error)[:4], rtol=1e-10)


def test_a_unit_out_of_the_sample_needs_no_place(five):
    lat = five.traits["lat"].copy()
    lat[4] = np.nan
    lost = replace(five, traits={**five.traits, "lat": lat})
    model = RingRegression(FixedEffects(Spec("y")), edges=(40,))
    with pytest.raises(DataError, match="1 units of the sample have no coordinates: e"):
        model.design(lost)
    out = five.weights.copy()
    out[4] = 0.0
    found = np.asarray(model.design(lost.reweight(out)).regressors)[:, :, 1]
    assert found.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("edges", [(), (100, 50), (0, 50), (50, np.inf)])
def test_edges_must_rise(edges):
    with pytest.raises(SpecError, match="rising distances above 0"):
        RingRegression(FixedEffects(SPEC), edges=edges)


def test_other_errors_of_rings(five):
    with pytest.raises(SpecError, match="whose"):
        RingRegression(FixedEffects(SPEC), whose="treated")
    with pytest.raises(SpecError, match="northing"):
        RingRegression(FixedEffects(Spec("y")), coordinates=("northing", "lon")).design(five)
    near = line([0, 10, 20], [[1, 1, 1], [0, 0, 1], [0, 0, 0]])
    with pytest.raises(DataError, match="every untreated row has a treated unit within 50 km"):
        RingRegression(FixedEffects(Spec("y")), edges=(50,)).design(near)
    with pytest.raises(DataError, match=r"treat"):
        RingRegression(FixedEffects(Spec("y"))).design(five.assign({"treat": five.column("treat") / 2}))
