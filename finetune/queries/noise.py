"""Noise as people type it, and rewordings that keep the meaning: each takes a text and a source of random numbers."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from finetune.queries.synonyms import SYNONYMS
from finetune.queries.text import sentence_spans
from hybridret.bm25.tokenizer import STOP_WORDS
from hybridret.words import is_unspaced

Rewrite = Callable[[str, random.Random], str]

_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_TYPO_LENGTH = 4
_SYNONYM_SHARE = 0.5
_DROPPED_SHARE = 0.3


def _neighbours() -> dict[str, str]:
    near: dict[str, str] = {}
    for row, keys in enumerate(_KEYBOARD):
        for column, key in enumerate(keys):
            beside = keys[max(0, column - 1) : column] + keys[column + 1 : column + 2]
            below = _KEYBOARD[row + 1][max(0, column - 1) : column + 1] if row + 1 < len(_KEYBOARD) else ""
            above = _KEYBOARD[row - 1][column : column + 2] if row else ""
            near[key] = beside + below + above
    return near


NEIGHBOURS = _neighbours()
"""Keys beside a letter on a QWERTY keyboard."""


def typo(text: str, source: random.Random) -> str:
    """One slip in a word of at least four letters: a neighbouring key, two letters swapped, one missing or doubled."""
    places = [match for match in re.finditer(r"[A-Za-z]+", text) if len(match.group()) >= _TYPO_LENGTH]
    if not places:
        return text
    place = source.choice(places)
    word = place.group()
    at = source.randrange(1, len(word) - 1)
    slip = source.randrange(4)
    if slip == 0:
        changed = word[:at] + source.choice(NEIGHBOURS[word[at].lower()]) + word[at + 1 :]
    elif slip == 1:
        changed = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif slip == 2:
        changed = word[:at] + word[at + 1 :]
    else:
        changed = word[:at] + word[at] + word[at:]
    return text[: place.start()] + changed + text[place.end() :]


def synonyms(text: str, source: random.Random) -> str:
    """Half of the words that have synonyms become one of them, at least one where there is any."""
    places = [match for match in re.finditer(r"[A-Za-z]+", text) if match.group().lower() in SYNONYMS]
    if not places:
        return text
    count = max(1, round(_SYNONYM_SHARE * len(places)))
    for place in sorted(source.sample(places, count), key=lambda match: -match.start()):
        other = source.choice(SYNONYMS[place.group().lower()])
        text = text[: place.start()] + other + text[place.end() :]
    return text


def keywords(text: str, source: random.Random) -> str:
    """Without stop words, lower-cased: what is left when people type no grammar."""
    kept = [word for word in re.findall(r"[^\s,;:!?]+", text.lower()) if word.strip(".'\"()") not in STOP_WORDS]
    return " ".join(kept) or text


def drop_words(text: str, source: random.Random) -> str:
    """Without three in ten of its words, in their order."""
    words = text.split()
    count = len(words) - round(_DROPPED_SHARE * len(words))
    kept = sorted(source.sample(range(len(words)), count))
    return " ".join(words[place] for place in kept) or text


def reorder(text: str, source: random.Random) -> str:
    """Its sentences, else the parts between its commas, in another order; without either, its halves swapped."""
    spans = sentence_spans(text)
    parts = [text[span.start : span.end] for span in spans]
    gap = " "
    if len(parts) < 2:
        parts, gap = [part.strip() for part in text.rstrip(".").split(",")], ", "
    if len(parts) < 2:
        words = text.split()
        parts, gap = [" ".join(words[len(words) // 2 :]), " ".join(words[: len(words) // 2])], " "
        return gap.join(part for part in parts if part)
    first = source.randrange(1, len(parts))
    rest = [part for place, part in enumerate(parts) if place != first]
    source.shuffle(rest)
    return gap.join([parts[first], *rest])


def lower_case(text: str, source: random.Random) -> str:
    """Lower-cased and without punctuation at word ends."""
    return " ".join(word.strip(".,;:!?\"'()[]") for word in text.lower().split())


REWRITES: dict[str, Rewrite] = {
    "typo": typo,
    "synonyms": synonyms,
    "keywords": keywords,
    "drop_words": drop_words,
    "reorder": reorder,
    "lower_case": lower_case,
}
"""All kinds of rewriting by name."""


def rewrite(text: str, source: random.Random) -> str:
    """One to three different rewritings, one after the other; texts in ideographs are reordered or kept as they are."""
    if is_unspaced(text):
        return reorder(text, source)
    for name in source.sample(list(REWRITES), source.randint(1, 3)):
        text = REWRITES[name](text, source)
    return text
