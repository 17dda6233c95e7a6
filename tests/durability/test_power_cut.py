"""A power cut at any moment: recorded writes are replayed with those not yet flushed dropped."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).parent
_SPEC = importlib.util.spec_from_file_location("changing", HERE / "changing.py")
assert _SPEC is not None
assert _SPEC.loader is not None
changing = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(changing)

SEED, CHANGES, CUTS, SECTOR = 3, 25, 250, 512


class Record(NamedTuple):
    """One thing the writer did: c(reate), w(rite), t(runcate), s(ync), u(nlink) or r(ename)."""

    operation: str
    path: str
    offset: int
    data: bytes


class File:
    """A file's content that was flushed, and what was written since."""

    def __init__(self, content: bytes = b"") -> None:
        self.durable = bytearray(content)
        self.pending: list[Record] = []

    def flush(self) -> None:
        self.durable = self.content(lambda _: 1.0)
        self.pending = []

    def content(self, kept_share: Any) -> bytearray:
        """The content with a share of each pending write kept: none, all, or whole sectors at its beginning."""
        content = bytearray(self.durable)
        for record in self.pending:
            share = kept_share(record)
            if record.operation == "t":
                if share:
                    content = content[: record.offset].ljust(record.offset, b"\0")
                continue
            length = len(record.data) if share == 1.0 else int(len(record.data) * share) // SECTOR * SECTOR
            if length:
                content = content.ljust(record.offset, b"\0")
                content[record.offset : record.offset + length] = record.data[:length]
        return content


class Disk:
    """A folder as a disk holds it.

    A file's content is durable as of its last sync; later writes are each kept, dropped or torn at a sector. A folder's
    entries are durable as of its last sync; of later ones, those up to some moment are kept, as a journalling file
    system does. Syncing a file does not make its entry durable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.durable = {path.name: File(path.read_bytes()) for path in folder.iterdir() if path.is_file()}
        self.now = dict(self.durable)
        self.entries: list[Record] = []
        self.made: dict[int, File] = {}

    def apply(self, record: Record) -> None:
        name = os.path.relpath(record.path, self.folder)
        if record.operation == "s" and name == ".":
            self.durable, self.entries = dict(self.now), []
        elif record.operation == "s":
            self.now[name].flush()
        elif record.operation in "wt":
            self.now[name].pending.append(record)
        else:
            if record.operation == "c":
                self.made[id(record)] = File()
            self.entries.append(record)
            self._enter(self.now, record)

    def after_power_cut(self, rng: random.Random) -> dict[str, bytes]:
        entries = dict(self.durable)
        for record in self.entries[: rng.randint(0, len(self.entries))]:
            self._enter(entries, record)
        shares = rng.choice([(0.0,), (1.0,), (0.0, 1.0), (0.0, 0.3, 0.7, 1.0)])
        return {name: bytes(file.content(lambda _: rng.choice(shares))) for name, file in entries.items()}

    def _enter(self, entries: dict[str, File], record: Record) -> None:
        name = os.path.relpath(record.path, self.folder)
        if record.operation == "c":
            entries[name] = self.made[id(record)]
        elif record.operation == "u":
            entries.pop(name, None)
        elif name in entries:
            entries[os.path.relpath(record.data.decode(), self.folder)] = entries.pop(name)


def read_log(path: Path) -> Iterator[Record]:
    content, at = path.read_bytes(), 0
    while at < len(content):
        operation, path_length, length, offset = struct.unpack_from("=4Q", content, at)
        at += 32
        name, data = content[at : at + path_length].decode(), content[at + path_length : at + path_length + length]
        at += path_length + length
        yield Record(chr(operation), name, offset, data)


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("recording writes needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("recorder") / "recorder.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, HERE / "recorder.c", "-ldl"], check=True)
    return library


@pytest.mark.slow
def test_after_a_power_cut_there_is_the_state_before_or_after_and_every_acknowledged_change(
    recorder: Path, tmp_path: Path
) -> None:
    folder, log = tmp_path / "bundle", tmp_path / "log"
    contents = changing.build(folder, SEED)
    (tmp_path / "contents.json").write_text(json.dumps(contents))
    disk = Disk(folder)
    environment = {**os.environ, "LD_PRELOAD": str(recorder), "RECORD_DIR": str(folder), "RECORD_LOG": str(log)}
    command = [sys.executable, "-W", "ignore", HERE / "changing.py", "write", folder, str(SEED), str(CHANGES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    states = changing.history(contents, SEED, CHANGES)
    assert changing.look(folder) == states[-1]
    records = list(read_log(log))
    assert {"c", "w", "s", "u", "t"} <= {record.operation for record in records} | {"t"}
    rng = random.Random(SEED)
    cuts = set(rng.sample(range(1, len(records)), min(CUTS, len(records) - 1)))
    n_acknowledged, seen = 0, set()
    for at, record in enumerate(records):
        if at in cuts:
            place = tmp_path / "after"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            for name, content in disk.after_power_cut(rng).items():
                (place / name).write_bytes(content)
            found = changing.look(place)
            possible = states[n_acknowledged : n_acknowledged + 2]
            assert found in possible, f"cut at record {at} after {n_acknowledged} acknowledged changes"
            seen.add(possible.index(found))
        if record.path.endswith(changing.ACK):
            n_acknowledged += record.operation == "w"
        else:
            disk.apply(record)
    assert n_acknowledged == CHANGES
    assert seen == {0, 1}
