"""BM25Okapi against rank_bm25.BM25Okapi, which defines the scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rank_bm25
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.bm25 import BM25Okapi
from hybridret.errors import InputError

WORDS = ["a", "b", "c", "d", "e", "f"]
DOCUMENTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=8), max_size=6)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("add"), DOCUMENTS),
        st.tuples(st.just("delete"), st.lists(st.integers(0, 1000), max_size=4)),
    ),
    max_size=8,
)


def zipf_corpus(n_documents: int, seed: int, shortest: int = 0) -> list[list[str]]:
    """Documents whose most common words are in more than half of them, so that their idf is negative."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, 60, n_documents)
    lengths[0] = 60
    return [[f"w{rank}" for rank in rng.zipf(1.4, length)] for length in lengths]


def zipf_queries(n_queries: int, seed: int) -> list[list[str]]:
    """Queries with common, rare and repeated words and one that is in no document."""
    rng = np.random.default_rng(seed)
    queries = [[f"w{rank}" for rank in rng.zipf(1.4, length)] for length in rng.integers(1, 8, n_queries)]
    return [[*query, query[0], "nowhere"] for query in queries]


def assert_same_attributes(ours: BM25Okapi, theirs: rank_bm25.BM25Okapi) -> None:
    assert ours.corpus_size == theirs.corpus_size
    assert ours.avgdl == theirs.avgdl
    assert ours.doc_len == theirs.doc_len
    assert ours.doc_freqs == theirs.doc_freqs
    assert ours.idf == theirs.idf
    assert ours.average_idf == theirs.average_idf
    assert (ours.k1, ours.b, ours.epsilon) == (theirs.k1, theirs.b, theirs.epsilon)


@pytest.mark.parametrize(("n_documents", "seed"), [(1, 0), (2, 1), (3, 2), (17, 3), (400, 4), (3000, 5)])
def test_scores_and_attributes_are_bit_identical(n_documents: int, seed: int) -> None:
    corpus = zipf_corpus(n_documents, seed)
    ours, theirs = BM25Okapi(corpus), rank_bm25.BM25Okapi(corpus)
    assert_same_attributes(ours, theirs)
    for query in [*zipf_queries(20, seed + 100), ["nowhere"], []]:
        assert np.array_equal(ours.get_scores(query), theirs.get_scores(query))


@pytest.mark.parametrize(("k1", "b", "epsilon"), [(0.9, 0.4, 0.25), (2.0, 1.0, 0.0), (1.2, 0.0, 1.0), (3, 0.75, -0.5)])
def test_other_settings_are_bit_identical(k1: float, b: float, epsilon: float) -> None:
    corpus = zipf_corpus(300, seed=6, shortest=1)
    ours = BM25Okapi(corpus, k1=k1, b=b, epsilon=epsilon)
    theirs = rank_bm25.BM25Okapi(corpus, k1=k1, b=b, epsilon=epsilon)
    assert_same_attributes(ours, theirs)
    for query in zipf_queries(30, seed=7):
        assert np.array_equal(ours.get_scores(query), theirs.get_scores(query))


def test_word_in_most_documents_weighs_epsilon_times_the_mean_idf() -> None:
    corpus = [["a", "b"], ["a", "c"], ["a"], ["d"]]
    one_of_four = math.log(4 - 1 + 0.5) - math.log(1 + 0.5)
    three_of_four = math.log(4 - 3 + 0.5) - math.log(3 + 0.5)
    ours = BM25Okapi(corpus, epsilon=0.3)
    assert ours.average_idf == pytest.approx((three_of_four + 3 * one_of_four) / 4)
    assert ours.idf["a"] == pytest.approx(0.3 * (three_of_four + 3 * one_of_four) / 4)
    assert np.array_equal(ours.get_scores(["a"]), rank_bm25.BM25Okapi(corpus, epsilon=0.3).get_scores(["a"]))


def test_score_is_the_formula() -> None:
    corpus = [["cat", "cat", "dog"], ["bird"], ["fish", "dog"], ["worm"], ["newt"]]
    idf = math.log(5 - 1 + 0.5) - math.log(1 + 0.5)
    mean_length = (3 + 1 + 2 + 1 + 1) / 5
    expected = idf * 2 * (1.5 + 1) / (2 + 1.5 * (1 - 0.75 + 0.75 * 3 / mean_length))
    assert BM25Okapi(corpus).get_scores(["cat"]) == pytest.approx([expected, 0, 0, 0, 0])
    assert BM25Okapi(corpus).get_scores(["cat", "cat"]) == pytest.approx([2 * expected, 0, 0, 0, 0])


def test_tokenizer_splits_the_corpus_and_need_not_be_picklable() -> None:
    texts = ["The cat sat", "the dog", "", "A cat and a dog"]
    ours = BM25Okapi(texts, tokenizer=lambda text: text.lower().split())
    theirs = rank_bm25.BM25Okapi([text.lower().split() for text in texts])
    assert_same_attributes(ours, theirs)
    ours.add(["A CAT"])
    assert ours.doc_freqs[-1] == {"a": 1, "cat": 1}


