"""Filters on fields that no document has: one warning for each, for it may be a slip of the pen or of a field to come.

Such a filter finds nothing, and where it excludes (``$ne``, ``$nin``, ``$not``) it excludes nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

from hybridret.store import DocumentStore, Filter, compile_filter
from hybridret.suggestion import suggestion

_log = logging.getLogger(__name__)
_MOST_FIELDS, _MOST_SETTLED = 16, 10_000
_SAMPLED = 1000


class FieldCheck:
    """Warns of each field of a filter that no document has, once, for up to 10,000 fields.

    A field is looked for once, so that queries do not pay for it again.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._store: DocumentStore | None = None
        self._settled: set[str] = set()

    def warn(self, filter: Filter, store: DocumentStore) -> None:
        """Warns of fields; of at most 16 unknown ones a call.

        Args:
            filter: A filter that compiles.
            store: The documents.
        """
        with self._lock:
            if self._store is not store:
                self._store, self._settled = store, set()
            unsettled = [name for name in dict.fromkeys(filter_fields(filter)) if name not in self._settled]
            for name in unsettled[: min(_MOST_FIELDS, _MOST_SETTLED - len(self._settled))]:
                self._settled.add(name)
                if not has_field(store, name):
                    _log.warning(
                        "no document has the field %r of a filter%s", name, suggestion(name, field_names(store))
                    )


def filter_fields(filter: Filter) -> Iterator[str]:
    """The fields that a filter asks for, those inside of objects with dots; not those whose existence it asks for."""
    for key, value in filter.items():
        if key == "$not":
            yield from filter_fields(value)
        elif key.startswith("$"):
            for part in value:
                yield from filter_fields(part)
        else:
            yield from _fields_below(key, value)


def has_field(store: DocumentStore, name: str) -> bool:
    """Whether a document has a field, be it null."""
    condition = compile_filter({name: {"$exists": True}})
    with store.reading() as connection:
        found = connection.execute(f"SELECT 1 FROM documents WHERE {condition.sql} LIMIT 1", condition.values)
        return found.fetchone() is not None


def field_names(store: DocumentStore) -> set[str]:
    """Names of fields, those inside of objects with dots, of the first 1,000 documents and the last 1,000."""
    with store.reading() as connection:
        rows = [
            metadata
            for order in ("ASC", "DESC")
            for (metadata,) in connection.execute(
                f"SELECT metadata FROM documents ORDER BY key {order} LIMIT {_SAMPLED}"
            )
        ]
    return {name for metadata in set(rows) for name in _names(json.loads(metadata))}


def _fields_below(field: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping) or not value:
        yield field
    elif any(key.startswith("$") for key in value):
        if set(value) != {"$exists"}:
            yield field
    else:
        for key, inner in value.items():
            yield from _fields_below(f"{field}.{key}", inner)


def _names(metadata: Mapping[str, Any]) -> Iterator[str]:
    for key, value in metadata.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in _names(value))
