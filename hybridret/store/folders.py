"""Putting a whole folder where another lies, at once or not at all."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from hybridret.errors import BundleError
from hybridret.store.bundle import DATABASE, sync, sync_tree

_HERE, _EXCHANGE = -100, 2
"""``AT_FDCWD`` and ``RENAME_EXCHANGE`` of Linux's renameat2(2)."""


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
def new_folder(path: Path, held: AbstractContextManager[None] | None = None) -> Iterator[Path]:
    """A fresh folder beside ``path`` that takes its place at the end; on an error nothing is left of it.

    Args:
        path: Where the folder is wanted. An empty folder or a bundle that lies there is replaced.
        held: Entered while that is done; None: nothing needs to be held.

    Raises:
        BundleError: Something else lies there, or the place cannot be written to.
    """
    path = path.resolve()
    check_target(path)
    try:
        made = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        yield fresh
        fresh.chmod(0o755)
        sync_tree(fresh)
        with held or nullcontext():
            if path.exists():
                _swap(path, fresh)
            else:
                fresh.rename(path)
        for place in (path, *made):
            sync(place.parent)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise BundleError(f"{path} cannot be written: {error.strerror or error}") from error
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _swap(path: Path, fresh: Path) -> None:
    """Puts ``fresh`` at ``path`` and removes what lay there: in one step where the system can exchange two folders."""
    if not _exchange(path, fresh):
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent)) / path.name
        try:
            path.rename(old)
            fresh.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            old.parent.rmdir()
            raise
        fresh = old.parent
    shutil.rmtree(fresh, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return bool(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)
