"""Reading records from tables and JSON files: .jsonl, .json, .csv, .tsv, .parquet, and compressed by gzip."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from hybridret.data.records import ID_FIELDS, TEXT_FIELDS, find_field
from hybridret.errors import CorpusError, require

Records = Iterator[tuple[int, dict[str, Any]]]
_DELIMITERS = (",", ";", "\t", "|")
_LOOKED_AT = 50
_PARQUET_BATCH = 1024
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"
_MARCO_PASSAGES, _MARCO_DOCUMENTS = ("pid", "text"), ("docid", "url", "title", "body")
_log = logging.getLogger(__name__)


def read_lines(path: Path) -> Iterator[str]:
    """Reads the lines of a UTF-8 file, line ends included, a byte order mark left out; ``.gz`` files are unpacked.

    Raises:
        CorpusError: The file cannot be read or a line is not UTF-8.
    """
    number = 1
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}:{number}: not UTF-8: {error.reason}") from error
    except (OSError, EOFError) as error:
        raise CorpusError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def read_text(path: Path) -> str:
    """Reads a text file: UTF-8, or UTF-16 with a byte order mark, or else Windows' Western European (cp1252).

    What is read as cp1252 is logged by name, since it can be another encoding that only looks like it.

    Raises:
        CorpusError: The file cannot be read, or holds bytes that no text has.
    """
    try:
        with _opened(path) as file:
            content = file.read()
    except (OSError, EOFError) as error:
        raise CorpusError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        if content.startswith(_UTF16):
            return content.decode("utf-16")
        if b"\0" in content:
            line = content.count(b"\n", 0, content.index(0)) + 1
            raise CorpusError(f"{path}:{line}: not text: there is a zero byte")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        try:
            text = content.removeprefix(_UTF8_MARK).decode("cp1252")
        except UnicodeDecodeError:
            line = content.count(b"\n", 0, error.start) + 1
            raise CorpusError(f"{path}:{line}: neither UTF-8 nor cp1252: {error.reason}") from error
    _log.warning("%s is not UTF-8, and is read as cp1252 (Western European); save it as UTF-8 if that is wrong", path)
    return text


def read_jsonl(path: Path) -> Records:
    """Reads the objects of a JSON lines file; a whole JSON array of objects in its place is read as well.

    Args:
        path: The file; blank lines are passed over.

    Yields:
        Line number, or place in the array, from 1, and object.

    Raises:
        CorpusError: The file cannot be read or a line is not a JSON object.
    """
    first = next((line for line in read_lines(path) if line.strip()), "").strip()
    yield from read_json(path) if first in ("[", "{") or first[:2] == "[{" else _read_objects(path)


def _read_objects(path: Path) -> Records:
    """An object a line; see ``read_jsonl``."""
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{path}:{number}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise CorpusError(f"{path}:{number}: a JSON object is wanted, not {type(record).__name__}")
        yield number, record


def read_json(path: Path) -> Records:
    """Reads the objects of a JSON file: of an array, of the only list or the store of an object, or the object itself.

    Yields:
        Place, from 1, and object.

    Raises:
        CorpusError: The file cannot be read or holds no objects.
    """
    text = "".join(read_lines(path))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            yield from _read_objects(path)  # JSON lines by another name
            return
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise CorpusError(f"{path}:{line}: not JSON: {error}") from error
    for number, record in enumerate(_listed(content, path), 1):
        if not isinstance(record, dict):
            raise CorpusError(f"{path}: entry {number}: a JSON object is wanted, not {type(record).__name__}")
        yield number, record


def _listed(content: Any, path: Path) -> Sequence[Any]:
    """The records of what a JSON file holds."""
    if isinstance(content, list):
        return content
    if isinstance(content, dict):
        stored = content.get("docstore/data")  # LlamaIndex's document store
        if isinstance(stored, dict):
            return list(stored.values())
        if find_field(content, TEXT_FIELDS) is not None or "kwargs" in content:
            return [content]
        lists = [value for value in content.values() if isinstance(value, list) and value]
        if len(lists) == 1:
            return lists[0]
    raise CorpusError(f"{path}: an array of JSON objects, or an object that holds one, is wanted")


def read_csv(path: Path) -> Records:
    """Reads the rows of a table of separated values: comma, semicolon, tab or bar, whichever all rows agree on.

    Yields:
        Number of the row's last line, from 1, and its values by the names in the header.

    Raises:
        CorpusError: The file cannot be read, is no such table, or a row has not as many fields as the header.
    """
    text = read_text(path)
    is_tab = ".tsv" in path.suffixes
    delimiter = "\t" if is_tab else _delimiter(text)
    if is_tab and (names := _names_of_marco(text)):
        yield from _rows(text, path, delimiter, names)
        return
    try:
        yield from list(_rows(text, path, delimiter))
    except csv.Error as error:
        if not is_tab:
            raise CorpusError(f"{path}:{error.args[-1]}: not CSV: {error.args[0]}") from error
        yield from _rows(text, path, delimiter, quoting=csv.QUOTE_NONE)


def _rows(
    text: str, path: Path, delimiter: str, names: Sequence[str] | None = None, quoting: Any = csv.QUOTE_MINIMAL
) -> Records:
    csv.field_size_limit(2**31 - 1)
    quoting = csv.QUOTE_NONE if names is not None else quoting
    lines = io.StringIO(text, newline="")
    rows = csv.DictReader(lines, names, delimiter=delimiter, strict=True, quoting=quoting)
    try:
        fields = [name.strip() for name in rows.fieldnames or ()]
        if twice := next((name for at, name in enumerate(fields) if name in fields[:at]), None):
            raise CorpusError(f"{path}:1: the header names {twice!r} twice")
        rows.fieldnames = fields
        for row in rows:
            if None in row or None in row.values():
                raise CorpusError(f"{path}:{rows.line_num}: the row has not as many fields as the header")
            yield rows.line_num, row
    except csv.Error as error:
        raise csv.Error(str(error), rows.reader.line_num) from error


def _delimiter(text: str) -> str:
    """The separator by which the first rows have as many fields each, the most of these; a comma where none has."""
    found = {}
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            counts = {len(row) for _, row in zip(range(_LOOKED_AT), reader, strict=False) if row}
        except csv.Error:
            continue
        if len(counts) == 1:
            found[delimiter] = counts.pop()
    best = max(found, key=lambda each: found[each], default=",")
    if found.get(best, 1) > 1:
        return best
    header = next(iter(text.splitlines()), "")  # a faulty row: the header decides, so that the fault can be named
    return max(_DELIMITERS, key=header.count)


def _names_of_marco(text: str) -> Sequence[str] | None:
    """The columns of MS MARCO's collections, which have no header: ``collection.tsv``, ``msmarco-docs.tsv``."""
    first = next(iter(text.splitlines()), "").split("\t")
    names = {2: _MARCO_PASSAGES, 4: _MARCO_DOCUMENTS}.get(len(first))
    lowered = [each.strip().strip('"').lower() for each in first]
    is_header = any(name in (*ID_FIELDS, *TEXT_FIELDS) for name in lowered)
    is_id = " " not in lowered[0] and any(character.isdigit() for character in lowered[0])
    return names if is_id and not is_header else None


def read_parquet(path: Path) -> Records:
    """Reads the rows of a Parquet file.

    Raises:
        CorpusError: The file cannot be read or is no Parquet file.
        MissingExtraError: pyarrow is not installed.
    """
    parquet = require("pyarrow.parquet", "parquet")
    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(_PARQUET_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: not Parquet: {error}") from error


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def record_reader(path: Path) -> Callable[[Path], Records] | None:
    """What reads the records of a file, by the end of its name; None: it is no table and no JSON file."""
    name = path.name.lower()
    return next((read for suffix, read in RECORD_READERS.items() if name.endswith(suffix)), None)


RECORD_READERS: dict[str, Callable[[Path], Records]] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
    ".jsonl.gz": read_jsonl,
    ".json.gz": read_json,
    ".csv.gz": read_csv,
    ".tsv.gz": read_csv,
}
"""What reads records, by the end of a file's name."""
