"""Forked processes: what a parent has open goes on in its children.

A child has none of its parent's other threads. What they held would stay locked for ever, so that a fork waits until
no thread is inside a change or a query. A child opens databases anew, as SQLite demands ("How To Corrupt An SQLite
Database File", 2.6). And it computes with one thread: OpenMP's others did not come along, and torch and FAISS would
wait for them without end.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from functools import cached_property
from threading import Lock
from typing import Any, Protocol, TypeAlias
from weakref import WeakSet

_log = logging.getLogger(__name__)
_PACKAGE = __name__.partition(".")[0]
_PATIENCE_SECONDS = 10.0
"""How long a fork waits in all; what a thread holds longer is of no use to the child, and says so when it is used."""
AnyLock: TypeAlias = Any


class Forkable(Protocol):
    """What has to know of a fork."""

    def fork_locks(self) -> Iterable[AnyLock]:
        """What no other thread may hold, in the order in which threads take them."""

    def forked(self, is_sound: bool) -> None:
        """Called in the child, with the locks held; not sound: another thread held one."""


_outer: WeakSet[AnyLock] = WeakSet()
_forkables: WeakSet[Forkable] = WeakSet()
_leaves: WeakSet[AnyLock] = WeakSet()
_held: list[AnyLock] = []
_unsound: list[Forkable] = []


def new_lock(is_outer: bool = False) -> Lock:
    """A lock that no other thread holds when the process forks.

    Args:
        is_outer: Whether locks of a ``Forkable`` are taken while it is held; else no lock is.
    """
    lock = Lock()
    (_outer if is_outer else _leaves).add(lock)
    return lock


def register(forkable: Forkable) -> None:
    """Has something know of forks for as long as it lives."""
    _forkables.add(forkable)


def keep_for_ever(*objects: object) -> None:
    """Lets no one clean up what another process uses."""
    for each in objects:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))


def _before() -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS

    def take(lock: AnyLock) -> bool:
        is_taken = bool(lock.acquire(timeout=max(0.0, deadline - time.monotonic())))
        if is_taken:
            _held.append(lock)
        return is_taken

    for lock in list(_outer):
        take(lock)
    for forkable in list(_forkables):
        if not all(take(lock) for lock in forkable.fork_locks()):
            _unsound.append(forkable)
    for lock in list(_leaves):
        take(lock)


def _release() -> None:
    while _held:
        _held.pop().release()
    _unsound.clear()


def _in_child() -> None:
    try:
        if _forkables:
            _limit_threads()
        for forkable in list(_forkables):
            forkable.forked(forkable not in _unsound)
        for lock in [*_outer, *_leaves]:
            if lock not in _held:
                lock._at_fork_reinit()
        for lock in _locks_of_cached_properties():
            lock._at_fork_reinit()
    finally:
        _release()


def _locks_of_cached_properties() -> Iterator[AnyLock]:
    """Up to Python 3.11 all objects of a class share a lock for each ``cached_property``; what it guards is whole."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == _PACKAGE:
            for kind in [each for each in vars(module).values() if isinstance(each, type)]:
                found = (each for each in vars(kind).values() if isinstance(each, cached_property))
                yield from (each.lock for each in found if hasattr(each, "lock"))


def _limit_threads() -> None:
    """Has torch and FAISS compute with this thread alone, where they are loaded."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    if (faiss := sys.modules.get("faiss")) is not None:
        faiss.omp_set_num_threads(1)
    _log.info("forked: torch and FAISS compute with one thread in process %d", os.getpid())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_release, after_in_child=_in_child)
