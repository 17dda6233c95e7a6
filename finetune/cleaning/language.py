"""Texts in another script or language than most of their collection."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache

from hybridret.words import WORD, normalise_text

_MAJORITY = 0.8
_FOREIGN = 0.2
_LETTERS_NEEDED = 20
_STOP_WORDS_NEEDED = 8
_AHEAD = 4
_SHARED_SCRIPTS = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "HANGUL": "HANGUL", "FULLWIDTH": "LATIN", "HALFWIDTH": "CJK"}

_STOP_WORDS = {
    "English": "the of and to in is that for it was with as are this be by from or which not an at were has have its",
    "German": "der die das und ist von den mit zu sich auf für dem nicht ein eine als auch es im wird sind oder bei",
    "French": "le la les des et est une dans que qui pour pas sur au du avec sont ce il par plus cette ou ses aux",
    "Spanish": "el la los las de y que en una por con para es se del al como su más pero sus este entre está lo",
    "Italian": "il di che la per una è non del con sono della si da gli nel alla dei anche come più delle ma questo",
    "Portuguese": "o de que e do da em um para não uma os com na se por mais as dos como mas foi ao ele das à seu",
    "Dutch": "de het een en van in is dat op te zijn met voor niet aan er om ook als door bij wordt maar uit naar",
}
_PROFILES = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}


def find_foreign(texts: Sequence[str]) -> dict[int, str]:
    """Finds texts in another script, or in Latin script in another language, than at least 80 % of the collection.

    A text is in another language where it has at least 8 stop words of one of seven European languages and 4 times as
    many as of the collection's language. Texts that show no language, such as code or lists, are kept.

    Args:
        texts: The texts of a collection.

    Returns:
        The script or language, by position; empty where a collection has no majority.
    """
    scripts = [_script(text) for text in texts]
    majority = _majority(scripts)
    if majority is None:
        return {}
    found = {
        position: f"{script} script"
        for position, script in enumerate(scripts)
        if script not in (None, majority) and _share(texts[position], majority) < _FOREIGN
    }
    counts = [_stop_words(text) if script == "LATIN" else {} for text, script in zip(texts, scripts, strict=True)]
    main = _majority([_language(count) for count in counts])
    if main is not None:
        for position, count in enumerate(counts):
            language = _language(count)
            if language not in (None, main) and count[str(language)] >= _AHEAD * count[main]:
                found.setdefault(position, str(language))
    return found


def _majority(labels: Sequence[str | None]) -> str | None:
    known = Counter(label for label in labels if label is not None)
    if not known:
        return None
    label, count = known.most_common(1)[0]
    return label if count >= _MAJORITY * known.total() else None


def _script(text: str) -> str | None:
    scripts = _scripts(text)
    return scripts.most_common(1)[0][0] if scripts.total() >= _LETTERS_NEEDED else None


def _share(text: str, script: str) -> float:
    scripts = _scripts(text)
    return scripts[script] / scripts.total()


def _scripts(text: str) -> Counter[str]:
    scripts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if character.isalpha():
            scripts[_script_of(character)] += count
    return scripts


@cache
def _script_of(character: str) -> str:
    name = unicodedata.name(character, "UNKNOWN").partition(" ")[0]
    return _SHARED_SCRIPTS.get(name, name)


def _stop_words(text: str) -> dict[str, int]:
    found = Counter(WORD.findall(normalise_text(text).lower()))
    return {language: sum(found[word] for word in words) for language, words in _PROFILES.items()}


def _language(counts: dict[str, int]) -> str | None:
    if not counts:
        return None
    language = max(counts, key=lambda name: counts[name])
    return language if counts[language] >= _STOP_WORDS_NEEDED else None
