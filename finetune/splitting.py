"""Which questions are trained on, and which are kept to compare the models on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from finetune.gate.config import GateConfig
from finetune.gate.exam import Exam
from finetune.types import Question
from hybridret.types import Document


class Split(NamedTuple):
    """Questions divided.

    Attributes:
        train: To train on.
        held_out: To compare the models on.
    """

    train: list[Question]
    held_out: list[Question]


def split(labelled: Sequence[Question], made: Sequence[Question], config: GateConfig, seed: int) -> Split:
    """Keeps labelled questions from training where there are enough, else made ones.

    Args:
        labelled: Questions with labels.
        made: Questions without.
        config: How many are kept.
        seed: Seed of the choice, which depends on nothing else than it and a question's id.

    Returns:
        Held-out questions have different positives where they stand in for their documents' texts, so that one corpus
        holds them all; no question with the words of a held-out one is trained on.
    """
    kept = _share(len(labelled), config)
    source = labelled if len(labelled) >= config.at_least and kept >= 2 else made
    kept = _share(len(source), config)
    held_out: list[Question] = []
    replaced: set[str] = set()
    for question in sorted(source, key=lambda each: order(each, seed)):
        if len(held_out) == kept:
            break
        if question.positive_text is None or question.positives[0] not in replaced:
            held_out.append(question)
            if question.positive_text is not None:
                replaced.add(question.positives[0])
    words = {in_words(question.text) for question in held_out}
    train = [each for each in [*labelled, *made] if in_words(each.text) not in words]
    return Split(train, held_out)


def in_words(text: str) -> str:
    """A text without what does not tell it from another: case and spacing."""
    return " ".join(text.split()).lower()


def held_out_exam(documents: Sequence[Document], questions: Sequence[Question]) -> Exam:
    """The held-out questions over the corpus, texts that were made into questions taken out of their documents."""
    texts = {
        question.positives[0]: question.positive_text for question in questions if question.positive_text is not None
    }
    corpus = [document._replace(text=texts.get(document.doc_id, document.text)) for document in documents]
    return Exam(
        "held-out questions",
        corpus,
        {question.query_id: question.text for question in questions},
        {question.query_id: question.graded for question in questions},
        frozenset(texts),
    )


def _share(n: int, config: GateConfig) -> int:
    """At least ``at_least`` and at most ``at_most`` or half of the questions."""
    return min(max(round(n * config.held_out), config.at_least), config.at_most, n // 2)


def order(question: Question, seed: int) -> str:
    """A random place that depends on the seed and the question's id alone."""
    return hashlib.sha256(f"{seed}/{question.query_id}".encode()).hexdigest()
