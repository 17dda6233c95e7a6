"""What bm25 tells the ranker: coverage, ceiling and scores of texts outside the index, against slow formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hybridret.bm25 import BM25Retriever, Tokenizer
from hybridret.types import Queries

WORDS = [f"{first}{second}a" for first in "bdfgk" for second in "aeiou"]


def texts(n: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(WORDS) + 1)
    return [" ".join(generator.choice(WORDS, size=8, p=weights / weights.sum())) for _ in range(n)]


@pytest.fixture(scope="module")
def retriever() -> BM25Retriever:
    """Fifty rows in two segments, three of them dead."""
    made = BM25Retriever(Tokenizer("none")).appended(texts(30, 0)).appended(texts(20, 1))
    return made.without(np.array([0, 7, 41]))


def test_coverage_is_the_covered_share_of_the_idf(retriever: BM25Retriever) -> None:
    corpus = texts(30, 0) + texts(20, 1)
    living = [row for row in range(50) if row not in (0, 7, 41)]
    query = "baa kua baa zzza doa"
    known = {}
    for word in ("baa", "kua", "zzza", "doa"):
        n = sum(word in corpus[row].split() for row in living)
        known[word] = math.log((47 + 1) / (n or 0.5))
    expected = [
        sum(idf for word, idf in known.items() if word in corpus[row].split()) / sum(known.values()) for row in living
    ]
    np.testing.assert_allclose(retriever.coverage(query, np.array(living)), expected, rtol=1e-12)
    for row, covered in zip(living[:5], expected[:5], strict=True):
        assert retriever.coverage_of(query, corpus[row]) == pytest.approx(covered)


def test_a_text_outside_scores_as_it_would_inside(retriever: BM25Retriever) -> None:
    corpus = texts(30, 0) + texts(20, 1)
    for query in ("baa kua doa", "baa baa", "zzza"):
        rows = np.array([3, 12, 44])
        inside = retriever.score(Queries([query], np.zeros((1, 0), dtype=np.float32)), [rows])[0]
        outside = [retriever.score_text(query, corpus[row]) for row in rows]
        np.testing.assert_allclose(outside, inside, rtol=1e-12)


def test_no_text_reaches_the_ceiling(retriever: BM25Retriever) -> None:
    query = "fua doa gea"
    ceiling = retriever.ceiling(query)
    assert ceiling == pytest.approx(2.5 * sum(retriever.postings.idf(word) for word in query.split()))
    assert 0.6 * ceiling < retriever.score_text(query, " ".join(query.split() * 200)) < ceiling


@pytest.mark.parametrize("query", ["", "...", "the"])
def test_a_query_without_terms_is_covered_by_nothing(query: str) -> None:
    retriever = BM25Retriever(Tokenizer("english")).appended(["the house", "the sea"])
    assert retriever.coverage(query, np.arange(2)).tolist() == [0.0, 0.0]
    assert retriever.ceiling(query) == 0.0
