"""Reading corpora: BEIR folders, JSONL, CSV, Parquet, folders of text, and the built-in python-docs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hybridret.data.chunk import chunk_documents
from hybridret.data.clean import clean_documents
from hybridret.data.records import KNOWN, FieldNames, make_document
from hybridret.data.tables import RECORD_READERS, read_lines, record_reader
from hybridret.errors import CorpusError, InputError
from hybridret.types import Document

PYTHON_DOCS = "python-docs"
_TEXT_SUFFIXES = (".txt", ".md")


def read_corpus(source: str, fields: FieldNames = KNOWN) -> list[Document]:
    """Reads the documents of a corpus.

    Args:
        source: ``python-docs``, or the path of a BEIR folder, a .jsonl, .json, .csv, .tsv or .parquet file, or a folder
            of .txt and .md files, whose documents are split into chunks.
        fields: Which fields of records are text, id and title, where they have other names than usual.

    Returns:
        The documents, checked; what becomes of a record is said at ``make_document``.

    Raises:
        CorpusError: The corpus does not exist, is empty, or holds something that is no document; the message names
            file and line.
    """
    place = source

    def read() -> Iterator[Document]:
        nonlocal place
        for found, document in _read(source, Path(source), fields):
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


def _read(source: str, path: Path, fields: FieldNames) -> Iterable[tuple[str, Document]]:
    """The documents of a corpus, each after the place it is from."""
    if source == PYTHON_DOCS:
        from hybridret.data.python_docs import python_docs

        return ((source, document) for document in python_docs())
    if not os.path.exists(path):  # noqa: PTH110
        raise CorpusError(f"there is no corpus {source}")
    if path.is_dir():
        parts = _corpus_files(path)
        return _read_records(parts, fields) if parts else _read_folder(path)
    reader = record_reader(path)
    if reader is None:
        known = ", ".join(RECORD_READERS)
        raise CorpusError(
            f"{path} is no corpus: known are BEIR folders, {known} files, folders of text and {PYTHON_DOCS}"
        )
    return _read_records([path], fields)


def _read_records(paths: Iterable[Path], fields: FieldNames) -> Iterator[tuple[str, Document]]:
    for path in paths:
        reader = record_reader(path)
        assert reader is not None
        for number, record in reader(path):
            yield f"{path}:{number}", make_document(record, path, number, fields)


def _corpus_files(folder: Path) -> list[Path]:
    """A collection's documents: ``corpus.jsonl``, or with another ending, or the files of its folder ``corpus``."""
    named = [folder / f"corpus{ending}" for ending in RECORD_READERS]
    found = [path for path in named if path.is_file()][:1]
    inside = sorted([*folder.glob("corpus/*"), *folder.glob("corpus/*/*")])
    return found or [path for path in inside if path.is_file() and record_reader(path) and path.name[0] != "."]


def _read_folder(folder: Path) -> Iterator[tuple[str, Document]]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _TEXT_SUFFIXES and path.is_file())
    if not files:
        raise CorpusError(f"{folder} holds neither corpus.jsonl nor .txt or .md files")
    for path in files:
        name = path.relative_to(folder).as_posix()
        document = Document(name, "".join(read_lines(path)), {"source": name})
        for chunk in chunk_documents([document], markdown=path.suffix.lower() == ".md"):
            yield str(path), chunk
