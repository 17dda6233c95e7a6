"""Metadata as JSON: which values documents and filters may have, and what they become."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timezone
from pathlib import PurePath
from typing import Any
from uuid import UUID

import numpy as np

from hybridret.errors import InputError
from hybridret.types import Document

_DEEPEST = 100
_KINDS = (
    "strings, finite numbers, bools, None, dates, times, UUIDs, paths, numpy values of these, and lists and mappings "
    "of them are possible"
)
_WHOLE_DAYS = ("Y", "M", "W", "D")


def encode_metadata(document: Document) -> str:
    """A document's metadata as JSON, keys as they are, since SQLite finds no escaped ones.

    Values that JSON lacks become what ``plain_scalar`` gives; tuples and numpy arrays become lists.

    Raises:
        InputError: A value is one that JSON cannot hold, a key is no string, or it is nested so deep that SQLite's JSON
            functions would fail on it. The message names the document and the field.
    """
    try:
        fields = _plain(document.metadata, "", _DEEPEST)
        encoded = json.dumps(fields, allow_nan=False, ensure_ascii=False)
        return encoded if is_text(encoded) else json.dumps(fields)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the metadata of document {document.doc_id!r} cannot be held as JSON: {error}") from error


def select_fields(fields: Sequence[str]) -> tuple[str, list[str]]:
    """SQL that selects fields of the column ``metadata`` for ``decode_fields``, and the values of its placeholders.

    ``json_extract`` of several paths, the last of which leads nowhere, gives JSON as it was written, numbers to the
    last digit. SQLite compares keys in the spelling of the JSON text, so all of the metadata is selected where that
    may have escapes.
    """
    if not all(_never_escaped(field) for field in fields):
        return "metadata", []
    paths = [f'$."{field}"' for field in fields]
    missing = ", ".join(["json_type(metadata, ?) IS NULL"] * len(paths))
    return f"json_extract(metadata, {'?, ' * len(paths)}?), {missing}", [*paths, "$[0]", *paths]


def decode_fields(fields: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """The metadata of each row that ``select_fields`` selected, or those fields of them.

    Raises:
        ValueError: They are no JSON.
    """
    decoded = json.loads(f"[{','.join(row[0] for row in rows)}]")
    if not all(_never_escaped(field) for field in fields):
        return list(decoded)
    if len(fields) == 1:
        field = fields[0]
        return [{} if row[1] else {field: values[0]} for values, row in zip(decoded, rows, strict=True)]
    return [
        {field: value for field, value, is_missing in zip(fields, values, row[1:], strict=False) if not is_missing}
        for values, row in zip(decoded, rows, strict=True)
    ]


def names_of(metadata: object, prefix: str = "") -> Iterator[str]:
    """The names of the fields of metadata, and of the objects in them, also of those in lists, with dots."""
    if isinstance(metadata, dict):
        for key, value in metadata.items():
            yield prefix + key
            for inner in value if isinstance(value, list) else [value]:
                yield from names_of(inner, f"{prefix}{key}.")


def plain_scalar(value: object) -> str | int | float | bool | None:
    """The value of JSON that stands for a single value.

    - ``date`` and ``datetime``: ISO 8601, so that they compare as strings do; one with a time zone is put into UTC
      first, ``2024-05-01T10:00:00+00:00``. A date comes before every time of its day.
    - ``time``, ``UUID`` and paths: the text that ``isoformat`` or ``str`` gives.
    - numpy's numbers and bools: the Python number of exactly the same value, so ``np.float32(0.1)`` is
      0.10000000149011612. ``np.datetime64``: as a date, or where it has a time of day as a datetime.

    Raises:
        TypeError: The value is of another kind.
        ValueError: It is NaN, infinity or no time, or it has no exact counterpart.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, np.ndarray) and not value.ndim:
        return plain_scalar(value[()])
    if isinstance(value, np.timedelta64):
        raise TypeError("timedelta64")
    if isinstance(value, np.datetime64):
        value = _moment(value)
    if isinstance(value, date):
        return _iso(value)
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, UUID | PurePath):
        return str(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        if not math.isfinite(number):
            raise ValueError("NaN or infinity")
        if number != value:
            raise ValueError("a number that has no exact float of 64 bits")
        return number
    raise TypeError(f"{type(value).__name__}")


def is_text(value: str) -> bool:
    """Whether a string has no lone surrogates, which no database can hold."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _never_escaped(key: str) -> bool:
    """Whether every way to write a key in JSON that ``encode_metadata`` has is the key itself."""
    return bool(key) and all(" " <= character <= "~" and character not in '"\\' for character in key)


def _iso(value: date) -> str:
    if value.isoformat() == "NaT":  # pandas' is a datetime
        raise ValueError("no time (NaT)")
    if isinstance(value, datetime) and value.utcoffset() is not None:
        try:
            value = value.astimezone(timezone.utc)
        except OverflowError as error:
            raise ValueError("a time that has no counterpart in UTC") from error
    return value.isoformat()


def _moment(value: np.datetime64) -> date:
    if np.isnat(value):
        raise ValueError("no time (NaT)")
    unit = np.datetime_data(value.dtype)[0]
    precise = value.astype("datetime64[D]" if unit in _WHOLE_DAYS else "datetime64[us]")
    moment: object = precise.item()
    if precise != value or not isinstance(moment, date):
        raise ValueError("a time that no datetime can hold")
    return moment


def _plain(value: Any, field: str, depth: int) -> Any:
    """The value of JSON that stands for a value; ``depth`` is how many containers it may be inside each other."""
    if not isinstance(value, dict | list | tuple) and not (isinstance(value, np.ndarray) and value.ndim):
        try:
            return plain_scalar(value)
        except TypeError as error:
            raise TypeError(f"{_named(field)} is of type {error}; {_KINDS}") from error
        except ValueError as error:
            raise ValueError(f"{_named(field)} is {error}; {_KINDS}") from error
    if not depth:
        raise ValueError(f"{_named(field)} is nested deeper than {_DEEPEST}")
    if isinstance(value, dict):
        if odd := [key for key in value if not isinstance(key, str)]:
            place = f" of {_named(field)}" if field else ""
            raise ValueError(f"the key {odd[0]!r}{place} is no string")
        return {str(key): _plain(inner, f"{field}.{key}" if field else key, depth - 1) for key, inner in value.items()}
    return [_plain(inner, field, depth - 1) for inner in value]


def _named(field: str) -> str:
    return f"field {field[:60]!r}" if field else "it"
