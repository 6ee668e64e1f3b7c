"""Matching: choose or weight the rows of a panel so that treated and untreated cities are alike, and bootstrap through it."""

from syneff.models.matching.bootstrap import MatchedBootstrap as MatchedBootstrap
from syneff.models.matching.options import Matching as Matching
from syneff.models.matching.step import matched as matched
