"""The docid retriever of an index: its rows are the index's rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hybridret.allowed import Allowed
from hybridret.decoding import END, Guide, LogProbs, Stored, Trie, beam_search
from hybridret.docids import NO_SUFFIX, ResidualQuantizer, assign_suffixes
from hybridret.generative.code_decoder import CodeDecoder
from hybridret.ranking import top_k
from hybridret.types import Arrays, CodeArray, FloatArray, IntArray, Queries, Run, ScoreArray

EXHAUSTIVE_UP_TO = 4096
N_BEAMS = 100
GUIDED = 20.0
"""Nats by which the best of the hits that guide a search raises its beam."""
_DELTA_ROWS, _DELTA_SHARE = 1024, 4
assert NO_SUFFIX == END


class DocidRetriever:
    """Decodes docids under a trie of most documents' docids and a small one of those that were added since.

    Args:
        quantizer: The frozen codebooks.
        codes: *Shape:* (n_rows, n_levels), uint8 or uint16; by default of no rows.
        suffixes: *Shape:* (n_rows,), int32; see ``assign_suffixes``.
        base: The trie of the first rows; by default of all.
        trained: The decoder that was trained to these codebooks; None: the untrained one.

    Raises:
        ValueError: The trained decoder has other levels, codes or dimensions than the codebooks.
    """

    def __init__(
        self,
        quantizer: ResidualQuantizer,
        codes: CodeArray | None = None,
        suffixes: CodeArray | None = None,
        base: Trie | None = None,
        trained: CodeDecoder | None = None,
    ) -> None:
        if trained is not None and trained.tables.shape != quantizer.codebooks.shape:
            raise ValueError("the decoder does not fit the codebooks")
        self.quantizer, self.trained = quantizer, trained
        self.decoder = trained or CodeDecoder(quantizer.codebooks)
        self._kept: tuple[FloatArray, FloatArray] | None = None
        no_codes: CodeArray = np.zeros((0, quantizer.n_levels), dtype=quantizer.code_type)
        no_suffixes: CodeArray = np.zeros(0, dtype=np.int32)
        self.codes = no_codes if codes is None else codes
        self.suffixes = no_suffixes if suffixes is None else suffixes
        self._base = base

    def appended(self, vectors: FloatArray) -> DocidRetriever:
        """A retriever over these rows and new ones, coded by the frozen codebooks. *Shape:* (n_new, dimension)."""
        codes = self.quantizer.encode(vectors)
        return self.joined(codes, assign_suffixes(codes, self.codes, self.suffixes))

    def joined(self, codes: CodeArray, suffixes: CodeArray) -> DocidRetriever:
        """A retriever over these rows and new ones whose docids are given.

        Args:
            codes: *Shape:* (n_new, n_levels), any integer type.
            suffixes: *Shape:* (n_new,), any integer type.

        Returns:
            The retriever, which shares the trie while the rows beside it are few.

        Raises:
            ValueError: The codes do not fit the codebooks.
        """
        if codes.ndim != 2 or codes.shape[1] != self.quantizer.n_levels or suffixes.shape != codes.shape[:1]:
            raise ValueError("the docids do not fit the codebooks")
        if codes.dtype.kind not in "iu" or suffixes.dtype.kind not in "iu":
            raise ValueError("the docids hold numbers that are not whole")
        if len(codes) and (codes.min() < 0 or codes.max() >= self.quantizer.n_codes or suffixes.min() < NO_SUFFIX):
            raise ValueError("a docid has a code that its codebook lacks")
        all_codes = np.concatenate([self.codes, codes.astype(self.quantizer.code_type)])
        all_suffixes = np.concatenate([self.suffixes, suffixes.astype(np.int32)])
        n_beside = len(all_codes) - (0 if self._base is None else self._base.n_leaves)
        shared = self._base if n_beside <= max(_DELTA_ROWS, len(self.codes) // _DELTA_SHARE) else None
        return DocidRetriever(self.quantizer, all_codes, all_suffixes, shared, self.trained)

    def with_base(self, arrays: Arrays) -> DocidRetriever:
        """The same rows under a stored trie of the first ones.

        Raises:
            KeyError, ValueError: The trie is not one of these docids.
        """
        stored = Stored(arrays["order"], arrays["lcp"])
        n_rows = len(stored.order)
        if stored.order.ndim != 1 or n_rows > len(self.codes):
            raise ValueError("there are fewer docids than the trie has")
        base = Trie(self.codes[:n_rows], self.suffixes[:n_rows], stored=stored)
        return DocidRetriever(self.quantizer, self.codes, self.suffixes, base, self.trained)

    def with_decoder(self, trained: CodeDecoder) -> DocidRetriever:
        """The same rows under a trained decoder.

        Raises:
            ValueError: It was not trained to these codebooks' shape.
        """
        return DocidRetriever(self.quantizer, self.codes, self.suffixes, self._base, trained)

    def picked(self, rows: IntArray) -> DocidRetriever:
        """A retriever over some of these rows, in the order given. *Shape:* (n,)."""
        return DocidRetriever(self.quantizer, self.codes[rows], self.suffixes[rows], trained=self.trained)

    def arrays(self, part: str, first_row: int) -> Arrays:
        """What a bundle stores: ``codebooks``, ``decoder``, ``docid`` from a row on, or ``trie``."""
        if part == "codebooks":
            return {"codebooks": self.quantizer.codebooks}
        if part == "decoder":
            return self.decoder.arrays()
        if part == "docid":
            return {"codes": self.codes[first_row:], "suffixes": self.suffixes[first_row:]}
        return self.base.stored._asdict()

    @property
    def base(self) -> Trie:
        """The trie of the first rows: of all, unless some were added since it was made."""
        if self._base is None:
            self._base = Trie(self.codes, self.suffixes)
        return self._base

    @cached_property
    def tries(self) -> list[Trie]:
        """The base, and the trie of the rows after it where there are any."""
        n_base = self.base.n_leaves
        if n_base == len(self.codes):
            return [self.base]
        return [self.base, Trie(self.codes[n_base:], self.suffixes[n_base:], first_row=n_base)]

    def search(
        self,
        queries: Queries,
        k: int,
        allowed: Allowed | None,
        ties: IntArray,
        guides: Sequence[Run] | None = None,
    ) -> list[Run]:
        """Finds the k docids of the highest log-probability: exactly where few rows are allowed, else by beam search.

        Args:
            queries: The queries, encoded.
            k: How many rows to find.
            allowed: Rows that may be found; None: all.
            ties: *Shape:* (n_rows,), each row's place among rows of equal score.
            guides: Another retriever's hits by query: beams above them are spared, scores stay the docids' own.
        """
        log_probs = self._log_probs(queries.vectors)
        n_allowed = len(self.codes) if allowed is None else allowed.count
        if n_allowed <= EXHAUSTIVE_UP_TO:
            rows = np.arange(len(self.codes)) if allowed is None else allowed.rows
            codes = self.codes[rows]
            return [top_k(self.decoder.score(one, codes), k, ties, rows) for one in log_probs]

        def step(level: int, tokens: IntArray, parents: IntArray) -> LogProbs | None:
            return log_probs[:, level : level + 1] if level < self.quantizer.n_levels else None

        alive = [None if allowed is None else allowed.derived(trie, trie.alive_before) for trie in self.tries]
        guide = None if guides is None else Guide.of_runs(guides, GUIDED)
        runs = beam_search(self.tries, step, len(log_probs), max(k, N_BEAMS), alive, ties, guide)
        return [Run(run.rows[:k], run.scores[:k]) for run in runs]

    def score(self, queries: Queries, rows: list[IntArray]) -> list[ScoreArray]:
        """Scores given rows of each query by the log-probability of their docids."""
        log_probs = self._log_probs(queries.vectors)
        return [self.decoder.score(one, self.codes[wanted]) for one, wanted in zip(log_probs, rows, strict=True)]

    def score_vector(self, query: FloatArray, vector: FloatArray) -> float:
        """Scores a document that is not in the index, by the docid that it would get. *Shapes:* (dimension,) both."""
        log_probs = self.decoder.log_probs(query[None])[0]
        return float(self.decoder.score(log_probs, self.quantizer.encode(vector[None]))[0])

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
