"""The code decoder: scores the codes of a residual-quantisation docid from the query's embedding."""

from __future__ import annotations

import numpy as np

from hybridret.types import Arrays, CodeArray, FloatArray, ScoreArray

SCALE = 20.0
_BLAS_FROM = 8
"""From how many queries on BLAS is worth its threads, which otherwise fight with those that torch keeps spinning."""


class CodeDecoder:
    """Scores each code of each level: the logit of code c at level l is ``scale_l * <q, T_l[c]>``.

    Untrained, the tables T are the codebooks: decoding then is additive-quantisation search (Babenko and Lempitsky,
    "Additive Quantization for Extreme Vector Compression", CVPR 2014). Training moves tables, scales and the encoder
    that gives q; which codes a document has stays the codebooks' matter, so new documents get theirs as before.

    Args:
        tables: *Shape:* (n_levels, n_codes, dimension), float32.
        scales: *Shape:* (n_levels,), float32, inverse temperatures; None: ``SCALE`` at every level.

    Raises:
        ValueError: Tables or scales have other shapes, or numbers that are not finite.
    """

    def __init__(self, tables: FloatArray, scales: FloatArray | None = None) -> None:
        self.tables = tables
        self.scales: FloatArray = np.full(len(tables), SCALE, dtype=np.float32) if scales is None else scales
        if tables.ndim != 3 or self.scales.shape != tables.shape[:1]:
            raise ValueError(f"tables {tables.shape} and scales {self.scales.shape} do not fit")
        if not (np.isfinite(tables).all() and np.isfinite(self.scales).all()):
            raise ValueError("a table or scale of the decoder is not finite")
        self._codes = tables.reshape(-1, tables.shape[2])

    def arrays(self) -> Arrays:
        """What makes the decoder again."""
        return {"tables": self.tables, "scales": self.scales}

    def refined(self, codebooks: FloatArray) -> CodeDecoder:
        """This decoder with further levels, untrained ones, at the mean scale of its own.

        Args:
            codebooks: *Shape:* (n_further, n_codes, dimension), float32.
        """
        scales = np.full(len(codebooks), self.scales.mean(), dtype=np.float32)
        return CodeDecoder(np.concatenate([self.tables, codebooks]), np.concatenate([self.scales, scales]))

    def log_probs(self, vectors: FloatArray) -> FloatArray:
        """Scores all codes of all levels: the log-softmax over a level's codes, legal and illegal ones alike.

        Args:
            vectors: *Shape:* (n_queries, dimension), float32.

        Returns:
            *Shape:* (n_queries, n_levels, n_codes), float32.
        """
        few = len(vectors) < _BLAS_FROM
        products = np.einsum("qd,cd->qc", vectors, self._codes) if few else vectors @ self._codes.T
        logits: FloatArray = products.reshape(len(vectors), *self.tables.shape[:2]) * self.scales[:, None]
        logits -= logits.max(axis=2, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=2, keepdims=True))
        return logits

    def score(self, log_probs: FloatArray, codes: CodeArray) -> ScoreArray:
        """Sums one query's log-probabilities along given codes.

        Args:
            log_probs: *Shape:* (n_levels, n_codes), float32.
            codes: *Shape:* (n, n_levels), any integer type.

        Returns:
            *Shape:* (n,), float64.
        """
        scores = np.zeros(len(codes))
        for level, column in enumerate(codes.T):
            scores += log_probs[level, column]
        return scores
