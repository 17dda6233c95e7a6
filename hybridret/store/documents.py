"""The documents of an index in one SQLite database, beside the index's state."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import RLock, get_ident
from typing import Any

import numpy as np

from hybridret.errors import BundleError
from hybridret.store.database import (
    LOCK_SECONDS,
    begin_writing,
    connect,
    database_address,
    new_database,
    open_database,
)
from hybridret.store.families import check_ids
from hybridret.store.metadata import encode_metadata, is_text, names_of, select_fields
from hybridret.types import CHUNK, CHUNK_MARK, Document, IntArray

_COLUMNS = "key, id, text, metadata, cut, checksum"
_CHUNKS = (
    "WITH parents(id) AS (VALUES {}) SELECT parents.id, "
    + ", ".join(f"documents.{column}" for column in _COLUMNS.split(", "))
    + " FROM parents CROSS JOIN documents"
    + f" WHERE documents.id > parents.id || '{CHUNK_MARK}'"
    + f" AND documents.id < parents.id || '{chr(ord(CHUNK_MARK) + 1)}'"
)
"""By the index of ids: what is called ``PARENT#...`` lies between ``PARENT#`` and ``PARENT$``."""
_MOST_PARAMETERS = 500
_PAGE_OF_TEXTS = 1000
_PAGE_OF_FIELDS = 10_000


