"""The docid retriever of an index: its rows are the index's rows."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from hybridret.decoding import END, LogProbs, Trie, beam_search
from hybridret.docids import NO_SUFFIX, ResidualQuantizer, assign_suffixes
from hybridret.generative.code_decoder import CodeDecoder
from hybridret.ranking import top_k
from hybridret.types import BoolArray, FloatArray, IntArray, Queries, Run, ScoreArray

EXHAUSTIVE_UP_TO = 4096
N_BEAMS = 100


class DocidRetriever:
    """Decodes docids under the trie of all documents' docids.

    Args:
        quantizer: The frozen codebooks.
        codes: *Shape:* (n_rows, n_levels), int64; by default of no rows.
        suffixes: *Shape:* (n_rows,), int64; see ``assign_suffixes``.
    """

    def __init__(
        self, quantizer: ResidualQuantizer, codes: IntArray | None = None, suffixes: IntArray | None = None
    ) -> None:
        self.quantizer = quantizer
        self.decoder = CodeDecoder(quantizer.codebooks)
        self._kept: tuple[FloatArray, FloatArray] | None = None
        self.codes: IntArray = np.zeros((0, quantizer.n_levels), dtype=np.int64) if codes is None else codes
        self.suffixes: IntArray = np.zeros(0, dtype=np.int64) if suffixes is None else suffixes

    def appended(self, vectors: FloatArray) -> DocidRetriever:
        """A retriever over these rows and new ones, coded by the frozen codebooks. *Shape:* (n_new, dimension)."""
        codes = self.quantizer.encode(vectors)
        suffixes = assign_suffixes(codes, self.codes, self.suffixes)
        return DocidRetriever(
            self.quantizer, np.concatenate([self.codes, codes]), np.concatenate([self.suffixes, suffixes])
        )

    @cached_property
    def trie(self) -> Trie:
        """The docids of all rows."""
        return Trie(self.codes, np.where(self.suffixes == NO_SUFFIX, END, self.suffixes))

    def search(self, queries: Queries, k: int, allowed: BoolArray | None, ties: IntArray) -> list[Run]:
        """Finds the k docids of the highest log-probability: exactly where few rows are allowed, else by beam search.

        *Shapes:* allowed (n_rows,), None for all; ties (n_rows,).
        """
        log_probs = self._log_probs(queries.vectors)
        n_allowed = len(self.codes) if allowed is None else int(allowed.sum())
        if n_allowed <= EXHAUSTIVE_UP_TO:
            rows = np.arange(len(self.codes)) if allowed is None else np.flatnonzero(allowed)
            codes = self.codes[rows]
            return [top_k(self.decoder.score(one, codes), k, ties, rows) for one in log_probs]

        def step(level: int, tokens: IntArray, parents: IntArray) -> LogProbs | None:
            return log_probs[:, level : level + 1] if level < self.quantizer.n_levels else None

        alive = [self.trie.alive_before(allowed)]
        runs = beam_search([self.trie], step, len(log_probs), max(k, N_BEAMS), alive, ties)
        return [Run(run.rows[:k], run.scores[:k]) for run in runs]

    def score(self, queries: Queries, rows: list[IntArray]) -> list[ScoreArray]:
        """Scores given rows of each query by the log-probability of their docids."""
        log_probs = self._log_probs(queries.vectors)
        return [self.decoder.score(one, self.codes[wanted]) for one, wanted in zip(log_probs, rows, strict=True)]

    def _log_probs(self, vectors: FloatArray) -> FloatArray:
        """The decoder's log-probabilities, kept for the scoring that follows the search of the same queries."""
        kept = self._kept
        if kept is None or kept[0] is not vectors:
            kept = self._kept = (vectors, self.decoder.log_probs(vectors))
        return kept[1]

    def explain(self, vector: FloatArray, row: int) -> list[dict[str, float]]:
        """A row's docid, token by token, with each token's log-probability; a suffix has 0. *Shape:* (dimension,)."""
        log_probs = self.decoder.log_probs(vector[None])[0]
        codes = self.codes[row].tolist()
        path = [{"code": code, "log_prob": float(log_probs[level, code])} for level, code in enumerate(codes)]
        suffix = int(self.suffixes[row])
        return path if suffix == NO_SUFFIX else [*path, {"code": suffix, "log_prob": 0.0}]
