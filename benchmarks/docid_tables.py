"""Docid schemes other than residual quantisation as code tables, so that the same decoder and training fit them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridret.docids import ResidualQuantizer
from hybridret.docids.hierarchical import HierarchicalKMeans
from hybridret.docids.keyword import KeywordIds
from hybridret.types import Document, FloatArray, IntArray


class FixedCodes(ResidualQuantizer):
    """Codebooks whose documents' codes are given; the first code of each level is no code, its vector 0.

    Args:
        labels: *Shape:* (n_documents, n_levels), what stands at each level of each document's docid; "" for nothing.
        vectors: *Shape:* (n_documents, dimension), float32, the documents' vectors.
        summed: Whether a code's vector is what its documents have in common beyond the codes before it, so that codes
            add up to their document; else what they have in common beyond all documents.
    """

    def __init__(self, labels: Sequence[Sequence[str]], vectors: FloatArray, summed: bool) -> None:
        n_levels = max(len(each) for each in labels)
        table = [[*each, *[""] * (n_levels - len(each))] for each in labels]
        codes: list[IntArray] = []
        books: list[FloatArray] = []
        residual = vectors - (0.0 if summed else vectors.mean(axis=0))
        for level in range(n_levels):
            names = sorted({row[level] for row in table} - {""})
            code_of = {"": 0, **{name: at for at, name in enumerate(names, 1)}}
            own = np.array([code_of[row[level]] for row in table])
            book = np.zeros((len(code_of), vectors.shape[1]), dtype=np.float32)
            for code in range(1, len(code_of)):
                book[code] = residual[own == code].mean(axis=0)
            residual = residual - book[own] if summed else residual
            codes.append(own)
            books.append(book)
        widest = max(len(book) for book in books)
        padded = [np.pad(book, ((0, widest - len(book)), (0, 0))) for book in books]
        super().__init__(np.stack(padded))
        self._codes = np.stack(codes, axis=1)

    def encode(self, vectors: FloatArray, documents: Sequence[Document] = ()) -> IntArray:
        """The given codes; the vectors must be the documents'."""
        if len(vectors) != len(self._codes):
            raise ValueError(f"{len(vectors)} vectors, but codes of {len(self._codes)} documents")
        return self._codes


def atomic(documents: Sequence[Document], vectors: FloatArray) -> FixedCodes:
    """One code a document, which starts from its vector."""
    return FixedCodes([[document.doc_id] for document in documents], vectors, summed=True)


def hierarchical(documents: Sequence[Document], vectors: FloatArray, seed: int) -> FixedCodes:
    """The path of clusters down to the document; a code is a node, whatever its parent."""
    tree = HierarchicalKMeans.fit(vectors, seed)
    paths = tree.encode(vectors)
    labels = [["/".join(map(str, path[: depth + 1])) for depth in range((path >= 0).sum())] for path in paths]
    return FixedCodes(labels, vectors, summed=True)


def keyword(documents: Sequence[Document], vectors: FloatArray, tokenizer: Any) -> FixedCodes:
    """The document's keyphrases; a code is a phrase."""
    scheme = KeywordIds.fit(documents, tokenizer)
    return FixedCodes([scheme.phrases(document.text) for document in documents], vectors, summed=False)
