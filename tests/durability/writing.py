"""Writers as processes of their own.

``writing.py serve`` starts one for each line on its input, to be killed; ``writing.py write FOLDER SEED N`` makes N
changes and ``writing.py replace FOLDER SEED N`` puts N bundles into one place. Both note in the file ACK when each
begins and when it is acknowledged.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss  # noqa: F401
from changing import apply, build, encoder, history

import hybridret.generation
from hybridret.hybrid import HybridIndex

ACK = "ACK"
PLACE = "new/place/bundle"
_FEW_PAGES, _FEW_DEAD = 10, 12


def small_limits() -> None:
    """Has few documents go through what a million would: a full page cache, and compaction of its own accord."""
    connect = sqlite3.connect

    def with_few_pages(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.execute(f"PRAGMA cache_size = {_FEW_PAGES}")
        return connection

    sqlite3.connect = with_few_pages  # type: ignore[assignment]
    assert hybridret.generation._COMPACT_FROM > _FEW_DEAD
    hybridret.generation._COMPACT_FROM = _FEW_DEAD


def serve() -> None:
    """Starts a writer for each line, as a copy of this process, and says how it ended."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            write_until_killed(**json.loads(line))
        _, status = os.waitpid(child, 0)
        os.write(1, f"ended {os.WTERMSIG(status) if os.WIFSIGNALED(status) else 'alive'}\n".encode())


def write_until_killed(folder: str, seed: int, first: int, has_small_limits: bool, way: str, n: int) -> None:
    """Changes a bundle without end, saying when each change begins and when it is acknowledged.

    Args:
        folder: The bundle.
        seed: Seed of the changes.
        first: Number of the first change.
        has_small_limits: See ``small_limits``.
        way: ``call`` or ``write``: the process kills itself at the n-th call into C or at the n-th write, flush or
            other change of the file system; else it waits to be killed.
        n: See ``way``.
    """
    if has_small_limits:
        small_limits()
    index = HybridIndex.open(Path(folder), encoder())
    contents = {document.doc_id: document for document in index.get(sorted(index.ids()))}
    os.write(1, f"writer {os.getpid()}\n".encode())
    if way == "write":
        ctypes.CDLL(None).kill_at(ctypes.c_long(n))
    elif way == "call":
        _kill_at_call(n)
    for change, _ in history(contents, seed, first):
        os.write(1, b"begins\n")
        apply(index, change)
        os.write(1, b"done\n")


def _kill_at_call(n: int) -> None:
    left = n

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal left
        if event in ("c_call", "c_return"):
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


def write(folder: Path, seed: int, n: int) -> None:
    small_limits()
    index = HybridIndex.open(folder, encoder())
    contents = {document.doc_id: document for document in index.get(sorted(index.ids()))}
    with (folder / ACK).open("wb", buffering=0) as acknowledged:
        for _, (change, _) in zip(range(n), history(contents, seed), strict=False):
            acknowledged.write(b"begins\n")
            apply(index, change)
            acknowledged.write(b"done\n")


def replace(folder: Path, seed: int, n: int) -> None:
    with (folder / ACK).open("wb", buffering=0) as acknowledged:
        for number in range(n):
            acknowledged.write(b"begins\n")
            build(folder / PLACE, seed + number, 20)
            acknowledged.write(b"done\n")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    actions: dict[str, Callable[[Path, int, int], None]] = {"write": write, "replace": replace}
    if sys.argv[1] in actions:
        actions[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
