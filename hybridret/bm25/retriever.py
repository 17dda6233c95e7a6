"""The bm25 retriever of an index: its rows are the index's rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hybridret.allowed import Allowed
from hybridret.bm25.postings import Postings
from hybridret.bm25.tokenizer import Tokenizer
from hybridret.ranking import top_k
from hybridret.types import Arrays, IntArray, Queries, Run, ScoreArray

K1, B = 1.5, 0.75


class BM25Retriever:
    """Ranks rows by Okapi BM25.

    Args:
        tokenizer: Splits texts into terms.
        postings: Statistics of the rows; by default of none.
    """

    def __init__(self, tokenizer: Tokenizer, postings: Postings | None = None) -> None:
        self.tokenizer = tokenizer
        self.postings = Postings(K1, B) if postings is None else postings

    def appended(self, texts: Iterable[str]) -> BM25Retriever:
        """A retriever over these rows and the given texts after them."""
        return BM25Retriever(self.tokenizer, self.postings.appended(map(self.tokenizer.document_terms, texts)))

    def joined(self, arrays: Arrays, skipped: int = 0) -> BM25Retriever:
        """A retriever over these rows and those of stored postings; see ``Postings.joined``."""
        return BM25Retriever(self.tokenizer, self.postings.joined(arrays, skipped))

    def without(self, rows: IntArray) -> BM25Retriever:
        """A retriever whose statistics leave rows out; their numbers stay taken."""
        return BM25Retriever(self.tokenizer, self.postings.without(rows))

    def search(self, queries: Queries, k: int, allowed: Allowed | None, ties: IntArray) -> list[Run]:
        """Finds the k best rows of each query, of all where ``allowed`` is None. *Shape of ties:* (n_rows,)."""
        runs = []
        for text in queries.texts:
            scores = self.postings.counted_scores(self.tokenizer.query_counts(text))
            if allowed is None:
                runs.append(top_k(scores, k, ties))
            else:
                runs.append(top_k(scores[allowed.rows], k, ties, allowed.rows))
        return runs

    def score(self, queries: Queries, rows: list[IntArray]) -> list[ScoreArray]:
        """Scores given living rows of each query, as ``search`` scores them, bit for bit."""
        return [
            self.postings.counted_scores_of(self.tokenizer.query_counts(text), wanted)
            for text, wanted in zip(queries.texts, rows, strict=True)
        ]

    def coverage(self, query: str, rows: IntArray) -> ScoreArray:
        """The share of a query's idf whose words each row has; a word of no row counts as the rarest one can.

        *Shape:* (n,), float64, in [0, 1].
        """
        shares = self._shares(query)
        covered = np.zeros(len(rows))
        for word, share in shares.items():
            covered += share * self.postings.holding(word, rows)
        return covered

    def coverage_of(self, query: str, text: str) -> float:
        """The ``coverage`` of a text that is not in the index."""
        words = set(self.tokenizer.document_terms(text))
        return sum(share for word, share in self._shares(query).items() if word in words)

    def score_text(self, query: str, text: str) -> float:
        """The score of a text that is not in the index."""
        return self.postings.score_text(self.tokenizer.query_counts(query), self.tokenizer.document_terms(text))

    def ceiling(self, query: str) -> float:
        """The score that no row can exceed: every word of the query endlessly often."""
        counts = self.tokenizer.query_counts(query)
        return (self.postings.k1 + 1) * sum(count * self.postings.idf(word) for word, count in counts.items())

    def full_ceiling(self, query: str) -> float:
        """The score of a document that had every word of the query endlessly often, also those that no row has."""
        counts = self.tokenizer.query_counts(query)
        return (self.postings.k1 + 1) * sum(count * self._idf(word) for word, count in counts.items())

    def known_share(self, query: str) -> float:
        """The share of a query's idf whose words some row has, in [0, 1]."""
        return sum(share for word, share in self._shares(query).items() if self.postings.document_count(word))

    def _shares(self, query: str) -> dict[str, float]:
        """Each different word's share of the query's idf."""
        idfs = {word: self._idf(word) for word in self.tokenizer.query_counts(query)}
        total = sum(idfs.values())
        return {word: idf / total for word, idf in idfs.items()} if total > 0 else {}

    def _idf(self, word: str) -> float:
        return self.postings.idf(word) if self.postings.document_count(word) else self.postings.highest_idf

    def explain(self, query: str, row: int) -> dict[str, float]:
        """What each of the query's terms adds to a row's score, the largest first; terms that add nothing left out."""
        counts, there = self.tokenizer.query_counts(query), np.array([row])
        weights = {
            term: float(self.postings.counted_scores_of({term: count}, there)[0]) for term, count in counts.items()
        }
        return dict(sorted(((term, weight) for term, weight in weights.items() if weight), key=lambda item: -item[1]))
