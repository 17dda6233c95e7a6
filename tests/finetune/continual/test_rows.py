"""How much of a run is about old documents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.continual.rows import Material, replayed, spread
from finetune.generative.rows import Row


def material(*counts: int) -> Material:
    rows = [[Row(f"{kind} {at}", np.array([at])) for at in range(n)] for kind, n in enumerate(counts)]
    return Material(rows[0], rows[1], rows[2], rows[3])


def kinds(plan: np.ndarray, counts: tuple[int, ...]) -> np.ndarray:
    found: np.ndarray = np.searchsorted(np.cumsum(counts), plan, side="right")
    return found


@given(st.integers(0, 500), st.floats(0, 1))
def test_a_share_is_exact_and_evenly_spread(n: int, share: float) -> None:
    marked = spread(n, share)
    assert len(marked) == n
    for start in range(0, n, 50):
        part = marked[start : start + 50]
        assert abs(part.sum() - share * len(part)) <= 1
    assert abs(marked.sum() - share * n) <= 0.5 + 1e-6


@given(
    steps=st.integers(1, 12),
    size=st.integers(2, 20),
    replay=st.floats(0, 0.99),
    sentences=st.floats(0, 0.99),
    seed=st.integers(0, 5),
)
def test_replayed_rows_are_exactly_their_share_in_the_run_and_in_each_step(
    steps: int, size: int, replay: float, sentences: float, seed: int
) -> None:
    counts = (5, 7, 11, 3)
    plan = replayed(material(*counts), steps, size, replay, sentences, seed)
    assert plan.shape == (steps, size)
    is_old = kinds(plan, counts) >= 2
    assert abs(is_old.sum() - replay * plan.size) <= 0.5 + 1e-6
    assert all(abs(step.sum() - replay * size) <= 1 + 1e-6 for step in is_old)
    for side, told in ((is_old, 3), (~is_old, 1)):
        assert abs((kinds(plan, counts)[side] == told).sum() - sentences * side.sum()) <= 0.5 + 1e-6


def test_eighty_twenty() -> None:
    counts = (8, 4, 100, 50)
    plan = replayed(material(*counts), steps=10, batch_size=64, replay=0.2, sentences=0.25, seed=1)
    assert np.bincount(kinds(plan, counts).ravel(), minlength=4).tolist() == [384, 128, 96, 32]
    questions = np.bincount(plan[plan < 8], minlength=8)
    assert questions.max() - questions.min() <= 1
    np.testing.assert_array_equal(plan, replayed(material(*counts), 10, 64, 0.2, 0.25, 1))
    assert (plan != replayed(material(*counts), 10, 64, 0.2, 0.25, 2)).any()


@pytest.mark.parametrize(
    ("counts", "present"),
    [((3, 0, 0, 0), {0}), ((3, 2, 0, 4), {0, 1, 3}), ((3, 0, 2, 0), {0, 2}), ((3, 1, 0, 0), {0, 1})],
)
def test_what_there_is_none_of_leaves_its_place_to_the_rest(counts: tuple[int, ...], present: set[int]) -> None:
    plan = replayed(material(*counts), steps=20, batch_size=10, replay=0.3, sentences=0.5, seed=0)
    assert set(kinds(plan, counts).ravel().tolist()) == present
