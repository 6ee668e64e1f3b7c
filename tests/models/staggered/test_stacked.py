"""Stacked differences in differences against a long table with dummies, and against differences of means."""

import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.resampling import PairsBootstrap, Placebo
from syneff.models.staggered.stacked import Stacked
from tests.models.staggered.draws import pairs_weights, placebo_treatments
from tests.panels import staggered

SPEC = Spec("y", "treat", ("a",))
MODEL = Stacked(SPEC, window=(-2, 2))
PERIODS = 8


def cohort_of(panel):
    treat = panel.column("treat")
    return np.where(treat.any(1), treat.argmax(1), panel.shape[1])


def long_table(panel, window, *, corrective):
    """Return cohort, unit, period, whether treated, and weight of every row of every stack."""
    first, rows = cohort_of(panel), []
    for g in sorted(set(first) - {PERIODS}):
        if g + window[0] < 0 or g + window[1] >= PERIODS:
            continue
        for i in range(len(first)):
            if first[i] == g or first[i] > g + window[1]:
                for t in range(g + window[0], g + window[1] + 1):
                    if panel.weights[i, t] > 0:
                        rows.append((g, i, t, first[i] == g, panel.weights[i, t]))
    stack, unit, period, treated, weight = (np.asarray(each) for each in zip(*rows, strict=True))
    if corrective:
        total = weight[treated].sum() / weight[~treated].sum()
        for g in set(stack):
            own = stack == g
            share = weight[own & treated].sum() / weight[own & ~treated].sum() / total
            weight = np.where(own & ~treated, weight * share, weight)
    return stack, unit, period, treated, weight


def dummies(*codes):
    levels = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)[1]
    return np.eye(levels.max() + 1)[levels]


def by_hand(panel, window, clusters, bins, *, corrective):
    """Regress on dummies of everything; return coefficients and reghdfe's clustered standard errors."""
    stack, unit, period, treated, w = long_table(panel, window, corrective=corrective)
    event = period - stack
    hits = [event >= 0] if bins is None else [event == each for each in bins]
    x = np.stack([*(treated & hit for hit in hits), panel.column("a")[unit, period]], axis=1).astype(float)
    by_unit, by_period = dummies(stack, unit), dummies(stack, period)
    full = np.concatenate([x, by_unit, by_period], axis=1) * np.sqrt(w)[:, None]
    y = panel.column("y")[unit, period] * np.sqrt(w)
    inverse = np.linalg.pinv(full.T @ full, hermitian=True)
    residual = y - full @ (inverse @ full.T @ y)
    scores = full * residual[:, None]
    code = clusters[unit]
    sums = np.stack([scores[code == each].sum(0) for each in np.unique(code)])
    g, n, k = len(sums), len(y), x.shape[1]
    rank = np.linalg.matrix_rank(np.concatenate([by_unit, by_period], axis=1))
    counted = k + rank - by_unit.shape[1] + 1
    factor = g / (g - 1) * (n - 1) / (n - counted)
    cov = inverse @ sums.T @ sums @ inverse * factor
    return (inverse @ full.T @ y)[:k], np.sqrt(np.diagonal(cov)[:k]), n


@pytest.mark.parametrize("corrective", [True, False])
@pytest.mark.parametrize(("missing", "cluster"), [(0.0, "unit"), (0.15, "region")])
def test_is_a_regression_on_the_long_table(missing, cluster, corrective):
    panel = staggered(2, missing=missing)
    panel = panel.reweight(panel.weights * np.random.default_rng(4).uniform(0.5, 2.0, (30, 1)))
    clusters = np.arange(30) if cluster == "unit" else panel.traits["region"]
    spec = Spec("y", "treat", ("a",), cluster=cluster)
    found = Stacked(spec, window=(-2, 2), corrective=corrective).estimate(panel)
    coef, error, rows = by_hand(panel, (-2, 2), clusters, None, corrective=corrective)
    assert found.names == ("treat", "event[-2]", "event[0]", "event[1]", "event[2]", "a")
    np.testing.assert_allclose(np.asarray(found.coef)[[0, 5]], coef, rtol=1e-9)
    np.testing.assert_allclose(np.asarray(found.std_error)[[0, 5]], error, rtol=1e-9)
    assert int(found.nobs) == rows
    coef, error, _ = by_hand(panel, (-2, 2), clusters, (-2, 0, 1, 2), corrective=corrective)
    np.testing.assert_allclose(found.coef[1:5], coef[:4], rtol=1e-9)
    np.testing.assert_allclose(found.std_error[1:5], error[:4], rtol=1e-9)
    assert float(found.dof) == len(np.unique(clusters)) - 1


