"""Reading corpora: BEIR folders, JSONL, CSV, Parquet, folders of text, and the built-in python-docs."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from hybridret.data.chunk import chunk_documents
from hybridret.data.clean import clean_documents
from hybridret.data.poison.quarantine import FIELD
from hybridret.errors import CorpusError, InputError, require
from hybridret.types import Chunk, Document

PYTHON_DOCS = "python-docs"
_ID_FIELDS = ("_id", "id", "doc_id")
_TEXT_FIELDS = ("text", "page_content", "content", "contents")
_TEXT_SUFFIXES = (".txt", ".md")
_PARQUET_BATCH = 1024


def read_corpus(source: str) -> list[Document]:
    """Reads the documents of a corpus.

    Args:
        source: ``python-docs``, or the path of a BEIR folder, a .jsonl, .csv or .parquet file, or a folder of .txt and
            .md files, whose documents are split into chunks.

    Returns:
        The documents, checked. A document's text is its title, a space and its body; a record's other fields are
        its metadata. A record without an id is called after its file and line.

    Raises:
        CorpusError: The corpus does not exist, is empty, or holds something that is no document; the message names
            file and line.
    """
    place = source

    def read() -> Iterator[Document]:
        nonlocal place
        for found, document in _read(source, Path(source)):
            place = found
            yield document

    try:
        documents = clean_documents(read())
    except InputError as error:
        raise error if isinstance(error, CorpusError) else CorpusError(f"{place}: {error}") from error
    if not documents:
        raise CorpusError(f"{source} holds no documents")
    return documents


def find_source(name: str) -> str:
    """Finds a collection by its path or, where there is no such path, by its name in the folder ``$HYBRIDRET_DATA``."""
    folder = os.environ.get("HYBRIDRET_DATA")
    if folder and name != PYTHON_DOCS and not os.path.exists(name) and os.path.isdir(Path(folder, name)):  # noqa: PTH110, PTH112
        return str(Path(folder, name))
    return name


def read_lines(path: Path) -> Iterator[str]:
    """Reads the lines of a UTF-8 file, line ends included, a byte order mark left out.

    Raises:
        CorpusError: The file cannot be read or a line is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}:{number}: not UTF-8: {error.reason}") from error
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from error


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads the objects of a JSON lines file.

    Args:
        path: The file; blank lines are passed over.

    Yields:
        Line number, from 1, and object.

    Raises:
        CorpusError: The file cannot be read or a line is not a JSON object.
    """
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise CorpusError(f"{path}:{number}: not JSON: {error}") from error
            if not isinstance(record, dict):
                raise CorpusError(f"{path}:{number}: a JSON object is wanted, not {type(record).__name__}")
            yield number, record


def _read(source: str, path: Path) -> Iterable[tuple[str, Document]]:
    """The documents of a corpus, each after the place it is from."""
    if source == PYTHON_DOCS:
        from hybridret.data.python_docs import python_docs

        return ((source, document) for document in python_docs())
    if not os.path.exists(path):  # noqa: PTH110
        raise CorpusError(f"there is no corpus {source}")
    if (path / "corpus.jsonl").is_file():
        path = path / "corpus.jsonl"
    if path.is_dir():
        return _read_folder(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise CorpusError(
            f"{path} is no corpus: known are BEIR folders, {known} files, folders of text and {PYTHON_DOCS}"
        )
    return ((f"{path}:{number}", _document(record, path, number)) for number, record in reader(path))


def _document(record: dict[str, Any], path: Path, number: int) -> Document:
    text_field = next((name for name in _TEXT_FIELDS if name in record), None)
    if text_field is None:
        found = ", ".join(record) or "none"
        raise CorpusError(f"{path}:{number}: no column {' or '.join(_TEXT_FIELDS)}; there are {found}")
    id_field = next((name for name in _ID_FIELDS if name in record), None)
    doc_id = f"{path.name}:{number}" if id_field is None else record[id_field]
    if isinstance(doc_id, int) and not isinstance(doc_id, bool):
        doc_id = str(doc_id)
    title, text = record.get("title") or "", record[text_field]
    if not isinstance(title, str) or not isinstance(text, str) or not isinstance(doc_id, str):
        wrong = next(value for value in (doc_id, title, text) if not isinstance(value, str))
        raise CorpusError(f"{path}:{number}: id, title and {text_field} must be strings, not {wrong!r}")
    metadata = {
        name: value for name, value in record.items() if name not in (id_field, text_field) and value is not None
    }
    if not title:
        metadata.pop("title", None)
    document = Document(doc_id, f"{title} {text}".strip(), metadata)
    return Chunk(*document) if FIELD in metadata and document.parent is not None else document


def _read_csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(2**31 - 1)
    rows = csv.DictReader(read_lines(path), strict=True)
    try:
        for row in rows:
            if None in row or None in row.values():
                raise CorpusError(f"{path}:{rows.line_num}: the row has not as many fields as the header")
            yield rows.line_num, row
    except csv.Error as error:
        raise CorpusError(f"{path}:{rows.reader.line_num}: not CSV: {error}") from error


def _read_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    parquet = require("pyarrow.parquet", "parquet")
    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(_PARQUET_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path}: not Parquet: {error}") from error


def _read_folder(folder: Path) -> Iterator[tuple[str, Document]]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _TEXT_SUFFIXES and path.is_file())
    if not files:
        raise CorpusError(f"{folder} holds neither corpus.jsonl nor .txt or .md files")
    for path in files:
        name = path.relative_to(folder).as_posix()
        document = Document(name, "".join(read_lines(path)), {"source": name})
        for chunk in chunk_documents([document], markdown=path.suffix.lower() == ".md"):
            yield str(path), chunk


_READERS: dict[str, Callable[[Path], Iterator[tuple[int, dict[str, Any]]]]] = {
    ".jsonl": read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
