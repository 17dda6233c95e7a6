"""Segments stay few, and matrices grow without changing what was given before."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.growth import GrowingMatrix, kept_segments


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=120))
def test_segments_halve_and_hold_every_row_once(additions: list[int]) -> None:
    sizes: list[int] = []
    for n_new in additions:
        kept = kept_segments(sizes, n_new)
        sizes = [*sizes[:kept], sum(sizes[kept:]) + n_new]
        assert all(one >= 2 * following for one, following in pairwise(sizes))
    assert sum(sizes) == sum(additions)
    assert len(sizes) <= math.log2(sum(additions)) + 1


def test_each_row_is_copied_as_often_as_the_logarithm_says() -> None:
    sizes, copied = [1000], 0
    for _ in range(1000):
        kept = kept_segments(sizes, 1)
        copied += sum(sizes[kept:]) + 1
        sizes = [*sizes[:kept], sum(sizes[kept:]) + 1]
    assert copied <= 1000 * (math.log2(2000) + 1)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=30), st.integers(0, 9))
def test_views_given_before_stay_as_they_are(appends: list[tuple[int, int]], n_first: int) -> None:
    rng = np.random.default_rng(n_first)
    first = rng.normal(size=(n_first, 3)).astype(np.float32)
    matrix = GrowingMatrix(first)
    views, expected = [first], [first.copy()]
    for which, n_new in appends:
        base = which % len(views)
        new = rng.normal(size=(n_new, 3)).astype(np.float32)
        views.append(matrix.appended(views[base], new))
        expected.append(np.concatenate([expected[base], new]))
        for view, rows in zip(views, expected, strict=True):
            assert np.array_equal(view, rows)


def test_a_line_of_additions_shares_one_buffer() -> None:
    matrix = GrowingMatrix(np.zeros((100, 2), dtype=np.float32))
    view = matrix.appended(np.zeros((100, 2), dtype=np.float32), np.ones((1, 2), dtype=np.float32))
    for _ in range(10):
        longer = matrix.appended(view, np.ones((1, 2), dtype=np.float32))
        assert np.shares_memory(longer, view)
        view = longer
