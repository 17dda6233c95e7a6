"""Which questions are trained on, and which are kept to compare the models on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from finetune.gate.config import GateConfig
from finetune.gate.exam import Exam
from finetune.types import Question
from hybridret.types import Document

_MOST_APART = 0.5


class Split(NamedTuple):
    """Questions divided.

    Attributes:
        train: To train on.
        held_out: To compare the models on.
    """

    train: list[Question]
    held_out: list[Question]


def split(
    labelled: Sequence[Question],
    made: Sequence[Question],
    documents: Sequence[Document],
    config: GateConfig,
    seed: int,
) -> Split:
    """Keeps labelled questions from training where there are enough, else made ones.

    Labels often cover a part of the corpus, and questions to come ask about the rest, too, which training has asked
    nothing about. So a part of the labelled questions is kept together with all others about their documents: as many
    as there are documents without a label, half at most.

    Args:
        labelled: Questions with labels.
        made: Questions without.
        documents: The corpus.
        config: How many are kept.
        seed: Seed of the choice, which depends on it, on questions' ids, and on what they are about.

    Returns:
        Held-out questions have different positives where they stand in for their documents' texts, so that one corpus
        holds them all; no question with the words of a held-out one is trained on.
    """
    kept = _share(len(labelled), config)
    source = labelled if len(labelled) >= config.at_least and kept >= 2 else made
    kept = _share(len(source), config)
    ordered = sorted(source, key=lambda each: order(each, seed))
    held_out = _by_document(ordered, round(kept * _share_apart(labelled, documents))) if source is labelled else []
    apart, replaced = {question.query_id for question in held_out}, set[str]()
    for question in ordered:
        if len(held_out) == kept:
            break
        if question.query_id in apart:
            continue
        if question.positive_text is None or question.positives[0] not in replaced:
            held_out.append(question)
            if question.positive_text is not None:
                replaced.add(question.positives[0])
    words = {in_words(question.text) for question in held_out}
    train = [each for each in [*labelled, *made] if in_words(each.text) not in words]
    return Split(train, held_out)


def _share_apart(labelled: Sequence[Question], documents: Sequence[Document]) -> float:
    """How many of the held-out questions are to be about documents that training asks nothing about."""
    asked = {name for question in labelled for name in question.positives}
    return min(_MOST_APART, sum(document.doc_id not in asked for document in documents) / max(1, len(documents)))


def _by_document(ordered: Sequence[Question], most: int) -> list[Question]:
    """So many questions at most, each with all others about its documents, in order as far as they fit."""
    about: dict[str, list[Question]] = {}
    for question in ordered:
        for name in question.positives:
            about.setdefault(name, []).append(question)
    found: dict[str, Question] = {}
    for question in ordered:
        joined = found | {each.query_id: each for name in question.positives for each in about[name]}
        found = joined if len(joined) <= most else found
    return list(found.values())


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
        {question.query_id: dict.fromkeys(question.positives, 1) for question in questions},
    )


def _share(n: int, config: GateConfig) -> int:
    """At least ``at_least`` and at most ``at_most`` or half of the questions."""
    return min(max(round(n * config.held_out), config.at_least), config.at_most, n // 2)


def order(question: Question, seed: int) -> str:
    """A random place that depends on the seed and the question's id alone."""
    return hashlib.sha256(f"{seed}/{question.query_id}".encode()).hexdigest()
