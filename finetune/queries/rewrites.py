"""Rewritten sentences as questions, the maker for documents too short to lift anything out of."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from finetune.cleaning.normal import normal_form
from finetune.queries.base import DocumentMaker, Draft, Drafts
from finetune.queries.noise import rewrite
from finetune.queries.text import as_query, is_code, sentence_spans, split_title, word_spans
from hybridret.types import Document

_WORDS = (3, 40)
_ROUNDS = 4


class RewriteMaker(DocumentMaker):
    """A sentence, reworded and with typing noise, asks; the document answers as it is. Programs give none."""

    name = "rewrites"

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Needs nothing of the collection."""
        return _rewritten


def _rewritten(document: Document, source: random.Random) -> Iterator[Draft]:
    if is_code(document.text):
        return
    _, body = split_title(document)
    spans = sentence_spans(body)
    for _ in range(_ROUNDS):
        for span in source.sample(spans, len(spans)):
            sentence = body[span.start : span.end]
            text = as_query(rewrite(sentence, source))
            if _WORDS[0] <= len(word_spans(text)) <= _WORDS[1] and normal_form(text) != normal_form(document.text):
                yield Draft(text)
