"""Postings: growing, shrinking, merging and the trip through flat arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.bm25.postings import Postings

QUERY = ["w1", "w3", "w3", "w40", "nowhere"]


def documents(n: int, seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [[f"w{rank}" for rank in rng.zipf(1.4, length)] for length in rng.integers(0, 30, n)]


def postings_of(corpus: list[list[str]]) -> Postings:
    return Postings(1.5, 0.75, 0.25).appended(corpus)


def test_many_appends_are_merged_and_score_as_one() -> None:
    corpus = documents(60, seed=0)
    grown = Postings(1.5, 0.75, 0.25)
    most = 0
    for document in corpus:
        grown = grown.appended([document])
        most = max(most, len(grown.segments))
        grown.scores(QUERY)
    assert most < 10
    assert np.array_equal(grown.scores(QUERY), postings_of(corpus).scores(QUERY))
    assert grown.mean_idf == postings_of(corpus).mean_idf


def test_merging_drops_dead_rows_and_keeps_their_numbers() -> None:
    corpus = documents(60, seed=1)
    grown, dead = postings_of(corpus[:30]), np.arange(0, 30, 2)
    grown = grown.without(dead)
    for document in corpus[30:]:
        grown = grown.appended([document])
    scores = grown.scores(QUERY)
    assert scores.shape == (60,)
    assert not scores[dead].any()
    left = postings_of([document for row, document in enumerate(corpus) if row not in dead])
    np.testing.assert_allclose(scores[grown.alive], left.scores(QUERY), rtol=1e-12, atol=1e-12)
    assert not np.isin(grown.arrays()["rows"], dead).any()


def test_appending_leaves_the_old_postings_as_they_were() -> None:
    corpus = documents(40, seed=2)
    old, untouched = postings_of(corpus), postings_of(corpus)
    before = old.scores(QUERY[:2])
    old.appended([["w1", "fresh", "fresh"], ["w40"], ["w3"] * 50])
    assert np.array_equal(old.scores(QUERY[:2]), before)
    assert np.array_equal(old.scores([*QUERY, "fresh"]), untouched.scores([*QUERY, "fresh"]))
    assert (old.document_count("fresh"), old.idf("fresh")) == (0, 0.0)
    assert (old.mean_length(), old.mean_idf) == (untouched.mean_length(), untouched.mean_idf)


def test_two_appends_to_the_same_postings_do_not_see_each_other() -> None:
    corpus = documents(40, seed=3)
    old = postings_of(corpus)
    left, right = old.appended([["left", "w1"]]), old.appended([["right", "w2"], ["left"]])
    for branch, added in ((left, [["left", "w1"]]), (right, [["right", "w2"], ["left"]])):
        query = ["left", "right", "w1", "w2"]
        np.testing.assert_allclose(branch.scores(query), postings_of(corpus + added).scores(query), rtol=1e-12)


def test_removing_leaves_the_old_postings_as_they_were() -> None:
    corpus = documents(40, seed=4)
    old, untouched = postings_of(corpus), postings_of(corpus)
    shrunk = old.without(np.array([0, 5, 39]))
    assert shrunk.alive.sum() == 37
    assert old.alive.all()
    assert np.array_equal(old.scores(QUERY), untouched.scores(QUERY))


def test_removing_a_row_twice_counts_once() -> None:
    once = postings_of([["a", "b"], ["a"], ["c"]]).without(np.array([0]))
    twice = once.without(np.array([0, 0]))
    assert [twice.document_count(word) for word in "abc"] == [once.document_count(word) for word in "abc"] == [1, 0, 1]


def test_removing_every_row_scores_zero() -> None:
    empty = postings_of([["a"], ["b"]]).without(np.array([0, 1]))
    assert np.array_equal(empty.scores(["a"]), np.zeros(2))
    assert (empty.mean_length(), empty.mean_idf, empty.idf("a")) == (0, 0, 0)


@pytest.mark.parametrize("dead", [[], [0, 7, 39], list(range(40))])
def test_arrays_give_the_same_postings_again(dead: list[int]) -> None:
    corpus = documents(40, seed=5)
    old = postings_of(corpus[:20]).appended(corpus[20:]).without(np.array(dead, dtype=np.int64))
    new = Postings(1.5, 0.75, 0.25).joined(old.arrays()).without(np.array(dead, dtype=np.int64))
    assert np.array_equal(new.scores(QUERY), old.scores(QUERY))
    assert (new.mean_idf, new.mean_length()) == (old.mean_idf, old.mean_length())
    assert all(new.document_count(word) == old.document_count(word) for word in old.vocabulary)
    further = documents(10, seed=6)
    np.testing.assert_allclose(new.appended(further).scores(QUERY), old.appended(further).scores(QUERY), rtol=1e-12)


@pytest.mark.parametrize("corpus", [[], [[], []], [["ö", "検索", "𠮷野"]]])
def test_arrays_of_unusual_collections(corpus: list[list[str]]) -> None:
    old = postings_of(corpus)
    new = Postings(1.5, 0.75, 0.25).joined(old.arrays())
    assert list(new.vocabulary) == list(old.vocabulary)
    assert np.array_equal(new.scores(["検索"]), old.scores(["検索"]))


def test_arrays_that_do_not_fit_together_are_rejected() -> None:
    arrays = postings_of([["a"], ["b"]]).arrays()
    with pytest.raises(ValueError, match="fit together"):
        Postings(1.5, 0.75, 0.25).joined({**arrays, "counts": arrays["counts"][:1]})
    with pytest.raises(ValueError, match="numbers that cannot be"):
        Postings(1.5, 0.75, 0.25).joined({**arrays, "lengths": arrays["lengths"][:1]})
    with pytest.raises(KeyError):
        Postings(1.5, 0.75, 0.25).joined({name: arrays[name] for name in arrays if name != "rows"})


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12), skipped=st.integers(0, 8), seed=st.integers(0, 99))
def test_rows_from_one_on_join_what_is_there(sizes: list[int], skipped: int, seed: int) -> None:
    corpus = documents(sum(sizes), seed=seed)
    grown, ends = postings_of([]), np.cumsum(sizes)
    for start, end in zip([0, *ends], ends, strict=False):
        grown = grown.appended(corpus[start:end])
    n_known = min(int(ends[len(ends) // 2]), len(corpus))
    skipped = min(skipped, n_known)
    joined = postings_of(corpus[:n_known]).joined(grown.arrays(n_known - skipped), skipped)
    fresh = postings_of(corpus)
    assert np.array_equal(joined.scores(QUERY), fresh.scores(QUERY))
    assert np.array_equal(grown.scores(QUERY), fresh.scores(QUERY))
    assert joined.lengths.tolist() == fresh.lengths.tolist()
