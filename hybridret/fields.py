"""Filters on fields that no document has: one warning for each, for it may be a slip of the pen or of a field to come.

Such a filter finds nothing, and where it excludes (``$ne``, ``$nin``, ``$not``) it excludes nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from hybridret.forking import new_lock
from hybridret.store import DocumentStore, Filter
from hybridret.suggestion import suggestion

_log = logging.getLogger(__name__)
_MOST_FIELDS, _MOST_SETTLED = 16, 10_000
_PLACE = re.compile(r"\.\d+(?=\.|$)")
"""A place in a list, as in ``groups.0``."""


class FieldCheck:
    """Warns of each field of a filter that no document has, once, for up to 10,000 fields.

    A field is looked for once, so that queries do not pay for it again.
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._store: DocumentStore | None = None
        self._settled: set[str] = set()

    def warn(self, filter: Filter, store: DocumentStore, names: Callable[[], Collection[str]]) -> None:
        """Warns of fields; of at most 16 unknown ones a call.

        Args:
            filter: A filter that compiles.
            store: The documents.
            names: Gives the names of the fields that these have.
        """
        with self._lock:
            if self._store is not store:
                self._store, self._settled = store, set()
            unsettled = [name for name in dict.fromkeys(filter_fields(filter)) if name not in self._settled]
            for name in unsettled[: min(_MOST_FIELDS, _MOST_SETTLED - len(self._settled))]:
                self._settled.add(name)
                present = names()
                if _PLACE.sub("", name) not in present:
                    _log.warning("no document has the field %r of a filter%s", name, suggestion(name, present))


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


def _fields_below(field: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping) or not value:
        yield field
    elif any(key.startswith("$") for key in value):
        if set(value) != {"$exists"}:
            yield field
    else:
        for key, inner in value.items():
            yield from _fields_below(f"{field}.{key}", inner)
