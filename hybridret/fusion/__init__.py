"""Merging what several retrievers say of the same candidates."""

from hybridret.fusion.rules import RULES, check_weights, convex, reciprocal_rank

__all__ = ["RULES", "check_weights", "convex", "reciprocal_rank"]
