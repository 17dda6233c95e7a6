"""Questions made of a document's keyphrases: keyword queries, and sentences with their keyphrase left open."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from finetune.queries.base import DocumentMaker, Draft, Drafts
from finetune.queries.keyphrases import Keyphrases
from finetune.queries.text import as_query, is_code, sentence_spans, split_title, word_spans
from hybridret.types import Document
from hybridret.words import is_unspaced

_PHRASES = 8
_QUERY_PHRASES = (2, 4)
_CLOZE_WORDS = (7, 40)
_BLANK = "what"
_BLANK_IN_IDEOGRAPHS = "什么"


class KeyphraseMaker(DocumentMaker):
    """Two to four of the best eight keyphrases ask, as people type words into a search box.

    The document answers as it is.
    """

    name = "keyphrases"

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Counts words."""
        keyphrases = Keyphrases([document.text for document in documents])

        def drafts(document: Document, source: random.Random) -> Iterator[Draft]:
            phrases = [phrase.text for phrase in keyphrases(document.text, _PHRASES)]
            for _ in phrases:
                count = min(source.randint(*_QUERY_PHRASES), len(phrases))
                yield Draft(" ".join(source.sample(phrases, count)))

        return drafts


class ClozeMaker(DocumentMaker):
    """A sentence with its best keyphrase left open asks for it; the document answers as it is. Programs give none."""

    name = "cloze"

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Counts words."""
        keyphrases = Keyphrases([document.text for document in documents])

        def drafts(document: Document, source: random.Random) -> Iterator[Draft]:
            _, body = split_title(document)
            if is_code(document.text):
                return
            spans = sentence_spans(body)
            for span in source.sample(spans, len(spans)):
                sentence = body[span.start : span.end]
                if not _CLOZE_WORDS[0] <= len(word_spans(sentence)) <= _CLOZE_WORDS[1]:
                    continue
                for phrase in keyphrases(sentence, 1):
                    at = sentence.lower().find(phrase.text)
                    if at < 0:
                        continue
                    blank = _BLANK_IN_IDEOGRAPHS if is_unspaced(sentence) else f" {_BLANK} "
                    answer = sentence[at : at + len(phrase.text)]
                    yield Draft(as_query(sentence[:at] + blank + sentence[at + len(phrase.text) :]), answer=answer)

        return drafts
