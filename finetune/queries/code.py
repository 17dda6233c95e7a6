"""Questions from programs: what a docstring or comment says, and what a name spells."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from finetune.queries.base import DocumentMaker, Draft, Drafts
from finetune.queries.text import Span, as_query, is_code, split_identifier, without, word_spans
from hybridret.types import Document

_DOCSTRING = re.compile(r'("""|\'\'\')(?P<text>.+?)\1|/\*\*?(?P<block>.+?)\*/', re.DOTALL)
_LINE_COMMENT = re.compile(r"(?:#|//)[ \t]*(?P<text>[^\n]{10,})")
_NAME = re.compile(r"\b(?:def|class|function|func|fn)[ \t]+(?P<name>\w+)|\b(?P<method>\w+)[ \t]*\([^)\n]*\)[ \t]*\{")
_LANGUAGES = (
    ("python", re.compile(r"^[ \t]*(?:def \w+\(.*\).*:|class \w+.*:|from \w+ import )", re.MULTILINE)),
    ("javascript", re.compile(r"\bfunction\b.*\{|=>|\bconst \w+ =", re.MULTILINE)),
    ("java", re.compile(r"\bpublic (?:static |final )*\w+", re.MULTILINE)),
    ("go", re.compile(r"^func ", re.MULTILINE)),
    ("c++", re.compile(r"#include|std::", re.MULTILINE)),
)
_FIELD = re.compile(r"^\s*(?::\w+|@\w+|Args?:|Arguments:|Parameters?\b|Returns?:|Raises:|>>>|\.\. )", re.MULTILINE)
_WORDS = (3, 24)
_STARTS = ("how to {0}", "{1} {0}", "{0} in {1}", "{1} how to {0}", "{0}", "{0}")


class CodeMaker(DocumentMaker):
    """A docstring's or comment's first sentence asks and the program without it answers; so does the spelled-out name.

    Half of the queries name the programming language or begin like a search. Texts that are no programs give none.
    """

    name = "code"

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Needs nothing of the collection."""
        return _code_drafts


def _code_drafts(document: Document, source: random.Random) -> Iterator[Draft]:
    if not is_code(document.text):
        return
    language = next((name for name, pattern in _LANGUAGES if pattern.search(document.text)), "")
    drafts = [*_described(document.text), *_named(document.text)]
    for draft in drafts:
        template = source.choice(_STARTS)
        yield draft._replace(text=" ".join(template.format(draft.text, language).split()).removesuffix(" in"))


def _described(text: str) -> Iterator[Draft]:
    for found in (_DOCSTRING.search(text), _LINE_COMMENT.search(text)):
        if found is None:
            continue
        said = found["text"] if found.re is _LINE_COMMENT or found["text"] else found["block"]
        said = _FIELD.split(said.replace("*", " "), maxsplit=1)[0]
        sentence = re.split(r"\.\s|\n\s*\n|\.$", said.strip(), maxsplit=1)[0]
        query = as_query(sentence).lower()
        if _WORDS[0] <= len(word_spans(query)) <= _WORDS[1]:
            yield Draft(query, without(text, Span(*found.span())))


def _named(text: str) -> Iterator[Draft]:
    found = _NAME.search(text)
    if found is not None:
        query = split_identifier(found["name"] or found["method"])
        if len(query.split()) > 1:
            yield Draft(query)
