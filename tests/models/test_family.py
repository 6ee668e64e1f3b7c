"""Families: members are their single fits, draws are those of the schemes, and errors are told."""

from dataclasses import replace
from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.errors import DataError, SpecError
from syneff.models.base import Spec
from syneff.models.event_study import EventStudy
from syneff.models.family import Family
from syneff.models.fixed_effects import FixedEffects
from syneff.models.resampling import BayesianBootstrap, PairsBootstrap, Placebo, WildClusterBootstrap
from syneff.models.resampling.wild import draw_weights as draw_signs
from syneff.panel.samples import drop_periods, where
from syneff.runtime import draw_keys, key_for
from tests.panels import staggered

LONG = FixedEffects(Spec("y", controls=("a", "b")))
SHORT = FixedEffects(Spec("y"))
OTHER = FixedEffects(Spec("z", controls=("a",)))
MODELS = {"long": LONG, "short": SHORT, "other": OTHER}
SAMPLES = {
    "all": None,
    "late": partial(where, condition="period >= 2002"),
    "some": partial(where, condition="region != 'region 3'"),
}


def panel_of(seed=3, units=40, missing=0.05):
    panel = staggered(seed, units=units, missing=missing)
    noise = np.random.default_rng(seed + 100).normal(size=panel.shape)
    return panel.assign({"z": 0.5 * panel.column("y") + noise})


@pytest.mark.parametrize("missing", [0.0, 0.05])
@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"effects": ("unit",)},
        {"cluster": "region", "small_sample": "lsdv"},
        {"cluster": None},
        {"effects": ()},
        {"covariance": "CR2"},
    ],
)
def test_members_are_their_single_fits(missing, spec):
    panel = panel_of(missing=missing)
    models = {name: FixedEffects(replace(model.spec, **{"covariance": None, **spec})) for name, model in MODELS.items()}
    fits = Family(models, SAMPLES).fits(panel)
    assert list(fits) == [f"{model}/{sample}" for sample in SAMPLES for model in MODELS]
    for sample, step in SAMPLES.items():
        for name, model in models.items():
            single, member = model.estimate(panel if step is None else step(panel)), fits[f"{name}/{sample}"]
            assert member.names == single.names
            assert member.notes == single.notes
            for field in ("coef", "cov", "nobs", "n_units", "n_periods", "dof", "status"):
                np.testing.assert_allclose(getattr(member, field), getattr(single, field), rtol=1e-12, atol=1e-14)
            assert set(member.stats) == set(single.stats)
            for stat, value in single.stats.items():
                np.testing.assert_allclose(member.stats[stat], value, rtol=1e-12, atol=1e-13)


def test_collinear_controls_are_told_and_padding_is_not():
    panel = panel_of()
    panel = panel.assign({"twice": 2.0 * panel.column("a")})
    fits = Family({"wide": FixedEffects(Spec("y", controls=("a", "twice", "b"))), "short": SHORT}).fits(panel)
    assert fits["wide"].notes[-1] == "omitted because of collinearity: twice"
    assert int(fits["wide"].status) == 1
    assert int(fits["short"].status) == 0
    assert fits["short"].names == SHORT.estimate(panel).names


def test_the_frame_has_a_row_a_member_with_its_own_sizes():
    panel = panel_of()
    frame = Family(MODELS, SAMPLES, scheme=None).estimate(panel).frame()
    late = OTHER.estimate(where(panel, condition="period >= 2002")).frame().iloc[0]
    row = frame.set_index("term").loc["other/late:treat"]
    assert row["outcome"] == "z"
    for name in ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "nobs", "n_periods", "dof"):
        assert row[name] == pytest.approx(late[name], rel=1e-11)
    assert len(frame) == 18
    test = frame.set_index("term").loc["holm:other/late:treat"]
    assert test["outcome"] == "z"
    assert test["nobs"] == late["nobs"]
    assert test["p_value"] >= row["p_value"]


