"""Numbers by which words put there to be found differ from words that say something, in any language."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from hybridret.words import WORD, is_unspaced_run, normalise_text, split_pairs

_ASCII_WORD = re.compile("[a-z0-9]+")
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[؟。！？\n]")
_SEPARATOR = re.compile(r"[,;|，、；]")
_FULL_STOP = re.compile(r"[.!?。！？]\s*$")
FUNCTION_SHARE = 0.3
_LONGEST_PHRASE, _LEAST_TIMES = 60, 3
_WINDOW = 32
_ITEM_WORDS, _ITEM_CHARACTERS = 3, 60
_OPENING_CHARACTERS, _OPENING_WORDS, _REST_WORDS = 300, 3, 8
_SMOOTHING = 0.1


def words_of(text: str) -> list[str]:
    """Lower-cased words; runs of characters whose words no spaces tell apart give overlapping pairs."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    words: list[str] = []
    for word in WORD.findall(normalise_text(text).lower()):
        words += split_pairs(word) if is_unspaced_run(word) else [word]
    return words


class Vocabulary:
    """In which share of a collection's texts each word occurs.

    Args:
        texts: The texts, each as its words.
    """

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        counts: Counter[str] = Counter()
        size = 0
        for words in texts:
            counts.update(set(words))
            size += 1
        self.function_words = {word for word, count in counts.items() if count > FUNCTION_SHARE * size}
        self._weights = {word: 1 - math.log(count + 1) / math.log(size + 1) for word, count in counts.items()}

    def weights(self, words: Sequence[str]) -> list[float]:
        """The idf of each word as a share of that of an unknown one: 0 (in all texts) to 1."""
        known = self._weights
        return [known.get(word, 1.0) for word in words]


def repeated_phrase(words: Sequence[str]) -> float:
    """How many words repeat a phrase that stands at least three times in a row; phrases of one word count a third.

    Numbers alone are no phrase, for tables are full of them.
    """
    last: dict[tuple[str, str], int] = {}
    best, run, before = 0.0, 0, 0
    for at, pair in enumerate(pairwise(words)):
        gap = at - last.get(pair, -_LONGEST_PHRASE - 1)
        last[pair] = at
        run = run + 1 if gap == before else 1
        before = gap
        if gap <= _LONGEST_PHRASE and run >= (_LEAST_TIMES - 1) * gap - 1 and any(not w.isdigit() for w in pair):
            best = max(best, run / (3 if gap == 1 else 1.5 if gap == 2 else 1))
    return best


def crowding(words: Sequence[str], weights: Sequence[float]) -> float:
    """The rarity that repeated words have in the most repetitive 32 words of a text, by word: 0 to 1."""
    last: dict[str, int] = {}
    steps = [0.0] * (len(words) + 1)
    for at, word in enumerate(words):
        if word in last and at - (previous := last[word]) < _WINDOW:
            steps[max(0, at - _WINDOW + 1)] += weights[at]
            steps[previous + 1] -= weights[at]
        last[word] = at
    return max(accumulate(steps)) / _WINDOW


def unconnected(words: Sequence[str], function_words: set[str]) -> int:
    """The longest run of words without a function word or a number."""
    breaks = [at for at, word in enumerate(words) if word in function_words or word[0].isdigit()]
    return max(after - before for before, after in pairwise([-1, *breaks, len(words)])) - 1


def listed(text: str) -> int:
    """The longest row of items of one to three words, numbers alone left out, between separators in one line."""
    best = 0
    for line in text.split("\n"):
        run = 0
        for item in _SEPARATOR.split(line):
            run = run + 1 if _is_item(item) else 0
            best = max(best, run)
    return best


def _is_item(text: str) -> bool:
    if len(text) > _ITEM_CHARACTERS or _FULL_STOP.search(text):
        return False
    words = words_of(text)
    return 1 <= len(words) <= _ITEM_WORDS and not all(word.isdigit() for word in words)


def foreign_opening(text: str, words: Sequence[str], weights: Sequence[float]) -> float:
    """How much more of the first sentence's idf is in words that do not come again than in words that do: log-odds.

    Args:
        text: The text.
        words: Its words.
        weights: Their idf.

    Returns:
        The logarithm of the ratio, a tenth of an unknown word added to both sides; NaN where there is no telling, as
        there are fewer than three words or hardly any rest.
    """
    for end in _SENTENCE_END.finditer(text, 0, _OPENING_CHARACTERS):
        length = len(words_of(text[: end.end()]))
        if length >= _OPENING_WORDS:
            rest = set(words[length:])
            if len(rest) < _REST_WORDS:
                return math.nan
            foreign = sum(weight for word, weight in zip(words[:length], weights, strict=False) if word not in rest)
            return math.log((foreign + _SMOOTHING) / (sum(weights[:length]) - foreign + _SMOOTHING))
    return math.nan
