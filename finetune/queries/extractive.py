"""Questions that are lifted out of their documents: titles, sentences, claims and spans.

Taking the passage away from its document makes the pair a task of meaning rather than of equal words (Lee, Chang and
Toutanova, "Latent retrieval for weakly supervised open domain question answering", 2019: the inverse cloze task).
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from finetune.cleaning.normal import normal_form
from finetune.queries.base import DocumentMaker, Draft, Drafts
from finetune.queries.text import (
    Span,
    as_query,
    is_code,
    sentence_spans,
    split_identifier,
    split_title,
    without,
    word_spans,
)
from hybridret.types import Document

_SHARED_TITLE = 2
_BODY_WORDS = 5
_SENTENCE_WORDS = (5, 40)
_SENTENCES_NEEDED = 3
_SPAN_WORDS = (4, 10)
_SUMMARY_WORDS = (3, 30)
_CLAIM = re.compile(
    r"\b(?:show|shows|showed|suggest|suggests|suggested|indicate|indicates|indicated|demonstrate|demonstrates|"
    r"demonstrated|find|found|conclude|concluded|reveal|revealed|reveals|confirm|confirmed|report|reported|propose|"
    r"observed|discovered|identified)\b(?: here)? that (.{20,})",
    re.IGNORECASE | re.DOTALL,
)


class TitleMaker(DocumentMaker):
    """The title asks, the rest of the document answers; titles that more than two documents share ask nothing."""

    name = "titles"

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Counts how many documents bear a title."""
        bearers = Counter(normal_form(split_title(document)[0]) for document in documents)

        def drafts(document: Document, source: random.Random) -> Iterator[Draft]:
            title, body = split_title(document)
            if not title or bearers[normal_form(title)] > _SHARED_TITLE or len(word_spans(body)) < _BODY_WORDS:
                return
            words = split_identifier(title) if " " not in title else as_query(title)
            yield Draft(words, body)

        return drafts


class SentenceMaker(DocumentMaker):
    """A sentence asks, the document without it answers; of a sentence that reports a claim, the claim alone asks.

    Documents of fewer than three sentences and programs give none.
    """

    name = "sentences"

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Needs nothing of the collection."""
        return _lifted_sentences


def _lifted_sentences(document: Document, source: random.Random) -> Iterator[Draft]:
    title, body = split_title(document)
    spans = sentence_spans(body)
    if len(spans) < _SENTENCES_NEEDED or is_code(document.text):
        return
    lowest, highest = _SENTENCE_WORDS
    for span in source.sample(spans, len(spans)):
        sentence = body[span.start : span.end]
        claim = _CLAIM.search(sentence)
        text = as_query(claim.group(1) if claim else sentence)
        if lowest <= len(word_spans(text)) <= highest:
            yield Draft(text, f"{title} {without(body, span)}".strip())


class SummaryMaker(DocumentMaker):
    """The first sentence of an entry asks, its heading and the rest answer: what a name means, told by its description.

    An entry is a text under a title or after a first line of its own, as reference works and catalogues have them.
    """

    name = "summaries"

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Needs nothing of the collection."""
        return _summary


def _summary(document: Document, source: random.Random) -> Iterator[Draft]:
    title, body = split_title(document)
    if not title:
        title, _, body = (part.strip() for part in document.text.strip().partition("\n"))
    spans = sentence_spans(body)
    if not spans or not title or is_code(body):
        return
    text = as_query(body[spans[0].start : spans[0].end])
    lowest, highest = _SUMMARY_WORDS
    if lowest <= len(word_spans(text)) <= highest:
        yield Draft(text, f"{title} {without(body, spans[0])}".strip())


class SpanMaker(DocumentMaker):
    """A run of 4 to 10 words asks; the document without it answers. Documents under 40 words and programs give none."""

    name = "spans"
    _needed = 40

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Needs nothing of the collection."""

        def drafts(document: Document, source: random.Random) -> Iterator[Draft]:
            title, body = split_title(document)
            words = word_spans(body)
            if len(words) < self._needed or is_code(document.text):
                return
            spans = sentence_spans(body)
            for span in source.sample(spans, len(spans)):
                inside = [word for word in words if span.start <= word.start and word.end <= span.end]
                length = min(source.randint(*_SPAN_WORDS), len(inside))
                if length >= _SPAN_WORDS[0]:
                    first = source.randrange(len(inside) - length + 1)
                    part = Span(inside[first].start, inside[first + length - 1].end)
                    yield Draft(as_query(body[part.start : part.end]), f"{title} {without(body, part)}".strip())

        return drafts
