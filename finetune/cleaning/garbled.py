"""Texts whose characters look damaged: wrong decodings, binary data, encodings of it, noise."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

_DAMAGED_SHARE = 0.05
_MOJIBAKE_SHARE = 0.02
_LONG_WORD, _LONG_SHARE, _LONG_TEXT = 80, 0.5, 200
_COMPRESSED_SHARE = 0.06
_PAIRS_NEEDED, _TEXTS_NEEDED, _GAP = 50, 50, 2.0
_CATEGORIES = frozenset(("Cc", "Cn", "Co", "Cs"))
_LETTERS = re.compile(r"[a-z]+")


def _wrongly_decoded() -> re.Pattern[str]:
    """What UTF-8 of common characters looks like when it is read as Windows-1252."""
    characters = [*(chr(code) for code in range(0xA0, 0x180)), *"‘’“”–—…•€"]
    seen = set()
    for character in characters:
        try:
            seen.add(character.encode().decode("cp1252"))
        except UnicodeDecodeError:
            continue
    return re.compile("|".join(re.escape(shown) for shown in sorted(seen, key=len, reverse=True)))


_MOJIBAKE = _wrongly_decoded()


def find_garbled(texts: Sequence[str]) -> dict[int, str]:
    """Finds damaged texts, in any language.

    Args:
        texts: The texts of a collection; what is usual in it helps to see noise.

    Returns:
        What is wrong, by position: no words, characters that no text has, a wrong decoding, no spaces for long, the
        same over and over, or pairs of Latin letters that are improbable in this collection (mean log-probability
        under the collection's own pairs 2 below the median; random letters are 3 below it, code among prose at
        most 1.8; from 50 texts up).
    """
    found = {}
    for position, text in enumerate(texts):
        if reason := _damage(text):
            found[position] = reason
    for position in _improbable(texts):
        found.setdefault(position, "improbable letters")
    return found


def _damage(text: str) -> str | None:
    if not any(character.isalnum() for character in text):
        return "no words"
    damaged = sum(
        character == "\ufffd" or (unicodedata.category(character) in _CATEGORIES and character not in "\t\n\r\f")
        for character in text
    )
    if damaged > _DAMAGED_SHARE * len(text):
        return "undecodable characters"
    if not text.isascii() and len(_MOJIBAKE.findall(text)) > _MOJIBAKE_SHARE * len(text):
        return "wrong decoding"
    if len(text) < _LONG_TEXT:
        return None
    if text.isascii() and sum(len(word) for word in text.split() if len(word) > _LONG_WORD) > _LONG_SHARE * len(text):
        return "no spaces"
    encoded = text.encode("utf-8", "replace")
    if len(zlib.compress(encoded)) < _COMPRESSED_SHARE * len(encoded):
        return "repetition"
    return None


def _improbable(texts: Sequence[str]) -> list[int]:
    counts = [_pairs(text) for text in texts]
    judged = [position for position, pairs in enumerate(counts) if pairs.total() >= _PAIRS_NEEDED]
    if len(judged) < _TEXTS_NEEDED:
        return []
    total: Counter[str] = Counter()
    for position in judged:
        total.update(counts[position])
    logs = {pair: float(np.log((count + 1) / (total.total() + 27 * 27))) for pair, count in total.items()}
    means = np.array(
        [sum(n * logs[pair] for pair, n in counts[position].items()) / counts[position].total() for position in judged]
    )
    low = means < np.median(means) - _GAP
    return [position for position, is_low in zip(judged, low.tolist(), strict=True) if is_low]


def _pairs(text: str) -> Counter[str]:
    return Counter(first + second for word in _LETTERS.findall(text.lower()) for first, second in pairwise(f" {word} "))
