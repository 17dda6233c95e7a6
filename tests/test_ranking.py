"""Picking the best rows, and picking unlike ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.ranking import diversify, top_k
from hybridret.types import FloatArray, ScoreArray


@settings(deadline=None, max_examples=300)
@given(
    scores=st.lists(st.sampled_from([-np.inf, -2.0, 0.0, 0.5, 0.5000001, 7.0]), max_size=30),
    k=st.integers(1, 35),
    seed=st.integers(0, 1000),
)
def test_top_k_is_a_full_sort(scores: list[float], k: int, seed: int) -> None:
    ties = np.random.default_rng(seed).permutation(len(scores))
    run = top_k(np.array(scores, dtype=np.float64), k, ties)
    kept = [row for row, score in enumerate(scores) if score > -np.inf]
    expected = sorted(kept, key=lambda row: (-scores[row], ties[row]))[:k]
    assert run.rows.tolist() == expected
    assert run.scores.tolist() == [scores[row] for row in expected]
    assert run.rows.dtype == np.int64


def test_top_k_names_the_rows_given_and_ties_go_by_row() -> None:
    ties = np.array([9, 8, 7, 6, 5, 4])
    run = top_k(np.array([1.0, 3.0, 1.0, 1.0]), 3, ties, rows=np.array([0, 2, 4, 5]))
    assert run.rows.tolist() == [2, 5, 4]
    assert run.scores.tolist() == [3.0, 1.0, 1.0]


def test_top_k_leaves_the_scores_alone() -> None:
    scores = np.array([1.0, 3.0, 2.0])
    top_k(scores, 2, np.arange(3))
    assert scores.tolist() == [1.0, 3.0, 2.0]


def slow_diversify(scores: ScoreArray, vectors: FloatArray, k: int, diversity: float) -> list[int]:
    """Maximal marginal relevance by its definition."""
    span = max(scores) - min(scores)
    relevance = [(score - min(scores)) / span if span else 0.0 for score in scores]
    picked: list[int] = []
    while len(picked) < min(k, len(scores)):
        values = {
            position: (1 - diversity) * relevance[position]
            - diversity * max((float(vectors[position] @ vectors[other]) for other in picked), default=0.0)
            for position in range(len(scores))
            if position not in picked
        }
        picked.append(max(values, key=lambda position: values[position]))
    return picked


def unit_vectors(n: int, seed: int) -> FloatArray:
    vectors = np.random.default_rng(seed).normal(size=(n, 4))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("k", [1, 5, 30, 50])
def test_diversify_is_maximal_marginal_relevance(diversity: float, k: int) -> None:
    for seed in range(10):
        scores = np.sort(np.random.default_rng(seed).random(30))[::-1].copy()
        scores[-1] = 0.0
        vectors = unit_vectors(30, seed + 100)
        assert diversify(scores, vectors, k, diversity) == slow_diversify(scores, vectors, k, diversity)


@pytest.mark.parametrize("offset", [-20.0, 5.0])
def test_diversify_does_not_depend_on_the_offset_of_scores(offset: float) -> None:
    for seed in range(10):
        scores = np.sort(np.random.default_rng(seed).random(30))[::-1] + offset
        vectors = unit_vectors(30, seed + 100)
        assert diversify(scores, vectors, 10, 0.3) == slow_diversify(scores, vectors, 10, 0.3)


def test_diversify_skips_a_copy_of_the_first() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert diversify(np.array([1.0, 0.9, 0.0]), vectors, 2, 0.0) == [0, 1]
    assert diversify(np.array([1.0, 0.9, 0.0]), vectors, 2, 0.5) == [0, 2]


def test_diversify_of_equal_scores_and_of_none() -> None:
    assert diversify(np.ones(3), unit_vectors(3, seed=0), 3, 0.0) == [0, 1, 2]
    assert diversify(np.zeros(0), np.zeros((0, 4), dtype=np.float32), 3, 0.5) == []
