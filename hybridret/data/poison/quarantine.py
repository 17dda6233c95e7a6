"""Where documents that look poisoned wait for a look: a file of records that ``add`` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hybridret.data.clean import clean_text
from hybridret.data.poison.detector import Suspect
from hybridret.errors import InputError
from hybridret.types import Chunk, Document

FIELD = "quarantine"
"""The field of a record that says why it is there."""


def check_quarantine(path: Path) -> None:
    """Checks that a quarantine file can be new.

    Raises:
        InputError: Something lies there, or its folder does not exist.
    """
    if os.path.lexists(path):
        raise InputError(f"{path} exists; a quarantine file must be a new one")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}")


def with_their_chunks(suspects: Sequence[Suspect], documents: Iterable[Document]) -> list[Suspect]:
    """Suspects, and the other chunks of documents of which one chunk is a suspect, in the order of the documents.

    Args:
        suspects: Some of the documents.
        documents: All that shall be taken in.
    """
    by_id = {suspect.document.doc_id: suspect for suspect in suspects}
    parents = {suspect.document.parent for suspect in suspects if isinstance(suspect.document, Chunk)}
    return [
        by_id.get(document.doc_id) or Suspect(document, ["another chunk of its document looks poisoned"])
        for document in documents
        if document.doc_id in by_id or (isinstance(document, Chunk) and document.parent in parents)
    ]


@contextmanager
def quarantined(path: Path, suspects: Sequence[Suspect]) -> Iterator[None]:
    """Holds suspects in a file, which is there and whole before the body runs and gone where the body fails.

    Args:
        path: A new JSON lines file; none is written where there are no suspects. A record is the document's own, which
            ``hybridret add`` takes back, with the reasons in the field ``quarantine``. Characters beyond ASCII are
            escaped, so that invisible ones are seen.
        suspects: What goes in.

    Raises:
        InputError: Something lies there, the place cannot be written to, or JSON cannot hold a document's metadata.
    """
    if not suspects:
        yield
        return
    check_quarantine(path)
    content = "".join(_line(suspect) for suspect in suspects)
    try:
        _write(path, content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def record_of(document: Document) -> dict[str, Any]:
    """The record of which a reader makes the document again: the title, which begins the text, stands apart."""
    title, body = document.metadata.get("title"), document.text
    if isinstance(title, str):
        title = clean_text(title, "a title")
        shorter = (body.removeprefix(f"{title.lstrip()} "), "")
        body = next((each for each in shorter if f"{title} {each}".strip() == body), body)
    return {"_id": document.doc_id, **document.metadata, "text": body}


def _line(suspect: Suspect) -> str:
    try:
        return json.dumps({**record_of(suspect.document), FIELD: suspect.reasons}, allow_nan=False) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"metadata of document {suspect.document.doc_id!r} are not JSON: {error}") from error


def _write(path: Path, content: str) -> None:
    """Writes a file that is whole, and on disk, when it gets its name."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)  # noqa: PTH105
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
