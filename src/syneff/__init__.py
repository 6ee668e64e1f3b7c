"""Batch estimation of policy effects on city panels.

The public names are loaded on first use, so that `syneff --help` and `import syneff` wait for neither JAX nor pandas.

>>> import syneff as se
>>> model = se.FixedEffects(se.Spec(outcome="syeff", treatment="treat", controls=("pop",)))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from syneff.errors import DataError as DataError
    from syneff.errors import DeviceError as DeviceError
    from syneff.errors import SpecError as SpecError
    from syneff.errors import SyneffError as SyneffError
    from syneff.experiment import Experiment as Experiment
    from syneff.experiment import run as run
    from syneff.measure.coupling import coupling_coordination as coupling_coordination
    from syneff.measure.directional import directional_distance as directional_distance
    from syneff.measure.directional import nonradial_distance as nonradial_distance
    from syneff.measure.efficiency import slacks_based as slacks_based
    from syneff.measure.epsilon_based import epsilon_based as epsilon_based
    from syneff.measure.metafrontier import metafrontier as metafrontier
    from syneff.measure.productivity import luenberger as luenberger
    from syneff.measure.productivity import malmquist_luenberger as malmquist_luenberger
    from syneff.measure.proof import prove as prove
    from syneff.measure.technology import Technology as Technology
    from syneff.models.base import Estimate as Estimate
    from syneff.models.base import Spec as Spec
    from syneff.models.contrasts import Contrast as Contrast
    from syneff.models.description import Describe as Describe
    from syneff.models.event_study import EventStudy as EventStudy
    from syneff.models.family import Family as Family
    from syneff.models.fixed_effects import FixedEffects as FixedEffects
    from syneff.models.group_effects import GroupPeriodEffects as GroupPeriodEffects
    from syneff.models.instruments.placebo import PlaceboInstruments as PlaceboInstruments
    from syneff.models.instruments.plausibly_exogenous import PlausiblyExogenous as PlausiblyExogenous
    from syneff.models.leave_out import LeaveOneOut as LeaveOneOut
    from syneff.models.matching import MatchedBootstrap as MatchedBootstrap
    from syneff.models.matching import Matching as Matching
    from syneff.models.matching import matched as matched
    from syneff.models.mediation import Mediation as Mediation
    from syneff.models.moderation import Moderation as Moderation
    from syneff.models.omitted import OmittedVariables as OmittedVariables
    from syneff.models.resampling import BayesianBootstrap as BayesianBootstrap
    from syneff.models.resampling import Jackknife as Jackknife
    from syneff.models.resampling import PairsBootstrap as PairsBootstrap
    from syneff.models.resampling import Placebo as Placebo
    from syneff.models.resampling import PlaceboInTime as PlaceboInTime
    from syneff.models.resampling import WildClusterBootstrap as WildClusterBootstrap
    from syneff.models.staggered.bacon import Bacon as Bacon
    from syneff.models.staggered.bacon import bacon_decomposition as bacon_decomposition
    from syneff.models.staggered.callaway_santanna import CallawaySantAnna as CallawaySantAnna
    from syneff.models.staggered.imputation import Imputation as Imputation
    from syneff.models.staggered.interaction_weighted import SunAbraham as SunAbraham
    from syneff.models.staggered.sensitivity import Sensitivity as Sensitivity
    from syneff.models.staggered.stacked import Stacked as Stacked
    from syneff.models.staggered.two_way_weights import TwoWayWeights as TwoWayWeights
    from syneff.models.two_stage import TwoStage as TwoStage
    from syneff.panel.panel import Panel as Panel
    from syneff.panel.panel import Variable as Variable
    from syneff.pipeline import Multiverse as Multiverse
    from syneff.pipeline import PipelineBootstrap as PipelineBootstrap
    from syneff.spatial.connectivity import Connectivity as Connectivity
    from syneff.spatial.diagnostics import SpatialDiagnostics as SpatialDiagnostics
    from syneff.spatial.durbin import SpatialDurbin as SpatialDurbin
    from syneff.spatial.lagrange import lm_tests as lm_tests
    from syneff.spatial.moran import SpatialDependence as SpatialDependence
    from syneff.spatial.moran import moran as moran
    from syneff.spatial.random_effects import SpatialRandomEffects as SpatialRandomEffects
    from syneff.spatial.rings import RingRegression as RingRegression
    from syneff.spatial.weights import Weights as Weights

_HOMES = {
    "Bacon": "syneff.models.staggered.bacon",
    "BayesianBootstrap": "syneff.models.resampling",
    "CallawaySantAnna": "syneff.models.staggered.callaway_santanna",
    "Connectivity": "syneff.spatial.connectivity",
    "Contrast": "syneff.models.contrasts",
    "DataError": "syneff.errors",
    "Describe": "syneff.models.description",
    "DeviceError": "syneff.errors",
    "Estimate": "syneff.models.base",
    "EventStudy": "syneff.models.event_study",
    "Experiment": "syneff.experiment",
    "Family": "syneff.models.family",
    "FixedEffects": "syneff.models.fixed_effects",
    "GroupPeriodEffects": "syneff.models.group_effects",
    "Imputation": "syneff.models.staggered.imputation",
    "Jackknife": "syneff.models.resampling",
    "LeaveOneOut": "syneff.models.leave_out",
    "MatchedBootstrap": "syneff.models.matching",
    "Matching": "syneff.models.matching",
    "Mediation": "syneff.models.mediation",
    "Moderation": "syneff.models.moderation",
    "Multiverse": "syneff.pipeline",
    "OmittedVariables": "syneff.models.omitted",
    "PairsBootstrap": "syneff.models.resampling",
    "Panel": "syneff.panel.panel",
    "PipelineBootstrap": "syneff.pipeline",
    "Placebo": "syneff.models.resampling",
    "PlaceboInTime": "syneff.models.resampling",
    "PlaceboInstruments": "syneff.models.instruments.placebo",
    "PlausiblyExogenous": "syneff.models.instruments.plausibly_exogenous",
    "RingRegression": "syneff.spatial.rings",
    "Sensitivity": "syneff.models.staggered.sensitivity",
    "SpatialDependence": "syneff.spatial.moran",
    "SpatialDiagnostics": "syneff.spatial.diagnostics",
    "SpatialDurbin": "syneff.spatial.durbin",
    "SpatialRandomEffects": "syneff.spatial.random_effects",
    "Spec": "syneff.models.base",
    "SpecError": "syneff.errors",
    "Stacked": "syneff.models.staggered.stacked",
    "SunAbraham": "syneff.models.staggered.interaction_weighted",
    "SyneffError": "syneff.errors",
    "Technology": "syneff.measure.technology",
    "TwoStage": "syneff.models.two_stage",
    "TwoWayWeights": "syneff.models.staggered.two_way_weights",
    "Variable": "syneff.panel.panel",
    "Weights": "syneff.spatial.weights",
    "WildClusterBootstrap": "syneff.models.resampling",
    "bacon_decomposition": "syneff.models.staggered.bacon",
    "coupling_coordination": "syneff.measure.coupling",
    "directional_distance": "syneff.measure.directional",
    "epsilon_based": "syneff.measure.epsilon_based",
    "lm_tests": "syneff.spatial.lagrange",
    "luenberger": "syneff.measure.productivity",
    "malmquist_luenberger": "syneff.measure.productivity",
    "matched": "syneff.models.matching",
    "metafrontier": "syneff.measure.metafrontier",
    "moran": "syneff.spatial.moran",
    "nonradial_distance": "syneff.measure.directional",
    "prove": "syneff.measure.proof",
    "run": "syneff.experiment",
    "slacks_based": "syneff.measure.efficiency",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'syneff' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
