"""What docid training learns from: questions and sentences, each with its document, in a planned order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from finetune.generative.config import DocidConfig
from finetune.labelling import Labels
from finetune.types import LABELS, Question
from hybridret.errors import InputError
from hybridret.types import BoolArray, Document, FloatArray, IntArray, ScoreArray
from hybridret.words import WORD, normalise_text

_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*(?=\S)|\n+")
_LEAST_LETTERS, _MOST_LETTERS = 15, 400
_LEAST_WORD, _SUMMARY = 4, 2


_NOTHING: IntArray = np.zeros(0, dtype=np.int64)
_ALIKE: ScoreArray = np.zeros(0, dtype=np.float64)
_NO_LABELS: FloatArray = np.zeros(0, dtype=np.float32)
_UNALTERED: Mapping[str, int] = MappingProxyType({})


class Row(NamedTuple):
    """A text and the documents that it stands for.

    Attributes:
        text: The text, without a prompt.
        documents: *Shape:* (n,), int64, positions in the corpus; one of them is the target of a step.
        judged: *Shape:* (m,), int64, positions of documents that a teacher judged.
        labels: *Shape:* (m,), float32, its scores.
        altered_positive: Position of the vector that is added to that of its only document, from which the text's own
            words are taken out so; -1: the document is as it is.
        is_labelled: Whether it is a question that was given, not made.
        weights: *Shape:* (n,), float64, how often each document is the target, by its grade; empty: all alike.
    """

    text: str
    documents: IntArray
    judged: IntArray = _NOTHING
    labels: FloatArray = _NO_LABELS
    altered_positive: int = -1
    is_labelled: bool = False
    weights: ScoreArray = _ALIKE


def question_rows(
    questions: Sequence[Question],
    documents: Sequence[Document],
    labels: Labels | None = None,
    alterations: Mapping[str, int] = _UNALTERED,
) -> list[Row]:
    """Query2ID: questions with their documents, and soft labels; those without any in the corpus are left out.

    Args:
        questions: The questions.
        documents: The corpus.
        labels: Soft labels by question and document.
        alterations: By question the position of what is added to the vector of its document.
    """
    place = {document.doc_id: row for row, document in enumerate(documents)}
    rows = []
    for question in questions:
        known = sorted({place[name] for name in question.positives if name in place})
        if known:
            own = (labels or {}).get(question.query_id, {})
            judged = {place[name]: score for name, score in own.items() if name in place}
            rows.append(
                Row(
                    question.text,
                    np.array(known, dtype=np.int64),
                    np.array(list(judged), dtype=np.int64),
                    np.array(list(judged.values()), dtype=np.float32),
                    alterations.get(question.query_id, -1) if len(known) == 1 else -1,
                    question.source == LABELS,
                    _target_weights(question, documents, known),
                )
            )
    return rows


def _target_weights(question: Question, documents: Sequence[Document], known: Sequence[int]) -> ScoreArray:
    """How often each document is the target, by its grade. *Shape:* (n_known,), float64; empty: all alike."""
    if not question.grades:
        return _ALIKE
    grades = np.array([question.graded[documents[row].doc_id] for row in known], dtype=np.float64)
    weights: ScoreArray = grades / grades.sum()
    return weights


def sentence_rows(documents: Sequence[Document], told: Sequence[str] = ("titles", "sentences")) -> list[Row]:
    """Context2ID: each document's title, sentences, chunks or summary; all of it where none of them is long enough.

    Args:
        documents: The corpus.
        told: What of them, see ``DocidConfig.told``.
    """
    rows = []
    for row, document in enumerate(documents):
        title = document.metadata.get("title")
        sentences = [part.strip()[:_MOST_LETTERS] for part in _SENTENCE.split(document.text)]
        parts = [title] if isinstance(title, str) and "titles" in told else []
        parts += sentences if "sentences" in told else []
        parts += _chunks(sentences) if "chunks" in told else []
        parts += [_summary(sentences)] if "summaries" in told else []
        texts = [part for part in dict.fromkeys(parts) if len(part) >= _LEAST_LETTERS]
        texts = texts or [document.text[:_MOST_LETTERS]]
        rows += [Row(text, np.array([row], dtype=np.int64)) for text in texts if text.strip()]
    return rows


def _chunks(sentences: Sequence[str]) -> list[str]:
    """Sentences that follow each other, as many at a time as fit."""
    chunks: list[str] = []
    for sentence in sentences:
        if chunks and len(chunks[-1]) + 1 + len(sentence) <= _MOST_LETTERS:
            chunks[-1] += " " + sentence
        else:
            chunks.append(sentence)
    return chunks


def _summary(sentences: Sequence[str]) -> str:
    """The two sentences whose words are the most frequent ones of all, in their order.

    Nenkova and Vanderwende, "The Impact of Frequency on Summarization", 2005 (SumBasic), without its second look.
    """
    words = [WORD.findall(normalise_text(sentence).lower()) for sentence in sentences]
    counts = Counter(word for own in words for word in own if len(word) >= _LEAST_WORD)
    weights = [sum(counts[word] for word in own) / max(1, len(own)) for own in words]
    best = sorted(sorted(range(len(sentences)), key=lambda at: -weights[at])[:_SUMMARY])
    return " ".join(sentences[at] for at in best)


class Picks(NamedTuple):
    """How questions and sentences are picked: so many of them, by a seed; None: shuffled, pass after pass.

    Attributes:
        questions: Gives positions among the questions.
        sentences: Gives positions among the sentences.
    """

    questions: Callable[[int, int], IntArray] | None = None
    sentences: Callable[[int, int], IntArray] | None = None


_EVENLY = Picks()


def planned(
    n_questions: int, n_sentences: int, steps: int, config: DocidConfig, seed: int, picks: Picks = _EVENLY
) -> IntArray:
    """The rows of each step.

    Args:
        n_questions: How many questions there are; their rows are numbered from 0.
        n_sentences: How many sentences; their rows follow.
        steps: Steps of the run.
        config: Batch size, share of sentences, and whether they come first.
        seed: Seed of the order.
        picks: How either kind is picked.

    Returns:
        *Shape:* (steps, batch_size), int64.

    Raises:
        InputError: There is nothing to learn from.
    """
    if not n_questions:
        raise InputError("docid training has no question to learn from")
    size = config.batch_size
    n_texts = round(config.sentences * size) if n_sentences else 0
    pick_questions = picks.questions or partial(passes, n_questions)
    pick_sentences = picks.sentences or partial(passes, n_sentences)
    questions = pick_questions(steps * (size - n_texts), seed)
    sentences = n_questions + pick_sentences(steps * n_texts, seed + 1)
    if config.interleaved:
        return np.concatenate([questions.reshape(steps, -1), sentences.reshape(steps, n_texts)], axis=1)
    return np.concatenate([sentences, questions]).reshape(steps, size)


def with_labels(is_labelled: BoolArray, wanted: int, seed: int) -> IntArray:
    """Passes over labelled questions and over made ones, at least half of the picks being labelled.

    Where there are a few labels among many made questions, one pass over all would hardly meet them.

    Args:
        is_labelled: *Shape:* (n,), which questions are.
        wanted: How many to pick.
        seed: Seed of the order.

    Returns:
        *Shape:* (wanted,), int64, positions; as ``passes`` where labels are half of them anyway, or there are none.
    """
    labelled, made = np.flatnonzero(is_labelled), np.flatnonzero(~is_labelled)
    if not 0 < len(labelled) < len(made):
        return passes(len(is_labelled), wanted, seed)
    n_labelled = -(-wanted // 2)
    picked = np.concatenate(
        [labelled[passes(len(labelled), n_labelled, seed)], made[passes(len(made), wanted - n_labelled, seed + 1)]]
    )
    order: IntArray = np.random.default_rng((seed, wanted)).permutation(len(picked))
    return picked[order]


def passes(n: int, wanted: int, seed: int) -> IntArray:
    """So many rows, shuffled anew in each pass over all. *Shape:* (wanted,), int64; empty where there are none."""
    generator = np.random.default_rng(seed)
    n_passes = -(-wanted // n) if n else 0
    return np.concatenate([np.zeros(0, dtype=np.int64), *(generator.permutation(n) for _ in range(n_passes))])[:wanted]
