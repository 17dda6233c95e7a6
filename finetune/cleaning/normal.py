"""The forms of a text in which copies are equal."""

from __future__ import annotations

import hashlib
import unicodedata

import regex

from hybridret.words import IDEOGRAPHIC, WORD, is_unspaced_run, normalise_text, split_clusters

_PUNCTUATION_AFTER = ".,;:!?…。、"
_ENDS = "?!…。"
_QUOTES = "\"'“”„«»`"
_BETWEEN_IDEOGRAPHS = regex.compile(rf"(?<={IDEOGRAPHIC})[\s,;:!?。、]+|[\s,;:!?。、]+(?={IDEOGRAPHIC})", regex.V1)
_WORD_OR_SIGN = regex.compile(rf"{WORD.pattern}|[^\s\p{{Cf}}]", regex.V1)


def words(text: str) -> list[str]:
    """Words of a text, case and width aside; each character of a script without spaces is one, punctuation is none."""
    return _split(WORD.findall(normalise_text(text).casefold()))


def words_and_signs(text: str) -> list[str]:
    """Words of a text as they are written, and its punctuation and other signs, one by one."""
    return _split(_WORD_OR_SIGN.findall(normalise_text(text)))


def _split(tokens: list[str]) -> list[str]:
    return [part for token in tokens for part in (split_clusters(token) if is_unspaced_run(token) else [token])]


def exact_form(text: str) -> str:
    """A text in which nothing that a reader sees is changed: composed (NFC), its white space single."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def normal_form(text: str) -> str:
    """A text without what hardly ever tells two questions or lines apart: case, width, quotes, punctuation after words.

    Signs that carry meaning stay: ``C++``, ``a > b``, ``-5``, ``./build``.
    """
    text = _BETWEEN_IDEOGRAPHS.sub("", normalise_text(text).casefold())
    text = text.rstrip().rstrip(_ENDS) or text
    tokens = (token.strip(_QUOTES).rstrip(_PUNCTUATION_AFTER + _QUOTES) or token for token in text.split())
    return " ".join(tokens)


def content_hash(*parts: str) -> str:
    """A hash of texts that does not depend on process or machine: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()
