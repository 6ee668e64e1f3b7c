"""A decision tree over the tests of a spatial panel: which model they support, in sentences.

The order is Elhorst's (2010): Lagrange multipliers of the regression say whether there is dependence at all; the Durbin model
is kept unless it reduces to a lag or an error model that the robust multipliers point to as well; likelihood ratios say which
effects belong in it, Hausman's test whether unit effects are fixed.

References
----------
Elhorst, J. P. (2010). Spatial Economic Analysis 5, 9-28. https://doi.org/10.1080/17421770903541772
"""

from collections.abc import Mapping

import numpy as np

from syneff.models.base import Test


def supported(tests: Mapping[str, Test], effects: tuple[str, ...], level: float) -> tuple[str, ...]:
    """Say which model tests support.

    Parameters
    ----------
    tests
        Tests by name; those that are not there, or are NaN, say nothing.
    effects
        The effects of the model that was tested.
    level
        Level of each test.
    """
    known = {name: float(test.pvalue) for name, test in tests.items() if np.isfinite(float(test.pvalue))}
    rejects = {name: p_value < level for name, p_value in known.items()}
    said = [f"which model ({level:.0%} level): {_dependence(tests, rejects)}"]
    for name, absent, other in (("lr_both_unit", "period", "unit"), ("lr_both_period", "unit", "period")):
        if name in rejects:
            verdict = "are needed" if rejects[name] else f"add nothing: {other} effects alone would do"
            said.append(f"{absent} effects {verdict} ({_shown(tests[name])})")
    if "hausman" in rejects and "unit" in effects:
        verdict = "unit effects must be fixed" if rejects["hausman"] else "random unit effects are not rejected"
        mundlak = f", {_shown(tests['mundlak'])}" if "mundlak" in rejects else ""
        said.append(f"{verdict} ({_shown(tests['hausman'])}{mundlak})")
    return tuple(said)


def _dependence(tests: Mapping[str, Test], rejects: Mapping[str, bool]) -> str:
    lag, error = rejects.get("lm_lag", False), rejects.get("lm_error", False)
    shown = f"{_shown(tests['lm_lag'])}, {_shown(tests['lm_error'])}"
    durbin = [name for name in ("lr_sdm_sar", "lr_sdm_sem") if name in rejects]
    if not lag and not error and not any(rejects[name] for name in durbin):
        return f"no spatial term is needed ({shown})"
    kept = [name for name in durbin if not rejects[name]]
    ratios = ", ".join(_shown(tests[name]) for name in durbin)
    if not kept:
        return f"the spatial Durbin model ({ratios}; {shown})"
    points = {"lr_sdm_sar": rejects.get("robust_lm_lag", False), "lr_sdm_sem": rejects.get("robust_lm_error", False)}
    names = {"lr_sdm_sar": "the spatial lag model", "lr_sdm_sem": "the spatial error model"}
    agreed = [name for name in kept if points[name]]
    robust = f"{_shown(tests['robust_lm_lag'])}, {_shown(tests['robust_lm_error'])}"
    if len(agreed) == 1:
        return f"{names[agreed[0]]}, which the Durbin model does not improve on ({ratios}; {robust})"
    return f"the spatial Durbin model, since tests disagree about what it could be reduced to ({ratios}; {robust})"


def _shown(test: Test) -> str:
    return f"{test.name} {float(test.statistic):.2f}, p = {float(test.pvalue):.3g}"
