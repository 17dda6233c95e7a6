"""Turning text into BM25 terms: words, names, identifiers, and pairs of characters where words are not spaced."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache

import regex
import Stemmer

from hybridret.bm25.folding import fold_accents, fold_case
from hybridret.bm25.plurals import singular
from hybridret.errors import InputError
from hybridret.words import PAIRED_RUN, UNPAIRED_WORD, is_paired_run, normalise_text, split_clusters, split_pairs

TOKENIZER_VERSION = 2
"""Grows with every change of the terms that a text gives; a bundle tells which its postings come from."""
STOP_WORDS = frozenset(
    """
    a about after all also an and any are as at be because been before being between both but by can could did do
    does doing during each few for from further had has have having he her here hers him his how i if in into is it
    its itself just me more most my no nor not of off on once only or other our ours out over own same she should so
    some such than that the their theirs them then there these they this those through to too under until up very was
    we were what when where which while who whom why will with would you your yours
    """.split()  # noqa: SIM905
)


def _token_pattern(word: str, letters: str) -> str:
    """A token: C++, C++17, C#, F# or .NET; words joined by dots, apostrophes and hyphens."""
    name = rf"(?<![{letters}])[A-Za-z](?:\+\+|\#)\d*(?![{letters}])"
    net = rf"(?<![{letters}.])\.(?:NET|Net|net)(?![{letters}])"
    part = rf"{word}(?:[.'·״]{word})*"
    return rf"{name}|{net}|{part}(?:[-‐](?![A-Za-z](?:\+\+|\#)){part})*"


_LETTERS = r"\p{L}\p{M}\p{N}_"
_ASCII_TOKEN = re.compile(_token_pattern("[A-Za-z0-9_]+", "A-Za-z0-9_"))
_TOKEN_OF_ANY_SCRIPT = regex.compile(f"{PAIRED_RUN}|{_token_pattern(UNPAIRED_WORD, _LETTERS)}", regex.V1)
_HYPHEN = re.compile("[-‐]")
_HYPHEN_AT_LINE_END = re.compile(r"(?<=\w[-‐])\r?\n(?=\w)")
_ACRONYM = "\0"
"""What stands before a token that is an acronym, though in small letters it is a stop word."""
_WITH_VERSION = re.compile(r"([A-Za-z](?:\+\+|#))\d+")
_DOTTED_INITIALS = regex.compile(r"\p{L}(?:\.\p{L})+")
_POSSESSIVE = re.compile("'s?$", re.IGNORECASE)
_EDGES = "_.'·״"
_UPPER, _OTHER_LETTER = r"[\p{Lu}\p{Lt}]", r"[[\p{L}\p{M}]--[\p{Lu}\p{Lt}]]"
_HUMP = regex.compile(
    rf"{_UPPER}{{2,}}s(?!{_OTHER_LETTER})|{_UPPER}+(?!{_OTHER_LETTER})|{_UPPER}?{_OTHER_LETTER}+|\d+", regex.V1
)
_MIXED_CASE = regex.compile(rf"{_OTHER_LETTER}{_UPPER}|{_UPPER}{{2}}{_OTHER_LETTER}", regex.V1)
_ACRONYMS = regex.compile(r"(?=.{3})[\p{Lu}\d]*\p{Lu}[\p{Lu}\d]*s")
_LEAST_SHOUTED = 3
_LONGEST_PREFIX = 3
"""A query's hyphenated word whose first part is no longer is also asked for as one word: e-mail, non-linear. Of longer
ones the parts alone are asked for: asked for thrice, one word would outweigh the others."""
_INDIC, _SHORT_INDIC = {"hindi", "nepali"}, 2
"""Words of two characters (with their marks) lose their root to Snowball's stemmer: it takes water for a betel leaf."""
_CACHED_WORDS, _CACHED_QUERIES = 500_000, 256


