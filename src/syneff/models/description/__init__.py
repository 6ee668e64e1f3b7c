"""Describing a panel: moments, correlations, what is missing, who adopts when, distributions and maps.

Each describer has an ``estimate`` like any estimator, so that what it finds is stored, swept and reported like any other
result: numbers as terms without standard errors, and frames in `Estimate.details` where a picture needs more.
"""

from syneff.models.description.correlation import Correlate as Correlate
from syneff.models.description.coverage import Missing as Missing
from syneff.models.description.coverage import Rollout as Rollout
from syneff.models.description.distribution import Distributions as Distributions
from syneff.models.description.distribution import ScoreMap as ScoreMap
from syneff.models.description.moments import Describe as Describe
