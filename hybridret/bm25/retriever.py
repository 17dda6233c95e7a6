"""The bm25 retriever of an index: its rows are the index's rows."""

from __future__ import annotations

from collections.abc import Iterable

from hybridret.allowed import Allowed
from hybridret.bm25.postings import Postings
from hybridret.bm25.tokenizer import Tokenizer
from hybridret.ranking import top_k
from hybridret.types import Arrays, IntArray, Queries, Run, ScoreArray

K1, B, EPSILON = 1.5, 0.75, 0.25


class BM25Retriever:
    """Ranks rows by Okapi BM25.

    Args:
        tokenizer: Splits texts into terms.
        postings: Statistics of the rows; by default of none.
    """

    def __init__(self, tokenizer: Tokenizer, postings: Postings | None = None) -> None:
        self.tokenizer = tokenizer
        self.postings = Postings(K1, B, EPSILON) if postings is None else postings

    def appended(self, texts: Iterable[str]) -> BM25Retriever:
        """A retriever over these rows and the given texts after them."""
        return BM25Retriever(self.tokenizer, self.postings.appended(map(self.tokenizer, texts)))

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
            scores = self.postings.scores(self.tokenizer(text))
            if allowed is None:
                runs.append(top_k(scores, k, ties))
            else:
                runs.append(top_k(scores[allowed.rows], k, ties, allowed.rows))
        return runs

    def score(self, queries: Queries, rows: list[IntArray]) -> list[ScoreArray]:
        """Scores given rows of each query."""
        return [
            self.postings.scores(self.tokenizer(text))[wanted] for text, wanted in zip(queries.texts, rows, strict=True)
        ]

    def explain(self, query: str, row: int) -> dict[str, float]:
        """What each of the query's terms adds to a row's score, the largest first; terms that add nothing left out."""
        terms = self.tokenizer(query)
        weights = {term: terms.count(term) * float(self.postings.scores([term])[row]) for term in dict.fromkeys(terms)}
        return dict(sorted(((term, weight) for term, weight in weights.items() if weight), key=lambda item: -item[1]))
