"""Spatial models: explicit dummies, explicit Helmert transformation, inverses, invariance, batches, and what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec, Status
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import BayesianBootstrap, PairsBootstrap, Placebo
from syneff.panel.panel import Panel
from syneff.spatial.durbin import SpatialDurbin
from syneff.spatial.effects import effect_matrix
from syneff.spatial.random_effects import SpatialRandomEffects
from syneff.spatial.weights import Weights

UNITS, PERIODS = 10, 6
SPEC = Spec("y", "treat", ("x",))
# Two searches for one maximum of a smooth function agree to the root of rounding or so.
FOUND = 2e-6


def links(seed: int = 1, units: int = UNITS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    near = rng.uniform(0.1, 1.0, (units, units)) * (rng.uniform(size=(units, units)) < 0.5)
    near = np.triu(near, 1)
    ring = np.roll(np.eye(units), 1, axis=0)
    return near + near.T + ring + ring.T


def weights(seed: int = 1, **options) -> Weights:
    return Weights.from_dense(links(seed), ids=[f"c{unit}" for unit in range(UNITS)], **options)


def made_panel(seed: int = 0, rho: float = 0.35, units: int = UNITS, own: Weights | None = None) -> Panel:
    rng = np.random.default_rng(seed)
    w = weights() if own is None else own
    first = rng.integers(2, PERIODS + 3, units)
    treat = (np.arange(PERIODS)[None, :] >= first[:, None]).astype(float)
    x, shock = rng.normal(size=(2, units, PERIODS))
    mean = (
        treat + 0.8 * x - 0.4 * w.matrix @ treat + rng.normal(size=(units, 1)) + rng.normal(size=PERIODS) + 0.5 * shock
    )
    y = np.linalg.solve(np.eye(units) - rho * w.matrix, mean)
    traits = {"lat": rng.uniform(20, 40, units), "lon": rng.uniform(90, 120, units)}
    names = tuple(f"c{unit}" for unit in range(units))
    return Panel(names, tuple(range(2000, 2000 + PERIODS)), {"y": y, "treat": treat, "x": x}, traits, np.ones(y.shape))


PANEL = made_panel()
LEE_YU = SpatialDurbin(SPEC, weights=weights())


@pytest.fixture(scope="module")
def estimate():
    return LEE_YU.estimate(PANEL)


def value(estimate, term: str) -> float:
    return float(estimate.coef[estimate.names.index(term)])


def explicit(panel: Panel, w: np.ndarray, columns: list[np.ndarray], effects: tuple[str, ...]):
    """Return minus the log-likelihood of (rho, lambda), and coefficients there, with a dummy for each effect."""
    n, t = panel.shape
    dummies = [np.ones(n * t)]
    if "unit" in effects:
        dummies = [np.repeat(row, t) for row in np.eye(n)]
    if "period" in effects:
        dummies += [np.tile(row, n) for row in np.eye(t)]
    z = np.column_stack([*(each.ravel() for each in columns), *dummies])
    big = np.kron(w, np.eye(t))

    def fit(rho: float, lam: float):
        keep = np.eye(n * t) - lam * big
        y = panel.column("y").ravel()
        left, right = keep @ (y - rho * big @ y), keep @ z
        coef = np.linalg.lstsq(right, left, rcond=None)[0]
        sigma2 = ((left - right @ coef) ** 2).mean()
        logs = sum(np.linalg.slogdet(np.eye(n) - each * w)[1] for each in (rho, lam))
        return t * logs - n * t / 2 * (np.log(2 * np.pi * sigma2) + 1), coef[: len(columns)]

    return fit


@pytest.mark.parametrize(
    ("model", "effects", "w"),
    [
        ("sac", ("unit", "period"), weights()),
        # One way, so that W is not similar to a symmetric matrix and its eigenvalues are complex.
        ("sdm", ("unit",), weights(standardise="spectral").from_dense(
            np.roll(np.eye(UNITS), 1, axis=0) + np.triu(links(), 3), ids=list(PANEL.units), empty_columns="keep")),
        pytest.param("sdem", ("period",), weights(), marks=pytest.mark.slow),
        pytest.param("sem", (), weights(), marks=pytest.mark.slow),
        pytest.param("sac", ("unit",), weights(standardise="none"), marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_the_likelihood_is_that_of_explicit_dummies(model, effects, w):
    spec = Spec("y", "treat", ("x",), effects=effects)
    estimate = SpatialDurbin(spec, weights=w, model=model, method="direct").estimate(PANEL)
    columns = [PANEL.column("treat"), PANEL.column("x")]
    if model in ("sdm", "sdem"):
        columns += [w.matrix @ each for each in columns]
    fit = explicit(PANEL, w.matrix, columns, effects)
    rho, lam = (value(estimate, name) if name in estimate.names else 0.0 for name in ("rho", "lambda"))
    here, coef = fit(rho, lam)
    assert float(estimate.stats["log_likelihood"]) == pytest.approx(here, rel=1e-11)
    np.testing.assert_allclose(estimate.coef[: len(columns)], coef, atol=1e-10)
    free = [name in estimate.names for name in ("rho", "lambda")]

    def minus(at: np.ndarray) -> float:
        full = np.zeros(2)
        full[free] = at
        return -fit(*full)[0]

    low, high = w.bounds
    bounds = [(max(low, -1.5) + 1e-6, high - 1e-6)] * sum(free)
    starts = [np.zeros(sum(free)), np.full(sum(free), 0.5), np.array([0.6, -0.5])[: sum(free)]]
    best = max(-optimize.minimize(minus, start, bounds=bounds, method="L-BFGS-B", tol=1e-14).fun for start in starts)
    assert here >= best - 1e-9
    assert here == pytest.approx(best, abs=1e-6)


def test_lee_yu_is_maximum_likelihood_on_explicitly_transformed_data(estimate):
    n, t, w = UNITS, PERIODS, weights().matrix
    units, periods = (np.linalg.svd(np.eye(size) - 1 / size)[0][:, : size - 1] for size in (n, t))
    moved = {name: units.T @ PANEL.column(name) @ periods for name in ("y", "treat", "x")}
    inner = units.T @ w @ units
    z = np.column_stack(
        [each.ravel() for each in (moved["treat"], moved["x"], inner @ moved["treat"], inner @ moved["x"])]
    )
    rows = (n - 1) * (t - 1)

    def minus(rho: float) -> float:
        left = ((np.eye(n - 1) - rho * inner) @ moved["y"]).ravel()
        sigma2 = ((left - z @ np.linalg.lstsq(z, left, rcond=None)[0]) ** 2).mean()
        logs = (t - 1) * np.linalg.slogdet(np.eye(n - 1) - rho * inner)[1]
        return rows / 2 * (np.log(2 * np.pi * sigma2) + 1) - logs

    best = optimize.minimize_scalar(minus, bounds=(-0.9, 0.9), method="bounded", options={"xatol": 1e-10})
    assert value(estimate, "rho") == pytest.approx(best.x, abs=FOUND)
    assert float(estimate.stats["log_likelihood"]) == pytest.approx(-best.fun, rel=1e-11)


def test_effects_are_those_of_the_inverse(estimate):
    w, rho = weights().matrix, value(estimate, "rho")
    for name in ("treat", "x"):
        matrix = np.linalg.inv(np.eye(UNITS) - rho * w) @ (
            value(estimate, name) * np.eye(UNITS) + value(estimate, f"W_{name}") * w
        )
        direct, total = np.trace(matrix) / UNITS, matrix.sum() / UNITS
        found = [value(estimate, f"{kind}:{name}") for kind in ("direct", "indirect", "total")]
        np.testing.assert_allclose(found, [direct, total - direct, total], rtol=1e-12)
        np.testing.assert_allclose(
            effect_matrix(np.array([value(estimate, name), value(estimate, f"W_{name}"), rho]), weights()), matrix
        )


def test_delta_errors_are_those_of_numerical_derivatives(estimate):
    names = ("treat", "x", "W_treat", "W_x", "rho")
    places = [estimate.names.index(name) for name in names]
    at, cov, w = np.asarray(estimate.coef)[places], np.asarray(estimate.cov)[np.ix_(places, places)], weights().matrix

    def indirect(theta: np.ndarray) -> float:
        matrix = np.linalg.solve(np.eye(UNITS) - theta[4] * w, theta[0] * np.eye(UNITS) + theta[2] * w)
        return (matrix.sum() - np.trace(matrix)) / UNITS

    slope = np.array([(indirect(at + step) - indirect(at - step)) / 2e-5 for step in 1e-5 * np.eye(5)])
    place = estimate.names.index("indirect:treat")
    assert float(estimate.std_error[place]) == pytest.approx(np.sqrt(slope @ cov @ slope), rel=1e-7)


def test_details_add_up(estimate):
    orders = estimate.details["effects_by_order"]
    for (term, kind), rows in orders.groupby(["term", "kind"]):
        assert rows["estimate"].sum() == pytest.approx(value(estimate, f"{kind}:{term}"), rel=1e-10)
    units = estimate.details["effects_by_unit"]
    assert units["own"].mean() == pytest.approx(value(estimate, "direct:treat"), rel=1e-12)
    for way in ("received", "sent"):
        assert units[way].mean() == pytest.approx(value(estimate, "indirect:treat"), rel=1e-12)
    last = estimate.details["effects_by_distance"].iloc[-1]
    place = estimate.names.index("indirect:treat")
    assert last["estimate"] == pytest.approx(value(estimate, "indirect:treat"), rel=1e-12)
    assert last["std_error"] == pytest.approx(float(estimate.std_error[place]), rel=1e-10)


def test_units_may_stand_in_any_order(estimate):
    order = np.random.default_rng(2).permutation(UNITS)
    shuffled = Weights.from_dense(links()[np.ix_(order, order)], ids=[f"c{unit}" for unit in order])
    again = SpatialDurbin(SPEC, weights=shuffled).estimate(PANEL)
    np.testing.assert_allclose(again.coef, estimate.coef, atol=1e-9)
    np.testing.assert_allclose(again.cov, estimate.cov, atol=1e-9)


def test_a_unit_that_is_out_of_the_sample_is_not_there(estimate):
    outside = Panel(
        ("a0", *PANEL.units),
        PANEL.periods,
        {name: np.vstack([np.full(PERIODS, 7.0), column]) for name, column in PANEL.columns.items()},
        {name: np.append(30.0, trait) for name, trait in PANEL.traits.items()},
        np.vstack([np.zeros(PERIODS), PANEL.weights]),
    )
    bigger = np.zeros((UNITS + 1, UNITS + 1))
    bigger[:-1, :-1] = links()
    bigger[-1, 0] = bigger[0, -1] = 1.0
    wide = Weights.from_dense(bigger, ids=[*PANEL.units, "a0"])
    again = SpatialDurbin(SPEC, weights=wide).estimate(outside)
    np.testing.assert_allclose(again.coef, estimate.coef, atol=1e-9)
    np.testing.assert_allclose(again.cov, estimate.cov, atol=1e-9)
    assert int(again.n_units) == UNITS


@pytest.fixture(scope="module")
def clustered_slx():
    return SpatialDurbin(SPEC, weights=weights(), model="slx", method="direct", covariance="cluster").estimate(PANEL)


def test_without_a_lag_of_the_outcome_it_is_fixed_effects(clustered_slx):
    lagged = {f"W_{name}": weights().matrix @ PANEL.column(name) for name in ("treat", "x")}
    spec = Spec("y", "treat", ("x", "W_treat", "W_x"), small_sample="group")
    whole = FixedEffects(spec).estimate(PANEL.assign(lagged))
    theirs = whole.of_terms(("treat", "x", "W_treat", "W_x"))
    for name in ("rss", "r2", "r2_within"):
        assert float(clustered_slx.stats[name]) == pytest.approx(float(whole.stats[name]), rel=1e-9)
    # Without a lag the fitted values are those of least squares, whose squared correlation is R2.
    assert float(clustered_slx.stats["r2_correlation"]) == pytest.approx(float(whole.stats["r2_within"]), rel=1e-9)
    np.testing.assert_allclose(clustered_slx.coef[:4], theirs.coef, rtol=1e-10)
    np.testing.assert_allclose(clustered_slx.cov[:4, :4], theirs.cov, rtol=1e-9)
    assert value(clustered_slx, "indirect:treat") == pytest.approx(value(clustered_slx, "W_treat"))


def test_weights_without_links_leave_fixed_effects():
    empty = Weights.from_dense(np.zeros((UNITS, UNITS)), ids=list(PANEL.units))
    estimate = SpatialDurbin(SPEC, weights=empty, model="sar", method="direct").estimate(PANEL)
    np.testing.assert_allclose(estimate.coef[:2], FixedEffects(SPEC).estimate(PANEL).coef[:2], rtol=1e-10)
    assert np.isnan(value(estimate, "rho"))
    assert int(estimate.status) == Status.COLLINEAR
    assert "omitted because of collinearity: rho" in estimate.notes


def test_a_batch_is_a_loop():
    design = LEE_YU.design(PANEL)
    rng = np.random.default_rng(4)
    treatments = jnp.asarray((rng.uniform(size=(5, UNITS, 1)) < np.linspace(0.1, 0.9, PERIODS)).astype(float))
    together = jax.jit(LEE_YU.fit_treatments)(design, treatments)
    one = jax.jit(LEE_YU.fit)
    for at, treatment in enumerate(treatments):
        alone = one(LEE_YU.with_treatment(design, treatment)).of_terms(together.names)
        np.testing.assert_allclose(together.coef[at], alone.coef, atol=1e-8)
        np.testing.assert_allclose(together.cov[at], alone.cov, atol=1e-8)
    outcomes = design.outcome[None] + jnp.asarray(rng.normal(size=(3, UNITS, PERIODS)))
    found = jax.jit(LEE_YU.fit_outcomes)(design, outcomes)
    for at, outcome in enumerate(outcomes):
        np.testing.assert_allclose(found.coef[at], one(replace(design, outcome=outcome)).coef, atol=1e-8)


def test_several_weights_are_fitted_in_one_call(estimate):
    several = [
        weights(),
        weights(5),
        Weights.from_dense(
            1 / (1 + np.abs(np.subtract.outer(range(UNITS), range(UNITS)))) * (1 - np.eye(UNITS)),
            ids=list(PANEL.units),
            name="dense",
        ),
    ]
    found = LEE_YU.estimate_each(PANEL, several)
    for w, together in zip(several, found, strict=True):
        alone = SpatialDurbin(SPEC, weights=w).estimate(PANEL)
        np.testing.assert_allclose(together.coef, alone.coef, atol=1e-8)
        assert together.notes == alone.notes
    one_way = Weights.from_dense(np.roll(np.eye(UNITS), 1, axis=0), ids=list(PANEL.units))
    with pytest.raises(SpecError, match="cannot be stacked"):
        LEE_YU.estimate_each(PANEL, [weights(), one_way])


def test_models_that_differ_in_weights_alone_share_a_compilation():
    other = SpatialDurbin(SPEC, weights=weights(7))
    assert other == LEE_YU
    assert hash(other) == hash(LEE_YU)
    assert other != SpatialDurbin(SPEC, weights=weights(), method="direct")


def test_placebo_and_what_cannot_be_resampled():
    found = Placebo(LEE_YU, draws=30).estimate(PANEL, seed=1)
    test = next(test for test in found.tests if test.name == "randomization")
    assert 1 / 31 <= float(test.pvalue) <= 1
    # rho moves with every draw, so the test cannot be inverted by subtracting an effect.
    assert np.isnan(float(test.low))
    for scheme in (PairsBootstrap, BayesianBootstrap):
        with pytest.raises(SpecError, match="no neighbours"):
            scheme(LEE_YU, draws=20).estimate(PANEL)


def test_a_parameter_at_its_bound_is_flagged_and_told():
    # Shocks that pass through W twice look like rho beyond 1 wherever the constant is taken out.
    rng, w = np.random.default_rng(0), weights()
    vectors, values = w.spectrum.vectors, w.spectrum.values
    power = np.where(values > values.max() - 1e-9, 0.0, np.exp(9.0 * values))
    y = vectors @ (power[:, None] * rng.normal(size=(UNITS, PERIODS)))
    estimate = LEE_YU.estimate(PANEL.assign({"y": y}))
    assert int(estimate.status) == Status.AT_BOUND
    assert any("at its bound (" in note for note in estimate.notes)
    assert np.isnan(value(estimate, "total:treat"))
    assert not estimate.details


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "durbin"}, "model: 'durbin'"),
        ({"method": "lee-yu"}, "Did you mean 'lee_yu'"),
        ({"covariance": "CR1"}, "expected, observed, cluster"),
        ({"durbin": ("z",)}, "regressor in durbin: 'z'"),
        ({"durbin": ("x",), "model": "sar"}, "belongs to slx, sdm and sdem"),
        ({"durbin": ()}, "must name some regressors"),
        ({"weights": [weights(), weights()]}, "changes over time is refused"),
        ({"spec": Spec("y", "treat", ("x",), covariance="HC1")}, "belongs to least squares"),
        ({"spec": Spec("y", "treat", ("x",), instruments=("z",))}, "no instruments"),
        ({"spec": Spec("y", "treat", ("W_treat",))}, "'W_treat', which is a regressor too"),
        ({"simulations": 1}, "e.g. 1000"),
    ],
)
def test_options_that_are_refused(options, message):
    given = {"spec": SPEC, "weights": weights(), **options}
    with pytest.raises(SpecError, match=message):
        SpatialDurbin(given.pop("spec"), **given)


def test_samples_and_weights_that_are_refused():
    gap = PANEL.weights.copy()
    gap[3, 2] = 0.0
    with pytest.raises(DataError, match=r"c3 \(2002\)"):
        LEE_YU.design(PANEL.reweight(gap))
    missing = PANEL.column("x").copy()
    missing[5, 0] = np.nan
    with pytest.raises(DataError, match=r"1 rows of 1 units .* c5 \(2000\)"):
        LEE_YU.design(PANEL.assign({"x": missing}))
    with pytest.raises(DataError, match="c4 weighs other than"):
        LEE_YU.design(PANEL.reweight(np.where(np.arange(UNITS)[:, None] == 4, 2.0, 1.0) * PANEL.weights))
    lone = links()
    lone[2] = lone[:, 2] = 0.0
    island = Weights.from_dense(lone, ids=list(PANEL.units))
    with pytest.raises(SpecError, match=r"1 islands have rows of zeros: c2.*method=direct"):
        SpatialDurbin(SPEC, weights=island).design(PANEL)
    with pytest.raises(SpecError, match=r"rows sum to other than 1: c0.*Standardise W by rows"):
        SpatialDurbin(SPEC, weights=weights(standardise="none"), method="bias_corrected").design(PANEL)
    SpatialDurbin(Spec("y", "treat", ("x",), effects=("unit",)), weights=island).design(PANEL)
    SpatialDurbin(SPEC, weights=island, method="direct").design(PANEL)
    with pytest.raises(SpecError, match="c0 lies in several"):
        SpatialDurbin(Spec("y", "treat", ("x",), cluster="period"), weights=weights(), covariance="cluster").design(
            PANEL
        )
    with pytest.raises(SpecError, match="sem"):
        SpatialRandomEffects(SPEC, weights=weights(), model="sem")