def test_corrective_weights_make_effects_averages_over_the_treated():
    """Of differences in differences of means, cohort by cohort, with the numbers of treated units as weights."""
    panel = staggered(2)
    found = Stacked(Spec("y", "treat"), window=(-2, 2)).estimate(panel)
    y, first = panel.column("y"), cohort_of(panel)
    for place, h in enumerate((-2, 0, 1, 2), start=1):
        effects, sizes = [], []
        for g in (2, 4, 5):
            control = first > g + 2
            change = y[:, g + h] - y[:, g - 1]
            effects.append(change[first == g].mean() - change[control].mean())
            sizes.append((first == g).sum())
        assert float(found.coef[place]) == pytest.approx(np.average(effects, weights=sizes), rel=1e-9)
    after, before = np.asarray(found.coef)[2:5].mean(), np.asarray(found.coef)[1] / 2
    assert float(found.coef[0]) == pytest.approx(after - before, rel=1e-9)


def test_stacks_are_told():
    panel = staggered(2)
    first = cohort_of(panel)
    found = Stacked(SPEC, window=(-3, 3)).estimate(panel)
    stacks = found.details["stacks"].set_index("cohort")
    assert stacks.index.tolist() == [2004]
    assert tuple(stacks.loc[2004]) == pytest.approx(((first == 4).sum(), (first > 7).sum(), 1.0))
    assert any(note.startswith("no stack of the cohorts of 2002, 2005: their window (-3, 3)") for note in found.notes)
    weights = MODEL.estimate(panel).details["stacks"].set_index("cohort")
    sizes = {g: ((first == g).sum(), (first > g + 2).sum()) for g in (2, 4, 5)}
    treated, controls = (sum(each[side] for each in sizes.values()) for side in (0, 1))
    for g, (own, others) in sizes.items():
        assert weights.loc[2000 + g, "control_weight"] == pytest.approx(own / treated / (others / controls))


@pytest.mark.slow
def test_placebo_and_bootstrap_draws_are_refits():
    panel = staggered(3, missing=0.1)
    placebo = Placebo(MODEL, draws=2).estimate(panel, seed=1)
    for draw, treat in enumerate(placebo_treatments(MODEL, panel, 2, seed=1)):
        refit = MODEL.estimate(panel.assign({"treat": treat}))
        np.testing.assert_allclose(placebo.draws.coef[draw], refit.coef, rtol=1e-9)
        np.testing.assert_allclose(placebo.draws.std_error[draw], refit.std_error, rtol=1e-9)
    boot = PairsBootstrap(MODEL, draws=2).estimate(panel, seed=1)
    for draw, copies in enumerate(pairs_weights(30, 2, seed=1)):
        refit = MODEL.estimate(panel.reweight(panel.weights * copies[:, None]))
        np.testing.assert_allclose(boot.draws.coef[draw], refit.coef, rtol=1e-9)


def test_what_cannot_be_estimated_is_refused():
    panel = staggered(2)
    with pytest.raises(DataError, match=r"no cohort has its window \(-5, 6\).*adoption in 2002 .*shorter window"):
        Stacked(SPEC).estimate(panel)
    with pytest.raises(SpecError, match="HC1"):
        Stacked(Spec("y", "treat", covariance="HC1"))
    with pytest.raises(SpecError, match="not constant within unit"):
        Stacked(Spec("y", "treat", cluster="period"), window=(-2, 2)).estimate(panel)
