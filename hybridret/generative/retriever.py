"""The docid retriever that every index begins with: residual-quantisation codes and a code decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybridret.allowed import Allowed
from hybridret.decoding import Guide, LogProbs, Trie, beam_search
from hybridret.docids import ResidualQuantizer
from hybridret.docids.rq import nearest
from hybridret.generative.code_decoder import CodeDecoder
from hybridret.generative.indexed import IndexedDocids
from hybridret.ranking import top_k
from hybridret.types import BoolArray, CodeArray, FloatArray, IntArray, Queries, Run, ScoreArray

EXHAUSTIVE_UP_TO = 4096
N_BEAMS = 100
GUIDED = 20.0
"""Nats by which the best of the hits that guide a search raises its beam."""
_FURTHER, _ALIKE, _DRAWN = 2, 0.02, 50_000


class DocidRetriever(IndexedDocids):
    """Decodes residual-quantisation codes by a code decoder, which scores every code of a query at once.

    Args:
        quantizer: The frozen codebooks.
        codes: *Shape:* (n_rows, n_levels), uint8 or uint16; by default of no rows.
        suffixes: *Shape:* (n_rows,), int32; see ``assign_suffixes``.
        base: The trie of the first rows; by default of all.
        trained: The decoder that was trained to these codebooks; None: the untrained one.

    Raises:
        ValueError: The trained decoder has other levels, codes or dimensions than the codebooks.
    """

    beam = None

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
        no_codes: CodeArray = np.zeros((0, quantizer.n_levels), dtype=quantizer.code_type)
        no_suffixes: CodeArray = np.zeros(0, dtype=np.int32)
        super().__init__(
            quantizer, no_codes if codes is None else codes, no_suffixes if suffixes is None else suffixes, base
        )
        self.quantizer, self.trained = quantizer, trained
        self.decoder = trained or CodeDecoder(quantizer.codebooks)
        self._kept: tuple[FloatArray, FloatArray] | None = None

    @property
    def is_trained(self) -> bool:
        """Whether the decoder was trained; the untrained one sees what dense sees, less sharply."""
        return self.trained is not None

    @property
    def frozen(self) -> Mapping[str, object]:
        """Codebooks, and the decoder where it was trained."""
        decoder = {} if self.trained is None else {"decoder": self.trained}
        return {"codebooks": self.quantizer, **decoder}

    def _over(self, codes: CodeArray, suffixes: CodeArray, base: Trie | None) -> DocidRetriever:
        return DocidRetriever(self.quantizer, codes, suffixes, base, self.trained)

    def _fitting(self, codes: CodeArray) -> CodeArray:
        if codes.shape[1] != self.quantizer.n_levels:
            raise ValueError("the docids do not fit the codebooks")
        if len(codes) and (codes.min() < 0 or codes.max() >= self.quantizer.n_codes):
            raise ValueError("a docid has a code that its codebook lacks")
        return codes.astype(self.quantizer.code_type)

    def with_decoder(self, trained: CodeDecoder) -> DocidRetriever:
        """The same rows under a trained decoder.

        Raises:
            ValueError: It was not trained to these codebooks' shape.
        """
        return DocidRetriever(self.quantizer, self.codes, self.suffixes, self._base, trained)

    def refined(self, vectors: FloatArray, later: BoolArray, seed: int) -> DocidRetriever:
        """The same rows with up to two more codes, where docids say less of documents that came later than of others.

        A trained decoder keeps its codebooks, which leave little of the documents that they were fitted to and, where
        these were few, much of others. Further levels are fitted to what is left; see ``ResidualQuantizer.refined``.

        Args:
            vectors: *Shape:* (n_rows, dimension), float32.
            later: *Shape:* (n_rows,), rows that came after the codebooks were fitted; at least one did.
            seed: Seed of the k-means starts.

        Returns:
            This retriever where docids say as much of either.
        """
        refinement = refine_codes(self.quantizer, self.codes, vectors, later, seed)
        if refinement is None:
            return self
        further, more = refinement
        quantizer = ResidualQuantizer(np.concatenate([self.quantizer.codebooks, further.codebooks]))
        codes = np.concatenate([self.codes, more.astype(quantizer.code_type)], axis=1)
        trained = None if self.trained is None else self.trained.refined(further.codebooks)
        return DocidRetriever(quantizer, codes, self.suffixes, trained=trained)

    def search(
        self, queries: Queries, k: int, allowed: Allowed | None, ties: IntArray, guides: Sequence[Run] | None = None
    ) -> list[Run]:
        """Finds the k rows of the likeliest docids: exactly where few are allowed, else by beam search."""
        log_probs = self._log_probs(queries.vectors)
        n_allowed = len(self.codes) if allowed is None else allowed.count
        if n_allowed <= EXHAUSTIVE_UP_TO:
            rows = np.arange(len(self.codes)) if allowed is None else allowed.rows
            codes = self.codes[rows]
            return [top_k(self.decoder.score(one, codes), k, ties, rows) for one in log_probs]

        def step(level: int, tokens: IntArray, parents: IntArray) -> LogProbs | None:
            return log_probs[:, level : level + 1] if level < self.quantizer.n_levels else None

        guide = None if guides is None else Guide.of_runs(guides, GUIDED)
        runs = beam_search(self.tries, step, len(log_probs), max(k, N_BEAMS), self._alive(allowed), ties, guide)
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

    def explain(self, queries: Queries, row: int) -> list[dict[str, Any]]:
        """A row's docid, code by code, with log-probabilities."""
        log_probs = self.decoder.log_probs(queries.vectors[:1])[0]
        return self._path(row, log_probs[np.arange(self.quantizer.n_levels), self.codes[row]].tolist())

    def facts(self, n_codes: int) -> dict[str, Any]:
        """Levels and codes, and whether these are fewer than were asked for."""
        found = self.quantizer.n_codes
        return {"levels": self.quantizer.n_levels, "codes": found, "codes_clamped": found < n_codes}

    def save(self, folder: Path) -> None:
        """Writes nothing: arrays hold all there is."""


