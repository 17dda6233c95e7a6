"""The dense retriever of an index: exact or approximate search over unit vectors with FAISS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hybridret.allowed import Allowed
from hybridret.errors import InputError
from hybridret.forking import new_lock
from hybridret.growth import GrowingMatrix
from hybridret.types import FloatArray, IntArray, Queries, Run, ScoreArray

if TYPE_CHECKING:
    import faiss

INDEX_KINDS = ("flat", "hnsw", "ivfpq")
_HNSW_LINKS, _HNSW_EF = 32, 128
_PROBED_SHARE, _BYTES_PER_CODE, _MIN_IVFPQ = 8, 48, 39 * 256
_RESCORED, _SLACK, _MORE, _EQUAL = 4, 16, 4, 1e-6
_FEW_ROWS, _FEW_SHARE, _BLAS_QUERIES = 4096, 16, 20
"""A filter that leaves at most so many rows, or one in so many, is searched on a copy of these; and FAISS compares as
many queries as ``faiss.distance_compute_blas_threshold`` or more by BLAS, which a selector would switch off."""


class DenseRetriever:
    """Ranks rows by cosine similarity.

    ``flat`` compares with every vector; ``hnsw`` (Malkov and Yashunin, 2016) and ``ivfpq`` (Jégou et al., 2011)
    compare with some, for larger collections. Whatever finds the candidates, their scores are exact.

    Args:
        vectors: *Shape:* (n_rows, dimension), float32, unit length.
        kind: One of ``INDEX_KINDS``.

    Raises:
        InputError: The kind is unknown.
    """

    def __init__(self, vectors: FloatArray, kind: str = "flat") -> None:
        if kind not in INDEX_KINDS:
            raise InputError(f"unknown index kind {kind!r}; known are {', '.join(INDEX_KINDS)}")
        self.kind = kind
        self.vectors = vectors
        self._matrix = GrowingMatrix(vectors)
        self._lock = new_lock()
        self._faiss_index: faiss.Index | None = None

    @property
    def index(self) -> Any:
        """The FAISS index; made when first needed. Retrievers grown from this one share it and may have added rows."""
        with self._lock:
            if self._faiss_index is None:
                self._faiss_index = _make_index(self.vectors, self.kind)
            return self._faiss_index

    def appended(self, vectors: FloatArray) -> DenseRetriever:
        """A retriever over these rows and the given ones after them. *Shape:* (n_new, dimension).

        Raises:
            InputError: The index begins with too few vectors to train ``ivfpq`` on.
        """
        if not len(self.vectors):
            if self.kind == "ivfpq" and len(vectors) < _MIN_IVFPQ:
                raise InputError(
                    f"an ivfpq index needs at least {_MIN_IVFPQ} documents to train on, not {len(vectors)}; use flat"
                )
            return DenseRetriever(vectors, self.kind)
        grown = DenseRetriever(self._matrix.appended(self.vectors, vectors), self.kind)
        grown._matrix = self._matrix
        with self._lock:
            if self._faiss_index is not None and self._faiss_index.ntotal == len(self.vectors):
                grown._lock, grown._faiss_index = self._lock, self._faiss_index
                self._faiss_index.add(vectors)
        return grown

    def search(self, queries: Queries, k: int, allowed: Allowed | None, ties: IntArray) -> list[Run]:
        """Finds the k nearest rows of each query, of all where ``allowed`` is None. *Shape of ties:* (n_rows,)."""
        k = min(k, len(self.vectors) if allowed is None else allowed.count)
        if k == 0:
            return [Run(np.zeros(0, dtype=np.int64), np.zeros(0)) for _ in queries.texts]
        found = self._candidates(queries.vectors, k + _SLACK if self.kind == "flat" else _RESCORED * k, allowed)
        return [
            self._ranked(vector, rows, k, allowed, ties) for vector, rows in zip(queries.vectors, found, strict=True)
        ]

    def _candidates(self, vectors: FloatArray, wanted: int, allowed: Allowed | None) -> list[IntArray]:
        """Rows that FAISS finds per query, at most as many as wanted. *Shape of vectors:* (n_queries, dimension)."""
        import faiss

        if allowed is not None and self._is_copied(allowed, len(vectors)):
            _, found = faiss.knn(
                vectors, self.vectors[allowed.rows], min(wanted, allowed.count), metric=faiss.METRIC_INNER_PRODUCT
            )
            return [allowed.rows[rows[rows >= 0]] for rows in found]
        index = self.index
        with self._lock:
            if allowed is None and index.ntotal > len(self.vectors):
                allowed = Allowed(np.ones(len(self.vectors), dtype=np.bool_))
            selector = None if allowed is None else faiss.IDSelectorBitmap(allowed.bitmap)
            parameters = _search_parameters(index, selector)
            _, found = index.search(vectors, min(wanted, len(self.vectors)), params=parameters)
        return [rows[rows >= 0] for rows in found]

    def _is_copied(self, allowed: Allowed, n_queries: int) -> bool:
        """Whether comparing with a copy of the allowed vectors beats searching the index with a selector."""
        few = allowed.count <= max(_FEW_ROWS, len(self.vectors) // _FEW_SHARE)
        return few or (self.kind == "flat" and n_queries >= _BLAS_QUERIES)

    def _ranked(self, vector: FloatArray, rows: IntArray, k: int, allowed: Allowed | None, ties: IntArray) -> Run:
        """Ranks candidates exactly; asks for more where they are too few or a tie runs through their end."""
        scores = self._cosines(vector, rows)
        n_allowed = len(self.vectors) if allowed is None else allowed.count
        if len(rows) < k:
            rows = np.arange(len(self.vectors)) if allowed is None else allowed.rows
            scores = self._cosines(vector, rows)
        elif self.kind == "flat" and len(rows) < n_allowed and np.sort(scores)[-k] - scores.min() < _EQUAL:
            more = self._candidates(vector[None], _MORE * len(rows), allowed)[0]
            return self._ranked(vector, more, k, allowed, ties)
        order = np.lexsort((ties[rows], -scores))[:k]
        return Run(rows[order], scores[order])

    def score(self, queries: Queries, rows: list[IntArray]) -> list[ScoreArray]:
        """Scores given rows of each query by cosine similarity."""
        return [self._cosines(vector, wanted) for vector, wanted in zip(queries.vectors, rows, strict=True)]

    def _cosines(self, vector: FloatArray, rows: IntArray) -> ScoreArray:
        """Cosines by one summation order, so that a row's score does not depend on what else is scored."""
        return np.asarray(np.einsum("nd,d->n", self.vectors[rows], vector), dtype=np.float64)


def _make_index(vectors: FloatArray, kind: str) -> Any:
    import faiss

    n, dimension = vectors.shape
    if kind == "flat" or (kind == "ivfpq" and n < _MIN_IVFPQ):
        index = faiss.IndexFlatIP(dimension)
    elif kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _HNSW_EF
    else:
        n_lists = int(np.sqrt(n))
        n_parts = max(part for part in range(1, _BYTES_PER_CODE + 1) if dimension % part == 0)
        quantizer = faiss.IndexFlatIP(dimension)
        index = faiss.IndexIVFPQ(quantizer, dimension, n_lists, n_parts, 8, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
    index.add(vectors)
    return index


def _search_parameters(index: Any, selector: Any) -> Any:
    import faiss

    if isinstance(index, faiss.IndexHNSWFlat):
        return faiss.SearchParametersHNSW(sel=selector, efSearch=_HNSW_EF)
    if isinstance(index, faiss.IndexIVFPQ):
        return faiss.SearchParametersIVF(sel=selector, nprobe=max(1, index.nlist // _PROBED_SHARE))
    return None if selector is None else faiss.SearchParameters(sel=selector)
