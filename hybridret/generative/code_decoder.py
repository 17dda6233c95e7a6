"""The code decoder: scores the codes of a residual-quantisation docid from the query's embedding."""

from __future__ import annotations

import numpy as np

from hybridret.types import CodeArray, FloatArray, ScoreArray

SCALE = 20.0
_BLAS_FROM = 8
"""From how many queries on BLAS is worth its threads, which otherwise fight with those that torch keeps spinning."""


class CodeDecoder:
    """The decoder at its untrained start.

    The logit of code c at level l is ``scale * <h_l, C_l[c]>`` with ``h_l = q + gate * decoder_l(query, prefix)``, and
    the gate starts at 0: then ``h_l`` is the query's embedding whatever the prefix, one product gives every
    level's log-probabilities, and decoding is additive-quantisation search (Babenko and Lempitsky, "Additive
    Quantization for Extreme Vector Compression", CVPR 2014).

    Args:
        codebooks: *Shape:* (n_levels, n_codes, dimension), float32.
        scale: Inverse temperature of the log-probabilities.
    """

    def __init__(self, codebooks: FloatArray, scale: float = SCALE) -> None:
        self.scale = scale
        self._codes = codebooks.reshape(-1, codebooks.shape[2])
        self._shape = codebooks.shape[:2]

    def log_probs(self, vectors: FloatArray) -> FloatArray:
        """Scores all codes of all levels: the log-softmax over a level's codes, legal and illegal ones alike.

        Args:
            vectors: *Shape:* (n_queries, dimension), float32.

        Returns:
            *Shape:* (n_queries, n_levels, n_codes), float32.
        """
        few = len(vectors) < _BLAS_FROM
        products = np.einsum("qd,cd->qc", vectors, self._codes) if few else vectors @ self._codes.T
        logits: FloatArray = (self.scale * products).reshape(len(vectors), *self._shape)
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
