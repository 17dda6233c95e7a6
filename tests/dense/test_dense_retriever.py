"""The dense retriever: exact search, approximate search, and growing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hybridret.allowed import Allowed
from hybridret.dense.retriever import INDEX_KINDS, DenseRetriever
from hybridret.errors import InputError
from hybridret.types import BoolArray, FloatArray, IntArray, Queries, Run

N_ROWS, DIMENSION, K = 10_000, 16, 10


def unit_vectors(n: int, dimension: int, seed: int) -> FloatArray:
    vectors = np.random.default_rng(seed).normal(size=(n, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered_vectors(n: int, seed: int) -> FloatArray:
    centres = unit_vectors(200, DIMENSION, seed=0)
    rng = np.random.default_rng(seed)
    vectors = centres[rng.integers(200, size=n)] + 0.15 * rng.normal(size=(n, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def grid_vectors(n: int, seed: int) -> FloatArray:
    """Unit vectors of four halves, plus or minus: their products are exact multiples of 1/4, most of them equal."""
    rng = np.random.default_rng(seed)
    vectors = np.zeros((n, 6), dtype=np.float32)
    for vector in vectors:
        vector[rng.choice(6, 4, replace=False)] = rng.choice([-0.5, 0.5], 4)
    return vectors


def asked(vectors: FloatArray) -> Queries:
    return Queries([f"query {number}" for number in range(len(vectors))], vectors)


def as_allowed(mask: BoolArray | None) -> Allowed | None:
    return None if mask is None else Allowed(mask)


def brute_force(vectors: FloatArray, query: FloatArray, k: int, allowed: BoolArray | None, ties: IntArray) -> Run:
    scores = vectors.astype(np.float64) @ query.astype(np.float64)
    rows = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    best = rows[np.lexsort((ties[rows], -scores[rows]))][:k]
    return Run(best, scores[best])


def assert_exact_scores(retriever: DenseRetriever, queries: Queries, runs: list[Run]) -> None:
    for vector, run, scores in zip(
        queries.vectors, runs, retriever.score(queries, [run.rows for run in runs]), strict=True
    ):
        np.testing.assert_allclose(run.scores, retriever.vectors[run.rows] @ vector, atol=1e-6)
        assert np.array_equal(run.scores, scores)
        assert (np.diff(run.scores) <= 0).all()


@pytest.fixture(scope="module", params=INDEX_KINDS)
def large(request: pytest.FixtureRequest) -> DenseRetriever:
    return DenseRetriever(clustered_vectors(N_ROWS, seed=1), request.param)


@pytest.mark.parametrize("share", [None, 0.5, 0.02])
@pytest.mark.parametrize("k", [1, 10, 299, 1000])
def test_flat_search_is_brute_force(share: float | None, k: int) -> None:
    vectors, queries = unit_vectors(300, DIMENSION, seed=2), asked(unit_vectors(20, DIMENSION, seed=3))
    allowed = None if share is None else np.random.default_rng(4).random(300) < share
    ties = np.random.default_rng(5).permutation(300)
    for vector, run in zip(
        queries.vectors, DenseRetriever(vectors).search(queries, k, as_allowed(allowed), ties), strict=True
    ):
        expected = brute_force(vectors, vector, k, allowed, ties)
        assert run.rows.tolist() == expected.rows.tolist()
        np.testing.assert_allclose(run.scores, expected.scores, atol=1e-6)


@pytest.mark.parametrize("share", [None, 0.5])
def test_equal_scores_go_by_ties(share: float | None) -> None:
    vectors, queries = grid_vectors(200, seed=6), asked(grid_vectors(20, seed=7))
    allowed = None if share is None else np.random.default_rng(8).random(200) < share
    ties = np.random.default_rng(9).permutation(200)
    for vector, run in zip(
        queries.vectors, DenseRetriever(vectors).search(queries, 200, as_allowed(allowed), ties), strict=True
    ):
        assert run.rows.tolist() == brute_force(vectors, vector, 200, allowed, ties).rows.tolist()


@pytest.mark.parametrize("k", [1, 2, 10, 50])
def test_equal_scores_go_by_ties_also_where_the_cut_runs_through_them(k: int) -> None:
    vectors, queries = grid_vectors(200, seed=6), asked(grid_vectors(20, seed=7))
    ties = np.random.default_rng(9).permutation(200)
    for vector, run in zip(queries.vectors, DenseRetriever(vectors).search(queries, k, None, ties), strict=True):
        assert run.rows.tolist() == brute_force(vectors, vector, k, None, ties).rows.tolist()


def test_score_of_a_row_does_not_depend_on_what_else_is_scored() -> None:
    vectors, queries = unit_vectors(100, 33, seed=10), asked(unit_vectors(1, 33, seed=11))
    retriever = DenseRetriever(vectors)
    (together,) = retriever.score(queries, [np.arange(100)])
    alone = [retriever.score(queries, [np.array([row])])[0][0] for row in range(100)]
    assert together.tolist() == alone


def test_search_finds_most_true_neighbours_with_exact_scores(large: DenseRetriever) -> None:
    queries, ties = asked(clustered_vectors(50, seed=12)), np.arange(N_ROWS)
    runs = large.search(queries, K, None, ties)
    assert_exact_scores(large, queries, runs)
    found = 0
    for vector, run in zip(queries.vectors, runs, strict=True):
        assert len(set(run.rows.tolist())) == K
        found += len(set(run.rows) & set(brute_force(large.vectors, vector, K, None, ties).rows))
    assert found / (50 * K) >= (1.0 if large.kind == "flat" else 0.8)


@pytest.mark.parametrize("n_allowed", [0, 3, 10, 40, 5000])
def test_search_finds_k_allowed_rows_whenever_there_are_k(large: DenseRetriever, n_allowed: int) -> None:
    allowed: BoolArray = np.zeros(N_ROWS, dtype=np.bool_)
    allowed[np.random.default_rng(13).choice(N_ROWS, n_allowed, replace=False)] = True
    queries = asked(clustered_vectors(20, seed=14))
    runs = large.search(queries, K, Allowed(allowed), np.arange(N_ROWS))
    assert_exact_scores(large, queries, runs)
    for run in runs:
        assert len(set(run.rows.tolist())) == len(run.rows) == min(K, n_allowed)
        assert allowed[run.rows].all()


def test_search_finds_as_many_rows_as_asked_up_to_all(large: DenseRetriever) -> None:
    queries = asked(clustered_vectors(2, seed=15))
    for k in (1000, 2 * N_ROWS):
        assert [len(run.rows) for run in large.search(queries, k, None, np.arange(N_ROWS))] == [min(k, N_ROWS)] * 2


def test_appended_rows_are_found_and_the_old_retriever_answers_as_before(large: DenseRetriever) -> None:
    queries, ties = asked(clustered_vectors(30, seed=16)), np.arange(N_ROWS)
    before = large.search(queries, K, None, ties)
    grown = large.appended(queries.vectors)
    runs = grown.search(queries, K, None, np.arange(N_ROWS + 30))
    assert_exact_scores(grown, queries, runs)
    assert [run.rows[0] for run in runs] == list(range(N_ROWS, N_ROWS + 30))
    same = 0
    for run, earlier in zip(large.search(queries, K, None, ties), before, strict=True):
        assert (run.rows < N_ROWS).all()
        same += len(set(run.rows) & set(earlier.rows))
    assert same / (30 * K) >= (0.9 if large.kind == "hnsw" else 1.0)


@pytest.mark.parametrize("searched_before", [True, False])
def test_growing_gives_what_building_at_once_gives(searched_before: bool) -> None:
    vectors, queries = unit_vectors(120, DIMENSION, seed=17), asked(unit_vectors(10, DIMENSION, seed=18))
    grown = DenseRetriever(vectors[:0])
    for start in range(0, 120, 40):
        grown = grown.appended(vectors[start : start + 40])
        if searched_before:
            grown.search(queries, 5, None, np.arange(start + 40))
    at_once = DenseRetriever(vectors).search(queries, 20, None, np.arange(120))
    for one, other in zip(grown.search(queries, 20, None, np.arange(120)), at_once, strict=True):
        assert np.array_equal(one.rows, other.rows)
        assert np.array_equal(one.scores, other.scores)


def test_two_retrievers_grown_from_one_do_not_see_each_other() -> None:
    vectors = unit_vectors(60, DIMENSION, seed=19)
    queries, ties = asked(unit_vectors(5, DIMENSION, seed=20)), np.arange(60)
    old = DenseRetriever(vectors[:40])
    old.search(queries, 5, None, ties)
    left, right = old.appended(vectors[40:50]), old.appended(vectors[50:])
    for branch in (left, right, old):
        for vector, run in zip(queries.vectors, branch.search(queries, 30, None, ties), strict=True):
            assert run.rows.tolist() == brute_force(branch.vectors, vector, 30, None, ties).rows.tolist()


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("busy_threads")
def test_threads_may_search_while_another_appends() -> None:
    queries, ties = asked(unit_vectors(20, 8, seed=25)), np.arange(50)
    old_vectors = unit_vectors(50, 8, seed=26)
    with ThreadPoolExecutor(3) as threads:
        for _ in range(150):
            old = DenseRetriever(old_vectors)
            expected = [run.rows.tolist() for run in old.search(queries, 3, None, ties)]
            searches = [threads.submit(search_often, old, queries, ties) for _ in range(3)]
            old.appended(queries.vectors)
            for search in searches:
                assert search.result() == [expected] * 20


def search_often(retriever: DenseRetriever, queries: Queries, ties: IntArray) -> list[list[list[int]]]:
    return [[run.rows.tolist() for run in retriever.search(queries, 3, None, ties)] for _ in range(20)]


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_no_rows_find_nothing(kind: str) -> None:
    empty = DenseRetriever(np.zeros((0, DIMENSION), dtype=np.float32), kind)
    queries = asked(unit_vectors(2, DIMENSION, seed=21))
    assert [len(run.rows) for run in empty.search(queries, 5, None, np.zeros(0, dtype=np.int64))] == [0, 0]


def test_no_queries_find_nothing() -> None:
    retriever = DenseRetriever(unit_vectors(5, DIMENSION, seed=22))
    assert retriever.search(asked(unit_vectors(0, DIMENSION, seed=0)), 3, None, np.arange(5)) == []


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'annoy'.*flat, hnsw, ivfpq"):
        DenseRetriever(unit_vectors(5, DIMENSION, seed=23), "annoy")


def test_ivfpq_of_a_small_collection_is_rejected() -> None:
    vectors = unit_vectors(100, DIMENSION, seed=24)
    with pytest.raises(InputError, match="at least 9984 documents"):
        DenseRetriever(vectors[:0], "ivfpq").appended(vectors)


def search_by_selector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches the whole index with a selector, however few rows are allowed."""
    monkeypatch.setattr("hybridret.dense.retriever._FEW_ROWS", 0)
    monkeypatch.setattr("hybridret.dense.retriever._FEW_SHARE", 10**9)
    monkeypatch.setattr("hybridret.dense.retriever._BLAS_QUERIES", 10**9)


