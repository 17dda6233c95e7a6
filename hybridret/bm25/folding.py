"""Letters that texts in a language write in more ways than one: case and accents."""

from __future__ import annotations

import unicodedata

import regex

_LETTERS_OF_THEIR_OWN = {
    "catalan": "",
    "dutch": "",
    "dutch_porter": "",
    "english": "",
    "french": "",
    "german": "",
    "indonesian": "",
    "irish": "",
    "italian": "",
    "porter": "",
    "portuguese": "",
    "spanish": "ñ",
}
"""Languages whose texts often leave accents out, with the letters that are others without theirs. In the languages that
are not here (Swedish, Polish, Turkish, Vietnamese ...) letters with marks have places of their own in the alphabet."""
_MARKED_LATIN = regex.compile(r"(\p{Latin})\p{Mn}+")
_UNDECOMPOSED = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h"}
)


def fold_case(word: str, language: str) -> str:
    """A word in lower case, so that words that differ in nothing else are the same (Unicode's case folding).

    Args:
        word: A word.
        language: The language that says what the small letter of ``I`` is: ``ı`` in Turkish.
    """
    if word.isascii() and language != "turkish":
        return word.lower()
    if language == "turkish":
        word = word.replace("I", "ı")
    return unicodedata.normalize("NFC", word.replace("İ", "i").casefold().replace("i\u0307", "i"))


def fold_accents(word: str, language: str) -> str:
    """A word without the accents of its Latin letters, where the language's texts often leave them out.

    Args:
        word: A word in lower case.
        language: A Snowball language.
    """
    if word.isascii() or language not in _LETTERS_OF_THEIR_OWN:
        return word
    spared = _LETTERS_OF_THEIR_OWN[language]
    folded = "".join(
        letter if letter in spared else _MARKED_LATIN.sub(r"\1", unicodedata.normalize("NFD", letter))
        for letter in unicodedata.normalize("NFC", word)
    )
    return unicodedata.normalize("NFC", folded).translate(_UNDECOMPOSED)
