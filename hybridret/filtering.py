"""Filters as sets of rows, kept between searches."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from hybridret.allowed import Allowed
from hybridret.errors import BundleError
from hybridret.forking import new_lock
from hybridret.generation import Generation
from hybridret.store import Condition, DocumentStore, Filter, compile_filter
from hybridret.types import BoolArray

_KEPT = 64


class StaleError(BundleError):
    """The documents have moved on since the generation was read: look at the new one and try again."""


class _Known(NamedTuple):
    """What is known of a filter.

    Attributes:
        epoch: The numbering of the rows.
        number: The generation.
        matching: *Shape:* (n_rows,), rows whose metadata match, whether or not they are deleted.
        allowed: Those that are neither deleted nor without a text.
    """

    epoch: int
    number: int
    matching: BoolArray
    allowed: Allowed


class FilterCache:
    """Works out which rows a filter allows, by SQL for rows not seen before: metadata under a key never change.

    What is known is of one store: a bundle that took another's place numbers its generations alike.
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._store: DocumentStore | None = None
        self._known: OrderedDict[Condition, _Known] = OrderedDict()

    def allowed(self, filter: Filter | None, generation: Generation, store: DocumentStore) -> Allowed | None:
        """Rows of a generation that a search may find; None where that is all.

        Args:
            filter: The filter; None or empty: no filter.
            generation: The generation to search.
            store: Its documents.

        Raises:
            FilterError: The filter cannot be understood.
            StaleError: The store is at another generation by now, and the filter was not known.
        """
        if not filter:
            return generation.living
        condition = compile_filter(filter)
        with self._lock:
            if self._store is not store:
                self._store, self._known = store, OrderedDict()
            known = self._known.get(condition)
        if known is None or known.epoch != generation.epoch or known.number > generation.number:
            known = _Known(generation.epoch, -1, np.zeros(0, dtype=np.bool_), Allowed(np.zeros(0, dtype=np.bool_)))
        if known.number != generation.number:
            known = _extended(known, condition, generation, store)
        with self._lock:
            if self._store is store:
                self._known[condition] = known
                self._known.move_to_end(condition)
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        return known.allowed if known.allowed.count < generation.n_rows else None


def _extended(known: _Known, condition: Condition, generation: Generation, store: DocumentStore) -> _Known:
    n_known = len(known.matching)
    with store.snapshot() as number:
        if number != generation.number:
            raise StaleError("the index was changed by another process; ask again")
        new = store.matching(condition, generation.keys[n_known:])
    matching = np.concatenate([known.matching, new])
    return _Known(generation.epoch, generation.number, matching, Allowed(matching & generation.searchable))
