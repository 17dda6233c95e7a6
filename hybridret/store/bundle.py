"""The files of a bundle on disk: a folder with the database, the array files that its state names, and the model.

Array files are named by part and generation and never change once written. The SQLite transaction that writes a
new state, naming the new files, is the commit; files that the state does not name are leftovers.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from hybridret.errors import BundleError
from hybridret.types import Arrays

DATABASE = "hybridret.sqlite"
MODEL_FOLDER, BACKBONE_FOLDER = "dense", "backbone"
_ARRAY_FILE = re.compile(r"[a-z0-9]{1,32}\.\d{1,18}\.safetensors")
_BLOCK = 1 << 20


class ArrayFile(NamedTuple):
    """A file of arrays as the state names it.

    Attributes:
        name: File name inside the bundle.
        sha256: Checksum of its bytes, in hexadecimal.
        bytes: Its size.
        rows: How many rows of the index it covers, those of a part's files in their order.
    """

    name: str
    sha256: str
    bytes: int
    rows: int


class Bundle:
    """The files of a bundle's folder.

    Args:
        folder: Where it lies.

    Raises:
        BundleError: There is no bundle.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.identity = self._identity()
        if self.identity is None:
            what = "does not exist, or may not be looked into"
            if os.path.exists(folder):  # noqa: PTH110
                what = "has no " + DATABASE if folder.is_dir() else "is a file"
            raise BundleError(f"{folder} is not a hybridret bundle: it {what}")

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / DATABASE

    @property
    def model(self) -> Path:
        """The encoder's folder, which a bundle with a foreign encoder lacks."""
        return self.folder / MODEL_FOLDER

    @property
    def backbone(self) -> Path:
        """The folder of the language model that writes docids, which most bundles lack."""
        return self.folder / BACKBONE_FOLDER

    def copy_models(self, folder: Path) -> None:
        """Copies the encoder and the language model, where there are any, into another folder."""
        for own in (self.model, self.backbone):
            if own.is_dir():
                shutil.copytree(own, folder / own.name)

    def is_in_place(self) -> bool:
        """Whether the folder still holds the database that was opened, not another that took its place.

        Raises:
            BundleError: The bundle has been deleted.
        """
        identity = self._identity()
        if identity is None:
            raise BundleError(f"{self.folder} has been deleted")
        return identity == self.identity

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.database.stat()
        except (OSError, ValueError):
            return None
        return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None

    def handle(self, file: ArrayFile) -> BinaryIO:
        """Opens an array file, whose content can then be read even where a change removes the file.

        Raises:
            BundleError: The state names what no bundle has, or the file is missing.
        """
        if not _ARRAY_FILE.fullmatch(file.name):
            raise BundleError(f"{self.folder} names a file {file.name!r} that no bundle has")
        path = self.folder / file.name
        check_entry(path)
        try:
            return path.open("rb")
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}") from error

    def read(self, file: ArrayFile, handle: BinaryIO | None = None) -> Arrays:
        """Reads arrays and checks their checksum.

        Args:
            file: The file as the state names it.
            handle: The opened file; by default it is opened here. It is closed.

        Raises:
            BundleError: The file is missing, truncated or changed.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = self.folder / file.name
        try:
            with handle or self.handle(file) as opened:
                size = os.fstat(opened.fileno()).st_size
                content = opened.read() if size == file.bytes else b""
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}") from error
        if len(content) != file.bytes:
            raise BundleError(f"{path} is damaged: it has {size} bytes instead of {file.bytes}")
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise BundleError(f"{path} is damaged: its checksum is wrong")
        try:
            return load(content)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{path} is damaged: {error}") from error

    def array_files(self) -> list[str]:
        """The names of all array files that lie here, leftovers of interrupted changes included."""
        return [path.name for path in self.folder.iterdir() if _ARRAY_FILE.fullmatch(path.name)]

    def remove(self, names: Iterable[str]) -> None:
        """Removes array files that no committed state names; one that resists stays as a leftover."""
        for name in names:
            if _ARRAY_FILE.fullmatch(name):
                try:
                    (self.folder / name).unlink(missing_ok=True)
                except OSError:
                    continue


def check_entry(path: Path) -> None:
    """Refuses what could lead out of a bundle, or be read without end.

    Raises:
        BundleError: A link, a pipe or a device lies there.
    """
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "no file"
            raise BundleError(f"{path} is {kind}; a bundle has none")


def write_arrays(folder: Path, part: str, generation: int, arrays: Arrays, rows: int) -> ArrayFile:
    """Writes arrays to a new file, flushed to disk before this returns; its folder's entry is not.

    Raises:
        BundleError: It cannot be written; nothing of it is left.
    """
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    path = folder / f"{part}.{generation}.safetensors"
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise BundleError(f"{path} cannot be written: {error.strerror}") from error
    return ArrayFile(path.name, hashlib.sha256(content).hexdigest(), len(content), rows)


def model_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a model's folder, by its path inside; empty where there is no folder.

    Raises:
        BundleError: A link lies there, which could lead out of the bundle, or something that is no file.
    """
    digests = {}
    check_entry(folder)
    for path in sorted(folder.rglob("*")):
        check_entry(path)
        if path.is_file():
            digests[path.relative_to(folder).as_posix()] = file_digest(path)
    return digests


def changed_files(folder: Path, digests: dict[str, str]) -> list[str]:
    """Files of a model's folder that are missing, new or not what they were, by their path inside."""
    found = model_digests(folder)
    return sorted(name for name in {*found, *digests} if found.get(name) != digests.get(name))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Flushes a file, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flushes everything below a folder, and the folder, to disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)


def names_of(files: dict[str, list[ArrayFile]]) -> Sequence[str]:
    """The names of all files of a state."""
    return [file.name for part in files.values() for file in part]
