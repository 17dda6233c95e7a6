"""Turning text into BM25 terms: English words, identifiers, and Chinese, Japanese and Korean characters."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import Stemmer

from hybridret.errors import InputError

STOP_WORDS = frozenset(
    """
    a about after all also an and any are as at be because been before being between both but by can could did do
    does doing during each few for from further had has have having he her here hers him his how i if in into is it
    its itself just me more most my no nor not of off on once only or other our ours out over own same she should so
    some such than that the their theirs them then there these they this those through to too under until up very was
    we were what when where which while who whom why will with would you your yours
    """.split()  # noqa: SIM905
)
_KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
_IDEOGRAPHS = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_CJK = _KANA + _IDEOGRAPHS + "\uac00-\ud7af"
_TOKEN = re.compile(rf"[{_CJK}]+|[^\W{_CJK}]+(?:[.'][^\W{_CJK}]+)*")
_IS_CJK = re.compile(rf"[{_CJK}]")
_LOWER, _UPPER = r"[^\W\d_A-Z]", "[A-Z]"
_HUMP = re.compile(rf"{_UPPER}+(?!{_LOWER})|{_UPPER}?{_LOWER}+|\d+")
_CACHED_WORDS = 500_000


class Tokenizer:
    """Splits text into terms, the same way for documents and queries.

    Words are lower-cased, stop words dropped, the rest stemmed (Snowball). An identifier such as ``os.path``,
    ``read_csv`` or ``parseHTML`` gives itself, unstemmed, and its parts. Runs of Chinese, Japanese or Korean
    characters give overlapping bigrams (a lone character gives itself), the usual choice where no word
    segmenter is at hand (Nie et al., "On the use of words and n-grams for Chinese information retrieval", 2000).

    Args:
        language: A Snowball language, such as ``english`` or ``german``, or ``none`` for no stemming. Stop words
            are known for English.

    Raises:
        InputError: The language is unknown.
    """

    def __init__(self, language: str = "english") -> None:
        if language != "none" and language not in Stemmer.algorithms():
            known = ", ".join(["none", *Stemmer.algorithms()])
            raise InputError(f"no stemmer for language {language!r}; known are {known}")
        self.language = language
        self._stop_words = STOP_WORDS if language == "english" else frozenset()
        self._stemmer = None if language == "none" else Stemmer.Stemmer(language)
        self._terms_of = lru_cache(_CACHED_WORDS)(self._split_word)

    def __call__(self, text: str) -> list[str]:
        """Tokenises one text.

        Args:
            text: Any text; it is normalised to NFKC first.

        Returns:
            Terms in the order of the text, repeated as often as they occur.
        """
        terms: list[str] = []
        for token in _TOKEN.findall(text if text.isascii() else unicodedata.normalize("NFKC", text).replace("’", "'")):
            terms += self._terms_of(token)
        return terms

    def _split_word(self, token: str) -> tuple[str, ...]:
        if _IS_CJK.match(token):
            return (token,) if len(token) == 1 else tuple(token[i : i + 2] for i in range(len(token) - 1))
        word = token.lower()
        parts = [part.lower() for part in _HUMP.findall(token)] if _is_identifier(token) else []
        if len(parts) < 2:
            word = word.strip("_.'")
            return () if not word or word in self._stop_words else (self._stem(word),)
        return (word, *(self._stem(part) for part in parts if part not in self._stop_words))

    def _stem(self, word: str) -> str:
        return word if self._stemmer is None else self._stemmer.stemWord(word) or word


def _is_identifier(token: str) -> bool:
    """Whether a token has a dot or underscore inside or an upper-case letter after a lower-case one."""
    return "." in token or "_" in token or re.search(r"[^\W\d_A-Z][A-Z]|[A-Z]{2}[a-z]", token) is not None
