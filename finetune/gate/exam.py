"""Questions with known answers, put to a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from finetune.negatives.pool import nearest
from hybridret.data.dataset import Dataset, Qrels
from hybridret.evaluation import measure_run
from hybridret.types import Document, Encoder, FloatArray, Progress, Run, ScoreArray

MEASURES = ("nDCG@10", "Recall@10")
_DEPTH = 100


class Exam(NamedTuple):
    """Questions over a corpus.

    Attributes:
        name: What tables call it.
        documents: The corpus.
        queries: Text by query id.
        qrels: Per query id, grade by document id.
        altered: Ids of the documents that lack the words of the question about them; the index holds them whole.
    """

    name: str
    documents: Sequence[Document]
    queries: Mapping[str, str]
    qrels: Qrels
    altered: frozenset[str] = frozenset()


def measure(encoder: Encoder, exam: Exam, progress: Progress | None = None) -> dict[str, ScoreArray]:
    """Measures a model.

    Args:
        encoder: The model.
        exam: What it is asked.
        progress: Told how far encoding is.

    Returns:
        By measure the value of each question, in the exam's order. *Shape:* (n_questions,), float64.
    """
    return measure_vectors(exam, *encoded(encoder, exam, progress))


def encoded(encoder: Encoder, exam: Exam, progress: Progress | None = None) -> tuple[FloatArray, FloatArray]:
    """Vectors of an exam's questions and documents. *Shapes:* (n_questions, dimension), (n_documents, dimension)."""
    documents = encoder.encode_documents([document.text for document in exam.documents], progress)
    return encoder.encode_queries(list(exam.queries.values())), documents


def measure_vectors(exam: Exam, queries: FloatArray, documents: FloatArray) -> dict[str, ScoreArray]:
    """Measures the vectors of an exam's questions and documents; see ``measure`` and ``encoded``."""
    return graded(exam, nearest(queries, documents, _DEPTH))


def graded(exam: Exam, runs: Sequence[Run]) -> dict[str, ScoreArray]:
    """Measures answers to an exam's questions, in its order; see ``measure``."""
    run = {
        query: {exam.documents[row].doc_id: float(score) for row, score in zip(found.rows, found.scores, strict=True)}
        for query, found in zip(exam.queries, runs, strict=True)
    }
    values = measure_run(run, Dataset(dict(exam.queries), exam.qrels, 0))
    return {name: np.array([values[name][query] for query in exam.queries]) for name in MEASURES}


def sampled(exam: Exam, n_documents: int, seed: int) -> Exam:
    """The exam over fewer documents: those that count for some question, and others drawn at random.

    Args:
        exam: The whole exam.
        n_documents: How many, if not more of them count.
        seed: Seed of the draw.
    """
    counting = {doc_id for grades in exam.qrels.values() for doc_id in grades}
    others = [row for row, document in enumerate(exam.documents) if document.doc_id not in counting]
    wanted = max(0, min(n_documents - len(counting), len(others)))
    drawn = set(np.random.default_rng(seed).choice(others, wanted, replace=False).tolist())
    kept = [each for row, each in enumerate(exam.documents) if row in drawn or each.doc_id in counting]
    return exam._replace(documents=kept)


def narrowed(exam: Exam, encoders: Sequence[Encoder], depth: int, others: Iterable[int] = ()) -> Exam:
    """The exam over fewer documents: those that count for some question, and the nearest ones by the given models.

    Comparing merges of these models over them takes a fraction of the time.

    Args:
        exam: The whole exam.
        encoders: Models whose nearest documents are kept.
        depth: How many for each question.
        others: Positions of further documents to keep.
    """
    kept = {doc_id for grades in exam.qrels.values() for doc_id in grades}
    rows = {row for row, document in enumerate(exam.documents) if document.doc_id in kept}.union(others)
    for encoder in encoders:
        documents = encoder.encode_documents([document.text for document in exam.documents])
        for found in nearest(encoder.encode_queries(list(exam.queries.values())), documents, depth):
            rows.update(found.rows.tolist())
    return exam._replace(documents=[exam.documents[row] for row in sorted(rows)])
