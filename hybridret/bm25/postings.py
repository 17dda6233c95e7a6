"""Inverted lists with exact Okapi weights, growing by segments."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hybridret.growth import kept_segments
from hybridret.types import Arrays, BoolArray, IntArray, ScoreArray

_DENSE_SHARE = 8


class Segment(NamedTuple):
    """The postings of consecutive rows, by term.

    Attributes:
        end: The row after the last.
        terms: *Shape:* (n_terms,), int64, ascending term numbers.
        starts: *Shape:* (n_terms + 1,), int64, where each term's postings start.
        rows: *Shape:* (n_postings,), int64, ascending within a term.
        counts: *Shape:* (n_postings,), int64, how often the term occurs in the row.
    """

    end: int
    terms: IntArray
    starts: IntArray
    rows: IntArray
    counts: IntArray

    def of(self, term: int) -> tuple[IntArray, IntArray]:
        """Rows and counts of one term."""
        at = int(np.searchsorted(self.terms, term))
        if at == len(self.terms) or self.terms[at] != term:
            return self.rows[:0], self.counts[:0]
        span = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return self.rows[span], self.counts[span]


class Postings:
    """Term statistics of a collection, never changed: growing and shrinking it gives a new object.

    A term is weighed by ``idf * (tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean_length)))``, worked out when
    it is first asked for, as weights depend on the whole collection. Without ``epsilon``, ``idf = log((N + 1) / df)``
    (Lv and Zhai, "Lower-Bounding Term Frequency Normalization", CIKM 2011): above 0 also for a term that all documents
    hold, so that collections of one or two documents are searched as well. With ``epsilon``, as rank-bm25's
    ``BM25Okapi`` has it, with the same operations in the same order, so that the sums agree bit for bit:
    ``idf = log(N - df + 0.5) - log(df + 0.5)``, and ``epsilon * mean(idf)`` where that is negative (Trotman et al.,
    "Improvements to BM25 and Language Models Examined", ADCS 2014). A collection whose texts hold no term at all, for
    which rank-bm25 divides by zero, scores 0.

    Args:
        k1: Saturation of term counts.
        b: Strength of the length normalisation, 0 to 1.
        epsilon: Floor of negative idf values, as a share of the mean idf; None: no idf is negative.
    """

    def __init__(self, k1: float, b: float, epsilon: float | None = None) -> None:
        self.k1, self.b, self.epsilon = k1, b, epsilon
        self.vocabulary: dict[str, int] = {}
        self.segments: list[Segment] = []
        self.lengths: IntArray = np.zeros(0, dtype=np.int64)
        self.alive: BoolArray = np.zeros(0, dtype=np.bool_)
        self._document_counts: IntArray = np.zeros(0, dtype=np.int64)
        self._weights_of: dict[str, tuple[IntArray | None, ScoreArray]] = {}

    def appended(self, documents: Iterable[Sequence[str]]) -> Postings:
        """These rows and further ones, given as terms. The vocabulary is shared and only ever grows."""
        vocabulary, first = self.vocabulary, len(self.lengths)
        lengths: list[int] = []
        terms: list[int] = []
        rows: list[int] = []
        counts: list[int] = []
        for row, document in enumerate(documents, first):
            frequencies: dict[int, int] = {}
            for word in document:
                term = vocabulary.setdefault(word, len(vocabulary))
                frequencies[term] = frequencies.get(term, 0) + 1
            lengths.append(len(document))
            terms += frequencies.keys()
            counts += frequencies.values()
            rows += [row] * len(frequencies)
        return self._with(_segment(first + len(lengths), terms, rows, counts), np.array(lengths, dtype=np.int64))

    def joined(self, arrays: Arrays, skipped: int = 0) -> Postings:
        """These rows and those of what ``arrays`` gave, all alive.

        Args:
            arrays: From ``arrays`` of postings whose first row is this one's last, or earlier by ``skipped``.
            skipped: How many of their first rows are here already.

        Raises:
            KeyError, ValueError: The arrays do not fit together.
        """
        first = len(self.lengths) - skipped
        words = arrays["words"].tobytes().decode()
        named = words.split("\n") if words else []
        lengths, starts, rows, counts = (_integers(arrays[name]) for name in ("lengths", "starts", "rows", "counts"))
        n_rows, sizes = len(lengths), np.diff(starts)
        if len(set(named)) != len(named) or len(starts) != len(named) + 1 or len(rows) != len(counts):
            raise ValueError("the arrays of the postings do not fit together")
        if starts[0] != 0 or starts[-1] != len(rows) or (sizes < 0).any():
            raise ValueError("the terms of the postings do not fit their rows")
        if (counts < 1).any() or (lengths < 0).any() or ((rows < 0) | (rows >= n_rows)).any():
            raise ValueError("the postings hold numbers that cannot be")
        numbers = np.array([self.vocabulary.setdefault(word, len(self.vocabulary)) for word in named], dtype=np.int64)
        kept = rows >= skipped
        terms = np.repeat(numbers, sizes)[kept]
        return self._with(_segment(first + n_rows, terms, rows[kept] + first, counts[kept]), lengths[skipped:])

    def without(self, rows: IntArray) -> Postings:
        """These rows with some taken out of the statistics; their numbers stay taken."""
        dead = np.zeros(len(self.alive), dtype=np.bool_)
        dead[rows] = True
        dead &= self.alive
        document_counts = self._document_counts.copy()
        for segment in self.segments:
            gone = np.flatnonzero(dead[segment.rows])
            terms = segment.terms[np.searchsorted(segment.starts, gone, side="right") - 1]
            np.subtract.at(document_counts, terms, 1)
        return self._like(self.segments, self.lengths, self.alive & ~dead, document_counts)

    def scores(self, query: Iterable[str]) -> ScoreArray:
        """Scores every row for a query given as terms, one after the other as rank-bm25 does.

        *Shape:* (n_rows,), float64; dead rows get 0.
        """
        scores = np.zeros(len(self.lengths))
        for word in query:
            rows, weights = self._weights(word)
            if rows is None:
                scores += weights
            else:
                scores[rows] += weights
        return scores

    def counted_scores(self, counts: Mapping[str, int]) -> ScoreArray:
        """Scores every row for a query given as the counts of its terms.

        The cost grows with the number of different terms, not with their counts.

        *Shape:* (n_rows,), float64; dead rows get 0.
        """
        scores = np.zeros(len(self.lengths))
        for word, count in counts.items():
            rows, weights = self._weights(word)
            if rows is None:
                scores += count * weights
            else:
                scores[rows] += count * weights
        return scores

    def counted_scores_of(self, counts: Mapping[str, int], rows: IntArray) -> ScoreArray:
        """What ``counted_scores`` gives some living rows, bit for bit, without scoring the others. *Shape:* (n,)."""
        scores = np.zeros(len(rows))
        for word, count in counts.items():
            holders, weights = self._weights(word)
            if holders is None:
                scores += count * weights[rows]
            elif len(holders):
                at = np.minimum(np.searchsorted(holders, rows), len(holders) - 1)
                there = holders[at] == rows
                scores[there] += count * weights[at[there]]
        return scores

    def holding(self, word: str, rows: IntArray) -> BoolArray:
        """Which of some living rows hold a word. *Shape:* (n,)."""
        found, weights = self._weights(word)
        if found is None:
            return np.asarray(weights[rows] != 0)
        at = np.searchsorted(found, rows)
        at[at == len(found)] = 0
        return found[at] == rows if len(found) else np.zeros(len(rows), dtype=np.bool_)

    def score_text(self, counts: Mapping[str, int], text: Sequence[str]) -> float:
        """Scores a text outside the collection, given as terms, by the collection's statistics."""
        norm = self.k1 * (1 - self.b + self.b * len(text) / (self.mean_length() or 1.0))
        held = Counter(text)
        return sum(
            count * self.idf(word) * (held[word] * (self.k1 + 1) / (held[word] + norm))
            for word, count in counts.items()
        )

    def document_count(self, word: str) -> int:
        """In how many living rows a word occurs."""
        term = self.vocabulary.get(word, len(self._document_counts))
        return int(self._document_counts[term]) if term < len(self._document_counts) else 0

    def idf(self, word: str) -> float:
        """The word's inverse document frequency; 0 for a word that no living row holds."""
        return float(self._idfs[self.vocabulary[word]]) if self.document_count(word) else 0.0

    @cached_property
    def highest_idf(self) -> float:
        """The idf that a word of no living row would have: of half a row, where none is no number of rows."""
        size = int(self.alive.sum())
        return math.log((size + 1) / 0.5) if self.epsilon is None else math.log(size + 0.5) - math.log(0.5)

    def mean_length(self) -> float:
        """The mean number of terms of the living rows, 0 where there are none."""
        size = int(self.alive.sum())
        return int(self.lengths[self.alive].sum()) / size if size else 0.0

    def arrays(self, first_row: int = 0) -> Arrays:
        """The rows from one on, as flat narrow arrays for ``joined``; rows are numbered from 0 on in them."""
        segment = self._merged(first_row)
        words = list(self.vocabulary)
        numbers = {"lengths": self.lengths[first_row:], "starts": segment.starts}
        numbers |= {"rows": segment.rows - first_row, "counts": segment.counts}
        narrowed = {name: array.astype(np.min_scalar_type(array.max(initial=0))) for name, array in numbers.items()}
        joined = "\n".join(words[term] for term in segment.terms.tolist())
        return {"words": np.frombuffer(joined.encode(), dtype=np.uint8), **narrowed}

    def _weights(self, word: str) -> tuple[IntArray | None, ScoreArray]:
        """Rows of a word and what it adds to their scores; no rows for a common word: an addend for every row."""
        cached = self._weights_of.get(word)
        if cached is not None:
            return cached
        term = self.vocabulary.get(word)
        if term is None or not self.segments:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        found = [segment.of(term) for segment in self.segments]
        rows, counts = found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True))
        if not self.alive.all():
            counts, rows = counts[self.alive[rows]], rows[self.alive[rows]]
        weights = self.idf(word) * (counts * (self.k1 + 1) / (counts + self._norms[rows]))
        entry: tuple[IntArray | None, ScoreArray] = (rows, weights)
        if len(rows) * _DENSE_SHARE > len(self.lengths):
            entry = (None, np.zeros(len(self.lengths)))
            entry[1][rows] = weights
        self._weights_of[word] = entry
        return entry

    @cached_property
    def _norms(self) -> ScoreArray:
        mean = self.mean_length() or 1.0
        return np.asarray(self.k1 * (1 - self.b + self.b * self.lengths / mean), dtype=np.float64)

    @cached_property
    def _raw_idfs(self) -> ScoreArray:
        """Idf of every term before the floor; ``math.log`` on the distinct counts keeps rank-bm25's bits."""
        size = int(self.alive.sum())
        distinct = np.flatnonzero(np.bincount(self._document_counts))
        idf_of_count = np.zeros(size + 1)
        idf_of_count[distinct] = [math.log(size - n + 0.5) - math.log(n + 0.5) if n else 0.0 for n in distinct.tolist()]
        return idf_of_count[self._document_counts]

    @cached_property
    def mean_idf(self) -> float:
        """The mean idf of the terms in living rows, before the floor, summed in their order; 0 where there are none."""
        present = self._raw_idfs[self._document_counts > 0]
        return float(np.add.accumulate(present)[-1] / len(present)) if len(present) else 0.0

    @cached_property
    def _idfs(self) -> ScoreArray:
        if self.epsilon is None:
            return np.log((int(self.alive.sum()) + 1) / np.maximum(self._document_counts, 1))
        return np.where(self._raw_idfs < 0, self.epsilon * self.mean_idf, self._raw_idfs)

    def _with(self, segment: Segment, lengths: IntArray) -> Postings:
        """These rows and a segment of living ones after them, merged with the last segments where those are small."""
        document_counts = np.zeros(len(self.vocabulary), dtype=np.int64)
        document_counts[: len(self._document_counts)] = self._document_counts
        document_counts[segment.terms] += np.diff(segment.starts)
        grown = self._like(
            [*self.segments, segment],
            np.concatenate([self.lengths, lengths]),
            np.concatenate([self.alive, np.ones(len(lengths), dtype=np.bool_)]),
            document_counts,
        )
        ends = [0, *(one.end for one in self.segments)]
        kept = kept_segments(np.diff(ends).tolist(), len(lengths))
        if kept < len(self.segments):
            grown.segments = [*self.segments[:kept], grown._merged(ends[kept])]
        return grown

    def _merged(self, first_row: int) -> Segment:
        """The postings of the living rows from one on, in one segment."""
        later = [segment for segment in self.segments if segment.end > first_row]
        if not later:
            return _segment(len(self.lengths), [], [], [])
        terms = np.concatenate([np.repeat(segment.terms, np.diff(segment.starts)) for segment in later])
        rows = np.concatenate([segment.rows for segment in later])
        counts = np.concatenate([segment.counts for segment in later])
        kept = self.alive[rows] & (rows >= first_row)
        return _segment(len(self.lengths), terms[kept], rows[kept], counts[kept])

    def _like(self, segments: list[Segment], lengths: IntArray, alive: BoolArray, counts: IntArray) -> Postings:
        postings = Postings(self.k1, self.b, self.epsilon)
        postings.vocabulary, postings.segments = self.vocabulary, segments
        postings.lengths, postings.alive, postings._document_counts = lengths, alive, counts
        return postings


def _integers(array: NDArray[Any]) -> IntArray:
    if array.dtype.kind not in "iu":
        raise ValueError("the postings hold numbers that are not whole")
    return array.astype(np.int64)


def _segment(
    end: int, terms: Sequence[int] | IntArray, rows: Sequence[int] | IntArray, counts: Sequence[int] | IntArray
) -> Segment:
    terms, rows, counts = (np.asarray(part, dtype=np.int64) for part in (terms, rows, counts))
    order = np.argsort(terms, kind="stable")
    distinct, starts = np.unique(terms[order], return_index=True)
    starts = np.concatenate([starts, [len(terms)]])
    return Segment(end, distinct, starts.astype(np.int64), rows[order], counts[order])