@pytest.mark.parametrize(
    ("scheme", "single"),
    [
        ("placebo", Placebo(LONG, draws=9)),
        ("pairs_bootstrap", PairsBootstrap(LONG, draws=9)),
        ("bayesian_bootstrap", BayesianBootstrap(LONG, draws=9)),
        ("wild_cluster", WildClusterBootstrap(LONG, draws=9)),
    ],
)
def test_draws_are_those_of_the_scheme_and_the_same_for_all_members(scheme, single):
    panel = panel_of()
    models = {"first": LONG, "second": LONG, "short": SHORT}
    draws = Family(models, scheme=scheme, draws=9).estimate(panel, seed=4, name="f").draws
    alone = single.estimate(panel, seed=4, name="f").draws
    for member in range(2):
        np.testing.assert_allclose(draws.coef[:, member], alone.coef[:, 0], rtol=1e-10)
        np.testing.assert_allclose(draws.std_error[:, member], alone.std_error[:, 0], rtol=1e-10)
        np.testing.assert_allclose(draws.dof[:, member], alone.dof)
        np.testing.assert_allclose(draws.nobs[:, member], alone.nobs)


def test_bootstrap_draws_are_centred_and_placebo_draws_are_not():
    panel = panel_of()
    for scheme in ("placebo", "pairs_bootstrap", "wild_cluster"):
        estimate = Family({"y": LONG, "z": OTHER}, scheme=scheme, draws=99).estimate(panel, seed=1)
        frame = estimate.frame().set_index("term")
        centre = np.asarray(estimate.coef) if scheme == "pairs_bootstrap" else 0.0
        t = np.abs((np.asarray(estimate.draws.coef) - centre) / np.asarray(estimate.draws.std_error))
        largest = t.max(1)
        actual = np.abs(frame["statistic"].iloc[:2].to_numpy())
        first = int(actual.argmax())
        term = frame.index[first]
        assert frame["p_value"][f"romano_wolf:{term}"] == pytest.approx((1 + (largest >= actual[first]).sum()) / 100)
        unadjusted = (1 + (t[:, 1 - first] >= actual[1 - first]).sum()) / 100
        assert frame["p_value"][f"unadjusted:{frame.index[1 - first]}"] == pytest.approx(unadjusted)


def test_wild_signs_are_those_of_the_clusters_in_every_sample():
    """A sample that lacks clusters draws the signs of the clusters that it has."""
    panel = panel_of()
    step = SAMPLES["some"]
    draws = (
        Family({"long": LONG}, {"all": None, "some": step}, scheme="wild_cluster", draws=9)
        .estimate(panel, seed=4)
        .draws
    )
    whole = WildClusterBootstrap(LONG, draws=9).estimate(panel, seed=4)
    np.testing.assert_allclose(draws.std_error[:, 0], whole.draws.std_error[:, 0], rtol=1e-10)
    # The same signs on made outcomes of the smaller sample, refitted one by one.
    keys = draw_keys(key_for(4, ""), jnp.arange(9))
    signs = np.asarray([draw_signs(key, panel.shape[0], "rademacher") for key in keys])
    small = step(panel)
    unit, period = np.nonzero(small.sample)
    dummies = [np.eye(panel.shape[0])[unit], np.eye(panel.shape[1])[period]]
    x = np.column_stack([*(small.column(name)[unit, period] for name in ("a", "b")), *dummies])
    y = small.column("y")[unit, period]
    fitted = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    for draw in range(9):
        made = np.zeros(panel.shape)
        made[unit, period] = fitted + signs[draw][unit] * (y - fitted)
        single = LONG.estimate(small.assign({"y": made}))
        assert float(draws.coef[draw, 1]) == pytest.approx(float(single.coef[0]), rel=1e-8)
        assert float(draws.std_error[draw, 1]) == pytest.approx(float(single.std_error[0]), rel=1e-8)