def test_corpus_and_query_may_be_iterators() -> None:
    corpus = zipf_corpus(50, seed=8)
    scores = BM25Okapi(iter(corpus)).get_scores(iter(["w1", "w2"]))
    assert np.array_equal(scores, rank_bm25.BM25Okapi(corpus).get_scores(["w1", "w2"]))


def test_batch_scores_are_the_scores_at_the_positions() -> None:
    corpus = zipf_corpus(200, seed=9)
    ours, theirs = BM25Okapi(corpus), rank_bm25.BM25Okapi(corpus)
    for query in zipf_queries(10, seed=10):
        for positions in ([3, 199, 0, 3, -1], list(range(200)), []):
            assert ours.get_batch_scores(query, positions) == theirs.get_batch_scores(query, positions)


@pytest.mark.parametrize("position", [2, -3, 1000])
def test_batch_scores_reject_positions_that_do_not_exist(position: int) -> None:
    with pytest.raises(InputError, match="no document"):
        BM25Okapi([["a"], ["b"]]).get_batch_scores(["a"], [0, position])


def test_top_n_is_the_same() -> None:
    corpus = zipf_corpus(150, seed=11)
    ours, theirs = BM25Okapi(corpus), rank_bm25.BM25Okapi(corpus)
    names = [f"document {position}" for position in range(150)]
    for query in zipf_queries(10, seed=12):
        for n in (1, 5, 150, 500):
            assert ours.get_top_n(query, names, n) == theirs.get_top_n(query, names, n)


def test_it_is_a_rank_bm25_index() -> None:
    assert isinstance(BM25Okapi([["a"]]), rank_bm25.BM25Okapi)


@pytest.mark.parametrize("corpus", [[], [[]], [[], [], []]])
def test_collection_without_any_term_scores_zero(corpus: list[list[str]]) -> None:
    ours = BM25Okapi(corpus)
    assert np.array_equal(ours.get_scores(["a"]), np.zeros(len(corpus)))
    assert (ours.corpus_size, ours.avgdl, ours.average_idf, ours.idf) == (len(corpus), 0, 0, {})
    ours.add([["a"], ["b"], ["b", "c"]])
    theirs = rank_bm25.BM25Okapi([*corpus, ["a"], ["b"], ["b", "c"]])
    assert_same_attributes(ours, theirs)
    assert np.array_equal(ours.get_scores(["a", "b"]), theirs.get_scores(["a", "b"]))


def test_adding_in_parts_is_bit_identical_to_building_at_once() -> None:
    corpus = zipf_corpus(300, seed=13)
    ours, theirs = BM25Okapi(corpus[:10]), rank_bm25.BM25Okapi(corpus)
    for start in range(10, 300, 10):
        ours.add(corpus[start : start + 10])
    assert_same_attributes(ours, theirs)
    for query in zipf_queries(20, seed=14):
        assert np.array_equal(ours.get_scores(query), theirs.get_scores(query))


def test_deleting_moves_later_documents_up() -> None:
    ours = BM25Okapi([["a"], ["b"], ["c"], ["d"]])
    ours.delete([2, 0])
    assert ours.doc_freqs == [{"b": 1}, {"d": 1}]
    ours.delete([-1])
    assert ours.doc_freqs == [{"b": 1}]
    assert set(ours.idf) == {"b"}


@pytest.mark.parametrize("position", [3, -4])
def test_deleting_a_missing_position_removes_nothing(position: int) -> None:
    ours = BM25Okapi([["a"], ["b"], ["c"]])
    with pytest.raises(InputError, match="no document"):
        ours.delete([0, position])
    assert ours.corpus_size == 3


@settings(deadline=None, max_examples=150)
@given(first=DOCUMENTS, changes=CHANGES, query=st.lists(st.sampled_from([*WORDS, "nowhere"]), max_size=6))
def test_any_changes_agree_with_an_index_built_afresh(
    first: list[list[str]], changes: list[tuple[str, list]], query: list[str]
) -> None:
    ours, documents = BM25Okapi(first), list(first)
    for change, given_ in changes:
        if change == "add":
            ours.add(given_)
            documents += given_
        elif documents:
            doomed = {position % len(documents) for position in given_}
            ours.delete(doomed)
            documents = [document for position, document in enumerate(documents) if position not in doomed]
        ours.get_scores(query)
    assert ours.corpus_size == len(documents)
    assert ours.doc_len == [len(document) for document in documents]
    if not any(documents):
        assert np.array_equal(ours.get_scores(query), np.zeros(len(documents)))
        return
    theirs = rank_bm25.BM25Okapi(documents)
    assert ours.doc_freqs == theirs.doc_freqs
    assert ours.avgdl == theirs.avgdl
    assert ours.average_idf == pytest.approx(theirs.average_idf, rel=1e-12, abs=1e-12)
    assert ours.idf == pytest.approx(theirs.idf, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(ours.get_scores(query), theirs.get_scores(query), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_twenty_thousand_documents_are_bit_identical() -> None:
    corpus = zipf_corpus(20_000, seed=15)
    ours, theirs = BM25Okapi(corpus), rank_bm25.BM25Okapi(corpus)
    assert_same_attributes(ours, theirs)
    for query in zipf_queries(200, seed=16):
        assert np.array_equal(ours.get_scores(query), theirs.get_scores(query))
