"""Natural questions without a language model: by rules on sentences, and by templates on keyphrases."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from finetune.queries.base import DocumentMaker, Draft, Drafts
from finetune.queries.keyphrases import Keyphrases
from finetune.queries.text import is_code, is_english, sentence_spans, split_title
from finetune.queries.wh_rules import questions_about
from hybridret.types import Document

_PHRASES = 6
_LOWER = re.compile(r"\b[a-z]{2,}\b")
_ONE = (
    "what is {0}",
    "what is known about {0}",
    "how does {0} work",
    "what causes {0}",
    "what are the effects of {0}",
    "how can {0} be determined",
    "examples of {0}",
)
_TWO = (
    "how does {0} affect {1}",
    "what is the relation between {0} and {1}",
    "what is the effect of {0} on {1}",
    "what role does {0} play in {1}",
    "is {0} related to {1}",
    "has anyone investigated {0} and {1}",
    "{0} in {1}",
)


class RuleMaker(DocumentMaker):
    """Questions for the subject, cause, place, time or consequence that a sentence tells, by rules for English.

    The document answers as it is. Programs and texts in other languages give none.
    """

    name = "questions"

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Learns which words are written in lower case."""
        common = {word for document in documents for word in _LOWER.findall(document.text)}

        def drafts(document: Document, source: random.Random) -> Iterator[Draft]:
            return _rule_drafts(document, common, source)

        return drafts


def _rule_drafts(document: Document, common: set[str], source: random.Random) -> Iterator[Draft]:
    _, body = split_title(document)
    if is_code(document.text) or not is_english(body):
        return
    spans = sentence_spans(body)
    later: list[Draft] = []
    for span in source.sample(spans, len(spans)):
        sentence = body[span.start : span.end]
        asked = [Draft(question, None, answer) for question, answer in questions_about(sentence, common)]
        source.shuffle(asked)
        yield from asked[:1]
        later += asked[1:]
    yield from later


class TopicMaker(DocumentMaker):
    """Templates such as "how does ... affect ..." filled with a document's keyphrases; the document answers as it is.

    The templates are English; texts in other languages and programs give none.
    """

    name = "topics"

    def prepare(self, documents: Sequence[Document]) -> Drafts:
        """Counts words."""
        keyphrases = Keyphrases([document.text for document in documents])

        def drafts(document: Document, source: random.Random) -> Iterator[Draft]:
            if is_code(document.text) or not is_english(document.text):
                return
            phrases = [phrase.text for phrase in keyphrases(document.text, _PHRASES)]
            for _ in phrases:
                templates = _TWO if len(phrases) > 1 and source.random() < 0.7 else _ONE
                chosen = source.sample(phrases, min(2, len(phrases)))
                yield Draft(source.choice(templates).format(*chosen))

        return drafts
