"""What a disk holds after a power cut, by what a process wrote to it and what it flushed.

The model, which asks of a program what POSIX and journalling file systems such as ext4 ask of it:

- A file's content is durable as of its last fsync or fdatasync. Each later write or change of size is kept or lost by
  itself, in any combination; a write may be torn into sectors of 512 bytes, of which any may be lost; one that is lost
  may have made the file longer all the same, by zeros.
- Entries of folders (created, renamed, removed) become durable when their folder is flushed. Of the others those up to
  some moment are kept, as by a journal. A flushed file may or may not make its own creation durable: ext4 does so,
  POSIX does not say it; either is tried.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SECTOR, EXCHANGE = 512, 2
_HEAD = struct.Struct("=IiQII")


class Record(NamedTuple):
    """One thing the process did: o(pen), w(rite), t(runcate), s(ync), c(lose), m(ake folder), u(nlink) or r(ename).

    Attributes:
        operation: Its letter.
        file: The descriptor, -1 where there is none.
        number: The offset of a write, the size of a truncation, 1 for an opening that created and 2 for one that cut,
            2 for a renaming that exchanged.
        first: The path, or the bytes written.
        second: The path that another was renamed to.
    """

    operation: str
    file: int
    number: int
    first: bytes
    second: str

    @property
    def path(self) -> str:
        return self.first.decode()


def read_log(path: Path) -> list[Record]:
    content, at, records = path.read_bytes(), 0, []
    while at < len(content):
        operation, file, number, n_first, n_second = _HEAD.unpack_from(content, at)
        middle = at + _HEAD.size + n_first
        at_end = middle + n_second
        records.append(
            Record(chr(operation), file, number, content[middle - n_first : middle], content[middle:at_end].decode())
        )
        at = at_end
    return records


@dataclass(eq=False)
class File:
    durable: bytes = b""
    now: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """What came after the last flush: bytes and where, or None and the size that the file was cut or grown to."""
    created_by: Entries | None = None


@dataclass(eq=False)
class Folder:
    durable: dict[str, File | Folder] = field(default_factory=dict)
    now: dict[str, File | Folder] = field(default_factory=dict)


@dataclass(eq=False)
class Entries:
    """What one call changed in folders: of each the name, and what lies there then, None: nothing."""

    changes: list[tuple[Folder, str, File | Folder | None]]
    is_durable: bool = False


class Disk:
    """A folder that a process writes to.

    Args:
        folder: What lies there before, all of it durable.
        syncs_entry: Whether flushing a file makes its creation durable.
    """

    def __init__(self, folder: Path, syncs_entry: bool) -> None:
        self._root = _read(folder)
        self._syncs_entry = syncs_entry
        self._open: dict[int, File | Folder] = {}
        self._journal: list[Entries] = []

    def apply(self, record: Record) -> None:
        if record.operation == "c":
            del self._open[record.file]
        elif record.operation == "s":
            self._sync(self._open[record.file])
        elif record.operation in "wt":
            file = self._open[record.file]
            assert isinstance(file, File)
            _change(file, record.number, record.first if record.operation == "w" else None)
        else:
            self._enter(record)

    def _enter(self, record: Record) -> None:
        folder, name = self._place(record.path)
        if record.operation == "o":
            if record.number & 1:
                file = File()
                file.created_by = self._journalled((folder, name, file))
            opened = folder.now[name] if name else folder
            self._open[record.file] = opened
            if record.number & 2:
                assert isinstance(opened, File)
                _change(opened, 0, None)
        elif record.operation == "m":
            self._journalled((folder, name, Folder()))
        elif record.operation == "u":
            self._journalled((folder, name, None))
        else:
            target, new_name = self._place(record.second)
            left = target.now[new_name] if record.number == EXCHANGE else None
            self._journalled((folder, name, left), (target, new_name, folder.now[name]))

    def after_power_cut(self, rng: random.Random) -> Folder:
        """What may be left if the power goes now."""
        n_kept = rng.choice([0, len(self._journal), rng.randint(0, len(self._journal))])
        entries: dict[int, dict[str, File | Folder]] = {}
        for at, one in enumerate(self._journal):
            if one.is_durable or at < n_kept:
                for folder, name, what in one.changes:
                    own = entries.setdefault(id(folder), dict(folder.durable))
                    _put(own, name, what)
        share = rng.choice([0.0, 0.5, 1.0])

        def left(folder: Folder) -> Folder:
            found = {
                name: left(what) if isinstance(what, Folder) else File(now=_torn(what, share, rng))
                for name, what in entries.get(id(folder), folder.durable).items()
            }
            return Folder(now=found)

        return left(self._root)

    def as_written(self) -> Folder:
        """What lies there if the power stays."""
        return self._root

    def _place(self, path: str) -> tuple[Folder, str]:
        *folders, name = path.split("/")
        at = self._root
        for one in folders:
            inner = at.now[one]
            assert isinstance(inner, Folder)
            at = inner
        return at, name

    def _journalled(self, *changes: tuple[Folder, str, File | Folder | None]) -> Entries:
        for folder, name, what in changes:
            _put(folder.now, name, what)
        self._journal.append(Entries(list(changes)))
        return self._journal[-1]

    def _sync(self, what: File | Folder) -> None:
        if isinstance(what, File):
            what.durable, what.pending = bytes(what.now), []
            if self._syncs_entry and what.created_by is not None:
                what.created_by.is_durable = True
            return
        for one in self._journal:
            one.is_durable |= any(folder is what for folder, _, _ in one.changes)
        while self._journal and self._journal[0].is_durable:
            for folder, name, entry in self._journal.pop(0).changes:
                _put(folder.durable, name, entry)


def rebuild(folder: Folder, place: Path, leaving_out: Sequence[str] = ()) -> None:
    """Writes what a disk holds to a new folder."""
    place.mkdir()
    for name, what in folder.now.items():
        if isinstance(what, Folder):
            rebuild(what, place / name)
        elif name not in leaving_out:
            (place / name).write_bytes(what.now)


def contents(folder: Folder, prefix: str = "") -> dict[str, bytes]:
    """The bytes of all files below a folder, by path."""
    found: dict[str, bytes] = {}
    for name, what in folder.now.items():
        found |= contents(what, f"{prefix}{name}/") if isinstance(what, Folder) else {prefix + name: bytes(what.now)}
    return found


def without_syncs(records: Iterable[Record], forgets: str) -> Iterator[Record]:
    """The same records of a process that forgot to flush what is called so: a suffix, "" for folders."""
    names: dict[int, str] = {}
    for record in records:
        if record.operation == "o":
            names[record.file] = record.path
        name = names.get(record.file, "")
        if record.operation != "s" or not (name.endswith(forgets) if forgets else name == ""):
            yield record


def _read(folder: Path) -> Folder:
    found: dict[str, File | Folder] = {}
    for path in folder.iterdir():
        found[path.name] = _read(path) if path.is_dir() else _durable(path.read_bytes())
    return Folder(found, dict(found))


def _durable(content: bytes) -> File:
    return File(content, bytearray(content))


def _put(entries: dict[str, File | Folder], name: str, what: File | Folder | None) -> None:
    if what is None:
        entries.pop(name, None)
    else:
        entries[name] = what


def _change(file: File, number: int, data: bytes | None) -> None:
    file.pending.append((number, data))
    _do(file.now, number, data)


def _do(content: bytearray, number: int, data: bytes | None) -> None:
    """Writes bytes at an offset, or gives the content a size."""
    size = number if data is None else max(len(content), number + len(data))
    if len(content) > size:
        del content[size:]
    content.extend(bytes(size - len(content)))
    if data is not None:
        content[number : number + len(data)] = data


def _torn(file: File, share: float, rng: random.Random) -> bytearray:
    """The content that was flushed, and a share of what came after."""
    content = bytearray(file.durable)
    for number, data in file.pending:
        is_kept, is_torn, is_longer = rng.random() < share, rng.random() < 0.3, rng.random() < 0.5
        if data is None:
            if is_kept:
                _do(content, number, None)
        elif is_kept and not (is_torn and share < 1):
            _do(content, number, data)
        else:
            if is_longer and share:
                _do(content, max(len(content), number + len(data)), None)
            for start in range(number - number % SECTOR, number + len(data), SECTOR):
                if is_kept and rng.random() < 0.5:
                    first, end = max(start, number), min(start + SECTOR, number + len(data))
                    _do(content, first, data[first - number : end - number])
    return content
