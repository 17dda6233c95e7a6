"""Queries and judgements in the layouts that people have: BEIR's, TREC's, MTEB's, ir_datasets', as text or tables."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hybridret.data.records import find_field, is_missing, whole_id
from hybridret.data.tables import read_lines, record_reader
from hybridret.errors import CorpusError

QUERY_FIELDS = ("query-id", "query_id", "queryid", "qid", "topic", "query")
DOCUMENT_FIELDS = (
    *("corpus-id", "corpus_id", "doc-id", "doc_id", "document-id", "document_id"),
    *("docid", "docno", "did", "pid", "passage-id", "passage_id"),
)
GRADE_FIELDS = ("score", "relevance", "grade", "label", "rel", "judgement", "judgment")
QUERY_ID_FIELDS = ("_id", "id", "query_id", "query-id", "qid", "queryid")
QUERY_TEXT_FIELDS = ("text", "query", "question", "query_text")
_ITERATIONS = ("0", "q0", "1")
_GRADE = re.compile(r"[+-]?[0-9]+(\.0*)?")
_WANTED = "query id, document id and grade are wanted"
_TEXT_TABLES = (".tsv", ".txt", ".trec", ".qrels", ".qrel", ".csv", "")
_RECORDS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".ndjson", ".parquet")


class Judgement(NamedTuple):
    """What a document is worth as an answer to a query.

    Attributes:
        place: File and line.
        query_id: Id of the query.
        doc_id: Id of the document.
        grade: Above 0 where it answers.
    """

    place: str
    query_id: str
    doc_id: str
    grade: int


class Fault(NamedTuple):
    """A line that cannot be used.

    Attributes:
        place: File and line.
        message: What is wrong with it.
    """

    place: str
    message: str


class Query(NamedTuple):
    """A query of a file.

    Attributes:
        place: File and line.
        query_id: Its id.
        text: Its text.
    """

    place: str
    query_id: str
    text: str


def read_judgements(path: Path) -> Iterator[Judgement | Fault]:
    """Reads judgements: a table with or without a header, or records.

    Columns go by the names in the header, in any case and order. Without a header two columns are query and document,
    each with grade 1; three are query, document and grade; four are TREC's, whose second one is ``0`` or ``Q0``.
    Columns are separated by tabs, else by commas or semicolons where a header has them, else by spaces. A grade is a
    whole number, also as ``1.0``.

    Yields:
        Judgements, and lines that are none, in the order of the file.

    Raises:
        CorpusError: The file cannot be read.
    """
    reader = record_reader(path)
    if reader is not None and path.name.lower().endswith(_RECORDS):
        for number, record in reader(path):
            fields = [find_field(record, names) for names in (QUERY_FIELDS, DOCUMENT_FIELDS, GRADE_FIELDS)]
            yield _judgement_of_record(f"{path}:{number}", record, fields)
        return
    yield from _read_table(path)


def _judgement_of_record(place: str, record: Mapping[str, Any], fields: Sequence[str | None]) -> Judgement | Fault:
    query, document, grade = fields
    if query is None or document is None:
        return Fault(place, f"{_WANTED}: {_named()}; there are {', '.join(map(str, record)) or 'none'}")
    value = 1 if grade is None else record[grade]
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    return _judgement(place, whole_id(record[query]), whole_id(record[document]), value)


def _judgement(place: str, query_id: Any, doc_id: Any, grade: Any) -> Judgement | Fault:
    for value, what in ((query_id, "query id"), (doc_id, "document id")):
        if not isinstance(value, str) or not value:
            return Fault(place, f"the {what} must be a text or a whole number, not {value!r}")
    if isinstance(grade, bool) or is_missing(grade) or not _GRADE.fullmatch(str(grade)):
        return Fault(place, f"the grade must be a whole number, not {grade!r}")
    return Judgement(place, query_id, doc_id, int(str(grade).partition(".")[0]))


def _read_table(path: Path) -> Iterator[Judgement | Fault]:
    lines = [(f"{path}:{number}", line) for number, line in enumerate(read_lines(path), 1) if line.strip()]
    if not lines:
        return
    separator = _separator(lines[0][1])
    rows = [(place, line.strip(), _cells(line, separator)) for place, line in lines]
    place, shown, first = rows[0]
    columns = _columns_of_header(first)
    if columns is not None:
        rows = rows[1:]
    elif {cell.lower() for cell in first} & {*QUERY_FIELDS, *DOCUMENT_FIELDS, *GRADE_FIELDS}:
        yield Fault(place, f"the header must name {_named()}, not {shown!r}")
        return
    elif len(rows) > 1 and len(first) != len(rows[1][2]):
        yield Fault(
            place, f"{_WANTED}, not {shown!r}: the next line has {len(rows[1][2])} columns, this one {len(first)}"
        )
        return
    for place, shown, cells in rows:
        own = columns if columns is not None else _columns_by_count(cells)
        if own is None or len(cells) != len(first):
            yield Fault(place, f"{_WANTED}, not {shown!r}{_hint(cells) if columns is None else ''}")
            continue
        yield _judgement(place, cells[own[0]], cells[own[1]], cells[own[2]] if len(own) > 2 else "1")


def _separator(line: str) -> str | None:
    """What separates the columns of a table, by its first line; None: spaces."""
    if "\t" in line:
        return "\t"
    found = max((",", ";"), key=line.count)
    named = _cells(line, found)
    return found if line.count(found) and (_columns_of_header(named) is not None or " " not in line.strip()) else None


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    if '"' not in line:
        return [cell.strip() for cell in line.rstrip("\r\n").split(separator)]
    try:
        return [cell.strip() for cell in next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])]
    except csv.Error:
        return [cell.strip() for cell in line.rstrip("\r\n").split(separator)]


def _columns_of_header(cells: Sequence[str]) -> list[int] | None:
    """Where query, document and, if it is named, grade stand; None: the line is no header."""
    lowered = [cell.lower() for cell in cells]
    places = [
        next((lowered.index(name) for name in names if name in lowered), None)
        for names in (QUERY_FIELDS, DOCUMENT_FIELDS, GRADE_FIELDS)
    ]
    if places[0] is None or places[1] is None:
        return None
    return [place for place in places if place is not None]


def _columns_by_count(cells: Sequence[str]) -> list[int] | None:
    """Where query, document and grade stand in a table without a header; None: that cannot be known."""
    if len(cells) in (2, 3):
        return list(range(len(cells)))
    if len(cells) == 4 and cells[1].lower() in _ITERATIONS:
        return [0, 2, 3]
    return None


def _hint(cells: Sequence[str]) -> str:
    if len(cells) == 6 and cells[1].lower() in _ITERATIONS:
        return ": it is a run of TREC (query, Q0, document, rank, score, name), and judgements are needed"
    return f"; a header says which column is which: {_named()}" if len(cells) > 3 else ""


def _named() -> str:
    return f"{QUERY_FIELDS[0]}, {DOCUMENT_FIELDS[0]} and {GRADE_FIELDS[0]}, or names like these"


def read_queries(path: Path) -> Iterator[Query | Fault]:
    """Reads queries: records or a table with an id and a text, or lines of both without a header (``.tsv``).

    Yields:
        Queries, and lines that are none, in the order of the file.

    Raises:
        CorpusError: The file cannot be read.
    """
    reader = record_reader(path)
    if reader is None or path.name.lower().endswith((".tsv", ".tsv.gz")):
        header = next((line for line in read_lines(path) if line.strip()), "")
        names = [cell.lower() for cell in _cells(header, "\t")]
        if reader is None or not set(names) & set(QUERY_TEXT_FIELDS):
            yield from _read_pairs(path)
            return
    for number, record in reader(path):
        place = f"{path}:{number}"
        fields = find_field(record, QUERY_ID_FIELDS), find_field(record, QUERY_TEXT_FIELDS)
        if None in fields:
            there = ", ".join(map(str, record)) or "none"
            what = "an id" if fields[0] is None else "a text"
            yield Fault(place, f"_id and text are wanted, and {what} is missing; there are {there}")
            continue
        query_id, text = whole_id(record[fields[0]]), record[fields[1]]  # type: ignore[index]
        if not isinstance(query_id, str) or not query_id or not isinstance(text, str):
            yield Fault(place, "_id and text must be strings")
            continue
        yield Query(place, query_id, text)


def _read_pairs(path: Path) -> Iterator[Query | Fault]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        query_id, separator, text = line.rstrip("\r\n").partition("\t")
        if not separator or not query_id.strip():
            yield Fault(f"{path}:{number}", f"a query's id, a tab and its text are wanted, not {line.strip()[:60]!r}")
            continue
        yield Query(f"{path}:{number}", query_id.strip(), text)


def find_queries(folder: Path) -> Path:
    """The file of a collection's queries: ``queries.jsonl``, or with another ending, or in a folder ``queries``.

    Raises:
        CorpusError: There is none, or there are several parts.
    """
    endings = (*_RECORDS, ".tsv", ".csv")
    found = [folder / f"queries{ending}" for ending in endings if (folder / f"queries{ending}").is_file()]
    found = found or _files(folder / "queries", endings)
    if not found:
        raise CorpusError(f"{folder} has no queries: {folder / 'queries.jsonl'} is missing")
    if len(found) > 1:
        raise CorpusError(f"{folder} has several files of queries: {found[0]} and {found[1]}; leave one")
    return found[0]


def find_judgements(folder: Path, split: str) -> Path:
    """The file of a split's judgements: in ``qrels``, ``default`` or ``data``, called after it.

    ``test.tsv``, ``test.trec``, ``test.jsonl`` and Hugging Face's ``test-00000-of-00001.parquet`` are names of a file.

    Raises:
        CorpusError: There is none; the message names the splits that there are.
    """
    names: dict[str, Path] = {}
    for part in ("qrels", "default", "data"):
        for path in _files(folder / part, (*_RECORDS, *_TEXT_TABLES)):
            name = re.sub(r"-\d{5}-of-\d{5}$", "", path.name.partition(".")[0])
            name = path.parent.name if path.parent != folder / part else name
            names.setdefault(name, path)
    if split not in names:
        present = ", ".join(sorted(names)) or "none"
        raise CorpusError(f"{folder} has no split {split} (qrels/{split}.tsv); there are {present}")
    return names[split]


def _files(folder: Path, endings: Sequence[str]) -> list[Path]:
    """The files of a folder, and of the folders in it, with one of several endings, none of them hidden."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in [*folder.glob("*"), *folder.glob("*/*")]
        if path.is_file()
        and not path.name.startswith(".")
        and (path.suffix.lower() in endings or path.name.lower().endswith(tuple(each for each in endings if each)))
    )
