"""Schemes that give documents their docids."""

from hybridret.docids.rq import ResidualQuantizer, assign_suffixes

__all__ = ["ResidualQuantizer", "assign_suffixes"]
