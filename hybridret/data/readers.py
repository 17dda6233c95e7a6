"""Reading corpora: collections, tables, files and folders of any kind, and the built-in python-docs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from hybridret.data.chunk import USUAL_CHUNKING, Chunking, check_chunking
from hybridret.data.clean import clean_documents
from hybridret.data.folders import ReadReport, read_file, read_folder
from hybridret.data.records import KNOWN, FieldNames, make_document
from hybridret.data.tables import RECORD_READERS, record_reader
from hybridret.data.text_files import TEXT_READERS
from hybridret.errors import CorpusError, InputError
from hybridret.types import Document

PYTHON_DOCS = "python-docs"


class ReadCorpus(NamedTuple):
    """Documents and what became of the files.

    Attributes:
        documents: The documents, checked.
        report: Files read, passed over and refused; of a single table or collection it counts none but what was read.
    """

    documents: list[Document]
    report: ReadReport


def read_corpus(source: str, fields: FieldNames = KNOWN, chunking: Chunking = USUAL_CHUNKING) -> list[Document]:
    """Reads the documents of a corpus; see ``read_files`` for the arguments, errors, and what is passed over."""
    return read_files(source, fields, chunking).documents


def read_files(source: str, fields: FieldNames = KNOWN, chunking: Chunking = USUAL_CHUNKING) -> ReadCorpus:
    """Reads the documents of a corpus, and says what became of its files.

    Args:
        source: ``python-docs``, or the path of a BEIR folder, of a file, or of a folder of files: tables and JSON (see
            ``RECORD_READERS``), and texts (see ``TEXT_READERS``), which are split into chunks.
        fields: Which fields of records are text, id and title, where they have other names than usual.
        chunking: How texts are split.

    Returns:
        The documents, checked; what becomes of a record is said at ``make_document``. In a folder, hidden files, what
        tools keep there and files of other kinds are passed over, and a file that cannot be read is refused; the report
        counts them with their reasons.

    Raises:
        CorpusError: The corpus does not exist, is empty, or holds something that is no document; the message names
            file and line.
        MissingExtraError: A library that reads the file is not installed.
    """
    place, report = source, ReadReport()

    def read() -> Iterator[Document]:
        nonlocal place
        for found, document in _read(source, Path(source), fields, check_chunking(chunking), report):
            place = found
            yield document

    try:
        documents = clean_documents(read())
    except InputError as error:
        raise error if isinstance(error, CorpusError) else CorpusError(f"{place}: {error}") from error
    if not documents:
        what = f": {'; '.join(report.lines())}" if report.passed_over or report.refused else ""
        raise CorpusError(f"{source} holds no documents{what}")
    return ReadCorpus(documents, report)


def find_source(name: str) -> str:
    """Finds a collection by its path or, where there is no such path, by its name in the folder ``$HYBRIDRET_DATA``."""
    folder = os.environ.get("HYBRIDRET_DATA")
    if folder and name != PYTHON_DOCS and not os.path.exists(name) and os.path.isdir(Path(folder, name)):  # noqa: PTH110, PTH112
        return str(Path(folder, name))
    return name


def _read(
    source: str, path: Path, fields: FieldNames, chunking: Chunking, report: ReadReport
) -> Iterable[tuple[str, Document]]:
    """The documents of a corpus, each after the place it is from."""
    if source == PYTHON_DOCS:
        from hybridret.data.python_docs import python_docs

        return ((source, document) for document in python_docs())
    if not os.path.exists(path):  # noqa: PTH110
        raise CorpusError(f"there is no corpus {source}")
    if path.is_dir():
        parts = _corpus_files(path)
        return _read_records(parts, fields) if parts else read_folder(path, fields, chunking, report)
    if record_reader(path) is not None:
        return _read_records([path], fields)
    found = read_file(path, fields, chunking, report)
    if found is None:
        known = ", ".join([*RECORD_READERS, *TEXT_READERS])
        raise CorpusError(f"{path} is no corpus: known are BEIR folders, folders of files, {PYTHON_DOCS}, and {known}")
    return found


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
