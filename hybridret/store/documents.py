"""The documents of an index in one SQLite database, beside the index's state."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from hybridret.errors import BundleError, InputError
from hybridret.store.filters import Condition, is_text
from hybridret.types import BoolArray, Document, IntArray

SCHEMA_VERSION = 1
_SCHEMA = f"""
CREATE TABLE documents (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL, metadata TEXT NOT NULL, cut INTEGER NOT NULL
);
CREATE TABLE state (only INTEGER PRIMARY KEY CHECK (only = 0), value TEXT NOT NULL);
INSERT INTO state VALUES (0, '{{}}');
PRAGMA user_version = {SCHEMA_VERSION};
"""
_MOST_PARAMETERS = 500
_LOCK_SECONDS = 10.0


class DocumentStore:
    """A SQLite database of documents by row and id. Threads may share it; one change at a time.

    Args:
        connection: A connection that several threads may use.
        name: What error messages call the database.
    """

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._lock = RLock()

    @classmethod
    def in_memory(cls) -> DocumentStore:
        """A new, empty database that goes with the process."""
        connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        connection.executescript(_SCHEMA)
        return cls(connection, "the in-memory index")

    @classmethod
    def open(cls, file: Path) -> DocumentStore:
        """Opens a database file.

        Raises:
            BundleError: It is no such database, damaged, or of a newer schema.
        """
        try:
            connection = sqlite3.connect(
                f"{file.resolve().as_uri()}?mode=rw",
                uri=True,
                check_same_thread=False,
                isolation_level=None,
                timeout=_LOCK_SECONDS,
            )
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            pages, page_bytes = (
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
            )
        except sqlite3.Error as error:
            raise BundleError(f"{file} cannot be read: {error}") from error
        if version > SCHEMA_VERSION:
            raise BundleError(
                f"{file} has schema {version}, this hybridret reads {SCHEMA_VERSION}: it was written by a newer one"
            )
        if file.stat().st_size < pages * page_bytes:
            raise BundleError(f"{file} is damaged: it is shorter than it says")
        if version != SCHEMA_VERSION or not {"documents", "state"} <= tables:
            raise BundleError(f"{file} is not the database of a hybridret bundle")
        return cls(connection, str(file))

    def copy_to(self, file: Path) -> None:
        """Writes the whole database to a new file."""
        with self._reading() as connection:
            target = sqlite3.connect(file)
            try:
                connection.backup(target)
            finally:
                target.close()

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Holds the write lock; what is written inside becomes durable at its end, or not at all on an error."""
        with self._lock, self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def insert(self, first_row: int, documents: Sequence[Document], cut: IntArray) -> None:
        """Adds documents as consecutive rows.

        Args:
            first_row: The first one's row.
            documents: What to add.
            cut: *Shape:* (n_documents,), int64, tokens of each that the encoder's window cut off.

        Raises:
            InputError: An id is taken or a metadata value cannot be held as JSON.
        """
        self.check(documents, may_replace=False)
        rows = [
            (row, document.doc_id, document.text, encode_metadata(document), n_cut)
            for row, (document, n_cut) in enumerate(zip(documents, cut.tolist(), strict=True), first_row)
        ]
        with self._reading() as connection:
            connection.executemany("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", rows)

    def check(self, documents: Sequence[Document], may_replace: bool) -> None:
        """Checks that documents can be inserted.

        Raises:
            InputError: An id is taken and may not be replaced, or a metadata value cannot be held as JSON.
        """
        for document in documents:
            encode_metadata(document)
        taken = {} if may_replace else self.rows_of([document.doc_id for document in documents])
        if taken:
            raise InputError(f"document id {next(iter(taken))!r} is in the index already; use upsert to replace it")

    def delete(self, rows: Iterable[int]) -> None:
        """Removes the documents of the given rows."""
        with self._reading() as connection:
            connection.executemany("DELETE FROM documents WHERE row = ?", [(int(row),) for row in rows])

    def rows_of(self, doc_ids: Sequence[str]) -> dict[str, int]:
        """The rows of the ids that are present."""
        return {doc_id: row for row, doc_id, *_ in self._select(doc_ids)}

    def by_id(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        """The documents of the ids that are present."""
        return {found[1]: _document(found) for found in self._select(doc_ids)}

    def all_rows(self) -> list[tuple[int, str]]:
        """Row and id of every document, by row."""
        with self._reading() as connection:
            return connection.execute("SELECT row, id FROM documents ORDER BY row").fetchall()

    def cut(self) -> tuple[int, int]:
        """How many documents the encoder's window cut, and how many tokens it cut off in all."""
        with self._reading() as connection:
            documents, tokens = connection.execute("SELECT count(*), sum(cut) FROM documents WHERE cut > 0").fetchone()
        return documents, tokens or 0

    def matching(self, condition: Condition, n_rows: int) -> BoolArray:
        """Marks the rows whose metadata meet a condition. *Shape:* (n_rows,)."""
        matches = np.zeros(n_rows, dtype=np.bool_)
        with self._reading() as connection:
            found = connection.execute(f"SELECT row FROM documents WHERE {condition.sql}", condition.values)
            rows = np.array([row for (row,) in found], dtype=np.int64)
        matches[rows[rows < n_rows]] = True
        return matches

    @property
    def state(self) -> dict[str, Any]:
        """What was last written as the state: a JSON object."""
        with self._reading() as connection:
            state: dict[str, Any] = json.loads(connection.execute("SELECT value FROM state").fetchone()[0])
        return state

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        with self._reading() as connection:
            connection.execute("UPDATE state SET value = ?", [json.dumps(value)])

    def _select(self, doc_ids: Iterable[object]) -> Iterator[tuple[int, str, str, str]]:
        possible = [doc_id for doc_id in doc_ids if isinstance(doc_id, str) and is_text(doc_id)]
        for start in range(0, len(possible), _MOST_PARAMETERS):
            part = possible[start : start + _MOST_PARAMETERS]
            marks = ", ".join("?" * len(part))
            with self._reading() as connection:
                yield from connection.execute(
                    f"SELECT row, id, text, metadata FROM documents WHERE id IN ({marks})", part
                ).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, its errors named after the database."""
        try:
            with self._lock:
                yield self._connection
        except sqlite3.OperationalError as error:
            hint = ": another process is writing to it" if "locked" in str(error) else ""
            raise BundleError(f"{self._name}: {error}{hint}") from error
        except sqlite3.DatabaseError as error:
            raise BundleError(f"{self._name} is damaged: {error}") from error


def encode_metadata(document: Document) -> str:
    """A document's metadata as JSON, keys as they are, since SQLite finds no escaped ones.

    Raises:
        InputError: A value is one that JSON cannot hold.
    """
    try:
        encoded = json.dumps(document.metadata, allow_nan=False, ensure_ascii=False)
        return encoded if is_text(encoded) else json.dumps(document.metadata)
    except (TypeError, ValueError) as error:
        raise InputError(f"the metadata of document {document.doc_id!r} cannot be held as JSON: {error}") from error


def _document(found: tuple[int, str, str, str]) -> Document:
    _, doc_id, text, metadata = found
    return Document(doc_id, text, json.loads(metadata))
