"""Schemes that give documents their docids."""

from hybridret.docids.atomic import AtomicIds
from hybridret.docids.hierarchical import HierarchicalKMeans
from hybridret.docids.keyword import KeywordIds
from hybridret.docids.path import PathIds
from hybridret.docids.registry import SchemeName, checked_name, fit_scheme, load_scheme
from hybridret.docids.rq import NO_SUFFIX, ResidualQuantizer, assign_suffixes
from hybridret.docids.scheme import FILL, DocidScheme, stacked
from hybridret.docids.usage import Usage, usage

__all__ = [
    "FILL",
    "NO_SUFFIX",
    "AtomicIds",
    "DocidScheme",
    "HierarchicalKMeans",
    "KeywordIds",
    "PathIds",
    "ResidualQuantizer",
    "SchemeName",
    "Usage",
    "assign_suffixes",
    "checked_name",
    "fit_scheme",
    "load_scheme",
    "stacked",
    "usage",
]
