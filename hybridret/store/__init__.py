"""Documents, metadata and state in SQLite; arrays in checksummed files; one transaction that commits both."""

from hybridret.store.bundle import ArrayFile, Bundle
from hybridret.store.columns import Columns
from hybridret.store.documents import DocumentStore
from hybridret.store.filters import Filter, compile_filter, fields_of
from hybridret.store.predicates import Condition, paths_of, size_of
from hybridret.store.state import State

__all__ = [
    "ArrayFile",
    "Bundle",
    "Columns",
    "Condition",
    "DocumentStore",
    "Filter",
    "State",
    "compile_filter",
    "fields_of",
    "paths_of",
    "size_of",
]
