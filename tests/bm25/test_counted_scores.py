"""A query is its terms and their counts: tokenised once, scored once, whatever asks for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret import HybridRetriever
from hybridret.bm25 import BM25Retriever, Tokenizer
from hybridret.bm25.postings import Postings
from hybridret.types import Queries
from tests.conftest import StubEmbeddings

K1, B = 1.5, 0.75


def documents(n: int, seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [[f"w{rank}" for rank in rng.zipf(1.4, length)] for length in rng.integers(0, 30, n)]


def slow_scores(corpus: dict[int, list[str]], query: dict[str, int], n_rows: int) -> list[float]:
    """BM25 by the formula, with the idf of BM25+, one document after the other."""
    mean = sum(map(len, corpus.values())) / len(corpus) if corpus else 0.0
    scores = [0.0] * n_rows
    for row, document in corpus.items():
        for term, count in query.items():
            tf, df = document.count(term), sum(term in other for other in corpus.values())
            if tf:
                norm = K1 * (1 - B + B * len(document) / mean)
                scores[row] += count * math.log((len(corpus) + 1) / df) * tf * (K1 + 1) / (tf + norm)
    return scores


@settings(deadline=None, max_examples=80)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    dead=st.sets(st.integers(0, 40), max_size=10),
    query=st.dictionaries(st.integers(1, 12).map("w{}".format), st.integers(1, 5), max_size=6),
    seed=st.integers(0, 99),
)
def test_scores_of_some_rows_are_those_of_all_bit_for_bit_and_follow_the_formula(
    sizes: list[int], dead: set[int], query: dict[str, int], seed: int
) -> None:
    corpus = documents(sum(sizes), seed)
    postings, ends = Postings(K1, B), np.cumsum(sizes).tolist()
    for start, end in zip([0, *ends], ends, strict=False):
        postings = postings.appended(corpus[start:end])
    gone = [row for row in dead if row < len(corpus)]
    postings = postings.without(np.array(gone, dtype=np.int64))
    living = np.flatnonzero(postings.alive)
    scores = postings.counted_scores(query)
    assert np.array_equal(postings.counted_scores_of(query, living), scores[living])
    some = np.random.default_rng(seed).permutation(living)[:5]
    assert np.array_equal(postings.counted_scores_of(query, some), scores[some])
    expected = slow_scores({row: corpus[row] for row in living.tolist()}, query, len(corpus))
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-12)
    as_asked = [term for term, count in query.items() for _ in range(count)]
    np.testing.assert_allclose(scores, postings.scores(as_asked), rtol=1e-12, atol=1e-12)


def counted(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[tuple[Any, ...]]:
    """The arguments of each call of a method from now on."""
    calls: list[tuple[Any, ...]] = []
    method: Callable[..., Any] = getattr(owner, name)

    def call(self: Any, *args: Any) -> Any:
        calls.append(args)
        return method(self, *args)

    monkeypatch.setattr(owner, name, call)
    return calls


@pytest.mark.parametrize("weights", [None, {"dense": 0.5, "bm25": 0.5}])
def test_a_query_is_tokenised_and_scored_once(
    monkeypatch: pytest.MonkeyPatch, embeddings: StubEmbeddings, weights: dict[str, float] | None
) -> None:
    texts = [f"document {number} of a pump" for number in range(50)]
    retriever = HybridRetriever.from_texts(texts, embedding_model=embeddings, fit=False, weights=weights)
    tokenised, scored = counted(monkeypatch, Tokenizer, "__call__"), counted(monkeypatch, Postings, "counted_scores")
    in_order = counted(monkeypatch, Postings, "scores")
    queries = [f"pump {number}" for number in range(200)]
    retriever.search(queries, k=3)
    assert [text for (text,) in tokenised] == queries
    assert len(scored) == len(queries)
    assert in_order == []
    retriever.explain(queries[-1], retriever.search([queries[-1]], k=1)[0][0].doc_id)
    assert [text for (text,) in tokenised if text in queries] == queries


def test_a_long_query_costs_what_its_different_terms_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"word{number}" for number in range(200)]
    retriever = BM25Retriever(Tokenizer("none")).appended([" ".join(words[at : at + 20]) for at in range(180)])
    looked_up = counted(monkeypatch, Postings, "_weights")
    costs = []
    for text in (" ".join(words), " ".join(words * 200)):
        looked_up.clear()
        retriever.search(Queries([text], np.zeros((1, 0), dtype=np.float32)), 5, None, np.arange(180))
        retriever.score(Queries([text], np.zeros((1, 0), dtype=np.float32)), [np.arange(10)])
        retriever.coverage(text, np.arange(10))
        retriever.ceiling(text)
        costs.append(len(looked_up))
    assert costs[0] == costs[1] == 3 * len(words)


def test_counts_are_in_the_order_of_first_occurrence() -> None:
    counts = Tokenizer("none").query_counts("pump valve pump water")
    assert list(counts.items()) == [("pump", 2), ("valve", 1), ("water", 1)] == list(Counter(dict(counts)).items())
