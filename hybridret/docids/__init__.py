"""Schemes that give documents their docids."""

from hybridret.docids.rq import NO_SUFFIX, ResidualQuantizer, assign_suffixes

__all__ = ["NO_SUFFIX", "ResidualQuantizer", "assign_suffixes"]
