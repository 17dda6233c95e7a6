"""Metadata filters, compiled to parameterised SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from hybridret.errors import FilterError

Filter = Mapping[str, Any]
_LARGEST = 2**63 - 1


class Condition(NamedTuple):
    """A condition on the column ``metadata``: SQL with placeholders, and their values."""

    sql: str
    values: tuple[Any, ...]


def compile_filter(filter: Filter) -> Condition:
    """Compiles an equality filter: every field must have its value.

    Args:
        filter: Field to value: a string, a number, a bool, or None for "missing or null".

    Returns:
        The condition; true for an empty filter.

    Raises:
        FilterError: The filter is no mapping, or a key or value is of a kind that cannot be compared.
    """
    if not isinstance(filter, Mapping):
        raise FilterError(f"a filter is a mapping of field to value, not {type(filter).__name__}")
    parts = ["1"]
    values: list[Any] = []
    for key, value in filter.items():
        if not isinstance(key, str) or not is_text(key) or '"' in key or key.startswith("$"):
            raise FilterError(f"filter key {key!r}: fields are named by strings without quotes or a leading $")
        path = "$." + json.dumps(key, ensure_ascii=False)
        if value is None:
            parts.append("json_extract(metadata, ?) IS NULL")
            values.append(path)
        elif isinstance(value, str) and is_text(value):
            parts.append("(json_extract(metadata, ?) = ? AND json_type(metadata, ?) = 'text')")
            values += [path, value, path]
        elif isinstance(value, bool | float) or (isinstance(value, int) and abs(value) <= _LARGEST):
            parts.append("json_extract(metadata, ?) = ?")
            values += [path, value]
        else:
            raise FilterError(
                f"filter on {key!r}: a value is a string, number, bool or None, not {type(value).__name__} {value!r}"
            )
    return Condition(" AND ".join(parts), tuple(values))


def is_text(value: str) -> bool:
    """Whether a string has no lone surrogates, which no database can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
