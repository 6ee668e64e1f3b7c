"""Fixed effects on unbalanced, weighted panels against pyfixest.

pyfixest 0.60 pairs the columns of its effects with names through a set, so its small-sample K depends on the process's hash
seed: its standard errors are brought from its own K to the right one before they are compared.
"""

import numpy as np
import pytest

from syneff.models.base import Spec
from syneff.models.event_study import EventStudy
from syneff.models.fixed_effects import FixedEffects
from tests.panels import staggered

pytestmark = pytest.mark.slow

TOLERANCE = 1e-9
"""pyfixest demeans by alternating projections to 1e-12 of a step, which leaves about 1e-10 of the solution."""


def feols(frame, formula, vcov, **options):
    import pyfixest

    return pyfixest.feols(formula, frame, vcov=vcov, demeaner=pyfixest.MapDemeaner(fixef_tol=1e-12), **options)


@pytest.mark.parametrize("missing", [0.0, 0.25])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("covariance", "vcov"), [("CR1", {"CRV1": "unit"}), ("HC1", "hetero"), ("iid", "iid")])
def test_two_way(missing, weighted, covariance, vcov):
    panel = staggered(3, missing=missing)
    if weighted:
        rng = np.random.default_rng(4)
        panel = panel.reweight(panel.weights * rng.uniform(0.5, 2.0, panel.shape))
    cluster = "unit" if covariance == "CR1" else None
    ours = FixedEffects(Spec("y", "treat", ("a", "b"), cluster=cluster, covariance=covariance)).estimate(panel)
    theirs = feols(
        panel.to_frame(sample_only=True),
        "y ~ treat + a + b | period + unit",
        vcov,
        weights="weight" if weighted else None,
    )
    np.testing.assert_allclose(ours.coef[:3], theirs.coef(), rtol=TOLERANCE)
    rows, periods, units = int(theirs._N), panel.shape[1], panel.shape[0]
    k = 3 + periods if covariance == "CR1" else 3 + periods + units - 1
    assert int(ours.nobs) == rows
    mended = theirs.se() * np.sqrt((rows - theirs._df_k) / (rows - k))
    np.testing.assert_allclose(ours.std_error[:3], mended, rtol=TOLERANCE)


def test_event_study_dummies():
    panel = staggered(5, missing=0.1)
    ours = EventStudy(Spec("y", "treat", ("a",)), window=(-3, 3)).estimate(panel)
    # A unit's first treated year may be one of its missing rows: it is known all the same.
    whole, frame = panel.to_frame(sample_only=False), panel.to_frame(sample_only=True)
    first = whole[whole["treat"] > 0].groupby("unit")["period"].min()
    event = (frame["period"] - frame["unit"].map(first)).clip(-3, 3)
    names = []
    for each in (-3, -2, 0, 1, 2, 3):
        names.append(f"e_{each}".replace("-", "m"))
        frame[names[-1]] = event.eq(each).astype(float)
    theirs = feols(frame, f"y ~ {' + '.join(names)} + a | period + unit", "iid")
    np.testing.assert_allclose(ours.coef[:6], theirs.coef().loc[names], rtol=1e-8)
