"""The phrases that tell a document from the others of its collection."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from finetune.queries.text import word_spans
from hybridret.bm25.tokenizer import STOP_WORDS
from hybridret.words import is_unspaced

_LONGEST = 3
_EARLY = 0.5
_BREAKS = frozenset(".,;:!?()[]{}\"“”'`|/\\=<>+*。，；：！？（）《》「」、\n")


class Keyphrase(NamedTuple):
    """A phrase of a document.

    Attributes:
        text: As it stands in the document, lower-cased.
        weight: How much it says of the document; positive.
    """

    text: str
    weight: float


class Keyphrases:
    """Finds the keyphrases of documents by the rarity, number and place of their words.

    A phrase is a run of up to three words (up to six ideographs) that neither starts nor ends with a stop word and
    crosses no punctuation. It weighs the mean of its words' (1 + ln tf) idf, times log2(1 + number of words), half as
    much again at the document's begin as at its end: position and frequency as in YAKE (Campos et al., "YAKE! Keyword
    extraction from single documents using multiple local features", 2020), rarity from the collection. Words that more
    than a fifth of the documents have, and more than ten, count as stop words.

    Args:
        texts: The texts of the collection.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._frequency: Counter[str] = Counter()
        for text in texts:
            self._frequency.update({term for term, _, _ in _terms(text)})
        self._documents = len(texts)
        self._common = max(0.2 * len(texts), 10)

    def idf(self, term: str) -> float:
        """The rarity of a word: ln((N + 1) / (n + 0.5)), n the documents that have it."""
        return math.log((self._documents + 1) / (self._frequency[term] + 0.5))

    def is_stop_word(self, term: str) -> bool:
        """Whether a word says nothing of a document."""
        return term in STOP_WORDS or self._frequency[term] > self._common or (len(term) < 2 and term.isascii())

    def __call__(self, text: str, count: int) -> list[Keyphrase]:
        """Finds a document's best phrases, no word twice.

        Args:
            text: The document.
            count: How many phrases to find at most.

        Returns:
            Phrases, the best first.
        """
        terms = _terms(text)
        occurrences = Counter(term for term, _, _ in terms)
        found: dict[str, Keyphrase] = {}
        for first in range(len(terms)):
            for last in range(first, min(first + _LONGEST, len(terms))):
                run = terms[first : last + 1]
                if last > first and _is_broken(text, terms[last - 1], terms[last]):
                    break
                if self.is_stop_word(run[0][0]) or self.is_stop_word(run[-1][0]):
                    continue
                phrase = text[run[0][1] : run[-1][2]].lower()
                weight = sum((1 + math.log(occurrences[term])) * self.idf(term) for term, _, _ in run) / len(run)
                weight *= math.log2(1 + len(run)) * (1 + _EARLY * (1 - first / len(terms)))
                if weight > 0 and (phrase not in found or found[phrase].weight < weight):
                    found[phrase] = Keyphrase(phrase, weight)
        return _distinct(sorted(found.values(), key=lambda phrase: (-phrase.weight, phrase.text)), count)


def _terms(text: str) -> list[tuple[str, int, int]]:
    """Lower-cased words with their places; runs of ideographs in pairs."""
    spans = word_spans(text)
    if not is_unspaced(text):
        return [(text[span.start : span.end].lower(), span.start, span.end) for span in spans]
    pairs, at = [], 0
    while at < len(spans):
        together = [spans[at]]
        if at + 1 < len(spans) and spans[at + 1].start == spans[at].end:
            together.append(spans[at + 1])
        pairs.append((text[together[0].start : together[-1].end].lower(), together[0].start, together[-1].end))
        at += len(together)
    return pairs


def _is_broken(text: str, before: tuple[str, int, int], after: tuple[str, int, int]) -> bool:
    return any(character in _BREAKS for character in text[before[2] : after[1]])


def _distinct(phrases: list[Keyphrase], count: int) -> list[Keyphrase]:
    taken: list[Keyphrase] = []
    words: set[str] = set()
    for phrase in phrases:
        own = {phrase.text[span.start : span.end] for span in word_spans(phrase.text)}
        if len(taken) < count and not own & words:
            taken.append(phrase)
            words |= own
    return taken
