"""A bundle on disk: a folder with the database, the array files that its state names, and the encoder's model.

Array files are named by part and generation and never change once written. The SQLite transaction that writes a
new state, naming the new files, is the commit; files that the state does not name are leftovers.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hybridret.errors import BundleError
from hybridret.types import Arrays

DATABASE = "hybridret.sqlite"
MODEL_FOLDER = "dense"
_ARRAY_FILE = re.compile(r"[a-z0-9]+\.\d+\.safetensors")


class ArrayFile(NamedTuple):
    """A file of arrays as the state names it.

    Attributes:
        name: File name inside the bundle.
        sha256: Checksum of its bytes, in hexadecimal.
        bytes: Its size.
    """

    name: str
    sha256: str
    bytes: int


class Bundle:
    """The files of a bundle's folder.

    Args:
        folder: Where it lies.

    Raises:
        BundleError: There is no bundle.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / DATABASE).is_file():
            what = "has no " + DATABASE if folder.is_dir() else "does not exist" if not folder.exists() else "is a file"
            raise BundleError(f"{folder} is not a hybridret bundle: it {what}")

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / DATABASE

    @property
    def model(self) -> Path:
        """The encoder's folder, which a bundle with a foreign encoder lacks."""
        return self.folder / MODEL_FOLDER

    def read(self, file: ArrayFile) -> Arrays:
        """Reads arrays and checks their checksum.

        Raises:
            BundleError: The file is missing, truncated or changed.
        """
        from safetensors.numpy import load

        if not _ARRAY_FILE.fullmatch(file.name):
            raise BundleError(f"{self.folder} names a file {file.name!r} that no bundle has")
        path = self.folder / file.name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}") from error
        if len(content) != file.bytes:
            raise BundleError(f"{path} is damaged: it has {len(content)} bytes instead of {file.bytes}")
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise BundleError(f"{path} is damaged: its checksum is wrong")
        return load(content)

    def write(self, part: str, generation: int, arrays: Arrays) -> ArrayFile:
        """Writes arrays to a new, durable file of a generation."""
        return write_arrays(self.folder, part, generation, arrays)

    def array_files(self) -> list[str]:
        """The names of all array files that lie here, leftovers of interrupted changes included."""
        return [path.name for path in self.folder.iterdir() if _ARRAY_FILE.fullmatch(path.name)]

    def remove(self, names: Sequence[str]) -> None:
        """Removes array files that no committed state names."""
        for name in names:
            if _ARRAY_FILE.fullmatch(name):
                (self.folder / name).unlink(missing_ok=True)


def write_arrays(folder: Path, part: str, generation: int, arrays: Arrays) -> ArrayFile:
    """Writes arrays to a new file, flushed to disk before this returns.

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
        path.unlink(missing_ok=True)
        raise BundleError(f"{path} cannot be written: {error.strerror}") from error
    return ArrayFile(path.name, hashlib.sha256(content).hexdigest(), len(content))


def check_target(path: Path) -> None:
    """Checks that a bundle may be written to a path.

    Raises:
        BundleError: Something lies there that is neither a bundle nor an empty folder, or a file is in the way.
    """
    nearest = next(place for place in (path, *path.resolve().parents) if place.exists())
    if nearest == path and (path.is_file() or (any(path.iterdir()) and not (path / DATABASE).is_file())):
        raise BundleError(f"{path} exists and is not a bundle; it is left as it is")
    if not nearest.is_dir():
        raise BundleError(f"{path} cannot be written: {nearest} is a file")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A fresh folder beside ``path`` that takes its place at the end; on an error nothing is left of it.

    Args:
        path: Where the folder is wanted. An empty folder or a bundle that lies there is replaced.

    Raises:
        BundleError: Something else lies there, or the place cannot be written to.
    """
    path = path.resolve()
    check_target(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror}") from error
    try:
        yield fresh
        fresh.chmod(0o755)
        if path.exists():
            _replace(path, fresh)
        else:
            fresh.rename(path)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _replace(path: Path, fresh: Path) -> None:
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent)) / path.name
    path.rename(old)
    try:
        fresh.rename(path)
    except BaseException:
        old.rename(path)
        raise
    finally:
        shutil.rmtree(old.parent)
