"""Telling documents that were written to be found from those that were written to be read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from hybridret.data.poison.invisible import invisible_characters
from hybridret.data.poison.markup import commented, far_off, undisplayed
from hybridret.data.poison.stuffing import (
    Vocabulary,
    crowding,
    foreign_opening,
    listed,
    repeated_phrase,
    unconnected,
    words_of,
)
from hybridret.types import Document

_LEAST_REFERENCE, _HIGH, _NEVER_MORE = 50, 95, 99


class Signal(NamedTuple):
    """Something that a text can have too much of.

    Attributes:
        reason: What is said of such a text; the number goes in.
        floor: What is never too much.
        reach: How many times as far from the collection's median as its 95th percentile is what is too much.
        needs_reference: Whether it means nothing without a collection.
        ceiling: Collections whose limit lies above it are not of the kind in which the signal says anything.
    """

    reason: str
    floor: float
    reach: float
    needs_reference: bool = False
    ceiling: float = math.inf


SIGNALS = {
    "comment": Signal("{:.0f} words in a comment", 2, 3),
    "undisplayed": Signal("{:.0f} words in a hidden element or keyword metadata", 2, 3),
    "far off": Signal("{:.0f} words far below or beside the text", 0, 3),
    "phrase": Signal("a phrase over and over: {:.0f} words", 10, 3),
    "crowding": Signal("the same rare words again and again: {:.2f} of a passage", 0.3, 2.7, needs_reference=True),
    "unconnected": Signal("{:.0f} words without a function word", 20, 3, needs_reference=True, ceiling=40),
    "list": Signal("{:.0f} keywords in a row", 15, 3),
    "opening": Signal(
        "a first sentence that the rest does not take up: log-odds {:.1f}", 1.5, 2, needs_reference=True, ceiling=4
    ),
}


class Suspect(NamedTuple):
    """A document that looks poisoned.

    Attributes:
        document: The document.
        reasons: Why, in words.
    """

    document: Document
    reasons: list[str]


class Detector:
    """Knows what is usual in a collection and says what looks poisoned beside it.

    Hidden characters are always reported. Everything else is measured, and reported where it exceeds both a fixed
    floor and what the collection's own texts have: their 99th percentile, and their median plus some times the way
    from there to their 95th percentile. So a collection of code, tables or web pages sets limits of its own, and a
    few per cent of poison in it do not move them.

    Args:
        reference: Texts of the collection; with fewer than 50 only the floors count, and what needs a collection is
            not reported.
    """

    def __init__(self, reference: Iterable[str]) -> None:
        texts = list(reference)
        self._vocabulary = Vocabulary(map(words_of, texts))
        if len(texts) >= _LEAST_REFERENCE:
            usual = [self.measure(text) for text in texts]
            self._limits = {name: _limit(signal, [each[name] for each in usual]) for name, signal in SIGNALS.items()}
        else:
            self._limits = {name: _limit(signal, []) for name, signal in SIGNALS.items()}

    def measure(self, text: str) -> dict[str, float]:
        """How much of each signal a text has."""
        words = words_of(text)
        weights = self._vocabulary.weights(words)
        return {
            "comment": len(words_of(commented(text))),
            "undisplayed": len(words_of(undisplayed(text))),
            "far off": len(words_of(far_off(text))),
            "phrase": repeated_phrase(words),
            "crowding": crowding(words, weights),
            "unconnected": unconnected(words, self._vocabulary.function_words),
            "list": listed(text),
            "opening": foreign_opening(text, words, weights),
        }

    def reasons(self, text: str) -> list[str]:
        """Why a text looks poisoned; empty where it does not."""
        hidden = invisible_characters(text)
        found = [_named(hidden)] if hidden else []
        measured = self.measure(text)
        return found + [
            signal.reason.format(measured[name])
            for name, signal in SIGNALS.items()
            if measured[name] > self._limits[name]
        ]

    def suspects(self, documents: Sequence[Document]) -> list[Suspect]:
        """The documents that look poisoned, in their order."""
        looked_at = (Suspect(document, self.reasons(document.text)) for document in documents)
        return [suspect for suspect in looked_at if suspect.reasons]


def _limit(signal: Signal, values: Sequence[float]) -> float:
    """What is too much in a collection whose texts have these values, NaN where there is no telling."""
    known = [value for value in values if not math.isnan(value)]
    if len(known) < _LEAST_REFERENCE:
        return math.inf if signal.needs_reference else signal.floor
    median, high, most = np.percentile(known, [50, _HIGH, _NEVER_MORE]).tolist()
    limit: float = max(signal.floor, median + signal.reach * (high - median), most)
    return limit if limit <= signal.ceiling else math.inf


def _named(characters: Sequence[str]) -> str:
    codes = ", ".join(dict.fromkeys(f"U+{ord(character):04X}" for character in characters[:3]))
    return f"{len(characters)} invisible characters ({codes})"
