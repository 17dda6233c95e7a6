"""Filters as sets of rows, kept between searches within limits of memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridret.allowed import Allowed
from hybridret.errors import BundleError
from hybridret.forking import new_lock
from hybridret.generation import Generation
from hybridret.store import Columns, Condition, DocumentStore, Filter, compile_filter, paths_of, size_of
from hybridret.types import BoolArray

FILTER_BYTES = 64 * 2**20
"""Most bytes that the filters of an index take, but for the one asked last; columns have a limit of their own."""
_MOST_FILTERS = 256


class StaleError(BundleError):
    """The documents have moved on since the generation was read: look at the new one and try again."""


class _Known(NamedTuple):
    """What is known of a filter.

    Attributes:
        number: The generation.
        n_rows: How many rows it had.
        matching: *Shape:* (ceil(n_rows / 8),), a bit a row, set where metadata match, whether or not it is deleted.
        allowed: Those that are neither deleted nor without a text; None where a newer generation has been asked for
            since.
        n_bytes: How much memory the filter itself and ``matching`` take.
    """

    number: int
    n_rows: int
    matching: NDArray[np.uint8]
    allowed: Allowed | None
    n_bytes: int

    def matching_rows(self, n_rows: int) -> BoolArray:
        """The first rows of ``matching``. *Shape:* (min(n_rows, self.n_rows),)."""
        return np.unpackbits(self.matching, count=min(n_rows, self.n_rows)).view(np.bool_)


class _Numbering:
    """What is known of the rows of one epoch of one store: metadata under a key never change, so it only grows.

    A bundle that took another's place numbers its generations alike, hence the store.
    """

    def __init__(self, store: DocumentStore, epoch: int) -> None:
        self.store, self.epoch = store, epoch
        self.lock = new_lock()
        self.columns = Columns()
        self.filters: OrderedDict[Condition, _Known] = OrderedDict()
        self.field_names: tuple[int, frozenset[str]] = (-1, frozenset())
        """The greatest key of the documents looked at, and the names of their fields."""

    def keep(self, condition: Condition, known: _Known) -> None:
        """Keeps what is known of a filter, and drops filters that were not asked for long beyond the limits."""
        with self.lock:
            for other, before in self.filters.items():
                if before.number < known.number and before.allowed is not None:
                    self.filters[other] = before._replace(allowed=None)
            self.filters[condition] = known
            self.filters.move_to_end(condition)
            while len(self.filters) > 1 and (len(self.filters) > _MOST_FILTERS or self._n_bytes() > FILTER_BYTES):
                self.filters.popitem(last=False)

    def _n_bytes(self) -> int:
        derived = sum(known.allowed.n_bytes for known in self.filters.values() if known.allowed is not None)
        return derived + sum(known.n_bytes for known in self.filters.values())


class FilterCache:
    """Works out which rows a filter allows. Threads may share it.

    Fields that filters ask for are read from the database once and held as columns, so that another filter on the same
    field costs array operations; see ``store.columns.COLUMN_BYTES`` and ``FILTER_BYTES`` for the limits.
    """

    def __init__(self) -> None:
        self._lock = new_lock(is_outer=True)
        self._numbering: _Numbering | None = None

    def allowed(self, filter: Filter | None, generation: Generation, store: DocumentStore) -> Allowed | None:
        """Rows of a generation that a search may find; None where that is all.

        Args:
            filter: The filter; None or empty: no filter.
            generation: The generation to search.
            store: Its documents.

        Raises:
            FilterError: The filter cannot be understood.
            StaleError: The store is at another generation by now, and what the filter asks for was not known.
        """
        if filter is None or (isinstance(filter, Mapping) and not filter):
            return generation.living
        condition = compile_filter(filter)
        numbering = self._numbering_of(store, generation.epoch)
        with numbering.lock:
            known = numbering.filters.get(condition)
            if known is not None:
                numbering.filters.move_to_end(condition)
        if known is None or known.number != generation.number or known.allowed is None:
            known = _worked_out(condition, known, generation, numbering)
        allowed = known.allowed
        return allowed if allowed is not None and allowed.count < generation.n_rows else None

    def field_names(self, generation: Generation, store: DocumentStore) -> frozenset[str]:
        """Names of the metadata fields that documents have, those in objects with dots; looked up once a document.

        Fields of documents deleted since the last compaction may be among them.
        """
        numbering = self._numbering_of(store, generation.epoch)
        last, names = numbering.field_names
        newest = int(generation.keys[-1]) if generation.n_rows else -1
        if newest > last:
            names |= store.field_names(last + 1)
            numbering.field_names = newest, names
        return names

    def _numbering_of(self, store: DocumentStore, epoch: int) -> _Numbering:
        with self._lock:
            held = self._numbering
            if held is not None and held.store is store and held.epoch > epoch:
                return _Numbering(store, epoch)
            if held is None or held.store is not store or held.epoch != epoch:
                self._numbering = held = _Numbering(store, epoch)
            return held


def _worked_out(condition: Condition, known: _Known | None, generation: Generation, numbering: _Numbering) -> _Known:
    n_rows = generation.n_rows
    matching = np.zeros(0, dtype=np.bool_) if known is None else known.matching_rows(n_rows)
    start = len(matching)
    if start < n_rows:
        new = _matching(condition, start, generation, numbering)
        matching = np.concatenate([matching, new])
    allowed = Allowed(matching & generation.searchable)
    packed = np.packbits(matching)
    if known is not None and known.number > generation.number:
        return known._replace(allowed=allowed)
    n_bytes = packed.nbytes + size_of(condition)
    worked_out = _Known(generation.number, n_rows, packed, allowed, n_bytes)
    numbering.keep(condition, worked_out)
    return worked_out


def _matching(condition: Condition, start: int, generation: Generation, numbering: _Numbering) -> BoolArray:
    paths = set(paths_of(condition))
    columns = numbering.columns.held(paths, generation.n_rows)
    if len(columns) < len(paths):
        with numbering.store.snapshot() as number:
            if number != generation.number:
                raise StaleError("the index was changed by another process; ask again")
            for path in paths - columns.keys():
                columns[path] = numbering.columns.read(path, generation.keys, start, numbering.store)
    return condition.rows(columns, start, generation.n_rows)
