"""Draw again: resampling schemes around any estimator.

======================  =====================================================  =================================
scheme                  what a draw changes                                    what it gives
======================  =====================================================  =================================
`Placebo`               who is treated, and when                               randomisation p-values, interval
`PlaceboInTime`         when: earlier, on the years before the policy          one estimate a lead
`PairsBootstrap`        which clusters are in the sample                       standard errors, four intervals
`BayesianBootstrap`     how much each cluster counts                           standard errors, credible interval
`Jackknife`             the one cluster that is left out                       CRV3 standard errors
`WildClusterBootstrap`  the signs (or sizes) of the clusters' residuals        p-value, interval by inversion
======================  =====================================================  =================================

The key of draw *d* is derived from (seed, name, d): a draw is the same under any chunk size, device count or number of draws.
"""

from syneff.models.resampling.bootstrap import BayesianBootstrap as BayesianBootstrap
from syneff.models.resampling.bootstrap import PairsBootstrap as PairsBootstrap
from syneff.models.resampling.in_time import PlaceboInTime as PlaceboInTime
from syneff.models.resampling.jackknife import Jackknife as Jackknife
from syneff.models.resampling.placebo import Placebo as Placebo
from syneff.models.resampling.wild import WildClusterBootstrap as WildClusterBootstrap
