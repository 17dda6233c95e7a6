"""Folders of files of any kind: what is read, what is passed over, and what is refused, each with its reason."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from hybridret.data.chunk import Chunking, chunk_documents
from hybridret.data.records import FieldNames, keep_plain, make_document
from hybridret.data.tables import record_reader
from hybridret.data.text_files import TEXT_READERS, has_headings, read_parts
from hybridret.errors import HybridretError
from hybridret.types import CHUNK, PARENT, Chunk, Document, chunk_id

HEADING, SOURCE = "heading", "source"
_SKIPPED = {"node_modules", "__pycache__", "site-packages", "bower_components"}
_ENVIRONMENT, _BUNDLE, _WORK = "pyvenv.cfg", "hybridret.sqlite", "hybridret-finetune.json"
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_SHOWN = 5


@dataclass
class ReadReport:
    """What became of the files of a corpus.

    Attributes:
        read: How many files were read.
        documents: How many documents, or chunks, they gave.
        passed_over: How many were passed over, by reason.
        refused: Files that could not be read, each with its reason.
    """

    read: int = 0
    documents: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def sentence(self) -> str:
        """The report on one line, but for files that were refused."""
        parts = [f"{_count(self.read, 'file')} read"]
        if self.passed_over:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.passed_over.most_common())
            parts.append(f"{self.passed_over.total()} passed over ({reasons})")
        if self.refused:
            parts.append(f"{len(self.refused)} refused")
        return ", ".join(parts)

    def lines(self) -> list[str]:
        """The report for people: refused files first, the count last."""
        shown = [
            f"refused: {reason}" if name in reason else f"refused: {name}: {reason}"
            for name, reason in self.refused[:_SHOWN]
        ]
        if len(self.refused) > _SHOWN:
            shown.append(f"refused: {len(self.refused) - _SHOWN} more")
        return [*shown, self.sentence()]


class Found(NamedTuple):
    """A document and the place that it is from."""

    place: str
    document: Document


def read_folder(folder: Path, fields: FieldNames, chunking: Chunking, report: ReadReport) -> Iterator[Found]:
    """Reads all files of a folder, and of the folders in it, in the order of their names.

    Args:
        folder: The folder.
        fields: Which fields of records are text, id and title.
        chunking: How texts are split.
        report: Gets what becomes of each file. A file that cannot be read is refused, and the others are read.
    """
    ids: dict[str, str] = {}
    for path in _walk(folder, report.passed_over):
        name = path.relative_to(folder).as_posix()
        reader = _reader(path)
        if reader is None:
            report.passed_over[path.suffix.lower() or "without an ending"] += 1
            continue
        try:
            found = list(reader(path, name, fields, chunking))
            twice = next((each for each in found if each.document.doc_id in ids), None)
            if twice is not None:
                reason = (
                    f"{twice.place}: document id {twice.document.doc_id!r} is in {ids[twice.document.doc_id]} already"
                )
                report.refused.append((name, reason))
                continue
        except HybridretError as error:
            report.refused.append((name, " ".join(str(error).split())))
            continue
        except OSError as error:
            report.refused.append((name, f"{path} cannot be read: {error.strerror}"))
            continue
        if not found:
            report.passed_over["empty"] += 1
            continue
        ids |= dict.fromkeys((each.document.doc_id for each in found), name)
        report.read += 1
        report.documents += len(found)
        yield from found


def read_file(path: Path, fields: FieldNames, chunking: Chunking, report: ReadReport) -> Iterator[Found] | None:
    """Reads a file that holds text; None where its ending says nothing of the kind."""
    if path.suffix.lower() not in TEXT_READERS:
        return None
    found = list(_read_text_file(path, path.name, fields, chunking))
    report.read, report.documents = 1, len(found)
    return iter(found)


def _walk(folder: Path, passed_over: Counter[str]) -> Iterator[Path]:
    """The files of a folder, without hidden ones, what tools keep there, and what this package writes."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        kept = []
        for name in sorted(folders):
            reason = _reason_against(here / name)
            if reason is None:
                kept.append(name)
            else:
                passed_over[reason] += 1
        folders[:] = kept
        for name in sorted(files):
            if name.startswith("."):
                passed_over["hidden"] += 1
            elif (here / name).is_file():
                yield here / name


def _reason_against(folder: Path) -> str | None:
    """Why a folder is passed over; None: it is looked into."""
    if folder.name.startswith("."):
        return "hidden"
    if folder.name in _SKIPPED:
        return folder.name
    if (folder / _ENVIRONMENT).is_file():
        return "virtual environment"
    if (folder / _BUNDLE).is_file() or (folder / _WORK).is_file():
        return "written by hybridret"
    return None


def _reader(path: Path) -> Callable[[Path, str, FieldNames, Chunking], Iterator[Found]] | None:
    if record_reader(path) is not None:
        return _read_record_file
    return _read_text_file if path.suffix.lower() in TEXT_READERS else None


def _read_record_file(path: Path, name: str, fields: FieldNames, chunking: Chunking) -> Iterator[Found]:
    reader = record_reader(path)
    assert reader is not None
    for number, record in reader(path):
        yield Found(f"{path}:{number}", make_document(record, path, number, fields))


def _read_text_file(path: Path, name: str, fields: FieldNames, chunking: Chunking) -> Iterator[Found]:
    """A file's chunks, numbered through its parts; one that fits is a document called after the file."""
    chunks: list[tuple[str, dict[str, Any]]] = []
    for part in read_parts(path):
        metadata = keep_plain(part.metadata, str(path))
        whole = Document(name, part.text, {})
        pieces = list(chunk_documents([whole], has_headings(path), chunking))
        headings = (
            _headings_of(part.text, [piece.text for piece in pieces]) if has_headings(path) else [None] * len(pieces)
        )
        for piece, heading in zip(pieces, headings, strict=True):
            own: dict[str, Any] = {SOURCE: name, **metadata, **({} if heading is None else {HEADING: heading})}
            chunks.append((piece.text, own))
    if len(chunks) == 1:
        yield Found(str(path), Document(name, *chunks[0]))
        return
    for number, (text, metadata) in enumerate(chunks):
        own = {key: value for key, value in metadata.items() if key not in (PARENT, CHUNK)}
        yield Found(str(path), Chunk(chunk_id(name, number), text, {**own, PARENT: name, CHUNK: number}))


def _headings_of(text: str, pieces: list[str]) -> list[str | None]:
    """The headings above each piece, outermost first, joined by ``>``; None where there is none."""
    masked = _FENCED.sub(lambda block: " " * len(block[0]), text)
    marks = [(match.start(), len(match[1]), match[2].strip()) for match in _HEADING.finditer(masked)]
    found: list[str | None] = []
    start = 0
    for piece in pieces:
        at = text.find(piece, start)
        start = at if at >= 0 else start
        path: list[tuple[int, str]] = []
        for place, level, title in marks:
            if place > start:
                break
            path = [*((depth, name) for depth, name in path if depth < level), (level, title)]
        found.append(" > ".join(name for _, name in path) or None)
    return found


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
