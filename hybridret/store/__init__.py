"""Documents, metadata and state in SQLite; arrays in checksummed files; one transaction that commits both."""

from hybridret.store.bundle import ArrayFile, Bundle
from hybridret.store.documents import DocumentStore
from hybridret.store.filters import Condition, Filter, compile_filter
from hybridret.store.state import State

__all__ = ["ArrayFile", "Bundle", "Condition", "DocumentStore", "Filter", "State", "compile_filter"]
