"""SQLite database files of documents: their schema, and how they are opened and checked."""

from __future__ import annotations

import os
import sqlite3
import zlib
from pathlib import Path

from hybridret.errors import BundleError
from hybridret.store.bundle import check_entry

SCHEMA_VERSION = 2
LOCK_SECONDS = 30.0
_JOURNAL, _MAGIC = "-journal", bytes.fromhex("d9d505f920a163d7")
_SCHEMA = f"""
CREATE TABLE documents (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL, metadata TEXT NOT NULL, cut INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE deleted (key INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 0), generation INTEGER NOT NULL, value TEXT NOT NULL,
    checksum INTEGER NOT NULL
);
INSERT INTO state VALUES (0, 0, '{{}}', {zlib.crc32(b"{}")});
PRAGMA user_version = {SCHEMA_VERSION};
"""


def database_address(file: Path) -> str:
    """The URI of a database file that exists."""
    return f"{file.resolve().as_uri()}?mode=rw"


def open_database(file: Path, timeout: float) -> sqlite3.Connection:
    """Opens a database file and checks that it is one of documents.

    Args:
        file: The file.
        timeout: Seconds to wait for another process that holds the lock.

    Raises:
        BundleError: It is no such database, damaged, or of another schema.
    """
    _check_files(file)
    try:
        connection = connect(database_address(file), timeout)
        connection.execute("BEGIN")
        schema = _schema_of(connection)
        version, pages, page_bytes = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "page_count", "page_size")
        )
        n_bytes = file.stat().st_size
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise BundleError(f"{file} cannot be read: {error}") from error
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"{file} has schema {version}, this hybridret reads {SCHEMA_VERSION}: it was written by a newer one"
        )
    if version and version < SCHEMA_VERSION and {"documents", "state"} <= {name for _, name, _ in schema}:
        raise BundleError(f"{file} was written by an older hybridret; index the corpus again")
    if n_bytes < pages * page_bytes or n_bytes % page_bytes:
        raise BundleError(f"{file} is damaged: its size is not what it says")
    if version != SCHEMA_VERSION or schema != _schema_of(new_database(":memory:")):
        raise BundleError(f"{file} is not the database of a hybridret bundle")
    return connection


def connect(address: str, timeout: float) -> sqlite3.Connection:
    """Connects to a database; ``timeout`` is how many seconds it waits for another process that holds the lock."""
    connection = sqlite3.connect(
        address,
        uri=address.startswith("file:"),
        check_same_thread=False,
        isolation_level=None,
        timeout=timeout,
    )
    for setting in ("synchronous = EXTRA", "trusted_schema = OFF", "cell_size_check = ON"):
        connection.execute(f"PRAGMA {setting}")
    return connection


def begin_writing(connection: sqlite3.Connection, waits: bool) -> None:
    """Begins a transaction that holds the write lock, at once or not at all where it shall not wait."""
    timeout = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    if not waits:
        connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("BEGIN IMMEDIATE")
    finally:
        connection.execute(f"PRAGMA busy_timeout = {timeout}")


def new_database(address: str) -> sqlite3.Connection:
    """Makes an empty database of documents."""
    connection = connect(address, LOCK_SECONDS)
    connection.executescript(_SCHEMA)
    return connection


def _check_files(file: Path) -> None:
    """Refuses what SQLite would follow out of the folder, wait for without end, or delete elsewhere.

    A journal whose last bytes name another file makes SQLite delete that file, wherever it lies, when it rolls the
    journal back (file format, 3.3: super-journals); a change of one database never writes such a name.

    Raises:
        BundleError: The database or a file that SQLite puts beside it is a link or no file, or a journal names another.
    """
    for suffix in ("", _JOURNAL, "-wal", "-shm"):
        check_entry(file.with_name(file.name + suffix))
    journal = file.with_name(file.name + _JOURNAL)
    try:
        with journal.open("rb") as opened:
            opened.seek(-len(_MAGIC), os.SEEK_END)
            names_another = opened.read() == _MAGIC
    except OSError:
        return
    if names_another:
        raise BundleError(f"{journal} names another file; a change of this database never does")


def _schema_of(connection: sqlite3.Connection) -> list[tuple[str, str, str | None]]:
    return connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
