"""Asking parts that may fail or hang: what they give, or why there is nothing of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, NamedTuple, TypeVar

from hybridret.errors import HybridretError

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
ENCODING, GUIDING, SEARCHING, SCORING = 0.5, 0.65, 0.8, 1.0
"""Which share of a time budget may be over when the encoder ends, docid's search waits no longer for dense hits, the
searches end, and the scoring of candidates ends."""


class Budget:
    """Time that an answer may take.

    Args:
        seconds: How long from now on; None: as long as it takes.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds, self._start = seconds, time.monotonic()

    def left(self, share: float) -> float | None:
        """Seconds until a share of the budget is over; None where there is no limit."""
        return None if self._seconds is None else max(0.0, self._start + share * self._seconds - time.monotonic())


class Asked(NamedTuple, Generic[_T]):
    """What parts gave.

    Attributes:
        results: By part.
        failures: Why there is no result, by part.
    """

    results: dict[str, _T]
    failures: dict[str, str]


def ask(parts: Mapping[str, Callable[[], _T]], seconds: float | None) -> Asked[_T]:
    """Asks parts; one that raises or takes too long fails alone.

    Without a limit they are asked one after the other. With one each has a thread of its own, and one that does not
    end is left behind.

    Args:
        parts: What to call, by name.
        seconds: How long all of them may take; None: as long as they do.

    Raises:
        HybridretError: A part raised one: that is no failure but an answer.
    """
    results: dict[str, _T] = {}
    failures: dict[str, str] = {}
    outcomes = _one_by_one(parts) if seconds is None else _at_once(parts, seconds)
    for name, result, error in outcomes:
        if isinstance(error, HybridretError):
            raise error
        if error is None:
            results[name] = result
        else:
            failures[name] = f"{type(error).__name__}: {error}"
            _log.warning("%s was left out of an answer: %s", name, failures[name])
    return Asked(results, failures)


def _outcome(name: str, part: Callable[[], Any]) -> tuple[str, Any, Exception | None]:
    try:
        return name, part(), None
    except Exception as error:
        return name, None, error


def _one_by_one(parts: Mapping[str, Callable[[], Any]]) -> list[tuple[str, Any, Exception | None]]:
    return [_outcome(name, part) for name, part in parts.items()]


def _at_once(parts: Mapping[str, Callable[[], Any]], seconds: float) -> list[tuple[str, Any, Exception | None]]:
    late = TimeoutError("its time was over")
    if seconds <= 0:
        return [(name, None, late) for name in parts]
    ended: SimpleQueue[tuple[str, Any, Exception | None]] = SimpleQueue()
    for name, part in parts.items():
        Thread(target=lambda name=name, part=part: ended.put(_outcome(name, part)), daemon=True).start()
    deadline, found = time.monotonic() + seconds, dict[str, tuple[str, Any, Exception | None]]()
    while len(found) < len(parts):
        try:
            outcome = ended.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        found[outcome[0]] = outcome
    return [found.get(name, (name, None, late)) for name in parts]
