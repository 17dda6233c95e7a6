"""Merging what several retrievers say of the same candidates."""

from hybridret.fusion.evidence import EVIDENCE, Spread, evidence, spread_of
from hybridret.fusion.features import NO_FACTS
from hybridret.fusion.ranker import PRIOR, Ranker
from hybridret.fusion.rules import RULES, check_weights, convex, reciprocal_rank

__all__ = [
    "EVIDENCE",
    "NO_FACTS",
    "PRIOR",
    "RULES",
    "Ranker",
    "Spread",
    "check_weights",
    "convex",
    "evidence",
    "reciprocal_rank",
    "spread_of",
]
