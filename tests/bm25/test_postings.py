"""Postings: growing, shrinking, merging and the trip through flat arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import rank_bm25
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


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=10),
    skipped=st.integers(0, 8),
    deaths=st.lists(st.integers(0, 99), max_size=12),
    seed=st.integers(0, 99),
)
def test_stored_rows_join_also_where_some_are_dead(
    sizes: list[int], skipped: int, deaths: list[int], seed: int
) -> None:
    corpus = documents(sum(sizes), seed=seed)
    dead = np.unique([death % len(corpus) for death in deaths]).astype(np.int64)
    grown, ends = postings_of([]), np.cumsum(sizes)
    for start, end in zip([0, *ends], ends, strict=False):
        grown = grown.appended(corpus[start:end])
        grown = grown.without(dead[(dead >= start) & (dead < end)])
    n_known = int(ends[len(ends) // 2])
    skipped = min(skipped, n_known)
    joined = postings_of(corpus[:n_known]).joined(grown.arrays(n_known - skipped), skipped).without(dead)
    left = postings_of([document for row, document in enumerate(corpus) if row not in dead])
    for postings in (joined, grown):
        scores = postings.scores(QUERY)
        assert not scores[dead].any()
        np.testing.assert_allclose(scores[postings.alive], left.scores(QUERY), rtol=1e-12, atol=1e-12)
        for word in left.vocabulary:
            assert postings.document_count(word) == left.document_count(word)
        assert postings.lengths[postings.alive].tolist() == left.lengths.tolist()
        assert postings.mean_length() == left.mean_length()


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_files_of_rows_joined_in_turn_have_the_bits_of_rank_bm25(sizes: list[int], seed: int) -> None:
    corpus = [[*document, "w1"] for document in documents(sum(sizes), seed=seed)]
    grown, read, start = postings_of([]), postings_of([]), 0
    for size in sizes:
        grown = grown.appended(corpus[start : start + size])
        read = read.joined(grown.arrays(start))
        start += size
    theirs = rank_bm25.BM25Okapi(corpus).get_scores(QUERY)
    assert np.array_equal(grown.scores(QUERY), theirs)
    assert np.array_equal(read.scores(QUERY), theirs)
    assert np.array_equal(postings_of([]).joined(grown.arrays()).scores(QUERY), theirs)


def test_three_hundred_single_additions_leave_logarithmically_many_segments() -> None:
    corpus = [[*document, "w1"] for document in documents(301, seed=7)]
    grown, most = postings_of(corpus[:1]), 0
    for n_rows in range(2, 302):
        grown = grown.appended([corpus[n_rows - 1]])
        assert len(grown.segments) <= math.log2(n_rows) + 1
        assert grown.segments[-1].end == n_rows
        most = max(most, len(grown.segments))
    assert most > 3
    assert np.array_equal(grown.scores(QUERY), rank_bm25.BM25Okapi(corpus).get_scores(QUERY))


def test_arrays_from_a_row_on_hold_those_rows_alone() -> None:
    grown = postings_of([["a", "b"], ["b"]]).appended([["c", "b", "c"], ["a"], []])
    arrays = grown.arrays(2)
    assert bytes(arrays["words"]).decode().split("\n") == ["a", "b", "c"]
    assert arrays["lengths"].tolist() == [3, 1, 0]
    assert (arrays["starts"].tolist(), arrays["rows"].tolist(), arrays["counts"].tolist()) == (
        [0, 1, 2, 3],
        [1, 0, 0],
        [1, 1, 2],
    )
    assert grown.arrays(5)["lengths"].tolist() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: {"words": np.frombuffer(b"a\na", dtype=np.uint8)}, "fit together"),
        (lambda arrays: {"words": np.frombuffer(b"a", dtype=np.uint8)}, "fit together"),
        (lambda arrays: {"words": np.frombuffer(b"a\n\xff", dtype=np.uint8)}, "codec"),
        (lambda arrays: {"starts": arrays["starts"] + 1}, "do not fit their rows"),
        (lambda arrays: {"starts": arrays["starts"].astype(np.int64)[::-1].copy()}, "do not fit their rows"),
        (lambda arrays: {"starts": np.array([0, 3, 2])}, "do not fit their rows"),
        (lambda arrays: {"counts": np.zeros(2, dtype=np.uint8)}, "numbers that cannot be"),
        (lambda arrays: {"counts": np.array([-1, 1])}, "numbers that cannot be"),
        (lambda arrays: {"rows": np.array([0, 2])}, "numbers that cannot be"),
        (lambda arrays: {"rows": np.array([-1, 0])}, "numbers that cannot be"),
        (lambda arrays: {"lengths": np.array([-1, 1])}, "numbers that cannot be"),
    ],
)
def test_stored_postings_that_cannot_be_are_refused_and_harm_nothing(change: Any, message: str) -> None:
    arrays = postings_of([["a"], ["b"]]).arrays()
    start = postings_of([["a", "b"], ["b"]])
    before = start.scores(["a", "b"])
    with pytest.raises(ValueError, match=message):
        start.joined({**arrays, **change(arrays)})
    assert np.array_equal(start.scores(["a", "b"]), before)
