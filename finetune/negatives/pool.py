"""What negatives are mined from: documents and questions with their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from finetune.types import Question
from hybridret.types import Document, FloatArray, IntArray, Queries, Run

if TYPE_CHECKING:
    from hybridret.bm25.retriever import BM25Retriever
    from hybridret.generative import DocidRetriever

_BLOCK = 256


@dataclass
class Pool:
    """Documents, questions and their vectors from one model.

    Attributes:
        documents: The corpus.
        questions: What negatives are looked for.
        document_vectors: *Shape:* (n_documents, dimension), float32, unit length.
        query_vectors: *Shape:* (n_questions, dimension), float32, unit length.
        language: Of the bm25 stemmer.
    """

    documents: Sequence[Document]
    questions: Sequence[Question]
    document_vectors: FloatArray
    query_vectors: FloatArray
    language: str = "english"

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Position in the corpus by document id."""
        return {document.doc_id: row for row, document in enumerate(self.documents)}

    @cached_property
    def positives(self) -> list[IntArray]:
        """Positions of each question's positives."""
        return [self.rows(question.positives) for question in self.questions]

    @cached_property
    def forbidden(self) -> list[IntArray]:
        """Per question the positions that can be no negatives: its positives and the documents that read the same."""
        same: dict[str, list[int]] = {}
        for row, document in enumerate(self.documents):
            same.setdefault(document.text, []).append(row)
        return [
            np.array(sorted({copy for row in rows for copy in same[self.documents[row].text]}), dtype=np.int64)
            for rows in (found.tolist() for found in self.positives)
        ]

    @cached_property
    def positive_similarity(self) -> FloatArray:
        """Cosine of each question and its nearest positive; 1 without one. *Shape:* (n_questions,), float32."""
        return np.array(
            [
                (self.document_vectors[rows] @ vector).max() if len(rows) else 1.0
                for rows, vector in zip(self.positives, self.query_vectors, strict=True)
            ],
            dtype=np.float32,
        )

    @cached_property
    def bm25(self) -> BM25Retriever:
        """The bm25 retriever over the documents."""
        from hybridret.bm25.retriever import BM25Retriever
        from hybridret.bm25.tokenizer import Tokenizer

        return BM25Retriever(Tokenizer(self.language)).appended(document.text for document in self.documents)

    @cached_property
    def docid(self) -> DocidRetriever:
        """An untrained docid retriever over the documents."""
        from hybridret.config import Config
        from hybridret.generation import Generation
        from hybridret.generative import DocidRetriever

        empty = Generation.empty(Config(language=self.language))
        grown = empty.appended(self.documents, self.document_vectors)
        assert isinstance(grown.docid, DocidRetriever)
        return grown.docid

    @cached_property
    def ties(self) -> IntArray:
        """Each row's place among rows of equal score: by position. *Shape:* (n_documents,), int64."""
        return np.arange(len(self.documents), dtype=np.int64)

    def rows(self, doc_ids: Sequence[str]) -> IntArray:
        """Positions of the documents that are in the corpus."""
        return np.array([self.row_of[doc_id] for doc_id in doc_ids if doc_id in self.row_of], dtype=np.int64)

    def queries(self, start: int, stop: int) -> Queries:
        """Some of the questions, as retrievers take them."""
        return Queries([question.text for question in self.questions[start:stop]], self.query_vectors[start:stop])

    def nearest(self, k: int) -> list[Run]:
        """The k documents nearest to each question, exactly."""
        return nearest(self.query_vectors, self.document_vectors, k)


def nearest(queries: FloatArray, documents: FloatArray, k: int) -> list[Run]:
    """Finds the nearest documents of each query by exhaustive search; equal ones go by position.

    Args:
        queries: *Shape:* (n_queries, dimension), float32.
        documents: *Shape:* (n_documents, dimension), float32.
        k: How many.
    """
    from hybridret.ranking import top_k

    ties = np.arange(len(documents), dtype=np.int64)
    found = []
    for start in range(0, len(queries), _BLOCK):
        scores = (queries[start : start + _BLOCK] @ documents.T).astype(np.float64)
        found += [top_k(row, k, ties) for row in scores]
    return found