@pytest.mark.parametrize("n_queries", [1, 19, 20, 40])
@pytest.mark.parametrize("share", [0.5, 0.02])
@pytest.mark.parametrize("k", [1, 10, 299, 1000])
def test_search_by_selector_is_brute_force_as_search_of_a_copy_is(
    monkeypatch: pytest.MonkeyPatch, n_queries: int, share: float, k: int
) -> None:
    vectors, queries = unit_vectors(300, DIMENSION, seed=27), asked(unit_vectors(n_queries, DIMENSION, seed=28))
    allowed = np.random.default_rng(29).random(300) < share
    ties = np.random.default_rng(30).permutation(300)
    retriever = DenseRetriever(vectors)
    copied = retriever.search(queries, k, Allowed(allowed), ties)
    search_by_selector(monkeypatch)
    selected = retriever.search(queries, k, Allowed(allowed), ties)
    for vector, one, other in zip(queries.vectors, copied, selected, strict=True):
        expected = brute_force(vectors, vector, k, allowed, ties)
        assert one.rows.tolist() == other.rows.tolist() == expected.rows.tolist()
        assert np.array_equal(one.scores, other.scores)


@pytest.mark.parametrize("n_before", [1, 7, 8, 9, 63, 64, 100])
def test_an_older_retriever_never_finds_rows_added_since(monkeypatch: pytest.MonkeyPatch, n_before: int) -> None:
    search_by_selector(monkeypatch)
    vectors, queries = unit_vectors(120, DIMENSION, seed=31), asked(unit_vectors(10, DIMENSION, seed=32))
    old, ties = DenseRetriever(vectors[:n_before]), np.arange(120)
    old.search(queries, 3, None, ties[:n_before])
    new = old.appended(vectors[n_before:])
    assert new.index is old.index
    for allowed in (None, np.arange(n_before) % 2 == 0):
        for vector, run in zip(
            queries.vectors, old.search(queries, 200, as_allowed(allowed), ties[:n_before]), strict=True
        ):
            expected = brute_force(vectors[:n_before], vector, 200, allowed, ties)
            assert run.rows.tolist() == expected.rows.tolist()
    for vector, run in zip(queries.vectors, new.search(queries, 200, None, ties), strict=True):
        assert run.rows.tolist() == brute_force(vectors, vector, 200, None, ties).rows.tolist()


def test_vectors_of_an_older_retriever_stay_as_they_were() -> None:
    vectors = unit_vectors(100, DIMENSION, seed=33)
    line = [DenseRetriever(vectors[:10].copy())]
    for start in range(10, 100, 5):
        line.append(line[-1].appended(vectors[start : start + 5]))
    aside = line[4].appended(-vectors[:3])
    for number, retriever in enumerate(line):
        assert np.array_equal(retriever.vectors, vectors[: 10 + 5 * number])
    assert np.array_equal(aside.vectors, np.concatenate([vectors[:30], -vectors[:3]]))
