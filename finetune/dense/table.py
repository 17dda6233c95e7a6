"""What is trained on: rows of a question with one positive, and negatives that may change while training runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from finetune.types import Question
from hybridret.errors import InputError
from hybridret.types import Document, FloatArray, IntArray

NO_DOCUMENT = -1


class Pair(NamedTuple):
    """A row: a question and one of its positives.

    Attributes:
        question: Position of the question.
        positive: Position of the positive document.
        text: Stands in for the positive's text; None: the document as it is.
    """

    question: int
    positive: int
    text: str | None


@dataclass
class Batch:
    """One step's texts and what is known of them.

    Attributes:
        task: The one task of all its rows.
        queries: Texts of the questions.
        documents: Texts of the different documents.
        document_ids: *Shape:* (n_documents,), int64, position of each in the corpus; below -1 for a text that stands in
            for a document.
        candidates: *Shape:* (n_queries, 1 + n_negatives), int64, columns of ``documents``, the positive first; -1
            where there is no further negative.
        known: For each query the positions, in the corpus, of all documents that are known to answer it.
        teacher: *Shape:* (n_queries, 1 + n_negatives), float32, soft labels of the candidates; None without a teacher.
    """

    task: str
    queries: list[str]
    documents: list[str]
    document_ids: IntArray
    candidates: IntArray
    known: list[IntArray]
    teacher: FloatArray | None


class TrainingTable:
    """Questions, positives and mutable negatives.

    A row's negatives of a step depend on the seed, the row and the step alone, so that a resumed run draws the same.

    Args:
        documents: The corpus.
        questions: What to train on; positives and negatives must be in the corpus.
        n_negatives: Hard negatives a row in each step.
        seed: Seed of the draws.

    Raises:
        InputError: A question has no positive in the corpus, or no question is given.
    """

    def __init__(
        self, documents: Sequence[Document], questions: Sequence[Question], n_negatives: int, seed: int
    ) -> None:
        if not questions:
            raise InputError("there is no question to train on")
        self.texts = [document.text for document in documents]
        self.row_of = {document.doc_id: row for row, document in enumerate(documents)}
        self.questions = list(questions)
        self.n_negatives, self.seed = n_negatives, seed
        self.known = [self._positions(question, question.positives) for question in self.questions]
        if bare := [
            question.query_id for question, known in zip(self.questions, self.known, strict=True) if not len(known)
        ]:
            raise InputError(f"question {bare[0]!r} has no positive among the documents")
        self.grades = [
            {self.row_of[name]: grade for name, grade in question.graded.items() if name in self.row_of}
            for question in self.questions
        ]
        self.pairs = [
            Pair(position, int(row), question.positive_text if row == self.known[position][0] else None)
            for position, question in enumerate(self.questions)
            for row in self.known[position]
        ]
        self.negatives: list[IntArray] = [self._positions(question, question.negatives) for question in self.questions]
        self.teacher: dict[tuple[int, int], float] = {}
        self._judged: dict[int, IntArray] = {}

    def __len__(self) -> int:
        return len(self.pairs)

    def set_negatives(self, negatives: Sequence[IntArray]) -> None:
        """Replaces every question's negatives; known positives among them are left out.

        Args:
            negatives: Per question positions in the corpus, *Shape:* (n_negatives,), int64, the most wanted first.
        """
        self.negatives = [
            np.asarray(found, dtype=np.int64)[~np.isin(found, known)]
            for found, known in zip(negatives, self.known, strict=True)
        ]

    def set_teacher(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Sets soft labels, by question id and document id.

        Negatives that are mined later have none. Half of those that are drawn then are labelled ones, so that there
        goes on being something to distil.
        """
        self.teacher = {
            (position, self.row_of[doc_id]): score
            for position, question in enumerate(self.questions)
            for doc_id, score in scores.get(question.query_id, {}).items()
            if doc_id in self.row_of
        }
        judged: dict[int, list[int]] = {}
        for position, document in self.teacher:
            judged.setdefault(position, []).append(document)
        self._judged = {
            position: np.setdiff1d(np.array(documents, dtype=np.int64), self.known[position])
            for position, documents in judged.items()
        }

    def batch(self, rows: Sequence[int], step: int) -> Batch:
        """Gathers the texts of one step.

        Args:
            rows: Positions of pairs of one task.
            step: Number of the step, which seeds the draw of the negatives.
        """
        pairs = [self.pairs[row] for row in rows]
        columns: dict[int, int] = {}
        texts: list[str] = []
        candidates = np.full((len(pairs), 1 + self.n_negatives), NO_DOCUMENT, dtype=np.int64)
        drawn = [self._draw(row, pair.question, step) for row, pair in zip(rows, pairs, strict=True)]
        for at, (row, pair) in enumerate(zip(rows, pairs, strict=True)):
            key = pair.positive if pair.text is None else -2 - row
            wanted = [(key, self.texts[pair.positive] if pair.text is None else pair.text)]
            wanted += [(document, self.texts[document]) for document in drawn[at].tolist()]
            for place, (document, text) in enumerate(wanted):
                if document not in columns:
                    columns[document] = len(texts)
                    texts.append(text)
                candidates[at, place] = columns[document]
        return Batch(
            task=self.questions[pairs[0].question].task,
            queries=[self.questions[pair.question].text for pair in pairs],
            documents=texts,
            document_ids=np.fromiter(columns, dtype=np.int64, count=len(columns)),
            candidates=candidates,
            known=[self.known[pair.question] for pair in pairs],
            teacher=self._soft_labels(pairs, drawn) if self.teacher else None,
        )

    def original(self, document_ids: IntArray) -> IntArray:
        """The document that each text is or stands in for: its position in the corpus."""
        stand_ins = document_ids < NO_DOCUMENT
        rows = np.where(stand_ins, -2 - document_ids, 0)
        positives = np.array([pair.positive for pair in self.pairs], dtype=np.int64)
        return np.where(stand_ins, positives[rows], document_ids)

    def _draw(self, row: int, question: int, step: int) -> IntArray:
        pool, judged = self.negatives[question], self._judged.get(question)
        generator = np.random.default_rng((self.seed, step, row))
        if judged is not None and len(judged) and not np.isin(pool, judged).all():
            kept = generator.choice(judged, min(len(judged), -(-self.n_negatives // 2)), replace=False)
            others = np.setdiff1d(pool, kept)
            drawn = generator.choice(others, min(len(others), self.n_negatives - len(kept)), replace=False)
            return np.sort(np.concatenate([kept, drawn]))
        if len(pool) <= self.n_negatives:
            return pool
        return np.sort(generator.choice(pool, self.n_negatives, replace=False))

    def _soft_labels(self, pairs: Sequence[Pair], drawn: Sequence[IntArray]) -> FloatArray:
        """-inf where a candidate is missing or has no label; a row whose positive has none keeps it alone."""
        labels = np.full((len(pairs), 1 + self.n_negatives), -np.inf, dtype=np.float32)
        for at, (pair, negatives) in enumerate(zip(pairs, drawn, strict=True)):
            scored = [self.teacher.get((pair.question, document)) for document in [pair.positive, *negatives.tolist()]]
            if scored[0] is None:
                scored = [0.0]
            labels[at, : len(scored)] = [-np.inf if score is None else score for score in scored]
        return labels

    def _positions(self, question: Question, doc_ids: Sequence[str]) -> IntArray:
        rows = [self.row_of[doc_id] for doc_id in dict.fromkeys(doc_ids) if doc_id in self.row_of]
        return np.array(rows, dtype=np.int64)