class Tokenizer:
    """Splits text into terms.

    Words are lower-cased, stop words dropped, the rest stemmed (Snowball). A word of mixed case gives itself, stemmed
    as in lower case, and its parts: ``DataFrames`` gives what ``dataframes`` gives, and ``data`` and ``frame``. An
    identifier with dots or underscores, such as ``os.path`` or ``read_csv``, gives itself, unstemmed, and its parts; a
    hyphenated word such as ``e-mail`` its parts and itself written as one; the plural of an acronym (``LLMs``) the
    acronym. ``C++``, ``C#`` and ``.NET`` are terms. A word in capitals that is a stop word in small letters (``WHO``,
    ``IT``) stays among words in small letters. Runs of Chinese, Japanese or Korean characters, and of Thai, Lao, Khmer
    and Burmese ones, give overlapping pairs of characters, the usual choice where no word segmenter is at hand (Nie et
    al., "On the use of words and n-grams for Chinese information retrieval", 2000). A lone character gives itself, and
    documents give all their characters as well, so that it finds them.

    Args:
        language: A Snowball language, such as ``english`` or ``german``, or ``none`` for no stemming. Stop words
            are known for English. Accents are dropped where texts in the language often leave them out.

    Raises:
        InputError: The language is unknown.
    """

    def __init__(self, language: str = "english") -> None:
        if language != "none" and language not in Stemmer.algorithms():
            known = ", ".join(["none", *Stemmer.algorithms()])
            raise InputError(f"no stemmer for language {language!r}; known are {known}")
        self.language = language
        self._is_english = language == "english"
        self._stop_words = STOP_WORDS if self._is_english else frozenset()
        self._in_capitals = frozenset(word.upper() for word in self._stop_words if len(word) > 1)
        self._joiner = "\u200c" if language == "persian" else ""
        self._stemmer = None if language == "none" else Stemmer.Stemmer(language)
        self._terms_of = lru_cache(_CACHED_WORDS)(self._token_terms)
        self._counts_of = lru_cache(_CACHED_QUERIES)(self._query_counts)

    def __call__(self, text: str) -> list[str]:
        """The terms of a query.

        Args:
            text: Any text.

        Returns:
            Terms in the order of the text, repeated as often as they occur.
        """
        return self._terms(text, of_document=False)

    def query_counts(self, text: str) -> Mapping[str, int]:
        """How often a query has each of its terms, in the order of their first occurrence; not to be changed.

        The last few hundred are remembered by their texts: search, scores of pooled rows, coverage and explanations ask
        for the same ones one after the other.

        Args:
            text: Any text.
        """
        return self._counts_of(text)

    def _query_counts(self, text: str) -> Mapping[str, int]:
        return Counter(self(text))

    def document_terms(self, text: str) -> list[str]:
        """The terms of a document: a query's, and further ones by which other spellings in queries find it.

        These are every character of a script that does not space its words, and every hyphenated word of two parts
        written as one.

        Args:
            text: Any text.

        Returns:
            Terms in the order of the text, repeated as often as they occur.
        """
        return self._terms(text, of_document=True)

    def _terms(self, text: str, of_document: bool) -> list[str]:
        terms: list[str] = []
        for token in self._tokens(text):
            if is_paired_run(token):
                pairs = split_pairs(token)
                if of_document and len(characters := split_clusters(token)) > 1:
                    terms += characters
                terms += pairs
            else:
                terms += self._terms_of(token, of_document)
        return terms

    def _tokens(self, text: str) -> list[str]:
        text = _HYPHEN_AT_LINE_END.sub("", normalise_text(text, self._joiner))
        pattern = _ASCII_TOKEN if text.isascii() else _TOKEN_OF_ANY_SCRIPT
        tokens: list[str] = pattern.findall(text)
        if self._in_capitals.isdisjoint(tokens):
            return tokens
        return [token for line in text.splitlines() for token in self._with_acronyms(pattern.findall(line))]

    def _with_acronyms(self, line: list[str]) -> Iterator[str]:
        """The tokens of a line, those marked that are acronyms and no stop words: capitals among small letters.

        A line of one or two words, as a query or a heading is, may hold nothing but acronyms.
        """
        has_small = any(len(token) > 1 and any(map(str.islower, token)) for token in line)
        is_shouted = len(line) >= _LEAST_SHOUTED and not has_small
        capitals = [token in self._in_capitals for token in line]
        for at, token in enumerate(line):
            stands_alone = capitals[at] and not any(capitals[max(0, at - 1) : at] + capitals[at + 1 : at + 2])
            yield _ACRONYM + token if stands_alone and not is_shouted else token

    def _token_terms(self, token: str, of_document: bool) -> tuple[str, ...]:
        if token[0] == _ACRONYM:
            return (token[1:].lower(),)
        if token[0] == "." or "+" in token or "#" in token:
            return _name_terms(token.lower())
        parts = [part.strip(_EDGES) for part in _HYPHEN.split(token)]
        if len(parts) == 1:
            return tuple(self._part_terms(parts[0]))
        is_mixed = not token.isupper()
        terms = [term for part in parts for term in self._part_terms(part, is_mixed)]
        is_compound = len(parts) == 2 and all(map(str.isalpha, parts))
        if is_compound and is_mixed and len(parts[0]) > 1 and parts[0].isupper():
            is_compound = False  # an acronym before a word: IT-based
        if is_compound and (of_document or len(parts[0]) <= _LONGEST_PREFIX):
            terms.insert(0, self._stem(fold_case("".join(parts), self.language)))
        return tuple(terms)

    def _part_terms(self, part: str, is_acronym: bool = False) -> list[str]:
        """The terms of a token without hyphens; one in capitals is no stop word where it is an acronym."""
        if _DOTTED_INITIALS.fullmatch(part):
            return [fold_case(part.replace(".", ""), self.language)]
        if self._is_english:
            part = _POSSESSIVE.sub("", part)
        components = [component for component in re.split(r"[._]+", part) if component]
        is_path = len(components) > 1
        terms = [fold_case(part, self.language)] if is_path else []
        for component in components:
            terms += self._component_terms(component, is_path, is_acronym and component.isupper())
        return terms

    def _component_terms(self, component: str, is_in_path: bool, is_acronym: bool) -> list[str]:
        """The terms of a token without hyphens, dots and underscores."""
        word = fold_case(component, self.language)
        if word in self._stop_words and not (is_acronym and len(word) > 1):
            return []
        stem = self._stem(word)
        if self._joiner and self._joiner in word:
            return list(dict.fromkeys([stem, self._stem(word.replace(self._joiner, ""))]))
        if _ACRONYMS.fullmatch(component):
            return list(dict.fromkeys([stem, self._stem(fold_case(component[:-1], self.language))]))
        humps = _HUMP.findall(component) if is_in_path or _MIXED_CASE.search(component) else []
        if len(humps) < 2:
            return [stem]
        parts = (fold_case(hump[:-1] if _ACRONYMS.fullmatch(hump) else hump, self.language) for hump in humps)
        return [stem, *(self._stem(part) for part in parts if part not in self._stop_words)]

    def _stem(self, word: str) -> str:
        if self._stemmer is None or (self.language in _INDIC and len(split_clusters(word)) <= _SHORT_INDIC):
            return word
        if self._is_english:
            folded = fold_accents(word, self.language)
            return self._stemmer.stemWord(singular(folded) or folded) or word
        return fold_accents(self._stemmer.stemWord(word) or word, self.language)


def _name_terms(name: str) -> tuple[str, ...]:
    """The terms of a name with signs in it: itself, and ``c++`` for ``c++17``, ``net`` for ``.net``."""
    if name[0] == ".":
        return name, name[1:]
    version = _WITH_VERSION.fullmatch(name)
    return (name, version[1]) if version else (name,)
