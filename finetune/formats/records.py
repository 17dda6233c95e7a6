"""The form in which all formats hand over their labels, and checks of its parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from finetune.formats.problems import Problem


class Passage(NamedTuple):
    """A document that a label names.

    Attributes:
        doc_id: Its id, None where the format has none.
        text: Its text, None where the format gives the id alone.
    """

    doc_id: str | None
    text: str | None


class Record(NamedTuple):
    """One labelled question of a file.

    Attributes:
        place: File and line.
        query_id: Its id, None where the format has none.
        text: The question.
        positives: Passages that answer it.
        negatives: Passages that do not.
        scores: A teacher's score of each positive, then of each negative; empty where the file has none.
        task: Its kind, for batches of one kind.
        prompt: Text before the question, where the file gives one.
        answer: A written answer.
        grades: How well each positive answers it; empty: all alike.
    """

    place: str
    query_id: str | None
    text: str
    positives: list[Passage]
    negatives: list[Passage]
    scores: list[float] = []  # noqa: RUF012
    task: str = "retrieval"
    prompt: str | None = None
    answer: str | None = None
    grades: list[int] = []  # noqa: RUF012


class Faults:
    """Collects the problems of one record.

    Args:
        place: File and line.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.found: list[Problem] = []

    def text(self, value: Any, name: str) -> str:
        """Checks that a value is a text with something in it."""
        if not isinstance(value, str):
            self._add(f"{name} must be a string, not {_shown(value)}")
        elif not value.strip():
            self._add(f"{name} is empty")
        else:
            return value
        return ""

    def name(self, value: Any, name: str) -> str:
        """Checks that a value is an id: a text with something in it, or a whole number."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else self.text(value, name)

    def texts(self, value: Any, name: str, needed: bool) -> list[str]:
        """Checks that a value is a list of texts with something in them."""
        return [self.text(item, f"{name}[{place}]") for place, item in enumerate(self.items(value, name, needed))]

    def items(self, value: Any, name: str, needed: bool) -> list[Any]:
        """Checks that a value is a list; a missing one is empty."""
        if value is None and not needed:
            return []
        if not isinstance(value, list):
            self._add(f"{name} must be a list, not {_shown(value)}" if value is not None else f"{name} is missing")
            return []
        if needed and not value:
            self._add(f"{name} is empty")
        return value

    def scores(self, value: Any, name: str, count: int) -> list[float]:
        """Checks that a value is a list of so many finite numbers; a missing one is empty."""
        values = self.items(value, name, False)
        if wrong := [item for item in values if not _is_number(item)]:
            self._add(f"{name} must hold finite numbers, not {_shown(wrong[0])}")
        elif values and len(values) != count:
            self._add(f"{name} has {len(values)} scores for {count} passages")
        else:
            return [float(item) for item in values]
        return []

    def _add(self, message: str) -> None:
        self.found.append(Problem(self.place, message))


Parsed = Iterator[Record | Problem]
"""What a format's reader yields: usable records, and problems of the others, in the order of the file."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 60 else shown[:57] + '...'}"
