"""Asking parts that may fail or hang: what they give, or why there is nothing of it."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from numbers import Real
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Lock, Thread
from typing import Any, Generic, NamedTuple, TypeVar

from hybridret.errors import BundleError, HybridretError, InferenceError, InputError, MissingExtraError, ModelError

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
ENCODING, GUIDING, SEARCHING, SCORING = 0.5, 0.65, 0.8, 1.0
"""Which share of a time budget may be over when the encoder ends, docid's search waits no longer for dense hits, the
searches end, and the scoring of candidates ends."""
SETUP_ERRORS = (InputError, BundleError, MissingExtraError, ModelError)
"""Errors that no other part can make good: the caller's, the bundle's, and a model that is not there or not trusted.
An ``InferenceError``, though it is a ``ModelError``, is a failure like any other."""
MOST_OVERDUE = 4
"""How many calls of one part may be overdue and not yet ended before it is asked no more."""
_LONGEST = TIMEOUT_MAX / 2
_SHORTEST = 1e-6


class Budget:
    """Time that an answer may take.

    Args:
        seconds: How long from now on; None, infinity and what no clock can wait for: as long as it takes.

    Raises:
        InputError: It is no number above 0.
    """

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, Real) or not seconds > 0):
            raise InputError(f"time_budget must be a number of seconds above 0, not {seconds!r}")
        self._seconds = None if seconds is None or seconds >= _LONGEST else float(seconds)
        self._start = time.monotonic()

    def left(self, share: float) -> float | None:
        """Seconds until a share of the budget is over; None where there is no limit."""
        return None if self._seconds is None else max(0.0, self._start + share * self._seconds - time.monotonic())

    def until(self, share: float) -> Budget:
        """A budget of its own that ends when a share of this one is over; where that is the case, at once."""
        left = self.left(share)
        return Budget(None if left is None else max(left, _SHORTEST))

    @property
    def seconds(self) -> float | None:
        """How long it was when it was made; None where there is no limit."""
        return self._seconds


class Asked(NamedTuple, Generic[_T]):
    """What parts gave.

    Attributes:
        results: By part.
        failures: Why there is no result, by part.
    """

    results: dict[str, _T]
    failures: dict[str, str]


def ask(
    parts: Mapping[str, Callable[[], _T]],
    seconds: float | None,
    owner: object = None,
    raised: tuple[type[HybridretError], ...] = SETUP_ERRORS,
) -> Asked[_T]:
    """Asks parts; one that raises or takes too long fails alone.

    Without a limit they are asked one after the other. With one each has a thread of its own, and one that does not
    end is left behind. Of those at most ``MOST_OVERDUE`` a part are waited for to end: until then it fails at once, so
    that a part that hangs costs a bounded number of threads, and an overloaded one gets no further load.

    Args:
        parts: What to call, by name.
        seconds: How long all of them may take; None: as long as they do.
        owner: Whose parts they are: overdue calls are counted by owner and name.
        raised: Errors of the package that are no failures of a part but answers to the caller.

    Raises:
        HybridretError: A part raised one of these.
    """
    results: dict[str, _T] = {}
    failures: dict[str, str] = {}
    outcomes = _one_by_one(parts) if seconds is None else _at_once(parts, seconds, owner)
    for name, result, error in outcomes:
        if isinstance(error, raised) and not isinstance(error, InferenceError):
            raise error
        if error is None:
            results[name] = result
        else:
            failures[name] = f"{type(error).__name__}: {error}"
            _log.warning("%s was left out of an answer: %s", name, failures[name])
    return Asked(results, failures)


def obtain(name: str, part: Callable[[], _T], seconds: float | None, owner: object = None) -> _T:
    """What a part gives that nothing can stand in for; see ``ask``.

    Raises:
        BundleError: It failed or took too long.
        HybridretError: It raised an error of the package.
    """
    ((_, result, error),) = _one_by_one({name: part}) if seconds is None else _at_once({name: part}, seconds, owner)
    if error is None:
        given: _T = result
        return given
    if isinstance(error, HybridretError):
        raise error
    raise BundleError(f"{name} could not be read: {type(error).__name__}: {error}") from error


def is_overdue(name: str, owner: object) -> bool:
    """Whether so many calls of a part are overdue that it is asked no more."""
    return _overdue.count(name, owner) >= MOST_OVERDUE


_Outcome = tuple[str, Any, BaseException | None]


class _OverdueCalls:
    """How many calls nobody waits for any more that have not ended; each keeps its owner, and so its id, alive."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begins anew: in a forked process none of the threads goes on, and one may have held the lock."""
        self.lock, self._counts = Lock(), Counter[tuple[int, str]]()

    def count(self, name: str, owner: object) -> int:
        with self.lock:
            return self._counts[id(owner), name]

    def change(self, name: str, owner: object, by: int) -> None:
        """Counts, for who holds the lock."""
        self._counts[id(owner), name] += by
        if not self._counts[id(owner), name]:
            del self._counts[id(owner), name]


_overdue = _OverdueCalls()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_overdue.forget)


class _Call:
    """A call of a part in a thread of its own, which does not keep the interpreter from ending."""

    def __init__(self, name: str, part: Callable[[], Any], owner: object, outcomes: SimpleQueue[_Outcome]) -> None:
        self._name, self._part, self._owner, self._outcomes = name, part, owner, outcomes
        self._has_ended = self._is_overdue = False
        Thread(target=self._run, name=f"hybridret: {name}", daemon=True).start()

    def _run(self) -> None:
        try:
            outcome: _Outcome = (self._name, self._part(), None)
        except BaseException as error:  # also one that would end the thread: who waits must be told
            outcome = (self._name, None, error)
        with _overdue.lock:
            self._has_ended = True
            if self._is_overdue:
                _overdue.change(self._name, self._owner, -1)
        self._outcomes.put(outcome)

    def leave_behind(self) -> None:
        """Counts the call as overdue until it ends."""
        with _overdue.lock:
            if not self._has_ended:
                self._is_overdue = True
                _overdue.change(self._name, self._owner, 1)


def _one_by_one(parts: Mapping[str, Callable[[], Any]]) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    for name, part in parts.items():
        try:
            outcomes.append((name, part(), None))
        except Exception as error:
            outcomes.append((name, None, error))
    return outcomes


def _at_once(parts: Mapping[str, Callable[[], Any]], seconds: float, owner: object) -> list[_Outcome]:
    late = TimeoutError("its time was over")
    if seconds <= 0:
        return [(name, None, late) for name in parts]
    deadline = time.monotonic() + seconds
    ended: SimpleQueue[_Outcome] = SimpleQueue()
    calls: dict[str, _Call] = {}
    found: dict[str, _Outcome] = {}
    for name, part in parts.items():
        if is_overdue(name, owner):
            error = TimeoutError(f"{MOST_OVERDUE} calls before this one are overdue and have not ended")
            found[name] = (name, None, error)
            continue
        try:
            calls[name] = _Call(name, part, owner, ended)
        except RuntimeError as error:  # the system has no further thread
            found[name] = (name, None, error)
    while len(found) < len(parts):
        try:
            outcome = ended.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        found[outcome[0]] = outcome
    for name, call in calls.items():
        if name not in found:
            call.leave_behind()
    return [found.get(name, (name, None, late)) for name in parts]