class DocumentStore:
    """A SQLite database of documents by key and id. Threads may share it; one change at a time.

    A document's key is given once and never again, and what lies under a key never changes: a changed document gets a
    new one. So whoever knows a key reads the document that it was told of, or finds that it is gone.

    Args:
        reader: A connection that several threads may use.
        writer: The connection that changes go through, so that who reads waits for no change; may be the reader.
        name: What error messages call the database.
    """

    def __init__(self, reader: sqlite3.Connection, writer: sqlite3.Connection, name: str) -> None:
        self._reader, self._writer = reader, writer
        self._name = name
        self._lock = RLock()
        self._write_lock = self._lock if writer is reader else RLock()
        self._writing_thread: int | None = None
        self._is_closed = False
        self._connect_again: Callable[[], sqlite3.Connection] | None = None

    @property
    def locks(self) -> tuple[Any, Any]:
        """What is held while the database is written to, and while it is read, in the order in which they are taken."""
        return self._write_lock, self._lock

    def reconnect(self) -> None:
        """Opens the database file anew, as a forked process must; a database in memory came along."""
        if self._connect_again is not None:
            with suppress(sqlite3.Error):  # a file that is gone is noticed when the bundle is looked at
                self._reader, self._writer = self._connect_again(), self._connect_again()

    @classmethod
    def in_memory(cls) -> DocumentStore:
        """A new, empty database that goes with the process."""
        connection = new_database(":memory:")
        return cls(connection, connection, "the in-memory index")

    @classmethod
    def open(cls, file: Path, timeout: float = LOCK_SECONDS) -> DocumentStore:
        """Opens a database file.

        Args:
            file: The file; where it cannot be written to, the documents can be read only.
            timeout: Seconds to wait for another process that holds the lock.

        Raises:
            BundleError: It is no such database, damaged, or of another schema.
        """
        address = database_address(file)
        store = cls(open_database(file, timeout), connect(address, timeout), str(file))
        store._connect_again = partial(connect, address, timeout)
        return store

    def copy_to(self, file: Path) -> None:
        """Writes the whole database, as it was committed last, to a new file.

        A thread in a transaction may do so too: SQLite's backup would wait for the end of one of its own connection.
        """
        with self.reading(committed=True) as connection:
            target = connect(f"{file.resolve().as_uri()}?mode=rwc", LOCK_SECONDS)
            try:
                connection.backup(target)
            finally:
                target.close()

    def copy_in_memory(self) -> DocumentStore:
        """The documents and the state in a database of their own that goes with the process."""
        copied = DocumentStore.in_memory()
        with self.reading() as connection:
            connection.backup(copied._writer)
        return copied

    def close(self) -> None:
        """Closes the database, after what is being read or written."""
        with self._write_lock, self._lock:
            self._is_closed = True
            self._reader.close()
            self._writer.close()

    @contextmanager
    def transaction(self, waits: bool = True) -> Iterator[None]:
        """Holds the write lock; what is written inside becomes durable at its end, or not at all on an error.

        Args:
            waits: Whether to wait for another process that holds the lock, up to the timeout.

        Raises:
            BundleError: Another process held the lock for longer than the timeout, or the disk is full.
        """
        with self._write_lock:
            self._writing_thread = get_ident()
            try:
                with self.reading() as connection:
                    begin_writing(connection, waits)
                    try:
                        yield
                        connection.execute("COMMIT")
                    except BaseException:
                        if connection.in_transaction:
                            connection.execute("ROLLBACK")
                        raise
            finally:
                self._writing_thread = None

    @contextmanager
    def snapshot(self) -> Iterator[int]:
        """Holds the state of one moment, whose generation it gives; no process commits until its end."""
        with self.reading() as connection:
            if connection.in_transaction:
                yield self.generation
                return
            connection.execute("BEGIN")
            try:
                yield self.generation
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def reading(self, committed: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection, its errors named after the database; a thread in a transaction reads what it wrote.

        Args:
            committed: Whether that thread reads what was committed instead.
        """
        writes = not committed and self._writing_thread == get_ident()
        try:
            with self._write_lock if writes else self._lock:
                if self._is_closed:
                    raise BundleError(f"{self._name} is closed; open it again")
                yield self._writer if writes else self._reader
        except sqlite3.OperationalError as error:
            hint = ": another process is writing to it" if "locked" in str(error) else ""
            raise BundleError(f"{self._name}: {error}{hint}") from error
        except (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError, OverflowError, json.JSONDecodeError) as error:
            raise BundleError(f"{self._name} is damaged: {error}") from error

    def insert(self, first_key: int, documents: Sequence[Document], cut: IntArray) -> None:
        """Adds documents under consecutive keys.

        Args:
            first_key: The first one's key.
            documents: What to add.
            cut: *Shape:* (n_documents,), int64, tokens of each that the encoder's window cut off.

        Raises:
            InputError: An id is taken or a metadata value cannot be held as JSON.
        """
        self.check(documents, may_replace=False)
        rows = []
        for key, (document, n_cut) in enumerate(zip(documents, cut.tolist(), strict=True), first_key):
            row = (key, document.doc_id, document.text, encode_metadata(document), n_cut)
            rows.append((*row, _checksum(*row)))
        with self.reading() as connection:
            connection.executemany(f"INSERT INTO documents ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", rows)

    def check(self, documents: Sequence[Document], may_replace: bool) -> None:
        """Checks that documents can be inserted.

        Raises:
            InputError: An id is taken, by a document or by chunks of one, and may not be replaced, a chunk's id is
                that of another document, or a metadata value cannot be held as JSON.
        """
        for document in documents:
            encode_metadata(document)
        check_ids(self, documents, may_replace)

    def delete(self, keys: Iterable[int], generation: int) -> None:
        """Removes the documents of the given keys, and notes in which generation."""
        rows = [(int(key), generation) for key in keys]
        with self.reading() as connection:
            connection.executemany("DELETE FROM documents WHERE key = ?", [row[:1] for row in rows])
            connection.executemany("INSERT OR REPLACE INTO deleted VALUES (?, ?)", rows)

    def deleted_after(self, generation: int) -> IntArray:
        """Keys deleted after a generation. *Shape:* (n,), ascending."""
        with self.reading() as connection:
            found = connection.execute("SELECT key FROM deleted WHERE generation > ? ORDER BY key", [generation])
            return np.array([key for (key,) in found], dtype=np.int64)

    def forget_deleted(self) -> None:
        """Drops the notes of what was deleted, as compaction renumbers rows."""
        with self.reading() as connection:
            connection.execute("DELETE FROM deleted")

    def vacuum(self) -> None:
        """Gives the space of what was deleted back to the file system."""
        with self.reading() as connection:
            connection.execute("VACUUM")

    def keys_of(self, doc_ids: Sequence[str]) -> dict[str, int]:
        """The keys of the ids that are present."""
        possible = [doc_id for doc_id in doc_ids if isinstance(doc_id, str) and is_text(doc_id)]
        return {doc_id: key for key, doc_id in self._select("key, id", "id", possible)}

    def by_id(self, doc_ids: Sequence[str]) -> dict[str, Document]:
        """The documents of the ids that are present."""
        possible = [doc_id for doc_id in doc_ids if isinstance(doc_id, str) and is_text(doc_id)]
        return {row[1]: self._document(row) for row in self._select(_COLUMNS, "id", possible)}

    def chunks_of(self, parents: Sequence[str]) -> dict[str, list[tuple[int, Document]]]:
        """Key and document of the chunks of documents, by the parent's id, in the order of their numbers.

        Ids that begin with a parent's and the mark are looked at; whether they are chunks is told by the documents.
        """
        possible = [parent for parent in dict.fromkeys(parents) if isinstance(parent, str) and is_text(parent)]
        chunks: dict[str, list[tuple[int, Document]]] = {}
        for start in range(0, len(possible), _MOST_PARAMETERS):
            part = possible[start : start + _MOST_PARAMETERS]
            with self.reading() as connection:
                rows = connection.execute(_CHUNKS.format(", ".join(["(?)"] * len(part))), part).fetchall()
            for parent, *row in rows:
                document = self._document(tuple(row))
                if document.parent == parent:
                    chunks.setdefault(parent, []).append((row[0], document))
        return {parent: sorted(found, key=lambda each: each[1].metadata[CHUNK]) for parent, found in chunks.items()}

    def by_key(self, keys: Sequence[int]) -> dict[int, Document]:
        """The documents of the keys that are present."""
        return {row[0]: self._document(row) for row in self._select(_COLUMNS, "key", keys)}

    def entries(self, first_key: int = 0) -> list[tuple[int, str]]:
        """Key and id of every document from a key on, by key."""
        with self.reading() as connection:
            found = connection.execute("SELECT key, id FROM documents WHERE key >= ? ORDER BY key", [first_key])
            return found.fetchall()

    def documents(self) -> Iterator[tuple[int, Document]]:
        """Key and document of all documents, by key, read in pages."""
        key = -(2**63)
        while True:
            with self.reading() as connection:
                rows = connection.execute(
                    f"SELECT {_COLUMNS} FROM documents WHERE key > ? ORDER BY key LIMIT ?", [key, _PAGE_OF_TEXTS]
                ).fetchall()
            if not rows:
                return
            for row in rows:
                key = row[0]
                yield key, self._document(row)

    def cut(self) -> tuple[int, int]:
        """How many documents the encoder's window cut, and how many tokens it cut off in all."""
        with self.reading() as connection:
            documents, tokens = connection.execute("SELECT count(*), sum(cut) FROM documents WHERE cut > 0").fetchone()
        return documents, tokens or 0

    def pages_of_fields(self, fields: Sequence[str], keys: IntArray) -> Iterator[list[tuple[Any, ...]]]:
        """Reads fields of the metadata, in pages by key; no other thread reads until the last page.

        Args:
            fields: Names of fields; a field of a field is part of it.
            keys: *Shape:* (n,), int64, ascending; documents from the first to the last are read.

        Yields:
            For each document its key and then what ``decode_fields`` takes.
        """
        if not len(keys):
            return
        selected, values = select_fields(fields)
        with self.reading() as connection:
            cursor = connection.execute(
                f"SELECT key, {selected} FROM documents WHERE key >= ? AND key <= ? ORDER BY key",
                [*values, int(keys[0]), int(keys[-1])],
            )
            while page := cursor.fetchmany(_PAGE_OF_FIELDS):
                yield page

    def field_names(self, first_key: int = 0) -> set[str]:
        """The names of the fields that documents from a key on have, those of fields in objects with dots.

        Takes about half a second per 100,000 documents.
        """
        names: set[str] = set()
        with self.reading() as connection:
            for (metadata,) in connection.execute("SELECT metadata FROM documents WHERE key >= ?", [first_key]):
                names.update(names_of(json.loads(metadata)))
        return names

    @property
    def generation(self) -> int:
        """The generation of the state that was committed last."""
        with self.reading() as connection:
            found = connection.execute("SELECT generation FROM state").fetchone()
        if found is None or not isinstance(found[0], int):
            raise BundleError(f"{self._name} is damaged: it has no state")
        return found[0]

    @property
    def state(self) -> dict[str, Any]:
        """What was last committed as the state: a JSON object.

        Raises:
            BundleError: It is damaged.
        """
        with self.reading() as connection:
            found = connection.execute("SELECT generation, value, checksum FROM state").fetchone()
        try:
            generation, value, checksum = found
            state = json.loads(value)
            sound = zlib.crc32(value.encode()) == checksum and state.get("generation", 0) == generation
        except (AttributeError, TypeError, ValueError, RecursionError):
            sound = False
        if not sound:
            raise BundleError(f"{self._name} is damaged: the checksum of its state is wrong")
        return dict(state)

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        encoded = json.dumps(value)
        with self.reading() as connection:
            connection.execute(
                "UPDATE state SET generation = ?, value = ?, checksum = ?",
                [value["generation"], encoded, zlib.crc32(encoded.encode())],
            )

    def image(self) -> bytes | None:
        """The database file's bytes as the last commit left them; None where this Python's sqlite3 cannot tell.

        Opening and closing the file itself would drop the process's locks on it, and the connection that writes may
        remember pages that it left out of the file.
        """
        with self.reading(), self._lock:
            return self._reader.serialize() if hasattr(self._reader, "serialize") else None

    def faults(self) -> list[str]:
        """What is wrong with the database: its structure, its indexes, the checksum of each document."""
        found: list[str] = []
        try:
            with self.reading() as connection:
                report = [line for (line,) in connection.execute("PRAGMA integrity_check")]
            found += [f"{self._name} is damaged: {line}" for line in report if line != "ok"]
            for _ in self.documents():
                pass
        except BundleError as error:
            found.append(str(error))
        return found

    def _select(self, columns: str, field: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(values), _MOST_PARAMETERS):
            part = values[start : start + _MOST_PARAMETERS]
            marks = ", ".join("?" * len(part))
            with self.reading() as connection:
                found = connection.execute(
                    f"SELECT {columns} FROM documents WHERE {field} IN ({marks})", part
                ).fetchall()
            yield from found

    def _document(self, row: tuple[Any, ...]) -> Document:
        key, doc_id, text, metadata, cut, checksum = row
        try:
            if checksum != _checksum(key, doc_id, text, metadata, cut):
                raise ValueError("its checksum is wrong")
            fields = json.loads(metadata)
            if not isinstance(fields, dict):
                raise ValueError("its metadata are no object")
            return Document(str(doc_id), str(text), fields)
        except (TypeError, ValueError, RecursionError) as error:
            raise BundleError(f"{self._name} is damaged: document {doc_id!r}: {error}") from error


def _checksum(key: int, doc_id: str, text: str, metadata: str, cut: int) -> int:
    return zlib.crc32("\0".join([str(key), doc_id, text, metadata, str(cut)]).encode("utf-8", "surrogatepass"))
