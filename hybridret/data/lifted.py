"""Questions made of a corpus alone: a text lifted out of a document, which is then without it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hybridret.words import is_unspaced, split_clusters

_ENDS = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])|\n+")
_EDGES = " \t\"'`#*/-–—•>|"
_FOREIGN = re.compile(r"[(){}\[\]=<>_\\/`|@#$^~+]")
_SENTENCE, _UNSPACED_SENTENCE = (4, 40), (8, 60)
_SPAN = (5, 13)


class Lifted(NamedTuple):
    """A question and what is left of its document.

    Attributes:
        query: The lifted text.
        rest: The document without it.
    """

    query: str
    rest: str


def lift_sentence(text: str, generator: np.random.Generator) -> Lifted | None:
    """Lifts a sentence of prose out; none where there is no such sentence beside which something is left.

    Sentences with brackets, operators or underscores are no prose: people do not ask in code.

    Args:
        text: The document.
        generator: Draws the sentence.
    """
    low, high = _UNSPACED_SENTENCE if is_unspaced(text) else _SENTENCE
    sentences = [part.strip(_EDGES) for part in _ENDS.split(text)]
    sentences = [each for each in sentences if low <= _length(each) <= high and not _FOREIGN.search(each)]
    if not sentences:
        return None
    chosen = sentences[int(generator.integers(len(sentences)))]
    return _lifted(chosen, text.replace(chosen, " ", 1))


def lift_span(text: str, generator: np.random.Generator) -> Lifted | None:
    """Lifts 5 to 12 words in a row out, or as many pairs of characters where words are not spaced.

    Of short documents at most half are lifted; none where less than three words would be.

    Args:
        text: The document.
        generator: Draws length and place.
    """
    has_no_spaces = is_unspaced(text)
    units = split_clusters(text) if has_no_spaces else text.split()
    length = int(generator.integers(*_SPAN)) * (2 if has_no_spaces else 1)
    if len(units) < 2 * length:
        length = len(units) // 2
    if length < 3:
        return None
    start, joint = int(generator.integers(0, len(units) - length + 1)), "" if has_no_spaces else " "
    rest = joint.join([*units[:start], *units[start + length :]])
    return _lifted(joint.join(units[start : start + length]), rest)


LIFTERS: dict[str, Callable[[str, np.random.Generator], Lifted | None]] = {
    "sentence": lift_sentence,
    "span": lift_span,
}


def _lifted(query: str, rest: str) -> Lifted | None:
    least = (_UNSPACED_SENTENCE if is_unspaced(rest) else _SENTENCE)[0]
    return Lifted(query, rest.strip()) if query.strip() and _length(rest) >= least else None


def _length(text: str) -> int:
    return len(text) if is_unspaced(text) else len(text.split())