def refine_codes(
    quantizer: ResidualQuantizer,
    codes: CodeArray,
    vectors: FloatArray,
    later: BoolArray,
    seed: int,
    most: int = _FURTHER,
    alike: float = _ALIKE,
) -> tuple[ResidualQuantizer, IntArray] | None:
    """Fits further levels until docids say as much of some documents as of those that the codebooks were fitted to.

    Args:
        quantizer: The codebooks.
        codes: *Shape:* (n_rows, n_levels), the codes of all documents.
        vectors: *Shape:* (n_rows, dimension), float32, their vectors.
        later: *Shape:* (n_rows,), rows that the codebooks were not fitted to; at least one.
        seed: Seed of the k-means starts.
        most: The most levels to fit.
        alike: By how much the mean squared error of these documents may exceed that of the others.

    Returns:
        The further levels and the codes at them, *shape* (n_rows, n_further); None where none is needed.
    """

    def left_over(rows: IntArray) -> FloatArray:
        """What the codes of some rows, or of every n-th where they are many, leave over of the vectors."""
        drawn = rows[:: max(1, len(rows) // _DRAWN)]
        return quantizer.residuals(vectors[drawn], codes[drawn])

    rest, others = (left_over(np.flatnonzero(rows)) for rows in (later, ~later))
    refined = quantizer
    while refined.n_levels < quantizer.n_levels + most and _error(rest) > _error(others) + alike:
        refined = refined.refined(rest, seed + refined.n_levels)
        level = refined.codebooks[-1]
        rest, others = (each - level[nearest(each, level)] for each in (rest, others))
    if refined is quantizer:
        return None
    further = ResidualQuantizer(refined.codebooks[quantizer.n_levels :])
    return further, further.encode(quantizer.residuals(vectors, codes))


def _error(left_over: FloatArray) -> float:
    """The mean squared length of what docids leave over; 0 of no rows."""
    return float(np.einsum("nd,nd->", left_over, left_over)) / max(1, len(left_over))
