"""Merging what several retrievers say of the same candidates."""

from hybridret.fusion.calibration import USUAL
from hybridret.fusion.evidence import EVIDENCE, Spread, among, evidence, share_of_ceiling, spread_of, standardised
from hybridret.fusion.features import NO_FACTS
from hybridret.fusion.ranker import PRIOR, PRIOR_SUPPORT, Ranker
from hybridret.fusion.rules import CALIBRATED, RULES, check_weights, contributions, convex, reciprocal_rank

__all__ = [
    "CALIBRATED",
    "EVIDENCE",
    "NO_FACTS",
    "PRIOR",
    "PRIOR_SUPPORT",
    "RULES",
    "USUAL",
    "Ranker",
    "Spread",
    "among",
    "check_weights",
    "contributions",
    "convex",
    "evidence",
    "reciprocal_rank",
    "share_of_ceiling",
    "spread_of",
    "standardised",
]
