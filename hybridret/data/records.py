"""A record of a table or a JSON file, whichever library wrote it, as a document."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from hybridret.data.poison.quarantine import FIELD
from hybridret.errors import CorpusError
from hybridret.types import Chunk, Document

ID_FIELDS = ("_id", "id", "doc_id", "docid", "docno", "pid", "id_", "document_id")
TEXT_FIELDS = ("text", "page_content", "content", "contents", "passage", "body")
TITLE_FIELDS = ("title",)
METADATA_FIELDS = ("metadata", "meta", "extra_info")
"""Fields whose entries are the metadata of LangChain's, Haystack's and LlamaIndex's documents."""
_LANGCHAIN = {"lc", "type", "kwargs"}
_LANGCHAIN_FIELDS = {"id", "metadata", "page_content", "type"}
_HAYSTACK_ONLY = ("blob", "dataframe", "score", "embedding", "sparse_embedding")
_LLAMA_ID = "id_"
_PLAIN = (str, int, bool, date, time, UUID)


class FieldNames(NamedTuple):
    """Which fields of a record are its text, id and title; None: the first of those that are known.

    Attributes:
        text: Name of the field, or names on the way to an inner one, joined by dots.
        id: The same of the id.
        title: The same of the title.
    """

    text: str | None = None
    id: str | None = None
    title: str | None = None


KNOWN = FieldNames()
"""All fields go by the known names."""


def make_document(record: Mapping[str, Any], path: Path, number: int, names: FieldNames = KNOWN) -> Document:
    """Makes a document of a record.

    Args:
        record: The record; what LangChain, Haystack and LlamaIndex wrap documents in is taken off.
        path: The file that it is from.
        number: Its line or place there, from 1.
        names: Which fields are text, id and title.

    Returns:
        The document: its text is the title, a space and the body; the other fields, and the entries of ``metadata``,
        ``meta`` or ``extra_info``, are its metadata, save for what is null or not a number. A record without an id is
        called after its file and line.

    Raises:
        CorpusError: No field, or more than one, can be the text, or a value cannot be what its field is for; the
            message names file, line and field.
    """
    place = f"{path}:{number}"
    is_own = FIELD in record  # written by ``quarantined``, to be read as it is
    rest = dict(record) if is_own else _unwrap(record)
    text_field, text = _take_text(rest, place, names)
    id_field, doc_id = _take(rest, place, names.id, ID_FIELDS, "id")
    title_field, title = _take(rest, place, names.title, TITLE_FIELDS, "title")
    doc_id = f"{path.name}:{number}" if is_missing(doc_id) else whole_id(doc_id)
    title = "" if is_missing(title) else title
    for field, value in ((id_field, doc_id), (title_field, title), (text_field, text)):
        if not isinstance(value, str):
            raise CorpusError(f"{place}: {field}: id, title and text must be strings, not {value!r}")
    metadata = {**({title_field: title} if title else {}), **rest}
    metadata = keep_plain(metadata if is_own else _merge_metadata(metadata, place), place)
    document = Document(doc_id, f"{title} {text}".strip(), metadata)
    return Chunk(*document) if FIELD in metadata and document.parent is not None else document


def whole_id(value: Any) -> Any:
    """An id as a string where it is a whole number, also as pandas writes one (7.0); else as it is."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int | UUID) and not isinstance(value, bool) else value


def is_missing(value: Any) -> bool:
    """Whether a table's value says that there is none: null, not a number, or not a time."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, datetime) and value.isoformat() == "NaT"  # pandas' NaT is a datetime


def find_field(record: Mapping[str, Any], known: Iterable[str]) -> str | None:
    """The first of several names that a record has, in any case; None: it has none of them."""
    lowered = {name.strip().lower(): name for name in reversed(record)} if isinstance(record, dict) else {}
    return next(
        (name if name in record else lowered[name] for name in known if name in record or name in lowered), None
    )


