"""A checksum of the database file beside it, so that a flipped byte is found also where SQLite keeps nothing.

The seal holds for one value of the database's change counter. A change removes it before it writes to the database:
SQLite does not put back what lay in the free pages that an interrupted change used, so that a seal of the state before
would call the database damaged. Where a crash leaves no seal, every document and the state have checksums of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from contextlib import suppress
from pathlib import Path

from hybridret.errors import BundleError
from hybridret.store.bundle import Bundle, check_entry, file_digest
from hybridret.store.documents import DocumentStore

SEAL = "hybridret.sqlite.seal"
SEALED_UP_TO = 16 << 20
"""Bytes of a database up to which every commit writes a seal: hashing takes some 15 ms then."""
_COUNTER, _VERSION_VALID_FOR = slice(24, 28), slice(92, 96)
"""Where SQLite's file format 1.3.7 and 1.3.18 keep the change counter and its copy."""


def break_seal(folder: Path) -> None:
    """Removes the seal; to be called in a transaction, before anything is written.

    Raises:
        BundleError: It cannot be removed.
    """
    try:
        (folder / SEAL).unlink(missing_ok=True)
    except OSError as error:
        raise BundleError(f"{folder} cannot be written to: {error.strerror}") from error


def seal_store(bundle: Bundle, store: DocumentStore) -> None:
    """Writes the seal of a bundle's open database, with the write lock held: so it is never one of an earlier state.

    A large database gets none, nor does one that another process is changing, which then writes its own, or one in
    whose place another bundle lies. Where it cannot be written there is none.
    """
    with suppress(BundleError, OSError):
        if bundle.database.stat().st_size <= SEALED_UP_TO:
            with store.transaction(waits=False):
                image = store.image()
                if image is not None and bundle.is_in_place():
                    _write(bundle.folder, image[_COUNTER], hashlib.sha256(image).hexdigest())


def seal_file(folder: Path, database: Path) -> None:
    """Writes the seal of a database file, of any size, that no process has open."""
    with database.open("rb") as file:
        counter = file.read(_COUNTER.stop)[_COUNTER]
    _write(folder, counter, file_digest(database))


def broken_seal(folder: Path, image: bytes | None) -> str | None:
    """What is wrong with a database by its seal; None where nothing is, or where the seal is of an earlier state."""
    if image is None:
        return None
    if image[_COUNTER] != image[_VERSION_VALID_FOR]:
        return "its change counter is wrong"
    path = folder / SEAL
    check_entry(path)
    try:
        content = path.read_text(encoding="utf-8")
        _, counter, digest = json.loads(content)
        if content != _encoded(counter, digest):
            raise ValueError("its checksum is wrong")
    except FileNotFoundError:
        return None
    except (OSError, RecursionError, TypeError, UnicodeDecodeError, ValueError) as error:
        raise BundleError(f"{path} is damaged: {error}") from error
    if counter != image[_COUNTER].hex() or digest == hashlib.sha256(image).hexdigest():
        return None
    return "its checksum is wrong"


def _encoded(counter: str, digest: str) -> str:
    return json.dumps([zlib.crc32(f"{counter}{digest}".encode()), counter, digest])


def _write(folder: Path, counter: bytes, digest: str) -> None:
    """Writes the seal beside its place and renames it, so that there is always a whole one."""
    beside = folder / f".{SEAL}.new"
    try:
        beside.unlink(missing_ok=True)
        with beside.open("x", encoding="utf-8") as file:
            file.write(_encoded(counter.hex(), digest))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(folder / SEAL)
    except OSError:
        beside.unlink(missing_ok=True)
