"""Documents, metadata and state in SQLite; arrays in checksummed files; one transaction that commits both."""

from hybridret.store.bundle import ArrayFile, Bundle
from hybridret.store.documents import DocumentStore
from hybridret.store.filters import Condition, Filter, compile_filter

__all__ = ["ArrayFile", "Bundle", "Condition", "DocumentStore", "Filter", "compile_filter"]