def _unwrap(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a document without what a library wraps them in and keeps for itself."""
    inner = record.get("__data__")
    if isinstance(inner, dict):  # LlamaIndex's document stores
        record = inner
    if set(record) >= _LANGCHAIN and isinstance(record["kwargs"], dict):  # LangChain's dumpd
        record = record["kwargs"]
    fields = dict(record)
    if "page_content" in fields and set(fields) <= _LANGCHAIN_FIELDS and fields.get("type", "Document") == "Document":
        fields.pop("type", None)
    elif _LLAMA_ID in fields:
        resource = fields.pop("text_resource", None)
        if isinstance(resource, dict) and "text" not in fields:
            fields["text"] = resource.get("text")
        kept = (_LLAMA_ID, *TEXT_FIELDS, *METADATA_FIELDS)
        fields = {name: value for name, value in fields.items() if name in kept}
    elif "content" in fields and any(name in fields for name in ("meta", *_HAYSTACK_ONLY)):
        for name in _HAYSTACK_ONLY:
            if fields.get(name) is None or name in ("embedding", "sparse_embedding", "score"):
                fields.pop(name, None)
    return fields


def _take_text(fields: dict[str, Any], place: str, names: FieldNames) -> tuple[str, Any]:
    there = [field for field in (find_field(fields, [name]) for name in TEXT_FIELDS) if field is not None]
    if names.text is not None:
        return _take_named(fields, place, names.text, "text")
    filled = [field for field in there if not is_missing(fields[field])]
    if not there:
        found = ", ".join(map(str, fields)) or "none"
        raise CorpusError(
            f"{place}: no column {' or '.join(TEXT_FIELDS)}; there are {found}; --text-field (text_field) names the "
            "one with the text"
        )
    if len(filled) > 1 and FIELD not in fields:
        raise CorpusError(
            f"{place}: both {filled[0]} and {filled[1]} can be the text; --text-field (text_field) names the right one"
        )
    field = (filled or there)[0]
    return field, fields.pop(field)


def _take(fields: dict[str, Any], place: str, name: str | None, known: Iterable[str], what: str) -> tuple[str, Any]:
    """Takes a field that need not be there out of a record."""
    if name is not None:
        return _take_named(fields, place, name, what)
    field = find_field(fields, known)
    return (what, None) if field is None else (field, fields.pop(field))


def _take_named(fields: dict[str, Any], place: str, name: str, what: str) -> tuple[str, Any]:
    """Takes a field that the caller named out of a record, by its own name or by a path with dots."""
    holder, last = fields, name
    field = find_field(holder, [name, name.lower()])
    if field is None and "." in name:
        *outer, last = name.split(".")
        for each in outer:
            inner = holder.get(each)
            if not isinstance(inner, dict):
                break
            holder[each] = holder = dict(inner)
        field = find_field(holder, [last, last.lower()])
    if field is None:
        found = ", ".join(map(str, fields)) or "none"
        raise CorpusError(f"{place}: no column {name!r}, which was named as the {what}; there are {found}")
    return name, holder.pop(field)


def _merge_metadata(fields: dict[str, Any], place: str) -> dict[str, Any]:
    """The metadata of a record, its inner entries among its own fields."""
    merged: dict[str, Any] = {}
    for name, value in fields.items():
        if name in METADATA_FIELDS and isinstance(value, dict):
            for inner, each in value.items():
                if inner in fields and inner not in METADATA_FIELDS and fields[inner] != each:
                    raise CorpusError(f"{place}: field {inner!r} stands beside {name!r} and in it, with other values")
                merged[inner] = each
        else:
            merged[name] = value
    return merged


def keep_plain(fields: dict[str, Any], place: str) -> dict[str, Any]:
    """The fields that have a value, as metadata can hold them."""
    if odd := [name for name in fields if not isinstance(name, str)]:
        raise CorpusError(f"{place}: the name of a field must be a string, not {odd[0]!r}")
    return {name: _plain(value, f"{place}: field {name!r}") for name, value in fields.items() if not is_missing(value)}


def _plain(value: Any, place: str) -> Any:
    """A value as metadata can hold it: decimals as numbers, what is missing inside as null."""
    if is_missing(value):
        return None
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(each, f"{place}, in {name!r}") for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, place) for each in value]
    if not isinstance(value, _PLAIN):
        raise CorpusError(
            f"{place} is {value!r:.60} ({type(value).__name__}), which metadata cannot hold; leave the field out or "
            "write it as text or a number"
        )
    return value
