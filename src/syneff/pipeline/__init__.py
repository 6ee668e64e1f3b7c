"""From raw columns to the estimate as one statistic: what is resampled is the whole pipeline, measurement included."""

from syneff.pipeline.bootstrap import PipelineBootstrap as PipelineBootstrap
from syneff.pipeline.multiverse import Multiverse as Multiverse