def test_wild_draws_need_clustered_errors():
    models = {
        "y": FixedEffects(replace(LONG.spec, covariance="CR2")),
        "z": FixedEffects(replace(OTHER.spec, covariance="CR2")),
    }
    with pytest.raises(SpecError, match=r"scheme=wild_cluster .* but spec.covariance=CR2. Use CR1"):
        Family(models, scheme="wild_cluster").estimate(panel_of())


def test_results_do_not_depend_on_the_chunk():
    panel = panel_of()
    one = Family(MODELS, SAMPLES, draws=23, chunk=23).estimate(panel, seed=2, name="f").frame()
    other = Family(MODELS, SAMPLES, draws=23, chunk=4).estimate(panel, seed=2, name="f").frame()
    np.testing.assert_allclose(one["p_value"], other["p_value"], rtol=1e-12)


def test_models_in_a_list_are_called_as_their_outcomes():
    assert list(Family([LONG, OTHER]).fits(panel_of())) == ["y", "z"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": {}}, "no models"),
        ({"models": [LONG, SHORT]}, "2 models are called 'y'"),
        ({"models": {"a": LONG, "b": FixedEffects(Spec("y", effects=("unit",)))}}, "spec.effects is .* in 'a' and"),
        ({"models": {"a": LONG, "b": FixedEffects(Spec("y", cluster="region"))}}, "spec.cluster is 'unit' in 'a'"),
        ({"models": {"a": EventStudy(Spec("y"))}}, "'a' is EventStudy, but only FixedEffects"),
        ({"models": MODELS, "draws": 0}, "draws=0 must be 1 or more"),
        ({"models": MODELS, "scheme": "bootstraps"}, "pairs_bootstrap"),
        ({"models": MODELS, "assign": "cohort"}, "cohorts"),
    ],
)
def test_bad_options_are_told(options, message):
    with pytest.raises(SpecError, match=message):
        Family(**options)


def test_members_that_cannot_share_draws_or_rows_are_told():
    panel = panel_of().assign({"dose": np.random.default_rng(0).normal(size=(40, 8))})
    dose = FixedEffects(Spec("y", treatment="dose"))
    with pytest.raises(SpecError, match="treatment of 'dose' is not that of 'long'"):
        Family({"long": LONG, "dose": dose}).estimate(panel)
    assert np.isfinite(
        Family({"long": LONG, "dose": dose}, scheme="pairs_bootstrap", draws=5).estimate(panel).coef
    ).all()

    def shorter(given):
        return replace(
            given,
            periods=given.periods[:-1],
            columns={name: column[:, :-1] for name, column in given.columns.items()},
            weights=given.weights[:, :-1],
        )

    with pytest.raises(SpecError, match="sample 'shorter' changes the units or periods"):
        Family({"long": LONG}, {"all": None, "shorter": shorter}).estimate(panel)
    with pytest.raises(DataError, match="long/early: column 'treat' is 0 on all"):
        Family({"long": LONG}, {"early": partial(drop_periods, periods=range(2002, 2008))}).estimate(panel)


@pytest.mark.slow
def test_the_family_wise_error_is_the_level_under_a_placebo():
    rng, runs, rejected = np.random.default_rng(11), 200, 0
    panel = panel_of(missing=0.0)
    models = {"y": SHORT, "z": FixedEffects(Spec("z")), "v": FixedEffects(Spec("v"))}
    for run in range(runs):
        common = rng.normal(size=(*panel.shape, 1)) + rng.normal(size=(panel.shape[0], 1, 1))
        noise = common + rng.normal(size=(*panel.shape, 3))
        # The sharp null: adoption is assigned at random to units whose outcomes do not respond.
        treat = panel.column("treat")[rng.permutation(panel.shape[0])]
        drawn = panel.assign({"treat": treat, **{name: noise[:, :, at] for at, name in enumerate("yzv")}})
        frame = Family(models, draws=99).estimate(drawn, seed=run, name="f").frame()
        rejected += frame["p_value"][frame["term"].str.startswith("romano_wolf")].min() <= 0.05
    assert rejected / runs == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / runs))
