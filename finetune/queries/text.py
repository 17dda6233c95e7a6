"""Parts of texts by their places: titles, sentences, words; and what kind of text it is."""

from __future__ import annotations

import re
from typing import NamedTuple

import regex

from hybridret.bm25.tokenizer import STOP_WORDS
from hybridret.types import Document
from hybridret.words import CLUSTER, PLAIN_WORD, UNSPACED

_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s)|[。！？；]+[”’」』）]*|\n\s*\n")
_ABBREVIATIONS = frozenset(
    "e.g i.e etc vs al fig figs eq eqs ref refs dr mr mrs ms prof st no vol pp cf ca approx dept inc ltd jr sr".split()  # noqa: SIM905
)
_WORD = regex.compile(rf"(?={UNSPACED}){CLUSTER}|{PLAIN_WORD}(?:['’.\-_/]{PLAIN_WORD})*", regex.V1)
_CODE_LINE = re.compile(
    r"^[ \t]*(?:def \w+ ?\(|class \w+[:({]|async def |function\b.*\{|public |private |protected |static |#include|"
    r"import [\w.]+(?: as \w+)?[ \t]*;?$|from \w+ import|(?:var|let|const) \w+ =|func \w+\(|fn \w+|return\b.*[();])",
    re.MULTILINE,
)
_MARKS = "#*=-_ \t"
_TITLE_WORDS = 20
_ENGLISH = 0.15


class Span(NamedTuple):
    """A part of a text: from a first character to before a last one."""

    start: int
    end: int


def split_title(document: Document) -> tuple[str, str]:
    """A document's title and the rest of its text.

    The title is the metadata ``title`` where the text begins with it, else a first line of at most 20 words before
    other lines that does not end like a sentence.

    Returns:
        Title and rest; an empty title where there is none.
    """
    text, title = document.text, document.metadata.get("title")
    if isinstance(title, str) and title.strip() and text.startswith(title):
        return title.strip(), text[len(title) :].strip()
    first, line_end, rest = text.strip().partition("\n")
    heading = first.strip(_MARKS)
    if line_end and rest.strip() and heading and not heading.endswith((".", ",", ";", ":", "{", ")")):
        words = word_spans(heading)
        if 0 < len(words) <= _TITLE_WORDS and not _CODE_LINE.match(first):
            return heading, rest.strip()
    return "", text.strip()


def sentence_spans(text: str) -> list[Span]:
    """The sentences of a text in Latin-like scripts, Chinese or Japanese; abbreviations and initials do not end one."""
    spans, start = [], 0
    for end in _END.finditer(text):
        if _ends_sentence(text, end):
            spans.append(Span(start, end.end()))
            start = end.end()
    spans.append(Span(start, len(text)))
    trimmed = (_trimmed(text, span) for span in spans)
    return [span for span in trimmed if _WORD.search(text, span.start, span.end)]


def _ends_sentence(text: str, end: re.Match[str]) -> bool:
    if not end.group().startswith("."):
        return True
    before = text[max(0, end.start() - 20) : end.start()]
    if before.endswith((" ", "\n")):
        return True
    last = before.split()[-1] if before.split() else ""
    last = last.lstrip("([\"'“‘").lower()
    following = text[end.end() : end.end() + 3].strip()
    if last in _ABBREVIATIONS or (len(last) == 1 and last.isalpha()):
        return False
    return not following or not following[0].islower()


def _trimmed(text: str, span: Span) -> Span:
    part = text[span.start : span.end]
    start = span.start + len(part) - len(part.lstrip())
    return Span(start, max(start, span.start + len(part.rstrip())))


def word_spans(text: str) -> list[Span]:
    """The words of a text; each character of a script without spaces is one."""
    return [Span(*match.span()) for match in _WORD.finditer(text)]


def without(text: str, span: Span) -> str:
    """A text without one of its parts."""
    before, after = text[: span.start].rstrip(), text[span.end :].lstrip()
    gap = " " if before and after else ""
    return f"{before}{gap}{after}"


def is_code(text: str) -> bool:
    """Whether a text looks like the source of a program."""
    return len(_CODE_LINE.findall(text)) >= 1 and text.count("\n") >= 1 and any(mark in text for mark in "(){};=")


def is_english(text: str) -> bool:
    """Whether at least 15 % of a text's words are English stop words."""
    words = [word.lower() for word in _WORD.findall(text)]
    return sum(word in STOP_WORDS for word in words) >= _ENGLISH * max(len(words), 1) and bool(words)


def split_identifier(name: str) -> str:
    """The words of an identifier such as ``read_csv``, ``os.path`` or ``parseHTML``, lower-cased, spaces between."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return " ".join(part.lower() for part in parts)


def as_query(text: str) -> str:
    """A lifted text as a query: white space single, without the full stop and marks at its ends."""
    return " ".join(text.split()).strip(" .;:,。；：，\"'“”‘’*#_")
