"""Every covariance against its definition: explicit dummies, explicit hat matrix, loops over pairs of rows."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec, jit_fit
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import Placebo
from tests.models.test_fixed_effects import dummies
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a", "b"))
EFFECTS = [("unit", "period"), ("unit",), ("period",), ()]


def sample(missing=0.2, **shape):
    """An unbalanced, weighted panel with places and a column to cluster by."""
    panel = staggered(3, missing=missing, **shape)
    rng = np.random.default_rng(4)
    lat, lon = rng.uniform(20, 45, panel.shape[0]), rng.uniform(100, 125, panel.shape[0])
    panel = panel.reweight(panel.weights * rng.uniform(0.5, 2.0, panel.shape))
    block = np.floor(np.indices(panel.shape)[0] / 5) * 10 + np.floor(np.indices(panel.shape)[1] / 3)
    return replace(panel.assign({"block": block}), traits={**panel.traits, "lat": lat, "lon": lon})


class Explicit:
    """Least squares on regressors and dummies, rows multiplied by the root of their weight."""

    def __init__(self, panel, effects):
        inside = panel.sample
        root = np.sqrt(panel.weights[inside])[:, None]
        columns = np.stack([panel.column(name)[inside] for name in SPEC.regressors], axis=1)
        self.unit, self.period = (index[inside] for index in np.indices(panel.shape))
        full = np.concatenate([columns, dummies(panel, effects)], axis=1) * root
        self.bread = np.linalg.pinv(full.T @ full, hermitian=True)
        self.full, self.hat = full, full @ self.bread @ full.T
        outcome = panel.column("y")[inside] * root[:, 0]
        self.residuals = outcome - self.hat @ outcome
        self.influence = full @ self.bread[:, :3]
        self.outcome = outcome

    def clusters(self, codes):
        return [np.flatnonzero(codes == each) for each in np.unique(codes)]


def free(matrix, power):
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-11
    return (vectors[:, kept] * values[kept] ** power) @ vectors[:, kept].T


def codes_of(panel, name):
    inside = panel.sample
    unit, period = np.indices(panel.shape)
    named = {"unit": unit, "period": period, "region": panel.traits["region"][unit], "block": panel.columns["block"]}
    return np.unique(named[name][inside].astype(str), return_inverse=True)[1]


def estimate(panel, **options):
    return FixedEffects(Spec("y", "treat", ("a", "b"), **options)).estimate(panel)


@pytest.mark.parametrize("effects", EFFECTS, ids=str)
@pytest.mark.parametrize(("covariance", "power"), [("HC2", -0.5), ("HC3", -1.0)])
def test_heteroskedastic(effects, covariance, power):
    panel = sample()
    explicit = Explicit(panel, effects)
    scores = explicit.influence * (explicit.residuals * (1.0 - np.diag(explicit.hat)) ** power)[:, None]
    found = estimate(panel, effects=effects, covariance=covariance)
    np.testing.assert_allclose(found.cov[:3, :3], scores.T @ scores, rtol=1e-9, atol=1e-14)
    assert float(found.dof) == len(scores) - np.linalg.matrix_rank(explicit.full)


@pytest.mark.parametrize(
    ("effects", "cluster"),
    [
        *((EFFECTS[0], cluster) for cluster in ("unit", "region", "period", "block")),
        (EFFECTS[1], "unit"),
        (EFFECTS[1], "period"),
        (EFFECTS[2], "region"),
        (EFFECTS[2], "period"),
        (EFFECTS[3], "block"),
    ],
    ids=str,
)
def test_bell_mccaffrey(effects, cluster):
    """CR2 and its degrees of freedom from the definition, with the whole hat matrix of all dummies."""
    panel = sample()
    explicit, codes = Explicit(panel, effects), codes_of(panel, cluster)
    maker = np.eye(len(explicit.hat)) - explicit.hat
    scores, columns = [], []
    for rows in explicit.clusters(codes):
        adjusted = free(maker[np.ix_(rows, rows)], -0.5) @ explicit.influence[rows]
        scores.append(adjusted.T @ explicit.residuals[rows])
        columns.append(maker[:, rows] @ adjusted)
    stacked = np.stack(columns)
    gram = np.einsum("gnk,hnk->kgh", stacked, stacked)
    dof = np.trace(gram, axis1=1, axis2=2) ** 2 / (gram**2).sum((1, 2))
    found = estimate(panel, effects=effects, cluster=cluster, covariance="CR2")
    np.testing.assert_allclose(found.cov[:3, :3], np.stack(scores).T @ np.stack(scores), rtol=1e-8, atol=1e-13)
    np.testing.assert_allclose(found.dof[:3], dof, rtol=1e-8)


@pytest.mark.parametrize("cluster", ["unit", "region", "block"])
def test_jackknife_leaves_out_clusters(cluster):
    panel = sample()
    explicit, codes = Explicit(panel, SPEC.effects), codes_of(panel, cluster)
    drawn = []
    for rows in explicit.clusters(codes):
        kept = np.setdiff1d(np.arange(len(codes)), rows)
        drawn.append(np.linalg.lstsq(explicit.full[kept], explicit.outcome[kept], rcond=None)[0][:3])
    drawn, whole = np.stack(drawn), explicit.bread[:3] @ explicit.full.T @ explicit.outcome
    count = len(drawn)
    for centre, name in ((whole, "estimate"), (drawn.mean(0), "mean")):
        expected = (drawn - centre).T @ (drawn - centre) * (count - 1) / count
        found = estimate(panel, cluster=cluster, covariance="CR3", jackknife=name)
        np.testing.assert_allclose(found.cov[:3, :3], expected, rtol=1e-8, atol=1e-13)
        assert float(found.dof) == count - 1


@pytest.mark.parametrize("names", [("unit", "period"), ("region", "block"), ("unit", "period", "region")], ids=str)
def test_several_ways_sum_over_rows_that_share_a_cluster(names):
    panel = sample()
    explicit = Explicit(panel, SPEC.effects)
    shared = np.logical_or.reduce([np.equal.outer(codes_of(panel, name), codes_of(panel, name)) for name in names])
    scores = explicit.influence * explicit.residuals[:, None]
    found = estimate(panel, cluster=names, covariance="CR0")
    expected = scores.T @ shared @ scores
    values, vectors = np.linalg.eigh(expected)
    assert float(found.stats["negative_eigenvalues"]) == (values < 0).sum()
    mended = (vectors * np.maximum(values, 0)) @ vectors.T
    np.testing.assert_allclose(found.cov[:3, :3], mended, rtol=1e-9, atol=1e-13)
    assert float(found.dof) == min(len(np.unique(codes_of(panel, name))) for name in names) - 1


@cache
def indefinite():
    """The first seed whose two-way covariance is not positive semi-definite."""
    for seed in range(40):
        panel = staggered(seed, units=12, periods=6)
        explicit = Explicit(panel, SPEC.effects)
        codes = [codes_of(panel.assign({"block": panel.column("a")}), name) for name in ("unit", "period")]
        shared = np.logical_or(*(np.equal.outer(each, each) for each in codes))
        scores = explicit.influence * explicit.residuals[:, None]
        if np.linalg.eigvalsh(scores.T @ shared @ scores)[0] < 0:
            return panel, scores.T @ shared @ scores
    raise AssertionError("no such seed")


def test_an_indefinite_covariance_is_mended_and_said():
    panel, expected = indefinite()
    values, vectors = np.linalg.eigh(expected)
    found = estimate(panel, cluster=("unit", "period"), covariance="CR0")
    np.testing.assert_allclose(found.cov[:3, :3], (vectors * np.maximum(values, 0)) @ vectors.T, rtol=1e-8, atol=1e-14)
    assert "not positive semi-definite" in " ".join(found.notes)


@pytest.mark.parametrize("lags", [0, 2, 7])
def test_driscoll_kraay(lags):
    panel = sample()
    explicit = Explicit(panel, SPEC.effects)
    scores = explicit.influence * explicit.residuals[:, None]
    expected = np.zeros((3, 3))
    for one, score in enumerate(scores):
        near = np.abs(explicit.period - explicit.period[one])
        expected += np.outer(score, ((near <= lags) * (1 - near / (lags + 1))) @ scores)
    found = estimate(panel, covariance="driscoll_kraay", lags=lags, small_sample="none")
    np.testing.assert_allclose(found.cov[:3, :3], expected, rtol=1e-9, atol=1e-13)
    assert float(found.dof) == 7
    if lags == 0:
        clustered = estimate(panel, cluster="period", covariance="CR0")
        np.testing.assert_allclose(found.cov, clustered.cov, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("periods", [8, 17, 100])
def test_default_lags_are_xtsccs(periods):
    found = estimate(staggered(1, periods=periods), covariance="driscoll_kraay")
    assert float(found.stats["lags"]) == {8: 2, 17: 2, 100: 4}[periods]


@pytest.mark.parametrize("kernel", ["uniform", "bartlett"])
@pytest.mark.parametrize("lags", [None, 3])
def test_conley(kernel, lags):
    """Loops over pairs of rows; the distance by the law of cosines, not by the haversine of the code."""
    panel, cutoff = sample(), 700.0
    explicit = Explicit(panel, SPEC.effects)
    scores = explicit.influence * explicit.residuals[:, None]
    phi, lam = np.radians(panel.traits["lat"]), np.radians(panel.traits["lon"])
    expected = np.zeros((3, 3))
    for i, t, one in zip(explicit.unit, explicit.period, scores, strict=True):
        for j, s, other in zip(explicit.unit, explicit.period, scores, strict=True):
            weight = 0.0
            if t == s:
                cosine = np.sin(phi[i]) * np.sin(phi[j]) + np.cos(phi[i]) * np.cos(phi[j]) * np.cos(lam[i] - lam[j])
                apart = 0.0 if i == j else 6371.0088 * np.arccos(cosine)
                weight = (apart <= cutoff) * (1.0 if kernel == "uniform" else 1.0 - apart / cutoff)
            elif i == j and abs(t - s) <= (lags or 0):
                weight = 1.0 - abs(t - s) / ((lags or 0) + 1.0)
            if weight:
                expected += weight * np.outer(one, other)
    found = estimate(panel, covariance="conley", cutoff_km=cutoff, kernel=kernel, lags=lags, small_sample="none")
    assert float(found.stats["negative_eigenvalues"]) == 0
    np.testing.assert_allclose(found.cov[:3, :3], expected, rtol=1e-8, atol=1e-13)
    rows, free = len(scores), len(scores) - np.linalg.matrix_rank(explicit.full)
    scaled = estimate(panel, covariance="conley", cutoff_km=cutoff, kernel=kernel, lags=lags)
    np.testing.assert_allclose(scaled.cov, np.asarray(found.cov) * (rows - 1) / free, rtol=1e-12)
    assert float(scaled.dof) == free


def test_conley_of_a_short_distance_is_white_and_of_a_long_one_clusters_by_period():
    panel = sample()
    short, long = (estimate(panel, covariance="conley", cutoff_km=km, small_sample="none") for km in (1e-3, 3e4))
    white = estimate(panel, covariance="HC1")
    np.testing.assert_allclose(short.cov[:3, :3], white.cov[:3, :3] * float(white.dof / white.nobs), rtol=1e-10)
    by_period = estimate(panel, covariance="CR0", cluster="period")
    np.testing.assert_allclose(long.cov[:3, :3], by_period.cov[:3, :3], rtol=1e-9, atol=1e-14)


BATCH = [
    {"covariance": "CR2"},
    {"covariance": "CR3", "cluster": "region"},
    {"covariance": "HC3"},
    {"cluster": ("region", "period")},
    {"covariance": "driscoll_kraay"},
    {"covariance": "conley", "cutoff_km": 500.0, "lags": 1},
]


@pytest.mark.parametrize("options", BATCH, ids=str)
def test_batches_are_single_fits(options):
    """Weights of 0 take units out, clusters with them; the treatments of a batch are those of single fits."""
    panel, model = sample(), FixedEffects(Spec("y", "treat", ("a", "b"), **options))
    design = model.design(panel)
    weights = np.ones((2, 30))
    weights[0, panel.traits["region"] == panel.traits["region"][7]] = 0.0
    batch = jax.jit(model.fit_weights)(design, jnp.asarray(weights))
    for draw, each in enumerate(weights):
        alone = model.estimate(panel.reweight(panel.weights * each[:, None]))
        np.testing.assert_allclose(batch.cov[draw, :3, :3], alone.cov[:3, :3], rtol=1e-8, atol=1e-14)
        np.testing.assert_allclose(batch.dof[draw], alone.dof, rtol=1e-8)
    treatments = jnp.asarray(np.random.default_rng(0).permutation(np.asarray(design.regressors[:, :, 0]))[None])
    batch = jax.jit(model.fit_treatments)(design, treatments)
    single = jit_fit(model, model.with_treatment(design, treatments[0]))
    np.testing.assert_allclose(batch.cov[0, 0, 0], single.cov[0, 0], rtol=1e-9)


def test_degrees_of_freedom_by_term_reach_every_frame():
    panel = staggered(1)
    model = FixedEffects(replace(SPEC, covariance="CR2"))
    found = model.estimate(panel)
    frame = found.frame().set_index("term")
    np.testing.assert_allclose(frame["dof"], found.dof)
    assert frame["dof"].nunique() > 3
    placebo = Placebo(model, draws=5, assign="cohorts").estimate(panel, seed=0, name="x")
    drawn = placebo.draws_frame()
    assert drawn[drawn["term"] == "treat"]["p_value"].between(0, 1).all()
    event = EventStudy(replace(SPEC, covariance="CR2"), window=(-2, 2)).estimate(panel)
    assert float(event.tests[0].dof_denominator) == pytest.approx(float(event.dof[:1].min()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariance": "HC1", "small_sample": "plm"}, "spec.small_sample=plm belongs to covariance CR1 or CR3"),
        ({"lags": 2}, "spec.lags=2 belongs to covariance driscoll_kraay or conley, not to CR1"),
        ({"covariance": "driscoll_kraay", "cutoff_km": 100.0}, "spec.cutoff_km=100.0 belongs to covariance conley"),
        ({"covariance": "conley"}, "spec.cutoff_km=None must be a distance above 0"),
        ({"covariance": "conley", "cutoff_km": -3.0}, "spec.cutoff_km=-3.0 must be"),
        ({"covariance": "conley", "cutoff_km": 9.0, "kernel": "gauss"}, "spec.kernel"),
        ({"covariance": "driscoll_kraay", "lags": -1}, "spec.lags=-1 is negative"),
        ({"covariance": "CR2", "cluster": ("unit", "period")}, "takes one cluster name"),
        ({"cluster": ("unit", "unit")}, "different names"),
        ({"multiway": "min"}, "needs several names"),
        ({"covariance": "CR1", "jackknife": "mean"}, "belongs to covariance CR3"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(SpecError, match=message.replace("(", r"\(")):
        Spec("y", **options)


def test_bad_clusters_lags_and_coordinates():
    panel = sample()
    with pytest.raises(SpecError, match=r"spec\.lags=8 must be 0 to 7"):
        estimate(panel, covariance="driscoll_kraay", lags=8)
    with pytest.raises(SpecError, match=r"unknown trait in spec\.coordinates"):
        estimate(panel, covariance="conley", cutoff_km=9.0, coordinates=("latitude", "lon"))
    lat = panel.traits["lat"].copy()
    lat[[4, 6]] = np.nan
    with pytest.raises(DataError, match=r"2 units have no lat: 4, 6\. Fill the trait"):
        estimate(replace(panel, traits={**panel.traits, "lat": lat}), covariance="conley", cutoff_km=9.0)
    with pytest.raises(DataError, match=r"lon must be degrees from -90 to 90, but 0 has 1"):
        estimate(panel, covariance="conley", cutoff_km=9.0, coordinates=("lon", "lat"))
    block = panel.column("block").copy()
    unit, period = np.argwhere(panel.sample)[3]
    block[unit, period] = np.nan
    with pytest.raises(DataError, match=rf"spec.cluster=block: 1 rows have no value: {unit} {panel.periods[period]}"):
        estimate(panel.assign({"block": block}), cluster="block")


def test_few_clusters_are_remarked_on():
    panel = staggered(1)
    assert "only 6 clusters" in " ".join(estimate(panel, cluster="region").notes)
    assert "clusters" not in " ".join(estimate(panel, cluster="region", covariance="CR2").notes)
    assert "clusters" not in " ".join(estimate(panel).notes)
